"""Cirq: circuits and Pauli sums go over and come back, and its simulator interfaces on ketgrad give what Cirq gives."""

import copy
import pickle
import subprocess
import sys
from typing import Any

import cirq
import numpy as np
import pytest
import sympy
from cirq.testing import random_circuit as cirq_random_circuit
from cirq.testing import random_unitary
from counting import Counting
from programs import random_circuit, random_observable

import ketgrad as kg

RNG = np.random.default_rng
Q = cirq.LineQubit.range(4)
S, T, U = sympy.symbols("s t u")
X: Any = cirq.X  # products and sums of these are Pauli strings and sums
Y: Any = cirq.Y
Z: Any = cirq.Z


def unitary_of(circuit):
    """The matrix of a circuit without variables: the states of all basis states, in one batch."""
    n = circuit.num_qubits
    flips = [kg.rx(np.pi * kg.x[q], q) for q in range(n)]
    bits = (np.arange(2**n)[:, None] >> np.arange(n - 1, -1, -1)) & 1
    columns = kg.state(kg.Circuit([*flips, *circuit.ops], n))(None, bits.astype(float))
    return (columns * 1j ** bits.sum(axis=1)[:, None]).T


def assert_equal_unitaries(circuit, order=None):
    order = sorted(circuit.all_qubits()) if order is None else order
    ours = unitary_of(kg.cirq.from_cirq(circuit, qubit_order=order).circuit)
    np.testing.assert_allclose(ours, circuit.unitary(qubit_order=order), atol=1e-9)


# -- circuits in

GATES = [
    cirq.X,
    cirq.Y**0.7,
    cirq.Z**1.3,
    cirq.H**0.4,
    cirq.H,
    cirq.S**-1,
    cirq.T,
    cirq.I,
    cirq.CX,
    cirq.CX**0.3,
    cirq.CZ**0.2,
    cirq.CY**0.4,
    cirq.SWAP,
    cirq.SWAP**0.3,
    cirq.ISWAP,
    cirq.ISWAP**0.6,
    cirq.XX**0.3,
    cirq.YY**0.4,
    cirq.ZZ**0.2,
    cirq.CCX,
    cirq.CCX**0.3,
    cirq.CCY**0.3,
    cirq.CCZ**0.3,
    cirq.CSWAP,
    cirq.rx(0.3),
    cirq.ry(0.3),
    cirq.rz(0.4),
    cirq.ms(0.3),
    cirq.XPowGate(exponent=0.3, global_shift=0.4),
    cirq.ZPowGate(exponent=0.3, global_shift=0.4),
    cirq.CXPowGate(exponent=0.3, global_shift=0.4),
    cirq.SwapPowGate(exponent=1, global_shift=0.4),
    cirq.HPowGate(exponent=1, global_shift=0.3),
    cirq.CZPowGate(exponent=1, global_shift=0.3),
    cirq.PhasedXPowGate(phase_exponent=0.3, exponent=0.4, global_shift=0.2),
    cirq.PhasedXZGate(x_exponent=0.3, z_exponent=0.2, axis_phase_exponent=0.7),
    cirq.FSimGate(0.3, 0.4),
    cirq.PhasedFSimGate(0.1, 0.2, 0.3, 0.4, 0.5),
    cirq.PhasedISwapPowGate(phase_exponent=0.2, exponent=0.3),
    cirq.givens(0.3),
    cirq.QuantumFourierTransformGate(3),
    cirq.TwoQubitDiagonalGate([0.1, 0.2, 0.3, 0.4]),
    cirq.DiagonalGate([0.1, 0.2, 0.3, 0.4]),
    cirq.QubitPermutationGate([2, 0, 1]),
    cirq.MatrixGate(random_unitary(8, random_state=1)),
    cirq.PauliInteractionGate(cirq.X, True, cirq.Y, False, exponent=0.3),
    cirq.ParallelGate(cirq.X**0.3, 3),
    cirq.ControlledGate(cirq.X**0.3, control_values=[0]),
    cirq.ControlledGate(cirq.ISWAP**0.3, 2, control_values=[0, (0, 1)]),
    cirq.BooleanHamiltonianGate(["a", "b"], ["a ^ b"], 0.3),
    cirq.PhaseGradientGate(num_qubits=3, exponent=0.3),
    cirq.DensePauliString("XYZ"),
    cirq.GlobalPhaseGate(1j),
]


@pytest.mark.parametrize("gate", GATES, ids=str)
def test_every_gate_is_the_matrix_that_cirq_has_on_any_qubits(gate):
    count = cirq.num_qubits(gate)
    order = [int(k) for k in RNG(count).permutation(4)[:count]]
    assert_equal_unitaries(cirq.Circuit(gate(*(Q[k] for k in order)), cirq.I.on_each(*Q)))


SYMBOLIC = [
    cirq.X**S,
    cirq.Y**S,
    cirq.Z**S,
    cirq.H**S,
    cirq.CX**S,
    cirq.CY**S,
    cirq.CZ**S,
    cirq.SWAP**S,
    cirq.ISWAP**S,
    cirq.XX**S,
    cirq.YY**S,
    cirq.ZZ**S,
    cirq.CCX**S,
    cirq.CCY**S,
    cirq.CCZ**S,
    cirq.rx(S),
    cirq.ry(S),
    cirq.rz(S),
    cirq.ms(S),
    cirq.XPowGate(exponent=S, global_shift=0.4),
    cirq.CZPowGate(exponent=S, global_shift=0.2),
    cirq.PhasedXPowGate(phase_exponent=S, exponent=T),
    cirq.PhasedXZGate(x_exponent=S, z_exponent=T, axis_phase_exponent=U),
    cirq.FSimGate(S, T),
    cirq.PhasedISwapPowGate(phase_exponent=S, exponent=T),
    cirq.givens(S),
    cirq.ControlledGate(cirq.Y**S, control_values=[0]),
    cirq.ParallelGate(cirq.X**S, 2),
    cirq.ControlledGate(cirq.SWAP**S, control_values=[(0, 1)]),
]


