"""The native core against the reference: features, passes, precisions, instruction sets, batches, thread counts."""

import itertools
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from native_programs import CLIFFORDS, as_program, dense_values, make_program, random_program, random_unitary

from ketgrad import _native
from ketgrad.executors.reference import Reference

QUESTIONS = {"expect": 0, "probabilities": 1, "state": 2}
TOLERANCE = {np.float64: 1e-11, np.float32: 3e-4}
PASSES = ["frame", "merge", "product", "prune", "quartets", "half_tangent", "spread"]


def arrays_of(rng, weight_rows, input_rows, real=np.float64):
    return rng.normal(size=(weight_rows, 3)).astype(real), rng.normal(size=(input_rows, 2)).astype(real)


def cotangent_like(rng, values):
    cotangent = rng.normal(size=values.shape)
    if np.iscomplexobj(values):
        cotangent = cotangent + 1j * rng.normal(size=values.shape)
    return cotangent.astype(values.dtype)


def close(got, want, tolerance):
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * (1 + np.max(np.abs(want), initial=0)))


def check(arrays, weights, inputs, rng, **options):
    """Values and derivatives of the native program equal those of the reference."""
    native = _native.Program(**arrays, **options)
    program = as_program(arrays)
    tolerance = TOLERANCE[weights.dtype.type]
    values = native.run(weights, inputs, 1)
    close(values, Reference().run(program, weights, inputs), tolerance)
    cotangent = cotangent_like(rng, values)
    got = native.vjp(weights, inputs, cotangent, 1)
    for one, other in zip(got, Reference().vjp(program, weights, inputs, cotangent), strict=True):
        close(one, other, 20 * tolerance)


def test_the_reference_itself_equals_dense_matrices():
    for seed, n, question in itertools.product(range(4), [1, 2, 3], QUESTIONS.values()):
        arrays = random_program(seed, n, question=question)
        weights, inputs = arrays_of(np.random.default_rng(seed), 1, 1)
        values = Reference().run(as_program(arrays), weights, inputs)
        close(values[0], dense_values(arrays, weights[0], inputs[0]), 1e-12)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_values_and_gradients_equal_the_reference(n, question):
    for seed, real, batch in itertools.product(range(8), TOLERANCE, [1, 3]):
        rng = np.random.default_rng(seed)
        check(random_program(seed, n, question=QUESTIONS[question]), *arrays_of(rng, 1, batch, real), rng)


@pytest.mark.parametrize("name", PASSES)
def test_every_pass_can_be_switched_off_and_works_alone(name):
    for seed, n, question in itertools.product(range(3), [2, 5, 6], QUESTIONS.values()):
        rng = np.random.default_rng(seed)
        arrays = random_program(50 + seed, n, question=question)
        check(arrays, *arrays_of(rng, 1, 2), rng, without=[name])
        check(arrays, *arrays_of(rng, 1, 2), rng, without=[other for other in PASSES if other != name])


@pytest.mark.parametrize("n, batch, num_words", [(4, 1, 40), (7, 2, 60), (7, 19, 60), (14, 1, 30)])
def test_a_sum_of_many_words_equals_the_reference_on_every_instruction_set(n, batch, num_words):
    """One observable: its words pass together, tile by tile (14 qubits have several), for values and gradients."""
    rng = np.random.default_rng([n, batch])
    arrays = random_program(n, n, length=2 * n, prepare=False)
    arrays["word_x"], arrays["word_z"] = rng.integers(0, 2**n, (2, num_words), np.uint64)
    arrays["word_x"][:6] = 0  # more diagonal words than go one by one
    arrays["word_coefficient"] = rng.normal(size=num_words)
    arrays["observable_start"] = np.array([0, num_words])
    for name in _native.instruction_sets():
        for real in TOLERANCE:
            check(arrays, *arrays_of(rng, 1, batch, real), rng, instruction_set=name, without=["blocks"])


def few_qubits(arrays, qubits):
    """The question about these qubits alone."""
    mask = np.uint64(sum(1 << q for q in qubits))
    words = {name: arrays[name] & mask for name in ("word_x", "word_z")}
    return arrays | words | {"measured": np.array(qubits, np.int64)}


@pytest.mark.parametrize("question", ["expect", "probabilities"])
def test_qubits_that_the_question_cannot_see_are_left_out(question):
    """Values, gradients and second derivatives, in lanes and in blocks, and what the plan says of it."""
    fewer = 0
    for seed, n, batch in itertools.product(range(12), [3, 5, 7, 8], [1, 3]):
        rng = np.random.default_rng(seed)
        arrays = random_program(seed, n, length=n, question=QUESTIONS[question], prepare=seed % 3 == 0)
        arrays = few_qubits(arrays, [int(q) for q in rng.permutation(n)[: 1 + seed % 2]])
        weights, inputs = arrays_of(rng, 1, batch)
        check(arrays, weights, inputs, rng)
        check(arrays, weights, inputs, rng, block_bits=6)
        core, whole = _native.Program(**arrays), _native.Program(**arrays, without=["prune"])
        assert whole.plan(batch)["qubits"] == n and core.plan(batch)["instructions"] == len(arrays["kind"])
        fewer += core.plan(batch)["qubits"] < n
        moves, cotangent = arrays_of(rng, 1, batch), cotangent_like(rng, core.run(weights, inputs, 1))
        second = [p.second().hvp(weights, inputs, cotangent, *moves, None, 1) for p in (core, whole)]
        for one, other in zip(*second, strict=True):
            close(one, other, 1e-11)
    assert fewer > 30


