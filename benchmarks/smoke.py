"""Our own speed: each measurement with its unit and its goal beside it. Asserts nothing about time.

python benchmarks/smoke.py                     # one thread, about half a minute
python benchmarks/smoke.py --tiny              # small and once: does every measurement still work?
python benchmarks/smoke.py --out rows.jsonl    # the rows as data, too
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import ketgrad as kg
from ketgrad import w, x

MILLI, MICRO = 1e-3, 1e-6


@dataclass(frozen=True)
class Measurement:
    """What is timed, its goal in seconds, and how it is set up: `prepare(tiny, threads)` returns the timed call."""

    what: str
    goal: float
    prepare: Callable[[bool, int], Callable[[], object]]


def training_step(n: int) -> Callable[[bool, int], Callable[[], object]]:
    """Workload W1: squared error of <Z0> over 64 samples and 4 strongly entangling layers, with its gradient."""

    def prepare(tiny: bool, threads: int) -> Callable[[], object]:
        random, batch = np.random.default_rng(n), 3 if tiny else 64
        data = kg.Circuit([kg.rx(x[q], q) for q in range(n)])
        f = kg.expectation(
            data + kg.ansatz.strongly_entangling(n, 2 if tiny else 4), kg.Pauli("Z0"), threads=threads
        )
        weights, inputs = random.uniform(0, 6, f.num_weights), random.uniform(-3, 3, (batch, n))
        targets = np.sign(random.normal(size=(batch, 1)))
        slope = np.full_like(targets, 2 / batch)
        return lambda: f.vjp(weights, inputs, -slope * targets, slope=slope)

    return prepare


def gram(samples: int, n: int) -> Callable[[bool, int], Callable[[], object]]:
    """Workload W2: the symmetric Gram matrix of a ZZ feature map kernel."""

    def prepare(tiny: bool, threads: int) -> Callable[[], object]:
        kernel = kg.FidelityKernel(kg.encodings.zz_feature_map(n), threads=threads)
        inputs = np.random.default_rng(n).uniform(0, 1, (8 if tiny else samples, n))
        return lambda: kernel(inputs)

    return prepare


def large_state(n: int) -> Callable[[bool, int], Callable[[], object]]:
    """A brickwork circuit of depth 10 on one large state: value and gradient of <Z0 Z1>."""

    def prepare(tiny: bool, threads: int) -> Callable[[], object]:
        width = 6 if tiny else n
        layers = [
            kg.Circuit(
                [kg.u(w[3 * q], w[3 * q + 1], w[3 * q + 2], q) for q in range(width)]
                + [kg.cz(q, q + 1) for q in range(layer % 2, width - 1, 2)]
            )
            for layer in range(10)
        ]
        f = kg.expectation(sum(layers[1:], layers[0]), kg.Pauli("Z0 Z1"), threads=threads)
        weights = np.random.default_rng(n).uniform(0, 6, f.num_weights)
        return lambda: f.vjp(weights, None, [1.0])

    return prepare


def ising_energy(n: int) -> Callable[[bool, int], Callable[[], object]]:
    """Energy of a Hamiltonian of many Pauli words and its gradient by the weights of a layered ansatz."""

    def prepare(tiny: bool, threads: int) -> Callable[[], object]:
        width = 4 if tiny else n
        pairs = [(a, b) for a in range(width) for b in range(a)]
        energy = sum((kg.Pauli(f"0.3 Z{a} Z{b} - 0.2 X{a} Y{b}") for a, b in pairs), kg.Pauli("X0"))
        f = kg.expectation(kg.ansatz.real_amplitudes(width, 6), energy, threads=threads)
        weights = np.random.default_rng(n).uniform(0, 6, f.num_weights)
        return lambda: f.vjp(weights, None, [1.0])

    return prepare


def one_call(derivative: bool) -> Callable[[bool, int], Callable[[], object]]:
    """A circuit of one gate: what remains is the overhead of a call from Python."""

    def prepare(tiny: bool, threads: int) -> Callable[[], object]:
        f = kg.expectation(kg.Circuit([kg.rx(w[0], 0)]), kg.Pauli("Z0"), threads=threads)
        weights, inputs, cotangent = np.array([0.3]), np.zeros(0), np.ones(1)

        def call() -> None:
            for _ in range(100):
                f.vjp(weights, inputs, cotangent) if derivative else f(weights, inputs)

        return call

    return prepare


def interpreter(code: str) -> Callable[[bool, int], Callable[[], object]]:
    """A fresh interpreter that runs `code`."""
    return lambda tiny, threads: lambda: subprocess.run([sys.executable, "-c", code], check=True)


FIRST_GRADIENT = (
    "import ketgrad as kg\n"
    "f = kg.expectation(kg.Circuit([kg.rx(kg.w[q], q) for q in range(4)] + [kg.cx(0, 1)]), kg.Pauli('Z0'))\n"
    "f.vjp([0.1, 0.2, 0.3, 0.4], None, [1.0])"
)

# The goals of W1 are a third, those of W2 all, of the best other library's time (benchmarks/results).
MEASUREMENTS = [
    Measurement("call overhead, value (100 calls)", 100 * 20 * MICRO, one_call(derivative=False)),
    Measurement("call overhead, gradient (100 calls)", 100 * 30 * MICRO, one_call(derivative=True)),
    Measurement("training step, 4 qubits, 64 samples", 0.14 * MILLI, training_step(4)),
    Measurement("training step, 8 qubits, 64 samples", 2.2 * MILLI, training_step(8)),
    Measurement("training step, 10 qubits, 64 samples", 10.6 * MILLI, training_step(10)),
    Measurement("training step, 12 qubits, 64 samples", 34 * MILLI, training_step(12)),
    Measurement("Gram matrix, 1000 samples, 8 qubits", 74 * MILLI, gram(1000, 8)),
    Measurement("Gram matrix, 1000 samples, 12 qubits", 1.22, gram(1000, 12)),
    Measurement("value and gradient, 18 qubits, depth 10", 0.3, large_state(18)),
    Measurement("energy and gradient, 12 qubits, 133 words", 10 * MILLI, ising_energy(12)),
    Measurement("process start to `import numpy`", 0.2, interpreter("import numpy")),
    Measurement("process start to `import ketgrad`", 0.3, interpreter("import ketgrad")),
    Measurement("process start to the first gradient", 0.4, interpreter(FIRST_GRADIENT)),
]


def median_seconds(call: Callable[[], object], budget: float) -> tuple[float, int]:
    """Median seconds of a call and how often it was timed: after one warm call, for about `budget` seconds."""
    call()
    times: list[float] = []
    while not times or (sum(times) < budget and len(times) < 200):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times), len(times)


def rows(tiny: bool, threads: int) -> Iterator[dict]:
    """One row a measurement, as data."""
    for measurement in MEASUREMENTS:
        seconds, repeats = median_seconds(measurement.prepare(tiny, threads), 0.0 if tiny else 1.5)
        yield {
            "what": measurement.what,
            "seconds": seconds,
            "goal": measurement.goal,
            "repeats": repeats,
            "threads": threads,
            "tiny": tiny,
            "version": kg.__version__,
            "python": platform.python_version(),
            "unix": round(time.time()),
        }


def main() -> None:
    """Measure everything and print it as a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="small sizes, once: the figures mean nothing")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", help="append the rows to this file, one JSON object a line")
    options = parser.parse_args()
    print(f"{'':44}{'milliseconds':>13}{'goal':>10}")
    for row in rows(options.tiny, options.threads):
        print(f"{row['what']:44}{row['seconds'] / MILLI:13.3f}{row['goal'] / MILLI:10.3f}", flush=True)
        if options.out:
            with open(options.out, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
