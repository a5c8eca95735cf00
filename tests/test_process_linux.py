"""What only Linux lets a test see: fork, affinity, thread counts and signals around native calls."""

import concurrent.futures
import gc
import multiprocessing
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from test_process import StopNowError, answer, environment, layered, python

import ketgrad as kg


def test_children_forked_after_the_use_of_threads_work():
    expected = answer(threads=4)
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(answer, [4] * 20, timeout=60)) == [expected] * 20
    assert answer(threads=4) == expected


@pytest.mark.parametrize("limit", ["affinity", "OMP_NUM_THREADS"])
def test_by_default_there_are_no_more_threads_than_the_process_may_use(limit):
    code = (
        "import os, test_process\n"
        f"{'os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})' if limit == 'affinity' else ''}\n"
        "f, weights, inputs, cotangent = test_process.problem(10, 200)\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "f.vjp(weights, inputs, cotangent)\n"
        "print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    limits = {"OMP_NUM_THREADS": "1"} if limit == "OMP_NUM_THREADS" else {}
    assert python(code, OPENBLAS_NUM_THREADS="1", **limits).stdout == "0\n"


def test_threads_are_pinned_where_it_is_asked_for():
    """Each on a CPU of its own of those that the process may use; the caller goes where it likes."""
    code = (
        "import os, test_process\n"
        "before = set(os.listdir('/proc/self/task'))\n"
        "f, *arrays = test_process.problem(10, 400, threads=3)\n"
        "f.vjp(*arrays)\n"
        "new = set(os.listdir('/proc/self/task')) - before\n"
        "cpus = sorted(os.sched_getaffinity(0))\n"
        "wanted = sorted(cpus[(k + 1) % len(cpus)] for k in range(2))\n"
        "pinned = [os.sched_getaffinity(int(thread)) for thread in new]\n"
        "print([sorted(one)[0] for one in sorted(pinned, key=min) if len(one) == 1] == wanted, len(cpus))\n"
    )
    assert python(code, OPENBLAS_NUM_THREADS="1", KETGRAD_PIN_THREADS="1").stdout.startswith("True")
    free = python(code, OPENBLAS_NUM_THREADS="1").stdout
    assert free.startswith("False") or free.endswith(" 1\n")


LONG_CALL = """
import signal
import numpy as np, ketgrad as kg
from test_process import layered
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell inherits "ignore"
f = kg.expectation(layered({qubits}, 1) * 400, kg.Pauli("Z0"))
weights, inputs = np.zeros(f.num_weights), np.zeros(({batch}, {qubits}))
print("ready", flush=True)
ones = np.ones(({batch}, 1))
{call}
"""
CALLS = {
    "value": "f(weights, inputs)",
    "gradient": "f.vjp(weights, inputs, ones)",
    "second derivative": "f.hvp(weights, inputs, ones, weights, None)",
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("qubits, batch", [(20, 1), (10, 3000)])
def test_an_interrupt_is_answered_within_a_second(qubits, batch, call):
    code = LONG_CALL.format(qubits=qubits, batch=batch, call=CALLS[call])
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()) as child:
        try:
            assert child.stdout and child.stdout.readline() == "ready\n"
            time.sleep(0.3)
            assert child.poll() is None, "the call ended before it could be interrupted"
            start = time.monotonic()
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=30)
            assert time.monotonic() - start < 1.0
        finally:
            child.kill()
    assert "KeyboardInterrupt" in errors


TRAINING = {
    "a fit": "kg.VariationalClassifier(max_steps=10**6, tolerance=1e-300, optimizer='adam').fit(X, Y)",
    "a grid search": "GridSearchCV(MODEL, {'num_layers': [1, 2, 3]}, cv=3).fit(X, Y)",
    "a cross validation": "cross_val_score(MODEL, X, Y, cv=5)",
    "a regressor with shots": "kg.VariationalRegressor(max_steps=10**6, executor='sampled').fit(X, Y)",
    "a support vector machine": "kg.KernelClassifier(C=1e6, tolerance=1e-9).fit(X, Y)",
}
TRAINING_SCRIPT = """
import signal, sys, time
import numpy as np
from sklearn.model_selection import GridSearchCV, cross_val_score
import ketgrad as kg
signal.signal(signal.SIGINT, signal.default_int_handler)
MODEL = kg.VariationalClassifier(max_steps=10**6, tolerance=1e-300, optimizer="adam", threads=1)
rng = np.random.default_rng(0)
X = rng.normal(size=(ROWS, 4)); Y = (rng.random(ROWS) < 0.5).astype(int)
print("ready", flush=True)
CALL
print("finished", flush=True)
"""


