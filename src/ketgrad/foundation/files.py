"""The only way in which ketgrad writes a file: whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ketgrad.foundation.errors import KetgradError, KetgradOSError, KetgradTypeError, KetgradValueError

try:
    import fcntl
except ImportError:  # Windows, where nobody deletes or renames a file that somebody holds open
    fcntl = None

LEFTOVER = re.compile(
    r"\.[0-9a-f]{16}\.part"
)  # what follows the name of the target, in that of a temporary file
MOST_NAME_BYTES = 150  # of the target's name in that of the temporary file; systems take 255 bytes
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
A_DAY = 86_400.0


def write_atomically(path: str | os.PathLike[str], content: str | bytes, *, overwrite: bool = False) -> Path:
    """Write `content` to `path` so that a reader sees the old file or the complete new one, never a mix.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and take the final name in one step.
    Missing folders are created. Text is written as UTF-8. Without `overwrite` exactly one of several writers wins.
    With it a symbolic link is followed and stays, and the new file keeps the permissions and the owner of the old one
    as far as the system lets it; only regular files are replaced, never a pipe, a device or a folder. What writers
    left that were killed is removed by the next one to the same path.
    Returns the path. Raises `KetgradOSError` (with `errno`) if the file exists and `overwrite` is false, or if
    the system refuses; the old file is then untouched and no temporary file is left. Raises `KetgradTypeError` or
    `KetgradValueError` for what cannot be the name of a file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/new/note.txt", "hello").read_text()
    'hello'
    """
    return write_together({path: content}, overwrite=overwrite)[0]


def write_together(
    contents: Mapping[str | os.PathLike[str], str | bytes], *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Write several files as `write_atomically` writes one, and none of them if any is refused.

    All bytes are on the disk before the first file takes its name; then they take their names in the order given. A
    system changes one name at a time: if it stops dead in between, the first files are new and the last ones old, each
    of them whole. So the file that says that all is there belongs at the end.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.read_text() for path in write_together({f"{folder}/a": "1", f"{folder}/b": "2"})]
    ['1', '2']
    """
    named = [file_name(path) for path in contents]
    place = named[0] if named else Path()
    try:
        with contextlib.ExitStack() as stack:
            ready = []
            for place, content in zip(named, contents.values(), strict=True):
                data = content.encode("utf-8") if isinstance(content, str) else content
                ready.append((place, *_ready(stack, place, data, overwrite)))
            for place, temporary, target in ready:  # noqa: B007 - named if it is refused
                if overwrite:
                    os.replace(temporary, target)
                else:
                    _take_free_name(temporary, target)
        for place in {target.parent for _, _, target in ready}:
            _flush_folder(place)
    except OSError as error:
        if isinstance(error, KetgradError):
            raise
        raise KetgradOSError(error.errno, f"cannot write the file: {error.strerror}", str(place)) from error
    return tuple(named)