@pytest.mark.parametrize("gate", SYMBOLIC, ids=str)
def test_symbols_in_gates_keep_their_values_phases_included(gate):
    circuit = cirq.Circuit(cirq.ry(0.4 + q.x).on(q) for q in Q)
    circuit += [cirq.CX(Q[0], Q[1]), cirq.CX(Q[2], Q[3]), gate(*Q[: cirq.num_qubits(gate)])]
    for seed in range(2):
        values = dict(zip("stu", RNG(seed).uniform(-2, 2, 3), strict=True))
        found = kg.cirq.from_cirq(circuit)
        ours = kg.state(found.circuit)([values[name] for name in found.weights])
        theirs = cirq.Simulator(dtype=np.complex128).simulate(circuit, values).final_state_vector
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_random_circuits_are_the_same_matrix_whatever_their_moments(seed):
    circuit = cirq_random_circuit(4, 12, 0.7, random_state=seed)
    assert_equal_unitaries(circuit)
    stretched = cirq.Circuit((op for op in circuit.all_operations()), strategy=cirq.InsertStrategy.NEW)
    assert kg.cirq.from_cirq(stretched).circuit == kg.cirq.from_cirq(circuit).circuit


def test_subcircuits_tags_controls_and_phasors_are_followed():
    a, b, c, d = Q
    inner = cirq.FrozenCircuit(cirq.X(a) ** 0.3, cirq.CX(a, b), cirq.Z(b) ** S)
    repeated = cirq.CircuitOperation(inner, repetitions=3).with_qubit_mapping({a: c}).with_params({"s": 0.7})
    word = cirq.PauliString({a: cirq.X, c: cirq.Y, d: cirq.Z}, coefficient=-1)
    circuit = cirq.Circuit(
        cirq.H.on_each(*Q),
        repeated,
        (cirq.T(d) ** 0.5).with_tags("named"),
        cirq.X(b).controlled_by(a, d, control_values=[0, 1]),
        cirq.PauliStringPhasor(word, exponent_neg=0.3, exponent_pos=-0.7),
        (cirq.ISWAP(a, b) ** 0.5).controlled_by(c),
        cirq.ControlledOperation([a, b], cirq.Y(c) ** 0.4, cirq.SumOfProducts([[0, 1], [1, 0]])),
    )
    assert_equal_unitaries(circuit)


def test_qubits_are_numbered_in_cirqs_order_or_the_one_given():
    grid, line, named = (
        cirq.GridQubit(1, 0),
        cirq.LineQubit(0),
        [cirq.NamedQubit("a10"), cirq.NamedQubit("a2")],
    )
    circuit = cirq.Circuit(
        cirq.X(q) ** (0.1 * (k + 1)) for k, q in enumerate([*named, line, grid, cirq.GridQubit(0, 1)])
    )
    found = kg.cirq.from_cirq(circuit)
    assert (
        found.qubits
        == (cirq.GridQubit(0, 1), grid, line, named[1], named[0])
        == tuple(sorted(circuit.all_qubits()))
    )
    np.testing.assert_allclose(
        kg.state(found.circuit)(), cirq.final_state_vector(circuit, dtype=np.complex128), atol=1e-9
    )
    order = [named[0], grid, line, cirq.GridQubit(0, 1), cirq.NamedQubit("unused"), named[1]]
    found = kg.cirq.from_cirq(circuit, qubit_order=order)
    assert found.qubits == tuple(order)
    theirs = cirq.final_state_vector(circuit, qubit_order=order, dtype=np.complex128)
    np.testing.assert_allclose(kg.state(found.circuit)(), theirs, atol=1e-9)


def test_states_are_prepared_on_fresh_qubits():
    amplitudes = np.array([0.5, 0.1j, -0.7, 0.5])
    gate = cirq.StatePreparationChannel(amplitudes / np.linalg.norm(amplitudes))
    circuit = cirq.Circuit(cirq.H(Q[0]), gate(Q[2], Q[1]), cirq.CX(Q[0], Q[1]), cirq.reset(Q[3]), X(Q[3]))
    ours = kg.state(kg.cirq.from_cirq(circuit).circuit)()
    theirs = cirq.Simulator(dtype=np.complex128).simulate(circuit).final_state_vector
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


# -- symbols


def test_symbols_become_weights_and_inputs_by_the_documented_rule():
    names = ["a10", "a2", "b", "x1"]
    circuit = cirq.Circuit(cirq.rx(sympy.Symbol(name))(Q[0]) for name in names)
    found = kg.cirq.from_cirq(circuit)
    assert (found.weights, found.inputs) == (("a2", "a10", "b", "x1"), ())
    found = kg.cirq.from_cirq(circuit, inputs=["x1", sympy.Symbol("a10")])
    assert (found.weights, found.inputs) == (("a2", "b"), ("x1", "a10"))
    assert found.circuit.ops == (kg.rx(kg.x[1], 0), kg.rx(kg.w[0], 0), kg.rx(kg.w[1], 0), kg.rx(kg.x[0], 0))
    for wrong, match in (("c", "'c' is none"), (["b", "b"], "'b' occurs twice")):
        with pytest.raises(ValueError, match=match):
            kg.cirq.from_cirq(circuit, inputs=wrong)


