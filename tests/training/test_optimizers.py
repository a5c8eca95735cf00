"""Optimisers say what they need of a loss, and nobody computes a gradient that none of them asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import ketgrad as kg
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.functions.function import Function
from ketgrad.training.minimise import minimised
from ketgrad.training.noisy_losses import Noise, optimizer_for
from ketgrad.training.optimizers import OPTIMIZERS, uses_gradients

START = np.array([0.4, -0.3])


class Refused(Exception):
    """Raised where a gradient is computed."""


def refuse(*_):
    raise Refused


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_asks_for_gradients_exactly_if_it_says_so(name):
    method, asked = OPTIMIZERS[name](), set()

    def with_gradient(weights):
        asked.add("gradient")
        return weights @ weights, 2 * weights

    def value_alone(weights):
        asked.add("value")
        return weights @ weights

    minimised(with_gradient, START, method, value_alone=value_alone, max_steps=5, tolerance=1e-9)
    assert asked == {"gradient" if uses_gradients(method) else "value"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_that_needs_an_exact_loss_is_refused_for_noise_in_its_own_words(name):
    method, noise = OPTIMIZERS[name](), Noise("it is another one each time", in_values=False)
    if method.needs_exact_loss is None:
        assert optimizer_for(method, noise) is method
    else:
        with pytest.raises(KetgradValueError, match=f"{name} needs.*{method.needs_exact_loss}.*another one"):
            optimizer_for(method, noise)


@dataclass(frozen=True)
class Bisected:
    """A method of a user that knows nothing of ketgrad's classes: it tries both directions of each weight."""

    step: float = 0.3

    def run(self, search, start, rng):
        """Keep what is better."""
        best, value = start, search.value(start)
        search.finish_step(best, value)
        for k in range(search.max_steps):
            for move in (self.step, -self.step):
                point = best.copy()
                point[k % len(point)] += move
                if (there := search.value(point)) < value:
                    best, value = point, there
            search.finish_step(best, value)


@dataclass(frozen=True)
class Picky(Bisected):
    """The same, refusing noise."""

    uses_gradients = False
    needs_exact_loss = "it compares neighbours"


ROWS = np.linspace(-1, 1, 6)[:, None]
SOLVED = {
    "minimise": lambda method: kg.minimise(lambda w: w @ w, START, method, max_steps=6).value,
    "vqe": lambda method: kg.vqe(kg.hamiltonians.ising(2), None, method, num_starts=1, max_steps=6).energy,
    "qaoa": lambda method: kg.qaoa([(0, 1)], 1, method, num_starts=1, max_steps=6).expected,
    "classifier": lambda method: (
        kg.VariationalClassifier(optimizer=method, max_steps=6).fit(ROWS, [0, 0, 0, 1, 1, 1]).fit_.value
    ),
    "regressor": lambda method: (
        kg.VariationalRegressor(optimizer=method, max_steps=6).fit(ROWS, ROWS[:, 0]).fit_.value
    ),
}


@pytest.mark.parametrize("name", SOLVED)
@pytest.mark.parametrize("method", [Bisected(), Picky(), kg.SPSA(), kg.COBYLA()], ids=repr)
def test_a_method_without_gradients_never_has_one_computed_for_it(name, method, monkeypatch):
    monkeypatch.setattr(Function, "vjp", refuse)
    assert np.isfinite(SOLVED[name](method))


@pytest.mark.parametrize("name", sorted(SOLVED.keys() - {"minimise"}))
def test_that_test_would_see_a_gradient(name, monkeypatch):
    monkeypatch.setattr(Function, "vjp", refuse)
    with pytest.raises(Refused):
        SOLVED[name](kg.Adam())


def test_what_a_method_says_decides_what_a_fit_is_said_to_cost():
    runs = {
        method: kg.VariationalRegressor(optimizer=method, max_steps=3)
        .fit(ROWS, ROWS[:, 0])
        .summary_.circuit_executions
        for method in (Picky(), Bisected())
    }
    assert runs[Bisected()] > runs[Picky()] == 6 * 7  # six rows; the start, then two values a step


def test_a_method_of_a_user_that_needs_an_exact_loss_is_refused_for_shots():
    with pytest.raises(
        KetgradValueError, match="Picky needs an exact loss - it compares neighbours - but `stochastic`"
    ):
        kg.minimise(lambda w: w @ w, START, Picky(), stochastic=True)
    with pytest.raises(
        KetgradValueError, match="Picky needs the same loss at every step - it compares neighbours"
    ):
        kg.vqe(kg.hamiltonians.ising(2), None, Picky(), executor="sampled")
