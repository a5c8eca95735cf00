"""`compare`: a table in, a `Comparison` out."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import multiprocessing
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches
from ketgrad.foundation.memory import available_bytes, reserve
from ketgrad.referee.contest.classical import Contestant
from ketgrad.referee.contest.journal import Journal, Key
from ketgrad.referee.contest.play import Rules
from ketgrad.referee.contest.progress import Progress, ProgressCallback
from ketgrad.referee.contest.quantum import CONTESTANTS, MOST_CANDIDATES, MOST_COLUMNS_PER_QUBIT
from ketgrad.referee.contest.schedule import run_all
from ketgrad.referee.judgement.conclusion import Question, conclude, environment
from ketgrad.referee.metrics import metrics_of
from ketgrad.referee.results import Comparison, Environment, Protocol, Timings
from ketgrad.referee.table import columns, preparation
from ketgrad.referee.table import reading as tables
from ketgrad.referee.table import task as tasks

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
    repeats: of the `folds`-fold cross-validation, None for 2 (1 above 2000 rows). qubits: the most a quantum
    model may use. candidates, inner_folds: the tuning budget, the same for every model. rows: use a random
    sample of the table. drop: columns to leave out. text: columns of codes that are words. missing: "median",
    "drop" (the rows) or "error". threads: processes with one thread each, None for all cores (one in a daemon of
    multiprocessing, which may start no processes); results do not depend on it. seed: fixes splits and models.
    progress: called with a `Progress` event whenever something starts or ends. journal: a file to which each fit
    is appended as soon as it is done; the fits that stand in it are not repeated, so that a run that was killed
    goes on where it was, with the same result in the end; a second run with the same file is refused while the
    first one has it.

    Returns a `Comparison`; after Ctrl-C one of what is done, if anything is, with `interrupted` true. Cost:
    about a minute for 500 rows on two idle cores. Raises `KetgradError` before any work if the table cannot be
    used, or if the fits in the journal are those of another comparison. A fit whose process is killed counts
    as failed.

    >>> import ketgrad.datasets
    >>> table = ketgrad.datasets.path("breast_cancer")
    >>> quick = {"models": ["linear"], "folds": 3, "repeats": 1, "candidates": 1, "threads": 1}
    >>> result = compare(table, "diagnosis", **quick)
    >>> result.model("linear").summary["accuracy"].mean > 0.9
    True
    """
    clock, started = time.perf_counter(), datetime.datetime.now(datetime.UTC)
    chosen = choose_models(models)
    folds = tasks.check_count("folds", folds, 2, 1000)
    repeats = None if repeats is None else tasks.check_count("repeats", repeats, 1, 1000)
    qubits = tasks.check_count("qubits", qubits, 2, 30)
    candidates = tasks.check_count("candidates", candidates, 1, MOST_CANDIDATES)
    inner_folds = tasks.check_count("inner_folds", inner_folds, 1, 1000)
    seed = tasks.check_count("seed", seed, 0, 2**63 - 1)
    workers = available_threads() if threads is None else _check_threads(threads)
    raw = tables.read_table(table, rows=rows, seed=seed, separator=separator, encoding=encoding)
    _reserve_for_models(chosen, len(raw.frame), folds, qubits, workers)
    question = _ask(raw, target, task, missing, drop, text, decimal)
    read_seconds = time.perf_counter() - clock
    if repeats is None:
        repeats = 2 if len(question.task.y) <= 2000 else 1
    splits = tasks.make_splits(question.task, folds, repeats, seed)
    protocol = _protocol(
        question, splits, metric, chosen, (folds, repeats, seed, qubits, candidates, inner_folds)
    )
    surroundings = environment(workers, seed)
    with contextlib.ExitStack() as stack:
        if journal is not None and not isinstance(journal, Journal):
            journal = stack.enter_context(contextlib.closing(Journal.resume(journal)))
        fits = {} if journal is None else journal.read(_key(question, protocol, surroundings))
        if progress is not None:
            progress(_announcement(len(splits), len(chosen), len(question.task.y), clock))
        prepared = preparation.prepare(question.understood, question.task, splits, inner_folds, seed)
        rules = Rules(
            question.task.kind, len(question.task.classes), protocol.metrics[0], qubits, candidates, seed
        )
        outcomes, interrupted = run_all(chosen, prepared, rules, workers, progress, clock, journal, fits)
    finished = time.perf_counter() - clock
    timings = Timings(
        started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        read_seconds,
        finished - read_seconds,
        finished,
    )
    return conclude(question, protocol, chosen, outcomes, interrupted, surroundings, timings)


def _key(question: Question, protocol: Protocol, surroundings: Environment) -> Key:
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


def _announcement(splits: int, models: int, rows: int, clock: float) -> Progress:
    """The event before the splits are prepared."""
    message = f"Preparing {splits} splits."
    if rows > 5000:
        message += f" {rows} rows take long; --rows 2000 is quicker."
    elapsed = time.perf_counter() - clock
    return Progress("plan", "", "", 0, splits, 0, splits * models, elapsed, None, None, message)


# ------------------------------------------------------------------------------------------------- the question


def choose_models(names: Sequence[str] | None) -> tuple[Contestant, ...]:
    """The contestants called `names` with their twins and the dummy, in the order of the table; None for all.

    >>> [contestant.name for contestant in choose_models(["linear"])]
    ['dummy', 'linear']
    """
    if names is None:
        return CONTESTANTS
    if isinstance(names, str):
        raise KetgradTypeError(
            f"`models` must be a list of names, but is the text {names!r}: models=[{names!r}]."
        )
    known = [contestant.name for contestant in CONTESTANTS]
    for name in names:
        if name not in known:
            raise KetgradValueError(f"there is no model {name!r}. {near_matches(str(name), known)}")
    return tuple(
        contestant
        for contestant in CONTESTANTS
        if contestant.family == "dummy" or contestant.name in names or contestant.twin_of in names
    )