POLYNOMIALS = [
    2 * S * T + 1,
    (sympy.pi - S) * (sympy.pi - T),
    S**2 / 3,
    (S + T) ** 2,
    (S + T) * (S - T) + T * T,
    S * (T + U) * 2 - S * U,
    -S,
    (S + 1) * (S - 1) * T - S * S * T,
    sympy.Float(0.3) * S + sympy.sqrt(2),
    1.5 * S / sympy.pi,
    0.25 * (S - T) * 3 / 7,
]


@pytest.mark.parametrize("expression", POLYNOMIALS, ids=str)
def test_polynomials_of_degree_two_keep_their_values(expression):
    found = kg.cirq.from_cirq(cirq.Circuit(cirq.rx(expression)(Q[0])))
    for seed in range(3):
        values = dict(zip("stu", RNG(seed).uniform(-3, 3, 3), strict=True))
        ours = found.circuit.ops[0].angles[0].evaluate([values[name] for name in found.weights])
        assert ours == pytest.approx(float(expression.subs(values)), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    "expression",
    [sympy.sin(S), S * S * T, 1 / S, sympy.sqrt(S), 2**S, abs(S), S**3, sympy.acos(S), S * sympy.I],
    ids=str,
)
def test_expressions_that_no_angle_holds_are_refused_by_name(expression):
    circuit = cirq.Circuit(cirq.XPowGate(exponent=expression)(Q[0]))
    with pytest.raises(
        ValueError, match=r"The exponent of XPowGate on q\(0\) must be a polynomial"
    ) as caught:
        kg.cirq.from_cirq(circuit)
    assert str(expression) in str(caught.value)


def test_arccos_of_an_input_is_kept_both_ways():
    circuit = kg.Circuit([kg.ry(2 * kg.arccos(kg.x[0]) + 0.5, 0)])
    there = kg.cirq.to_cirq(circuit)
    assert float(there[0].operations[0].gate._rads.subs({"x0": 0.3})) == pytest.approx(
        2 * np.arccos(0.3) + 0.5
    )
    (angle,) = kg.cirq.from_cirq(there, inputs="x0").circuit.ops[0].angles
    assert angle.evaluate([], [0.3]) == pytest.approx(2 * np.arccos(0.3) + 0.5)


# -- measurements, and what is no circuit


def test_final_measurements_are_listed_with_their_keys():
    circuit = cirq.Circuit(cirq.H(Q[0]), cirq.measure(Q[2], Q[0], key="m"), X(Q[1]), cirq.measure(Q[1]))
    found = kg.cirq.from_cirq(circuit)
    assert sorted(found.measured) == [("m", (2, 0)), ("q(1)", (1,))]
    assert found.circuit == kg.Circuit([kg.h(0), kg.x(1)], 3)


NO_CIRCUITS = {
    "PauliMeasurementGate on q.0., q.1. follows a measurement of qubit 0": [
        cirq.PauliMeasurementGate([cirq.X], key="a")(Q[0]),
        cirq.PauliMeasurementGate([cirq.X, cirq.X], key="b")(Q[0], Q[1]),
    ],
    "MeasurementGate on q.0. follows a measurement of qubit 0": [
        cirq.PauliMeasurementGate([cirq.X], key="a")(Q[0]),
        cirq.measure(Q[0]),
    ],
    "follows a measurement of qubit 0": [cirq.measure(Q[0]), X(Q[0])],
    "depends on a measurement": [cirq.measure(Q[0], key="m"), X(Q[1]).with_classical_controls("m")],
    "DepolarizingChannel on q.0. is no unitary": [cirq.depolarize(0.1)(Q[0])],
    "ResetChannel on q.0. is no unitary": [X(Q[0]), cirq.reset(Q[0])],
    "acts on qudits": [cirq.IdentityGate(qid_shape=(3,))(cirq.LineQid(0, 3))],
    "repeats an unknown number of times": [
        cirq.CircuitOperation(cirq.FrozenCircuit(cirq.X(Q[0])), repetitions=sympy.Symbol("r"))
    ],
    "stands for 1,000,000,000 operations": [
        cirq.CircuitOperation(cirq.FrozenCircuit(cirq.X(Q[0])), repetitions=10**9)
    ],
    "must be a number or exp": [cirq.global_phase_operation(S)],
}


@pytest.mark.parametrize("match", NO_CIRCUITS)
def test_what_is_no_circuit_is_refused_by_name(match):
    with pytest.raises(ValueError, match=match):
        kg.cirq.from_cirq(cirq.Circuit(NO_CIRCUITS[match]))


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match=r"must be a cirq\.Circuit, but is list"):
        kg.cirq.from_cirq([X(Q[0])])
    with pytest.raises(TypeError, match=r"must be a kg\.Circuit, but is Circuit"):
        kg.cirq.to_cirq(cirq.Circuit())


# -- circuits out


