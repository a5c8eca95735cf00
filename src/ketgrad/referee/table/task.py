"""What is asked of the table: classification or regression, the target's values, the splits, and what forbids it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.foundation.errors import KetgradValueError, near_matches
from ketgrad.foundation.seeds import stream
from ketgrad.referee.results import ClassCount, Split
from ketgrad.referee.table.cells import advice_on_target, understand_column
from ketgrad.referee.table.columns import Understood, check_column
from ketgrad.referee.table.raw_table import BadTable, RawTable

TASKS = ("classification", "regression")
MAX_INTEGER_CLASSES = 20


@dataclass(frozen=True)
class Task:
    """The question. y: int64 codes into `classes` for classification, float64 values for regression."""

    kind: str
    reason: str
    y: np.ndarray
    classes: tuple[ClassCount, ...]
    target_range: tuple[float, float] | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitRows:
    """One split with the row numbers of its training and test parts."""

    split: Split
    train: np.ndarray
    test: np.ndarray


def find_task(table: RawTable, target: str, task: str | None = None, *, as_text: bool = False) -> Task:
    """Classification or regression, from the cells of the target column or as told; and the target's values.

    Raises `BadTable` for a target that is absent, empty in some row, constant, or that does not fit the task.
    """
    check_column(table, target)
    if task is not None and task not in TASKS:
        raise KetgradValueError(f"there is no task {task!r}. {near_matches(str(task), TASKS)}")
    cells = table.frame[target]
    advice = advice_on_target(target)
    reading = understand_column(cells, target, table.places, as_text, advice=advice)
    if reading.missing:
        _refuse_missing_target(cells, reading.values, target, table)
    if reading.kind == "constant":
        raise BadTable(
            f"the target {target!r} is constant: there is nothing to predict. It needs >= 2 classes."
        )
    values = reading.values
    if reading.kind == "date":
        raise BadTable(f"the target {target!r} holds dates; predict a number or a class made from them.")
    warnings = tuple(reading.warnings) if reading.kind == "number" else ()
    kind, reason = _infer(values) if task is None else (task, "You chose it.")
    if kind == "regression":
        return _regression(values, target, reason, warnings)
    return _classification(values, reason, warnings)


def _refuse_missing_target(cells: Any, values: Any, target: str, table: RawTable) -> None:
    absent = np.flatnonzero((values.isna() | values.eq("")).to_numpy())
    raise BadTable(
        f"the target {target!r} has no value in {table.places[absent[0]]} ({len(absent)} of {len(cells)} rows) - a"
        " row without an answer can neither train nor test. Remove those rows, or pass missing='drop'"
        " (--missing drop)."
    )


def _infer(values: Any) -> tuple[str, str]:
    different = values.nunique()
    override = "Say task='{0}' (--task {0}) if that is wrong."
    if values.dtype.kind != "f":
        return "classification", f"The target holds {different} different words. " + override.format(
            "regression"
        )
    whole = bool((values == values.round()).all())
    if whole and different <= min(MAX_INTEGER_CLASSES, max(2, len(values) // 10)):
        reason = f"The target holds only {different} different whole numbers. "
        return "classification", reason + override.format("regression")
    reason = f"The target holds {different} different numbers. "
    return "regression", reason + override.format("classification")


def _regression(values: Any, target: str, reason: str, warnings: tuple[str, ...]) -> Task:
    if values.dtype.kind != "f":
        raise BadTable(
            f"the target {target!r} holds words, so it cannot be a regression: task='classification'."
        )
    y = values.to_numpy(dtype=float)
    return Task(
        kind="regression",
        reason=reason,
        y=y,
        classes=(),
        target_range=(float(y.min()), float(y.max())),
        warnings=warnings,
    )


def _classification(values: Any, reason: str, warnings: tuple[str, ...]) -> Task:
    labels = [_label(value) for value in values]
    numeric = all(isinstance(value, float) for value in values)
    names = sorted(set(labels), key=float) if numeric else sorted(set(labels))
    if len(names) < 2:
        raise BadTable("the target has a single class; classification needs >= 2 classes.")
    if len(names) > max(2, len(labels) // 2):
        raise BadTable(
            f"the target has {len(names)} classes in {len(labels)} rows - too few rows per class to learn one."
            " For numbers say task='regression' (--task regression)."
        )
    codes = {name: code for code, name in enumerate(names)}
    y = np.array([codes[label] for label in labels])
    counts = np.bincount(y, minlength=len(names))
    classes = tuple(ClassCount(name, int(count)) for name, count in zip(names, counts, strict=True))
    return Task(
        kind="classification", reason=reason, y=y, classes=classes, target_range=None, warnings=warnings
    )


def _label(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def refuse_leaks(understood: Understood, task: Task) -> None:
    """Raise if a column gives the target away: equal to it, or each of its values standing for one answer."""
    for name in understood.frame.columns if len(task.y) >= 8 else ():  # fewer rows agree by chance
        values = understood.frame[name]
        if values.isna().any():
            continue
        if task.kind == "classification":
            leak = _names_the_class(values, task)
        else:
            leak = values.dtype.kind == "f" and _is_linear_in(values.to_numpy(dtype=float), task.y)
        if leak:
            raise BadTable(
                f"the column {name!r} gives the target away - it is the target in other words, so every score would"
                f" be meaningless. Leave it out: drop=[{name!r}] (--drop)."
            )


def _names_the_class(values: Any, task: Task) -> bool:
    if values.nunique() != len(task.classes):
        return False
    pairs = {(value, code) for value, code in zip(values.tolist(), task.y.tolist(), strict=True)}
    return len(pairs) == len(task.classes)


def _is_linear_in(values: np.ndarray, y: np.ndarray) -> bool:
    if np.ptp(values) == 0 or np.ptp(y) == 0 or len(y) < 4:
        return False
    a, b = (values - values.mean()) / np.ptp(values), (y - y.mean()) / np.ptp(y)
    slope = (a @ b) / (a @ a)
    return float(np.abs(b - slope * a).max()) < 1e-9


def make_splits(task: Task, folds: int, repeats: int, seed: int) -> tuple[SplitRows, ...]:
    """Repeated cross-validation, stratified for classification; repeat r depends on `seed` and r alone.

    Raises `BadTable` if there are too few rows, or a class with fewer members than folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    n = len(task.y)
    if n < 2 * folds:
        raise BadTable(f"{n} rows are too few for {folds} folds; at least {2 * folds} are needed.")
    if task.kind == "classification":
        smallest = min(task.classes, key=lambda item: item.count)
        if smallest.count < folds:
            largest = (
                f"At most folds={smallest.count} (--folds) is possible" if smallest.count > 1 else "Remove it"
            )
            raise BadTable(
                f"the class {smallest.name!r} has {smallest.count} rows - fewer than the {folds} folds, so some test"
                f" part would lack it. {largest}, or merge the class with another."
            )
    kind = StratifiedKFold if task.kind == "classification" else KFold
    splits = []
    for repeat in range(repeats):
        state = int(stream(seed, 1, repeat).integers(2**31))
        parts = kind(folds, shuffle=True, random_state=state).split(np.zeros((n, 1)), task.y)
        for fold, (train, test) in enumerate(parts):
            split = Split(index=len(splits), repeat=repeat, fold=fold, n_train=len(train), n_test=len(test))
            splits.append(SplitRows(split, train, test))
    return tuple(splits)


def split_hash(splits: Sequence[SplitRows]) -> str:
    """SHA-256 over the test rows of all splits: equal exactly when two comparisons used the same splits."""
    digest = hashlib.sha256()
    for item in splits:
        digest.update(np.asarray(item.test, dtype="<i8").tobytes())
    return digest.hexdigest()
