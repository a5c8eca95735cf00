"""The projected kernel: a Gaussian of expectation values, usable as `SVC(kernel=...)`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.paulis import Pauli, PauliSum
from ketgrad.foundation.arrays import real_array
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import check_positive
from ketgrad.functions import builders
from ketgrad.functions.function import Function
from ketgrad.kernels.kernel import (
    are_single_rows,
    check_kernel_circuit,
    check_run,
    checked_rows,
    pair_of_rows,
    reserve_gram,
)
from ketgrad.kernels.overlaps import WORK_BYTES, pieces
from ketgrad.programs.questions import Expect, as_observables


@dataclass(frozen=True)
class ProjectedKernel:
    """k(x, y) = exp(-gamma * sum_k (<O_k>_x - <O_k>_y)^2): a Gaussian of expectation values.

    circuit: as in `FidelityKernel`. observables: Pauli sums; None for X, Y and Z of each qubit, where the sum is
    twice the squared Frobenius distance of the one-qubit density matrices. gamma: a positive number; it belongs to
    the kernel and never depends on the rows of a call. `scaled_to(X)` sets it from training data. seed: of the
    measurements, if the executor has shots; as in `kg.expectation`.
    Shapes, cost and errors: as in `FidelityKernel`, with expectation values in place of amplitudes.

    Huang et al. 2021, arXiv:2011.01938.

    >>> ProjectedKernel(kg.encodings.angle(1), gamma=0.5)([[0.0]], [[0.0], [np.pi]]).round(6)
    array([[1.      , 0.135335]])
    """

    circuit: Circuit
    gamma: float = 1.0
    observables: tuple[PauliSum, ...] | None = None
    executor: Any = "native"
    threads: int | None = None
    seed: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "circuit", as_circuit(self.circuit))
        check_kernel_circuit(self.circuit)
        check_positive(self.gamma, "gamma")
        check_run(self.executor, self.threads)
        if self.observables is not None:
            sums = as_observables(self.observables)
            Expect(sums).check(self.circuit.num_qubits)
            object.__setattr__(self, "observables", sums)

    def __call__(self, X: Any, Y: Any = None) -> np.ndarray:
        """The Gram matrix of the rows of X against those of Y; one number for two single rows (num_inputs,)."""
        if are_single_rows(X, Y):
            return self(real_array(X, "X")[None], None if Y is X else real_array(Y, "Y")[None])[0, 0]
        rows, columns = pair_of_rows(X, Y, self.circuit)
        self.reserve(len(rows), len(rows if columns is None else columns))
        features = self.features(rows)
        return self.compare(features, None if columns is None else self.features(columns))

    def features(self, X: Any) -> np.ndarray:
        """The expectation values of the rows, (n, number of observables): one circuit execution per row."""
        return self._expectations(None, checked_rows(X, "X", self.circuit))

    def compare(self, features: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
        """exp(-gamma * squared distance) of all pairs; differences are taken pair by pair, so nothing cancels."""
        from scipy.spatial.distance import cdist

        columns = features if others is None else others
        result = np.empty((len(features), len(columns)))
        for rows in pieces(len(features), WORK_BYTES // (8 * max(1, len(columns)))):
            block = cdist(features[rows], columns, "sqeuclidean", out=result[rows])
            block *= -float(self.gamma)
            np.exp(block, out=block)
        return result

    def reserve(self, num_rows: int, num_columns: int) -> None:
        """Raise `KetgradMemoryError` if the Gram matrix does not fit into memory."""
        reserve_gram(num_rows, num_columns, 8 * self._expectations.num_outputs * (num_rows + num_columns))

    def scaled_to(self, X: Any) -> ProjectedKernel:
        """The kernel with gamma = 1 / (mean squared distance of two random rows of X).

        That distance is twice the sum of the variances of the observables. X: the training rows, and only those.
        Raises `KetgradValueError` if the expectation values do not vary.

        >>> round(ProjectedKernel(kg.encodings.angle(1)).scaled_to([[0.0], [np.pi]]).gamma, 9)
        0.5
        """
        return self.scaled_to_features(self.features(X))

    def scaled_to_features(self, features: np.ndarray) -> ProjectedKernel:
        """As `scaled_to`, from features that are known."""
        spread = float(np.var(features, axis=0).sum())
        if spread <= 1e-24:
            raise KetgradValueError(
                "`X` must hold rows that differ - gamma is scaled by their spread - but all rows give the same "
                "expectation values."
            )
        kernel = replace(self, gamma=0.5 / spread)
        kernel.__dict__["_expectations"] = self._expectations  # where cached_property looks
        return kernel

    @cached_property
    def _expectations(self) -> Function:
        observables = self.observables
        if observables is None:
            observables = tuple(
                Pauli(f"{letter}{q}") for q in range(self.circuit.num_qubits) for letter in "XYZ"
            )
        return builders.expectation(
            self.circuit, observables, executor=self.executor, threads=self.threads, seed=self.seed
        )
