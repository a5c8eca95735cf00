"""How near the core comes to the arithmetic peak: a training step against a matrix product.

python benchmarks/micro.py            # one thread, a few seconds

A slot is one vector instruction that adds or multiplies (fused or not). A row holds one amplitude of as many
samples as a register has lanes. Slots per row: a rotation 2 forward and 6 backward, a phase table 4 and 10, the
product state 8 and 16. The peak is what NumPy's matrix product reaches on the same machine in the same run.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import ketgrad as kg
from ketgrad import w, x
from ketgrad.executors.native import Native
from ketgrad.program import Expect, Program, compile

GOAL = 0.55  # share of the peak for a training step of 8 to 12 qubits


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median processor time of a call."""
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def peak_slots(lanes: int, repeats: int) -> float:
    """Slots per second of a matrix product in double precision."""
    size = 768
    a = np.random.default_rng(0).normal(size=(size, size))
    return 2 * size**3 / seconds(lambda: a @ a, repeats) / (2 * lanes)


def training_step(n: int, layers: int = 4) -> Program:
    """The circuit of workload W1: data, then layers of general rotations and a ring of CNOTs, <Z0>."""
    layer = [g(w[3 * q + k], q) for q in range(n) for k, g in enumerate((kg.rz, kg.ry, kg.rz))]
    layer += [kg.cx(q, (q + 1) % n) for q in range(n)]
    data = kg.Circuit([kg.rx(x[q], q) for q in range(n)])
    return compile(data + kg.Circuit(layer) * layers, Expect((kg.Pauli("Z0"),)))


def slots(program: Program, batch: int) -> int:
    """Slots of one value and gradient for a batch."""
    facts = Native().facts(program, batch)
    groups = -(-batch // facts["lanes"])
    per_row = 8 * facts["rotations"] + 14 * facts["tables"] + 24 * (facts["product"] > 0)
    return groups * 2**program.num_qubits * per_row


def main() -> None:
    """Print one line for each size: milliseconds, slots per second, share of the peak, goal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    lanes = Native().facts(training_step(4))["lanes"]
    peak = peak_slots(lanes, options.repeats)
    print(f"peak {peak / 1e9:.2f} G slots/s ({lanes} lanes)")
    random = np.random.default_rng(1)
    for n in (4, 6, 8, 10, 12):
        program = training_step(n)
        weights = random.uniform(0, 2 * np.pi, (1, program.num_weights))
        inputs = random.uniform(-np.pi, np.pi, (options.batch, n))
        cotangent = np.ones((options.batch, 1))
        native = Native()
        call = lambda: native.vjp(program, weights, inputs, cotangent, threads=1)  # noqa: B023, E731
        taken = seconds(call, options.repeats)
        rate = slots(program, options.batch) / taken
        goal = f"goal {GOAL:.0%}" if n >= 8 else ""
        print(
            f"n = {n:2}  {taken * 1e3:8.3f} ms  {rate / 1e9:6.2f} G slots/s  {rate / peak:4.0%} of peak  {goal}"
        )


if __name__ == "__main__":
    main()
