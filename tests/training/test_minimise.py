"""minimise: every optimiser finds minima, stops for a stated reason, and never loses the best point."""

import io
import math

import numpy as np
import pytest

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.training.losses import squared
from ketgrad.training.optimize import COBYLA, LBFGSB, OPTIMIZERS, SPSA, Adam, minimise, optimizer_named
from ketgrad.training.progress import ProgressLine
from ketgrad.training.run import NonFiniteLoss

GRADIENT_BASED = ["Adam", "LBFGSB"]


def bowl(weights):
    """Minimum 0 at 0.7 everywhere."""
    return float(((weights - 0.7) ** 2).sum()), 2 * (weights - 0.7)


def landscape(weights):
    """The kind of a circuit: a sum of cosines, minimum -n at pi."""
    return float(np.cos(weights).sum()), -np.sin(weights)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "loss, start, least", [(bowl, np.zeros((2, 2)), 0.0), (landscape, np.full(3, 2.0), -3.0)]
)
def test_every_optimiser_finds_the_minimum_in_the_shape_of_the_start(name, loss, start, least):
    fit = minimise(loss, start, OPTIMIZERS[name](), seed=3)
    assert fit.value == pytest.approx(least, abs=1e-5)
    assert fit.weights.shape == start.shape
    assert loss(fit.weights)[0] == fit.value
    assert len(fit.history) == fit.steps + 1
    assert fit.history[0] == loss(start)[0]
    assert fit.value <= fit.history.min()
    assert fit.evaluations >= fit.steps
    assert fit.reason


@pytest.mark.parametrize("name", ["Adam", "LBFGSB", "COBYLA"])
def test_a_settled_loss_converges_before_the_last_step(name):
    fit = minimise(bowl, np.zeros(2), OPTIMIZERS[name](), max_steps=5000)
    assert fit.converged
    assert fit.steps < 5000


def test_lbfgsb_reaches_machine_precision_when_asked():
    assert minimise(landscape, np.full(3, 2.0), LBFGSB(), tolerance=1e-15).value == pytest.approx(
        -3, abs=1e-14
    )


def test_lbfgsb_keeps_within_its_bounds():
    fit = minimise(bowl, np.zeros(2), LBFGSB(bounds=((0, 0.5), (None, None))))
    assert fit.weights == pytest.approx([0.5, 0.7])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_max_steps_ends_the_search_and_says_so(name):
    fit = minimise(landscape, np.full(4, 1.0), OPTIMIZERS[name](), max_steps=2)
    assert (fit.steps, fit.converged) == (2, False)
    assert "all 2 steps" in fit.reason


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_seed_gives_the_same_bits_whatever_the_global_generator_holds(name):
    outcomes = []
    for k in range(2):
        np.random.seed(k)
        before = np.random.get_state()[1].copy()
        outcomes.append(
            minimise(landscape, np.full(3, 1.0), OPTIMIZERS[name](), max_steps=20, seed=5).weights
        )
        assert (np.random.get_state()[1] == before).all()
    assert outcomes[0].tobytes() == outcomes[1].tobytes()


def test_spsa_draws_other_directions_for_another_seed():
    one, two = (minimise(landscape, np.ones(3), SPSA(), max_steps=5, seed=s).weights for s in (1, 2))
    assert (one != two).any()


def test_spsa_makes_two_evaluations_per_step_whatever_the_number_of_weights():
    for size in (2, 50):
        fit = minimise(landscape, np.ones(size), SPSA(learning_rate=0.1), max_steps=10, seed=0)
        assert fit.evaluations == 2 * 10 + 2  # the start and the last point


@pytest.mark.parametrize("optimizer", [SPSA(), COBYLA()])
def test_methods_without_gradients_take_a_loss_that_returns_a_number(optimizer):
    assert minimise(lambda w: np.cos(w).sum(), [2.0], optimizer, seed=0).value == pytest.approx(-1, abs=1e-3)


