"""When a search stops, on which side of each limit, what it keeps, and the steps that the methods make."""

from __future__ import annotations

import inspect
import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import ketgrad as kg
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.seeds import stream
from ketgrad.training.noisy_losses import noise_of, optimizer_for
from ketgrad.training.progress import ProgressLine
from ketgrad.training.run import EndOfRun, Run, Step


def fed(values, *, max_steps: int = 100, tolerance: float = 0.25, window: int = 3, stochastic: bool = False):
    """(steps made, reason, converged) of a search that meets these losses, the first one at the start."""
    search = Run(lambda weights: values[int(weights[0])], (1,), max_steps, tolerance, window, stochastic)
    for place in range(len(values)):
        try:
            search.finish_step(np.array([place]), search.value(np.array([place])))
        except EndOfRun as stop:
            return search.steps, stop.reason, stop.converged
    return search.steps, None, False


@pytest.mark.parametrize(
    ("values", "stops"),
    [
        ((9.0, 1.0, 1.125, 1.25), True),
        ((9.0, 1.0, 1.125, 1.2501), False),  # farther apart than the tolerance
        ((9.0, 1.2501, 1.125, 1.0), False),
        ((1.0, 1.0, 1.0), False),  # the window is not full before its third step
        ((1.0, 1.0, 1.0, 1.0), True),
        ((0.5, 0.5, 0.625, 0.75), True),  # values below one are taken as they are
        ((99.0, 8.0, 9.0, 10.0), True),  # and larger ones relative to the best
        ((99.0, 8.0, 9.0, 10.01), False),
        ((99.0, -8.0, -7.0, -6.0), True),
        ((99.0, -8.0, -7.0, -5.99), False),
    ],
)
def test_a_loss_settles_when_a_window_of_steps_lies_within_the_tolerance(values, stops):
    steps, reason, converged = fed(values)
    assert converged == stops and steps == len(values) - 1
    assert reason == ("the loss changed by less than the tolerance over 3 steps" if stops else None)


@pytest.mark.parametrize(
    ("before", "start", "stops"),
    [
        (1.25, (9.0,), True),  # the last window has deviation 1: 1 / (2 sqrt(4)) = 1/4
        (1.2501, (9.0,), False),
        (0.75, (9.0,), True),
        (0.7499, (9.0,), False),
        (1.25, (), False),  # more than two windows of steps are needed
    ],
)
def test_a_noisy_loss_settles_when_two_windows_agree_within_their_noise(before, start, stops):
    values = (*start, 9.0, *[before] * 4, 0.0, 2.0, 0.0, 2.0)
    steps, reason, converged = fed(values, window=4, stochastic=True)
    assert converged == stops and steps == len(values) - 1
    assert reason == ("the means of two windows agree within their noise" if stops else None)


def test_the_last_step_ends_the_search():
    assert fed((5.0, 4.0, 3.0), max_steps=2) == (2, "all 2 steps were made before the loss settled", False)
    assert fed((5.0, 4.0, 3.0), max_steps=3)[1] is None
    assert fed((1.0, 1.0, 1.0, 1.0), max_steps=3)[2]  # settled in the last step is settled


@pytest.mark.parametrize(("scale", "limit"), [(0.5, 1e-14), (1.0, 1e-14), (100.0, 1e-12)])
def test_a_gradient_of_rounding_at_the_start_is_flat(scale, limit):
    for slope, flat in ((0.99 * limit, True), (1.01 * limit, False), (-1.01 * limit, False), (0.0, True)):
        for stochastic in (False, True):
            search = Run(lambda weights: scale, (2,), 9, 1e-8, 9, stochastic)
            search.finish_step(np.zeros(2), search.value(np.zeros(2)))
            try:
                search.check_slope(np.array([0.0, slope]))
                stopped = None
            except EndOfRun as stop:
                stopped = stop
            assert (stopped is not None) == (flat and not stochastic), slope
            if stopped is not None:
                assert "stationary point" in stopped.reason and not stopped.converged


