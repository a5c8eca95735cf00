"""Hamiltonians as Pauli sums: spin chains, MaxCut, QUBO, molecules, and their exact ground states.

All are energies: lower is better, and the ground state is the solution.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from numbers import Real
from typing import Any

import numpy as np

from ketgrad.circuits.entanglement import qubit_groups
from ketgrad.circuits.paulis import Pauli, PauliSum, check_hermitian, reverse_bits
from ketgrad.foundation.arrays import as_array, sequence_of
from ketgrad.foundation.blas import one_blas_thread
from ketgrad.foundation.errors import KetgradError, KetgradTypeError, KetgradValueError, near_matches, shown
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import check_count, check_number, flag
from ketgrad.foundation.seeds import stream

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


Edge = tuple[int, int, float]

DENSE = 6  # qubits up to which a ground state comes from the dense matrix; Lanczos is faster beyond


def ising(
    num_qubits: int,
    coupling: float = 1.0,
    field: float = 1.0,
    longitudinal: float = 0.0,
    periodic: bool = False,
) -> PauliSum:
    """The transverse-field Ising chain: - coupling sum Z_i Z_{i+1} - field sum X_i - longitudinal sum Z_i.

    periodic: a ring (3 qubits or more) instead of an open chain. Cost: O(num_qubits) words.
    Raises `KetgradValueError` for fewer qubits and for parameters that are not finite.

    Pfeuty 1970, doi:10.1016/0003-4916(70)90270-8.

    >>> ising(2, field=0.5)
    Pauli('-0.5 X0 - 0.5 X1 - 1.0 Z0 Z1')
    """
    zz, along_x, along_z = (
        -check_number(value, name)
        for value, name in ((coupling, "coupling"), (field, "field"), (longitudinal, "longitudinal"))
    )
    words = _chain(num_qubits, periodic, {"ZZ": zz})
    return PauliSum.collect([*words, *_everywhere(num_qubits, {"X": along_x, "Z": along_z})])


def heisenberg(
    num_qubits: int,
    coupling: float | tuple[float, float, float] = 1.0,
    field: float = 0.0,
    periodic: bool = False,
) -> PauliSum:
    """The Heisenberg chain: sum (J_x X X + J_y Y Y + J_z Z Z)_{i,i+1} + field sum Z_i.

    coupling: one J, or (J_x, J_y, J_z); positive is antiferromagnetic. In Pauli matrices: spin matrices are half
    of them. periodic: a ring (3 qubits or more). Cost: O(num_qubits) words.
    Raises `KetgradValueError` for fewer qubits and for parameters that are not finite.

    Bethe 1931, doi:10.1007/BF01341708.

    >>> len(heisenberg(4))
    9
    """
    given = (
        (coupling,) * 3 if isinstance(coupling, Real) else sequence_of(coupling, "coupling", "(1, 1, 0.5)")
    )
    if len(given) != 3:
        raise KetgradValueError(
            f"`coupling` must be one number or three, (J_x, J_y, J_z), but has {len(given)}."
        )
    couplings = (check_number(value, "coupling") for value in given)
    words = _chain(num_qubits, periodic, dict(zip(("XX", "YY", "ZZ"), couplings, strict=True)))
    return PauliSum.collect([*words, *_everywhere(num_qubits, {"Z": check_number(field, "field")})])


def xy(
    num_qubits: int,
    coupling: float = 1.0,
    anisotropy: float = 0.0,
    field: float = 0.0,
    periodic: bool = False,
) -> PauliSum:
    """The XY chain: coupling sum ((1 + a) / 2 X X + (1 - a) / 2 Y Y)_{i,i+1} + field sum Z_i, a = anisotropy.

    periodic: a ring (3 qubits or more). Cost: O(num_qubits) words.
    Raises `KetgradValueError` for fewer qubits and for parameters that are not finite.

    Lieb, Schultz and Mattis 1961, doi:10.1016/0003-4916(61)90115-4.

    >>> xy(2)
    Pauli('0.5 X0 X1 + 0.5 Y0 Y1')
    """
    half, part = check_number(coupling, "coupling") / 2, check_number(anisotropy, "anisotropy")
    words = _chain(num_qubits, periodic, {"XX": half * (1 + part), "YY": half * (1 - part)})
    return PauliSum.collect([*words, *_everywhere(num_qubits, {"Z": check_number(field, "field")})])


def maxcut(graph: Any) -> PauliSum:
    """The energy of a cut is minus its weight: - sum over edges of weight (1 - Z_i Z_j) / 2.

    graph: a networkx graph (nodes become qubits in the order of `graph.nodes`; the edge attribute "weight" counts,
    1 if absent), a list of edges (i, j) or (i, j, weight) between integers, or a symmetric adjacency matrix (array).
    A ground state is a largest cut: bit q says on which side node q lies. Cost: one word per edge.
    Raises `KetgradValueError` for loops, edges that are named twice, directed graphs, matrices that are not
    symmetric, and weights that are not finite.

    Farhi et al. 2014, arXiv:1411.4028.

    >>> maxcut([(0, 1), (1, 2)])
    Pauli('-1.0 + 0.5 Z0 Z1 + 0.5 Z1 Z2')
    """
    _, edges = graph_edges(graph)
    return PauliSum.collect(
        word for i, j, weight in edges for word in ((0, 0, -weight / 2), (0, 1 << i | 1 << j, weight / 2))
    )


def qubo(matrix: Any, offset: float = 0.0) -> PauliSum:
    """The cost sum_ij Q_ij b_i b_j + offset of bits b, with b_i = (1 - Z_i) / 2.

    matrix: (n, n) real numbers, symmetric or not, or a dictionary {(i, j): Q_ij} whose keys are pairs of integers;
    (i, i) is the linear term. A ground state is a cheapest bit string. Cost: one word per pair that occurs.
    Raises `KetgradValueError` for matrices that are not square and entries that are not finite.

    Lucas 2014, arXiv:1302.5843.

    >>> qubo([[1, -3], [0, 1]])
    Pauli('0.25 + 0.25 Z0 + 0.25 Z1 - 0.75 Z0 Z1')
    """
    words: list[tuple[int, int, float]] = [(0, 0, check_number(offset, "offset"))]
    for (i, j), value in _qubo_entries(matrix):
        a, b = 1 << i, 1 << j
        if i == j:
            words += [(0, 0, value / 2), (0, a, -value / 2)]
        else:
            words += [(0, 0, value / 4), (0, a, -value / 4), (0, b, -value / 4), (0, a | b, value / 4)]
    return PauliSum.collect(words)


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


@dataclass(frozen=True, eq=False)
class GroundState:
    """The lowest energy and a state that has it: (2**n,) amplitudes, qubit 0 most significant."""

    energy: float
    state: np.ndarray


def exact_ground_state(hamiltonian: PauliSum, num_qubits: int | None = None) -> GroundState:
    """The lowest eigenvalue of a Hamiltonian and an eigenvector, by diagonalisation.

    num_qubits: None for as many as the Hamiltonian acts on. A sum of Z words is read off its diagonal, up to 6
    qubits are diagonalised densely, more by Lanczos iteration (scipy's eigsh) without a matrix.
    Cost: Lanczos a few hundred times (distinct flips) 2**n; memory about 24 vectors of 2**n numbers, checked before.
    Raises `KetgradValueError` if the sum is not Hermitian, `KetgradMemoryError` if it does not fit.

    >>> round(exact_ground_state(ising(4, periodic=True)).energy, 7)
    -5.2262519
    """
    size = num_qubits_of(hamiltonian, num_qubits)
    real = all((x & z).bit_count() % 2 == 0 for x, z, _ in hamiltonian.terms)
    item = 8 if real else 16
    flips = len({x for x, _, _ in hamiltonian.terms})
    vectors = flips + (24 if size > DENSE else 2 * 2**size) if any(x for x, _, _ in hamiltonian.terms) else 3
    reserve(
        vectors * item << min(size, 10_000),
        f"the exact ground state of {size} qubits",
        "Use kg.vqe for an upper bound.",
    )
    diagonals = _diagonals(hamiltonian, size, real)
    if set(diagonals) <= {0}:
        diagonal = np.real(diagonals.get(0, np.zeros(2**size)))
        state = np.zeros(2**size)
        state[diagonal.argmin()] = 1.0
        return GroundState(float(diagonal.min()), state)
    if size <= DENSE:
        values, states = np.linalg.eigh(
            np.real(hamiltonian.matrix(size)) if real else hamiltonian.matrix(size)
        )
        return GroundState(float(values[0]), states[:, 0])
    return _lanczos(diagonals, 2**size, float if real else complex)


def diagonal_energies(hamiltonian: PauliSum, num_qubits: int | None = None) -> np.ndarray:
    """The energies of all bit strings under a sum of Z words: (2**n,) float64, qubit 0 the most significant bit.

    Cost: n * 2**n additions, memory 2 * 2**n * 8 bytes, checked before. Raises `KetgradValueError` if a word is not
    diagonal, `KetgradMemoryError` if the energies do not fit.

    >>> diagonal_energies(maxcut([(0, 1)]))
    array([ 0., -1., -1.,  0.])
    """
    size = num_qubits_of(hamiltonian, num_qubits)
    if any(x for x, _, _ in hamiltonian.terms):
        raise KetgradValueError(f"`hamiltonian` must be a sum of words of Z, but is {hamiltonian}.")
    reserve(3 * 8 << min(size, 10_000), f"the energies of the bit strings of {size} qubits")
    return _diagonals(hamiltonian, size, real=True).get(0, np.zeros(2**size))


def num_qubits_of(hamiltonian: PauliSum, num_qubits: int | None = None) -> int:
    """The size of the register of an observable: as given, or as many qubits as it acts on, at least one.

    >>> num_qubits_of(kg.Pauli("Z0 Z2")), num_qubits_of(kg.Pauli("Z0"), 4)
    (3, 4)
    """
    if not isinstance(hamiltonian, PauliSum):
        raise KetgradTypeError(
            f"`hamiltonian` must be a PauliSum such as kg.Pauli('Z0 Z1'), but is {type(hamiltonian).__name__}."
        )
    check_hermitian(hamiltonian, "hamiltonian", "an energy is real")
    least = max(1, hamiltonian.num_qubits)
    size = least if num_qubits is None else check_count(num_qubits, "num_qubits")
    if size < least:
        raise KetgradValueError(
            f"`num_qubits` must be at least {least} - the Hamiltonian acts on them - but is {size}."
        )
    return size


def graph_edges(graph: Any) -> tuple[int, tuple[Edge, ...]]:
    """The number of nodes and the edges (i, j, weight), i < j, of a graph in any of the forms of `maxcut`.

    >>> graph_edges([(1, 0), (1, 2, 0.5)])
    (3, ((0, 1, 1.0), (1, 2, 0.5)))
    """
    if hasattr(graph, "nodes") and hasattr(graph, "edges"):
        return _networkx_edges(graph)
    if isinstance(graph, np.ndarray):
        return _matrix_edges(graph)
    if isinstance(graph, str | bytes | Mapping) or not isinstance(graph, Iterable):
        raise KetgradTypeError(
            "`graph` must be a networkx graph, a list of edges (i, j) or (i, j, weight), or an adjacency matrix, but "
            f"is {type(graph).__name__}."
        )
    return _listed_edges(graph)


def _networkx_edges(graph: Any) -> tuple[int, tuple[Edge, ...]]:
    if graph.is_directed() or graph.is_multigraph():
        raise KetgradValueError("`graph` must be undirected with single edges: a cut has no direction.")
    number = {node: k for k, node in enumerate(graph.nodes)}
    edges = [(number[a], number[b], graph.edges[a, b].get("weight", 1.0)) for a, b in graph.edges]
    return len(number), _checked_edges(edges)


def _matrix_edges(matrix: np.ndarray) -> tuple[int, tuple[Edge, ...]]:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype.kind not in "fiub":
        raise KetgradValueError(
            f"`graph` as an array must be a real (n, n) adjacency matrix, but has dtype {matrix.dtype} and shape "
            f"{matrix.shape}. Edges are given as a list of pairs."
        )
    unequal = np.argwhere(matrix != matrix.T)
    if len(unequal):
        i, j = (int(k) for k in unequal[0])
        raise KetgradValueError(
            "`graph` as an array must be symmetric - a cut has no direction - but entries "
            f"({i}, {j}) and ({j}, {i}) are {matrix[i, j]} and {matrix[j, i]}."
        )
    rows, columns = np.nonzero(np.triu(matrix))
    return len(matrix), _checked_edges(
        (int(i), int(j), float(matrix[i, j])) for i, j in zip(rows, columns, strict=True)
    )


def _listed_edges(graph: Iterable[Any]) -> tuple[int, tuple[Edge, ...]]:
    edges = []
    for position, edge in enumerate(graph):
        if not isinstance(edge, tuple | list) or len(edge) not in (2, 3):
            raise KetgradTypeError(
                f"`graph` must hold edges (i, j) or (i, j, weight), but entry {position} is {edge!r}."
            )
        i, j = (check_count(node, f"graph[{position}]", 0) for node in edge[:2])
        edges.append((i, j, edge[2] if len(edge) == 3 else 1.0))
    checked = _checked_edges(edges)
    return 1 + max((j for _, j, _ in checked), default=-1), checked


def _checked_edges(edges: Iterable[tuple[int, int, Any]]) -> tuple[Edge, ...]:
    found: dict[tuple[int, int], float] = {}
    for a, b, weight in edges:
        i, j = min(a, b), max(a, b)
        if i == j:
            raise KetgradValueError(
                f"`graph` must have no loops - no cut separates a node from itself - but node {i} has."
            )
        if (i, j) in found:
            raise KetgradValueError(f"`graph` must name each edge once, but names ({i}, {j}) twice.")
        found[i, j] = _finite(weight, f"The weight of the edge ({i}, {j})")
    if not found:
        raise KetgradValueError("`graph` must have at least one edge, but has none.")
    return tuple((i, j, weight) for (i, j), weight in sorted(found.items()))


def _qubo_entries(matrix: Any) -> Iterator[tuple[tuple[int, int], float]]:
    if isinstance(matrix, Mapping):
        for key, value in matrix.items():
            if not isinstance(key, tuple) or len(key) != 2:
                raise KetgradTypeError(
                    f"`matrix` must have pairs of integers (i, j) as keys, but has {key!r}."
                )
            i, j = (check_count(k, "matrix", 0) for k in key)
            yield (i, j), _finite(value, f"`matrix[{i}, {j}]`")
        return
    array = as_array(matrix, "matrix")
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.dtype.kind not in "fiub":
        raise KetgradValueError(
            f"`matrix` must be a real (n, n) matrix, but has dtype {array.dtype} and shape {array.shape}."
        )
    for i, j in zip(*np.nonzero(array), strict=True):
        yield (int(i), int(j)), _finite(array[i, j], f"`matrix[{i}, {j}]`")


def _chain(num_qubits: int, periodic: bool, words: Mapping[str, float]) -> Iterator[tuple[int, int, float]]:
    size = check_count(num_qubits, "num_qubits", 3 if flag(periodic, "periodic") else 1)
    reserve(size * size, f"the words of a chain of {size} qubits")  # each word is a number of so many bits
    for i, j in qubit_groups("ring" if periodic else "linear", size):
        pair = 1 << i | 1 << j
        for word, coefficient in words.items():
            yield pair * (word != "ZZ"), pair * (word != "XX"), coefficient


def _everywhere(num_qubits: int, letters: Mapping[str, float]) -> Iterator[tuple[int, int, float]]:
    for letter, coefficient in letters.items():
        for q in range(num_qubits):
            yield (letter == "X") << q, (letter == "Z") << q, coefficient


def _finite(value: Any, name: str) -> float:
    try:
        return check_number(value, name)
    except KetgradError:
        raise KetgradValueError(f"{name} must be a finite real number, but is {shown(value)}.") from None


def _diagonals(hamiltonian: PauliSum, size: int, real: bool) -> dict[int, np.ndarray]:
    """For each flip mask f the vector d with (H v)[b] = sum_f d_f[b] v[b ^ f]; masks in basis-index order."""
    diagonals: dict[int, np.ndarray] = {}
    for x, z, coefficient in hamiltonian.terms:
        flip, parity = reverse_bits(x, size), reverse_bits(z, size)
        # a word i^|x&z| X^x Z^z takes b ^ f to b with the sign (-1)^|z & (b ^ f)|
        sign = 1 - 2 * ((flip & parity).bit_count() % 2)
        factor = complex(coefficient) * 1j ** ((x & z).bit_count() % 4) * sign
        by_parity = diagonals.setdefault(flip, np.zeros(2**size, dtype=float if real else complex))
        by_parity[parity] += factor.real if real else factor
    for by_parity in diagonals.values():
        _walsh_hadamard(by_parity)
    return diagonals


def _walsh_hadamard(vector: np.ndarray) -> None:
    """In place, vector[b] becomes sum_z vector[z] (-1)^|z & b|: n sweeps instead of one per word."""
    half = 1
    while half < len(vector):
        pairs = vector.reshape(-1, 2, half)
        difference = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] += pairs[:, 1]
        pairs[:, 1] = difference
        half *= 2


def _lanczos(diagonals: Mapping[int, np.ndarray], dimension: int, dtype: type) -> GroundState:
    from scipy.sparse.linalg import LinearOperator, eigsh

    rows = np.arange(dimension)

    def apply(vector: np.ndarray) -> np.ndarray:
        flat = vector.ravel()
        total = np.zeros(dimension, dtype=np.result_type(flat, dtype))
        for flip, diagonal in diagonals.items():
            total += diagonal * (flat[rows ^ flip] if flip else flat)
        return total

    # a fixed start makes the answer reproducible; a random one overlaps with every symmetry sector
    start = stream(0).standard_normal(dimension).astype(dtype)
    operator = LinearOperator((dimension, dimension), matvec=apply, dtype=np.dtype(dtype))
    with one_blas_thread():
        values, states = eigsh(operator, k=1, which="SA", v0=start, ncv=20)
    return GroundState(float(values[0]), states[:, 0])


@lru_cache(maxsize=1)
def _molecules() -> dict[str, Any]:
    folder = files("ketgrad.problems")
    found = [
        json.loads(entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".json")
    ]
    return {record["name"]: record for record in found}
