"""Qiskit: circuits and observables go over and come back, parameters by name, qubits by number."""

import subprocess
import sys

import numpy as np
import pytest
from programs import random_circuit, random_observable
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import (
    AnnotatedOperation,
    ControlModifier,
    Gate,
    InverseModifier,
    Parameter,
    ParameterVector,
    PowerModifier,
)
from qiskit.circuit import library as lib
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.circuit.random import random_circuit as qiskit_random_circuit
from qiskit.quantum_info import (
    Operator,
    Pauli,
    SparseObservable,
    SparsePauliOp,
    Statevector,
    random_clifford,
    random_hermitian,
    random_unitary,
)
from qiskit.synthesis import QDrift, SuzukiTrotter
from scipy.linalg import expm

import ketgrad as kg

RNG = np.random.default_rng
A, B, C = Parameter("a"), Parameter("b"), Parameter("c")


def reversed_index(n):
    """Our index of a basis state -> qiskit's: the bits read the other way round."""
    return np.array([int(format(k, f"0{n}b")[::-1], 2) for k in range(2**n)]) if n else np.zeros(1, int)


def unitary_of(circuit):
    """The matrix of a circuit without variables, in qiskit's order of rows and columns."""
    n = circuit.num_qubits
    columns = []
    for k in range(2**n):
        flips = [kg.x(q) for q in range(n) if k >> q & 1]
        columns.append(kg.state(kg.Circuit([*flips, *circuit.ops], n))()[reversed_index(n)])
    return np.array(columns).T


def assert_equal_unitaries(circuit):
    np.testing.assert_allclose(
        unitary_of(kg.qiskit.from_qiskit(circuit).circuit), Operator(circuit).data, atol=1e-9
    )


def asymmetric(num_qubits, seed):
    """A circuit that prepares a state that tells all qubits apart, phases included."""
    rng, circuit = RNG(seed), QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.u(*rng.uniform(0.2, 1.4, 3), qubit)
    for qubit in range(num_qubits - 1):
        circuit.crx(rng.uniform(0.3, 1.2), qubit, qubit + 1)
    return circuit


def state_by_ketgrad(circuit, values=None):
    """The state of a qiskit circuit by ketgrad, in qiskit's order."""
    found = kg.qiskit.from_qiskit(circuit)
    weights = np.array([values[name] for name in found.weights]) if values else np.zeros(0)
    state = kg.state(found.circuit)(weights[: found.circuit.num_weights])
    return state[reversed_index(circuit.num_qubits)]


# -- circuits in

STANDARD = {
    name: gate
    for name, gate in get_standard_gate_name_mapping().items()
    if name not in ("delay", "reset", "measure")
}


@pytest.mark.parametrize("name", STANDARD)
def test_every_standard_gate_is_the_matrix_that_qiskit_has_on_any_qubits(name):
    rng, size = RNG(len(name)), STANDARD[name].num_qubits
    gate = STANDARD[name].base_class(*rng.uniform(-3, 3, len(STANDARD[name].params)))
    circuit = QuantumCircuit(size + 1)
    circuit.append(gate, [int(q) for q in rng.permutation(size + 1)[:size]])
    assert_equal_unitaries(circuit)


@pytest.mark.parametrize("name", [name for name, gate in STANDARD.items() if 0 < gate.num_qubits <= 2])
def test_every_gate_may_stand_under_controls_in_any_state(name):
    rng, size = RNG(3 + len(name)), STANDARD[name].num_qubits
    gate = STANDARD[name].base_class(*rng.uniform(-3, 3, len(STANDARD[name].params)))
    for count, state in ((1, 0), (2, 1), (2, 2)):
        circuit = QuantumCircuit(size + count)
        circuit.append(
            gate.control(count, ctrl_state=state, annotated=False),
            [int(q) for q in rng.permutation(size + count)],
        )
        assert_equal_unitaries(circuit)


