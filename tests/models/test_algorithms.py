"""vqe and qaoa reach the answers that are known, and state them beside their own."""

import math

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import ketgrad as kg
from ketgrad import problems as hamiltonians
from ketgrad.circuits.ansatz import qaoa_ansatz
from ketgrad.foundation.errors import KetgradError, KetgradMemoryError
from ketgrad.models.algorithms import several_starts
from ketgrad.training.optimize import COBYLA, SPSA, Adam


@pytest.mark.parametrize("bond_length", [0.735, 0.7, 2.5])
def test_vqe_finds_the_ground_state_of_hydrogen_with_its_defaults(bond_length):
    result = kg.vqe(hamiltonians.molecule("H2", bond_length))
    assert result.energy == pytest.approx(
        hamiltonians.molecule_data("H2", bond_length).exact_energy, abs=1e-6
    )
    assert -1e-9 < result.error < 1e-6
    assert result.exact == pytest.approx(result.energy - result.error)


@pytest.mark.parametrize("n", [4, 6])
def test_vqe_is_exact_for_the_ising_ring_with_half_as_many_layers_as_qubits(n):
    """Ho and Hsieh 2019, arXiv:1803.00026: depth n / 2 of the alternating circuit reaches the critical ground state."""
    bonds = hamiltonians.ising(n, field=0.0, periodic=True)
    result = kg.vqe(hamiltonians.ising(n, periodic=True), qaoa_ansatz(bonds, n // 2))
    assert result.error == pytest.approx(0, abs=1e-6)


CHAINS = [hamiltonians.ising(5), hamiltonians.heisenberg(4), hamiltonians.xy(4, field=0.3)]


@pytest.mark.parametrize("hamiltonian", CHAINS)
def test_vqe_comes_within_a_percent_of_other_chains_with_its_defaults(hamiltonian):
    result = kg.vqe(hamiltonian, num_starts=4, max_steps=300)
    assert -1e-9 < result.error < 0.01 * abs(result.exact)


def test_vqe_treats_hamiltonians_with_complex_matrices():
    result = kg.vqe(kg.Pauli("X0 Y1 + 0.5 Y0 Z1 + 0.3 Z0"))
    assert -1e-9 < result.error < 1e-6


@pytest.mark.parametrize("optimizer", [Adam(0.1), COBYLA(), SPSA()])
def test_vqe_takes_any_optimiser_and_ansatz_by_name(optimizer):
    result = kg.vqe(
        hamiltonians.ising(2), "tree", optimizer, num_starts=2, max_steps=400, tolerance=1e-6, seed=1
    )
    best = kg.vqe(hamiltonians.ising(2), "tree").energy
    assert result.energy == pytest.approx(best, abs=2e-3)


@pytest.mark.parametrize("options", [
    {"executor": "reference"}, {"gradient": kg.ParameterShift()}, {"threads": 1},
])  # fmt: skip
def test_vqe_gives_the_same_energy_by_every_route(options):
    start = np.linspace(-1, 1, 5)
    results = [kg.vqe(hamiltonians.ising(3), "tree", start=start, **more) for more in ({}, options)]
    assert results[0].energy == pytest.approx(results[1].energy, abs=1e-8)


def test_the_same_seed_gives_the_same_bits():
    one, two, other = (kg.vqe(hamiltonians.ising(3), "tree", num_starts=2, seed=s) for s in (4, 4, 5))
    assert one.weights.tobytes() == two.weights.tobytes() != other.weights.tobytes()


def test_the_result_of_vqe_holds_what_happened():
    result = kg.vqe(hamiltonians.ising(3), "tree", num_starts=3)
    assert len(result.energies) == 3
    assert result.energy == pytest.approx(min(result.energies))
    assert result.history[-1] == pytest.approx(result.energy)
    energy = kg.expectation(result.circuit, hamiltonians.ising(3))(result.weights)[0]
    assert energy == pytest.approx(result.energy, abs=1e-12)
    text = str(result)
    assert "best of 3 starts" in text
    assert f"{result.energy:.10f}" in text
    assert f"{result.exact:.10f}" in text


def test_vqe_says_when_the_exact_energy_is_not_computed():
    result = kg.vqe(hamiltonians.ising(13), "tree", num_starts=1, max_steps=2)
    assert (result.exact, result.error) == (None, None)
    assert "not computed beyond 12 qubits" in str(result)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_qaoa_cuts_the_known_share_of_a_ring(depth):
    """(2p + 1) / (2p + 2) of an even ring longer than 2p; Farhi et al. 2014, arXiv:1411.4028."""
    n = 2 * depth + 2
    result = kg.qaoa(nx.cycle_graph(n), depth)
    assert result.expected / n == pytest.approx((2 * depth + 1) / (2 * depth + 2), abs=1e-6)
    assert (result.optimum, result.best_value) == (n, n)
    assert result.approximation_ratio == pytest.approx(result.expected / n)


def test_qaoa_finds_the_fixed_angles_of_cubic_graphs():
    result = kg.qaoa(nx.complete_bipartite_graph(3, 3))
    assert abs(result.weights) == pytest.approx([np.arctan(np.sqrt(0.5)), np.pi / 8], abs=1e-6)


def brute_force(matrix):
    n = len(matrix)
    bits = np.array([[b >> (n - 1 - q) & 1 for q in range(n)] for b in range(2**n)])
    costs = np.einsum("bi,ij,bj->b", bits, matrix, bits)
    return costs.min(), "".join(map(str, bits[costs.argmin()])), costs


def test_qaoa_minimises_a_qubo():
    matrix = np.random.default_rng(1).normal(size=(5, 5))
    least, bits, costs = brute_force(matrix)
    result = kg.qaoa(matrix, depth=3)
    assert result.sense == "cost"
    assert (result.optimum, result.optimum_bits) == (pytest.approx(least), bits)
    assert result.best_value == pytest.approx(costs[int(result.best_bits, 2)])
    assert least - 1e-9 <= result.expected < costs.mean()
    assert result.approximation_ratio == pytest.approx(
        (costs.max() - result.expected) / (costs.max() - least)
    )


def test_qaoa_takes_the_same_problem_in_every_form():
    edges = [(0, 1, 1.0), (1, 2, 2.0), (0, 2, 1.5)]
    graph = nx.Graph()
    graph.add_weighted_edges_from(edges)
    cut = kg.qaoa(edges, seed=3)
    assert cut.sense == "cut"
    assert kg.qaoa(graph, seed=3).expected == cut.expected
    energy = kg.qaoa(hamiltonians.maxcut(edges), seed=3)
    assert (energy.sense, energy.expected) == ("energy", -cut.expected)
    assert energy.weights.tobytes() == cut.weights.tobytes()
    matrix = {(0, 1): 4.0, (0, 0): -1.0, (1, 1): -1.0}
    assert kg.qaoa(matrix).expected == pytest.approx(kg.qaoa(np.array([[-1.0, 4.0], [0.0, -1.0]])).expected)


COUPLINGS = {("a", "b"): 4.0, ("b", "c"): -3.0, ("a", "a"): -1.0, ("c", "c"): 0.5, ("b", "b"): -1.0}
MATRIX = np.array([[-1.0, 4.0, 0.0], [0.0, -1.0, -3.0], [0.0, 0.0, 0.5]])
FRAME = pd.DataFrame(MATRIX, index=list("abc"), columns=list("abc"))
NAMED = {  # each the same problem as MATRIX, with the names of its bits
    "array": (MATRIX, (0, 1, 2)),
    "numbers": ({(0, 1): 4.0, (1, 2): -3.0, (0, 0): -1.0, (2, 2): 0.5, (1, 1): -1.0}, (0, 1, 2)),
    "names": (COUPLINGS, ("a", "b", "c")),
    "pairs as names": (
        {tuple((k, "q") for k in key): v for key, v in COUPLINGS.items()}, (("a", "q"), ("b", "q"), ("c", "q"))
    ),
    "frame": (FRAME, ("a", "b", "c")),
    "frame with numbered rows": (FRAME.reset_index(drop=True), ("a", "b", "c")),
    "frame with rows in another order": (FRAME.loc[["c", "a", "b"]], ("a", "b", "c")),
    "frame of numbers": (pd.DataFrame(MATRIX), (0, 1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("form", NAMED)
def test_qaoa_takes_a_matrix_in_every_form_and_keeps_its_names(form):
    problem, names = NAMED[form]
    result, plain = kg.qaoa(problem, 2, num_starts=2), kg.qaoa(MATRIX, 2, num_starts=2)
    assert result.sense == "cost" and result.nodes == names
    assert (result.expected, result.best_bits, result.optimum) == (
        plain.expected,
        plain.best_bits,
        plain.optimum,
    )
    least, bits, _ = brute_force(MATRIX)
    assert (result.optimum, result.optimum_bits) == (pytest.approx(least), bits)


def graph_of_names():
    graph = nx.Graph()
    graph.add_nodes_from(["rome", "oslo", "bern"])
    graph.add_edge("oslo", "bern", weight=2.0)
    graph.add_edge("rome", "bern")
    return graph


GRAPHS = {
    "networkx": (graph_of_names(), ("rome", "oslo", "bern")),
    "edges of names": ([("rome", "oslo", 2.0), ("oslo", "bern")], ("rome", "oslo", "bern")),
    "a generator of edges": (iter([("b", "a"), ("a", "c")]), ("b", "a", "c")),
    "edges of numbers": ([(2, 0), (0, 1)], (0, 1, 2)),
    "an energy": (kg.Pauli("Z0 Z2"), (0, 1, 2)),
}


@pytest.mark.parametrize("form", GRAPHS)
def test_qaoa_names_the_bits_of_graphs_in_their_order(form):
    problem, names = GRAPHS[form]
    result = kg.qaoa(problem, num_starts=2)
    assert result.nodes == names and len(result.best_bits) == len(names)


def test_the_names_of_a_cut_belong_to_its_bits():
    result = kg.qaoa(graph_of_names(), 2)
    side = dict(zip(result.nodes, result.best_bits, strict=True))
    assert side["rome"] == side["oslo"] != side["bern"] and result.best_value == 3.0


def test_a_matrix_that_looks_like_a_graph_is_warned_of():
    graph = nx.cycle_graph(4)
    for matrix in (
        nx.to_numpy_array(graph),
        nx.to_numpy_array(graph, dtype=int),
        nx.to_pandas_adjacency(graph),
    ):
        with pytest.warns(UserWarning, match=r"adjacency matrix .* QUBO.*kg\.hamiltonians\.maxcut") as caught:
            assert kg.qaoa(matrix, num_starts=1).optimum == 0.0
        assert caught[0].filename == __file__
    for matrix in (MATRIX, np.triu(np.ones((3, 3)), 1), np.ones((3, 3)), 2 * nx.to_numpy_array(graph)):
        kg.qaoa(matrix, num_starts=1)  # warnings are errors here


def test_qaoa_keeps_nodes_without_edges():
    graph = nx.Graph([(0, 1)])
    graph.add_node(2)
    result = kg.qaoa(graph)
    assert len(result.best_bits) == 3
    assert result.optimum == 1


def test_the_result_of_qaoa_reads_well():
    text = str(kg.qaoa(nx.cycle_graph(4), 1, num_starts=2))
    assert text.splitlines()[0] == "Largest cut of 4 bits by QAOA, depth 1"
    assert "optimum  4 at 0101   approximation ratio 0.75" in text


def interrupting(monkeypatch, after):
    """Let the energy raise KeyboardInterrupt after that many evaluations."""
    calls = []
    original = several_starts.energy_and_gradient

    def loss(function):
        energy = original(function)

        def counted(weights):
            calls.append(1)
            if len(calls) > after:
                raise KeyboardInterrupt
            return energy(weights)

        return counted

    monkeypatch.setattr(several_starts, "energy_and_gradient", loss)


@pytest.mark.parametrize("after", [3, 30])
def test_an_interrupt_returns_the_best_of_all_starts_so_far(monkeypatch, after):
    interrupting(monkeypatch, after)
    result = kg.vqe(hamiltonians.ising(3), "tree", num_starts=20)
    assert result.interrupted
    assert result.energy == pytest.approx(min(result.energies))
    assert str(result).splitlines()[-1].startswith("interrupted, ")


def test_an_interrupt_before_the_first_energy_passes_through(monkeypatch):
    interrupting(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        kg.vqe(hamiltonians.ising(3), "tree")


@pytest.mark.parametrize("num_qubits", [45, 64, 10**6])
def test_problems_that_do_not_fit_are_refused_at_once(num_qubits):
    pair, star = kg.Pauli(f"Z0 Z{num_qubits - 1}"), [(0, q) for q in range(1, min(num_qubits - 1, 100))]
    edges = [*star, (0, num_qubits - 1)]
    for call in (lambda: kg.vqe(pair), lambda: kg.vqe(pair, "tree"), lambda: kg.qaoa(edges)):
        with pytest.raises(KetgradMemoryError, match=r"the state of \d+ qubits needs .* usable"):
            call()


def test_wide_problems_run_where_their_terms_see_few_qubits():
    """A ring of 100 nodes: at depth 1 every edge is cut with probability 3/4 (Farhi et al. 2014, section IV)."""
    ring = kg.qaoa([(q, (q + 1) % 100) for q in range(100)])
    assert ring.expected == pytest.approx(75, abs=1e-6)
    assert ring.best_bits is None and ring.best_value is None
    assert "no bit string: to measure one takes the state of 100 qubits" in str(ring)
    chain = kg.vqe(hamiltonians.ising(60), kg.ansatz.hardware_efficient(60, 1), num_starts=1, max_steps=60)
    exact = 1 - 1 / math.sin(math.pi / (2 * (2 * 60 + 1)))  # free fermions, open chain at the critical field
    assert exact < chain.energy < 0.95 * exact


@pytest.mark.parametrize(
    "seed", [None, 0, 2**64, np.int64(3), np.random.SeedSequence(1), np.random.default_rng(0)]
)
def test_seeds_of_every_documented_form_are_taken(seed):
    assert kg.vqe(hamiltonians.ising(2), "tree", num_starts=2, seed=seed).error < 0.5
    assert kg.qaoa([(0, 1)], seed=seed).best_value == 1


REFUSED = [
    (lambda: kg.vqe(kg.Pauli("1j Z0")), "`hamiltonian` must be Hermitian"),
    (lambda: kg.vqe("Z0"), "`hamiltonian` must be a PauliSum"),
    (lambda: kg.vqe(kg.Pauli("Z0"), "trees"), "There is no ansatz 'trees'"),
    (lambda: kg.vqe(kg.Pauli("Z0"), 3), "`ansatz` must be a kg.Circuit, but is int"),
    (lambda: kg.vqe(kg.Pauli("Z0"), kg.encodings.angle(1)), r"`ansatz` must have no inputs .* x\[0\]"),
    (lambda: kg.vqe(kg.Pauli("Z0"), kg.Circuit([kg.h(0)])), "`ansatz` must have weights"),
    (lambda: kg.vqe(kg.Pauli("Z2"), kg.Circuit([kg.ry(kg.w[0], 0)])), "`ansatz` must have at least 3 qubits"),
    (lambda: kg.vqe(kg.Pauli("Z0"), start=[0.0]), r"`start` must have shape \(4,\) or \(starts, 4\)"),
    (lambda: kg.vqe(kg.Pauli("Z0"), num_starts=0), "`num_starts` must be at least 1"),
    (lambda: kg.vqe(kg.Pauli("Z0"), start=[1j] * 4), "`start`"),
    (lambda: kg.vqe(kg.Pauli("Z0"), start=[np.nan] * 4), "`start` must be finite"),
    (lambda: kg.qaoa(FRAME.rename(columns={"a": "z"})), "same names on its rows as on its columns"),
    (lambda: kg.qaoa(pd.DataFrame(MATRIX, columns=["a", "a", "b"])), "columns of different names"),
    (lambda: kg.qaoa({("a", "b", "c"): 1.0}), "`matrix`"),
    (lambda: kg.qaoa({(0.5, 1): 1.0}), "`matrix`"),
    (lambda: kg.qaoa([("a", "a")]), "`graph`"),
    (lambda: kg.qaoa("ab"), "`graph` must be"),
    (lambda: kg.vqe(kg.Pauli("Z0"), optimizer="sgd"), "The names are 'adam'"),
    (lambda: kg.qaoa([(0, 1)], optimizer="sgd"), "The names are 'adam'"),
    (lambda: kg.qaoa([(0, 1)], 0), "`depth` must be at least 1"),
    (lambda: kg.qaoa(kg.Pauli("X0")), "sum of words of Z"),
    (lambda: kg.qaoa(3), "`graph` must be a networkx graph"),
    (lambda: kg.qaoa([(0, 1)], shots=0), "`shots`"),
    (lambda: kg.qaoa([(0, 1)], seed=-1), "`seed` must not be negative"),
]


@pytest.mark.parametrize("call, message", REFUSED)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(KetgradError, match=message):
        call()
