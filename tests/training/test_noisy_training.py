"""Training on noise: nothing reports a lucky number, every step draws afresh, and one seed repeats the whole run."""

import itertools
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.ensemble import AdaBoostClassifier

import ketgrad as kg
from ketgrad.executors.sampled import Sampled
from ketgrad.training.optimize import OPTIMIZERS, minimise
from ketgrad.training.run import NonFiniteLoss

CHAIN = kg.hamiltonians.ising(2)
TREE = kg.ansatz.tree(2)
SQUARE = [(0, 1), (1, 2), (2, 0), (2, 3)]
X, Y = make_moons(30, noise=0.2, random_state=0)
ON_NOISE = [name for name in OPTIMIZERS if name != "LBFGSB"]  # which refuses it
COBYLA_WARNS = pytest.mark.filterwarnings("ignore:COBYLA takes differences")


# -- no winner's curse -----------------------------------------------------------------------------------------


def vqe_with_shots(name, shots, seed):
    optimizer = OPTIMIZERS[name]()
    return kg.vqe(
        CHAIN, TREE, optimizer, num_starts=3, max_steps=40, executor=Sampled(shots=shots), seed=seed
    )


@COBYLA_WARNS
@pytest.mark.parametrize("shots", [10, 100, 1000])
@pytest.mark.parametrize("name", ON_NOISE)
def test_vqe_reports_what_its_weights_are_worth_whatever_the_noise(name, shots):
    """The lowest of 40 noisy energies would be several standard errors too low, in every run."""
    energy = kg.expectation(TREE, CHAIN)
    results = [vqe_with_shots(name, shots, seed) for seed in range(6)]
    deviations = [(r.energy - energy(r.weights)[0]) / r.uncertainty for r in results]
    assert np.abs(deviations).max() < 5 and abs(np.mean(deviations)) < 4 / np.sqrt(6)
    assert min(deviations) < 0 < max(deviations) or abs(np.mean(deviations)) < 1
    for r in results:
        assert r.error == r.energy - r.exact and len(r.energies) == 3 and r.uncertainty > 0
        assert r.energy > r.history.min() or shots == 1000  # what used to be reported


@COBYLA_WARNS
def test_over_all_optimisers_and_shots_reported_energies_are_unbiased():
    energy = kg.expectation(TREE, CHAIN)
    deviations = []
    for name in ON_NOISE:
        for shots in (10, 100):
            for seed in range(10, 13):
                r = vqe_with_shots(name, shots, seed)
                deviations.append((r.energy - energy(r.weights)[0]) / r.uncertainty)
    assert abs(np.mean(deviations)) < 4 / np.sqrt(len(deviations))
    assert 0.2 < np.mean(np.array(deviations) < 0) < 0.8


@COBYLA_WARNS
@pytest.mark.parametrize("name", ON_NOISE)
def test_qaoa_reports_what_its_weights_are_worth_whatever_the_noise(name):
    deviations = []
    for seed in range(6):
        optimizer = OPTIMIZERS[name]()
        q = kg.qaoa(SQUARE, 1, optimizer, num_starts=2, max_steps=40, executor=Sampled(shots=10), seed=seed)
        exact = -kg.expectation(q.circuit, kg.hamiltonians.maxcut(SQUARE))(q.weights)[0]
        deviations.append((q.expected - exact) / q.uncertainty)
        assert q.approximation_ratio == pytest.approx(q.expected / q.optimum) and len(q.values) == 2
        assert q.expected < 2.713 + 5 * q.uncertainty  # the best that one layer reaches
    assert np.abs(deviations).max() < 5 and abs(np.mean(deviations)) < 4 / np.sqrt(6)


def test_exact_energies_carry_no_uncertainty_and_are_those_of_the_search():
    result = kg.vqe(CHAIN, TREE, num_starts=2)
    assert result.uncertainty == 0.0 and result.energy == result.fit.value == result.history.min()
    assert "+-" not in str(result) and "by Adam" not in result.fit.reason