@pytest.mark.parametrize("seed", range(6))
def test_circuits_of_all_rows_go_to_cirq_and_come_back(seed):
    circuit = random_circuit(4, 25, seed)
    weights, inputs = RNG(seed).normal(size=3), RNG(seed + 1).normal(size=2)
    there = kg.cirq.to_cirq(circuit)
    values = {f"w{k}": v for k, v in enumerate(weights)} | {f"x{k}": v for k, v in enumerate(inputs)}
    ours = kg.state(circuit)(weights[: circuit.num_weights], inputs[: circuit.num_inputs])
    theirs = cirq.Simulator(dtype=np.complex128).simulate(there, values, qubit_order=Q).final_state_vector
    np.testing.assert_allclose(theirs, ours, atol=1e-8)
    chosen = sorted(name for name in cirq.parameter_names(there) if name[0] == "x")
    back = kg.cirq.from_cirq(there, inputs=chosen, qubit_order=Q)
    again = kg.state(back.circuit)([values[n] for n in back.weights], [values[n] for n in back.inputs])
    np.testing.assert_allclose(again, ours, atol=1e-8)


def test_names_symbols_and_qubits_may_be_chosen_and_come_back():
    circuit = kg.Circuit([kg.rx(kg.w[1] * kg.x[0], 0), kg.ry(kg.w[0] + 1, 1)])
    grid = cirq.GridQubit.rect(1, 2)
    there = kg.cirq.to_cirq(circuit, qubits=grid, weights=["gamma", T], inputs="data")
    assert sorted(cirq.parameter_names(there)) == ["data0", "gamma", "t"]
    back = kg.cirq.from_cirq(there, inputs=["data0"])
    assert (back.weights, back.qubits) == (("gamma", "t"), tuple(grid))
    assert back.circuit == circuit
    for arguments, match in (
        ({"weights": ["a"]}, r"`weights` must hold 2 names - the circuit reads w\[0\] to w\[1\]"),
        ({"weights": ["a", "b"], "inputs": ["b"]}, "must differ"),
        ({"qubits": grid[:1]}, "`qubits` must name 2 qubits"),
    ):
        with pytest.raises(ValueError, match=match):
            kg.cirq.to_cirq(circuit, **arguments)


def test_states_go_out_as_numbers_and_are_refused_as_variables():
    amplitudes = np.array([0.1, 0.7j, -0.5, 0.5]) / np.linalg.norm([0.1, 0.7, 0.5, 0.5])
    circuit = kg.Circuit([kg.prepare_state(amplitudes, 2, 0), kg.cx(2, 1)])
    theirs = cirq.Simulator(dtype=np.complex128).simulate(kg.cirq.to_cirq(circuit)).final_state_vector
    np.testing.assert_allclose(theirs, kg.state(circuit)(), atol=1e-8)
    with pytest.raises(ValueError, match=r"op 0, .* prepares a state from weights or inputs"):
        kg.cirq.to_cirq(kg.Circuit([kg.prepare_state(kg.x[0:2], 0, normalize=True)]))


# -- observables


@pytest.mark.parametrize("seed", range(3))
def test_pauli_sums_are_the_same_matrix_and_come_back(seed):
    observable = random_observable(4, 9, seed) + 0.3
    there = kg.cirq.to_pauli_sum(observable, Q)
    np.testing.assert_allclose(there.matrix(Q), observable.matrix(4), atol=1e-12)
    assert kg.cirq.from_pauli_sum(there, Q) == observable
    assert kg.cirq.from_pauli_sum(there, Q[::-1]) == observable.relabel([3, 2, 1, 0])


def test_pauli_strings_are_sums_of_one_term():
    assert kg.cirq.from_pauli_sum(Z(Q[1]), Q) == kg.Pauli("Z1")
    assert kg.cirq.from_pauli_sum(-2j * X(Q[0]) * Y(Q[2]), Q) == kg.Pauli("-2j X0 Y2")
    with pytest.raises(ValueError, match=r"acts on q\(3\), which is not among the qubits"):
        kg.cirq.from_pauli_sum(Z(Q[3]), Q[:2])
    with pytest.raises(TypeError, match=r"must be a cirq\.PauliSum"):
        kg.cirq.from_pauli_sum("Z0", Q)
    with pytest.raises(IndexError, match="`qubits` must name 3 qubits"):
        kg.cirq.to_pauli_sum(kg.Pauli("Z2"), Q[:2])


# -- the simulator

EXACT = {"dtype": np.complex128}


@pytest.mark.parametrize("seed", range(6))
def test_the_simulator_ends_in_cirqs_state_in_any_order_from_any_state(seed):
    circuit, rng = cirq_random_circuit(4, 10, 0.8, random_state=seed), RNG(seed)
    order = [sorted(circuit.all_qubits())[k] for k in rng.permutation(len(circuit.all_qubits()))]
    vector = rng.normal(size=2 ** len(order)) + 1j * rng.normal(size=2 ** len(order))
    for initial in (None, 5 % len(vector), vector / np.linalg.norm(vector)):
        arguments = {"qubit_order": order, "initial_state": initial}
        ours = kg.cirq.Simulator(**EXACT).simulate(circuit, **arguments)
        theirs = cirq.Simulator(**EXACT).simulate(circuit, **arguments)
        np.testing.assert_allclose(ours.final_state_vector, theirs.final_state_vector, atol=1e-9)
        assert (ours.qubit_map, ours.params) == (theirs.qubit_map, theirs.params)
        assert ours.dirac_notation() == theirs.dirac_notation()


def sweep_circuit():
    """Three qubits, two symbols, no symmetry."""
    return cirq.Circuit(
        X(Q[0]) ** S,
        cirq.ry(T + 0.3)(Q[1]),
        cirq.CX(Q[0], Q[1]) ** T,
        cirq.H(Q[2]) ** (S * T),
        cirq.CZ(Q[1], Q[2]) ** 0.3,
    )


