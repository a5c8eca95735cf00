"""Opening the file of a table without ever waiting, and refusing what is no table before a row is read."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from ketgrad.foundation.errors import KetgradOSError, near_matches
from ketgrad.referee.table.raw_table import BadTable, InputChanged, InputForbidden, InputMissing

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
FOREIGN_FORMATS = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet; unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet; save the sheet as CSV"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "a database; export the table as CSV"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
)


def check_file(path: str) -> None:
    """Raise at once what `read_table` would say of this path: missing, empty, no file, or of another format."""
    with open_regular(path) as binary:
        refuse_foreign_formats(path, binary.read(65536))


def open_regular(path: str) -> io.BufferedReader:
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


def refuse_foreign_formats(path: str, head: bytes) -> None:
    """Refuse an empty file, and one of a kind that ketgrad does not read."""
    if not head:
        raise BadTable(f"{path!r} is empty: no rows.")
    for magic, what in FOREIGN_FORMATS:
        if head.startswith(magic):
            raise BadTable(f"{path!r} is {what}. ketgrad reads CSV, TSV and Parquet.")


def refuse_changed(path: str, before: os.stat_result, after: os.stat_result) -> None:
    """Refuse a file that somebody wrote to meanwhile."""
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputChanged(f"the file {path!r} changed while it was read. Try again when it is complete.")