def test_controlled_gates_with_their_own_classes_keep_their_control_state():
    for gate in (
        lib.CXGate(ctrl_state=0),
        lib.CCXGate(ctrl_state=1),
        lib.C3XGate(ctrl_state=5),
        lib.CZGate(ctrl_state=0),
        lib.CUGate(0.3, 0.5, 0.7, 0.9, ctrl_state=0),
        lib.CSwapGate(ctrl_state=0),
        lib.C4XGate(),
        lib.C3SXGate(),
        lib.MCXGate(3, ctrl_state=2),
        lib.MCPhaseGate(0.4, 3),
        lib.CU3Gate(0.1, 0.2, 0.3, ctrl_state=0),
    ):
        circuit = QuantumCircuit(gate.num_qubits)
        circuit.append(gate, [int(q) for q in RNG(gate.num_qubits).permutation(gate.num_qubits)])
        assert_equal_unitaries(circuit)


@pytest.mark.parametrize("seed", range(8))
def test_random_circuits_of_qiskit_end_in_the_same_state(seed):
    circuit = asymmetric(4, seed).compose(qiskit_random_circuit(4, 6, max_operands=4, seed=seed))
    np.testing.assert_allclose(state_by_ketgrad(circuit), Statevector(circuit).data, atol=1e-9)


def composite():
    """Names, parts and matrices: everything that is no standard gate."""
    inner = asymmetric(2, 5)
    inner.global_phase = 0.4
    inner.append(inner.copy().to_gate(), [1, 0])
    outer = QuantumCircuit(3)
    outer.append(inner.to_instruction(), [2, 0])
    outer.append(inner.to_gate().control(1, ctrl_state=0, annotated=False), [1, 2, 0])
    yield "nested, with phases, under a control", outer
    for name, gate in {
        "unitary": lib.UnitaryGate(random_unitary(8, seed=2)),
        "controlled unitary": lib.UnitaryGate(random_unitary(4, seed=3)).control(
            1, ctrl_state=0, annotated=False
        ),
        "pauli": lib.PauliGate("XYZ"),
        "clifford": random_clifford(3, seed=4).to_instruction(),
        "permutation": lib.PermutationGate([2, 0, 1]),
        "diagonal": lib.DiagonalGate([1, 1j, -1, 1, -1j, 1, 1j, -1]),
        "quantum Fourier transform": lib.QFTGate(3),
        "state preparation under a control": lib.StatePreparation([0.6, 0.8j, 0, 0], normalize=True).control(
            1, annotated=False
        ),
        "inverse": AnnotatedOperation(lib.CU3Gate(0.3, 0.4, 0.5).control(1), [InverseModifier()]),
        "annotated": AnnotatedOperation(
            lib.RXGate(0.7), [PowerModifier(3), InverseModifier(), ControlModifier(2, 1)]
        ),
        "two annotations of controls": AnnotatedOperation(
            lib.RYGate(0.4), [ControlModifier(1, 0), ControlModifier(1, 1)]
        ),
        "hamiltonian": lib.HamiltonianGate(random_hermitian(8, seed=1), 0.4),
        "word rotation": lib.PauliProductRotationGate(Pauli("-XYZ"), 0.7),
        "named state": lib.StatePreparation("1+l"),
        "multiplexer": lib.UCGate([random_unitary(2, seed=k).data for k in range(4)]),
    }.items():
        circuit = QuantumCircuit(3)
        circuit.append(gate, [2, 0, 1])
        yield name, circuit


