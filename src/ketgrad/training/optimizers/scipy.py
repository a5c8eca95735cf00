"""Optimisers that scipy.optimize implements: L-BFGS-B and COBYLA."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ketgrad.foundation.arrays import sequence_of
from ketgrad.foundation.blas import one_blas_thread
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import check_count, check_number, check_positive
from ketgrad.training.run import EndOfRun, Run

Bounds = tuple[tuple[float | None, float | None], ...]


@dataclass(frozen=True)
class LBFGSB:
    """Quasi-Newton steps with a line search, with optional bounds: the choice for exact losses without noise.

    memory: how many past gradients model the curvature. bounds: (low, high) per weight, None for no limit.
    gradient_tolerance: stop when no component of the gradient is larger; `minimise(tolerance=...)` is the
    relative change of the value per step at which it stops. Cost: one gradient per step, rarely more.
    A stochastic loss is refused: a line search needs the same value at the same point. BLAS runs on one thread
    meanwhile, so that the result does not depend on the number of cores.

    Byrd et al. 1995, doi:10.1137/0916069; the implementation is scipy.optimize's.

    >>> fit = kg.minimise(lambda w: ((w - 3) @ (w - 3), 2 * (w - 3)), [0.0, 1.0], kg.LBFGSB())
    >>> fit.weights.round(6), fit.converged
    (array([3., 3.]), True)
    """

    uses_gradients: ClassVar[bool] = True
    needs_exact_loss: ClassVar[str | None] = "its line search compares values"

    memory: int = 20
    gradient_tolerance: float = 1e-9
    bounds: Bounds | None = None

    def __post_init__(self) -> None:
        check_count(self.memory, "memory")
        check_positive(self.gradient_tolerance, "gradient_tolerance")
        if self.bounds is not None:
            object.__setattr__(self, "bounds", _checked_bounds(self.bounds))

    def run(self, search: Run, start: np.ndarray, rng: np.random.Generator) -> None:
        """Hand the search to scipy, which calls back after each step."""
        from scipy.optimize import minimize

        if self.bounds is not None and len(self.bounds) != start.size:
            raise KetgradValueError(
                f"`bounds` must hold one (low, high) per weight, {start.size} in all, but holds "
                f"{len(self.bounds)}."
            )

        def evaluate(weights: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = search.value_and_gradient(weights)
            if not search.history:
                search.finish_step(weights, value)
                search.check_slope(gradient)
            return value, gradient

        def finish(intermediate_result: Any) -> None:  # scipy looks at this name
            search.finish_step(intermediate_result.x, float(intermediate_result.fun))

        options = {
            "maxiter": search.max_steps,
            "maxfun": 20 * search.max_steps + 100,
            "maxcor": self.memory,
            "ftol": search.tolerance,
            "gtol": self.gradient_tolerance,
        }
        with one_blas_thread():
            outcome = minimize(
                evaluate,
                start,
                method="L-BFGS-B",
                jac=True,
                bounds=self.bounds,
                callback=finish,
                options=options,
            )
        _end(outcome)


def _end(outcome: Any) -> None:
    """End the run with what scipy says of L-BFGS-B."""
    if outcome.status == 0:
        raise EndOfRun("the loss or its gradient no longer changes within the tolerance", converged=True)
    if outcome.status == 1:
        raise EndOfRun("the limit of evaluations was reached before the loss settled", converged=False)
    if outcome.status == 2:
        # the line search fails where rounding hides any further decrease: at the minimum that is success
        flat = bool(np.abs(outcome.jac).max() <= 1e-5 * max(1.0, abs(outcome.fun)))
        reason = "no lower value along the search direction"
        raise EndOfRun(
            reason if flat else f"{reason}: the gradient may not belong to the loss", converged=flat
        )


@dataclass(frozen=True)
class COBYLA:
    """A simplex of linear models: no gradients, few evaluations, up to a few dozen weights.

    first_step: the size of the first simplex in radians; `minimise(tolerance=...)` is that of the last one.
    A stochastic loss is taken, and the last point returned, but the simplex shrinks whether noise let it or not.
    Cost: one value per step; memory and time per step grow with the square of the number of weights.

    Powell 1994, doi:10.1007/978-94-015-8330-5_4; the implementation is scipy.optimize's.

    >>> fit = kg.minimise(lambda w: np.cos(w[0]) + (w[1] - 1) ** 2, [2.0, 0.0], kg.COBYLA(), tolerance=1e-6)
    >>> abs(fit.value + 1) < 1e-6
    True
    """

    uses_gradients: ClassVar[bool] = False
    needs_exact_loss: ClassVar[str | None] = None
    misled_by_noise: ClassVar[str] = "its simplex may shrink early"

    first_step: float = 0.5

    def __post_init__(self) -> None:
        check_positive(self.first_step, "first_step")

    def run(self, search: Run, start: np.ndarray, rng: np.random.Generator) -> None:
        """Hand the search to scipy; every evaluation is a step."""
        from scipy.optimize import minimize

        def evaluate(weights: np.ndarray) -> float:
            value = search.value(weights)
            search.finish_step(weights, value, may_converge=False)
            return value

        if self.first_step < search.tolerance:
            raise KetgradValueError(
                f"`first_step` must be at least `tolerance` - simplices shrink from one to the other - but is "
                f"{self.first_step:g}, and `tolerance` {search.tolerance:g}."
            )
        limit = max(search.max_steps, start.size) + 2  # scipy insists on a first simplex; `search` counts
        options = {"maxiter": limit, "rhobeg": self.first_step, "tol": search.tolerance}
        with one_blas_thread():
            outcome = minimize(evaluate, start, method="COBYLA", options=options)
        if np.ptp(search.history) == 0.0:
            search.stop_flat("no change of the weights changes the loss")
        if outcome.success:
            raise EndOfRun("the simplex shrank to the tolerance", converged=True)


def _checked_bounds(bounds: Any) -> Bounds:
    """(low, high) per weight, numbers in order, None where there is no limit."""
    checked = []
    for k, pair in enumerate(sequence_of(bounds, "bounds", "[(0, 1), (None, 2)]")):
        ends = sequence_of(pair, f"bounds[{k}]", "(0, 1)")
        if len(ends) != 2:
            raise KetgradValueError(f"`bounds[{k}]` must be a pair (low, high), but has {len(ends)} entries.")
        low, high = (
            None
            if end is None or (isinstance(end, float) and end == side)
            else check_number(end, f"bounds[{k}]")
            for end, side in zip(ends, (-math.inf, math.inf), strict=True)
        )
        if low is not None and high is not None and low > high:
            raise KetgradValueError(
                f"`bounds[{k}]` must be (low, high) with low <= high, but is ({low}, {high})."
            )
        checked.append((low, high))
    return tuple(checked)
