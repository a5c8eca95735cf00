"""A comparison that is stopped, killed or loses a process: what was done is kept, nothing is left running."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import napping
import pytest

from ketgrad.cli import main as cli
from ketgrad.referee.results import Comparison

SOURCE = Path(cli.__file__).parents[2]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RESULTS = {"report.html", "results.json", "scores.csv"}
PLAN = "compare t.csv --target y --out out --folds 3 --repeats 1 --threads 2".split()
SECONDS = 300.0  # after which something hangs: a machine may be slow, but not that slow


def write_table(folder: Path) -> None:
    lines = [f"{i * i % 17},{i * 7 % 11},{('no', 'yes')[i % 2]}" for i in range(24)]
    (folder / "t.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")


@pytest.fixture
def folder(tmp_path) -> Path:
    write_table(tmp_path)
    return tmp_path


class Run:
    """The command with napping contestants, in a session of its own."""

    def __init__(self, folder: Path, seconds: float, *more: str) -> None:
        # a job in the background of a shell inherits "ignore Ctrl-C", which Python respects
        for number in SIGNALS:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        command = [sys.executable, napping.__file__, str(seconds), *PLAN, *more]
        settings = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=folder, env=settings, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    def left(self) -> list[int]:
        """The processes of the session that live."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[3]) == self.process.pid and fields[0] != "Z":
                    found.append(int(entry.name))
        return found

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> tuple[int, str, str]:
        """(exit code as a shell sees it, output, remarks) of a command that ends, and ends all it started."""
        output, remarks = self.process.communicate(
            timeout=SECONDS
        )  # ends when nobody holds the pipes any more
        deadline = time.monotonic() + SECONDS
        while left := self.left():
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
        code = self.process.returncode
        return (128 - code if code < 0 else code), output, remarks


def kept(folder: Path) -> list[str]:
    """The lines of the journal without its head."""
    path = folder / "out" / "fits.jsonl"
    return path.read_text().splitlines()[1:] if path.exists() else []


def result(folder: Path) -> Comparison:
    return Comparison.from_json((folder / "out" / "results.json").read_text(encoding="utf-8"))


def files(folder: Path) -> set[str]:
    out = folder / "out"
    return {path.name for path in out.iterdir()} if out.exists() else set()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[float, str]:
    """Seconds that the whole command takes here and now, and the digest of its result."""
    folder = tmp_path_factory.mktemp("whole")
    write_table(folder)
    began = time.monotonic()
    assert Run(folder, 0.05).end()[0] == 0
    return time.monotonic() - began, result(folder).digest()


@pytest.mark.parametrize(("number", "blows"), list(zip(SIGNALS, (3, 1, 2), strict=True)))
def test_a_signal_ends_the_comparison_with_what_is_done(folder, number, blows):
    run = Run(folder, 0.3)
    run.until(lambda: len(kept(folder)) >= 2)
    for _ in range(blows):
        run.process.send_signal(number)
        time.sleep(0.1)
    code, output, _ = run.end()
    assert code == 128 + number
    assert files(folder) == {*RESULTS, "fits.jsonl"}
    stopped = result(folder)
    assert stopped.interrupted and stopped.missing
    assert sum(len(model.splits) for model in stopped.models) == len(kept(folder)) >= 2
    assert "Stopped before the end" in output and "--resume" in output


def test_a_worker_that_is_killed_costs_its_fit_and_nothing_else(folder):
    (folder / "kill-me").touch()
    run = Run(folder, 0.01)
    code, output, remarks = run.end()
    assert code == 0, remarks
    compared = result(folder)
    assert not compared.interrupted and not compared.missing
    (failure,) = [item for model in compared.models for item in model.failures]
    assert failure.failure == "its process was ended by SIGKILL, as when memory runs out"
    assert "1 fit failed" in output and files(folder) == RESULTS


def test_workers_that_are_killed_from_outside_are_replaced(folder):
    run = Run(folder, 0.1)
    run.until(lambda: len(kept(folder)) >= 1)
    for pid in run.left():
        if b"popen_loky" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    code, _, remarks = run.end()
    assert code == 0, remarks
    failures = [item for model in result(folder).models for item in model.failures]
    assert 1 <= len(failures) <= 2


def test_a_comparison_that_was_killed_goes_on_and_ends_as_if_nothing_had_happened(folder, undisturbed):
    for most in (2, 5):  # killed twice
        run = Run(folder, 0.2, *(["--resume", "--threads", "1"] if most > 2 else []))
        run.until(lambda: len(kept(folder)) >= most)  # noqa: B023 - called at once
        run.process.kill()
        assert run.end()[0] == 128 + signal.SIGKILL
        assert files(folder) == {"fits.jsonl"}
    before = kept(folder)
    assert len(before) >= 5
    with open(folder / "out" / "fits.jsonl", "a") as file:
        file.write('{"model": "late", "sco')  # cut in the middle of a line

    refused = Run(folder, 0.01)
    code, _, remarks = refused.end()
    assert code == 73 and "--resume" in remarks and kept(folder)[:-1] == before

    last = Run(folder, 0.01, "--resume", "--threads", "1")
    code, _, remarks = last.end()
    assert code == 0 and f"{len(before)} of them done by an earlier run" in remarks
    assert result(folder).digest() == undisturbed[1] and files(folder) == RESULTS
    assert Run(folder, 0.01, "--resume").end()[0] == 73, "there is nothing to go on with"


@pytest.mark.parametrize("moment", range(10))
def test_a_signal_at_any_moment_has_its_exit_code_and_leaves_whole_files(folder, undisturbed, moment):
    """From the first import to the last file: one moment in each tenth of the time."""
    number = SIGNALS[moment % 3]
    run = Run(folder, 0.05, "--threads", str(1 + moment % 2))
    time.sleep((moment + random.Random(moment).random()) / 10 * undisturbed[0])
    run.process.send_signal(number)
    code, _, remarks = run.end()
    left = files(folder)
    if code == 0:
        assert left == RESULTS, "it was done before the signal"
        return
    assert code == 128 + number, remarks
    assert left in (set(), RESULTS, {*RESULTS, "fits.jsonl"}), left
    assert "fault of ketgrad" not in remarks and "Exception ignored" not in remarks
    if left:
        stopped = result(folder)
        assert stopped.interrupted == bool(stopped.missing) == ("fits.jsonl" in left)
        assert len(kept(folder)) in (0, sum(len(model.splits) for model in stopped.models))


SEARCH = """
import signal
import numpy as np
from sklearn.model_selection import GridSearchCV
import ketgrad as kg
signal.signal(signal.SIGINT, signal.default_int_handler)
X = np.random.default_rng(0).normal(size=(60, 3))
models = {"num_layers": [1, 2, 3], "optimizer": ["adam", None]}
for moment in range(5):
    try:
        print("ready", flush=True)
        for _ in range(200):  # from the first fit to the last, again and again
            GridSearchCV(kg.VariationalClassifier(max_steps=5, threads=1), models, cv=2).fit(X, (X[:, 0] > 0) * 1)
        print("not heard", flush=True)
    except KeyboardInterrupt:
        print("ended", flush=True)
"""


def test_ctrl_c_at_any_moment_of_a_search_ends_it():
    command, settings = (
        [sys.executable, "-W", "ignore", "-c", SEARCH],
        {**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for moment in range(5):
                assert process.stdout.readline() == "ready\n"
                time.sleep((moment + random.Random(moment).random()) / 2)
                process.send_signal(signal.SIGINT)
                assert process.stdout.readline() == "ended\n", moment
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
