"""The kinds of questions: one class for each, which holds all that is particular to it; one judge of what is asked."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ketgrad.circuits.pauli_words import reverse_bits
from ketgrad.circuits.paulis import PauliSum, check_hermitian
from ketgrad.foundation.errors import KetgradIndexError, KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import shot_count
from ketgrad.programs.question import ComposedQuestion, Question, QuestionArrays, masks

LARGEST_OBSERVABLE = 2.0**500  # sum of the coefficients: twice it, times another such number, is still finite
BYTES_PER_PRODUCT = 200  # of two Pauli words, while they are collected
UNPACKED_AT_ONCE = 2**18  # outcomes, which stay in the cache


@dataclass(frozen=True)
class Expect(Question):
    """Expectation values of Hermitian Pauli sums."""

    observables: tuple[PauliSum, ...]

    is_complex: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    measurable: ClassVar[bool] = True
    is_drawn: ClassVar[bool] = False
    sees_everything: ClassVar[bool] = False
    outputs: ClassVar[str] = "outputs"

    def check(self, num_qubits: int) -> None:
        """Raise unless all are Hermitian Pauli sums within the register, of finite size."""
        check_observables(self.observables, num_qubits, LARGEST_OBSERVABLE)

    def num_outputs(self, num_qubits: int) -> int:
        """One for each observable."""
        return len(self.observables)

    def table_qubits(self, num_qubits: int) -> int:
        """None."""
        return 0

    def text(self) -> str:
        """How many observables and words."""
        return f"expectation values of {_in_words(self.observables, self.observables)}"

    @property
    def base(self) -> Question:
        """Itself."""
        return self

    def arrays(self, num_qubits: int) -> QuestionArrays:
        """The words of all observables below each other."""
        words = [
            (reverse_bits(x, num_qubits), reverse_bits(z, num_qubits), complex(c).real)
            for observable in self.observables
            for x, z, c in observable.terms
        ]
        sizes = [len(observable.terms) for observable in self.observables]
        return QuestionArrays(
            np.cumsum([0, *sizes], dtype=np.int64),
            masks([word[0] for word in words], num_qubits),
            masks([word[1] for word in words], num_qubits),
            np.array([word[2] for word in words], np.float64),
            np.empty(0, np.int64),
        )


@dataclass(frozen=True)
class Probabilities(Question):
    """Probabilities of the 2**m outcomes of measuring `qubits`; the first is the most significant bit."""

    qubits: tuple[int, ...]

    is_complex: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    measurable: ClassVar[bool] = True
    is_drawn: ClassVar[bool] = False
    sees_everything: ClassVar[bool] = False
    outputs: ClassVar[str] = "outputs"
    observables: ClassVar[tuple[PauliSum, ...]] = ()

    def check(self, num_qubits: int) -> None:
        """Raise unless the qubits are different ones of the register, at least one."""
        if not self.qubits:
            raise KetgradValueError("`qubits` must name at least one qubit, but is empty; None measures all.")
        seen = set()
        for k, qubit in enumerate(self.qubits):
            if not 0 <= qubit < num_qubits:
                raise KetgradIndexError(
                    f"`qubits[{k}]` is {shown(qubit)}, but the circuit has qubits 0 to {num_qubits - 1}."
                )
            if qubit in seen:
                raise KetgradValueError(f"`qubits` must differ, but names qubit {qubit} twice.")
            seen.add(qubit)

    def num_outputs(self, num_qubits: int) -> int:
        """One for each outcome."""
        return 2 ** len(self.qubits)

    def table_qubits(self, num_qubits: int) -> int:
        """The measured ones."""
        return len(self.qubits)

    def text(self) -> str:
        """How many qubits are measured."""
        return f"probabilities of the outcomes of {_count(len(self.qubits), 'qubit')}"

    @property
    def base(self) -> Question:
        """Itself."""
        return self

    def arrays(self, num_qubits: int) -> QuestionArrays:
        """The measured places."""
        return _without_words(num_qubits, [num_qubits - 1 - q for q in self.qubits])


@dataclass(frozen=True)
class State(Question):
    """The state vector."""

    is_complex: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    measurable: ClassVar[bool] = False
    is_drawn: ClassVar[bool] = False
    sees_everything: ClassVar[bool] = True
    outputs: ClassVar[str] = "complex amplitudes"
    observables: ClassVar[tuple[PauliSum, ...]] = ()

    def check(self, num_qubits: int) -> None:
        """Every register has a state."""

    def num_outputs(self, num_qubits: int) -> int:
        """One for each amplitude."""
        return 2**num_qubits

    def table_qubits(self, num_qubits: int) -> int:
        """All."""
        return num_qubits

    def text(self) -> str:
        """The state vector."""
        return "the state vector"

    @property
    def base(self) -> Question:
        """Itself."""
        return self

    def arrays(self, num_qubits: int) -> QuestionArrays:
        """Nothing."""
        return _without_words(num_qubits)


@dataclass(frozen=True)
class Samples(Question):
    """`shots` measured outcomes of all qubits."""

    shots: int

    is_complex: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False
    measurable: ClassVar[bool] = True
    is_drawn: ClassVar[bool] = True
    sees_everything: ClassVar[bool] = True
    outputs: ClassVar[str] = "samples"
    observables: ClassVar[tuple[PauliSum, ...]] = ()

    def check(self, num_qubits: int) -> None:
        """Raise unless there is a shot to measure, and not more than can be counted."""
        shot_count(self.shots)

    def num_outputs(self, num_qubits: int) -> int:
        """One outcome for each shot."""
        return self.shots

    def table_qubits(self, num_qubits: int) -> int:
        """None: outcomes are numbers."""
        return 0

    def text(self) -> str:
        """How many shots."""
        return f"{self.shots} measured bit strings"

    @property
    def base(self) -> Question:
        """Itself."""
        return self

    def arrays(self, num_qubits: int) -> QuestionArrays:
        """Nothing."""
        return _without_words(num_qubits)


@dataclass(frozen=True)
class Variance(ComposedQuestion):
    """Variances <O^2> - <O>^2 of Hermitian Pauli sums: from the expectation values of each sum and of its square.

    The multiple of the identity in a sum is left out first: it changes no variance, and digits are lost by it.
    """

    observables: tuple[PauliSum, ...]

    is_complex: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    measurable: ClassVar[bool] = True
    is_drawn: ClassVar[bool] = False
    sees_everything: ClassVar[bool] = False
    outputs: ClassVar[str] = "outputs"

    def check(self, num_qubits: int) -> None:
        """Raise unless all are Hermitian Pauli sums within the register, whose squares are of finite size."""
        check_observables(self.observables, num_qubits, LARGEST_OBSERVABLE**0.5)

    def num_outputs(self, num_qubits: int) -> int:
        """One for each observable."""
        return len(self.observables)

    def table_qubits(self, num_qubits: int) -> int:
        """None."""
        return 0

    def text(self) -> str:
        """How many observables and words."""
        return f"variances of {_in_words(self.observables, self.base.observables)}"

    @cached_property
    def base(self) -> Question:  # type: ignore[override]
        """The expectation values of all sums, then of their squares."""
        centred = [PauliSum((x, z, c) for x, z, c in one.terms if x | z) for one in self.observables]
        products = sum(len(one.terms) ** 2 for one in centred)
        reserve(
            BYTES_PER_PRODUCT * products,
            f"the squares of {_count(len(centred), 'observable')}, of {products} products of Pauli words",
            "Ask for fewer words at a time.",
        )
        return Expect((*centred, *(one * one for one in centred)))

    def arrays(self, num_qubits: int) -> QuestionArrays:
        """Those of its base."""
        return self.base.arrays(num_qubits)

    def values(self, base: Any) -> Any:
        """<O^2> - <O>^2."""
        half = len(self.observables)
        return base[..., half:] - base[..., :half] ** 2

    def tangents(self, base: np.ndarray, change: np.ndarray) -> np.ndarray:
        """d<O^2> - 2 <O> d<O>."""
        half = len(self.observables)
        return change[..., half:] - 2 * base[..., :half] * change[..., :half]

    def pulled_back(self, base: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """(-2 <O> c, c)."""
        mean = base[..., : len(self.observables)]
        return np.concatenate(np.broadcast_arrays(-2 * mean * cotangent, cotangent), axis=-1)

    def pulled_back_change(self, base: np.ndarray, change: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """(-2 d<O> c, 0)."""
        moved = -2 * change[..., : len(self.observables)] * cotangent
        return np.concatenate([moved, np.zeros_like(moved)], axis=-1)


QUESTIONS = (Expect, Probabilities, State, Samples, Variance)


# -- checks and shapes ------------------------------------------------------------------------------------


def as_observables(observables: Any) -> tuple[Any, ...]:
    """One Pauli sum or several, as a tuple of at least one; what stands in it is not looked at."""
    several = isinstance(observables, Iterable) and not isinstance(observables, PauliSum | str)
    several = several and np.ndim(observables) == 1 if isinstance(observables, np.ndarray) else several
    sums = tuple(observables) if several else (observables,)
    if not sums:
        raise KetgradValueError("`observables` must hold at least one Pauli sum, but is empty.")
    return sums


def check_observables(sums: tuple[Any, ...], num_qubits: int, largest: float) -> None:
    """Raise unless all are Hermitian Pauli sums within the register, with sizes up to `largest`."""
    for k, observable in enumerate(sums):
        name = f"observables[{k}]" if len(sums) > 1 else "observables"
        if not isinstance(observable, PauliSum):
            hint = f" Write kg.Pauli({observable!r})." if isinstance(observable, str) else ""
            raise KetgradTypeError(f"`{name}` must be a Pauli sum, but is {type(observable).__name__}.{hint}")
        if observable.num_qubits > num_qubits:
            raise KetgradIndexError(
                f"`{name}` reads qubit {observable.num_qubits - 1}, but the circuit has qubits 0 to {num_qubits - 1}."
            )
        check_hermitian(observable, name, "only then are its values real")
        size = sum(abs(complex(c)) for _, _, c in observable.terms)
        if not size <= largest:
            raise KetgradValueError(
                f"`{name}` must have coefficients whose sizes add up to {largest:.1g} at most - beyond, values and "
                f"derivatives are no finite numbers - but they add up to {size:.3g}. Divide them by their scale, and "
                "multiply the values by it."
            )


def as_qubits(qubits: Any) -> tuple[int, ...]:
    """A sequence of integers as Python's own."""
    try:
        return tuple(operator.index(q) for q in qubits)
    except TypeError:
        raise KetgradTypeError(
            f"`qubits` must be None or a sequence of integers, but is {qubits!r}."
        ) from None


