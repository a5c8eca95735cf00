"""Minimise a loss by any optimiser: one function that never loses the best point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ketgrad.foundation.arrays import as_array
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.numbers import check_count, check_positive, flag
from ketgrad.foundation.seeds import stream
from ketgrad.foundation.user_warnings import warn_user
from ketgrad.training.optimizers import OPTIMIZERS, Optimizer, optimizer_named
from ketgrad.training.progress import Listener, Progress, check_progress, progress_shown
from ketgrad.training.run import ALL_STEPS, STATIONARY, EndOfRun, Fit, Run, Step


def minimise(
    loss: Callable[[np.ndarray], Any],
    start: Any,
    optimizer: Optimizer | str | None = None,
    *,
    max_steps: int = 1000,
    tolerance: float = 1e-8,
    window: int | None = None,
    stochastic: bool = False,
    progress: Progress = False,
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

    >>> minimise(lambda w: (np.cos(w[0]), -np.sin(w)), [1.0], kg.LBFGSB()).weights.round(6)
    array([3.141593])
    """
    if not callable(loss):
        raise KetgradTypeError(f"`loss` must be a function of the weights, but is {shown(loss)}.")
    check_progress(progress)
    if not (callable(callback) or callback is None):
        raise KetgradTypeError(f"`callback` must be None or a function of a Step, but is {shown(callback)}.")
    flag(stochastic, "stochastic")
    fit = minimised(
        loss,
        start,
        OPTIMIZERS["Adam"]() if optimizer is None else optimizer_named(optimizer),
        max_steps=max_steps,
        tolerance=tolerance,
        window=window,
        stochastic=stochastic,
        progress=progress,
        callback=callback,
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
    value_alone: Callable[[np.ndarray], Any] | None = None,
    progress: Progress = False,
    callback: Listener | None = None,
    seed: Any = None,
) -> Fit:
    """`minimise` without the warning of a flat loss, for callers that minimise several times.

    value_alone: the value of `loss` without its gradient, for a method that asks for no more.

    >>> minimised(lambda w: (1.0, 0 * w), [1.0], kg.Adam(), max_steps=5, tolerance=1e-8).steps
    0
    """
    point = _start_point(start)
    needs_exact_loss = getattr(method, "needs_exact_loss", None)
    if stochastic and needs_exact_loss:
        raise KetgradValueError(
            f"{type(method).__name__} needs an exact loss - {needs_exact_loss} - but `stochastic` is true. "
            "Use Adam() or SPSA()."
        )
    if isinstance(max_steps, bool) or not isinstance(max_steps, int | np.integer) or max_steps < 1:
        raise KetgradValueError(f"`max_steps` must be an integer of at least 1, but is {shown(max_steps)}.")
    check_positive(tolerance, "tolerance")
    if window is not None:
        check_count(window, "window", 2)
    rng, width = stream(seed), window or (200 if stochastic else 20)
    search = Run(loss, point.shape, int(max_steps), float(tolerance), width, stochastic, value_alone)
    with progress_shown(progress) as listeners:
        search.listeners += [*listeners, *([] if callback is None else [callback])]
        return _fit(search, method, point.ravel(), rng)


def _fit(search: Run, method: Optimizer, point: np.ndarray, rng: np.random.Generator) -> Fit:
    """What comes of a run, however it ends."""
    stop = EndOfRun(ALL_STEPS.format(search.max_steps), converged=False)
    try:
        method.run(search, point, rng)
    except EndOfRun as reached:
        stop = reached
    except KeyboardInterrupt:
        if not search.steps:  # nothing to keep yet
            raise
        return search.fit(EndOfRun("interrupted", converged=False), interrupted=True)
    except Exception as error:
        if search.history:  # what an exception ends is not lost
            error.fit = search.fit(EndOfRun(str(error), converged=False))  # type: ignore[attr-defined]
        raise
    return search.fit(stop)


def warn_if_flat(fits: Sequence[Fit]) -> None:
    """One warning if no start of several reacted to the weights."""
    if fits and all(STATIONARY in fit.reason for fit in fits):
        warn_user(f"Nothing was minimised: {fits[0].reason}.")


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
