"""Every row of the gate table keeps what a row promises. A new row is tested the moment it is typed."""

import pickle

import numpy as np
import pytest
from scipy.linalg import expm

import ketgrad as kg
from ketgrad.circuits.gates import CONTROLLED, GATES, rotation, table
from ketgrad.circuits.matrices import embed
from ketgrad.executors import get
from ketgrad.programs.lowering import compile
from ketgrad.programs.questions import State

ANGLES = [0.3, -1.1, 2.7, 0.9]
ROWS = pytest.mark.parametrize("row", GATES.values(), ids=list(GATES))


def angles_of(row):
    return ANGLES[: row.num_angles]


def unitary_of(circuit):
    """The matrix of a circuit without parameters, column by column, through programs and the reference executor."""
    n, columns = circuit.num_qubits, []
    for k in range(2**n):
        flips = [kg.x(q) for q in range(n) if k >> (n - 1 - q) & 1]
        program = compile(kg.Circuit([*flips, *circuit.ops], n), State())
        columns.append(get("reference").run(program, np.zeros((1, 0)), np.zeros((1, 0)))[0])
    return np.array(columns).T


@ROWS
def test_every_row_is_unitary(row):
    matrix = row.matrix(*angles_of(row))
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(len(matrix)), atol=1e-14)


@ROWS
def test_the_inverse_undoes_the_gate_and_its_inverse_is_the_gate(row):
    op = kg.Op.build(row, range(row.num_qubits), angles_of(row))
    np.testing.assert_allclose(op.inverse().matrix() @ op.matrix(), np.eye(2**row.num_qubits), atol=1e-14)
    assert op.inverse().inverse() == op


@ROWS
def test_a_rotation_is_the_exponential_of_its_generator(row):
    if row.generator is not None:
        generator = row.generator.matrix(row.num_qubits)
        np.testing.assert_allclose(row.matrix(0.7), expm(-0.35j * generator), atol=1e-14)


@ROWS
def test_the_frequencies_are_those_of_an_expectation_value(row):
    """<O>(t) sampled over a period of 4 pi has no Fourier coefficient outside of the stated frequencies."""
    if row.generator is None:
        return
    for controlled in (False, True):
        rng = np.random.default_rng(3)
        size = row.num_qubits + controlled
        state = rng.normal(size=2**size) + 1j * rng.normal(size=2**size)
        observable = rng.normal(size=(2**size, 2**size))
        times = np.arange(64) * 4 * np.pi / 64
        controls = [size - 1] if controlled else []
        gates = (embed(row.matrix(t), range(row.num_qubits), size, controls) for t in times)
        values = [np.vdot(gate @ state, (observable + observable.T) @ gate @ state).real for gate in gates]
        spectrum = np.abs(np.fft.rfft(values)) / 64
        present = {k / 2 for k in range(1, 33) if spectrum[k] > 1e-9}
        assert present <= set(row.frequencies(controlled)), (row.name, present)


@ROWS
@pytest.mark.parametrize("num_controls", [0, 1, 2])
def test_the_lowering_equals_the_matrix(row, num_controls):
    size = row.num_qubits + num_controls
    places = list(np.random.default_rng(row.num_qubits).permutation(size))
    targets, controls = places[: row.num_qubits], places[row.num_qubits :]
    op = kg.Op.build(row, targets, angles_of(row), controls)
    if size == 0:
        return  # a bare phase on no qubits has no state to look at
    expected = embed(row.matrix(*angles_of(row)), targets, size, controls)
    np.testing.assert_allclose(unitary_of(kg.Circuit([op], size)), expected, atol=1e-14)


@ROWS
def test_a_row_is_documented_labelled_hashable_and_picklable(row):
    assert row.doc.endswith(".") and row.label
    for gate in (row, row.inverse()):
        assert pickle.loads(pickle.dumps(gate)) == gate
        assert hash(pickle.loads(pickle.dumps(gate))) == hash(gate)


@pytest.mark.parametrize("name", [*GATES, *CONTROLLED])
def test_every_row_has_a_builder_of_its_name(name):
    row_name, num_controls = CONTROLLED.get(name, (name, 0))
    row = GATES[row_name]
    qubits = list(range(num_controls + row.num_qubits))
    op = getattr(kg, name)(*angles_of(row), *qubits)
    assert op == kg.Op.build(row, qubits[num_controls:], angles_of(row), qubits[:num_controls])


def test_named_gates_equal_their_known_matrices():
    """Against matrices written down independently of the table."""
    s = np.sqrt(0.5)
    known = {
        "cx": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]],
        "iswap": [[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]],
        "ch": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, s, s], [0, 0, s, -s]],
    }
    for name, matrix in known.items():
        np.testing.assert_allclose(unitary_of(kg.Circuit([getattr(kg, name)(0, 1)])), matrix, atol=1e-15)