def stop_after(count, exception):
    """A loss that raises after `count` calls."""
    calls = []

    def loss(weights):
        calls.append(1)
        if len(calls) > count:
            raise exception
        return landscape(weights)

    return loss


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_interrupt_after_the_first_step_returns_the_best_point_so_far(name):
    optimizer = SPSA(learning_rate=0.1) if name == "SPSA" else OPTIMIZERS[name]()
    fit = minimise(stop_after(4, KeyboardInterrupt()), np.full(3, 2.0), optimizer, seed=0)
    assert (fit.interrupted, fit.converged, fit.evaluations) == (True, False, 4) and fit.steps >= 1
    assert landscape(fit.weights)[0] == fit.value <= fit.history.min()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("after", [0, 1])
def test_an_interrupt_before_the_first_step_passes_through(name, after):
    with pytest.raises(KeyboardInterrupt):
        minimise(stop_after(after, KeyboardInterrupt()), [1.0], OPTIMIZERS[name](), seed=0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_exception_of_the_loss_passes_through_unchanged(name):
    error = ZeroDivisionError("mine")
    with pytest.raises(ZeroDivisionError) as caught:
        minimise(stop_after(5, error), np.full(3, 2.0), OPTIMIZERS[name](), seed=0)
    assert caught.value is error
    assert (
        minimise(landscape, np.full(3, 2.0), OPTIMIZERS[name](), seed=0).value < -2.9
    )  # nothing is left behind


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_best_point(name, bad):
    calls = []

    def loss(weights):
        calls.append(1)
        value, gradient = landscape(weights)
        return (value if len(calls) < 5 else bad), gradient

    with pytest.raises(NonFiniteLoss, match=f"the loss is {bad} at step") as caught:
        minimise(loss, np.full(3, 2.0), OPTIMIZERS[name](), seed=0)
    assert caught.value.fit is not None
    assert landscape(caught.value.fit.weights)[0] == caught.value.fit.value


def test_what_an_exception_of_the_loss_ends_is_not_lost():
    def loss(weights):
        if weights[0] < 0.5:
            squared(np.full(2, np.inf), np.zeros(2))  # as a model that diverges
        return float(weights @ weights), 2 * weights

    with pytest.raises(KetgradValueError, match="`outputs` must be finite") as caught:
        minimise(loss, [1.0], Adam(0.1))
    assert 0.5 <= caught.value.fit.weights[0] < 0.7
    with pytest.raises(KetgradValueError) as caught:
        minimise(loss, [0.4], Adam(0.1))
    assert not hasattr(caught.value, "fit")  # there was nothing before


@pytest.mark.parametrize("name", GRADIENT_BASED)
def test_a_gradient_that_is_not_finite_names_the_weight(name):
    with pytest.raises(
        NonFiniteLoss, match=r"the gradient by weight \[1, 0\] is nan at step 0; it is the start"
    ):
        minimise(lambda w: (1.0, np.array([[0.0], [np.nan]])), np.ones((2, 1)), OPTIMIZERS[name]())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_loss_that_does_not_depend_on_the_weights_is_reported(name):
    with pytest.warns(UserWarning, match="Nothing was minimised"):
        fit = minimise(lambda w: (1.5, np.zeros(2)), [1.0, 2.0], OPTIMIZERS[name](), max_steps=50, seed=0)
    assert not fit.converged
    assert "no weight acts on what is measured" in fit.reason


def test_a_stochastic_loss_stops_when_two_windows_agree_within_their_noise():
    rng = np.random.default_rng(0)

    def noisy(weights):
        value, gradient = bowl(weights)
        return value + 0.01 * rng.normal(), gradient + 0.01 * rng.normal(size=2)

    fit = minimise(noisy, np.zeros(2), Adam(0.02), max_steps=5000, stochastic=True, window=50)
    assert fit.converged
    assert 100 < fit.steps < 5000
    a1, a2 = fit.history[-50:], fit.history[-100:-50]
    assert abs(a1.mean() - a2.mean()) <= a1.std() / (2 * math.sqrt(50))
    assert fit.weights == pytest.approx([0.7, 0.7], abs=0.02)
    assert fit.value == pytest.approx(a1.mean())


def test_a_line_search_refuses_a_stochastic_loss():
    with pytest.raises(KetgradValueError, match="LBFGSB needs an exact loss"):
        minimise(bowl, [0.0], LBFGSB(), stochastic=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_callback_sees_every_step_and_may_stop(name):
    seen = []

    def callback(step):
        seen.append(step)
        return step.number == 3

    fit = minimise(landscape, np.full((2, 2), 2.0), OPTIMIZERS[name](), callback=callback, seed=0)
    assert [step.number for step in seen] == [0, 1, 2, 3]
    assert fit.steps == 3
    assert fit.reason == "the callback asked to stop"
    assert seen[0].weights.shape == (2, 2)


def test_progress_may_be_a_function():
    seen = []
    minimise(bowl, [0.0], max_steps=4, progress=seen.append)
    assert [step.number for step in seen] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_function_of_the_progress_may_stop_as_a_callback_may(name):
    fit = minimise(
        landscape, np.full(2, 2.0), OPTIMIZERS[name](), progress=lambda step: step.number == 2, seed=0
    )
    assert (fit.steps, fit.converged, fit.reason) == (2, False, "the callback asked to stop")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_are_named_in_either_case(name):
    for text in (name, name.lower()):
        assert optimizer_named(text) == OPTIMIZERS[name]()
    fit, same = (minimise(landscape, np.full(2, 2.0), o, seed=1) for o in (name.lower(), OPTIMIZERS[name]()))
    assert fit.weights.tobytes() == same.weights.tobytes()


def test_progress_draws_on_stderr_only(capsys):
    minimise(bowl, [0.0], max_steps=4, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "step 4/4" in err


def test_the_progress_line_of_a_terminal_redraws_itself():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal, line = Terminal(), None
    line = ProgressLine(terminal)
    minimise(bowl, [0.0], max_steps=30, progress=line)
    assert terminal.getvalue().count("\r") < 10
    assert terminal.getvalue().endswith("s\n")


REFUSED = [
    (lambda: minimise(bowl, []), "`start` must hold at least one weight"),
    (lambda: minimise(bowl, [1.0, np.nan]), "`start` must be finite, but entry 1 is nan"),
    (lambda: minimise(bowl, [1j]), "`start` must hold real numbers"),
    (lambda: minimise(bowl, [1.0], max_steps=0), "`max_steps` must be an integer of at least 1"),
    (lambda: minimise(bowl, [1.0], max_steps=True), "`max_steps`"),
    (lambda: minimise(bowl, [1.0], tolerance=0), "`tolerance` must be a positive number"),
    (lambda: minimise(bowl, [1.0], seed=-1), "`seed` must not be negative"),
    (lambda: minimise(bowl, [1.0], seed=True), "`seed`"),
    (lambda: minimise(lambda w: 1.0, [1.0]), r"`loss` must return \(value, gradient\)"),
    (lambda: minimise(lambda w: (1.0, np.zeros(2)), [1.0]), "real gradient of the shape of `start`"),
    (lambda: minimise(lambda w: (1j, np.zeros(1)), [1.0]), "`loss` must return one real number"),
    (lambda: minimise(lambda w: np.ones(2), [1.0], SPSA()), "`loss` must return one real number"),
    (lambda: minimise(bowl, [1.0, 2.0], LBFGSB(bounds=((0, 1),))), "`bounds` must hold one"),
    (
        lambda: minimise(bowl, [1.0], "sgd"),
        "There is no optimiser 'sgd'. The names are 'adam', 'lbfgsb', 'spsa', 'cobyla'",
    ),
    (lambda: minimise(bowl, [1.0], Adam), "`optimizer` must be an optimiser such as kg.Adam"),
    (lambda: minimise(bowl, [1.0], 3), "`optimizer` must be an optimiser such as kg.Adam"),
    (lambda: Adam(-1), "`learning_rate` must be a positive number"),
    (lambda: Adam(beta1=1.0), r"`beta1` must lie in \[0, 1\)"),
    (lambda: SPSA(perturbation=0), "`perturbation`"),
    (lambda: COBYLA(first_step=math.inf), "`first_step`"),
]


@pytest.mark.parametrize("call, message", REFUSED)
def test_bad_arguments_are_named(call, message):
    with pytest.raises((KetgradValueError, KetgradTypeError), match=message):
        call()
