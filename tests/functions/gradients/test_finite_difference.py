"""Finite differences: their step, their error, and where noise forbids them."""

import numpy as np
import pytest
from rule_checks import CIRCUIT, Recording, Z, w

import ketgrad as kg
from ketgrad.foundation.errors import KetgradError, KetgradValueError
from ketgrad.functions.gradients.choice import check_usable


def test_shot_noise_needs_a_step_of_a_hundredth():
    program = kg.expectation(CIRCUIT, Z).program
    for step, allowed in ((0.01, True), (0.00999, False), (None, False)):
        rule = kg.FiniteDifference(step=step)
        assert (rule.objection(Recording("shots"), program) is None) == allowed
        assert rule.objection(Recording("exact"), program) is None
    with pytest.raises(KetgradValueError, match=r"step 6e-06; give a step of at least 0\.01"):
        check_usable(kg.FiniteDifference(), Recording("shots"), program)


def test_the_step_balances_truncation_and_rounding():
    assert kg.FiniteDifference().step_size == pytest.approx(6.0555e-6, rel=1e-4)
    assert kg.FiniteDifference(order=4).step_size == pytest.approx(7.4010e-4, rel=1e-4)
    assert kg.FiniteDifference(step=0.2, order=4).step_size == 0.2


@pytest.mark.parametrize(("order", "error"), [(2, 1 / 6), (4, 1 / 30)])
def test_the_error_of_a_difference_is_that_of_its_order(order, error):
    f = kg.expectation(
        kg.Circuit([kg.ry(w[0], 0)]), kg.Pauli("Z0"), gradient=kg.FiniteDifference(step=0.02, order=order)
    )
    _, slope, _ = f.vjp([0.7], None, [1.0])
    exact = -np.sin(0.7)
    assert slope[0] - exact == pytest.approx(-exact * error * 0.02**order, rel=1e-2)


@pytest.mark.parametrize("rule", [kg.FiniteDifference, kg.gradients.SPSA])
def test_a_step_is_finite_and_above_zero(rule):
    for value in (1, 0.5, 1e-15, np.float32(2), np.int64(3)):
        assert rule(step=value).step == value
    for value in (0, -1, 0.0, 9e-16, 1e8, float("nan"), float("inf"), "1", 1j, True):
        with pytest.raises(KetgradError, match="`step` must be"):
            rule(step=value)
