"""P5: whichever allocation fails, the caller gets a MemoryError, the next call is right and nothing leaks."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

NATIVE = pathlib.Path(__file__).parent / "native"
MAY_REMAIN = 8  # allocations of a kept table or pool thread, made once


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict[str, tuple[int, ...]]:
    """Operation -> (failed allocations, those that gave a MemoryError, allocations that stayed alive)."""
    library = tmp_path_factory.mktemp("shim") / "liballocations.so"
    compiler = os.environ.get("CXX") or shutil.which("c++") or "g++"
    source = str(NATIVE / "allocations.cpp")
    subprocess.run(
        [compiler, "-O1", "-std=c++17", "-shared", "-fPIC", source, "-o", str(library)], check=True
    )
    done = subprocess.run(
        [sys.executable, str(NATIVE / "allocations.py"), "23"],
        env=os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (line.rsplit(": ", 1) for line in done.stdout.splitlines())
    return {name: tuple(map(int, numbers.split())) for name, numbers in lines}


def test_twenty_operations_of_the_core_are_tried(report):
    assert len(report) == 20 and all(failed > 0 for failed, _, _ in report.values())


def test_every_failed_allocation_is_a_memory_error(report):
    assert {name: r for name, r in report.items() if r[0] != r[1]} == {}


def test_nothing_leaks_when_an_allocation_fails(report):
    assert {name: r for name, r in report.items() if r[2] > MAY_REMAIN} == {}
