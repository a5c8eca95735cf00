"""The parameter-shift rule: exact derivatives from runs at shifted angles, on any executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ketgrad.foundation.memory import state_bytes
from ketgrad.functions.amplitude_norms import has_variable_amplitudes
from ketgrad.functions.angle_limits import describe
from ketgrad.functions.batch import Batch
from ketgrad.functions.gradients.amplitude_shifts import (
    amplitude_stencil,
    by_amplitude,
    executions,
    freed,
    unit_vectors,
)
from ketgrad.functions.gradients.frequencies import shift_rule
from ketgrad.functions.gradients.rules import Cost, tilted, without_derivative
from ketgrad.functions.gradients.sweeps import Stencil, chain, collapse, sweep, with_offsets
from ketgrad.programs.program import Program


@dataclass(frozen=True)
class ParameterShift:
    """The general parameter-shift rule: exact derivatives from runs of the same circuit at shifted angles.

    Every gate exp(-i t G / 2), controlled or not, makes the output a Fourier sum in t whose frequencies are the
    gaps of its spectrum; 2 R shifted runs give the derivative for R frequencies, and two runs that by an amplitude
    of a prepared state. Works on any executor, with finite shots too. All shifted runs form one batch.

    Mitarai et al. 2018, arXiv:1803.00745; Schuld et al. 2019, arXiv:1811.11184; Wierichs et al. 2022,
    arXiv:2107.12390.

    >>> ParameterShift()
    ParameterShift()
    """

    is_exact: ClassVar[bool] = True
    takes_slope: ClassVar[bool] = True
    is_adjoint: ClassVar[bool] = False
    is_random: ClassVar[bool] = False

    @classmethod
    def suggested(cls) -> tuple[ParameterShift, ...]:
        """The instances that a message may name."""
        return (cls(),)

    def objection(self, executor: Any, program: Program) -> str | None:
        """None unless the output is a state, or frequencies of a gate cannot be told apart."""
        if program.question.is_complex:
            return "it differentiates expectation values and probabilities, not amplitudes"
        for occurrence in program.occurrences:
            frequencies = occurrence.frequencies or ()
            if sum(abs(c) for _, c in shift_rule(frequencies)) > 1e6 * max(frequencies, default=1.0):
                return f"{describe(occurrence)} has frequencies too close to be told apart: {frequencies}"
        return without_derivative(program)

    def cost(self, program: Program) -> Cost:
        """Two executions per frequency of every gate with a variable angle and per amplitude; one for the value."""
        shifts = sum(len(shift_rule(occurrence.frequencies or ())) for occurrence in program.occurrences)
        return Cost(1 + shifts + executions(program), 0, state_bytes(program.num_qubits))

    def vjp(
        self, batch: Batch, cotangent: np.ndarray, slope: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The derivative by every angle from shifted runs, then the chain rule through the angle polynomials."""
        values = batch.run(batch.weights, batch.inputs)
        by_slot = self._by_slot(batch, values, tilted(cotangent, slope, values))
        split = 1 + batch.weights.shape[1]
        by_weights = collapse(by_slot[1:split], len(batch.weights))
        return values, by_weights, collapse(by_slot[split:], len(batch.inputs))

    def jacobian(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """As `vjp`, for every output at once, from the same shifted runs."""
        values = batch.run(batch.weights, batch.inputs) if has_variable_amplitudes(batch.program) else None
        by_slot = np.moveaxis(self._by_slot(batch, values, None), 0, 2)
        split = 1 + batch.weights.shape[1]
        return by_slot[..., 1:split], by_slot[..., split:]

    def _by_slot(self, batch: Batch, values: np.ndarray | None, cotangent: np.ndarray | None) -> np.ndarray:
        """The derivatives by the slots [1, weights, inputs]."""
        rules = [shift_rule(occurrence.frequencies or ()) for occurrence in batch.program.occurrences]
        count, first = len(rules), batch.weights.shape[1] + batch.inputs.shape[1]
        variable = np.repeat(np.arange(count), [len(rule) for rule in rules])
        shift, factor = np.array([pair for rule in rules for pair in rule], dtype=float).reshape(-1, 2).T
        stencil = Stencil(count, variable, first + variable, shift, factor[:, None])
        zeros = np.zeros((len(batch.inputs), count))
        free = batch._replace(
            program=with_offsets(batch.program), inputs=np.concatenate([batch.inputs, zeros], axis=1)
        )
        if not has_variable_amplitudes(batch.program):
            return chain(batch, sweep(free, stencil, cotangent))
        assert values is not None
        unit, _ = unit_vectors(batch)
        rows = np.broadcast_to(free.inputs, (batch.num_rows, free.inputs.shape[1]))
        free = free._replace(
            program=freed(batch.program).program, inputs=np.concatenate([rows, unit], axis=1)
        )
        slopes = sweep(free, amplitude_stencil(batch, 0, first + count), cotangent)
        by_slot = chain(batch, sweep(free, stencil, cotangent))
        slots, derivative = by_amplitude(batch, slopes, values, cotangent)
        np.add.at(by_slot, slots, derivative)
        return by_slot
