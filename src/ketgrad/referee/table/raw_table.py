"""A table as it stands in its source, what refuses it, and which of its rows are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.foundation.errors import KetgradOSError, KetgradValueError, missing_extra
from ketgrad.foundation.seeds import stream

LONGEST_CELL = 131_072  # bytes or characters; the csv module has the same bound


class InputMissing(KetgradOSError):
    """The file is not there, or is nothing that can be read as a file."""

    exit_code = 66


class InputForbidden(KetgradOSError):
    """The file may not be read by this user."""

    exit_code = 77


class InputChanged(KetgradOSError):
    """The file was written to while it was read."""

    exit_code = 75


class BadTable(KetgradValueError):
    """The content of the table is at fault; the message names the place and the way out."""

    exit_code = 65


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in its source.

    frame: pandas DataFrame; columns of a text file hold str or None (empty cell). places: where each row
    comes from, "line 7" or "row 6", for messages. rows_in_source: before sampling. The rest describes the
    file, or is None.
    """

    name: str
    frame: Any
    places: tuple[str, ...]
    rows_in_source: int
    warnings: tuple[str, ...]
    path: str | None = None
    sha256: str | None = None
    separator: str | None = None
    encoding: str | None = None


def check_names(names: list[str]) -> None:
    """Refuse a table without columns, or with two of one name."""
    if not names:
        raise BadTable("the table has no columns.")
    seen: set[str] = set()
    doubled = sorted({name for name in names if name in seen or seen.add(name)})
    if doubled:
        shown = ", ".join(repr(name[:60]) for name in doubled[:10])
        raise BadTable(
            f"column names must differ - a column is chosen by its name - but {shown} occurs more than once."
        )


def sample_indices(total: int, rows: int | None, seed: int) -> np.ndarray:
    """The numbers of the rows that are used, in their order: all, or `rows` of them drawn at random."""
    if rows is None or rows >= total:
        return np.arange(total)
    return np.sort(stream(seed, 0).choice(total, size=rows, replace=False))


def note_on_sample(rows: int | None, total: int) -> tuple[str, ...]:
    """What is told of a table of which only a part is used."""
    if rows is None or rows >= total:
        return ()
    return (f"Only {rows} of {total} rows were used, drawn at random.",)


def import_pandas() -> Any:
    """The module pandas, or the refusal that says how to install it."""
    try:
        import pandas
    except ImportError:
        raise missing_extra("pandas", "compare") from None
    return pandas
