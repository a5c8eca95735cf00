"""Minimise a loss: Adam, L-BFGS-B, SPSA and COBYLA behind one function that never loses the best point.

An optimiser is a frozen value with one method, `run(search, start, rng)`. It asks `search` for values and
gradients and tells it when a step is done; `search` keeps the best point and the history and decides when to
stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from ketgrad.errors import KetgradTypeError, KetgradValueError
from ketgrad.search import Fit, NonFiniteLoss, ProgressLine, Search, Step, Stop
from ketgrad.streams import stream

Bounds = tuple[tuple[float | None, float | None], ...]


class Optimizer(Protocol):
    """What `minimise` needs of an optimiser."""

    def run(self, search: Search, start: np.ndarray, rng: np.random.Generator) -> None:
        """Search from `start`, a flat array, until `search` ends it or the method itself does."""
        ...


@dataclass(frozen=True)
class Adam:
    """Gradient steps scaled by running means of the gradient and of its square.

    learning_rate: the largest change of a weight per step, about, in radians. Cost: one gradient per step.

    Kingma and Ba 2015, arXiv:1412.6980.

    >>> kg.minimise(lambda w: ((w**2).sum(), 2 * w), [1.0, -2.0], Adam(0.1)).value < 1e-6
    True
    """

    learning_rate: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check_positive(learning_rate=self.learning_rate, epsilon=self.epsilon)
        _check_decay(beta1=self.beta1, beta2=self.beta2)

    def run(self, search: Search, start: np.ndarray, rng: np.random.Generator) -> None:
        """One gradient at `start`, then one per step."""
        weights, mean, square = start, np.zeros_like(start), np.zeros_like(start)
        value, gradient = search.value_and_gradient(weights)
        search.finish_step(weights, value)
        search.check_slope(gradient)
        for t in range(1, search.max_steps + 1):
            mean = self.beta1 * mean + (1 - self.beta1) * gradient
            square = self.beta2 * square + (1 - self.beta2) * gradient**2
            scale = np.sqrt(square / (1 - self.beta2**t)) + self.epsilon
            weights = weights - self.learning_rate * mean / (1 - self.beta1**t) / scale
            value, gradient = search.value_and_gradient(weights)
            search.finish_step(weights, value)


@dataclass(frozen=True)
class LBFGSB:
    """Quasi-Newton steps with a line search, with optional bounds: the choice for exact losses without noise.

    memory: how many past gradients model the curvature. bounds: (low, high) per weight, None for no limit.
    gradient_tolerance: stop when no component of the gradient is larger; `minimise(tolerance=...)` is the
    relative change of the value per step at which it stops. Cost: one gradient per step, rarely more.
    A stochastic loss is refused: a line search needs the same value at the same point. BLAS runs on one thread
    meanwhile, so that the result does not depend on the number of cores.

    Byrd et al. 1995, doi:10.1137/0916069; the implementation is scipy.optimize's.

    >>> fit = kg.minimise(lambda w: ((w - 3) @ (w - 3), 2 * (w - 3)), [0.0, 1.0], LBFGSB())
    >>> fit.weights.round(6), fit.converged
    (array([3., 3.]), True)
    """

    memory: int = 20
    gradient_tolerance: float = 1e-9
    bounds: Bounds | None = None

    def __post_init__(self) -> None:
        _check_positive(memory=self.memory, gradient_tolerance=self.gradient_tolerance)

    def run(self, search: Search, start: np.ndarray, rng: np.random.Generator) -> None:
        """Hand the search to scipy, which calls back after each step."""
        from scipy.optimize import minimize

        if self.bounds is not None and len(self.bounds) != start.size:
            raise KetgradValueError(
                f"`bounds` must hold one (low, high) per weight, {start.size} in all, but holds "
                f"{len(self.bounds)}."
            )
        if search.stochastic:
            raise KetgradValueError(
                "LBFGSB needs an exact loss - its line search compares values - but `stochastic` is true. "
                "Use Adam() or SPSA()."
            )

        def evaluate(weights: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = search.value_and_gradient(weights)
            if not search.history:
                search.finish_step(weights, value)
                search.check_slope(gradient)
            return value, gradient

        with one_blas_thread():
            outcome = minimize(
                evaluate,
                start,
                method="L-BFGS-B",
                jac=True,
                bounds=self.bounds,
                callback=lambda intermediate_result: search.finish_step(
                    intermediate_result.x, float(intermediate_result.fun)
                ),
                options={
                    "maxiter": search.max_steps,
                    "maxfun": 20 * search.max_steps + 100,
                    "maxcor": self.memory,
                    "ftol": search.tolerance,
                    "gtol": self.gradient_tolerance,
                },
            )
        if outcome.status == 0:
            raise Stop("the loss or its gradient no longer changes within the tolerance", converged=True)
        if outcome.status == 1:
            raise Stop("the limit of evaluations was reached before the loss settled", converged=False)
        if outcome.status == 2:
            # the line search fails where rounding hides any further decrease: at the minimum that is success
            flat = bool(np.abs(outcome.jac).max() <= 1e-5 * max(1.0, abs(outcome.fun)))
            reason = "no lower value along the search direction"
            raise Stop(
                reason if flat else f"{reason}: the gradient may not belong to the loss", converged=flat
            )


@dataclass(frozen=True)
class SPSA:
    """Steps along one random direction at a time: two values per step whatever the number of weights.

    For losses without gradients or with noise. perturbation: the distance of the first two values.
    learning_rate: the factor a of the step length a / (step + stability)**alpha; None finds the one that lets
    the first step change each weight by `first_step` radians, from 25 random directions (50 evaluations).
    stability: None is a tenth of the steps. Decays alpha and gamma as Spall recommends.

    Spall 1998, doi:10.1109/7.705889; calibration as Kandala et al. 2017, arXiv:1704.05018.

    >>> fit = kg.minimise(lambda w: np.sin(w).sum(), [0.3, 0.1], SPSA(), max_steps=300, seed=1)
    >>> abs(fit.value + 2) < 1e-3
    True
    """

    learning_rate: float | None = None
    perturbation: float = 0.1
    first_step: float = 0.2
    stability: float | None = None
    alpha: float = 0.602
    gamma: float = 0.101

    def __post_init__(self) -> None:
        _check_positive(perturbation=self.perturbation, first_step=self.first_step)
        _check_positive(alpha=self.alpha, gamma=self.gamma)
        if self.learning_rate is not None:
            _check_positive(learning_rate=self.learning_rate)

    def run(self, search: Search, start: np.ndarray, rng: np.random.Generator) -> None:
        """The value at `start`, then two values per step, and the value of the last point."""
        stability = search.max_steps / 10 if self.stability is None else self.stability
        search.finish_step(start, search.value(start))
        rate = self.learning_rate or self._calibrated(search, start, rng, stability)
        weights = start
        for step in range(search.max_steps):
            distance = self.perturbation / (step + 1) ** self.gamma
            slope, direction, mean = self._slope(search, weights, rng, distance)
            weights = weights - rate / (step + 1 + stability) ** self.alpha * slope * direction
            if step == search.max_steps - 1:
                search.value(weights)
            search.finish_step(weights, mean)

    def _slope(
        self, search: Search, weights: np.ndarray, rng: np.random.Generator, distance: float
    ) -> tuple[float, np.ndarray, float]:
        direction = rng.choice([-1.0, 1.0], size=weights.size)
        up = search.value(weights + distance * direction)
        down = search.value(weights - distance * direction)
        return (up - down) / (2 * distance), direction, (up + down) / 2

    def _calibrated(
        self, search: Search, start: np.ndarray, rng: np.random.Generator, stability: float
    ) -> float:
        slopes = [abs(self._slope(search, start, rng, self.perturbation)[0]) for _ in range(25)]
        typical = float(np.mean(slopes))
        if typical == 0.0:
            search.stop_flat("no random change of the weights changes the loss")
        return self.first_step * (1 + stability) ** self.alpha / typical


@dataclass(frozen=True)
class COBYLA:
    """A simplex of linear models: no gradients, few evaluations, up to a few dozen weights.

    first_step: the size of the first simplex in radians; `minimise(tolerance=...)` is that of the last one.
    Cost: one value per step; memory and time per step grow with the square of the number of weights.

    Powell 1994, doi:10.1007/978-94-015-8330-5_4; the implementation is scipy.optimize's.

    >>> fit = kg.minimise(lambda w: np.cos(w[0]) + (w[1] - 1) ** 2, [2.0, 0.0], COBYLA(), tolerance=1e-6)
    >>> abs(fit.value + 1) < 1e-6
    True
    """

    first_step: float = 0.5

    def __post_init__(self) -> None:
        _check_positive(first_step=self.first_step)

    def run(self, search: Search, start: np.ndarray, rng: np.random.Generator) -> None:
        """Hand the search to scipy; every evaluation is a step."""
        from scipy.optimize import minimize

        def evaluate(weights: np.ndarray) -> float:
            value = search.value(weights)
            search.finish_step(weights, value, may_converge=False)
            return value

        limit = max(search.max_steps, start.size) + 2  # scipy insists on a first simplex; `search` counts
        options = {"maxiter": limit, "rhobeg": self.first_step, "tol": search.tolerance}
        with one_blas_thread():
            outcome = minimize(evaluate, start, method="COBYLA", options=options)
        if np.ptp(search.history) == 0.0:
            search.stop_flat("no change of the weights changes the loss")
        if outcome.success:
            raise Stop("the simplex shrank to the tolerance", converged=True)


def minimise(
    loss: Callable[[np.ndarray], Any],
    start: Any,
    optimizer: Optimizer | None = None,
    *,
    max_steps: int = 1000,
    tolerance: float = 1e-8,
    window: int | None = None,
    stochastic: bool = False,
    progress: bool | Callable[[Step], Any] = False,
    callback: Callable[[Step], Any] | None = None,
    seed: Any = None,
) -> Fit:
    """Find weights at which `loss` is small.

    loss: takes weights in the shape of `start`; returns (value, gradient in that shape). SPSA and COBYLA also
        take a loss that returns the value alone.
    start: finite real numbers, any shape. optimizer: `Adam()` (default), `LBFGSB()`, `SPSA()`, `COBYLA()`.
    tolerance: stop when all values of the last `window` steps (20) lie within tolerance * max(1, |value|).
        L-BFGS-B applies it to a single step, COBYLA to the size of its simplex.
    stochastic: the loss differs from call to call (minibatches, shots). Stops when the means of the last two
        windows (200) differ by less than the standard error, s / (2 sqrt(window)); returns the last weights.
    progress: True draws one line on stderr; a function is called with each `Step` instead.
    callback: called with each `Step`; returning True stops.
    seed: None, an integer or a SeedSequence; only SPSA draws random numbers.

    Ctrl-C returns the best point so far with `interrupted=True`. An exception of `loss` passes unchanged.
    A loss whose gradient is zero at the start is reported by a warning and in `Fit.reason`.
    Raises `NonFiniteLoss`, naming the step, for a loss or gradient that is NaN or infinite; the best point
    before is in its `fit`.

    Cost: `max_steps` gradients at most for Adam, two values per step for SPSA; memory O(weights).
    Stochastic rule: Bowles et al. 2024, arXiv:2403.07059, section 4.

    >>> minimise(lambda w: (np.cos(w[0]), -np.sin(w)), [1.0], LBFGSB()).weights.round(6)
    array([3.141593])
    """
    point = _start_point(start)
    if isinstance(max_steps, bool) or not isinstance(max_steps, int | np.integer) or max_steps < 1:
        raise KetgradValueError(f"`max_steps` must be an integer of at least 1, but is {max_steps!r}.")
    _check_positive(tolerance=tolerance)
    rng = stream(seed)
    search = Search(
        loss, point.shape, int(max_steps), float(tolerance), window or (200 if stochastic else 20), stochastic
    )
    if progress:
        search.listeners.append(progress if callable(progress) else ProgressLine())
    if callback is not None:
        search.listeners.append(callback)
    search.deciding = callback
    stop = Stop(f"all {max_steps} steps were made before the loss settled", converged=False)
    try:
        (Adam() if optimizer is None else optimizer).run(search, point.ravel(), rng)
    except Stop as reached:
        stop = reached
    except KeyboardInterrupt:
        if not search.history:  # nothing to keep yet
            raise
        stop = Stop("interrupted", converged=False)
        return search.fit(stop, interrupted=True)
    except NonFiniteLoss as error:
        if search.history:
            error.fit = search.fit(Stop(str(error), converged=False))
        raise
    finally:
        search.close()
    return search.fit(stop)


def one_blas_thread() -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread: for many small matrices faster, and the same bits on any machine.

    >>> with one_blas_thread():
    ...     np.ones((2, 2)) @ np.ones(2)
    array([2., 2.])
    """
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    return threadpool_limits(limits=1, user_api="blas")


def _start_point(start: Any) -> np.ndarray:
    array = np.asarray(start)
    if array.dtype.kind not in "fiu":
        raise KetgradTypeError(f"`start` must hold real numbers, but has dtype {array.dtype}.")
    if array.size == 0:
        raise KetgradValueError(
            "`start` must hold at least one weight, but is empty: there is nothing to minimise."
        )
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise KetgradValueError(f"`start` must be finite, but entry {bad[0]} is {array.ravel()[bad[0]]}.")
    return array.astype(np.float64)


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float | np.number)
            or not 0 < value < math.inf
        ):
            raise KetgradValueError(f"`{name}` must be a positive number, but is {value!r}.")


def _check_decay(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise KetgradValueError(f"`{name}` must lie in [0, 1), but is {value!r}.")


OPTIMIZERS: Mapping[str, type] = MappingProxyType(
    {"Adam": Adam, "LBFGSB": LBFGSB, "SPSA": SPSA, "COBYLA": COBYLA}
)