SWEEPS = [
    cirq.Linspace("s", 0, 1, 4) * cirq.Linspace("t", -1, 1, 3),
    [{"s": 0.3, "t": 0.2}, {"s": -1.0, "t": 0.7}],
    {"s": 0.1, "t": 0.2},
    cirq.ParamResolver({"s": T * 2, "t": 0.4}),
]


@pytest.mark.parametrize("sweep", SWEEPS, ids=range(len(SWEEPS)))
def test_sweeps_give_states_and_expectation_values_of_cirq(sweep):
    circuit = sweep_circuit()
    observables = [X(Q[0]) * Z(Q[2]) + 0.5 * Y(Q[1]), Z(Q[1]), 2 + Z(Q[0])]
    ours, theirs = kg.cirq.Simulator(**EXACT), cirq.Simulator(**EXACT)
    for mine, wanted in zip(
        ours.simulate_sweep(circuit, sweep), theirs.simulate_sweep(circuit, sweep), strict=True
    ):
        np.testing.assert_allclose(mine.final_state_vector, wanted.final_state_vector, atol=1e-9)
        assert mine.params == wanted.params
    arguments = {"qubit_order": Q[2::-1], "initial_state": 3}
    found = ours.simulate_expectation_values_sweep(circuit, observables, sweep, **arguments)
    expected = theirs.simulate_expectation_values_sweep(circuit, observables, sweep, **arguments)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert [type(value) for value in found[0]] == [float, float, float]
    one = next(iter(cirq.to_resolvers(sweep)))
    single = ours.simulate_expectation_values(circuit, observables[0], one)
    np.testing.assert_allclose(
        single, theirs.simulate_expectation_values(circuit, observables[0], one), atol=1e-9
    )
    np.testing.assert_allclose(
        ours.compute_amplitudes(circuit, [0, 5, 3], one),
        theirs.compute_amplitudes(circuit, [0, 5, 3], one),
        atol=1e-9,
    )


def test_a_sweep_is_one_native_call():
    counting, circuit = Counting(), sweep_circuit()
    simulator = kg.cirq.Simulator(executor=counting)
    simulator.simulate_sweep(circuit, SWEEPS[0])
    simulator.simulate_expectation_values_sweep(circuit, [Z(Q[0]), X(Q[1])], SWEEPS[0])
    simulator.run_sweep(circuit + cirq.measure(*Q[:3]), SWEEPS[0], 10)
    assert counting.runs == [12, 12, 12]


def test_measured_bits_have_cirqs_keys_order_and_inversion():
    circuit = cirq.Circuit(
        X(Q[0]),
        X(Q[2]) ** S,
        cirq.measure(Q[2], Q[0], Q[1], key="m", invert_mask=(True, False, True)),
        cirq.measure(Q[1], key="n"),
        cirq.CircuitOperation(cirq.FrozenCircuit(cirq.measure(Q[3], key="k")), repetitions=2),
    )
    for values in ({"s": 0}, {"s": 1}):
        ours, theirs = (
            one.run(circuit, values, repetitions=5) for one in (kg.cirq.Simulator(), cirq.Simulator())
        )
        assert ours.records.keys() == theirs.records.keys()
        for key, record in theirs.records.items():
            np.testing.assert_array_equal(ours.records[key], record)
    assert kg.cirq.Simulator().run(circuit, {"s": 0}, repetitions=0).records["m"].shape == (0, 1, 3)


def test_frequencies_are_those_of_the_state_and_seeds_fix_them():
    circuit = sweep_circuit()
    chances = np.abs(cirq.Simulator().simulate(circuit, SWEEPS[2]).final_state_vector) ** 2
    measured = circuit + cirq.measure(*Q[:3], key="m")

    def histogram(seed):
        result = kg.cirq.Simulator(seed=seed).run(measured, SWEEPS[2], repetitions=20000)
        return np.bincount(result.data["m"], minlength=8) / 20000

    assert (np.abs(histogram(1) - chances) < 5 * np.sqrt(chances * (1 - chances) / 20000) + 1e-6).all()
    np.testing.assert_array_equal(histogram(1), histogram(1))
    assert (histogram(1) != histogram(2)).any()
    assert (histogram(None) != histogram(None)).any()


def test_a_seed_starts_a_stream_that_goes_on_from_call_to_call_as_cirqs_does():
    circuit = cirq.Circuit(cirq.H(Q[0]), cirq.H(Q[1]), cirq.measure(*Q[:2], key="m"))
    calls = {
        "run": lambda one: one.run(circuit, repetitions=40).measurements["m"].tolist(),
        "sweep": lambda one: one.run_sweep(circuit, [{}, {}], 40)[1].measurements["m"].tolist(),
        "simulate": lambda one: [int(one.simulate(circuit).measurements["m"][0]) for _ in range(20)],
        "steps": lambda one: [
            list(one.simulate_moment_steps(circuit))[-1].measurements["m"] for _ in range(20)
        ],
    }
    for call in calls.values():
        for kind in (kg.cirq.Simulator, cirq.Simulator):
            first, second = kind(seed=1), kind(seed=1)
            drawn = [call(first) for _ in range(3)]
            assert drawn == [call(second) for _ in range(3)]
            assert len({str(one) for one in drawn}) == 3
    simulator = kg.cirq.Simulator(seed=1)
    before = calls["run"](simulator)
    for other in (copy.deepcopy(simulator), pickle.loads(pickle.dumps(simulator)), copy.copy(simulator)):
        assert calls["run"](other) == before
    moving = kg.cirq.Simulator(seed=RNG(3))
    assert calls["run"](moving) != calls["run"](moving)


