"""What all estimators share: the way from a user's table to the rows that count, and the summary of a fit."""

from __future__ import annotations

import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

from ketgrad.circuits.circuit import Circuit
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.models.fitting.checks import (
    check_classes,
    check_numbers,
    check_sample_weight,
    check_table,
    column_text,
    merge_rows,
    warn_of_constant_columns,
)
from ketgrad.models.fitting.circuits import Scaling, weighted_moments


class Estimator(BaseEstimator, ABC):
    """Abstract base of the models: fit and predict are theirs, the preparation of rows is common."""

    @abstractmethod
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Learn from rows X and targets y."""

    @abstractmethod
    def predict(self, X: Any) -> np.ndarray:
        """Targets for rows X."""

    def _angles(self, X: Any) -> np.ndarray:
        """The rows of X as the inputs of the fitted circuit."""
        check_is_fitted(self)
        table, scaling = check_table(self, X, fitting=False), self.scaling_  # type: ignore[attr-defined]
        warn_of_strangers(table, scaling, getattr(self, "feature_names_in_", None))
        angles = scaling(table)
        refuse_zero_vectors(self.circuit_, angles, np.arange(len(table)))  # type: ignore[attr-defined]
        return np.ascontiguousarray(angles[:, : self.circuit_.num_inputs])  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class Rows:
    """The distinct training rows that count, with their targets and weights."""

    table: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    places: np.ndarray  # where each first stood in the user's table

    def part(self, chosen: np.ndarray) -> Rows:
        """Some of the rows."""
        return Rows(self.table[chosen], self.targets[chosen], self.weights[chosen], self.places[chosen])


@dataclass(frozen=True)
class Summary:
    """What a fitted model is and what its training took; `print(model.summary_)` is one screen.

    circuit_executions: runs of the circuit in this fit, forward and backward passes of the simulator included.
    device_executions: circuits that the same fit would send to a quantum computer, each to be measured many times;
    None where the gradient rule has no form for a device.
    """

    model: str
    num_qubits: int
    num_weights: int
    num_readout_weights: int
    num_gates: int
    num_entangling_gates: int
    depth: int
    num_rows: int
    circuit_executions: int
    device_executions: int | None
    seconds: float
    outcome: str

    def __str__(self) -> str:
        texts = {f.name: getattr(self, f.name) for f in fields(self)}
        texts["seconds"] = f"{self.seconds:.2f}"
        texts["device_executions"] = "none" if self.device_executions is None else self.device_executions
        return "\n".join(f"{name.replace('_', ' '):<22} {text}" for name, text in texts.items())


def count_gates(circuit: Circuit) -> dict[str, int]:
    """The entries of a summary that the circuit decides.

    >>> count_gates(kg.Circuit([kg.ry(kg.w[0], 0), kg.cz(0, 1)]))["num_entangling_gates"]
    1
    """
    return {
        "num_qubits": circuit.num_qubits,
        "num_weights": circuit.num_weights,
        "num_gates": len(circuit.ops),
        "num_entangling_gates": sum(len(op.qubits) + len(op.controls) > 1 for op in circuit.ops),
        "depth": circuit.depth,
    }


Preflight = Callable[[int], None]  # raises if that many rows are too many


def class_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any, preflight: Preflight | None = None
) -> tuple[Rows, np.ndarray]:
    """Rows whose targets are class numbers, and the classes in sorted order.

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
) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Rows whose targets are scaled to mean 0 and deviation 1, with that mean and deviation per output."""
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
        warnings.warn(
            f"{count} of {len(table)} row(s) of X lie far outside of the training data, the first in row {row}, "
            f"column {column_text(column, names)}: {table[row, column]:g}, where the training rows lie in "
            f"{scaling.low[column]:g} to {scaling.high[column]:g}. Angles count modulo 2 pi, so what is predicted "
            "there means little; scaling='range' clips such rows.",
            UserWarning,
            stacklevel=5,  # the caller of predict
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


def _rows(estimator: Any, table: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Rows:
    rows = Rows(*merge_rows(table, targets, weights))
    estimator.data_fingerprint_ = fingerprint(rows.table, rows.targets, rows.weights)
    warn_of_constant_columns(rows.table, getattr(estimator, "feature_names_in_", None))
    return rows
