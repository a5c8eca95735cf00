"""Quantum kernels: frozen values that turn rows of data into Gram matrices, usable as `SVC(kernel=...)`.

A kernel prepares one state per row, never one per pair: `features` runs the circuit, `compare` needs no circuit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ketgrad import function
from ketgrad.arguments import check_finite, real_array
from ketgrad.circuit import Circuit
from ketgrad.errors import KetgradTypeError, KetgradValueError, check_shape
from ketgrad.function import Function
from ketgrad.memory import reserve, state_bytes
from ketgrad.paulis import Pauli, PauliSum

BLOCK_BYTES = 32 * 2**20  # overlaps are computed in blocks of about this size
SMALLER = (
    "Take fewer rows: a Nystroem approximation needs one column per landmark only "
    "(sklearn.kernel_approximation.Nystroem(kernel=..., n_components=300)), a variational model needs no matrix."
)


class Kernel(Protocol):
    """What the kernel machines need of a kernel."""

    @property
    def circuit(self) -> Circuit:
        """The circuit that prepares the state of a row."""
        ...

    def features(self, X: Any) -> np.ndarray:
        """What is kept of each row: one circuit execution per row."""
        ...

    def compare(self, features: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
        """The Gram matrix of rows whose features are known: no circuit execution."""
        ...

    def reserve(self, num_rows: int, num_columns: int) -> None:
        """Raise before any work if a Gram matrix of this shape does not fit into memory."""
        ...


@dataclass(frozen=True)
class FidelityKernel:
    """k(x, y) = |<phi(x)|phi(y)>|^2, where the circuit prepares |phi(x)>.

    circuit: reads inputs, has no weights. Called with X: (n, num_inputs) radians, and Y: (m, num_inputs) or None
    for Y = X. Returns (n, m) in [0, 1], exactly symmetric with unit diagonal when Y is None or X itself. An entry
    depends on its own two rows and on nothing else.
    Cost: n + m circuit executions, n * m overlaps; memory (n + m) * 2**num_qubits amplitudes and the result.
    Raises `KetgradValueError` for a circuit with weights, wrong shapes and numbers that are not finite;
    `KetgradMemoryError` before any work if the result does not fit.

    Havlicek et al. 2019, arXiv:1804.11326.

    >>> FidelityKernel(kg.encodings.angle(2))([[0, 0], [0, np.pi]]).round(9)
    array([[1., 0.],
           [0., 1.]])
    """

    circuit: Circuit
    executor: Any = "native"
    threads: int | None = None

    def __post_init__(self) -> None:
        check_kernel_circuit(self.circuit)

    def __call__(self, X: Any, Y: Any = None) -> np.ndarray:
        """The Gram matrix of the rows of X against those of Y."""
        return _gram(self, X, Y)

    def features(self, X: Any) -> np.ndarray:
        """The states of the rows, (n, 2**num_qubits): one circuit execution per row.

        >>> FidelityKernel(kg.encodings.angle(1)).features([[0.0]]).round(9)
        array([[1.+0.j, 0.+0.j]])
        """
        return self._states(None, _rows(X, "X", self.circuit))

    def compare(self, features: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
        """|<phi|chi>|^2 of all pairs of states, in blocks; `others` None compares the states among themselves.

        An executor that has a `gram` of its own computes it there; others through NumPy's matrix product.
        """
        if gram := getattr(self._states.executor, "gram", None):
            result = gram(features, others, self.threads)
            if others is None:
                np.fill_diagonal(result, 1.0)  # exactly, and not 1 minus a rounding error
            return result
        columns = features if others is None else others
        result = np.empty((len(features), len(columns)))
        for rows in _blocks(len(features), 32 * max(1, len(columns))):
            first = rows.start if others is None else 0
            overlaps = features[rows].conj() @ columns[first:].T
            result[rows, first:] = np.minimum(np.real(overlaps) ** 2 + np.imag(overlaps) ** 2, 1.0)
            if others is None:
                _mirror(result, rows)
        return result

    def reserve(self, num_rows: int, num_columns: int) -> None:
        """Raise `KetgradMemoryError` if the Gram matrix and the states do not fit into memory."""
        states = state_bytes(self.circuit.num_qubits, num_rows + num_columns)
        reserve_gram(num_rows, num_columns, states + BLOCK_BYTES)

    @cached_property
    def _states(self) -> Function:
        return function.state(self.circuit, executor=self.executor, threads=self.threads)


@dataclass(frozen=True)
class ProjectedKernel:
    """k(x, y) = exp(-gamma * sum_k (<O_k>_x - <O_k>_y)^2): a Gaussian of expectation values.

    circuit: as in `FidelityKernel`. observables: Pauli sums; None for X, Y and Z of each qubit, where the sum is
    twice the squared Frobenius distance of the one-qubit density matrices. gamma: a positive number; it belongs to
    the kernel and never depends on the rows of a call. `scaled_to(X)` sets it from training data.
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

    def __post_init__(self) -> None:
        check_kernel_circuit(self.circuit)
        number = self.gamma
        if (
            isinstance(number, bool)
            or not isinstance(number, int | float | np.number)
            or not 0 < number < math.inf
        ):
            raise KetgradValueError(f"`gamma` must be a positive number, but is {number!r}.")
        given = self.observables
        if given is not None:
            object.__setattr__(self, "observables", (given,) if isinstance(given, PauliSum) else tuple(given))

    def __call__(self, X: Any, Y: Any = None) -> np.ndarray:
        """The Gram matrix of the rows of X against those of Y."""
        return _gram(self, X, Y)

    def features(self, X: Any) -> np.ndarray:
        """The expectation values of the rows, (n, number of observables): one circuit execution per row."""
        return self._expectations(None, _rows(X, "X", self.circuit))

    def compare(self, features: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
        """exp(-gamma * squared distance) of all pairs; differences are taken pair by pair, so nothing cancels."""
        from scipy.spatial.distance import cdist

        result = cdist(features, features if others is None else others, "sqeuclidean")
        result *= -float(self.gamma)
        return np.exp(result, out=result)

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
        return ProjectedKernel(self.circuit, 0.5 / spread, self.observables, self.executor, self.threads)

    @cached_property
    def _expectations(self) -> Function:
        observables = self.observables
        if observables is None:
            observables = tuple(
                Pauli(f"{letter}{q}") for q in range(self.circuit.num_qubits) for letter in "XYZ"
            )
        return function.expectation(self.circuit, observables, executor=self.executor, threads=self.threads)


def check_kernel_circuit(circuit: Any) -> None:
    """Raise unless `circuit` is a circuit that reads inputs and has no weights.

    >>> check_kernel_circuit(kg.encodings.angle(2))
    """
    if not isinstance(circuit, Circuit):
        raise KetgradTypeError(f"`circuit` must be a Circuit, but is {type(circuit).__name__}.")
    if circuit.num_weights:
        raise KetgradValueError(
            f"`circuit` must have no weights - a kernel is a function of data alone - but has {circuit.num_weights}. "
            "Give them values with circuit.bind(weights)."
        )
    if not circuit.num_inputs:
        raise KetgradValueError(
            "`circuit` must read inputs x[0], x[1], ... - else all rows are alike - but reads none."
        )


def _gram(kernel: Any, X: Any, Y: Any) -> np.ndarray:
    rows = _rows(X, "X", kernel.circuit)
    if Y is None or Y is X:
        kernel.reserve(len(rows), len(rows))
        return kernel.compare(kernel.features(rows))
    columns = _rows(Y, "Y", kernel.circuit)
    kernel.reserve(len(rows), len(columns))
    return kernel.compare(kernel.features(rows), kernel.features(columns))


def _rows(values: Any, name: str, circuit: Circuit) -> np.ndarray:
    array = real_array(values, name).astype(np.float64, copy=False)
    width = circuit.num_inputs
    check_shape(array, name, f"(n, {width})", f"the circuit reads x[0] to x[{width - 1}]")
    check_finite(array, name)
    return np.ascontiguousarray(array)


def _blocks(num_rows: int, row_bytes: int) -> Iterator[slice]:
    step = max(1, BLOCK_BYTES // row_bytes)
    return (slice(start, min(start + step, num_rows)) for start in range(0, num_rows, step))


def _mirror(gram: np.ndarray, rows: slice) -> None:
    """Complete a block of rows whose part right of the diagonal is known: below it, and ones on it."""
    gram[rows.stop :, rows] = gram[rows, rows.stop :].T
    above = np.triu(gram[rows, rows], 1)
    gram[rows, rows] = above + above.T + np.eye(len(above))


def reserve_gram(num_rows: int, num_columns: int, more_bytes: int = 0) -> None:
    """Raise `KetgradMemoryError` if a Gram matrix and `more_bytes` beside it do not fit into memory.

    >>> reserve_gram(1000, 1000)
    """
    what = f"the kernel matrix of {num_rows} x {num_columns} entries"
    reserve(8 * num_rows * num_columns + more_bytes, what, SMALLER)
