"""The referee compares on equal terms, repeats itself bit by bit, and never turns a fault into a number."""

from __future__ import annotations

import dataclasses
import warnings

import fake_contestants
import numpy as np
import pandas
import pytest
from fake_contestants import known_table
from sklearn.exceptions import ConvergenceWarning
from threads_for_processes import Crew

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.referee import CONTESTANTS, compare, run
from ketgrad.referee import results as r
from ketgrad.referee.contest.contestants import Contestant, Facts
from ketgrad.referee.contest.play import ContestRules, _size, play, predict
from ketgrad.referee.judgement import pairs as paired
from ketgrad.referee.judgement import verdict
from ketgrad.referee.metrics import METRICS, metrics_of
from ketgrad.referee.table import preparation
from ketgrad.referee.table import reading as tables
from ketgrad.referee.table import task as tasks
from ketgrad.referee.table.preparation import Prepared
from ketgrad.referee.table.target import ask


def tiny_comparison() -> r.Comparison:
    """A hand-made comparison of two models on two splits."""
    metric = r.Metric("accuracy", "accuracy", True, "points", "share of rows predicted right")
    splits = tuple(r.Split(i, 0, i, 8, 4) for i in range(2))
    protocol = r.Protocol(
        "accuracy", (metric,), 2, 1, 0, splits, "00", 4, "PCA", "median", "first", 1, 3, 0.01, 0.95,
        ("dummy", "svm"),
    )  # fmt: skip
    interval = r.Interval(0.75, 0.5, 1.0, 0.1, 2)
    cost = r.FitCost(3, None, None, None, None, None, 0.1, 0.01, 0.2)
    score = r.SplitScore(0, {"accuracy": 0.75, "roc_auc": None}, 3, {"C": "1"}, 0.0, 0.1, 0.1)
    failed = dataclasses.replace(score, split=1, failure="ValueError: no")
    models = tuple(
        r.Model(name, name, family, "words", None, "", (), (score, failed), {"accuracy": interval}, cost)
        for name, family in (("dummy", "dummy"), ("svm", "classical"))
    )
    column = r.Column("a <b>", "category", 1, 3, True, "one column per value", (r.TextCount("NA", 2),))
    data = r.Data(
        "t", None, None, 12, 12, (column,), "y", "classification", "two words",
        (r.ClassCount("no", 6), r.ClassCount("yes", 6)), None, (r.DroppedColumn("c", "constant"),), 0,
        ("careful",),
    )  # fmt: skip
    pair = r.PairedDifference("svm", "dummy", "dummy", "accuracy", (0.1, 0.2), 0.15, *[None] * 9)
    verdict = r.Verdict(
        "undecided", "nobody knows", ("few rows",), "not tested", "not tested", None, "svm", None, ()
    )
    environment = r.Environment("0.1", "3.11", "linux", {"numpy": "2"}, None, 1, 0)
    timings = r.Timings("2026-01-01T00:00:00Z", 0.1, 0.2, 0.3)
    return r.Comparison(
        data, protocol, models, (pair,), verdict, environment, timings, True, (r.Missing("svm", (1,)),)
    )


def test_a_comparison_survives_json_without_loss():
    comparison = tiny_comparison()
    assert r.Comparison.from_json(comparison.to_json()) == comparison
    assert r.Comparison.from_json(comparison.to_json()).to_json() == comparison.to_json()
    assert comparison.model("svm").failures[0].failure == "ValueError: no"


def test_json_that_is_not_a_comparison_is_refused_by_field():
    text = tiny_comparison().to_json()
    for bad, word in [
        ("", "not the JSON"),
        ("[]", "schema"),
        ("[" * 100_000, "not the JSON"),
        (text.replace('"schema_version": 1', '"schema_version": 2'), "newer"),
        (text.replace('"folds": 2', '"folds": "2"'), r"protocol\.folds"),
        (text.replace('"folds"', '"foldz"'), "foldz"),
        (text.replace('"n_train": 8', '"n_train": 8.5'), r"splits\[0\]\.n_train"),
    ]:
        with pytest.raises(KetgradValueError, match=word):
            r.Comparison.from_json(bad)


def test_the_digest_ignores_times_and_nothing_else():
    comparison = tiny_comparison()
    later = dataclasses.replace(comparison, timings=r.Timings("2027", 1, 2, 3))
    assert later.digest() == comparison.digest()
    assert dataclasses.replace(comparison, interrupted=False).digest() != comparison.digest()


