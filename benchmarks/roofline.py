"""How near each kernel of the core comes to what this machine can do: arithmetic and bandwidth, with goals.

    python benchmarks/roofline.py             # one thread, about a minute; writes results/roofline.{md,jsonl,svg}
    python benchmarks/roofline.py --tiny      # small and once, writes nothing: does every measurement still work?

The ceilings are measured in the same run by ceilings.c (needs a C compiler; on an idle machine, pinned to one
core). A slot is one vector instruction that adds or multiplies, fused or not; a row holds one amplitude of as
many samples (or neighbours) as a register has lanes. What a kernel can reach is the lesser of the arithmetic
peak and its slots per byte times the bandwidth of the cache that holds its states.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402 - after the variables that it reads

import ketgrad as kg  # noqa: E402
from ketgrad import w, x  # noqa: E402
from ketgrad.executors.native import Native  # noqa: E402
from ketgrad.programs.lowering import compile  # noqa: E402
from ketgrad.programs.program import Program  # noqa: E402
from ketgrad.programs.questions import Expect  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results"
AMPLITUDE = 16  # bytes
LEVELS = {
    "L1": 16 << 10,
    "L2": 256 << 10,
    "L3": 8 << 20,
    "memory": 256 << 20,
}  # sizes that ceilings.c measures


@dataclass(frozen=True)
class Work:
    """One timed call, and what it does: vector instructions of arithmetic, bytes between the core and its states."""

    call: Callable[[], object]
    slots: float
    num_bytes: float
    state_bytes: int


@dataclass(frozen=True)
class Kernel:
    """A measurement: its name, its goal as a share of what the machine allows, and how it is set up."""

    name: str
    goal: float
    prepare: Callable[[bool, int], Work]


@dataclass(frozen=True)
class Row:
    """A result. share: of the roofline, which is the lesser of both ceilings; of_peak: of the arithmetic peak alone."""

    kernel: str
    milliseconds: float
    gslots: float
    gbytes: float
    intensity: float
    of_peak: float
    level: str
    share: float
    goal: float


def gradient_work(circuit: kg.Circuit, batch: int, *, backward: bool) -> Work:
    """Value, or value and gradient, of a batch in lanes; counts follow from what the core says it runs."""
    program = compile(circuit, Expect((kg.Pauli("Z0"),)))
    native = Native()
    facts = native.facts(program, batch)
    random = np.random.default_rng(1)
    weights = random.uniform(0, 6, (1, program.num_weights))
    inputs = random.uniform(-3, 3, (batch, program.num_inputs))
    cotangent = np.ones((batch, 1))
    call = (
        (lambda: native.vjp(program, weights, inputs, cotangent, threads=1))
        if backward
        else (lambda: native.run(program, weights, inputs, threads=1))
    )
    slots, passes = counts(facts, backward)
    return Work(
        call,
        slots * rows(program, batch, facts["lanes"]),
        passes * AMPLITUDE * 2**program.num_qubits * batch,
        (2 if backward else 1) * AMPLITUDE * 2**program.num_qubits * facts["lanes"],
    )


def rows(program: Program, batch: int, lanes: int) -> float:
    """Rows of all samples: a group of lanes has one for each amplitude."""
    return -(-batch // lanes) * 2**program.num_qubits


def counts(facts: dict[str, Any], backward: bool) -> tuple[float, float]:
    """(slots for each row, times that a state is read or written) of everything that the core runs."""
    rotations, tables, passes = facts["rotations"], facts["tables"], facts["rotation_passes"]
    product = facts["product"] > 0
    slots, moves = 2 * rotations + 4 * tables + 8 * product, 2 * (passes + tables) + product
    if backward:
        slots, moves = (
            slots + 6 * rotations + 10 * tables + 16 * product,
            moves + 4 * (passes + tables) + 2 * product,
        )
    return slots, moves


def rotation_layers(n: int, layers: int) -> kg.Circuit:
    """Layers of RY with a ring of CNOTs between them, which the core turns into a change of frame."""
    layer = kg.Circuit([kg.ry(w[q], q) for q in range(n)] + [kg.cx(q, (q + 1) % n) for q in range(n)])
    return kg.Circuit([kg.rx(x[0], 0)]) + layer * layers


def training_circuit(n: int) -> kg.Circuit:
    """Workload W1: data, then four layers of general rotations and a ring of CNOTs."""
    layer = [g(w[3 * q + k], q) for q in range(n) for k, g in enumerate((kg.rz, kg.ry, kg.rz))]
    layer += [kg.cx(q, (q + 1) % n) for q in range(n)]
    return kg.Circuit([kg.rx(x[q], q) for q in range(n)]) + kg.Circuit(layer) * 4


def training(n: int) -> Callable[[bool, int], Work]:
    return lambda tiny, _: gradient_work(training_circuit(n), 8 if tiny else 64, backward=True)


def rotations(n: int, *, backward: bool) -> Callable[[bool, int], Work]:
    return lambda tiny, _: gradient_work(
        rotation_layers(n, 3 if tiny else 10), 8 if tiny else 64, backward=backward
    )


def dense(n: int) -> Callable[[bool, int], Work]:
    """Two-qubit matrices on all neighbours: 16 complex products a row and four additions less."""

    def prepare(tiny: bool, lanes: int) -> Work:
        random = np.random.default_rng(2)
        ops = [kg.rx(x[q], q) for q in range(n)]
        places = [(q, q + 1) for q in range(n - 1)] * (1 if tiny else 3)
        for place in places:
            matrix = np.linalg.qr(random.normal(size=(4, 4)) + 1j * random.normal(size=(4, 4)))[0]
            ops.append(kg.unitary(matrix, *place))
        batch = 8 if tiny else 64
        f = kg.state(kg.Circuit(ops), threads=1)
        inputs = random.uniform(-3, 3, (batch, n))
        amplitudes = 2**n * batch
        return Work(
            lambda: f(None, inputs), 16 * len(places) * amplitudes / lanes, 2 * AMPLITUDE * len(places) * amplitudes,
            AMPLITUDE * 2**n * lanes,
        )  # fmt: skip

    return prepare


def pauli_sum(n: int, words: int) -> Callable[[bool, int], Work]:
    """O|psi> and the value for random words: two complex products with a sign each, for each word and amplitude."""

    def prepare(tiny: bool, lanes: int) -> Work:
        random = np.random.default_rng(3)
        count = 20 if tiny else words
        texts = ("".join(random.choice(list("IXYZ"), n)) for _ in range(count))
        named = (" ".join(f"{p}{q}" for q, p in enumerate(text) if p != "I") or "I0" for text in texts)
        hamiltonian = sum((float(random.normal()) * kg.Pauli(word) for word in named), kg.Pauli("0 I0"))
        f = kg.expectation(kg.Circuit([kg.ry(w[q], q) for q in range(n)]), hamiltonian, threads=1)
        weights = random.uniform(0, 6, n)
        amplitudes = 2**n * count
        return Work(
            lambda: f.vjp(weights, None, [1.0]),
            2 * amplitudes / lanes,
            AMPLITUDE * amplitudes,  # of psi; those of lambda stay in registers while the words pass
            AMPLITUDE * 2**n,
        )

    return prepare


def gram(samples: int, n: int) -> Callable[[bool, int], Work]:
    """Half of all overlaps of N states: four products of reals for each amplitude and pair (of complex numbers)."""

    def prepare(tiny: bool, lanes: int) -> Work:
        count = 20 if tiny else samples
        random = np.random.default_rng(4)
        states = random.normal(size=(count, 2**n)) + 1j * random.normal(size=(count, 2**n))
        native, result = Native(), np.empty((count, count))
        pairs = count * (count + 1) / 2

        def overlaps() -> np.ndarray:
            packed = native.pack(states, 1)
            native.multiply(packed, packed, result, threads=1)
            return result

        return Work(
            overlaps,
            4 * pairs * 2**n / lanes,
            AMPLITUDE * count * 2**n,
            AMPLITUDE * 2**n,
        )

    return prepare


def large_state(n: int) -> Callable[[bool, int], Work]:
    """Brickwork of depth 10 as in workload W3, with an observable that lets nothing be dropped: the sum of all Z."""

    def prepare(tiny: bool, lanes: int) -> Work:
        width = 10 if tiny else n
        ops = []
        for layer in range(10):
            ops += [
                g(w[3 * (layer * width + q) + k], q)
                for q in range(width)
                for k, g in enumerate((kg.rz, kg.ry, kg.rz))
            ]
            ops += [kg.cz(q, q + 1) for q in range(layer % 2, width - 1, 2)]
        observable = sum((kg.Pauli(f"Z{q}") for q in range(width)), kg.Pauli("0 I0"))
        f = kg.expectation(kg.Circuit(ops), observable, threads=1)
        facts = Native().facts(f.program, 1)
        weights = np.random.default_rng(5).uniform(0, 6, f.num_weights)
        per_row = 2 * facts["rotations"] + 4 * facts["tables"] + 8 * (facts["product"] > 0)
        passes = facts["blocked_passes"] or facts["rotation_passes"]
        return Work(
            lambda: f(weights),
            per_row * 2**width / lanes,
            2 * passes * AMPLITUDE * 2**width,
            AMPLITUDE * 2**width,
        )

    return prepare


def sampling(n: int) -> Callable[[bool, int], Work]:
    """A million outcomes of n qubits: the state, its chances, their running sum and one search in order."""

    def prepare(tiny: bool, lanes: int) -> Work:
        width, shots = (8, 100) if tiny else (n, 1_000_000)
        ops = [kg.ry(0.3 * q, q) for q in range(width)] + [kg.cz(q, q + 1) for q in range(width - 1)]
        ops += [kg.rx(0.7, q) for q in range(width)]
        f = kg.samples(kg.Circuit(ops), shots=shots, packed=True, seed=1, threads=1)
        return Work(
            f, 4 * 2**width / lanes, (4 * AMPLITUDE + 24) * 2**width + 24 * shots, AMPLITUDE * 2**width
        )

    return prepare


KERNELS = (
    *(Kernel(f"training step, n = {n}", 0.55 if n >= 8 else 0.3, training(n)) for n in (4, 6, 8, 10, 12, 14)),
    *(Kernel(f"rotations forward, n = {n}", 0.5, rotations(n, backward=False)) for n in (8, 10, 12)),
    *(Kernel(f"rotations forward and adjoint, n = {n}", 0.6, rotations(n, backward=True)) for n in (8, 10, 12)),
    Kernel("two-qubit matrices, n = 10", 0.6, dense(10)),
    Kernel("500 Pauli words, n = 12", 0.3, pauli_sum(12, 500)),
    Kernel("500 Pauli words, n = 16", 0.3, pauli_sum(16, 500)),
    Kernel("Gram matrix, N = 1000, n = 8", 0.8, gram(1000, 8)),
    Kernel("Gram matrix, N = 1000, n = 12", 0.8, gram(1000, 12)),
    Kernel("one state, depth 10, n = 20", 0.4, large_state(20)),
    Kernel("one state, depth 10, n = 22", 0.4, large_state(22)),
    Kernel("10^6 samples, n = 20", 0.3, sampling(20)),
)  # fmt: skip


@dataclass(frozen=True)
class Ceilings:
    """What one core can do: vector instructions a second, lanes, bytes a second read and written at each level."""

    slots: float
    lanes: int
    bandwidth: dict[str, float]

    def level(self, state_bytes: int) -> str:
        """The cache that holds that much."""
        return next((name for name, size in LEVELS.items() if state_bytes <= 2 * size), "memory")


def measure_ceilings() -> Ceilings:
    """Compile and run ceilings.c."""
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "ceilings"
        compiler = os.environ.get("CC", "cc")
        subprocess.run(
            [compiler, "-O3", "-march=native", str(HERE / "ceilings.c"), "-o", str(program)], check=True
        )
        lines = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.splitlines()
    fma = next(line.split() for line in lines if line.startswith("fma"))
    copies = {int(line.split()[1]): float(line.split()[2]) for line in lines if line.startswith("copy")}
    return Ceilings(float(fma[1]), int(fma[2]), {name: copies[size] for name, size in LEVELS.items()})


def least_seconds(call: Callable[[], object], at_least: float) -> float:
    """The least processor time of a call, of as many as fit into `at_least` seconds (three or more)."""
    call()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < at_least:
        before = time.process_time()
        call()
        times.append(time.process_time() - before)
    return min(seconds for seconds in times if seconds > 0)  # a coarse clock may see none


def measure(kernel: Kernel, ceilings: Ceilings, tiny: bool) -> Row:
    """Time one kernel and set it beside the ceilings."""
    work = kernel.prepare(tiny, ceilings.lanes)
    seconds = least_seconds(work.call, 0.0 if tiny else 1.5)
    level = ceilings.level(work.state_bytes)
    intensity = work.slots / work.num_bytes
    roof = min(ceilings.slots, intensity * ceilings.bandwidth[level])
    rate = work.slots / seconds
    return Row(
        kernel.name, 1e3 * seconds, rate / 1e9, work.num_bytes / seconds / 1e9, intensity, rate / ceilings.slots, level,
        rate / roof, kernel.goal,
    )  # fmt: skip


def page(ceilings: Ceilings, results: list[Row]) -> str:
    """results/roofline.md."""
    width = f"{ceilings.lanes} lanes"
    bandwidth = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in ceilings.bandwidth.items())
    note = (
        "Written by `python benchmarks/roofline.py` (data: `roofline.jsonl`); do not edit. One thread, "
        "double precision, processor time, the least of many runs; 64 samples where states share a "
        "register. A slot is one vector instruction that adds or multiplies. Share: of what the machine "
        "allows, the lesser of its arithmetic peak and the kernel's slots per byte times the bandwidth "
        "of the cache that holds its states."
    )
    lines = [
        "# Shares of the machine",
        "",
        *textwrap.wrap(note, 118),
        "",
        f"Ceilings of this core in the same run: {ceilings.slots / 1e9:.2f} G slots/s ({width}).",
        f"Bytes read and written, in GB/s: {bandwidth}.",
        "",
        "![Roofline](roofline.svg)",
        "",
        "| kernel | ms | G slots/s | of the peak | GB/s | states in | share | goal |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {r.kernel} | {r.milliseconds:.3g} | {r.gslots:.2f} | {r.of_peak:.0%} | {r.gbytes:.1f} | {r.level} "
            f"| {'' if r.share >= r.goal else '**'}{r.share:.0%}{'' if r.share >= r.goal else '**'} | {r.goal:.0%} |"
            for r in results
        ),
        "",
        "Bold: below the goal.",
    ]
    return "\n".join(lines) + "\n"


def with_labels(results: list[Row]) -> Iterator[tuple[int, Row, tuple[float, float]]]:
    """(number, row, place of its label): labels of points above each other keep a distance, around their middle."""
    columns: dict[int, list[tuple[int, Row]]] = {}
    for number, row in enumerate(results, 1):
        columns.setdefault(round(10 * math.log(row.intensity)), []).append((number, row))
    for key, column in columns.items():
        column.sort(key=lambda entry: entry[1].gslots)
        wanted = [math.log(row.gslots) for _, row in column]
        spread = list(wanted)
        for i in range(1, len(spread)):
            spread[i] = max(spread[i], spread[i - 1] + 0.17)
        shift = (sum(spread) - sum(wanted)) / len(spread)
        side = 0.62 if any(0 < other - key < 5 for other in columns) else 1.35  # away from a close neighbour
        for (number, row), height in zip(column, spread, strict=True):
            yield number, row, (row.intensity * side, math.exp(height - shift))


def picture(ceilings: Ceilings, results: list[Row], path: pathlib.Path) -> None:
    """The roofs of the machine as lines, the kernels as numbered points below them."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "ketgrad", "font.size": 9})
    figure, axes = plt.subplots(figsize=(9, 5.4), layout="constrained")
    right = 2 * max(row.intensity for row in results)
    span = np.geomspace(0.003, right, 200)
    greys = ("#111111", "#555555", "#8a8a8a", "#b5b5b5")
    for (name, rate), grey in zip(ceilings.bandwidth.items(), greys, strict=True):
        axes.plot(span, np.minimum(span * rate, ceilings.slots) / 1e9, color=grey, linewidth=1.2)
        axes.text(0.0034, 0.0034 * rate / 1e9 * 1.1, name, color=grey, rotation=33, fontsize=8)
    axes.text(0.5, ceilings.slots / 1e9 * 1.1, f"{ceilings.slots / 1e9:.2f} G slots/s", fontsize=8)
    for number, row, place in with_labels(results):
        axes.scatter(row.intensity, row.gslots, s=22, color="#2a78d6", zorder=3)
        axes.annotate(
            str(number), (row.intensity, row.gslots), place, fontsize=7, va="center",
            arrowprops={"arrowstyle": "-", "color": "#9db8d9", "linewidth": 0.6, "shrinkA": 1, "shrinkB": 2},
        )  # fmt: skip
    names = "\n".join(f"{number}  {row.kernel}" for number, row in enumerate(results, 1))
    axes.text(1.02, 1.0, names, transform=axes.transAxes, va="top", fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel="slots per byte", ylabel="G slots per second, one core")
    axes.set_xlim(0.003, right * 1.3)
    axes.set_ylim(0.01, ceilings.slots / 1e9 * 3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Measure ceilings and kernels; print the table; write page, data and picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    ceilings = Ceilings(1e9, 4, dict.fromkeys(LEVELS, 1e9)) if options.tiny else measure_ceilings()
    results = []
    for kernel in KERNELS:
        results.append(measure(kernel, ceilings, options.tiny))
        print(
            f"{results[-1].kernel:42} {results[-1].milliseconds:9.3f} ms {results[-1].of_peak:5.0%} of the peak"
        )
    if options.tiny:
        return
    (RESULTS / "roofline.md").write_text(page(ceilings, results), "utf-8")
    data = [{"ceilings": asdict(ceilings)}, *map(asdict, results)]
    (RESULTS / "roofline.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data), "utf-8")
    picture(ceilings, results, RESULTS / "roofline.svg")


if __name__ == "__main__":
    main()
