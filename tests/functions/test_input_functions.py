"""First and second derivatives by inputs through arccos, up to the edge of its interval, against 60 digits."""

import numpy as np
import pytest
from mpmath import mp
from native_programs import EXACT

import ketgrad as kg
from ketgrad import w, x
from ketgrad.foundation.errors import KetgradValueError

GAPS = [1e-1, 3e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-14, 2.3e-16, 0.0]
ANGLE = kg.arccos(x[0])

# circuit, observable, weights, the value as a function of a = arccos(x), its largest frequency
CASES = {
    "a Chebyshev tower": (
        kg.encodings.chebyshev(1, 2), kg.Pauli("Z0 + Z1"), [], lambda a: mp.cos(2 * a) + mp.cos(4 * a), 4),
    "a square root": (kg.Circuit([kg.ry(ANGLE, 0)]), kg.Pauli("X0"), [], mp.sin, 1),
    "an even part and an odd one": (
        kg.Circuit([kg.ry(3 * ANGLE, 0)]), kg.Pauli("Z0 + 0.5 X0"), [], lambda a: mp.cos(3 * a) + mp.sin(3 * a) / 2, 3),
    "an odd part without its lowest power": (
        kg.encodings.chebyshev(1, 3), kg.Pauli("X0 X1 X2"), [],
        lambda a: mp.sin(2 * a) * mp.sin(4 * a) * mp.sin(6 * a), 12),
    "a trained frequency": (
        kg.Circuit([kg.ry(w[0] * ANGLE, 0)]), kg.Pauli("Z0"), [1.25], lambda a: mp.cos(1.25 * a), 1.25),
    "the input beside its arccos": (
        kg.Circuit([kg.ry(2 * ANGLE + 0.75 * x[0], 0)]), kg.Pauli("Z0"), [],
        lambda a: mp.cos(2 * a + 0.75 * mp.cos(a)), 4),
    "a square": (kg.Circuit([kg.ry(ANGLE**2, 0)]), kg.Pauli("Z0"), [], lambda a: mp.cos(a**2), 7),
    "a high frequency": (kg.Circuit([kg.ry(ANGLE, 0)] * 40), kg.Pauli("Z0"), [], lambda a: mp.cos(40 * a), 40),
    "half a turn": (kg.Circuit([kg.ry(ANGLE, 0), kg.cry(ANGLE, 0, 1)]), kg.Pauli("Z0 Z1"), [],
                    lambda a: (1 + mp.cos(a)) / 2 - mp.cos(a) * (1 - mp.cos(a)) / 2, 2),
}  # fmt: skip


def exact(value, u):
    """f, f' and f'' by x at a floating-point number; limits at the edge, None where there are none."""
    with mp.workdps(90):
        point = mp.mpf(float(u))
        point = point if abs(point) < 1 else point * (1 - mp.mpf(10) ** -40)
        a = mp.acos(point)
        g, h = mp.diff(value, a, 1), mp.diff(value, a, 2)
        first, second = -g / mp.sin(a), (h - g * mp.cot(a)) / mp.sin(a) ** 2
        limits = [float(part) if abs(part) < 1e12 or abs(u) < 1 else None for part in (first, second)]
        return float(value(a)), *limits