@pytest.mark.parametrize(
    ("name", "circuit"), list(composite()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_composite_instructions_are_the_matrix_that_qiskit_has(name, circuit):
    assert_equal_unitaries(circuit)


def test_an_evolution_whose_terms_commute_is_exact():
    operator = SparsePauliOp(["XXI", "ZZI", "IIZ", "III"], [0.3, 0.5, 0.7, 0.2])
    circuit = QuantumCircuit(3)
    circuit.append(lib.PauliEvolutionGate(operator, time=A), [0, 1, 2])
    found = kg.qiskit.from_qiskit(circuit).circuit
    assert len(found) == 4
    np.testing.assert_allclose(unitary_of(found.bind([0.6])), expm(-0.6j * operator.to_matrix()), atol=1e-12)


DENSE = SparsePauliOp(["XXI", "ZIY", "IZZ", "YII", "III"], [0.3, 0.5, -0.4, 0.7, 0.2])
EVOLUTIONS = {
    "words that do not commute": lib.PauliEvolutionGate(DENSE, 0.8),
    "a list of operators": lib.PauliEvolutionGate([DENSE[:1], DENSE[1:3], DENSE[3:]], 0.8),
    "two groups and a word apart": lib.PauliEvolutionGate(
        SparsePauliOp(["IIIX", "IIIZ", "ZYII", "XYII", "YIII", "IIZI"], [0.3, 0.5, 0.4, -0.6, 0.2, 0.9]), -1.3
    ),
    "projectors": lib.PauliEvolutionGate(SparseObservable("0+r") + SparseObservable("XZ1"), 0.8),
    "another synthesis": lib.PauliEvolutionGate(DENSE, 0.8, synthesis=SuzukiTrotter(order=2, reps=3)),
    "a random synthesis": lib.PauliEvolutionGate(DENSE, 0.8, synthesis=QDrift(reps=2)),
    "under a control of its own": lib.PauliEvolutionGate(DENSE, 0.8).control(1, ctrl_state=0),
    "under an annotated control": AnnotatedOperation(
        lib.PauliEvolutionGate(DENSE, 0.8), [InverseModifier(), ControlModifier(1, 0), PowerModifier(2)]
    ),
    "inverted": lib.PauliEvolutionGate(DENSE, 0.8).inverse(),
    "a Hermitian matrix": lib.HamiltonianGate(random_hermitian(8, seed=1), 0.4),
}


@pytest.mark.parametrize("name", EVOLUTIONS)
@pytest.mark.filterwarnings("ignore:splu converted|spsolve is more")
def test_an_evolution_is_the_exponential_whatever_its_synthesis(name):
    gate = EVOLUTIONS[name]
    circuit = QuantumCircuit(gate.num_qubits + 1)
    circuit.append(gate, [int(q) for q in RNG(2).permutation(gate.num_qubits + 1)[: gate.num_qubits]])
    assert_equal_unitaries(circuit)
    outer = QuantumCircuit(gate.num_qubits + 1)
    outer.append(circuit.to_instruction(), range(gate.num_qubits + 1))
    assert_equal_unitaries(outer)


def test_an_evolution_over_a_time_that_is_trained_is_the_exponential_too():
    circuit = QuantumCircuit(3)
    circuit.append(lib.PauliEvolutionGate(DENSE, A * B + 0.1), [1, 0, 2])
    found = kg.qiskit.from_qiskit(circuit).circuit
    for values in ([0.6, -1.1], [2.0, 0.9], [0.0, 0.0]):
        matrix = expm(-1j * (values[0] * values[1] + 0.1) * DENSE.to_matrix())
        moved = QuantumCircuit(3)
        moved.append(lib.UnitaryGate(matrix), [1, 0, 2])
        np.testing.assert_allclose(unitary_of(found.bind(values)), Operator(moved).data, atol=1e-10)
    assert "agree" in str(kg.check_gradients(kg.expectation(found, kg.Pauli("X0 Z2"))))


def test_an_evolution_too_wide_for_a_matrix_says_that_it_is_its_product_formula():
    terms = [("X", [k], 0.3) for k in range(9)] + [("ZZ", [k, k + 1], 0.5) for k in range(8)]
    gate = lib.PauliEvolutionGate(SparsePauliOp.from_sparse_list(terms, 9), 0.8)
    circuit, expected = QuantumCircuit(9), QuantumCircuit(9)
    circuit.append(gate, range(9))
    expected.compose(gate.definition, range(9), inplace=True)
    with pytest.warns(UserWarning, match="more than 8 qubits together, so it is read as the product formula"):
        found = kg.qiskit.from_qiskit(circuit).circuit
    np.testing.assert_allclose(kg.state(found)()[reversed_index(9)], Statevector(expected).data, atol=1e-9)
    apart = SparsePauliOp.from_sparse_list([(letter, [k], 0.3) for k in range(12) for letter in "XZ"], 12)
    wide = QuantumCircuit(12)
    wide.append(lib.PauliEvolutionGate(apart, 0.8), range(12))
    assert len(kg.qiskit.from_qiskit(wide).circuit) == 12  # one matrix for each qubit


LIBRARY = [
    lib.RVGate(0.1, 0.2, 0.3),
    lib.UCRXGate([0.1, 0.2]),
    lib.UCGate([random_unitary(2, seed=k).data for k in range(4)], up_to_diagonal=True),
    lib.UCPauliRotGate([0.1, 0.3], "X"),
    lib.Isometry(random_unitary(4, seed=1).data[:, :2], 0, 0),
    lib.LinearFunction([[1, 1], [0, 1]]),
    lib.MSGate(2, 0.3),
    lib.ExactReciprocalGate(3, 0.2),
    lib.PiecewiseLinearPauliRotationsGate(2, [0, 1], [0.1, 0.2], [0.3, 0.1]),
    lib.PiecewisePolynomialPauliRotationsGate(2, [0, 1], [[0.1], [0.2, 0.1]]),
    lib.LinearAmplitudeFunctionGate(2, [0.1], [0.2], (0, 1), (0, 1)),
    lib.PhaseOracleGate("a & b"),
    lib.BitFlipOracleGate("a & b"),
    lib.MCMTGate(lib.RYGate(0.3), 1, 2),
    lib.RC3XGate(),
    lib.GraphStateGate([[0, 1], [1, 0]]),
]


@pytest.mark.parametrize("gate", LIBRARY, ids=lambda gate: gate.name)
def test_a_gate_of_the_library_is_the_matrix_that_qiskit_computes_with(gate):
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, range(gate.num_qubits))
    assert_equal_unitaries(circuit)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_definition_may_leave_out_the_last_qubits_as_qiskits_own_do():
    gate = lib.MCXVChain(3, dirty_ancillas=True)
    assert gate.definition.num_qubits < gate.num_qubits
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, range(gate.num_qubits))
    assert_equal_unitaries(circuit)


