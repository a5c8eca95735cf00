"""The C++ core under the sanitizers of the compiler (GCC or Clang on Linux); minutes, so not part of the checks.

    python tools/sanitize.py address                    # memory errors, undefined behaviour: every test_native_*.py
    python tools/sanitize.py address tests/test_tiny.py # these tests only (any arguments of pytest)
    python tools/sanitize.py threads                    # data races: cpp/tests/threads.cpp calls from many threads

Builds into build/sanitize-*; needs cmake, ninja and nanobind in the environment, as `pip install -e ".[test]"` does.
The exit code is 0 only if nothing was found.
"""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
NATIVE_TESTS = sorted(str(path) for path in (ROOT / "tests" / "executors").glob("test_native_*.py"))


def build(name: str, *options: str, target: str) -> pathlib.Path:
    """Configure and build one target in build/sanitize-NAME; returns that folder."""
    folder = ROOT / "build" / f"sanitize-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    interpreter = f"-DPython_EXECUTABLE={sys.executable}"
    configure = ["cmake", "-G", "Ninja", interpreter, "-DCMAKE_BUILD_TYPE=None", *options, str(ROOT)]
    subprocess.run(configure, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", target], cwd=folder, check=True)
    return folder


def runtime(library: str) -> str:
    """The path of a runtime library of the compiler."""
    compiler = os.environ.get("CXX", "c++")
    found = subprocess.run(
        [compiler, f"-print-file-name={library}"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def check_addresses(arguments: list[str]) -> int:
    """Run tests with a module that checks every access; a finding ends the run."""
    folder = build("address", "-DKETGRAD_SANITIZE=address,undefined", target="_native")
    package = folder / "site" / "ketgrad"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(
        ROOT / "src" / "ketgrad", package, ignore=shutil.ignore_patterns("_native*", "__pycache__")
    )
    for module in folder.glob("_native*.so"):
        shutil.copy(module, package)
    environment = os.environ | {
        "PYTHONPATH": str(package.parent),
        "LD_PRELOAD": f"{runtime('libasan.so')} {runtime('libubsan.so')} {runtime('libstdc++.so')}",
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",  # the interpreter keeps what it likes
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(arguments or NATIVE_TESTS)]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def check_threads() -> int:
    """Run the program of cpp/tests under the thread sanitizer."""
    options = ("-DKETGRAD_SANITIZE=thread", "-DKETGRAD_TEST_THREADS=ON", "-DKETGRAD_BASELINE_ONLY=ON")
    folder = build("threads", *options, target="test_threads")
    environment = os.environ | {"TSAN_OPTIONS": "second_deadlock_stack=1"}
    return subprocess.run([str(folder / "test_threads")], env=environment).returncode


def main() -> int:
    """Run the sanitizer named on the command line."""
    match sys.argv[1:]:
        case ["address", *arguments]:
            return check_addresses(arguments)
        case ["threads"]:
            return check_threads()
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main())