def _ready(stack: contextlib.ExitStack, named: Path, data: bytes, overwrite: bool) -> tuple[Path, Path]:
    """A temporary file with all the bytes, on the disk, and the name that it will take."""
    target, old = _target(named, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    temporary, stream = stack.enter_context(_temporary(target, old))
    stream.write(data)
    stream.flush()
    os.fsync(stream.fileno())
    if fcntl is None:
        stream.close()
    return temporary, target


def file_name(path: Any, argument: str = "path") -> Path:
    """`path` as a Path, or `KetgradTypeError` or `KetgradValueError` if no file can have that name.

    argument: what the caller calls it.

    >>> file_name(0)
    Traceback (most recent call last):
    ketgrad.foundation.errors.KetgradTypeError: `path` must be the name of a file, a string or a Path, but is 0.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise KetgradTypeError(
            f"`{argument}` must be the name of a file, a string or a Path, but is {path!r}."
        )
    if not text or "\0" in text or re.search("[\ud800-\udc7f\udd00-\udfff]", text):
        raise KetgradValueError(
            f"`{argument}` must be the name of a file - not empty, and without NUL or half characters - but is"
            f" {path!r}."
        )
    return Path(text)


def _target(named: Path, overwrite: bool) -> tuple[Path, os.stat_result | None]:
    """Where the bytes go, and what is there now: the regular file behind a link, or nothing."""
    try:
        found = os.lstat(named)
    except FileNotFoundError:
        return named, None
    if stat.S_ISDIR(found.st_mode):
        raise _folder_in_the_way(named)
    if not overwrite:
        raise _taken(named)
    target = named
    if stat.S_ISLNK(found.st_mode):
        target = Path(os.path.realpath(named))
        try:
            found = os.lstat(target)
        except FileNotFoundError:
            return target, None
    if stat.S_ISDIR(found.st_mode):
        raise _folder_in_the_way(named)
    if not stat.S_ISREG(found.st_mode):
        raise KetgradOSError(
            errno.EINVAL,
            "is no regular file (a pipe, a device, a circle of links), so it is not replaced",
            str(named),
        )
    return target, found


def _taken(path: Path) -> KetgradOSError:
    reason = "the file exists and is not overwritten; pass overwrite (--overwrite)"
    return KetgradOSError(errno.EEXIST, reason, str(path))


def _folder_in_the_way(path: Path) -> KetgradOSError:
    return KetgradOSError(errno.EISDIR, "is a folder, and no file can take its place", str(path))


@contextlib.contextmanager
def _temporary(target: Path, old: os.stat_result | None) -> Iterator[tuple[Path, Any]]:
    """A new file beside the target, open and locked; its name is gone at the end, whatever happens."""
    temporary, descriptor = _locked_file(target, 0o666 if old is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if old is not None:
                _keep_owner(descriptor, old)
            yield temporary, stream
    finally:
        with contextlib.suppress(OSError):  # the first failure is the one to report
            os.unlink(temporary)


def _locked_file(target: Path, mode: int) -> tuple[Path, int]:
    while True:
        temporary = target.with_name(f".{_short(target.name)}.{secrets.token_hex(8)}.part")
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode
        )
        if fcntl is None or _lock(descriptor):
            return temporary, descriptor
        os.close(descriptor)  # a sweeper was quicker: between the two calls the file looked like a leftover


def _lock(descriptor: int) -> bool:
    """Mark a file as that of a living writer; False if it has lost its name before."""
    with contextlib.suppress(OSError):  # a file system without locks: then nothing is swept there either
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # type: ignore[union-attr]
    return os.fstat(descriptor).st_nlink > 0


def _keep_owner(descriptor: int, old: os.stat_result) -> None:
    """Owner, group and permissions of the old file; without its group, nothing for the group."""
    if not hasattr(os, "fchown"):  # Windows
        return
    mode, now = stat.S_IMODE(old.st_mode) & 0o777, os.fstat(descriptor)
    try:
        if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid):
            os.fchown(descriptor, old.st_uid, old.st_gid)
    except OSError:
        mode &= ~0o070
    os.fchmod(descriptor, mode)


def _take_free_name(temporary: Path, target: Path) -> None:
    """Give the file its final name, unless there is one of that name: the system lets exactly one writer through."""
    try:
        if fcntl is None:
            os.rename(temporary, target)  # on Windows this refuses to replace
        else:
            os.link(temporary, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _claim(target)
        os.replace(temporary, target)


def _claim(target: Path) -> None:
    """Without hard links the name is taken by an empty file first, which the complete one replaces at once."""
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        raise _taken(target) from None


def _sweep(target: Path) -> None:
    """Remove what killed writers to the same path have left; that of living ones is locked."""
    start = f".{_short(target.name)}"
    try:
        names = os.listdir(target.parent)
    except PermissionError:  # a folder where one may write, but not look
        return
    for name in names:
        if not (name.startswith(start) and LEFTOVER.fullmatch(name[len(start) :])):
            continue
        with contextlib.suppress(OSError):  # somebody else's, or already gone
            _remove_if_dead(target.with_name(name))


def _remove_if_dead(leftover: Path) -> None:
    if fcntl is None:
        if time.time() - os.lstat(leftover).st_mtime > A_DAY:
            os.unlink(leftover)
        return
    descriptor = os.open(leftover, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(leftover)
    finally:
        os.close(descriptor)


def _short(name: str) -> str:
    """The beginning of a name, in few enough bytes that more can follow it."""
    return name.encode("utf-8", "replace")[:MOST_NAME_BYTES].decode("utf-8", "ignore")


def _flush_folder(folder: Path) -> None:
    """Make the rename durable; not every system lets a folder be opened, and then there is nothing to flush."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
