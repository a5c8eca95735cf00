"""How near the core comes to the arithmetic peak: a training step against a matrix product.

python benchmarks/micro.py            # one thread, a few seconds
python benchmarks/micro.py --calls    # only what a call costs, by every way that it can take

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
from ketgrad.programs.lowering import compile
from ketgrad.programs.program import Program
from ketgrad.programs.questions import Expect

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


def training_circuit(n: int, layers: int = 4) -> kg.Circuit:
    """The circuit of workload W1: data, then layers of general rotations and a ring of CNOTs."""
    layer = [g(w[3 * q + k], q) for q in range(n) for k, g in enumerate((kg.rz, kg.ry, kg.rz))]
    layer += [kg.cx(q, (q + 1) % n) for q in range(n)]
    data = kg.Circuit([kg.rx(x[q], q) for q in range(n)])
    return data + kg.Circuit(layer) * layers


def training_step(n: int, layers: int = 4) -> Program:
    """That circuit and <Z0>."""
    return compile(training_circuit(n, layers), Expect((kg.Pauli("Z0"),)))


def slots(program: Program, batch: int) -> int:
    """Slots of one value and gradient for a batch."""
    facts = Native().facts(program, batch)
    groups = -(-batch // facts["lanes"])
    per_row = 8 * facts["rotations"] + 14 * facts["tables"] + 24 * (facts["product"] > 0)
    return groups * 2**program.num_qubits * per_row


def calls() -> dict[str, Callable[[], object]]:
    """Calls from Python, arrays checked: the direct way into the core first, then what takes the general way."""
    random = np.random.default_rng(1)
    tiny = kg.expectation(kg.Circuit([kg.rx(w[0], 0)]), kg.Pauli("Z0"), threads=1)
    angle, one = np.array([0.3]), np.ones(1)
    f = kg.expectation(training_circuit(4), kg.Pauli("Z0"), threads=1)
    weights, inputs = random.uniform(size=f.num_weights), random.uniform(size=(64, 4))
    cotangent = np.ones((64, 1))
    prepared = kg.Circuit([kg.prepare_state([x[k] for k in range(4)], 0, 1, normalize=True), kg.ry(w[0], 0)])
    amplitudes = kg.expectation(prepared, kg.Pauli("Z0"), threads=1)
    four, four_of_two = random.uniform(0.1, 1, size=(4, 4)), random.uniform(-0.8, 0.8, size=(4, 2))
    columns = kg.Circuit([kg.ry(kg.arccos(x[0]), 0), kg.ry(w[0] * kg.arccos(x[1]), 1), kg.cx(0, 1)])
    chebyshev = kg.expectation(columns, kg.Pauli("Z1"), threads=1)
    measured = kg.expectation(kg.Circuit([kg.rx(w[0], 0)]), kg.Pauli("Z0"), shots=10, seed=0, threads=1)
    ones = np.ones((4, 1))
    return {
        "1 qubit: value": lambda: tiny(angle),
        "1 qubit: value and gradient": lambda: tiny.vjp(angle, None, one),
        "1 qubit: along a direction": lambda: tiny.jvp(angle, None, one),
        "1 qubit: product with the Hessian": lambda: tiny.hvp(angle, None, one, one),
        "1 qubit: Jacobian": lambda: tiny.jacobian(angle),
        "1 qubit: value of a list": lambda: tiny([0.3]),
        "1 qubit: 10 shots": lambda: measured(angle),
        "amplitudes: value and gradient": lambda: amplitudes.vjp(angle, four, ones),
        "Chebyshev: value and gradient": lambda: chebyshev.vjp(angle, four_of_two, ones),
        "4 qubits, 64 samples: values": lambda: f(weights, inputs),
        "4 qubits, 64 samples: training step": lambda: f.vjp(weights, inputs, cotangent, slope=cotangent),
    }


def print_calls(repeats: int) -> None:
    """One line for each call: the least of many short runs, all in turn, so that a busy machine disturbs all alike."""
    table = calls()
    least = dict.fromkeys(table, float("inf"))
    for _ in range(20 * repeats):
        for name, call in table.items():
            start = time.perf_counter()
            for _ in range(10):
                call()
            least[name] = min(least[name], (time.perf_counter() - start) / 10)
    for name, found in least.items():
        print(f"{name:36} {found * 1e6:7.2f} us  {'goal 5 us' if name == '1 qubit: value' else ''}")


def main() -> None:
    """Print one line for each size: milliseconds, slots per second, share of the peak, goal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--calls", action="store_true", help="only what a call costs")
    options = parser.parse_args()
    if options.calls:
        print_calls(options.repeats)
        return
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
    print_calls(options.repeats)


if __name__ == "__main__":
    main()
