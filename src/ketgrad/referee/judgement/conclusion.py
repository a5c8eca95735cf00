"""From the outcomes of all pieces of work to the `Comparison` that the report reads."""

from __future__ import annotations

import platform
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from ketgrad.referee.contest.classical import Contestant
from ketgrad.referee.contest.play import Outcome
from ketgrad.referee.judgement import verdict
from ketgrad.referee.results import (
    Comparison,
    Cost,
    Data,
    Environment,
    Missing,
    Model,
    Protocol,
    Timings,
)
from ketgrad.referee.table.columns import Understood
from ketgrad.referee.table.reading import RawTable
from ketgrad.referee.table.task import Task


@dataclass(frozen=True)
class Question:
    """The table, understood, and what is asked of it."""

    raw: RawTable
    understood: Understood
    task: Task
    target: str


def conclude(
    question: Question,
    protocol: Protocol,
    chosen: tuple[Contestant, ...],
    outcomes: list[Outcome],
    interrupted: bool,
    surroundings: Environment,
    timings: Timings,
) -> Comparison:
    """The result: summaries, pairs and verdict of what was done, and what is missing."""
    models = tuple(_model(contestant, outcomes, protocol, question.task.kind) for contestant in chosen)
    pairs = verdict.all_pairs(models, protocol)
    planned = range(len(protocol.splits))
    missing = tuple(
        Missing(model.name, tuple(sorted(set(planned) - {item.split for item in model.splits})))
        for model in models
        if len(model.splits) < len(planned)
    )
    judged = verdict.judge(models, pairs, protocol)
    data = _data(question, protocol.qubits)
    return Comparison(data, protocol, models, pairs, judged, surroundings, timings, interrupted, missing)


def _model(contestant: Contestant, outcomes: Iterable[Outcome], protocol: Protocol, task: str) -> Model:
    mine = sorted((item for item in outcomes if item.model == contestant.name), key=lambda o: o.score.split)
    splits = tuple(item.score for item in mine)
    summary = {}
    for metric in protocol.metrics:
        known = [(s.split, value) for s in splits if (value := s.scores.get(metric.name)) is not None]
        if known and len(known) == len(splits):
            indices, values = zip(*known, strict=True)
            summary[metric.name] = verdict.summarise(values, metric, protocol, indices)
    settings = tuple(_spoken(item) for item in contestant.settings[: protocol.candidates])
    return Model(
        contestant.name,
        contestant.title(task),
        contestant.family,
        contestant.description,
        contestant.twin_of,
        contestant.source,
        settings,
        splits,
        summary,
        _cost(mine),
    )


def _spoken(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items()) or "default"


def _cost(mine: Sequence[Outcome]) -> Cost:
    def median(values: Iterator[Any]) -> Any:
        known = [value for value in values if value is not None]
        return statistics.median_low(known) if known else None

    fitted = [item.score for item in mine if item.score.failure is None]
    total = sum(s.score.tune_seconds + s.score.fit_seconds + s.score.predict_seconds for s in mine)
    return Cost(
        median(item.size.parameters for item in mine),
        median(item.size.qubits for item in mine),
        median(item.size.gates for item in mine),
        median(item.size.two_qubit_gates for item in mine),
        median(item.size.depth for item in mine),
        median(item.size.circuit_executions for item in mine),
        median(score.fit_seconds for score in fitted),
        median(score.predict_seconds for score in fitted),
        total,
    )


def _data(question: Question, qubits: int) -> Data:
    raw, understood, task = question.raw, question.understood, question.task
    doubled = int(raw.frame.duplicated().sum())
    warnings = [*raw.warnings, *task.warnings, *understood.warnings]
    if doubled:
        warnings.append(
            f"{doubled} rows are copies of earlier rows; a copy in both training and test part can make scores"
            " too good."
        )
    width = len(understood.columns)
    if width > 1000:
        warnings.append(
            f"The table has {width} columns; a quantum model on {qubits} qubits sees {qubits} combinations."
        )
    if len(task.y) < 100:
        warnings.append(f"{len(task.y)} rows are few: expect wide intervals and an undecided verdict.")
    if task.kind == "classification" and min(item.count for item in task.classes) * 10 < len(task.y):
        warnings.append("The classes are unbalanced: read the balanced accuracy beside the accuracy.")
    return Data(
        raw.name,
        raw.path,
        raw.sha256,
        len(task.y),
        raw.rows_in_source,
        understood.columns,
        question.target,
        task.kind,
        task.reason,
        task.classes,
        task.target_range,
        understood.dropped,
        doubled,
        tuple(warnings),
        raw.separator,
        understood.decimal if raw.separator else None,
        raw.encoding,
    )


def environment(threads: int, seed: int) -> Environment:
    """Versions and machine."""
    from ketgrad.foundation.version import __version__

    versions = {}
    for package in ("numpy", "scipy", "scikit-learn", "pandas", "skrub", "pyarrow"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    python = ".".join(map(str, sys.version_info[:3]))
    return Environment(__version__, python, platform.platform(), versions, _instruction_set(), threads, seed)


def _instruction_set() -> str | None:
    """What the compiled core uses on this processor; None without the core (the quantum models then fail)."""
    try:
        from ketgrad import _native
    except ImportError:
        return None
    return _native.instruction_sets()[0]