def test_the_steps_of_the_moments_are_cirqs():
    vector = RNG(1).normal(size=16) + 1j * RNG(2).normal(size=16)
    vector /= np.linalg.norm(vector)
    pair = vector[:4] / np.linalg.norm(vector[:4])
    for circuit, initial in (
        (sweep_circuit() + X(Q[3]), None),
        (cirq_random_circuit(Q, 8, 0.9, random_state=1), 5),
        (cirq_random_circuit(Q, 8, 0.9, random_state=2), vector),
        (cirq.Circuit(cirq.H(Q[0]), [cirq.Moment(cirq.StatePreparationChannel(pair)(*Q[1:3]))]), None),
        (cirq.Circuit(), None),
    ):
        given = {"param_resolver": {"s": 0.2, "t": 0.4}, "initial_state": initial}
        order = sorted(circuit.all_qubits())[::-1]
        ours = kg.cirq.Simulator(**EXACT).simulate_moment_steps(circuit, qubit_order=order, **given)
        theirs = cirq.Simulator(**EXACT).simulate_moment_steps(circuit, qubit_order=order, **given)
        for mine, wanted in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine.state_vector(), wanted.state_vector(), atol=1e-9)
            assert mine.measurements == wanted.measurements
            assert mine.dirac_notation() == wanted.dirac_notation()
            assert type(mine) is type(wanted)
            if order:
                assert mine.sample(order[:1], 3).dtype == wanted.sample(order[:1], 3).dtype
    assert isinstance(kg.cirq.Simulator(), cirq.SimulatesIntermediateState)


def test_a_measured_step_is_collapsed_and_logged():
    word = cirq.PauliMeasurementGate([cirq.X], key="p")(Q[2])
    circuit = cirq.Circuit(
        [cirq.H(Q[0]), cirq.CX(Q[0], Q[1])], [cirq.measure(Q[0], key="m"), word], cirq.ry(0.4)(Q[3])
    )
    simulator, seen = kg.cirq.Simulator(seed=1, **EXACT), set()
    for _ in range(10):
        *_, last = simulator.simulate_moment_steps(circuit)
        assert set(last.measurements) == {"m", "p"}
        bit, sign = last.measurements["m"][0], 1 - 2 * last.measurements["p"][0]
        parts = [np.eye(4)[3 * bit], np.array([1, sign]) / np.sqrt(2), [np.cos(0.2), np.sin(0.2)]]
        rest = np.kron(np.kron(parts[0], parts[1]), parts[2])
        np.testing.assert_allclose(abs(np.vdot(last.state_vector(), rest)), 1, atol=1e-12)
        seen.add((bit, sign))
    assert len(seen) == 4


EXPRESSIONS = [sympy.sin(S), S**3, S / (T + 2), sympy.exp(S * T), S * S * T, sympy.sqrt(S), sympy.Abs(S - 1)]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_exponents_of_any_form_have_values_in_the_simulator(expression):
    circuit = cirq.Circuit(
        X(Q[0]) ** expression, cirq.rx(expression)(Q[1]), cirq.ISWAP(Q[0], Q[1]) ** (expression + T)
    )
    counting, observables = Counting(), [Z(Q[0]), Y(Q[1]) * X(Q[0])]
    sweep = cirq.Linspace("s", 0.1, 1, 4) * cirq.Linspace("t", -1, 1, 3)
    ours, theirs = kg.cirq.Simulator(executor=counting, **EXACT), cirq.Simulator(**EXACT)
    np.testing.assert_allclose(
        ours.simulate_expectation_values_sweep(circuit, observables, sweep),
        theirs.simulate_expectation_values_sweep(circuit, observables, sweep),
        atol=1e-9,
    )
    assert counting.runs == [12]
    with pytest.raises(ValueError, match="polynomial"):
        kg.cirq.from_cirq(circuit)


class Turn(cirq.Gate):
    """A gate that has a matrix once its symbol has a value, and nothing before."""

    def __init__(self, angle):
        self.angle = angle

    def _num_qubits_(self):
        return 1

    def _is_parameterized_(self):
        return cirq.is_parameterized(self.angle)

    def _parameter_names_(self):
        return cirq.parameter_names(self.angle)

    def _resolve_parameters_(self, resolver, recursive):
        return Turn(resolver.value_of(self.angle, recursive))

    def _unitary_(self):
        if cirq.is_parameterized(self.angle):
            return NotImplemented
        return cirq.unitary(cirq.ry(float(self.angle)))


def test_what_cannot_be_read_before_its_symbols_have_values_is_read_after():
    circuit = cirq.Circuit(Turn(S)(Q[0]), cirq.global_phase_operation(T), cirq.CX(Q[0], Q[1]))
    points = [{"s": 0.3, "t": 1j}, {"s": 0.7, "t": -1}]
    ours, theirs = kg.cirq.Simulator(**EXACT), cirq.Simulator(**EXACT)
    for mine, wanted in zip(
        ours.simulate_sweep(circuit, points), theirs.simulate_sweep(circuit, points), strict=True
    ):
        np.testing.assert_allclose(mine.final_state_vector, wanted.final_state_vector, atol=1e-9)
    drawn = kg.cirq.Simulator(seed=1).run_sweep(circuit + cirq.measure(*Q[:2], key="m"), [points[0]] * 2, 60)
    assert (drawn[0].measurements["m"] != drawn[1].measurements["m"]).any()
    with pytest.raises(ValueError, match="reads the symbol 's'"):
        ours.simulate(circuit, {"t": 1j})