def test_nothing_is_left_of_a_circuit_that_the_question_cannot_see():
    arrays = few_qubits(random_program(3, 5, prepare=False), [])
    core = _native.Program(**arrays)
    assert core.plan(1)["qubits"] == 0 and core.plan(1)["unseen"] == core.plan(1)["instructions"]
    check(arrays, *arrays_of(np.random.default_rng(0), 1, 3), np.random.default_rng(0))


@pytest.mark.parametrize("special", [1, 2])
def test_special_angles(special):
    for seed, n, batch in itertools.product(range(12), [1, 2, 3, 5, 6], [1, 3]):
        rng = np.random.default_rng(seed)
        check(random_program(seed, n, special=special), *arrays_of(rng, 1, batch), rng)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (4, 4), (9, 9), (1, 17), (2, 2)])
@pytest.mark.parametrize("real", TOLERANCE)
def test_batches(shape, real):
    for seed, question, n in itertools.product(range(4), QUESTIONS.values(), [3, 6]):
        rng = np.random.default_rng(seed)
        check(random_program(100 + seed, n, question=question), *arrays_of(rng, *shape, real), rng)


@pytest.mark.parametrize("shape", [(1, 67), (67, 1), (39, 39)])
def test_packs_of_small_states_of_every_size(shape):
    for n, question, real in itertools.product([1, 2, 3, 4, 5], QUESTIONS.values(), TOLERANCE):
        rng = np.random.default_rng(n)
        check(random_program(300 + n, n, question=question), *arrays_of(rng, *shape, real), rng)


def test_what_is_kept_from_one_call_does_not_show_in_the_next():
    rng = np.random.default_rng(0)
    for seed, question in itertools.product(range(3), QUESTIONS.values()):
        arrays = random_program(400 + seed, 4, question=question)
        kept = _native.Program(**arrays)
        for shape in rng.permutation([(1, 1), (1, 30), (30, 1), (7, 7), (1, 30), (1, 31), (30, 1), (1, 1)]):
            weights, inputs = arrays_of(rng, *shape)
            fresh = _native.Program(**arrays)
            np.testing.assert_array_equal(kept.run(weights, inputs, 1), fresh.run(weights, inputs, 1))
            cotangent = cotangent_like(rng, fresh.run(weights, inputs, 1))
            for one, other in zip(
                kept.vjp(weights, inputs, cotangent, 1), fresh.vjp(weights, inputs, cotangent, 1), strict=True
            ):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("real", TOLERANCE)
def test_a_direct_call_gives_what_a_checked_one_gives_in_the_shapes_of_the_caller(real):
    rng = np.random.default_rng(0)
    for question, (rows, more) in itertools.product(
        QUESTIONS.values(), [(None, None), (1, 5), (None, 5), (5, None)]
    ):
        native = _native.Program(**random_program(11, 4, question=question), free_bytes=2**26)
        weights, inputs = (
            rng.normal(size=(n, k) if n else k).astype(real) for n, k in ((rows, 3), (more, 2))
        )
        both = weights.reshape(-1, 3), inputs.reshape(-1, 2)
        values = native.call(weights, inputs, 1, False)
        assert values.shape[:-1] == (() if rows == more else (5,))
        np.testing.assert_array_equal(values.reshape(-1, values.shape[-1]), native.run(*both, 1))
        cotangent = cotangent_like(rng, values)
        direct = native.call_vjp(weights, inputs, cotangent, None, None, False)
        assert [a.shape for a in direct] == [values.shape, weights.shape, inputs.shape]
        checked = native.vjp(*both, cotangent.reshape(-1, values.shape[-1]), 1)
        for one, other in zip(direct, checked, strict=True):
            np.testing.assert_array_equal(one.reshape(other.shape), other)


def test_a_direct_call_leaves_to_the_long_way_what_must_be_converted_or_refused():
    native = _native.Program(**random_program(11, 4, question=0), free_bytes=2**26)
    w, x, c = np.ones(3), np.ones((5, 2)), np.ones((5, native.call(np.ones(3), np.ones(2), 1, False).size))
    assert native.call(w, x, 1, False) is not None
    assert native.call_vjp(w, x, c, c, 1, False) is not None
    for other in (
        [1.0] * 3, np.ones(2), np.ones((3, 3)), np.ones((1, 1, 3)), np.ones(6)[::2], np.ones(3, np.float32),
        np.ones(3, int), np.ones(3, ">f8"), np.array([1, np.nan, 1]), np.array([1, np.inf, 1]), np.full(3, 2.0**26),
        np.full(3, 1e200), np.ma.ones(3), np.ones((0, 3)), None,
    ):  # fmt: skip
        assert native.call(other, x, 1, False) is None
    for other in ([[1.0]], c[:4], c[:, :0], c[0], c.astype(complex), np.full_like(c, np.nan), None):
        assert native.call_vjp(w, x, other, None, 1, False) is None
        if other is not None:
            assert native.call_vjp(w, x, c, other, 1, False) is None
    assert native.call(w, x, 1, True) is None  # double precision where single was asked for
    small = _native.Program(**random_program(11, 4, question=0), free_bytes=1000)
    assert small.call(w, x, 1, False) is None  # memory must be asked for


