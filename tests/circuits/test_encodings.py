"""Encodings: the states of Qiskit's feature maps, published kernel values, and what each promises."""

import numpy as np
import pytest
from qiskit.circuit.library import pauli_feature_map, z_feature_map, zz_feature_map
from qiskit.quantum_info import Statevector

import ketgrad as kg
from ketgrad.circuits import encodings
from ketgrad.circuits.encodings import ENCODINGS
from ketgrad.foundation.errors import KetgradError

RNG = np.random.default_rng(0)


def state(circuit, inputs, weights=None):
    return kg.state(circuit, executor="reference")(weights, inputs)


def overlap(a, b):
    return abs(np.vdot(a, b))


def qiskit_state(circuit, inputs):
    """The state of a Qiskit feature map with qubit 0 most significant, as ours."""
    values = {parameter: inputs[parameter.index] for parameter in circuit.parameters}
    return Statevector(circuit.assign_parameters(values)).reverse_qargs().data


QISKIT_OPTIONS = [
    {},
    {"reps": 1},
    {"reps": 3, "alpha": 0.7},
    *({"entanglement": name} for name in ("linear", "reverse_linear", "circular", "full", "pairwise")),
    {"paulis": ["Z", "YY"]},
    {"paulis": ["X", "ZY", "XZ"], "entanglement": "circular"},
    {"paulis": ["Y"], "alpha": 1.3},
    {"paulis": ["Z", "ZZ"], "entanglement": {1: [(0,)], 2: [(0, 1), (1, 0)]}},
]


@pytest.mark.parametrize("num_inputs", [2, 3, 5])
@pytest.mark.parametrize("options", QISKIT_OPTIONS, ids=str)
def test_the_pauli_feature_map_equals_qiskits(num_inputs, options):
    inputs = RNG.normal(size=num_inputs)
    theirs = qiskit_state(pauli_feature_map(num_inputs, **options), inputs)
    circuit = encodings.pauli_feature_map(num_inputs, **options)
    ours = state(circuit, inputs[: circuit.num_inputs])  # a list of pairs may leave inputs out
    ours = np.kron(ours, np.eye(1, 2 ** (num_inputs - circuit.num_qubits))[0])
    assert overlap(ours, theirs) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("num_inputs", [1, 2, 4])
@pytest.mark.parametrize("ours, theirs", [
    (encodings.zz_feature_map, zz_feature_map), (encodings.z_feature_map, z_feature_map),
])  # fmt: skip
def test_the_named_feature_maps_equal_qiskits(num_inputs, ours, theirs):
    if theirs is zz_feature_map and num_inputs == 1:
        return  # Qiskit has none; ours is the Z feature map
    inputs = RNG.normal(size=num_inputs)
    expected = qiskit_state(theirs(num_inputs), inputs)
    assert overlap(state(ours(num_inputs), inputs), expected) == pytest.approx(1, abs=1e-12)


GOLDEN_KERNEL_ENTRIES = [  # CATALOGUE C1; Havlicek et al. 2019, arXiv:1804.11326
    (encodings.zz_feature_map(2), (0.1, 0.7), (0.3, -0.2), 0.33160585592),
    (encodings.zz_feature_map(3), (0.1, 0.7, 1.2), (0.3, -0.2, 0.9), 0.14277412382),
    (encodings.zz_feature_map(3, entanglement="linear"), (0.1, 0.7, 1.2), (0.3, -0.2, 0.9), 0.04666290885),
    (encodings.iqp(3, reps=2), (0.1, 0.7, 1.2), (0.3, -0.2, 0.9), 0.56995061),
]


@pytest.mark.parametrize("circuit, a, b, expected", GOLDEN_KERNEL_ENTRIES)
def test_kernel_entries_have_their_published_values(circuit, a, b, expected):
    assert overlap(state(circuit, a), state(circuit, b)) ** 2 == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("num_inputs", [1, 2, 3, 4])
def test_every_encoding_reads_all_its_inputs_and_treats_a_batch_row_by_row(name, num_inputs):
    circuit = ENCODINGS[name](num_inputs)
    assert circuit.num_inputs == num_inputs
    assert {v for v in circuit.variables if v[0] != "w"} >= {("arccos" if name == "chebyshev" else "x", 0)}
    inputs = RNG.uniform(-0.9, 0.9, size=(3, num_inputs))
    weights = RNG.normal(size=circuit.num_weights) if circuit.num_weights else None
    states = state(circuit, inputs, weights)
    assert np.allclose(np.linalg.norm(states, axis=1), 1)
    for row, one in zip(inputs, states, strict=True):
        assert np.allclose(state(circuit, row, weights), one, atol=1e-14)


