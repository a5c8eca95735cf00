"""The parameter-shift rule: exact on random circuits, with the published variance, refused where noise drowns it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from programs import random_observable
from rule_checks import CIRCUIT, Z

import ketgrad as kg
from ketgrad.executors import get
from ketgrad.functions.gradients import parameter_shift


def test_a1_the_two_term_shift_is_exact_on_100_random_circuits():
    """Mitarai et al. 2018, arXiv:1803.00745; Schuld et al. 2019, arXiv:1811.11184."""
    for seed in range(100):
        rng = np.random.default_rng(seed)
        ops = []
        for k in range(12):
            word, angle = "".join(rng.choice(list("XYZ"), 2)), kg.w[k]
            first, second = (int(q) for q in rng.permutation(4)[:2])
            builder = [kg.rx, kg.ry, kg.rz][rng.integers(3)]
            ops.append(kg.pauli_rotation(angle, word, first, second) if k % 3 == 2 else builder(angle, first))
        f = kg.expectation(kg.Circuit(ops, 4), random_observable(4, 4, seed))
        weights = rng.uniform(-np.pi, np.pi, 12)
        shifted = f(weights + np.pi / 2 * np.eye(12)) - f(weights - np.pi / 2 * np.eye(12))
        np.testing.assert_allclose(shifted[:, 0] / 2, f.jacobian(weights)[0][0], atol=1e-10)


def test_a4_the_variance_of_the_shift_rule_with_shots():
    """<Z> after RY(t) with S shots in each of two circuits: variance 2 (1 - sin^2 t) / 4S."""
    f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"), shots=1000, seed=2)
    slopes = f.jacobian(np.full((4000, 1), 1.1))[0].ravel()
    assert slopes.mean() == pytest.approx(-np.sin(1.1), abs=5e-4)
    assert slopes.var() == pytest.approx(1.0287e-4, rel=0.06)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_a_rule_that_multiplies_noise_a_million_times_is_refused_in_any_unit(unit, monkeypatch):
    question = kg.expectation(CIRCUIT, Z).program.question
    gate = SimpleNamespace(frequencies=(unit, 2 * unit), gate_name="close", qubits=(0, 1), op_index=3)
    program: Any = SimpleNamespace(question=question, occurrences=[gate])
    for times, allowed in ((0.99e6, True), (1.01e6, False)):
        pairs = ((0.1, times * unit), (-0.1, -times * unit))  # twice the frequency is the largest
        monkeypatch.setattr(parameter_shift, "shift_rule", lambda frequencies, pairs=pairs: pairs)
        reason = kg.ParameterShift().objection(get("native"), program)
        assert (reason is None) == allowed, times
        assert allowed or "close on qubits 0, 1 (op 3) has frequencies too close to be told apart" in reason
