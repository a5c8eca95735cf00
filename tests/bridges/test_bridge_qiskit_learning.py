"""Code written for qiskit-machine-learning and qiskit-algorithms runs on ketgrad's primitives unchanged."""

import numpy as np
import pytest
from counting import Counting
from qiskit.circuit import library as lib
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_algorithms import QAOA, VQE, SamplingVQE
from qiskit_algorithms.optimizers import COBYLA as AlgorithmsCOBYLA
from qiskit_algorithms.optimizers import SLSQP
from qiskit_machine_learning.algorithms import VQC, NeuralNetworkClassifier
from qiskit_machine_learning.kernels import (
    FidelityQuantumKernel,
    FidelityStatevectorKernel,
    TrainableFidelityQuantumKernel,
)
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN
from qiskit_machine_learning.optimizers import COBYLA, L_BFGS_B
from qiskit_machine_learning.state_fidelities import ComputeUncompute

import ketgrad as kg

RNG = np.random.default_rng


def network_parts():
    """A feature map and an ansatz, composed."""
    feature_map, ansatz = lib.zz_feature_map(2), lib.real_amplitudes(2, reps=1)
    circuit = feature_map.compose(ansatz)
    return circuit, feature_map.parameters, ansatz.parameters


def test_an_estimator_network_has_the_values_and_derivatives_of_qiskit():
    circuit, inputs, weights = network_parts()
    x, w = RNG(0).uniform(-1, 1, (6, 2)), RNG(1).uniform(-1, 1, 4)
    found = []
    for arguments in (
        {"estimator": StatevectorEstimator()},
        {"estimator": kg.qiskit.Estimator()},
        {"estimator": kg.qiskit.Estimator(), "gradient": kg.qiskit.EstimatorGradient()},
    ):
        network = EstimatorQNN(
            circuit=circuit,
            input_params=inputs,
            weight_params=weights,
            input_gradients=True,
            observables=[SparsePauliOp("ZI"), SparsePauliOp("XY")],
            default_precision=0.0,
            **arguments,
        )
        found.append((network.forward(x, w), *network.backward(x, w)))
    for ours in found[1:]:
        for mine, wanted in zip(ours, found[0], strict=True):
            np.testing.assert_allclose(mine, wanted, atol=1e-9)


def test_a_classifier_learns_with_the_adjoint_gradient():
    circuit, inputs, weights = network_parts()
    counting = Counting()
    network = EstimatorQNN(
        circuit=circuit,
        input_params=inputs,
        weight_params=weights,
        default_precision=0.0,
        estimator=kg.qiskit.Estimator(executor=counting),
        gradient=kg.qiskit.EstimatorGradient(executor=counting),
    )
    x = RNG(0).uniform(-1, 1, (16, 2))
    y = np.sign(network.forward(x, np.array([0.4, -1.0, 0.7, 0.2])).ravel())
    start = np.array([0.0, -0.6, 0.4, 0.0])
    model = NeuralNetworkClassifier(network, optimizer=L_BFGS_B(maxiter=30), initial_point=start).fit(x, y)
    assert model.score(x, y) >= 0.9
    assert set(counting.derivatives) == {16}


def test_a_sampler_network_has_the_values_of_qiskit():
    circuit, inputs, weights = network_parts()
    x, w = RNG(0).uniform(-1, 1, (3, 2)), RNG(1).uniform(-1, 1, 4)
    bound = [circuit.assign_parameters(dict(zip([*inputs, *weights], [*row, *w], strict=True))) for row in x]
    chances = np.array([Statevector(one).probabilities() for one in bound])
    sampler = kg.qiskit.Sampler(default_shots=20000, seed=1)
    network = SamplerQNN(circuit=circuit, input_params=inputs, weight_params=weights, sampler=sampler)
    np.testing.assert_allclose(network.forward(x, w), chances, atol=0.02)
    by_weights = network.backward(x, w)[1]
    network.gradient = kg.qiskit.SamplerGradient()
    exact = network.backward(x, w)[1]
    assert by_weights is not None and exact is not None and exact.shape == (3, 4, 4)
    np.testing.assert_allclose(by_weights, exact, atol=0.05)