@pytest.mark.parametrize("power", [0.5, -0.5, 1 / 3, 2.7, 0.0, -2.0])
def test_annotated_powers_are_the_principal_powers_of_qiskit(power):
    inner = asymmetric(2, 3)
    inner.global_phase = 0.4
    for base in (lib.XGate(), lib.RXGate(3 * np.pi).control(1), lib.CU3Gate(0.3, 2.4, 0.5), inner.to_gate()):
        for modifiers in (
            [PowerModifier(power)],
            [ControlModifier(1, 0), PowerModifier(power), InverseModifier(), ControlModifier(1, 1)],
        ):
            operation = AnnotatedOperation(base, modifiers)
            circuit = QuantumCircuit(operation.num_qubits + 1)
            circuit.append(operation, list(range(operation.num_qubits, 0, -1)))
            assert_equal_unitaries(circuit)


def test_states_are_prepared_on_fresh_qubits_and_refused_on_used_ones():
    rng = RNG(1)
    amplitudes = rng.normal(size=4) + 1j * rng.normal(size=4)
    circuit = QuantumCircuit(3)
    circuit.h(2)
    circuit.initialize(amplitudes / np.linalg.norm(amplitudes), [1, 0])
    circuit.cx(2, 0)
    np.testing.assert_allclose(state_by_ketgrad(circuit), Statevector(circuit).data, atol=1e-12)
    circuit.append(lib.StatePreparation([0.6, 0.8j]), [0])  # unitary: may stand anywhere
    np.testing.assert_allclose(state_by_ketgrad(circuit), Statevector(circuit).data, atol=1e-12)
    circuit.initialize([0, 1], 2)
    with pytest.raises(ValueError, match="resets qubit 2 after a gate"):
        kg.qiskit.from_qiskit(circuit)


