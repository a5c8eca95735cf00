"""Derivatives along a direction: tangents, products of the Hessian with a vector, and the Hessian itself.

Forward mode over the adjoint method, exact. What has no exact second derivative here is refused, never approximated.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ketgrad.foundation.arrays import check_finite, real_array
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import reserve
from ketgrad.functions.batch import Batch, in_rows, is_plain
from ketgrad.functions.gradients.along_direction import AlongDirection, derivatives
from ketgrad.functions.gradients.rules import is_adjoint
from ketgrad.functions.gradients.sweeps import blocks_at_once, repeat
from ketgrad.functions.value_limits import check_derivatives
from ketgrad.programs.program import Program


class HessianProduct(NamedTuple):
    """Values and first derivatives, and the derivatives of both along a direction.

    values, dweights, dinputs: as of `f.vjp`. tangents: as of `f.jvp`, in the shape of values. hweights, hinputs: the
    derivatives of dweights and dinputs, in their shapes.
    """

    values: np.ndarray
    tangents: np.ndarray
    dweights: np.ndarray
    dinputs: np.ndarray
    hweights: np.ndarray
    hinputs: np.ndarray


class Hessian(NamedTuple):
    """Second derivatives of each sample: (..., W, W), (..., W, X) and (..., X, X)."""

    weights_weights: np.ndarray
    weights_inputs: np.ndarray
    inputs_inputs: np.ndarray


def check_along_directions(rule: Any, executor: Any, program: Program) -> None:
    """Raise `KetgradValueError` with the reason and the way out where second derivatives cannot be had exactly.

    >>> f = kg.expectation(kg.Circuit([kg.rx(kg.w[0], 0)]), kg.Pauli("Z0"), shots=100)
    >>> check_along_directions(f.gradient, f.executor, f.program)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ketgrad.foundation.errors.KetgradValueError: derivatives along a direction cannot be had here: they ...
    """
    if not program.question.differentiable:
        reason = "samples are integers, which have no derivative"
        way_out = "Differentiate kg.expectation or kg.probabilities."
    elif rule is not None and not is_adjoint(rule):
        reason = f"they come from the adjoint method, but this function was made with gradient={rule!r}"
        way_out = "Make it without `gradient`, or with gradient=kg.Adjoint()."
    elif "second" not in executor.abilities:
        able = ", ".join(sorted(executor.abilities))
        reason = f"they read amplitudes, which the executor {executor.name!r} does not give (its abilities: {able})"
        way_out = 'Make the function without `shots`, on an exact executor such as "native".'
    else:
        return
    raise KetgradValueError(f"derivatives along a direction cannot be had here: {reason}. {way_out}")


def tangents(batch: Batch, weights_direction: Any, inputs_direction: Any) -> tuple[np.ndarray, np.ndarray]:
    """(values, tangents) of `Function.jvp`."""
    moves = _directions(batch, weights_direction, inputs_direction)
    if batch.is_empty:
        return batch.no_values(), batch.no_values()
    values, rates = derivatives(AlongDirection(batch, *moves))
    check_derivatives(batch.program, {"tangents": rates})
    return batch.lead_shaped(values), batch.lead_shaped(rates)


def hessian_product(
    batch: Batch,
    cotangent: np.ndarray,
    weights_direction: Any,
    inputs_direction: Any,
    cotangent_direction: np.ndarray | None,
) -> HessianProduct:
    """The result of `Function.hvp`; cotangents in rows, checked."""
    moves = _directions(batch, weights_direction, inputs_direction)
    if batch.is_empty:
        values, zeros = batch.no_values(), batch.no_derivatives()
        return HessianProduct(values, batch.no_values(), *zeros, *batch.no_derivatives())
    found = derivatives(AlongDirection(batch, *moves, cotangent, cotangent_direction))
    values, rates, *first_and_second = found
    result = HessianProduct(
        batch.lead_shaped(values),
        batch.lead_shaped(rates),
        *batch.as_given(*first_and_second[:2]),
        *batch.as_given(*first_and_second[2:]),
    )
    check_derivatives(
        batch.program, {name: array for name, array in result._asdict().items() if name != "values"}
    )
    return result


def hessian(batch: Batch, cotangent: np.ndarray) -> Hessian:
    """The result of `Function.hessian`: products with unit vectors, as many at once as fit into the cache's reach."""
    num_weights, num_inputs = batch.weights_shape[-1], batch.inputs_shape[-1]
    samples, count = math.prod(batch.lead), num_weights + num_inputs
    reserve(
        2 * batch.real.itemsize * samples * count**2,
        f"the Hessian of {samples} samples and {count} variables",
        "Use f.hvp, which needs one number per variable, or smaller batches.",
    )
    full = np.zeros((samples, count, count), batch.real)
    step = blocks_at_once(batch, 2 * (batch.program.num_outputs + count))
    for start in range(0, count if samples else 0, step):
        part = range(start, min(count, start + step))
        size = (len(part), samples)
        move = np.repeat(np.eye(count, dtype=batch.real)[part.start : part.stop], samples, axis=0)
        blocks = batch._replace(weights=repeat(batch.weights, *size), inputs=repeat(batch.inputs, *size))
        by_weights, by_inputs = (np.ascontiguousarray(m) for m in np.split(move, [num_weights], axis=1))
        found = derivatives(AlongDirection(blocks, by_weights, by_inputs, repeat(cotangent, *size)))
        rates = np.concatenate(found[4:], axis=1).reshape(*size, count)
        full[:, part.start : part.stop] = rates.swapaxes(0, 1)
    full = full.reshape(*batch.lead, count, count)
    mine, other = slice(0, num_weights), slice(num_weights, count)
    result = Hessian(full[..., mine, mine], full[..., mine, other], full[..., other, other])
    check_derivatives(batch.program, result._asdict())
    return result


def _directions(
    batch: Batch, weights_direction: Any, inputs_direction: Any
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The directions in the rows of their variables, checked; None for zero."""
    return (
        _direction(weights_direction, "weights", batch.weights_shape, batch),
        _direction(inputs_direction, "inputs", batch.inputs_shape, batch),
    )


def _direction(direction: Any, name: str, shape: tuple[int, ...], batch: Batch) -> np.ndarray | None:
    if direction is None:
        return None
    if is_plain(direction, batch.real, shape):
        return in_rows(direction, batch.lead, batch.real, name)
    array = real_array(direction, f"{name}_direction")
    if array.shape != shape:
        raise KetgradValueError(
            f"`{name}_direction` must have shape {shape} - that of `{name}`, of which it is a change - but has shape "
            f"{array.shape}."
        )
    check_finite(array, f"{name}_direction")
    return in_rows(array, batch.lead, batch.real, f"{name}_direction")
