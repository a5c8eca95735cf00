"""Exact answers: ground states by diagonalisation, and the energies of all bit strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ketgrad.circuits.pauli_words import reverse_bits
from ketgrad.circuits.paulis import PauliSum, check_hermitian
from ketgrad.foundation.blas import one_blas_thread
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import check_count
from ketgrad.foundation.seeds import stream

DENSE = 6  # qubits up to which a ground state comes from the dense matrix; Lanczos is faster beyond


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

    >>> round(exact_ground_state(kg.hamiltonians.ising(4, periodic=True)).energy, 7)
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

    >>> diagonal_energies(kg.hamiltonians.maxcut([(0, 1)]))
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