def test_qubits_of_many_registers_are_numbered_in_the_order_of_the_circuit():
    first, second = QuantumRegister(2, "a"), QuantumRegister(1, "b")
    circuit = QuantumCircuit(second, first)
    circuit.x(first[1])
    circuit.barrier()
    circuit.ry(0.7, second[0])
    circuit.delay(100, first[0])
    found = kg.qiskit.from_qiskit(circuit).circuit
    assert found == kg.Circuit([kg.x(2), kg.ry(0.7, 0)], 3)


# -- parameters


def test_parameters_become_weights_and_inputs_by_the_documented_rule():
    theta, data = ParameterVector("theta", 11), ParameterVector("data", 3)
    alpha = Parameter("alpha")
    circuit = QuantumCircuit(1)
    for parameter in (theta[10], theta[9], data[2], data[0], alpha):
        circuit.rx(parameter, 0)
    found = kg.qiskit.from_qiskit(circuit)
    assert found.weights == ("alpha", "data[0]", "data[2]", "theta[9]", "theta[10]")  # qiskit's order
    assert found.inputs == ()
    for chosen in (data, [data], "data", ["data"]):  # a vector keeps the places of its unused elements
        found = kg.qiskit.from_qiskit(circuit, inputs=chosen)
        assert found.weights == ("alpha", "theta[9]", "theta[10]")
        assert found.inputs == ("data[0]", "data[1]", "data[2]")
        assert found.circuit.ops[2] == kg.rx(kg.x[2], 0)
    found = kg.qiskit.from_qiskit(circuit, inputs=[theta[10], "alpha"])
    assert found.inputs == ("theta[10]", "alpha")
    assert found.circuit.ops[0] == kg.rx(kg.x[0], 0)
    for wrong, match in (
        (["beta"], "'beta' is none"),
        ([alpha, "alpha"], "'alpha' occurs twice"),
        ([3], "3 is none"),
    ):
        with pytest.raises(ValueError, match=match):
            kg.qiskit.from_qiskit(circuit, inputs=wrong)


POLYNOMIALS = [
    2 * A * B + 1,
    (np.pi - A) * (np.pi - B),
    A**2 / 3,
    (A + B) ** 2,
    (A + B) * (A - B) + B * B,
    A * (B + C) * 2 - A * C,
    -A,
    (A + 1) * (A - 1) * B - A * A * B,
    A.exp().log(),
    3 * (A - B - 0.1) / 7,
    A - A + 0.3,
    1e-9 * A,
    1e6 * A * B,
]


@pytest.mark.parametrize("expression", POLYNOMIALS, ids=str)
def test_polynomials_of_degree_two_keep_their_values(expression):
    circuit = QuantumCircuit(1)
    circuit.rx(expression, 0)
    found = kg.qiskit.from_qiskit(circuit, inputs=[p for p in circuit.parameters if p.name == "b"])
    for seed in range(3):
        values = dict(zip("abc", RNG(seed).uniform(-3, 3, 3), strict=True))
        bound = expression.bind({p: values[p.name] for p in expression.parameters}).numeric()
        ours = (
            found.circuit.ops[0]
            .angles[0]
            .evaluate([values[name] for name in found.weights], [values[name] for name in found.inputs])
        )
        assert ours == pytest.approx(bound, rel=1e-13, abs=1e-13)


REFUSED = [
    A.sin(),
    A * A * B,
    1 / A,
    A**0.5,
    2**A,
    abs(A),
    A * B / A,
    A.arccos() + B,
    A**3,
    (A * B) ** 2,
    A.sign(),
]


