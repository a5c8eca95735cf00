"""The classical contestants: one row each, with the settings that its tuning may choose from, the default first.

Every contestant, quantum or not, gets the same number of settings. They are written out rather than drawn, so
that a reader sees what was tried. `build` takes the settings and the facts of the training part (`Facts`) and
returns an unfitted scikit-learn estimator; inputs are scaled columns (`preparation`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Settings = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What a contestant may know before it is built.

    task: "classification" or "regression". num_features, num_rows: of the training part. random_state: from
    the comparison's seed, the split and the contestant (a twin gets the one of its quantum model).
    """

    task: str
    num_classes: int
    num_features: int
    num_rows: int
    qubits: int
    random_state: int


@dataclass(frozen=True)
class Contestant:
    """One row of the table of models.

    titles, classes of both tasks: (classification, regression). settings: what tuning chooses from, default
    first. memory: bytes that one fit needs beyond the data, from (training rows, test rows, qubits), for the
    preflight. effort: rough cost beside the others, to start the long ones first and to estimate the time
    left.
    """

    name: str
    titles: tuple[str, str]
    family: str
    description: str
    source: str
    settings: tuple[Settings, ...]
    build: Callable[[Settings, Facts], Any]
    twin_of: str | None = None
    memory: Callable[[int, int, int], int] = lambda n_train, n_test, qubits: 0
    effort: float = 1.0

    def title(self, task: str) -> str:
        """The title for a task."""
        return self.titles[task == "regression"]


def reduced(estimator: Any, settings: Settings, facts: Facts) -> Any:
    """The estimator behind the reduction of features that `settings["reduce"]` names: "pca", "select" or none.

    "pca": the principal components, as many as qubits. "select": the columns with the largest F statistic.
    """
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectKBest, f_classif, f_regression
    from sklearn.pipeline import make_pipeline

    width = min(facts.qubits, facts.num_features, facts.num_rows - 1)
    if settings.get("reduce") == "pca":
        return make_pipeline(PCA(width, random_state=facts.random_state), estimator)
    if settings.get("reduce") == "select":
        statistic = f_classif if facts.task == "classification" else f_regression
        return make_pipeline(SelectKBest(statistic, k=min(facts.qubits, facts.num_features)), estimator)
    return estimator


def _own(settings: Settings) -> Settings:
    return {key: value for key, value in settings.items() if key != "reduce"}


def dummy(settings: Settings, facts: Facts) -> Any:
    """Always the most frequent class, or the mean."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyRegressor() if facts.task == "regression" else DummyClassifier()


def linear(settings: Settings, facts: Facts) -> Any:
    """Logistic regression with strength C; ridge regression with alpha = 1/C."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if facts.task == "regression":
        return reduced(Ridge(alpha=1 / settings["C"]), settings, facts)
    return reduced(LogisticRegression(C=settings["C"], max_iter=2000), settings, facts)


def svm(settings: Settings, facts: Facts) -> Any:
    """Support vector machine with a Gaussian kernel; gamma in units of 1 / number of columns."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, SVR

    width = min(facts.qubits, facts.num_features) if "reduce" in settings else facts.num_features
    own = {"C": settings["C"], "gamma": settings["gamma"] / max(1, width), "cache_size": 100}
    if facts.task == "regression":
        # epsilon and C are in units of the target
        machine = TransformedTargetRegressor(SVR(**own), transformer=StandardScaler())
    else:
        machine = SVC(**own, random_state=facts.random_state)
    return reduced(machine, settings, facts)


def forest(settings: Settings, facts: Facts) -> Any:
    """Random forest of 100 trees."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestRegressor if facts.task == "regression" else RandomForestClassifier
    return reduced(kind(100, random_state=facts.random_state, n_jobs=1, **_own(settings)), settings, facts)


