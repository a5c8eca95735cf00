"""The command line: what it answers, with which exit code, and what it leaves on the disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import report_samples as samples

from ketgrad.cli import main as cli
from ketgrad.foundation.errors import (
    KetgradImportError,
    KetgradMemoryError,
    KetgradOSError,
    KetgradTypeError,
    KetgradValueError,
)
from ketgrad.referee.options import OPTIONS
from ketgrad.referee.results import Comparison
from ketgrad.referee.table.raw_table import BadTable, InputChanged, InputForbidden, InputMissing

SOURCE = Path(cli.__file__).parents[2]


def run(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m ketgrad` in a process of its own."""
    settings = {**os.environ, "PYTHONPATH": str(SOURCE), **environment}
    command = [sys.executable, "-m", "ketgrad", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=settings, capture_output=True, text=True, encoding="utf-8", timeout=300
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compar"], "'compare'"),
        (["compare", "t.csv", "--taget", "y"], "'--target'"),
        (["compare", "t.csv", "--target", "y", "--task", "classificaton"], "'classification'"),
        (["compare", "t.csv", "--target", "y", "--missing", "medain"], "'median'"),
        (["compare", "t.csv", "--target", "y", "--encoding", "latin_2000"], "encoding"),
        (["compare", "t.csv"], "--target COLUMN"),
        (["compare"], "TABLE"),
        (["compare", "a.csv", "b.csv", "--target", "y"], "takes one"),
        (["draw"], "FILE.qasm"),
        (["--colour"], "'--colour'"),
        ([], "COMMAND"),
    ],
)
def test_wrong_usage_exits_2_and_offers_what_was_meant(arguments, words, capsys):
    assert cli.main(arguments) == 2
    assert words in capsys.readouterr().err


