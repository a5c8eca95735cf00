"""OpenQASM against Qiskit's circuit library: every text that it exports means the same matrix here, and goes back."""

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm2, qasm3
from qiskit.circuit import library as lib
from qiskit.quantum_info import Operator, SparsePauliOp, random_clifford, random_unitary

import ketgrad as kg
from ketgrad.circuits import openqasm as qasm

RNG = np.random.default_rng
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:qiskit")


def alone(gate, decompose=0):
    """A circuit of one gate; decomposed where its arguments are arrays, which no text can hold."""
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, range(gate.num_qubits))
    return circuit.decompose(reps=decompose) if decompose else circuit


def bound(circuit):
    """With numbers in place of its parameters."""
    return circuit.assign_parameters(RNG(circuit.num_parameters).uniform(-3, 3, circuit.num_parameters))


def marked(num_qubits):
    """An oracle that marks the state of all ones."""
    circuit = QuantumCircuit(num_qubits)
    circuit.append(lib.ZGate().control(num_qubits - 1, annotated=False), range(num_qubits))
    return circuit


RING = SparsePauliOp(["ZZI", "IZZ", "ZIZ", "IIX"], [1, 0.5, -0.3, 0.2])
LIBRARY = {
    "z feature map": lambda: bound(lib.z_feature_map(3)),
    "zz feature map": lambda: bound(lib.zz_feature_map(4, reps=1)),
    "pauli feature map": lambda: bound(lib.pauli_feature_map(3, paulis=["X", "ZY", "XYZ"])),
    "real amplitudes": lambda: bound(lib.real_amplitudes(4, reps=2)),
    "efficient su2": lambda: bound(lib.efficient_su2(3, su2_gates=["rx", "y", "sx"])),
    "excitation preserving": lambda: bound(lib.excitation_preserving(3, mode="fsim")),
    "n local": lambda: bound(lib.n_local(3, ["rx", "crz"], "rzx", "circular")),
    "pauli two design": lambda: bound(lib.pauli_two_design(3, seed=1)),
    "qaoa ansatz": lambda: bound(lib.qaoa_ansatz(RING, reps=2)),
    "evolved operators": lambda: bound(lib.evolved_operator_ansatz([RING, SparsePauliOp("YXY")])),
    "hamiltonian ansatz": lambda: bound(lib.hamiltonian_variational_ansatz(RING)),
    "quantum fourier transform": lambda: alone(lib.QFTGate(4)),
    "inverse fourier transform": lambda: alone(lib.QFTGate(3).inverse(), 1),
    "grover operator": lambda: lib.grover_operator(marked(3)),
    "quantum volume": lambda: lib.quantum_volume(4, seed=1),
    "phase estimation": lambda: lib.phase_estimation(3, alone(lib.PhaseGate(0.7))),
    "half adder": lambda: alone(lib.HalfAdderGate(2)),
    "full adder": lambda: alone(lib.FullAdderGate(1)),
    "modular adder": lambda: alone(lib.ModularAdderGate(2)),
    "multiplier": lambda: alone(lib.MultiplierGate(1)),
    "comparator": lambda: alone(lib.IntegerComparatorGate(2, 2)),
    "quadratic form": lambda: alone(lib.QuadraticFormGate(2, [[1, 2], [0, 1]], [1, 0], 1), 2),
    "and": lambda: alone(lib.AndGate(3, [1, -1, 1])),
    "or": lambda: alone(lib.OrGate(3)),
    "exclusive or": lambda: alone(lib.BitwiseXorGate(3, 5)),
    "inner product": lambda: alone(lib.InnerProductGate(2)),
    "fourier checking": lambda: lib.fourier_checking([1, -1, -1, -1], [1, 1, -1, -1]).decompose(reps=4),
    "hidden linear function": lambda: lib.hidden_linear_function([[1, 1, 0], [1, 0, 1], [0, 1, 1]]),
    "iqp": lambda: lib.iqp([[6, 5, 3], [5, 4, 5], [3, 5, 1]]),
    "graph state": lambda: alone(lib.GraphStateGate([[0, 1, 1], [1, 0, 0], [1, 0, 0]]), 1),
    "many controls": lambda: alone(lib.MCXGate(4, ctrl_state=5)),
    "controlled phase": lambda: alone(lib.MCPhaseGate(0.4, 3)),
    "many controls, many targets": lambda: alone(lib.MCMTGate(lib.RYGate(0.3), 2, 2)),
    "linear function": lambda: alone(lib.LinearFunction([[1, 1, 0], [0, 1, 0], [1, 0, 1]]), 1),
    "permutation": lambda: alone(lib.PermutationGate([2, 0, 3, 1])),
    "diagonal": lambda: alone(lib.DiagonalGate([1, 1j, -1, -1j]), 3),
    "multiplexed rotation": lambda: alone(lib.UCRYGate([0.1, 0.2, 0.3, 0.4]), 2),
    "linear rotations": lambda: alone(lib.LinearPauliRotationsGate(2, 0.3, 0.2)),
    "polynomial rotations": lambda: alone(lib.PolynomialPauliRotationsGate(2, [0.1, 0.2, 0.3])),
    "clifford": lambda: alone(random_clifford(3, seed=1).to_instruction(), 1),
    "unitary": lambda: alone(lib.UnitaryGate(random_unitary(4, seed=1)), 1),
    "commuting evolution": lambda: alone(lib.PauliEvolutionGate(RING[:3], time=0.7), 1),
    "state preparation": lambda: alone(lib.StatePreparation(np.arange(1, 9) / np.sqrt(204)), 2),
    "relative phases": lambda: alone(lib.RC3XGate()),
    "global rotation": lambda: alone(lib.GRX(3, 0.4).to_gate()),
    "echoed cross resonance": lambda: alone(lib.ECRGate()),
    "exchange": lambda: alone(lib.XXPlusYYGate(0.3, 0.7)),
    "pair exchange": lambda: alone(lib.XXMinusYYGate(0.3, 0.7)),
}  # fmt: skip


