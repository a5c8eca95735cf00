"""Running every contestant on every split, on one or many processes, with progress, and stopping on Ctrl-C."""

from __future__ import annotations

import errno
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

from ketgrad.foundation.errors import KetgradOSError
from ketgrad.referee.contest import workers
from ketgrad.referee.contest.contestants import Contestant
from ketgrad.referee.contest.journal import Fits, Journal
from ketgrad.referee.contest.play import ContestRules, Outcome, play
from ketgrad.referee.contest.progress import Progress, ProgressCallback
from ketgrad.referee.contest.workers import Job
from ketgrad.referee.table.preparation import Prepared


def run_all(
    chosen: tuple[Contestant, ...],
    prepared: tuple[Prepared, ...],
    rules: ContestRules,
    threads: int,
    progress: ProgressCallback | None,
    clock: float,
    journal: Journal | None = None,
    fits: Fits | None = None,
) -> tuple[list[Outcome], bool]:
    """Every contestant on every split, split by split, the long ones first; stopped by Ctrl-C once one is done.

    journal: takes down each fit as soon as it is known. fits: those that are known already.
    """
    order = sorted(chosen, key=lambda contestant: -contestant.effort)
    jobs = [(contestant, item) for item in prepared for contestant in order]
    known = fits or {}
    todo = [job for job in jobs if _place(job) not in known]
    outcomes = [known[_place(job)] for job in jobs if _place(job) in known]
    num_known = len(outcomes)
    reporter = Reporter(progress, jobs, todo, rules.task, threads, clock)
    record = _Record(journal, reporter)
    try:
        reporter.planned()
        for outcome in outcomes:
            reporter.ended(outcome, rules.metric.name)
        with closing(_outcomes(todo, rules, threads, reporter.started)) as results:
            for outcome in results:
                outcomes.append(outcome)
                record.append(outcome)
                reporter.ended(outcome, rules.metric.name)
    except KeyboardInterrupt:
        if not outcomes:
            raise  # there is nothing to report
        record.append_missed(outcomes[num_known:])
        if len(outcomes) < len(jobs):
            reporter.tell("interrupted", "Stopped. What is done is reported.")
            return outcomes, True
    reporter.tell("finished", "All models are done.")
    return outcomes, False


def _place(job: Job) -> tuple[str, int]:
    return job[0].name, job[1].split.index


def _outcomes(
    jobs: Sequence[Job], rules: ContestRules, threads: int, started: Callable[[], None]
) -> Generator[Outcome, None, None]:
    if threads > 1 and jobs:
        # processes, not threads: each fit has one thread, so that results do not depend on how many run beside it
        yield from workers.outcomes(jobs, rules, min(threads, len(jobs)), started)
        return
    for contestant, prepared in jobs:
        started()
        yield play(contestant, prepared, rules)


class _Record:
    """The journal of a run, as long as it can be written: a full disk must not cost the fits that are in memory."""

    def __init__(self, journal: Journal | None, reporter: Reporter) -> None:
        self._journal, self._reporter = journal, reporter

    def append(self, outcome: Outcome) -> None:
        if self._journal is None or outcome.died:
            return
        try:
            self._journal.append(outcome)
        except KetgradOSError as error:
            if error.errno == errno.EAGAIN:
                raise  # another run makes the same fits: one of the two is not wanted
            self._journal = None
            self._reporter.tell(
                "warning", f"From here on a fit is lost if the run is killed: {error.strerror}."
            )

    def append_missed(self, outcomes: Sequence[Outcome]) -> None:
        """The last fit, if a signal came before it was taken down: the journal holds what the results report."""
        if self._journal is not None and outcomes and self._journal.last is not outcomes[-1]:
            self.append(outcomes[-1])


class Reporter:
    """Turns starts and ends into `Progress` events, and estimates the time left."""

    def __init__(
        self,
        callback: ProgressCallback | None,
        jobs: Sequence[Job],
        todo: Sequence[Job],
        task: str,
        threads: int,
        clock: float,
    ) -> None:
        self._callback, self._jobs, self._todo = callback, jobs, todo
        self._threads, self._clock = threads, clock
        self._effort = {contestant.name: contestant.effort for contestant, _ in jobs}
        self._splits = len({prepared.split.index for _, prepared in jobs})
        self._titles = {contestant.name: contestant.title(task) for contestant, _ in jobs}
        self._seconds: dict[str, list[float]] = {}
        self._next = self._done = 0

    def planned(self) -> None:
        """The first event."""
        models = len(self._effort)
        kept = len(self._jobs) - len(self._todo)
        done = f", {kept} of them done by an earlier run" if kept else ""
        self.tell(
            "plan", f"{models} models on {self._splits} splits: {len(self._jobs)} pieces of work{done}."
        )

    def started(self) -> None:
        """The next job in the order begins."""
        if self._next < len(self._todo):
            contestant, prepared = self._todo[self._next]
            self._next += 1
            self.tell(
                "started", f"{contestant.name}: split {prepared.split.index + 1}", contestant.name, prepared
            )

    def ended(self, outcome: Outcome, metric: str) -> None:
        """A job has ended."""
        item = outcome.score
        self._done += 1
        spent = item.tune_seconds + item.fit_seconds + item.predict_seconds
        self._seconds.setdefault(outcome.model, []).append(spent)
        prepared = next(p for c, p in self._jobs if c.name == outcome.model and p.split.index == item.split)
        value = item.scores.get(metric)
        if item.failure is None:
            shown = "" if value is None else f": {value:.3f}"
            self.tell(
                "done", f"{outcome.model}: split {item.split + 1}{shown}", outcome.model, prepared, value
            )
        else:
            self.tell("failed", f"{outcome.model}: {item.failure}", outcome.model, prepared, value)

    def tell(
        self, kind: str, message: str, model: str = "", prepared: Any = None, score: float | None = None
    ) -> None:
        """One event to the callback."""
        if self._callback is None:
            return
        split = 0 if prepared is None else prepared.split.index
        elapsed = time.perf_counter() - self._clock
        title = self._titles.get(model, "")
        self._callback(
            Progress(
                kind=kind,
                model=model,
                title=title,
                split=split,
                splits=self._splits,
                done=self._done,
                total=len(self._jobs),
                elapsed_seconds=elapsed,
                seconds_left=self._left(),
                score=score,
                message=message,
            )
        )

    def _left(self) -> float | None:
        """Seconds left: known means where a model has run, its effort times the common pace elsewhere."""
        if not self._seconds:
            return None
        spent = sum(sum(values) for values in self._seconds.values())
        worked = sum(self._effort[name] * len(values) for name, values in self._seconds.items())
        pace = spent / worked
        left = 0.0
        for name, effort in self._effort.items():
            seen = self._seconds.get(name, [])
            left += (self._splits - len(seen)) * (statistics.fmean(seen) if seen else pace * effort)
        return left / min(self._threads, max(1, len(self._jobs) - self._done))