HOSTILE = (
    "--", "-", "--=x", "", "compare --", "compare -- -x", "compare -", "--help=5", "--debug=1", "-h", "\udcff",
    "compare \udcff.csv --target \ud800", "@x", "--debug --debug", "compare t --target", "compare t --target=",
    "compare t --overwrite=1", "draw --svg", "draw a --svg=", "draw \0", "info extra", "compare nul\0 --target y",
    "--\0", "%s%n{0}{{}}", "compare {x} --target %(prog)s", "--%(x)s", "\x1b[31m", "compare --\x1b[31m", "💥",
    "x" * 10**5, "compare --" + "x" * 10**5, "compare" + " a" * 1000, "compare t --rows=" + "9" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_no_command_line_is_a_fault_of_ketgrad(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split(" ")) in (2, 65, 66)
    printed = capsys.readouterr().err
    assert printed.startswith("ketgrad: ") and len(printed) < 1000
    assert not any(word in printed for word in ("Traceback", "fault of", "\x1b", "\0"))
    assert not list(tmp_path.iterdir())


def test_a_refusal_names_the_command_whose_help_tells_more(capsys):
    for line in ("compare t.csv --target", "compare --nope", "draw", "draw a b", "draw --svg"):
        assert cli.main(line.split()) == 2
        assert f"Try 'ketgrad {line.split()[0]} --help'." in capsys.readouterr().err


def test_version_and_help_exit_0(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ketgrad ")
    for arguments in (["--help"], ["compare", "--help"], ["info", "--help"], ["draw", "--help"]):
        assert cli.main(arguments) == 0
        assert "Usage: ketgrad" in capsys.readouterr().out


def test_the_help_of_compare_lists_every_option_of_the_table_in_its_group(capsys):
    assert cli.main(["compare", "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for name, option in OPTIONS.items():
        assert f"--{name.replace('_', '-')} {option.metavar} " in printed
        assert option.help[1:] in printed and option.group[1:] + ":" in printed


@pytest.mark.parametrize("arguments", [[], ["--help"], ["info"], ["compare", "t.csv", "--target", "y"]])
def test_without_click_the_command_says_how_to_get_it(arguments):
    code = (
        "import sys\nsys.modules['click'] = None\nfrom ketgrad.cli.main import main\n"
        f"sys.exit(main({arguments!r}))"
    )
    settings = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=settings, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and not done.stdout
    assert "needs click" in done.stderr and "pip install 'ketgrad[compare]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_shell_that_asks_for_completions_gets_them():
    asked = {"_KETGRAD_COMPLETE": "bash_complete", "COMP_WORDS": "ketgrad com", "COMP_CWORD": "1"}
    assert run(**asked).stdout == "plain,compare\n"


def test_help_loads_nothing_heavy():
    code = "import sys; from ketgrad.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    loaded = set(done.stderr.split())
    assert not loaded & {"scipy", "sklearn", "pandas", "matplotlib", "jinja2", "rich", "torch", "skrub"}


def test_info_names_versions_instruction_set_and_extras(capsys):
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    assert "numpy" in text and "instruction set" in text and "extra [compare]" in text and "threads" in text


def test_the_module_is_the_command():
    assert run("--version").stdout.startswith("ketgrad ")


# --------------------------------------------------------------------------------------------------- compare


@pytest.fixture
def pears(tmp_path, monkeypatch) -> Path:
    """A table of forty apples and pears, in the folder where the command runs."""
    rng = np.random.default_rng(0)
    lines = ["size,colour,weight,always,kind"]
    for place in range(40):
        colour = ("red", "blue", "green")[place % 3]
        size, weight = rng.normal(place % 2, 0.5), rng.normal(-place % 2, 0.8)
        lines.append(f"{size:.3f},{colour},{weight:.3f},7,{('apple', 'pear')[place % 2]}")
    path = tmp_path / "pears.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return path


SMALL = ("--models", "linear", "--folds", "2", "--repeats", "1", "--candidates", "1", "--threads", "1")


def test_compare_writes_the_report_the_results_and_the_scores(pears, capsys):
    assert cli.main(["compare", "pears.csv", "--target", "kind", *SMALL]) == 0
    folder = pears.parent / "ketgrad-pears-kind"
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "results.json", "scores.csv"]
    result = Comparison.from_json((folder / "results.json").read_text(encoding="utf-8"))
    assert [model.name for model in result.models] == ["dummy", "linear"] and result.data.rows == 40
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert (
        "Logistic regression" in page
        and "ketgrad compare pears.csv --target kind" in page
        and "always" in page
    )
    assert len((folder / "scores.csv").read_text(encoding="utf-8").splitlines()) == 5
    printed = capsys.readouterr()
    assert "Logistic regression" in printed.out and "ketgrad-pears-kind/report.html" in printed.out
    assert "[4/4]" in printed.err


def test_ctrl_c_writes_what_is_done_and_exits_130(pears):
    options = [*SMALL, "--folds", "2", "--repeats", "12", "--out", "results"]
    # a job in the background of a shell inherits "ignore Ctrl-C", which Python respects
    listening = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listening}; runpy.run_module('ketgrad', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", code, "compare", "pears.csv", "--target", "kind", *options]
    settings = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("[1/"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    result = Comparison.from_json((pears.parent / "results/results.json").read_text(encoding="utf-8"))
    assert result.interrupted and result.missing
    assert "Stopped before the end" in output and "report.html" in output


def test_ctrl_c_before_the_first_fit_writes_nothing(pears, monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("ketgrad.referee.compare", interrupt)
    assert cli.main(["compare", "pears.csv", "--target", "kind"]) == 130
    assert capsys.readouterr().err == "ketgrad: stopped.\n"
    assert [path.name for path in pears.parent.iterdir()] == ["pears.csv"]


@pytest.mark.parametrize(
    ("table", "target", "code", "words"),
    [
        ("pear.csv", "kind", 66, "pears.csv"),
        (".", "kind", 66, "folder"),
        ("https://example.org/pears.csv", "kind", 66, "no connections"),
        ("pears.csv", "kinds", 65, "'kind'"),
        ("empty.csv", "kind", 65, "no rows"),
        ("ragged.csv", "b", 65, "line 3"),
        ("latin.csv", "b", 65, "--encoding"),
        ("pears.csv", "always", 65, "always"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_before_any_work(pears, capsys, table, target, code, words):
    (pears.parent / "empty.csv").write_text("a,b\n")
    (pears.parent / "ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    (pears.parent / "latin.csv").write_bytes("a,b\nMünchen,2\nKöln,3\n".encode("latin-1"))
    before = sorted(pears.parent.iterdir())
    assert cli.main(["compare", table, "--target", target, *SMALL]) == code
    message = capsys.readouterr().err
    assert words in message and "Traceback" not in message
    assert sorted(pears.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadTable("x"), 65),
        (InputMissing("x"), 66),
        (InputForbidden("x"), 77),
        (InputChanged("x"), 75),
        (KetgradValueError("x"), 65),
        (KetgradTypeError("x"), 65),
        (KetgradMemoryError("x"), 75),
        (KetgradImportError("x"), 2),
        (KetgradOSError(errno.ENOSPC, "x", "f"), 74),
        (KetgradOSError(errno.EEXIST, "x", "f"), 73),
        (KetgradOSError(errno.EACCES, "x", "f"), 77),
    ],
)
def test_each_refusal_has_its_exit_code(pears, monkeypatch, capsys, error, code):
    def refuse(*arguments, **options):
        raise error

    monkeypatch.setattr("ketgrad.referee.compare", refuse)
    assert cli.main(["compare", "pears.csv", "--target", "kind"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_debug_shows_the_traceback_and_nothing_else_does(pears, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("ketgrad.referee.compare", fail)
    assert cli.main(["compare", "pears.csv", "--target", "kind"]) == 70
    message = capsys.readouterr().err
    assert "fault of ketgrad" in message and "--debug" in message and "Traceback" not in message
    assert cli.main(["compare", "pears.csv", "--target", "kind", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_every_option_reaches_the_referee(pears, monkeypatch):
    given = {}

    def answer(table, target, **options):
        given.update(options, table=table, target=target)
        return samples.comparison()

    monkeypatch.setattr("ketgrad.referee.compare", answer)
    text = (
        "compare pears.csv --target kind --task regression --metric rmse --models svm,linear --folds 3"
        " --repeats 4 --seed 9 --candidates 2 --qubits 5 --rows 30 --missing drop --encoding latin-1"
        " --separator tab --decimal , --drop size --drop colour --text weight --threads 2 --inner-folds 3"
    )
    assert cli.main(text.split()) == 0
    del given["progress"], given["journal"]
    assert given == {
        "table": "pears.csv", "target": "kind", "task": "regression", "metric": "rmse", "models": ("svm", "linear"),
        "folds": 3, "repeats": 4, "seed": 9, "candidates": 2, "qubits": 5, "rows": 30, "missing": "drop",
        "encoding": "iso8859-1", "separator": "\t", "decimal": ",", "drop": ("size", "colour"), "text": ("weight",),
        "threads": 2, "inner_folds": 3,
    }  # fmt: skip
    assert set(OPTIONS) == set(given) - {"table", "target"}


# ------------------------------------------------------------------------------------------------------ draw

BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'


def test_draw_prints_a_circuit_or_writes_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("bell.qasm").write_text(BELL)
    assert cli.main(["draw", "bell.qasm"]) == 0
    assert "H" in capsys.readouterr().out.upper()
    assert cli.main(["draw", "bell.qasm", "--svg", "bell.svg"]) == 0
    assert "<svg" in Path("bell.svg").read_text(encoding="utf-8")
    assert cli.main(["draw", "bell.qasm", "--svg", "bell.svg"]) == 73
    assert cli.main(["draw", "bell.qasm", "--svg", "bell.svg", "--overwrite"]) == 0


def test_draw_refuses_what_is_no_circuit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("wrong.qasm").write_text("OPENQASM 3.0; qubit[2] q; zz q[0];")
    for file, code in (("no.qasm", 66), (".", 66), ("/dev/zero", 66), ("wrong.qasm", 65)):
        assert cli.main(["draw", file]) == code
        assert "Traceback" not in capsys.readouterr().err