def test_the_uncertainty_is_the_standard_error_of_the_energy():
    results = [vqe_with_shots("SPSA", 10, seed) for seed in range(3)]
    for r in results:
        f = kg.expectation(TREE, CHAIN, shots=10, seed=3)
        fresh = f(np.tile(r.weights, (4000, 1)))
        assert r.uncertainty == pytest.approx(fresh.std() / np.sqrt(100), rel=0.35)
        assert f"+- {r.uncertainty:.2g} by finite shots" in str(r)


def noisy_bowl(rng):
    def loss(weights):
        value, gradient = ((weights - 0.7) ** 2).sum(), 2 * (weights - 0.7)
        return value + rng.normal(), gradient + rng.normal(size=weights.shape)

    return loss


@pytest.mark.parametrize("name", ON_NOISE)
def test_minimise_of_a_stochastic_loss_reports_a_mean_and_no_lucky_value(name):
    values = []
    for seed in range(20):
        loss = noisy_bowl(np.random.default_rng(seed))
        fit = minimise(loss, np.zeros(2), OPTIMIZERS[name](), max_steps=60, stochastic=True, seed=seed)
        values.append(fit.value)
        second_half = fit.history[-(len(fit.history) // 2) :]
        assert fit.value > fit.history.min() and fit.value == pytest.approx(second_half.mean())
    assert np.mean(values) > -4 / np.sqrt(20 * 30)  # the bowl is not below 0


@pytest.mark.parametrize("name", ON_NOISE)
def test_a_display_of_the_progress_shows_no_lucky_value_either(name):
    steps = []
    loss = noisy_bowl(np.random.default_rng(0))
    fit = minimise(
        loss, np.zeros(2), OPTIMIZERS[name](), max_steps=40, stochastic=True, seed=0, progress=steps.append
    )
    assert steps[-1].best_value == fit.value and steps[-1].best_value > min(step.value for step in steps)
    exact = []
    minimise(
        lambda w: ((w**2).sum(), 2 * w), np.ones(2), OPTIMIZERS[name](), max_steps=9, progress=exact.append
    )
    assert all(a.best_value >= b.best_value for a, b in itertools.pairwise(exact))


def test_a_noisy_loss_that_breaks_reports_no_lucky_value():
    values = iter([1.0, -5.0, 1.0, 1.0, np.nan])
    with pytest.raises(NonFiniteLoss, match=r"the best before, of loss 1, is kept") as caught:
        minimise(lambda w: (next(values), 0.1 * w), [1.0], stochastic=True)
    assert caught.value.fit is not None and caught.value.fit.value == 1.0


# -- which optimiser is taken, and that it is said -----------------------------------------------------------------


NOISY: dict[str, Any] = {
    "vqe": lambda **options: kg.vqe(CHAIN, TREE, executor="sampled", num_starts=1, max_steps=3, **options).fit,
    "qaoa": lambda **options: kg.qaoa(SQUARE, executor="sampled", num_starts=1, max_steps=3, **options).fit,
    "classifier": lambda **options: kg.VariationalClassifier(executor="sampled", max_steps=3, **options).fit(X, Y).fit_,
    "regressor": lambda **options: kg.VariationalRegressor(executor="sampled", max_steps=3, **options).fit(X, Y).fit_,
    "batches": lambda **options: kg.VariationalClassifier(batch_size=8, max_steps=3, **options).fit(X, Y).fit_,
    "random directions": lambda **options: kg.VariationalClassifier(
        gradient=kg.gradients.SPSA(), max_steps=3, **options
    ).fit(X, Y).fit_,
}  # fmt: skip


@pytest.mark.parametrize("case", NOISY)
def test_noise_is_minimised_by_adam_and_the_reason_says_so(case):
    reason = NOISY[case]().reason
    assert "(by Adam, not L-BFGS-B: " in reason and "not " in reason
    assert "by Adam" not in NOISY[case](optimizer="adam").reason  # chosen by the caller


@pytest.mark.parametrize("case", NOISY)
@pytest.mark.parametrize("optimizer", [kg.LBFGSB(), "lbfgsb"])
def test_a_line_search_on_noise_is_refused_with_the_way_out(case, optimizer):
    with pytest.raises(kg.KetgradError, match=r"LBFGSB needs the same loss at every step.*kg\.Adam\(\)"):
        NOISY[case](optimizer=optimizer)


@pytest.mark.parametrize("case", [name for name in NOISY if name != "random directions"])
def test_a_simplex_on_noise_is_taken_with_one_warning(case):
    with pytest.warns(UserWarning, match="COBYLA takes differences between values for structure") as caught:
        NOISY[case](optimizer="cobyla")
    assert len(caught) == 1


@pytest.mark.parametrize("kind", [kg.VariationalClassifier, kg.VariationalRegressor])
def test_a_noisy_fit_keeps_its_last_weights_and_makes_all_its_steps(kind):
    model = kind(executor=Sampled(shots=20), max_steps=30, random_state=0).fit(X, Y)
    assert model.n_iter_ == 30 and "all 30 steps" in model.fit_.reason
    assert model.fit_.value > model.fit_.history.min()


def test_a_constant_energy_is_warned_of_once():
    for call in (lambda: kg.vqe(kg.Pauli("1.5")), lambda: kg.qaoa(kg.Pauli("0.0 Z0"))):
        with pytest.warns(UserWarning, match="Nothing was minimised") as caught:
            call()
        assert len(caught) == 1 and caught[0].filename == __file__


def test_one_stationary_start_among_others_is_no_reason_to_warn():
    circuit = kg.Circuit([kg.ry(kg.w[0], 0)])
    result = kg.vqe(kg.Pauli("Z0"), circuit, start=[[0.0], [1.0]])
    assert result.energy == pytest.approx(-1.0)


def test_a_function_of_the_progress_ends_all_starts():
    seen = []

    def stop(step):
        seen.append(step.number)
        return step.number == 2

    result = kg.vqe(CHAIN, TREE, num_starts=5, progress=stop)
    assert seen == [0, 1, 2] and len(result.energies) == 1 and not result.interrupted
    for kind in (kg.VariationalClassifier, kg.VariationalRegressor):
        model = kind(verbose=lambda step: step.number == 2).fit(X, Y)
        assert model.n_iter_ == 2 and model.fit_.reason == "the callback asked to stop"


# -- one seed, one result -----------------------------------------------------------------------------------------


def fitted(model):
    def run(seed, executor):
        chosen = clone(model).set_params(random_state=seed, executor=executor).fit(X, Y)
        return [chosen.predict(X), getattr(chosen, "decision_function", chosen.predict)(X)]

    return run


def solved(solver, problem, **options):
    def run(seed, executor):
        result = solver(problem, num_starts=2, max_steps=4, seed=seed, executor=executor, **options)
        return [result.weights, result.history, result.uncertainty, result.fit.value]

    return run


EXECUTORS: dict[str, Any] = {"native": "native", "reference": "reference", "sampled": Sampled(shots=7)}
STEPS = {"max_steps": 4}
REPEATED: dict[str, Any] = {
    "classifier": fitted(kg.VariationalClassifier(**STEPS)),
    "classifier in batches": fitted(kg.VariationalClassifier(batch_size=8, **STEPS)),
    "classifier along directions": fitted(kg.VariationalClassifier(gradient=kg.gradients.SPSA(), **STEPS)),
    "classifier by spsa": fitted(kg.VariationalClassifier(optimizer="spsa", **STEPS)),
    "classifier by cobyla": fitted(kg.VariationalClassifier(optimizer="cobyla", **STEPS)),
    "regressor": fitted(kg.VariationalRegressor(**STEPS)),
    "regressor along directions": fitted(
        kg.VariationalRegressor(gradient=kg.gradients.SPSA(seed=3), optimizer="adam", **STEPS)
    ),
    "kernel classifier": fitted(kg.KernelClassifier()),
    "kernel regressor": fitted(kg.KernelRegressor()),
    "projected kernel classifier": fitted(kg.KernelClassifier(kernel="projected")),
    "projected kernel regressor": fitted(kg.KernelRegressor(kernel="projected")),
    "kernel by value": lambda seed, executor: fitted(
        kg.KernelClassifier(kernel=kg.ProjectedKernel(kg.encodings.angle(2), executor=executor))
    )(seed, "native"),
    "projected kernel": lambda seed, executor: [
        kg.ProjectedKernel(kg.encodings.angle(2), executor=executor, seed=seed)(X)
    ],
    "vqe": solved(kg.vqe, CHAIN),
    "vqe by spsa": solved(kg.vqe, CHAIN, optimizer="spsa"),
    "vqe by cobyla": solved(kg.vqe, CHAIN, optimizer="cobyla"),
    "vqe along directions": solved(kg.vqe, CHAIN, gradient=kg.gradients.SPSA()),
    "qaoa": solved(kg.qaoa, SQUARE),
    "qaoa by adam": solved(kg.qaoa, SQUARE, optimizer="adam"),
}
EXACT_ONLY = {"kernel classifier", "kernel regressor"}  # a fidelity is read from amplitudes


@COBYLA_WARNS
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("case", REPEATED)
def test_no_estimator_kernel_or_solver_gives_other_bits_for_the_same_seed(case, executor):
    if case in EXACT_ONLY and executor == "sampled":
        with pytest.raises(kg.KetgradError, match="cannot be measured"):
            REPEATED[case](0, EXECUTORS[executor])
        return
    for seed in (0, np.random.SeedSequence(5)):
        first, second = (REPEATED[case](seed, EXECUTORS[executor]) for _ in range(2))
        for one, other in zip(first, second, strict=True):
            assert np.array_equal(one, other)
    if executor == "sampled":
        other = REPEATED[case](1, EXECUTORS[executor])
        assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("kernel", ["fidelity", "projected"])
def test_a_kernel_machine_without_noise_does_not_depend_on_its_seed(kernel):
    model = kg.KernelClassifier(kernel=kernel)
    scores = [clone(model).set_params(random_state=s).fit(X, Y).decision_function(X) for s in (None, 0, 1)]
    assert np.array_equal(scores[0], scores[1]) and np.array_equal(scores[0], scores[2])


@pytest.mark.parametrize(
    "model",
    [
        kg.VariationalClassifier(executor=Sampled(shots=7), random_state=0, **STEPS),
        kg.VariationalRegressor(executor=Sampled(shots=7), random_state=0, **STEPS),
        kg.KernelClassifier(kernel="projected", executor=Sampled(shots=7), random_state=0),
    ],
    ids=["classifier", "regressor", "projected kernel"],
)
def test_predictions_are_measured_anew_and_begin_anew_in_a_copy(model, tmp_path):
    chosen = clone(model).fit(X, Y)
    ask = getattr(chosen, "decision_function", chosen.predict)
    first, second = ask(X), ask(X)
    assert not np.array_equal(first, second)
    kg.save(chosen, tmp_path / "model")
    again = kg.load(tmp_path / "model")
    assert np.array_equal(getattr(again, "decision_function", again.predict)(X), first)


# -- sample weights have no scale --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [kg.VariationalClassifier(random_state=0, max_steps=30), kg.VariationalRegressor(random_state=0, max_steps=30)],
    ids=["classifier", "regressor"],
)  # fmt: skip
def test_a_factor_in_all_sample_weights_does_not_change_a_fit(model):
    rng = np.random.default_rng(3)
    for weights in (np.ones(30), rng.uniform(0.5, 2.0, 30), rng.integers(0, 3, 30).astype(float)):
        wanted = clone(model).fit(X, Y, sample_weight=weights).weights_
        for factor in (2.0**-20, 0.5, 8.0, 2.0**40):  # powers of two: the same bits
            found = clone(model).fit(X, Y, sample_weight=factor * weights).weights_
            assert np.array_equal(found, wanted)
        found = clone(model).fit(X, Y, sample_weight=weights / 30).weights_
        np.testing.assert_allclose(found, wanted, atol=1e-3)
    twice = clone(model).fit(np.concatenate([X, X]), np.concatenate([Y, Y])).weights_
    np.testing.assert_allclose(twice, clone(model).fit(X, Y).weights_, atol=1e-3)


def test_boosting_works_over_a_variational_classifier():
    inputs, labels = make_moons(40, noise=0.2, random_state=0)
    alone = kg.VariationalClassifier(random_state=0, max_steps=40)
    boosted = AdaBoostClassifier(alone, n_estimators=4, random_state=0).fit(inputs, labels)
    assert boosted.score(inputs, labels) >= clone(alone).fit(inputs, labels).score(inputs, labels) - 0.05