@pytest.mark.parametrize("case", TRAINING)
def test_ctrl_c_ends_every_kind_of_training_within_seconds(case):
    rows = "1000" if case == "a support vector machine" else "60"
    text = TRAINING_SCRIPT.replace("ROWS", rows).replace("CALL", TRAINING[case])
    command = [sys.executable, "-c", text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            time.sleep(1.5)
            assert child.poll() is None, "the call ended before it could be interrupted"
            child.send_signal(signal.SIGINT)
            out, errors = child.communicate(timeout=10)
        finally:
            child.kill()
    assert "KeyboardInterrupt" in errors and "finished" not in out


def test_an_exception_of_a_signal_handler_passes_through_and_leaves_the_core_usable():
    before = answer(2)

    def stop(*_):
        raise StopNowError

    circuit = layered(18, 1) * 400
    f = kg.expectation(circuit, kg.Pauli("Z0"), threads=2)
    previous = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(StopNowError):
            f(np.zeros(f.num_weights), np.zeros(18))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert answer(2) == before


def test_a_long_kernel_is_stopped_by_a_signal():
    def stop(*_):
        raise StopNowError

    kernel = kg.FidelityKernel(kg.encodings.iqp(8), threads=2)
    rows = np.random.default_rng(0).uniform(-1, 1, (6000, 8))
    before = kernel(rows[:50])
    previous = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(StopNowError):
            kernel(rows)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert np.array_equal(kernel(rows[:50]), before)


LONG_OPS = [kg.rx(kg.w[k], k % 12) if k % 3 else kg.cx(k % 12, (k + 5) % 12) for k in range(60_000)]
SAMPLED = kg.Circuit([kg.ry(0.3 * q, q) for q in range(18)])
STOPPABLE = {
    "samples": lambda: kg.samples(SAMPLED, shots=4 * 10**7, seed=0)(),
    "packed samples": lambda: kg.samples(SAMPLED, shots=4 * 10**7, seed=0, packed=True)(),
    "compilation": lambda: kg.expectation(kg.Circuit(LONG_OPS), kg.Pauli("Z0"))(np.zeros(60_000)),
    "compilation in blocks": lambda: kg.expectation(
        kg.Circuit(LONG_OPS, 18), [kg.Pauli(f"Z{q}") for q in range(18)]
    )(np.zeros(60_000)),
}


@pytest.mark.parametrize("name", STOPPABLE)
def test_samples_and_compilations_are_stopped_at_any_moment(name):
    """A signal at random moments ends them soon, with the handler's own exception, and nothing is left half made."""
    caught = []

    def stop(*_):
        caught.append(time.monotonic())
        raise StopNowError

    before = answer(2)
    moments = np.random.default_rng(0).uniform(0.01, 1.2, 6)
    previous = signal.signal(signal.SIGALRM, stop)
    gc.disable()  # what is raised within a callback of the collector, such as hypothesis has, is lost
    try:
        for moment in moments:
            signal.setitimer(signal.ITIMER_REAL, moment)
            start = time.monotonic()
            try:
                STOPPABLE[name]()
            except StopNowError:
                assert time.monotonic() - start - moment < 2.0
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        gc.enable()
        signal.signal(signal.SIGALRM, previous)
    assert caught, "every call ended before its signal"
    assert answer(2) == before


def test_draws_in_pieces_are_the_draws_of_one_piece(monkeypatch):
    f = kg.samples(SAMPLED, shots=1000, seed=3, common_random_numbers=True)
    whole = f()
    monkeypatch.setattr("ketgrad.executors.sampled.DRAWS_AT_ONCE", 7)
    monkeypatch.setattr("ketgrad.programs.questions.UNPACKED_AT_ONCE", 11)
    assert np.array_equal(f(), whole)
