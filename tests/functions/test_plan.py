"""What a plan prints, word for word, on executors whose words do not depend on the machine."""

import numpy as np
import pytest

import ketgrad as kg

CIRCUIT = kg.Circuit([kg.rx(kg.x[0], 0), kg.ry(kg.w[0], 1), kg.cx(0, 1), kg.crz(kg.w[1], 1, 0)])
OBSERVABLES = [kg.Pauli("Z0 + 0.5 X1"), kg.Pauli("Y0 Y1")]
SLOW = "the reference executor is written to be read, executor='native' is fast"
HALF = "dtype=complex64 halves the memory, at about 1e-6 accuracy"
OURS = "exact, at a cost that does not grow with the parameters; reference has an adjoint pass"
EVERY = "as many threads as cores"


def function(kind=kg.expectation, **options):
    arguments = {kg.expectation: [CIRCUIT, OBSERVABLES], kg.probabilities: [CIRCUIT, [1]]}.get(
        kind, [CIRCUIT]
    )
    return kind(*arguments, **{"executor": "reference"} | options)


PLANS = {
    "exact": (function(), {
        "question": "expectation values of 2 observables, 3 Pauli words",
        "circuit": "2 qubits, 2 weights, 1 input", "gates": "4 written, 4 instructions after compilation",
        "outputs": "2 per sample, complex128", "engine": f"reference, {EVERY}", "shots": "none: values are exact",
        "gradient": f"Adjoint(): {OURS}",
        "cost": "1 circuit execution and 1 backward pass per sample for a value with its gradient",
        "memory": "192 bytes of states per sample at most", "not faster": f"{SLOW}; {HALF}",
    }),
    "shifts in single precision on one thread": (
        function(gradient=kg.ParameterShift(), dtype=np.complex64, threads=1), {
            "outputs": "2 per sample, complex64", "engine": "reference, 1 thread",
            "gradient": "ParameterShift(): asked for by gradient=",
            "cost": "9 circuit executions per sample for a value with its gradient",
            "memory": "32 bytes of states per sample at most",
            "not faster": f"{SLOW}; gradient=None runs the adjoint method; threads=1 was asked for",
        }),
    "three threads": (function(threads=3), {"engine": "reference, 3 threads"}),
    "shots": (function(shots=9), {
        "engine": f"reference, {EVERY}",
        "shots": "9 in each execution, 2 executions for a value of one sample: values are estimates",
        "gradient": "ParameterShift(): exact in the mean; the adjoint method cannot be used: it reads amplitudes, "
                    "which the executor 'sampled' does not give (its abilities: shots)",
        "cost": "18 circuit executions per sample for a value with its gradient",
        "memory": "64 bytes of states per sample at most",
        "not faster": f"{SLOW}; finite shots rule out the adjoint method; {HALF}",
    }),
    "probabilities": (function(kg.probabilities, shots=9), {
        "question": "probabilities of the outcomes of 1 qubit",
        "shots": "9 in each execution, 1 execution for a value of one sample: values are estimates",
    }),
    "samples": (function(kg.samples, shots=5), {
        "question": "5 measured bit strings", "cost": "no gradient", "not faster": f"{SLOW}; {HALF}",
        "memory": "64 bytes of states per sample at most",
        "shots": "5 in each execution, 1 execution for a value of one sample: values are estimates",
    }),
    "state": (function(kg.state), {"question": "the state vector", "outputs": "4 per sample, complex128"}),
}  # fmt: skip


def rows(plan):
    """Names and texts of the printed rows, the wrapped ones joined."""
    found, name = {}, ""
    for line in str(plan).splitlines():
        assert len(line) <= 110 and line[:12] == line[:12].ljust(12) and line[12] != " "
        name = line[:12].strip() or name
        found[name] = f"{found.get(name, '')} {line[12:]}".strip()
    return found


@pytest.mark.parametrize("case", PLANS)
def test_a_plan_says_what_runs_in_these_words(case):
    f, expected = PLANS[case]
    found = rows(f.plan)
    assert {name: found[name] for name in expected} == expected
    assert list(found) == list(rows(PLANS["exact"][0].plan))


def test_the_numbers_of_a_plan_are_those_that_it_prints():
    plans = {name: f.plan for name, (f, _) in PLANS.items()}
    assert [plans[name].backward for name in ("exact", "shots", "samples")] == [1, 0, 0]
    assert [plans[name].executions for name in ("exact", "shots", "samples")] == [1, 18, None]
    assert [plans[name].memory for name in ("exact", "shots", "samples")] == [192, 64, 64]
    assert [plans[name].shots for name in ("exact", "shots", "samples")] == [None, 9, 5]
    assert plans["exact"].rule == "Adjoint()" and plans["samples"].rule == "none"


def test_a_plan_is_as_wide_as_its_page_and_no_wider():
    lines = [len(line) for f, _ in PLANS.values() for line in str(f.plan).splitlines()]
    assert max(lines) > 100
