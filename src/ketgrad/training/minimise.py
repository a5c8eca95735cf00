"""Minimise a loss: Adam, L-BFGS-B, SPSA and COBYLA behind one function that never loses the best point.

An optimiser is a frozen value with one method, `run(search, start, rng)`. It asks `search` for values and
gradients and tells it when a step is done; `search` keeps the best point and the history and decides when to
stop.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from ketgrad.foundation.arrays import as_array, sequence_of
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.numbers import check_count, check_number, check_positive, flag
from ketgrad.foundation.seeds import stream
from ketgrad.functions.function import Function
from ketgrad.functions.gradients import rules as gradients
from ketgrad.training.search import ALL_STEPS, STATIONARY, Fit, ProgressLine, Search, Step, Stop

__all__ = [
    "COBYLA",
    "LBFGSB",
    "OPTIMIZERS",
    "SPSA",
    "Adam",
    "Fit",
    "Optimizer",
    "minimise",
    "optimizer_named",
]


def __dir__() -> list[str]:
    return __all__


FASTEST_DECAY = 10.0  # of the steps of SPSA; Spall's theory ends at 1

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
        check_count(self.memory, "memory")
        _check_positive(gradient_tolerance=self.gradient_tolerance)
        if self.bounds is not None:
            object.__setattr__(self, "bounds", _checked_bounds(self.bounds))

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
        check_number(self.alpha, "alpha", 0.0, FASTEST_DECAY)
        check_number(self.gamma, "gamma", 0.0, FASTEST_DECAY)
        if self.learning_rate is not None:
            _check_positive(learning_rate=self.learning_rate)
        if self.stability is not None:
            check_number(self.stability, "stability", 0.0)

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
    A stochastic loss is taken, and the last point returned, but the simplex shrinks whether noise let it or not.
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
            raise Stop("the simplex shrank to the tolerance", converged=True)


def minimise(
    loss: Callable[[np.ndarray], Any],
    start: Any,
    optimizer: Optimizer | str | None = None,
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
    start: finite real numbers, any shape. optimizer: `Adam()` (default), `LBFGSB()`, `SPSA()`, `COBYLA()`, or a name
        for one with its defaults: "adam", "lbfgsb", "spsa", "cobyla".
    tolerance: stop when all values of the last `window` steps (20) lie within tolerance * max(1, |value|).
        L-BFGS-B applies it to a single step, COBYLA to the size of its simplex.
    stochastic: must be True for a loss that differs from call to call (minibatches, shots): the lowest of many noisy
        values is a lucky one, below what its weights are worth. Stops when the means of the last two windows (200)
        differ by less than the standard error, s / (2 sqrt(window)); returns the last weights.
    progress: True draws one line on stderr; a function is called with each `Step` instead; returning True stops.
    callback: called with each `Step`; returning True stops.
    seed: None, an integer or a SeedSequence; only SPSA draws random numbers.

    Ctrl-C after the first step returns the best point so far with `interrupted=True`; before it, it passes through,
    as an exception of `loss` does at any time, with the best point before in its `fit`.
    A loss whose gradient is zero at the start is reported by a warning and in `Fit.reason`.
    Raises `NonFiniteLoss`, naming the step, for a loss or gradient that is NaN or infinite; the best point
    before is in its `fit`.

    Cost: `max_steps` gradients at most for Adam, two values per step for SPSA; memory O(weights).
    Stochastic rule: Bowles et al. 2024, arXiv:2403.07059, section 4.

    >>> minimise(lambda w: (np.cos(w[0]), -np.sin(w)), [1.0], LBFGSB()).weights.round(6)
    array([3.141593])
    """
    if not callable(loss):
        raise KetgradTypeError(f"`loss` must be a function of the weights, but is {shown(loss)}.")
    if not (callable(progress) or isinstance(progress, bool | np.bool_)):
        raise KetgradTypeError(
            f"`progress` must be True, False or a function of a Step, but is {shown(progress)}."
        )
    if not (callable(callback) or callback is None):
        raise KetgradTypeError(f"`callback` must be None or a function of a Step, but is {shown(callback)}.")
    flag(stochastic, "stochastic")
    fit = minimised(
        loss,
        start,
        Adam() if optimizer is None else optimizer_named(optimizer),
        max_steps=max_steps,
        tolerance=tolerance,
        window=window,
        stochastic=stochastic,
        listeners=[*([progress if callable(progress) else ProgressLine()] if progress else []), callback],
        seed=seed,
    )
    warn_if_flat([fit])
    return fit


