"""How the command ends: every command, whatever becomes of its streams, has its exit code and has done its work."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
import report_samples as samples

from ketgrad.cli import main as cli

SOURCE, TESTS = Path(cli.__file__).parents[2], Path(samples.__file__).parent

# the command with a referee that answers at once
INSTANT = (
    "import sys, report_samples, ketgrad.referee as referee\n"
    "referee.compare = lambda *arguments, **options: report_samples.comparison()\n"
    "from ketgrad.cli.main import main\n"
    "sys.exit(main())"
)
BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "t.csv").write_text("a,y\n1,p\n2,q\n")
    (tmp_path / "bell.qasm").write_text(BELL)
    return tmp_path


def start(
    folder: Path, arguments: str, before: Callable[[], None] | None = None, **streams
) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own; `before` runs in it first."""
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join((str(SOURCE), str(TESTS)))}
    return subprocess.run(
        [sys.executable, "-c", INSTANT, *arguments.split()],
        cwd=folder, env=settings, timeout=120, preexec_fn=before,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
    )  # fmt: skip


def ended(folder: Path, arguments: str, stream: str, fate: str) -> subprocess.CompletedProcess[bytes]:
    """The command with its `stream` (stdout or stderr) closed, on a full disk, or without a reader."""
    number = {"stdout": 1, "stderr": 2}[stream]
    if fate == "closed":
        return start(folder, arguments, lambda: os.close(number))
    if fate == "full":
        with open("/dev/full", "wb") as full:
            return start(folder, arguments, **{stream: full})
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return start(folder, arguments, **{stream: writer})
    finally:
        os.close(writer)


# command, exit code when all is well, file that it writes
ANSWERS = (
    ("--version", 0, None),
    ("compare --help", 0, None),
    ("info", 0, None),
    ("draw bell.qasm", 0, None),
    ("draw bell.qasm --svg bell.svg", 0, "bell.svg"),
    ("compare t.csv --target y --out results", 0, "results/results.json"),
)
REFUSALS = (
    ("", 2),
    ("compare t.csv", 2),
    ("compare t.csv --target y --nonsense", 2),
    ("compare t.csv --target y --folds 0", 2),
    ("compare missing.csv --target y", 66),
    ("compare . --target y", 66),
    ("compare bell.qasm --target y --out t.csv", 73),
    ("draw missing.qasm", 66),
    ("draw .", 66),
    ("draw t.csv", 65),
)


@pytest.mark.parametrize(("arguments", "code", "file"), ANSWERS)
def test_an_answer_that_cannot_be_written_has_its_exit_code_and_the_work_is_done(
    folder, arguments, code, file, monkeypatch
):
    fates = (("closed", code), ("full", 74), ("without reader", 141))
    for (fate, expected), unbuffered in itertools.product(fates, ("", "1")):
        monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
        done = ended(folder, arguments, "stdout", fate)
        assert done.returncode == expected, (fate, done.stderr.decode())
        assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr
        assert (b"No space left" in done.stderr) == (fate == "full")
        if file is not None:
            (folder / file).unlink()
            for other in (folder / "results").glob("*"):
                other.unlink()


def test_a_reader_that_leaves_after_the_first_line_has_its_exit_code_and_the_results_are_there(folder):
    patient = INSTANT.replace(
        "from ketgrad.cli.main import main\n",
        "import ketgrad.cli.compare as command\nfrom ketgrad.cli.main import main\nwrite = command.write_results\n"
        "command.write_results = lambda *given, **named: (sys.stdin.read(), write(*given, **named))[1]\n",
    )
    command = [sys.executable, "-c", patient, "compare", "t.csv", "--target", "y", "--out", "results"]
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join((str(SOURCE), str(TESTS)))}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env=settings, **pipes) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"\n" and not (folder / "results").exists()
        process.stdout.close()
        process.stdin.close()  # only now are the results written
        assert process.wait(timeout=120) == 141
    assert {path.name for path in (folder / "results").iterdir()} >= {"report.html", "results.json"}


