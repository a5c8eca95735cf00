"""Functions: values that are compared and pickled, the same from all threads; what is refused before any work."""

import pickle
import subprocess
import sys
import threading
import time
import timeit
from typing import Any

import numpy as np
import pytest
from function_samples import CIRCUIT, INPUTS, WEIGHTS, F
from programs import random_circuit, random_observable

import ketgrad as kg


def exact(weights, inputs):
    """<Z0> = cos w0."""
    return np.cos(weights[0])


def test_values_of_a_known_circuit():
    assert F(WEIGHTS, INPUTS)[0] == pytest.approx(exact(WEIGHTS, INPUTS))
    assert (F.num_weights, F.num_inputs, F.num_outputs) == (2, 3, 2)


def test_a_single_observable_counts_as_a_list_of_one():
    f, g = (kg.expectation(CIRCUIT, o) for o in (kg.Pauli("Z0"), [kg.Pauli("Z0")]))
    assert f == g and f(WEIGHTS, INPUTS).shape == (1,)


def test_functions_are_values():
    copy = kg.expectation(CIRCUIT, [kg.Pauli("Z0"), kg.Pauli("X1 Y0")])
    assert copy == F and hash(copy) == hash(F) and len({copy, F}) == 1
    assert kg.expectation(CIRCUIT, kg.Pauli("Z0"), gradient=kg.ParameterShift()) != kg.expectation(
        CIRCUIT, kg.Pauli("Z0")
    )
    with pytest.raises(AttributeError):
        F.threads = 3  # type: ignore[misc]
    for f in (
        F,
        kg.state(CIRCUIT),
        kg.samples(CIRCUIT, shots=4, seed=1),
        kg.probabilities(CIRCUIT, shots=9, seed=2),
    ):
        loaded = pickle.loads(pickle.dumps(f))
        assert loaded == f and np.array_equal(loaded(WEIGHTS, INPUTS), f(WEIGHTS, INPUTS))


def test_functions_are_shown_in_one_line():
    text = repr(kg.expectation(CIRCUIT * 1000, kg.Pauli("Z0")))
    assert (
        text
        == "<Function: expectation values of 1 observable, 1 Pauli word; 2 qubits, 2000 weights, 3 inputs; native>"
    )


def test_p2_one_function_from_eight_threads():
    f = kg.expectation(random_circuit(4, 20, seed=1), random_observable(4, 5, 1))
    points = np.random.default_rng(0).uniform(-2, 2, (8, f.num_weights)), np.linspace(0.2, 2, 2)
    expected = [f.vjp(w, points[1], [1.0]) for w in points[0]]
    wrong = []

    def work(k):
        for _ in range(200):
            result = f.vjp(points[0][k], points[1], [1.0])
            if not all(np.array_equal(a, b) for a, b in zip(result, expected[k], strict=True)):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_p4_results_are_bit_identical_at_every_thread_count():
    circuit, observable = random_circuit(5, 25, seed=3), random_observable(5, 8, 3)
    inputs = np.random.default_rng(1).uniform(0.2, 2, (50, 2))
    results = []
    for threads in (1, 2, 3, 8):
        f = kg.expectation(circuit, observable, threads=threads)
        results.append(f.vjp(np.linspace(0.1, 1, f.num_weights), inputs, [1.0]))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_the_call_costs_less_than_20_microseconds():
    """CPU time of one thread, the best of many: a circuit of four qubits with the native executor."""
    ops = (
        [kg.ry(kg.x[q], q) for q in range(4)]
        + [kg.ry(kg.w[q], q) for q in range(4)]
        + [kg.cx(0, 1), kg.cx(2, 3)]
    )
    f = kg.expectation(kg.Circuit(ops), kg.Pauli("Z0"), threads=1)
    point = np.linspace(0, 1, 4), np.linspace(1, 2, 4)
    call, step = (lambda: f(*point)), (lambda: f.vjp(*point, np.ones(1)))
    for run, limit in ((call, 20e-6), (step, 40e-6)):
        best = min(timeit.repeat(run, number=200, repeat=40, timer=time.thread_time)) / 200
        assert best < limit, f"{best * 1e6:.1f} microseconds"


