"""What a contestant is: one row of the table of models, and the facts that it is built from."""

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


def without_reduction(settings: Settings) -> Settings:
    """The settings of the estimator itself."""
    return {key: value for key, value in settings.items() if key != "reduce"}
