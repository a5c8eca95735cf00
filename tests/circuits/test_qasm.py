"""OpenQASM: what is read means what Qiskit says it means, what is written comes back to the last bit."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import qasm2, qasm3
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator, Statevector
from scipy.stats import unitary_group

import ketgrad as kg
from ketgrad.circuits import decompositions
from ketgrad.circuits import openqasm as qasm
from ketgrad.circuits.gate import known_gate
from ketgrad.circuits.gate_kinds import Fixed
from ketgrad.circuits.gates import GATES
from ketgrad.circuits.matrices import embed
from ketgrad.circuits.op import Op
from ketgrad.circuits.qasm.gates import LIBRARIES

V2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
V3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
w, x = kg.w, kg.x
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:qiskit")


def unitary_of(circuit):
    """The matrix of a circuit without variables, qubit 0 the most significant bit, op by op."""
    product = np.eye(2**circuit.num_qubits, dtype=complex)
    for op in circuit.ops:
        product = embed(op.matrix(), op.qubits, circuit.num_qubits, op.controls) @ product
    return product


def qiskit_unitary(circuit):
    return Operator(circuit.reverse_bits()).data


def state_of(circuit):
    return kg.state(circuit, executor="reference")()


# -- reading, against Qiskit

PROGRAMS_2 = {
    "bell": "qreg q[2]; h q[0]; cx q[0],q[1];",
    "broadcast": "qreg a[3]; qreg b[3]; h a; cx a,b; ry(0.3) b; cz a[1],b; cx b,a[0];".replace(
        "cx b,a[0];", ""
    ),
    "one to many": "qreg a[1]; qreg b[3]; h a[0]; cx a[0],b; cu1(pi/8) b[2],a[0];",
    "built-in gates": "qreg q[2]; U(0.1,0.2,0.3) q[0]; CX q[0],q[1]; u3(pi/3,-pi/5,1e-3) q[1]; u2(0.4,0.5) q[0];",
    "arithmetic": "qreg q[1]; rx(-2^2+3*(1-sin(pi/7))) q[0]; rz(2^3^2/100) q[0]; "
    "ry(ln(2)*sqrt(3)-cos(1)/tan(2)) q[0];",
    "more arithmetic": "qreg q[1]; rx(--1) q[0]; ry(exp(-1)+.5e1) q[0]; rx(1/3) q[0]; ry(8/4/2-3-2) q[0];",
    "definitions": "gate a(x,y) p,q { rx(x*y) p; cx q,p; barrier p,q; u1(-y/2) q; "
    "} gate b(z) p,q,r { a(z,2) r,p; a(-z,z) q,r; } "
    "qreg q[3]; h q; b(0.7) q[2],q[0],q[1]; b(pi) q[0],q[1],q[2];",
    "barriers and final measurements": "qreg q[2]; creg c[2]; h q; barrier q; barrier q[0],q[1]; "
    "cx q[1],q[0]; measure q -> c;",
    "comments": "// a comment\nqreg q[1]; h q[0]; // another\n x q[0];",
    "w state": "gate cH a,b { h b; sdg b; cx a,b; h b; t b; cx a,b; t b; h b; s b; x b; s a; } qreg q[3]; "
    "u3(1.91063,0,0) q[0]; cH q[0],q[1]; ccx q[0],q[1],q[2]; x q[0]; x q[1]; cx q[0],q[1];",
    "phase estimation": "qreg q[5]; h q[0]; h q[1]; h q[2]; h q[3]; x q[4]; cu1(3*pi/8) q[0],q[4]; "
    "cu1(3*pi/4) q[1],q[4]; "
    "cu1(3*pi/2) q[2],q[4]; cu1(3*pi) q[3],q[4]; h q[0]; cu1(-pi/2) q[0],q[1]; h q[1]; cu1(-pi/4) q[0],q[2]; h q[2];",
    "own gates under names that qelib1 got later": "gate cu c,t { u1(-3*pi/8) t; cx c,t; u1(3*pi/8) t; cx c,t; } "
    "gate swap a,b { cx a,b; cx b,a; cx a,b; } qreg q[3]; h q; cu q[0],q[2]; swap q[1],q[2]; cu1(-pi/2) q[0],q[1];",
    "deutsch-jozsa oracle": "gate oracle a,b,c,d { cx a,d; x b; cx b,d; x b; ccx c,a,d; } qreg q[4]; "
    "u2(0,0) q[0]; u2(0,0) q[1]; "
    "h q[2]; u2(-pi,-pi) q[3]; oracle q[2],q[0],q[1],q[3]; h q;",
}


@pytest.mark.parametrize("name", PROGRAMS_2)
def test_programs_of_version_2_prepare_the_state_that_qiskit_prepares(name):
    text = V2 + PROGRAMS_2[name]
    theirs = Statevector(qasm2.loads(text).remove_final_measurements(inplace=False).reverse_bits())
    np.testing.assert_allclose(state_of(kg.from_qasm(text)), theirs.data, atol=1e-10)


PROGRAMS_3 = {
    "bell": "qubit[2] q; h q[0]; cx q[0], q[1];",
    "single qubit and bit": "qubit a; bit c; h a; c = measure a;",
    "old registers": "qreg q[2]; creg c[2]; h q; measure q -> c;",
    "control": "qubit[3] q; h q; ctrl @ rx(0.3) q[2], q[0]; ctrl(2) @ y q[0], q[1], q[2];",
    "negative control": "qubit[3] q; h q; negctrl @ rx(0.3) q[2], q[0]; negctrl @ ctrl @ x q[0], q[1], q[2];",
    "inverse and power": "qubit[2] q; h q; inv @ s q[0]; pow(3) @ t q[1]; pow(-2) @ sx q[0]; "
    "inv @ pow(2) @ rz(0.1) q[1];",
    "phases": "qubit[2] q; h q; gphase(0.3); ctrl @ gphase(0.2) q[1]; ctrl @ p(pi/3) q[0], q[1]; "
    "ctrl @ U(0.1, 0.2, 0.3) q[0], q[1];",
    "constants": "qubit[1] q; rx(π/2 + tau/5) q[0]; ry(euler) q[0]; rz(-τ/3) q[0];",
    "definitions": "gate g(b, c) p, r { rx(b) p; ctrl @ ry(c/2) r, p; gphase(b); } qubit[2] q; h q; "
    "g(0.1, 0.2) q[1], q[0]; "
    "ctrl @ gphase(0.4) q[0]; inv @ g(0.3, 0.4) q[0], q[1];",
    "controlled definition": "gate g(b) p { h p; rz(b) p; gphase(b/3); } qubit[2] q; h q; ctrl @ g(0.7) q[1], q[0];",
    "four parameter gate": "qubit[2] q; h q; cu(0.1, 0.2, 0.3, 0.4) q[1], q[0]; u3(1, 2, 3) q[0]; "
    "u2(1, 2) q[1]; cphase(0.3) q[0], q[1];",
    "all of version 3.1": "qubit[3] q; id q[0]; y q[1]; ch q[0], q[1]; cswap q[2], q[0], q[1]; "
    "swap q[0], q[2]; tdg q[0]; sdg q[1];",
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS_3)
def test_programs_of_version_3_prepare_the_state_that_qiskit_prepares(name):
    text = V3 + PROGRAMS_3[name]
    theirs = Statevector(qasm3.loads(text).remove_final_measurements(inplace=False).reverse_bits())
    np.testing.assert_allclose(state_of(kg.from_qasm(text)), theirs.data, atol=1e-10)


@pytest.mark.parametrize("name", sorted([*LIBRARIES["qelib1.inc"], "rccx", "rc3x", "u0"]))
def test_every_gate_of_qelib1_is_the_matrix_that_qiskit_has(name):
    angles, places = {"u0": (1, 1), "rccx": (0, 3), "rc3x": (0, 4)}.get(name) or _arity(name)
    numbers = f"({', '.join(str(0.3 + 0.2 * k) for k in range(angles))})" if angles else ""
    numbers = "(1)" if name == "u0" else numbers
    text = f"{V2}qreg q[{places}]; {name}{numbers} {', '.join(f'q[{k}]' for k in range(places))};"
    theirs = qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    np.testing.assert_allclose(unitary_of(kg.from_qasm(text)), qiskit_unitary(theirs), atol=1e-10)


def _arity(name):
    row, controls = LIBRARIES["qelib1.inc"][name]
    return GATES[row].num_angles, GATES[row].num_qubits + controls


@pytest.mark.parametrize("seed", range(6))
def test_random_circuits_written_by_qiskit_are_read_back_as_the_same_state(seed):
    theirs = random_circuit(4, 6, max_operands=3, seed=seed)
    wanted = Statevector(theirs.reverse_bits())
    for text in (qasm2.dumps(theirs), qasm3.dumps(theirs)):
        state = state_of(kg.from_qasm(text))
        assert abs(np.vdot(state, wanted.data)) == pytest.approx(1.0, abs=1e-10)


# -- writing, against Qiskit and against our own reader


def random_op(row, rng, num_qubits, num_controls):
    places = [int(q) for q in rng.permutation(num_qubits)[: row.num_qubits + num_controls]]
    return kg.Op.build(
        row, places[: row.num_qubits], rng.normal(size=row.num_angles), places[row.num_qubits :]
    )


@pytest.mark.parametrize("name", GATES)
def test_every_gate_is_written_as_qiskit_understands_it_and_read_back_as_itself(name):
    row, rng = GATES[name], np.random.default_rng(len(name))
    size = row.num_qubits + 2
    ops = [random_op(row, rng, size, controls) for controls in (0, 1, 2)]
    circuit = kg.Circuit([op for one in ops for op in (one, one.inverse())][:-1], size)
    text = circuit.to_qasm()
    np.testing.assert_allclose(qiskit_unitary(qasm3.loads(text)), unitary_of(circuit), atol=1e-10)
    again = kg.from_qasm(text)
    np.testing.assert_allclose(unitary_of(again), unitary_of(circuit), atol=1e-12)
    if name not in ("u2", "u3"):  # their controlled forms are written as u, whose phase all texts agree on
        assert again == circuit


@pytest.mark.parametrize("seed", range(5))
def test_random_circuits_with_variables_come_back_equal(seed):
    rng = np.random.default_rng(seed)
    angles = [
        w[0] * 0.1,
        x[1] / 3,
        w[2] * x[0] - math.pi,
        kg.arccos(x[2]) * 2 + 1e-17,
        -w[1] - 1,
        x[1] * x[1],
        w[1] * w[3],
    ]
    names = [name for name in GATES if name not in ("u2", "u3")]
    ops = []
    for _ in range(40):
        row = GATES[names[rng.integers(len(names))]]
        places = [int(q) for q in rng.permutation(6)[: row.num_qubits + rng.integers(3)]]
        turns = [angles[rng.integers(len(angles))] + rng.normal() for _ in range(row.num_angles)]
        op = kg.Op.build(row, places[: row.num_qubits], turns, places[row.num_qubits :])
        ops.append(op.inverse() if rng.random() < 0.5 else op)
    ops.append(kg.pauli_rotation(w[0], "XIZY", 3, 0, 5, 1).control(2))
    circuit = kg.Circuit(ops, 6)
    assert kg.from_qasm(circuit.to_qasm()) == circuit


def test_weights_and_inputs_are_parameters_that_qiskit_can_bind():
    circuit = kg.Circuit([kg.rx(2 * w[0] + 0.5, 0), kg.rzz(x[1] - w[1], 0, 1), kg.ry(w[0], 1)])
    theirs = qasm3.loads(circuit.to_qasm())
    assert {parameter.name for parameter in theirs.parameters} == {"w_0", "w_1", "x_1"}
    bound = theirs.assign_parameters({"w_0": 0.3, "w_1": 0.7, "x_1": 1.1})
    ours = kg.state(circuit, executor="reference")([0.3, 0.7], [0.0, 1.1])
    np.testing.assert_allclose(ours, Statevector(bound.reverse_bits()).data, atol=1e-10)


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=300)
def test_angles_come_back_to_the_last_bit(angle):
    circuit = kg.Circuit([kg.rx(angle, 0), kg.ry(angle * w[0] if abs(angle) > 0 else w[0], 0)])
    assert kg.from_qasm(circuit.to_qasm()) == circuit


@pytest.mark.parametrize("num_qubits", [1, 2, 3])
def test_matrices_and_states_are_decomposed_exactly_and_equal_ones_share_a_definition(num_qubits):
    rng = np.random.default_rng(num_qubits)
    matrix = unitary_group.rvs(2**num_qubits, random_state=rng)
    vector = matrix[:, 0].copy()
    vector[-1] = 0.0
    places = range(num_qubits)
    first = kg.prepare_state(vector, *places, normalize=True)
    circuit = kg.Circuit(
        [first, kg.unitary(matrix, *places), kg.unitary(matrix, *places).control(num_qubits)]
    )
    text = circuit.to_qasm()
    assert len(re.findall("^gate unitary_", text, re.MULTILINE)) == 1
    wanted = state_of(circuit)
    np.testing.assert_allclose(state_of(kg.from_qasm(text)), wanted, atol=1e-12)
    np.testing.assert_allclose(Statevector(qasm3.loads(text).reverse_bits()).data, wanted, atol=1e-10)


SPECIAL_MATRICES = {
    "identity": np.eye(8),
    "swap": np.eye(4)[[0, 2, 1, 3]],
    "reversal": np.eye(8)[::-1],
    "diagonal": np.diag(np.exp(1j * np.arange(8))),
    "two Hadamards": np.kron(GATES["h"].matrix(), GATES["h"].matrix()),
    "minus one": -np.eye(2),
    "Fourier": np.exp(2j * np.pi * np.outer(range(8), range(8)) / 8) / np.sqrt(8),
    "nearly the identity": np.diag(np.exp(1e-9j * np.arange(4))),
}


@pytest.mark.parametrize("name", SPECIAL_MATRICES)
def test_matrices_with_equal_eigenvalues_are_decomposed_too(name):
    matrix = SPECIAL_MATRICES[name]
    size = len(matrix).bit_length() - 1
    circuit = kg.Circuit([kg.unitary(matrix, *range(size))], size)
    np.testing.assert_allclose(unitary_of(kg.from_qasm(circuit.to_qasm())), matrix, atol=1e-12)


def test_a_decomposition_has_as_many_gates_as_announced():
    matrix = unitary_group.rvs(16, random_state=1)
    assert len(decompositions.of_unitary(matrix)) < 3 * 4**4


def mine(name, generator=None, equals=None):
    """A gate of one's own: two words, or a sequence that holds an inverse."""
    return kg.Gate(name, 2, 1, generator=generator, equals=equals)


