"""The scores of a prediction: one table, one function each; a score that does not exist is None, never NaN."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ketgrad.foundation.errors import KetgradValueError, near_matches
from ketgrad.referee.results import Metric


@dataclass(frozen=True)
class Prediction:
    """What a model said about the test rows.

    labels: (n,) class codes, or values for regression. scores: (n, classes), any increasing measure of
    belief, or None. probabilities: (n, classes) with rows that sum to 1, or None.
    """

    labels: np.ndarray
    scores: np.ndarray | None = None
    probabilities: np.ndarray | None = None


METRICS = {
    "classification": (
        Metric("accuracy", "accuracy", True, "points", "share of the rows that are predicted right"),
        Metric("balanced_accuracy", "balanced accuracy", True, "points", "accuracy per class, then averaged"),
        Metric(
            "roc_auc", "ROC AUC", True, "points", "chance that a row of the class ranks above one outside it"
        ),
        Metric("log_loss", "log loss", False, "", "surprise at the true classes; punishes false certainty"),
        Metric("brier", "Brier score", False, "", "squared distance of the probabilities from the truth"),
        Metric(
            "ece", "calibration error", False, "", "gap between stated confidence and accuracy, in 15 bins"
        ),
    ),
    "regression": (
        Metric("r2", "R²", True, "", "share of the variance explained; 0 is the mean, 1 is perfect"),
        Metric("rmse", "RMSE", False, "", "root of the mean squared error, in units of the target"),
        Metric("mae", "MAE", False, "", "mean absolute error, in units of the target"),
    ),
}
DECIDING = {
    "classification": ("accuracy", "balanced_accuracy", "roc_auc"),
    "regression": ("r2", "rmse", "mae"),
}


def metrics_of(task: str, deciding: str | None = None) -> tuple[Metric, ...]:
    """The metrics of a task, the deciding one first; None chooses accuracy or R².

    >>> [metric.name for metric in metrics_of("regression", "rmse")]
    ['rmse', 'r2', 'mae']
    """
    table = METRICS[task]
    if deciding is None:
        return table
    if deciding not in DECIDING[task]:
        offer = near_matches(str(deciding), DECIDING[task])
        raise KetgradValueError(f"{deciding!r} cannot decide a {task}. {offer}")
    return tuple(sorted(table, key=lambda metric: metric.name != deciding))


def score(task: str, truth: np.ndarray, prediction: Prediction, num_classes: int) -> dict[str, float | None]:
    """Every metric of the task, in the order of `METRICS`."""
    if task == "regression":
        return _regression_scores(truth, prediction.labels)
    hit = prediction.labels == truth
    present = [code for code in range(num_classes) if (truth == code).any()]
    belief = prediction.scores if prediction.scores is not None else prediction.probabilities
    return {
        "accuracy": float(hit.mean()),
        "balanced_accuracy": float(np.mean([hit[truth == code].mean() for code in present])),
        "roc_auc": None if belief is None else _roc_auc(truth, belief, present),
        **_probability_scores(truth, prediction.probabilities),
    }


def _regression_scores(truth: np.ndarray, values: np.ndarray) -> dict[str, float | None]:
    error = values - truth
    spread = float(((truth - truth.mean()) ** 2).sum())
    return {
        "r2": None if spread == 0 else 1 - float((error**2).sum()) / spread,
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(np.abs(error).mean()),
    }


def _roc_auc(truth: np.ndarray, belief: np.ndarray, present: list[int]) -> float | None:
    """One class against the rest, averaged over the classes; for two classes the usual area."""
    from sklearn.metrics import roc_auc_score

    areas = [roc_auc_score(truth == code, belief[:, code]) for code in present if (truth != code).any()]
    return float(np.mean(areas)) if areas else None


def _probability_scores(truth: np.ndarray, probabilities: np.ndarray | None) -> dict[str, float | None]:
    if probabilities is None:
        return {"log_loss": None, "brier": None, "ece": None}
    rows = np.arange(len(truth))
    hot = np.zeros_like(probabilities)
    hot[rows, truth] = 1
    brier = ((probabilities - hot) ** 2).sum(axis=1).mean()
    if probabilities.shape[1] == 2:
        brier /= 2  # with two classes both columns say the same
    confidence = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * 15).astype(int), 14)
    gap = np.bincount(bins, weights=hit - confidence, minlength=15)
    return {
        "log_loss": float(-np.log(np.maximum(probabilities[rows, truth], 1e-15)).mean()),
        "brier": float(brier),
        "ece": float(np.abs(gap).sum() / len(truth)),
    }
