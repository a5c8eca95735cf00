"""Sums of Pauli words: observables, Hamiltonians and generators are this one type.

A word is two bit masks: i^|x & z| X^x Z^z, where bit q of a mask speaks of qubit q. The factor makes every
word Hermitian (x = z = 1 is Y), so a sum is Hermitian exactly when its coefficients are real.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Complex
from typing import Any

import numpy as np

from ketgrad.circuits.pauli_text import read_terms, text_of
from ketgrad.circuits.pauli_words import Term, Word, ordered, product, reverse_bits, spread
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import check_count, check_qubit

HERMITIAN = 1e-12  # an imaginary part below this share of the largest coefficient is rounding
MOST_POWER = 64


@dataclass(frozen=True, init=False, eq=False, repr=False)
class PauliSum:
    """sum_k coefficient_k * i^|x_k & z_k| X^x_k Z^z_k, in canonical order, without zero terms.

    terms: tuple of (x mask, z mask, coefficient); bit q of a mask is qubit q. Made by `Pauli("0.5 Z0 Z1 - X2")`.
    `+ - *` combine sums and numbers, `*` and `@` between sums are the operator product, `** n` repeats it.
    Adding a word to a sum takes the same time however long the sum is: words are put in order when they are read.
    Raises `KetgradTypeError` for terms of another form, `KetgradValueError` for coefficients that are not finite.

    >>> Pauli("X0") * Pauli("Y0")
    Pauli('1j Z0')
    """

    _terms: tuple[Term, ...]
    _bound: float  # no coefficient is larger: what is added within it cannot overflow
    _pending: (
        tuple[PauliSum, tuple[Term, ...]] | None
    )  # a sum and what was added to it, until the terms are read

    __match_args__ = ("terms",)

    def __init__(self, terms: Iterable[Term]) -> None:
        self._set(_collected(terms))

    @staticmethod
    def collect(words: Iterable[Term]) -> PauliSum:
        """The sum of the given words; equal words are added, zeros dropped, real coefficients made floats."""
        return PauliSum(words)

    @property
    def terms(self) -> tuple[Term, ...]:
        """(x mask, z mask, coefficient) of each word: by the number of letters, then by qubits and letters."""
        pending = self._pending
        if pending is not None:
            self._set(_collected(_all_words(pending)))  # the terms first: another thread may be reading
        return self._terms

    def _set(self, terms: tuple[Term, ...]) -> None:
        object.__setattr__(self, "_terms", terms)
        object.__setattr__(self, "_bound", max((_size(c) for _, _, c in terms), default=0.0))
        object.__setattr__(self, "_pending", None)

    @property
    def num_qubits(self) -> int:
        """One more than the highest qubit that a word acts on; 0 for a multiple of the identity."""
        return max(((x | z).bit_length() for x, z, _ in self.terms), default=0)

    @property
    def is_hermitian(self) -> bool:
        """Whether the coefficients are real, up to rounding: 1e-12 of the largest of them."""
        return self.antihermitian_part <= HERMITIAN * max((_size(c) for _, _, c in self.terms), default=0.0)

    @property
    def antihermitian_part(self) -> float:
        """The largest imaginary part of a coefficient: how far the sum is from an observable."""
        return max((abs(complex(c).imag) for _, _, c in self.terms), default=0.0)

    def dagger(self) -> PauliSum:
        """The Hermitian conjugate."""
        return _sum_of(tuple((x, z, _simplest(complex(c).conjugate())) for x, z, c in self.terms))

    def commutes_with(self, other: PauliSum) -> bool:
        """Whether the commutator of the two sums vanishes."""
        if not isinstance(other, PauliSum):
            raise KetgradTypeError(
                f"`other` must be a Pauli sum such as kg.Pauli('Z0'), but is {shown(other)}."
            )
        return not (self * other - other * self).terms

    def relabel(self, qubits: Iterable[int]) -> PauliSum:
        """The sum with qubit k renamed to the k-th entry of `qubits`.

        qubits: different numbers, one for each qubit up to the last that the sum acts on, or more.
        Raises `KetgradValueError` for fewer and for a qubit that is named twice, `KetgradIndexError` and
        `KetgradTypeError` for what is no qubit.

        >>> Pauli("Z0 X1").relabel([3, 0])
        Pauli('1.0 X0 Z3')
        """
        names = new_names(qubits)
        if len(names) < self.num_qubits:
            raise KetgradValueError(
                f"`qubits` must name at least {self.num_qubits} qubits - the sum acts on qubit {self.num_qubits - 1} - "
                f"but names {len(names)}."
            )
        return _sum_of(ordered((spread(x, names), spread(z, names), c) for x, z, c in self.terms))

    def matrix(self, num_qubits: int | None = None) -> np.ndarray:
        """The dense matrix, shape (2**n, 2**n), complex128; qubit 0 is the most significant bit.

        Cost: 2**n per word in time, 4**n * 16 bytes in memory (checked before).
        Raises `KetgradValueError` if a word acts outside of `num_qubits`.

        >>> Pauli("Z0").matrix().real
        array([[ 1.,  0.],
               [ 0., -1.]])
        """
        size = self.num_qubits if num_qubits is None else check_count(num_qubits, "num_qubits", 0)
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
        if operand is None:
            return NotImplemented
        first, second = (
            (self, operand) if operand._pending is None else (operand, self)
        )  # a + b is b + a, bit by bit
        words, bound = second.terms, first._bound + second._bound
        if not math.isfinite(bound):
            return PauliSum((*first.terms, *words))  # which looks at the sums themselves
        total = object.__new__(PauliSum)
        object.__setattr__(total, "_terms", ())
        object.__setattr__(total, "_bound", bound)
        object.__setattr__(total, "_pending", (first, words))
        return total

    __radd__ = __add__

    def __neg__(self) -> PauliSum:
        return _sum_of(tuple((x, z, -c) for x, z, c in self.terms))

    def __pos__(self) -> PauliSum:
        return self

    def __sub__(self, other: Any) -> PauliSum:
        operand = _as_sum(other)
        return NotImplemented if operand is None else self + (-operand)

    def __rsub__(self, other: Any) -> PauliSum:
        return -self + other

    def __mul__(self, other: Any) -> PauliSum:
        operand = _as_sum(other)
        if operand is None:
            return NotImplemented
        return PauliSum(product(a, b) for a in self.terms for b in operand.terms)

    __matmul__ = __mul__

    def __rmul__(self, other: Any) -> PauliSum:
        return self * other  # only numbers arrive here, and they commute

    def __pow__(self, power: int) -> PauliSum:
        result, factor, left = Pauli(1.0), self, check_count(power, "power", 0, MOST_POWER)
        while left:
            result, left = (result * factor if left & 1 else result), left >> 1
            factor = factor * factor if left else factor
        return result

    def __truediv__(self, other: Any) -> PauliSum:
        if not isinstance(other, Complex):
            return NotImplemented
        if other == 0:
            raise KetgradValueError("A Pauli sum may be divided by any number but 0.")
        return self * (1 / other)

    def __eq__(self, other: object) -> bool:
        return self.terms == other.terms if isinstance(other, PauliSum) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.terms,))

    def __reduce__(self) -> tuple[Any, ...]:
        return PauliSum, (self.terms,)

    def __iter__(self) -> Iterator[PauliSum]:
        """The terms one by one, each as a sum of its own."""
        return (_sum_of((term,)) for term in self.terms)

    def __len__(self) -> int:
        return len(self.terms)

    def __str__(self) -> str:
        return text_of(self.terms)

    def __repr__(self) -> str:
        return f"Pauli({text_of(self.terms)!r})"


def Pauli(text: str | float) -> PauliSum:
    """Read a sum of Pauli words: "Z0", "0.5 Z0 Z1 - X2", "X1 Y2 + 2", "-1.5e-3 Z3", "1j X0".

    A word is a product of letters with qubit numbers; the identity is "I0" or a bare number. A number stands before
    the letters, or after a *. Returns a `PauliSum`; `repr` of it reads back as the same value.
    Raises `KetgradValueError` with the position of what cannot be read, and for numbers that are not finite.

    >>> Pauli("0.5 Z0 Z1 - X2") + 1
    Pauli('1.0 - 1.0 X2 + 0.5 Z0 Z1')
    """
    if isinstance(text, Complex) and not isinstance(text, bool):
        return PauliSum([(0, 0, _complex(text))])
    if not isinstance(text, str):
        raise KetgradTypeError(f"`text` must be a string such as 'Z0 Z1 - 0.5 X2', but is {shown(text)}.")
    return PauliSum(read_terms(text))


def check_hermitian(observable: PauliSum, name: str, why: str) -> None:
    """Raise unless this sum has real, finite coefficients: the rule is that of `PauliSum.is_hermitian`.

    >>> check_hermitian(Pauli("1000 Z0") + Pauli("1e-10j X0"), "observable", "values are real")
    """
    if not observable.is_hermitian:
        term = max(observable.terms, key=lambda entry: abs(complex(entry[2]).imag))
        raise KetgradValueError(
            f"`{name}` must be Hermitian - {why} - but deviates from its adjoint by "
            f"{2 * observable.antihermitian_part:g} in the term {_sum_of((term,))!r}. Measure its real and imaginary "
            "parts apart."
        )


def new_names(qubits: Any) -> tuple[int, ...]:
    """The different qubit numbers of a `relabel`.

    >>> new_names(range(2))
    (0, 1)
    """
    if isinstance(qubits, str) or not isinstance(qubits, Iterable):
        raise KetgradTypeError(f"`qubits` must be a list of qubit numbers, but is {shown(qubits)}.")
    names = tuple(check_qubit(q, "relabel") for q in qubits)
    if len(set(names)) != len(names):
        twice = next(q for k, q in enumerate(names) if q in names[:k])
        raise KetgradValueError(
            f"`qubits` must be different - two qubits cannot become one - but names qubit {twice} twice."
        )
    return names


def _simplest(coefficient: complex) -> complex:
    value = complex(coefficient)
    return value.real if value.imag == 0 else value


def _size(coefficient: complex) -> float:
    value = complex(coefficient)
    return max(abs(value.real), abs(value.imag))  # abs(value) may overflow


def _complex(value: Any) -> complex:
    try:
        return complex(value)
    except OverflowError:
        raise KetgradValueError("A coefficient is larger than any floating-point number.") from None


def _as_sum(value: Any) -> PauliSum | None:
    if isinstance(value, PauliSum):
        return value
    return PauliSum([(0, 0, _complex(value))]) if isinstance(value, Complex) else None


def _sum_of(terms: tuple[Term, ...]) -> PauliSum:
    """The sum whose canonical terms are known."""
    made = object.__new__(PauliSum)
    made._set(terms)
    return made


def _collected(words: Any) -> tuple[Term, ...]:
    """Canonical terms: equal words added, in order. Everything is checked, since anybody may call the constructor."""
    if not isinstance(words, Iterable):
        raise KetgradTypeError(f"`terms` must be a sequence of {FORM}, but is {shown(words)}.")
    total: dict[Word, complex] = {}
    for entry in words:
        try:
            x, z, coefficient = entry
            total[x, z] = total.get((x, z), 0.0) + coefficient
        except (TypeError, ValueError):
            raise KetgradTypeError(f"`terms` must hold {FORM}, but holds {shown(entry)}.") from None
    return ordered(_checked(x, z, c) for (x, z), c in total.items() if c is None or c != 0)


FORM = "(x mask, z mask, coefficient)"


def _checked(x: Any, z: Any, coefficient: Any) -> Term:
    if type(x) is not int or type(z) is not int or x < 0 or z < 0:
        x, z = check_count(x, "x mask", 0, None), check_count(z, "z mask", 0, None)
    if not isinstance(coefficient, Complex):
        raise KetgradTypeError(f"The coefficient of a word must be a number, but is {shown(coefficient)}.")
    value = _simplest(_complex(coefficient))
    if not cmath.isfinite(value):
        raise KetgradValueError(f"The coefficient of a word must be finite, but is {coefficient}.")
    return x, z, value


def _all_words(pending: tuple[PauliSum, tuple[Term, ...]]) -> Iterator[Term]:
    """The words of a sum and of what was added to it, first in time first."""
    added: list[tuple[Term, ...]] = []
    step: tuple[PauliSum, tuple[Term, ...]] | None = pending
    while step is not None:  # a loop, because a sum of thousands of words is thousands of steps deep
        first, words = step
        added.append(words)
        step = first._pending
        if step is None:
            added.append(first._terms)
    return (term for words in reversed(added) for term in words)
