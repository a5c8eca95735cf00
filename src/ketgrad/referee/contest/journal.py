"""The fits that are done, in a file that outlives the process: one line each, and another run goes on from it.

The first line says what the fits belong to; a fit is found again by its model and split. Each line is appended by
one call of the system as soon as the fit is known, and is on the disk before the next fit is asked for, so that a
process that is killed loses at most the fits that were running, and leaves at most one half line at the end, which
is passed over. Each fit carries a digest of itself and of what it belongs to: a score that was changed is no score.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import math
import os
import stat
from typing import Any

from ketgrad.foundation.errors import KetgradOSError, KetgradValueError
from ketgrad.foundation.files import file_name
from ketgrad.foundation.memory import readable, reserve
from ketgrad.referee.contest.play import Outcome
from ketgrad.referee.decoding import decode

try:
    import fcntl
except ImportError:  # Windows, where nothing is checked
    fcntl = None

KIND, VERSION = "ketgrad.fits", 2
BEGINNING = f'{{"kind": "{KIND}"'.encode()  # of every such file
BYTES_PER_FILE_BYTE = 12  # of a line as Python objects

# What all the fits of a journal share, in words that a refusal can use: "number of folds" -> 5.
Key = dict[str, Any]
Fits = dict[tuple[str, int], Outcome]


class Journal:
    """A file of fits. `resume` goes on with what stands in it, `begin` replaces it with the first fit.

    A file that is there is locked from `read` to `close`, and so is one that the first fit makes: of two runs with one
    journal the second is refused.
    """

    def __init__(self, path: str | os.PathLike[str], *, keeps: bool) -> None:
        self.path = file_name(path, "journal")
        self._keeps = keeps
        self._whole = 0  # bytes of the lines that are complete
        self._begun = False  # whether this run has written
        self._key: Key = {}
        self._descriptor: int | None = None
        self.last: Outcome | None = None  # whose line was written last

    @classmethod
    def begin(cls, path: str | os.PathLike[str]) -> Journal:
        """A journal whose first fit replaces the file, if there is one."""
        return cls(path, keeps=False)

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> Journal:
        """A journal that goes on with the file, if there is one."""
        return cls(path, keeps=True)

    def read(self, key: Key) -> Fits:
        """The fits that are done, by model and split; fits that are appended from here on belong to `key`.

        Raises `KetgradValueError` if those of the file belong to something else, or if a line is damaged, and
        `KetgradOSError` if another run has the file.
        """
        self._key = key
        try:
            data = self._content()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._refused("cannot read the fits", error) from error
        self._whole = data.rfind(b"\n") + 1
        if not self._whole and data[: len(BEGINNING)] != BEGINNING[: len(data)]:
            raise self._foreign()
        lines = data[: self._whole].split(b"\n")[:-1]
        if not lines:
            return {}
        self._check_header(self._parsed(lines[0], 1))
        outcomes = [self._outcome(line, number) for number, line in enumerate(lines[1:], start=2)]
        return {(outcome.model, outcome.score.split): outcome for outcome in outcomes}

    def append(self, outcome: Outcome) -> None:
        """One more fit; raises `KetgradOSError` if it cannot be written, with EAGAIN if another run has the file."""
        fit = dataclasses.asdict(outcome)
        try:
            if not self._begun:
                self._begin()
            assert self._descriptor is not None
            self._write({"fit": fit, "sha256": self._digest(fit)})
            self.last = outcome
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._refused("cannot keep the fits", error) from error

    def close(self) -> None:
        """End writing; the file stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def discard(self) -> None:
        """Remove the file, if it is that of this run: the results hold everything that it held."""
        if self._descriptor is None:
            return
        if fcntl is None:  # Windows removes nothing that is open
            self.close()
        self.path.unlink(missing_ok=True)
        self.close()

    def _refused(self, action: str, error: OSError) -> KetgradOSError:
        if isinstance(error, KetgradOSError):
            return error
        return KetgradOSError(error.errno, f"{action}: {error.strerror}", str(self.path))

    def _content(self) -> bytes:
        """Open what is there, and read it if it is to be kept."""
        try:
            self._descriptor = self._opened(os.O_RDWR)
        except PermissionError:  # its fits can be used; that no more can be kept is said with the first one
            self._descriptor = self._opened(os.O_RDONLY)
        if not self._keeps:
            return b""
        size = os.fstat(self._descriptor).st_size
        what = f"the {readable(size)} of fits in {str(self.path)!r}"
        reserve(BYTES_PER_FILE_BYTE * size, what, "Begin anew: overwrite (--overwrite).")
        with open(self._descriptor, "rb", closefd=False) as file:
            return file.read()

    def _opened(self, flags: int) -> int:
        """A descriptor of the file, locked; `begin` follows no link, for what lies behind it is no journal yet."""
        flags |= os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        flags |= 0 if self._keeps else getattr(os, "O_NOFOLLOW", 0)
        while True:
            self._refuse_irregular()
            descriptor = os.open(self.path, flags, 0o666)
            try:
                _lock(descriptor)
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise self._irregular()
            except BaseException:
                os.close(descriptor)
                raise
            if status.st_nlink:
                return descriptor
            os.close(descriptor)  # the run that had it has ended, and removed it

    def _refuse_irregular(self) -> None:
        """Before it is opened, for a folder cannot be opened, and a device may do anything then."""
        try:
            status = os.stat(self.path) if self._keeps else os.lstat(self.path)
        except FileNotFoundError:
            return
        if not stat.S_ISREG(status.st_mode):
            raise self._irregular()

    def _irregular(self) -> KetgradOSError:
        return KetgradOSError(errno.EEXIST, "the fits need a file, but this is none", str(self.path))

    def _begin(self) -> None:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = self._opened(os.O_RDWR | os.O_CREAT)
        os.ftruncate(self._descriptor, self._whole)  # a half line of a run that was killed ends here
        if self._whole == 0:
            self._write({"kind": KIND, "version": VERSION, "key": self._key})
        self._begun = True

    def _write(self, value: dict[str, Any]) -> None:
        assert self._descriptor is not None
        line = json.dumps(value, allow_nan=False).encode() + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _digest(self, fit: dict[str, Any]) -> str:
        return hashlib.sha256(json.dumps([self._key, fit]).encode()).hexdigest()

    def _parsed(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self._damaged(number)
        return value

    def _damaged(self, number: int) -> KetgradValueError:
        return KetgradValueError(
            f"line {number} of {str(self.path)!r} is damaged - it is no fit of a comparison - so nothing can go on"
            " from it. Begin anew: overwrite (--overwrite)."
        )

    def _foreign(self) -> KetgradValueError:
        return KetgradValueError(
            f"{str(self.path)!r} holds no fits that this ketgrad can go on from. Begin anew: overwrite (--overwrite)."
        )

    def _check_header(self, header: dict[str, Any]) -> None:
        key = header.get("key")
        if header.get("kind") != KIND or header.get("version") != VERSION or not isinstance(key, dict):
            raise self._foreign()
        for name, value in self._key.items():
            if key.get(name) != value:
                told = "" if len(str(value)) > 40 else f" (it was {str(key.get(name))[:40]}, and is {value})"
                raise KetgradValueError(
                    f"the fits in {str(self.path)!r} are those of another comparison: the {name} differs{told}."
                    " Ask as before, or begin anew: overwrite (--overwrite)."
                )

    def _outcome(self, line: bytes, number: int) -> Outcome:
        tree = self._parsed(line, number)
        try:
            if tree.get("sha256") != self._digest(tree["fit"]):
                raise self._damaged(number)
            outcome = decode(Outcome, tree["fit"], "fit")
        except (KeyError, RecursionError, KetgradValueError) as error:
            raise self._damaged(number) from error
        score = outcome.score
        values = [*score.scores.values(), *score.candidate_scores, score.fit_seconds, score.predict_seconds]
        if not all(value is None or math.isfinite(value) for value in [*values, score.tune_seconds]):
            raise self._damaged(number)
        return outcome


def _lock(descriptor: int) -> None:
    """Refuse a file that another run has."""
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(error.errno, "another run is writing there") from error
    except OSError:  # a file system without locks
        return
