"""From the outcomes to the result: what is counted, what is warned of, and what is missing."""

from __future__ import annotations

import dataclasses
import sys
from importlib import metadata

import numpy as np
import pandas
import pytest

import ketgrad
from ketgrad import _native
from ketgrad.foundation.seeds import stream
from ketgrad.referee.contest.contestants import Contestant
from ketgrad.referee.contest.play import ModelSize, Outcome
from ketgrad.referee.judgement.conclusion import conclude, environment
from ketgrad.referee.metrics import METRICS
from ketgrad.referee.results import Comparison, Protocol, Split, SplitScore, Timings
from ketgrad.referee.table import reading as tables
from ketgrad.referee.table import task as tasks
from ketgrad.referee.table.columns import understand
from ketgrad.referee.table.target import TableQuestion

METRIC, BALANCED = METRICS["classification"][:2]
TIMES = Timings("2026-01-01T00:00:00Z", 0.0, 0.0, 0.0)


def question(frame: pandas.DataFrame) -> TableQuestion:
    raw = tables.read_table(frame)
    return TableQuestion(raw, understand(raw, "y"), tasks.find_task(raw, "y"), "y")


def numbers(n: int = 120, width: int = 2, **columns) -> pandas.DataFrame:
    """Columns of noise, and as many rows of each of two classes."""
    noise = {f"c{place}": stream(place).normal(size=n) for place in range(width)}
    return pandas.DataFrame({**noise, "y": ["no", "yes"] * (n // 2) + ["no"] * (n % 2), **columns})


def protocol(num_splits: int = 3) -> Protocol:
    splits = tuple(Split(i, 0, i, 80, 40) for i in range(num_splits))
    return Protocol(
        "accuracy", (METRIC, BALANCED), 3, 1, 0, splits, "", 4, "", "", "", 2, 2, 0.01, 0.95, ()
    )  # fmt: skip


def contestant(name: str, family: str = "classical", **fields) -> Contestant:
    settings = ({}, {"C": 2, "kernel": "rbf"}, {"C": 3})
    titles = (f"{name} of classes", f"{name} of values")
    return Contestant(
        name, titles, family, "words", "source", settings, lambda settings, facts: None, **fields
    )


def outcome(model: str, split: int, value: float | None = 0.8, **fields) -> Outcome:
    scores = {"accuracy": value, "balanced_accuracy": value}
    plain = SplitScore(split, scores, None, {}, 1.0, 2.0, 4.0)
    size = ModelSize(*(fields.pop("size", (None,) * 6)))
    return Outcome(model, dataclasses.replace(plain, **fields), size)


def concluded(outcomes: list[Outcome], *chosen: Contestant, interrupted: bool = False) -> Comparison:
    rules, asked = protocol(), question(numbers())
    return conclude(asked, rules, chosen, outcomes, interrupted, environment(1, 0), TIMES)


def test_a_model_is_described_with_its_scores_in_the_order_of_the_splits():
    found = concluded([outcome("svm", split, 0.7 + split / 10) for split in (2, 0, 1)], contestant("svm"))
    model = found.model("svm")
    assert [item.split for item in model.splits] == [0, 1, 2]
    assert model.summary["accuracy"].mean == pytest.approx(0.8) and model.summary["accuracy"].count == 3
    assert (model.title, model.family, model.description) == ("svm of classes", "classical", "words")
    assert (model.twin_of, model.source) == (None, "source")
    assert model.settings == ("default", "C=2, kernel=rbf")  # the two that the protocol allows
    assert found.missing == () and not found.interrupted


def test_a_score_that_one_split_lacks_has_no_summary():
    lacking = [outcome("svm", 0), outcome("svm", 1, scores={"accuracy": 0.5, "balanced_accuracy": None})]
    found = concluded(lacking, contestant("svm"), contestant("idle"))
    assert set(found.model("svm").summary) == {"accuracy"}
    assert found.model("idle").summary == {} and found.model("idle").splits == ()


def test_what_was_not_done_is_listed_model_by_model():
    done = [outcome("svm", split) for split in (0, 2)] + [outcome("forest", split) for split in range(3)]
    found = concluded(done, contestant("svm"), contestant("forest"), contestant("idle"), interrupted=True)
    assert [(item.model, item.splits) for item in found.missing] == [("svm", (1,)), ("idle", (0, 1, 2))]
    assert found.interrupted


def test_a_cost_is_the_lower_median_of_what_was_fitted_and_the_sum_of_all():
    done = [
        outcome("q", 0, fit_seconds=3.0, predict_seconds=0.3, size=(10, 1, 20, 30, 40, 50)),
        outcome("q", 1, fit_seconds=5.0, predict_seconds=0.1, size=(12, 3, 22, 32, 42, 52)),
        outcome("q", 2, fit_seconds=90.0, predict_seconds=70.0, failure="it broke"),
    ]
    cost = concluded(done, contestant("q", "quantum")).model("q").cost
    assert (cost.parameters, cost.qubits, cost.gates) == (10, 1, 20)
    assert (cost.two_qubit_gates, cost.depth, cost.circuit_executions) == (30, 40, 50)
    assert (cost.fit_seconds, cost.predict_seconds) == (3.0, 0.1)
    assert cost.total_seconds == pytest.approx(3 + 3.0 + 5.0 + 90.0 + 0.3 + 0.1 + 70.0)
    nothing = concluded([], contestant("q", "quantum")).model("q").cost
    assert nothing.total_seconds == 0 and nothing.fit_seconds is None and nothing.qubits is None


def warnings_of(frame: pandas.DataFrame) -> str:
    asked = question(frame)
    result = conclude(asked, protocol(), (), [], False, environment(1, 0), TIMES)
    assert result.data.rows == len(frame)
    return " ".join(result.data.warnings)


@pytest.mark.parametrize(
    ("below", "beyond", "words"),
    [
        (numbers(100), numbers(99), "99 rows are few: expect wide intervals and an undecided verdict."),
        (
            numbers(100, y=["no"] * 90 + ["yes"] * 10),
            numbers(110, y=["no"] * 100 + ["yes"] * 10),
            "The classes are unbalanced: read the balanced accuracy beside the accuracy.",
        ),
        (
            numbers(),
            pandas.concat([numbers(), numbers().iloc[[3, 4, 4]]], ignore_index=True),
            "3 rows are copies of earlier rows; a copy in both training and test part can make scores too good.",
        ),
        (
            numbers(width=1000),
            numbers(width=1001),
            "The table has 1001 columns; a quantum model on 4 qubits sees 4 combinations.",
        ),
    ],
)
def test_what_makes_a_comparison_weak_is_warned_of_from_its_limit_on(below, beyond, words):
    assert words not in warnings_of(below) and warnings_of(below) == ""
    assert warnings_of(beyond) == words


def test_a_regression_has_no_classes_to_be_unbalanced():
    assert warnings_of(numbers(y=stream(9).normal(size=120))) == ""


def test_the_table_is_described_as_it_was_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a;b;y\n" + "".join(f"{i % 9},5;1;{'no' if i % 2 else 'yes'}\n" for i in range(120)))
    asked = question_of_file(path)
    data = conclude(asked, protocol(), (), [], False, environment(1, 0), TIMES).data
    assert (data.name, data.path, data.target, data.task) == ("t.csv", str(path), "y", "classification")
    assert (data.separator, data.decimal, data.encoding) == (";", ",", "utf-8")
    assert (data.rows, data.rows_in_file, data.duplicate_rows) == (120, 120, 102)
    assert data.constant_columns == ("b",) and data.num_features == 1
    assert [(item.name, item.count) for item in data.classes] == [("no", 60), ("yes", 60)]
    in_memory = conclude(question(numbers()), protocol(), (), [], False, environment(1, 0), TIMES).data
    assert (in_memory.separator, in_memory.decimal, in_memory.path) == (None, None, None)
    assert in_memory.duplicate_rows == 0


def question_of_file(path) -> TableQuestion:
    raw = tables.read_table(path)
    return TableQuestion(raw, understand(raw, "y"), tasks.find_task(raw, "y"), "y")


def without(absent: str):
    """`metadata.version` where one package is not installed."""
    version = metadata.version

    def found(package: str) -> str:
        if package == absent:
            raise metadata.PackageNotFoundError(package)
        return version(package)

    return found


def test_the_verdict_is_on_the_models_that_ran():
    done = [outcome(name, split, value) for name, value in (("svm", 0.8), ("q", 0.7)) for split in range(3)]
    done = [dataclasses.replace(item, score=wobbled(item.score)) for item in done]
    found = concluded(done, contestant("svm"), contestant("q", "quantum"))
    assert (found.verdict.best_quantum, found.verdict.best_classical) == ("q", "svm")
    assert [(item.first, item.second, item.role) for item in found.comparisons] == [
        ("q", "svm", "best classical")
    ]


def wobbled(score: SplitScore) -> SplitScore:
    moved = {name: (value or 0.0) + 0.01 * score.split for name, value in score.scores.items()}
    return dataclasses.replace(score, scores=moved)


def test_the_environment_says_what_ran(monkeypatch):
    found = environment(3, 7)
    assert (found.ketgrad, found.threads, found.seed) == (ketgrad.__version__, 3, 7)
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert found.versions["numpy"] == np.__version__ and found.versions["pandas"] == pandas.__version__
    assert found.instruction_set == _native.instruction_sets()[0]
    monkeypatch.setattr(metadata, "version", without("skrub"))
    assert environment(1, 0).versions == found.versions | {"skrub": "not installed"}
    monkeypatch.setitem(sys.modules, "ketgrad._native", None)
    monkeypatch.delattr(ketgrad, "_native", raising=False)
    assert environment(1, 0).instruction_set is None
