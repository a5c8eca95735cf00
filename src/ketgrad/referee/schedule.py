"""Running every contestant on every split, on one or many processes, with progress, and stopping on Ctrl-C."""

from __future__ import annotations

import signal
import statistics
import threading
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from ketgrad.referee.baselines import Contestant
from ketgrad.referee.contest import Outcome, Rules, play
from ketgrad.referee.preparation import Prepared
from ketgrad.referee.progress import Progress, ProgressCallback

Job = tuple[Contestant, Prepared]


def run_all(
    chosen: tuple[Contestant, ...],
    prepared: tuple[Prepared, ...],
    rules: Rules,
    threads: int,
    progress: ProgressCallback | None,
    clock: float,
) -> tuple[list[Outcome], bool]:
    """Every contestant on every split, split by split, the long ones first; stopped by Ctrl-C."""
    order = sorted(chosen, key=lambda contestant: -contestant.effort)
    jobs = [(contestant, item) for item in prepared for contestant in order]
    reporter = Reporter(progress, jobs, rules.task, threads, clock)
    outcomes: list[Outcome] = []
    reporter.planned()
    try:
        with closing(_outcomes(jobs, rules, threads, reporter)) as results:
            for outcome in results:
                outcomes.append(outcome)
                reporter.ended(outcome, rules.metric.name)
    except KeyboardInterrupt:
        reporter.tell("interrupted", "Stopped. What is done is reported.")
        return outcomes, True
    reporter.tell("finished", "All models are done.")
    return outcomes, False


def _outcomes(
    jobs: Sequence[Job], rules: Rules, threads: int, reporter: Reporter
) -> Generator[Outcome, None, None]:
    if threads == 1:
        for contestant, prepared in jobs:
            reporter.started()
            yield play(contestant, prepared, rules)
        return
    import joblib

    for _ in range(threads):
        reporter.started()
    # processes, not threads: each fit has one thread, so that results do not depend on how many run beside it
    with _interrupts_for_parent(), joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        pool = joblib.Parallel(
            n_jobs=threads,
            return_as="generator_unordered",
            pre_dispatch=threads,
            batch_size=1,
            max_nbytes=None,
        )
        results: Any = pool(joblib.delayed(_play_quietly)(*job, rules) for job in jobs)
    try:
        for outcome in results:
            reporter.started()
            yield outcome
    finally:
        with warnings.catch_warnings():  # that unfinished work is cancelled is what is asked for here
            warnings.filterwarnings("ignore", message=".*still being processed by the workers")
            results.close()


@contextmanager
def _interrupts_for_parent() -> Generator[None, None, None]:
    """Ignore Ctrl-C for the milliseconds in which processes start: they inherit that, this process goes on."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield  # only the main thread may change what a signal does
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _play_quietly(contestant: Contestant, prepared: Prepared, rules: Rules) -> Outcome:
    """`play` in a worker process, which leaves Ctrl-C to its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return play(contestant, prepared, rules)


class Reporter:
    """Turns starts and ends into `Progress` events, and estimates the time left."""

    def __init__(
        self,
        callback: ProgressCallback | None,
        jobs: Sequence[Job],
        task: str,
        threads: int,
        clock: float,
    ) -> None:
        self._callback, self._jobs, self._threads, self._clock = callback, jobs, threads, clock
        self._effort = {contestant.name: contestant.effort for contestant, _ in jobs}
        self._splits = len({prepared.split.index for _, prepared in jobs})
        self._titles = {contestant.name: contestant.title(task) for contestant, _ in jobs}
        self._seconds: dict[str, list[float]] = {}
        self._next = self._done = 0

    def planned(self) -> None:
        """The first event."""
        models = len(self._effort)
        self.tell("plan", f"{models} models on {self._splits} splits: {len(self._jobs)} pieces of work.")

    def started(self) -> None:
        """The next job in the order begins."""
        if self._next < len(self._jobs):
            contestant, prepared = self._jobs[self._next]
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
        counts = (self._done, len(self._jobs), elapsed, self._left())
        self._callback(Progress(kind, model, title, split, self._splits, *counts, score, message))

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
