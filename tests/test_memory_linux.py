"""The memory that a call asks for before it runs is the memory that it then takes (Linux: peak of the resident set)."""

import subprocess
import sys

import pytest
from test_process import environment

CODE = """
import resource
import numpy as np, ketgrad as kg
from ketgrad.programs.lowering import compile
n, layers, threads, batch, dtype = {n}, {layers}, {threads}, {batch}, "{dtype}"
def brickwork():
    for layer in range(layers):
        for q in range(n): yield kg.ry(kg.w[layer] + kg.x[0], q)
        for q in range(layer % 2, n - 1, 2): yield kg.rzz(kg.w[layer], q, q + 1)
rng = np.random.default_rng(0)
def observable(count, letters):
    terms = []
    for _ in range(count):
        places, kinds = rng.permutation(n)[:4], rng.choice(letters, 4)
        masks = [sum(1 << int(q) for q, k in zip(places, kinds) if k & bit) for bit in (1, 2)]
        terms.append((*masks, float(rng.normal())))
    return kg.PauliSum.collect(terms)
everywhere = kg.Pauli(" ".join(f"X{{q}}" for q in range(n)))
f = {function}
weights, inputs = np.ones(f.num_weights), np.ones((batch, f.num_inputs))
if dtype == "complex64": weights, inputs = weights.astype(np.float32), inputs.astype(np.float32)
facts = f.executor.facts(f.program, batch)
core = f.executor._core(f.program).program
values = batch * f.num_outputs * f.dtype.itemsize if "state" in {function!r} else batch * f.num_outputs * 8
expected = core.bytes_needed(batch, threads, {backward}, dtype == "complex64") + values
assert facts["blocked"] == {blocked}, facts
own = core.bytes_needed(batch, 1, {backward}, False)
assert facts["bytes_vjp" if {backward} else "bytes_run"] == own, (facts, own)
def resident(): return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
cotangent = np.ones((batch, f.num_outputs) if {backward} else 0, weights.dtype)
before = resident()
f.vjp(weights, inputs, cotangent) if {backward} else f(weights, inputs)
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print((peak - before) / expected, expected)
"""

EXPECTATION = "kg.expectation(kg.Circuit(brickwork(), n), {}, threads=threads, dtype=dtype)"
CASES = {
    "blocks, value": dict(n=21, backward=False, blocked=True),
    "blocks, gradient": dict(n=20, backward=True, blocked=True, threads=2),
    "blocks, single precision": dict(n=21, backward=True, blocked=True, dtype="complex64"),
    "blocks, 300 words": dict(
        n=20, backward=True, blocked=True, function=EXPECTATION.format("[observable(300, (1, 2, 3))]")
    ),
    "blocks, state": dict(
        n=20, backward=False, blocked=True,
        function="kg.state(kg.Circuit(brickwork(), n), dtype=dtype, threads=threads)",
    ),
    "lanes, value": dict(n=20, layers=1, backward=False, blocked=False),
    "lanes, gradient": dict(n=20, layers=1, backward=True, blocked=False),
    "lanes, diagonal observables": dict(
        n=20, layers=1, backward=True, blocked=False,
        function=EXPECTATION.format("[observable(200, (2,)), observable(200, (2,))]"),
    ),
    "lanes, samples in lanes": dict(n=17, backward=True, blocked=False, batch=16, threads=2),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_estimate_is_within_20_percent_of_the_peak(case):
    settings = dict(
        layers=3, threads=1, batch=1, dtype="complex128", function=EXPECTATION.format("[everywhere]")
    )
    code = CODE.format(**(settings | CASES[case]))
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert 0.8 < float(result.stdout.split()[0]) < 1.2, result.stdout
