"""Variances: closed forms, dense matrices, derivatives against differences, shots, files."""

import pickle

import numpy as np
import pytest
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad.programs.questions import Variance

w, x = kg.w, kg.x
OBSERVABLES = [kg.Pauli("Z0"), kg.Pauli("0.5 X0 X1 - Z1 + 3 + 0.2 Y0 Z2")]
CIRCUIT = kg.Circuit(
    [kg.ry(w[0] * x[0], 0), kg.rx(w[1], 1), kg.cx(0, 1), kg.rz(x[1], 1), kg.ry(w[2], 0), kg.h(2), kg.cx(2, 1)]
)
RANDOM = np.random.default_rng(4)
W, X = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(4, 2))
COTANGENT = RANDOM.normal(size=(4, 2))
STEP = 1e-6


def dense(circuit, observables, weights, inputs):
    """<O^2> - <O>^2 by matrices."""
    matrices = [one.matrix(circuit.num_qubits) for one in observables]
    states = kg.state(circuit, executor="reference")(weights, inputs)
    return np.array(
        [[np.vdot(o @ s, o @ s).real - np.vdot(s, o @ s).real ** 2 for o in matrices] for s in states]
    )


def test_closed_forms():
    turned = kg.Circuit([kg.ry(w[0], 0)])
    angles = np.linspace(-3, 3, 7)[:, None]
    np.testing.assert_allclose(
        kg.variance(turned, kg.Pauli("Z0"))(angles), np.sin(angles) ** 2, atol=1e-14
    )  # fmt: skip
    np.testing.assert_allclose(
        kg.variance(turned, kg.Pauli("3 X0 + 5"))(angles), 9 * np.cos(angles) ** 2, atol=1e-14
    )
    ghz = kg.Circuit([kg.h(0), *(kg.cx(q, q + 1) for q in range(4))])
    magnetisation = kg.Pauli(" + ".join(f"Z{q}" for q in range(5)))
    stabiliser = kg.Pauli("X0 X1 X2 X3 X4")
    np.testing.assert_allclose(kg.variance(ghz, [magnetisation, stabiliser])(), [25, 0], atol=1e-13)


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
def test_values_are_those_of_dense_matrices_on_random_circuits(executor, dtype):
    for seed in range(8):
        circuit = random_circuit(4, 12, seed, prepare=seed % 2 == 1)
        observables = [random_observable(4, 5, seed + k) for k in range(2)]
        weights, inputs = RANDOM.uniform(0.2, 2, (3, 3)), RANDOM.uniform(0.2, 2, (3, 2))
        f = kg.variance(circuit, observables, executor=executor, dtype=dtype)
        weights, inputs = weights[:, : f.num_weights], inputs[:, : f.num_inputs]
        found, wanted = f(weights, inputs), dense(circuit, observables, weights, inputs)
        assert found.shape == (3, 2) and found.dtype == (np.float64 if dtype == "complex128" else np.float32)
        np.testing.assert_allclose(found, wanted, atol=1e-11 if dtype == "complex128" else 2e-4)


def test_a_large_multiple_of_the_identity_costs_no_digits():
    observable = kg.Pauli("Z0 + 100000000")
    np.testing.assert_allclose(
        kg.variance(kg.Circuit([kg.ry(w[0], 0)]), observable)([0.3]), np.sin(0.3) ** 2, atol=1e-14
    )


RULES = [None, kg.ParameterShift(), kg.FiniteDifference(order=4)]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("executor", ["native", "reference"])
def test_gradients_are_those_of_finite_differences_under_every_rule(executor, rule):
    f = kg.variance(CIRCUIT, OBSERVABLES, executor=executor, gradient=rule)
    values, dweights, dinputs = f.vjp(W, X, COTANGENT)
    np.testing.assert_allclose(values, f(W, X), atol=1e-14)
    by_weights, by_inputs = f.jacobian(W, X)
    for found, jacobian, point, call in (
        (dweights, by_weights, W, lambda moved: f(moved, X)),
        (dinputs, by_inputs, X, lambda moved: f(W, moved)),
    ):
        for k, unit in enumerate(np.eye(point.shape[1])):
            slope = (call(point + STEP * unit) - call(point - STEP * unit)) / (2 * STEP)
            np.testing.assert_allclose(jacobian[..., k], slope, atol=1e-8)
            np.testing.assert_allclose(found[:, k], (COTANGENT * slope).sum(axis=1), atol=1e-8)