def test_the_best_point_is_kept_or_with_noise_the_last_one_and_the_mean_of_the_window():
    values = (5.0, 1.0, 3.0, 1.0)
    for stochastic, place, value in ((False, 1, 1.0), (True, 3, 2.0)):
        search = Run(lambda weights: values[int(weights[0])], (1,), 100, 1e-8, 2, stochastic)
        seen: list[Step] = []
        search.listeners.append(seen.append)
        for number in range(4):
            search.finish_step(np.array([number]), search.value(np.array([number])))
        fit = search.fit(EndOfRun("enough", converged=True))
        assert (fit.weights.tolist(), fit.value, fit.steps, fit.evaluations) == ([place], value, 3, 4)
        assert fit.history.tolist() == list(values) and (fit.reason, fit.converged) == ("enough", True)
        assert [(step.number, step.value) for step in seen] == list(enumerate(values))
        # the lowest of noisy values is a lucky one: the mean of the window, or of half of what there is
        assert [step.best_value for step in seen] == (
            [5.0, 1.0, 3.0, 2.0] if stochastic else [5.0, 1.0, 1.0, 1.0]
        )
        assert {step.max_steps for step in seen} == {100} and not fit.interrupted
        assert all(0 <= each.seconds < 60 for each in (fit, *seen))
        assert "history" not in repr(fit) and "interrupted=False" in repr(fit)


def test_what_a_listener_returns_stops_only_if_it_is_true():
    for answer, stops in (
        (True, True),
        (np.True_, True),
        (False, False),
        (1, False),
        (None, False),
        ("no", False),
    ):
        search = Run(lambda weights: 1.0, (1,), 9, 1e-8, 9, False)
        search.listeners.append(lambda step, answer=answer: answer)
        try:
            search.finish_step(np.zeros(1), 1.0)
        except EndOfRun as stop:
            assert stops and stop.reason == "the callback asked to stop" and not stop.converged
        else:
            assert not stops, answer


@pytest.mark.parametrize(
    ("outcome", "error", "message"),
    [
        (3.0, KetgradTypeError, r"must return \(value, gradient\).*returned float"),
        ((1.0, [1.0, 2.0], 3), KetgradTypeError, r"must return \(value, gradient\).*returned tuple"),
        (
            (1.0, [1.0]),
            KetgradValueError,
            r"shape of `start`, \(2,\), but returned dtype float64 and shape \(1,\)",
        ),
        ((1.0, [1j, 0]), KetgradValueError, "real gradient"),
        ((1j, [1.0, 2.0]), KetgradTypeError, "one real number, but returned dtype complex128"),
        (([1.0, 2.0], [1.0, 2.0]), KetgradTypeError, r"one real number.*shape \(2,\)"),
        (
            (1.0, [1.0, np.nan]),
            KetgradValueError,
            r"the gradient by weight \[1\] is nan at step 0; it is the start",
        ),
    ],
)
def test_a_loss_returns_a_number_and_a_gradient_of_the_shape_of_the_start(outcome, error, message):
    with pytest.raises(error, match=message):
        kg.minimise(lambda weights: outcome, [1.0, 2.0])
    assert kg.minimise(lambda weights: (np.array([[2.0]]), [1, 0]), [1.0, 2.0], max_steps=1).value == 2.0


class Output(io.StringIO):
    """A terminal or a file that counts how often it was flushed."""

    def __init__(self, live: bool) -> None:
        super().__init__()
        self.live, self.flushed = live, 0

    def isatty(self) -> bool:
        return self.live

    def flush(self) -> None:
        self.flushed += 1


