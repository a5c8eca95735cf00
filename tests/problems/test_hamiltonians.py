"""Hamiltonians: matrices against independent constructions, graphs and QUBOs in every form, exact ground states."""

import time
from functools import reduce
from itertools import product

import networkx as nx
import numpy as np
import pytest

import ketgrad as kg
from ketgrad import problems as hamiltonians
from ketgrad.foundation.errors import KetgradError, KetgradMemoryError

RNG = np.random.default_rng(0)
PAULI = {
    "I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1]),
}  # fmt: skip


def word(num_qubits, **letters):
    """word(3, X=[0, 1]): the Kronecker product, qubit 0 first."""
    places = {q: PAULI[letter] for letter, qubits in letters.items() for q in qubits}
    return reduce(np.kron, [places.get(q, PAULI["I"]) for q in range(num_qubits)])


def bonds(n, periodic):
    return [(i, (i + 1) % n) for i in range(n if periodic else n - 1)]


@pytest.mark.parametrize("periodic", [False, True])
def test_spin_chains_are_the_sums_of_their_formulas(periodic):
    n = 4
    xx, yy, zz = (sum(word(n, **{p: bond}) for bond in bonds(n, periodic)) for p in "XYZ")
    x, z = (sum(word(n, **{p: [q]}) for q in range(n)) for p in "XZ")
    ising = hamiltonians.ising(n, 0.7, 0.3, 0.2, periodic)
    assert np.allclose(ising.matrix(n), -0.7 * zz - 0.3 * x - 0.2 * z)
    heisenberg = hamiltonians.heisenberg(n, (0.5, 0.6, 0.7), 0.1, periodic)
    assert np.allclose(heisenberg.matrix(n), 0.5 * xx + 0.6 * yy + 0.7 * zz + 0.1 * z)
    xy = hamiltonians.xy(n, 2.0, 0.5, 0.3, periodic)
    assert np.allclose(xy.matrix(n), 1.5 * xx + 0.5 * yy + 0.3 * z)


def cut_weight(edges, bits):
    return sum(weight for i, j, weight in edges if bits[i] != bits[j])


def test_maxcut_gives_every_bit_string_minus_the_weight_of_its_cut():
    edges = [(0, 1, 1.0), (1, 2, 0.5), (0, 3, 2.0), (2, 3, -1.0)]
    energies = hamiltonians.diagonal_energies(hamiltonians.maxcut(edges))
    for bits, energy in zip(product([0, 1], repeat=4), energies, strict=True):
        assert energy == pytest.approx(-cut_weight(edges, bits), abs=1e-12)


def test_a_graph_may_be_given_in_every_form():
    graph = nx.Graph()
    graph.add_nodes_from(["a", "b", "c"])
    graph.add_edge("c", "a", weight=2.0)
    graph.add_edge("b", "c")
    matrix = nx.to_numpy_array(graph)
    forms = [graph, matrix, [(2, 0, 2.0), (1, 2)], [(0, 2, 2), [1, 2, 1.0]]]
    assert {hamiltonians.maxcut(form) for form in forms} == {kg.Pauli("-1.5 + 1.0 Z0 Z2 + 0.5 Z1 Z2")}


@pytest.mark.parametrize("as_dictionary", [False, True])
def test_qubo_gives_every_bit_string_its_cost(as_dictionary):
    matrix = RNG.normal(size=(4, 4))  # not symmetric
    given = {(i, j): matrix[i, j] for i in range(4) for j in range(4)} if as_dictionary else matrix
    energies = hamiltonians.diagonal_energies(hamiltonians.qubo(given, offset=0.3))
    for bits, energy in zip(product([0, 1], repeat=4), energies, strict=True):
        assert energy == pytest.approx(np.array(bits) @ matrix @ bits + 0.3, abs=1e-12)


def random_sum(num_qubits, num_words, real):
    words = []
    while len(words) < num_words:
        x, z = (int(v) for v in RNG.integers(2**num_qubits, size=2))
        if not real or (x & z).bit_count() % 2 == 0:
            words.append((x, z, RNG.normal()))
    return kg.PauliSum.collect(words)


@pytest.mark.parametrize("num_qubits", [1, 3, 7])
@pytest.mark.parametrize("real", [True, False])
def test_the_exact_ground_state_is_the_lowest_eigenpair(num_qubits, real):
    hamiltonian = random_sum(num_qubits, 12, real)
    ground = hamiltonians.exact_ground_state(hamiltonian, num_qubits)
    matrix = hamiltonian.matrix(num_qubits)
    assert ground.energy == pytest.approx(np.linalg.eigvalsh(matrix)[0], abs=1e-10)
    assert np.linalg.norm(matrix @ ground.state - ground.energy * ground.state) < 1e-6
    assert np.linalg.norm(ground.state) == pytest.approx(1)


def test_lanczos_agrees_with_free_fermions_in_real_and_in_complex_arithmetic():
    chain = hamiltonians.ising(11)
    turned = kg.PauliSum.collect(
        (x | z, x, c) for x, z, c in chain.terms
    )  # Z -> X, X -> Y: the same spectrum
    for hamiltonian in (chain, turned):
        ground = hamiltonians.exact_ground_state(hamiltonian)
        assert ground.energy == pytest.approx(1 - 1 / np.sin(np.pi / 46), abs=1e-9)
        energy = kg.expectation(kg.Circuit([kg.prepare_state(ground.state, *range(11))]), hamiltonian)()[0]
        assert energy == pytest.approx(ground.energy, abs=1e-9)