def test_the_gates_equal_those_of_an_independent_library():
    import pennylane as qml

    same = {
        "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "p": qml.PhaseShift, "rxx": qml.IsingXX, "ryy": qml.IsingYY,
        "rzz": qml.IsingZZ, "single_excitation": qml.SingleExcitation, "double_excitation": qml.DoubleExcitation,
        "rot": qml.Rot, "u3": qml.U3, "u2": qml.U2, "swap": qml.SWAP, "iswap": qml.ISWAP, "sqrt_iswap": qml.SISWAP,
        "sx": qml.SX, "s": qml.S, "t": qml.T, "h": qml.Hadamard, "ecr": qml.ECR,
    }  # fmt: skip
    for name, theirs in same.items():
        row = GATES[name]
        matrix = qml.matrix(theirs(*angles_of(row), wires=range(row.num_qubits)))
        np.testing.assert_allclose(row.matrix(*angles_of(row)), matrix, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("sign", "name"), [(1, "xx_plus_yy"), (-1, "xx_minus_yy")])
def test_the_exchange_of_two_states_turns_by_theta_with_the_phase_beta(sign, name):
    theta, beta = 0.6, 0.3
    x, y, z = (GATES[letter].matrix() for letter in "xyz")
    turn = expm(-0.25j * theta * (np.kron(x, x) + sign * np.kron(y, y)))
    phase = np.kron(expm(-0.5j * sign * beta * z), np.eye(2))
    np.testing.assert_allclose(GATES[name].matrix(theta, beta), phase.conj() @ turn @ phase, atol=1e-14)


def test_a_name_that_occurs_twice_is_refused():
    with pytest.raises(kg.KetgradError, match="twice"):
        table(GATES["x"], GATES["x"])


def test_a_generator_whose_words_do_not_commute_is_refused():
    with pytest.raises(kg.KetgradError, match="commuting"):
        rotation("bad", "X + Z", "Not a row.")


X, ROTATION = kg.GATES["x"].unitary, {"num_angles": 1, "generator": kg.Pauli("Z0")}


def one_part(*part):
    """The fields of a gate of one's own that is a sequence of this one part."""
    return {"num_angles": 1, "equals": lambda t: [part]}


@pytest.mark.parametrize(
    ("name", "num_qubits", "fields"),
    [
        ("", 1, {"unitary": X}), (None, 1, {"unitary": X}), ("a b", 1, {"unitary": X}), ("x; y", 1, {"unitary": X}),
        ("mine", -1, {"unitary": X}), ("mine", None, {"unitary": X}), ("mine", 2**63, {"unitary": X}),
        ("mine", True, {"unitary": X}), ("mine", 2, {"unitary": X}), ("mine", 1, {}), ("mine", 1, {"unitary": b""}),
        ("mine", 1, {"unitary": "text"}), ("mine", 1, {"unitary": np.eye(2)}), ("mine", 1, {"unitary": X, **ROTATION}),
        ("mine", 1, {"unitary": np.diag([1, 0.5]).astype(complex).tobytes()}),
        ("mine", 1, {"unitary": np.full((2, 2), np.nan + 0j).tobytes()}), ("mine", 1, {"unitary": X, "num_angles": 1}),
        ("mine", 2, {**ROTATION, "generator": kg.Pauli("X0 X1 + 0.5 Z0")}),
        ("mine", 1, {**ROTATION, "generator": kg.Pauli("X0 + Z0")}),
        ("mine", 1, {**ROTATION, "generator": kg.Pauli("1j Z0")}), ("mine", 1, {**ROTATION, "generator": "Z0"}),
        ("mine", 1, {**ROTATION, "generator": kg.Pauli("Z1")}), ("mine", 1, {**ROTATION, "num_angles": 2}),
        ("mine", 1, {**ROTATION, "num_angles": 0}), ("mine", 1, {**ROTATION, "num_angles": -1}),
        ("mine", 1, {**ROTATION, "angle_names": ("a", "b")}), ("mine", 1, {**ROTATION, "angle_names": "a"}),
        ("mine", 1, {**ROTATION, "angle_names": (1,)}), ("mine", 1, {**ROTATION, "qasm": "x q[0]; "}),
        ("mine", 1, {**ROTATION, "label": 3}), ("mine", 1, {**ROTATION, "doc": None}),
        ("mine", 1, {"amplitudes": X}), ("mine", 1, {"amplitudes": np.array([1, 1j]).tobytes()}),
        ("mine", 1, {"amplitudes": b""}), ("mine", 1, {"equals": 3}), ("mine", 1, {"equals": lambda: 3}),
        ("mine", 1, one_part("rx", (0.1,), (1,), ())), ("mine", 1, one_part("nothing", (), (0,), ())),
        ("mine", 1, one_part("rx", (), (0,), ())), ("mine", 2, one_part("rx", (0.1,), (0,), (0,))),
        ("mine", 1, one_part("rx", (0.1,))), ("mine", 1, {"num_angles": 2, "equals": lambda t: []}),
        ("mine", 1, {"amplitudes": np.array([1, 0j]).tobytes(), "normalize": 1}),
        ("rx", 1, ROTATION), ("x", 1, {"unitary": kg.GATES["y"].unitary}),
        ("x_dg", 1, {"unitary": kg.GATES["y"].unitary}),
        ("u3", 1, {"num_angles": 3, "equals": lambda a, b, c: []}), ("unitary", 1, ROTATION),
        ("pauli_rotation", 2, {**ROTATION, "generator": kg.Pauli("Z0 + Z1")}), ("prepare_state", 1, {"unitary": X}),
        ("iswap_dg", 2, {"unitary": kg.GATES["iswap"].unitary}),
    ],
)  # fmt: skip
def test_a_gate_whose_fields_do_not_fit_is_refused(name, num_qubits, fields):
    with pytest.raises(kg.KetgradError):
        kg.Gate(name, num_qubits, **fields)


