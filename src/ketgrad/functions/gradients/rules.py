"""What every gradient rule offers, and what it announces before it runs.

Arrays are in rows, as executors want them: weights (1 or B, W), inputs (1 or B, X), values (B, K). A rule
returns derivatives in the shapes of weights and inputs, summed over the samples that shared a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ketgrad.foundation.memory import readable
from ketgrad.functions.batch import Batch
from ketgrad.programs.program import Program


@dataclass(frozen=True)
class Cost:
    """What one value and gradient of one sample costs, known before running.

    executions: runs of the circuit, the value itself included; backward: adjoint passes, each about two further
    executions long; memory: bytes of states alive at once for one sample.
    """

    executions: int
    backward: int
    memory: int

    def __str__(self) -> str:
        runs = f"{self.executions} circuit execution{'s' * (self.executions != 1)}"
        passes = f" and {self.backward} backward pass" if self.backward else ""
        return f"{runs}{passes} per sample, {readable(self.memory)} of states"


class GradientRule(Protocol):
    """What every rule offers; a frozen dataclass, so that it can be compared, hashed and pickled.

    A rule of the table says five things more: `is_exact`, whether its mean is the derivative itself; `is_adjoint`,
    whether it is the executor's own backward pass, which gives derivatives along directions; `takes_slope`, whether
    `vjp` takes a third argument `slope`, for the cotangent cotangent + slope * values; `is_random`, whether it draws
    random numbers, from a stream that `begun_anew(seed)` starts again; and `suggested()`, the instances that a message
    may name. A rule of a user's own need not: it counts as neither the adjoint method nor random, and is asked for the
    values first where there is a slope.
    """

    def objection(self, executor: Any, program: Program) -> str | None:
        """None if the rule can be used, else the reason as a clause."""
        ...

    def cost(self, program: Program) -> Cost:
        """Executions and memory for the value and gradient of one sample."""
        ...

    def vjp(self, batch: Batch, cotangent: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(values, dweights, dinputs) of sum(cotangent * values)."""
        ...

    def jacobian(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """(B, K, W) and (B, K, X)."""
        ...


def is_adjoint(rule: Any) -> bool:
    """Whether a rule is the executor's own backward pass."""
    return getattr(rule, "is_adjoint", False)


def is_random(rule: Any) -> bool:
    """Whether a rule draws random numbers."""
    return getattr(rule, "is_random", False)


def begun_anew(rule: Any, seed: Any) -> Any:
    """A rule that draws random numbers at the beginning of its stream, of `seed` where it has none; others unchanged.

    >>> begun_anew(kg.gradients.SPSA(), 5).seed, begun_anew(kg.gradients.SPSA(seed=1), 5).seed
    (5, 1)
    >>> begun_anew(kg.Adjoint(), 5)
    Adjoint()
    """
    anew = getattr(rule, "begun_anew", None)
    return rule if anew is None else anew(seed)


def tilted(cotangent: np.ndarray, slope: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    """The cotangent that is meant: with a slope it depends on the values."""
    return cotangent if slope is None else cotangent + slope * values


def vjp_with_slope(
    rule: Any, batch: Batch, cotangent: np.ndarray, slope: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`rule.vjp` with the cotangent cotangent + slope * values, whose values are run once if the rule takes a slope."""
    if slope is None:
        return rule.vjp(batch, cotangent)
    if getattr(rule, "takes_slope", False):
        return rule.vjp(batch, cotangent, slope)
    values = batch.run(batch.weights, batch.inputs)
    return values, *rule.vjp(batch, tilted(cotangent, slope, values))[1:]


def without_derivative(program: Program | None) -> str | None:
    """Why no rule can differentiate the answer, or None."""
    if program is None or program.question.differentiable:
        return None
    return "samples are integers, which have no derivative; differentiate kg.expectation or kg.probabilities"
