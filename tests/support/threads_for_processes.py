"""Made-up worker processes: threads of this one, which answer at once and end only when they are killed."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

from ketgrad.referee.contest import workers
from ketgrad.referee.contest.play import ModelSize, Outcome
from ketgrad.referee.results import SplitScore
from ketgrad.referee.table.preparation import Prepared

# What a piece of work gives, by the name of the model and the split. Never what a worker does itself: it changes how
# warnings are treated, which threads share.
Answer = Callable[[str, Prepared], Outcome]


def half_right(name: str, prepared: Prepared) -> Outcome:
    """A score that is known before."""
    score = SplitScore(prepared.split.index, {"accuracy": 0.5}, prepared.split.n_test // 2, {}, 0.0, 0.1, 0.1)
    return Outcome(name, score, ModelSize())


class Crew:
    """The processes that the system starts: at most `most`; who lives, and whom somebody has killed."""

    def __init__(self, answer: Answer = half_right, most: int = 100) -> None:
        self.answer, self.most = answer, most
        self.alive: list[Any] = []
        self.killed: list[int] = []

    def take_the_place_of_processes(self, monkeypatch) -> None:
        """From here on the referee starts these."""
        monkeypatch.setattr(workers.os, "kill", lambda pid, number: self.killed.append(pid))
        monkeypatch.setattr(workers, "SECONDS_TO_END", 0.3)
        context = SimpleNamespace(Process=lambda **given: _Process(self, given["args"]))
        monkeypatch.setattr("joblib.externals.loky.backend.get_context", lambda name: context)


class _Process:
    def __init__(self, crew: Crew, arguments: tuple[Any, ...]) -> None:
        self._crew = crew
        self._connection = arguments[0]
        self.pid: int | None = None
        self.exitcode: int | None = None

    def start(self) -> None:
        crew = self._crew
        if len(crew.alive) >= crew.most:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        self.pid = 10_000_000 + len(crew.alive)
        crew.alive.append(self)
        connection = Connection(os.dup(self._connection.fileno()))
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Any) -> None:
        with connection, suppress(EOFError, OSError):
            while True:
                connection.send(self._crew.answer(*connection.recv()))

    def join(self, seconds: float) -> None:
        if self.pid in self._crew.killed:
            self.exitcode = -9
        else:
            time.sleep(seconds)
