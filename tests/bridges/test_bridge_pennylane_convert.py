"""Circuits and observables from PennyLane and to it; PennyLane's own device tests."""

import pathlib
import subprocess
import sys

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp

import ketgrad as kg
from ketgrad.circuits.gates import GATES
from ketgrad.circuits.matrices import embed
from ketgrad.circuits.op import Op

# PennyLane warns of what it will change in itself.
pytestmark = [pytest.mark.filterwarnings("ignore::pennylane.exceptions.PennyLaneDeprecationWarning")]

ROOT = pathlib.Path(__file__).parents[2]
RNG = np.random.default_rng(9)
LABELS = list("abcdefgh")


def tape_of(source, wires, *arguments):
    return qml.tape.make_qscript(kg.pennylane.to_pennylane(source, wires))(*arguments)


def every_op():
    """Each row of the table with 0, 1 and 2 controls, on qubits in no order, and gates that carry data."""
    for gate in GATES.values():
        for controls in range(3):
            size = gate.num_qubits + controls
            places = [int(q) for q in RNG.permutation(size + 1)[:size]]
            yield Op.build(gate, places[controls:], kg.w[0 : gate.num_angles], places[:controls])
    for word in ("XYZ", "IZY"):
        yield kg.pauli_rotation(kg.w[0], word, 2, 0, 1)
        yield kg.pauli_rotation(kg.w[0], word, 2, 0, 3).control(1)
    matrix = np.linalg.qr(RNG.normal(size=(4, 4)) + 1j * RNG.normal(size=(4, 4)))[0]
    yield kg.unitary(matrix, 2, 0)
    yield kg.unitary(matrix, 1, 3).control(2, 0)
    yield Op(GATES["iswap"].inverse(), (1, 0), (), (2,))
    yield Op(GATES["u2"].inverse(), (1,), tuple(kg.w[0:2]))


def test_every_gate_goes_to_pennylane_and_comes_back_on_its_own_wires():
    for op in every_op():
        circuit = kg.Circuit([op])
        size, weights = circuit.num_qubits, RNG.normal(size=circuit.num_weights)
        tape = tape_of(circuit, LABELS[:size], weights)
        expected = embed(op.matrix(weights), op.qubits, size, op.controls)
        found = qml.matrix(tape, wire_order=LABELS[:size]) if tape.operations else np.eye(2**size)
        np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=repr(op))
        back = kg.pennylane.from_pennylane(tape)
        places = [LABELS.index(wire) for wire in back.wires]
        again = np.eye(2**size, dtype=complex)
        for part in back.circuit.relabel(places, size).ops:
            again = embed(part.matrix(back.weights), part.qubits, size, part.controls) @ again
        np.testing.assert_allclose(again, expected, atol=1e-12, err_msg=repr(op))


def test_weights_and_inputs_are_arguments_of_any_library_and_batches_are_broadcast():
    import torch

    circuit = kg.encodings.angle(2) + kg.Circuit(
        [kg.rx(kg.arccos(kg.x[0]), 0), kg.ry(kg.w[0] * kg.x[1] + 0.3, 1)]
    )
    function = kg.expectation(
        circuit + kg.Circuit([kg.cx(0, 1)]), [kg.Pauli("Z0 Z1"), kg.Pauli("0.5 X1 - Y0")]
    )
    weights, inputs = np.array([0.7]), RNG.uniform(-0.9, 0.9, (4, 2))
    quantum = kg.pennylane.to_pennylane(function, ["q", 3])
    for device in (qml.device("default.qubit"), kg.pennylane.QubitDevice()):
        values = np.stack(qml.QNode(quantum, device)(weights, inputs), axis=-1)
        np.testing.assert_allclose(values, function(weights, inputs), atol=1e-12)
        w = torch.tensor(weights, requires_grad=True)
        sum(one.sum() for one in qml.QNode(quantum, device)(w, torch.tensor(inputs))).backward()
        np.testing.assert_allclose(w.grad, function.vjp(weights, inputs, np.ones((4, 2)))[1], atol=1e-9)


