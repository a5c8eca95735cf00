"""Quantum kernels: frozen values that turn rows of data into Gram matrices, usable as `SVC(kernel=...)`.

A kernel prepares one state per row, never one per pair: `features` runs the circuit, `compare` needs no circuit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from ketgrad import executors
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.paulis import Pauli, PauliSum
from ketgrad.foundation.arrays import as_array, check_finite, real_array
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, check_shape, shown
from ketgrad.foundation.memory import reserve, state_bytes
from ketgrad.foundation.numbers import check_positive, complex_type, thread_count
from ketgrad.functions import function
from ketgrad.functions.function import REAL_OF, Function
from ketgrad.kernels import states as kernels_overlaps
from ketgrad.kernels.states import SMALLER, WORK_BYTES, mirror, overlaps, pieces, squared, state_cotangents
from ketgrad.programs.questions import hermitian_sums

__all__ = [
    "FidelityKernel",
    "GramGradient",
    "Kernel",
    "ProjectedKernel",
    "alignment_loss",
    "target_alignment",
]


def __dir__() -> list[str]:
    return __all__


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


class GramGradient(NamedTuple):
    """A Gram matrix and the derivatives of sum(cotangent * matrix), in the shapes of what they belong to."""

    values: np.ndarray
    dweights: np.ndarray
    dX: np.ndarray
    dY: np.ndarray | None  # None where the rows were compared among themselves


@dataclass(frozen=True)
class FidelityKernel:
    """k(x, y) = |<phi(x)|phi(y)>|^2, where the circuit prepares |phi(x)>.

    circuit: reads inputs. weights: numbers for its weights, (num_weights,); None for a circuit without any. Called
    with X: (n, num_inputs) radians, and Y: (m, num_inputs) or None for Y = X. Returns (n, m) in [0, 1], exactly
    symmetric with unit diagonal when Y is None or X itself. An entry depends on its own two rows and on nothing else.
    Called with two single rows (num_inputs,), as KernelRidge and KernelPCA do, it returns one number, at the cost of
    two executions per pair: give those machines kernel="precomputed" and the whole matrix.
    memory: bytes of states that a call may hold beside its result; None for what the machine has left. When they do
    not suffice for all states, the matrix is made in blocks, with the same bits: b blocks of rows take about b / 2
    times as many circuit executions. dtype: complex128, or complex64 for results in float32.
    Cost: n + m circuit executions, n * m overlaps (half of them for Y = X), each of three real products in place of
    four; memory n * m numbers for the result and 1.5 (n + m) * 2**num_qubits amplitudes, or `memory`.
    Raises `KetgradValueError` for weights that are missing, wrong shapes and numbers that are not finite;
    `KetgradMemoryError` before any work if the result does not fit.

    Havlicek et al. 2019, arXiv:1804.11326.

    >>> FidelityKernel(kg.encodings.angle(2))([[0, 0], [0, np.pi]]).round(9)
    array([[1., 0.],
           [0., 1.]])
    """

    circuit: Circuit
    executor: Any = "native"
    threads: int | None = None
    weights: Any = None
    memory: int | None = None
    dtype: Any = np.complex128

    def __post_init__(self) -> None:
        object.__setattr__(self, "circuit", as_circuit(self.circuit))
        _check_inputs(self.circuit)
        _check_run(self.executor, self.threads)
        object.__setattr__(self, "weights", _kernel_weights(self.circuit, self.weights))
        object.__setattr__(self, "dtype", complex_type(self.dtype))
        limit = self.memory
        if limit is not None and (
            isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1
        ):
            raise KetgradValueError(f"`memory` must be None or a positive number of bytes, but is {limit!r}.")

    def __call__(self, X: Any, Y: Any = None) -> np.ndarray:
        """The Gram matrix of the rows of X against those of Y; one number for two single rows (num_inputs,)."""
        if _are_single_rows(X, Y):
            return self(real_array(X, "X")[None], None if Y is X else real_array(Y, "Y")[None])[0, 0]
        rows, columns = _pair(X, Y, self.circuit)
        return kernels_overlaps.gram(self._states, self._weights, rows, columns, self.memory)

    def vjp(self, X: Any, Y: Any = None, cotangent: Any = None) -> GramGradient:
        """(values, dweights, dX, dY): the Gram matrix, and the derivatives of sum(cotangent * values).

        cotangent: (n, m); symmetric or not when Y is None, where the diagonal is constant and an input acts on its
        row and on its column. Cost: two products of the size of the Gram matrix and n executions of the circuit with
        its gradient; with Y four products and n + m. Memory: all states, four times over.
        Raises as a call, and `KetgradValueError` for a cotangent of another shape.

        >>> kernel = FidelityKernel(kg.Circuit([kg.ry(kg.w[0] * kg.x[0], 0)]), weights=[1.0])
        >>> kernel.vjp([[0.0]], [[np.pi / 2]], [[1.0]]).dweights.round(6)  # k = cos(w (x - y) / 2)^2
        array([-0.785398])
        """
        rows, columns = _pair(X, Y, self.circuit)
        shape = (len(rows), len(rows if columns is None else columns))
        direction = real_array(cotangent, "cotangent").astype(np.float64)
        check_shape(direction, "cotangent", f"({shape[0]}, {shape[1]})", "one number per entry of the matrix")
        check_finite(direction, "cotangent")
        size = 6 * state_bytes(self.circuit.num_qubits, sum(shape), self._states.dtype.itemsize)
        reserve(
            size + 24 * shape[0] * shape[1],
            f"the gradient of {shape[0]} x {shape[1]} kernel entries",
            SMALLER,
        )
        a = self._states(self._weights, rows)
        if columns is None:
            direction = direction + direction.T  # an input moves its row and its column
            np.fill_diagonal(direction, 0.0)
            values, dweights, dX = self._pull_back(rows, a, a, direction)
            np.fill_diagonal(values, 1.0)
            mirror(values)
            return GramGradient(values, dweights, dX, None)
        b = self._states(self._weights, columns)
        values, dweights, dX = self._pull_back(rows, a, b, direction)
        _, more, dY = self._pull_back(columns, b, a, np.ascontiguousarray(direction.T))
        return GramGradient(values, dweights + more, dX, dY)

    def with_weights(self, weights: Any) -> FidelityKernel:
        """The same kernel with other weights (num_weights,); nothing is compiled again.

        >>> start = FidelityKernel(kg.Circuit([kg.ry(kg.w[0] * kg.x[0], 0)]), weights=[1.0])
        >>> start.with_weights([2.0]).weights
        (2.0,)
        """
        kernel = replace(self, weights=weights)
        kernel.__dict__["_states"] = self._states  # where cached_property looks
        return kernel

    def features(self, X: Any) -> np.ndarray:
        """The states of the rows, (n, 2**num_qubits): one circuit execution per row.

        >>> FidelityKernel(kg.encodings.angle(1)).features([[0.0]]).round(9)
        array([[1.+0.j, 0.+0.j]])
        """
        return self._states(self._weights, _rows(X, "X", self.circuit))

    def compare(self, features: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
        """|<phi|chi>|^2 of all pairs of states; `others` None compares the states among themselves.

        An executor that has a `gram` of its own computes it there; others through NumPy's matrix product.
        """
        if gram := getattr(self._states.executor, "gram", None):
            result = gram(features, others, self.threads)
        else:
            columns = features if others is None else others
            result = np.empty((len(features), len(columns)), np.real(features).dtype)
            multiply = overlaps(self._states, columns)
            for rows in pieces(len(features), WORK_BYTES // (32 * max(1, len(columns)))):
                result[rows] = squared(multiply(features[rows]))
            if others is None:
                mirror(result)
        if others is None:
            np.fill_diagonal(result, 1.0)  # exactly, and not 1 minus a rounding error
        return result

    def reserve(self, num_rows: int, num_columns: int) -> None:
        """Raise `KetgradMemoryError` if the Gram matrix and the states do not fit into memory."""
        states = state_bytes(self.circuit.num_qubits, num_rows + num_columns, self._states.dtype.itemsize)
        reserve_gram(num_rows, num_columns, 5 * states // 2)

    def _pull_back(
        self, inputs: np.ndarray, a: np.ndarray, b: np.ndarray, cotangent: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(values, dweights, dinputs) of sum(cotangent * |<a_i|b_j>|^2) through the states a of these inputs alone."""
        real = REAL_OF[self._states.dtype]
        values, dinputs = np.empty(cotangent.shape, real), np.empty(inputs.shape, real)
        dweights = np.zeros(self.circuit.num_weights, real)
        cotangent = cotangent.astype(real, copy=False)
        for rows, block, direction in state_cotangents(self._states, a, b, cotangent):
            values[rows] = block
            _, part, dinputs[rows] = self._states.vjp(self._weights, inputs[rows], direction)
            dweights += part
        return values, dweights, dinputs

    @property
    def _weights(self) -> np.ndarray | None:
        return None if self.weights is None else np.array(self.weights)

    @cached_property
    def _states(self) -> Function:
        return function.state(self.circuit, executor=self.executor, dtype=self.dtype, threads=self.threads)


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
        _check_run(self.executor, self.threads)
        if self.observables is not None:
            sums = hermitian_sums(self.observables, self.circuit.num_qubits)
            object.__setattr__(self, "observables", sums)

    def __call__(self, X: Any, Y: Any = None) -> np.ndarray:
        """The Gram matrix of the rows of X against those of Y; one number for two single rows (num_inputs,)."""
        if _are_single_rows(X, Y):
            return self(real_array(X, "X")[None], None if Y is X else real_array(Y, "Y")[None])[0, 0]
        rows, columns = _pair(X, Y, self.circuit)
        self.reserve(len(rows), len(rows if columns is None else columns))
        features = self.features(rows)
        return self.compare(features, None if columns is None else self.features(columns))

    def features(self, X: Any) -> np.ndarray:
        """The expectation values of the rows, (n, number of observables): one circuit execution per row."""
        return self._expectations(None, _rows(X, "X", self.circuit))

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
        return function.expectation(
            self.circuit, observables, executor=self.executor, threads=self.threads, seed=self.seed
        )


