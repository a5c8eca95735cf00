"""Overlaps <a_i|b_j> of rows of amplitudes: by an executor that keeps states, else by NumPy's matrix product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ketgrad.executors.protocol import States, keeps_states
from ketgrad.functions.function import Function

WORK_BYTES = 32 * 2**20  # overlaps are kept in blocks of about this size
PACKED_QUBITS = 16  # up to here states stay as an executor holds them; longer ones are packed piece by piece
LONGEST = 2**PACKED_QUBITS  # amplitudes of states that are packed at a time


def pieces(count: int, size: int) -> list[slice]:
    """Slices of at most `size` rows that cover `count`, as equal as possible: none is left with a single row."""
    number = max(1, -(-count // max(1, size)))
    return [slice(count * k // number, count * (k + 1) // number) for k in range(number)]


def mirror(matrix: np.ndarray) -> None:
    """What is above the diagonal goes below it: exactly symmetric."""
    np.copyto(matrix, matrix.T, where=np.tri(len(matrix), k=-1, dtype=bool))


def squared(values: np.ndarray) -> np.ndarray:
    """|.|^2 of overlaps, at most 1."""
    return np.minimum(np.real(values) ** 2 + np.imag(values) ** 2, 1.0)


def overlaps(states: Function, b: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The function a -> <a_i|b_j> of rows of amplitudes, by the executor where it can, else by NumPy."""
    executor, threads = states.executor, states.threads
    if not keeps_states(executor):
        return lambda a: a.conj() @ b.T
    if b.shape[1] > LONGEST:
        return lambda a: packed_overlaps(executor, a, b, threads)
    packed = executor.pack(b, threads)

    def multiply(a: np.ndarray) -> np.ndarray:
        result = np.empty((len(a), len(b)), b.dtype)
        executor.multiply(executor.pack(a, threads), packed, result, threads=threads)
        return result

    return multiply


def packed_overlaps(
    executor: States, states: np.ndarray, others: np.ndarray | None = None, threads: int | None = None
) -> np.ndarray:
    """<a_i|b_j> of states (n, length) and others (m, length): (n, m) complex. None for the states themselves.

    Long states are taken piece by piece, so that little memory is needed beside them.
    """
    width = len(states if others is None else others)
    result = np.zeros((len(states), width), states.dtype)
    for start in range(0, states.shape[1], LONGEST):
        piece = slice(start, start + LONGEST)
        a = executor.pack(states[:, piece], threads)
        b = a if others is None else executor.pack(others[:, piece].astype(states.dtype, copy=False), threads)
        part = result if states.shape[1] <= LONGEST else np.empty_like(result)
        executor.multiply(a, b, part, threads=threads)
        if part is not result:
            result += part
    return result


def packed_gram(
    executor: States, states: np.ndarray, others: np.ndarray | None = None, threads: int | None = None
) -> np.ndarray:
    """|<a_i|b_j>|^2, at most 1, of states (n, length) and others (m, length): (n, m) real.

    Without `others` the states among themselves: n (n + 1) / 2 overlaps, an exactly symmetric result.
    """
    if states.shape[1] > LONGEST:
        return squared(packed_overlaps(executor, states, others, threads))
    a = executor.pack(states, threads)
    b = a if others is None else executor.pack(others.astype(states.dtype, copy=False), threads)
    result = np.empty((len(states), len(states if others is None else others)), np.real(states).dtype)
    executor.multiply(a, b, result, threads=threads)
    return result
