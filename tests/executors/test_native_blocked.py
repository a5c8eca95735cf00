"""The blocked engine: large states, pass by pass through the cache."""

import numpy as np
import pytest
from native_programs import random_unitary
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad.executors import get
from ketgrad.executors.native import ARRAYS, QUESTION_CODES, load_core
from ketgrad.programs.lowering import compile
from ketgrad.programs.questions import Expect, Probabilities, State


def native(program, **options):
    arrays = {name: getattr(program, name) for name in ARRAYS}
    return load_core().Program(**arrays, question=QUESTION_CODES[type(program.question)], **options)


def questions(n, seed):
    sums = (random_observable(n, 6, seed), kg.Pauli("Z0"), random_observable(n, 3, seed + 9))
    return [Expect(sums), Probabilities((n - 1, 0)), State()]


def data(program, seed, rows=2):
    rng = np.random.default_rng(seed)
    weights, inputs = (
        rng.uniform(-4, 4, (1, program.num_weights)),
        rng.uniform(0.2, 2, (rows, program.num_inputs)),
    )
    cotangent = rng.normal(size=(rows, program.num_outputs))
    if isinstance(program.question, State):
        cotangent = cotangent + 1j * rng.normal(size=cotangent.shape)
    return weights, inputs, cotangent


@pytest.mark.parametrize("instruction_set", load_core().instruction_sets())
@pytest.mark.parametrize("block_bits", [6, 7, 20])
def test_blocks_equal_the_reference(instruction_set, block_bits):
    """Six bits leave two for each block beside its contiguous run, so that every rule of the scheduler is used."""
    for seed in range(4):
        n = 8
        circuit = random_circuit(n, 30, seed, prepare=seed % 2 == 1)
        for question in questions(n, seed):
            program = compile(circuit, question)
            weights, inputs, cotangent = data(program, seed)
            core = native(program, instruction_set=instruction_set, block_bits=block_bits)
            results = core.vjp(weights, inputs, cotangent, 1)
            expected = get("reference").vjp(program, weights, inputs, cotangent)
            for result, wanted in zip(results, expected, strict=True):
                np.testing.assert_allclose(result, wanted, atol=1e-11 * (1 + np.abs(wanted).max(initial=0)))
            np.testing.assert_allclose(core.run(weights, inputs, 1), expected[0], atol=1e-12)


def check(program, seed, tolerance=1e-11, real=np.float64, **options):
    """Values and derivatives in blocks equal those of the reference."""
    weights, inputs, cotangent = data(program, seed, rows=1)
    if real == np.float32:
        cotangent = cotangent.astype(np.complex64 if np.iscomplexobj(cotangent) else real)
    arrays = weights.astype(real), inputs.astype(real), cotangent
    core = native(program, **options)
    assert core.plan(1)["blocked"]
    expected = get("reference").vjp(program, *arrays)
    for result, wanted in zip(core.vjp(*arrays, 1), expected, strict=True):
        np.testing.assert_allclose(
            result, wanted, rtol=0, atol=tolerance * (1 + np.abs(wanted).max(initial=0))
        )
    np.testing.assert_allclose(core.run(*arrays[:2], 1), expected[0], rtol=0, atol=tolerance)


LANES, BLOCK, ABOVE = (
    (11, 10),
    (6, 5, 4),
    (0, 1, 2),
)  # qubits of 12; the lowest index bits belong to the last ones
PLACES = {
    "one in the lanes": (LANES[:1], ()),
    "two in the lanes": (LANES, ()),
    "two in the block": (BLOCK[:2], ()),
    "lane and block": ((BLOCK[0], LANES[1]), ()),
    "above, block and lane": ((ABOVE[0], LANES[0], BLOCK[0]), ()),
    "three above": (ABOVE, ()),
    "one in the lanes under all kinds of controls": ((11,), (10, 4, 0)),
    "one in the block under controls in the lanes": ((5,), LANES),
    "two above under controls elsewhere": ((1, 0), (11, 5, 2)),
    "three across under a control above": ((2, 6, 11), (0,)),
    "five": ((0, 11, 3, 7, 10), ()),
    "five under controls": ((1, 11, 3, 7, 5), (0, 9)),
    "one under seven": ((4,), (0, 1, 2, 3, 9, 10, 11)),
}


@pytest.mark.parametrize(
    "real, tolerance", [(np.float64, 1e-11), (np.float32, 2e-4)], ids=["double", "single"]
)
@pytest.mark.parametrize("instruction_set", load_core().instruction_sets())
def test_matrices_anywhere_equal_the_reference(instruction_set, real, tolerance):
    """Between rotations by more than a quarter turn, whose Pauli operators the matrix must see, and CNOTs."""
    n = 12
    for seed, (targets, controls) in enumerate(PLACES.values()):
        rng = np.random.default_rng(seed)
        turns = [kg.rot(kg.w[q] + 3.0 * (q % 3), 2.2, 0.3 * q, q) for q in range(n)]
        ring = [kg.cx(q, (q + 1) % n) for q in range(n)] if seed % 2 else [kg.cx(q, q + 6) for q in range(6)]
        matrix = kg.unitary(random_unitary(rng, 2 ** len(targets)), *targets)
        gate = matrix.control(*controls) if controls else matrix
        program = compile(
            kg.Circuit([*turns, gate, *ring, gate, *turns], n),
            Expect((kg.Pauli("X0 Y5 Z11"), kg.Pauli("Y10"))),
        )
        for block_bits in (7, 20):
            check(program, seed, tolerance, real, instruction_set=instruction_set, block_bits=block_bits)


