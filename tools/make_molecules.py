"""Compute the molecules that ketgrad ships: src/ketgrad/molecules/*.json.

Needs PySCF and OpenFermion, which ketgrad itself never imports; run it in an environment of its own:

    python -m venv chemistry && chemistry/bin/pip install pyscf openfermion
    PYTHONPATH=src chemistry/bin/python tools/make_molecules.py          # writes the files
    PYTHONPATH=src chemistry/bin/python tools/make_molecules.py --check  # compares with the files

Each Hamiltonian is the electronic Hamiltonian in the molecular orbitals of restricted Hartree-Fock plus the nuclear
repulsion, mapped to qubits by Jordan and Wigner with alpha and beta spin orbitals in turn. The script stops if its
energies do not agree with PySCF's own Hartree-Fock and full configuration interaction.
"""

# The chemistry packages live in an environment of their own, where the type checker does not look:
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openfermion
import pyscf
from openfermion.chem.molecular_data import spinorb_from_spatial
from pyscf import ao2mo, fci, gto, scf

FOLDER = Path(__file__).resolve().parent.parent / "src" / "ketgrad" / "molecules"
BOND_LENGTHS = (0.5, 0.7, 0.735, 0.9, 1.1, 1.3, 1.5, 2.0, 2.5)  # angstrom; 0.7 is 1.322808 bohr
BOHR = 0.529177210903  # angstrom, CODATA 2018


def solve(bond_length: float) -> tuple[Any, np.ndarray, np.ndarray, float]:
    """Hartree-Fock, and the one- and two-electron integrals in its orbitals with PySCF's exact energy."""
    atoms = [("H", (0, 0, 0)), ("H", (0, 0, bond_length / BOHR))]
    field = scf.RHF(gto.M(atom=atoms, basis="sto-3g", unit="bohr", verbose=0))
    field.conv_tol = 1e-13
    field.kernel()
    orbitals = field.mo_coeff
    one = orbitals.T @ field.get_hcore() @ orbitals
    two = ao2mo.restore(1, ao2mo.kernel(field.mol, orbitals), orbitals.shape[1])
    exact = fci.FCI(field)
    exact.conv_tol = 1e-13
    return field, one, two, float(exact.kernel()[0])


def qubit_hamiltonian(field: Any, one: np.ndarray, two: np.ndarray) -> Any:
    """The Jordan-Wigner Hamiltonian; OpenFermion orders two-electron integrals as physicists do."""
    one_spin, two_spin = spinorb_from_spatial(one, two.transpose(0, 2, 3, 1))
    fermions = openfermion.InteractionOperator(field.energy_nuc(), one_spin, two_spin / 2)
    words = openfermion.jordan_wigner(fermions)
    words.compress(abs_tol=1e-12)
    return words


def geometry(bond_length: float) -> dict[str, Any]:
    """One entry of the file, checked against PySCF."""
    field, one, two, exact = solve(bond_length)
    words = qubit_hamiltonian(field, one, two)
    energies = np.linalg.eigvalsh(openfermion.get_sparse_operator(words, 4).toarray())
    determinant = openfermion.get_sparse_operator(words, 4)[0b1100, 0b1100].real
    for ours, theirs, what in ((energies[0], exact, "exact"), (determinant, field.e_tot, "Hartree-Fock")):
        if abs(ours - theirs) > 1e-9:
            sys.exit(f"H2 at {bond_length} A: {what} energy {ours:.12f}, but PySCF finds {theirs:.12f}.")
    return {
        "bond_length": bond_length,
        "geometry": f"H 0 0 0; H 0 0 {bond_length} (angstrom)",
        "hartree_fock_energy": round(float(field.e_tot), 10),
        "exact_energy": round(exact, 10),
        "hamiltonian": " + ".join(written(word, c.real) for word, c in sorted(words.terms.items())).replace(
            "+ -", "- "
        ),
    }


def written(word: tuple[tuple[int, str], ...], coefficient: float) -> str:
    """A term as ketgrad reads it, to 12 decimals."""
    return " ".join([f"{coefficient:.12f}", *(f"{letter}{qubit}" for qubit, letter in word)])


def hydrogen() -> dict[str, Any]:
    """The whole file h2.json."""
    return {
        "name": "H2",
        "basis": "STO-3G",
        "num_electrons": 2,
        "hartree_fock": "1100",
        "default_bond_length": 0.735,
        "units": "energies and coefficients in hartree, lengths in angstrom",
        "origin": "Computed by ketgrad's tools/make_molecules.py from the STO-3G basis set with PySCF "
        f"{pyscf.__version__} (Apache-2.0) and OpenFermion {openfermion.__version__} (Apache-2.0).",
        "licence": "Apache-2.0, as ketgrad; the numbers are facts computed from first principles.",
        "geometries": [geometry(length) for length in BOND_LENGTHS],
    }


def main() -> None:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description="Compute the molecules that ketgrad ships.")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    path = FOLDER / "h2.json"
    text = json.dumps(hydrogen(), indent=2) + "\n"
    if not parser.parse_args().check:
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        sys.exit(f"{path} differs from what was computed now.")
    print(f"{path}: {'written' if '--check' not in sys.argv else 'as computed'}")


if __name__ == "__main__":
    main()