def target_alignment(gram: Any, labels: Any) -> tuple[float, np.ndarray]:
    """How well a Gram matrix tells classes apart: <K, T> / (|K| |T|), in [-1, 1], and its derivative by K.

    gram: (n, n). labels: (n,) of any kind, at least two classes; T is 1 for two rows of one class and -1 / (C - 1)
    for rows of different classes, which for two classes is y y^T with y = -1, +1. Norms are those of Frobenius.
    Returns (value, gradient (n, n)). Cost: O(n^2).
    Raises `KetgradValueError` for shapes that do not fit, a single class, and a matrix of zeros.

    Cristianini et al. 2001, On kernel-target alignment, NIPS 14; for quantum kernels Hubregtsen et al. 2021,
    arXiv:2105.02276.

    >>> round(target_alignment([[1.0, 0.0], [0.0, 1.0]], ["a", "b"])[0], 6)
    0.707107
    """
    matrix = real_array(gram, "gram").astype(np.float64, copy=False)
    check_finite(matrix, "gram")
    names = as_array(labels, "labels")
    if names.dtype.kind == "f":
        check_finite(names, "labels")
    if names.ndim != 1 or matrix.shape != (len(names), len(names)):
        raise KetgradValueError(
            f"`gram` must have shape (n, n) and `labels` (n,), but the shapes are {matrix.shape} and {names.shape}."
        )
    try:
        classes, codes = np.unique(names, return_inverse=True)
    except TypeError:
        raise KetgradTypeError(
            "`labels` must be of one kind - they are sorted - but are of several."
        ) from None
    if len(classes) < 2:
        raise KetgradValueError(f"`labels` must name at least two classes, but names {len(classes)}.")
    target = np.where(codes[:, None] == codes, 1.0, -1.0 / (len(classes) - 1))
    size = float(np.linalg.norm(matrix))
    if not size > 0:
        raise KetgradValueError("`gram` must not be zero everywhere - it has no direction to compare.")
    target /= np.linalg.norm(target)
    value = float(np.vdot(matrix, target)) / size
    return value, (target - value * matrix / size) / size


