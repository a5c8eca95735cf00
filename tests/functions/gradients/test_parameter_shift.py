"""What a rule announces, what it refuses on which side of each limit, and in which portions it runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad.executors import get
from ketgrad.foundation.errors import KetgradError, KetgradValueError
from ketgrad.functions.batch import Batch
from ketgrad.functions.gradients import parameter_shift
from ketgrad.functions.gradients import sweeps as shifts
from ketgrad.functions.gradients.choice import check_usable, choose
from ketgrad.functions.gradients.frequencies import shift_rule
from ketgrad.functions.gradients.rules import Cost
from ketgrad.functions.gradients.sweeps import blocks_at_once

w, x = kg.w, kg.x
CIRCUIT = kg.Circuit([kg.rx(w[0], 0), kg.crx(w[1] * x[0], 0, 1), kg.rz(0.3, 2)])  # 1, 2 and 0 frequencies
Z = kg.Pauli("Z0 Z1")
RULES: list[Any] = [
    kg.Adjoint(),
    kg.ParameterShift(),
    kg.FiniteDifference(),
    kg.FiniteDifference(order=4),
    kg.gradients.SPSA(num_samples=7),
]


class Recording:
    """The native core, with the abilities that are wished, and a note of the rows of each run."""

    name = "recording"

    def __init__(self, *abilities: str) -> None:
        self.abilities = frozenset(abilities)
        self.rows: list[int] = []

    def run(self, program, weights, inputs, **options):
        self.rows.append(max(len(weights), len(inputs)))
        return get("native").run(program, weights, inputs, **options)

    def vjp(self, program, weights, inputs, *arguments, **options):
        self.rows.append(max(len(weights), len(inputs)))
        return get("native").vjp(program, weights, inputs, *arguments, **options)


def test_the_cost_of_each_rule_is_announced():
    program, state = kg.expectation(CIRCUIT, Z).program, 16 * 2**3
    announced = [rule.cost(program) for rule in RULES]
    assert announced == [
        Cost(1, 1, 3 * state),
        Cost(1 + 2 * (1 + 2), 0, state),
        Cost(1 + 2 * 3, 0, state),
        Cost(1 + 4 * 3, 0, state),
        Cost(1 + 2 * 7, 0, state),
    ]
    assert [str(cost) for cost in announced[:2]] == [
        "1 circuit execution and 1 backward pass per sample, 384 bytes of states",
        "7 circuit executions per sample, 128 bytes of states",
    ]


def test_amplitudes_that_are_variables_cost_two_runs_each():
    prepared = kg.Circuit([kg.prepare_state([x[0], 0.0, x[1], x[2]], 0, 1, normalize=True), kg.ry(w[0], 0)])
    program = kg.expectation(prepared, Z).program
    assert kg.ParameterShift().cost(program).executions == 1 + 2 * 3 + 2


def test_samples_have_no_derivative_by_any_rule():
    program = kg.samples(CIRCUIT, shots=5).program
    for rule in RULES:
        assert "samples are integers" in rule.objection(get("native"), program), rule
    with pytest.raises(KetgradValueError, match="samples are integers") as refusal:
        choose(get("native"), program)
    assert "Can be used" not in str(refusal.value)


def test_no_exact_rule_names_both_reasons_and_the_ways_out():
    program = kg.state(CIRCUIT).program
    with pytest.raises(KetgradValueError) as refusal:
        choose(Recording("exact"), program)
    assert str(refusal.value) == (
        "no exact gradient rule can be used here. Adjoint: it reads amplitudes, which the executor 'recording' does"
        " not give (its abilities: exact). ParameterShift: it differentiates expectation values and probabilities,"
        " not amplitudes. Can be used: kg.FiniteDifference(step=None, order=2), kg.FiniteDifference(step=0.1,"
        " order=2), kg.gradients.SPSA(step=0.01, num_samples=1, seed=None, common_random_numbers=False)."
    )
    assert choose(Recording("adjoint"), program) == kg.Adjoint()
    expectation = kg.expectation(CIRCUIT, Z).program
    assert choose(Recording("exact"), expectation) == kg.ParameterShift()


def test_shot_noise_needs_a_step_of_a_hundredth():
    program = kg.expectation(CIRCUIT, Z).program
    for step, allowed in ((0.01, True), (0.00999, False), (None, False)):
        rule = kg.FiniteDifference(step=step)
        assert (rule.objection(Recording("shots"), program) is None) == allowed
        assert rule.objection(Recording("exact"), program) is None
    with pytest.raises(KetgradValueError, match=r"step 6e-06; give a step of at least 0\.01"):
        check_usable(kg.FiniteDifference(), Recording("shots"), program)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_a_rule_that_multiplies_noise_a_million_times_is_refused_in_any_unit(unit, monkeypatch):
    question = kg.expectation(CIRCUIT, Z).program.question
    gate = SimpleNamespace(frequencies=(unit, 2 * unit), gate_name="close", qubits=(0, 1), op_index=3)
    program: Any = SimpleNamespace(question=question, occurrences=[gate])
    for times, allowed in ((0.99e6, True), (1.01e6, False)):
        pairs = ((0.1, times * unit), (-0.1, -times * unit))  # twice the frequency is the largest
        monkeypatch.setattr(parameter_shift, "shift_rule", lambda frequencies, pairs=pairs: pairs)
        reason = kg.ParameterShift().objection(get("native"), program)
        assert (reason is None) == allowed, times
        assert allowed or "close on qubits 0, 1 (op 3) has frequencies too close to be told apart" in reason


SPECTRA = [
    *((1, 3), (1, 2, 3.7), (0.3, 1, 1.4, 2.9), (1, 1.1)),
    *((1, 1 + 1e-6, 1 + 3e-6, 2), (1, 1 + 1e-7), (1e-9, 1, 2), (1, 2, 3, 3 + 1e-7)),
]


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_close_frequencies_take_wide_shifts_and_no_large_coefficients(spectrum):
    found = shift_rule(spectrum)
    assert len(found) == 2 * len(spectrum)
    assert sum(abs(factor) for _, factor in found) < 1.1 * max(spectrum)  # the noise of shots grows with it
    shift, factor = np.array(found).T
    for omega in spectrum:  # the derivative of sin(omega t) at zero
        assert factor @ np.sin(omega * shift) == pytest.approx(omega, rel=1e-6)


def test_the_step_balances_truncation_and_rounding():
    assert kg.FiniteDifference().step_size == pytest.approx(6.0555e-6, rel=1e-4)
    assert kg.FiniteDifference(order=4).step_size == pytest.approx(7.4010e-4, rel=1e-4)
    assert kg.FiniteDifference(step=0.2, order=4).step_size == 0.2


@pytest.mark.parametrize(("order", "error"), [(2, 1 / 6), (4, 1 / 30)])
def test_the_error_of_a_difference_is_that_of_its_order(order, error):
    f = kg.expectation(
        kg.Circuit([kg.ry(w[0], 0)]), kg.Pauli("Z0"), gradient=kg.FiniteDifference(step=0.02, order=order)
    )
    _, slope, _ = f.vjp([0.7], None, [1.0])
    exact = -np.sin(0.7)
    assert slope[0] - exact == pytest.approx(-exact * error * 0.02**order, rel=1e-2)


@pytest.mark.parametrize("rule", [kg.FiniteDifference, kg.gradients.SPSA])
def test_a_step_is_finite_and_above_zero(rule):
    for value in (1, 0.5, 1e-15, np.float32(2), np.int64(3)):
        assert rule(step=value).step == value
    for value in (0, -1, 0.0, 9e-16, 1e8, float("nan"), float("inf"), "1", 1j, True):
        with pytest.raises(KetgradError, match="`step` must be"):
            rule(step=value)


# ------------------------------------------------------------------------------------------------------- portions


def batch_of(f, weights, inputs, executor: Any = None) -> Batch:
    arrays = np.atleast_2d(np.asarray(weights, float)), np.atleast_2d(np.asarray(inputs, float))
    return Batch.of_rows(executor or get("native"), f.program, *arrays)


@pytest.mark.parametrize(
    ("num_qubits", "batch", "numbers", "blocks"),
    [
        (3, 1, 0, 2**25 // 2**7),  # 32 MiB of states of 128 bytes
        (3, 1, 16, 2**25 // 2**8),  # and as much again for the numbers beside them
        (3, 128, 16, 2**25 // 2**15),
        (20, 1, 0, 64),  # few states fit, but 64 rows keep all cores busy
        (20, 16, 0, 4),
        (20, 65, 0, 1),
    ],
)
def test_shifted_rows_run_in_portions_of_32_mib_or_64_rows(num_qubits, batch, numbers, blocks):
    f = kg.expectation(kg.Circuit([kg.rx(x[0], 0)], num_qubits), kg.Pauli(f"Z{num_qubits - 1} Z0"))
    assert f.program.num_qubits == num_qubits
    assert blocks_at_once(batch_of(f, [[]], np.zeros((batch, 1))), numbers) == blocks


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_portions_change_no_derivative_and_no_portion_is_larger(rule, monkeypatch):
    if isinstance(rule, kg.gradients.SPSA):
        return  # its directions run one by one
    circuit = random_circuit(3, 12, seed=3, prepare=True)
    f = kg.expectation(circuit, [random_observable(3, 4, seed) for seed in (1, 2, 3)])
    rng = np.random.default_rng(0)
    weights, inputs = rng.normal(size=(1, f.num_weights)), rng.uniform(0.2, 2, (2, f.num_inputs))
    tolerance = 1e-9 if isinstance(rule, kg.FiniteDifference) else 1e-12  # a last digit divided by the step
    whole = rule.jacobian(batch_of(f, weights, inputs))
    monkeypatch.setattr(shifts, "CHUNK_BYTES", 1)
    monkeypatch.setattr(shifts, "CHUNK_ROWS", 4)
    executor = Recording("adjoint")
    parts = rule.jacobian(batch_of(f, weights, inputs, executor))
    for first, second in zip(whole, parts, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-12, atol=tolerance)
    assert max(executor.rows) <= 4 and len(executor.rows) > 1


def test_the_memory_of_all_derivatives_is_asked_for_at_once(monkeypatch):
    f = kg.expectation(CIRCUIT, [Z, kg.Pauli("X0"), kg.Pauli("Y1")])
    asked: list[int] = []
    monkeypatch.setattr(shifts, "reserve", lambda need, *words: asked.append(need))
    point = batch_of(f, [0.1, 0.2], [[0.3], [0.4]])
    rule = kg.FiniteDifference()
    rule.jacobian(point)
    rule.vjp(point, np.ones((2, 3)))
    assert asked == [16 * 3 * 2 * 3, 16 * 3 * 2]  # bytes, variables, rows, outputs


def test_the_slots_are_one_the_weights_and_the_inputs():
    f = kg.expectation(CIRCUIT, Z)
    assert f.program.slots(np.array([[0.1, 0.2]]), np.array([[0.3], [0.4]])).tolist() == [
        [1.0, 0.1, 0.2, 0.3],
        [1.0, 0.1, 0.2, 0.4],
    ]


def test_the_shifts_of_equal_steps_are_the_published_ones_at_any_unit():
    for unit in (0.5, 1.0, 3.0):
        for count in (1, 2, 3, 5):
            frequencies = tuple(unit * np.arange(1, count + 1))
            found = shift_rule(frequencies)
            shift = np.array([pair[0] for pair in found[::2]])
            assert shift == pytest.approx((2 * np.arange(count) + 1) * np.pi / (2 * count) / unit)
            assert [pair[0] for pair in found[1::2]] == pytest.approx(-shift)
            assert sum(abs(factor) for _, factor in found) == pytest.approx(frequencies[-1])
    assert shift_rule(()) == () and shift_rule((0.0, 1e-13)) == ()


def test_frequencies_are_merged_when_they_agree_to_nine_digits_and_told_apart_otherwise():
    for spectrum, distinct in (
        ((1.0, 1.0 + 1e-12), 1),
        ((1.0, 2.0, 2.0 + 1e-10), 2),
        ((1e-3, 1e-3 + 1e-13), 1),
        ((1.0, 1.0 + 1e-8), 2),
        ((-1.0, 1.0, 0.0, 1e-13), 1),
        ((1e-11,), 1),
    ):
        assert len(shift_rule(spectrum)) == 2 * distinct, spectrum


@pytest.mark.parametrize("spectrum", [(1.0, 2.0005), (1.0, 2.0 + 1e-7), (1.0, 2.0, 3.0003), (0.9999, 2.0)])
def test_frequencies_that_are_almost_multiples_have_a_rule_of_their_own(spectrum):
    shift, factor = np.array(shift_rule(spectrum)).T
    for omega in spectrum:
        assert factor @ np.sin(omega * shift) == pytest.approx(omega, abs=1e-9)


def test_the_directions_of_spsa_are_signs_in_all_weights_and_inputs_at_once():
    f = kg.expectation(CIRCUIT, Z)
    asked: list[np.ndarray] = []

    class Asking(Recording):
        def run(self, program, weights, inputs, **options):
            asked.append(np.concatenate([weights.ravel(), inputs.ravel()]))
            return super().run(program, weights, inputs, **options)

    weights, inputs = np.array([0.1, 0.2]), np.array([[0.3], [0.4]])
    rule = kg.gradients.SPSA(step=0.25, num_samples=40, seed=0)
    rule.jacobian(batch_of(f, weights, inputs, Asking("exact")))
    place = np.concatenate([weights, inputs.ravel()])
    moves = (np.array(asked) - place) / 0.25
    assert len(moves) == 80 and np.abs(moves) == pytest.approx(1.0)
    assert moves[::2] == pytest.approx(-moves[1::2])
    assert (np.abs(moves[::2].mean(axis=0)) < 0.5).all()
    assert len({tuple(move.round()) for move in moves}) == 16  # every combination of four signs


@pytest.mark.parametrize(
    ("amplitudes", "runs"),
    [
        ([x[0], 1.0], 2),  # one variable, the first of all slots
        ([x[0], x[0]], 4),
        ([0.5, 2.0 * x[0], -x[1], 0.0], 4),
        ([w[0], x[0], 0.0, 1.0], 4),
    ],
)
def test_the_shift_rule_for_amplitudes_is_exact_wherever_the_variables_stand(amplitudes, runs):
    qubits = range(len(amplitudes).bit_length() - 1)
    prepared = kg.Circuit([kg.prepare_state(amplitudes, *qubits, normalize=True), kg.ry(0.7, 0)], 2)
    observables = [kg.Pauli("Z0"), kg.Pauli("X0 + 0.3")]
    exact, shifted = (kg.expectation(prepared, observables, gradient=rule) for rule in (RULES[0], RULES[1]))
    assert RULES[1].cost(exact.program).executions == 1 + runs
    weights, inputs = (
        np.full(exact.num_weights, 0.4),
        np.array([[0.3, -0.8], [1.7, 0.2]])[:, : exact.num_inputs],
    )
    for first, second in zip(exact.jacobian(weights, inputs), shifted.jacobian(weights, inputs), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12)
    cotangent = np.array([[1.0, -2.0], [0.5, 3.0]])
    for first, second in zip(
        exact.vjp(weights, inputs, cotangent), shifted.vjp(weights, inputs, cotangent), strict=True
    ):
        np.testing.assert_allclose(first, second, atol=1e-12)
    executor: Any = Recording("exact")
    kg.expectation(prepared, observables, executor=executor).vjp(weights, inputs, cotangent)
    assert sum(executor.rows) == 2 * (1 + runs)  # as announced: nothing is run for constants


def test_two_prepared_states_have_their_own_norms():
    circuit = kg.Circuit(
        [
            kg.prepare_state([x[0], 1.0], 0, normalize=True),
            kg.prepare_state([2.0, x[1]], 1, normalize=True),
            kg.ry(w[0], 0),
            kg.cx(0, 1),
        ]
    )
    exact, shifted = (kg.expectation(circuit, kg.Pauli("Z0 Z1 + X1"), gradient=rule) for rule in RULES[:2])
    point = [0.3], [[0.4, -3.0], [5.0, 0.1]]
    for first, second in zip(exact.jacobian(*point), shifted.jacobian(*point), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12)
