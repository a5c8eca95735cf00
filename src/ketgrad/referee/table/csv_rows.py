"""Reading a table: CSV, TSV or Parquet files and tables in memory, with every refusal before work is done.

A text file is read by one strict pass of the standard library's `csv` reader, so that a wrong number of
fields is found with its line number; cells stay the text that they are until `columns.understand` decides. A
Parquet file is read by pyarrow, after its schema has been checked. Only regular files are opened, and nothing
is ever downloaded.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import heapq
import io
import itertools
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ketgrad.foundation.errors import (
    KetgradMemoryError,
    KetgradOSError,
    KetgradTypeError,
    KetgradValueError,
    missing_extra,
    near_matches,
)
from ketgrad.foundation.memory import available_bytes, readable, reserve
from ketgrad.foundation.seeds import stream

GZIP = b"\x1f\x8b"
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# What a row and a cell of a text file cost at the peak, beyond the characters: as strings, in lists, in the frame.
BYTES_PER_ROW, BYTES_PER_CELL = 360, 105
BYTES_OF_BUFFERS = 2**24
MAX_COLUMNS = 20_000
LONGEST_CELL = 131_072  # bytes or characters; the csv module has the same bound
LONGEST_RECORD = 2**24  # bytes of one row
MOST_BLANK_LINES = 10**6
ROWS_AT_A_TIME = 1000
WAY_OUT = "Use a part of it: rows=2000 (--rows 2000)."


Record = tuple[int, list[str]]  # line, fields


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


@dataclass(frozen=True)
class _Layout:
    """How the text of a file is divided."""

    separator: str
    encoding: str


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


def check_file(path: str) -> None:
    """Raise at once what `read_table` would say of this path: missing, empty, no file, or of another format."""
    with _open_regular(path) as binary:
        _refuse_foreign_formats(path, binary.read(65536))


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise missing_extra("pandas", "compare") from None
    return pandas


# ------------------------------------------------------------------------------------------ tables in memory


def _from_memory(source: Any, rows: int | None, seed: int) -> RawTable:
    pandas = _pandas()
    if hasattr(source, "toarray") and hasattr(source, "nnz"):
        raise KetgradTypeError("sparse input is not supported; pass `table.toarray()` as a table of numbers.")
    if isinstance(source, pandas.DataFrame):
        frame = source
    elif isinstance(source, dict):
        try:
            frame = pandas.DataFrame(source)
        except ValueError as error:
            raise BadTable(f"the columns do not form a table: {error}.") from error
    elif isinstance(source, np.ndarray) and source.ndim == 2:
        frame = pandas.DataFrame(source, columns=[f"x{j}" for j in range(source.shape[1])])
    else:
        raise KetgradTypeError(
            "`table` must be a path, a pandas DataFrame, a mapping of columns or a 2-D array,"
            f" but is {type(source).__name__}."
        )
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    check_names(list(frame.columns))
    total = len(frame)
    if total == 0:
        raise BadTable("the table has no rows.")
    chosen = sample_indices(total, rows, seed)
    places = tuple(f"row {i}" for i in chosen)
    return RawTable("table", frame.iloc[chosen].reset_index(drop=True), places, total, _sampled(rows, total))


def sample_indices(total: int, rows: int | None, seed: int) -> np.ndarray:
    """The numbers of the rows that are used, in their order: all, or `rows` of them drawn at random."""
    if rows is None or rows >= total:
        return np.arange(total)
    return np.sort(stream(seed, 0).choice(total, size=rows, replace=False))


def _sampled(rows: int | None, total: int) -> tuple[str, ...]:
    if rows is None or rows >= total:
        return ()
    return (f"Only {rows} of {total} rows were used, drawn at random.",)


# ----------------------------------------------------------------------------------------------------- files


def _read_file(
    path: str, rows: int | None, seed: int, separator: str | None, encoding: str | None
) -> RawTable:
    with _open_regular(path) as binary:
        before = os.fstat(binary.fileno())
        head = binary.read(65536)
        binary.seek(0)
        _refuse_foreign_formats(path, head)
        parquet = head.startswith(b"PAR1")
        if not parquet and not head.startswith(GZIP) and rows is None:
            _reserve_for_text(path, before.st_size, head, _layout(path, head, separator, encoding))
        digest = hashlib.file_digest(binary, "sha256").hexdigest()
        binary.seek(0)
        if parquet:
            table = _read_parquet(path, binary, rows, seed)
        else:
            table = _read_text(path, binary, head, rows, seed, separator, encoding)
        _refuse_changed(path, before, os.fstat(binary.fileno()))
    named = {"name": Path(path).name, "path": path, "sha256": digest}
    return RawTable(**{**vars(table), **named})


def _open_regular(path: str) -> io.BufferedReader:
    """The file, opened without ever waiting: a FIFO, device, folder, address or loop is refused at once."""
    if "://" in path:
        raise InputMissing(
            f"{path!r} is a web address - ketgrad opens no connections. Download it, then pass the file."
        )
    if "\0" in path:
        raise InputMissing(f"{path!r} is not a file name: it contains a NUL character.")
    try:
        _refuse_irregular(path, os.stat(path).st_mode)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise InputMissing(f"there is no file {path!r}. {_neighbours(path)}".rstrip()) from None
    except PermissionError:
        raise InputForbidden(f"the file {path!r} may not be read by this user.") from None
    except KetgradOSError:
        raise
    except OSError as error:  # a loop of links, a name that is too long, a failing disk
        raise InputMissing(f"the file {path!r} cannot be opened: {error.strerror}.") from error
    binary = os.fdopen(descriptor, "rb")
    try:
        _refuse_irregular(path, os.fstat(descriptor).st_mode)  # it may have been exchanged since
    except KetgradOSError:
        binary.close()
        raise
    return binary


def _refuse_irregular(path: str, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFCHR: "a device",
        stat.S_IFSOCK: "a socket",
    }
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    raise InputMissing(f"{path!r} is {kind}, not a file. Pass a CSV, TSV or Parquet file.")


def _neighbours(path: str) -> str:
    folder = Path(path).parent
    try:
        names = [entry.name for entry in folder.iterdir()][:1000]
    except OSError:
        return ""
    offer = near_matches(Path(path).name, names) if names else ""
    return offer if offer.startswith("Did you") else ""


def _refuse_foreign_formats(path: str, head: bytes) -> None:
    if not head:
        raise BadTable(f"{path!r} is empty: no rows.")
    for magic, what in (
        (b"PK\x03\x04", "a zip archive or a spreadsheet; unpack it, or save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0", "an old spreadsheet; save the sheet as CSV"),
        (b"%PDF", "a PDF document"),
        (b"SQLite format 3", "a database; export the table as CSV"),
        (b"BZh", "compressed with bzip2; unpack it first"),
        (b"\xfd7zXZ", "compressed with xz; unpack it first"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    ):
        if head.startswith(magic):
            raise BadTable(f"{path!r} is {what}. ketgrad reads CSV, TSV and Parquet.")


def _refuse_changed(path: str, before: os.stat_result, after: os.stat_result) -> None:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputChanged(f"the file {path!r} changed while it was read. Try again when it is complete.")


def _reserve_for_text(path: str, size: int, head: bytes, layout: _Layout) -> None:
    """Refuse a file at once that would not fit into memory if all of it is like its first records."""
    records = _records_of(_whole_lines(_sample(head, layout.encoding)), layout.separator)
    need = size * max(1, sum(_cost(len(record), len(head) // len(records)) for record in records) / len(head))
    reserve(int(need), f"reading the {readable(size)} of {path!r}", WAY_OUT)


def _cost(cells: int, characters: int) -> int:
    """Bytes that a row takes at the peak of reading."""
    return BYTES_PER_ROW + BYTES_PER_CELL * cells + characters


def _own_cost(record: Record) -> int:
    return _cost(len(record[1]), 4 * sum(map(len, record[1])))


class _Budget:
    """The memory that the rows of a file may take: they are counted as they come, for no file says it before."""

    def __init__(self, path: str, source: _Watched) -> None:
        self._path, self._source = path, source
        self._room, self.taken = available_bytes(), BYTES_OF_BUFFERS

    def take(self, records: list[Record]) -> None:
        """Count some more, with everything that was read for them; raises `KetgradMemoryError` if they are too many."""
        self.taken += len(records) * _cost(len(records[0][1]), 0)
        self._compare(self.taken + self._source.width)

    def exchange(self, new: Record, old: Record | None) -> None:
        """Count `new`, which is kept in place of `old`; raises `KetgradMemoryError` if too much is kept."""
        self.taken += _own_cost(new) - (0 if old is None else _own_cost(old))
        self._compare(self.taken)

    def _compare(self, need: int) -> None:
        if need > self._room:
            raise KetgradMemoryError(
                f"{self._path!r} holds more rows than the {readable(self._room)} that are usable on this machine."
                f" {WAY_OUT}"
            )


# ------------------------------------------------------------------------------------------------ text files


class _Watched(io.RawIOBase):
    """The bytes of a file on their way to the csv module, which by itself would take a row of any length into memory.

    since: bytes after the last whole record; whoever completes one sets it to 0. width: bytes that all characters so
    far take as text. limit: of a compressed file, for a small one can unpack to any size.
    """

    def __init__(self, inner: Any, path: str, limit: int | None = None) -> None:
        self._inner, self._path, self._limit = inner, path, limit
        self.since = self.width = self._read = 0
        self._narrow = self._wide_until = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BadTable(f"the compressed file {self._path!r} is damaged: {error}.") from error
        self._read += len(data)
        self.since += len(data)
        self._count_width(data)
        if self._limit is not None and self._read > self._limit:
            raise BadTable(
                f"{self._path!r} unpacks to more than {readable(self._limit)} - the memory of this machine does"
                " not hold more. Unpack it yourself and use a part of it: rows=2000 (--rows 2000)."
            )
        if self.since > LONGEST_RECORD:
            raise BadTable(
                f"{self._path!r} has a row of more than {readable(LONGEST_RECORD)}, which is no row of a table."
            )
        buffer[: len(data)] = data
        return len(data)

    def _count_width(self, data: bytes) -> None:
        """One character that is not ASCII can make all of its cell take four bytes each, before it and after it."""
        if not data.isascii():
            self.width += 3 * min(self._narrow, LONGEST_CELL)
            self._wide_until = self._read + LONGEST_CELL
        wide = self._read <= self._wide_until and self._wide_until > 0
        self._narrow = 0 if wide else self._narrow + len(data)
        self.width += 4 * len(data) if wide else len(data)


def _read_text(
    path: str,
    binary: io.BufferedReader,
    head: bytes,
    rows: int | None,
    seed: int,
    separator: str | None,
    encoding: str | None,
) -> RawTable:
    source = _Watched(binary, path)
    if head.startswith(GZIP):
        limit = available_bytes()
        head = io.BufferedReader(_Watched(gzip.GzipFile(fileobj=binary), path, limit)).read(65536)
        binary.seek(0)
        source = _Watched(gzip.GzipFile(fileobj=binary), path, limit)
    layout = _layout(path, head, separator, encoding)
    buffered = io.BufferedReader(source, 2**16)
    text = io.TextIOWrapper(buffered, encoding=layout.encoding, newline="")
    try:
        return _parse(path, text, source, layout, rows, seed)
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, layout.encoding, error) from error
    except UnicodeError as error:  # of codecs that are not for whole texts
        raise BadTable(f"{path!r} is not encoded in {layout.encoding}: {error}.") from error
    finally:
        text.detach()  # the caller closes the file, after it has looked whether the file changed


def _layout(path: str, head: bytes, separator: str | None, encoding: str | None) -> _Layout:
    if encoding is None:
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise BadTable(f"{path!r} is encoded in UTF-16. Pass encoding='utf-16' (--encoding utf-16).")
        if head[:200].count(b"\0") > len(head[:200]) // 4:
            raise BadTable(
                f"{path!r} looks like UTF-16 or binary data. For text pass encoding='utf-16-le'"
                " (--encoding utf-16-le)."
            )
    chosen = encoding or "utf-8-sig"
    try:
        sample = _sample(head, chosen)
    except (LookupError, ValueError, TypeError, AssertionError):  # of codecs that are none of texts, too
        raise KetgradValueError(
            f"there is no encoding {encoding!r}; common ones are 'utf-8', 'utf-16', 'latin-1', 'cp1252'."
        ) from None
    if separator is not None and len(separator) != 1:
        raise KetgradValueError(f"`separator` must be one character, but is {separator!r}.")
    return _Layout(separator or _detect_separator(sample), chosen)


def _sample(head: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)("replace").decode(head)


def _whole_lines(sample: str) -> list[str]:
    lines = sample.splitlines(keepends=True)
    return lines[:-1] if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")) else lines


def _detect_separator(sample: str) -> str:
    """The separator under which most of the first records have as many fields as the header, and more than one."""
    complete = _whole_lines(sample)
    best, best_score = ",", (0.0, 0)
    for candidate in SEPARATORS:
        records = _records_of(complete[:200], candidate)
        if not records or len(records[0]) < 2:
            continue
        width = len(records[0])
        agreeing = sum(len(record) == width for record in records) / len(records)
        if (score := (round(agreeing, 1), width)) > best_score:
            best, best_score = candidate, score
    return best


def _records_of(lines: list[str], separator: str) -> list[list[str]]:
    records = []
    try:
        for record in csv.reader(lines, delimiter=separator):
            if any(cell.strip() for cell in record):
                records.append(record)
    except csv.Error:
        return records  # the strict pass will name the fault and its line
    return records


def _wrong_encoding(path: str, encoding: str, error: UnicodeDecodeError) -> BadTable:
    byte = error.object[error.start]
    name = "UTF-8" if encoding == "utf-8-sig" else encoding
    return BadTable(
        f"{path!r} is not encoded in {name}: it contains the byte 0x{byte:02x} ({error.reason})."
        " If it was written on a Western European system, pass encoding='cp1252' (--encoding cp1252)."
    )


def _parse(path: str, text: Any, source: _Watched, layout: _Layout, rows: int | None, seed: int) -> RawTable:
    reader = csv.reader(text, delimiter=layout.separator, strict=True)
    records = _records(path, reader, source, layout)
    header = next(records, None)
    if header is None:
        raise BadTable(f"{path!r} holds only blank lines: no rows.")
    names, warnings = _column_names(header[1])
    kept, total = _keep(records, rows, seed, _Budget(path, source))
    if not kept:
        raise BadTable(f"{path!r} holds a header and no rows.")
    columns = zip(*(record for _, record in kept), strict=True)
    cells = [[cell if cell.strip() else None for cell in column] for column in columns]
    frame = _pandas().DataFrame(dict(zip(names, cells, strict=True)), dtype=object)
    if layout.separator != ",":
        warnings.append(
            f"The fields are separated by {SEPARATORS.get(layout.separator, repr(layout.separator))}."
        )
    places = tuple(f"line {line}" for line, _ in kept)
    encoding = "utf-8" if layout.encoding == "utf-8-sig" else layout.encoding
    notes = (*warnings, *_sampled(rows, total))
    return RawTable("", frame, places, total, notes, separator=layout.separator, encoding=encoding)


def _records(path: str, reader: Any, source: _Watched, layout: _Layout) -> Iterator[Record]:
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
                    raise _ragged(path, line, len(record), width, layout.separator)
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


def _keep(
    records: Iterator[Record], rows: int | None, seed: int, budget: _Budget
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


# --------------------------------------------------------------------------------------------------- Parquet


def _read_parquet(path: str, binary: io.BufferedReader, rows: int | None, seed: int) -> RawTable:
    from ketgrad.referee.table import parquet

    table, total = parquet.decode(path, binary, rows, seed)
    frame = _frame(path, table)
    places = tuple(f"row {i}" for i in sample_indices(total, rows, seed))
    return RawTable("", frame, places, total, _sampled(rows, total))


def _frame(path: str, table: Any) -> Any:
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