def alignment_loss(
    kernel: FidelityKernel, X: Any, labels: Any
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """The loss weights -> (-alignment, gradient) of a kernel with weights, for `kg.minimise`: a trained kernel.

    kernel: its circuit has weights, whose numbers do not matter. X: (n, num_inputs). labels: as in
    `target_alignment`. Cost of a call: that of `FidelityKernel.vjp` and one Gram matrix.

    Hubregtsen et al. 2021, arXiv:2105.02276.

    >>> kernel = FidelityKernel(kg.Circuit([kg.ry(kg.w[0] * kg.x[0], 0)]), weights=[0.1])
    >>> loss = alignment_loss(kernel, [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> fit = kg.minimise(loss, kernel.weights, kg.LBFGSB())
    >>> round(-loss([0.1])[0], 3), round(-fit.value, 3)
    (0.005, 0.463)
    """
    if not isinstance(kernel, FidelityKernel):
        raise KetgradTypeError(f"`kernel` must be a kg.FidelityKernel, but is {shown(kernel)}.")

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        current = kernel.with_weights(weights)
        value, slope = target_alignment(current(X), labels)
        return -value, -current.vjp(X, None, slope).dweights

    return loss


def check_kernel_circuit(circuit: Circuit) -> None:
    """Raise unless `circuit` is a circuit that reads inputs and has no weights.

    >>> check_kernel_circuit(kg.encodings.angle(2))
    """
    _check_inputs(circuit)
    if circuit.num_weights:
        raise KetgradValueError(
            f"`circuit` must have no weights - this kernel is a function of data alone - but has "
            f"{circuit.num_weights}. Give them values with circuit.bind(weights)."
        )


def _check_run(executor: Any, threads: Any) -> None:
    executors.get(executor)
    thread_count(threads)


def _check_inputs(circuit: Circuit) -> None:
    if not circuit.num_inputs:
        raise KetgradValueError(
            "`circuit` must read inputs x[0], x[1], ... - else all rows are alike - but reads none."
        )


def _kernel_weights(circuit: Circuit, weights: Any) -> tuple[float, ...] | None:
    """The weights as a tuple of numbers, so that kernels are compared by content; None where there are none."""
    count = circuit.num_weights
    if weights is None and count:
        raise KetgradValueError(
            f"`weights` must give {count} numbers - the circuit reads w[0] to w[{count - 1}] - but is missing. "
            "Pass weights=..., or give them values with circuit.bind(weights)."
        )
    if weights is None:
        return None
    numbers = real_array(weights, "weights")
    check_shape(numbers, "weights", f"({count},)", "one number per weight of the circuit")
    check_finite(numbers, "weights")
    return tuple(float(number) for number in numbers) or None


def _pair(X: Any, Y: Any, circuit: Circuit) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows of both arguments; None for the second where it is the first."""
    rows = _rows(X, "X", circuit)
    return rows, None if Y is None or Y is X else _rows(Y, "Y", circuit)


def _are_single_rows(X: Any, Y: Any) -> bool:
    """Whether both are one row, which is how scikit-learn's `pairwise_kernels` calls a kernel."""
    return Y is not None and as_array(X, "X").ndim == as_array(Y, "Y").ndim == 1


def _rows(values: Any, name: str, circuit: Circuit) -> np.ndarray:
    array = real_array(values, name).astype(np.float64, copy=False)
    width = circuit.num_inputs
    check_shape(array, name, f"(n, {width})", f"the circuit reads x[0] to x[{width - 1}]")
    check_finite(array, name)
    return np.ascontiguousarray(array)


def reserve_gram(num_rows: int, num_columns: int, more_bytes: int = 0) -> None:
    """Raise `KetgradMemoryError` if a Gram matrix and `more_bytes` beside it do not fit into memory.

    >>> reserve_gram(1000, 1000)
    """
    what = f"the kernel matrix of {num_rows} x {num_columns} entries"
    reserve(8 * num_rows * num_columns + more_bytes, what, SMALLER)
