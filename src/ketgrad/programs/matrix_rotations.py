"""A unitary matrix as what a frame can follow: a Clifford gate, or rotations by Pauli words.

Words on the few bits of a matrix are masks (x, z) as in a Program: bit j speaks of bit j of the matrix index.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

MOST_CLIFFORD_BITS = 3  # of matrices that are looked at whether they map words to words
MOST_BITS = 5  # of matrices that are written as rotations: 4^bits words, or a little more
MOST_CONTROLS = 8  # of rotations: 2^controls words
ROUNDING = 1e-12  # entries and angles that differ by less are equal


class Turn(NamedTuple):
    """exp(-i angle / 2 * i^|x & z| X^x Z^z); of x = z = 0, a phase."""

    x: int
    z: int
    angle: float


class Clifford(NamedTuple):
    """How P -> g^-1 P g acts on words given bit by bit, x of all bits first, then z: sums and products modulo 2.

    sources: for each bit of the new word the bits of the old one that add up to it. signs: products of bits of the
    old word that add up to 1 where the sign changes.
    """

    sources: tuple[tuple[int, ...], ...]
    signs: tuple[tuple[int, ...], ...]


@lru_cache(maxsize=1024)
def clifford_of(data: bytes, controls: int) -> Clifford | None:
    """The gate with this complex128 matrix under so many controls (its leading bits), if it maps words to words.

    >>> clifford_of(np.array([[0, 1], [1, 0]], complex).tobytes(), 0).sources  # X: no letter changes
    ((0,), (1,))
    """
    inner = _square(data)
    bits = controls + len(inner).bit_length() - 1
    if bits > MOST_CLIFFORD_BITS:
        return None
    matrix = np.eye(2**bits, dtype=np.complex128)
    matrix[-len(inner) :, -len(inner) :] = inner
    words = _words(bits)
    images = (
        np.einsum("aij,jk,bkl,li->ab", words, matrix.conj().T, words, matrix, optimize=True).real / 2**bits
    )
    image = np.abs(images).argmax(axis=0)  # of each word; a word's index is x << bits | z
    signs = np.sign(images[image, np.arange(len(words))])
    images[image, np.arange(len(words))] -= signs
    if np.abs(images).max() > ROUNDING:
        return None
    order = [1 << (bits + j) for j in range(bits)] + [1 << j for j in range(bits)]  # the words X_j, then Z_j
    sources = tuple(
        tuple(k for k, generator in enumerate(order) if image[generator] & wanted) for wanted in order
    )
    return Clifford(sources, _monomials(signs < 0, order))


def _monomials(table: np.ndarray, order: list[int]) -> tuple[tuple[int, ...], ...]:
    """The products of bits whose sum modulo 2 is table[index]; bit k of the word is order[k] in the index."""
    count = len(order)
    by_subset = np.array(
        [table[sum(order[k] for k in range(count) if subset >> k & 1)] for subset in range(2**count)]
    )
    for k in range(count):  # Moebius transform
        folded = by_subset.reshape(-1, 2, 1 << k)
        folded[:, 1] ^= folded[:, 0]
    return tuple(tuple(k for k in range(count) if s >> k & 1) for s in np.flatnonzero(by_subset))


@lru_cache(maxsize=1024)
def turns_of(data: bytes, controls: int) -> tuple[Turn, ...] | None:
    """Rotations, the first one first, whose product is this matrix under so many controls, up to a phase.

    The controls are the leading bits. None for matrices of more than `MOST_BITS` bits or `MOST_CONTROLS` controls.
    Cost of an arbitrary matrix on k bits: about 4^k rotations.

    Shende, Bullock and Markov 2006, arXiv:quant-ph/0406176.

    >>> [turn[:2] for turn in turns_of(np.diag([1, 1j]).tobytes(), 1)]  # controlled S
    [(0, 2), (0, 1), (0, 3)]
    """
    matrix = _square(data)
    bits = len(matrix).bit_length() - 1
    if bits > MOST_BITS or controls > MOST_CONTROLS:
        return None
    turns = _commuting(matrix, bits)
    if turns is None:
        turns = _any(matrix, bits)
        turns.append(Turn(0, 0, -2 * float(np.angle(np.vdot(_product(turns, bits), matrix)))))
    under = [part for turn in turns for part in controlled(turn.x, turn.z, turn.angle, bits, controls)]
    return tuple(turn for turn in under if (turn.x or turn.z) and abs(turn.angle) > ROUNDING * ROUNDING)


def controlled(x: int, z: int, angle: float, bits: int, controls: int) -> Iterable[Turn]:
    """The rotation on the subspace where `controls` bits above the others are 1, multiplied out: they commute."""
    for subset in range(1 << controls):
        sign = -1.0 if subset.bit_count() & 1 else 1.0
        yield Turn(x, z | subset << bits, sign * angle / (1 << controls))


def _square(data: bytes) -> np.ndarray:
    entries = np.frombuffer(data, np.complex128)
    size = math.isqrt(len(entries))
    return entries.reshape(size, size)


@lru_cache(maxsize=8)
def _words(bits: int) -> np.ndarray:
    """All words on a few bits, (4**bits, 2**bits, 2**bits); x << bits | z is the index."""
    index = np.arange(2**bits)
    words = np.zeros((4**bits, 2**bits, 2**bits), np.complex128)
    for x in range(2**bits):
        for z in range(2**bits):
            signs = 1 - 2.0 * (np.bitwise_count(index & z) & 1)
            words[x << bits | z, index ^ x, index] = 1j ** ((x & z).bit_count() % 4) * signs
    return words


def _commuting(matrix: np.ndarray, bits: int) -> list[Turn] | None:
    """Rotations by the words of i log(matrix), if these commute with each other."""
    from scipy.linalg import schur

    triangle, basis = schur(matrix, output="complex")
    phases = np.angle(np.diag(triangle))
    phases[phases < 1e-9 - np.pi] += 2 * np.pi  # so that equal eigenvalues -1 have equal logarithms
    generator = -(basis * phases) @ basis.conj().T
    weight = np.einsum("aij,ji->a", _words(bits), generator).real / 2**bits
    chosen = [int(a) for a in np.flatnonzero(np.abs(weight) > ROUNDING)]
    mask = 2**bits - 1
    words = [(a >> bits, a & mask) for a in chosen]
    for k, (x, z) in enumerate(words):
        if any(((x & q).bit_count() + (z & p).bit_count()) & 1 for p, q in words[:k]):
            return None
    turns = [Turn(x, z, 2 * float(weight[a])) for a, (x, z) in zip(chosen, words, strict=True)]
    return turns if np.abs(_product(turns, bits) - matrix).max() < 1e-9 else None


def _product(turns: Iterable[Turn], bits: int) -> np.ndarray:
    total, words = np.eye(2**bits, dtype=np.complex128), _words(bits)
    for x, z, angle in turns:
        half = angle / 2
        total = math.cos(half) * total - 1j * math.sin(half) * (words[x << bits | z] @ total)
    return total


def _any(matrix: np.ndarray, bits: int) -> list[Turn]:
    """Rotations, up to a phase: the cosine-sine decomposition, again and again down to one bit."""
    if bits == 1:
        return _single(matrix)
    from scipy.linalg import cossin

    half, top = len(matrix) // 2, 1 << (bits - 1)
    (first, second), angles, (third, fourth) = cossin(matrix, p=half, q=half, separate=True)
    return [
        *_selected(third, fourth, bits),
        *_multiplexed(top, top, 2 * angles),
        *_selected(first, second, bits),
    ]


def _selected(zero: np.ndarray, one: np.ndarray, bits: int) -> list[Turn]:
    """`zero` where the top bit is 0 and `one` where it is 1: (1 x V) (D + D^-1) (1 x W)."""
    from scipy.linalg import schur

    triangle, basis = schur(zero @ one.conj().T, output="complex")
    halves = np.angle(np.diag(triangle)) / 2
    inner = np.exp(1j * halves)[:, None] * (basis.conj().T @ one)
    return [
        *_any(inner, bits - 1),
        *_multiplexed(0, 1 << (bits - 1), -2 * halves),
        *_any(basis, bits - 1),
    ]


def _multiplexed(x: int, z: int, angles: np.ndarray) -> list[Turn]:
    """A rotation by the word whose angle depends on the bits below it: one for each product of their Zs."""
    index = np.arange(len(angles))
    signs = 1 - 2.0 * (np.bitwise_count(index[:, None] & index) & 1)
    return [Turn(x, z | int(k), float(a)) for k, a in enumerate(signs @ angles / len(angles))]


def _single(matrix: np.ndarray) -> list[Turn]:
    """RZ(phi) RY(theta) RZ(lambda) of a 2x2 matrix, up to a phase."""
    theta = 2 * math.atan2(abs(matrix[1, 0]), abs(matrix[0, 0]))
    first, falling = float(np.angle(matrix[0, 0])), float(np.angle(matrix[1, 0]))
    # m10 / m00 has the phase phi; lambda from the larger of two entries: a small one has a phase of few digits
    if abs(matrix[0, 0]) >= abs(matrix[1, 0]):
        lam = float(np.angle(matrix[1, 1])) - falling
    else:
        lam = float(np.angle(-matrix[0, 1])) - first
    return [Turn(0, 1, lam), Turn(1, 1, theta), Turn(0, 1, falling - first)]
