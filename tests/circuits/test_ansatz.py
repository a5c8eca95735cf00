"""Ansätze: equal to their counterparts in Qiskit and PennyLane, weight by weight."""

import networkx as nx
import numpy as np
import pennylane as qml
import pytest
from qiskit.circuit.library import n_local, real_amplitudes
from qiskit.quantum_info import Operator

import ketgrad as kg
from ketgrad.circuits import ansatz
from ketgrad.circuits.ansatz import ANSATZE
from ketgrad.foundation.errors import KetgradError

RNG = np.random.default_rng(0)


def unitary(circuit, weights):
    """The matrix of a circuit: its states from all basis states."""
    n = circuit.num_qubits
    columns = []
    for index in range(2**n):
        flips = kg.Circuit([kg.ry(np.pi, q) for q in range(n) if index >> (n - 1 - q) & 1], n)
        columns.append(kg.state(flips + circuit, executor="reference")(weights))
    return np.stack(columns, axis=1)


def same_up_to_phase(a, b):
    return abs(np.vdot(a, b)) == pytest.approx(len(a), abs=1e-10)


def qiskit_unitary(circuit, weights):
    order = sorted(circuit.parameters, key=lambda parameter: parameter.index)
    bound = circuit.assign_parameters(dict(zip(order, weights, strict=True)))
    return Operator(bound).reverse_qargs().data


NAMES = ["linear", "reverse_linear", "circular", "full", "pairwise"]


@pytest.mark.parametrize("num_qubits", [2, 3, 4])
@pytest.mark.parametrize("entanglement", NAMES)
def test_real_amplitudes_equals_qiskits(num_qubits, entanglement):
    ours = ansatz.real_amplitudes(num_qubits, 2, entanglement)
    theirs = real_amplitudes(num_qubits, entanglement, reps=2)
    weights = RNG.normal(size=theirs.num_parameters)
    assert ours.num_weights == theirs.num_parameters
    assert same_up_to_phase(unitary(ours, weights), qiskit_unitary(theirs, weights))


def test_the_default_entanglement_of_real_amplitudes_is_qiskits():
    weights = RNG.normal(size=12)
    assert same_up_to_phase(
        unitary(ansatz.real_amplitudes(3), weights), qiskit_unitary(real_amplitudes(3), weights)
    )


TWO_LOCAL = [
    (["ry"], "cx", "full", True),
    (["ry", "rz"], "cz", "linear", True),
    (["rx"], "crx", "circular", True),
    (["h", "rz"], "rzz", "full", False),
    (["rx", "ry"], "cx", [(0, 2), (2, 1)], True),
]


@pytest.mark.parametrize("rotations, entangler, entanglement, final", TWO_LOCAL)
def test_two_local_equals_qiskits_n_local(rotations, entangler, entanglement, final):
    ours = ansatz.two_local(3, rotations, entangler, entanglement, 2, final)
    theirs = n_local(3, rotations, entangler, entanglement, reps=2, skip_final_rotation_layer=not final)
    weights = RNG.normal(size=theirs.num_parameters)
    assert same_up_to_phase(unitary(ours, weights), qiskit_unitary(theirs, weights))


def pennylane_unitary(template, num_qubits):
    return qml.matrix(template, wire_order=range(num_qubits))


@pytest.mark.parametrize(
    "num_qubits, layers, ranges", [(1, 2, None), (2, 3, None), (3, 4, None), (4, 2, [3, 2])]
)
def test_strongly_entangling_equals_pennylanes(num_qubits, layers, ranges):
    weights = RNG.normal(size=(layers, num_qubits, 3))
    theirs = qml.StronglyEntanglingLayers(weights, wires=range(num_qubits), ranges=ranges)
    ours = unitary(ansatz.strongly_entangling(num_qubits, layers, ranges), weights.ravel())
    assert same_up_to_phase(ours, pennylane_unitary(theirs, num_qubits))


@pytest.mark.parametrize("num_qubits, layers", [(2, 2), (3, 2), (5, 1)])
def test_simplified_two_design_equals_pennylanes(num_qubits, layers):
    first, rest = RNG.normal(size=num_qubits), RNG.normal(size=(layers, num_qubits - 1, 2))
    theirs = qml.SimplifiedTwoDesign(first, rest, wires=range(num_qubits))
    ours = unitary(ansatz.simplified_two_design(num_qubits, layers), np.concatenate([first, rest.ravel()]))
    assert same_up_to_phase(ours, pennylane_unitary(theirs, num_qubits))


@pytest.mark.parametrize("num_qubits", [1, 2, 4])
def test_basic_entangler_equals_pennylanes(num_qubits):
    weights = RNG.normal(size=(2, num_qubits))
    theirs = qml.BasicEntanglerLayers(weights, wires=range(num_qubits), rotation=qml.RY)
    ours = unitary(ansatz.basic_entangler(num_qubits, 2, "ry"), weights.ravel())
    assert same_up_to_phase(ours, pennylane_unitary(theirs, num_qubits))


def test_hardware_efficient_is_a_two_local_circuit():
    assert ansatz.hardware_efficient(3, 2) == ansatz.two_local(3, ["ry", "rz"], "cz", "linear", 2)


