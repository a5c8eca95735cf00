"""The scores of a prediction are those of scikit-learn; a score that does not exist is None."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn import metrics as peer

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.seeds import stream
from ketgrad.referee.metrics import DECIDING, METRICS, Prediction, metrics_of, score


def beliefs(num_classes: int, n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Classes, and probabilities that know something about them."""
    rng = stream(num_classes)
    truth = np.arange(n) % num_classes
    weights = rng.gamma(0.5, size=(n, num_classes)) + 0.6 * np.eye(num_classes)[truth] + 1e-3
    return truth, weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_classifications_are_scored_as_scikit_learn_does(num_classes):
    truth, probabilities = beliefs(num_classes)
    labels = probabilities.argmax(axis=1)
    found = score("classification", truth, Prediction(labels, None, probabilities), num_classes)
    hot = np.eye(num_classes)[truth]
    brier = [peer.brier_score_loss(hot[:, code], probabilities[:, code]) for code in range(num_classes)]
    areas = [peer.roc_auc_score(hot[:, code], probabilities[:, code]) for code in range(num_classes)]
    assert found == {
        "accuracy": pytest.approx(peer.accuracy_score(truth, labels)),
        "balanced_accuracy": pytest.approx(peer.balanced_accuracy_score(truth, labels)),
        "roc_auc": pytest.approx(np.mean(areas)),
        "log_loss": pytest.approx(peer.log_loss(truth, probabilities)),
        "brier": pytest.approx(brier[1] if num_classes == 2 else sum(brier)),
        "ece": pytest.approx(calibration_error(truth, probabilities)),
    }
    assert list(found) == [metric.name for metric in METRICS["classification"]]


def calibration_error(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Fifteen equal bins of confidence, each closed below: the gap of each, weighted by its share of the rows."""
    confidence, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    total = 0.0
    for place in range(15):
        chosen = (confidence >= place / 15) & ((confidence < (place + 1) / 15) | (place == 14))
        if chosen.any():
            total += chosen.mean() * abs(hit[chosen].mean() - confidence[chosen].mean())
    return total


def test_certainty_belongs_to_the_last_bin_and_a_class_held_impossible_costs_a_finite_number():
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [0.95, 0.05], [0.4, 0.6], [0.9, 0.1]])
    truth = np.array([0, 1, 0, 1, 0])
    found = score("classification", truth, Prediction(truth, None, probabilities), 2)
    assert found["ece"] == pytest.approx((abs(2 - 2.95) + 0.4 + 0.1) / 5)
    assert found["log_loss"] == pytest.approx(-np.mean(np.log([1, 1e-15, 0.95, 0.6, 0.9])))


def test_scores_decide_the_area_before_probabilities_do():
    truth = np.array([0, 0, 1, 1])
    ranked = np.array([[0, 0.1], [0, 0.2], [0, 0.3], [0, 0.4]])
    flat = np.full((4, 2), 0.5)
    for scores, probabilities, area in ((ranked, flat, 0.75), (None, flat, 0.5), (None, None, None)):
        found = score("classification", truth, Prediction(truth, scores, probabilities), 2)
        assert found["roc_auc"] == area
        assert (found["log_loss"] is None) == (found["brier"] is None) == (probabilities is None)
        assert (found["ece"] is None) == (probabilities is None)


def test_classes_that_the_test_rows_lack_count_for_nothing():
    truth, probabilities = np.array([0, 0, 2, 2]), np.tile([0.5, 0.3, 0.2], (4, 1))
    probabilities[3] = [0.1, 0.1, 0.8]
    found = score("classification", truth, Prediction(np.array([0, 1, 2, 2]), None, probabilities), 3)
    assert found["balanced_accuracy"] == pytest.approx(0.75)
    assert found["roc_auc"] == pytest.approx(0.75)
    single = score(
        "classification", np.array([1, 1]), Prediction(np.array([1, 0]), None, probabilities[:2]), 3
    )
    assert (single["accuracy"], single["balanced_accuracy"], single["roc_auc"]) == (0.5, 0.5, None)


def test_regressions_are_scored_as_scikit_learn_does():
    truth = stream(1).normal(3, 2, 40)
    values = truth + stream(2).normal(0.3, 1, 40)
    found = score("regression", truth, Prediction(values), 0)
    assert found == {
        "r2": pytest.approx(peer.r2_score(truth, values)),
        "rmse": pytest.approx(peer.root_mean_squared_error(truth, values)),
        "mae": pytest.approx(peer.mean_absolute_error(truth, values)),
    }
    assert list(found) == [metric.name for metric in METRICS["regression"]]
    assert score("regression", np.ones(3), Prediction(np.zeros(3)), 0) == {
        "r2": None,
        "rmse": 1.0,
        "mae": 1.0,
    }


def test_the_deciding_metric_comes_first_and_only_some_may_decide():
    for task, metrics in METRICS.items():
        names = [metric.name for metric in metrics]
        assert [metric.name for metric in metrics_of(task)] == names and names[0] == DECIDING[task][0]
        for deciding in DECIDING[task]:
            chosen = [metric.name for metric in metrics_of(task, deciding)]
            assert chosen == [deciding, *(name for name in names if name != deciding)]
        for name in set(names) - set(DECIDING[task]) | {"accuracies"}:
            with pytest.raises(KetgradValueError, match=f"'{name}' cannot decide a {task}"):
                metrics_of(task, name)
    with pytest.raises(KetgradValueError, match="Did you mean 'accuracy'"):
        metrics_of("classification", "acuracy")


def test_every_metric_knows_which_side_is_better():
    truth = np.array([0, 1] * 10)
    good, bad = np.where(truth == 1, 0.9, 0.1), np.where(truth == 1, 0.2, 0.8)
    both = [np.column_stack([1 - column, column]) for column in (good, bad)]
    answers = [
        {"classification": Prediction(each.argmax(axis=1), each, each), "regression": Prediction(each[:, 1])}
        for each in both
    ]
    for task, metric in itertools.chain(*([(task, item) for item in METRICS[task]] for task in METRICS)):
        better, worse = (score(task, truth, answer[task], 2)[metric.name] for answer in answers)
        assert better is not None and worse is not None
        assert (better > worse) == metric.higher_is_better, metric.name
        assert metric.unit == ("points" if metric.name in DECIDING["classification"] else "")
