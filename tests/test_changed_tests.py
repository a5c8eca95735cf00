"""What was changed finds its tests: the quick check runs those that own it, the nearest first."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import changed_tests  # noqa: E402 - a tool # pyright: ignore[reportMissingImports]

MODULES = sorted(path for path in changed_tests.PACKAGE.rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("src/ketgrad/referee/judgement/verdict.py", "tests/referee/judgement/test_verdict.py"),
        ("src/ketgrad/referee/options.py", "tests/referee/test_options.py"),
        ("src/ketgrad/cli/main.py", "tests/cli/test_cli.py"),
        ("src/ketgrad/circuits/gates.py", "tests/circuits/test_gates.py"),
        ("src/ketgrad/__init__.py", "tests/test_names.py"),
        ("tests/circuits/test_gates.py", "tests/circuits/test_gates.py"),
        ("tests/support/report_samples.py", "tests/referee/report/test_report.py"),
        ("tools/mutate.py", "tests/test_mutate.py"),
        ("cpp/base/pool.cpp", "tests/test_layers_of_the_core.py"),
        ("cpp/lanes/engine.cpp", "tests/executors/test_native_core.py"),
    ],
)
def test_a_file_is_owned_by_the_tests_that_name_it(path, owner):
    own, beside = changed_tests.tests_of([ROOT / path])
    assert ROOT / owner in own and not set(own) & set(beside)


def test_a_changed_page_is_run_and_no_other():
    of = changed_tests.claims_of_pages
    assert of([ROOT / "src" / "ketgrad" / "circuits" / "gates.py", ROOT / "cpp" / "README.md"]) == []
    told = of([ROOT / "README.md", ROOT / "docs" / "executors.md"])
    assert told == ["tests/test_docs.py", "-k", "README.md or docs/executors.md or links or index or files"]


def test_every_module_has_tests_of_its_own_or_beside_it():
    assert len(MODULES) > 100
    orphans = [path.name for path in MODULES if not any(changed_tests.tests_of([path]))]
    assert set(orphans) <= {"__main__.py"}


def test_the_nearest_tests_come_first_and_none_twice():
    verdict = changed_tests.PACKAGE / "referee" / "judgement" / "verdict.py"
    own, beside = changed_tests.tests_of([verdict, verdict, ROOT / "README.md"])
    assert own[0].parent.name == "judgement" and len(own + beside) == len({*own, *beside})
    assert all(test.is_file() for test in own + beside)


def test_what_was_changed_exists():
    changed = changed_tests.changed_files()
    assert all(path.is_file() for path in changed)