def seen(f, weights, u):
    """The value, its first derivative in four ways, its second in two: each by the input."""
    real = u.dtype.type
    weights, one = np.array(weights, real) if weights else None, np.ones((1, 1), real)
    product = f.hvp(weights, u, one, None, one)
    first = [
        f.jvp(weights, u, None, one)[1],
        product.tangents,
        product.dinputs,
        f.vjp(weights, u, one)[2],
        f.jacobian(weights, u)[1],
    ]
    second = [product.hinputs, f.hessian(weights, u, one).inputs_inputs]
    return [np.ravel(array)[0] for array in first], [np.ravel(array)[0] for array in second]


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize("real", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_exact_up_to_the_edge(name, real, executor):
    circuit, observable, weights, value, frequency = CASES[name]
    f = kg.expectation(circuit, observable, executor=executor)
    relative = 2e-12 if real is np.float64 else 3e-6
    for gap in GAPS:
        for sign in (1, -1):
            u = np.array([[sign * (1 - gap)]], real)
            _, first, second = exact(value, u[0, 0])
            if first is None or second is None:
                with pytest.raises(
                    KetgradValueError, match=r"inputs\[0, 0\] is -?1, where arccos is vertical"
                ):
                    f.jvp(np.array(weights, real), u, None, np.ones((1, 1), real)) if first is None else seen(
                        f, weights, u
                    )
                continue
            firsts, seconds = seen(f, weights, u)
            for found in firsts:
                assert abs(found - first) <= relative * (abs(first) + frequency**2), (gap, sign, found, first)
            for found in seconds:
                assert abs(found - second) <= relative * (abs(second) + frequency**4), (
                    gap,
                    sign,
                    found,
                    second,
                )


@pytest.mark.parametrize("executor", EXACT.values(), ids=EXACT)
def test_mixed_derivatives_of_two_inputs_at_edges_and_of_weights(executor):
    """T2(x0) T3(x1) cos(w): rows with both inputs, one, and none near an edge, in one batch."""
    circuit = kg.Circuit([kg.ry(2 * kg.arccos(x[0]), 0), kg.ry(3 * kg.arccos(x[1]), 1), kg.rx(w[0], 2)])
    f = kg.expectation(circuit, kg.Pauli("Z0 Z1 Z2"), executor=executor)
    u = np.array(
        [
            [1, -1],
            [1 - 1e-12, 1 - 1e-9],
            [0.3, 1],
            [-1, 0.2],
            [0.4, -0.6],
            [-1 + 1e-5, -1 + 2e-16],
            [0.999, -1],
        ]
    )
    weight, a, b = 0.7, u[:, 0], u[:, 1]
    p, q, c = 2 * a**2 - 1, 4 * b**3 - 3 * b, np.cos(weight)
    dp, dq, s = 4 * a, 12 * b**2 - 3, -np.sin(weight)
    for weights in ([weight], np.full((7, 1), weight)):
        ones = np.ones((7, 1))
        hessian = f.hessian(weights, u, ones)
        wanted = np.stack([np.stack([4 * q, dp * dq], 1), np.stack([dp * dq, p * 24 * b], 1)], 1) * c
        np.testing.assert_allclose(hessian.inputs_inputs, wanted, atol=2e-10)
        np.testing.assert_allclose(
            hessian.weights_inputs[:, 0], s * np.stack([dp * q, p * dq], 1), atol=1e-11
        )
        np.testing.assert_allclose(hessian.weights_weights[:, 0, 0], -p * q * c, atol=1e-13)
        along = np.array([[0.5, -2.0]] * 7)
        product = f.hvp(weights, u, ones, None, along)
        np.testing.assert_allclose(product.values[:, 0], p * q * c, atol=1e-13)
        np.testing.assert_allclose(product.dinputs, c * np.stack([dp * q, p * dq], 1), atol=1e-11)
        np.testing.assert_allclose(product.hinputs, np.einsum("bij,bj->bi", wanted, along), atol=4e-10)
        np.testing.assert_allclose(product.dweights.sum(), (p * q * s).sum(), atol=1e-12)
        moved = s * (dp * q * 0.5 - 2 * p * dq)
        np.testing.assert_allclose(product.hweights.sum(), moved.sum(), atol=1e-10)
        np.testing.assert_allclose(f.jvp(weights, u, None, along)[1][:, 0], c / s * moved, atol=1e-11)


def test_what_all_rows_share_is_summed_near_the_edge_too():
    """One row of inputs at the edge, many of weights; one row of weights, many of inputs."""
    circuit = kg.Circuit([kg.ry(4 * kg.arccos(x[0]), 0), kg.rx(w[0], 1)])
    f = kg.expectation(circuit, kg.Pauli("Z0 Z1"))
    weights = np.linspace(0.1, 0.9, 5)[:, None]
    product = f.hvp(weights, [1.0], np.ones((5, 1)), None, [1.0])
    np.testing.assert_allclose(product.dinputs, [16 * np.cos(weights).sum()], rtol=1e-12)
    np.testing.assert_allclose(product.hinputs, [80 * np.cos(weights).sum()], rtol=1e-11)
    np.testing.assert_allclose(product.hweights, -16 * np.sin(weights), rtol=1e-11)
    np.testing.assert_allclose(
        f.vjp(weights, [1.0], np.ones((5, 1)))[2], [16 * np.cos(weights).sum()], rtol=1e-12
    )
    inputs = np.array([[1.0], [0.5], [-1.0]])
    product = f.hvp([0.4], inputs, np.ones((3, 1)), None, np.ones((3, 1)))
    slopes = 32 * inputs[:, 0] ** 3 - 16 * inputs[:, 0]
    np.testing.assert_allclose(product.hweights, [-np.sin(0.4) * slopes.sum()], atol=1e-11)
    assert product.hweights.shape == (1,) and product.hinputs.shape == (3, 1)


def test_small_directions_and_cotangents_keep_their_relative_accuracy():
    f = kg.expectation(kg.Circuit([kg.ry(3 * ANGLE, 0)]), kg.Pauli("Z0 + 0.5 X0"))
    u = np.array([[1 - 1e-9]])
    whole, part = f.hvp(None, u, [[1.0]], None, [[1.0]]), f.hvp(None, u, [[1e-20]], None, [[1e-25]])
    np.testing.assert_allclose(part.hinputs, whole.hinputs * 1e-45, rtol=1e-9)
    np.testing.assert_allclose(part.tangents, whole.tangents * 1e-25, rtol=1e-9)
    np.testing.assert_allclose(part.dinputs, whole.dinputs * 1e-20, rtol=1e-9)


def test_probabilities_and_states_are_continued_as_well():
    circuit = kg.Circuit([kg.ry(4 * ANGLE, 0)])
    p = kg.probabilities(circuit)
    rates = p.jvp(None, [[1.0]], None, [[1.0]])[1]
    np.testing.assert_allclose(rates, [[8.0, -8.0]], rtol=1e-11)
    state = kg.state(kg.Circuit([kg.ry(4 * ANGLE, 0), kg.p(np.pi / 2, 0)]))
    with pytest.raises(KetgradValueError, match="vertical"):  # i sin(2 a) has a vertical tangent
        state.jvp(None, [[1.0]], None, [[1.0]])
    tangent = state.jvp(None, [[1 - 1e-12]], None, [[1.0]])[1]
    a = 2 * np.arcsin(np.sqrt(1e-12 / 2))
    np.testing.assert_allclose(tangent, [[4.0, -2j / a]], rtol=1e-3)


def test_an_infinite_gradient_says_so_and_leaves_the_others_alone():
    f = kg.expectation(kg.Circuit([kg.ry(ANGLE, 0), kg.ry(x[1], 1)]), kg.Pauli("X0 + X1"))
    u = np.array([[0.5, 0.1], [1.0, 0.2], [0.25, 0.3]])
    with pytest.warns(UserWarning, match=r"inputs\[1, 0\] = 1 is infinite"):
        gradient = f.vjp(None, u, np.ones((3, 1)))[2]
    assert gradient[1, 0] == -np.inf
    np.testing.assert_allclose(gradient[:, 1], np.cos(u[:, 1]), atol=1e-14)
    np.testing.assert_allclose(gradient[[0, 2], 0], [-0.5 / 0.75**0.5, -0.25 / 0.9375**0.5], rtol=1e-12)
    with pytest.warns(UserWarning, match=r"inputs\[1, 0\] = 1 is infinite"):
        assert f.jacobian(None, u)[1][1, 0, 0] == -np.inf


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_double_backward_in_torch_up_to_the_edge(precision):
    """u_xx of a network with Chebyshev features on [-1, 1], its boundary and the usual clip included."""
    import torch

    kind = getattr(torch, precision)
    f = kg.expectation(kg.encodings.chebyshev(1, 2), [kg.Pauli("Z0"), kg.Pauli("Z1")])
    layer = kg.torch.Layer(f).to(kind)
    points = torch.tensor(
        [[-1.0], [-1 + 1e-6], [0.0], [0.5], [1 - 1e-6], [1.0]], dtype=kind, requires_grad=True
    )
    value = layer(points).sum()
    (first,) = torch.autograd.grad(value, points, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), points)
    u = points.detach().numpy().astype(float)
    tolerance = 1e-11 if precision == "float64" else 1e-5
    np.testing.assert_allclose(first.detach().numpy(), 32 * u**3 - 12 * u, atol=20 * tolerance)
    np.testing.assert_allclose(second.numpy(), 96 * u**2 - 12, atol=84 * tolerance)