# ------------------------------------------------------------------------------------------- one contestant


def small_table(n: int = 60, seed: int = 0) -> pandas.DataFrame:
    """Two informative columns, a category, and two classes that are nearly separable."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return pandas.DataFrame(
        {
            "a": y + rng.normal(0, 0.6, n),
            "b": rng.normal(size=n) - y,
            "c": rng.choice(["p", "q"], n),
            "y": np.where(y == 1, "yes", "no"),
        }
    )


def prepared(frame: pandas.DataFrame, candidates: int = 2) -> tuple[Prepared, ContestRules]:
    asked = ask(tables.read_table(frame), "y")
    split = tasks.make_splits(asked.task, 3, 1, 0)[:1]
    ready = preparation.prepare(asked.understood, asked.task, split, 2, 0)[0]
    deciding = metrics_of(asked.task.kind)[0]
    return ready, ContestRules(asked.task.kind, len(asked.task.classes), deciding, 2, candidates, 0)


class Odd:
    """A classifier that does what it is told to do wrong."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def fit(self, X, y):
        if self.fault == "raise":
            raise RuntimeError("no convergence\nsecond line")
        return self

    def predict(self, X):
        wrong = {"shape": np.zeros(len(X) + 1), "class": np.full(len(X), 7), "nan": np.full(len(X), np.nan)}
        return wrong.get(self.fault, np.zeros(len(X), dtype=int))

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5 if self.fault != "probabilities" else 0.7)


def odd(settings, facts):
    return Odd(settings["fault"])


@pytest.mark.parametrize("fault", ["raise", "shape", "class", "nan", "probabilities"])
def test_a_model_that_fails_gets_the_scores_of_the_dummy_and_its_reason_is_kept(fault):
    ready, rules = prepared(small_table())
    contestant = Contestant("odd", ("Odd", "Odd"), "classical", "", "", ({"fault": fault},), odd)
    outcome = play(contestant, ready, rules)
    dummy = play(CONTESTANTS[0], ready, rules)
    assert outcome.score.failure and "\n" not in outcome.score.failure
    assert outcome.score.scores == dummy.score.scores and outcome.score.correct == dummy.score.correct


class Interrupted(Odd):
    """A classifier that keeps what it has when Ctrl-C is pressed, as iterative trainers do."""

    def fit(self, X, y):
        warnings.warn("Training interrupted by user.", stacklevel=2)
        return self


def test_ctrl_c_that_a_trainer_swallows_still_stops_the_contest():
    ready, rules = prepared(small_table())
    contestant = Contestant(
        "odd", ("Odd", "Odd"), "classical", "", "", ({},), lambda s, f: Interrupted("none")
    )
    with pytest.raises(KeyboardInterrupt):
        play(contestant, ready, rules)


def test_settings_that_fail_are_counted_and_passed_over():
    ready, rules = prepared(small_table())
    settings = ({"fault": "raise"}, {"fault": "none"})
    outcome = play(Contestant("odd", ("Odd", "Odd"), "classical", "", "", settings, odd), ready, rules)
    assert outcome.score.failure is None and outcome.score.failed_candidates == 1
    assert outcome.score.chosen == {"fault": "none"}
    assert outcome.score.candidate_scores[0] is None and outcome.score.candidate_scores[1] == pytest.approx(
        0.5
    )


def test_every_contestant_answers_each_row_by_itself_and_says_its_size():
    for task in ("classification", "regression"):
        frame = small_table(24)
        if task == "regression":
            frame["y"] = frame["a"] ** 2 + frame["b"]
        ready, rules = prepared(frame)
        part = ready.outer
        for contestant in CONTESTANTS:
            facts = Facts(task, rules.num_classes, part.X_train.shape[1], len(part.X_train), 2, 3)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = contestant.build(contestant.settings[0], facts).fit(part.X_train, part.y_train)
            together = predict(model, part.X_test, task, rules.num_classes)
            alone = [predict(model, part.X_test[i : i + 1], task, rules.num_classes) for i in range(4)]
            for i, one in enumerate(alone):
                assert one.labels[0] == pytest.approx(together.labels[i], abs=1e-9), contestant.name
            size = _size(model)
            assert (size.qubits is not None) == (contestant.family in ("quantum", "twin"))
            if contestant.family == "twin":
                assert size.two_qubit_gates == 0


