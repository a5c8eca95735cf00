"""The results of the device as differentiable values of autograd, PyTorch and TensorFlow, and so are their derivatives.

PennyLane's own boundary takes what a device returns as derivative for a number: differentiated once more, it would be a
constant, and a second derivative would be incomplete without a word. Here a derivative is a node that depends on the
parameters and the cotangents, with exact derivatives of its own; third ones are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from autograd.tracer import isbox
from pennylane.tape import QuantumScript

from ketgrad.bridges.pennylane.second import Change
from ketgrad.bridges.pennylane.slopes import refuse_fixed


class Batch(NamedTuple):
    """Tapes that are executed together, and the flat order of their trainable parameters and of their results."""

    device: Any
    tapes: tuple[QuantumScript, ...]
    config: Any

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The trainable parameters of all tapes, one after the other."""
        return tuple(number for tape in self.tapes for number in tape.get_parameters())

    def results(self) -> list[np.ndarray]:
        """The results of all tapes, one after the other."""
        return self.flat(self.device.results_of(self.tapes))

    def slopes(self, cotangents: Sequence[Any]) -> list[np.ndarray]:
        """The derivatives of sum(cotangents * results) by all parameters."""
        for tape in self.tapes:
            refuse_fixed(tape, sum(len(op.data) for op in tape.operations))
        products = self.device.compute_vjp(self.tapes, self.nested(cotangents), self.config)
        return [np.asarray(one) for product in products for one in product]

    def changes(self, cotangents: Sequence[Any], turns: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The derivatives of sum(turns * slopes) by all parameters, and by all cotangents."""
        rest = iter(turns)
        by_tape = [[next(rest) for _ in tape.trainable_params] for tape in self.tapes]
        found: list[Change] = self.device.changes_of(self.tapes, self.nested(cotangents), by_tape)
        by_parameters = [np.asarray(one) for change in found for one in change.by_parameters]
        return by_parameters, self.flat([change.by_cotangents for change in found])

    def flat(self, results: Sequence[Any]) -> list[np.ndarray]:
        """Results by tape and measurement, one after the other."""
        several = (one if isinstance(one, tuple) else (one,) for one in results)
        return [np.asarray(one) for part in several for one in part]

    def nested(self, results: Sequence[Any]) -> tuple[Any, ...]:
        """The inverse of `flat`."""
        rest = iter(results)
        by_tape = (tuple(next(rest) for _ in tape.measurements) for tape in self.tapes)
        return tuple(one if len(one) != 1 else one[0] for one in by_tape)


def differentiable(device: Any, tapes: Sequence[QuantumScript], config: Any) -> tuple[Any, ...]:
    """The results of the tapes, in the library of their parameters."""
    sampled = iter(
        device.results_of([tape for tape in tapes if tape.shots])
    )  # nothing in them is differentiated
    exact = tuple(_with_traced(tape, config.interface) for tape in tapes if not tape.shots)
    batch = Batch(device, exact, config)
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
