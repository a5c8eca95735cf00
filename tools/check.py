"""Every check of the project, in one command: what CI runs, and what to run before a commit.

    python tools/check.py              # everything
    python tools/check.py lint types   # some of it

Every step runs, also after one has failed; the exit code is 1 if any did. The tests come last, so that
their summary is what the eye sees first.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = sys.executable

STEPS = {
    "format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "lint": [PYTHON, "-m", "ruff", "check", "."],
    "types": [PYTHON, "-m", "pyright", "--pythonpath", PYTHON],
    "generated": [PYTHON, "tools/generate.py", "--check"],
    "speed": [PYTHON, "benchmarks/smoke.py", "--tiny"],
    "tests": [PYTHON, *"-m pytest -q --durations=15 -n auto --maxprocesses 4 --dist worksteal".split()],
}


def run_step(name: str) -> tuple[int, float]:
    """Run one step in the repository root, its output passed through; returns (exit code, seconds)."""
    print(f"\n== {name}: {' '.join(STEPS[name][1:])}", flush=True)
    start = time.monotonic()
    code = subprocess.run(STEPS[name], cwd=ROOT, env=os.environ | {"PYTHONUTF8": "1"}).returncode
    return code, time.monotonic() - start


def main() -> int:
    """Run the steps named on the command line (all of them by default)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"any of: {' '.join(STEPS)}")
    chosen = parser.parse_args().steps or list(STEPS)
    unknown = sorted(set(chosen) - set(STEPS))
    if unknown:
        parser.error(f"no such step: {', '.join(unknown)}; the steps are {', '.join(STEPS)}")
    results = {name: run_step(name) for name in chosen}
    print("\n== summary")
    for name, (code, seconds) in results.items():
        print(f"{name:10} {'ok' if code == 0 else f'FAILED ({code})':12} {seconds:6.1f} s")
    return int(any(code != 0 for code, _ in results.values()))


if __name__ == "__main__":
    sys.exit(main())
