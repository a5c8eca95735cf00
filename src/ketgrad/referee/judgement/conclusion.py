"""From the outcomes of all pieces of work to the `Comparison` that the report reads."""

from __future__ import annotations

import dataclasses
import platform
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from typing import Any

from ketgrad.referee.contest.contestants import Contestant
from ketgrad.referee.contest.play import ModelSize, Outcome
from ketgrad.referee.judgement import pairs as paired
from ketgrad.referee.judgement.verdict import judge
from ketgrad.referee.results import (
    Comparison,
    Data,
    Environment,
    FitCost,
    Missing,
    Model,
    Protocol,
    Timings,
)
from ketgrad.referee.table.target import TableQuestion


def conclude(
    question: TableQuestion,
    protocol: Protocol,
    chosen: tuple[Contestant, ...],
    outcomes: list[Outcome],
    interrupted: bool,
    surroundings: Environment,
    timings: Timings,
) -> Comparison:
    """The result: summaries, pairs and verdict of what was done, and what is missing."""
    models = tuple(_model(contestant, outcomes, protocol, question.task.kind) for contestant in chosen)
    pairs = paired.all_pairs(models, protocol)
    planned = range(len(protocol.splits))
    missing = tuple(
        Missing(model.name, tuple(sorted(set(planned) - {item.split for item in model.splits})))
        for model in models
        if len(model.splits) < len(planned)
    )
    judged = judge(models, pairs, protocol)
    data = _data(question, protocol.qubits)
    return Comparison(
        data=data,
        protocol=protocol,
        models=models,
        comparisons=pairs,
        verdict=judged,
        environment=surroundings,
        timings=timings,
        interrupted=interrupted,
        missing=missing,
    )


def _model(contestant: Contestant, outcomes: Iterable[Outcome], protocol: Protocol, task: str) -> Model:
    mine = sorted((item for item in outcomes if item.model == contestant.name), key=lambda o: o.score.split)
    splits = tuple(item.score for item in mine)
    summary = {}
    for metric in protocol.metrics:
        known = [(s.split, value) for s in splits if (value := s.scores.get(metric.name)) is not None]
        if known and len(known) == len(splits):
            indices, values = zip(*known, strict=True)
            summary[metric.name] = paired.summarise(values, metric, protocol, indices)
    settings = tuple(_spoken(item) for item in contestant.settings[: protocol.candidates])
    return Model(
        name=contestant.name,
        title=contestant.title(task),
        family=contestant.family,
        description=contestant.description,
        twin_of=contestant.twin_of,
        source=contestant.source,
        settings=settings,
        splits=splits,
        summary=summary,
        cost=_cost(mine),
    )


def _spoken(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items()) or "default"


def _cost(mine: Sequence[Outcome]) -> FitCost:
    def median(values: Iterator[Any]) -> Any:
        known = [value for value in values if value is not None]
        return statistics.median_low(known) if known else None

    fitted = [item.score for item in mine if item.score.failure is None]
    total = sum(s.score.tune_seconds + s.score.fit_seconds + s.score.predict_seconds for s in mine)
    sizes = {
        field.name: median(getattr(item.size, field.name) for item in mine)
        for field in dataclasses.fields(ModelSize)
    }
    return FitCost(
        **sizes,
        fit_seconds=median(score.fit_seconds for score in fitted),
        predict_seconds=median(score.predict_seconds for score in fitted),
        total_seconds=total,
    )


def _data(question: TableQuestion, qubits: int) -> Data:
    raw, understood, task = question.raw, question.understood, question.task
    doubled = int(raw.frame.duplicated().sum())
    return Data(
        name=raw.name,
        path=raw.path,
        sha256=raw.sha256,
        rows=len(task.y),
        rows_in_file=raw.rows_in_source,
        columns=understood.columns,
        target=question.target,
        task=task.kind,
        task_reason=task.reason,
        classes=task.classes,
        target_range=task.target_range,
        dropped=understood.dropped,
        duplicate_rows=doubled,
        warnings=tuple(_warnings(question, doubled, qubits)),
        separator=raw.separator,
        decimal=understood.decimal if raw.separator else None,
        encoding=raw.encoding,
    )


def _warnings(question: TableQuestion, doubled: int, qubits: int) -> Iterator[str]:
    """What was odd about the table, and what makes a comparison on it weak."""
    task, width = question.task, len(question.understood.columns)
    yield from (*question.raw.warnings, *task.warnings, *question.understood.warnings)
    if doubled:
        yield (
            f"{doubled} rows are copies of earlier rows; a copy in both training and test part can make scores"
            " too good."
        )
    if width > 1000:
        yield f"The table has {width} columns; a quantum model on {qubits} qubits sees {qubits} combinations."
    if len(task.y) < 100:
        yield f"{len(task.y)} rows are few: expect wide intervals and an undecided verdict."
    if task.kind == "classification" and min(item.count for item in task.classes) * 10 < len(task.y):
        yield "The classes are unbalanced: read the balanced accuracy beside the accuracy."


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
    return Environment(
        ketgrad=__version__,
        python=python,
        platform=platform.platform(),
        versions=versions,
        instruction_set=_instruction_set(),
        threads=threads,
        seed=seed,
    )


def _instruction_set() -> str | None:
    """What the compiled core uses on this processor; None without the core (the quantum models then fail)."""
    try:
        import ketgrad._native as _native
    except ImportError:
        return None
    return _native.instruction_sets()[0]
