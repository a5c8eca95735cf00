"""The general way of a call: arguments of any kind become a batch, and derivatives come from the gradient rule.

The same names as in `composed`, which goes round the function of the base of a composed question.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ketgrad.functions.cotangents import cotangent_rows, slope_rows
from ketgrad.functions.gradients import by_arguments, directional
from ketgrad.programs.questions import unpacked


def values(function: Any, weights: Any, inputs: Any) -> np.ndarray:
    """As `Function.__call__`."""
    found = function._batch(weights, inputs).values()
    unpack = function.question.is_drawn and not function.packed
    return unpacked(found, function.circuit.num_qubits) if unpack else found


def vjp(
    function: Any, weights: Any, inputs: Any, cotangent: Any, slope: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `Function.vjp`."""
    rule, batch = function._rule, function._batch(weights, inputs)
    direction = cotangent_rows(function.question, batch, cotangent)
    tilt = None if slope is None else slope_rows(function.question, batch, slope)
    return by_arguments.vector_jacobian_product(rule, batch, direction, tilt)


def jacobian(function: Any, weights: Any, inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    """As `Function.jacobian`."""
    rule = function._rule
    return by_arguments.jacobian(rule, function._batch(weights, inputs))


def jvp(
    function: Any, weights: Any, inputs: Any, weights_direction: Any, inputs_direction: Any
) -> tuple[np.ndarray, np.ndarray]:
    """As `Function.jvp`."""
    directional.check_along_directions(function.gradient, function.executor, function.program)
    return directional.tangents(function._batch(weights, inputs), weights_direction, inputs_direction)


def hvp(
    function: Any,
    weights: Any,
    inputs: Any,
    cotangent: Any,
    weights_direction: Any,
    inputs_direction: Any,
    cotangent_direction: Any,
) -> directional.HessianProduct:
    """As `Function.hvp`."""
    directional.check_along_directions(function.gradient, function.executor, function.program)
    question, batch, change = function.question, function._batch(weights, inputs), cotangent_direction
    return directional.hessian_product(
        batch,
        cotangent_rows(question, batch, cotangent),
        weights_direction,
        inputs_direction,
        None if change is None else cotangent_rows(question, batch, change, "cotangent_direction"),
    )


def hessian(function: Any, weights: Any, inputs: Any, cotangent: Any) -> directional.Hessian:
    """As `Function.hessian`."""
    directional.check_along_directions(function.gradient, function.executor, function.program)
    batch = function._batch(weights, inputs)
    return directional.hessian(batch, cotangent_rows(function.question, batch, cotangent))
