"""From a user's table to the rows that count, and back to its places in every message."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from ketgrad.circuits.circuit import Circuit
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.user_warnings import warn_user
from ketgrad.models.fitting.checks import (
    check_classes,
    check_numbers,
    check_sample_weight,
    check_table,
    column_text,
    merge_rows,
    warn_of_constant_columns,
)
from ketgrad.models.fitting.scaling import Scaling, weighted_moments


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """The distinct training rows that count, with their targets and weights."""

    table: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    places: np.ndarray  # where each first stood in the user's table

    def part(self, chosen: np.ndarray) -> TrainingRows:
        """Some of the rows."""
        return TrainingRows(
            self.table[chosen], self.targets[chosen], self.weights[chosen], self.places[chosen]
        )


Preflight = Callable[[int], None]  # raises if that many rows are too many


def class_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any, preflight: Preflight | None = None
) -> tuple[TrainingRows, np.ndarray]:
    """TrainingRows whose targets are class numbers, and the classes in sorted order.

    Classes of which every row has weight zero do not count. Raises `KetgradValueError` for fewer than two classes.
    """
    table = check_table(estimator, X, fitting=True)
    if preflight is not None:
        preflight(len(table))
    labels = check_classes(estimator, y, len(table))
    weights = check_sample_weight(sample_weight, len(table))
    classes, codes = np.unique(labels[weights > 0], return_inverse=True)
    if len(classes) < 2:
        raise KetgradValueError(
            f"A classifier needs >= 2 classes, but the rows that count hold 1 class only: {classes.tolist()[0]!r}."
        )
    all_codes = np.zeros(len(table), dtype=np.int64)
    all_codes[weights > 0] = codes
    if estimator.class_weight is not None:
        try:
            weights = weights * compute_sample_weight(estimator.class_weight, labels)
        except (TypeError, ValueError) as error:
            raise KetgradValueError(f"`class_weight` cannot be used: {error}") from error
    rows = _rows(estimator, table, all_codes, weights)
    return replace(rows, targets=rows.targets.astype(np.int64)), classes


def number_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, columns: bool, preflight: Preflight | None = None
) -> tuple[TrainingRows, np.ndarray, np.ndarray]:
    """TrainingRows whose targets are scaled to mean 0 and deviation 1, with that mean and deviation per output."""
    table = check_table(estimator, X, fitting=True)
    if preflight is not None:
        preflight(len(table))
    targets = check_numbers(estimator, y, len(table), columns=columns)
    weights = check_sample_weight(sample_weight, len(table))
    rows = _rows(estimator, table, targets, weights)
    flat = rows.targets.reshape(len(rows.targets), -1)
    center, spread = weighted_moments(flat, rows.weights)
    if not (np.isfinite(center) & np.isfinite(spread)).all():
        raise KetgradValueError(
            f"y cannot be scaled: its spread overflows float64 (values up to {np.abs(flat).max():.3g}). Rescale it."
        )
    width = np.where(spread > 0, spread, 1.0)
    scaled = ((flat - center) / width).reshape(rows.targets.shape)
    return replace(rows, targets=scaled), center, width


def warn_of_strangers(table: np.ndarray, scaling: Scaling, names: Any) -> None:
    """Warn of rows so far outside of the training rows that their angles have wrapped, twice."""
    places = scaling.strangers(table)
    if len(places):
        row, column = (int(k) for k in places[0])
        assert scaling.low is not None and scaling.high is not None
        count = len(np.unique(places[:, 0]))
        warn_user(
            f"{count} of {len(table)} row(s) of X lie far outside of the training data, the first in row {row}, "
            f"column {column_text(column, names)}: {table[row, column]:g}, where the training rows lie in "
            f"{scaling.low[column]:g} to {scaling.high[column]:g}. Angles count modulo 2 pi, so what is predicted "
            "there means little; scaling='range' clips such rows."
        )


def refuse_zero_vectors(circuit: Circuit, inputs: np.ndarray, places: np.ndarray) -> None:
    """Raise, with the user's row, if a row is all zero where a prepared state takes its amplitudes from.

    places: the number of each row in the table that the user passed.

    >>> refuse_zero_vectors(kg.encodings.amplitude(2), np.ones((1, 2)), np.array([0]))
    """
    for op in circuit.ops:
        if op.gate.amplitudes is None:
            continue
        products = [[j for kind, j in term if kind == "x"] for angle in op.angles for term, _ in angle.terms]
        if not products or not all(products):  # an entry that no input can make zero
            continue
        columns = sorted({j for product in products for j in product})
        zero = np.flatnonzero(~inputs[:, columns].any(axis=1))
        if zero.size:
            raise KetgradValueError(
                f"Row {places[zero].min()} of X is zero in every column that is encoded as amplitudes, and a vector of "
                "zeros has no direction. Drop such rows, or add a constant column."
            )


def fingerprint(*arrays: np.ndarray) -> str:
    """The SHA-256 of arrays as 64 hexadecimal digits: equal for equal numbers on every machine.

    >>> fingerprint(np.zeros(2))[:8]
    '374708ff'
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _rows(estimator: Any, table: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> TrainingRows:
    rows = TrainingRows(*merge_rows(table, targets, weights))
    estimator.data_fingerprint_ = fingerprint(rows.table, rows.targets, rows.weights)
    warn_of_constant_columns(rows.table, getattr(estimator, "feature_names_in_", None))
    return rows
