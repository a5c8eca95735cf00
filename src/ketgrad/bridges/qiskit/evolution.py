"""exp(-i t H) of a Pauli sum as ops: a rotation where a word commutes with all others, else by its eigenvectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ketgrad.circuits import ops as build
from ketgrad.circuits.angles import Angle
from ketgrad.circuits.op import Op
from ketgrad.circuits.pauli_words import letters
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradValueError

WIDEST = 8  # qubits of a matrix: as many as OpenQASM can be written for
LARGEST = 2.0**53  # radians
_NOISE = 1e-15  # of the largest eigenvalue: what diagonalisation leaves where a coefficient is zero

_Term = tuple[int, int, complex]


def evolution(total: PauliSum, time: Angle, qubits: Sequence[int]) -> list[Op] | None:
    """The ops of exp(-i time H), exact; None if words that do not commute act on more than 8 qubits together.

    Qubit k of the sum is qubits[k]. Words fall into groups: two words are in one group if they do not commute, or if
    other words connect them so. Groups commute with each other, so each is exponentiated for itself.
    """
    groups = list(_groups(total.terms))
    if any(len(group) > 1 and len(_support(group)) > WIDEST for group in groups):
        return None
    return [op for group in groups for op in _of_group(group, time, qubits)]


def _groups(terms: Sequence[_Term]) -> Iterator[list[_Term]]:
    """The connected components of the terms, where two are connected that do not commute."""
    x, z = _packed([x for x, _, _ in terms]), _packed([z for _, z, _ in terms])
    left = np.ones(len(terms), dtype=bool)
    while left.any():
        group = [int(np.flatnonzero(left)[0])]
        left[group] = False
        for k in group:  # grows while it is walked through
            odd = np.bitwise_count(x & z[k]).sum(axis=1) + np.bitwise_count(z & x[k]).sum(axis=1) & 1
            joined = np.flatnonzero(left & (odd == 1))
            left[joined] = False
            group += joined.tolist()
        yield [terms[k] for k in sorted(group)]


def _packed(masks: Sequence[int]) -> np.ndarray:
    """Masks as rows of 64-bit words."""
    size = 8 * max(1, -(-max((mask.bit_length() for mask in masks), default=0) // 64))
    data = b"".join(mask.to_bytes(size, "little") for mask in masks)
    return np.frombuffer(data, dtype=np.uint64).reshape(len(masks), -1)


def _support(group: Sequence[_Term]) -> list[int]:
    mask = 0
    for x, z, _ in group:
        mask |= x | z
    return [k for k in range(mask.bit_length()) if mask >> k & 1]


def _of_group(group: Sequence[_Term], time: Angle, qubits: Sequence[int]) -> list[Op]:
    if len(group) == 1:
        return [_word(time, *group[0], qubits)]
    support = _support(group)
    places = [qubits[k] for k in support]
    values, vectors = np.linalg.eigh(PauliSum(tuple(group)).relabel(_compact(support)).matrix(len(support)))
    if time.is_constant:
        _check_phases(time.constant, values)
        phases = np.exp(-1j * time.constant * values)
        return [build.unitary(vectors * phases @ vectors.conj().T, *places)]
    return [
        build.unitary(vectors.conj().T, *places),
        *_diagonal(values, time, places),
        build.unitary(vectors, *places),
    ]


def _check_phases(time: float, values: np.ndarray) -> None:
    """Phases obey the bound of angles, as those of words do."""
    largest = abs(time) * float(np.abs(values).max(initial=0.0))
    if not largest <= LARGEST:
        raise KetgradValueError(
            f"The time of an evolution times the largest eigenvalue of its operator must lie within +-{LARGEST:.3g} - "
            f"phases beyond that have no digits left - but is {largest:.3g}. Reduce the time or the coefficients."
        )


def _compact(support: Sequence[int]) -> list[int]:
    """New numbers of the qubits up to the last of a support: its k-th becomes k, all others come after."""
    others = iter(range(len(support), support[-1] + 1))
    return [support.index(k) if k in support else next(others) for k in range(support[-1] + 1)]


def _diagonal(values: np.ndarray, time: Angle, places: Sequence[int]) -> Iterator[Op]:
    """exp(-i time diag(values)) as one rotation for each product of Z: the values are a Walsh-Hadamard transform."""
    coefficients = values.astype(np.float64)
    for bit in range(len(places)):
        pairs = coefficients.reshape(-1, 2, 2**bit)
        coefficients = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).ravel() / 2
    smallest = _NOISE * np.abs(values).max(initial=0.0)
    for index in np.flatnonzero(np.abs(coefficients) > smallest):
        chosen = [k for k in range(len(places)) if index >> (len(places) - 1 - k) & 1]
        z = sum(1 << k for k in chosen)
        yield _word(time, 0, z, complex(coefficients[index]), places)


def _word(time: Angle, x_mask: int, z_mask: int, coefficient: complex, qubits: Sequence[int]) -> Op:
    """exp(-i time coefficient P)."""
    scale = complex(coefficient).real
    word = letters(x_mask, z_mask)
    if not word:
        return build.gphase(time * -scale)
    places = (qubits[k] for k, _ in word)
    return build.pauli_rotation(time * (2 * scale), "".join(letter for _, letter in word), *places)
