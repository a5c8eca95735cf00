"""Claims about the core that need no Python: the programs of cpp/tests, compiled here."""

import os
import pathlib
import shutil
import subprocess

import pytest

CPP = pathlib.Path(__file__).resolve().parents[2] / "cpp"
PROGRAMS = sorted((CPP / "tests").glob("*.test.cpp"))
COMPILER = os.environ.get("CXX") or shutil.which("c++") or "g++"
FLAGS = ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{CPP}"]


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """What the programs are linked with: all of the core that holds no kernels."""
    folder = tmp_path_factory.mktemp("core")
    sources = [str(source) for name in ("program", "passes") for source in sorted((CPP / name).glob("*.cpp"))]
    subprocess.run([COMPILER, *FLAGS, "-c", *sources], cwd=folder, check=True)
    return [str(found) for found in sorted(folder.glob("*.o"))]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name.partition(".")[0])
def test_the_claims_of_the_core_hold(program, objects, tmp_path):
    target = str(tmp_path / "claims")
    subprocess.run([COMPILER, *FLAGS, str(program), *objects, "-o", target], check=True)
    done = subprocess.run([target], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " 0 failed" in done.stdout
