"""The fits that are done, in a file that outlives the process: one line each, and another run goes on from it.

The first line says what the fits belong to; a fit is found again by its model and split. Each line is appended by
one call of the system as soon as the fit is known, so that a process that is killed loses at most the fits that
were running, and leaves at most one half line at the end, which is passed over.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from ketgrad.errors import KetgradOSError, KetgradValueError
from ketgrad.memory import readable, reserve
from ketgrad.referee.contest import Outcome
from ketgrad.referee.results import decode

KIND, VERSION = "ketgrad.fits", 1
BYTES_PER_FILE_BYTE = 12  # of a line as Python objects

# What all the fits of a journal share, in words that a refusal can use: "number of folds" -> 5.
Key = dict[str, Any]
Fits = dict[tuple[str, int], Outcome]


class Journal:
    """A file of fits. `resume` goes on with what stands in it, `begin` replaces it; neither touches the disk yet."""

    def __init__(self, path: str | os.PathLike[str], *, keeps: bool) -> None:
        self.path = Path(path)
        self._keeps = keeps
        self._whole = 0  # bytes of the lines that are complete
        self._key: Key = {}
        self._descriptor: int | None = None

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

        Raises `KetgradValueError` if those of the file belong to something else, or if a line is damaged.
        """
        self._key = key
        data = self._content() if self._keeps else b""
        self._whole = data.rfind(b"\n") + 1
        lines = data[: self._whole].splitlines()
        if not lines:
            return {}
        self._check_header(self._parsed(lines[0], 1))
        outcomes = [self._outcome(line, number) for number, line in enumerate(lines[1:], start=2)]
        return {(outcome.model, outcome.score.split): outcome for outcome in outcomes}

    def append(self, outcome: Outcome) -> None:
        """One more fit; raises `KetgradOSError` if it cannot be written."""
        try:
            if self._descriptor is None:
                self._open()
            self._write(dataclasses.asdict(outcome))
        except OSError as error:
            self.close()
            raise KetgradOSError(
                error.errno, f"cannot keep the fits: {error.strerror}", str(self.path)
            ) from error

    def close(self) -> None:
        """End writing; the file stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def discard(self) -> None:
        """Remove the file: the results hold everything that it held."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _content(self) -> bytes:
        try:
            status = os.stat(self.path)
            self._refuse_irregular(status)
            way_out = "Begin anew: overwrite (--overwrite)."
            size = status.st_size
            reserve(
                BYTES_PER_FILE_BYTE * size, f"the {readable(size)} of fits in {str(self.path)!r}", way_out
            )
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except KetgradOSError:
            raise
        except OSError as error:
            raise KetgradOSError(
                error.errno, f"cannot read the fits: {error.strerror}", str(self.path)
            ) from error

    def _refuse_irregular(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise KetgradOSError(errno.EEXIST, "the fits need a file, but this is none", str(self.path))

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(self.path, flags, 0o666)
        try:
            self._refuse_irregular(os.fstat(descriptor))
            _lock(descriptor)
            os.ftruncate(descriptor, self._whole)  # a half line of a run that was killed ends here
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        if self._whole == 0:
            self._write({"kind": KIND, "version": VERSION, "key": self._key})

    def _write(self, value: dict[str, Any]) -> None:
        assert self._descriptor is not None
        line = json.dumps(value, allow_nan=False).encode() + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

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

    def _check_header(self, header: dict[str, Any]) -> None:
        key = header.get("key")
        if header.get("kind") != KIND or header.get("version") != VERSION or not isinstance(key, dict):
            raise KetgradValueError(
                f"{str(self.path)!r} holds no fits that this ketgrad can go on from. Begin anew: overwrite"
                " (--overwrite)."
            )
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
            outcome = decode(Outcome, tree, "fit")
        except KetgradValueError as error:
            raise self._damaged(number) from error
        score = outcome.score
        values = [*score.scores.values(), *score.candidate_scores, score.fit_seconds, score.predict_seconds]
        if not all(value is None or math.isfinite(value) for value in [*values, score.tune_seconds]):
            raise self._damaged(number)
        return outcome


def _lock(descriptor: int) -> None:
    """Refuse a file that another run is writing; where no such lock exists, nothing is checked."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(error.errno, "another run is writing there") from error