def test_the_chain_rule_runs_through_arccos():
    """cos(3 arccos u) is the Chebyshev polynomial 4 u^3 - 3 u."""
    circuit = kg.Circuit([kg.ry(3 * kg.arccos(kg.x[0]), 0), kg.ry(kg.w[0] * kg.x[0], 1)])
    f = kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("Z1")])
    u = np.array([[0.3], [-0.9], [0.0], [1.0], [-1.0]])
    values, _, dinputs = f.vjp([0.7], u, [1.0, 0.0])
    np.testing.assert_allclose(values[:, 0], (4 * u**3 - 3 * u)[:, 0], atol=1e-12)
    np.testing.assert_allclose(dinputs, 12 * u**2 - 3, atol=1e-6)
    np.testing.assert_allclose(f.jacobian([0.7], u)[1][:, 0], 12 * u**2 - 3, atol=1e-6)
    np.testing.assert_allclose(f.jacobian([0.7], u)[1][:, 1], -0.7 * np.sin(0.7 * u), atol=1e-12)


@pytest.mark.parametrize("derivative", ["vjp", "jacobian"])
def test_noise_over_zero_is_infinite_and_says_so(derivative):
    """At the edge shot noise is divided by the slope of arccos there, whether or not the exact derivative is finite."""
    circuit = kg.Circuit([kg.ry(kg.x[1], 1), kg.ry(kg.arccos(kg.x[0]) + 0.4, 0)])
    f = kg.expectation(circuit, kg.Pauli("Z0"), shots=100, seed=0)
    with pytest.warns(UserWarning, match=r"inputs\[1, 0\] = -1 is infinite - arccos is vertical there"):
        found = getattr(f, derivative)(None, [[0.6, 1.0], [-1.0, 0.1]])
    found = found[2] if derivative == "vjp" else found[1][:, 0]
    assert np.isinf(found).tolist() == [[False, False], [True, False]]


def test_an_infinite_derivative_comes_with_a_warning():
    f = kg.expectation(kg.Circuit([kg.ry(kg.arccos(kg.x[0]), 0)]), kg.Pauli("X0"))
    with pytest.warns(UserWarning, match=r"inputs\[1, 0\] = 1 is infinite"):
        _, _, dinputs = f.vjp(None, [[0.6], [1.0]], [1.0])
    assert dinputs[0, 0] == pytest.approx(-0.75) and dinputs[1, 0] == -np.inf
