"""Which engine is faster for one large state, and which one the core chooses.

python benchmarks/crossover.py                     # a minute or two, one thread
python benchmarks/crossover.py --qubits 18 20 22

Both engines run each circuit, one after the other, several times in turn; the table shows the best processor time of
each, what the core expected, and what it chose. The expectation is a sum over the steps that are left after pruning
(`cpp/simulator/engine_choice.cpp`), whose constants come from this script.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import ketgrad as kg
from ketgrad import w, x
from ketgrad.executors.native import ARRAYS, load_core
from ketgrad.programs.lowering import compile
from ketgrad.programs.program import Program
from ketgrad.programs.questions import Expect


def rotations(n: int, layer: int) -> list[kg.Op]:
    """RZ RY RZ on every qubit, each with its own weight."""
    first = 3 * n * layer
    return [kg.rot(w[first + 3 * q], w[first + 3 * q + 1], w[first + 3 * q + 2], q) for q in range(n)]


def entangled(n: int, layers: int, reach: int = 1) -> Program:
    """Workload W1: data, then layers of rotations and a ring of CNOTs; <Z0> sees a light cone."""
    ops = [kg.rx(x[q], q) for q in range(n)]
    for layer in range(layers):
        ops += rotations(n, layer) + [kg.cx(q, (q + reach) % n) for q in range(n)]
    return compile(kg.Circuit(ops, n), Expect((kg.Pauli("Z0"),)))


def everywhere(n: int) -> str:
    """A word on all qubits, so that none is left out."""
    return " ".join(f"X{q}" for q in range(n))


def brickwork(n: int, layers: int) -> Program:
    """Workload W3, asked about all qubits: rotations and CZs between neighbours."""
    ops = []
    for layer in range(layers):
        ops += rotations(n, layer) + [kg.cz(q, q + 1) for q in range(layer % 2, n - 1, 2)]
    return compile(kg.Circuit(ops, n), Expect((kg.Pauli(everywhere(n)),)))


def cost_layers(n: int, layers: int) -> Program:
    """Workload W5: QAOA on a ring with chords."""
    graph = [(q, (q + 1) % n) for q in range(n)] + [(q, (q + n // 2) % n) for q in range(n // 2)]
    ops = [kg.h(q) for q in range(n)]
    for layer in range(layers):
        ops += [kg.rzz(w[2 * layer], a, b) for a, b in graph] + [kg.rx(w[2 * layer + 1], q) for q in range(n)]
    total = sum((kg.Pauli(f"Z{a} Z{b}") for a, b in graph[1:]), kg.Pauli(f"Z{graph[0][0]} Z{graph[0][1]}"))
    return compile(kg.Circuit(ops, n), Expect((total,)))


def matrices(n: int, layers: int) -> Program:
    """Random matrices on pairs of qubits, in a brickwork."""
    rng = np.random.default_rng(1)
    ops = [kg.ry(w[q], q) for q in range(n)]
    for layer in range(layers):
        for q in range(layer % 2, n - 1, 2):
            matrix = np.linalg.qr(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))[0]
            ops.append(kg.unitary(matrix, q, q + 1))
    return compile(kg.Circuit(ops, n), Expect((kg.Pauli(everywhere(n)),)))


KINDS: dict[str, Callable[[int], Program]] = {
    "W1, 4 layers": lambda n: entangled(n, 4),
    "W1, 2 layers": lambda n: entangled(n, 2),
    "W1, 8 layers": lambda n: entangled(n, 8),
    "W3, 10 layers": lambda n: brickwork(n, 10),
    "W3, 2 layers": lambda n: brickwork(n, 2),
    "W3, 4 layers": lambda n: brickwork(n, 4),
    "W3, 1 layer": lambda n: brickwork(n, 1),
    "QAOA, p = 6": lambda n: cost_layers(n, 6),
    "matrices, 4 layers": lambda n: matrices(n, 4),
}


def cores(program: Program) -> tuple[Any, Any, Any]:
    """The program as the core chooses, never in blocks, and always in blocks."""
    arrays = {name: getattr(program, name) for name in ARRAYS}
    build = load_core().Program
    return (
        build(**arrays, question=0),
        build(**arrays, question=0, without=["blocks"]),
        build(**arrays, question=0, block_bits=13),
    )


def best_times(calls: list[Callable[[], object]], repeats: int) -> list[float]:
    """The least processor time of each call in milliseconds, the calls in turn."""
    best = [np.inf] * len(calls)
    for _ in range(repeats + 1):
        for k, call in enumerate(calls):
            start = time.process_time()
            call()
            best[k] = min(best[k], time.process_time() - start)
    return [1e3 * seconds for seconds in best]


def measure(program: Program, batch: int, gradient: bool, repeats: int) -> tuple[list[float], dict]:
    """Milliseconds of the two engines, and what the core says about the program."""
    rng = np.random.default_rng(2)
    weights = rng.uniform(0, 2 * np.pi, (1, program.num_weights))
    inputs = rng.uniform(-np.pi, np.pi, (batch, program.num_inputs))
    cotangent = np.ones((batch, 1))
    chosen, *engines = cores(program)
    if gradient:
        calls = [lambda core=core: core.vjp(weights, inputs, cotangent, 1) for core in engines]
    else:
        calls = [lambda core=core: core.run(weights, inputs, 1) for core in engines]
    return best_times(calls, repeats), chosen.plan(batch)


def main() -> None:
    """Print one line for each circuit and size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--qubits", type=int, nargs="+", default=[12, 14, 16, 18, 20])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{'circuit':22} {'n':>3} {'':9} {'lanes':>9} {'blocks':>9}  expected  chosen   (milliseconds)")
    for name, build in KINDS.items():
        for n in options.qubits:
            program = build(n)
            for gradient in (False, True):
                (lanes, blocks), plan = measure(program, options.batch, gradient, options.repeats)
                expected = plan["cost_blocks"] / plan["cost_lanes"]
                choice = "blocks" if plan["blocked"] else "lanes"
                right = (blocks < lanes) == plan["blocked"]
                remark = "" if right else f"  {max(lanes, blocks) / min(lanes, blocks):.2f} times the other"
                print(
                    f"{name:22} {n:3} {'gradient' if gradient else 'value':9} {lanes:9.3f} {blocks:9.3f}"
                    f"  {blocks / lanes:4.2f} ~ {expected:4.2f}  {choice}{remark}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