def unitary_of(circuit):
    """The matrix of a circuit of ketgrad in qiskit's order: the states of all basis states, in one batch."""
    n = circuit.num_qubits
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1  # bit q of qiskit's index is qubit q
    flips = [kg.rx(np.pi * kg.x[q], q) for q in range(n)]  # X up to a factor -i
    columns = kg.state(kg.Circuit([*flips, *circuit.ops], n))(None, bits.astype(float))
    ours = bits @ 2 ** np.arange(n - 1, -1, -1)  # our index of qiskit's basis states
    return (columns * 1j ** bits.sum(axis=1)[:, None]).T[ours]


def assert_equal_up_to_phase(ours, theirs):
    phase = np.vdot(ours, theirs)
    np.testing.assert_allclose(ours * phase / abs(phase), theirs, atol=1e-8)


@pytest.mark.parametrize("name", LIBRARY)
def test_both_exports_of_the_library_are_the_matrix_of_qiskit_and_go_back(name):
    circuit = LIBRARY[name]()
    matrix = Operator(circuit).data
    for write in (qasm2.dumps, qasm3.dumps):
        found = kg.Circuit.from_qasm(write(circuit))
        assert found.num_qubits == circuit.num_qubits
        ours = unitary_of(found)
        assert_equal_up_to_phase(ours, matrix)  # the exporter leaves out phases of definitions
        back = qasm3.loads(found.to_qasm())
        np.testing.assert_allclose(Operator(back).data, ours, atol=1e-8)


def random_definitions(seed, version):
    """Gates defined by gates, each with its qubits in another order, and the calls of the last."""
    rng = RNG(seed)
    library = "qelib1.inc" if version == 2 else "stdgates.inc"
    lines = [f"OPENQASM {version}.0;", f'include "{library}";']
    wires = [["a", "b", "c"], ["c", "q", "a"], ["z", "y", "x"]]
    for level, names in enumerate(wires):
        one, two, three = (names[k] for k in rng.permutation(3))
        inner = (
            f"g{level - 1}(t/2) {two}, {three}, {one}; g{level - 1}(-t) {three}, {one}, {two};"
            if level
            else ""
        )
        before = f"rx(t*{rng.uniform(-2, 2):.3f}) {one}; cx {two}, {three};"
        after = f"crz(t) {three}, {one}; ccx {one}, {three}, {two};"
        lines.append(f"gate g{level}(t) {', '.join(names)} {{ {before} {inner} {after} }}")
    lines.append("qreg q[2]; qreg r[2];" if version == 2 else "qubit[2] q; qubit[2] r;")
    operands = ["q[0]", "q[1]", "r[0]", "r[1]"]
    for level in (2, 1, 2):
        chosen = [operands[k] for k in rng.permutation(4)[:3]]
        lines.append(f"g{level}({rng.uniform(-3, 3):.3f}) {', '.join(chosen)};")
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(6))
def test_defined_gates_keep_the_order_of_their_wires(seed):
    for version, read in ((2, qasm2.loads), (3, qasm3.loads)):
        text = random_definitions(seed, version)
        np.testing.assert_allclose(
            unitary_of(kg.Circuit.from_qasm(text)), Operator(read(text)).data, atol=1e-9
        )


def test_a_circuit_is_read_by_its_class_with_the_limit_on_its_operations():
    text = 'OPENQASM 3.0; include "stdgates.inc"; qubit[3] q; h q;'
    assert kg.Circuit.from_qasm(text) == kg.from_qasm(text) == kg.Circuit([kg.h(0), kg.h(1), kg.h(2)])
    with pytest.raises(ValueError, match="more than 2 operations"):
        kg.Circuit.from_qasm(text, max_operations=2)


def test_S5_S9_a_file_is_read_alone_and_up_to_its_limit(tmp_path):
    large = tmp_path / "large.qasm"
    with large.open("wb") as stream:
        stream.truncate(2**30)  # a gigabyte without a line end; no byte of it is stored
    with pytest.raises(ValueError, match="a text may have 67,108,864 bytes at most"):
        qasm.read(large)
    (tmp_path / "secret").write_text("top secret")
    (tmp_path / "stdgates.inc").symlink_to(tmp_path / "secret")
    program = tmp_path / "program.qasm"
    program.write_text('OPENQASM 3.0; include "stdgates.inc"; qubit q; h q;')
    assert qasm.read(program) == kg.Circuit(
        [kg.h(0)]
    )  # the library is built in, whatever lies beside the program
    program.write_text('OPENQASM 3.0;\ninclude "program.qasm";')
    with pytest.raises(ValueError, match=r"program\.qasm:2:9: only"):
        qasm.read(program)