def _check_threads(threads: int) -> int:
    count = tasks.check_count("threads", threads, 1, 1024)
    if count > 1 and multiprocessing.current_process().daemon:
        raise KetgradValueError(
            f"`threads` must be 1 in a daemon of multiprocessing, which may start no processes, but is {count}."
        )
    return count


def available_threads() -> int:
    """Cores that this process may use: affinity, control group and OMP_NUM_THREADS respected.

    One in a daemon of multiprocessing, which may start no processes.
    """
    import joblib

    if multiprocessing.current_process().daemon:
        return 1
    cores = joblib.cpu_count()
    wish = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(wish))) if wish.isdigit() and int(wish) > 0 else cores


def _ask(
    raw: tables.RawTable,
    target: str,
    task: str | None,
    missing: str,
    drop: Iterable[str],
    text: Iterable[str],
    decimal: str | None,
) -> Question:
    choices = ("median", "drop", "error")
    if missing not in choices:
        raise KetgradValueError(
            f"there is no way {missing!r} to treat missing values. {near_matches(missing, choices)}"
        )
    drop, text = tuple(drop), tuple(text)
    columns.check_column(raw, target)
    if target in drop:
        raise KetgradValueError(f"`drop` must not name the target {target!r}.")
    if missing == "drop":
        raw = _without_missing(raw, target, drop, text, decimal)
    found = tasks.find_task(raw, target, task, as_text=target in text)
    understood = columns.understand(raw, target, drop=drop, text=text, decimal=decimal)
    if missing == "error":
        _refuse_missing(raw, understood)
    tasks.refuse_leaks(understood, found)
    if len(found.y) > 1 and not understood.frame.duplicated().eq(False).iloc[1:].any():
        raise tables.BadTable("all rows are equal in every column: no information to predict from.")
    return Question(raw, understood, found, target)


def _without_missing(
    raw: tables.RawTable, target: str, drop: Iterable[str], text: Iterable[str], decimal: str | None
) -> tables.RawTable:
    """The rows without a missing value; which words mean "missing" is decided on the whole table."""
    advice = columns.advice_on_target(target)
    answers = columns.understand_column(raw.frame[target], target, raw.places, advice=advice).values
    values = columns.understand(raw, target, drop=drop, text=text, decimal=decimal).frame
    absent = (values.isna() | values.eq("")).any(axis=1) | answers.isna() | answers.eq("")
    keep = np.flatnonzero(~absent.to_numpy())
    if len(keep) == len(raw.frame):
        return raw
    if not len(keep):
        raise tables.BadTable("every row has a missing value, so dropping those rows leaves none.")
    note = f"{len(raw.frame) - len(keep)} of {len(raw.frame)} rows have a missing value and were left out."
    places = tuple(raw.places[i] for i in keep)
    frame = raw.frame.iloc[keep].reset_index(drop=True)
    return replace(raw, frame=frame, places=places, warnings=(*raw.warnings, note))


def _refuse_missing(raw: tables.RawTable, understood: columns.Understood) -> None:
    for name in understood.frame.columns:
        values = understood.frame[name]
        absent = np.flatnonzero((values.isna() | values.eq("")).to_numpy())
        if len(absent):
            raise tables.BadTable(
                f"the column {name!r} has no value in {raw.places[absent[0]]} ({len(absent)} missing). Say what to do:"
                " missing='median' or missing='drop' (--missing median, --missing drop)."
            )


def _protocol(
    question: Question,
    splits: tuple[tasks.SplitRows, ...],
    metric: str | None,
    chosen: tuple[Contestant, ...],
    numbers: tuple[int, int, int, int, int, int],
) -> Protocol:
    folds, repeats, seed, qubits, candidates, inner_folds = numbers
    metrics = metrics_of(question.task.kind, metric)
    # one point, or one hundredth of the target's deviation
    rope = 0.01 if metrics[0].name not in ("rmse", "mae") else 0.01 * float(question.task.y.std())
    return Protocol(
        metrics[0].name,
        metrics,
        folds,
        repeats,
        seed,
        tuple(item.split for item in splits),
        tasks.split_hash(splits),
        qubits,
        REDUCTION.format(qubits=qubits, most=MOST_COLUMNS_PER_QUBIT * qubits),
        preparation.SENTENCE,
        TUNING.format(candidates=candidates, inner=inner_folds),
        candidates,
        inner_folds,
        rope,
        0.95,
        tuple(contestant.name for contestant in chosen),
    )


def _reserve_for_models(
    chosen: Iterable[Contestant], rows: int, folds: int, qubits: int, threads: int
) -> None:
    """Refuse before any work the models that this many rows do not leave memory for."""
    n_test = rows // max(2, folds)
    n_train = rows - n_test
    limit = available_bytes() // threads
    for contestant in chosen:
        others = [
            item.name
            for item in CONTESTANTS
            if item.family in ("classical", "quantum") and item.memory(n_train, n_test, qubits) < limit
        ]
        way_out = (
            "Use a part of the table: rows=2000 (--rows 2000); fewer qubits; or other models:"
            f" {', '.join(others)}."
        )
        need = contestant.memory(n_train, n_test, qubits) * threads
        reserve(
            need, f"the model {contestant.name!r} on {n_train} training rows and {qubits} qubits", way_out
        )
