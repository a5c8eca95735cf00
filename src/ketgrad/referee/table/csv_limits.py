"""The memory that a text file may take: asked for from its size, then counted while its rows come."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any

from ketgrad.foundation.errors import KetgradMemoryError
from ketgrad.foundation.memory import available_bytes, readable, reserve
from ketgrad.referee.table.csv_dialect import Dialect, first_records
from ketgrad.referee.table.raw_table import LONGEST_CELL, BadTable

# What a row and a cell of a text file cost at the peak, beyond the characters: as strings, in lists, in the frame.
BYTES_PER_ROW, BYTES_PER_CELL = 360, 105
BYTES_OF_BUFFERS = 2**24
LONGEST_RECORD = 2**24  # bytes of one row
WAY_OUT = "Use a part of it: rows=2000 (--rows 2000)."

Record = tuple[int, list[str]]  # line, fields


def reserve_for_text(path: str, size: int, head: bytes, dialect: Dialect) -> None:
    """Refuse a file at once that would not fit into memory if all of it is like its first records."""
    records = first_records(head, dialect)
    need = size * max(1, sum(_cost(len(record), len(head) // len(records)) for record in records) / len(head))
    reserve(int(need), f"reading the {readable(size)} of {path!r}", WAY_OUT)


def _cost(cells: int, characters: int) -> int:
    """Bytes that a row takes at the peak of reading."""
    return BYTES_PER_ROW + BYTES_PER_CELL * cells + characters


def _own_cost(record: Record) -> int:
    return _cost(len(record[1]), 4 * sum(map(len, record[1])))


class RowBudget:
    """The memory that the rows of a file may take: they are counted as they come, for no file says it before."""

    def __init__(self, path: str, source: WatchedBytes) -> None:
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


class WatchedBytes(io.RawIOBase):
    """The bytes of a file on their way to the csv module, which by itself would take a row of any length into memory.

    since: bytes after the last whole record; whoever completes one sets it to 0. width: bytes that all characters so
    far take as text. limit: of a compressed file, for a small one can unpack to any size.
    """

    def __init__(self, inner: Any, path: str, limit: int | None = None) -> None:
        self._inner, self._path, self._limit = inner, path, limit
        self.since = self.width = self._read = 0
        self._narrow = self._wide_until = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; raises `BadTable` for a row, or for unpacked text, of a length that no table has."""
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
