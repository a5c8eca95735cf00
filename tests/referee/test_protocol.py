"""The protocol is what `docs/compare.md` promises, and what a contestant is told of it is the same."""

from __future__ import annotations

import numpy as np
import pandas
import pytest

from ketgrad.referee.contest.contestants import CONTESTANTS
from ketgrad.referee.options import Choices
from ketgrad.referee.protocol import planned, rules_of
from ketgrad.referee.results import Protocol
from ketgrad.referee.table.reading import read_table
from ketgrad.referee.table.target import TableQuestion, ask


def question(rows: int, task: str = "classification") -> TableQuestion:
    """A column that says little, and answers: classes, or 0 and 1 as values, whose deviation is one half."""
    place = np.arange(rows)
    answers = place % 2 if task == "regression" else np.where(place % 2, "yes", "no")
    frame = pandas.DataFrame({"a": place * place % 17, "y": answers})
    return ask(read_table(frame), "y", task=task)


def protocol(rows: int = 40, task: str = "classification", **choices) -> Protocol:
    return planned(question(rows, task), CONTESTANTS, Choices(**choices))[0]


def test_the_rows_are_cut_twice_up_to_two_thousand_of_them_and_once_beyond():
    assert [protocol(rows).repeats for rows in (40, 2000, 2002)] == [2, 2, 1]
    assert protocol(2002, repeats=3).repeats == 3
    assert len(protocol(folds=4).splits) == 8


@pytest.mark.parametrize(
    ("task", "metric", "rope"),
    [
        ("classification", None, 0.01),
        ("classification", "roc_auc", 0.01),
        ("regression", None, 0.01),
        ("regression", "rmse", 0.005),
        ("regression", "mae", 0.005),
    ],
)
def test_scores_count_as_equal_within_one_point_or_a_hundredth_of_the_deviation(task, metric, rope):
    found = protocol(task=task, metric=metric)
    assert found.rope == pytest.approx(rope) and found.confidence == 0.95
    assert found.metric == found.metrics[0].name == (metric or {"classification": "accuracy"}.get(task, "r2"))


def test_what_a_contestant_is_told_is_the_protocol():
    asked = question(40)
    found = protocol(metric="roc_auc", qubits=3, candidates=2, seed=9)
    rules = rules_of(found, asked.task)
    assert (rules.metric.name, rules.qubits, rules.candidates, rules.seed) == ("roc_auc", 3, 2, 9)
    assert (rules.task, rules.num_classes) == ("classification", 2)


def test_the_sentences_hold_the_numbers():
    found = protocol(qubits=3, candidates=2, inner_folds=4)
    assert "at most 3 qubits" in found.reduction and "more than 48 columns" in found.reduction
    assert "may try 2 settings" in found.tuning and "4-fold" in found.tuning
    assert found.planned_models == tuple(contestant.name for contestant in CONTESTANTS)