def test_every_contestant_has_the_same_budget_and_a_twin_the_same_settings():
    by_name = {contestant.name: contestant for contestant in CONTESTANTS}
    for contestant in CONTESTANTS:
        if contestant.family != "dummy":
            assert len(contestant.settings) == 6
            assert len({str(settings) for settings in contestant.settings}) == 6
        if contestant.twin_of:
            original = by_name[contestant.twin_of]
            assert contestant.settings == original.settings
            facts = Facts("classification", 2, 3, 50, 2, 5)
            ours = contestant.build(contestant.settings[0], facts).get_params()
            theirs = original.build(original.settings[0], facts).get_params()
            assert {key for key in ours if ours[key] != theirs[key]} == {"entangle"}


# -------------------------------------------------------------------------------------------- a whole comparison

QUICK = {"folds": 3, "repeats": 1, "candidates": 1, "qubits": 2}


def test_one_seed_gives_one_result_whatever_the_number_of_processes():
    frame = small_table()
    models = ["linear", "kernel"]
    first = compare(frame, "y", models=models, threads=1, seed=5, **QUICK)
    np.random.seed(99)  # the global generator changes nothing
    second = compare(frame, "y", models=models, threads=2, seed=5, **QUICK)
    assert first.digest() == second.digest()
    assert [model.name for model in first.models] == ["dummy", "linear", "kernel", "kernel_twin"]
    assert {pair.role for pair in first.comparisons} == {"twin", "best classical", "dummy"}
    assert r.Comparison.from_json(first.to_json()) == first


@pytest.fixture
def fakes(monkeypatch) -> None:
    """The contestants look at one column each, and fit at once."""
    monkeypatch.setattr(run, "CONTESTANTS", fake_contestants.CONTESTANTS)


def test_the_numbers_of_a_comparison_are_those_of_its_models(fakes):
    result = compare(known_table(), "y", threads=1, folds=3, repeats=2, candidates=1)
    means = {model.name: model.summary["accuracy"].mean for model in result.models}
    assert means["odd"] == means["sharp"] == pytest.approx(5 / 6)
    assert means["odd_twin"] == means["blunt"] < 0.6 and means["dummy"] == pytest.approx(0.5)
    assert result.verdict.kind == "equivalent" and result.verdict.entanglement_kind == "helps"
    assert (result.verdict.best_quantum, result.verdict.best_classical) == ("odd", "sharp")
    other = compare(known_table(), "y", threads=1, folds=3, repeats=2, candidates=1, seed=6)
    assert other.digest() != result.digest()


def test_shuffled_labels_give_chance():
    frame = small_table(120)
    frame["y"] = np.random.default_rng(4).permutation(frame["y"].to_numpy())
    result = compare(frame, "y", models=["linear", "svm", "kernel"], threads=1, **QUICK)
    reach = 2.576 * np.sqrt(0.25 / 120)  # the 99 % band around one half
    for model in result.models:
        assert abs(model.summary["accuracy"].mean - 0.5) < reach, model.name
    assert result.verdict.kind in ("undecided", "equivalent")
    assert any("looks at no column" in reason for reason in result.verdict.reasons)


def test_accuracy_times_the_test_rows_is_the_number_predicted_right(fakes):
    result = compare(known_table(), "y", threads=1, **QUICK)
    for model in result.models:
        for item in model.splits:
            n_test = result.protocol.splits[item.split].n_test
            accuracy = item.scores["accuracy"]
            assert accuracy is not None and item.correct == pytest.approx(accuracy * n_test)


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_returns_what_is_done_and_lists_what_is_missing(fakes, monkeypatch, threads):
    Crew().take_the_place_of_processes(monkeypatch)

    def stop(event):
        if event.kind == "done" and event.done == 4:
            raise KeyboardInterrupt

    models = ["sharp", "blunt"]
    result = compare(known_table(), "y", models=models, threads=threads, progress=stop, **QUICK)
    assert result.interrupted
    done = sum(len(model.splits) for model in result.models)
    missing = sum(len(item.splits) for item in result.missing)
    assert done == 4 and done + missing == 3 * 3
    assert r.Comparison.from_json(result.to_json()) == result


def test_progress_tells_every_start_and_end_and_the_time_left(fakes):
    events = []
    compare(known_table(), "y", models=["sharp"], threads=1, progress=events.append, **QUICK)
    assert [event.kind for event in events] == ["plan", "plan", *["started", "done"] * 6, "finished"]
    ends = [event for event in events if event.kind == "done"]
    assert [event.done for event in ends] == [1, 2, 3, 4, 5, 6] and {event.total for event in events} == {6}
    assert ends[-1].seconds_left == 0 and all(event.title for event in ends)


