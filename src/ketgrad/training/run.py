"""One run of `minimise`: it evaluates the loss, keeps the best point and decides when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ketgrad.foundation.arrays import refuse_gradients
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError

ALL_STEPS = "all {} steps were made before the loss settled"
STATIONARY = "either no weight acts on what is measured, or the start is a stationary point"
ASKED = "the callback asked to stop"


@dataclass(frozen=True)
class Step:
    """What a callback sees after each step. `weights` is a copy in the shape of `start`.

    best_value: the lowest value so far; of a stochastic loss, whose lowest value is a lucky one, what `Fit.value` is.
    """

    number: int
    max_steps: int
    value: float
    best_value: float
    weights: np.ndarray
    seconds: float


@dataclass(frozen=True, eq=False)
class Fit:
    """The outcome of `minimise`.

    weights: the best point that was evaluated (the last if the loss is stochastic), in the shape of `start`.
    value: its loss (if the loss is stochastic, the mean over the last window of the history, or over its second half
        if that is shorter).
    history: (steps + 1,) the loss after each step; history[0] belongs to `start` (SPSA: mean of the two
        values of a step; COBYLA: every evaluation).
    steps, evaluations: how many were made. converged: whether the stopping rule was met. reason: why it
    stopped, as a sentence. seconds: wall time. interrupted: whether Ctrl-C ended it.

    >>> fit = kg.minimise(lambda weights: ((weights**2).sum(), 2 * weights), np.ones(2), kg.LBFGSB())
    >>> fit.weights.round(6) + 0, fit.converged
    (array([0., 0.]), True)
    """

    weights: np.ndarray
    value: float
    history: np.ndarray = field(repr=False)
    steps: int
    evaluations: int
    converged: bool
    reason: str
    seconds: float
    interrupted: bool = False


class NonFiniteLoss(KetgradValueError):
    """The loss or its gradient became NaN or infinite; `fit` holds the best point before, if there is one."""

    fit: Fit | None = None


class EndOfRun(Exception):
    """Ends a run with its reason: a signal, not an error; it never leaves `minimise`."""

    def __init__(self, reason: str, converged: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.converged = converged


class Run:
    """One run of `minimise`: the loss, the best point, the history, the listeners and the stopping rule.

    loss: returns (value, gradient), or the value alone for methods without gradients. value_alone: the same value where
    it costs less without a gradient; None asks `loss`. So whether gradients are computed is decided by what a method
    calls, `value` or `value_and_gradient`.
    """

    def __init__(
        self,
        loss: Callable[[np.ndarray], Any],
        shape: tuple[int, ...],
        max_steps: int,
        tolerance: float,
        window: int,
        stochastic: bool,
        value_alone: Callable[[np.ndarray], Any] | None = None,
    ) -> None:
        self.loss, self.shape, self.max_steps = loss, shape, max_steps
        self.value_alone = loss if value_alone is None else value_alone
        self.tolerance, self.window, self.stochastic = tolerance, window, stochastic
        self.history: list[float] = []
        self.evaluations = 0
        self.best_value, self.best = math.inf, np.empty(0)
        self.last = np.empty(0)
        self.listeners: list[Callable[[Step], Any]] = []
        self.began = time.perf_counter()

    @property
    def steps(self) -> int:
        """How many steps were finished; the start is not one."""
        return max(0, len(self.history) - 1)

    @property
    def reported(self) -> float:
        """The value of the search so far: the lowest, or a mean of the last ones where the lowest would be luck."""
        if not self.stochastic:
            return self.best_value
        return float(np.mean(self.history[-min(self.window, max(1, len(self.history) // 2)) :]))

    def value(self, weights: np.ndarray) -> float:
        """The loss alone, for methods without gradients."""
        outcome = self.value_alone(np.array(weights).reshape(self.shape))
        return self._checked_value(outcome[0] if isinstance(outcome, tuple) else outcome, weights)

    def value_and_gradient(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and its gradient, flat float64."""
        outcome = self.loss(np.array(weights).reshape(self.shape))
        if not (isinstance(outcome, tuple) and len(outcome) == 2):
            raise KetgradTypeError(
                "`loss` must return (value, gradient) - this optimiser uses gradients - but returned "
                f"{type(outcome).__name__}. Without gradients use SPSA() or COBYLA()."
            )
        refuse_gradients(outcome[1], "gradient")
        gradient = np.asarray(outcome[1])
        if gradient.dtype.kind not in "fiu" or gradient.shape != self.shape:
            raise KetgradValueError(
                f"`loss` must return a real gradient of the shape of `start`, {self.shape}, but returned "
                f"dtype {gradient.dtype} and shape {gradient.shape}."
            )
        gradient = gradient.astype(np.float64).ravel()
        bad = np.flatnonzero(~np.isfinite(gradient))
        if bad.size:
            place = np.unravel_index(bad[0], self.shape)
            where = ", ".join(str(int(i)) for i in place)
            raise self._non_finite(f"the gradient by weight [{where}]", float(gradient[bad[0]]))
        return self._checked_value(outcome[0], weights), gradient

    def finish_step(self, weights: np.ndarray, value: float, *, may_converge: bool = True) -> None:
        """Record a step, tell the listeners, and end the search if it is time to."""
        self.history.append(value)
        self.last = np.array(weights)
        if self.listeners:
            self._tell()
        if may_converge and self._settled():
            kind = (
                "the means of two windows agree within their noise"
                if self.stochastic
                else (f"the loss changed by less than the tolerance over {self.window} steps")
            )
            raise EndOfRun(kind, converged=True)
        if self.steps >= self.max_steps:
            raise EndOfRun(ALL_STEPS.format(self.max_steps), converged=False)

    def check_slope(self, gradient: np.ndarray) -> None:
        """End the search if an exact gradient vanishes at the start: no gradient method would move."""
        if not self.stochastic and np.abs(gradient).max() <= 1e-14 * max(1.0, abs(self.history[0])):
            self.stop_flat("the gradient is zero at the start, in every weight")

    def stop_flat(self, finding: str) -> None:
        """End the search of a loss that does not react to the weights."""
        raise EndOfRun(f"{finding}: {STATIONARY} (then start from random weights)", converged=False)

    def fit(self, stop: EndOfRun, interrupted: bool = False) -> Fit:
        """The outcome so far."""
        history = np.array(self.history)
        weights = self.last if self.stochastic else self.best
        return Fit(
            weights.reshape(self.shape),
            self.reported,
            history,
            self.steps,
            self.evaluations,
            stop.converged,
            stop.reason,
            time.perf_counter() - self.began,
            interrupted,
        )

    def _checked_value(self, value: Any, weights: np.ndarray) -> float:
        refuse_gradients(value, "loss(weights)")
        number = np.asarray(value)
        if number.size != 1 or number.dtype.kind not in "fiu":
            raise KetgradTypeError(
                f"`loss` must return one real number, but returned dtype {number.dtype} and "
                f"shape {number.shape}."
            )
        number = float(number.reshape(()))
        if not math.isfinite(number):
            raise self._non_finite("the loss", number)
        self.evaluations += 1
        if number < self.best_value:
            self.best_value, self.best = number, np.array(weights)
        return number

    def _non_finite(self, what: str, value: float) -> NonFiniteLoss:
        step = len(self.history)
        kept = (
            f"the best before, of loss {self.reported:.6g}, is kept in `error.fit`"
            if step
            else "it is the start"
        )
        return NonFiniteLoss(
            f"`loss` must stay finite, but {what} is {value} at step {step}; {kept}. A smaller learning "
            "rate, scaled data or another start may help."
        )

    def _settled(self) -> bool:
        width = self.window
        if self.stochastic:
            if self.steps <= 2 * width:
                return False
            recent, before = np.array(self.history[-width:]), np.array(self.history[-2 * width : -width])
            return bool(abs(before.mean() - recent.mean()) <= recent.std() / (2 * math.sqrt(width)))
        if self.steps < width:
            return False
        recent = self.history[-width:]
        return max(recent) - min(recent) <= self.tolerance * max(1.0, abs(self.best_value))

    def _tell(self) -> None:
        step = Step(
            self.steps,
            self.max_steps,
            self.history[-1],
            self.reported,
            self.last.reshape(self.shape).copy(),
            time.perf_counter() - self.began,
        )
        for listener in self.listeners:
            wish = listener(step)
            if isinstance(wish, bool | np.bool_) and wish:
                raise EndOfRun(ASKED, converged=False)
