"""Optimisers step for step: Adam against PyTorch and Optax, SPSA against Spall, L-BFGS-B and COBYLA against SciPy."""

import jax
import numpy as np
import optax
import pytest
import torch
from scipy.optimize import minimize

from ketgrad.training.optimize import COBYLA, LBFGSB, SPSA, Adam, minimise

START = np.array([2.0, -0.3, 0.8, 1e-3])
SCALES = np.array([1.0, 5.0, 0.01, 30.0])


def landscape(weights):
    """Cosines of very different steepness on a bowl: moments and line searches have something to do."""
    value = float((SCALES * np.cos(weights)).sum() + 0.1 * (weights**2).sum())
    return value, -SCALES * np.sin(weights) + 0.2 * weights


def path(loss, optimizer, **options):
    """The weights after every step, the start first, and the fit."""
    points = []
    fit = minimise(loss, START, optimizer, callback=lambda step: points.append(step.weights), **options)
    return np.array(points), fit


SETTINGS = [
    {},
    {"learning_rate": 0.3},
    {"beta1": 0.5},
    {"beta1": 0.0},
    {"beta2": 0.9},
    {"beta1": 0.8, "beta2": 0.6, "learning_rate": 0.02},
    {"epsilon": 1e-2},
    {"epsilon": 1.0, "learning_rate": 0.5},
]


@pytest.mark.parametrize("options", SETTINGS)
def test_adam_takes_the_steps_of_pytorch(options):
    found, _ = path(landscape, optimizer := Adam(**options), max_steps=40, tolerance=1e-300)
    weights = torch.tensor(START, requires_grad=True)
    theirs = torch.optim.Adam(
        [weights],
        lr=optimizer.learning_rate,
        betas=(optimizer.beta1, optimizer.beta2),
        eps=optimizer.epsilon,
    )
    for point in found:
        np.testing.assert_allclose(point, weights.detach().numpy(), rtol=1e-12, atol=1e-13)
        weights.grad = torch.tensor(landscape(weights.detach().numpy())[1])
        theirs.step()
    assert len(found) == 41


@pytest.mark.parametrize("options", SETTINGS)
def test_adam_takes_the_steps_of_optax(options):
    found, _ = path(landscape, optimizer := Adam(**options), max_steps=40, tolerance=1e-300)
    with jax.enable_x64(True):
        theirs = optax.adam(
            optimizer.learning_rate, b1=optimizer.beta1, b2=optimizer.beta2, eps=optimizer.epsilon
        )
        weights = jax.numpy.asarray(START)
        state = theirs.init(weights)
        for point in found:
            np.testing.assert_allclose(point, np.asarray(weights), rtol=1e-12, atol=1e-13)
            gradient = jax.numpy.asarray(landscape(np.asarray(weights))[1])
            updates, state = theirs.update(gradient, state)
            weights = optax.apply_updates(weights, updates)


def spsa_run(optimizer, max_steps, **options):
    """The points that SPSA evaluates, with their values, and the fit."""
    asked = []

    def loss(weights):
        value = landscape(weights)[0]
        asked.append((weights.copy(), value))
        return value

    fit = minimise(loss, START, optimizer, max_steps=max_steps, tolerance=1e-300, seed=3, **options)
    return [point for point, _ in asked], [value for _, value in asked], fit


RECURRENCES = [
    SPSA(learning_rate=0.05),
    SPSA(learning_rate=0.2, perturbation=0.3),
    SPSA(learning_rate=0.05, alpha=1.0, gamma=1 / 6),
    SPSA(learning_rate=0.05, stability=7.0),
]


