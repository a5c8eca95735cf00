"""The estimators keep scikit-learn's contract, their defaults train, and they are values like any estimator."""

import copy
import pickle
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
from estimators import classifiers_with, models_with
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine, make_moons
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import ketgrad as kg
from ketgrad import executors
from ketgrad.foundation import errors
from ketgrad.models.fitting import default_circuits as designs

# Few steps and one thread keep the tests short; scikit-learn's own checks run on the defaults.
QUICK = dict(max_steps=25, threads=1)
DEFAULTS = [*models_with().values(), kg.KernelClassifier(kernel="projected")]
ESTIMATORS = list(models_with(**QUICK).values())
CLASSIFIERS = list(classifiers_with(**QUICK).values())
X, Y = load_iris(return_X_y=True)
X_SMALL, Y_SMALL = X[::3], Y[::3]


@parametrize_with_checks(DEFAULTS)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@dataclass(frozen=True)
class Counting:
    """The native executor, counting circuit executions of `run`."""

    runs: list = field(default_factory=list, hash=False)
    name: str = "counting"
    abilities: frozenset = frozenset({"exact", "adjoint"})

    def run(self, program, weights, inputs, **options):
        self.runs.append(len(inputs))
        return executors.get("native").run(program, weights, inputs, **options)

    def vjp(self, program, *arguments, **options):
        return executors.get("native").vjp(program, *arguments, **options)


# -- the defaults train: 5-fold means of logistic regression or ridge (standardised) minus 0.03 -----------------

LINEAR = {"iris": 0.960, "wine": 0.983, "breast_cancer": 0.979, "moons": 0.847, "diabetes": 0.490}


def reference_set(name):
    if name == "moons":
        return make_moons(300, noise=0.2, random_state=0)
    loaders = dict(iris=load_iris, wine=load_wine, breast_cancer=load_breast_cancer, diabetes=load_diabetes)
    return loaders[name](return_X_y=True)


@pytest.mark.parametrize("family", ["variational", "kernel"])
@pytest.mark.parametrize("name", LINEAR)
def test_defaults_train(name, family):
    inputs, targets = reference_set(name)
    folds = (KFold if name == "diabetes" else StratifiedKFold)(5, shuffle=True, random_state=0)
    model = {
        ("variational", True): kg.VariationalRegressor(random_state=0, threads=1),
        ("variational", False): kg.VariationalClassifier(random_state=0, threads=1),
        ("kernel", True): kg.KernelRegressor(threads=1),
        ("kernel", False): kg.KernelClassifier(threads=1),
    }[family, name == "diabetes"]
    assert cross_val_score(model, inputs, targets, cv=folds).mean() >= LINEAR[name] - 0.03


def test_the_variational_classifier_learns_what_no_line_separates():
    inputs, targets = make_moons(200, noise=0.1, random_state=1)
    model = kg.VariationalClassifier(random_state=0, threads=1).fit(inputs[:150], targets[:150])
    assert model.score(inputs[150:], targets[150:]) >= 0.95


# -- labels, probabilities, weights, outputs ---------------------------------------------------------------------


@pytest.mark.parametrize("model", CLASSIFIERS)
@pytest.mark.parametrize(
    "names", [np.array(["setosa", "a b", "é"]), np.array([10, -3, 4]), np.array([2.0, 7.0, 1.0])]
)
def test_classes_of_any_kind_keep_their_sorted_order(model, names):
    fitted = clone(model).fit(X_SMALL, names[Y_SMALL])
    assert np.array_equal(fitted.classes_, np.sort(names))
    assert fitted.score(X_SMALL, names[Y_SMALL]) > 0.9
    scores = fitted.decision_function(X_SMALL)
    assert np.array_equal(fitted.classes_[scores.argmax(axis=1)], fitted.predict(X_SMALL))


def test_probabilities_are_probabilities_and_agree_with_the_scores():
    model = kg.VariationalClassifier(random_state=0, **QUICK).fit(X_SMALL, Y_SMALL)
    chances = model.predict_proba(X)
    assert chances.min() >= 0
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-12)
    assert np.array_equal(chances.argmax(axis=1), model.predict(X))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), chances, atol=1e-12)


