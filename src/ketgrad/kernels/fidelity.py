"""The fidelity kernel: a frozen value that turns rows of data into a Gram matrix, usable as `SVC(kernel=...)`.

One state is prepared for each row, never one for each pair: `features` runs the circuit, `compare` needs no circuit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.executors.protocol import keeps_states
from ketgrad.foundation.arrays import check_finite, real_array
from ketgrad.foundation.errors import KetgradValueError, check_shape
from ketgrad.foundation.memory import reserve, state_bytes
from ketgrad.foundation.numbers import REAL_OF, complex_type
from ketgrad.functions import builders
from ketgrad.functions.function import Function
from ketgrad.kernels.kernel import (
    SMALLER,
    are_single_rows,
    check_inputs,
    check_run,
    checked_rows,
    pair_of_rows,
    reserve_gram,
)
from ketgrad.kernels.overlaps import WORK_BYTES, mirror, overlaps, packed_gram, pieces, squared
from ketgrad.kernels.states import gram, state_cotangents


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
        check_inputs(self.circuit)
        check_run(self.executor, self.threads)
        object.__setattr__(self, "weights", _kernel_weights(self.circuit, self.weights))
        object.__setattr__(self, "dtype", complex_type(self.dtype))
        limit = self.memory
        if limit is not None and (
            isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1
        ):
            raise KetgradValueError(f"`memory` must be None or a positive number of bytes, but is {limit!r}.")

    def __call__(self, X: Any, Y: Any = None) -> np.ndarray:
        """The Gram matrix of the rows of X against those of Y; one number for two single rows (num_inputs,)."""
        if are_single_rows(X, Y):
            return self(real_array(X, "X")[None], None if Y is X else real_array(Y, "Y")[None])[0, 0]
        rows, columns = pair_of_rows(X, Y, self.circuit)
        return gram(self._states, self._weights, rows, columns, self.memory)

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
        rows, columns = pair_of_rows(X, Y, self.circuit)
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
        return self._states(self._weights, checked_rows(X, "X", self.circuit))

    def compare(self, features: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
        """|<phi|chi>|^2 of all pairs of states; `others` None compares the states among themselves.

        An executor that keeps states (`executors.protocol.States`) multiplies them; others through NumPy's product.
        """
        executor = self._states.executor
        if keeps_states(executor):
            result = packed_gram(executor, features, others, self.threads)
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
        return builders.state(self.circuit, executor=self.executor, dtype=self.dtype, threads=self.threads)


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