def test_gates_of_ones_own_come_back_even_where_they_share_a_name_and_a_first_word():
    gates = [
        mine("mine", kg.Pauli("X0 X1 + 2 Y0 Y1")),
        mine("mine", kg.Pauli("X0 X1 + 3 Y0 Y1")),
        mine("steps", equals=lambda t: [("rx", (t,), (0,), ()), ("iswap_dg", (), (1, 0), ()),
                                        ("rzz", (2 * t,), (0, 1), ())]),
    ]  # fmt: skip
    ops = [Op.build(gate, [1, 0], [0.3 + w[k]]) for k, gate in enumerate(gates)]
    circuit = kg.Circuit([kg.ry(0.4, 1), *ops, ops[2].inverse().control(2), ops[0].control(2)])
    back = kg.from_qasm(circuit.to_qasm())
    weights = [0.7, -0.2, 1.1]
    expected = kg.state(circuit, executor="reference")(weights)
    np.testing.assert_allclose(kg.state(back, executor="reference")(weights), expected, atol=1e-14)


CANNOT_BE_WRITTEN = {
    "amplitudes from inputs": (
        kg.prepare_state([x[0], x[1]], 0, normalize=True),
        "op 0, prepare_state.*amplitudes are",
    ),
    "a matrix that is not unitary": (
        Op.build(known_gate("unitary", Fixed(np.diag([1.0, 2 + 0j]).tobytes()), 1), [0]),
        "not unitary.*by up to 3",
    ),
    "a matrix on nine qubits": (kg.unitary(np.eye(512), *range(9)), "9 qubits.*limit is 8"),
}