def test_two_classes_have_one_score_positive_for_the_second():
    two = Y_SMALL < 2
    for model in CLASSIFIERS:
        fitted = clone(model).fit(X_SMALL[two], Y_SMALL[two])
        scores = fitted.decision_function(X_SMALL)
        assert scores.shape == (len(X_SMALL),)
        assert np.array_equal(fitted.classes_[(scores > 0).astype(int)], fitted.predict(X_SMALL))


def test_hinge_loss_has_scores_but_no_probabilities():
    model = kg.VariationalClassifier(loss="hinge", random_state=0, threads=1).fit(X_SMALL, Y_SMALL)
    assert model.score(X_SMALL, Y_SMALL) > 0.9
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError) as refusal:
        _ = model.predict_proba
    assert "need loss='cross_entropy'" in str(refusal.value.__cause__)


@pytest.mark.parametrize("model", ESTIMATORS)
def test_a_weight_of_two_is_a_row_given_twice_and_order_does_not_matter(model):
    weights = np.arange(len(X_SMALL)) % 3
    seeded = clone(model)
    if "random_state" in seeded.get_params():
        seeded.set_params(random_state=3)
    weighted = clone(seeded).fit(X_SMALL, Y_SMALL, sample_weight=weights)
    repeated_rows = np.repeat(np.arange(len(X_SMALL)), weights)[::-1]
    repeated = clone(seeded).fit(X_SMALL[repeated_rows], Y_SMALL[repeated_rows])
    assert np.array_equal(weighted.predict(X), repeated.predict(X))


def test_class_weight_moves_the_decision():
    for model in CLASSIFIERS:
        eager = clone(model).set_params(class_weight={0: 1, 1: 1, 2: 50}).fit(X_SMALL, Y_SMALL)
        plain = clone(model).fit(X_SMALL, Y_SMALL)
        assert (eager.predict(X) == 2).sum() >= (plain.predict(X) == 2).sum()
        clone(model).set_params(class_weight="balanced").fit(X_SMALL, Y_SMALL)


def test_regression_has_any_number_of_outputs_in_their_own_units():
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (60, 2))
    targets = np.stack([1e6 + 1e5 * inputs[:, 0], 1e-6 * inputs[:, 1], np.full(60, 7.0)], axis=1)
    model = kg.VariationalRegressor(random_state=0, regularisation=0.1, threads=1).fit(inputs, targets)
    predicted = model.predict(inputs)
    assert predicted.shape == targets.shape
    errors_in_units = np.sqrt(((predicted - targets) ** 2).mean(axis=0))
    assert (errors_in_units < 0.2 * np.array([1e5, 1e-6, 1.0])).all()
    column = kg.VariationalRegressor(random_state=0, **QUICK).fit(inputs, targets[:, :1])
    assert column.predict(inputs).shape == (60, 1)


@pytest.mark.parametrize("model", ESTIMATORS)
def test_shift_and_scale_of_the_columns_do_not_matter(model):
    seeded = clone(model)
    if "random_state" in seeded.get_params():
        seeded.set_params(random_state=0)
    plain = clone(seeded).fit(X_SMALL, Y_SMALL).predict(X)
    moved = clone(seeded).fit(X_SMALL * 1024.0, Y_SMALL).predict(X * 1024.0)
    np.testing.assert_allclose(moved, plain, atol=1e-9)


# -- circuits ----------------------------------------------------------------------------------------------------


def test_a_circuit_of_ones_own_is_trained():
    circuit = kg.encodings.angle(4) + kg.ansatz.strongly_entangling(4, layers=2)
    model = kg.VariationalClassifier(circuit, random_state=0, **QUICK).fit(X_SMALL, Y_SMALL)
    assert model.circuit_ == circuit and model.weights_.shape == (circuit.num_weights,)
    assert model.score(X_SMALL, Y_SMALL) > 0.8


