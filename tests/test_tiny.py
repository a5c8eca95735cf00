"""The example of the README in two seconds: runs first, and when it fails nothing else needs to be read."""

import numpy as np

import ketgrad as kg
from ketgrad import w, x


def test_a_circuit_gives_values_and_exact_gradients():
    layer = kg.Circuit([kg.rx(x[0], 0), kg.ry(w[0], 0), kg.ry(w[1], 1), kg.cx(0, 1)])
    f = kg.expectation(layer * 2, [kg.Pauli("Z0"), kg.Pauli("Z1")])
    weights, inputs = np.array([0.1, 0.2, 0.3, 0.4]), np.array([[0.5], [1.5]])

    values, dweights, dinputs = f.vjp(weights, inputs, np.ones((2, 2)))

    assert values.shape == (2, 2) and dweights.shape == (4,) and dinputs.shape == (2, 1)
    step = 1e-6
    for k, unit in enumerate(np.eye(4)):
        difference = (f(weights + step * unit, inputs) - f(weights - step * unit, inputs)).sum() / (2 * step)
        assert abs(difference - dweights[k]) < 1e-8


def test_a_rotation_has_the_expectation_cosine():
    f = kg.expectation(kg.Circuit([kg.rx(x[0], 0)]), kg.Pauli("Z0"))
    angles = np.linspace(-4, 4, 33)[:, None]
    np.testing.assert_allclose(f(None, angles), np.cos(angles), atol=1e-15)


def test_the_compiled_core_and_the_reference_agree():
    circuit = kg.Circuit([kg.h(0), kg.cx(0, 1), kg.rzz(w[0] * x[0], 1, 2), kg.u(w[1], w[2], 0.3, 2)])
    values = [
        kg.expectation(circuit, kg.Pauli("X0 X1 Y2 + 0.5 Z2"), executor=name)([0.7, 0.8, 0.9], [1.1])
        for name in ("native", "reference")
    ]
    np.testing.assert_allclose(*values, atol=1e-14)


def test_a_classifier_learns_two_moons():
    from sklearn.datasets import make_moons

    features, labels = make_moons(60, noise=0.1, random_state=0)
    model = kg.VariationalClassifier(random_state=0).fit(features, labels)
    assert model.score(features, labels) > 0.8