PHASES = [
    sympy.exp(sympy.I * S * T), sympy.I**S, (-1) ** (S * T), sympy.I * sympy.exp(2 * sympy.I * S),
    sympy.exp(sympy.I * S) * (-1) ** T,
]  # fmt: skip


@pytest.mark.parametrize("factor", PHASES, ids=str)
def test_phases_written_as_powers_are_angles(factor):
    circuit = cirq.Circuit(cirq.X(Q[0]), cirq.global_phase_operation(factor).controlled_by(Q[0]))
    found = kg.cirq.from_cirq(circuit)
    values = {"s": 0.7, "t": -0.4}
    ours = kg.state(found.circuit)([values[name] for name in found.weights])
    np.testing.assert_allclose(ours, [0, complex(factor.subs(values))], atol=1e-9)


def test_results_have_the_types_shapes_and_metadata_of_cirqs():
    circuit = cirq.Circuit(
        X(Q[0]), cirq.measure(Q[1], Q[0], key="m", invert_mask=(True,)), cirq.measure(Q[2])
    )
    for dtype in (np.complex64, np.complex128):
        ours, theirs = kg.cirq.Simulator(dtype=dtype), cirq.Simulator(dtype=dtype)
        mine, wanted = (one.run(circuit, repetitions=5) for one in (ours, theirs))
        for key, record in wanted.records.items():
            assert (mine.records[key].dtype, mine.records[key].shape) == (record.dtype, record.shape)
            assert (1 - 2 * mine.measurements[key] == 1 - 2 * wanted.measurements[key]).all()
            assert ((-1) ** mine.measurements[key] == (-1) ** wanted.measurements[key]).all()
        assert mine == wanted and mine.repetitions == wanted.repetitions
        assert (mine.data.dtypes == wanted.data.dtypes[mine.data.columns]).all()
        mine, wanted = (one.simulate(circuit) for one in (ours, theirs))
        for key, bits in wanted.measurements.items():
            assert mine.measurements[key].dtype == bits.dtype
            np.testing.assert_array_equal(mine.measurements[key], bits)
        assert mine.final_state_vector.dtype == wanted.final_state_vector.dtype
        logs = [one._final_simulator_state.log_of_measurement_results for one in (mine, wanted)]
        assert logs[0] == logs[1]
        assert type(ours.compute_amplitudes(cirq.Circuit(X(Q[0])), [0])[0]) is complex


PAULI_WORDS = ["X", "-Y", "Z", "XY", "-ZX", "YZX"]


@pytest.mark.parametrize("word", PAULI_WORDS)
def test_the_final_measurement_of_a_pauli_word_is_cirqs(word):
    letters, sign = word.lstrip("-"), -1 if word[0] == "-" else 1
    gate = cirq.PauliMeasurementGate(cirq.DensePauliString(letters, coefficient=sign), key="p")
    before = cirq_random_circuit(Q[:3], 6, 0.9, random_state=3)
    circuit = before + gate.on(*Q[: len(letters)])
    circuit.append(X(Q[3]))
    vector = cirq.Simulator(**EXACT).simulate(before, qubit_order=Q).final_state_vector
    string: Any = cirq.PauliString({Q[k]: letter for k, letter in enumerate(letters)}, coefficient=sign)
    mean = string.expectation_from_state_vector(vector, {q: k for k, q in enumerate(Q)}).real
    ours = kg.cirq.Simulator(seed=1, **EXACT)
    drawn = ours.run(circuit, repetitions=4000).records["p"]
    assert drawn.shape == (4000, 1, 1) and drawn.dtype == np.int8
    assert 1 - 2 * drawn.mean() == pytest.approx(mean, abs=5 * np.sqrt((1 - mean**2) / 4000) + 1e-9)
    matrix = cirq.PauliSum.from_pauli_strings(string).matrix(Q)
    flipped = cirq.Simulator(**EXACT).simulate(before + X(Q[3]), qubit_order=Q).final_state_vector
    seen = set()
    for _ in range(6):
        result = ours.simulate(circuit, qubit_order=Q)
        bit = int(result.measurements["p"][0])
        seen.add(bit)
        projected = (flipped + (1 - 2 * bit) * matrix @ flipped) / 2
        np.testing.assert_allclose(
            result.final_state_vector, projected / np.linalg.norm(projected), atol=1e-9
        )
    value = ours.simulate_expectation_values(
        circuit, string, qubit_order=Q, permit_terminal_measurements=True
    )
    np.testing.assert_allclose(value, [mean], atol=1e-9)


def test_a_final_measurement_collapses_the_state_of_simulate():
    circuit = cirq.Circuit(cirq.H(Q[0]), cirq.CX(Q[0], Q[1]), cirq.ry(0.4)(Q[2]), cirq.measure(Q[1], key="m"))
    seen = set()
    for seed in range(8):
        result = kg.cirq.Simulator(seed=seed, **EXACT).simulate(circuit)
        bit = int(result.measurements["m"][0])
        seen.add(bit)
        rest = np.kron(np.eye(4)[3 * bit], [np.cos(0.2), np.sin(0.2)])
        np.testing.assert_allclose(result.final_state_vector, rest, atol=1e-12)
    assert seen == {0, 1}
    values = kg.cirq.Simulator(**EXACT).simulate_expectation_values(
        circuit, [X(Q[0]) * X(Q[1])], permit_terminal_measurements=True
    )
    np.testing.assert_allclose(values, [1.0], atol=1e-12)


