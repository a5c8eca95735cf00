"""Every row of the gate table keeps what a row promises. A new row is tested the moment it is typed."""

import pickle

import numpy as np
import pytest
from scipy.linalg import expm

import ketgrad as kg
from ketgrad.executors import get
from ketgrad.gates import CONTROLLED, GATES, embed, rotation, table
from ketgrad.program import State, compile

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
    qml = pytest.importorskip("pennylane")
    same = {
        "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "p": qml.PhaseShift, "rxx": qml.IsingXX, "ryy": qml.IsingYY,
        "rzz": qml.IsingZZ, "single_excitation": qml.SingleExcitation, "double_excitation": qml.DoubleExcitation,
        "rot": qml.Rot, "u3": qml.U3, "u2": qml.U2, "swap": qml.SWAP, "iswap": qml.ISWAP, "sqrt_iswap": qml.SISWAP,
        "sx": qml.SX, "s": qml.S, "t": qml.T, "h": qml.Hadamard,
    }  # fmt: skip
    for name, theirs in same.items():
        row = GATES[name]
        matrix = qml.matrix(theirs(*angles_of(row), wires=range(row.num_qubits)))
        np.testing.assert_allclose(row.matrix(*angles_of(row)), matrix, atol=1e-12, err_msg=name)


def test_a_name_that_occurs_twice_is_refused():
    with pytest.raises(kg.KetgradError, match="twice"):
        table(GATES["x"], GATES["x"])


def test_a_generator_whose_words_do_not_commute_is_refused():
    with pytest.raises(kg.KetgradError, match="commuting"):
        rotation("bad", "X + Z", "Not a row.")
