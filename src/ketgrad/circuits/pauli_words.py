"""Pauli words as two bit masks, i^|x & z| X^x Z^z: letters, products, order and renamed qubits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Word = tuple[int, int]  # (x mask, z mask)
Term = tuple[int, int, complex]  # a word and its coefficient

LETTERS = {"I": (0, 0), "X": (1, 0), "Y": (1, 1), "Z": (0, 1)}
LETTER_OF = {bits: letter for letter, bits in LETTERS.items()}


def product(a: Term, b: Term) -> Term:
    """(i^|xz| X^x Z^z)(i^|x'z'| X^x' Z^z'): moving Z^z past X^x' costs (-1)^|z & x'|; collect the powers of i."""
    x, z = a[0] ^ b[0], a[1] ^ b[1]
    power = (a[0] & a[1]).bit_count() + (b[0] & b[1]).bit_count() + 2 * (a[1] & b[0]).bit_count()
    power -= (x & z).bit_count()
    return x, z, a[2] * b[2] * (1, 1j, -1, -1j)[power % 4]


def ordered(terms: Iterable[Term]) -> tuple[Term, ...]:
    """The terms in canonical order: by the number of letters, then by qubits and letters."""
    return tuple(sorted(terms, key=lambda term: (_weight(term), letters(term[0], term[1]))))


def _weight(term: Term) -> int:
    return (term[0] | term[1]).bit_count()


def _letters(x: int, z: int) -> Iterator[tuple[int, str]]:
    """(qubit, letter) of a word, qubits ascending."""
    support = x | z
    while support:
        qubit = (support & -support).bit_length() - 1
        yield qubit, LETTER_OF[x >> qubit & 1, z >> qubit & 1]
        support &= support - 1


def letters(x: int, z: int) -> tuple[tuple[int, str], ...]:
    """(qubit, letter) pairs of the word with masks x and z, qubits ascending.

    >>> letters(0b011, 0b110)
    ((0, 'X'), (1, 'Y'), (2, 'Z'))
    """
    return tuple(_letters(x, z))


def reverse_bits(mask: int, num_qubits: int) -> int:
    """The mask with bit q moved to bit num_qubits-1-q: from qubit numbers to bits of a basis index.

    >>> bin(reverse_bits(0b001, 3))
    '0b100'
    """
    if mask.bit_count() > 64:  # bit by bit, wide words would take the square of their width
        return int(f"{mask:0{num_qubits}b}"[::-1], 2)
    moved = 0
    while mask:
        low = mask & -mask
        moved |= 1 << (num_qubits - low.bit_length())
        mask ^= low
    return moved


def spread(mask: int, names: tuple[int, ...]) -> int:
    """The mask with bit k moved to bit names[k]."""
    return sum(1 << name for k, name in enumerate(names) if mask >> k & 1)
