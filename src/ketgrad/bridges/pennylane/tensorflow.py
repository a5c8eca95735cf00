"""The results of the device as values of TensorFlow with gradients of their own: results, slopes, changes of these.

Derivatives by complex numbers are those of TensorFlow: those of PennyLane, which the device takes and gives, are their
conjugates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ketgrad.bridges.pennylane import graphs as pennylane_graphs
from ketgrad.bridges.pennylane.second_derivatives import refuse_third
from ketgrad.bridges.pennylane.tape_batch import TapeBatch


def results(batch: TapeBatch) -> tuple[Any, ...]:
    """The results of all tapes, one after the other."""
    if not tf.executing_eagerly():
        return pennylane_graphs.results(batch, _node)
    found = tuple(tf.convert_to_tensor(array) for array in batch.results())
    parameters = [tf.convert_to_tensor(number) for number in batch.parameters]
    return _node(found, parameters, lambda *cotangents: _slopes(batch, parameters, cotangents))


def _slopes(batch: TapeBatch, parameters: Sequence[Any], cotangents: Sequence[Any]) -> tuple[Any, ...]:
    slopes = _conjugates(batch.slopes(_conjugates(_arrays(cotangents))))
    found = _like(slopes, parameters)
    return _node(
        found, [*parameters, *cotangents], lambda *turns: _changes(batch, parameters, cotangents, turns)
    )


def _changes(
    batch: TapeBatch, parameters: Sequence[Any], cotangents: Sequence[Any], turns: Sequence[Any]
) -> tuple[Any, ...]:
    by_parameters, by_cotangents = batch.changes(_conjugates(_arrays(cotangents)), _arrays(turns))
    found = (*_like(by_parameters, parameters), *_like(by_cotangents, cotangents))

    def refuse(*_: Any) -> Any:
        raise refuse_third()

    return _node(found, [*parameters, *cotangents, *turns], refuse)


def _node(found: tuple[Any, ...], arguments: Sequence[Any], pull: Callable[..., Any]) -> tuple[Any, ...]:
    """Tensors that were computed before, as a function of arguments with this gradient."""

    @tf.custom_gradient
    def run(*_: Any) -> tuple[Any, Callable[..., Any]]:
        return found, pull

    return run(*arguments)


def _arrays(tensors: Sequence[Any]) -> list[np.ndarray]:
    return [tensor.numpy() for tensor in tensors]


def _conjugates(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.conj(array) for array in arrays]


def _like(arrays: Sequence[np.ndarray], tensors: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(tf.cast(array, tensor.dtype) for array, tensor in zip(arrays, tensors, strict=True))