@pytest.mark.parametrize("name", ENCODINGS)
def test_numbers_in_place_of_the_inputs_give_the_same_state(name):
    circuit, inputs = ENCODINGS[name](3), [0.3, -0.4, 0.5]
    weights = RNG.normal(size=circuit.num_weights)
    fixed = circuit.encode(inputs)
    assert fixed.num_inputs == 0
    assert np.allclose(state(fixed, [], weights), state(circuit, inputs, weights), atol=1e-14)


@pytest.mark.parametrize("name", sorted(set(ENCODINGS) - {"amplitude"}))  # OpenQASM has no state preparation
def test_every_encoding_of_numbers_survives_openqasm(name):
    circuit = ENCODINGS[name](3).encode([0.3, -0.4, 0.5])
    circuit = circuit.bind(RNG.normal(size=circuit.num_weights))
    read = kg.from_qasm(circuit.to_qasm())
    assert overlap(state(read, []), state(circuit, [])) == pytest.approx(1, abs=1e-12)


def test_a_number_outside_of_the_interval_of_chebyshev_is_refused():
    with pytest.raises(KetgradError, match="`arccos` takes numbers from -1 to 1, but 2"):
        encodings.chebyshev(1).encode([2.0])


@pytest.mark.parametrize("axis, expected", [("x", "cos"), ("y", "cos"), ("z", "plus")])
def test_angle_turns_each_qubit_by_its_input(axis, expected):
    observable = kg.Pauli("Z0") if expected == "cos" else kg.Pauli("X0")
    values = kg.expectation(encodings.angle(2, axis), observable, executor="reference")(
        [], [[0.3, 1.0], [2.0, 0.0]]
    )
    assert np.allclose(values[:, 0], np.cos([0.3, 2.0]))


@pytest.mark.parametrize("bits", [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)])
def test_basis_prepares_the_bit_string(bits):
    assert state(encodings.basis(3), bits)[int("".join(map(str, bits)), 2)] == pytest.approx(1)


@pytest.mark.parametrize("num_inputs, num_qubits", [(1, None), (3, None), (4, None), (5, 4)])
def test_amplitude_normalises_and_pads(num_inputs, num_qubits):
    inputs = RNG.normal(size=num_inputs)
    prepared = state(encodings.amplitude(num_inputs, num_qubits), inputs)
    assert np.allclose(prepared[:num_inputs], inputs / np.linalg.norm(inputs))
    assert np.allclose(prepared[num_inputs:], 0)


def test_amplitude_differentiates_through_the_norm():
    f = kg.expectation(encodings.amplitude(3), kg.Pauli("Z0 + 0.5 X1"), executor="reference")
    point = np.array([0.5, -1.0, 2.0])
    _, by_inputs = f.jacobian([], point)
    steps = 1e-6 * np.eye(3)
    numeric = (f([], point + steps) - f([], point - steps)) / 2e-6
    assert np.allclose(by_inputs[0], numeric[:, 0], atol=1e-8)
    assert by_inputs[0] @ point == pytest.approx(0, abs=1e-12)  # the length of the vector does not matter


def test_the_chebyshev_tower_measures_chebyshev_polynomials():
    points = np.linspace(-0.99, 0.99, 7)[:, None]
    readings = [kg.Pauli(f"Z{k}") for k in range(3)]
    values = kg.expectation(encodings.chebyshev(1, 3), readings, executor="reference")([], points)
    for k in range(3):
        assert np.allclose(values[:, k], np.polynomial.Chebyshev.basis(2 * k + 2)(points[:, 0]))


def test_chebyshev_refuses_data_outside_of_its_interval():
    with pytest.raises(KetgradError, match=r"inputs"):
        state(encodings.chebyshev(1), [1.5])