@pytest.mark.parametrize("what", CANNOT_BE_WRITTEN)
def test_what_openqasm_cannot_express_is_refused_with_the_name_of_the_op(what):
    op, message = CANNOT_BE_WRITTEN[what]
    with pytest.raises(ValueError, match=message):
        kg.Circuit([op]).to_qasm()


def test_the_text_is_readable():
    circuit = kg.Circuit(
        [kg.h(0), kg.cx(0, 1), kg.rzz(w[0] * x[1] - np.pi / 2, 0, 2), kg.iswap(1, 2).inverse(), kg.z(0)]
    )
    assert circuit.to_qasm().splitlines() == [
        "OPENQASM 3.0;",
        'include "stdgates.inc";',
        "input float[64] w_0;",
        "input float[64] x_1;",
        "gate rzz(theta) a, b { cx a, b; rz(theta) b; cx a, b; }",
        "gate xy(theta) a, b {",
        "  h a; h b; cx a, b; rz(theta) b; cx a, b; h b; h a; sdg a; h a; sdg b; h b; cx a, b; rz(theta) b;",
        "  cx a, b; h b; s b; h a; s a;",
        "}",
        "gate iswap a, b { xy(-pi/2) a, b; }",
        "qubit[3] q;",
        "h q[0];",
        "cx q[0], q[1];",
        "rzz(-pi/2 + w_0*x_1) q[0], q[2];",
        "inv @ iswap q[1], q[2];",
        "z q[0];",
    ]