@pytest.mark.parametrize(
    "encoding", ["angle", "amplitude", "iqp", "zz_feature_map", "reuploading", "chebyshev"]
)
def test_encodings_and_ansatze_by_name(encoding):
    model = kg.VariationalClassifier(encoding=encoding, num_layers=1, random_state=0, max_steps=5, threads=1)
    assert model.fit(X_SMALL, Y_SMALL).predict(X).shape == Y.shape
    named = kg.VariationalClassifier(ansatz="real_amplitudes", random_state=0, max_steps=5, threads=1)
    assert named.fit(X_SMALL, Y_SMALL).circuit_.num_qubits == 4


@pytest.mark.parametrize("encoding", ["angle", "iqp", "zz_feature_map", "chebyshev", "amplitude"])
def test_kernel_machines_take_encodings_by_name(encoding):
    assert kg.KernelClassifier(encoding=encoding, threads=1).fit(X_SMALL, Y_SMALL).score(X, Y) > 0.5


@pytest.mark.parametrize("kernel", ["fidelity", "projected", kg.FidelityKernel(kg.encodings.iqp(4))])
def test_kernel_machines_take_kernels_by_name_or_value(kernel):
    model = kg.KernelClassifier(kernel=kernel, threads=1).fit(X_SMALL, Y_SMALL)
    assert model.score(X, Y) > 0.85
    again = kg.KernelClassifier(kernel=model.kernel_, threads=1).fit(X_SMALL, Y_SMALL)
    assert np.array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize("model", ESTIMATORS)
def test_entangle_false_removes_every_wide_gate_and_nothing_else(model):
    full = clone(model).fit(X_SMALL, Y_SMALL)
    twin = clone(model).set_params(entangle=False).fit(X_SMALL, Y_SMALL)
    narrow = [op for op in full.circuit_.ops if len(op.qubits) + len(op.controls) == 1]
    assert twin.circuit_.ops == tuple(narrow) != full.circuit_.ops
    assert twin.circuit_.num_weights == full.circuit_.num_weights
    assert twin.circuit_.num_qubits == full.circuit_.num_qubits
    assert twin.summary_.num_entangling_gates == 0 < full.summary_.num_entangling_gates


def test_the_twin_of_trained_entanglers_numbers_its_weights_anew():
    w, x = kg.w, kg.x
    circuit = kg.Circuit([kg.rx(w[0] * x[0], 0), kg.rzz(w[1] * x[1], 0, 1), kg.ry(w[2] + w[0], 1)])
    twin = designs.without_entanglers(circuit)
    assert twin.ops == (kg.rx(w[0] * x[0], 0), kg.ry(w[1] + w[0], 1)) and twin.num_qubits == 2
    model = kg.VariationalClassifier(circuit, entangle=False, **QUICK).fit(X_SMALL[:, :2], Y_SMALL)
    assert len(model.weights_) == 2


@pytest.mark.parametrize("features, qubits", [(1, 2), (3, 3), (4, 4), (9, 4), (40, 4)])
def test_every_feature_enters_the_default_circuits(features, qubits):
    for build in (designs.trainable_uploads, designs.phase_uploads):
        circuit = build(features, qubits)
        assert {j for kind, j in circuit.variables if kind == "x"} == set(range(features))
        assert circuit.num_qubits == qubits


def test_a_model_says_what_it_is_and_what_it_took():
    executor = Counting()
    model = kg.VariationalClassifier(executor=executor, random_state=0, max_steps=5).fit(X_SMALL, Y_SMALL)
    summary = model.summary_
    assert (summary.num_qubits, summary.num_weights, summary.num_rows) == (
        4,
        28,
        len(np.unique(X_SMALL, axis=0)),
    )
    assert summary.num_gates == len(model.circuit_.ops) == 28 and summary.num_entangling_gates == 12
    assert sum(executor.runs) == model.fit_.evaluations * summary.num_rows
    # the value, the forward pass of the gradient, and the backward pass counted twice
    assert summary.circuit_executions == 4 * sum(executor.runs)
    assert summary.device_executions == sum(executor.runs) * (1 + 2 * 16)  # two shifts per angle
    assert "circuit executions" in str(summary)


def test_kernel_machines_prepare_one_state_per_row():
    executor = Counting()
    model = kg.KernelClassifier(executor=executor).fit(X_SMALL, Y_SMALL)
    rows = len(np.unique(X_SMALL, axis=0))
    assert sum(executor.runs) == rows == model.summary_.circuit_executions
    assert model.summary_.device_executions == rows * (rows - 1) // 2
    model.predict(X[:7])
    assert sum(executor.runs) == rows + 7