def test_every_question_becomes_its_measurement_and_every_measurement_its_question():
    circuit = kg.Circuit([kg.ry(kg.w[0], 0), kg.cx(0, 1), kg.rx(kg.w[1], 1)])
    functions = [
        kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("0.5 X0 Y1 - 2")]),
        kg.probabilities(circuit, [1]),
        kg.state(circuit),
        kg.variance(circuit, [kg.Pauli("Z0"), kg.Pauli("0.5 X0 Y1 - 2")]),
    ]
    for function in functions:
        tape = tape_of(function, ["a", "b"], [0.4, 1.1])
        back = kg.pennylane.from_pennylane(tape)
        np.testing.assert_allclose(back.function(threads=1)(back.weights), function([0.4, 1.1]), atol=1e-12)
    sampled = kg.pennylane.from_pennylane(tape_of(kg.samples(circuit, shots=5), None, [0.0, 0.0]))
    assert sampled.function(shots=7, seed=1)([0.0, 0.0]).tolist() == [[0, 0]] * 7
    none = kg.pennylane.from_pennylane(tape_of(circuit, None, [0.0, 0.0]))
    with pytest.raises(kg.KetgradError, match="one question"):
        none.function()


def test_prepared_states_go_both_ways():
    vector = RNG.normal(size=4) + 1j * RNG.normal(size=4)
    circuits = [
        kg.Circuit([kg.prepare_state(vector / np.linalg.norm(vector), 1, 0), kg.ry(kg.w[0], 0)]),
        kg.Circuit([kg.prepare_state([kg.x[0], 0.5 * kg.x[1], kg.x[2], 0], 0, 1, normalize=True)]),
    ]
    rows = RNG.normal(size=(3, 3))
    for circuit, arguments in zip(circuits, ([[0.3]], [None, rows]), strict=True):
        function = kg.state(circuit)
        back = kg.pennylane.from_pennylane(tape_of(function, None, *arguments))
        found = back.function()(
            back.weights if back.weights.size else None, back.inputs if back.inputs.size else None
        )
        np.testing.assert_allclose(found, function(*arguments), atol=1e-12)


def test_angles_pass_through_quantum_functions_and_templates():
    def layers(weights, inputs):
        qml.AngleEmbedding(inputs, wires=range(3), rotation="Y")
        qml.StronglyEntanglingLayers(weights, wires=range(3))
        qml.ctrl(qml.RX, control=0, control_values=[0])(2 * inputs[0] * weights[0, 0, 0], wires=2)
        return qml.expval(qml.Z(0)), qml.expval(qml.X(1) @ qml.Y(2))

    symbols = np.array(kg.w[0:18], dtype=object).reshape(2, 3, 3)
    weights, inputs = RNG.normal(size=18), RNG.normal(size=3)
    device = qml.device("default.qubit", wires=3)
    for source in (layers, qml.QNode(layers, device)):
        found = kg.pennylane.from_pennylane(source, symbols, kg.x[0:3])
        assert (found.circuit.num_weights, found.circuit.num_inputs, found.weights.size) == (18, 3, 0)
        expected = qml.QNode(layers, device)(weights.reshape(2, 3, 3), inputs)
        np.testing.assert_allclose(found.function()(weights, inputs), expected, atol=1e-12)


def test_numbers_take_the_role_that_the_rule_gives_them():
    def circuit(a, b, c):
        qml.RX(a, wires=0)
        qml.RY(b, wires=0)
        qml.RZ(c, wires=0)
        qml.RX(0.25, wires=0)

    marked = kg.pennylane.from_pennylane(
        circuit, pnp.array(0.1, requires_grad=True), 0.2, np.array([0.3, 0.4])
    )
    assert str(marked.circuit.ops) == "(rx(w[0], 0), ry(0.2, 0), rz(x[0], 0), rx(0.25, 0))"
    assert marked.weights.tolist() == [0.1] and marked.inputs.tolist() == [[0.3], [0.4]]
    plain = kg.pennylane.from_pennylane(circuit, 0.1, 0.2, 0.3)
    assert plain.weights.tolist() == [0.1, 0.2, 0.3, 0.25] and plain.inputs.size == 0
    tape = qml.tape.QuantumScript([qml.RX(0.1, "z"), qml.RY(0.2, "y")], trainable_params=[1])
    chosen = kg.pennylane.from_pennylane(tape)
    assert str(chosen.circuit.ops) == "(rx(0.1, 0), ry(w[0], 1))" and chosen.wires == ("z", "y")