QUESTIONS: dict[str, Any] = {
    "expectation": lambda circuit: kg.expectation(circuit, kg.Pauli("Z0"), executor="reference"),
    "probabilities": kg.probabilities,
    "state": kg.state,
    "samples": lambda circuit: kg.samples(circuit, shots=3, executor="reference"),
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("num_qubits", [40, 62, 63, 64, 65, 70, 10**6])
def test_q3_q4_too_many_qubits_are_refused_at_once_with_required_and_available_bytes(num_qubits, name):
    circuit = kg.Circuit([kg.h(0), kg.rx(kg.w[0], num_qubits - 1)])
    start = time.perf_counter()
    with pytest.raises(MemoryError, match=r"the state of \d+ qubits needs .* but only .* usable") as refusal:
        QUESTIONS[name](circuit)
    assert time.perf_counter() - start < 0.1 and isinstance(refusal.value, kg.KetgradError)
    assert len(str(refusal.value)) < 300


def test_q5_results_and_jacobians_are_refused_before_any_work():
    f = kg.state(kg.Circuit([kg.ry(kg.x[q], q) for q in range(16)]))
    many = np.broadcast_to(np.zeros(16), (10**8, 16))
    for call in (
        lambda: f(None, many),
        lambda: f.jacobian(None, np.zeros((40_000, 16))),
        lambda: kg.probabilities(kg.Circuit([kg.ry(kg.w[0], 14)])).jacobian(np.zeros((10**7, 1))),
    ):
        start = time.perf_counter()
        with pytest.raises(MemoryError, match=r"needs .* usable on this machine"):
            call()
        assert time.perf_counter() - start < 0.5


def test_q3_the_preflight_follows_the_limits_of_the_process():
    code = (
        "import resource, ketgrad as kg\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, size + 2**30))\n"
        "try:\n    kg.state(kg.Circuit([kg.h(0)], 27))\n"
        "except MemoryError as refusal:\n    print(refusal)\n"
    )
    if sys.platform == "linux":
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "needs 2.0 GiB" in run.stdout


def test_q18_a_long_circuit_is_compiled_and_differentiated_in_linear_time():
    layers = 2000
    ops = [kg.ry(kg.w[k], k % 3) if k % 2 else kg.cx(k % 3, (k + 1) % 3) for k in range(2 * layers)]
    f = kg.expectation(kg.Circuit(ops), kg.Pauli("Z0"))
    values, dweights, _ = f.vjp(np.linspace(0, 1, f.num_weights), None, [1.0])
    assert np.abs(values).max() <= 1 and dweights.shape == (2 * layers,)


def test_the_plan_fits_one_screen_and_names_what_runs():
    text = str(kg.expectation(CIRCUIT, kg.Pauli("Z0"), threads=1).plan)
    for word in (
        "2 qubits",
        "2 weights",
        "3 inputs",
        "5 written",
        "native",
        "1 thread",
        "Adjoint()",
        "backward pass",
    ):
        assert word in text, word
    lines = text.splitlines()
    assert len(lines) <= 24 and max(len(line) for line in lines) <= 110


def test_the_memory_of_a_plan_is_that_of_the_qubits_which_the_question_can_see():
    n = 20
    layer = kg.Circuit([kg.ry(kg.w[q], q) for q in range(n)] + [kg.cz(q, q + 1) for q in range(n - 1)])
    everything = kg.Pauli(" ".join(f"X{q}" for q in range(n)))
    for executor, word, qubits in (
        ("native", kg.Pauli("X0"), 3),
        ("native", everything, n),
        ("reference", kg.Pauli("X0"), n),
    ):
        f = kg.expectation(layer * 2, word, executor=executor)
        assert f.plan.memory == 3 * 16 * 2**qubits, (executor, word)


def test_plans_of_every_question_can_be_printed():
    for f in (
        kg.state(CIRCUIT),
        kg.probabilities(CIRCUIT, [1]),
        kg.samples(CIRCUIT, shots=7),
        kg.expectation(CIRCUIT, kg.Pauli("Z0"), shots=7),
        kg.expectation(CIRCUIT, kg.Pauli("Z0"), executor="reference", dtype=np.complex64),
        kg.expectation(CIRCUIT, kg.Pauli("Z0"), gradient=kg.FiniteDifference()),
    ):
        assert str(f.plan).startswith("question") and "not faster" in str(f.plan)
