"""Results, vector-Jacobian products and Jacobians of tapes that have one plan, in the shapes that PennyLane expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.exceptions import DeviceError
from pennylane.tape import QuantumScript

from ketgrad.bridges.pennylane.readout import Averages, Chances, Others, Part, StateVector
from ketgrad.bridges.pennylane.slopes import coefficient_slopes
from ketgrad.bridges.pennylane.tapes import (
    TapePlan,
    TapeReading,
    TapeRows,
    arguments,
    on_one_axis,
    rows,
    values_of,
)
from ketgrad.functions.function import Function


def results(plan: TapePlan, readings: Sequence[TapeReading]) -> list[Any]:
    """What PennyLane's `execute` returns for each tape."""
    readings, lead = on_one_axis(plan, readings)
    given = rows(plan, readings)
    found: dict[int, np.ndarray] = {}
    for part, function in zip(plan.parts, given.functions, strict=True):
        found |= part.read(values_of(function, given))
    return per_tape(plan, _on_axes(found, lead), given.tapes)


def states(plan: TapePlan, readings: Sequence[TapeReading]) -> list[np.ndarray]:
    """The final states of the tapes: (2, ..., 2), with an axis for the samples in front if the tapes have one."""
    given = rows(plan, readings)
    values = values_of(given.functions[0], given)
    shape = (2,) * len(plan.place)
    return [one.reshape(-1, *shape) if plan.is_batched else one.reshape(shape) for one in values]


def _on_axes(found: dict[int, np.ndarray], lead: tuple[int, ...] | None) -> dict[int, np.ndarray]:
    """Results (tapes, batch, ...) by measurement with the axes of samples that the tape has."""
    if lead is None:
        return found
    return {m: array.reshape(len(array), *lead, *array.shape[2:]) for m, array in found.items()}


def per_tape(plan: TapePlan, found: dict[int, np.ndarray], tapes: int) -> list[Any]:
    """(tapes, batch, ...) by measurement -> for each tape one array, or a tuple of several."""
    several = plan.is_batched
    columns = [found[m] for m in range(len(plan.measurements))]
    split = [[column[t] if several else column[t, 0] for column in columns] for t in range(tapes)]
    return [one[0] if len(one) == 1 else tuple(one) for one in split]


# -- vector-Jacobian products ---------------------------------------------------------------------------------


def vjps(
    plan: TapePlan, readings: Sequence[TapeReading], tapes: Sequence[QuantumScript], cotangents: Sequence[Any]
) -> list[tuple[np.ndarray, ...]]:
    """For each tape one array for each trainable parameter, in the shape of that parameter.

    cotangents: like the results; with one more leading axis, the result has that axis too.
    """
    given = rows_of(plan, readings, tapes)
    cots = [by_measurement(plan, one) for one in cotangents]
    extra = _extra_axis(plan, given, cots)
    if extra is None:
        return _vjps(plan, given, tapes, cots)
    several = [
        _vjps(plan, given, tapes, [{m: c[k] if np.ndim(c) else c for m, c in one.items()} for one in cots])
        for k in range(extra)
    ]
    return [
        tuple(np.stack(column) for column in zip(*one, strict=True)) for one in zip(*several, strict=True)
    ]


def by_measurement(plan: TapePlan, cotangent: Any) -> dict[int, np.ndarray]:
    """The cotangents of one tape, an array or one for each measurement, by the index of the measurement."""
    parts = (
        (cotangent,) if len(plan.measurements) == 1 and not isinstance(cotangent, tuple | list) else cotangent
    )
    return {m: np.asarray(one) for m, one in enumerate(parts)}


def _extra_axis(plan: TapePlan, given: TapeRows, cots: Sequence[dict[int, np.ndarray]]) -> int | None:
    """The number of cotangents for each result, or None where there is one in the shape of the result."""
    for one in cots:
        for m, cotangent in one.items():
            usual = _result_axes(plan, m) + plan.is_batched
            if cotangent.ndim == usual + 1:
                return len(cotangent)
    return None


def _result_axes(plan: TapePlan, measurement: int) -> int:
    """How many axes one result has without samples: 1 for probabilities and states, 0 for averages."""
    averages = [part for part in plan.parts if isinstance(part, Averages)]
    return int(not any(measurement == m for part in averages for m, _, _ in part.entries))