@pytest.mark.parametrize(("arguments", "code", "file"), ANSWERS)
def test_nobody_has_to_read_the_remarks(folder, arguments, code, file):
    for fate in ("closed", "full", "without reader"):
        done = ended(folder, arguments, "stderr", fate)
        assert done.returncode == code, (fate, done.stdout.decode())
        assert done.stdout, fate
        if file is not None:
            (folder / file).unlink()
            for other in (folder / "results").glob("*"):
                other.unlink()


@pytest.mark.parametrize(("arguments", "code"), REFUSALS)
def test_a_refusal_has_its_exit_code_even_if_nobody_hears_it(folder, arguments, code):
    before = sorted(folder.rglob("*"))
    heard = start(folder, arguments)
    assert heard.returncode == code and heard.stderr and b"Traceback" not in heard.stderr
    for stream in ("stdout", "stderr"):
        assert ended(folder, arguments, stream, "without reader").returncode == code
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["n" * 300, "new/" + "n" * 300, "/".join(["n" * 200] * 30), "nul\0name", "t.csv/below"]
)
def test_a_folder_that_cannot_be_made_is_refused_before_any_work(folder, name, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("ketgrad.referee.compare", lambda *a, **k: pytest.fail("it ran"))
    assert cli.main(["compare", "t.csv", "--target", "y", "--out", name]) == 73
    assert "--out" in capsys.readouterr().err or name == "t.csv/below"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), 75, "out of memory"),
        (OSError(5, "Input/output error", "t.csv"), 74, "'t.csv'"),
        (OSError(28, "No space left on device"), 74, "No space left"),
        (RecursionError("too deep"), 70, "fault of ketgrad"),
        (ValueError("digits"), 70, "fault of ketgrad"),
    ],
)
def test_what_the_machine_refuses_is_no_fault_of_ketgrad(folder, monkeypatch, capsys, error, code, words):
    def fail(*arguments, **options):
        raise error

    monkeypatch.chdir(folder)
    monkeypatch.setattr("ketgrad.referee.compare", fail)
    assert cli.main(["compare", "t.csv", "--target", "y"]) == code
    message = capsys.readouterr().err
    assert words in message and "Traceback" not in message


def test_an_argument_is_refused_before_anything_heavy_is_loaded(folder):
    code = (
        "import sys\nfrom ketgrad.cli.main import main\ncode = main(sys.argv[1:])\n"
        "print(*sys.modules)\nsys.exit(code)"
    )
    settings = {**os.environ, "PYTHONPATH": str(SOURCE)}
    for arguments, expected in REFUSALS:
        command = [sys.executable, "-c", code, *arguments.split()]
        done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=60)
        heavy = {"scipy", "sklearn", "pandas", "skrub", "pyarrow", "rich", "jinja2", "joblib", "matplotlib"}
        assert done.returncode == expected and not heavy & set(done.stdout.split()), arguments


def test_no_program_that_lies_beside_the_table_runs(tmp_path):
    """Not even in the processes that fit and decode, which by itself Python lets look in the folder they start in."""
    script = tmp_path / "bin" / "ketgrad.py"
    script.parent.mkdir()
    script.write_text("import sys\nsys.path.pop(0)\nfrom ketgrad.cli.main import main\nsys.exit(main())\n")
    folder = tmp_path / "download"
    folder.mkdir()
    for name in (
        "joblib",
        "multiprocessing",
        "numpy",
        "pandas",
        "pyarrow",
        "sklearn",
        "ketgrad",
        "json",
        "runpy",
    ):
        (folder / f"{name}.py").write_text("open('ran', 'a').write(__name__)\nraise SystemExit(7)\n")
    table = pandas.DataFrame({"a": np.arange(40) ** 2 % 17, "y": ["n", "y"] * 20})
    table.to_parquet(folder / "t.parquet")
    settings = {**os.environ, "PYTHONPATH": str(SOURCE)}
    small = "--models linear --folds 2 --repeats 1 --candidates 1 --threads 2 --quiet".split()
    command = [sys.executable, str(script), "compare", "t.parquet", "--target", "y", *small]
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=120)
    assert not (folder / "ran").exists(), (folder / "ran").read_text()
    assert done.returncode == 0 and "failed" not in done.stdout, done.stderr