# -- training ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [kg.Adam(0.1), kg.LBFGSB(), kg.SPSA(), kg.COBYLA()])
def test_every_optimiser_lowers_the_loss(optimizer):
    model = kg.VariationalClassifier(
        optimizer=optimizer, random_state=0, max_steps=30, num_layers=1, threads=1
    )
    history = model.fit(X_SMALL, Y_SMALL).fit_.history
    assert min(history) < history[0] and model.n_iter_ == model.fit_.steps


def test_minibatches_train_and_repeat_bit_by_bit():
    models = [
        kg.VariationalClassifier(batch_size=16, max_steps=150, random_state=4, threads=1).fit(X, Y)
        for _ in range(2)
    ]
    assert models[0].score(X, Y) > 0.85
    assert np.array_equal(models[0].weights_, models[1].weights_)


def test_ctrl_c_keeps_the_best_weights():
    def interrupt(step):
        if step.number == 4:
            raise KeyboardInterrupt

    for kind in (kg.VariationalClassifier, kg.VariationalRegressor):
        model = kind(verbose=interrupt, random_state=0, threads=1)
        with pytest.raises(KeyboardInterrupt, match=r"after 4 .* keeps the best weights") as caught:
            model.fit(X_SMALL, Y_SMALL)
        fit = getattr(caught.value, "fit")  # noqa: B009 - an attribute that the type does not have
        assert fit is model.fit_ and fit.interrupted and model.score(X_SMALL, Y_SMALL) > 0


def test_ctrl_c_passes_through_searches():
    """What a fit of scikit-learn's would do: a search that went on would take the remaining candidates."""
    begun = []

    def interrupt(step):
        begun.append(step.number == 0)
        if step.number == 2:
            raise KeyboardInterrupt

    model = kg.VariationalClassifier(verbose=interrupt, random_state=0, threads=1)
    for search in (
        lambda: GridSearchCV(model, {"num_layers": [1, 2]}, cv=2).fit(X_SMALL, Y_SMALL),
        lambda: cross_val_score(model, X_SMALL, Y_SMALL, cv=3),
        lambda: BaggingClassifier(model, n_estimators=3).fit(X_SMALL, Y_SMALL),
    ):
        begun.clear()
        with pytest.raises(KeyboardInterrupt):
            search()
        assert sum(begun) == 1


@pytest.mark.parametrize("seed", [0, 2**40, np.int64(7), np.random.SeedSequence(5)])
def test_P10_the_same_seed_gives_the_same_bits(seed):
    first, second = (
        kg.VariationalRegressor(random_state=seed, max_steps=5, threads=1).fit(X_SMALL, Y_SMALL)
        for _ in range(2)
    )
    assert np.array_equal(first.weights_, second.weights_)
    other = kg.VariationalRegressor(random_state=99, max_steps=5, threads=1).fit(X_SMALL, Y_SMALL)
    assert not np.array_equal(first.weights_, other.weights_)


def test_P11_the_global_generator_is_neither_read_nor_moved():
    weights = []
    for seed in (1, 2):
        np.random.seed(seed)
        before = np.random.get_state()[1].copy()
        weights.append(kg.VariationalClassifier(random_state=0, max_steps=3).fit(X_SMALL, Y_SMALL).weights_)
        kg.KernelClassifier().fit(X_SMALL, Y_SMALL)
        assert np.array_equal(before, np.random.get_state()[1])
    assert np.array_equal(*weights)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_P4_the_number_of_threads_does_not_change_a_bit(threads):
    one, more = (
        kg.VariationalClassifier(random_state=0, max_steps=10, threads=count).fit(X, Y).weights_
        for count in (1, threads)
    )
    assert np.array_equal(one, more)


# -- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ESTIMATORS)
def test_a_fitted_estimator_can_be_pickled_copied_and_cloned(model):
    fitted = clone(model).fit(X_SMALL, Y_SMALL)
    expected = fitted.predict(X)
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert np.array_equal(other.predict(X), expected)
    assert not hasattr(clone(fitted), "circuit_")
    assert clone(fitted).get_params() == fitted.get_params()


