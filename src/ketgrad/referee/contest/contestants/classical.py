"""The classical contestants: one row each, with the settings that its tuning may choose from, the default first.

Every contestant, quantum or not, gets the same number of settings. They are written out rather than drawn, so
that a reader sees what was tried. `build` takes the settings and the facts of the training part (`Facts`) and
returns an unfitted scikit-learn estimator; inputs are scaled columns (`preparation`).
"""

from __future__ import annotations

from typing import Any

from ketgrad.referee.contest.contestants.contestant import (
    Contestant,
    Facts,
    Settings,
    reduced,
    without_reduction,
)


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
    return reduced(
        kind(100, random_state=facts.random_state, n_jobs=1, **without_reduction(settings)), settings, facts
    )


def boosting(settings: Settings, facts: Facts) -> Any:
    """Gradient-boosted trees on histograms."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if facts.task == "regression" else HistGradientBoostingClassifier
    estimator = kind(random_state=facts.random_state, early_stopping=False, **without_reduction(settings))
    return reduced(estimator, settings, facts)


def mlp(settings: Settings, facts: Facts) -> Any:
    """A neural network with one or two hidden layers, trained by Adam."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    common = {"max_iter": 300, "random_state": facts.random_state, **without_reduction(settings)}
    if facts.task == "regression":
        network = TransformedTargetRegressor(MLPRegressor(**common), transformer=StandardScaler())
    else:
        network = MLPClassifier(**common)
    return reduced(network, settings, facts)


CLASSICAL = (
    Contestant(
        name="dummy",
        titles=("Always the most frequent class", "Always the mean"),
        family="dummy",
        description="Looks at no column. What it scores can be had for nothing.",
        source="scikit-learn DummyClassifier, DummyRegressor",
        settings=({},),
        build=dummy,
        effort=0.01,
    ),
    Contestant(
        name="linear",
        titles=("Logistic regression", "Ridge regression"),
        family="classical",
        description="A weighted sum of the columns. Fast, and hard to beat on small tables.",
        source="scikit-learn LogisticRegression, Ridge",
        settings=(
            {"C": 1.0},
            {"C": 0.1},
            {"C": 0.01},
            {"C": 1.0, "reduce": "pca"},
            {"C": 10.0},
            {"C": 0.001},
        ),
        build=linear,
        effort=0.1,
    ),
    Contestant(
        name="svm",
        titles=("Support vector machine", "Support vector regression"),
        family="classical",
        description="Compares rows by their distance (Gaussian kernel).",
        source="scikit-learn SVC, SVR",
        settings=(
            {"C": 1.0, "gamma": 1.0},
            {"C": 10.0, "gamma": 0.3},
            {"C": 1.0, "gamma": 0.3},
            {"C": 10.0, "gamma": 0.3, "reduce": "pca"},
            {"C": 10.0, "gamma": 1.0},
            {"C": 100.0, "gamma": 0.1},
        ),
        build=svm,
        effort=0.2,
    ),
    Contestant(
        name="forest",
        titles=("Random forest", "Random forest"),
        family="classical",
        description="One hundred decision trees, each on a random part of rows and columns, that vote.",
        source="Breiman 2001, doi:10.1023/A:1010933404324; scikit-learn RandomForest",
        settings=(
            {},
            {"min_samples_leaf": 3},
            {"max_features": 0.5, "min_samples_leaf": 5},
            {"max_features": 0.5},
            {"max_features": 0.2, "min_samples_leaf": 2},
            {"max_features": 1.0},
        ),
        build=forest,
        effort=1.5,
    ),
    Contestant(
        name="boosting",
        titles=("Gradient boosting", "Gradient boosting"),
        family="classical",
        description="Small decision trees, each correcting those before it. Often the best on tables.",
        source="Ke et al. 2017 (LightGBM); scikit-learn HistGradientBoosting",
        settings=(
            {},
            {"learning_rate": 0.05, "max_leaf_nodes": 8},
            {"learning_rate": 0.1, "max_leaf_nodes": 4, "min_samples_leaf": 10},
            {"learning_rate": 0.05, "l2_regularization": 10.0},
            {"learning_rate": 0.2, "max_iter": 50, "max_leaf_nodes": 8},
            {"learning_rate": 0.03, "max_leaf_nodes": 16, "min_samples_leaf": 5},
        ),
        build=boosting,
        effort=2.0,
    ),
    Contestant(
        name="mlp",
        titles=("Neural network", "Neural network"),
        family="classical",
        description="Layers of weighted sums with a bend between them, trained by gradients like the quantum circuit.",
        source="scikit-learn MLPClassifier, MLPRegressor",
        settings=(
            {"hidden_layer_sizes": (100,)},
            {"hidden_layer_sizes": (32,), "alpha": 1.0},
            {"hidden_layer_sizes": (32,), "alpha": 10.0},
            {"hidden_layer_sizes": (50, 50), "alpha": 0.1},
            {"hidden_layer_sizes": (100,), "alpha": 1.0},
            {"hidden_layer_sizes": (32,), "alpha": 0.01, "learning_rate_init": 0.01},
        ),
        build=mlp,
        effort=3.0,
    ),
)
