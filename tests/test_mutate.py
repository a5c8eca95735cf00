"""The tool that puts faults into the code finds the one that the tests do not see, and leaves the tree as it was."""

import ast
import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

TOOL = pathlib.Path(__file__).resolve().parent.parent / "tools" / "mutate.py"


def tool():
    specification = importlib.util.spec_from_file_location("mutate", TOOL)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["mutate"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


mutate = tool()

CHANGES = [
    ("a = b < c", "comparison", "a = (b <= c)"),
    ("a = é + c", "arithmetic", "a = (é - c)"),
    ("a = b and c", "and/or", "a = (b or c)"),
    ("a = not b", "dropped sign", "a = (b)"),
    ("a = -b", "dropped sign", "a = (b)"),
    ("a = 3", "number", "a = 4"),
    ("a = 0.95", "number", "a = 0.8636363636363635"),
    ("a = 1e-9", "number", "a = 0.001"),
    ("a = True", "number", "a = False"),
    ("a = f(b, c, d)", "swapped", "a = f(c, b, d)"),
    ("a = b if d else c", "branch", "a = (c if d else b)"),
    ("if b:\n    a()", "condition", "if (not b):\n    a()"),
    ("def f(a):\n    return a", "returned None", "def f(a):\n    return None"),
    ("a.b = c", "dropped", "pass"),
    ("f()", "dropped", "pass"),
    ("raise E('x', 1)", "dropped", "pass"),
]
UNCHANGED = [
    '"""Text of a module, 1 + 1."""',
    "def f(a: 'int | None' = None) -> 'A | B':\n    ...",
    "@frozen(1, 2)\nclass C:\n    a: 'A | B'",
    "a = f'{b + 1}'",
    "if TYPE_CHECKING:\n    a = 1",
    "a = max(b, c)",
]


@pytest.mark.parametrize(("source", "operator", "changed"), CHANGES)
def test_each_operator_changes_one_place(source, operator, changed):
    found = mutate.mutants(source)
    assert (operator, changed) in [(mutant.operator, mutant.source) for mutant in found]
    assert all(ast.dump(ast.parse(mutant.source)) != ast.dump(ast.parse(source)) for mutant in found)


@pytest.mark.parametrize("source", UNCHANGED)
def test_texts_annotations_and_what_means_the_same_are_left_alone(source):
    assert mutate.mutants(source) == []


TOY = '''"""A module of which one half is tested.

>>> is_allowed(7)
True
"""

LIMIT = 10


def is_allowed(a):
    return a < LIMIT


def ends():
    while "it is not stopped":
        break
    return "here"
'''
TOY_TESTS = """
from toy.numbers import ends, is_allowed

def test_some_numbers_are_allowed():
    assert is_allowed(9) and not is_allowed(11)

def test_it_ends():
    assert ends() == "here"
"""


def test_the_missing_test_is_found_in_a_copy(tmp_path):
    package, tests = tmp_path / "src" / "toy", tmp_path / "tests"
    package.mkdir(parents=True)
    tests.mkdir()
    (package / "__init__.py").touch()
    (package / "numbers.py").write_text(TOY)
    (tests / "test_numbers.py").write_text(TOY_TESTS)
    results = tmp_path / "results.jsonl"
    command = [sys.executable, str(TOOL), "numbers", "--root", str(tmp_path), "--package", "toy"]
    command += ["--tests", "tests/test_numbers.py", "--results", str(results), "--limit", "5"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = [json.loads(line) for line in results.read_text().splitlines()]
    survived = [(item["before"], item["after"]) for item in found if item["outcome"] == "survived"]
    assert survived == [("10", "11"), ("a < LIMIT", "(a <= LIMIT)")]  # nothing asks about ten
    assert [item["before"] for item in found if item["outcome"] == "timeout"] == ["break"]
    assert any(item["killed_by"] == "tests/test_numbers.py::test_it_ends" for item in found)
    assert run.returncode == 1 and "numbers.py:11: comparison\n-    return a < LIMIT\n" in run.stdout
    assert (package / "numbers.py").read_text() == TOY
