"""The operations that a circuit adds to the graph of TensorFlow: values, derivatives, and derivatives of those.

Each is a `tf.numpy_function`: the graph calls back into Python, where the core takes the arrays over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.functions.function import Function


def values(function: Function, weights: Any, inputs: Any) -> Any:
    """f(weights, inputs) as a tensor, differentiable twice in reverse mode."""
    weights = tf.zeros(0, inputs.dtype) if weights is None else tf.convert_to_tensor(weights)

    @tf.custom_gradient
    def run(weights: Any, inputs: Any) -> tuple[Any, Callable[..., Any]]:
        found = tf.numpy_function(function, [weights, inputs], inputs.dtype)
        found.set_shape([*inputs.shape[:-1], function.num_outputs])
        return found, lambda cotangent: _pullback(function, weights, inputs, cotangent)

    return run(weights, inputs)


def _pullback(function: Function, weights: Any, inputs: Any, cotangent: Any) -> Any:
    """(dweights, dinputs) of sum(cotangent * values)."""

    def vjp(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return function.vjp(*arrays)[1:]

    weights, inputs, cotangent = _here(weights, inputs, cotangent)

    @tf.custom_gradient
    def run(weights: Any, inputs: Any, cotangent: Any) -> tuple[Any, Callable[..., Any]]:
        given = (weights, inputs, cotangent)
        return _call(vjp, given, given[:2]), lambda *moves: _curvature(function, *given, *moves)

    return run(weights, inputs, cotangent)


def _curvature(function: Function, *given: Any) -> Any:
    """(hweights, hinputs, tangents) at (weights, inputs, cotangent, dweights, dinputs)."""

    def hvp(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        found = function.hvp(*arrays)
        return found.hweights, found.hinputs, found.tangents

    def refuse(*_: Any) -> Any:
        raise KetgradValueError(
            "a third derivative of a circuit was asked for, but only values, first and second derivatives are provided."
        )

    @tf.custom_gradient
    def run(*given: Any) -> tuple[Any, Callable[..., Any]]:
        return _call(hvp, given, given[:3]), refuse

    return run(*_here(*given))


def _here(*tensors: Any) -> tuple[Any, ...]:
    """The tensors in the graph that is built now: a gradient is built in a graph of its own, and again its gradient."""
    return tuple(map(tf.identity, tensors))


def _call(compute: Callable[..., Any], given: tuple[Any, ...], like: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arrays that `compute` returns, as tensors of the shapes and types of `like`."""
    found = tf.numpy_function(compute, list(given), [tensor.dtype for tensor in like])
    for tensor, model in zip(found, like, strict=True):
        tensor.set_shape(model.shape)
    return tuple(found)