def test_product_states_and_single_precision_are_cirqs():
    circuit = sweep_circuit()
    product = cirq.KET_PLUS(Q[0]) * cirq.KET_ONE(Q[1]) * cirq.KET_IMAG(Q[2])
    ours = kg.cirq.Simulator().simulate(circuit, SWEEPS[2], initial_state=product).final_state_vector
    theirs = cirq.Simulator().simulate(circuit, SWEEPS[2], initial_state=product).final_state_vector
    assert ours.dtype == theirs.dtype == np.complex64
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_what_the_simulator_cannot_do_is_refused():
    circuit, simulator = sweep_circuit(), kg.cirq.Simulator()
    measured = circuit + cirq.measure(Q[0])
    confused = circuit + cirq.measure(Q[0], confusion_map={(0,): np.array([[0.8, 0.2], [0.2, 0.8]])})
    cases = [
        (lambda: simulator.simulate(circuit, {"s": 1}), "reads the symbol 't'"),
        (lambda: simulator.simulate(circuit, {"s": 1j, "t": 0}), "must be a real number"),
        (
            lambda: simulator.simulate(circuit, SWEEPS[2], initial_state=8),
            "basis state from 0 to 7, but is 8",
        ),
        (lambda: simulator.simulate_expectation_values(measured, Z(Q[0]), SWEEPS[2]), "permit_terminal"),
        (lambda: simulator.simulate_expectation_values(circuit, Z(Q[3]), SWEEPS[2]), "acts on q.3."),
        (
            lambda: simulator.simulate_expectation_values(circuit, 1j * Z(Q[0]), SWEEPS[2]),
            "must be Hermitian",
        ),
        (lambda: simulator.run(circuit, SWEEPS[2]), "no measurements to sample"),
        (lambda: simulator.run(confused, SWEEPS[2]), "has a confusion map"),
        (lambda: simulator.compute_amplitudes(circuit, [[1]], SWEEPS[2]), "`bitstrings` must be a list"),
        (lambda: kg.cirq.Simulator(executor="sampled"), "`executor` must be exact"),
        (lambda: kg.cirq.Simulator(seed=-1), "`seed` must not be negative"),
    ]
    for action, match in cases:
        with pytest.raises(ValueError, match=match):
            action()
    with pytest.raises(TypeError, match="`initial_state` must be"):
        simulator.simulate(circuit, SWEEPS[2], initial_state="0")


@pytest.mark.filterwarnings("ignore:.*angles count modulo")
@pytest.mark.parametrize("size", [2.0**54, 1e26, 1e35, 1e100, 1e300])
def test_constants_of_any_size_are_refused_before_they_are_wrong(size):
    simulator = kg.cirq.Simulator(**EXACT)
    for gate in (
        cirq.rx(size),
        cirq.X**size,
        cirq.CZ**-size,
        cirq.XX ** (size * S),
        cirq.rx(S**2 * T * size),
    ):
        circuit = cirq.Circuit(gate(*Q[: gate.num_qubits()]))
        for action in (
            lambda c=circuit: simulator.simulate(c, {"s": 1.0, "t": 1.0}),
            lambda c=circuit: simulator.simulate_expectation_values(c, Z(Q[0]), {"s": 1.0, "t": 1.0}),
            lambda c=circuit: simulator.run(c + cirq.measure(Q[0]), {"s": 1.0, "t": 1.0}),
        ):
            with pytest.raises(kg.KetgradError, match="must lie within"):
                action()
    for sum_ in (np.inf * Z(Q[0]), np.nan * Z(Q[0])):
        with pytest.raises(kg.KetgradError, match="must be finite"):
            kg.cirq.from_pauli_sum(sum_, Q)


def test_code_that_takes_a_sampler_runs_unchanged():
    circuit = sweep_circuit()
    estimate = kg.cirq.Simulator(seed=1).sample_expectation_values(
        circuit, [Z(Q[0]), X(Q[1])], num_samples=20000, params=SWEEPS[2]
    )
    exact = cirq.Simulator().simulate_expectation_values(circuit, [Z(Q[0]), X(Q[1])], SWEEPS[2])
    np.testing.assert_allclose(estimate[0], np.real(exact), atol=0.05)


def test_an_absent_cirq_is_named_with_the_line_that_installs_it():
    code = (
        "import sys; sys.modules['cirq'] = None\n"
        "import ketgrad as kg\n"
        "try:\n    kg.cirq\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'ketgrad[cirq]'" in done.stdout


def test_a_symbol_that_cirq_does_not_list_has_its_value_in_the_simulator_and_is_refused_by_name_before():
    a, b = sympy.symbols("a b")
    first, second = cirq.LineQubit.range(2)
    gate = cirq.PhasedFSimGate(a, b, 0.1, 0.2, 0.3)
    circuit = cirq.Circuit(cirq.H(first), cirq.X(second) ** 0.3, gate(first, second))
    values = {"a": 0.3, "b": 0.4}
    found = kg.cirq.Simulator(dtype=np.complex128).simulate(circuit, values).final_state_vector
    wanted = cirq.Simulator(dtype=np.complex128).simulate(circuit, values).final_state_vector
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    with pytest.raises(kg.KetgradError, match=r"The symbol '[ab]' is not among the parameters"):
        kg.cirq.from_cirq(circuit)