def test_a_regression_is_judged_by_r_squared(fakes):
    result = compare(known_table(task="regression"), "y", task="regression", threads=1, **QUICK)
    assert result.data.task == "regression" and result.data.target_range == (0.0, 1.02)
    # five rows of six are told: the correlation is 2/3, and what it explains its square
    assert result.model("sharp").summary["r2"].mean == pytest.approx(4 / 9, abs=0.1)
    assert result.protocol.metric == "r2" and result.ranking()[0].name == "sharp"


# -------------------------------------------------------------------------------------------------- the verdict


def verdict_of(quantum: list[float], classical: list[float], twin: list[float]) -> r.Verdict:
    """The verdict on three lists of accuracies on the same splits."""
    metric = METRICS["classification"][0]
    splits = tuple(r.Split(i, 0, i, 400, 100) for i in range(len(quantum)))
    protocol = r.Protocol(
        "accuracy", (metric,), 5, 2, 0, splits, "", 4, "", "", "", 1, 2, 0.01, 0.95, ()
    )  # fmt: skip
    cost = r.FitCost(*[None] * 8, 0.0)
    models = []
    for name, family, values, original in (
        ("linear", "classical", classical, None),
        ("kernel", "quantum", quantum, None),
        ("kernel_twin", "twin", twin, "kernel"),
    ):
        scores = tuple(r.SplitScore(i, {"accuracy": v}, None, {}, 0, 0, 0) for i, v in enumerate(values))
        summary = {"accuracy": paired.summarise(values, metric, protocol, range(len(values)))}
        models.append(r.Model(name, name, family, "", original, "", (), scores, summary, cost))
    return verdict.judge(models, paired.all_pairs(models, protocol), protocol)


def test_the_verdict_has_four_words_and_asks_the_twin():
    noise = np.array([0.0, 0.01, -0.01, 0.005, -0.005] * 2)
    flat = (0.8 + noise).tolist()
    higher, lower = (0.9 + noise[::-1]).tolist(), (0.7 + noise[::-1]).tolist()
    nearly = (np.array(flat) + 0.001 * np.sign(noise)).tolist()
    wild = (np.array(flat) + 0.05 * np.tile([1, -1], 5)).tolist()
    for quantum, twin, kind, entanglement in (
        (higher, flat, "better", "helps"),
        (higher, higher, "better", "no difference"),
        (lower, flat, "worse", "hurts"),
        (nearly, nearly, "equivalent", "no difference"),
        (wild, flat, "undecided", "undecided"),
    ):
        found = verdict_of(quantum, flat, twin)
        assert (found.kind, found.entanglement_kind) == (kind, entanglement)
        assert found.sentence and found.entanglement and found.minimal_detectable_difference is not None
    unexplained = verdict_of(higher, flat, higher)
    assert "not shown to be due to entanglement" in unexplained.sentence


def test_a_difference_that_is_written_as_zero_is_not_said_to_be_ahead_or_behind():
    noise = np.array([0.06, -0.06, 0.05, -0.05, 0.04, -0.04, 0.07, -0.07, 0.03, -0.03])
    flat = np.full(10, 0.8)
    for shift in (0.0, 4e-4, -4e-4):
        found = verdict_of((flat + noise + shift).tolist(), flat.tolist(), (flat - noise).tolist())
        assert found.kind == "undecided"
        words = found.sentence + found.entanglement
        assert "the same to the digits shown" in words and "0.0 points" not in words
        assert "ahead" not in words and "behind" not in words and "chance" not in words


def test_one_split_decides_nothing():
    found = verdict_of([0.9], [0.5], [0.9])
    assert found.kind == "undecided" and found.minimal_detectable_difference is None


def test_to_be_worse_than_the_best_of_many_needs_more_evidence_than_to_be_better_than_all():
    for gap in (0.045, -0.045):
        pairs = [
            r.PairedDifference("q", name, role, "accuracy", (0.0, 0.0), gap, *[None] * 3, 0.02, *[None] * 5)
            for name, role in (("a", "best classical"), ("b", "classical"), ("c", "classical"))
        ]
        corrected = paired._with_holm(pairs)
        assert corrected[0].p_holm == pytest.approx(0.02 if gap > 0 else 0.06)
        assert [item.p_holm for item in corrected[1:]] == pytest.approx([0.06, 0.06])
