"""Training of a variational model: outputs = <observables> @ readout + bias, fitted together with the circuit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.paulis import Pauli, PauliSum
from ketgrad.foundation.errors import KetgradValueError, shown
from ketgrad.foundation.numbers import check_count, check_number
from ketgrad.foundation.seeds import stream
from ketgrad.functions.builders import expectation
from ketgrad.functions.function import Function
from ketgrad.functions.gradients.choice import choose
from ketgrad.functions.gradients.parameter_shift import ParameterShift
from ketgrad.functions.gradients.rules import begun_anew
from ketgrad.models.estimator import Rows, Summary, count_gates
from ketgrad.training.losses import Loss, loss_named
from ketgrad.training.minimise import minimised, warn_if_flat
from ketgrad.training.noise import Noise, by_adam, noise_of, optimizer_for
from ketgrad.training.optimizers import optimizer_named, uses_gradients
from ketgrad.training.run import Fit

# what is drawn under a random_state, each from a stream of its own
BEGINNING, BATCHES, SEARCH, TRAINING, PREDICTION, DIRECTIONS = range(6)
START = 0.1  # standard deviation of the first weights: near the identity, where gradients are not flat


@dataclass(frozen=True, eq=False)
class Head:
    """A function of weights and inputs with a linear readout; all its parameters lie in one flat array."""

    function: Function
    num_outputs: int

    @property
    def num_readout(self) -> int:
        """Readout weights, biases not counted."""
        return self.function.num_outputs * self.num_outputs

    @property
    def num_parameters(self) -> int:
        """Circuit weights, readout weights and biases."""
        return self.function.num_weights + self.num_readout + self.num_outputs

    def split(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(circuit weights, readout (num_observables, num_outputs), bias): views."""
        weights, readout, bias = np.split(
            parameters, np.cumsum([self.function.num_weights, self.num_readout])
        )
        return weights, readout.reshape(-1, self.num_outputs), bias

    def outputs(self, parameters: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """(n, num_outputs) for the rows of `angles`."""
        weights, readout, bias = self.split(parameters)
        return self.function(weights, angles) @ readout + bias


@dataclass(frozen=True, eq=False)
class Objective:
    """Weighted mean loss + regularisation / n * |parameters|^2, where n is the number of distinct rows.

    So neither a factor in all sample weights nor a copy of the whole table changes the fit. Biases are not penalised. A
    weight of zero is a gate that does nothing, so the penalty pulls towards the model that does not react to the data;
    its share vanishes as the data grow.
    """

    head: Head
    loss: Loss
    regularisation: float
    num_rows: int

    def value(self, parameters: np.ndarray, angles: np.ndarray, rows: Rows) -> float:
        """The objective alone, for optimisers without gradients."""
        outputs = self.head.outputs(parameters, angles)
        return float(self.loss(outputs, rows.targets, rows.weights)[0]) + self._penalty(parameters)[0]

    def value_and_gradient(
        self, parameters: np.ndarray, angles: np.ndarray, rows: Rows
    ) -> tuple[float, np.ndarray]:
        """The objective and its derivative by all parameters: one forward and one adjoint pass more."""
        weights, readout, bias = self.head.split(parameters)
        values = self.head.function(weights, angles)
        loss, slope = self.loss(values @ readout + bias, rows.targets, rows.weights)
        penalty, pull = self._penalty(parameters)
        by_weights = self.head.function.vjp(weights, angles, slope @ readout.T)[1]
        gradient = np.concatenate([by_weights, (values.T @ slope).ravel(), slope.sum(axis=0)])
        return float(loss) + penalty, gradient + pull

    def _penalty(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        pulled = parameters.copy()
        pulled[len(pulled) - self.head.num_outputs :] = 0.0
        strength = self.regularisation / self.num_rows
        return strength * float(pulled @ pulled), 2 * strength * pulled


@dataclass(frozen=True)
class Recipe:
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
    random_state: Any
    verbose: Any

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

    def train(self, head: Head, angles: np.ndarray, rows: Rows, seed: np.random.SeedSequence) -> Fit:
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
        warn_if_flat([fit], stacklevel=5)  # train, _fit, fit, and who called that
        return fit if self.optimizer is not None or noise is None else by_adam(fit, noise)

    def summary(self, model: str, head: Head, rows: Rows, fit: Fit) -> Summary:
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

    def _batches(self, angles: np.ndarray, rows: Rows, seed: np.random.SeedSequence) -> Any:
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


def default_observables(num_qubits: int) -> tuple[PauliSum, ...]:
    """Z and X on each qubit: X reacts linearly to small rotations by RY, Z quadratically.

    >>> default_observables(1)
    (Pauli('1.0 Z0'), Pauli('1.0 X0'))
    """
    return tuple(Pauli(f"{letter}{q}") for q in range(num_qubits) for letter in "ZX")


def child(seed: np.random.SeedSequence, counter: int) -> int:
    """One of the seeds under a seed, as a number of 128 bits: functions and kernels are compared and saved with it.

    >>> child(np.random.SeedSequence(7), PREDICTION) == child(np.random.SeedSequence(7), PREDICTION)
    True
    """
    words = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, counter)).generate_state(4)
    return int.from_bytes(words.astype("<u4").tobytes(), "little")


def with_seed(function: Function, seed: np.random.SeedSequence, counter: int) -> Function:
    """The function with measurements of its own stream; one that measures nothing passes unchanged."""
    return (
        replace(function, seed=child(seed, counter)) if "shots" in function.executor.abilities else function
    )


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
