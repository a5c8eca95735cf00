"""From the columns of a table to a matrix of numbers, fitted on training rows only.

Numbers are imputed and scaled; categories, dates and text go through skrub's `TableVectorizer`; the result is
scaled again, so that every column has mean 0 and deviation 1 on the training rows. All models see the same
matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.foundation.errors import missing_extra
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.seeds import stream
from ketgrad.referee.results import Split
from ketgrad.referee.table.cells import MAX_CATEGORIES
from ketgrad.referee.table.columns import Understood
from ketgrad.referee.table.task import SplitRows, Task

SENTENCE = (
    "Inside each fold, on its training rows only: missing numbers become the median (with a column that says so),"
    " categories become columns of 0 and 1, dates become year, month, day, hour, weekday and seconds, text becomes"
    " ten numbers, every column is scaled to mean 0 and deviation 1, and columns that do not vary are left out. All"
    " models see the same columns."
)


@dataclass(frozen=True)
class Part:
    """Training and test rows as numbers: X (rows, features) and y."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True)
class Prepared:
    """One split, ready: the outer part, and the inner parts (of its training rows) for tuning."""

    split: Split
    outer: Part
    inner: tuple[Part, ...]


def vectorizer(understood: Understood, seed: int) -> Any:
    """The unfitted scikit-learn pipeline from the table's frame to scaled numbers."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler

    numbers = understood.names("number")
    others = understood.names("category", "boolean", "date", "text")
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    # the largest value first becomes 1, so that no square overflows or vanishes
    parts: list[Any] = [("numbers", make_pipeline(MaxAbsScaler(), impute), numbers)] if numbers else []
    if others:
        parts.append(("others", _words_vectorizer(understood, seed), others))
    return make_pipeline(ColumnTransformer(parts, sparse_threshold=0), StandardScaler())


def _words_vectorizer(understood: Understood, seed: int) -> Any:
    try:
        import skrub
    except ImportError:
        raise missing_extra("skrub", "compare") from None
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    texts = understood.names("text")
    state = int(stream(seed, 3).integers(2**31))
    encode = skrub.StringEncoder(n_components=10, random_state=state)
    specific = [(encode, texts)] if texts else []
    table = skrub.TableVectorizer(
        cardinality_threshold=MAX_CATEGORIES + 1,  # what is a category was decided by `columns`
        drop_null_fraction=None,
        datetime=skrub.DatetimeEncoder(add_weekday=True, resolution="hour"),
        specific_transformers=specific,
    )
    return make_pipeline(table, SimpleImputer(strategy="median", keep_empty_features=True))


def prepare(
    understood: Understood, task: Task, splits: Sequence[SplitRows], inner_folds: int, seed: int
) -> tuple[Prepared, ...]:
    """The matrices of all splits; inner parts are cross-validation inside the training rows.

    Cost: (1 + inner_folds) fits of the vectoriser per split; memory (1 + inner_folds) matrices per split.
    Raises `KetgradMemoryError` if they do not fit.
    """
    n = len(task.y)
    width = _matrix(vectorizer(understood, seed), understood.frame, splits[0].train, splits[0].test)[0].shape[
        1
    ]
    way_out = "Use a part of the table: rows=2000 (--rows 2000), or fewer repeats."
    reserve(8 * n * width * len(splits) * (1 + inner_folds), "the matrices of all splits", way_out)
    return tuple(_prepare_split(understood, task, item, inner_folds, seed) for item in splits)


def _prepare_split(
    understood: Understood, task: Task, item: SplitRows, inner_folds: int, seed: int
) -> Prepared:
    from sklearn.model_selection import KFold, StratifiedKFold

    state = int(stream(seed, 4, item.split.index).integers(2**31))
    y = task.y[item.train]
    smallest = int(np.bincount(y).min()) if task.kind == "classification" else len(y)
    outer = _part(understood, task, item.train, item.test, seed)
    if inner_folds < 2 or len(y) < 2 * inner_folds:
        return Prepared(item.split, outer, ())  # too few rows to tune on
    kind = StratifiedKFold if task.kind == "classification" and smallest >= inner_folds else KFold
    divide = kind(inner_folds, shuffle=True, random_state=state).split(np.zeros((len(y), 1)), y)
    inner = tuple(
        _part(understood, task, item.train[train], item.train[test], seed)
        for train, test in divide
        if task.kind == "regression" or len(np.unique(y[train])) == len(np.unique(y))
    )
    return Prepared(item.split, outer, inner)


def _part(understood: Understood, task: Task, train: np.ndarray, test: np.ndarray, seed: int) -> Part:
    X_train, X_test = _matrix(vectorizer(understood, seed), understood.frame, train, test)
    return Part(X_train, task.y[train], X_test, task.y[test])


def _matrix(pipeline: Any, frame: Any, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import warnings

    with warnings.catch_warnings():
        # a value that the training rows do not have is expected, and is told in the description of the column
        warnings.filterwarnings("ignore", message="Found unknown categories")
        warnings.filterwarnings(
            "ignore", message="All-NaN slice encountered"
        )  # such a column becomes constant
        X_train = np.asarray(pipeline.fit_transform(frame.iloc[train]), dtype=float)
        X_test = np.asarray(pipeline.transform(frame.iloc[test]), dtype=float)
    varies = np.ptp(X_train, axis=0) > 0
    kept = varies if varies.any() else slice(None)
    return np.ascontiguousarray(X_train[:, kept]), np.ascontiguousarray(X_test[:, kept])
