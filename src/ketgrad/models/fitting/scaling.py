"""The scaling of data into angles, learned from training rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ketgrad.circuits.encodings import SCALINGS
from ketgrad.foundation.errors import KetgradValueError, near_matches

INTERIOR = 0.95  # at the ends of [-1, 1] arccos has no derivative
NOWHERE = np.empty((0, 2), np.int64)
NAMES = ("auto", "standard", "range", "none")


@dataclass(frozen=True, eq=False)
class Scaling:
    """Data into angles: (X - center) / width per column, then clipped to [-limit, limit]. Learned from training rows.

    A column that is constant over the training rows becomes 0. low, high: what the training rows span, where rows
    beyond are neither clipped nor angles as given; else None.
    """

    center: np.ndarray
    width: np.ndarray
    limit: float
    factor: float
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def __call__(self, table: np.ndarray) -> np.ndarray:
        """The angles of a table (n, num_features)."""
        angles = (table - self.center) / self.width
        if np.isfinite(self.limit):
            angles = np.clip(angles, -self.limit, self.limit)
        return angles * self.factor

    def strangers(self, table: np.ndarray) -> np.ndarray:
        """Entries (k, 2) of a table whose angles lie two turns beyond those of the training rows, and a whole span."""
        bounds = self._bounds
        if bounds is None:
            return NOWHERE
        far = (table < bounds[0]) | (table > bounds[1])
        return np.argwhere(far) if far.any() else NOWHERE

    @cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        if self.low is None or self.high is None:
            return None
        with np.errstate(over="ignore"):  # then nothing is beyond
            reach = np.maximum(self.high - self.low, 4 * np.pi / self.factor * self.width)
            return self.low - reach, self.high + reach


def learn_scaling(
    name: str, encoding: Any, table: np.ndarray, weights: np.ndarray, factor: float = 1.0
) -> Scaling:
    """The scaling of that name, fitted on weighted rows.

    "standard": mean 0 and standard deviation 1 per column; "range": the training rows fill [-0.95, 0.95], later
    rows are clipped to it; "none": as given; "auto": what the encoding asks for. `factor` multiplies the outcome.

    >>> learn_scaling("range", None, np.array([[0.0], [4.0]]), np.ones(2))(np.array([[1.0], [9.0]])).ravel()
    array([-0.475,  0.95 ])
    """
    if not isinstance(name, str) or name not in NAMES:
        raise KetgradValueError(f"There is no scaling {name!r}. {near_matches(str(name), NAMES)}")
    if name == "auto":
        name = SCALINGS.get(encoding, "standard") if isinstance(encoding, str) else "standard"
    columns = table.shape[1]
    if name == "none":
        return Scaling(np.zeros(columns), np.ones(columns), np.inf, 1.0)
    low, high = table.min(axis=0), table.max(axis=0)
    span: tuple[np.ndarray, ...] = ()
    if name == "range":
        center, width, limit, factor = low / 2 + high / 2, high / 2 - low / 2, 1.0, INTERIOR
    else:
        center, width = weighted_moments(table, weights)
        limit, span = np.inf, (low, high)
    wild = np.flatnonzero(~(np.isfinite(center) & np.isfinite(width)))
    if wild.size:
        raise KetgradValueError(
            f"Column {wild[0]} of X cannot be scaled: its spread overflows float64 (values up to "
            f"{np.abs(table[:, wild[0]]).max():.3g}). Rescale or take logarithms first."
        )
    return Scaling(center, np.where(width > 0, width, 1.0), limit, factor, *span)


def weighted_moments(columns: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; exactly zero spread for a constant one.

    >>> weighted_moments(np.array([[1.0], [4.0]]), np.array([2.0, 1.0]))
    (array([2.]), array([1.41421356]))
    """
    shares = weights / weights.sum()
    constant = (columns == columns[0]).all(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as a spread that is not finite
        center = np.where(constant, columns[0], (shares[:, None] * columns).sum(axis=0))
        reach = np.abs(columns - center).max(axis=0)
        unit = np.where(reach > 0, reach, 1.0)  # squares of 1e-300 would vanish, those of 1e300 overflow
        spread = unit * np.sqrt((shares[:, None] * ((columns - center) / unit) ** 2).sum(axis=0))
    return center, np.where(constant, 0.0, spread)
