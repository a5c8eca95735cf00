"""What the process around a call may do: fork, threads, signals, exit, seeds, missing extras."""

import concurrent.futures
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import ketgrad as kg
from ketgrad import w, x


def layered(num_qubits: int, layers: int) -> kg.Circuit:
    """Rotations by data and weights, entangled in a ring."""
    ops = [kg.rx(x[q], q) for q in range(num_qubits)] + [kg.ry(w[q], q) for q in range(num_qubits)]
    ops += [kg.cx(q, (q + 1) % num_qubits) for q in range(num_qubits)]
    return kg.Circuit(ops) * layers


def problem(num_qubits: int = 6, batch: int = 40, threads: int | None = None):
    """A Function and arguments for it, the same in every process."""
    observables = [kg.Pauli("Z0"), kg.Pauli("0.3 X0 Y1 + Z2")]
    f = kg.expectation(layered(num_qubits, 3), observables, threads=threads)
    random = np.random.default_rng(5)
    return (
        f,
        random.normal(size=f.num_weights),
        random.normal(size=(batch, num_qubits)),
        np.ones((batch, 2)),
    )


def answer(threads: int | None = None) -> bytes:
    """The bits of values and derivatives."""
    f, weights, inputs, cotangent = problem(threads=threads)
    return b"".join(array.tobytes() for array in f.vjp(weights, inputs, cotangent))


def environment(**changes: str) -> dict[str, str]:
    """Environment variables with which a fresh interpreter finds what this one finds, this file included."""
    folders = [os.path.dirname(__file__), *filter(None, sys.path)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(folders)} | changes


def python(code: str, *options: str, **changes: str) -> subprocess.CompletedProcess:
    """Run `code` in a fresh interpreter, with other environment variables."""
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment(**changes))


# -- threads and forks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_results_are_bit_identical_for_any_number_of_threads(threads):
    assert answer(threads) == answer(1)


@pytest.mark.parametrize("num_qubits", [3, 13, 17])
def test_one_state_gives_the_same_bits_for_any_number_of_threads(num_qubits):
    results = set()
    for threads in (1, 2, 3, 8):
        f, weights, inputs, cotangent = problem(num_qubits, batch=1, threads=threads)
        results.add(b"".join(array.tobytes() for array in f.vjp(weights, inputs, cotangent)))
    assert len(results) == 1


def test_the_hash_seed_and_a_new_process_change_no_bit():
    code = "import hashlib, test_process; print(hashlib.sha256(test_process.answer(2)).hexdigest())"
    digests = {python(code, PYTHONHASHSEED=seed).stdout for seed in ("0", "1", "random")}
    assert len(digests) == 1 and len(digests.pop()) == 65


def test_joblib_workers_work_after_the_use_of_threads():
    from joblib import Parallel, delayed

    expected = answer(threads=4)
    f, weights, inputs, cotangent = problem(threads=2)
    results = Parallel(n_jobs=2)(delayed(f.vjp)(weights, inputs, cotangent) for _ in range(4))
    assert [b"".join(array.tobytes() for array in result) for result in results] == [expected] * 4


def test_one_function_serves_eight_threads_at_once():
    f, weights, inputs, cotangent = problem(batch=5)
    points = [weights + shift for shift in range(8)]
    expected = [f.vjp(point, inputs, cotangent)[1].tobytes() for point in points]

    def hammer(k: int) -> int:
        return sum(f.vjp(points[k], inputs, cotangent)[1].tobytes() != expected[k] for _ in range(300))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(hammer, range(8))) == 0


# -- signals and exit -------------------------------------------------------------------------------------------


class StopNowError(Exception):
    """Raised by the signal handler below."""


def test_an_exception_in_a_callback_of_training_passes_through():
    f, weights, inputs, _ = problem(3)
    seen = []

    def loss(point):
        values, slope, _ = f.vjp(point, inputs, np.ones((len(inputs), 2)))
        return values.sum(), slope

    def stop(step):
        seen.append(step)
        raise StopNowError

    with pytest.raises(StopNowError):
        kg.minimise(loss, weights, callback=stop, max_steps=3)
    assert len(seen) == 1


