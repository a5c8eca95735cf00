"""Functions of a composed question: the chain rule around the function of its base.

With the values v of the base and y = g(v), all that is needed of g are its derivative along a change, its transpose,
and how that transpose changes (`programs.question.ComposedQuestion`). The derivatives of v by weights and inputs come
from the gradient rule of the base, so that a rule never has to know g. Values come first and from draws of their own:
with shots, products such as v dv are then unbiased.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ketgrad.functions.batch import converted
from ketgrad.functions.cotangents import as_cotangent, missing_cotangent
from ketgrad.functions.gradients.directional import Hessian, HessianProduct


def values(function: Any, weights: Any, inputs: Any) -> np.ndarray:
    """y (..., outputs)."""
    return of_base(function, function.base(weights, inputs))


def of_base(function: Any, base: Any) -> Any:
    """The values of a function from those of its base, as arrays of any library; of others what they are."""
    return base if function.base is None else function.question.values(base)


def vjp(
    function: Any, weights: Any, inputs: Any, cotangent: Any, slope: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `Function.vjp`: that of the base, with the cotangent pulled back through g."""
    question, base = function.question, function.base(weights, inputs)
    found = question.values(base)
    direction = _checked(function, cotangent, found, "cotangent")
    if slope is not None:
        direction = direction + _checked(function, slope, found, "slope") * found
    return found, *function.base.vjp(weights, inputs, question.pulled_back(base, direction))[1:]


def jacobian(function: Any, weights: Any, inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    """As `Function.jacobian`: g'(v) times that of the base."""
    base = function.base(weights, inputs)[..., None, :]
    by_weights, by_inputs = (
        _transposed(function.question.tangents(base, _transposed(part)))
        for part in function.base.jacobian(weights, inputs)
    )
    return by_weights, by_inputs


def jvp(
    function: Any, weights: Any, inputs: Any, weights_direction: Any, inputs_direction: Any
) -> tuple[np.ndarray, np.ndarray]:
    """As `Function.jvp`: dy = g'(v) dv."""
    base, change = function.base.jvp(weights, inputs, weights_direction, inputs_direction)
    return function.question.values(base), function.question.tangents(base, change)


def hvp(
    function: Any,
    weights: Any,
    inputs: Any,
    cotangent: Any,
    weights_direction: Any,
    inputs_direction: Any,
    cotangent_direction: Any,
) -> HessianProduct:
    """As `Function.hvp`: that of the base, with the cotangent g'(v)^T c and its change along the direction."""
    question, directions = function.question, (weights_direction, inputs_direction)
    base, change = function.base.jvp(weights, inputs, *directions)
    found = question.values(base)
    direction = _checked(function, cotangent, found, "cotangent")
    pulled, moved = (
        question.pulled_back(base, direction),
        question.pulled_back_change(base, change, direction),
    )
    if cotangent_direction is not None:
        other = _checked(function, cotangent_direction, found, "cotangent_direction")
        moved = moved + question.pulled_back(base, other)
    rest = function.base.hvp(weights, inputs, pulled, *directions, moved)[2:]
    return HessianProduct(found, question.tangents(base, change), *rest)


def hessian(function: Any, weights: Any, inputs: Any, cotangent: Any) -> Hessian:
    """As `Function.hessian`: that of the base for g'(v)^T c, and J^T (c g''(v)) J with the Jacobian J of the base."""
    question, base = function.question, function.base(weights, inputs)
    direction = _checked(function, cotangent, question.values(base), "cotangent")
    straight = function.base.hessian(weights, inputs, question.pulled_back(base, direction))
    by_weights, by_inputs = (_transposed(part) for part in function.base.jacobian(weights, inputs))

    def bent(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        moved = question.pulled_back_change(base[..., None, :], first, direction[..., None, :])
        return np.real(np.conj(moved) @ _transposed(second))

    return Hessian(
        straight.weights_weights + bent(by_weights, by_weights),
        straight.weights_inputs + bent(by_weights, by_inputs),
        straight.inputs_inputs + bent(by_inputs, by_inputs),
    )


def _transposed(array: np.ndarray) -> np.ndarray:
    return np.swapaxes(array, -1, -2)


def _checked(function: Any, given: Any, found: np.ndarray, name: str) -> np.ndarray:
    """A cotangent in the shape and type of the values; None is the derivative of a single output."""
    if given is None:
        if name != "cotangent" or function.num_outputs != 1:
            raise missing_cotangent(name, function.num_outputs, function.question.outputs)
        given = np.ones(1)
    array = as_cotangent(given, found.shape, function.question.is_complex, name)
    return converted(array, found.dtype, name)
