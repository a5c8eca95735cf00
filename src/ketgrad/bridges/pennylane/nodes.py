"""The results of the device as differentiable values of autograd, PyTorch and TensorFlow, and so are their derivatives.

PennyLane's own boundary takes what a device returns as derivative for a number: differentiated once more, it would be a
constant, and a second derivative would be incomplete without a word. Here a derivative is a node that depends on the
parameters and the cotangents, with exact derivatives of its own; third ones are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pennylane as qml
from autograd.tracer import isbox
from pennylane.tape import QuantumScript

from ketgrad.bridges.pennylane.tape_batch import TapeBatch


def differentiable(device: Any, tapes: Sequence[QuantumScript], config: Any) -> tuple[Any, ...]:
    """The results of the tapes, in the library of their parameters."""
    sampled = iter(
        device.results_of([tape for tape in tapes if tape.shots])
    )  # nothing in them is differentiated
    exact = tuple(_with_traced(tape, config.interface) for tape in tapes if not tape.shots)
    batch = TapeBatch(device, exact, config)
    if config.interface == qml.math.Interface.TORCH:
        from ketgrad.bridges.pennylane.torch import results
    elif config.interface in (qml.math.Interface.TF, qml.math.Interface.TF_AUTOGRAPH):
        from ketgrad.bridges.pennylane.tensorflow import results
    else:
        from ketgrad.bridges.pennylane.autograd import results
    made = iter(batch.nested(results(batch)))
    return tuple(next(sampled) if tape.shots else next(made) for tape in tapes)


def _with_traced(tape: QuantumScript, interface: Any) -> QuantumScript:
    """The tape with those parameters as trainable that are differentiated now.

    To autograd an array counts as trainable wherever it comes from, a matrix that nobody differentiates by too.
    """
    numbers = tape.get_parameters(trainable_only=False)
    if interface != qml.math.Interface.AUTOGRAD:
        traced = sorted(qml.math.get_trainable_indices(numbers))
    else:
        traced = [k for k, number in enumerate(numbers) if isbox(number)]
    return tape if tape.trainable_params == traced else tape.copy(trainable_params=traced)