def test_with_an_exact_sampler_networks_and_kernels_have_the_values_of_the_default_sampler():
    circuit, inputs, weights = network_parts()
    x, w = RNG(0).uniform(-1, 1, (3, 2)), RNG(1).uniform(-1, 1, 4)
    found = []
    for sampler in (None, kg.qiskit.Sampler(default_shots=None)):
        network = SamplerQNN(circuit=circuit, input_params=inputs, weight_params=weights, sampler=sampler)
        fidelity = None if sampler is None else ComputeUncompute(sampler)
        kernel = FidelityQuantumKernel(feature_map=lib.zz_feature_map(2), fidelity=fidelity)
        found.append((network.forward(x, w), network.backward(x, w)[1], kernel.evaluate(x)))
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_a_variational_classifier_and_fidelity_kernels_run_unchanged():
    circuit, inputs, weights = network_parts()
    feature_map, ansatz = lib.zz_feature_map(2), lib.real_amplitudes(2, reps=1)
    x = RNG(0).uniform(-1, 1, (6, 2))
    labels = np.eye(2)[(x[:, 0] > 0).astype(int)]
    model = VQC(
        feature_map=feature_map,
        ansatz=ansatz,
        optimizer=COBYLA(maxiter=6),
        sampler=kg.qiskit.Sampler(seed=2),
    )
    assert model.fit(x, labels).predict(x).shape == (6, 2)
    fidelity = ComputeUncompute(kg.qiskit.Sampler(seed=1, default_shots=5000))
    kernel = FidelityQuantumKernel(feature_map=feature_map, fidelity=fidelity).evaluate(x)
    np.testing.assert_allclose(
        kernel, FidelityStatevectorKernel(feature_map=feature_map).evaluate(x), atol=0.05
    )
    trainable = TrainableFidelityQuantumKernel(
        feature_map=circuit, training_parameters=weights, fidelity=fidelity
    )
    trainable.assign_training_parameters([0.3, 0.1, -0.4, 0.8])
    bound = [
        Statevector(
            circuit.assign_parameters(
                dict(zip([*inputs, *weights], [*row, 0.3, 0.1, -0.4, 0.8], strict=True))
            )
        )
        for row in x
    ]
    overlaps = [[abs(a.inner(b)) ** 2 for b in bound] for a in bound]
    np.testing.assert_allclose(trainable.evaluate(x), overlaps, atol=0.05)


def test_the_eigensolvers_of_qiskit_algorithms_run_unchanged():
    operator = SparsePauliOp(["ZZ", "XI", "IX"], [1, 0.5, 0.5])
    lowest = np.linalg.eigvalsh(operator.to_matrix())[0]
    for gradient in (None, kg.qiskit.EstimatorGradient()):
        solver = VQE(
            kg.qiskit.Estimator(),
            lib.real_amplitudes(2, reps=1),
            SLSQP(maxiter=60),
            gradient=gradient,
            initial_point=[0.3, -0.4, 0.5, 0.2],
        )
        result = solver.compute_minimum_eigenvalue(operator, aux_operators=[SparsePauliOp("ZZ")])
        assert result.eigenvalue == pytest.approx(lowest, abs=1e-5)
        assert result.aux_operators_evaluated[0][0] == pytest.approx(-np.sqrt(0.5), abs=1e-2)
    ring = SparsePauliOp(["ZZI", "IZZ", "ZIZ"], [1.0, 1.0, 1.0])
    for solver in (
        QAOA(kg.qiskit.Sampler(seed=1), AlgorithmsCOBYLA(maxiter=20), reps=2, initial_point=[0.5] * 4),
        SamplingVQE(
            kg.qiskit.Sampler(seed=1),
            lib.real_amplitudes(3),
            AlgorithmsCOBYLA(maxiter=14),
            initial_point=[0.5] * 12,
        ),
    ):
        result = solver.compute_minimum_eigenvalue(ring)
        assert result.best_measurement["value"] == -1