def _vjps(
    plan: TapePlan, given: TapeRows, tapes: Sequence[QuantumScript], cots: Sequence[dict[int, np.ndarray]]
) -> list[tuple[np.ndarray, ...]]:
    full = stacked(plan, given, cots)
    dweights = np.zeros(len(given.weights))
    dinputs = np.zeros((given.tapes, given.batch, int((~given.shared).sum())))
    for part, function in zip(plan.parts, given.functions, strict=True):
        first, rest = _pull(part, function, given, full)
        dweights[: len(first)] += first
        dinputs[..., : rest.shape[-1]] += rest
    return [by_parameter(plan, given, tape, t, (dweights, dinputs), full) for t, tape in enumerate(tapes)]


def stacked(plan: TapePlan, given: TapeRows, cots: Sequence[dict[int, np.ndarray]]) -> dict[int, np.ndarray]:
    """The cotangents of all tapes by measurement: (tapes, batch, ...)."""
    batched, full = plan.is_batched, {}
    for m in range(len(plan.measurements)):
        shape = (1 if not batched else given.batch,)
        columns = [one[m] if batched else one[m][None] for one in cots]
        tail = max((one.shape[1:] for one in columns), key=len)
        full[m] = np.stack([np.broadcast_to(one, shape + tail) for one in columns])
    return full