def test_grid_search_runs_in_two_processes():
    grid = {"num_layers": [1, 2], "entangle": [True, False]}
    model = kg.VariationalClassifier(random_state=0, max_steps=5, threads=1)
    search = GridSearchCV(model, grid, cv=2, n_jobs=2).fit(X_SMALL, Y_SMALL)
    assert len(search.cv_results_["params"]) == 4 and search.score(X, Y) > 0.5


@pytest.mark.parametrize("model", ESTIMATORS)
def test_P2_one_estimator_answers_eight_threads(model):
    fitted = clone(model).fit(X_SMALL, Y_SMALL)
    expected, wrong = fitted.predict(X), []

    def ask(offset):
        for _ in range(5):
            if not np.allclose(fitted.predict(X[offset:]), expected[offset:], atol=1e-12):
                wrong.append(offset)

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_eight_threads_fit_at_once_without_mixing():
    expected = [
        kg.VariationalClassifier(random_state=k, max_steps=5).fit(X_SMALL, Y_SMALL).weights_ for k in range(8)
    ]
    found = [np.empty(0)] * 8

    def fit(k):
        found[k] = kg.VariationalClassifier(random_state=k, max_steps=5).fit(X_SMALL, Y_SMALL).weights_

    threads = [threading.Thread(target=fit, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    "model, options, message",
    [
        (
            kg.VariationalClassifier,
            dict(loss="hing"),
            "`loss` must be 'cross_entropy', 'hinge' or a function",
        ),
        (kg.VariationalClassifier, dict(encoding="angel"), "Did you mean 'angle'"),
        (
            kg.VariationalClassifier,
            dict(circuit=kg.encodings.angle(3)),
            r"X has 4 feature\(s\), but the circuit reads 3",
        ),
        (
            kg.VariationalClassifier,
            dict(circuit=kg.encodings.angle(4), num_qubits=4),
            "`num_qubits` must be None",
        ),
        (kg.VariationalClassifier, dict(regularisation=-1), "`regularisation` must be a number >= 0"),
        (kg.VariationalClassifier, dict(batch_size=8, optimizer=kg.LBFGSB()), "same loss at every step"),
        (kg.VariationalClassifier, dict(optimizer="sgd"), "The names are 'adam', 'lbfgsb', 'spsa', 'cobyla'"),
        (kg.VariationalClassifier, dict(optimizer=kg.Adam), "must be an optimiser such as kg.Adam"),
        (kg.VariationalClassifier, dict(executor="sampled", optimizer=kg.LBFGSB()), "finite shots"),
        (kg.VariationalClassifier, dict(num_layers=0), "`num_layers` must be at least 1"),
        (kg.VariationalClassifier, dict(max_steps=0), "`max_steps` must be at least 1"),
        (kg.VariationalClassifier, dict(entangle="no"), "`entangle` must be True or False"),
        (kg.VariationalClassifier, dict(encoding="amplitude", entangle=False), "state preparation"),
        (kg.VariationalClassifier, dict(scaling="minmax"), "There is no scaling 'minmax'"),
        (kg.VariationalClassifier, dict(random_state=-1), "must not be negative"),
        (kg.VariationalClassifier, dict(class_weight={"none": 2}), "`class_weight` cannot be used"),
        (kg.KernelClassifier, dict(kernel="rbf"), "`kernel` must be 'fidelity', 'projected'"),
        (kg.KernelClassifier, dict(bandwidth=0), "`bandwidth` must be a positive number"),
        (
            kg.KernelClassifier,
            dict(gamma="auto", kernel="projected"),
            "`gamma` must be 'scale' or a positive number",
        ),
        (kg.KernelClassifier, dict(C=-1), "'C' parameter of SVC"),
        (kg.KernelClassifier, dict(encoding="reuploading"), "`encoding` 'reuploading' has .* trains none"),
    ],
)
def test_parameters_out_of_range_are_refused_when_fitting(model, options, message):
    with pytest.raises(errors.KetgradError, match=message):
        model(**options).fit(X_SMALL, Y_SMALL)