@pytest.mark.parametrize("name", _native.instruction_sets())
@pytest.mark.parametrize("real", TOLERANCE)
def test_every_instruction_set_of_this_machine(name, real):
    for seed, question, batch in itertools.product(range(3), QUESTIONS.values(), [1, 11]):
        rng = np.random.default_rng(seed)
        arrays = random_program(200 + seed, 6, question=question)
        check(arrays, *arrays_of(rng, 1, batch, real), rng, instruction_set=name)


def instruction(kind, x=0, z=0, controls=0, angle=(), targets=(), data=()):
    return SimpleNamespace(kind=kind, x=x, z=z, controls=controls, angle=list(angle), targets=list(targets),
                           data=np.array(data, complex).ravel(), slots=[], normalize=0)  # fmt: skip


def test_matrices_behind_absorbed_clifford_gates():
    names = ["s", "cz", "cx", "swap", "sdg", "iswap", "x", "y"]
    for seed, question in itertools.product(range(20), QUESTIONS.values()):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(3, 7))
        items = [instruction(0, 1 << q, 1 << q, angle=[(0.4 + q, 0, 1)]) for q in range(n)]
        for name in rng.choice(names, 12):
            places = [int(q) for q in rng.permutation(n)]
            items.append(
                instruction(1, targets=places[: len(CLIFFORDS[name]).bit_length() - 1], data=CLIFFORDS[name])
            )
        places, size = [int(q) for q in rng.permutation(n)], int(rng.integers(1, min(n, 5) + 1))
        controls = 1 << places[size] if size < n and rng.random() < 0.4 else 0
        items.append(
            instruction(1, controls=controls, targets=places[:size], data=random_unitary(rng, 1 << size))
        )
        items.append(instruction(0, 3, 1, angle=[(0.3, 1, 4)]))
        arrays = make_program(n, 3, 2, items, question, [[(3, 5, 0.7), (1, 1, 0.2)]], [0, 2])
        for batch in (1, 3):
            check(arrays, *arrays_of(rng, 1, batch), rng)


def test_large_states_equal_the_reference():
    for seed, question, real in itertools.product(range(2), QUESTIONS.values(), TOLERANCE):
        rng = np.random.default_rng(seed)
        check(random_program(seed, 10, question=question), *arrays_of(rng, 1, 1, real), rng)


@pytest.mark.parametrize("real", TOLERANCE)
def test_bit_identical_for_any_number_of_threads(real):
    for n, question in itertools.product([7, 13], QUESTIONS.values()):
        native = _native.Program(**random_program(n, n, question=question, length=60))
        weights, inputs = arrays_of(np.random.default_rng(n), 1, 101 if n == 7 else 1, real)
        cotangent = cotangent_like(np.random.default_rng(1), native.run(weights, inputs, 1))
        one = native.vjp(weights, inputs, cotangent, 1)
        for threads in (2, 3, 8):
            for got, want in zip(native.vjp(weights, inputs, cotangent, threads), one, strict=True):
                np.testing.assert_array_equal(got, want)


def test_a_cotangent_may_follow_the_values():
    for question, batch in itertools.product([0, 1], [1, 9]):
        arrays = random_program(7, 6, question=question)
        native = _native.Program(**arrays)
        weights, inputs = arrays_of(np.random.default_rng(1), 1, batch)
        values = native.run(weights, inputs, 1)
        target, slope = np.full_like(values, 0.3), np.full_like(values, 2.0)
        got = native.vjp(weights, inputs, -2 * target, 1, slope)
        for one, other in zip(got, native.vjp(weights, inputs, 2 * (values - target), 1), strict=True):
            close(one, other, 1e-12)


def test_memory_does_not_grow_with_depth():
    code = """
import resource, sys
import numpy as np
import ketgrad as kg
n, layers = 15, int(sys.argv[1])
layer = [kg.ry(kg.w[q], q) for q in range(n)] + [kg.rz(kg.w[n + q], q) for q in range(n)]
layer += [kg.cx(q, (q + 1) % n) for q in range(n)]
f = kg.expectation(kg.Circuit(layer) * layers, kg.Pauli("Z0"), threads=1)
f.vjp(np.ones((8, f.num_weights)), None, np.ones((8, 1)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peaks = []
    for layers in (3, 60):
        process = subprocess.run(
            [sys.executable, "-c", code, str(layers)], capture_output=True, text=True, check=True
        )
        peaks.append(int(process.stdout))
    assert (
        peaks[1] - peaks[0] < 24 * 1024
    )  # KiB; a state of 8 samples has 4096 KiB, 60 layers of them 240 MiB
