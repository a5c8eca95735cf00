"""Layer 8: Hamiltonians as Pauli sums: spin chains, MaxCut, QUBO, molecules, and their exact ground states.

All are energies: lower is better, and the ground state is the solution. On `kg` as `kg.problems` and `kg.hamiltonians`.
"""

from __future__ import annotations

from ketgrad.problems.binary import qubo
from ketgrad.problems.exact import GroundState, diagonal_energies, exact_ground_state, num_qubits_of
from ketgrad.problems.graphs import graph_edges, maxcut
from ketgrad.problems.molecules import Molecule, molecule, molecule_data
from ketgrad.problems.spins import heisenberg, ising, xy

__all__ = [
    "GroundState",
    "Molecule",
    "diagonal_energies",
    "exact_ground_state",
    "graph_edges",
    "heisenberg",
    "ising",
    "maxcut",
    "molecule",
    "molecule_data",
    "num_qubits_of",
    "qubo",
    "xy",
]


def __dir__() -> list[str]:
    return __all__
