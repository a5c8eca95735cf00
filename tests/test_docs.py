"""Every page runs: Python blocks, the output beside them, shell commands, links; every name is explained."""

import contextlib
import doctest
import inspect
import io
import pathlib
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

import ketgrad as kg

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
SAME_OUTPUT = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def page_name(page: pathlib.Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, the line it starts on, and the line after its closing fence."""

    language: str
    text: str
    line: int
    end: int


def blocks(page: pathlib.Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found, start, language = [], 0, None
    lines = page.read_text("utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.startswith("```"):
            continue
        if language is None:
            start, language = number, line[3:].strip()
        else:
            text = "\n".join(lines[start : number - 1]) + "\n"
            found.append(Block(language, text, start, number))
            language = None
    assert language is None, f"{page_name(page)}: the block that opens in line {start} is not closed"
    return found


def shown_output(block: Block, following: Block | None) -> str | None:
    """What the page says a block prints: a ```text block right after it (at most one blank line between)."""
    if following and following.language == "text" and following.line - block.end <= 2:
        return following.text
    return None


with_python = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]


@pytest.mark.parametrize("page", with_python, ids=page_name)
def test_the_python_blocks_of_a_page_run_and_print_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    found = blocks(page)
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block.language != "python":
            continue
        printed = io.StringIO()
        # the empty lines put the page's own line numbers into a traceback
        code = compile("\n" * block.line + block.text, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        shown = shown_output(block, following)
        if shown is not None and not doctest.OutputChecker().check_output(
            shown, printed.getvalue(), SAME_OUTPUT
        ):
            pytest.fail(
                f"{page_name(page)}:{block.line} prints\n{printed.getvalue()}\nbut the page shows\n{shown}"
            )


def commands(page: pathlib.Path):
    """The `ketgrad ...` commands of a page's shell blocks."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["ketgrad"]:
                    yield words


shell_commands = [
    pytest.param(words, id=f"{page_name(page)}: {' '.join(words)}")
    for page in PAGES
    for words in commands(page)
]


# a comparison as the pages ask for it takes minutes; this one takes the same path in seconds
QUICKLY = ["--rows", "60", "--folds", "2", "--repeats", "1", "--candidates", "1"]


@pytest.mark.parametrize("words", shell_commands)
def test_the_commands_of_a_page_run(words, tmp_path):
    # paths are written as seen from the repository, output goes where the command is run
    arguments = [str(ROOT / word) if (ROOT / word).is_file() else word for word in words[1:]]
    command = [sys.executable, "-m", "ketgrad", *arguments, *(QUICKLY if words[1] == "compare" else [])]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in PAGES:
        prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
            if (
                "://" not in target
                and not target.startswith("mailto:")
                and not (page.parent / target).exists()
            ):
                broken.append(f"{page_name(page)} -> {target}")
    assert not broken


def test_pages_name_files_that_are_there():
    """Below the repository, the package or the core; NAME stands for any."""
    missing = []
    for page in ROOT.glob("*.md"):
        for name in re.findall(r"`([\w./]+/\w[\w./]*|\w+\.py)`", page.read_text("utf-8")):
            places = (ROOT, ROOT / "src" / "ketgrad", ROOT / "cpp")
            if "NAME" not in name and not any((place / name).exists() for place in places):
                missing.append(f"{page_name(page)} names {name}")
    assert not missing


def test_the_index_names_every_page_of_the_documentation():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    missing = [page.name for page in ROOT.glob("docs/*.md") if f"({page.name})" not in index]
    assert missing == ["index.md"]


PARTS = ("encodings", "ansatz", "hamiltonians", "losses", "datasets", "optimize")


def public_callables() -> dict[str, Any]:
    """What a user calls, by name: functions and classes of kg, of its parts and of the bridges."""
    called = {
        f"kg.{name}": value
        for name, value in ((name, getattr(kg, name)) for name in kg.__all__)
        if inspect.isroutine(value) or (inspect.isclass(value) and not issubclass(value, Exception))
    }
    for part in PARTS:
        module = getattr(kg, part)
        for name in module.__all__:
            if inspect.isfunction(value := getattr(module, name)):
                called[f"kg.{part}.{name}"] = value
    for bridge in kg._BRIDGES:
        module = getattr(kg, bridge)
        called |= {f"kg.{bridge}.{name}": getattr(module, name) for name in module.__all__}
    return called


CALLED = public_callables()


@pytest.mark.parametrize("name", CALLED)
def test_every_public_function_and_class_has_a_docstring_with_an_example(name):
    assert ">>>" in (CALLED[name].__doc__ or ""), f"the docstring of {name} shows no example"