# -- the reader on its own

VALUES_3 = {
    "1 + 2*3": 7.0, "-2**2": -4.0, "2**-1": 0.5, "2**3**2": 512.0, "(1 + 2)*3": 9.0, "8/4/2": 1.0, "7.0/2": 3.5,
    "sin(pi/6)": math.sin(math.pi / 6), "arccos(0.5)": math.acos(0.5), "mod(7, 4)": 3, "pow(2, 3)": 8, "1_000": 1000,
    "0x1F + 0b101 + 0o17": 51, "1e-3": 1e-3, ".5": 0.5, "5.": 5.0, "+3": 3, "-(-(2))": 2, "log(exp(2.0))": 2.0,
    "floor(2.7) + ceiling(2.1)": 5, "n*pi": 3 * math.pi, "arctan(1) - arcsin(1)": math.atan(1) - math.asin(1),
}  # fmt: skip


@pytest.mark.parametrize("text", VALUES_3)
def test_expressions_have_the_value_that_arithmetic_gives_them(text):
    circuit = kg.from_qasm(f"{V3} const int n = 3; qubit q; rx({text}) q;")
    assert circuit.ops[0].angles[0].constant == pytest.approx(VALUES_3[text], rel=1e-15)


def test_parameters_become_weights_and_inputs_by_name_and_else_the_next_weight():
    text = V3 + "input float[64] x_1; input angle[32] theta; input float w_5; input float[64] phi; qubit q; "
    reading = qasm.parse(text + "rx(theta/2) q; ry(x_1*w_5 + 1) q; rz(-phi) q; rx(arccos(x_1)) q;")
    assert reading.parameters == {"x_1": x[1], "theta": w[0], "w_5": w[5], "phi": w[6]}
    angles = [op.angles[0] for op in reading.circuit.ops]
    assert angles == [w[0] / 2, x[1] * w[5] + 1, -w[6], kg.arccos(x[1])]