def boosting(settings: Settings, facts: Facts) -> Any:
    """Gradient-boosted trees on histograms."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if facts.task == "regression" else HistGradientBoostingClassifier
    estimator = kind(random_state=facts.random_state, early_stopping=False, **_own(settings))
    return reduced(estimator, settings, facts)


def mlp(settings: Settings, facts: Facts) -> Any:
    """A neural network with one or two hidden layers, trained by Adam."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    common = {"max_iter": 300, "random_state": facts.random_state, **_own(settings)}
    if facts.task == "regression":
        network = TransformedTargetRegressor(MLPRegressor(**common), transformer=StandardScaler())
    else:
        network = MLPClassifier(**common)
    return reduced(network, settings, facts)


CLASSICAL = (
    Contestant(
        "dummy",
        ("Always the most frequent class", "Always the mean"),
        "dummy",
        "Looks at no column. What it scores can be had for nothing.",
        "scikit-learn DummyClassifier, DummyRegressor",
        ({},),
        dummy,
        effort=0.01,
    ),
    Contestant(
        "linear",
        ("Logistic regression", "Ridge regression"),
        "classical",
        "A weighted sum of the columns. Fast, and hard to beat on small tables.",
        "scikit-learn LogisticRegression, Ridge",
        ({"C": 1.0}, {"C": 0.1}, {"C": 0.01}, {"C": 1.0, "reduce": "pca"}, {"C": 10.0}, {"C": 0.001}),
        linear,
        effort=0.1,
    ),
    Contestant(
        "svm",
        ("Support vector machine", "Support vector regression"),
        "classical",
        "Compares rows by their distance (Gaussian kernel).",
        "scikit-learn SVC, SVR",
        (
            {"C": 1.0, "gamma": 1.0},
            {"C": 10.0, "gamma": 0.3},
            {"C": 1.0, "gamma": 0.3},
            {"C": 10.0, "gamma": 0.3, "reduce": "pca"},
            {"C": 10.0, "gamma": 1.0},
            {"C": 100.0, "gamma": 0.1},
        ),
        svm,
        effort=0.2,
    ),
    Contestant(
        "forest",
        ("Random forest", "Random forest"),
        "classical",
        "One hundred decision trees, each on a random part of rows and columns, that vote.",
        "Breiman 2001, doi:10.1023/A:1010933404324; scikit-learn RandomForest",
        (
            {},
            {"min_samples_leaf": 3},
            {"max_features": 0.5, "min_samples_leaf": 5},
            {"max_features": 0.5},
            {"max_features": 0.2, "min_samples_leaf": 2},
            {"max_features": 1.0},
        ),
        forest,
        effort=1.5,
    ),
    Contestant(
        "boosting",
        ("Gradient boosting", "Gradient boosting"),
        "classical",
        "Small decision trees, each correcting those before it. Often the best on tables.",
        "Ke et al. 2017 (LightGBM); scikit-learn HistGradientBoosting",
        (
            {},
            {"learning_rate": 0.05, "max_leaf_nodes": 8},
            {"learning_rate": 0.1, "max_leaf_nodes": 4, "min_samples_leaf": 10},
            {"learning_rate": 0.05, "l2_regularization": 10.0},
            {"learning_rate": 0.2, "max_iter": 50, "max_leaf_nodes": 8},
            {"learning_rate": 0.03, "max_leaf_nodes": 16, "min_samples_leaf": 5},
        ),
        boosting,
        effort=2.0,
    ),
    Contestant(
        "mlp",
        ("Neural network", "Neural network"),
        "classical",
        "Layers of weighted sums with a bend between them, trained by gradients like the quantum circuit.",
        "scikit-learn MLPClassifier, MLPRegressor",
        (
            {"hidden_layer_sizes": (100,)},
            {"hidden_layer_sizes": (32,), "alpha": 1.0},
            {"hidden_layer_sizes": (32,), "alpha": 10.0},
            {"hidden_layer_sizes": (50, 50), "alpha": 0.1},
            {"hidden_layer_sizes": (100,), "alpha": 1.0},
            {"hidden_layer_sizes": (32,), "alpha": 0.01, "learning_rate_init": 0.01},
        ),
        mlp,
        effort=3.0,
    ),
)
