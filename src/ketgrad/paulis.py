"""Sums of Pauli words: observables, Hamiltonians and generators are this one type.

A word is two bit masks: i^|x & z| X^x Z^z, where bit q of a mask speaks of qubit q. The factor makes every
word Hermitian (x = z = 1 is Y), so a sum is Hermitian exactly when its coefficients are real.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Complex
from typing import Any

import numpy as np

from ketgrad.errors import KetgradTypeError, KetgradValueError
from ketgrad.memory import reserve

Word = tuple[int, int]  # (x mask, z mask)

LETTERS = {"I": (0, 0), "X": (1, 0), "Y": (1, 1), "Z": (0, 1)}
LETTER_OF = {bits: letter for letter, bits in LETTERS.items()}


@dataclass(frozen=True)
class PauliSum:
    """sum_k coefficient_k * i^|x_k & z_k| X^x_k Z^z_k, in canonical order, without zero terms.

    terms: tuple of (x mask, z mask, coefficient); bit q of a mask is qubit q. Made by `Pauli("0.5 Z0 Z1 - X2")`.
    `+ - *` combine sums and numbers, `*` and `@` between sums are the operator product.

    >>> Pauli("X0") * Pauli("Y0")
    Pauli('1j Z0')
    """

    terms: tuple[tuple[int, int, complex], ...]

    @staticmethod
    def collect(words: Iterable[tuple[int, int, complex]]) -> PauliSum:
        """The sum of the given words; equal words are added, zeros dropped, real coefficients made floats."""
        total: dict[Word, complex] = {}
        for x, z, coefficient in words:
            total[x, z] = total.get((x, z), 0.0) + coefficient
        kept = [(x, z, _simplest(c)) for (x, z), c in total.items() if c != 0]
        return PauliSum(tuple(sorted(kept, key=lambda term: (_weight(term), letters(term[0], term[1])))))

    @property
    def num_qubits(self) -> int:
        """One more than the highest qubit that a word acts on; 0 for a multiple of the identity."""
        return max(((x | z).bit_length() for x, z, _ in self.terms), default=0)

    @property
    def is_hermitian(self) -> bool:
        """Whether every coefficient is real."""
        return self.antihermitian_part == 0.0

    @property
    def antihermitian_part(self) -> float:
        """The largest imaginary part of a coefficient: how far the sum is from an observable."""
        return max((abs(complex(c).imag) for _, _, c in self.terms), default=0.0)

    def dagger(self) -> PauliSum:
        """The Hermitian conjugate."""
        return PauliSum.collect((x, z, complex(c).conjugate()) for x, z, c in self.terms)

    def commutes_with(self, other: PauliSum) -> bool:
        """Whether the commutator of the two sums vanishes."""
        return not (self * other - other * self).terms

    def relabel(self, qubits: Iterable[int]) -> PauliSum:
        """The sum with qubit k renamed to the k-th entry of `qubits`."""
        names = list(qubits)
        return PauliSum.collect((_spread(x, names), _spread(z, names), c) for x, z, c in self.terms)

    def matrix(self, num_qubits: int | None = None) -> np.ndarray:
        """The dense matrix, shape (2**n, 2**n), complex128; qubit 0 is the most significant bit.

        Cost: 2**n per word in time, 4**n * 16 bytes in memory (checked before).
        Raises `KetgradValueError` if a word acts outside of `num_qubits`.

        >>> Pauli("Z0").matrix().real
        array([[ 1.,  0.],
               [ 0., -1.]])
        """
        size = self.num_qubits if num_qubits is None else num_qubits
        if size < self.num_qubits:
            raise KetgradValueError(
                f"`num_qubits` must be at least {self.num_qubits} - the sum acts on qubit {self.num_qubits - 1} - "
                f"but is {size}."
            )
        reserve(16 << min(2 * size, 10_000), f"the matrix of {size} qubits")
        rows = np.arange(2**size)
        matrix = np.zeros((2**size, 2**size), dtype=np.complex128)
        for x, z, coefficient in self.terms:
            flip, parity = reverse_bits(x, size), reverse_bits(z, size)
            signs = 1 - 2.0 * (np.bitwise_count(rows & parity) & 1)
            matrix[rows ^ flip, rows] += coefficient * 1j ** ((x & z).bit_count() % 4) * signs
        return matrix

    def __add__(self, other: Any) -> PauliSum:
        operand = _as_sum(other)
        return NotImplemented if operand is None else PauliSum.collect((*self.terms, *operand.terms))

    __radd__ = __add__

    def __neg__(self) -> PauliSum:
        return PauliSum(tuple((x, z, -c) for x, z, c in self.terms))

    def __sub__(self, other: Any) -> PauliSum:
        operand = _as_sum(other)
        return NotImplemented if operand is None else self + (-operand)

    def __rsub__(self, other: Any) -> PauliSum:
        return -self + other

    def __mul__(self, other: Any) -> PauliSum:
        operand = _as_sum(other)
        if operand is None:
            return NotImplemented
        return PauliSum.collect(_product(a, b) for a in self.terms for b in operand.terms)

    __matmul__ = __mul__

    def __rmul__(self, other: Any) -> PauliSum:
        return self * other  # only numbers arrive here, and they commute

    def __truediv__(self, other: Any) -> PauliSum:
        return self * (1 / other) if isinstance(other, Complex) else NotImplemented

    def __iter__(self) -> Iterator[PauliSum]:
        """The terms one by one, each as a sum of its own."""
        return (PauliSum((term,)) for term in self.terms)

    def __len__(self) -> int:
        return len(self.terms)

    def __str__(self) -> str:
        return _text(self.terms)

    def __repr__(self) -> str:
        return f"Pauli({_text(self.terms)!r})"


def Pauli(text: str | float) -> PauliSum:
    """Read a sum of Pauli words: "Z0", "0.5 Z0 Z1 - X2", "X1 Y2 + 2", "-1.5e-3 Z3", "1j X0".

    A word is a product of letters with qubit numbers; the identity is "I0" or a bare number.
    Returns a `PauliSum`; `repr` of it reads back as the same value.
    Raises `KetgradValueError` with the position of what cannot be read.

    >>> Pauli("0.5 Z0 Z1 - X2") + 1
    Pauli('1.0 - 1.0 X2 + 0.5 Z0 Z1')
    """
    if isinstance(text, Complex) and not isinstance(text, bool):
        return PauliSum.collect([(0, 0, complex(text))])
    if not isinstance(text, str):
        raise KetgradTypeError(f"`text` must be a string such as 'Z0 Z1 - 0.5 X2', but is {text!r}.")
    position, sign, terms, total = 0, 1.0, [], len(text.rstrip())
    if total == 0:
        raise KetgradValueError("`text` must hold at least one Pauli word or number, but is empty.")
    while position < total:
        term, position = _read_term(text, position, sign)
        terms.append(term)
        if position < total:
            if text[position] not in "+-":
                raise _unreadable(text, position)
            sign = 1.0 if text[position] == "+" else -1.0
            position += 1
            if not text[position:].strip():
                raise _unreadable(text, position - 1)
    return PauliSum.collect(terms)


_SPACE = re.compile(r"[\s*@]*")
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?j?|\([^()]*\)")
_LETTER = re.compile(r"([IXYZ])_?(\d+)")


def _read_term(text: str, position: int, sign: float) -> tuple[tuple[int, int, complex], int]:
    """One signed product of numbers and letters from `position`; returns it and the position after it."""
    start, term = position, (0, 0, complex(sign))
    while True:
        position = _SPACE.match(text, position).end()  # type: ignore[union-attr]
        if position < len(text) and text[position] in "+-" and position == _first_word(text, start):
            term = (term[0], term[1], -term[2] if text[position] == "-" else term[2])
            position += 1
            start = position
        elif number := _NUMBER.match(text, position):
            term = (term[0], term[1], term[2] * _number(text, number))
            position = number.end()
        elif letter := _LETTER.match(text, position):
            x, z = LETTERS[letter[1]]
            qubit = _qubit(letter[2])
            term = _product(term, (x << qubit, z << qubit, 1.0))
            position = letter.end()
        elif position == _first_word(text, start):
            raise _unreadable(text, position)
        else:
            return term, position


def _first_word(text: str, position: int) -> int:
    return _SPACE.match(text, position).end()  # type: ignore[union-attr]


def _qubit(digits: str) -> int:
    if len(digits) > 7:
        raise KetgradValueError(f"`text` names qubit {digits[:20]}, but Pauli words take qubits below 10^7.")
    return int(digits)


def _number(text: str, number: re.Match[str]) -> complex:
    try:
        return complex(number[0].replace(" ", ""))
    except ValueError:
        raise _unreadable(text, number.start()) from None


def _unreadable(text: str, position: int) -> KetgradValueError:
    return KetgradValueError(
        f"`text` must be a sum of Pauli words such as 'Z0 Z1 - 0.5 X2 + 1', but at character {position + 1} "
        f"stands {text[position : position + 20]!r}."
    )


def _product(a: tuple[int, int, complex], b: tuple[int, int, complex]) -> tuple[int, int, complex]:
    """(i^|xz| X^x Z^z)(i^|x'z'| X^x' Z^z'): moving Z^z past X^x' costs (-1)^|z & x'|; collect the powers of i."""
    x, z = a[0] ^ b[0], a[1] ^ b[1]
    power = (a[0] & a[1]).bit_count() + (b[0] & b[1]).bit_count() + 2 * (a[1] & b[0]).bit_count()
    power -= (x & z).bit_count()
    return x, z, a[2] * b[2] * (1, 1j, -1, -1j)[power % 4]


def _simplest(coefficient: complex) -> complex:
    value = complex(coefficient)
    return value.real if value.imag == 0 else value


def _as_sum(value: Any) -> PauliSum | None:
    if isinstance(value, PauliSum):
        return value
    return PauliSum.collect([(0, 0, complex(value))]) if isinstance(value, Complex) else None


def _weight(term: tuple[int, int, complex]) -> int:
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
    moved = 0
    while mask:
        low = mask & -mask
        moved |= 1 << (num_qubits - low.bit_length())
        mask ^= low
    return moved


def _spread(mask: int, names: list[int]) -> int:
    return sum(1 << name for k, name in enumerate(names) if mask >> k & 1)


def _text(terms: tuple[tuple[int, int, complex], ...]) -> str:
    if not terms:
        return "0.0"
    pieces = []
    for x, z, coefficient in terms:
        word = " ".join(f"{letter}{qubit}" for qubit, letter in _letters(x, z))
        real = not isinstance(coefficient, complex)
        negative = real and coefficient < 0
        shown = repr(-coefficient if negative else coefficient)
        pieces.append((" - " if negative else " + ", f"{shown} {word}".strip()))
    first = ("-" if pieces[0][0] == " - " else "") + pieces[0][1]
    return first + "".join(sign + body for sign, body in pieces[1:])
