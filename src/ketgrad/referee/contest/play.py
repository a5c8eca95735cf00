"""One contestant on one split: tuned inside the training rows, fitted once, scored on the test rows."""

from __future__ import annotations

import math
import time
import warnings
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.seeds import stream
from ketgrad.referee.contest.contestants.contestant import Contestant, Facts, Settings
from ketgrad.referee.metrics import Prediction, score
from ketgrad.referee.results import Metric, SplitScore
from ketgrad.referee.table.preparation import Part, Prepared


@dataclass(frozen=True)
class ContestRules:
    """What is the same for every contestant. candidates: settings that each may try."""

    task: str
    num_classes: int
    metric: Metric
    qubits: int
    candidates: int
    seed: int


@dataclass(frozen=True)
class ModelSize:
    """What a fitted model says about its size: None where a model has no such thing."""

    parameters: int | None = None
    qubits: int | None = None
    gates: int | None = None
    two_qubit_gates: int | None = None
    depth: int | None = None
    circuit_executions: int | None = None


@dataclass(frozen=True)
class ScoredFit:
    """One fit on one part: scores by metric, rows predicted right (classification), size, times.

    failure: None, or why the scores are those of the dummy.
    """

    scores: dict[str, float | None]
    correct: int | None
    size: ModelSize
    fit_seconds: float
    predict_seconds: float
    failure: str | None = None


@dataclass(frozen=True)
class Outcome:
    """One finished piece of work. died: it failed because its process was ended, so another try may succeed."""

    model: str
    score: SplitScore
    size: ModelSize
    died: bool = False


