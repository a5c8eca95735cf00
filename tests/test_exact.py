"""Systems whose answer is known in closed form or from an independent program: formula and source beside each."""

import networkx as nx
import numpy as np
import pytest

import ketgrad as kg
from ketgrad import problems as hamiltonians

ENERGY = {  # CATALOGUE D7: tables of the closed forms below, J = h = 1
    "ring": {4: -5.2262519, 6: -7.7274066, 8: -10.2516618, 10: -12.7849064},
    "open": {4: -4.7587705, 6: -7.2962298, 8: -9.8379514, 10: -12.3814900},
}


def ising_ring(n):
    """- sum_k 2 |sin((2k + 1) pi / 2n)|; Pfeuty 1970, doi:10.1016/0003-4916(70)90270-8."""
    return -sum(2 * abs(np.sin((2 * k + 1) * np.pi / (2 * n))) for k in range(n))


def ising_open(n):
    """1 - 1 / sin(pi / (2 (2n + 1))); Pfeuty 1970."""
    return 1 - 1 / np.sin(np.pi / (2 * (2 * n + 1)))


@pytest.mark.parametrize("n", [4, 6, 8, 10])
@pytest.mark.parametrize("shape, formula", [("ring", ising_ring), ("open", ising_open)])
def test_the_critical_ising_chain_has_the_energy_of_free_fermions(n, shape, formula):
    energy = hamiltonians.exact_ground_state(hamiltonians.ising(n, periodic=shape == "ring")).energy
    assert energy == pytest.approx(formula(n), abs=1e-9)
    assert energy == pytest.approx(ENERGY[shape][n], abs=1e-6)


@pytest.mark.parametrize("field, expected", [(0.5, -7.6405926), (2.0, -16.8851415)])
def test_the_open_ising_chain_away_from_criticality(field, expected):
    energy = hamiltonians.exact_ground_state(hamiltonians.ising(8, field=field)).energy
    assert energy == pytest.approx(expected, abs=1e-6)


HYDROGEN = [  # CATALOGUE D1: PySCF and PennyLane. The second geometry is 1.322808 bohr.
    (0.735, -1.1169989968, -1.1373060358),
    (0.7, -1.1173489211, -1.1361891625),
]


@pytest.mark.parametrize("bond_length, hartree_fock, exact", HYDROGEN)
def test_hydrogen_has_its_textbook_energies(bond_length, hartree_fock, exact):
    hamiltonian = hamiltonians.molecule("H2", bond_length)
    determinant = kg.expectation(
        kg.Circuit([kg.ry(np.pi, 0), kg.ry(np.pi, 1)], 4), hamiltonian, executor="reference"
    )
    assert determinant()[0] == pytest.approx(hartree_fock, abs=1e-6)
    assert hamiltonians.exact_ground_state(hamiltonian).energy == pytest.approx(exact, abs=1e-6)


def test_one_double_excitation_is_exact_for_hydrogen():
    """Two electrons in four spin orbitals: |1100> and |0011> span the ground state. theta = 0.209733."""
    pair = kg.Circuit([kg.ry(np.pi, 0), kg.ry(np.pi, 1), kg.double_excitation(kg.w[0], 0, 1, 2, 3)])
    result = kg.vqe(hamiltonians.molecule("H2", 0.7), pair, start=[0.0], executor="reference")
    assert result.energy == pytest.approx(-1.1361891625, abs=1e-6)
    assert abs(result.weights[0]) == pytest.approx(0.209733, abs=1e-4)


GRAPHS = [nx.petersen_graph(), nx.heawood_graph(), nx.hypercube_graph(3), nx.complete_bipartite_graph(3, 3)]


@pytest.mark.parametrize("graph", GRAPHS, ids=["petersen", "heawood", "cube", "K33"])
def test_one_layer_of_qaoa_at_fixed_angles_cuts_the_known_share_of_a_triangle_free_cubic_graph(graph):
    """1/2 + 1/(3 sqrt 3) at gamma = atan(1/sqrt 2), beta = pi/8; Wang et al. 2018, arXiv:1706.02998."""
    cost = hamiltonians.maxcut(graph)
    f = kg.expectation(kg.ansatz.qaoa_ansatz(cost), cost, executor="reference")
    (energy,), slope, _ = f.vjp([np.arctan(np.sqrt(0.5)), np.pi / 8], None, [1.0])
    assert -energy / graph.number_of_edges() == pytest.approx(0.5 + 1 / (3 * np.sqrt(3)), abs=1e-9)
    assert -energy / graph.number_of_edges() == pytest.approx(0.6924500897, abs=1e-9)
    assert np.allclose(slope, 0, atol=1e-9)  # it is the optimum of depth 1


def test_a_single_rotation_measures_cosine_and_sine():
    f = kg.expectation(
        kg.Circuit([kg.ry(kg.w[0], 0)]), [kg.Pauli("Z0"), kg.Pauli("X0")], executor="reference"
    )
    for theta in np.linspace(-7, 7, 11):
        assert f([theta]) == pytest.approx([np.cos(theta), np.sin(theta)], abs=1e-14)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_ghz_state_is_correlated_in_z_and_in_x_and_nowhere_alone(n):
    ghz = kg.Circuit([kg.h(0), *(kg.cx(q, q + 1) for q in range(n - 1))])
    words = [kg.Pauli("Z0"), kg.Pauli(f"Z0 Z{n - 1}"), kg.Pauli(" ".join(f"X{q}" for q in range(n)))]
    assert kg.expectation(ghz, words, executor="reference")() == pytest.approx([0, 1, 1], abs=1e-14)
