"""Molecules that are shipped, as sums over spin orbitals, with their reference energies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ketgrad.circuits.paulis import Pauli, PauliSum
from ketgrad.foundation.errors import KetgradValueError, near_matches, shown
from ketgrad.foundation.numbers import check_number


@dataclass(frozen=True)
class Molecule:
    """A molecule at a fixed geometry: its qubit Hamiltonian and what is known of it. Energies in hartree.

    Qubits are spin orbitals, alpha and beta in turn, after Jordan and Wigner; `hartree_fock` is the basis state of
    the Hartree-Fock determinant, `exact_energy` the full configuration interaction of the same basis set.
    """

    name: str
    geometry: str
    basis: str
    num_electrons: int
    hamiltonian: PauliSum
    hartree_fock: str
    hartree_fock_energy: float
    exact_energy: float
    origin: str
    licence: str


def molecule(name: str = "H2", bond_length: float | None = None) -> PauliSum:
    """The Hamiltonian of a molecule that is shipped with ketgrad, in hartree, identity term included.

    name: "H2" (STO-3G, 4 qubits, 15 words). bond_length: in angstrom, one of those shipped; None for 0.735.
    `molecule_data` returns the same with its reference energies, geometry and origin. Cost: reads one small file.
    Raises `KetgradValueError` for a molecule or a length that is not shipped.

    Computed by tools/make_molecules.py with PySCF (Sun et al. 2020, doi:10.1063/5.0006074) and OpenFermion
    (McClean et al. 2020, arXiv:1710.07629).

    >>> hydrogen = molecule("H2")
    >>> len(hydrogen), hydrogen.num_qubits
    (15, 4)
    """
    return molecule_data(name, bond_length).hamiltonian


def molecule_data(name: str = "H2", bond_length: float | None = None) -> Molecule:
    """A shipped molecule with its Hamiltonian, Hartree-Fock state and reference energies; see `molecule`.

    >>> molecule_data("H2").exact_energy
    -1.1373060358
    """
    known = _molecules()
    if not isinstance(name, str) or name not in known:
        raise KetgradValueError(
            f"No molecule {shown(name)} is shipped. {near_matches(str(name), list(known))}"
        )
    record = known[name]
    length = record["default_bond_length"]
    if bond_length is not None:
        length = check_number(bond_length, "bond_length")
    lengths = [entry["bond_length"] for entry in record["geometries"]]
    if length not in lengths:
        choice = ", ".join(map(str, lengths))
        raise KetgradValueError(
            f"`bond_length` must be one of those shipped for {name}, {choice}, but is {length!r}. The Hamiltonian of "
            "another geometry comes from a program for chemistry, as a Pauli sum: kg.Pauli('0.5 Z0 - 0.2 X0 X1')."
        )
    entry = record["geometries"][lengths.index(length)]
    return Molecule(
        name=name,
        geometry=entry["geometry"],
        basis=record["basis"],
        num_electrons=record["num_electrons"],
        hamiltonian=Pauli(entry["hamiltonian"]),
        hartree_fock=record["hartree_fock"],
        hartree_fock_energy=entry["hartree_fock_energy"],
        exact_energy=entry["exact_energy"],
        origin=record["origin"],
        licence=record["licence"],
    )


@lru_cache(maxsize=1)
def _molecules() -> dict[str, Any]:
    folder = files("ketgrad.problems")
    found = [
        json.loads(entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".json")
    ]
    return {record["name"]: record for record in found}