def test_a_diagonal_ground_state_is_read_off():
    ground = hamiltonians.exact_ground_state(kg.Pauli("Z0 - 2 Z1 + 0.5 Z0 Z1"))
    assert ground.energy == -3.5
    assert ground.state.tolist() == [0, 0, 1, 0]


def test_the_ground_state_of_the_identity_is_its_coefficient():
    assert hamiltonians.exact_ground_state(kg.Pauli("2.5")).energy == 2.5


@pytest.mark.parametrize("num_qubits", [45, 64, 10**6])
def test_a_ground_state_that_does_not_fit_is_refused_at_once(num_qubits):
    began = time.perf_counter()
    with pytest.raises(
        KetgradMemoryError, match=f"exact ground state of {num_qubits} qubits needs .* usable"
    ):
        hamiltonians.exact_ground_state(kg.Pauli(f"X0 + Z{num_qubits - 1}"))
    with pytest.raises(KetgradMemoryError, match="bit strings"):
        hamiltonians.diagonal_energies(kg.Pauli(f"Z{num_qubits - 1}"))
    assert time.perf_counter() - began < 0.5


def test_the_shipped_hydrogen_names_its_origin_and_licence():
    data = hamiltonians.molecule_data("H2")
    assert (len(data.hamiltonian), data.hamiltonian.num_qubits, data.num_electrons) == (15, 4, 2)
    assert data.hamiltonian == hamiltonians.molecule()
    assert "PySCF" in data.origin
    assert "Apache-2.0" in data.licence


@pytest.mark.parametrize("bond_length", [0.5, 0.7, 0.735, 0.9, 1.1, 1.3, 1.5, 2.0, 2.5])
def test_the_shipped_energies_belong_to_the_shipped_hamiltonian(bond_length):
    data = hamiltonians.molecule_data("H2", bond_length)
    matrix = data.hamiltonian.matrix()
    determinant = int(data.hartree_fock, 2)
    assert np.linalg.eigvalsh(matrix)[0] == pytest.approx(data.exact_energy, abs=1e-9)
    assert matrix[determinant, determinant].real == pytest.approx(data.hartree_fock_energy, abs=1e-9)


REFUSED = [
    (lambda: hamiltonians.ising(2, periodic=True), "`num_qubits` must be at least 3, but is 2"),
    (lambda: hamiltonians.ising(0), "`num_qubits` must be at least 1"),
    (
        lambda: hamiltonians.ising(3, field=np.nan),
        "`field` must be a finite number, but is nan",
    ),
    (lambda: hamiltonians.heisenberg(3, np.inf), "`coupling` must be a finite number"),
    (lambda: hamiltonians.maxcut([]), "`graph` must have at least one edge"),
    (lambda: hamiltonians.maxcut([(0, 0)]), "no loops .* node 0"),
    (lambda: hamiltonians.maxcut([(0, 1), (1, 0)]), r"each edge once, but names \(0, 1\) twice"),
    (lambda: hamiltonians.maxcut([(0, 1, np.nan)]), r"The weight of the edge \(0, 1\)"),
    (lambda: hamiltonians.maxcut([(0, -1)]), r"`graph\[0\]` must be at least 0"),
    (lambda: hamiltonians.maxcut([(0, 1.5)]), r"`graph\[0\]` must be an integer"),
    (lambda: hamiltonians.maxcut([0, 1]), "entry 0 is 0"),
    (lambda: hamiltonians.maxcut("graph"), "`graph` must be a networkx graph"),
    (lambda: hamiltonians.maxcut(nx.DiGraph([(0, 1)])), "undirected"),
    (
        lambda: hamiltonians.maxcut(np.array([[0, 1], [0, 0]])),
        r"symmetric .* entries \(0, 1\) and \(1, 0\) are 1 and 0",
    ),
    (lambda: hamiltonians.maxcut(np.zeros((2, 3))), r"adjacency matrix, but has .* shape \(2, 3\)"),
    (lambda: hamiltonians.qubo(np.zeros((2, 3))), r"`matrix` must be a real \(n, n\) matrix"),
    (lambda: hamiltonians.qubo({"a": 1.0}), "pairs of integers"),
    (lambda: hamiltonians.qubo([[np.inf]]), r"`matrix\[0, 0\]` must be a finite real number"),
    (lambda: hamiltonians.molecule("H3"), "No molecule 'H3' is shipped. Known: H2"),
    (
        lambda: hamiltonians.molecule("H2", 0.8),
        "`bond_length` must be one of those shipped for H2, 0.5, .* but is 0.8",
    ),
    (lambda: hamiltonians.exact_ground_state(kg.Pauli("1j Z0")), "`hamiltonian` must be Hermitian"),
    (lambda: hamiltonians.exact_ground_state("Z0"), "`hamiltonian` must be a PauliSum"),
    (lambda: hamiltonians.exact_ground_state(kg.Pauli("Z3"), 2), "`num_qubits` must be at least 4"),
    (lambda: hamiltonians.diagonal_energies(kg.Pauli("X0")), "must be a sum of words of Z"),
]


@pytest.mark.parametrize("call, message", REFUSED)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(KetgradError, match=message):
        call()
