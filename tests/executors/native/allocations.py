"""Run under the preloaded allocations.cpp: the allocations of twenty operations of the core fail, one in each call.

    python tests/executors/native/allocations.py [STEP]  # STEP 1: every allocation; larger: every STEP-th of many

Prints one line for each operation: its name, how many allocations failed, how many of these failures gave a
MemoryError, and how many allocations were alive more at the end than before. A crash ends the process instead.
"""

import ctypes
import gc
import pathlib
import sys
from collections.abc import Callable

import numpy as np

import ketgrad as kg
from ketgrad import _native, w, x
from ketgrad.executors.native import Native
from ketgrad.programs.lowering import compile
from ketgrad.programs.questions import Expect, Probabilities, State

SHIM = ctypes.CDLL(None)
NATIVE = Native()


def watch() -> None:
    """Tell the library where the code of the core lies."""
    name = pathlib.Path(str(_native.__file__)).name
    lines = [
        line.split() for line in pathlib.Path("/proc/self/maps").read_text().splitlines() if name in line
    ]
    begin = min(int(line[0].split("-")[0], 16) for line in lines)
    end = max(int(line[0].split("-")[1], 16) for line in lines)
    SHIM.allocations_watch(ctypes.c_size_t(begin), ctypes.c_size_t(end))


def gram(a: np.ndarray, b: np.ndarray, threads: int) -> np.ndarray:
    """|<a_i|b_j>|^2 by the panels of the core."""
    rows, columns = (_native.LaneStates(states, threads) for states in (a, b))
    result = np.empty((len(a), len(b)))
    _native.multiply_states(rows, columns, result, threads=threads)
    return result


def circuit(n: int) -> kg.Circuit:
    """Every kind of instruction: shared and differing angles, tables, controls, matrices."""
    matrix = np.linalg.qr(np.random.default_rng(n).normal(size=(4, 4)))[0]
    ops = [
        kg.rx(x[0] * w[0], 0),
        kg.ry(w[1], 1),
        kg.rzz(w[2], 0, 1),
        kg.crx(w[3], 0, 1),
        kg.unitary(matrix, 0, 1),
    ]
    ops += [kg.ry(w[q % 4], q) for q in range(n)] + [kg.cx(q, (q + 1) % n) for q in range(n)]
    ops += (
        [kg.rz(x[1], q) for q in range(n)]
        + [kg.h(q) for q in range(n)]
        + [kg.rx(w[q % 4], q) for q in range(n)]
    )
    return kg.Circuit(ops)


def prepared(n: int) -> kg.Circuit:
    """A state whose amplitudes are inputs."""
    return kg.Circuit([kg.prepare_state([x[0], x[1], x[0], x[1]], 0, 1, normalize=True)]) + circuit(n)


def calls(
    n: int, batch: int, question, make=circuit, threads: int = 1, dtype=np.complex128, backward=True
) -> Callable:
    """A call of the core, the program compiled beforehand."""
    program = compile(make(n), question)
    random = np.random.default_rng(n)
    real = np.float64 if dtype == np.complex128 else np.float32
    weights, inputs = (
        random.normal(size=(1, program.num_weights)),
        random.normal(size=(batch, program.num_inputs)),
    )
    weights, inputs = weights.astype(real), inputs.astype(real)
    kind = dtype if isinstance(question, State) else real
    cotangent = np.ones((batch, program.num_outputs), kind)
    if backward:
        return lambda: NATIVE.vjp(program, weights, inputs, cotangent, dtype=dtype, threads=threads)
    return lambda: NATIVE.run(program, weights, inputs, dtype=dtype, threads=threads)


def derivatives(n: int, batch: int) -> Callable:
    """The derivative along a direction of value and gradient."""
    f = kg.expectation(circuit(n), kg.Pauli("Z0 + X1"), threads=1)
    weights, inputs = np.full(f.num_weights, 0.3), np.full((batch, f.num_inputs), 0.2)
    return lambda: f.hvp(weights, inputs, np.ones(1), weights, inputs)


SUM = Expect((kg.Pauli("Z0 + 0.5 X1 Y0"), kg.Pauli("Z1")))
STATES = np.random.default_rng(0).normal(size=(9, 32)) + 0j
OPERATIONS: dict[str, Callable[[], object]] = {
    "compile": lambda: NATIVE.facts(compile(circuit(5), SUM)),
    "compile for one large state": lambda: NATIVE.facts(compile(circuit(18), SUM), 1),
    "value": calls(5, 8, SUM, backward=False),
    "value and gradient": calls(5, 8, SUM),
    "two threads": calls(8, 64, SUM, threads=2),
    "one sample": calls(5, 1, SUM),
    "single precision": calls(5, 8, SUM, dtype=np.complex64),
    "prepared state": calls(4, 8, SUM, prepared),
    "probabilities": calls(5, 8, Probabilities((0, 2)), backward=False),
    "gradient of probabilities": calls(5, 8, Probabilities((0, 2))),
    "state": calls(5, 8, State(), backward=False),
    "gradient of the state": calls(5, 8, State()),
    "one sample of twelve qubits": calls(12, 1, SUM),
    "one large state": calls(18, 1, SUM, backward=False),
    "gradient of one large state": calls(18, 1, SUM),
    "gradient of one large state, two threads": calls(18, 1, SUM, threads=2),
    "Gram matrix": lambda: gram(STATES, STATES, 1),
    "rectangular Gram matrix": lambda: gram(STATES, STATES[:4] * 1j, 2),
    "draws": lambda: NATIVE.locate(np.full(64, 1 / 64), np.linspace(0, 0.99, 50)),
    "second derivatives": derivatives(4, 8),
}


def flat(result: object) -> list[np.ndarray]:
    """The arrays of a result."""
    if isinstance(result, np.ndarray):
        return [result]
    return [part for part in result if isinstance(part, np.ndarray)] if isinstance(result, tuple) else []


def main() -> None:
    """Fail allocations of each operation, one at a time; after each failure the operation must be right again."""
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    watch()
    for name, operation in OPERATIONS.items():
        right = flat(operation())
        gc.collect()
        before = SHIM.allocations_live()
        SHIM.allocations_fail_at(0)
        operation()
        total = SHIM.allocations_counted()
        tried = range(1, total + 1, step if total > 300 else 1)
        refused = 0
        for k in tried:
            SHIM.allocations_fail_at(k)
            try:
                operation()
            except MemoryError:
                refused += 1
            SHIM.allocations_fail_at(0)
            for array, wanted in zip(flat(operation()), right, strict=True):
                np.testing.assert_array_equal(array, wanted)
        gc.collect()
        print(f"{name}: {len(tried)} {refused} {SHIM.allocations_live() - before}", flush=True)


if __name__ == "__main__":
    main()