MINE = {
    "generator": kg.Gate("mine", 2, 1, "", None, kg.Pauli("X0 X1 + 2 Y0 Y1"), angle_names=("t",)),
    "unitary": kg.Gate("mine", 1, unitary=np.diag([1, 1j]).tobytes(), label="M"),
    "equals": kg.Gate("mine", 2, 1, equals=lambda t: [("rx", (t,), (0,), ()), ("iswap_dg", (), (1, 0), ())]),
    "other": kg.Gate("mine", 2, 1, equals=lambda t: [("ry", (t,), (1,), ())]),
}


@pytest.mark.parametrize("gate", MINE.values(), ids=list(MINE))
def test_a_gate_of_ones_own_keeps_what_a_row_promises(gate):
    test_every_row_is_unitary(gate)
    test_the_inverse_undoes_the_gate_and_its_inverse_is_the_gate(gate)
    test_a_rotation_is_the_exponential_of_its_generator(gate)
    test_the_frequencies_are_those_of_an_expectation_value(gate)
    test_the_lowering_equals_the_matrix(gate, 1)
    assert gate.inverse() == gate.inverse() and hash(gate.inverse()) == hash(gate.inverse())
    if gate.equals is None:
        assert pickle.loads(pickle.dumps(gate.inverse())) == gate.inverse()
    else:
        with pytest.raises(kg.KetgradError, match="pickled"):
            pickle.dumps(gate)


def test_a_gate_may_take_over_the_definition_of_another():
    for row in GATES.values():
        taken = kg.Gate("mine", row.num_qubits, row.num_angles, definition=row.definition)
        np.testing.assert_array_equal(taken.matrix(*angles_of(row)), row.matrix(*angles_of(row)))
    hadamard = GATES["h"].definition
    for fields, said in (
        ({"definition": hadamard, "generator": kg.Pauli("X0")}, "but by unitary and generator"),
        ({"definition": "h"}, "`definition` of `mine` must be that of another gate"),
        ({"definition": hadamard, "num_angles": 1}, "must be 0"),
    ):
        with pytest.raises(kg.KetgradError, match=said):
            kg.Gate("mine", 1, **fields)


def test_gates_of_one_name_that_do_different_things_are_not_equal():
    assert MINE["equals"] != MINE["other"] and MINE["equals"].inverse() != MINE["other"].inverse()


@pytest.mark.parametrize(
    "angles", [(), (1.0, 2.0), ("a",), (None,), (np.nan,), (np.inf,), (kg.w[0],), (True,)]
)
def test_a_matrix_is_made_of_as_many_finite_numbers_as_there_are_angles(angles):
    for gate in (GATES["rx"], GATES["u3"], MINE["equals"]):
        with pytest.raises(kg.KetgradError):
            gate.matrix(*angles)


MATRICES = [
    [[0, 1], [1j, 0]],
    [[0, 1], [1, 0]],
    np.diag([1, -1]),
    np.diag([1, 1j, -1, -1j]),
    np.eye(4)[[0, 2, 1, 3]],
]


@pytest.mark.parametrize("matrix", MATRICES)
def test_the_inverse_of_a_unitary_is_the_unitary_of_its_adjoint(matrix):
    matrix = np.asarray(matrix)
    qubits = range(len(matrix) // 2)
    op, adjoint = kg.unitary(matrix, *qubits), kg.unitary(matrix.conj().T, *qubits)
    assert op.inverse() == adjoint and hash(op.inverse()) == hash(adjoint)
    assert op.inverse().gate.doc == adjoint.gate.doc and op.inverse().inverse() == op
    assert kg.unitary(-0.0 + matrix, *qubits) == op == kg.unitary(matrix + 0j, *qubits)
    assert kg.Gate("mine", len(qubits), unitary=op.gate.unitary).inverse().unitary == adjoint.gate.unitary


def test_equal_amplitudes_are_one_preparation():
    assert (
        kg.prepare_state([1.0, -0.0], 0)
        == kg.prepare_state([1, 0], 0)
        == kg.prepare_state([1, complex(0, -0.0)], 0)
    )