def play(contestant: Contestant, prepared: Prepared, rules: ContestRules) -> Outcome:
    """Tune, fit and score one contestant on one split, on one thread.

    Tuning fits each of the first `rules.candidates` settings on every inner training part and keeps the one
    with the best mean score on the inner test parts (the first of equals). A model that raises, or answers
    with anything but finite numbers of the right shape, gets the scores of the dummy, and the reason is kept.
    """
    from threadpoolctl import threadpool_limits

    facts = _facts(contestant, prepared, rules)
    with threadpool_limits(limits=1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # a trainer that keeps what it has when Ctrl-C is pressed says so in a warning; the contest must stop then
        warnings.filterwarnings("error", message="Training (was )?interrupted")
        started = time.perf_counter()
        settings, candidate_scores = _tune(contestant, prepared, rules, facts)
        tuned = time.perf_counter()
        caught.clear()
        result = _fit_and_score(contestant, settings, prepared.outer, rules, facts)
    notes = dict.fromkeys(f"{entry.category.__name__}: {_first_line(entry.message)}" for entry in caught)
    found = _failed(prepared.outer, rules, result) if isinstance(result, str) else result
    item = SplitScore(
        split=prepared.split.index,
        scores=found.scores,
        correct=found.correct,
        chosen={key: str(value) for key, value in settings.items()},
        tune_seconds=tuned - started,
        fit_seconds=found.fit_seconds,
        predict_seconds=found.predict_seconds,
        failure=found.failure,
        failed_candidates=sum(value is None for value in candidate_scores),
        notes=tuple(notes)[:3],
        candidate_scores=candidate_scores,
    )
    return Outcome(contestant.name, item, found.size)


def lost(contestant: Contestant, prepared: Prepared, rules: ContestRules, reason: str) -> Outcome:
    """The outcome of a fit whose process died: the scores of the dummy, and the reason."""
    found = _failed(prepared.outer, rules, reason)
    item = SplitScore(
        split=prepared.split.index,
        scores=found.scores,
        correct=found.correct,
        chosen={},
        tune_seconds=0.0,
        fit_seconds=0.0,
        predict_seconds=0.0,
        failure=reason,
    )
    return Outcome(contestant.name, item, found.size, died=True)


def _facts(contestant: Contestant, prepared: Prepared, rules: ContestRules) -> Facts:
    # a twin shares the random numbers of its quantum model: the pair differs in the entanglers alone
    name = contestant.twin_of or contestant.name
    draw = stream(rules.seed, 2, prepared.split.index, zlib.crc32(name.encode()))
    return Facts(
        task=rules.task,
        num_classes=rules.num_classes,
        num_features=0,
        num_rows=0,
        qubits=rules.qubits,
        random_state=int(draw.integers(2**31)),
    )


def _tune(
    contestant: Contestant, prepared: Prepared, rules: ContestRules, facts: Facts
) -> tuple[Settings, tuple[float | None, ...]]:
    """The best settings (the default if there is no choice or all fail), and the inner score of each one."""
    candidates = contestant.settings[: rules.candidates]
    if len(candidates) == 1 or not prepared.inner:
        return candidates[0], ()
    scores = tuple(_inner_score(contestant, settings, prepared, rules, facts) for settings in candidates)
    sign = 1.0 if rules.metric.higher_is_better else -1.0
    worth = [-math.inf if value is None else sign * value for value in scores]
    return candidates[worth.index(max(worth))], scores


def _inner_score(
    contestant: Contestant, settings: Settings, prepared: Prepared, rules: ContestRules, facts: Facts
) -> float | None:
    """Mean score over the inner parts; None if the model failed on one, or has no such score."""
    values = []
    for part in prepared.inner:
        result = _fit_and_score(contestant, settings, part, rules, facts)
        value = None if isinstance(result, str) else result.scores[rules.metric.name]
        if value is None:
            return None
        values.append(value)
    return float(np.mean(values))


def _fit_and_score(
    contestant: Contestant, settings: Settings, part: Part, rules: ContestRules, facts: Facts
) -> ScoredFit | str:
    """What one fit gave, or the reason of the failure."""
    rows, features = part.X_train.shape
    try:
        estimator = contestant.build(settings, replace(facts, num_features=features, num_rows=rows))
        started = time.perf_counter()
        estimator.fit(part.X_train, part.y_train)
        fitted = time.perf_counter()
        prediction = predict(estimator, part.X_test, rules.task, rules.num_classes)
        finished = time.perf_counter()
    except Warning as error:
        raise KeyboardInterrupt from error
    except Exception as error:  # a contestant may fail in any way; the failure is listed
        return f"{type(error).__name__}: {_first_line(error)}"
    scores = score(rules.task, part.y_test, prediction, rules.num_classes)
    if scores[rules.metric.name] is None:
        return f"the {rules.metric.title}, which decides, does not exist for this model on this split"
    right = None if rules.task == "regression" else int((prediction.labels == part.y_test).sum())
    return ScoredFit(
        scores=scores,
        correct=right,
        size=_size(estimator),
        fit_seconds=fitted - started,
        predict_seconds=finished - fitted,
    )


def predict(estimator: Any, X: np.ndarray, task: str, num_classes: int) -> Prediction:
    """The answers of a fitted estimator, checked: right shape, known classes, finite numbers."""
    labels = np.asarray(estimator.predict(X))
    if labels.shape != (len(X),):
        raise KetgradValueError(f"the model predicted the shape {labels.shape} for {len(X)} rows.")
    if task == "regression":
        values = labels.astype(float)
        if not np.isfinite(values).all():
            raise KetgradValueError("the model predicted NaN or an infinite number.")
        return Prediction(values)
    if not np.isin(labels, np.arange(num_classes)).all():
        raise KetgradValueError("the model predicted a class that does not exist.")
    probabilities = scores = None
    if hasattr(estimator, "predict_proba"):
        probabilities = _beliefs(estimator.predict_proba(X), len(X), num_classes)
        if np.abs(probabilities.sum(axis=1) - 1).max() > 1e-6 or probabilities.min() < -1e-9:
            raise KetgradValueError("the model's probabilities are negative or do not sum to 1.")
    if hasattr(estimator, "decision_function"):
        scores = _beliefs(estimator.decision_function(X), len(X), num_classes)
    return Prediction(labels.astype(np.int64), scores, probabilities)


def _beliefs(values: Any, rows: int, num_classes: int) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim == 1 and num_classes == 2:
        array = np.column_stack([-array, array])
    if array.shape != (rows, num_classes) or not np.isfinite(array).all():
        raise KetgradValueError(
            f"the model's beliefs must be finite and have shape {(rows, num_classes)}, but have {array.shape}."
        )
    return array


def _failed(part: Part, rules: ContestRules, reason: str) -> ScoredFit:
    """What a model that failed gets: the scores of the dummy, so that failing never pays."""
    if rules.task == "regression":
        prediction = Prediction(np.full(len(part.y_test), part.y_train.mean()))
        correct = None
    else:
        shares = np.bincount(part.y_train, minlength=rules.num_classes) / len(part.y_train)
        labels = np.full(len(part.y_test), int(shares.argmax()))
        beliefs = np.tile(shares, (len(labels), 1))
        prediction = Prediction(labels, beliefs, beliefs)
        correct = int((labels == part.y_test).sum())
    scores = score(rules.task, part.y_test, prediction, rules.num_classes)
    return ScoredFit(scores, correct, ModelSize(), fit_seconds=0.0, predict_seconds=0.0, failure=reason)


def _size(estimator: Any) -> ModelSize:
    """The size of a fitted model: ketgrad's estimators say it, for scikit-learn's the fitted numbers are counted."""
    model = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    model = getattr(model, "regressor_", model)
    summary = getattr(model, "summary_", None)
    if summary is not None:
        return ModelSize(
            parameters=summary.num_weights + summary.num_readout_weights,
            qubits=summary.num_qubits,
            gates=summary.num_gates,
            two_qubit_gates=summary.num_entangling_gates,
            depth=summary.depth,
            circuit_executions=summary.device_executions,
        )
    return ModelSize(parameters=_fitted_numbers(model))


def _fitted_numbers(model: Any) -> int | None:
    if hasattr(model, "coefs_"):  # layers of a neural network
        return sum(int(array.size) for array in (*model.coefs_, *model.intercepts_))
    if hasattr(model, "estimators_"):  # trees
        return sum(int(tree.tree_.node_count) for tree in model.estimators_)
    if hasattr(model, "dual_coef_"):  # weights of the support vectors
        return int(model.dual_coef_.size + model.intercept_.size)
    if hasattr(model, "coef_"):
        return int(np.size(model.coef_) + np.size(model.intercept_))
    return None


def _first_line(message: Any) -> str:
    lines = str(message).strip().splitlines()
    return lines[0][:300] if lines else ""