@pytest.mark.parametrize("options", [(), ("-X", "dev", "-W", "error")], ids=["plain", "dev"])
def test_the_interpreter_exits_in_silence_with_threads_at_work(options):
    code = (
        "import atexit, threading, time, test_process\n"
        "f, weights, inputs, cotangent = test_process.problem(8, 200, threads=4)\n"
        "def work():\n"
        "    while True: f.vjp(weights, inputs, cotangent)\n"
        "atexit.register(lambda: f(weights, inputs))\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.3)\n"
    )
    result = python(code, *options)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_cycle_through_a_function_is_collected_in_silence_at_exit():
    code = (
        "import test_process\n"
        "class Holder: pass\n"
        "holder = Holder(); holder.self = holder; holder.f = test_process.problem()[0]\n"
        "holder.f(*test_process.problem()[1:3])\n"
    )
    result = python(code)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_pickled_function_gives_the_same_bits():
    f, weights, inputs, cotangent = problem()
    copy = pickle.loads(pickle.dumps(f))
    assert copy == f
    assert copy.vjp(weights, inputs, cotangent)[1].tobytes() == f.vjp(weights, inputs, cotangent)[1].tobytes()


# -- seeds ------------------------------------------------------------------------------------------------------


def draw(seed) -> bytes:
    return kg.samples(layered(3, 1), shots=50, seed=seed)(np.ones(3), np.ones(3)).tobytes()


@pytest.mark.parametrize("seed", [0, 7, 2**64, 2**200, np.int64(7), np.uint8(7)], ids=repr)
def test_the_same_seed_gives_the_same_bits(seed):
    assert draw(seed) == draw(seed)
    assert draw(seed) != draw(int(seed) + 1)


def test_numpy_integers_and_seed_sequences_are_the_seed_that_they_hold():
    assert draw(np.int64(7)) == draw(7) == draw(np.random.SeedSequence(7))


def test_without_a_seed_every_call_draws_anew():
    assert draw(None) != draw(None)


@pytest.mark.parametrize("seed", [-1, True, False, 1.5, "7", [1]], ids=repr)
def test_what_is_no_seed_is_refused_by_name(seed):
    with pytest.raises((kg.KetgradError), match="seed"):
        draw(seed)


def test_spawned_seed_sequences_are_independent_streams():
    assert len({draw(child) for child in np.random.SeedSequence(3).spawn(4)}) == 4


def test_the_global_generator_of_numpy_is_neither_read_nor_moved():
    results = []
    for seed in (1, 2):
        np.random.seed(seed)
        before = np.random.get_state()[1].tobytes()  # pyright: ignore[reportIndexIssue, reportAttributeAccessIssue]
        model = kg.VariationalClassifier(random_state=3, max_steps=3)
        model.fit([[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.8, 0.1]], [0, 1, 0, 1])
        results.append((draw(5), model.predict_proba([[0.3, 0.3]]).tobytes()))
        assert np.random.get_state()[1].tobytes() == before  # pyright: ignore[reportIndexIssue, reportAttributeAccessIssue]
    assert results[0] == results[1]


# -- extras -------------------------------------------------------------------------------------------------------

EXTRAS = ("rich", "jinja2", "matplotlib", "pandas", "pyarrow", "skrub", "torch", "jax", "qiskit", "pennylane")


WITHOUT = """
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.split(".")[0] in {modules!r} else find_spec(name, *rest)
"""


def without(*modules: str) -> str:
    """Code that makes modules look absent to everything imported after it."""
    return WITHOUT.format(modules=modules)


def test_circuits_gradients_and_models_need_no_extra():
    code = without(*EXTRAS) + (
        "import test_process, ketgrad as kg\n"
        "test_process.answer()\n"
        "print(kg.Circuit([kg.h(0), kg.cx(0, 1)]).draw())\n"
        "kg.VariationalClassifier(max_steps=2).fit([[0.0], [1.0]] * 5, [0, 1] * 5)\n"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", ["rich", "jinja2", "pandas", "skrub"])
def test_a_missing_extra_is_one_line_that_says_how_to_install_it(module, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b\n" + "\n".join(f"{k * k % 17}.5,{k % 2}" for k in range(40)))
    code = without(module) + (
        "import sys\nfrom ketgrad.cli.main import main\n"
        f"sys.argv = ['ketgrad', 'compare', {str(table)!r}, '--target', 'b', '--out', {str(tmp_path / 'out')!r}]\n"
        "sys.exit(main())\n"
    )
    result = python(code)
    assert result.returncode not in (0, 1)
    assert "pip install 'ketgrad[compare]'" in result.stderr
    assert module in result.stderr and "Traceback" not in result.stderr
