"""A builder makes the programs that `compile` makes, and edits them where two ways to say the same must agree."""

import numpy as np
import pytest
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad.executors import get
from ketgrad.functions.gradients.amplitude_shifts import freed
from ketgrad.programs.lowering import compile
from ketgrad.programs.program import STATE_PREPARATION, ProgramBuilder
from ketgrad.programs.questions import Expect, Probabilities, State

REFERENCE = get("reference")
ARRAYS = [
    "kind", "x", "z", "controls", "term_start", "term_coefficient", "term_a", "term_b", "target_start", "targets",
    "data_start", "data", "amplitude_slot", "normalize", "observable_start", "word_x", "word_z", "word_coefficient",
    "measured",
]  # fmt: skip


def same(one, other):
    assert (one.num_qubits, one.num_weights, one.num_inputs) == (
        other.num_qubits, other.num_weights, other.num_inputs,
    )  # fmt: skip
    for name in ARRAYS:
        first, second = getattr(one, name), getattr(other, name)
        assert first.dtype == second.dtype, name
        np.testing.assert_array_equal(first, second, name)
    assert one.question == other.question and one.occurrences == other.occurrences


def point(program, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 2, (3, program.num_weights)), rng.uniform(0.2, 2, (3, program.num_inputs))


def test_an_empty_edit_changes_nothing_and_keeps_nothing_that_was_made_of_the_program():
    program = compile(random_circuit(3, 12, 1, prepare=True), Expect((kg.Pauli("Z0 X1"),)))
    program.derived("key", lambda: "made")
    again = program.edited().program()
    same(again, program)
    assert again.cache == {} and program.derived("key", lambda: "made anew") == "made"


@pytest.mark.parametrize("seed", range(6))
def test_two_halves_appended_are_the_whole(seed):
    """The second half of a circuit, rewritten onto the program of the first one, is the program of both."""
    circuit = random_circuit(3, 14, seed, prepare=True)
    whole = compile(circuit, State())
    start = compile(kg.Circuit(circuit.ops[:7], 3), State())
    builder = ProgramBuilder(3, whole.num_weights, whole.num_inputs, whole.input_map)
    for i in range(whole.num_instructions):
        terms = [
            (whole.term_coefficient[t], whole.term_a[t], whole.term_b[t])
            for t in range(whole.term_start[i], whole.term_start[i + 1])
        ]
        targets = whole.targets[whole.target_start[i] : whole.target_start[i + 1]].tolist()
        part = slice(whole.data_start[i], whole.data_start[i + 1])
        if whole.kind[i] == 0:
            builder.rotate(int(whole.x[i]), int(whole.z[i]), terms, int(whole.controls[i]))
        elif whole.kind[i] == 1:
            builder.apply(whole.data[part], targets, int(whole.controls[i]))
        else:
            builder.prepare(targets, whole.data[part], whole.amplitude_slot[part], bool(whole.normalize[i]))
        if builder.num_instructions == start.num_instructions:
            builder = builder.program(State()).edited()
    builder.occurrences = [*whole.occurrences]
    same(builder.program(State()), whole)


@pytest.mark.parametrize("prepare", [False, True])
def test_offsets_of_zero_change_no_value_and_others_turn_their_own_angle(prepare):
    for seed in range(4):
        program = compile(random_circuit(3, 12, seed, prepare), Expect((random_observable(3, 4, seed),)))
        shifted, (weights, inputs) = program.with_offsets(), point(program, seed)
        count = len(program.occurrences)
        assert shifted.num_inputs == program.num_inputs + count
        zero = np.concatenate([inputs, np.zeros((3, count))], axis=1)
        np.testing.assert_allclose(
            REFERENCE.run(shifted, weights, zero), REFERENCE.run(program, weights, inputs), atol=1e-12
        )
        moved = np.concatenate([inputs, np.full((3, count), 0.25)], axis=1)
        wanted = program.angles(weights, inputs)
        for occurrence in program.occurrences:
            for instruction, scale in zip(occurrence.instructions, occurrence.scales, strict=True):
                wanted[:, instruction] += 0.25 * scale
        np.testing.assert_allclose(shifted.angles(weights, moved), wanted, atol=1e-12)


def test_freed_amplitudes_are_inputs_that_stand_for_the_same_state_at_any_norm():
    program = compile(random_circuit(3, 10, 2, prepare=True), Probabilities((0, 1, 2)))
    free, (weights, inputs) = freed(program).program, point(program)
    rows = np.flatnonzero(program.kind == STATE_PREPARATION)
    assert len(rows) == 1 and (free.normalize[rows] == 1).all()
    part = slice(program.data_start[rows[0]], program.data_start[rows[0] + 1])
    amplitudes = program.slots(weights, inputs)[:, program.amplitude_slot[part]]
    given = [inputs, np.zeros((3, len(program.occurrences))), 3 * amplitudes]
    np.testing.assert_allclose(
        REFERENCE.run(free, weights, np.concatenate(given, axis=1)),
        REFERENCE.run(program, weights, inputs),
        atol=1e-12,
    )
    assert free.num_inputs == sum(array.shape[1] for array in given)


def test_what_is_made_of_a_program_is_made_once_and_left_out_of_a_pickle():
    program, made = compile(kg.Circuit([kg.ry(kg.w[0], 0)]), State()), []
    for _ in range(3):
        assert program.derived("list", lambda: made.append(1) or "value") == "value"
    assert made == [1] and program.__getstate__()["cache"] == {}


def test_registers_wider_than_a_machine_word_are_built_and_edited_alike():
    circuit = kg.Circuit([kg.rx(kg.w[0], 69), kg.cx(69, 3), kg.rzz(kg.w[1], 0, 69)], 70)
    program = compile(circuit, Expect((kg.Pauli("Z0 X69"),)))
    same(program.edited().program(), program)
    assert program.with_offsets().x.dtype == program.x.dtype


@pytest.mark.parametrize(
    ("angle", "wanted"),
    [(0.25 * kg.w[0], 0.25), (2 * kg.w[0] - 3 * kg.x[0] * kg.w[0], 5.0), (0.0 * kg.w[0] + 0.5, 0.5)],
    ids=repr,
)
def test_the_steepness_bounds_every_angle_by_its_coefficients(angle, wanted):
    assert compile(kg.Circuit([kg.rx(angle, 0), kg.h(1)]), State()).steepness == pytest.approx(wanted)
    assert compile(kg.Circuit([kg.h(0)]), State()).steepness == 0.0


def test_the_size_of_values_is_that_of_the_largest_observable_or_one():
    circuit = kg.Circuit([kg.h(0), kg.h(1)])
    expected = compile(circuit, Expect((kg.Pauli("0.25 Y0"), kg.Pauli("3 Z0 - 0.5 X1"))))
    assert expected.observable_size == expected.value_size == 3.5
    small = compile(circuit, Expect((kg.Pauli("0.25 Y0"),)))
    assert small.value_size == 0.25
    others = [compile(circuit, question) for question in (State(), Probabilities((0,)))]
    assert [(other.observable_size, other.value_size) for other in others] == [(0.0, 1.0)] * 2
