"""Which tests look at what was changed: those that name a changed module first, then their neighbours.

The folders of tests/ mirror those of src/ketgrad/, so that a path says where its tests are.
"""

import functools
import pathlib
import re
import subprocess
from collections.abc import Iterable

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE, TESTS = ROOT / "src" / "ketgrad", ROOT / "tests"
PAGES = "tests/test_docs.py"
ALWAYS = (TESTS / "test_tiny.py", TESTS / "test_layers.py")
# What is no module of the package -> where its tests are.
ELSEWHERE = {
    "cpp": (
        "test_layers_of_the_core.py",
        "executors/test_native_core.py",
        "executors/test_native_blocked.py",
        "executors/test_executors.py",
        "executors/test_core_programs_linux.py",
        "executors",
    ),
    "src/ketgrad/__init__.py": ("test_names.py",),
    "tools/mutate.py": ("test_mutate.py",),
    "tools/changed_tests.py": ("test_changed_tests.py",),
    "tools/check.py": ("test_changed_tests.py",),
}


def changed_files() -> list[pathlib.Path]:
    """What differs from the branch main; on it, what is not committed, or else what the last commit changed."""
    base = _git("merge-base", "HEAD", "main") or ["HEAD"]
    names = {*_git("diff", "--name-only", base[0]), *_git("ls-files", "--others", "--exclude-standard")}
    names = names or set(_git("diff", "--name-only", "HEAD~1"))
    return sorted(ROOT / name for name in names if (ROOT / name).exists())


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


def claims_of_pages(changed: Iterable[pathlib.Path]) -> list[str]:
    """What pytest is told to run of the changed pages: their own blocks and commands, and what holds for all pages."""
    folders = (ROOT, ROOT / "docs", ROOT / "benchmarks")
    pages = [
        path.relative_to(ROOT).as_posix()
        for path in changed
        if path.suffix == ".md" and path.parent in folders
    ]
    return [PAGES, "-k", " or ".join([*pages, "links", "index", "files"])] if pages else []


def tests_of(changed: Iterable[pathlib.Path]) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """(tests that name a changed file, the others beside them), each once, without those that always run."""
    own: dict[pathlib.Path, None] = {}
    beside: dict[pathlib.Path, None] = {}
    for path in changed:
        own |= dict.fromkeys(_own_tests(path))
        beside |= dict.fromkeys(_neighbours(path))
    return (
        [path for path in own if path not in ALWAYS],
        [path for path in beside if path not in own and path not in ALWAYS],
    )


def _own_tests(path: pathlib.Path) -> list[pathlib.Path]:
    if path.is_relative_to(TESTS) and path.name.startswith("test_"):
        return [path]
    pattern = _name_in_tests(path)
    named = [test for test in _test_files(TESTS) if pattern and re.search(pattern, _imports(test))]
    near = _neighbours(path)
    return [*sorted(named, key=lambda test: test not in near), *_elsewhere(path)]


def _name_in_tests(path: pathlib.Path) -> str:
    """How a test that is made for this file calls it, as a pattern: modules as they are imported."""
    stem = re.escape(path.stem)
    if path.suffix == ".py" and path.is_relative_to(PACKAGE) and path.stem != "__init__":
        folder = re.escape(".".join(("ketgrad", *path.relative_to(PACKAGE).parts[:-1])))
        return rf"\b{folder}\.{stem}\b|\bfrom {folder} import .*\b{stem}\b"
    if path.is_relative_to(TESTS / "support"):
        return rf"(?m)^(import|from) {stem}\b"
    return ""


def _neighbours(path: pathlib.Path) -> list[pathlib.Path]:
    """The tests of the folder that mirrors the one of this file, or of the nearest above it that has one."""
    if not path.is_relative_to(PACKAGE) or path.parent == PACKAGE:
        return []
    folder = TESTS / path.relative_to(PACKAGE).parent
    while not folder.is_dir():
        folder = folder.parent
    return _test_files(folder) if folder != TESTS else []


def _elsewhere(path: pathlib.Path) -> list[pathlib.Path]:
    name = path.relative_to(ROOT).as_posix()
    found = []
    for start, places in ELSEWHERE.items():
        if name == start or name.startswith(start + "/"):
            found += [test for place in places for test in _test_files(TESTS / place)]
    return found


@functools.cache
def _imports(test: pathlib.Path) -> str:
    """The lines of a test that may name a module, those of programs in its texts too."""
    lines = test.read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if "import" in line or "ketgrad." in line)


def _test_files(place: pathlib.Path) -> list[pathlib.Path]:
    return [place] if place.is_file() else sorted(place.rglob("test_*.py"))
