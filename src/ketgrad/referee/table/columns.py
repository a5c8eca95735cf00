"""What the columns of a table mean: numbers, categories, dates, text; and what no model can use.

Only the form of the cells decides, never the target and never a statistic: those belong inside the folds.
Words such as "NA" mean "missing" only in a column whose other cells are all numbers or dates; elsewhere they
are the words they are (Namibia is NA), and their count is reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ketgrad.foundation.errors import KetgradValueError, near_matches
from ketgrad.referee.results import Column, DroppedColumn
from ketgrad.referee.table.cells import ColumnReading, advice_on_column, understand_column
from ketgrad.referee.table.raw_table import BadTable, RawTable


@dataclass(frozen=True)
class Understood:
    """A table whose columns have a meaning.

    frame: pandas DataFrame of the used columns: float64 (number), category (category, boolean), str (text),
    datetime64 (date). columns: all columns in the order of the file, the target left out. decimal: "," or
    ".".
    """

    frame: Any
    columns: tuple[Column, ...]
    warnings: tuple[str, ...]
    decimal: str

    def names(self, *kinds: str) -> list[str]:
        """Names of the used columns of these kinds."""
        return [column.name for column in self.columns if column.used and column.kind in kinds]

    @property
    def dropped(self) -> tuple[DroppedColumn, ...]:
        """The columns that no model sees."""
        return tuple(DroppedColumn(c.name, c.handling) for c in self.columns if not c.used)


def understand(
    table: RawTable,
    target: str,
    *,
    drop: Iterable[str] = (),
    text: Iterable[str] = (),
    decimal: str | None = None,
) -> Understood:
    """The meaning of every column but the target.

    drop: columns to leave out. text: columns whose cells are words even if they look like numbers (codes, zip
    codes). decimal: "." or ","; None to decide per column. Raises `BadTable` for a column that is empty, that
    holds infinite or overflowing numbers, or that is numbers but for a few cells; and if no column is left.
    """
    dropped, words = set(drop), set(text)
    for name in (*sorted(dropped), *sorted(words)):
        check_column(table, name)
    if decimal not in (None, ".", ","):
        raise KetgradValueError(f"`decimal` must be '.' or ',', but is {decimal!r}.")
    readings = []
    for name in table.frame.columns:
        if name == target:
            continue
        if name in dropped:
            left_out = ColumnReading(name, table.places, advice_on_column(name), "dropped")
            left_out.reason = "left out on request"
            readings.append(left_out)
        else:
            readings.append(understand_column(table.frame[name], name, table.places, name in words, decimal))
    used = {reading.name: reading.values for reading in readings if not reading.reason}
    if not used:
        _refuse_no_information(readings)
    warnings = [warning for reading in readings for warning in reading.warnings]
    decimals = {reading.decimal for reading in readings if reading.kind == "number"}
    frame = type(table.frame)(used, index=table.frame.index, copy=False)
    columns = tuple(reading.column() for reading in readings)
    return Understood(frame, columns, tuple(warnings), "," if "," in decimals else ".")


def check_column(table: RawTable, name: str) -> None:
    """Raise unless the table has a column called `name`; near names are offered."""
    if name not in table.frame.columns:
        offer = near_matches(name, [str(column)[:60] for column in table.frame.columns])
        raise BadTable(f"there is no column {name!r} in {table.name!r}. {offer}")


def _refuse_no_information(readings: list[ColumnReading]) -> None:
    if not readings:
        raise BadTable("the table has no column besides the target: no information to predict from.")
    reasons = "; ".join(f"{reading.name[:60]!r} is {reading.reason}" for reading in readings[:5])
    raise BadTable(f"the columns hold no information to predict from: {reasons}.")
