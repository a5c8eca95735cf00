"""Two threads over one: training steps of many small states, and values of one large state.

    python benchmarks/threads.py            # two or three minutes, on an idle machine; writes results/threads.md
    python benchmarks/threads.py --tiny     # small and once, writes nothing

One thread and two take turns in short rounds, so that a busy moment meets both; a round compares the least time of
each, and the table shows the median of the rounds' ratios.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # NumPy's own threads would spin beside ours

import argparse
import pathlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import ketgrad as kg
from ketgrad import w, x

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
GOAL = 1.7


@dataclass(frozen=True)
class Work:
    """What is timed: a name, a call for a number of threads, and the calls of a round."""

    name: str
    make: Callable[[int], Callable[[], object]]
    calls: int


def rotations(n: int, first: int) -> list[kg.Op]:
    """RZ RY RZ on every qubit, each angle a weight of its own."""
    return [kg.rot(w[first + 3 * q], w[first + 3 * q + 1], w[first + 3 * q + 2], q) for q in range(n)]


def training_step(n: int, batch: int = 64, layers: int = 4) -> Work:
    """Workload W1: a squared loss of <Z0> and its gradient by weights and inputs."""
    ops = [kg.rx(x[q], q) for q in range(n)]
    for layer in range(layers):
        ops += rotations(n, 3 * n * layer) + [kg.cx(q, (q + 1) % n) for q in range(n)]
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(batch, n)), random.normal(size=(batch, 1))
    slope = np.full((batch, 1), 2 / batch)

    def make(threads: int) -> Callable[[], object]:
        f = kg.expectation(kg.Circuit(ops), kg.Pauli("Z0"), threads=threads)
        weights = np.random.default_rng(1).normal(size=f.num_weights)
        return lambda: f.vjp(weights, inputs, -slope * targets, slope=slope)

    return Work(f"training step, {batch} samples, n = {n}", make, max(1, 2 ** (18 - n) // 20))


def large_state(n: int, depth: int = 10) -> Work:
    """Workload W3 with a word on all qubits, so that nothing is left out."""
    ops = []
    for layer in range(depth):
        ops += rotations(n, 3 * n * layer) + [kg.cz(q, q + 1) for q in range(layer % 2, n - 1, 2)]
    word = kg.Pauli(" ".join(f"Z{q}" for q in range(n)))

    def make(threads: int) -> Callable[[], object]:
        f = kg.expectation(kg.Circuit(ops), word, threads=threads)
        weights = np.random.default_rng(1).normal(size=f.num_weights)
        return lambda: f(weights)

    return Work(f"one state, depth {depth}, n = {n}", make, max(1, 2 ** (22 - n)))


def least(call: Callable[[], object], calls: int) -> float:
    """The least seconds of a number of calls."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true")
    tiny = parser.parse_args().tiny
    work = [training_step(n) for n in ((4,) if tiny else (8, 10, 12, 16))]
    work += [large_state(n) for n in ((13,) if tiny else (20, 22, 24))]
    lines = ["| work | 1 thread | 2 threads | ratio | goal |", "|---|---|---|---|---|"]
    for one in work:
        calls = [one.make(threads) for threads in (1, 2)]
        for call in calls * 3:
            call()
        rounds = [[least(call, one.calls) for call in calls] for _ in range(1 if tiny else 15)]
        ratio = statistics.median(a / b for a, b in rounds)
        times = [min(column) * 1e3 for column in zip(*rounds, strict=True)]
        bold = "**" if ratio < GOAL else ""
        lines.append(
            f"| {one.name} | {times[0]:.3g} ms | {times[1]:.3g} ms | {bold}{ratio:.2f}{bold} | {GOAL} |"
        )
        print(lines[-1], flush=True)
    if not tiny:
        text = [
            "# Two threads over one",
            "",
            "Written by `python benchmarks/threads.py`; do not edit.",
            "",
            *lines,
        ]
        (RESULTS / "threads.md").write_text("\n".join(text) + "\n", "utf-8")


if __name__ == "__main__":
    main()