@pytest.mark.parametrize("executor", ["native", "reference"])
def test_second_derivatives_are_differences_of_first_ones(executor):
    f = kg.variance(CIRCUIT, OBSERVABLES, executor=executor)
    moves = [RANDOM.normal(size=array.shape) for array in (W, X, COTANGENT)]
    ahead, behind = (
        f.vjp(*(array + sign * STEP * move for array, move in zip((W, X, COTANGENT), moves, strict=True)))
        for sign in (1, -1)
    )
    slopes = [(a - b) / (2 * STEP) for a, b in zip(ahead, behind, strict=True)]
    found = f.hvp(W, X, COTANGENT, *moves)
    for name, wanted in zip(("tangents", "hweights", "hinputs"), slopes, strict=True):
        np.testing.assert_allclose(getattr(found, name), wanted, atol=1e-7)
    values, dweights, dinputs = f.vjp(W, X, COTANGENT)
    for name, wanted in (("values", values), ("dweights", dweights), ("dinputs", dinputs)):
        np.testing.assert_allclose(getattr(found, name), wanted, atol=1e-12)
    np.testing.assert_allclose(f.jvp(W, X, *moves[:2])[1], found.tangents, atol=1e-12)
    hessian, product = f.hessian(W, X, COTANGENT), f.hvp(W, X, COTANGENT, *moves[:2])
    rows = np.einsum("bvu,bu->bv", hessian.weights_weights, moves[0])
    rows += np.einsum("bvu,bu->bv", hessian.weights_inputs, moves[1])
    np.testing.assert_allclose(rows, product.hweights, atol=1e-12)
    rows = np.einsum("buv,bu->bv", hessian.weights_inputs, moves[0])
    rows += np.einsum("bvu,bu->bv", hessian.inputs_inputs, moves[1])
    np.testing.assert_allclose(rows, product.hinputs, atol=1e-12)


def test_a_slope_differentiates_a_squared_loss_and_shared_weights_are_summed_over():
    f, target = kg.variance(CIRCUIT, OBSERVABLES), RANDOM.normal(size=(4, 2))
    _, dweights, dinputs = f.vjp(W[0], X, -2 * target, slope=np.full((4, 2), 2.0))
    values = f(W[0], X)
    wanted = f.vjp(W[0], X, 2 * (values - target))
    np.testing.assert_allclose(dweights, wanted[1], atol=1e-12)
    np.testing.assert_allclose(dinputs, wanted[2], atol=1e-12)
    assert dweights.shape == (3,) and dinputs.shape == (4, 2)


def test_derivatives_reach_the_edge_of_arccos():
    f = kg.variance(kg.Circuit([kg.ry(kg.arccos(x[0]), 0)]), kg.Pauli("Z0"))  # 1 - x**2
    points = np.array([[0.3], [1.0], [-1.0], [1 - 1e-9]])
    np.testing.assert_allclose(f(None, points), 1 - points**2, atol=1e-13)
    np.testing.assert_allclose(f.vjp(None, points, np.ones((4, 1)))[2], -2 * points, atol=1e-9)
    np.testing.assert_allclose(
        f.hvp(None, points, np.ones((4, 1)), None, np.ones((4, 1))).hinputs, -2 * np.ones((4, 1)), atol=1e-6
    )


