"""What vqe and qaoa share: one minimum from several starts, told with the noise of its measurements."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.arrays import real_array
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import reserve, state_bytes
from ketgrad.foundation.seeds import check_seed
from ketgrad.functions.builders import expectation
from ketgrad.functions.function import Function
from ketgrad.functions.gradients.rules import begun_anew
from ketgrad.training.minimise import minimised, warn_if_flat
from ketgrad.training.noisy_losses import Noise, by_adam, noise_of, optimizer_for
from ketgrad.training.optimizers import Optimizer
from ketgrad.training.run import ASKED, Fit

MOST_QUBITS = 10_000  # of the circuits that vqe and qaoa make
REPEATS = 100  # fresh evaluations behind an energy from finite shots: a tenth of the noise of one


class Minimum(NamedTuple):
    """The best start, its value, those of all starts, the standard error of that value, and whether Ctrl-C came."""

    fit: Fit
    value: float
    values: tuple[float, ...]
    uncertainty: float
    interrupted: bool


def minimum(
    circuit: Circuit,
    observable: PauliSum,
    starts: np.ndarray,
    optimizer: Optimizer | str | None,
    *,
    executor: Any,
    gradient: Any,
    threads: int | None,
    seed: np.random.SeedSequence,
    **search: Any,
) -> Minimum:
    """The lowest expectation value that is reached from any of the starts.

    search: max_steps, tolerance and progress of `minimise`.
    """
    rule = begun_anew(gradient, child_seed(seed, 4))
    function = expectation(
        circuit, observable, executor=executor, gradient=rule, threads=threads, seed=child_seed(seed, 3)
    )
    noise = noise_of(function)
    method = optimizer_for(optimizer, noise)
    fits, interrupted = _fits(function, starts, method, noise, seed, **search)
    if optimizer is None and noise is not None:
        fits = [by_adam(fit, noise) for fit in fits]
    warn_if_flat(fits)
    return _best(function, fits, noise, interrupted)


def _fits(
    function: Function,
    starts: np.ndarray,
    method: Optimizer,
    noise: Noise | None,
    seed: np.random.SeedSequence,
    **search: Any,
) -> tuple[list[Fit], bool]:
    """The fits from all starts, and whether Ctrl-C ended them early."""
    fits: list[Fit] = []
    for k, start in enumerate(starts):
        try:
            fit = minimised(
                energy_and_gradient(function),
                start,
                method,
                value_alone=energy_alone(function),
                stochastic=noise is not None and noise.in_values,
                seed=child_seed(seed, 1, k),
                **search,
            )
        except KeyboardInterrupt:
            if not fits:  # nothing to keep yet
                raise
            return fits, True
        fits.append(fit)
        if fit.interrupted or fit.reason == ASKED:
            return fits, fit.interrupted
    return fits, False


def _best(function: Function, fits: list[Fit], noise: Noise | None, interrupted: bool) -> Minimum:
    """The lowest start; among equals up to rounding the first, so that the answer does not hang on the last digit.

    With finite shots the values are measured anew: once to choose, and again to report, for the lowest of several
    noisy values is too low on average.
    """
    if noise is None or not noise.in_values:
        values = tuple(fit.value for fit in fits)
        least = min(values)
        first = next(k for k, value in enumerate(values) if value <= least + 1e-12 * max(1.0, abs(least)))
        return Minimum(fits[first], values[first], values, 0.0, interrupted)
    measured = [_measured_anew(function, fit.weights)[0] for fit in fits]
    chosen = int(np.argmin(measured))
    value, uncertainty = _measured_anew(function, fits[chosen].weights)
    return Minimum(fits[chosen], value, tuple(measured), uncertainty, interrupted)


def _measured_anew(function: Function, weights: np.ndarray) -> tuple[float, float]:
    """The mean of fresh evaluations and its standard error."""
    values = function(np.tile(weights, (REPEATS, 1)))[:, 0]
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(REPEATS))


def energy_and_gradient(function: Function) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """The loss of a function with one output and no inputs."""

    def energy(weights: np.ndarray) -> tuple[float, np.ndarray]:
        values, gradient, _ = function.vjp(weights, None, np.ones(1))
        return float(values[0]), gradient

    return energy


def energy_alone(function: Function) -> Callable[[np.ndarray], float]:
    """The same without its gradient."""
    return lambda weights: float(function(weights)[0])


def given_starts(start: Any, num_weights: int) -> np.ndarray:
    """The starts of a caller, (starts, num_weights), checked."""
    array = np.atleast_2d(real_array(start, "start").astype(np.float64))
    if array.size == 0:
        raise KetgradValueError("`start` must hold at least one start, but is empty.")
    if array.ndim != 2 or array.shape[1] != num_weights:
        raise KetgradValueError(
            f"`start` must have shape ({num_weights},) or (starts, {num_weights}) - one number per weight - but has "
            f"shape {np.shape(start)}."
        )
    return array


def child_seed(seed: Any, *counters: int) -> np.random.SeedSequence:
    """One of the seeds under a seed."""
    root = check_seed(seed)
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *counters))


def check_width(num_qubits: int, most: int = MOST_QUBITS) -> None:
    """Refuse a register before a circuit is built on it: that of a million qubits alone would take minutes.

    most: up to how many qubits the circuit itself tells how much of it an energy sees.
    """
    if num_qubits > most:
        reserve(
            state_bytes(num_qubits),
            f"the state of {num_qubits} qubits",
            f"Beyond {most} qubits every amplitude is kept here: use fewer qubits, or a circuit of your own.",
        )


def noise_text(uncertainty: float) -> str:
    """The standard error as it follows an energy; nothing for an exact one."""
    return f" +- {uncertainty:.2g} by finite shots" if uncertainty else ""


def starts_text(values: tuple[float, ...], fit: Fit, interrupted: bool) -> str:
    """How many starts there were, and how the best one ended."""
    many = f"best of {len(values)} starts" if len(values) > 1 else "one start"
    state = "converged" if fit.converged else "not converged"
    return f"{'interrupted, ' * interrupted}{many}, {fit.steps} steps in {fit.seconds:.2g} s: {state}, {fit.reason}"
