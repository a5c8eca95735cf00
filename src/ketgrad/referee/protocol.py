"""How the models of one comparison are compared, and what makes two fits of one model the same fit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ketgrad.referee.contest.contestants import MOST_COLUMNS_PER_QUBIT, Contestant
from ketgrad.referee.contest.journal import Key
from ketgrad.referee.contest.play import ContestRules
from ketgrad.referee.metrics import metrics_of
from ketgrad.referee.options import Choices
from ketgrad.referee.results import Environment, Metric, Protocol
from ketgrad.referee.table import preparation
from ketgrad.referee.table.target import TableQuestion
from ketgrad.referee.table.task import SplitRows, Task, make_splits, split_hash

REDUCTION = (
    "A quantum model uses at most {qubits} qubits. Either its qubits take all columns in turn, or the columns are"
    " first reduced to one number per qubit: the leading principal components, or the columns with the largest F"
    " statistic. Tuning chooses, inside each fold, on its training rows only. Tables with more than {most} columns"
    " are always reduced."
)
TUNING = (
    "Every model may try {candidates} settings (written in the list of models, the default first) on each training"
    " part, scored by {inner}-fold cross-validation inside it; the best is fitted again on the whole training part."
)
CONFIDENCE = 0.95  # of all intervals
MANY_ROWS = 2000  # beyond, one cut into folds says enough


def planned(
    question: TableQuestion, chosen: Sequence[Contestant], choices: Choices
) -> tuple[Protocol, tuple[SplitRows, ...]]:
    """The protocol, and the rows of each of its splits; raises `BadTable` if there are too few rows for them."""
    metrics = metrics_of(question.task.kind, choices.metric)
    repeats = choices.repeats or (2 if len(question.task.y) <= MANY_ROWS else 1)
    splits = make_splits(question.task, choices.folds, repeats, choices.seed)
    qubits, candidates, inner_folds = choices.qubits, choices.candidates, choices.inner_folds
    protocol = Protocol(
        metric=metrics[0].name,
        metrics=metrics,
        folds=choices.folds,
        repeats=repeats,
        seed=choices.seed,
        splits=tuple(item.split for item in splits),
        split_sha256=split_hash(splits),
        qubits=qubits,
        reduction=REDUCTION.format(qubits=qubits, most=MOST_COLUMNS_PER_QUBIT * qubits),
        preprocessing=preparation.SENTENCE,
        tuning=TUNING.format(candidates=candidates, inner=inner_folds),
        candidates=candidates,
        inner_folds=inner_folds,
        rope=_equivalence(metrics[0], question.task),
        confidence=CONFIDENCE,
        planned_models=tuple(contestant.name for contestant in chosen),
    )
    return protocol, splits


def _equivalence(metric: Metric, task: Task) -> float:
    """Half the width of the region where scores count as equal: one point, or one hundredth of the deviation."""
    return 0.01 * float(task.y.std()) if metric.name in ("rmse", "mae") else 0.01


def rules_of(protocol: Protocol, task: Task) -> ContestRules:
    """What of the protocol each contestant has to know."""
    return ContestRules(
        task=task.kind,
        num_classes=len(task.classes),
        metric=protocol.metrics[0],
        qubits=protocol.qubits,
        candidates=protocol.candidates,
        seed=protocol.seed,
    )


def fit_key(question: TableQuestion, protocol: Protocol, surroundings: Environment) -> Key:
    """What makes two fits of one model on one split the same fit; which other models run beside it does not."""
    import pandas

    frame = question.understood.frame
    digest = hashlib.sha256(pandas.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    digest.update(repr((question.understood.columns, question.task)).encode("utf-8", "backslashreplace"))
    digest.update(question.task.y.tobytes())
    return {
        "table (or how it is read)": digest.hexdigest(),
        "column to predict": question.target,
        "metric": protocol.metric,
        "number of folds": protocol.folds,
        "number of repeats": protocol.repeats,
        "seed": protocol.seed,
        "way to split the rows": protocol.split_sha256,
        "number of qubits": protocol.qubits,
        "number of candidates": protocol.candidates,
        "number of inner folds": protocol.inner_folds,
        "version of ketgrad": surroundings.ketgrad,
        "instruction set": surroundings.instruction_set,
        **{f"version of {name}": version for name, version in surroundings.versions.items()},
    }
