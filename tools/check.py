"""Every check of the project, in one command: what CI runs, and what to run before a commit.

    python tools/check.py              # everything
    python tools/check.py lint types   # some of it
    python tools/check.py --quick      # what looks at your changes, within 90 seconds

Every step runs, also after one has failed; the exit code is 1 if any did. The tests come last, so that
their summary is what the eye sees first.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

import changed_tests

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = sys.executable
ENVIRONMENT = os.environ | {"PYTHONUTF8": "1"}
QUICK_SECONDS = 75.0  # for the tests of --quick, which begin at once; what is left is for their end

STEPS = {
    "format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "lint": [PYTHON, "-m", "ruff", "check", "."],
    "types": [PYTHON, "-m", "pyright", "--pythonpath", PYTHON],
    "generated": [PYTHON, "tools/generate.py", "--check"],
    "speed": [PYTHON, "benchmarks/smoke.py", "--tiny"],
    **({"clang": [PYTHON, "tools/clang.py"]} if sys.platform == "linux" else {}),
    "tests": [PYTHON, *"-m pytest -q --durations=15 -n auto --maxprocesses 4 --dist worksteal".split()],
}
UNTIL_ONE_FAILS = [PYTHON, *"-m pytest -q --maxfail=1".split()]


def run_step(name: str, command: list[str]) -> tuple[int, float]:
    """Run one step in the repository root, its output passed through; returns (exit code, seconds)."""
    print(f"\n== {name}: {' '.join(command[1:])}", flush=True)
    start = time.monotonic()
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT).returncode, time.monotonic() - start


def run_quick() -> dict[str, tuple[int, float]]:
    """Format, lint, the types of what was changed and its tests, the nearest first, as far as the time goes."""
    began = time.monotonic()
    changed = changed_tests.changed_files()
    sources = [str(path.relative_to(ROOT)) for path in changed if path.suffix == ".py"]
    print(f"{len(changed)} files were changed, {len(sources)} of them in Python", flush=True)
    results = {name: run_step(name, STEPS[name]) for name in ("format", "lint")}
    types = None  # on the other core, while the tests run
    if sources:
        command = [*STEPS["types"], *sources]
        pipe = subprocess.PIPE
        types = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)
    own, beside = changed_tests.tests_of(changed)
    found = {"always": changed_tests.ALWAYS, "own tests": own, "beside": beside}
    groups = {name: [str(path.relative_to(ROOT)) for path in paths] for name, paths in found.items()}
    for name, tests in {"pages": changed_tests.claims_of_pages(changed), **groups}.items():
        if tests:
            results[name] = run_tests(name, tests, QUICK_SECONDS - (time.monotonic() - began))
    if types is not None:
        told, remarks = types.communicate()
        print(f"\n== types of what was changed\n{told}{remarks}", flush=True)
        results["types"] = types.returncode, time.monotonic() - began
    if any(path.is_relative_to(ROOT / "cpp") for path in changed):
        print("cpp/ was changed: the tests saw the core that was built last; pip install . builds a new one.")
    return results


def run_tests(name: str, tests: list[str], seconds: float) -> tuple[int, float]:
    """Run tests until one fails or the time is over; what was not run then is said, and is no failure."""
    if seconds <= 0:
        print(f"\n== {name}: no time was left for {' '.join(tests)}", flush=True)
        return 0, 0.0
    print(f"\n== {name}: pytest {' '.join(tests)}", flush=True)
    start = time.monotonic()
    process = subprocess.Popen([*UNTIL_ONE_FAILS, *tests], cwd=ROOT, env=ENVIRONMENT)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:  # until here none has failed, or it would have ended
        process.terminate()
        process.wait()
        print(
            f"{name}: stopped after {seconds:.0f} s, none had failed; `python tools/check.py` runs them all."
        )
        code = 0
    return code, time.monotonic() - start


def main() -> int:
    """Run the steps named on the command line (all of them by default)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"any of: {' '.join(STEPS)}")
    parser.add_argument("--quick", action="store_true", help="what looks at your changes, within 90 seconds")
    given = parser.parse_args()
    unknown = sorted(set(given.steps) - set(STEPS))
    if unknown:
        parser.error(f"no such step: {', '.join(unknown)}; the steps are {', '.join(STEPS)}")
    if given.quick and given.steps:
        parser.error("--quick chooses its steps by what was changed; name steps or say --quick")
    chosen = given.steps or list(STEPS)
    results = run_quick() if given.quick else {name: run_step(name, STEPS[name]) for name in chosen}
    print("\n== summary")
    for name, (code, seconds) in results.items():
        print(f"{name:10} {'ok' if code == 0 else f'FAILED ({code})':12} {seconds:6.1f} s")
    return int(any(code != 0 for code, _ in results.values()))


if __name__ == "__main__":
    sys.exit(main())
