"""The shift rule for amplitudes of a prepared state: exact, wherever the variables stand."""

from typing import Any

import numpy as np
import pytest
from programs import random_circuit
from rule_checks import ADJOINT, OBSERVABLES, SHIFT, Recording, data, largest_difference, w, x

import ketgrad as kg


def test_amplitudes_have_an_exact_shift_rule():
    for seed in range(6):
        circuit = random_circuit(3, 12, seed, prepare=True)
        f, g = (kg.expectation(circuit, OBSERVABLES[3], gradient=rule) for rule in (ADJOINT, SHIFT))
        point = data(f, 4, seed)
        assert largest_difference(f.vjp(*point), g.vjp(*point)) < 1e-10
        assert largest_difference(f.jacobian(*point[:2]), g.jacobian(*point[:2])) < 1e-10


@pytest.mark.parametrize(
    "amplitudes", [(0.5, 0.5, 0.25, 0.5), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, -0.5, 0.0)], ids=str
)
def test_amplitudes_that_are_not_divided_by_their_norm_have_one_too(amplitudes):
    vector = [kg.x[0], kg.x[1], 2 * kg.x[2], kg.w[0]]
    circuit = kg.Circuit([kg.prepare_state(vector, 0, 2), kg.ry(kg.w[1], 0), kg.cx(2, 1), kg.rx(kg.x[0], 1)])
    f, g = (kg.expectation(circuit, OBSERVABLES[3], gradient=rule) for rule in (ADJOINT, SHIFT))
    point = np.array([amplitudes[3], 0.3]), np.array(amplitudes[:3]), np.array([0.7, -0.2])
    assert largest_difference(f.vjp(*point), g.vjp(*point)) < 1e-10


def test_amplitude_encoded_data_can_be_trained_with_shots():
    circuit = kg.Circuit([kg.prepare_state([kg.x[0], kg.x[1]], 0, normalize=True), kg.ry(kg.w[0], 0)])
    exact, shots = (
        kg.expectation(circuit, kg.Pauli("Z0")),
        kg.expectation(circuit, kg.Pauli("Z0"), shots=10**6, seed=1),
    )
    point = [0.4], [[0.3, 1.0], [2.0, 0.1]], [1.0]
    assert largest_difference(exact.vjp(*point), shots.vjp(*point)) < 0.02
    assert shots.plan.executions == 1 + 2 + 4


@pytest.mark.parametrize(
    ("amplitudes", "runs"),
    [
        ([x[0], 1.0], 2),  # one variable, the first of all slots
        ([x[0], x[0]], 4),
        ([0.5, 2.0 * x[0], -x[1], 0.0], 4),
        ([w[0], x[0], 0.0, 1.0], 4),
    ],
)
def test_the_shift_rule_for_amplitudes_is_exact_wherever_the_variables_stand(amplitudes, runs):
    qubits = range(len(amplitudes).bit_length() - 1)
    prepared = kg.Circuit([kg.prepare_state(amplitudes, *qubits, normalize=True), kg.ry(0.7, 0)], 2)
    observables = [kg.Pauli("Z0"), kg.Pauli("X0 + 0.3")]
    exact, shifted = (kg.expectation(prepared, observables, gradient=rule) for rule in (ADJOINT, SHIFT))
    assert SHIFT.cost(exact.program).executions == 1 + runs
    weights, inputs = (
        np.full(exact.num_weights, 0.4),
        np.array([[0.3, -0.8], [1.7, 0.2]])[:, : exact.num_inputs],
    )
    for first, second in zip(exact.jacobian(weights, inputs), shifted.jacobian(weights, inputs), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12)
    cotangent = np.array([[1.0, -2.0], [0.5, 3.0]])
    for first, second in zip(
        exact.vjp(weights, inputs, cotangent), shifted.vjp(weights, inputs, cotangent), strict=True
    ):
        np.testing.assert_allclose(first, second, atol=1e-12)
    executor: Any = Recording("exact")
    kg.expectation(prepared, observables, executor=executor).vjp(weights, inputs, cotangent)
    assert sum(executor.rows) == 2 * (1 + runs)  # as announced: nothing is run for constants


def test_two_prepared_states_have_their_own_norms():
    circuit = kg.Circuit(
        [
            kg.prepare_state([x[0], 1.0], 0, normalize=True),
            kg.prepare_state([2.0, x[1]], 1, normalize=True),
            kg.ry(w[0], 0),
            kg.cx(0, 1),
        ]
    )
    exact, shifted = (
        kg.expectation(circuit, kg.Pauli("Z0 Z1 + X1"), gradient=rule) for rule in (ADJOINT, SHIFT)
    )
    point = [0.3], [[0.4, -3.0], [5.0, 0.1]]
    for first, second in zip(exact.jacobian(*point), shifted.jacobian(*point), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12)
