"""Derivatives along a direction: tangents, products of the Hessian with a vector, and the Hessian itself.

Forward mode over the adjoint method, exact. What has no exact second derivative here is refused, never approximated.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ketgrad.arguments import check_finite, real_array
from ketgrad.errors import KetgradValueError
from ketgrad.gradients import Adjoint
from ketgrad.memory import reserve
from ketgrad.program import Program, Samples, State
from ketgrad.rows import Rows, bend_inputs, chain_inputs, in_rows, push_inputs, unbroadcast
from ketgrad.shifts import Point, blocks_at_once, repeat


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


def check_usable(rule: Any, executor: Any, program: Program) -> None:
    """Raise `KetgradValueError` with the reason and the way out where second derivatives cannot be had exactly.

    >>> f = kg.expectation(kg.Circuit([kg.rx(kg.w[0], 0)]), kg.Pauli("Z0"), shots=100)
    >>> check_usable(f.gradient, f.executor, f.program)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ketgrad.errors.KetgradValueError: derivatives along a direction cannot be had here: they read amplitudes, ...
    """
    if isinstance(program.question, Samples):
        reason = "samples are integers, which have no derivative"
        way_out = "Differentiate kg.expectation or kg.probabilities."
    elif rule is not None and not isinstance(rule, Adjoint):
        reason = f"they come from the adjoint method, but this function was made with gradient={rule!r}"
        way_out = "Make it without `gradient`, or with gradient=kg.Adjoint()."
    elif "second" not in executor.abilities:
        able = ", ".join(sorted(executor.abilities))
        reason = f"they read amplitudes, which the executor {executor.name!r} does not give (its abilities: {able})"
        way_out = 'Make the function without `shots`, on an exact executor such as "native".'
    else:
        return
    raise KetgradValueError(f"derivatives along a direction cannot be had here: {reason}. {way_out}")


def tangents(
    point: Point, rows: Rows, weights_direction: Any, inputs_direction: Any
) -> tuple[np.ndarray, np.ndarray]:
    """(values, tangents) of `Function.jvp`."""
    shape = (*rows.lead, point.program.num_outputs)
    weights_move = _direction(weights_direction, "weights", rows.weights_shape, rows)
    inputs_move = _direction(inputs_direction, "inputs", rows.inputs_shape, rows)
    if math.prod(rows.lead) == 0:
        return _nothing(point, shape), _nothing(point, shape)
    moves = weights_move, push_inputs(point.program, point.inputs, inputs_move)
    values, rates = point.executor.jvp(
        point.program, point.weights, point.inputs, *moves, dtype=point.dtype, threads=point.threads
    )
    return values.reshape(shape), rates.reshape(shape)


def hessian_product(
    point: Point,
    rows: Rows,
    cotangent: np.ndarray,
    weights_direction: Any,
    inputs_direction: Any,
    cotangent_direction: np.ndarray | None,
) -> HessianProduct:
    """The result of `Function.hvp`; cotangents in rows, checked."""
    shape = (*rows.lead, point.program.num_outputs)
    weights_move = _direction(weights_direction, "weights", rows.weights_shape, rows)
    inputs_move = _direction(inputs_direction, "inputs", rows.inputs_shape, rows)
    shapes = (rows.weights_shape, rows.inputs_shape)
    if math.prod(rows.lead) == 0:
        zeros = [np.zeros(s, point.weights.dtype) for s in (*shapes, *shapes)]
        return HessianProduct(_nothing(point, shape), _nothing(point, shape), *zeros)
    found = _product(point, cotangent, weights_move, inputs_move, cotangent_direction)
    values, rates = (array.reshape(shape) for array in found[:2])
    rest = (unbroadcast(g, rows.lead, s) for g, s in zip(found[2:], shapes * 2, strict=True))
    return HessianProduct(values, rates, *(g.astype(point.weights.dtype, copy=False) for g in rest))


def hessian(point: Point, rows: Rows, cotangent: np.ndarray) -> Hessian:
    """The result of `Function.hessian`: products with unit vectors, as many at once as fit into the cache's reach."""
    num_weights, num_inputs = rows.weights_shape[-1], rows.inputs_shape[-1]
    batch, count = math.prod(rows.lead), num_weights + num_inputs
    real = point.weights.dtype
    reserve(
        2 * real.itemsize * batch * count**2,
        f"the Hessian of {batch} samples and {count} variables",
        "Use f.hvp, which needs one number per variable, or smaller batches.",
    )
    full = np.zeros((batch, count, count), real)
    step = blocks_at_once(point, 2 * (point.program.num_outputs + count)) if batch else 1
    for start in range(0, count if batch else 0, step):
        part = range(start, min(count, start + step))
        size = (len(part), batch)
        move = np.repeat(np.eye(count, dtype=real)[part.start : part.stop], batch, axis=0)
        blocks = point._replace(weights=repeat(point.weights, *size), inputs=repeat(point.inputs, *size))
        by_weights, by_inputs = (np.ascontiguousarray(m) for m in np.split(move, [num_weights], axis=1))
        found = _product(blocks, repeat(cotangent, *size), by_weights, by_inputs, None)
        rates = np.concatenate(found[4:], axis=1).reshape(*size, count)
        full[:, part.start : part.stop] = rates.swapaxes(0, 1)
    full = full.reshape(*rows.lead, count, count)
    mine, other = slice(0, num_weights), slice(num_weights, count)
    return Hessian(full[..., mine, mine], full[..., mine, other], full[..., other, other])


def _product(
    point: Point,
    cotangent: np.ndarray,
    weights_move: np.ndarray | None,
    inputs_move: np.ndarray | None,
    cotangent_move: np.ndarray | None,
) -> list[np.ndarray]:
    """The six arrays in rows, by the user's inputs."""
    program = point.program

    def run(columns: np.ndarray) -> list[np.ndarray]:
        return list(
            point.executor.hvp(
                program,
                point.weights,
                columns,
                cotangent,
                weights_move,
                column_moves,
                cotangent_move,
                dtype=point.dtype,
                threads=point.threads,
            )
        )

    column_moves = push_inputs(program, point.inputs, inputs_move)
    found = run(point.inputs)
    if program.input_map is not None:
        by_column = found[3]
        for k in (3, 5):
            found[k] = chain_inputs(program, point.inputs, found[k], lambda columns, k=k: run(columns)[k])
        found[5] = found[5] + bend_inputs(program, point.inputs, inputs_move, by_column)
    return found


def _direction(direction: Any, name: str, shape: tuple[int, ...], rows: Rows) -> np.ndarray | None:
    """A direction in the rows of its variable, checked; None for zero."""
    if direction is None:
        return None
    array = real_array(direction, f"{name}_direction")
    if array.shape != shape:
        raise KetgradValueError(
            f"`{name}_direction` must have shape {shape} - that of `{name}`, of which it is a change - but has shape "
            f"{array.shape}."
        )
    check_finite(array, f"{name}_direction")
    return in_rows(array, rows.lead, rows.weights.dtype, f"{name}_direction")


def _nothing(point: Point, shape: tuple[int, ...]) -> np.ndarray:
    """Values of no samples."""
    return np.zeros(shape, point.dtype if isinstance(point.program.question, State) else point.weights.dtype)
