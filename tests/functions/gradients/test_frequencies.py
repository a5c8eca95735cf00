"""Shift rules of any spectrum: the published ones, and those that are solved for."""

import numpy as np
import pytest

import ketgrad as kg
from ketgrad.functions.gradients.frequencies import shift_rule


@pytest.mark.parametrize("count", range(1, 7))
def test_a3_the_general_rule_has_the_published_shifts_and_coefficients(count):
    """Wierichs et al. 2022, arXiv:2107.12390: x_m = (2m-1) pi / 2R, (-1)^(m-1) / (4R sin^2(x_m / 2))."""
    rule = shift_rule(tuple(float(k) for k in range(1, count + 1)))
    m = np.arange(1, count + 1)
    shifts = (2 * m - 1) * np.pi / (2 * count)
    factors = (-1.0) ** (m - 1) / (4 * count * np.sin(shifts / 2) ** 2)
    np.testing.assert_allclose(rule[0::2], np.stack([shifts, factors], axis=1), atol=1e-10)
    np.testing.assert_allclose(rule[1::2], -np.stack([shifts, factors], axis=1), atol=1e-10)
    assert sum(abs(factor) for _, factor in rule) == pytest.approx(count, abs=1e-10)


def test_a3_the_numbers_for_two_and_three_frequencies():
    assert [f for _, f in shift_rule((1.0, 2.0))[::2]] == pytest.approx([0.8535534, -0.1464466], abs=1e-7)
    assert [f for _, f in shift_rule((1.0, 2.0, 3.0))[::2]] == pytest.approx(
        [1.2440169, -0.1666667, 0.0893164], abs=1e-7
    )


SPECTRA = [
    (0.5, 1.0),
    (1.0, 3.0),
    (1.0, 2.0, 3.7),
    (0.3, 1.0, 1.4, 2.9),
    (2.0,),
    (1.0, 1.1),
    (np.sqrt(2), np.pi, 4.0),
]


@pytest.mark.parametrize("frequencies", SPECTRA, ids=str)
def test_any_spectrum_has_a_shift_rule(frequencies):
    omega = np.array(frequencies)
    rng = np.random.default_rng(0)
    cosines, sines = rng.normal(size=(2, len(omega)))

    def value(t):
        return cosines @ np.cos(omega * t) + sines @ np.sin(omega * t)

    slope = omega * (sines * np.cos(0.7 * omega) - cosines * np.sin(0.7 * omega))
    estimate = sum(factor * value(0.7 + shift) for shift, factor in shift_rule(frequencies))
    assert estimate == pytest.approx(slope.sum(), abs=1e-10)
    assert len(shift_rule(frequencies)) == 2 * len(omega)


CLOSE_SPECTRA = [
    *((1, 3), (1, 2, 3.7), (0.3, 1, 1.4, 2.9), (1, 1.1)),
    *((1, 1 + 1e-6, 1 + 3e-6, 2), (1, 1 + 1e-7), (1e-9, 1, 2), (1, 2, 3, 3 + 1e-7)),
]


@pytest.mark.parametrize("spectrum", CLOSE_SPECTRA)
def test_close_frequencies_take_wide_shifts_and_no_large_coefficients(spectrum):
    found = shift_rule(spectrum)
    assert len(found) == 2 * len(spectrum)
    assert sum(abs(factor) for _, factor in found) < 1.1 * max(spectrum)  # the noise of shots grows with it
    shift, factor = np.array(found).T
    for omega in spectrum:  # the derivative of sin(omega t) at zero
        assert factor @ np.sin(omega * shift) == pytest.approx(omega, rel=1e-6)


def test_the_shifts_of_equal_steps_are_the_published_ones_at_any_unit():
    for unit in (0.5, 1.0, 3.0):
        for count in (1, 2, 3, 5):
            frequencies = tuple(unit * np.arange(1, count + 1))
            found = shift_rule(frequencies)
            shift = np.array([pair[0] for pair in found[::2]])
            assert shift == pytest.approx((2 * np.arange(count) + 1) * np.pi / (2 * count) / unit)
            assert [pair[0] for pair in found[1::2]] == pytest.approx(-shift)
            assert sum(abs(factor) for _, factor in found) == pytest.approx(frequencies[-1])
    assert shift_rule(()) == () and shift_rule((0.0, 1e-13)) == ()


def test_frequencies_are_merged_when_they_agree_to_nine_digits_and_told_apart_otherwise():
    for spectrum, distinct in (
        ((1.0, 1.0 + 1e-12), 1),
        ((1.0, 2.0, 2.0 + 1e-10), 2),
        ((1e-3, 1e-3 + 1e-13), 1),
        ((1.0, 1.0 + 1e-8), 2),
        ((-1.0, 1.0, 0.0, 1e-13), 1),
        ((1e-11,), 1),
    ):
        assert len(shift_rule(spectrum)) == 2 * distinct, spectrum


@pytest.mark.parametrize("spectrum", [(1.0, 2.0005), (1.0, 2.0 + 1e-7), (1.0, 2.0, 3.0003), (0.9999, 2.0)])
def test_frequencies_that_are_almost_multiples_have_a_rule_of_their_own(spectrum):
    shift, factor = np.array(shift_rule(spectrum)).T
    for omega in spectrum:
        assert factor @ np.sin(omega * shift) == pytest.approx(omega, abs=1e-9)


@pytest.mark.parametrize("gap", [1e-2, 1e-3, 3e-4])
def test_frequencies_that_nearly_agree_are_told_apart(gap):
    """Of cos t + cos (1 + gap) t, and of a gate with that generator: merged, the derivative is off by about gap."""
    rule = shift_rule((1.0, 1.0 + gap))
    assert len(rule) == 4 and len(shift_rule((1.0, 1.0 + 1e-12))) == 2
    for t in (0.3, 2.0, 40.0):
        slope = sum(y * (np.cos(t + s) + np.cos((1 + gap) * (t + s))) for s, y in rule)
        assert abs(slope + np.sin(t) + (1 + gap) * np.sin((1 + gap) * t)) < 1e-13 / gap**2
    gate = kg.Gate("two_speeds", 2, 1, generator=kg.Pauli("Z0") + (1 + gap) * kg.Pauli("Z1"))
    assert len({round(f, 6) for f in gate.frequencies()}) == 4  # 1, 1 + gap, their sum and their difference
    circuit = kg.Circuit([kg.h(0), kg.h(1), kg.Op(gate, [0, 1], [kg.w[0]])])
    observables = [kg.Pauli("X0"), kg.Pauli("X1")]
    by_shift = kg.expectation(circuit, observables, gradient=kg.ParameterShift()).jacobian([40.0])[0]
    exact = -np.array([[np.sin(40.0)], [(1 + gap) * np.sin((1 + gap) * 40.0)]])
    np.testing.assert_allclose(by_shift, exact, atol=gap * 1e-3)