def _pull(
    part: Part, function: Function, given: TapeRows, cotangents: dict[int, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of one part by the weights (W,) and by the inputs (tapes, batch, X)."""
    if isinstance(part, Others):
        raise refuse_others()
    weights, inputs = arguments(function, given)
    needs_values = isinstance(part, Averages) and part.has_variances
    kind = complex if isinstance(part, StateVector) else float
    blank = np.zeros((given.tapes, given.batch, function.num_outputs), kind)
    values = values_of(function, given) if needs_values else blank
    cotangent = part.pull(cotangents, values)
    cotangent = cotangent.sum(axis=(0, 1)) if inputs is None else cotangent.reshape(-1, function.num_outputs)
    _, dweights, dinputs = function.vjp(weights, inputs, np.ascontiguousarray(cotangent))
    return dweights, dinputs.reshape(given.tapes, given.batch, -1) if inputs is not None else np.zeros(
        (1, 1, 0)
    )


def rows_of(plan: TapePlan, readings: Sequence[TapeReading], tapes: Sequence[QuantumScript]) -> TapeRows:
    """The arrays of one call, in which what is trained stands apart for each of several tapes."""
    apart = sorted({number for tape in tapes for number in _numbers(plan, tape)}) if len(tapes) > 1 else ()
    return rows(plan, readings, apart)


def _numbers(plan: TapePlan, tape: QuantumScript) -> list[int]:
    """The numbers of the plan that the trainable parameters of a tape are."""
    known = plan.parameters
    return [known[k] for k in tape.trainable_params if k < len(known) and known[k] >= 0]


def by_parameter(
    plan: TapePlan,
    given: TapeRows,
    tape: QuantumScript,
    t: int,
    slopes: tuple[np.ndarray, np.ndarray],
    cotangents: dict[int, np.ndarray],
) -> tuple[Any, ...]:
    """The derivatives by the trainable parameters of tape t, in their shapes; slopes: by weights and by inputs."""
    dweights, dinputs = slopes
    ours = np.where(given.shared, np.cumsum(given.shared), np.cumsum(~given.shared)) - 1
    shared, starts, ranks = given.shared.tolist(), plan.starts.tolist(), ours.tolist()
    summed = dinputs[t].sum(axis=0)
    found: list[Any] = []
    for parameter in tape.trainable_params:
        number = plan.parameters[parameter] if parameter < len(plan.parameters) else -1
        if number < 0:
            found.append(_no_slot(plan, given, tape, t, parameter, cotangents))
            continue
        first, last = starts[number], starts[number + 1]
        rank = ranks[first]
        column = rank if last == first + 1 and not plan.vectors[number] else slice(rank, rank + last - first)
        if shared[first]:
            found.append(dweights[column])
        else:
            found.append(dinputs[t][:, column] if plan.batched[number] else summed[column])
    return tuple(found)


def _no_slot(
    plan: TapePlan,
    given: TapeRows,
    tape: QuantumScript,
    t: int,
    parameter: int,
    cotangents: dict[int, np.ndarray],
) -> np.ndarray:
    """The derivative by a parameter of an observable, or of an operator that is a constant here."""
    if parameter < len(plan.parameters):
        return _no_slope(tape, parameter)
    m, slope = coefficient_slopes(plan, given, tape, parameter - len(plan.parameters))
    return np.tensordot(np.real(cotangents[m][t]), slope[t], axes=1)


def _no_slope(tape: QuantumScript, parameter: int) -> np.ndarray:
    """Zeros for bits, of which there is no derivative; a refusal for matrices."""
    op = tape.par_info[parameter]["op"]
    if isinstance(op, qml.BasisState):
        return np.zeros(len(op.wires))
    raise DeviceError(
        f"ketgrad.qubit has no derivative by the parameter of {op.name} - it is a fixed matrix or a complex state "
        "there. Let the device's preprocessing decompose it, or use diff_method='parameter-shift'."
    )


# -- Jacobians ------------------------------------------------------------------------------------------------


def jacobians(
    plan: TapePlan, readings: Sequence[TapeReading], tapes: Sequence[QuantumScript]
) -> tuple[list[Any], list[Any], list[dict[int, list[np.ndarray]]]]:
    """(results, Jacobians, derivatives): the Jacobians as PennyLane wants them, and by measurement and parameter.

    The derivative of a broadcasted result by a broadcasted parameter is that of each sample by its own number.
    """
    readings, lead = on_one_axis(plan, readings)
    given = rows_of(plan, readings, tapes)
    found: dict[int, np.ndarray] = {}
    tables: list[dict[int, list[np.ndarray]]] = [{} for _ in tapes]
    for part, function in zip(plan.parts, given.functions, strict=True):
        if isinstance(part, Others):
            raise refuse_others()
        values = values_of(function, given)
        found |= part.read(values)
        slopes = [_by_sample(one, given) for one in function.jacobian(*arguments(function, given))]
        for t, tape in enumerate(tapes):
            for parameter in tape.trainable_params:
                made = _slopes(plan, part, given, tape, t, parameter, values[t], slopes)
                made = _on_axes({m: result[None] for m, result in made.items()}, lead)
                for m, result in made.items():
                    tables[t].setdefault(m, []).append(result[0] if plan.is_batched else result[0, 0])
    results = per_tape(plan, _on_axes(found, lead), given.tapes)
    return results, [_shape(plan, table) for table in tables], tables


def _by_sample(slopes: np.ndarray, given: TapeRows) -> np.ndarray:
    """(..., K, V) as (tapes, batch, K, V)."""
    outputs, variables = slopes.shape[-2:]
    rows_given = 1 if slopes.ndim == 2 else len(slopes)
    full = np.broadcast_to(
        slopes.reshape(rows_given, outputs, variables), (given.tapes * given.batch, outputs, variables)
    )
    return full.reshape(given.tapes, given.batch, outputs, variables)


def _slopes(
    plan: TapePlan,
    part: Averages | Chances | StateVector,
    given: TapeRows,
    tape: QuantumScript,
    t: int,
    parameter: int,
    values: np.ndarray,
    slopes: Sequence[np.ndarray],
) -> dict[int, np.ndarray]:
    """The derivatives (batch, ...) of the measurements of a part by one parameter."""
    if parameter >= len(plan.parameters):
        owner, found = coefficient_slopes(plan, given, tape, parameter - len(plan.parameters))
        return {m: found[t] if m == owner else np.zeros(len(values)) for m in part.read(values)}
    number = plan.parameters[parameter]
    if number < 0:
        zero = _no_slope(tape, parameter)
        return {m: np.zeros((*result.shape, *zero.shape)) for m, result in part.read(values).items()}
    columns = plan.columns(number)
    ours = given.shared[columns.start]
    table = slopes[0 if ours else 1][t]
    first = int(np.cumsum(given.shared if ours else ~given.shared)[columns.start]) - 1
    width = columns.stop - columns.start
    made = [part.push(table[..., first + k], values) for k in range(width)]
    if not plan.vectors[number]:
        return made[0]
    return {m: np.stack([one[m] for one in made], axis=-1) for m in made[0]}


def _shape(plan: TapePlan, table: dict[int, list[np.ndarray]]) -> Any:
    """A measurement's derivatives as one array for one parameter, else a tuple; a tuple over several measurements."""
    columns = [table.get(m, []) for m in range(len(plan.measurements))]
    shaped = [np.asarray(one[0]) if len(one) == 1 else tuple(map(np.asarray, one)) for one in columns]
    return shaped[0] if len(shaped) == 1 else tuple(shaped)


def refuse_others() -> DeviceError:
    """The refusal of a derivative of measurements that are made from the state."""
    return DeviceError(
        "ketgrad.qubit differentiates expectation values, variances, probabilities and states; tapes with other "
        "measurements must pass the device's preprocessing, which makes them from the state."
    )
