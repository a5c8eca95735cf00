"""Finite differences: approximate derivatives by every weight and input, for cross-checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ketgrad.foundation.errors import KetgradValueError, shown
from ketgrad.foundation.memory import state_bytes
from ketgrad.foundation.numbers import COMPLEX128, check_number
from ketgrad.functions.batch import Batch
from ketgrad.functions.gradients.rules import Cost, tilted, without_derivative
from ketgrad.functions.gradients.sweeps import STEPS, Stencil, collapse, sweep
from ketgrad.programs.program import Program


@dataclass(frozen=True)
class FiniteDifference:
    """Central differences in every weight and input: approximate, for cross-checks and for odd executors.

    order: 2 (two runs per variable, error of order step**2) or 4 (four runs, step**4). step: in units of the
    variable; None takes the step at which truncation and rounding of float64 balance where values turn about once
    while a variable grows by 2 pi, 6e-6 or 7e-4: for 1e4 * w[0] it has to be as much smaller.
    Always runs in complex128. Refused on an executor with shots unless step >= 0.01: noise is divided by it.

    >>> round(FiniteDifference(order=4).step_size, 8)
    0.0007401
    """

    is_exact: ClassVar[bool] = False
    takes_slope: ClassVar[bool] = True
    is_adjoint: ClassVar[bool] = False
    is_random: ClassVar[bool] = False

    step: float | None = None
    order: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.order, int) or self.order not in (2, 4):
            raise KetgradValueError(f"`order` must be 2 or 4, but is {shown(self.order)}.")
        if self.step is not None:
            check_number(self.step, "step", *STEPS)

    @property
    def step_size(self) -> float:
        """The step that is used."""
        return float(np.finfo(np.float64).eps ** (1 / (self.order + 1))) if self.step is None else self.step

    @classmethod
    def suggested(cls) -> tuple[FiniteDifference, ...]:
        """The instances that a message may name."""
        return cls(), cls(step=0.1)

    def objection(self, executor: Any, program: Program) -> str | None:
        """None unless shot noise would drown the difference."""
        if "shots" in executor.abilities and self.step_size < 0.01:
            return f"shot noise is divided by the step {self.step_size:.1g}; give a step of at least 0.01"
        return without_derivative(program)

    def cost(self, program: Program) -> Cost:
        """`order` executions per variable, and one for the value."""
        variables = program.num_weights + program.num_inputs
        return Cost(1 + self.order * variables, 0, state_bytes(program.num_qubits))

    def vjp(
        self, batch: Batch, cotangent: np.ndarray, slope: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Differences of sum(cotangent * values)."""
        values = batch.run(batch.weights, batch.inputs)
        split = batch.weights.shape[1]
        derivative = self._by_variable(batch, tilted(cotangent, slope, values))
        by_weights = collapse(derivative[:split], len(batch.weights))
        return values, by_weights, collapse(derivative[split:], len(batch.inputs))

    def jacobian(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Differences of all outputs."""
        split = batch.weights.shape[1]
        derivative = np.moveaxis(self._by_variable(batch, None), 0, 2)
        return derivative[..., :split], derivative[..., split:]

    def _by_variable(self, batch: Batch, cotangent: np.ndarray | None) -> np.ndarray:
        # (f(+h) - f(-h)) / 2h, and (8 f(+h) - 8 f(-h) - f(+2h) + f(-2h)) / 12h
        steps, factors = ([1, -1], [1 / 2, -1 / 2])
        if self.order == 4:
            steps, factors = ([1, -1, 2, -2], [2 / 3, -2 / 3, -1 / 12, 1 / 12])
        count = batch.weights.shape[1] + batch.inputs.shape[1]
        column = np.repeat(np.arange(count), len(steps))
        shift = np.tile(np.multiply(steps, self.step_size), count)
        coefficient = np.tile(np.divide(factors, self.step_size), count)[:, None]
        double = batch._replace(
            dtype=COMPLEX128, weights=batch.weights.astype(float), inputs=batch.inputs.astype(float)
        )
        return sweep(double, Stencil(count, column, column, shift, coefficient), cotangent)
