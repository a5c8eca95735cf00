"""From the cells of one column to numbers, categories, dates or text; or the reason why no model can use it.

Only the form of the cells decides. Words such as "NA" mean "missing" only in a column whose other cells are all numbers
or dates; elsewhere they are the words they are (Namibia is NA), and their count is reported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError
from ketgrad.referee.results import Column, TextCount
from ketgrad.referee.table.raw_table import BadTable

MAX_CATEGORIES = 40  # more different words than this are treated as text
LARGEST = 1e100  # beyond, the square of a number overflows in sums
MISSING_WORDS = frozenset(
    "NA N/A n/a #N/A <NA> NaN nan NAN -nan NULL Null null None none NONE ? - -- .".split()
)
INFINITE_WORDS = frozenset(
    f"{sign}{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF", "infinity", "Infinity")
)
BOOLEAN_WORDS = ({"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"}, {"on", "off"})
POINT_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
COMMA_NUMBER = re.compile(r"[+-]?([0-9]+,?[0-9]*|,[0-9]+)([eE][+-]?[0-9]+)?")
DATE_FORMATS = (
    ("%Y-%m-%d", "year-month-day"),
    ("ISO8601", "year-month-day and time"),
    ("%Y/%m/%d", "year/month/day"),
    ("%d.%m.%Y", "day.month.year"),
    ("%d/%m/%Y", "day/month/year"),
    ("%m/%d/%Y", "month/day/year"),
    ("%d-%b-%Y", "day-month-year"),
    ("%d %B %Y", "day month year"),
)
HANDLING = {
    "number": "scaled to mean 0 and deviation 1; missing values become the median, with a column that says so",
    "category": "one column of 0 and 1 per value seen in training; a value not seen there gives zeros",
    "boolean": "one column of 0 and 1; a value not seen in training gives zero",
    "text": "ten numbers from the groups of letters that occur in it (tf-idf and a singular value decomposition)",
    "date": "year, month, day, hour (where times are given), weekday and total seconds as numbers",
}


@dataclass(frozen=True)
class Advice:
    """The ways out that a refusal offers: for cells that are no numbers one can use, for a few words, for no value."""

    cells: str
    words: str
    empty: str


def advice_on_column(name: str) -> Advice:
    """A column may be left out."""
    drop, text = f"drop=[{name!r}] (--drop)", f"text=[{name!r}] (--text)"
    return Advice(
        f"Correct or empty the cells, or leave the column out: {drop}.",
        f"Correct or empty the cells; or say that the column is text: {text}; or leave it out: {drop}.",
        f"Leave it out: {drop}.",
    )


def advice_on_target(name: str) -> Advice:
    """The target cannot be left out, and a row without an answer is of no use."""
    return Advice(
        "It is the target: correct the cells, or remove their rows.",
        "It is the target: correct the cells, or remove their rows; or say that the answers are words:"
        f" text=[{name!r}] (--text).",
        "It is the target: choose a column that holds answers.",
    )


@dataclass
class ColumnReading:
    """One column while it is being understood: cells are str or None, `values` is the typed result."""

    name: str
    places: Sequence[str]
    advice: Advice
    kind: str = ""
    values: Any = None
    missing: int = 0
    distinct: int = 0
    kept_as_text: tuple[TextCount, ...] = ()
    warnings: list[str] = field(default_factory=list)
    decimal: str = "."
    reason: str = ""

    def column(self) -> Column:
        """The finished description."""
        return Column(
            name=self.name,
            kind=self.kind,
            missing=self.missing,
            distinct=self.distinct,
            used=not self.reason,
            handling=self.reason or HANDLING.get(self.kind, ""),
            kept_as_text=self.kept_as_text,
        )


def understand_column(
    cells: Any,
    name: str,
    places: Sequence[str],
    as_text: bool = False,
    decimal: str | None = None,
    advice: Advice | None = None,
) -> ColumnReading:
    """One pandas Series as numbers, categories, dates or text, or the reason why it is not used.

    advice: what refusals offer, None for that on a column which may be left out.
    """
    reading = ColumnReading(name, places, advice or advice_on_column(name))
    typed = None if as_text else _typed_values(cells, reading)
    if typed is None:
        words = _words(cells, reading)
        typed = _read_words(words, reading, as_text, decimal)
    reading.values = typed
    _finish(reading)
    return reading


def _typed_values(cells: Any, reading: ColumnReading) -> Any:
    """The values of a column that already has a type, or None for words."""
    import pandas as pd

    kind = cells.dtype
    if isinstance(kind, pd.SparseDtype):
        raise KetgradTypeError(
            f"the column {reading.name!r} is sparse, which is not supported; make it dense."
        )
    if pd.api.types.is_complex_dtype(kind):
        raise KetgradTypeError(
            f"the column {reading.name!r} holds complex numbers; split them into real and imaginary parts."
        )
    if pd.api.types.is_datetime64_any_dtype(kind):
        reading.kind = "date"
        return cells.dt.tz_convert("UTC").dt.tz_localize(None) if cells.dt.tz is not None else cells
    if pd.api.types.is_timedelta64_dtype(kind):
        return _number(cells.dt.total_seconds(), reading)
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        if pd.api.types.is_integer_dtype(kind):
            _warn_rounding(reading, (int(value) for value in cells.dropna().unique()))
        return _number(cells.astype("float64"), reading)
    return None


def _words(cells: Any, reading: ColumnReading) -> list[str | None]:
    """Every cell as stripped text, or None where it is missing."""
    import pandas as pd

    absent = cells.isna().to_numpy()
    words: list[str | None] = []
    for i, value in enumerate(cells.tolist()):
        if type(value) is str:
            words.append(value.strip() or None)
        elif absent[i]:
            words.append(None)
        elif isinstance(value, list | dict | set | tuple | np.ndarray | complex | pd.DataFrame):
            raise KetgradTypeError(
                f"the column {reading.name!r}, {reading.places[i]}: a cell must be one value, but is"
                f" {type(value).__name__}."
            )
        elif isinstance(value, int) and abs(value) > LARGEST:
            raise BadTable(
                f"the column {reading.name!r}, {reading.places[i]}: a whole number of {value.bit_length()} bits is too"
                f" large to compute with (the limit is {LARGEST:g}). {reading.advice.cells}"
            )
        else:
            words.append(str(value).strip() or None)
    return words


def _read_words(words: list[str | None], reading: ColumnReading, as_text: bool, decimal: str | None) -> Any:
    different = {word for word in words if word is not None}
    if not as_text:
        for read in (_numbers_from, _dates_from):
            if (values := read(words, different, reading, decimal)) is not None:
                return values
    reading.kept_as_text = tuple(
        TextCount(word, words.count(word))
        for word in sorted(different & MISSING_WORDS - {"-", "--", ".", "?"})
    )
    return _categories_from(words, different, reading)


def _numbers_from(
    words: list[str | None], different: set[str], reading: ColumnReading, decimal: str | None
) -> Any:
    """float64 values if every cell is a number (or says "missing"); None if this column is not one of numbers."""
    points = {word for word in different if POINT_NUMBER.fullmatch(word)}
    settled = decimal == "." or (decimal is None and different <= points | MISSING_WORDS)
    commas = set() if settled else {word for word in different if COMMA_NUMBER.fullmatch(word)}
    use_comma = decimal == "," or (decimal is None and bool(commas - points) and not points - commas)
    numbers = commas if use_comma else points
    rest = different - numbers - MISSING_WORDS - INFINITE_WORDS
    if not numbers:
        return None
    if rest:
        _refuse_few_words(words, rest, reading)
        return None
    reading.decimal = "," if use_comma else "."
    if use_comma:
        reading.warnings.append(f"The column {_short(reading.name)} uses a decimal comma; it was detected.")
    meaning = {word: float(word.replace(",", ".")) for word in numbers}
    meaning |= {word: float(word) for word in different & INFINITE_WORDS}
    meaning |= {word: math.nan for word in different & MISSING_WORDS}
    said = sum(word in MISSING_WORDS for word in words if word is not None)
    if said:
        shown = ", ".join(repr(word) for word in sorted(different & MISSING_WORDS))
        cells = "cell" if said == 1 else "cells"
        reading.warnings.append(
            f"In the number column {_short(reading.name)}, {said} {cells} ({shown}) were read as missing."
        )
    values = _number(_series([math.nan if word is None else meaning[word] for word in words]), reading)
    _warn_rounding(reading, _whole_numbers(numbers))  # only now: those that are left are at most LARGEST
    return values


def _whole_numbers(words: Iterable[str]) -> Iterator[int]:
    """The whole numbers among `words`, exactly; Python refuses to read thousands of digits, zeros in front too."""
    for word in words:
        digits = word.lstrip("+-")
        if digits.isdigit():
            yield int(digits.lstrip("0") or "0") * (-1 if word.startswith("-") else 1)


def _refuse_few_words(words: list[str | None], rest: set[str], reading: ColumnReading) -> None:
    """A column that is numbers but for a few cells holds a fault more often than a category: ask."""
    strange = [i for i, word in enumerate(words) if word in rest]
    present = sum(word is not None for word in words)
    if len(strange) * 10 <= present:
        first = strange[0]
        name = reading.name
        raise BadTable(
            f"the column {name!r} holds numbers, but not in {reading.places[first]}: {words[first]!r}"
            f" ({len(strange)} of {present} cells). {reading.advice.words}"
        )
    reading.warnings.append(
        f"The column {_short(reading.name)} mixes numbers and words; every cell was taken as a word."
    )


def _number(values: Any, reading: ColumnReading) -> Any:
    reading.kind = "number"
    array = values.to_numpy(dtype=float, na_value=math.nan)
    infinite = np.flatnonzero(np.isinf(array) | (np.abs(array) > LARGEST))
    if len(infinite):
        first = int(infinite[0])
        raise BadTable(
            f"the column {reading.name!r}, {reading.places[first]}: {float(array[first])!r} is infinite or too large to"
            f" compute with ({len(infinite)} such cells; the limit is {LARGEST:g}). {reading.advice.cells}"
        )
    return _series(array)


def _warn_rounding(reading: ColumnReading, integers: Iterable[int]) -> None:
    rounded = [value for value in integers if abs(value) > 2**53 and int(float(value)) != value]
    if rounded:
        reading.warnings.append(
            f"The column {_short(reading.name)} holds whole numbers above 2^53, such as {rounded[0]}; they were"
            " rounded to 16 digits."
        )


def _dates_from(
    words: list[str | None], different: set[str], reading: ColumnReading, decimal: str | None
) -> Any:
    """datetime64 values if one format fits every cell; None otherwise."""
    import pandas as pd

    said = different & MISSING_WORDS
    candidates = sorted(different - said)
    if not candidates or not all(len(word) >= 8 and word[0].isdigit() for word in candidates[:50]):
        return None
    cells = pd.Series([None if word in said else word for word in words], dtype=object)
    fitting = []
    for pattern, spoken in DATE_FORMATS:
        values = pd.to_datetime(cells, format=pattern, errors="coerce", utc=True)
        if values.notna().sum() == cells.notna().sum():
            fitting.append((spoken, values.dt.tz_localize(None)))
    if not fitting:
        return None
    reading.kind = "date"
    if fitting[0][0] == "day/month/year" and any(spoken == "month/day/year" for spoken, _ in fitting):
        reading.warnings.append(
            f"The dates of {_short(reading.name)} could be day/month or month/day; they were read as day/month."
        )
    return fitting[0][1]


def _categories_from(words: list[str | None], different: set[str], reading: ColumnReading) -> Any:
    import pandas as pd

    if len(different) <= MAX_CATEGORIES:
        lowered = {word.lower() for word in different}
        is_boolean = len(different) == 2 and any(lowered == pair for pair in BOOLEAN_WORDS)
        reading.kind = "boolean" if is_boolean else "category"
        return pd.Series(pd.Categorical(words, categories=sorted(different)))
    present = sum(word is not None for word in words)
    if len(different) == present and not any(" " in word for word in different):
        reading.kind, reading.reason = "identifier", "a different word in every row (an identifier)"
        reading.warnings.append(
            f"The column {_short(reading.name)} was left out: it holds a different word in every row."
        )
    else:
        reading.kind = "text"
    return pd.Series([word or "" for word in words], dtype=object)


def _finish(reading: ColumnReading) -> None:
    """Counts, and the columns that no model can use: empty, constant, row numbers."""
    values = reading.values
    absent = values.eq("") if reading.kind == "text" else values.isna()
    reading.missing = int(absent.sum())
    reading.distinct = int(values[~absent].nunique())
    name = _short(reading.name)
    if reading.distinct == 0:
        raise BadTable(
            f"the column {reading.name!r} is empty - it holds no value at all. {reading.advice.empty}"
        )
    if reading.distinct == 1 and reading.missing == 0:
        reading.kind, reading.reason = "constant", "constant (always the same value)"
        reading.warnings.append(f"The column {name} was left out: it always holds the same value.")
    elif reading.kind == "number" and len(values) > 10 and _counts_rows(values.to_numpy()):
        reading.kind, reading.reason = "identifier", "a row number"
        reading.warnings.append(f"The column {name} was left out: it only numbers the rows.")


def _counts_rows(values: np.ndarray) -> bool:
    return values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))


def _series(values: Any) -> Any:
    import pandas as pd

    return pd.Series(np.asarray(values, dtype=float))


def _short(name: str) -> str:
    """A column name for a sentence: quoted, and cut if it is long."""
    return repr(name if len(name) <= 60 else name[:57] + "...")