@pytest.mark.parametrize("optimizer", RECURRENCES)
def test_spsa_follows_the_recurrences_of_spall(optimizer):
    """w <- w - a_k g with g_i = (y+ - y-) / (2 c_k d_i), a_k = a / (k + 1 + A)^alpha, c_k = c / (k + 1)^gamma."""
    steps = 30
    points, values, fit = spsa_run(optimizer, steps)
    stability = steps / 10 if optimizer.stability is None else optimizer.stability
    weights, signs = START, []
    np.testing.assert_array_equal(points[0], START)
    for k in range(steps):
        up, down = points[1 + 2 * k], points[2 + 2 * k]
        distance = optimizer.perturbation / (k + 1) ** optimizer.gamma
        direction = (up - down) / (2 * distance)
        np.testing.assert_allclose(np.abs(direction), 1.0, atol=1e-9)
        np.testing.assert_allclose((up + down) / 2, weights, atol=1e-9)
        gradient = (values[1 + 2 * k] - values[2 + 2 * k]) / (2 * distance * direction)
        weights = weights - optimizer.learning_rate / (k + 1 + stability) ** optimizer.alpha * gradient
        signs.append(direction.round())
    np.testing.assert_allclose(points[-1], weights, atol=1e-9)
    assert len(points) == 2 * steps + 2 and fit.value == min(values)
    assert (
        abs(np.mean(signs)) < 0.4 and len({tuple(s) for s in signs}) > 8
    )  # both signs, in every weight anew


@pytest.mark.parametrize("first_step", [0.05, 0.2])
def test_the_calibration_of_spsa_makes_first_steps_of_the_length_that_was_asked_for(first_step):
    """a is chosen so that a / (1 + A)^alpha times the mean |slope| of 25 random directions is the first step."""
    optimizer = SPSA(first_step=first_step)
    points, values, _ = spsa_run(optimizer, 20)
    pairs = np.array(values[1:51]).reshape(25, 2)
    slope = np.abs(pairs[:, 0] - pairs[:, 1]).mean() / (2 * optimizer.perturbation)
    for up, down in zip(points[1:51:2], points[2:51:2], strict=True):
        np.testing.assert_allclose((up + down) / 2, START, atol=1e-12)
    up, down = points[51], points[52]
    after = (points[53] + points[54]) / 2
    wanted = first_step * (values[51] - values[52]) / (2 * optimizer.perturbation) / slope
    np.testing.assert_allclose(START - after, wanted * np.sign(up - down), atol=1e-9)


BOUNDS = ((None, None), (0.5, 2.5), (-1.0, None), (None, 3.0))


@pytest.mark.parametrize("options", [{}, {"memory": 3}, {"gradient_tolerance": 1e-2}, {"bounds": BOUNDS}])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-12])
def test_lbfgsb_is_that_of_scipy(options, tolerance):
    found, fit = path(landscape, optimizer := LBFGSB(**options), tolerance=tolerance)
    theirs: list[np.ndarray] = []
    result = minimize(
        landscape,
        START,
        method="L-BFGS-B",
        jac=True,
        bounds=optimizer.bounds,
        callback=lambda intermediate_result: theirs.append(intermediate_result.x.copy()),
        options={
            "maxcor": optimizer.memory,
            "ftol": tolerance,
            "gtol": optimizer.gradient_tolerance,
            "maxiter": 1000,
            "maxfun": 20100,
        },
    )
    np.testing.assert_allclose(found[1:], theirs, atol=1e-12)
    np.testing.assert_allclose(fit.weights, result.x, atol=1e-12)
    assert fit.evaluations == result.nfev and fit.value == pytest.approx(result.fun, abs=1e-12)


@pytest.mark.parametrize("first_step", [0.1, 0.5])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
def test_cobyla_is_that_of_scipy(first_step, tolerance):
    found, fit = path(landscape, COBYLA(first_step=first_step), tolerance=tolerance, max_steps=3000)
    theirs: list[np.ndarray] = []

    def value(weights):
        theirs.append(weights.copy())
        return landscape(weights)[0]

    options = {"rhobeg": first_step, "tol": tolerance, "maxiter": 3002}
    minimize(value, START, method="COBYLA", options=options)
    np.testing.assert_allclose(found, theirs, atol=1e-12)
    assert fit.evaluations == len(theirs) and fit.converged
