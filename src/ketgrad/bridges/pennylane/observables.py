"""PennyLane's observables as Pauli sums, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops import LinearCombination, Prod, SProd, Sum

from ketgrad.circuits.pauli_words import LETTERS, letters
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradIndexError, KetgradTypeError

EXACT = 1e-10  # an antihermitian part up to this is rounding
WIDEST = 5  # wires of a matrix that is written as a Pauli sum, of up to 4**5 words


def pauli_sum(observable: Operator, place: Mapping[Any, int]) -> PauliSum | None:
    """The observable as a Pauli sum with wire w as qubit place[w]; None if it has no short one."""
    sentence = observable.pauli_rep
    if sentence is not None:
        return PauliSum.collect(_term(word, number, place) for word, number in sentence.items())
    if isinstance(observable, SProd):
        inner = pauli_sum(observable.base, place)
        return None if inner is None else inner * number_of(observable.scalar)
    if isinstance(observable, LinearCombination):
        return _combine(zip(*observable.terms(), strict=True), place)
    if isinstance(observable, Sum):
        return _combine(((1.0, part) for part in observable.operands), place)
    if isinstance(observable, Prod):
        return _product(observable, place)
    if len(observable.wires) > WIDEST or not observable.has_matrix:
        return None
    matrix = np.asarray(qml.math.unwrap([observable.matrix()])[0], dtype=np.complex128)
    return from_matrix(matrix).relabel(place[wire] for wire in observable.wires)


def most_words(observable: Operator) -> float:
    """A bound on the words of its Pauli sum, found without it; infinite where there is none."""
    if observable.pauli_rep is not None:
        return len(observable.pauli_rep)
    if isinstance(observable, SProd):
        return most_words(observable.base)
    if isinstance(observable, Sum):
        return sum(map(most_words, observable.operands))
    if isinstance(observable, Prod):
        return math.prod(map(most_words, observable.operands))
    return (
        4 ** len(observable.wires) if len(observable.wires) <= WIDEST and observable.has_matrix else math.inf
    )


def is_hermitian(observable: Operator) -> bool:
    """Whether an observable is certainly Hermitian, by its parts; False where only the whole can tell.

    Numbers that jax has yet to fill in are taken for real ones, and matrices for Hermitian ones.
    """
    if observable.pauli_rep is not None:
        known = (number for number in observable.pauli_rep.values() if not qml.math.is_abstract(number))
        return all(abs(number_of(number).imag) <= EXACT for number in known)
    if isinstance(observable, SProd):
        unknown = qml.math.is_abstract(observable.scalar)
        real = unknown or abs(number_of(observable.scalar).imag) <= EXACT
        return real and is_hermitian(observable.base)
    if isinstance(observable, Sum):
        return all(map(is_hermitian, observable.operands))
    if isinstance(observable, Prod):
        parts = observable.operands
        apart = len(observable.wires) == sum(len(part.wires) for part in parts)
        return apart and all(map(is_hermitian, parts))
    if isinstance(observable, qml.Projector):
        return True
    if not isinstance(observable, qml.Hermitian):
        return False
    if qml.math.is_abstract(observable.data[0]):
        return True
    matrix = np.asarray(qml.math.unwrap(observable.data)[0])
    return bool(np.abs(matrix - matrix.conj().T).max() <= EXACT)


def _term(word: Mapping[Any, str], number: Any, place: Mapping[Any, int]) -> tuple[int, int, complex]:
    x = z = 0
    for wire, letter in word.items():
        flip, sign = LETTERS[letter]
        x |= flip << place[wire]
        z |= sign << place[wire]
    return x, z, number_of(number)


def number_of(value: Any) -> complex:
    """A coefficient of any library that PennyLane works with."""
    return complex(value.item() if hasattr(value, "item") else qml.math.unwrap([value])[0])


def _combine(terms: Iterable[tuple[Any, Operator]], place: Mapping[Any, int]) -> PauliSum | None:
    total: PauliSum = PauliSum(())
    for number, part in terms:
        inner = pauli_sum(part, place)
        if inner is None:
            return None
        total = total + inner * number_of(number)
    return total


def _product(observable: Prod, place: Mapping[Any, int]) -> PauliSum | None:
    total: PauliSum = PauliSum(((0, 0, 1.0),))
    for part in observable.operands:
        inner = pauli_sum(part, place)
        if inner is None:
            return None
        total = total * inner
    return total


def from_matrix(matrix: np.ndarray) -> PauliSum:
    """The Pauli sum of a matrix (2**k, 2**k), qubit 0 the most significant bit; numbers below 1e-15 are dropped.

    Each qubit in turn takes its four entries to the coefficients of I, Z, X, Y. Cost: k 4**k.

    >>> from_matrix(np.array([[0, -1j], [1j, 0]]))
    Pauli('1.0 Y0')
    """
    size = len(matrix).bit_length() - 1
    tensor = matrix.reshape((2,) * (2 * size))
    for qubit in range(size):
        rows = np.moveaxis(tensor, (qubit, size + qubit), (0, 1))
        plus, minus = rows[0, 0] + rows[1, 1], rows[0, 0] - rows[1, 1]
        cross, turn = rows[0, 1] + rows[1, 0], 1j * (rows[0, 1] - rows[1, 0])
        words = np.array([[plus, minus], [cross, turn]]) / 2  # [x bit, z bit]
        tensor = np.moveaxis(words, (0, 1), (qubit, size + qubit))
    largest = float(np.abs(tensor).max(initial=0.0))
    terms = []
    for index in np.argwhere(np.abs(tensor) > 1e-15 * max(1.0, largest)):
        x = sum(int(bit) << q for q, bit in enumerate(index[:size]))
        z = sum(int(bit) << q for q, bit in enumerate(index[size:]))
        number = complex(tensor[tuple(index)])
        terms.append((x, z, number.real if abs(number.imag) < 1e-15 * max(1.0, largest) else number))
    return PauliSum.collect(terms)


def words_to_matrix(values: np.ndarray) -> np.ndarray:
    """The matrices (..., 2**k, 2**k) of numbers (..., 4**k) of Pauli words: letters I Z X Y, the first qubit's slowest.

    >>> words_to_matrix(np.array([0.0, 1.0, 2.0, 0.0])).real
    array([[ 1.,  2.],
           [ 2., -1.]])
    """
    lead, size = values.shape[:-1], (values.shape[-1].bit_length() - 1) // 2
    tensor = values.reshape(-1, *[4] * size).astype(np.complex128)
    for qubit in range(size):
        same, sign, flip, turn = np.moveaxis(tensor, 1 + qubit, 0)
        entries = np.stack([same + sign, flip - 1j * turn, flip + 1j * turn, same - sign])
        tensor = np.moveaxis(entries, 0, 1 + qubit)
    axes = [1 + 2 * k for k in range(size)] + [2 + 2 * k for k in range(size)]  # rows, then columns
    split = tensor.reshape(-1, *[2] * (2 * size)).transpose(0, *axes)
    return split.reshape(*lead, 2**size, 2**size)


def from_observable(observable: Operator, wires: Sequence[Any] | None = None) -> PauliSum:
    """A PennyLane observable as a Pauli sum.

    wires: which wire is which qubit, by position; None for the wires of the observable in their own order, or the
    numbers themselves where all are integers. Hermitian and Projector are expanded up to 5 wires.
    Raises `KetgradTypeError` for an observable without a short Pauli sum, `KetgradIndexError` for an unknown wire.

    >>> from_observable(0.5 * qml.Z(0) @ qml.X(2) - qml.Y(1))
    Pauli('-1.0 Y1 + 0.5 Z0 X2')
    """
    if not isinstance(observable, Operator):
        raise KetgradTypeError(f"`observable` must be a PennyLane operator, but is {observable!r}.")
    own = list(observable.wires)
    if wires is None:
        numbers = all(isinstance(wire, int) and wire >= 0 for wire in own)
        place = {wire: wire if numbers else k for k, wire in enumerate(own)}
    else:
        place = {wire: k for k, wire in enumerate(wires)}
    missing = [wire for wire in own if wire not in place]
    if missing:
        raise KetgradIndexError(
            f"`wires` must name every wire of the observable, but lacks {missing}: they are {list(wires or ())}."
        )
    found = pauli_sum(observable, place)
    if found is None:
        raise KetgradTypeError(
            f"{observable.name} on {len(own)} wires has no Pauli sum of reasonable length - matrices are expanded up "
            f"to {WIDEST} wires. Give it as a sum of Pauli words."
        )
    return found


def to_observable(observable: PauliSum, wires: Sequence[Any] | None = None) -> Operator:
    """A Pauli sum as a PennyLane operator; qubit q is wires[q], or q itself.

    >>> to_observable(PauliSum(((1, 0, 0.5), (2, 2, 1.0))), ["a", "b"])
    0.5 * X('a') + Y('b')
    """
    if not isinstance(observable, PauliSum):
        raise KetgradTypeError(f"`observable` must be a Pauli sum, but is {type(observable).__name__}.")
    names = list(range(observable.num_qubits)) if wires is None else list(wires)
    if len(names) < observable.num_qubits:
        raise KetgradIndexError(
            f"`wires` must name {observable.num_qubits} wires - the sum acts on qubit {observable.num_qubits - 1} - "
            f"but names {len(names)}."
        )
    if not observable.terms:
        return 0.0 * qml.Identity(names[:1] or 0)
    words = {
        qml.pauli.PauliWord({names[q]: letter for q, letter in letters(x, z)}): number
        for x, z, number in observable.terms
    }
    return qml.pauli.PauliSentence(words).operation(wire_order=names)
