"""Processes that fit: one fit at a time each. One that dies costs the fit that it was doing, and is replaced.

A worker leaves Ctrl-C and its like to the process that started it. It ends with that process however that ends: a
thread of it waits on a pipe whose other end only the parent holds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.referee.contest.contestants import Contestant
from ketgrad.referee.contest.play import ContestRules, Outcome, lost, play
from ketgrad.referee.table.preparation import Prepared

Job = tuple[Contestant, Prepared]

# as many processes as threads: none starts threads of its own, in whatever library
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMBA", "NUMEXPR")
}  # fmt: skip
SECONDS_TO_END = 5.0


def worker_count(threads: int | None) -> int:
    """How many processes fit at the same time: as many as asked for, None for all cores that may be used."""
    if threads is None:
        return available_threads()
    if threads > 1 and multiprocessing.current_process().daemon:
        raise KetgradValueError(
            f"`threads` must be 1 in a daemon of multiprocessing, which may start no processes, but is {threads}."
        )
    return threads


def available_threads() -> int:
    """Cores that this process may use: affinity, control group and OMP_NUM_THREADS respected.

    One in a daemon of multiprocessing, which may start no processes.
    """
    import joblib

    if multiprocessing.current_process().daemon:
        return 1
    cores = joblib.cpu_count()
    wish = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(wish))) if wish.isdigit() and int(wish) > 0 else cores


@dataclass
class Worker:
    """One process. life: as long as this end is open, the process lives."""

    process: Any
    connection: Connection
    life: Connection
    job: Job | None = None


def outcomes(
    jobs: Sequence[Job], rules: ContestRules, count: int, started: Callable[[], None]
) -> Generator[Outcome, None, None]:
    """What `count` processes make of the jobs, in the order in which they end; `started` is called for each start.

    A process that dies gives an outcome with the reason. If the system starts no more processes, those that are there
    do the work; a fit for which there is none fails. Closing the generator ends all processes at once.
    """
    contestants = tuple({contestant.name: contestant for contestant, _ in jobs}.values())
    waiting = deque(jobs)
    crew: list[Worker] = []
    try:
        while waiting or any(worker.job for worker in crew):
            while waiting and sum(worker.job is not None for worker in crew) < count:
                worker = next((worker for worker in crew if worker.job is None), None)
                try:
                    worker = worker or _start(contestants, rules, crew)
                except OSError as error:
                    if crew:  # all are busy: when one has done its fit, another start is tried
                        break
                    started()
                    reason = f"the system started no process for it: {error.strerror}"
                    yield lost(*waiting.popleft(), rules, reason)
                    continue
                _give(worker, waiting.popleft())
                started()
            busy = {worker.connection: worker for worker in crew if worker.job is not None}
            for connection in wait(list(busy)) if busy else ():
                yield _taken(busy[connection], rules, crew)  # pyright: ignore[reportArgumentType]
    finally:
        _end(crew)


def _start(contestants: tuple[Contestant, ...], rules: ContestRules, crew: list[Worker]) -> Worker:
    from joblib.externals.loky.backend import get_context

    # loky: a fresh interpreter that does not run the caller's script again, with contestants defined anywhere
    context: Any = get_context("loky")
    with _signals_held(), ExitStack() as theirs_too:
        ours, theirs = Pipe()
        theirs_too.callback(theirs.close)
        lifeline, life = Pipe(duplex=False)
        theirs_too.callback(lifeline.close)
        process = context.Process(
            target=_serve, args=(theirs, lifeline, contestants, rules), daemon=True, env=_surroundings()
        )
        worker = Worker(process, ours, life)
        crew.append(worker)
        try:
            process.start()
        except OSError:
            crew.remove(worker)
            raise
    return worker


def _surroundings() -> dict[str, str]:
    """Variables of a worker: it finds its modules where this process does, never in the folder where it runs."""
    return {**ONE_THREAD, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@contextmanager
def _signals_held() -> Generator[None, None, None]:
    """Hold back the signals that ask for an end while a process starts: it inherits that, this one hears them after."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    connection: Connection, lifeline: Connection, contestants: tuple[Contestant, ...], rules: ContestRules
) -> None:
    """The life of a worker: fit what is asked for until the parent has no more questions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where signals cannot be held back
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    by_name = {contestant.name: contestant for contestant in contestants}
    while True:
        try:
            name, prepared = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(play(by_name[name], prepared, rules))


def _end_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()  # nothing is ever sent
    except (EOFError, OSError):
        os._exit(1)  # at once, whatever is being fitted


def _give(worker: Worker, job: Job) -> None:
    contestant, prepared = job
    worker.job = job
    with suppress(OSError):  # one that is dead says so when it is asked for the outcome
        worker.connection.send((contestant.name, prepared))


def _taken(worker: Worker, rules: ContestRules, crew: list[Worker]) -> Outcome:
    """The outcome of a worker that has one, or has died."""
    assert worker.job is not None
    contestant, prepared = worker.job
    try:
        outcome = worker.connection.recv()
    except (EOFError, OSError):
        crew.remove(worker)
        _end([worker])
        return lost(contestant, prepared, rules, _cause_of_death(worker.process.exitcode))
    worker.job = None
    return outcome


def _cause_of_death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        reason = ", as when memory runs out" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{reason}"
    return f"its process ended with the exit code {code}"


def _end(crew: Sequence[Worker]) -> None:
    """End all processes, and see them ended: those that do not end by themselves have one deadline together."""
    for worker in crew:
        worker.life.close()
        worker.connection.close()
    deadline = time.monotonic() + SECONDS_TO_END
    processes = [worker.process for worker in crew if worker.process.pid is not None]
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    busy = [process for process in processes if process.exitcode is None]
    for process in busy:  # in compiled code that lets no thread run, or stopped
        os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    for process in busy:
        process.join(SECONDS_TO_END)
