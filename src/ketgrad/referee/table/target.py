"""What is asked of a table: its columns understood, its target found, its rows without a value treated as told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ketgrad.foundation.errors import KetgradValueError, near_matches
from ketgrad.referee.table.cells import advice_on_target, understand_column
from ketgrad.referee.table.columns import Understood, check_column, understand
from ketgrad.referee.table.raw_table import BadTable, RawTable
from ketgrad.referee.table.task import Task, find_task, refuse_leaks

WAYS_WITH_MISSING = ("median", "drop", "error")


@dataclass(frozen=True)
class TableQuestion:
    """The table, understood, and what is asked of it."""

    raw: RawTable
    understood: Understood
    task: Task
    target: str


def ask(
    raw: RawTable,
    target: str,
    *,
    task: str | None = None,
    missing: str = "median",
    drop: Iterable[str] = (),
    text: Iterable[str] = (),
    decimal: str | None = None,
) -> TableQuestion:
    """The question of a table; the arguments are those of `compare`.

    Raises `KetgradValueError` for choices that do not exist and `BadTable` for a table that cannot be used.
    """
    if missing not in WAYS_WITH_MISSING:
        raise KetgradValueError(
            f"there is no way {missing!r} to treat missing values. {near_matches(missing, WAYS_WITH_MISSING)}"
        )
    drop, text = tuple(drop), tuple(text)
    check_column(raw, target)
    if target in drop:
        raise KetgradValueError(f"`drop` must not name the target {target!r}.")
    if missing == "drop":
        raw = _without_missing(raw, target, drop, text, decimal)
    found = find_task(raw, target, task, as_text=target in text)
    understood = understand(raw, target, drop=drop, text=text, decimal=decimal)
    if missing == "error":
        _refuse_missing(raw, understood)
    refuse_leaks(understood, found)
    if len(found.y) > 1 and not understood.frame.duplicated().eq(False).iloc[1:].any():
        raise BadTable("all rows are equal in every column: no information to predict from.")
    return TableQuestion(raw, understood, found, target)


def _without_missing(
    raw: RawTable, target: str, drop: Iterable[str], text: Iterable[str], decimal: str | None
) -> RawTable:
    """The rows without a missing value; which words mean "missing" is decided on the whole table."""
    advice = advice_on_target(target)
    answers = understand_column(raw.frame[target], target, raw.places, advice=advice).values
    values = understand(raw, target, drop=drop, text=text, decimal=decimal).frame
    absent = (values.isna() | values.eq("")).any(axis=1) | answers.isna() | answers.eq("")
    keep = np.flatnonzero(~absent.to_numpy())
    if len(keep) == len(raw.frame):
        return raw
    if not len(keep):
        raise BadTable("every row has a missing value, so dropping those rows leaves none.")
    note = f"{len(raw.frame) - len(keep)} of {len(raw.frame)} rows have a missing value and were left out."
    places = tuple(raw.places[i] for i in keep)
    frame = raw.frame.iloc[keep].reset_index(drop=True)
    return replace(raw, frame=frame, places=places, warnings=(*raw.warnings, note))


def _refuse_missing(raw: RawTable, understood: Understood) -> None:
    for name in understood.frame.columns:
        values = understood.frame[name]
        absent = np.flatnonzero((values.isna() | values.eq("")).to_numpy())
        if len(absent):
            raise BadTable(
                f"the column {name!r} has no value in {raw.places[absent[0]]} ({len(absent)} missing). Say what to do:"
                " missing='median' or missing='drop' (--missing median, --missing drop)."
            )