@pytest.mark.parametrize("expression", REFUSED, ids=str)
def test_expressions_that_no_angle_holds_are_refused_by_name(expression):
    circuit = QuantumCircuit(1)
    circuit.rz(expression, 0)
    with pytest.raises(ValueError, match="The angle of 'rz' must be a polynomial of degree 2") as caught:
        kg.qiskit.from_qiskit(circuit)
    assert str(expression) in str(caught.value)


def test_arccos_of_an_input_is_kept_both_ways():
    circuit = QuantumCircuit(1)
    circuit.ry(2 * A.arccos() + 0.5, 0)
    found = kg.qiskit.from_qiskit(circuit, inputs=[A])
    (angle,) = found.circuit.ops[0].angles
    assert angle.evaluate([], [0.3]) == pytest.approx(2 * np.arccos(0.3) + 0.5)
    back = kg.qiskit.to_qiskit(found.circuit, inputs=found.inputs)
    assert float(back.assign_parameters([0.3]).data[0].params[0]) == pytest.approx(2 * np.arccos(0.3) + 0.5)
    with pytest.raises(ValueError, match="polynomial"):
        kg.qiskit.from_qiskit(circuit)  # of a weight there is no arccos


def test_global_phases_may_be_parameters():
    circuit = asymmetric(2, 1)
    circuit.global_phase = 2 * A + 0.3
    inner = QuantumCircuit(1, global_phase=B)
    circuit.append(inner.to_gate().control(1, annotated=False), [0, 1])
    bound = circuit.assign_parameters({A: 0.7, B: 0.9})
    ours = state_by_ketgrad(circuit, {"a": 0.7, "b": 0.9})
    np.testing.assert_allclose(ours, Statevector(bound).data, atol=1e-12)


# -- measurements, and what is no circuit


def test_final_measurements_are_listed_with_their_registers():
    first, second = ClassicalRegister(2, "one"), ClassicalRegister(1, "two")
    circuit = QuantumCircuit(QuantumRegister(3, "q"), first, second)
    circuit.h(0)
    circuit.measure(2, first[1])
    circuit.barrier()
    circuit.measure(0, second[0])
    found = kg.qiskit.from_qiskit(circuit)
    assert found.measured == (("one", 1, 2), ("two", 0, 0))
    assert found.circuit == kg.Circuit([kg.h(0)], 3)


def _broken(error):
    class Broken(Gate):
        """A gate whose own code fails."""

        def _define(self):
            raise error

    return Broken("broken", 1, [])


def _longer():
    gate = Gate("longer", 1, [])
    gate._definition = QuantumCircuit(2)
    return gate


def _no_circuits():
    middle = QuantumCircuit(1, 1)
    middle.measure(0, 0)
    middle.x(0)
    yield middle, "acts on qubit 0 after its measurement"
    twice = QuantumCircuit(2, 1)
    twice.measure([0, 1], [0, 0])  # the bit holds qubit 1, but qubit 0 was measured all the same
    twice.h(0)
    yield twice, "acts on qubit 0 after its measurement"
    again = QuantumCircuit(1)
    again.h(0)
    again.reset(0)
    yield again, "resets qubit 0 after a gate"
    branch = QuantumCircuit(2, 1)
    branch.measure(0, 0)
    with branch.if_test((branch.clbits[0], 1)):
        branch.x(1)
    yield branch, "'if_else' is control flow|after its measurement"
    loop = QuantumCircuit(1)
    with loop.for_loop(range(3)):
        loop.x(0)
    yield loop, "'for_loop' is control flow"
    inside = QuantumCircuit(1, 1)
    inside.append(middle.to_instruction(), [0], [0])
    yield inside, "acts on qubit 0 after its measurement"
    free = QuantumCircuit(1)
    free.append(AnnotatedOperation(lib.RXGate(A), [PowerModifier(0.5)]), [0])
    yield free, "raised to the power 0.5, but such a power of a gate with free parameters"
    for number in (np.inf, np.nan):
        strange = QuantumCircuit(1)
        strange.append(AnnotatedOperation(lib.XGate(), [PowerModifier(number)]), [0])
        yield strange, f"raised to the power {number}, which is no number"
    wide = QuantumCircuit(9)
    wide.append(AnnotatedOperation(lib.MCXGate(8), [PowerModifier(0.5)]), range(9))
    yield wide, "matrices, of 8 qubits at most"
    weighted = QuantumCircuit(4)
    weighted.append(lib.WeightedSumGate(2, [1, 1]), range(4))
    yield weighted, "The instruction 'WeightedSum' has no matrix: .*Decompose it"
    unbound = QuantumCircuit(1)
    unbound.append(lib.RVGate(A, 0.1, 0.2), [0])
    yield unbound, "The instruction 'rv' has no definition: .*bind its parameters"
    for raises in (RuntimeError("broken"), KeyError("x"), AssertionError()):
        broken = QuantumCircuit(1)
        broken.append(_broken(raises), [0])
        yield broken, "The instruction 'broken' has no definition"
    longer = QuantumCircuit(1)
    longer.append(_longer(), [0])
    yield longer, "acts on 1 qubits and 0 bits, but its definition on 2 and 0"
    endless = QuantumCircuit(1)
    endless.append(AnnotatedOperation(lib.XGate(), [PowerModifier(10**9)]), [0])
    yield endless, "stands for 1,000,000,000 gates"


