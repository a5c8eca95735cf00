"""Inputs that a circuit reads through functions such as arccos(x[0]), or as amplitudes of a prepared state, in JAX."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ketgrad.bridges.jax import primitives
from ketgrad.bridges.jax.calls import BoundCall
from ketgrad.circuits.angles import INPUT_FUNCTIONS
from ketgrad.functions.amplitude_norms import NORM_TOLERANCE, has_variable_amplitudes
from ketgrad.functions.input_functions import INWARDS
from ketgrad.programs.program import STATE_PREPARATION, Program

IN_JAX = {"arccos": jnp.arccos}  # the functions of `INPUT_FUNCTIONS`


def circuit_values(call: BoundCall, weights: Any, inputs: Any) -> Any:
    """The values (B, K) at weights (1 or B, W) and the user's inputs (1 or B, X)."""
    program = call.program
    columns = inputs
    if program.input_map is None:
        values = primitives.value(call, weights, inputs)
    else:
        columns = jax.lax.stop_gradient(_columns(program, inputs))
        values = _value_and_slope_beside(
            call, weights, columns, _columns(program, _moved_inwards(program, inputs))
        )
    if has_variable_amplitudes(program):
        values = values * jnp.where(_are_states(program, weights, columns), 1.0, jnp.nan).astype(
            weights.dtype
        )
    return values


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _value_and_slope_beside(call: BoundCall, weights: Any, columns: Any, inner: Any) -> Any:
    """The values at `columns`, with the derivatives that they have at `inner`: equal but at the ends of intervals."""
    return primitives.value(call, weights, columns)


@_value_and_slope_beside.defjvp
def _slope_beside(call: BoundCall, primals: Any, tangents: Any) -> tuple[Any, Any]:
    weights, columns, inner = primals
    by_weights, _, by_inner = tangents
    found = _value_and_slope_beside(call, weights, columns, inner)
    return found, primitives.jvp(call, weights, inner, (by_weights, by_inner))


def _columns(program: Program, inputs: Any) -> Any:
    """The columns that the program reads; NaN outside the interval of a function."""
    parts = [
        inputs[:, j] if name == "identity" else IN_JAX[name](inputs[:, j])
        for name, j in program.input_map or ()
    ]
    return jnp.stack(parts, axis=1)


def _moved_inwards(program: Program, inputs: Any) -> Any:
    """The inputs, those at an end of a function's interval a little inside; with the derivative of the inputs."""
    margin = INWARDS[np.dtype(inputs.dtype)]
    moved = inputs
    for name, j in program.input_map or ():
        if name != "identity":
            low, high = INPUT_FUNCTIONS[name].low, INPUT_FUNCTIONS[name].high
            column = inputs[:, j]
            inside = jnp.where(column == low, low + margin, jnp.where(column == high, high - margin, column))
            moved = moved.at[:, j].set(column + jax.lax.stop_gradient(inside - column))
    return moved


def _are_states(program: Program, weights: Any, columns: Any) -> Any:
    """(B, 1): whether every vector that a prepared state takes from variables has norm 1, or can be normalised."""
    batch = primitives.batch_of(weights, columns)
    parts = jnp.ones((1, 1), weights.dtype), weights, columns
    slots = jnp.concatenate([jnp.broadcast_to(part, (batch, part.shape[1])) for part in parts], axis=1)
    slots = jax.lax.stop_gradient(slots)
    fits = jnp.ones((batch,), bool)
    for k in np.flatnonzero(program.kind == STATE_PREPARATION):
        part = slice(int(program.data_start[k]), int(program.data_start[k + 1]))
        size = jnp.abs(program.data[part]).astype(weights.dtype)
        sizes = size * slots[:, program.amplitude_slot[part]]
        largest = jnp.max(
            jnp.abs(sizes), axis=1, keepdims=True
        )  # the squares of 1e-200 or 1e200 would be 0 or infinite
        unit = jnp.where(largest > 0, largest, 1.0)
        norm = jnp.linalg.norm(sizes / unit, axis=1) * unit[:, 0]
        tolerance = NORM_TOLERANCE[np.dtype(weights.dtype)]
        fits &= (norm > 0) if program.normalize[k] else (jnp.abs(norm - 1) <= tolerance)
    return fits[:, None]
