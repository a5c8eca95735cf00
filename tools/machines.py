"""The tests on other machines of this kind: other kernels of the BLAS, one CPU, another seed of hashes, no locale.

    python tools/machines.py                          # every machine, the tests that depend on one
    python tools/machines.py one-cpu skylake          # these machines only
    python tools/machines.py --tests tests/test_x.py  # other tests (any arguments of pytest, last on the line)

What a result owes to the machine that made it shows only on another one. Each machine below is a child process
with other variables of the environment; a kernel of OpenBLAS that this processor cannot run is left out, and said so.
The exit code is 1 if any machine failed. Minutes, and some processors want a kernel of their own: so it is not part
of the checks.
"""

import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = [
    "tests/test_tiny.py",
    "tests/saving/test_saving.py",
    "tests/test_accuracy.py",
    "tests/kernels/test_kernels.py",
    "tests/models/test_models.py",
    "tests/test_process.py",
    "tests/executors/test_native_core.py",
    "tests/bridges/test_bridge_torch.py",
]


@dataclass(frozen=True)
class Machine:
    """Variables that a process is started with (None: taken away), the CPUs it may use, what the processor needs."""

    variables: dict[str, str | None] = field(default_factory=dict)
    cpus: int | None = None
    needs: str | None = None  # a flag in /proc/cpuinfo


MACHINES = {
    "as-it-is": Machine(),
    "haswell": Machine({"OPENBLAS_CORETYPE": "Haswell"}, needs="avx2"),
    "skylake": Machine({"OPENBLAS_CORETYPE": "SkylakeX"}, needs="avx512f"),
    "any-blas": Machine({"OPENBLAS_CORETYPE": None, "OPENBLAS_L2_SIZE": None}),
    "one-cpu": Machine(cpus=1),
    "other-hashes": Machine({"PYTHONHASHSEED": "12345"}),
    "no-locale": Machine({"LC_ALL": "C", "LANG": None, "TERM": "dumb", "COLUMNS": None}),
}


def missing(machine: Machine) -> str | None:
    """Why this processor cannot stand in for the machine; None if it can."""
    if machine.needs is None:
        return None
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="ascii", errors="replace") if cpuinfo.exists() else ""
    return None if f" {machine.needs} " in flags else f"the processor has no {machine.needs}"


def run(machine: Machine, arguments: list[str]) -> int:
    """The exit code of pytest on the machine."""
    environment = os.environ | {name: text for name, text in machine.variables.items() if text is not None}
    for name in (name for name, text in machine.variables.items() if text is None):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    if machine.cpus is not None and hasattr(os, "sched_getaffinity"):
        allowed = sorted(os.sched_getaffinity(0))[: machine.cpus]
        command = ["taskset", "-c", ",".join(map(str, allowed)), *command]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def main(arguments: list[str]) -> int:
    """Run the machines named on the command line, all by default."""
    split = arguments.index("--tests") if "--tests" in arguments else len(arguments)
    chosen, tests = arguments[:split] or list(MACHINES), arguments[split + 1 :] or TESTS
    unknown = sorted(set(chosen) - set(MACHINES))
    if unknown:
        print(f"no such machine: {', '.join(unknown)}; the machines are {', '.join(MACHINES)}\n\n{__doc__}")
        return 2
    results = {}
    for name in chosen:
        reason = missing(MACHINES[name])
        print(f"\n== {name}: {MACHINES[name].variables} {reason or ''}", flush=True)
        results[name] = f"left out: {reason}" if reason else run(MACHINES[name], tests)
    print("\n== summary")
    for name, result in results.items():
        print(
            f"{name:14} {result if isinstance(result, str) else 'ok' if result == 0 else f'FAILED ({result})'}"
        )
    return int(any(result not in (0,) and not isinstance(result, str) for result in results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
