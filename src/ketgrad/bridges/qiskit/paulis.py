"""Pauli sums of qiskit and ours. Qiskit's qubit 0 is the rightmost letter of a label; the numbers are the same."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from qiskit.quantum_info import Operator, Pauli, SparsePauliOp

from ketgrad.circuits.pauli_words import LETTERS, letters
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradIndexError, KetgradTypeError, KetgradValueError

# Letters of a sparse observable that stand for projectors: (|0><0|) is (I + Z) / 2.
_PROJECTORS = {"0": ("Z", 1), "1": ("Z", -1), "+": ("X", 1), "-": ("X", -1), "r": ("Y", 1), "l": ("Y", -1)}


def from_sparse_pauli_op(operator: Any) -> PauliSum:
    """The Pauli sum of a `SparsePauliOp`, `Pauli`, `SparseObservable` or label; qubit numbers are kept.

    Qiskit writes qubit 0 rightmost: the label "ZX" is Z on qubit 1 and X on qubit 0.
    Cost: linear in the terms; 2**k terms for k projectors of a `SparseObservable`.
    Raises `KetgradTypeError` for anything else, `KetgradValueError` for coefficients that are unbound parameters.

    >>> from qiskit.quantum_info import SparsePauliOp
    >>> kg.qiskit.from_sparse_pauli_op(SparsePauliOp(["ZX", "II"], [0.5, 2]))
    Pauli('2.0 + 0.5 X0 Z1')
    """
    if isinstance(operator, PauliSum):
        return operator
    if isinstance(operator, str | Pauli):
        operator = SparsePauliOp(operator)
    elif isinstance(operator, Operator):
        operator = SparsePauliOp.from_operator(operator)
    if hasattr(operator, "to_sparse_list") and not isinstance(operator, SparsePauliOp):
        return PauliSum.collect(_words(operator.to_sparse_list()))
    if not isinstance(operator, SparsePauliOp):
        raise KetgradTypeError(
            f"`operator` must be a SparsePauliOp, Pauli, SparseObservable or label such as 'ZX', but is "
            f"{type(operator).__name__}."
        )
    if operator.coeffs.dtype == object:
        coefficients = [_bound(coefficient) for coefficient in operator.coeffs]
    else:
        coefficients = operator.coeffs.tolist()
    phases = (-1j) ** np.asarray(operator.paulis.phase)
    terms = zip(_masks(operator.paulis.x), _masks(operator.paulis.z), phases * coefficients, strict=True)
    return PauliSum.collect((x, z, complex(coefficient)) for x, z, coefficient in terms)


def to_sparse_pauli_op(observable: PauliSum, num_qubits: int | None = None) -> SparsePauliOp:
    """The `SparsePauliOp` of a Pauli sum; qubit q of the sum is qubit q of qiskit, the q-th letter from the right.

    num_qubits: of the result; None for as few as the sum needs (at least 1).
    Raises `KetgradIndexError` if the sum acts on more.

    >>> kg.qiskit.to_sparse_pauli_op(kg.Pauli("0.5 X0 Z1"), 3)
    SparsePauliOp(['IZX'],
                  coeffs=[0.5+0.j])
    """
    if not isinstance(observable, PauliSum):
        raise KetgradTypeError(f"`observable` must be a Pauli sum, but is {type(observable).__name__}.")
    size = max(observable.num_qubits, 1) if num_qubits is None else num_qubits
    if size < observable.num_qubits:
        raise KetgradIndexError(
            f"`num_qubits` must be at least {observable.num_qubits} - the sum acts on qubit "
            f"{observable.num_qubits - 1} - but is {num_qubits}."
        )
    entries = [
        ("".join(letter for _, letter in word), [qubit for qubit, _ in word], coefficient)
        for x, z, coefficient in observable.terms
        for word in (letters(x, z),)
    ]
    return SparsePauliOp.from_sparse_list(entries or [("", [], 0.0)], num_qubits=size)


@lru_cache(maxsize=1024)
def sum_of_labels(terms: tuple[tuple[str, float], ...]) -> PauliSum:
    """The sum of (label, coefficient) pairs; letters of projectors are expanded."""
    entries = [(label[::-1], range(len(label)), coefficient) for label, coefficient in terms]
    return PauliSum.collect(_words(entries))


def _words(entries: Iterable[tuple[str, Iterable[int], complex]]) -> Iterable[tuple[int, int, complex]]:
    """The masks and coefficients of sparse entries (letters, qubits, coefficient)."""
    for word, qubits, coefficient in entries:
        parts = [(0, 0, complex(coefficient))]
        for letter, qubit in zip(word, qubits, strict=True):
            projector = _PROJECTORS.get(letter)
            x, z = LETTERS[letter if projector is None else projector[0]]
            turned = [(px | x << qubit, pz | z << qubit, c) for px, pz, c in parts]
            if projector is None:
                parts = turned
            else:
                parts = [(px, pz, c / 2) for px, pz, c in parts] + [
                    (px, pz, c * projector[1] / 2) for px, pz, c in turned
                ]
        yield from parts


def _masks(bits: Any) -> list[int]:
    """One integer per row of booleans; column q is bit q."""
    packed = np.packbits(np.asarray(bits), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def _bound(coefficient: Any) -> complex:
    free = getattr(coefficient, "parameters", ())
    if free:
        raise KetgradValueError(
            f"The coefficients of `operator` must be numbers, but one is {coefficient}. Assign its parameters first."
        )
    return complex(coefficient)
