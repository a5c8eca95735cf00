"""Second derivatives of tapes: how their vector-Jacobian products change with parameters and with cotangents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane.exceptions import DeviceError
from pennylane.tape import QuantumScript

from ketgrad.bridges.pennylane.calls import (
    by_measurement,
    by_parameter,
    per_tape,
    refuse_others,
    rows_of,
    stacked,
)
from ketgrad.bridges.pennylane.readout import Averages, Others, Part, StateVector
from ketgrad.bridges.pennylane.tapes import TapePlan, TapeReading, TapeRows, arguments, directions, values_of
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.functions.function import Function


class Change(NamedTuple):
    """For one tape: the derivatives of sum(turns * vjp) by its parameters, and by its cotangents (like its results)."""

    by_parameters: tuple[Any, ...]
    by_cotangents: Any


def changes(
    plan: TapePlan,
    readings: Sequence[TapeReading],
    tapes: Sequence[QuantumScript],
    cotangents: Sequence[Any],
    turns: Sequence[Sequence[Any]],
) -> list[Change]:
    """One `Change` for each tape. turns: for each tape one array for each trainable parameter, in its shape.

    One Hessian-vector product, exact. Refused where a trained parameter belongs to an observable.
    """
    given = rows_of(plan, readings, tapes)
    full = stacked(plan, given, [by_measurement(plan, one) for one in cotangents])
    moved = [_direction(plan, *each) for each in zip(readings, tapes, turns, strict=True)]
    moves = directions(plan, moved, given)
    found: dict[int, np.ndarray] = {}
    hweights = np.zeros(len(given.weights))
    hinputs = np.zeros((given.tapes, given.batch, int((~given.shared).sum())))
    for part, function in zip(plan.parts, given.functions, strict=True):
        along, first, rest = _product(part, function, given, moves, full)
        hweights[: len(first)] += first
        hinputs[..., : rest.shape[-1]] += rest
        found |= along
    results = per_tape(plan, found, given.tapes)
    return [
        Change(by_parameter(plan, given, tape, t, (hweights, hinputs), full), results[t])
        for t, tape in enumerate(tapes)
    ]


def _direction(
    plan: TapePlan, reading: TapeReading, tape: QuantumScript, turns: Sequence[Any]
) -> TapeReading:
    """The turns of the trainable parameters in the places of their numbers, zero for the others."""
    numbers = [np.zeros(np.shape(number)) if np.ndim(number) else 0.0 for number in reading.numbers]
    for parameter, turn in zip(tape.trainable_params, turns, strict=True):
        if parameter >= len(plan.parameters):
            raise refuse_second(
                "a trained parameter belongs to an observable. Mark the numbers of observables as not trainable"
            )
        number = plan.parameters[parameter]
        if number >= 0:
            array = np.real(np.asarray(turn)).astype(np.float64)
            numbers[number] = array if array.ndim else float(array)
        elif not isinstance(tape.par_info[parameter]["op"], qml.BasisState):
            raise refuse_second("a trained parameter is a matrix or a complex state")
    return TapeReading(reading.key, numbers)


def _product(
    part: Part, function: Function, given: TapeRows, moves: TapeRows, cotangents: dict[int, np.ndarray]
) -> tuple[dict[int, np.ndarray], np.ndarray, np.ndarray]:
    """(tangents of the results, second derivatives by the weights (W,) and by the inputs (tapes, batch, X))."""
    if isinstance(part, Others):
        raise refuse_others()
    weights, inputs = arguments(function, given)
    dweights, dinputs = arguments(function, moves)
    lead = (given.tapes, given.batch)
    kind = complex if isinstance(part, StateVector) else float
    blank = np.zeros((*lead, function.num_outputs), kind)
    values = values_of(function, given) if isinstance(part, Averages) and part.has_variances else blank
    change = None
    if isinstance(part, Averages) and part.has_variances:
        tangents = np.broadcast_to(
            function.jvp(weights, inputs, dweights, dinputs)[1].reshape(*_lead(inputs, lead), -1), blank.shape
        )
        change = _rows(part.bend(cotangents, tangents), inputs)
    cotangent = _rows(part.pull(cotangents, values), inputs)
    try:
        product = function.hvp(weights, inputs, cotangent, dweights, dinputs, change)
    except KetgradValueError as error:
        raise refuse_second(str(error).rstrip(".")) from error
    tangents = np.broadcast_to(
        product.tangents.reshape(*_lead(inputs, lead), function.num_outputs), (*lead, function.num_outputs)
    )
    rest = np.zeros((1, 1, 0)) if inputs is None else product.hinputs.reshape(*lead, -1)
    return part.push(tangents, values), product.hweights, rest


def _lead(inputs: np.ndarray | None, lead: tuple[int, int]) -> tuple[int, int]:
    return (1, 1) if inputs is None else lead


def _rows(cotangent: Any, inputs: np.ndarray | None) -> Any:
    """(tapes, batch, K) as rows of a call; summed, where one row is all there is."""
    if cotangent is None:
        return None
    summed = cotangent.sum(axis=(0, 1)) if inputs is None else cotangent.reshape(-1, cotangent.shape[-1])
    return np.ascontiguousarray(summed)


def refuse_second(why: str) -> DeviceError:
    """The refusal of a second derivative."""
    return DeviceError(
        f"a second derivative was asked for, of which ketgrad.qubit has none here: {why}, or make the QNode with "
        "diff_method='parameter-shift', max_diff=2."
    )


def refuse_third() -> DeviceError:
    """The refusal of a third derivative."""
    return DeviceError(
        "a third derivative was asked for, but ketgrad.qubit has first and second ones. Make the QNode with "
        "diff_method='parameter-shift', max_diff=3."
    )