def unpacked(outcomes: np.ndarray, num_qubits: int) -> np.ndarray:
    """One byte per qubit from outcome indices, qubit 0 (the most significant bit) first."""
    bits = np.empty((*outcomes.shape, num_qubits), dtype=np.uint8)
    flat, table = outcomes.reshape(-1), bits.reshape(-1, num_qubits)
    for start in range(0, len(flat), UNPACKED_AT_ONCE):  # a signal is seen between two pieces
        part = slice(start, start + UNPACKED_AT_ONCE)
        if flat.dtype == object:  # outcomes of more than 64 bits
            raw = b"".join(int(one).to_bytes(-(-num_qubits // 8), "big") for one in flat[part])
            rows = np.unpackbits(np.frombuffer(raw, np.uint8)).reshape(len(flat[part]), -1)
            table[part] = rows[:, -num_qubits:]
            continue
        for qubit in range(num_qubits):
            table[part, qubit] = (flat[part] >> np.uint64(num_qubits - 1 - qubit)) & np.uint64(1)
    return bits


def _without_words(num_qubits: int, measured: Iterable[int] = ()) -> QuestionArrays:
    none = masks([], num_qubits)
    return QuestionArrays(np.zeros(1, np.int64), none, none, np.empty(0), np.array([*measured], np.int64))


def num_words(observables: Iterable[PauliSum]) -> int:
    """How many Pauli words the sums have together."""
    return sum(len(observable.terms) for observable in observables)


def _in_words(asked: Sequence[PauliSum], read: Sequence[PauliSum]) -> str:
    return f"{_count(len(asked), 'observable')}, {_count(num_words(read), 'Pauli word')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
