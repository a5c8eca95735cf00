"""Signals of the command: the first one stops the work, and what is done is written; further ones wait for that."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

# Windows knows no SIGHUP. The exit code of a command that a signal stopped is 128 and the number of the signal.
STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
PATIENCE_SECONDS = 2.0  # a terminal and a wrapper may each pass on the same Ctrl-C


class Stop:
    """What the signals that ask for an end have said.

    The first one raises KeyboardInterrupt where the main thread is. Those that come within two seconds after it are
    part of the same wish; later ones raise again, for an exception can be lost inside of foreign code. Once the work
    is over (`settle`) none raises: nothing may keep the results from being written.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._settled = self._over = False
        self._raised = -PATIENCE_SECONDS

    @property
    def exit_code(self) -> int | None:
        """128 and the number of the first signal; None if there was none."""
        return None if self.number is None else 128 + self.number

    def hear(self, number: int, frame: FrameType | None = None) -> None:
        """The handler of every stopping signal."""
        self.number = number if self.number is None else self.number
        now = time.monotonic()
        if not (self._settled or self._over) and now - self._raised >= PATIENCE_SECONDS:
            self._raised = now
            raise KeyboardInterrupt

    @property
    def is_waited_for(self) -> bool:
        """Whether a signal has asked for an end that has not come."""
        return self.number is not None and not self._settled

    def check(self) -> None:
        """Raise KeyboardInterrupt if an end is waited for: the exception of the signal was lost."""
        if self.is_waited_for:
            raise KeyboardInterrupt

    def settle(self) -> None:
        """From here on signals are noted and change the exit code, nothing else."""
        self._settled = True

    def end(self) -> None:
        """From here on signals do nothing: the command is over."""
        self._over = True


@contextmanager
def listening(stop: Stop, *, to_the_end: bool) -> Generator[None, None, None]:
    """Let `stop` hear the signals of this process; one that is ignored (`nohup`, `&`) stays ignored.

    to_the_end: the process ends with the command, so the handlers are left in place, deaf.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change what a signal does
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    heard = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    try:
        for number in heard:
            signal.signal(number, stop.hear)
        yield
    finally:
        stop.end()
        if not to_the_end:
            for number in heard:
                signal.signal(number, before[number])
