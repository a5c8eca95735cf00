"""Sums of shifted runs: in which portions they run, and what they ask for."""

import numpy as np
import pytest
from programs import random_circuit, random_observable
from rule_checks import CIRCUIT, RULES, Recording, Z, batch_of, x

import ketgrad as kg
from ketgrad.functions.gradients import sweeps
from ketgrad.functions.gradients.sweeps import blocks_at_once


@pytest.mark.parametrize(
    ("num_qubits", "batch", "numbers", "blocks"),
    [
        (3, 1, 0, 2**25 // 2**7),  # 32 MiB of states of 128 bytes
        (3, 1, 16, 2**25 // 2**8),  # and as much again for the numbers beside them
        (3, 128, 16, 2**25 // 2**15),
        (20, 1, 0, 64),  # few states fit, but 64 rows keep all cores busy
        (20, 16, 0, 4),
        (20, 65, 0, 1),
    ],
)
def test_shifted_rows_run_in_portions_of_32_mib_or_64_rows(num_qubits, batch, numbers, blocks):
    f = kg.expectation(kg.Circuit([kg.rx(x[0], 0)], num_qubits), kg.Pauli(f"Z{num_qubits - 1} Z0"))
    assert f.program.num_qubits == num_qubits
    assert blocks_at_once(batch_of(f, [[]], np.zeros((batch, 1))), numbers) == blocks


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_portions_change_no_derivative_and_no_portion_is_larger(rule, monkeypatch):
    if isinstance(rule, kg.gradients.SPSA):
        return  # its directions run one by one
    circuit = random_circuit(3, 12, seed=3, prepare=True)
    f = kg.expectation(circuit, [random_observable(3, 4, seed) for seed in (1, 2, 3)])
    rng = np.random.default_rng(0)
    weights, inputs = rng.normal(size=(1, f.num_weights)), rng.uniform(0.2, 2, (2, f.num_inputs))
    tolerance = 1e-9 if isinstance(rule, kg.FiniteDifference) else 1e-12  # a last digit divided by the step
    whole = rule.jacobian(batch_of(f, weights, inputs))
    monkeypatch.setattr(sweeps, "CHUNK_BYTES", 1)
    monkeypatch.setattr(sweeps, "CHUNK_ROWS", 4)
    executor = Recording("adjoint")
    parts = rule.jacobian(batch_of(f, weights, inputs, executor))
    for first, second in zip(whole, parts, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-12, atol=tolerance)
    assert max(executor.rows) <= 4 and len(executor.rows) > 1


def test_the_memory_of_all_derivatives_is_asked_for_at_once(monkeypatch):
    f = kg.expectation(CIRCUIT, [Z, kg.Pauli("X0"), kg.Pauli("Y1")])
    asked: list[int] = []
    monkeypatch.setattr(sweeps, "reserve", lambda need, *words: asked.append(need))
    point = batch_of(f, [0.1, 0.2], [[0.3], [0.4]])
    rule = kg.FiniteDifference()
    rule.jacobian(point)
    rule.vjp(point, np.ones((2, 3)))
    assert asked == [16 * 3 * 2 * 3, 16 * 3 * 2]  # bytes, variables, rows, outputs


def test_the_slots_are_one_the_weights_and_the_inputs():
    f = kg.expectation(CIRCUIT, Z)
    assert f.program.slots(np.array([[0.1, 0.2]]), np.array([[0.3], [0.4]])).tolist() == [
        [1.0, 0.1, 0.2, 0.3],
        [1.0, 0.1, 0.2, 0.4],
    ]