def drawn(live: bool, *seconds: float) -> tuple[list[str], int]:
    """The lines that a display draws of steps at these times, and how often it flushed them."""
    out = Output(live)
    line = ProgressLine(out)
    for number, time in enumerate(seconds):
        line(Step(number, 9, 0.5, 0.25, np.zeros(1), time))
    line.close()
    return out.getvalue().replace("\r\x1b[K", "\n").split("\n"), out.flushed


def test_a_terminal_is_redrawn_ten_times_a_second_and_a_file_gets_a_line_every_ten_seconds():
    shown = "step {}/9  loss 0.5  best 0.25  {:.1f} s".format
    lines, flushed = drawn(True, 0.0, 0.06, 0.105, 0.15)
    assert lines == ["", shown(0, 0), shown(2, 0.1), shown(3, 0.1), ""] and flushed == 4
    assert drawn(True, 0.0, 0.3)[0] == ["", shown(0, 0), shown(1, 0.3), ""]
    lines, flushed = drawn(False, 0.5, 10.4, 10.5, 11.0)
    assert lines == [shown(0, 0.5), shown(2, 10.5), shown(3, 11.0), ""] and flushed == 3
    assert drawn(True) == drawn(False) == ([""], 0)


# ---------------------------------------------------------------------------------------------------- the methods


def losses_of(method: Any, loss, start, **options) -> tuple[np.ndarray, kg.Fit]:
    """Where the loss was asked for, and the fit."""
    asked: list[np.ndarray] = []

    def listening(weights):
        asked.append(np.array(weights))
        return loss(weights)

    fit = kg.minimise(listening, start, method, **options)
    return np.array(asked), fit


def bowl(weights) -> float:
    return float((weights - 1) @ (weights - 1) + np.cos(weights).sum())


def test_adam_moves_by_weighted_means_of_all_gradients_and_their_squares():
    method = kg.Adam(learning_rate=0.3, beta1=0.7, beta2=0.95, epsilon=0.01)
    start, num_steps = np.array([0.3, -0.2, 0.9]), 8

    def slopes(weights):
        return 2 * (weights - 1) - np.sin(weights)

    asked, fit = losses_of(
        method, lambda weights: (bowl(weights), slopes(weights)), start, max_steps=num_steps
    )
    points, seen = [start], [slopes(start)]
    for step in range(1, num_steps + 1):
        age = np.arange(step)[::-1]
        mean, square = (
            np.average(values, axis=0, weights=beta**age)
            for values, beta in ((np.array(seen), 0.7), (np.array(seen) ** 2, 0.95))
        )
        points.append(points[-1] - 0.3 * mean / (np.sqrt(square) + 0.01))
        seen.append(slopes(points[-1]))
    assert asked == pytest.approx(np.array(points), rel=1e-12)
    assert fit.history == pytest.approx([bowl(point) for point in points])


@pytest.mark.parametrize("rate", [0.3, None])
@pytest.mark.parametrize("stability", [4.0, None])
def test_spsa_makes_the_steps_of_spall(rate, stability):
    start, num_steps = np.array([0.3, -0.2, 0.9]), 6
    method = kg.SPSA(learning_rate=rate, stability=stability, perturbation=0.2, first_step=0.1)
    asked, fit = losses_of(method, bowl, start, max_steps=num_steps, seed=5)
    rng, weights, wanted, history = stream(5), start, [start], [bowl(start)]
    offset = num_steps / 10 if stability is None else stability

    def slope_at(point, distance):
        direction = rng.choice([-1.0, 1.0], size=3)
        wanted.extend([point + distance * direction, point - distance * direction])
        ahead, behind = bowl(wanted[-2]), bowl(wanted[-1])
        return (ahead - behind) / (2 * distance), direction, (ahead + behind) / 2

    if rate is None:
        typical = np.mean([abs(slope_at(start, 0.2)[0]) for _ in range(25)])
        rate = 0.1 * (1 + offset) ** 0.602 / typical
    for step in range(1, num_steps + 1):
        slope, direction, mean = slope_at(weights, 0.2 / step**0.101)
        weights = weights - rate / (step + offset) ** 0.602 * slope * direction
        history.append(mean)
    assert asked == pytest.approx(np.array([*wanted, weights]))
    assert fit.history == pytest.approx(history) and fit.steps == num_steps


