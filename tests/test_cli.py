"""The command line: what it answers, with which exit code, and what it leaves on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ketgrad import cli

SOURCE = Path(cli.__file__).parents[1]


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


def test_version_and_help_exit_0(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ketgrad ")
    for arguments in (["--help"], ["compare", "--help"], ["info", "--help"], ["draw", "--help"]):
        assert cli.main(arguments) == 0
        assert "usage: ketgrad" in capsys.readouterr().out


def test_help_loads_nothing_heavy():
    code = "import sys; from ketgrad.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
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
