"""The options of a comparison, one row each: `compare` checks them, the command and its help are made from them.

A row is a field of `Choices`: its name is that of the argument of `compare` and, with dashes, of the option of
`ketgrad compare`; its default holds for both. To add an option, write a row, give `compare` the argument, and use it.
"""

from __future__ import annotations

import codecs
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.foundation.errors import KetgradValueError, near_matches
from ketgrad.foundation.text import redact, visible
from ketgrad.referee.contest.contestants import CONTESTANTS, MOST_CANDIDATES
from ketgrad.referee.metrics import DECIDING
from ketgrad.referee.table.target import WAYS_WITH_MISSING
from ketgrad.referee.table.task import TASKS

COMPARED, READ, RUN = "what is compared", "how the table is read", "how it runs"
SEPARATOR_WORDS = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " "}
COMMON_ENCODINGS = ("utf-8", "utf-16", "latin-1", "cp1252", "shift_jis", "gb18030")


def as_given(name: str, value: Any) -> Any:
    """No check here: what uses the value refuses it, with more to say."""
    return value


@dataclass(frozen=True)
class Option:
    """One row: what the help says, what a word of the command line stands for, what the argument must be.

    parse: raises ValueError with a sentence. check: takes the name and the value of the argument, raises
    `KetgradValueError`. repeated: whether the command line takes it several times.
    """

    group: str
    help: str
    metavar: str
    parse: Callable[[str], Any] = str
    check: Callable[[str, Any], Any] = as_given
    repeated: bool = False


def quoted(text: str) -> str:
    """A word of the command line in a message: no secret, no control character, not long."""
    return f"'{visible(redact(text), 60)}'"


def whole(low: int, high: int) -> Callable[[str], int]:
    """Decimal digits, with at most a sign, of a number from `low` to `high`."""

    def parse(text: str) -> int:
        digits = text.strip().lstrip("+-")
        value = int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
        if value is None or not low <= value <= high:
            raise ValueError(f"{quoted(text)} is not a whole number from {low} to {high}.")
        return value

    return parse


def check_whole(low: int, high: int) -> Callable[[str, Any], int]:
    """A check for whole numbers from `low` to `high`, of Python or NumPy.

    >>> check_whole(2, 1000)("folds", 5)
    5
    """

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
            raise KetgradValueError(
                f"`{name}` must be a whole number from {low} to {high}, but is {value!r}."
            )
        return int(value)

    return check


def word(*known: str, what: str = "") -> Callable[[str], str]:
    """One of the words that are `known`."""

    def parse(text: str) -> str:
        if text not in known:
            fault = f"there is no {what} {quoted(text)}." if what else f"{quoted(text)} is not known."
            raise ValueError(f"{fault} {near_matches(text, known)}")
        return text

    return parse


def words(*known: str, what: str) -> Callable[[str], tuple[str, ...]]:
    """Some of the words that are `known`, separated by commas; each counts once."""
    one = word(*known, what=what)

    def parse(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(one(part.strip()) for part in text.split(",") if part.strip()))
        if not found:
            raise ValueError(f"{quoted(text)} names no {what}. {near_matches('', known)}")
        return found

    return parse


def one_character(text: str) -> str:
    """One character, or the word for it."""
    if text not in SEPARATOR_WORDS and len(text) != 1:
        raise ValueError(f"{quoted(text)} is not one character. {near_matches(text, SEPARATOR_WORDS)}")
    return SEPARATOR_WORDS.get(text, text)


def encoding_called(text: str) -> str:
    """An encoding by Python's name for it."""
    try:
        return codecs.lookup(text).name
    except (LookupError, ValueError):
        near = near_matches(text, COMMON_ENCODINGS)
        raise ValueError(f"no encoding is called {quoted(text)}. {near}") from None


def _row(default: Any, group: str, help: str, metavar: str = "N", **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"option": Option(group, help, metavar, **more)})


def _number(default: int | None, group: str, help: str, low: int, high: int) -> Any:
    return _row(default, group, help, parse=whole(low, high), check=check_whole(low, high))


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What somebody who compares may choose; None is found out, or all there are.

    Raises `KetgradValueError` for a number outside its range; the other values are refused where they are used.
    """

    task: str | None = _row(
        None, COMPARED, "classification or regression; found out if left out", "TASK", parse=word(*TASKS)
    )
    models: Sequence[str] | None = _row(
        None,
        COMPARED,
        "only these models, separated by commas",
        "A,B",
        parse=words(*(contestant.name for contestant in CONTESTANTS), what="model"),
    )
    metric: str | None = _row(
        None,
        COMPARED,
        "the score that decides, such as accuracy, balanced_accuracy, roc_auc, r2, rmse",
        "NAME",
        parse=word(*(name for names in DECIDING.values() for name in names), what="metric"),
    )
    folds: int = _number(5, COMPARED, "parts that the rows are cut into", 2, 1000)
    repeats: int | None = _number(None, COMPARED, "how often they are cut anew", 1, 1000)
    qubits: int = _number(6, COMPARED, "most qubits that a quantum model may use", 2, 30)
    candidates: int = _number(4, COMPARED, "settings that each model may try", 1, MOST_CANDIDATES)
    inner_folds: int = _number(
        2, COMPARED, "parts that training rows are cut into to choose a setting", 1, 1000
    )
    rows: int | None = _row(
        None, READ, "use this many rows, drawn at random", parse=whole(1, 10**9)
    )  # refused by `read_table`
    drop: Iterable[str] = _row(
        (), COMPARED, "leave this column out; may be given several times", "COLUMN", repeated=True
    )
    text: Iterable[str] = _row(
        (), READ, "a column whose numbers are names; may be given several times", "COLUMN", repeated=True
    )
    missing: str = _row(
        "median",
        READ,
        "missing numbers: median of the training part, drop the rows, or error: refuse the table",
        "RULE",
        parse=word(*WAYS_WITH_MISSING),
    )
    separator: str | None = _row(
        None, READ, "between the cells of a text file: one character, or tab", "CHAR", parse=one_character
    )
    decimal: str | None = _row(None, READ, "the decimal sign of a text file", "CHAR", parse=word(".", ","))
    encoding: str | None = _row(
        None, READ, "of a text file that is not UTF-8, such as latin-1", "NAME", parse=encoding_called
    )
    threads: int | None = _number(
        None, RUN, "processes that fit at the same time, with one thread each (all cores)", 1, 1024
    )
    seed: int = _number(0, COMPARED, "decides every random choice", 0, 2**63 - 1)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None or field.default is not None:
                checked = field.metadata["option"].check(field.name, value)
                object.__setattr__(self, field.name, checked)

    @classmethod
    def among(cls, arguments: dict[str, Any]) -> Choices:
        """The choices among the arguments of a call, which may hold others."""
        return cls(**{name: arguments[name] for name in DEFAULTS if name in arguments})


DEFAULTS = {field.name: field.default for field in dataclasses.fields(Choices)}
OPTIONS: dict[str, Option] = {field.name: field.metadata["option"] for field in dataclasses.fields(Choices)}
