"""What a question is: all that compiling, running, differentiating, planning and saving ask of one.

Executors answer a few kinds. A composed question, such as a variance, asks one of these for more and says how its
values follow, with derivatives: executors and gradient rules never see it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

WIDEST = 62  # qubits that fit into the masks of an executor; wider programs can be described, not simulated


class QuestionArrays(NamedTuple):
    """What executors read of a question: Pauli words and which observable each belongs to, and measured places.

    Word j of observable k, observable_start[k] <= j < observable_start[k + 1], is
    word_coefficient[j] * i^|x & z| X^x Z^z. measured: bit positions, the most significant first.
    """

    observable_start: np.ndarray
    word_x: np.ndarray
    word_z: np.ndarray
    word_coefficient: np.ndarray
    measured: np.ndarray


class Question(ABC):
    """What a circuit is asked. A kind of question is one frozen subclass, and its row in `QUESTIONS`.

    is_complex: whether its values are amplitudes. differentiable: whether they have derivatives. measurable: whether
    they can be estimated from shots. is_drawn: whether they are outcomes of shots themselves. sees_everything:
    whether all qubits matter, or only those of its words and measured places. outputs: what its values are called.
    observables: the Pauli sums that it names.
    """

    is_complex: ClassVar[bool]
    differentiable: ClassVar[bool]
    measurable: ClassVar[bool]
    is_drawn: ClassVar[bool]
    sees_everything: ClassVar[bool]
    outputs: ClassVar[str]
    observables: Any

    @abstractmethod
    def check(self, num_qubits: int) -> None:
        """Raise unless it can be asked of a register of so many qubits."""

    @abstractmethod
    def num_outputs(self, num_qubits: int) -> int:
        """Length of the last axis of the values."""

    @abstractmethod
    def table_qubits(self, num_qubits: int) -> int:
        """The values are a table over the outcomes, or basis states, of so many qubits; 0 where they are none."""

    @abstractmethod
    def text(self) -> str:
        """What is asked, as a noun."""

    @property
    @abstractmethod
    def base(self) -> Question:
        """The question that executors answer: itself, unless it is composed."""

    @abstractmethod
    def arrays(self, num_qubits: int) -> QuestionArrays:
        """What executors read of it, for a register of so many qubits; not checked."""


class ComposedQuestion(Question):
    """A question whose real values are a function of the values of its base; the last axis is that of outputs.

    `values` is written in plain arithmetic, so that it also takes the arrays of other libraries. Where the base is
    complex, a cotangent c of it stands for Re(sum(conj(c) * change)), as everywhere.
    """

    @abstractmethod
    def values(self, base: Any) -> Any:
        """The values, (..., outputs), of those of the base (..., outputs of the base)."""

    @abstractmethod
    def tangents(self, base: np.ndarray, change: np.ndarray) -> np.ndarray:
        """How the values change with those of the base: their derivative along `change`."""

    @abstractmethod
    def pulled_back(self, base: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """The cotangent of the base that stands for a cotangent of the values."""

    @abstractmethod
    def pulled_back_change(self, base: np.ndarray, change: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """How `pulled_back` changes with the values of the base, the cotangent fixed."""


def masks(values: list[int], num_qubits: int) -> np.ndarray:
    """Masks of qubits as an array: of machine words, where the register fits into one."""
    return np.array(values, np.uint64 if num_qubits <= WIDEST else object)
