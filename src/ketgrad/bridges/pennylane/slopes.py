"""Derivatives of expectation values by the numbers of their observables: coefficients, and entries of matrices.

An observable is linear in each of them, so that a derivative is an expectation value again. That by the entry (i, j)
of a matrix is <left |i><j| right>, with the factors that stand beside the matrix: all entries together are one matrix,
which is found from the expectation values of its 4**k Pauli words.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.exceptions import DeviceError
from pennylane.measurements import ExpectationMP, MeasurementProcess
from pennylane.operation import Operator
from pennylane.ops import Prod, SProd, Sum
from pennylane.tape import QuantumScript

from ketgrad.bridges.pennylane.observables import WIDEST, number_of, pauli_sum, words_to_matrix
from ketgrad.bridges.pennylane.tapes import TapePlan, TapeRows, values_of
from ketgrad.circuits.paulis import PauliSum
from ketgrad.functions.builders import expectation

Word = tuple[int, int]  # the masks of a Pauli word: bits of X and of Z

ONE = PauliSum(((0, 0, 1.0),))


@dataclass(frozen=True)
class Spot:
    """Where a number stands in an observable: the derivative by it is `left` inner `right`, times a coefficient.

    inner: the operator that a coefficient multiplies, or the Hermitian that a matrix belongs to.
    """

    left: PauliSum
    inner: Operator
    right: PauliSum
    is_matrix: bool


def coefficient_slopes(
    plan: TapePlan, given: TapeRows, tape: QuantumScript, index: int
) -> tuple[int, np.ndarray]:
    """The measurement whose observable a number belongs to, and its derivative (tapes, batch, *shape) by the number."""
    m, own = _measurement(tape, index)
    return m, _observable_slope(plan, given, tape.measurements[m], own)


def _measurement(tape: QuantumScript, index: int) -> tuple[int, int]:
    """The measurement whose observable a number belongs to, and the number's position there."""
    for m, process in enumerate(tape.measurements):
        data = [] if process.obs is None else process.obs.data
        if index < len(data):
            return m, index
        index -= len(data)
    raise DeviceError(f"the tape has no parameter {index} behind those of its observables.")


def is_fixed(tape: QuantumScript, index: int) -> bool:
    """Whether a number of an observable has no derivative: in a variance or probabilities, and in a projector."""
    m, own = _measurement(tape, index)
    process = tape.measurements[m]
    return not isinstance(process, ExpectationMP) or isinstance(_holder(process.obs, own), qml.Projector)


def refuse_fixed(tape: QuantumScript, operators: int) -> None:
    """`DeviceError` where a trainable number has no derivative; `operators`: how many numbers stand before those."""
    for parameter in tape.trainable_params:
        if parameter >= operators and is_fixed(tape, parameter - operators):
            process = tape.measurements[_measurement(tape, parameter - operators)[0]]
            raise DeviceError(
                f"ketgrad.qubit does not differentiate by the parameters of {process}. Mark them as not trainable, or "
                "write what is differentiated with expectation values of Pauli words."
            )


def _holder(observable: Any, index: int) -> Any:
    """The operator that holds the number `index` of an observable's data itself."""
    if isinstance(observable, SProd):
        return observable if index == 0 else _holder(observable.base, index - 1)
    if isinstance(observable, Sum | Prod):
        k, rest = _owner(observable.operands, index)
        return _holder(observable.operands[k], rest)
    return observable


def _observable_slope(plan: TapePlan, given: TapeRows, process: MeasurementProcess, index: int) -> np.ndarray:
    observable = process.obs
    assert observable is not None
    number = np.asarray(qml.math.unwrap([observable.data[index]])[0])
    if not isinstance(process, ExpectationMP) or isinstance(_holder(observable, index), qml.Projector):
        if number.dtype.kind in "fc":  # as jax asks, which takes every number of compiled code for trainable
            warnings.warn(
                f"ketgrad.qubit does not differentiate by the parameters of {process} - it takes them as constants. "
                "Mark them as not trainable to silence this warning.",
                stacklevel=2,
            )
        return np.zeros((given.tapes, given.batch, *number.shape))
    spot = _spot(observable, index, plan.place)
    slope = (_by_matrix if spot.is_matrix else _by_coefficient)(plan, given, spot)
    return (
        slope if number.dtype.kind == "c" else np.real(slope)
    )  # the value is real: Re <A> for a real matrix A