@pytest.mark.parametrize(
    ("circuit", "match"), list(_no_circuits()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_what_is_no_circuit_is_refused_by_name(circuit, match):
    with pytest.raises(ValueError, match=match):
        kg.qiskit.from_qiskit(circuit)


def test_definitions_are_followed_to_a_depth_of_a_hundred():
    inner = QuantumCircuit(1)
    inner.rx(0.3, 0)
    for depth in range(120):
        outer = QuantumCircuit(1)
        outer.append(inner.to_gate(label=f"nested {depth}"), [0])
        inner = outer
        if depth == 90:
            assert kg.qiskit.from_qiskit(inner).circuit == kg.Circuit([kg.rx(0.3, 0)])
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        kg.qiskit.from_qiskit(inner)


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match="must be a QuantumCircuit, but is str"):
        kg.qiskit.from_qiskit("OPENQASM 3.0;")
    with pytest.raises(TypeError, match=r"must be a kg\.Circuit, but is QuantumCircuit"):
        kg.qiskit.to_qiskit(QuantumCircuit(1))


# -- circuits out


@pytest.mark.parametrize("seed", range(20))
def test_circuits_of_all_rows_go_to_qiskit_and_come_back(seed):
    circuit = random_circuit(4, 25, seed)
    weights, inputs = RNG(seed).normal(size=3), RNG(seed + 1).normal(size=2)
    exported = kg.qiskit.to_qiskit(circuit)
    values = {p: (weights if p.vector.name == "w" else inputs)[p.index] for p in exported.parameters}
    ours = kg.state(circuit)(weights[: circuit.num_weights], inputs[: circuit.num_inputs])
    there = Statevector(exported.assign_parameters(values)).data[reversed_index(4)]
    np.testing.assert_allclose(there, ours, atol=1e-9)
    back = kg.qiskit.from_qiskit(exported, inputs=[p for p in exported.parameters if p.vector.name == "x"])
    number = {p.name: value for p, value in values.items()}
    again = kg.state(back.circuit)([number[n] for n in back.weights], [number[n] for n in back.inputs])
    np.testing.assert_allclose(again, ours, atol=1e-9)


def test_names_and_parameters_may_be_chosen_and_come_back():
    circuit = kg.Circuit([kg.rx(kg.w[1] * kg.x[0], 0), kg.ry(kg.w[0] + 1, 0)])
    exported = kg.qiskit.to_qiskit(circuit, weights=["gamma", A], inputs="data")
    assert sorted(p.name for p in exported.parameters) == ["a", "data[0]", "gamma"]
    back = kg.qiskit.from_qiskit(exported, inputs="data")
    assert back.weights == ("a", "gamma")
    assert str(kg.qiskit.to_qiskit(circuit).data[1].params[0]) == "1 + w[0]"
    with pytest.raises(ValueError, match=r"`weights` must hold 2 names - the circuit reads w\[0\] to w\[1\]"):
        kg.qiskit.to_qiskit(circuit, weights=["one"])
    with pytest.raises(ValueError, match="'b' occurs twice"):
        kg.qiskit.to_qiskit(circuit, weights=["a", "b"], inputs=["b"])


def test_states_go_out_as_numbers_and_are_refused_as_variables():
    amplitudes = np.array([0.1, 0.7j, -0.5, 0.5]) / np.linalg.norm([0.1, 0.7, 0.5, 0.5])
    circuit = kg.Circuit([kg.prepare_state(amplitudes, 2, 0), kg.cx(2, 1)])
    there = Statevector(kg.qiskit.to_qiskit(circuit)).data[reversed_index(3)]
    np.testing.assert_allclose(there, kg.state(circuit)(), atol=1e-12)
    with pytest.raises(ValueError, match=r"op 0, .* prepares a state from weights or inputs"):
        kg.qiskit.to_qiskit(kg.Circuit([kg.prepare_state(kg.x[0:2], 0, normalize=True)]))


# -- observables


def test_labels_are_read_from_the_right_as_qiskit_writes_them():
    assert kg.qiskit.from_sparse_pauli_op("ZXI") == kg.Pauli("X1 Z2")
    assert kg.qiskit.from_sparse_pauli_op(Pauli("-iYZ")) == kg.Pauli("-1j Z0 Y1")
    assert kg.qiskit.to_sparse_pauli_op(kg.Pauli("0.5 X0 Z1 + 2"), 3) == SparsePauliOp(
        ["III", "IZX"], [2, 0.5]
    )
    assert kg.qiskit.to_sparse_pauli_op(kg.Pauli(0.0)).simplify() == SparsePauliOp("I", 0)


@pytest.mark.parametrize("seed", range(4))
def test_observables_are_the_same_matrix_and_come_back(seed):
    observable = random_observable(4, 9, seed)
    operator = kg.qiskit.to_sparse_pauli_op(observable, 4)
    index = reversed_index(4)
    np.testing.assert_allclose(operator.to_matrix()[np.ix_(index, index)], observable.matrix(4), atol=1e-12)
    assert kg.qiskit.from_sparse_pauli_op(operator) == observable
    sparse = SparseObservable.from_sparse_pauli_op(operator)
    np.testing.assert_allclose(
        kg.qiskit.from_sparse_pauli_op(sparse).matrix(4), observable.matrix(4), atol=1e-12
    )


def test_projectors_of_a_sparse_observable_are_expanded():
    sparse = SparseObservable.from_list([("01+", 0.5), ("-rl", 2.0)])
    expected = SparsePauliOp.from_sparse_observable(sparse).to_matrix()
    index = reversed_index(3)
    ours = kg.qiskit.from_sparse_pauli_op(sparse).matrix(3)
    np.testing.assert_allclose(ours, expected[np.ix_(index, index)], atol=1e-12)


def test_observables_that_cannot_be_read_are_refused():
    with pytest.raises(TypeError, match="must be a SparsePauliOp"):
        kg.qiskit.from_sparse_pauli_op(3)
    with pytest.raises(ValueError, match="must be numbers, but one is"):
        kg.qiskit.from_sparse_pauli_op(SparsePauliOp(["X"], np.array([A])))
    with pytest.raises(IndexError, match="`num_qubits` must be at least 3"):
        kg.qiskit.to_sparse_pauli_op(kg.Pauli("X2"), 2)


# -- absence


def test_an_absent_qiskit_is_named_with_the_line_that_installs_it():
    code = (
        "import sys; sys.modules['qiskit'] = None\n"
        "import ketgrad as kg\n"
        "try:\n    kg.qiskit\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'ketgrad[qiskit]'" in done.stdout