def outcome_of(monkeypatch, outcome, **options) -> tuple[kg.Fit, dict[str, Any]]:
    """The fit, and how SciPy was called, where SciPy asks once and returns the outcome."""
    called: dict[str, Any] = {}

    def minimize(evaluate, start, **arguments):
        called.update(arguments)
        evaluate(start)
        evaluate(start + 1)
        return outcome

    monkeypatch.setattr(scipy.optimize, "minimize", minimize)
    loss = options.pop("loss", lambda weights: (float(weights @ weights), 2 * weights))
    return kg.minimise(loss, [1.0, 2.0], **options), called


def test_lbfgsb_hands_its_limits_to_scipy(monkeypatch):
    done = SimpleNamespace(status=0)
    method = kg.LBFGSB(memory=7, gradient_tolerance=1e-5, bounds=((0, 1), (None, 2)))
    _, called = outcome_of(monkeypatch, done, optimizer=method, max_steps=30, tolerance=1e-3)
    assert called["options"] == {"maxiter": 30, "maxfun": 700, "maxcor": 7, "ftol": 1e-3, "gtol": 1e-5}
    assert (called["method"], called["jac"], called["bounds"]) == ("L-BFGS-B", True, ((0, 1), (None, 2)))
    assert kg.LBFGSB().gradient_tolerance == 1e-9 and kg.LBFGSB().memory == 20


@pytest.mark.parametrize(
    ("status", "slope", "value", "converged", "reason"),
    [
        (0, 1.0, 1.0, True, "no longer changes within the tolerance"),
        (1, 0.0, 1.0, False, "limit of evaluations"),
        (2, 1e-5, 0.5, True, "no lower value along the search direction"),
        (2, 1.1e-5, 0.5, False, "the gradient may not belong to the loss"),
        (2, -1.1e-5, 0.5, False, "the gradient may not belong to the loss"),
        (2, 1e-3, 100.0, True, "no lower value along the search direction"),
        (2, 1.1e-3, -100.0, False, "the gradient may not belong to the loss"),
    ],
)
def test_lbfgsb_says_why_scipy_stopped(monkeypatch, status, slope, value, converged, reason):
    outcome = SimpleNamespace(status=status, jac=np.array([0.0, slope]), fun=value)
    fit, _ = outcome_of(monkeypatch, outcome, optimizer=kg.LBFGSB())
    assert fit.converged == converged and reason in fit.reason
    assert fit.reason.count("gradient may not") == (not converged and status == 2)


def test_cobyla_hands_its_simplex_to_scipy(monkeypatch):
    for max_steps, limit in ((30, 32), (1, 4)):
        done = SimpleNamespace(success=True)
        fit, called = outcome_of(
            monkeypatch,
            done,
            optimizer=kg.COBYLA(first_step=0.3),
            max_steps=max_steps,
            tolerance=1e-3,
            loss=lambda weights: float(weights @ weights),
        )
        assert called == {
            "method": "COBYLA",
            "options": {"maxiter": limit, "rhobeg": 0.3, "tol": 1e-3},
        }
        assert fit.converged == (max_steps > 1)


def test_cobyla_ends_by_its_simplex_and_never_by_a_window_of_steps():
    values = iter([2.0] + [1.0] * 1000)
    fit = kg.minimise(lambda weights: next(values), [1.0, 2.0], kg.COBYLA(), window=2, tolerance=1e-3)
    assert fit.steps > 2 and fit.reason == "the simplex shrank to the tolerance"


