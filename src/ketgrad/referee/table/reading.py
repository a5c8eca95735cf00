"""Reading a table: CSV, TSV or Parquet files and tables in memory, with every refusal before work is done.

A text file is read by one strict pass (`csv_reader`), a Parquet file by a process of its own (`parquet`), after its
schema has been checked. Only regular files are opened, and nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.referee.table import csv_reader, parquet
from ketgrad.referee.table.csv_dialect import dialect_of
from ketgrad.referee.table.csv_limits import reserve_for_text
from ketgrad.referee.table.files import (
    GZIP,
    PARQUET,
    open_regular,
    refuse_changed,
    refuse_foreign_formats,
)
from ketgrad.referee.table.raw_table import (
    BadTable,
    RawTable,
    check_names,
    import_pandas,
    note_on_sample,
    sample_indices,
)


def read_table(
    source: Any,
    *,
    rows: int | None = None,
    seed: int = 0,
    separator: str | None = None,
    encoding: str | None = None,
) -> RawTable:
    """The table at a path, or in memory (a DataFrame, a mapping of columns, or a 2-D array).

    rows: at most this many rows, drawn without replacement from all (the draw depends on `seed` alone);
    memory is then bounded by the sample. separator and encoding: None to detect a separator and to expect
    UTF-8. Cost: two passes over the file (hash, content). Raises `InputMissing`, `InputForbidden`,
    `InputChanged`, `BadTable`, and `KetgradMemoryError` from the size of the file, before it is read.
    """
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 1):
        raise KetgradValueError(f"`rows` must be a positive whole number, but is {rows!r}.")
    if isinstance(source, str | os.PathLike):
        return _read_file(os.fspath(source), rows, seed, separator, encoding)
    return _from_memory(source, rows, seed)


def _from_memory(source: Any, rows: int | None, seed: int) -> RawTable:
    frame = _frame_of(source)
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    check_names(list(frame.columns))
    total = len(frame)
    if total == 0:
        raise BadTable("the table has no rows.")
    chosen = sample_indices(total, rows, seed)
    return RawTable(
        name="table",
        frame=frame.iloc[chosen].reset_index(drop=True),
        places=tuple(f"row {i}" for i in chosen),
        rows_in_source=total,
        warnings=note_on_sample(rows, total),
    )


def _frame_of(source: Any) -> Any:
    """What was given as a pandas DataFrame."""
    pandas = import_pandas()
    if hasattr(source, "toarray") and hasattr(source, "nnz"):
        raise KetgradTypeError("sparse input is not supported; pass `table.toarray()` as a table of numbers.")
    if isinstance(source, pandas.DataFrame):
        return source
    if isinstance(source, dict):
        try:
            return pandas.DataFrame(source)
        except ValueError as error:
            raise BadTable(f"the columns do not form a table: {error}.") from error
    if isinstance(source, np.ndarray) and source.ndim == 2:
        return pandas.DataFrame(source, columns=[f"x{j}" for j in range(source.shape[1])])
    raise KetgradTypeError(
        "`table` must be a path, a pandas DataFrame, a mapping of columns or a 2-D array,"
        f" but is {type(source).__name__}."
    )


def _read_file(
    path: str, rows: int | None, seed: int, separator: str | None, encoding: str | None
) -> RawTable:
    with open_regular(path) as binary:
        before = os.fstat(binary.fileno())
        head = binary.read(65536)
        binary.seek(0)
        refuse_foreign_formats(path, head)
        is_parquet = head.startswith(PARQUET)
        if not is_parquet and not head.startswith(GZIP) and rows is None:
            reserve_for_text(path, before.st_size, head, dialect_of(path, head, separator, encoding))
        digest = hashlib.file_digest(binary, "sha256").hexdigest()
        binary.seek(0)
        if is_parquet:
            table = _read_parquet(path, binary, rows, seed)
        else:
            table = csv_reader.read_text(path, binary, head, rows, seed, separator, encoding)
        refuse_changed(path, before, os.fstat(binary.fileno()))
    return replace(table, name=Path(path).name, path=path, sha256=digest)


def _read_parquet(path: str, binary: io.BufferedReader, rows: int | None, seed: int) -> RawTable:
    table, total = parquet.decode(path, binary, rows, seed)
    frame = _frame_of_arrow(path, table)
    places = tuple(f"row {i}" for i in sample_indices(total, rows, seed))
    return RawTable(
        name="", frame=frame, places=places, rows_in_source=total, warnings=note_on_sample(rows, total)
    )


def _frame_of_arrow(path: str, table: Any) -> Any:
    """A pyarrow Table as a DataFrame; a file may hold days and zones that Python does not know."""
    import pyarrow

    for name in table.column_names:
        column = table.column(name)
        if pyarrow.types.is_time64(column.type):  # pandas takes no nanoseconds
            table = table.set_column(
                table.column_names.index(name), name, column.cast(pyarrow.time64("us"), safe=False)
            )
    try:
        return table.to_pandas(ignore_metadata=True)
    except (pyarrow.ArrowException, ValueError, OverflowError, LookupError) as error:
        if isinstance(error, MemoryError):
            raise
        raise BadTable(
            f"{path!r} holds a day or a time zone that cannot be read: {str(error)[:100].rstrip('.')}."
        ) from error
