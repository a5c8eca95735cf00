"""Contestants that fit at once and whose scores are known before, for tests of what the referee makes of them."""

from __future__ import annotations

import numpy as np
import pandas

from ketgrad.referee.contest.contestants import CLASSICAL, Contestant


class OneColumn:
    """Answers by one column alone: the class, or the value, that its sign had in the training rows on average."""

    def __init__(self, column: int) -> None:
        self.column = column

    def fit(self, X, y):
        side = X[:, self.column] > 0
        self.answers = [
            y[side == positive].mean() if (side == positive).any() else y.mean() for positive in (0, 1)
        ]
        self.is_class = np.issubdtype(y.dtype, np.integer)
        return self

    def predict(self, X):
        found = np.where(X[:, self.column] > 0, self.answers[1], self.answers[0])
        return np.round(found).astype(int) if self.is_class else found


def _fake(name: str, family: str, column: int, twin_of: str | None = None) -> Contestant:
    return Contestant(
        name=name,
        titles=(name, name),
        family=family,
        description="looks at one column",
        source="",
        settings=({"column": column},),
        build=lambda settings, facts: OneColumn(settings["column"]),
        twin_of=twin_of,
    )


# Of the columns of `known_table`: "sharp" and "odd" see the one that tells, the others the one that does not.
CONTESTANTS = (
    CLASSICAL[0],
    _fake("sharp", "classical", 0),
    _fake("blunt", "classical", 1),
    _fake("odd", "quantum", 0),
    _fake("odd_twin", "twin", 1, twin_of="odd"),
)


def known_table(n: int = 60, task: str = "classification") -> pandas.DataFrame:
    """Column `a` tells the class of five rows of six, column `b` of half of them; for a regression, the value."""
    place = np.arange(n)
    y = place % 2
    told = np.where(place // 2 % 6 == 5, 1 - y, y)
    b = place // 2 % 2
    answers = y + 0.01 * (place % 3) if task == "regression" else np.where(y == 1, "yes", "no")
    small = 0.001 * place  # so that no column is the answer in other words
    return pandas.DataFrame({"a": 2.0 * told - 1 + small, "b": 2.0 * b - 1 + small, "y": answers})
