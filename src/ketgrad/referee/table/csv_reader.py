"""The rows of a text file, by one strict pass of the standard library's `csv` reader.

A wrong number of fields is found with its line number. Cells stay the text that they are until `columns.understand`
decides.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import io
import itertools
from collections.abc import Iterator
from typing import Any

from ketgrad.foundation.memory import available_bytes
from ketgrad.foundation.seeds import stream
from ketgrad.referee.table.csv_dialect import SEPARATORS, Dialect, dialect_of, wrong_encoding
from ketgrad.referee.table.csv_limits import Record, RowBudget, WatchedBytes
from ketgrad.referee.table.files import GZIP
from ketgrad.referee.table.raw_table import BadTable, RawTable, check_names, import_pandas, note_on_sample

MAX_COLUMNS = 20_000
MOST_BLANK_LINES = 10**6
ROWS_AT_A_TIME = 1000


def read_text(
    path: str,
    binary: io.BufferedReader,
    head: bytes,
    rows: int | None,
    seed: int,
    separator: str | None,
    encoding: str | None,
) -> RawTable:
    """The table in a text file, which may be compressed, that begins with the bytes `head`."""
    source = WatchedBytes(binary, path)
    if head.startswith(GZIP):
        limit = available_bytes()
        head = io.BufferedReader(WatchedBytes(gzip.GzipFile(fileobj=binary), path, limit)).read(65536)
        binary.seek(0)
        source = WatchedBytes(gzip.GzipFile(fileobj=binary), path, limit)
    dialect = dialect_of(path, head, separator, encoding)
    buffered = io.BufferedReader(source, 2**16)
    text = io.TextIOWrapper(buffered, encoding=dialect.encoding, newline="")
    try:
        return _parse(path, text, source, dialect, rows, seed)
    except UnicodeDecodeError as error:
        raise wrong_encoding(path, dialect.encoding, error) from error
    except UnicodeError as error:  # of codecs that are not for whole texts
        raise BadTable(f"{path!r} is not encoded in {dialect.encoding}: {error}.") from error
    finally:
        text.detach()  # the caller closes the file, after it has looked whether the file changed


def _parse(
    path: str, text: Any, source: WatchedBytes, dialect: Dialect, rows: int | None, seed: int
) -> RawTable:
    reader = csv.reader(text, delimiter=dialect.separator, strict=True)
    records = _records(path, reader, source, dialect)
    header = next(records, None)
    if header is None:
        raise BadTable(f"{path!r} holds only blank lines: no rows.")
    names, warnings = _column_names(header[1])
    kept, total = _keep(records, rows, seed, RowBudget(path, source))
    if not kept:
        raise BadTable(f"{path!r} holds a header and no rows.")
    columns = zip(*(record for _, record in kept), strict=True)
    cells = [[cell if cell.strip() else None for cell in column] for column in columns]
    frame = import_pandas().DataFrame(dict(zip(names, cells, strict=True)), dtype=object)
    if dialect.separator != ",":
        warnings.append(
            f"The fields are separated by {SEPARATORS.get(dialect.separator, repr(dialect.separator))}."
        )
    places = tuple(f"line {line}" for line, _ in kept)
    encoding = "utf-8" if dialect.encoding == "utf-8-sig" else dialect.encoding
    return RawTable(
        name="",
        frame=frame,
        places=places,
        rows_in_source=total,
        warnings=(*warnings, *note_on_sample(rows, total)),
        separator=dialect.separator,
        encoding=encoding,
    )


def _records(path: str, reader: Any, source: WatchedBytes, dialect: Dialect) -> Iterator[Record]:
    """(line number, fields) of every record that is not blank; the first one is the header and sets the width."""
    width = None
    line = 1
    blank = 0
    try:
        for record in reader:
            source.since = 0
            if any(cell.strip() for cell in record) or (width is not None and 1 < width == len(record)):
                width = width or len(record)
                if len(record) != width:
                    raise _ragged(path, line, len(record), width, dialect.separator)
                yield line, record
            else:
                blank += 1
                if blank > MOST_BLANK_LINES:  # a small compressed file can hold hours of them
                    raise BadTable(f"{path!r} holds more than {MOST_BLANK_LINES:,} blank lines. Remove them.")
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadTable(
            f"{path!r}, line {reader.line_num}: {error}. A quoted field must be closed."
        ) from error


def _ragged(path: str, line: int, given: int, width: int, separator: str) -> BadTable:
    return BadTable(
        f"{path!r}, line {line}: {given} fields, but the header has {width} (separated by"
        f" {SEPARATORS.get(separator, repr(separator))}). Quote fields that contain the separator, or name another"
        " one: separator=';' (--separator)."
    )


def _column_names(header: list[str]) -> tuple[list[str], list[str]]:
    if len(header) > MAX_COLUMNS:
        raise BadTable(
            f"the table has {len(header)} columns; at most {MAX_COLUMNS} are read. Keep the ones that matter."
        )
    names = [name.strip() or f"column {j + 1}" for j, name in enumerate(header)]
    nameless = [f"column {j + 1}" for j, name in enumerate(header) if not name.strip()]
    check_names(names)
    return names, [f"Columns without a name are called {', '.join(map(repr, nameless))}."] if nameless else []


def _keep(
    records: Iterator[Record], rows: int | None, seed: int, budget: RowBudget
) -> tuple[list[Record], int]:
    """All records, or a uniform sample of `rows` of them in their order, in one pass; and how many there were."""
    if rows is None:
        kept: list[Record] = []
        while some := list(itertools.islice(records, ROWS_AT_A_TIME)):
            budget.take(some)
            kept += some
        return kept, len(kept)
    rng = stream(seed, 0)
    heap: list[tuple[float, int, Record]] = []
    total = 0
    for total, record in enumerate(records, start=1):
        entry = (-float(rng.random()), -total, record)  # the records with the smallest random keys stay
        if len(heap) < rows:
            heapq.heappush(heap, entry)
            budget.exchange(record, None)
        elif entry > heap[0]:
            budget.exchange(record, heapq.heapreplace(heap, entry)[2])
    return [record for _, _, record in sorted(heap, key=lambda entry: -entry[1])], total