def test_what_noise_allows_is_decided_method_by_method():
    circuit, observable = kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0")
    measured = noise_of(kg.expectation(circuit, observable, shots=10))
    estimated = noise_of(kg.expectation(circuit, observable, gradient=kg.gradients.SPSA()))
    assert noise_of(kg.expectation(circuit, observable)) is None
    assert measured is not None and measured.in_values and "finite shots" in measured.reason
    assert estimated is not None and not estimated.in_values and "random directions" in estimated.reason
    for noise in (measured, estimated):
        assert optimizer_for(None, noise) == kg.Adam() and optimizer_for("spsa", noise) == kg.SPSA()
        with pytest.raises(KetgradValueError, match=f"LBFGSB needs the same loss.*{noise.reason}"):
            optimizer_for("lbfgsb", noise)
    with pytest.warns(UserWarning, match="COBYLA takes differences.*finite shots"):
        assert optimizer_for("cobyla", measured) == kg.COBYLA()
    assert optimizer_for("cobyla", estimated) == kg.COBYLA()  # its values are exact
    assert optimizer_for(None, None) == optimizer_for("lbfgsb", None) == kg.LBFGSB()


def test_the_defaults_of_the_methods_are_those_of_their_sources():
    assert kg.Adam() == kg.Adam(0.05, 0.9, 0.999, 1e-8)
    assert kg.LBFGSB() == kg.LBFGSB(20, 1e-9, None)
    assert kg.SPSA() == kg.SPSA(None, 0.1, 0.2, None, 0.602, 0.101)
    assert kg.COBYLA() == kg.COBYLA(0.5)
    defaults = {name: item.default for name, item in inspect.signature(kg.minimise).parameters.items()}
    assert (defaults["max_steps"], defaults["tolerance"], defaults["stochastic"]) == (1000, 1e-8, False)


@pytest.mark.parametrize(
    ("make", "taken", "refused"),
    [
        (lambda value: kg.Adam(beta1=value), (0, 0.0, 0.999), (1, 1.0, -0.1)),
        (lambda value: kg.Adam(beta2=value), (0, 0.0, 0.999), (1, 1.0, -0.1)),
        (
            lambda value: kg.Adam(learning_rate=value),
            (1e-300, 5, np.float32(1)),
            (0, -1, np.inf, np.nan, "1", True),
        ),
        (lambda value: kg.Adam(epsilon=value), (1e-300,), (0, -1)),
        (lambda value: kg.LBFGSB(gradient_tolerance=value), (1e-300,), (0, -1)),
        (lambda value: kg.SPSA(learning_rate=value), (None, 1e-300), (0, -1)),
        (lambda value: kg.SPSA(perturbation=value), (1e-300,), (0, -1)),
        (lambda value: kg.SPSA(first_step=value), (1e-300,), (0, -1)),
        (lambda value: kg.SPSA(alpha=value), (1e-300,), (0, -1)),
        (lambda value: kg.SPSA(gamma=value), (1e-300,), (0, -1)),
        (lambda value: kg.COBYLA(first_step=value), (1e-300,), (0, -1)),
    ],
)
def test_the_numbers_of_a_method_are_checked_at_their_limits(make, taken, refused):
    for value in taken:
        make(value)
    for value in refused:
        with pytest.raises(KetgradValueError):
            make(value)


def test_without_an_optimiser_the_defaults_are_those_that_are_written():
    quick = {"max_steps": 3}
    start, loss = [1.0, 2.0], lambda weights: (float(weights @ weights), 2 * weights)
    assert kg.minimise(loss, start, **quick).history == pytest.approx(
        kg.minimise(loss, start, kg.Adam(), **quick).history
    )
    flat = kg.minimise(lambda weights: (float(1 + 1e-12 * weights.sum()), np.full(2, 1e-12)), start)
    assert flat.converged and flat.steps == 20 and "over 20 steps" in flat.reason
    noisy = kg.minimise(lambda weights: (1.0, np.ones(2)), start, stochastic=True)
    assert noisy.converged and noisy.steps == 401
