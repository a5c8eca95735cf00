"""Matrices of gates: on a larger register, how far from unitary, and the unitary one that is nearest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TIDY = 1e-12  # deviation from which on the nearest unitary matrix takes the place of one


def embed(
    matrix: np.ndarray, qubits: Sequence[int], num_qubits: int, controls: Sequence[int] = ()
) -> np.ndarray:
    """`matrix` on `qubits` of a register of `num_qubits`, acting only where all `controls` are 1.

    >>> embed(kg.GATES["x"].matrix(), [1], 2, [0]).real.astype(int)
    array([[1, 0, 0, 0],
           [0, 1, 0, 0],
           [0, 0, 0, 1],
           [0, 0, 1, 0]])
    """
    k = len(qubits)
    tensor = np.eye(2**num_qubits, dtype=np.complex128).reshape((2,) * num_qubits + (-1,))
    view = tensor[tuple(slice(1, 2) if q in controls else slice(None) for q in range(num_qubits))]
    moved = np.tensordot(matrix.reshape((2,) * 2 * k), view, axes=(range(k, 2 * k), list(qubits)))
    view[...] = np.moveaxis(moved, range(k), list(qubits))
    return tensor.reshape(2**num_qubits, -1)


def deviation_from_unitary(matrix: np.ndarray) -> float:
    """The largest entry of U U† - 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.abs(matrix @ matrix.conj().T - np.eye(len(matrix))).max())


def nearest_unitary(matrix: np.ndarray) -> np.ndarray:
    """The unitary factor of the polar decomposition of a matrix that is nearly unitary; one that is, is left alone.

    Newton's step U (3 - U† U) / 2 squares the deviation: Higham 1986, Computing the polar decomposition,
    doi:10.1137/0907079.
    """
    for _ in range(4):
        if deviation_from_unitary(matrix) <= TIDY:
            break
        matrix = 1.5 * matrix - 0.5 * matrix @ (matrix.conj().T @ matrix)
    return np.ascontiguousarray(matrix)
