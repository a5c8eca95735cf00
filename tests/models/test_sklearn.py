"""At home in scikit-learn: pipelines, searches, routing, frames and parallel workers treat our models like theirs."""

import numpy as np
import pandas as pd
import pytest
import sklearn.exceptions
from estimators import classifiers_with, regressors_with
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - importing it is the switch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_validate
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC

import ketgrad as kg
from ketgrad import w, x

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(40, 3))
Y = np.where(X[:, 0] * X[:, 1] + 0.3 * X[:, 2] > 0, "up", "down")
QUICK = {"max_steps": 4, "random_state": 0}

CLASSIFIERS, REGRESSORS = classifiers_with(**QUICK), regressors_with(**QUICK)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_pipeline_of_frames_with_text_columns_fits_and_scores(name):
    frame = pd.DataFrame(X[:, :2], columns=["width", "height"]).assign(
        colour=np.where(X[:, 2] > 0, "red", "blue")
    )
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), make_column_selector(dtype_include=np.number)),
         ("words", OneHotEncoder(sparse_output=False), ["colour"])]
    ).set_output(transform="pandas")  # fmt: skip
    model = make_pipeline(columns, clone(CLASSIFIERS[name])).fit(frame, Y)
    names = ["numbers__width", "numbers__height", "words__colour_blue", "words__colour_red"]
    assert list(model[-1].feature_names_in_) == names
    assert model.predict(frame.iloc[:3]).shape == (3,)
    with pytest.raises(ValueError, match="feature names"):
        model[-1].predict(pd.DataFrame(np.zeros((1, 4)), columns=names[::-1]))


def test_a_search_reaches_into_the_circuit():
    layer = kg.Circuit([kg.rx(w[0] * x[0], 0), kg.ry(w[1] * x[1], 1), kg.rz(x[2], 0), kg.crx(w[2], 0, 1)])
    grid = [
        {
            "model__circuit": [layer, layer * 2],
            "model__observables": [None, [kg.Pauli("Z0"), kg.Pauli("X1")]],
        },
        {
            "model__encoding": ["angle", "iqp"],
            "model__ansatz": ["real_amplitudes"],
            "model__num_layers": [1, 2],
        },
        {"model__num_qubits": [2, 3], "model__optimizer": [kg.Adam(0.1), kg.LBFGSB()]},
    ]
    steps = Pipeline([("scale", StandardScaler()), ("model", kg.VariationalClassifier(**QUICK))])
    search = GridSearchCV(steps, grid, cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 12
    assert search.predict(X).shape == (40,)


@pytest.mark.parametrize("models", [CLASSIFIERS, REGRESSORS], ids=["classifiers", "regressors"])
def test_clone_copies_every_parameter_and_nothing_learned(models):
    for model in models.values():
        changed = clone(model).set_params(num_layers=2, entangle=False)
        copy = clone(changed)
        assert copy.get_params() == changed.get_params()
        assert not [name for name in vars(copy) if name.endswith("_")]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_sample_weights_are_routed_through_pipelines_and_searches(name, routing):
    counted = np.arange(40) % 3 > 0
    weights = counted.astype(float)
    steps = make_pipeline(StandardScaler(), clone(CLASSIFIERS[name]).set_fit_request(sample_weight=True))
    steps[0].set_fit_request(sample_weight=False)
    steps[1].set_score_request(sample_weight=True)
    routed = steps.fit(X, Y, sample_weight=weights).decision_function(X)
    alone = clone(CLASSIFIERS[name]).fit(steps[0].transform(X)[counted], Y[counted])
    np.testing.assert_allclose(routed, alone.decision_function(steps[0].transform(X)), atol=1e-9)

    scores = cross_validate(steps, X, Y, cv=2, params={"sample_weight": weights}, error_score="raise")
    assert np.isfinite(scores["test_score"]).all()
    search = GridSearchCV(steps, {f"{steps.steps[1][0]}__num_layers": [1, 2]}, cv=2, error_score="raise")
    assert np.isfinite(search.fit(X, Y, sample_weight=weights).best_score_)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_weights_that_nobody_asked_for_are_refused_by_name(name, routing):
    steps = make_pipeline(StandardScaler(), clone(CLASSIFIERS[name]))
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
        steps.fit(X, Y, sample_weight=np.ones(40))


def predictions(model, rows, labels):
    return clone(model).fit(rows, labels).predict(rows)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_workers_of_joblib_give_what_one_process_gives(name, backend):
    wanted = predictions(CLASSIFIERS[name], X, Y)
    results = Parallel(n_jobs=2, backend=backend)(
        delayed(predictions)(CLASSIFIERS[name], X, Y) for _ in range(3)
    )
    for result in results:
        np.testing.assert_array_equal(result, wanted)


MEETINGS = {
    "calibration": lambda model: CalibratedClassifierCV(model, cv=2),
    "bagging": lambda model: BaggingClassifier(model, n_estimators=3, random_state=0),
    "voting": lambda model: VotingClassifier([("quantum", model), ("line", LogisticRegression())]),
    "stacking": lambda model: StackingClassifier([("quantum", model), ("line", LogisticRegression())], cv=2),
    "union": lambda model: make_pipeline(
        FeatureUnion([("scaled", StandardScaler()), ("squares", PolynomialFeatures(2))]), model
    ),
}


@pytest.mark.filterwarnings(
    "ignore:.*constant and tell nothing"
)  # the column of ones that PolynomialFeatures adds
@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("meeting", MEETINGS)
def test_models_meet_those_of_scikit_learn(name, meeting):
    model = MEETINGS[meeting](clone(CLASSIFIERS[name])).fit(X, Y)
    assert set(model.predict(X)) <= {"up", "down"}


def test_halving_search_and_several_targets_work():
    grid = {"C": [0.1, 1.0, 10.0]}
    search = HalvingGridSearchCV(kg.KernelClassifier(), grid, cv=2, factor=3, random_state=0).fit(X, Y)
    assert search.best_params_["C"] in grid["C"]
    both = np.column_stack([Y == "up", X[:, 0] > 0]).astype(int)
    several = MultiOutputClassifier(kg.VariationalClassifier(**QUICK)).fit(X, both)
    assert several.predict(X).shape == (40, 2)
    logs = TransformedTargetRegressor(kg.KernelRegressor(), func=np.log1p, inverse_func=np.expm1)
    assert logs.fit(X, X[:, 0] ** 2).predict(X).min() > -1.0


def test_a_kernel_is_a_callable_for_their_machines():
    rows, labels = load_iris(return_X_y=True)
    rows = StandardScaler().fit_transform(rows)[:, :2]
    kernel = kg.FidelityKernel(kg.encodings.angle(2))
    theirs = make_pipeline(SVC(kernel=kernel)).fit(rows, labels)
    assert theirs.score(rows, labels) > 0.7


def test_labels_and_columns_of_frames_come_back():
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=[f"row {k}" for k in range(40)])
    model = kg.VariationalClassifier(**QUICK).fit(frame, pd.Series(Y, index=frame.index, dtype="category"))
    assert list(model.classes_) == ["down", "up"] and list(model.feature_names_in_) == ["a", "b", "c"]
