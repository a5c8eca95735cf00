"""The native core against dense matrices: every feature, precision, instruction set, batch shape and thread count."""

import itertools

import numpy as np
import pytest
from native_programs import dense_values, difference_gradient, random_program

from ketgrad import _native

QUESTIONS = {"expect": 0, "probabilities": 1, "state": 2}
TOLERANCE = {np.float64: 1e-11, np.float32: 2e-4}


def arrays_of(rng, weight_rows, input_rows, real):
    return rng.normal(size=(weight_rows, 3)).astype(real), rng.normal(size=(input_rows, 2)).astype(real)


def cotangent_like(rng, values):
    cotangent = rng.normal(size=values.shape)
    if np.iscomplexobj(values):
        cotangent = cotangent + 1j * rng.normal(size=values.shape)
    return cotangent.astype(values.dtype)


def rows(weights, inputs):
    batch = max(len(weights), len(inputs))
    return [(weights[i % len(weights)], inputs[i % len(inputs)]) for i in range(batch)]


def check_values(program, weights, inputs, **options):
    values = _native.Program(**program, **options).run(weights, inputs, 1)
    expected = [dense_values(program, w.astype(float), x.astype(float)) for w, x in rows(weights, inputs)]
    np.testing.assert_allclose(values, expected, atol=TOLERANCE[weights.dtype.type] * (1 + np.max(np.abs(expected))))


def check_gradients(program, weights, inputs, rng, **options):
    native = _native.Program(**program, **options)
    cotangent = cotangent_like(rng, native.run(weights, inputs, 1))
    values, dweights, dinputs = native.vjp(weights, inputs, cotangent, 1)
    np.testing.assert_array_equal(values, native.run(weights, inputs, 1))
    parts = [difference_gradient(program, w.astype(float), x.astype(float), c)
             for (w, x), c in zip(rows(weights, inputs), cotangent, strict=True)]  # fmt: skip
    for got, want in ((dweights, np.array([p[0] for p in parts])), (dinputs, np.array([p[1] for p in parts]))):
        want = want if len(got) == len(want) else want.sum(axis=0, keepdims=True)
        scale = 1 + np.max(np.abs(want), initial=0)
        np.testing.assert_allclose(got, want, atol=max(2e-8, 10 * TOLERANCE[weights.dtype.type]) * scale)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_values_equal_dense_matrices(n, question):
    for seed, real in itertools.product(range(8), TOLERANCE):
        program = random_program(seed, n, question=QUESTIONS[question])
        check_values(program, *arrays_of(np.random.default_rng(seed), 1, 3, real))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_gradients_equal_differences(n, question):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        program = random_program(seed, n, question=QUESTIONS[question])
        check_gradients(program, *arrays_of(rng, 1, 3, np.float64), rng)


@pytest.mark.parametrize("special", [1, 2])
def test_special_angles(special):
    for seed, n in itertools.product(range(6), [1, 2, 3, 5]):
        rng = np.random.default_rng(seed)
        program = random_program(seed, n, special=special)
        check_values(program, *arrays_of(rng, 1, 2, np.float64))
        check_gradients(program, *arrays_of(rng, 1, 2, np.float64), rng)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (4, 4), (9, 9), (1, 17)])
@pytest.mark.parametrize("real", TOLERANCE)
def test_batches(shape, real):
    for seed, question in itertools.product(range(2), QUESTIONS.values()):
        rng = np.random.default_rng(seed)
        program = random_program(100 + seed, 3, question=question)
        check_values(program, *arrays_of(rng, *shape, real))
        check_gradients(program, *arrays_of(rng, *shape, real), rng)


def test_instruction_sets_agree():
    for seed, question in itertools.product(range(3), QUESTIONS.values()):
        program = random_program(200 + seed, 5, question=question)
        weights, inputs = arrays_of(np.random.default_rng(seed), 1, 11, np.float64)
        natives = [_native.Program(**program, instruction_set=name) for name in _native.instruction_sets()]
        cotangent = cotangent_like(np.random.default_rng(1), natives[0].run(weights, inputs, 1))
        results = [native.vjp(weights, inputs, cotangent, 1) for native in natives]
        for result in results[1:]:
            for one, other in zip(results[0], result, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-12 * (1 + np.max(np.abs(one))))


@pytest.mark.parametrize("real", TOLERANCE)
def test_bit_identical_for_any_number_of_threads(real):
    for seed, question in itertools.product(range(2), QUESTIONS.values()):
        program = random_program(300 + seed, 7, question=question, length=60)
        native = _native.Program(**program)
        weights, inputs = arrays_of(np.random.default_rng(seed), 1, 101, real)
        cotangent = cotangent_like(np.random.default_rng(1), native.run(weights, inputs, 1))
        one = native.vjp(weights, inputs, cotangent, 1)
        for threads in (2, 3, 8):
            for got, want in zip(native.vjp(weights, inputs, cotangent, threads), one, strict=True):
                np.testing.assert_array_equal(got, want)