@pytest.mark.parametrize("num_qubits, depth", [(1, 0), (2, 1), (4, 2), (5, 3), (8, 3)])
def test_a_tree_joins_pairs_until_the_root_is_left(num_qubits, depth):
    circuit = ansatz.tree(num_qubits)
    joins = [(op.controls[0], op.qubits[0]) for op in circuit.ops if op.controls]
    assert len(joins) == num_qubits - 1
    assert sorted(control for control, _ in joins) == list(range(1, num_qubits))  # each leaf is given up once
    assert circuit.num_weights == 2 * num_qubits - 1
    assert circuit.depth == 2 * depth + 1


@pytest.mark.parametrize("name", ANSATZE)
@pytest.mark.parametrize("num_qubits", [1, 2, 3, 4, 5])
def test_every_ansatz_uses_all_its_weights_and_qubits(name, num_qubits):
    circuit = ANSATZE[name](num_qubits)
    assert circuit.num_qubits == num_qubits
    assert circuit.num_inputs == 0
    assert {i for _, i in circuit.variables} == set(range(circuit.num_weights))
    assert {q for op in circuit.ops for q in op.qubits} == set(range(num_qubits))


@pytest.mark.parametrize("name", ANSATZE)
def test_every_ansatz_has_exact_gradients(name):
    circuit = ANSATZE[name](3)
    f = kg.expectation(circuit, kg.Pauli("Z0 + X1 Y2"), executor="reference")
    weights = RNG.normal(size=circuit.num_weights)
    _, gradient, _ = f.vjp(weights, None, [1.0])
    steps = 1e-6 * np.eye(len(weights))
    numeric = (f(weights + steps) - f(weights - steps))[:, 0] / 2e-6
    assert np.allclose(gradient, numeric, atol=1e-7)


@pytest.mark.parametrize("name", ANSATZE)
def test_every_ansatz_with_bound_weights_survives_openqasm(name):
    circuit = ANSATZE[name](3)
    circuit = circuit.bind(RNG.normal(size=circuit.num_weights))
    ours, read = (kg.state(c, executor="reference")() for c in (circuit, kg.from_qasm(circuit.to_qasm())))
    assert abs(np.vdot(ours, read)) == pytest.approx(1, abs=1e-12)


def test_qaoa_is_farhis_state_of_minus_the_cost():
    edges = [(0, 1, 1.0), (1, 2, 0.5), (0, 2, 2.0)]
    cost = kg.hamiltonians.maxcut(edges) + kg.Pauli("0.3 Z1 - 0.7 Z0 Z1 Z2")
    gamma, beta = 0.37, 0.81
    energies = np.diag(cost.matrix(3)).real
    mixer = np.eye(1)
    for _ in range(3):
        mixer = np.kron(mixer, [[np.cos(beta), -1j * np.sin(beta)], [-1j * np.sin(beta), np.cos(beta)]])
    expected = mixer @ (np.exp(-1j * gamma * -energies) / np.sqrt(8))  # C = -cost is made large
    state = kg.state(ansatz.qaoa_ansatz(cost), executor="reference")([gamma, beta])
    assert abs(np.vdot(state, expected)) == pytest.approx(1, abs=1e-12)


def test_qaoa_has_two_weights_per_layer_and_one_rotation_per_word():
    circuit = ansatz.qaoa_ansatz(kg.hamiltonians.maxcut(nx.petersen_graph()), depth=3)
    assert (circuit.num_qubits, circuit.num_weights, len(circuit)) == (10, 6, 10 + 3 * (15 + 10))


REFUSED = [
    (lambda: ansatz.two_local(0), "`num_qubits` must be at least 1"),
    (lambda: ansatz.two_local(2, layers=-1), "`layers` must be at least 0"),
    (lambda: ansatz.two_local(2, ["cx"]), "`rotations` must name a gate on 1 qubit, but is 'cx'"),
    (lambda: ansatz.two_local(2, entangler="ccx"), "`entangler` must name a gate on 2 qubits, but is 'ccx'"),
    (lambda: ansatz.two_local(2, entangler="cnot"), "`entangler` must name a gate on 2 qubits"),
    (lambda: ansatz.two_local(3, entanglement="lineal"), "Did you mean 'linear'"),
    (lambda: ansatz.strongly_entangling(3, 2, [1]), "`ranges` must hold one range per layer, 2 in all, but holds 1"),
    (lambda: ansatz.strongly_entangling(3, 1, [3]), "`ranges` must lie in 1 to 2"),
    (lambda: ansatz.tree(0), "`num_qubits`"),
    (lambda: ansatz.qaoa_ansatz(kg.Pauli("X0")), "`cost` must be a sum of words of Z"),
    (lambda: ansatz.qaoa_ansatz(kg.Pauli("1j Z0")), "`cost` must be Hermitian"),
    (lambda: ansatz.qaoa_ansatz([(0, 1)]), "`cost` must be a PauliSum"),
    (lambda: ansatz.qaoa_ansatz(kg.Pauli("Z3"), num_qubits=2), "`num_qubits` must be at least 4"),
    (lambda: ansatz.qaoa_ansatz(kg.Pauli("Z3"), depth=0), "`depth` must be at least 1"),
    (lambda: ansatz.ansatz_named("trees"), "There is no ansatz 'trees'. Did you mean 'tree'"),
]  # fmt: skip


@pytest.mark.parametrize("call, message", REFUSED)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(KetgradError, match=message):
        call()