def test_a_matrix_larger_than_a_block_makes_a_larger_block():
    qubits = (9, 0, 5, 7, 2, 4)
    matrix = kg.unitary(random_unitary(np.random.default_rng(0), 64), *qubits)
    circuit = kg.Circuit([kg.ry(kg.w[q], q) for q in range(11)] + [matrix, kg.cx(0, 9), matrix], 11)
    for question in questions(11, 3):
        check(compile(circuit, question), 3, block_bits=6)


def test_rotations_under_many_controls_equal_the_reference():
    for word, targets in (("X", (3,)), ("ZY", (9, 4)), ("Z", (8,))):
        controls = [q for q in range(9) if q not in targets]
        turns = [kg.ry(0.5 * kg.w[0] + q, q) for q in range(10)]
        gate = kg.pauli_rotation(kg.w[1] * kg.x[0], word, *targets).control(*controls)
        phase = kg.p(kg.w[1], controls[0]).control(*controls[1:])
        circuit = kg.Circuit([*turns, gate, phase, *turns], 10)
        for question in questions(10, 1):
            check(compile(circuit, question), 1, block_bits=7)


def test_a_word_longer_than_a_block_is_turned_into_a_short_one():
    ops = [kg.h(q) for q in range(9)] + [
        kg.pauli_rotation(kg.w[0], "XYZXYXXYX", *range(9)),
        kg.ry(kg.w[1], 4),
    ]
    program = compile(kg.Circuit(ops), Expect((kg.Pauli("Z4 X2"), kg.Pauli("Y0 Z8"))))
    weights, inputs, cotangent = data(program, 0, rows=1)
    results = native(program, block_bits=6).vjp(weights, inputs, cotangent, 1)
    for result, wanted in zip(
        results, get("reference").vjp(program, weights, inputs, cotangent), strict=True
    ):
        np.testing.assert_allclose(result, wanted, atol=1e-12)


def test_results_are_the_same_bits_for_any_number_of_threads():
    circuit = random_circuit(16, 60, 3)
    for question in (Expect((kg.Pauli("Z0 Z15 + X3"),)), State()):
        program = compile(circuit, question)
        weights, inputs, cotangent = data(program, 1, rows=1)
        core = native(program, block_bits=10)
        first = core.vjp(weights, inputs, cotangent, 1)
        assert core.plan(1)["blocked"]
        for threads in (2, 3, 8):
            for a, b in zip(first, core.vjp(weights, inputs, cotangent, threads), strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_brickwork_circuit_takes_fewer_passes_than_layers():
    n, depth = 20, 10
    ops = []
    for layer in range(depth):
        ops += [kg.rot(0.1 * (q + 1), 0.2, 0.3 * layer, q) for q in range(n)]
        ops += [kg.cz(q, q + 1) for q in range(layer % 2, n - 1, 2)]
    word = " ".join(f"Z{q}" for q in range(n))
    core = native(compile(kg.Circuit(ops), Expect((kg.Pauli(word),))))
    assert core.plan(1)["blocked"] and core.plan(1)["blocked_passes"] <= depth + 1


def test_deep_circuits_keep_their_norm():
    """Turns postpone their cosines; after thousands of them the scale must still be right."""
    n = 12
    layer = kg.Circuit([kg.ry(kg.w[0], q) for q in range(n)] + [kg.rx(kg.w[0], q) for q in range(n)])
    circuit = kg.Circuit(layer.ops * 150, n)
    weights = np.array([[1.5]])
    for dtype, tolerance in ((np.float64, 1e-11), (np.float32, 2e-3)):
        total = native(compile(circuit, Probabilities((0, 5)))).run(
            weights.astype(dtype), np.zeros((1, 0), dtype), 1
        )
        assert abs(total.sum() - 1) < tolerance


def test_the_plan_tells_which_engine_runs():
    def engine(circuit):
        f = kg.expectation(circuit, [kg.Pauli("Z0")])
        return f.executor.engine(f.program)

    matrix = random_unitary(np.random.default_rng(0), 4)
    matrices = [kg.ry(kg.w[0], 1), *(kg.unitary(matrix, q, (q + 1) % 14) for q in range(14))]
    assert "absorbed" in engine(kg.ansatz.hardware_efficient(4, 2))
    assert "one sample alone" not in engine(kg.ansatz.hardware_efficient(16, 2))
    assert "; one sample alone: one sample at a time in blocks" in engine(kg.Circuit(matrices, 14))
    assert "in blocks of the cache: passes over the state:" in engine(kg.ansatz.hardware_efficient(20, 20))
    assert "the 10 of 20 qubits that the question can see" in engine(kg.ansatz.hardware_efficient(20, 9))


def test_the_choice_of_the_engine_counts_what_is_left_after_pruning():
    """Of the operations on 18 qubits, two words see few, with all their qubits: lanes. A word sees all: blocks."""
    n = 18
    ops = []
    for layer in range(6):
        ops += [kg.rot(kg.w[q], kg.w[q + 1], kg.w[q + 2], q) for q in range(n)]
        ops += [kg.cz(q, q + 1) for q in range(layer % 2, n - 1, 2)]
    for word, circuit, in_blocks in (
        (" ".join(f"X{q}" for q in range(n)), ops, True),
        (" ".join(f"Z{q}" for q in range(n)), [kg.rx(0.1, q) for q in range(n)] + ops[:1], False),
    ):
        facts = native(compile(kg.Circuit(circuit, n), Expect((kg.Pauli(word),)))).plan(1)
        assert facts["blocked"] == in_blocks == (facts["cost_blocks"] < facts["cost_lanes"])