def test_hamiltonian_evolution_approaches_the_exact_evolution_as_steps_grow():
    inputs, time = np.array([0.7, -0.4]), 1.0
    pair = [kg.Pauli(f"X{j} X{j + 1} + Y{j} Y{j + 1} + Z{j} Z{j + 1}").matrix(3) for j in range(2)]
    values, vectors = np.linalg.eigh(inputs[0] * pair[0] + inputs[1] * pair[1])
    start = state(encodings.hamiltonian_evolution(2, steps=1, time=1e-12), inputs)
    exact = vectors @ (np.exp(-1j * time * values) * (vectors.conj().T @ start))
    errors = [
        np.linalg.norm(state(encodings.hamiltonian_evolution(2, steps, time), inputs) - exact)
        for steps in (10, 20, 40)
    ]
    assert errors[2] < 0.01
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.2)  # first order: half the step, half the error
    assert errors[1] / errors[2] == pytest.approx(2, abs=0.1)


def test_hamiltonian_evolution_starts_where_its_seed_says():
    one, two, three = (encodings.hamiltonian_evolution(2, seed=s) for s in (0, 0, 1))
    assert one == two != three


def test_reuploading_reaches_the_fourier_degree_of_its_layers_and_no_further():
    for layers in (1, 2, 3):  # Schuld, Sweke and Meyer 2021, arXiv:2008.08605
        circuit = encodings.reuploading(1, layers=layers)
        weights = np.random.default_rng(1).uniform(-np.pi, np.pi, circuit.num_weights)
        weights[1::4] = 1.0  # scales: one period per layer
        grid = 2 * np.pi * np.arange(16)[:, None] / 16
        values = kg.expectation(circuit, kg.Pauli("Z0"), executor="reference")(weights, grid)[:, 0]
        spectrum = abs(np.fft.rfft(values)) / 16
        assert spectrum[layers + 1 :].max() < 1e-12
        assert spectrum[layers] > 1e-5


def test_reuploading_follows_perez_salinas_on_several_qubits():
    circuit = encodings.reuploading(4, num_qubits=3, layers=2)
    names = [op.gate.name for op in circuit.ops]
    upload = ["ry", "rz", "ry"] * 2  # two rotations of a qubit hold four inputs
    assert names == upload * 3 + ["z"] * 3 + upload * 3  # a ring of CZ between the layers
    assert circuit.num_weights == 2 * 3 * (2 * 4 + 2)
    used = [v for op in circuit.ops for angle in op.angles for v in sorted(angle.variables()) if v[0] == "w"]
    assert sorted(used) == [("w", i) for i in range(circuit.num_weights)]  # every weight has one place


REFUSED = [
    (lambda: encodings.angle(0), "`num_inputs` must be at least 1, but is 0"),
    (lambda: encodings.angle(2.5), "`num_inputs` must be an integer, but is 2.5"),
    (lambda: encodings.angle(2, "w"), "`axis` must be 'x', 'y' or 'z'"),
    (lambda: encodings.amplitude(5, 2), "`num_qubits` must be at least 3"),
    (lambda: encodings.iqp(3, entanglement="circle"), "There is no entanglement 'circle'. Did you mean 'circular'"),
    (lambda: encodings.iqp(10**6), "at most 1000000 groups of qubits, but 'full' on 1000000 qubits joins 499999500000"),
    (lambda: encodings.iqp(3, entanglement=[(0, 3)]), r"holds \(0, 3\), but the register has the qubits 0 to 2"),
    (lambda: encodings.iqp(3, entanglement=[(1, 1)]), "groups of 2 different qubits"),
    (lambda: encodings.pauli_feature_map(3, paulis=["ZZZ"]), "`paulis` must hold words of one or two letters"),
    (lambda: encodings.pauli_feature_map(3, paulis=["A"]), "`paulis`"),
    (lambda: encodings.zz_feature_map(3, reps=0), "`reps` must be at least 1"),
    (lambda: encodings.reuploading(2, layers=0), "`layers`"),
    (lambda: encodings.chebyshev(1, 0), "`qubits_per_input`"),
    (lambda: encodings.hamiltonian_evolution(1, steps=0), "`steps`"),
    (lambda: encodings.hamiltonian_evolution(1, time=np.nan), "`time` must be a finite number"),
    (lambda: encodings.encoding_named("ipq"), "There is no encoding 'ipq'. Did you mean 'iqp'"),
]  # fmt: skip


@pytest.mark.parametrize("call, message", REFUSED)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(KetgradError, match=message):
        call()
