"""Gram matrices |<a_i|b_j>|^2 of the states of a circuit, in blocks within a memory limit, and their derivative."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ketgrad.executors.protocol import keeps_states
from ketgrad.foundation import memory as room
from ketgrad.foundation.errors import KetgradMemoryError
from ketgrad.foundation.memory import FREE_BELOW, readable, reserve
from ketgrad.foundation.numbers import REAL_OF
from ketgrad.functions.function import Function
from ketgrad.kernels.kernel import SMALLER
from ketgrad.kernels.overlaps import PACKED_QUBITS, WORK_BYTES, mirror, overlaps, pieces, squared


@dataclass(frozen=True)
class NativeStates:
    """States as an executor with the ability `States` holds them: they are multiplied without being put in order."""

    states: Function
    weights: np.ndarray | None
    least_rows: ClassVar[int] = 48  # whole groups of lanes, whatever the instruction set

    @property
    def row_bytes(self) -> int:
        """Bytes of one state, with what its use needs."""
        return 3 * self.states.dtype.itemsize // 2 << self.states.circuit.num_qubits

    def prepare(self, inputs: np.ndarray) -> Any:
        """The states of some rows."""
        rows = self.states._batch(self.weights, inputs)
        options = {"dtype": rows.dtype, "threads": self.states.threads}
        return self.states.executor.prepare(self.states.program, rows.weights, rows.inputs, **options)

    def fill(
        self, result: np.ndarray, a: Any, b: Any, first_row: int, first_column: int, mirrors: bool
    ) -> None:
        """Write the block of a against b, and its mirror image if asked."""
        threads = self.states.threads
        self.states.executor.multiply(a, b, result, first_row, first_column, mirrors, threads)


@dataclass(frozen=True)
class PlainStates:
    """States as arrays of amplitudes, from any executor."""

    states: Function
    weights: np.ndarray | None
    least_rows: ClassVar[int] = 2

    @property
    def row_bytes(self) -> int:
        """Bytes of one state, with what its use needs."""
        return 2 * self.states.dtype.itemsize << self.states.circuit.num_qubits

    def prepare(self, inputs: np.ndarray) -> Any:
        """The states of some rows."""
        return self.states(self.weights, inputs)

    def fill(
        self, result: np.ndarray, a: Any, b: Any, first_row: int, first_column: int, mirrors: bool
    ) -> None:
        """Write the block of a against b, and its mirror image if asked."""
        columns, multiply = slice(first_column, first_column + len(b)), overlaps(self.states, b)
        for rows in pieces(len(a), WORK_BYTES // (32 * max(1, len(b)))):
            block = squared(multiply(a[rows]))
            place = slice(first_row + rows.start, first_row + rows.stop)
            result[place, columns] = block
            if mirrors:
                result[columns, place] = block.T
        if a is b:
            mirror(result[columns, columns])


def gram(
    states: Function, weights: np.ndarray | None, X: np.ndarray, Y: np.ndarray | None, limit: int | None
) -> np.ndarray:
    """The Gram matrix of rows X (n, num_inputs) against Y (m, num_inputs), or among themselves when Y is None.

    limit: bytes of states that are held at a time; None for what the machine has left beside the result. Blocks do
    not change a bit of the result. Raises `KetgradMemoryError` before any work.
    """
    native = keeps_states(states.executor) and states.circuit.num_qubits <= PACKED_QUBITS
    keeper = (NativeStates if native else PlainStates)(states, weights)
    shape = (len(X), len(X if Y is None else Y))
    real = REAL_OF[states.dtype]
    counts = shape if Y is not None else shape[:1]
    size = block_rows(keeper, counts, real.itemsize * shape[0] * shape[1], limit)
    result = np.empty(shape, real)
    if result.size == 0:
        return result
    if Y is None:
        _fill_symmetric(keeper, result, X, size)
        np.fill_diagonal(result, 1.0)  # exactly, and not 1 minus a rounding error
    else:
        _fill(keeper, result, X, Y, size)
    return result


def block_rows(
    keeper: NativeStates | PlainStates, counts: Sequence[int], result_bytes: int, limit: int | None
) -> int:
    """How many rows to a block: all of them if they fit beside the result, else such that two blocks do."""
    row_bytes, least_rows = keeper.row_bytes, keeper.least_rows
    everything = sum(-(-count // least_rows) * least_rows for count in counts) * row_bytes
    least = min(2 * least_rows * row_bytes, everything)
    if limit is not None and limit < least:
        raise KetgradMemoryError(
            f"`memory` must be at least {readable(least)} - two blocks of states are held at a time - "
            f"but is {readable(limit)}."
        )
    what = f"the kernel matrix of {counts[0]} x {counts[-1]} entries"
    reserve(result_bytes + least + WORK_BYTES, what, SMALLER)
    if limit is None:
        if everything <= FREE_BELOW:
            return max(1, *counts)
        limit = max(least, room.available_bytes() * 9 // 10 - result_bytes - WORK_BYTES)
    if everything <= limit:
        return max(1, *counts)
    return max(least_rows, limit // (2 * row_bytes) // least_rows * least_rows)


def _fill_symmetric(keeper: NativeStates | PlainStates, result: np.ndarray, X: np.ndarray, size: int) -> None:
    """Blocks on and right of the diagonal. Each row goes back to the diagonal, where its last block is needed next."""
    blocks = pieces(len(X), size)
    a = keeper.prepare(X[blocks[0]])
    for i, rows in enumerate(blocks):
        keeper.fill(result, a, a, rows.start, rows.start, False)
        b = None
        for columns in reversed(blocks[i + 1 :]):
            b = None  # its memory is free before the next block is made
            b = keeper.prepare(X[columns])
            keeper.fill(result, a, b, rows.start, columns.start, True)
        a = b


def _fill(
    keeper: NativeStates | PlainStates, result: np.ndarray, X: np.ndarray, Y: np.ndarray, size: int
) -> None:
    """All blocks, to the right and to the left in turn, so that the last column of one row is the first of the next."""
    columns = pieces(len(Y), size)
    b, prepared = None, -1
    for i, rows in enumerate(pieces(len(X), size)):
        a = None
        a = keeper.prepare(X[rows])
        for j in range(len(columns))[:: 1 if i % 2 == 0 else -1]:
            if j != prepared:
                b = None
                b, prepared = keeper.prepare(Y[columns[j]]), j
            keeper.fill(result, a, b, rows.start, columns[j].start, False)


def state_cotangents(
    states: Function, a: np.ndarray, b: np.ndarray, cotangent: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Of blocks of rows: (rows, |<a_i|b_j>|^2, the derivative of sum(cotangent * |<a_i|b_j>|^2) by the states a).

    d|s_ij|^2 = 2 Re(s_ij <b_j|da_i>) for s_ij = <a_i|b_j>, so the derivative is sum_j 2 G_ij conj(s_ij) |b_j>, in the
    sense of d loss = Re <derivative|da>: a second product of matrices, whose overlaps are those of the rows 2 G s
    with the columns of b.
    """
    with_rows, with_columns = overlaps(states, b), overlaps(states, np.ascontiguousarray(b.T))
    for rows in pieces(len(a), WORK_BYTES // (48 * max(1, *b.shape))):
        s = with_rows(a[rows])
        yield rows, squared(s), with_columns(2 * cotangent[rows] * s)