def test_qubits_are_numbered_in_the_order_of_their_declaration():
    reading = qasm.parse(V3 + "qubit[2] b; qubit a; x a; x b[-1]; x b[{0, 1}]; x b[0:1];")
    assert reading.qubits == ("b[0]", "b[1]", "a")
    assert [op.qubits for op in reading.circuit.ops] == [(2,), (1,), (0,), (1,), (0,), (1,)]


def test_measurements_and_resets_of_fresh_qubits_are_left_out_and_noted():
    reading = qasm.parse(V3 + "qubit[2] q; bit[2] c;\nreset q;\nh q;\nc[0] = measure q[1];\nmeasure q[0];")
    assert [op.gate.name for op in reading.circuit.ops] == ["h", "h"]
    assert [note.split(":")[0] for note in reading.notes] == ["line 4", "line 6", "line 7"]


def test_modifiers_reach_into_definitions():
    text = (
        V3
        + "gate g(t) a, b { rx(t) a; cx a, b; gphase(t); } qubit[3] q; negctrl @ pow(-2) @ g(0.3) q[2], q[0], q[1];"
    )
    g = unitary_of(kg.Circuit([kg.rx(0.3, 0), kg.cx(0, 1), kg.gphase(0.3)]))
    flip = kg.x(2).matrix()
    wanted = embed(flip, [2], 3) @ embed(np.linalg.inv(g @ g), [0, 1], 3, [2]) @ embed(flip, [2], 3)
    np.testing.assert_allclose(unitary_of(kg.from_qasm(text)), wanted, atol=1e-12)


def test_a_definition_under_a_known_name_counts_only_if_it_is_ours():
    other = "gate rzz(theta) a, b { cx a, b; rz(2*theta) b; cx a, b; }"
    assert [op.gate.name for op in kg.from_qasm(f"{V3}{other} qubit[2] q; rzz(1) q[0], q[1];").ops] == [
        "x",
        "rz",
        "x",
    ]
    fake_cx = "OPENQASM 3.0; gate cx a, b { } gate rz(t) a { } gate rzz(theta) a, b { cx a, b; rz(theta) b; cx a, b; }"
    assert kg.from_qasm(f"{fake_cx} qubit[2] q; rzz(1) q[0], q[1];").ops == ()


def test_empty_definitions_and_empty_statements_are_allowed():
    assert kg.from_qasm("OPENQASM 2.0; gate nothing(a) q { } qreg q[1]; nothing(1) q[0]; ; ").ops == ()


def test_a_file_is_read_and_its_name_stands_in_errors(tmp_path):
    good, bad = tmp_path / "good.qasm", tmp_path / "bad.qasm"
    good.write_text(V2 + "qreg q[1]; h q[0];")
    bad.write_text(V2 + "qreg q[1];\nhh q[0];")
    assert kg.qasm.read(good) == kg.Circuit([kg.h(0)])
    with pytest.raises(ValueError, match=r"^bad\.qasm:4:1: the gate 'hh' is not declared\. Did you mean 'h'"):
        kg.qasm.read(bad)
