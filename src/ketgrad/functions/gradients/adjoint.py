"""The adjoint method: the executor's own backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ketgrad.executors import in_parts
from ketgrad.executors.answers import checked_arrays
from ketgrad.executors.table import EXECUTORS
from ketgrad.foundation.memory import state_bytes
from ketgrad.functions.batch import Batch
from ketgrad.functions.gradients.rules import Cost, without_derivative
from ketgrad.functions.gradients.sweeps import blocks_at_once, repeat
from ketgrad.programs.program import Program


@dataclass(frozen=True)
class Adjoint:
    """The adjoint method: one forward and one backward pass, whatever the number of parameters.

    Exact. Memory: three states, independent of depth. Needs an executor with the ability "adjoint".

    Jones and Gacon 2020, arXiv:2009.02823.

    >>> Adjoint()
    Adjoint()
    """

    is_exact: ClassVar[bool] = True
    takes_slope: ClassVar[bool] = True
    is_adjoint: ClassVar[bool] = True
    is_random: ClassVar[bool] = False

    @classmethod
    def suggested(cls) -> tuple[Adjoint, ...]:
        """The instances that a message may name."""
        return (cls(),)

    def objection(self, executor: Any, program: Program) -> str | None:
        """None if the executor has an adjoint pass, else the reason.

        >>> circuit = kg.Circuit([kg.rx(kg.w[0], 0)])
        >>> Adjoint().objection(kg.expectation(circuit, kg.Pauli("Z0")).executor, None)
        """
        if "adjoint" in executor.abilities:
            return without_derivative(program)
        able = ", ".join(sorted(executor.abilities))
        return (
            f"it reads amplitudes, which the executor {executor.name!r} does not give (its abilities: {able})"
        )

    def cost(self, program: Program) -> Cost:
        """One execution and one backward pass; three states."""
        return Cost(1, 1, 3 * state_bytes(program.num_qubits))

    def vjp(
        self, batch: Batch, cotangent: np.ndarray, slope: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The executor's own vector-Jacobian product."""
        return _backward(batch, batch.weights, batch.inputs, cotangent, slope)

    def jacobian(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """One row per sample and output with a unit cotangent each: a batch, not a loop."""
        if parts := batch.parts:
            return in_parts.jacobian(
                lambda *part: self.jacobian(batch.on(*part)),
                parts,
                batch.weights,
                batch.inputs,
                batch.program.num_outputs,
            )
        count, outputs = batch.num_rows, batch.program.num_outputs
        # Re(conj(c) d psi): c = 1 gives the real part of an amplitude's derivative, c = i the imaginary part
        units = (1.0, 1j) if batch.program.question.is_complex else (1.0,)
        kind = batch.dtype if len(units) == 2 else batch.weights.dtype
        by_weights = np.zeros(
            (count, outputs, batch.weights.shape[1]), np.complex128 if len(units) == 2 else float
        )
        by_inputs = np.zeros((count, outputs, batch.inputs.shape[1]), by_weights.dtype)
        step = blocks_at_once(batch, 2 * outputs + by_weights.shape[2] + by_inputs.shape[2])
        for start in range(0, outputs, step):
            part = range(start, min(outputs, start + step))
            rows = (len(part), count)
            arguments = repeat(batch.weights, *rows), repeat(batch.inputs, *rows)
            for unit in units:
                direction = np.zeros((*rows, outputs), dtype=kind)
                direction[np.arange(len(part)), :, part] = unit
                _, *found = _backward(batch, *arguments, direction.reshape(-1, outputs))
                for total, derivative in zip((by_weights, by_inputs), found, strict=True):
                    total[:, part.start : part.stop] += unit * derivative.reshape(*rows, -1).swapaxes(0, 1)
        return by_weights, by_inputs


def _backward(
    batch: Batch,
    weights: np.ndarray,
    inputs: np.ndarray,
    cotangent: np.ndarray,
    slope: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`vjp` of the executor; what one of somebody else gave, which no test of ours has seen, is looked at."""
    executor = batch.executor
    how: dict[str, Any] = {"dtype": batch.dtype, "threads": batch.threads}
    if slope is not None:
        how["slope"] = slope
    found = executor.vjp(batch.program, weights, inputs, cotangent, **how)
    if executor.name in EXECUTORS:
        return found
    values = (len(cotangent), batch.program.num_outputs), batch.kind_of_values
    wanted = [values, (weights.shape, batch.real), (inputs.shape, batch.real)]
    outputs, dweights, dinputs = checked_arrays(executor.name, "vjp", found, wanted)
    return outputs, dweights, dinputs
