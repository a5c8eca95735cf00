"""What the command says: answers that must arrive or change the exit code, remarks that nobody has to read."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Generator
from typing import IO


class AnswerLost(Exception):
    """The answer could not be written to the standard output: its reader has left, or the disk is full."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error.strerror or error))
        self.reader_left = isinstance(error, BrokenPipeError)


class Remarks(io.TextIOBase):
    """The standard error, which only says how it goes: once it cannot be written, it is silent."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream: IO[str] | None = stream
        self._is_terminal = stream.isatty()

    @property
    def encoding(self) -> str:
        """As of the stream beneath."""
        return "utf-8"

    def isatty(self) -> bool:
        """Whether somebody watches: decided once, for a terminal may be closed at any moment."""
        return self._is_terminal

    def fileno(self) -> int:
        """As of the stream beneath."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always: what nobody reads is dropped."""
        return True

    def write(self, text: str) -> int:
        """Write, or fall silent."""
        self._try(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, or fall silent."""
        self._try(lambda stream: stream.flush())

    def _try(self, action: Callable[[IO[str]], object]) -> None:
        if self._stream is None:
            return
        try:
            action(self._stream)
        except (OSError, ValueError):  # closed, full, or its reader has left
            abandon(self._stream)
            self._stream = None


@contextlib.contextmanager
def prepared() -> Generator[None, None, None]:
    """UTF-8 whatever the locale says; somewhere to write even without streams; nobody has to read the remarks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open until the process ends
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    with contextlib.redirect_stderr(Remarks(sys.stderr)):
        yield


class Answer:
    """An answer in parts, all of which must arrive: the first failure is kept while the work goes on."""

    def __init__(self) -> None:
        self._lost: OSError | None = None

    def say(self, text: str) -> None:
        """Write `text` to the standard output, unless an earlier part was lost."""
        if not text or self._lost is not None:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as error:
            abandon(sys.stdout)
            self._lost = error

    def end(self) -> None:
        """Raise `AnswerLost` if a part did not arrive."""
        if self._lost is not None:
            raise AnswerLost(self._lost) from self._lost


def answer(text: str) -> None:
    """Write `text` to the standard output, all of it; raises `AnswerLost`."""
    whole = Answer()
    whole.say(text)
    whole.end()


def abandon(stream: IO[str]) -> None:
    """Let everything that is still to be written to `stream` go nowhere, the interpreter's last flush too."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