def test_transforms_of_a_qnode_and_measurements_in_mid_circuit_are_kept():
    @qml.transforms.merge_rotations
    @qml.qnode(qml.device("default.qubit"))
    def merged(a):
        qml.RX(a, wires=0)
        qml.RX(a, wires=0)
        return qml.expval(qml.Z(0))

    assert len(kg.pennylane.from_pennylane(merged, 0.2).circuit) == 1

    def steered(a):
        qml.RX(a, wires=0)
        qml.cond(qml.measure(0), qml.X)(1)
        return qml.expval(qml.Z(1))

    found = kg.pennylane.from_pennylane(steered, kg.w[0])
    np.testing.assert_allclose(found.function()([0.6]), [np.cos(0.6)])


def test_observables_go_both_ways():
    wires = ["left", 4, "right"]
    for text in ("Z0", "0.5 X0 Y2 - 2 Z1", "1.5", "X0 - Y1 + Z0 Z1 Z2", "(1+2j) X1"):
        found = kg.pennylane.to_observable(kg.Pauli(text), wires)
        assert kg.pennylane.from_observable(found, wires) == kg.Pauli(text)
        expected = kg.Pauli(text).matrix(3)
        np.testing.assert_allclose(qml.matrix(found, wire_order=wires), expected, atol=1e-12)
    zero = kg.pennylane.to_observable(kg.Pauli("Z0") - kg.Pauli("Z0"))
    assert kg.pennylane.from_observable(zero).terms == ()
    matrix = RNG.normal(size=(8, 8)) + 1j * RNG.normal(size=(8, 8))
    hermitian = qml.Hermitian(matrix + matrix.conj().T, wires=[2, 0, 1])
    found = kg.pennylane.from_observable(hermitian).matrix(3)
    np.testing.assert_allclose(found, qml.matrix(hermitian, wire_order=range(3)), atol=1e-12)
    assert kg.pennylane.from_observable(qml.Projector([1, 0], wires=[0, 1])) == kg.Pauli("0.25") * (
        kg.Pauli("1 - Z0") * kg.Pauli("1 + Z1")
    )


def test_refusals_of_the_conversion_name_what_was_given():
    cases = [
        (lambda: kg.pennylane.from_pennylane(3), "QNode, a quantum function or a tape, but is int"),
        (lambda: kg.pennylane.to_pennylane("no"), "must be a kg.Circuit, but is str"),
        (lambda: kg.pennylane.to_pennylane(kg.Circuit([kg.cx(0, 1)]), ["a"]), "2 different wires"),
        (lambda: tape_of(kg.Circuit([kg.rx(kg.w[1], 0)]), None, [0.1]), "weights.*must have shape"),
        (lambda: tape_of(kg.Circuit([kg.rx(kg.x[0], 0)]), None), "`inputs` must have shape .* is None"),
        (lambda: kg.pennylane.from_observable("Z0"), "PennyLane operator, but is 'Z0'"),
        (lambda: kg.pennylane.from_observable(qml.Z("b"), ["a"]), "lacks"),
        (lambda: kg.pennylane.to_observable(kg.Pauli("Z2"), ["a"]), "must name 3 wires"),
        (lambda: kg.pennylane.to_observable("Z0"), "must be a Pauli sum"),
        (lambda: kg.pennylane.from_observable(qml.Hermitian(np.eye(64), wires=range(6))), "no Pauli sum"),
    ]
    for make, message in cases:
        with pytest.raises(kg.KetgradError, match=message):
            make()


def test_pennylanes_own_device_tests_pass():
    """A part of the suite; tools/pennylane_suite.py runs all of it."""
    files = [
        "test_gates.py",
        "test_measurements.py",
        "test_wires.py",
        "test_tracker.py",
        "test_return_system.py",
    ]
    command = [sys.executable, str(ROOT / "tools" / "pennylane_suite.py"), "--device", "ketgrad.qubit"]
    found = subprocess.run(
        [*command, "--shots", "None", "--only", *files],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    passed = int(found.stdout.strip().rsplit("\n", 1)[-1].split("|")[3])
    assert passed >= 200
