"""Losses: values and gradients against independent formulas, at any size of the outputs."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import log_softmax

from ketgrad.foundation.errors import KetgradError, KetgradTypeError, KetgradValueError
from ketgrad.training.losses import LOSSES, cross_entropy, hinge, loss_named, squared

RNG = np.random.default_rng(0)
LABELS = np.array([0, 2, 1, 1, 0])
OUTPUTS = RNG.normal(size=(5, 3))
TARGETS = {"cross_entropy": LABELS, "hinge": LABELS, "squared": RNG.normal(size=(5, 3))}
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5, 3.0])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_the_gradient_is_the_derivative_of_the_value(name, weights):
    loss = LOSSES[name]

    def value(flat):
        return loss(flat.reshape(5, 3), TARGETS[name], weights)[0]

    gradient = loss(OUTPUTS, TARGETS[name], weights)[1]
    assert np.allclose(gradient.ravel(), approx_fprime(OUTPUTS.ravel(), value, 1e-7), atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_of_two_counts_a_sample_twice(name):
    loss, twice = LOSSES[name], [0, 0, 1, 2, 3, 4]
    weighted, _ = loss(OUTPUTS, TARGETS[name], [2, 1, 1, 1, 1])
    repeated, _ = loss(OUTPUTS[twice], TARGETS[name][twice])
    assert np.isclose(weighted, repeated)


def test_cross_entropy_equals_the_log_likelihood_of_scipy():
    expected = -log_softmax(OUTPUTS, axis=1)[np.arange(5), LABELS].mean()
    assert np.isclose(cross_entropy(OUTPUTS, LABELS)[0], expected, atol=1e-14)


def test_squared_equals_the_mean_squared_error():
    assert np.isclose(squared(OUTPUTS, TARGETS["squared"])[0], ((OUTPUTS - TARGETS["squared"]) ** 2).mean())


def test_hinge_of_two_opposite_scores_is_the_binary_hinge():
    scores, signs = RNG.normal(size=20), RNG.choice([-1, 1], size=20)
    value, _ = hinge(np.stack([-scores / 2, scores / 2], axis=1), (signs + 1) // 2)
    assert np.isclose(value, np.maximum(0, 1 - signs * scores).mean())


@pytest.mark.parametrize("size", [1e3, 1e8, 1e300])
def test_outputs_of_any_size_stay_finite(size):
    for label in (0, 1):
        value, gradient = cross_entropy([[size, -size]], [label])
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
    assert cross_entropy([[size, -size]], [0])[0] == 0.0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_loss_is_a_number_that_is_not_finite(name, bad):
    outputs = OUTPUTS.copy()
    outputs[2, 0] = bad
    try:
        value, gradient = LOSSES[name](outputs, TARGETS[name])
        assert np.isfinite(value) and np.isfinite(gradient).all()
        assert name == "hinge" and bad > 0  # of a right score of infinity, with nothing left to gain
    except KetgradError as refusal:
        assert "outputs[2, 0] is" in str(refusal)


REFUSED = [
    (lambda: cross_entropy([[1.0, 2.0]], [2]), r"`targets` must lie in 0 to 1 .* targets\[0\] is 2"),
    (lambda: cross_entropy([1.0, 2.0], [0]), r"`outputs` must have shape \(n, C\)"),
    (lambda: cross_entropy([[1.0, 2.0]], [0, 1]), r"`targets` must have shape \(1,\)"),
    (lambda: cross_entropy([[1.0, 2.0]], [0.5]), "`targets` must hold integer class numbers"),
    (lambda: cross_entropy(np.zeros((0, 2)), np.zeros(0, int)), "at least one sample"),
    (lambda: squared([1.0], [[1.0]]), "`targets` must have the shape of `outputs`"),
    (lambda: squared(["a"], [1.0]), "`outputs` must hold real numbers"),
    (lambda: squared([1.0], [1.0], [-1.0]), r"`sample_weight` .* sample_weight\[0\] is -1.0"),
    (lambda: squared([1.0], [1.0], [np.nan]), r"`sample_weight` .* is nan"),
    (lambda: squared([1.0], [1.0], [0.0]), "`sample_weight` must not be zero everywhere"),
    (lambda: hinge([[1.0]], [0]), "C >= 2"),
    (lambda: loss_named("crossentropy"), "There is no loss 'crossentropy'. Did you mean 'cross_entropy'?"),
]


@pytest.mark.parametrize("call, message", REFUSED)
def test_bad_arguments_are_named(call, message):
    with pytest.raises((KetgradValueError, KetgradTypeError), match=message):
        call()
