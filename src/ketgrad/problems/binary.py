"""Quadratic functions of bits (QUBO) as energies; a ground state is a cheapest bit string."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.arrays import as_array
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.numbers import check_count, check_number
from ketgrad.problems.graphs import finite_weight


def qubo(matrix: Any, offset: float = 0.0) -> PauliSum:
    """The cost sum_ij Q_ij b_i b_j + offset of bits b, with b_i = (1 - Z_i) / 2.

    matrix: (n, n) real numbers, symmetric or not, or a dictionary {(i, j): Q_ij} whose keys are pairs of integers;
    (i, i) is the linear term. A ground state is a cheapest bit string. Cost: one word per pair that occurs.
    Raises `KetgradValueError` for matrices that are not square and entries that are not finite.

    Lucas 2014, arXiv:1302.5843.

    >>> qubo([[1, -3], [0, 1]])
    Pauli('0.25 + 0.25 Z0 + 0.25 Z1 - 0.75 Z0 Z1')
    """
    words: list[tuple[int, int, float]] = [(0, 0, check_number(offset, "offset"))]
    for (i, j), value in _qubo_entries(matrix):
        a, b = 1 << i, 1 << j
        if i == j:
            words += [(0, 0, value / 2), (0, a, -value / 2)]
        else:
            words += [(0, 0, value / 4), (0, a, -value / 4), (0, b, -value / 4), (0, a | b, value / 4)]
    return PauliSum.collect(words)


def _qubo_entries(matrix: Any) -> Iterator[tuple[tuple[int, int], float]]:
    if isinstance(matrix, Mapping):
        for key, value in matrix.items():
            if not isinstance(key, tuple) or len(key) != 2:
                raise KetgradTypeError(
                    f"`matrix` must have pairs of integers (i, j) as keys, but has {key!r}."
                )
            i, j = (check_count(k, "matrix", 0) for k in key)
            yield (i, j), finite_weight(value, f"`matrix[{i}, {j}]`")
        return
    array = as_array(matrix, "matrix")
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.dtype.kind not in "fiub":
        raise KetgradValueError(
            f"`matrix` must be a real (n, n) matrix, but has dtype {array.dtype} and shape {array.shape}."
        )
    for i, j in zip(*np.nonzero(array), strict=True):
        yield (int(i), int(j)), finite_weight(array[i, j], f"`matrix[{i}, {j}]`")
