"""Tapes that are executed together, as the nodes of every automatic differentiation see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pennylane.tape import QuantumScript

from ketgrad.bridges.pennylane.second_derivatives import Change
from ketgrad.bridges.pennylane.slopes import refuse_fixed


class TapeBatch(NamedTuple):
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
