"""PennyLane's own device tests on ketgrad.qubit and on lightning.qubit: the table of what passed.

Run: python tools/pennylane_suite.py [--device ketgrad.qubit] [--shots None 10000] [--only test_gates.py]
Needs: pennylane, pytest-mock and flaky; ketgrad installed, or src/ in PYTHONPATH. Exit code 1 if a test fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ENTRY = "[pennylane.plugins]\nketgrad.qubit = ketgrad.bridges.pennylane:QubitDevice\n"
KINDS = ("passed", "skipped", "xfailed", "failed", "error")


def environment(folder: str) -> dict[str, str]:
    """The environment of this process with the entry point of the device, installed or not."""
    place = Path(folder) / "ketgrad_entry-0.1.dist-info"
    place.mkdir()
    (place / "entry_points.txt").write_text(ENTRY, "utf-8")
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: ketgrad-entry\nVersion: 0.1\n", "utf-8")
    import ketgrad

    source = str(Path(ketgrad.__file__).parent.parent)
    path = os.pathsep.join([folder, source, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def run(device: str, shots: str, only: list[str], folder: str) -> tuple[dict[str, int], str]:
    """The counts of one run of the device tests, and what pytest printed."""
    found_spec = importlib.util.find_spec("pennylane")
    if found_spec is None or found_spec.origin is None:
        sys.exit("pennylane is not installed. Install it with: pip install 'ketgrad[test]'")
    tests = Path(found_spec.origin).parent / "devices" / "tests"
    places = [str(tests / name) for name in only] or [str(tests)]
    flags = [
        "-q",
        "-rfE",
        "--tb=short",
        "--no-flaky-report",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tests),
    ]
    command = [
        sys.executable,
        "-m",
        "pytest",
        *places,
        f"--device={device}",
        f"--shots={shots}",
        "--skip-ops",
    ]
    with tempfile.TemporaryDirectory(dir=folder) as entry:
        found = subprocess.run(
            [*command, *flags],
            env=environment(entry),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    last = found.stdout.strip().rsplit("\n", 1)[-1]
    counts = {kind: 0 for kind in KINDS}
    for number, kind in re.findall(r"(\d+) (passed|skipped|xfailed|failed|error)", last):
        counts[kind] = int(number)
    return counts, found.stdout + found.stderr


def main() -> int:
    """Run all that was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", nargs="+", default=["ketgrad.qubit", "lightning.qubit"])
    parser.add_argument("--shots", nargs="+", default=["None", "10000"])
    parser.add_argument("--only", nargs="+", default=[], help="files of PennyLane's suite")
    options = parser.parse_args()
    wrong = False
    print(f"| device | shots | {' | '.join(KINDS)} |")
    print("| --- " * (2 + len(KINDS)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for device in options.device:
            for shots in options.shots:
                counts, text = run(device, shots, options.only, folder)
                print(
                    f"| {device} | {shots} | {' | '.join(str(counts[kind]) for kind in KINDS)} |", flush=True
                )
                if counts["failed"] or counts["error"] or not counts["passed"]:
                    wrong = True
                    print(text, file=sys.stderr)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
