"""Simultaneous perturbation: an estimate of the whole gradient from two runs along a random direction."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.memory import state_bytes
from ketgrad.foundation.numbers import check_count, check_number
from ketgrad.foundation.seeds import check_seed, numbered_stream
from ketgrad.functions.batch import Batch
from ketgrad.functions.gradients.rules import Cost, tilted, without_derivative
from ketgrad.functions.gradients.sweeps import STEPS, collapse, contract
from ketgrad.programs.program import Program


@dataclass(frozen=True)
class SPSA:
    """Simultaneous perturbation: two runs per direction estimate the whole gradient, without bias up to step**2.

    Each of `num_samples` random sign vectors shifts all weights and inputs at once. Every derivative draws fresh
    directions, and the same calls after the same `seed` give the same bits; a copy of the rule begins anew.
    common_random_numbers: True fixes the directions by `seed` and by the point alone, however often it is asked.

    Spall 1992, doi:10.1109/9.119632.

    >>> kg.gradients.SPSA(num_samples=8, seed=1)  # kg.SPSA is the optimiser
    SPSA(step=0.01, num_samples=8, seed=1, common_random_numbers=False)
    """

    is_exact: ClassVar[bool] = False
    takes_slope: ClassVar[bool] = True
    is_adjoint: ClassVar[bool] = False
    is_random: ClassVar[bool] = True

    step: float = 0.01
    num_samples: int = 1
    seed: int | None = None
    common_random_numbers: bool = False

    _calls: Any = field(
        init=False, compare=False, repr=False
    )  # numbers the derivatives; a step of it is atomic

    def __post_init__(self) -> None:
        check_number(self.step, "step", *STEPS)
        check_count(self.num_samples, "num_samples")
        check_seed(self.seed)
        if not isinstance(self.common_random_numbers, bool | np.bool_):
            raise KetgradTypeError(
                f"`common_random_numbers` must be True or False, but is {self.common_random_numbers!r}."
            )
        if self.common_random_numbers and self.seed is None:
            raise KetgradValueError(
                "`common_random_numbers` needs a `seed` - every call repeats its directions - but `seed` is None."
            )
        object.__setattr__(self, "_calls", itertools.count())

    def __reduce__(self) -> Any:
        return SPSA, (self.step, self.num_samples, self.seed, self.common_random_numbers)

    @classmethod
    def suggested(cls) -> tuple[SPSA, ...]:
        """The instances that a message may name."""
        return (cls(),)

    def begun_anew(self, seed: Any) -> SPSA:
        """The rule at the beginning of its stream, of `seed` where it has none."""
        return replace(self, seed=seed if self.seed is None else self.seed)

    def objection(self, executor: Any, program: Program) -> str | None:
        """None: two values are all that the rule needs."""
        return without_derivative(program)

    def cost(self, program: Program) -> Cost:
        """Two executions per direction, and one for the value."""
        return Cost(1 + 2 * self.num_samples, 0, state_bytes(program.num_qubits))

    def vjp(
        self, batch: Batch, cotangent: np.ndarray, slope: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mean over the directions of slope times direction."""
        values = batch.run(batch.weights, batch.inputs)
        totals = np.zeros(batch.weights.shape), np.zeros(batch.inputs.shape)
        for along, signs in self._slopes(batch, tilted(cotangent, slope, values)):
            for total, sign in zip(totals, signs, strict=True):
                total += collapse((along[:, None] * sign).T, len(total))
        return values, totals[0] / self.num_samples, totals[1] / self.num_samples

    def jacobian(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """The mean over the directions of the outputs' slopes times the direction."""
        pieces = [
            [slope[:, :, None] * sign[:, None, :] for sign in signs]
            for slope, signs in self._slopes(batch, None)
        ]
        by_weights, by_inputs = (sum(parts) / self.num_samples for parts in zip(*pieces, strict=True))
        return by_weights, by_inputs  # type: ignore[return-value]

    def _slopes(self, batch: Batch, cotangent: np.ndarray | None):
        """Yield the slope (B,) or (B, K) along each random direction, and the direction (weights, inputs)."""
        place = zlib.crc32(batch.weights.tobytes(), zlib.crc32(batch.inputs.tobytes()))
        repeats = self.seed is None or self.common_random_numbers
        directions = numbered_stream(self.seed, 0 if repeats else next(self._calls), place)
        for _ in range(self.num_samples):
            signs = [directions.integers(2, size=a.shape) * 2.0 - 1.0 for a in (batch.weights, batch.inputs)]
            ahead, behind = (
                batch.run_moved(batch.weights + move * signs[0], batch.inputs + move * signs[1])
                for move in (self.step, -self.step)
            )
            slope = (ahead - behind) / (2 * self.step)
            yield (slope if cotangent is None else contract(slope[None], cotangent)[0]), signs
