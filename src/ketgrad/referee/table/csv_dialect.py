"""How the text of a file is encoded and divided: detected from its beginning, or as told."""

from __future__ import annotations

import codecs
import csv
from dataclasses import dataclass

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.referee.table.raw_table import BadTable

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True)
class Dialect:
    """How the text of a file is divided."""

    separator: str
    encoding: str


def dialect_of(path: str, head: bytes, separator: str | None, encoding: str | None) -> Dialect:
    """How the file that begins with `head` is divided; None stands for what is found out.

    Raises `BadTable` for UTF-16 that was not announced, `KetgradValueError` for what is no encoding of texts.
    """
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
    return Dialect(separator or _detect_separator(sample), chosen)


def _sample(head: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)("replace").decode(head)


def _whole_lines(sample: str) -> list[str]:
    lines = sample.splitlines(keepends=True)
    return lines[:-1] if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")) else lines


def first_records(head: bytes, dialect: Dialect) -> list[list[str]]:
    """The whole records of a file that begins with `head`, the blank ones left out."""
    return _records_of(_whole_lines(_sample(head, dialect.encoding)), dialect.separator)


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


def wrong_encoding(path: str, encoding: str, error: UnicodeDecodeError) -> BadTable:
    """The refusal of a file with a byte that its encoding does not have."""
    byte = error.object[error.start]
    name = "UTF-8" if encoding == "utf-8-sig" else encoding
    return BadTable(
        f"{path!r} is not encoded in {name}: it contains the byte 0x{byte:02x} ({error.reason})."
        " If it was written on a Western European system, pass encoding='cp1252' (--encoding cp1252)."
    )