def minimised(
    loss: Callable[[np.ndarray], Any],
    start: Any,
    method: Optimizer,
    *,
    max_steps: int,
    tolerance: float,
    window: int | None = None,
    stochastic: bool = False,
    listeners: Iterable[Callable[[Step], Any] | None] = (),
    seed: Any = None,
) -> Fit:
    """`minimise` without the warning of a flat loss, for callers that minimise several times.

    >>> minimised(lambda w: (1.0, 0 * w), [1.0], Adam(), max_steps=5, tolerance=1e-8).steps
    0
    """
    point = _start_point(start)
    if isinstance(max_steps, bool) or not isinstance(max_steps, int | np.integer) or max_steps < 1:
        raise KetgradValueError(f"`max_steps` must be an integer of at least 1, but is {shown(max_steps)}.")
    _check_positive(tolerance=tolerance)
    if window is not None:
        check_count(window, "window", 2)
    rng, width = stream(seed), window or (200 if stochastic else 20)
    search = Search(loss, point.shape, int(max_steps), float(tolerance), width, stochastic)
    search.listeners += [listener for listener in listeners if listener is not None]
    stop = Stop(ALL_STEPS.format(max_steps), converged=False)
    try:
        method.run(search, point.ravel(), rng)
    except Stop as reached:
        stop = reached
    except KeyboardInterrupt:
        if not search.steps:  # nothing to keep yet
            raise
        return search.fit(Stop("interrupted", converged=False), interrupted=True)
    except Exception as error:
        if search.history:  # what an exception ends is not lost
            error.fit = search.fit(Stop(str(error), converged=False))  # type: ignore[attr-defined]
        raise
    finally:
        search.close()
    return search.fit(stop)


def warn_if_flat(fits: Sequence[Fit]) -> None:
    """One warning if no start of several reacted to the weights; to be called by what the user called."""
    if fits and all(STATIONARY in fit.reason for fit in fits):
        warnings.warn(f"Nothing was minimised: {fits[0].reason}.", UserWarning, stacklevel=3)


def one_blas_thread() -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread: for many small matrices faster, and the same bits on any machine.

    >>> with one_blas_thread():
    ...     np.ones((2, 2)) @ np.ones(2)
    array([2., 2.])
    """
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    return threadpool_limits(limits=1, user_api="blas")


def _start_point(start: Any) -> np.ndarray:
    array = as_array(start, "start")
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
        check_positive(value, name)


def _check_decay(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= check_number(value, name) < 1:
            raise KetgradValueError(f"`{name}` must lie in [0, 1), but is {value!r}.")


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


def optimizer_named(optimizer: Any) -> Optimizer:
    """The optimiser of that name, with its defaults; one that is given passes unchanged.

    Names are those of `OPTIMIZERS`, also in lower case. Raises `KetgradValueError` with all names for another one,
    and `KetgradTypeError` for what is neither a name nor has a method `run(search, start, rng)`.

    >>> optimizer_named("adam"), optimizer_named(SPSA(perturbation=0.2)).perturbation
    (Adam(learning_rate=0.05, beta1=0.9, beta2=0.999, epsilon=1e-08), 0.2)
    """
    if isinstance(optimizer, str):
        names = {name.lower(): make for name, make in OPTIMIZERS.items()}
        make = OPTIMIZERS.get(optimizer) or names.get(optimizer)
        if make is None:
            raise KetgradValueError(
                f"There is no optimiser {optimizer!r}. The names are {', '.join(map(repr, names))}."
            )
        return make()
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "run", None)):
        raise KetgradTypeError(
            "`optimizer` must be an optimiser such as kg.Adam(0.05), a name such as 'adam', or None, but is "
            f"{shown(optimizer)}."
        )
    return optimizer


class Noise(NamedTuple):
    """What makes a loss differ from call to call, as a clause for messages, and whether its values do, too."""

    reason: str
    in_values: bool = True


def noise_of(function: Function) -> Noise | None:
    """The noise of a function's values and derivatives; None if they are exact.

    >>> noise_of(kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"), shots=10)).in_values
    True
    """
    if "shots" in function.executor.abilities:
        return Noise("its values are measured with finite shots, anew at every call")
    if isinstance(function.gradient, gradients.SPSA):
        return Noise("its gradient is estimated along random directions, anew at every call", in_values=False)
    return None


def optimizer_for(optimizer: Any, noise: Noise | None) -> Optimizer:
    """The optimiser of a loss, where None chooses `LBFGSB()` for an exact one and `Adam()` for one with noise.

    Raises `KetgradValueError` for L-BFGS-B on noise; warns of COBYLA.

    >>> optimizer_for(None, None), optimizer_for(None, Noise("it is measured")).learning_rate
    (LBFGSB(memory=20, gradient_tolerance=1e-09, bounds=None), 0.05)
    """
    if optimizer is None:
        return LBFGSB() if noise is None else Adam()
    method = optimizer_named(optimizer)
    if noise is not None and isinstance(method, LBFGSB):
        raise KetgradValueError(
            "`optimizer` LBFGSB needs the same loss at every step - its line search compares values - but "
            f"{noise.reason}. Use kg.Adam() or kg.SPSA()."
        )
    if noise is not None and noise.in_values and isinstance(method, COBYLA):
        warnings.warn(
            f"COBYLA takes differences between values for structure, but {noise.reason}: its simplex may shrink early. "
            "kg.SPSA() and kg.Adam() average the noise.",
            UserWarning,
            stacklevel=4,
        )
    return method


def by_adam(fit: Fit, noise: Noise) -> Fit:
    """The fit with a reason that says why the default was not L-BFGS-B."""
    return replace(fit, reason=f"{fit.reason} (by Adam, not L-BFGS-B: {noise.reason})")


OPTIMIZERS: Mapping[str, type] = MappingProxyType(
    {"Adam": Adam, "LBFGSB": LBFGSB, "SPSA": SPSA, "COBYLA": COBYLA}
)
