"""The only way in which ketgrad writes a file: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from ketgrad.errors import KetgradOSError


def write_atomically(path: str | os.PathLike[str], content: str | bytes, *, overwrite: bool = False) -> Path:
    """Write `content` to `path` so that a reader sees the old file or the complete new one, never a mix.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and take the final name in
    one step. Missing folders are created. Text is written as UTF-8.
    Returns the path. Raises `KetgradOSError` (with `errno`) if the file exists and `overwrite` is false, or if
    the system refuses; the old file is then untouched and no temporary file is left.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/new/note.txt", "hello").read_text()
    'hello'
    """
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    if target.exists() and not overwrite:
        raise KetgradOSError(
            17, "the file exists and is not overwritten; pass overwrite (--overwrite)", str(target)
        )
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
        temporary = None
        _flush_folder(target.parent)
    except OSError as error:
        raise KetgradOSError(error.errno, f"cannot write the file: {error.strerror}", str(target)) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):  # the first failure is the one to report
                os.unlink(temporary)
    return target


def _flush_folder(folder: Path) -> None:
    """Make the rename durable; not every system lets a folder be opened, and then there is nothing to flush."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
