"""Derivatives that are no numbers, and angles that a rule carries too far, are refused; nothing comes out as NaN."""

from __future__ import annotations

import numpy as np
import pytest

import ketgrad as kg
from ketgrad import w
from ketgrad.foundation.errors import KetgradValueError

Z = kg.Pauli("Z0")
TURN = kg.Circuit([kg.ry(w[0], 0)])
STEEP = kg.Circuit([kg.ry(1e250 * w[0], 0)])
AMPLITUDES = kg.Circuit([kg.prepare_state([w[0], w[1]], 0, normalize=True)])

SINGLE = kg.expectation(TURN, Z, dtype=np.complex64)
LARGE = kg.expectation(TURN, 1e100 * Z)
LONG = kg.expectation(STEEP, Z)

BEYOND = {  # what overflows, and what the message speaks of
    "cotangent beyond float32": (lambda: SINGLE.vjp([0.5], None, [1e39]), r"cotangent\[0\] is 1e\+39"),
    "slope beyond float32": (
        lambda: SINGLE.vjp([0.5], None, [0.0], slope=[1e39]),
        r"slope\[0\] is 1e\+39",
    ),
    "direction beyond float32": (
        lambda: SINGLE.jvp([0.5], None, [1e39]),
        r"weights_direction\[0\] is 1e\+39",
    ),
    "weights beyond float32": (lambda: SINGLE([1e39]), r"weights\[0\] is 1e\+39"),
    "cotangent times coefficient": (lambda: LARGE.vjp([0.5], None, [1e300]), "dweights must be numbers"),
    "slope times values": (lambda: LARGE.vjp([0.5], None, [0.0], slope=[1e150]), "dweights must be numbers"),
    "coefficients of angle and observable": (
        lambda: kg.expectation(STEEP, 1e100 * Z).vjp([1e-250], None, [1.0]),
        "dweights must be numbers",
    ),
    "the same in arrays": (
        lambda: kg.expectation(STEEP, 1e100 * Z).vjp(np.array([1e-250]), None, np.array([1.0])),
        "dweights must be numbers",
    ),
    "Jacobian": (lambda: kg.expectation(STEEP, 1e100 * Z).jacobian([1e-250]), "by_weights must be numbers"),
    "tangents": (lambda: LONG.jvp([1e-250], None, [1e100]), "tangents must be numbers"),
    "product with the Hessian": (
        lambda: LONG.hvp([1e-250], None, [1.0], [1.0]),
        "hweights must be numbers",
    ),
    "Hessian": (lambda: LONG.hessian([1e-250], None, [1.0]), "weights_weights must be numbers"),
    "derivatives by tiny amplitudes": (
        lambda: kg.probabilities(AMPLITUDES).vjp([3e-320, 4e-320], None, [1.0, 0.0]),
        "dweights must be numbers",
    ),
    "amplitudes": (
        lambda: kg.state(kg.Circuit([kg.prepare_state([3e200 * w[0], w[0]], 0, normalize=True)]))([1e200]),
        "a norm that is a floating-point number",
    ),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_is_larger_than_numbers_can_be_is_refused_by_name(name):
    call, message = BEYOND[name]
    for _ in range(2):  # the first call opens the way for plain arrays
        with pytest.raises(KetgradValueError, match=message):
            call()


def test_the_way_for_plain_arrays_refuses_too():
    for kind, coefficient, slope in ((np.float64, 1e100, 1e150), (np.float32, 1e18, 1e15)):
        f = kg.expectation(TURN, coefficient * Z)
        weights, zero = np.array([0.5], kind), np.array([0.0], kind)
        for _ in range(2):
            f(weights)
            with pytest.raises(KetgradValueError, match="dweights must be numbers"):
                f.vjp(weights, None, zero, slope=np.array([slope], kind))


RULES = {
    "shifts": {"gradient": kg.ParameterShift()},
    "differences": {"gradient": kg.FiniteDifference(step=8.0)},
    "SPSA": {"gradient": kg.gradients.SPSA(step=8.0, seed=0)},
    "shots": {"shots": 100, "seed": 0},
}


@pytest.mark.filterwarnings("ignore:weights")
@pytest.mark.parametrize("rule", RULES)
def test_an_angle_that_a_rule_carries_beyond_the_circle_is_refused_by_gate_and_row(rule):
    f = kg.expectation(kg.Circuit([kg.h(1), kg.rx(1.5 * w[0], 0)]), Z, **RULES[rule])
    rows = np.array([[0.1], [2.0**53 / 1.5]])
    assert f(rows).shape == (2, 1)
    with pytest.raises(KetgradValueError, match=r"of rx on qubit 0 \(op 1\).* in row 1 once a gradient"):
        f.vjp(rows, None, np.ones((2, 1)))


def test_the_bound_and_the_angle_in_a_message_are_those_of_the_gate_as_it_was_written():
    with pytest.raises(KetgradValueError, match=r"gphase must lie within \+-5e\+15 .* is 4.6e\+15"):
        kg.state(kg.Circuit([kg.gphase(4.6e15)], 1))
    with (
        pytest.warns(UserWarning, match="modulo 2 pi"),
        pytest.raises(KetgradValueError, match=r"of gphase \(op 0\) must lie .* is 4.6e\+15 in row 0"),
    ):
        kg.state(kg.Circuit([kg.gphase(w[0])], 1))([4.6e15])


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize("gradient", [None, kg.ParameterShift()])
def test_the_smallest_amplitudes_are_normalised_like_any_others(executor, gradient):
    f = kg.probabilities(AMPLITUDES, executor=executor, gradient=gradient)
    assert np.allclose(f([3e-320, 4e-320]), [0.36, 0.64], atol=1e-3)
    derivative = f.vjp([3e-308, 4e-308], None, [1.0, 0.0])[1]
    assert np.allclose(derivative * 1e-308, [0.1536, -0.1152], rtol=1e-9, atol=0)
