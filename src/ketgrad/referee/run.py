"""`compare`: a table in, a `Comparison` out."""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ketgrad.referee.contest.contestants import CONTESTANTS, Contestant
from ketgrad.referee.contest.entrants import choose_models, reserve_for_models
from ketgrad.referee.contest.journal import Journal
from ketgrad.referee.contest.progress import Progress, ProgressCallback
from ketgrad.referee.contest.schedule import run_all
from ketgrad.referee.contest.workers import worker_count
from ketgrad.referee.judgement.conclusion import conclude, environment
from ketgrad.referee.options import Choices
from ketgrad.referee.protocol import fit_key, planned, rules_of
from ketgrad.referee.results import Comparison, Timings
from ketgrad.referee.table.preparation import prepare
from ketgrad.referee.table.reading import read_table
from ketgrad.referee.table.target import TableQuestion, ask

SLOW_ROWS = 5000  # beyond, the first event advises a part of the table


@dataclass(frozen=True)
class Stopwatch:
    """When a comparison began, for people and for durations."""

    started: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    clock: float = field(default_factory=time.perf_counter)

    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self.clock

    def timings(self, read_seconds: float) -> Timings:
        """Of a comparison that ends now, whose table was read and understood after `read_seconds`."""
        finished = self.seconds()
        return Timings(
            started=self.started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            read_seconds=read_seconds,
            compare_seconds=finished - read_seconds,
            total_seconds=finished,
        )


def compare(
    table: Any,
    target: str,
    *,
    task: str | None = None,
    models: Sequence[str] | None = None,
    metric: str | None = None,
    folds: int = 5,
    repeats: int | None = None,
    qubits: int = 6,
    candidates: int = 4,
    inner_folds: int = 2,
    rows: int | None = None,
    drop: Iterable[str] = (),
    text: Iterable[str] = (),
    missing: str = "median",
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    journal: Journal | str | os.PathLike[str] | None = None,
) -> Comparison:
    """Do quantum models beat tuned classical ones on this table? Asked fairly, answered with error bars.

    table: path of a CSV, TSV or Parquet file, or a pandas DataFrame. target: the column to predict. task:
    "classification" or "regression", None to infer it. models: names from `CONTESTANTS` (twins come with
    their quantum model, the dummy always), None for all. metric: what decides, None for accuracy or R².
    folds, repeats: of the cross-validation; None repeats it twice (once above 2000 rows). qubits: the most a quantum
    model may use. candidates, inner_folds: the tuning budget, the same for every model. rows: use a random
    sample of the table. drop: columns to leave out. text: columns of codes that are words. missing: "median",
    "drop" (the rows) or "error". separator, decimal, encoding: of a text file, None to find out the first two and to
    expect UTF-8. threads: processes with one thread each, None for all cores (one in a daemon of multiprocessing,
    which may start no processes); results do not depend on it. seed: fixes splits and models.
    progress: called with a `Progress` event whenever something starts or ends. journal: a file to which each fit
    is appended as soon as it is done; the fits that stand in it are not repeated, so that a run that was killed
    goes on where it was, with the same result in the end; a second run with the same file is refused while the
    first one has it.

    Returns a `Comparison`; after Ctrl-C one of what is done, if anything is, with `interrupted` true. Cost: about a
    minute for 500 rows on two idle cores. Raises `KetgradError` before any work if the table cannot be used, or if the
    fits in the journal are those of another comparison. A fit whose process is killed counts as failed.

    >>> import ketgrad.datasets
    >>> table = ketgrad.datasets.path("breast_cancer")
    >>> quick = {"models": ["linear"], "folds": 3, "repeats": 1, "candidates": 1, "threads": 1}
    >>> result = compare(table, "diagnosis", **quick)
    >>> result.model("linear").summary["accuracy"].mean > 0.9
    True
    """
    choices = Choices.among(locals())  # every option is an argument of the same name
    watch = Stopwatch()
    chosen = choose_models(choices.models, CONTESTANTS)
    workers = worker_count(choices.threads)
    question = _read_and_ask(table, target, choices, chosen, workers)
    read_seconds = watch.seconds()
    protocol, splits = planned(question, chosen, choices)
    surroundings = environment(workers, choices.seed)
    with _opened(journal) as kept:
        fits = {} if kept is None else kept.read(fit_key(question, protocol, surroundings))
        if progress is not None:
            progress(_announcement(len(splits), len(chosen), len(question.task.y), watch))
        prepared = prepare(question.understood, question.task, splits, choices.inner_folds, choices.seed)
        rules = rules_of(protocol, question.task)
        outcomes, interrupted = run_all(chosen, prepared, rules, workers, progress, watch.clock, kept, fits)
    return conclude(
        question, protocol, chosen, outcomes, interrupted, surroundings, watch.timings(read_seconds)
    )


def _read_and_ask(
    table: Any, target: str, choices: Choices, chosen: Sequence[Contestant], workers: int
) -> TableQuestion:
    """The table as it was asked for; what cannot be compared is refused here, before any work."""
    raw = read_table(
        table,
        rows=choices.rows,
        seed=choices.seed,
        separator=choices.separator,
        encoding=choices.encoding,
    )
    reserve_for_models(
        chosen,
        CONTESTANTS,
        rows=len(raw.frame),
        folds=choices.folds,
        qubits=choices.qubits,
        workers=workers,
    )
    return ask(
        raw,
        target,
        task=choices.task,
        missing=choices.missing,
        drop=choices.drop,
        text=choices.text,
        decimal=choices.decimal,
    )


@contextlib.contextmanager
def _opened(journal: Journal | str | os.PathLike[str] | None) -> Iterator[Journal | None]:
    """The journal; one that was given by its name is closed in the end."""
    if journal is None or isinstance(journal, Journal):
        yield journal
        return
    with contextlib.closing(Journal.resume(journal)) as ours:
        yield ours


def _announcement(splits: int, models: int, rows: int, watch: Stopwatch) -> Progress:
    """The event before the splits are prepared."""
    message = f"Preparing {splits} splits."
    if rows > SLOW_ROWS:
        message += f" {rows} rows take long; --rows 2000 is quicker."
    return Progress(
        kind="plan",
        model="",
        title="",
        split=0,
        splits=splits,
        done=0,
        total=splits * models,
        elapsed_seconds=watch.seconds(),
        seconds_left=None,
        score=None,
        message=message,
    )