def _spot(observable: Operator, index: int, place: Mapping[Any, int]) -> Spot:
    """The place of the number `index` of the observable's data."""
    if isinstance(observable, SProd):
        if index == 0:
            return Spot(ONE, observable.base, ONE, is_matrix=False)
        inner = _spot(observable.base, index - 1, place)
        return Spot(inner.left * number_of(observable.scalar), inner.inner, inner.right, inner.is_matrix)
    if isinstance(observable, Sum | Prod):
        k, rest = _owner(observable.operands, index)
        inner = _spot(observable.operands[k], rest, place)
        if isinstance(observable, Sum):
            return inner
        before = _product(observable.operands[:k], place)
        behind = _product(observable.operands[k + 1 :], place)
        return Spot(before * inner.left, inner.inner, inner.right * behind, inner.is_matrix)
    if isinstance(observable, qml.Hermitian) and len(observable.wires) <= WIDEST:
        return Spot(ONE, observable, ONE, is_matrix=True)
    raise _refuse(observable)


def _owner(operands: Sequence[Operator], index: int) -> tuple[int, int]:
    """The operand that a number belongs to, and its position there."""
    for k, operand in enumerate(operands):
        if index < len(operand.data):
            return k, index
        index -= len(operand.data)
    raise DeviceError(f"the observable has no parameter {index} behind those of its operands.")


def _product(operands: Sequence[Operator], place: Mapping[Any, int]) -> PauliSum:
    total = ONE
    for operand in operands:
        total = total * _sum_of(operand, place)
    return total


def _sum_of(observable: Operator, place: Mapping[Any, int]) -> PauliSum:
    found = pauli_sum(observable, place)
    if found is None:
        raise _refuse(observable)
    return found


def _refuse(observable: Operator) -> DeviceError:
    return DeviceError(
        f"ketgrad.qubit does not differentiate by the parameters of {observable.name}. Mark them as not trainable, or "
        "use diff_method='parameter-shift'."
    )


# -- expectation values ----------------------------------------------------------------------------------------


def _by_coefficient(plan: TapePlan, given: TapeRows, spot: Spot) -> np.ndarray:
    """(tapes, batch)."""
    return _averages(plan, given, [spot.left * _sum_of(spot.inner, plan.place) * spot.right])[..., 0]


def _by_matrix(plan: TapePlan, given: TapeRows, spot: Spot) -> np.ndarray:
    """(tapes, batch, 2**k, 2**k): tr(P |i><j|) / 2**k = P[j, i] / 2**k is the part of a word P in |i><j|."""
    words = _words([plan.place[wire] for wire in spot.inner.wires])
    if spot.left is ONE and spot.right is ONE:
        values = _word_averages(plan, given, words)
    else:
        values = _averages(
            plan, given, [spot.left * PauliSum(((*word, 1.0),)) * spot.right for word in words]
        )
    return np.swapaxes(words_to_matrix(values), -1, -2) / 2 ** len(spot.inner.wires)


def _words(qubits: Sequence[int]) -> list[Word]:
    """All Pauli words on the qubits; the letters of the first qubit change last, in the order I Z X Y."""
    words = [(0, 0)]
    for qubit in qubits:
        bit = 1 << qubit
        letters = ((0, 0), (0, bit), (bit, 0), (bit, bit))
        words = [(x | more_x, z | more_z) for x, z in words for more_x, more_z in letters]
    return words


def _averages(plan: TapePlan, given: TapeRows, sums: Sequence[PauliSum]) -> np.ndarray:
    """The expectation values (tapes, batch, sums) of Pauli sums, complex ones too, each word asked once."""
    words = sorted({(x, z) for one in sums for x, z, _ in one.terms})
    found = np.zeros((given.tapes, given.batch, len(sums)), np.complex128)
    if not words:
        return found
    values = _word_averages(plan, given, words)
    where = {word: k for k, word in enumerate(words)}
    for column, one in enumerate(sums):
        for x, z, number in one.terms:
            found[..., column] += number * values[..., where[x, z]]
    return found


def _word_averages(plan: TapePlan, given: TapeRows, words: Sequence[Word]) -> np.ndarray:
    """The expectation values (tapes, batch, words) of Pauli words."""
    asked = [PauliSum(((x, z, 1.0),)) for x, z in words]
    circuit, options = given.functions[0].circuit, plan.options
    return values_of(expectation(circuit, asked, dtype=options.dtype, threads=options.threads), given)
