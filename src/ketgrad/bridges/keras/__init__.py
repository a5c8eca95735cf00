"""Keras 3: a `Function` as a layer that trains on the torch, jax and tensorflow back ends, TensorFlow through it.

Which calls go through Python. On jax none for values and gradients of an exact circuit: the layer is a
`kg.jax.function`, and `jit_compile` stays on. On torch the layer is `kg.torch.apply`: one call from Python, as for
every operation there, and a graph break under `jit_compile`. On tensorflow values and derivatives are
`tf.numpy_function`s, two for each training step: they run in graphs (`model.fit`, `tf.function`) but neither under XLA
(`supports_jit` is False there, and `jit_compile="auto"` leaves it off) nor in an exported SavedModel.
"""

from __future__ import annotations

import json
from typing import Any

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, missing_extra
from ketgrad.foundation.numbers import COMPLEX64
from ketgrad.functions.function import Function
from ketgrad.saving import file as saving

try:
    import keras
except ModuleNotFoundError as error:
    if error.name != "keras":
        raise  # the back end that Keras is set to is not installed: Keras's message says which
    raise missing_extra("keras", "keras") from None

__all__ = ["Layer"]


def __dir__() -> list[str]:
    return sorted(__all__)


START = 0.1  # standard deviation of the first weights: near the identity, where gradients are not flat
BACK_ENDS = ("torch", "jax", "tensorflow")


@keras.saving.register_keras_serializable(package="ketgrad", name="Layer")
class Layer(keras.layers.Layer):
    """A circuit as a Keras layer: trained weights inside, inputs (..., num_inputs) to outputs (..., num_outputs).

    function: made by `kg.expectation` or `kg.probabilities`, of a circuit that reads inputs. initializer: a Keras
    initializer or its name, or the values of the weights, shape (num_weights,); None for a normal distribution of
    standard deviation 0.1. seed: of that distribution.
    The other arguments are those of every layer: name, trainable, dtype. The layer computes in float32 or float64,
    as its dtype says (Keras's default: float32), and Keras converts what it is given to that.

    Saves into Keras's own format and loads from it: the configuration holds the circuit, the observables, the
    executor and the gradient rule as JSON text, and no code. A program that loads a model says `kg.keras` first, which
    makes the layer known to Keras. `model.export` and a SavedModel are refused: their graph would have to run without
    this library. Derivatives of first and second order; with shots only first ones, by shift rules.
    Cost: one forward simulation; in training one forward and one backward pass more.
    Raises `KetgradTypeError` for a function without real values or without derivatives and for another dtype,
    `KetgradValueError` for inputs of another width and for a circuit without inputs. Where a compiled graph runs the
    circuit (tensorflow), Keras wraps the message about a value that is not finite; on jax it becomes NaN.

    >>> import keras
    >>> circuit = kg.encodings.angle(2) + kg.ansatz.strongly_entangling(2, layers=1)
    >>> layer = kg.keras.Layer(kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("Z1")]), seed=0)
    >>> model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2), layer, keras.layers.Dense(1)])
    >>> model.output_shape, layer.count_params()
    ((None, 1), 6)
    """

    def __init__(
        self, function: Function, *, initializer: Any = None, seed: int | None = None, **options: Any
    ):
        super().__init__(**options)
        self._check(function)
        self.function = function
        self.seed = seed
        self.initializer = _initializer(initializer, function.num_weights)
        self.circuit_weights: Any = None
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def _check(self, function: Any) -> None:
        if not isinstance(function, Function):
            raise KetgradTypeError(
                "`function` must be made by kg.expectation or kg.probabilities, but is "
                f"{type(function).__name__}."
            )
        if function.question.is_complex or not function.question.differentiable:
            raise KetgradTypeError(
                "`function` must have real values and derivatives, but samples are integers and amplitudes complex - "
                "use kg.expectation or kg.probabilities."
            )
        if not function.num_inputs:
            raise KetgradValueError("the circuit must read inputs - a layer has some - but it reads none.")
        kinds = ("float32",) if function.dtype is COMPLEX64 else ("float32", "float64")
        if self.compute_dtype not in kinds:
            raise KetgradTypeError(
                f"`dtype` must be {' or '.join(kinds)} - the function computes in {function.dtype} - but is "
                f"{self.compute_dtype}. Pass dtype='float32' to this layer."
            )
        if keras.backend.backend() not in BACK_ENDS:
            raise KetgradValueError(
                f"the back end of Keras must be one of {', '.join(BACK_ENDS)} - circuits are trained there - but is "
                f"{keras.backend.backend()}. Set KERAS_BACKEND before Keras is imported."
            )

    def build(self, input_shape: Any) -> None:
        """Make the weights, shape (num_weights,)."""
        width = self.function.num_inputs
        if input_shape[-1] != width:
            reads = "x[0]" + (f" to x[{width - 1}]" if width > 1 else "")
            raise KetgradValueError(
                f"`inputs` must have shape (..., {width}) - the circuit reads {reads} - but has shape "
                f"{tuple(input_shape)}."
            )
        if self.function.num_weights:
            initial = self.initializer or keras.initializers.RandomNormal(stddev=START, seed=self.seed)
            self.circuit_weights = self.add_weight(
                name="weights", shape=(self.function.num_weights,), initializer=initial
            )

    def call(self, inputs: Any) -> Any:
        """The values (..., num_outputs) at `inputs` (..., num_inputs)."""
        weights = self.circuit_weights
        return _values(
            self.function, None if weights is None else keras.ops.convert_to_tensor(weights), inputs
        )

    def _trackable_children(self, save_type: str = "checkpoint", **options: Any) -> Any:
        """What TensorFlow asks before it saves; a SavedModel would call into a process that is gone."""
        if save_type == "savedmodel":
            raise KetgradValueError(
                f"the layer {self.name!r} cannot be exported - a circuit runs in this library, and the graph in the "
                "file would call what only this process has. Keep the model with model.save('model.keras')."
            )
        return super()._trackable_children(save_type, **options)  # type: ignore[misc]  # of the TensorFlow back end

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """(..., num_inputs) to (..., num_outputs)."""
        return (*input_shape[:-1], self.function.num_outputs)

    def get_config(self) -> dict[str, Any]:
        """Everything that makes the layer again; the function as JSON text."""
        own = {
            "function": json.dumps(saving.describe(self.function)),
            "initializer": keras.initializers.serialize(self.initializer) if self.initializer else None,
            "seed": self.seed,
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """The layer of a configuration that `get_config` gave."""
        return super().from_config({**config, "function": saving.restore(json.loads(config["function"]))})


def _initializer(given: Any, num_weights: int) -> Any:
    """What Keras makes of it; values become an initializer that a configuration can hold."""
    if given is None or isinstance(given, str | dict) or callable(given):
        return keras.initializers.get(given)
    values = keras.ops.convert_to_numpy(given)
    if values.shape != (num_weights,):
        raise KetgradValueError(
            f"`initializer` must have shape ({num_weights},) - one value for each weight - but has shape "
            f"{values.shape}."
        )
    return keras.initializers.Constant(values.tolist())


def _values(function: Function, weights: Any, inputs: Any) -> Any:
    """The values by the way of the back end."""
    match keras.backend.backend():
        case "torch":
            from ketgrad.bridges import torch

            return torch.apply(function, weights, inputs)
        case "jax":
            from ketgrad.bridges import jax

            return jax.function(function)(weights, inputs)
        case _:
            from ketgrad.bridges.keras import tensorflow as keras_tensorflow

            return keras_tensorflow.values(function, weights, inputs)