def test_shots_estimate_what_is_documented():
    """The bias is the variance of the estimated mean, a 1/shots of the variance; the gradient has none of its own."""
    f, exact = kg.variance(CIRCUIT, OBSERVABLES[:1], shots=5, seed=0), kg.variance(CIRCUIT, OBSERVABLES[:1])
    many = 20_000
    weights, inputs = np.broadcast_to(W[1], (many, 3)), X[1]
    found, wanted = f(weights, inputs)[:, 0], exact(W[1], inputs)[0] * (1 - 1 / 5)
    assert abs(found.mean() - wanted) < 5 * found.std() / np.sqrt(many)
    draws = f.vjp(weights, inputs, np.ones(1))[1]
    slope = exact.vjp(W[1], inputs, np.ones(1))[1]
    assert (np.abs(draws.mean(axis=0) - slope) < 5 * draws.std(axis=0) / np.sqrt(many) + 1e-12).all()
    again = kg.variance(CIRCUIT, OBSERVABLES[:1], shots=5, seed=0)
    np.testing.assert_array_equal(again(weights, inputs)[:, 0], found)


def test_it_is_compared_pickled_saved_and_explained(tmp_path):
    f = kg.variance(CIRCUIT, OBSERVABLES)
    for again in (pickle.loads(pickle.dumps(f)), kg.load(kg.save(f, tmp_path / "f.ketgrad"))):
        assert again == f and isinstance(again.question, Variance)
        np.testing.assert_array_equal(again(W, X), f(W, X))
    assert f != kg.expectation(CIRCUIT, OBSERVABLES) and f.num_outputs == 2
    assert "question    variances of 2 observables, 7 Pauli words" in str(f.plan)
    assert "2 circuit executions and 1 backward pass per sample" in str(f.plan)
    assert repr(f).startswith("<Function: variances of 2 observables, 7 Pauli words; 3 qubits")
    assert kg.check_gradients(f)


REFUSED = {
    "not Hermitian": (kg.Pauli("1j Z0"), "`observables` must be Hermitian"),
    "outside": (kg.Pauli("Z5"), "`observables` reads qubit 5, but the circuit has qubits 0 to 2"),
    "the second": ([kg.Pauli("Z0"), kg.Pauli("1j X0")], r"`observables\[1\]` must be Hermitian"),
    "text": ("Z0", r"`observables` must be a Pauli sum, but is str. Write kg.Pauli\('Z0'\)"),
    "none": ([], "`observables` must hold at least one Pauli sum"),
    "too large": (kg.Pauli("Z0") * 2.0**251, "coefficients whose sizes add up to .* at most"),
    "too many words": (
        kg.PauliSum((0, z, 1.0) for z in range(1, 100_000)),
        "the squares of 1 observable, of 9999800001 products of Pauli words needs",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_asked_is_refused_in_words(case):
    observables, words = REFUSED[case]
    circuit = kg.Circuit(CIRCUIT.ops, 20 if case == "too many words" else None)
    with pytest.raises(kg.KetgradError, match=words):
        kg.variance(circuit, observables)


def test_bad_cotangents_are_refused_as_everywhere():
    f = kg.variance(CIRCUIT, OBSERVABLES)
    with pytest.raises(ValueError, match=r"`cotangent` must have shape \(..., 2\) .* there are 2 outputs"):
        f.vjp(W, X)
    with pytest.raises(ValueError, match=r"`cotangent` must have shape \(4, 2\)"):
        f.vjp(W, X, np.ones(3))
    with pytest.raises(ValueError, match=r"cotangent.*nan"):
        f.vjp(W, X, [np.nan, 1.0])
    with pytest.raises(ValueError, match="`cotangent` must be given beside `slope`"):
        kg.variance(CIRCUIT, OBSERVABLES[:1]).vjp(W, X, None, slope=np.ones((4, 1)))
    assert kg.variance(CIRCUIT, OBSERVABLES[:1]).vjp(W, X)[1].shape == (4, 3)
    with pytest.raises(ValueError, match="derivatives along a direction cannot be had here"):
        kg.variance(CIRCUIT, OBSERVABLES, shots=10).jvp(W, X, W)
