"""Training of a variational model: from the parameters of an estimator to a fit and the account of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.circuits.circuit import Circuit
from ketgrad.foundation.errors import KetgradValueError, shown
from ketgrad.foundation.numbers import check_count, check_number
from ketgrad.foundation.seeds import stream
from ketgrad.functions.builders import expectation
from ketgrad.functions.gradients.choice import choose
from ketgrad.functions.gradients.parameter_shift import ParameterShift
from ketgrad.functions.gradients.rules import begun_anew
from ketgrad.models.fitting.objective import Head, Objective, default_observables
from ketgrad.models.fitting.parameters import parameters_of
from ketgrad.models.fitting.rows import TrainingRows
from ketgrad.models.fitting.seeds import BATCHES, BEGINNING, DIRECTIONS, SEARCH, TRAINING, child, with_seed
from ketgrad.models.fitting.summary import Summary, count_gates
from ketgrad.training.losses import loss_named
from ketgrad.training.minimise import minimised, warn_if_flat
from ketgrad.training.noisy_losses import Noise, by_adam, noise_of, optimizer_for
from ketgrad.training.optimizers import optimizer_named, uses_gradients
from ketgrad.training.run import Fit

START = 0.1  # standard deviation of the first weights: near the identity, where gradients are not flat


@dataclass(frozen=True)
class Training:
    """The parameters of an estimator that decide its training; see the estimators for their meaning."""

    observables: Any
    loss: Any
    optimizer: Any
    max_steps: int
    batch_size: int | None
    tolerance: float
    regularisation: float
    executor: Any
    gradient: Any
    threads: int | None
    verbose: Any

    @classmethod
    def of(cls, estimator: Any) -> Training:
        """The training that an estimator's parameters ask for."""
        return parameters_of(estimator, cls)

    def head(self, circuit: Circuit, num_outputs: int, seed: np.random.SeedSequence) -> Head:
        """The model before training. seed: of its measurements, if it takes any."""
        observables = (
            default_observables(circuit.num_qubits) if self.observables is None else self.observables
        )
        f = expectation(
            circuit,
            observables,
            executor=self.executor,
            gradient=begun_anew(self.gradient, child(seed, DIRECTIONS)),
            threads=self.threads,
        )
        return Head(with_seed(f, seed, TRAINING), num_outputs)

    def train(self, head: Head, angles: np.ndarray, rows: TrainingRows, seed: np.random.SeedSequence) -> Fit:
        """Fit all parameters; Ctrl-C keeps the best so far."""
        objective = Objective(head, loss_named(self.loss), self._strength(), len(rows.weights))
        start = stream(seed, BEGINNING).normal(0.0, START, head.num_parameters)
        start[head.num_parameters - head.num_outputs :] = 0.0
        batches = self._batches(angles, rows, seed)
        noise = noise_of(head.function)
        if batches is not None:
            noise = Noise(f"batch_size={self.batch_size} gives another one each time")
        optimizer = optimizer_for(self.optimizer, noise)

        def on_a_batch(measure: Callable[..., Any]) -> Callable[[np.ndarray], Any]:
            return lambda parameters: measure(
                parameters, *((angles, rows) if batches is None else next(batches))
            )

        fit = minimised(
            on_a_batch(objective.value_and_gradient),
            start,
            optimizer,
            value_alone=on_a_batch(objective.value),
            max_steps=check_count(self.max_steps, "max_steps"),
            tolerance=self.tolerance,
            stochastic=noise is not None and noise.in_values,
            progress=self.verbose,
            seed=np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, SEARCH)),
        )
        warn_if_flat([fit])
        return fit if self.optimizer is not None or noise is None else by_adam(fit, noise)

    def summary(self, model: str, head: Head, rows: TrainingRows, fit: Fit) -> Summary:
        """The account of a finished fit."""
        f = head.function
        size = len(rows.weights) if self.batch_size is None else min(self.batch_size, len(rows.weights))
        runs = fit.evaluations * size
        named = None if self.optimizer is None else optimizer_named(self.optimizer)
        shift = ParameterShift()
        if named is not None and not uses_gradients(named):
            per_step, on_device = 1, 1
        else:
            rule = choose(f.executor, f.program) if self.gradient is None else self.gradient
            cost = rule.cost(f.program)
            per_step = 1 + cost.executions + 2 * cost.backward  # the loss first; a backward pass is two more
            by_device = shift.objection(f.executor, f.program) is None
            on_device = shift.cost(f.program).executions if by_device else None
        return Summary(
            model=model,
            num_readout_weights=head.num_readout + head.num_outputs,
            num_rows=len(rows.weights),
            circuit_executions=runs * per_step,
            device_executions=None if on_device is None else runs * on_device,
            seconds=fit.seconds,
            outcome=fit.reason,
            **count_gates(f.circuit),
        )

    def _strength(self) -> float:
        strength = self.regularisation
        known = isinstance(strength, int | float | np.number) and not isinstance(strength, bool)
        if not known or not 0 <= strength < np.inf:
            raise KetgradValueError(f"`regularisation` must be a number >= 0, but is {strength!r}.")
        return check_number(strength, "regularisation", 0.0)

    def _batches(self, angles: np.ndarray, rows: TrainingRows, seed: np.random.SeedSequence) -> Any:
        """Endless batches of rows, each row once per epoch in an order of its own; None for all rows at once."""
        if self.batch_size is None:
            return None
        size, count = check_count(self.batch_size, "batch_size"), len(rows.weights)
        if size >= count:
            return None

        def endless():
            epoch = 0
            while True:
                order = stream(seed, BATCHES, epoch).permutation(count)
                for first in range(0, count - size + 1, size):
                    chosen = order[first : first + size]
                    yield angles[chosen], rows.part(chosen)
                epoch += 1

        return endless()


def raise_if_interrupted(fit: Fit) -> None:
    """Pass Ctrl-C on, once the estimator holds its best weights: a search around it has to stop as well."""
    if fit.interrupted:
        interrupt = KeyboardInterrupt(
            f"Training was interrupted after {fit.steps} step(s); the model keeps the best weights so far."
        )
        interrupt.fit = fit  # type: ignore[attr-defined]
        raise interrupt


def check_known(name: str, value: Any, known: Iterable[str]) -> None:
    """Raise unless `value` is one of the names in `known`, or a function."""
    names = tuple(known)
    if not callable(value) and not (isinstance(value, str) and value in names):
        listed = ", ".join(map(repr, names))
        raise KetgradValueError(f"`{name}` must be {listed} or a function, but is {shown(value)}.")
