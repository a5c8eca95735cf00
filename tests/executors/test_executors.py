"""The conformance suite: every executor equals the definition on random programs, in every answer it can give."""

import numpy as np
import pytest
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad.executors import EXECUTORS, Executor, get
from ketgrad.programs.lowering import compile
from ketgrad.programs.questions import Expect, Probabilities, State

EXACT = [name for name in EXECUTORS if "exact" in get(name).abilities and name != "reference"]
BATCHES = [(1, 1), (1, 5), (5, 1), (7, 7)]  # rows of weights, rows of inputs
TOLERANCE = {np.complex128: 1e-11, np.complex64: 3e-5}


def questions(n):
    observables = tuple(random_observable(n, 6, seed) for seed in range(2))
    return [Expect((*observables, kg.Pauli("Z0"))), Probabilities(tuple(range(n))[::-1][:2]), State()]


def data(program, rows, seed):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-4, 4, (rows[0], program.num_weights))
    inputs = rng.uniform(0.2, 2, (rows[1], program.num_inputs))
    batch = max(rows)
    cotangent = rng.normal(size=(batch, program.num_outputs))
    if isinstance(program.question, State):
        cotangent = cotangent + 1j * rng.normal(size=cotangent.shape)
    return weights, inputs, cotangent


@pytest.mark.parametrize("name", EXECUTORS)
def test_the_protocol_is_kept(name):
    executor = get(name)
    assert isinstance(executor, Executor) and executor.name == name
    assert executor.abilities <= {"exact", "shots", "adjoint", "second", "noise", "gpu"}
    assert ("adjoint" in executor.abilities) == hasattr(executor, "vjp")
    assert ("second" in executor.abilities) == (hasattr(executor, "jvp") and hasattr(executor, "hvp"))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["complex128", "complex64"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", EXACT)
def test_values_and_gradients_equal_the_reference(name, n, dtype):
    executor, reference, tolerance = get(name), get("reference"), TOLERANCE[dtype]
    real = np.float64 if dtype == np.complex128 else np.float32
    for seed in range(6):
        circuit = random_circuit(n, 12, seed, prepare=seed % 2 == 1)
        for question in questions(n):
            program = compile(circuit, question)
            for rows in BATCHES:
                weights, inputs, cotangent = data(program, rows, seed)
                expected = reference.vjp(program, weights, inputs, cotangent)
                given = (weights.astype(real), inputs.astype(real))
                cot = cotangent.astype(dtype if np.iscomplexobj(cotangent) else real)
                values = executor.run(program, *given, dtype=dtype)
                results = executor.vjp(program, *given, cot, dtype=dtype)
                scale = 1 + np.abs(expected[1]).max(initial=0) + np.abs(expected[2]).max(initial=0)
                np.testing.assert_allclose(values, expected[0], atol=tolerance * 10)
                for result, wanted in zip(results, expected, strict=True):
                    assert result.shape == wanted.shape
                    np.testing.assert_allclose(result, wanted, atol=tolerance * scale * 10)
                assert values.dtype == (dtype if isinstance(question, State) else real)


def test_the_reference_gradient_equals_differences_of_its_values():
    """The reference is the definition of the others, so its own gradient is held against its values."""
    reference, step = get("reference"), 1e-6
    for seed in range(4):
        circuit = random_circuit(3, 10, seed, prepare=seed % 2 == 1)
        for question in questions(3):
            program = compile(circuit, question)
            weights, inputs, cotangent = data(program, (1, 1), seed)

            def loss(w, x, program=program, cotangent=cotangent):
                return np.sum(np.conj(cotangent) * reference.run(program, w, x)).real

            _, dweights, dinputs = reference.vjp(program, weights, inputs, cotangent)
            for e, got in zip(np.eye(program.num_weights), dweights[0], strict=True):
                wanted = (loss(weights + step * e, inputs) - loss(weights - step * e, inputs)) / (2 * step)
                assert abs(wanted - got) < 1e-7 * (1 + abs(wanted))
            for e, got in zip(np.eye(program.num_inputs), dinputs[0], strict=True):
                wanted = (loss(weights, inputs + step * e) - loss(weights, inputs - step * e)) / (2 * step)
                assert abs(wanted - got) < 1e-7 * (1 + abs(wanted))


def test_a_program_with_offsets_adds_each_offset_to_its_own_angle():
    circuit = random_circuit(3, 12, 5)
    program = compile(circuit, Expect((kg.Pauli("Z0 Z1"),)))
    shifted = program.with_offsets()
    weights, inputs, _ = data(program, (1, 1), 0)
    offsets = np.zeros((len(program.occurrences), len(program.occurrences)))
    np.fill_diagonal(offsets, 0.25)
    batch = np.concatenate([np.broadcast_to(inputs, (len(offsets), inputs.shape[1])), offsets], axis=1)
    angles = shifted.angles(weights, batch) - program.angles(weights, inputs)
    for row, occurrence in zip(angles, program.occurrences, strict=True):
        expected = np.zeros_like(row)
        for i, scale in zip(occurrence.instructions, occurrence.scales, strict=True):
            expected[i] = 0.25 * scale
        np.testing.assert_allclose(row, expected, atol=1e-12)


def test_an_unknown_executor_is_refused_with_the_near_match():
    with pytest.raises(kg.KetgradError, match="Did you mean 'native'"):
        get("nativ")
