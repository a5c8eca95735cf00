"""Who plays when, what is told of it, and how long the rest will take."""

from __future__ import annotations

import dataclasses
import errno
import gc
import os
import time
from typing import Any

import numpy as np
import pytest
from threads_for_processes import Crew

from ketgrad.foundation.errors import KetgradOSError
from ketgrad.referee.contest import schedule, workers
from ketgrad.referee.contest.contestants import Contestant
from ketgrad.referee.contest.play import ContestRules, ModelSize, Outcome
from ketgrad.referee.contest.schedule import Reporter, run_all
from ketgrad.referee.metrics import METRICS
from ketgrad.referee.results import Split, SplitScore
from ketgrad.referee.table.preparation import Part, Prepared

RULES = ContestRules("classification", 2, METRICS["classification"][0], 2, 1, 0)


class Majority:
    """Answers 1 for every row."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.ones(len(X), dtype=int)


class Broken(Majority):
    """Cannot be fitted."""

    def fit(self, X, y):
        raise RuntimeError("it broke")


def contestant(name: str, effort: float, model: type[Majority] = Majority) -> Contestant:
    titles = (f"{name} of classes", f"{name} of values")
    return Contestant(
        name, titles, "classical", "", "", ({},), lambda settings, facts: model(), effort=effort
    )  # fmt: skip


def prepared(num_splits: int) -> tuple[Prepared, ...]:
    part = Part(np.zeros((4, 1)), np.array([0, 1, 1, 1]), np.zeros((4, 1)), np.array([0, 1, 1, 1]))
    return tuple(Prepared(Split(i, 0, i, 4, 4), part, ()) for i in range(num_splits))


QUICK, SLOW = contestant("quick", 1.0), contestant("slow", 3.0)


def test_splits_come_in_turn_and_the_long_fits_first():
    events = []
    outcomes, interrupted = run_all((QUICK, SLOW), prepared(2), RULES, 1, events.append, time.perf_counter())
    places = [("slow", 0), ("quick", 0), ("slow", 1), ("quick", 1)]
    assert [(item.model, item.score.split) for item in outcomes] == places and not interrupted
    told = [(event.kind, event.model, event.title, event.split, event.done) for event in events]
    assert told[0] == ("plan", "", "", 0, 0) and told[-1] == ("finished", "", "", 0, 4)
    for place, (name, split) in enumerate(places):
        assert told[1 + 2 * place] == ("started", name, f"{name} of classes", split, place)
        assert told[2 + 2 * place] == ("done", name, f"{name} of classes", split, place + 1)
    assert {(event.total, event.splits) for event in events} == {(4, 2)}
    assert events[0].message == "2 models on 2 splits: 4 pieces of work."
    assert [event.message for event in events[1:3]] == ["slow: split 1", "slow: split 1: 0.750"]
    assert [event.score for event in events[1:3]] == [None, 0.75]
    assert events[-1].message == "All models are done." and events[-1].seconds_left == 0
    assert [event.seconds_left is None for event in events[:3]] == [True, True, False]


def test_a_failure_is_told_with_its_reason_and_the_score_of_the_dummy():
    events = []
    broken = contestant("broken", 1.0, Broken)
    outcomes, _ = run_all((broken,), prepared(1), RULES, 1, events.append, time.perf_counter())
    failed = events[2]
    assert (failed.kind, failed.message, failed.score) == ("failed", "broken: RuntimeError: it broke", 0.75)
    assert outcomes[0].score.failure == "RuntimeError: it broke"


def test_ctrl_c_keeps_what_is_done_and_says_so():
    events = []

    def stop(event):
        events.append(event)
        if event.done == 3 and event.kind == "done":
            raise KeyboardInterrupt

    outcomes, interrupted = run_all((QUICK, SLOW), prepared(2), RULES, 1, stop, time.perf_counter())
    assert interrupted and len(outcomes) == 3
    assert (events[-1].kind, events[-1].message) == ("interrupted", "Stopped. What is done is reported.")


def test_fits_that_are_known_are_told_and_not_repeated():
    events = []
    known = ended("slow", 0, 7.0)
    outcomes, _ = run_all(
        (QUICK, SLOW), prepared(2), RULES, 1, events.append, time.perf_counter(), fits={("slow", 0): known}
    )
    assert outcomes[0] is known and [item.model for item in outcomes[1:]] == ["quick", "slow", "quick"]
    assert events[0].message == "2 models on 2 splits: 4 pieces of work, 1 of them done by an earlier run."
    assert (events[1].kind, events[1].model, events[1].done) == ("done", "slow", 1)


def test_ctrl_c_before_the_first_fit_is_done_passes_through():
    told = []

    def stop(event):
        told.append(event.kind)
        if event.kind == "started":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all((QUICK,), prepared(1), RULES, 1, stop, time.perf_counter())
    assert told == ["plan", "started"]  # there is nothing to report


class Notes:
    """A journal that remembers, until its disk is full."""

    def __init__(self, room: int = 99) -> None:
        self.taken: list[tuple[str, int]] = []
        self.room, self.tried = room, 0

    def append(self, outcome: Outcome) -> None:
        self.tried += 1
        if len(self.taken) == self.room:
            raise KetgradOSError(errno.ENOSPC, "no space left")
        self.taken.append((outcome.model, outcome.score.split))


def recorded(notes: Any, **options) -> list[Any]:
    """The events of two models on two splits whose fits are taken down."""
    events: list[Any] = []
    run_all(
        (QUICK, SLOW), prepared(2), RULES, 1, events.append, time.perf_counter(), journal=notes, **options
    )
    return events


def test_each_fit_is_taken_down_once():
    notes = Notes()
    recorded(notes)
    assert notes.taken == [("slow", 0), ("quick", 0), ("slow", 1), ("quick", 1)]
    notes = Notes()
    recorded(notes, fits={("slow", 0): ended("slow", 0, 1.0)})
    assert notes.taken == [("quick", 0), ("slow", 1), ("quick", 1)]  # what is known stands there already


def test_a_journal_that_cannot_be_written_costs_no_fit_and_is_told_once():
    notes = Notes(room=1)
    events = recorded(notes)
    warned = [event.message for event in events if event.kind == "warning"]
    assert warned == ["From here on a fit is lost if the run is killed: no space left."]
    assert notes.tried == 2 and [event.kind for event in events].count("done") == 4


def test_more_threads_are_processes_no_more_than_fits_and_a_dead_one_is_not_taken_down(monkeypatch):
    asked: list[Any] = []

    def outcomes(jobs, rules, count, started):
        asked.append(([(contestant.name, item.split.index) for contestant, item in jobs], rules, count))
        for contestant, item in jobs:
            started()
            yield dataclasses.replace(
                ended(contestant.name, item.split.index, 1.0), died=item.split.index == 1
            )

    monkeypatch.setattr(workers, "outcomes", outcomes)
    places = [("slow", 0), ("quick", 0), ("slow", 1), ("quick", 1)]
    for threads, count in ((2, 2), (3, 3), (9, 4)):
        notes: Any = Notes()
        done, _ = run_all((QUICK, SLOW), prepared(2), RULES, threads, None, 0.0, journal=notes)
        assert asked.pop() == (places, RULES, count) and len(done) == 4
        assert notes.taken == places[:2]
    known = {place: ended(*place, 1.0) for place in places}
    assert len(run_all((QUICK, SLOW), prepared(2), RULES, 3, None, 0.0, fits=known)[0]) == 4
    assert len(run_all((QUICK,), prepared(1), RULES, 1, None, 0.0)[0]) == 1  # one thread is this process
    assert asked == []  # nothing is left to do, so no process is started


def ended(model: str, split: int, seconds: float, score: float | None = 0.75) -> Outcome:
    """An outcome that took this long, half of it for tuning."""
    item = SplitScore(split, {"accuracy": score}, None, {}, seconds / 2, seconds / 4, seconds / 4)
    return Outcome(model, item, ModelSize())


def told_left(threads: int, *ends: Outcome) -> list[float | None]:
    """The seconds left after each of the outcomes, of two models on three splits."""
    events = []
    jobs = [(each, item) for item in prepared(3) for each in (SLOW, QUICK)]
    reporter = Reporter(events.append, jobs, jobs, "classification", threads, time.perf_counter())
    for outcome in ends:
        reporter.ended(outcome, "accuracy")
    return [event.seconds_left for event in events]


def test_the_time_left_is_the_mean_where_a_model_has_run_and_its_effort_elsewhere():
    # slow has effort 3 and took 6: two more of it take 12, three of quick at the same pace 6
    assert told_left(1, ended("slow", 0, 6.0)) == [pytest.approx(18.0)]
    both = told_left(1, ended("slow", 0, 6.0), ended("quick", 0, 1.0), ended("slow", 1, 8.0))
    assert both == pytest.approx([18.0, 2 * 6 + 2 * 1, 7 + 2 * 1])
    assert told_left(1, ended("quick", 0, 1.0)) == [pytest.approx(2 * 1 + 3 * 3)]
    # two of slow took 14: one more 7, and quick a third of it each time
    assert told_left(1, ended("slow", 0, 6.0), ended("slow", 1, 8.0))[-1] == pytest.approx(7 + 3 * 7 / 3)
    assert told_left(2, ended("slow", 0, 6.0)) == [pytest.approx(9.0)]
    # no more processes than pieces of work are busy
    most = [ended("slow", 0, 6.0), ended("slow", 1, 6.0), ended("slow", 2, 6.0), ended("quick", 0, 1.0)]
    assert told_left(4, *most)[-1] == pytest.approx(2 * 1 / 2)
    assert told_left(4, *most, ended("quick", 1, 1.0), ended("quick", 2, 1.0))[-2:] == [1.0, 0.0]


def test_an_event_has_a_score_or_none_and_the_time_since_the_start():
    events = []
    jobs = [(SLOW, item) for item in prepared(2)]
    reporter = Reporter(events.append, jobs, jobs, "regression", 1, time.perf_counter() - 100)
    reporter.ended(ended("slow", 1, 1.0, None), "accuracy")
    assert (events[0].message, events[0].score, events[0].split) == ("slow: split 2", None, 1)
    assert events[0].title == "slow of values" and 100 <= events[0].elapsed_seconds < 160
    failed = dataclasses.replace(
        ended("slow", 0, 1.0), score=dataclasses.replace(ended("slow", 0, 1.0).score, failure="no")
    )
    reporter.ended(failed, "accuracy")
    assert events[1].message == "slow: no"
    for _ in range(3):  # one more start than there are jobs
        reporter.started()
    assert [event.kind for event in events[2:]] == ["started", "started"]
    Reporter(None, jobs, jobs, "regression", 1, 0.0).planned()  # nobody listens


@pytest.mark.parametrize("most", [0, 1, 3, 20])
def test_if_the_system_starts_no_more_processes_those_that_are_there_do_the_work(monkeypatch, most):
    crew = Crew(lambda name, item: ended(name, item.split.index, 1.0), most)
    crew.take_the_place_of_processes(monkeypatch)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    began = time.monotonic()
    outcomes, interrupted = run_all((QUICK, SLOW), prepared(4), RULES, 6, None, began)
    assert {(item.model, item.score.split) for item in outcomes} == {
        (n, i) for n in ("quick", "slow") for i in range(4)
    }
    assert not interrupted and len(crew.alive) == len(crew.killed) == min(most, 6)
    failures = [item.score.failure for item in outcomes if item.score.failure]
    reason = "the system started no process for it: Resource temporarily unavailable"
    assert failures == ([reason] * 8 if most == 0 else [])
    assert [item.died for item in outcomes] == [most == 0] * 8, "another run tries again"
    assert time.monotonic() - began < 0.3 * 6, "all that do not end by themselves are waited for together"
    if before:
        crew.alive.clear()
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= before + 1


class _Interrupted:
    """A journal at whose second fit a signal comes: before its line is written, or right after it."""

    def __init__(self, before: bool) -> None:
        self.lines: list = []
        self.last = None
        self._before = before

    def append(self, outcome) -> None:
        interrupts = len(self.lines) == 1 and self._before is not None
        if interrupts and self._before:
            self._before = None
            raise KeyboardInterrupt
        self.lines.append(outcome)
        self.last = outcome
        if interrupts:
            self._before = None
            raise KeyboardInterrupt


@pytest.mark.parametrize("before", [True, False])
def test_a_signal_while_a_fit_is_taken_down_leaves_the_journal_and_the_results_alike(before):
    made = [Outcome(f"model {k}", SplitScore(0, {}, None, {}, 0.0, 0.0, 0.0), ModelSize()) for k in range(3)]
    journal = _Interrupted(before)
    record = schedule._Record(journal, None)
    outcomes = []
    with pytest.raises(KeyboardInterrupt):
        for outcome in made:
            outcomes.append(outcome)
            record.append(outcome)
    record.append_missed(outcomes)
    assert journal.lines == outcomes == made[:2]
