"""Pauli sums of Cirq and ours: Cirq names qubits, ketgrad numbers them, so both ways take the list of qubits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cirq

from ketgrad.circuits.pauli_words import LETTERS, letters
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradIndexError, KetgradTypeError, KetgradValueError

_PAULIS = {"X": cirq.X, "Y": cirq.Y, "Z": cirq.Z}
_LETTERS = {cirq.I: "I", cirq.X: "X", cirq.Y: "Y", cirq.Z: "Z"}


def from_pauli_sum(observable: Any, qubits: Sequence[cirq.Qid]) -> PauliSum:
    """The Pauli sum of a `cirq.PauliSum` or `PauliString`; qubit k is qubits[k], as in `from_cirq(circuit).qubits`.

    Raises `KetgradValueError` for a qubit that is not in the list.

    >>> import cirq
    >>> a, b = cirq.LineQubit.range(2)
    >>> kg.cirq.from_pauli_sum(0.5 * cirq.Z(b) * cirq.X(a) - 2, [a, b])
    Pauli('-2.0 + 0.5 X0 Z1')
    """
    if isinstance(observable, cirq.SingleQubitPauliStringGateOperation):
        observable = cirq.PauliString(observable)
    if isinstance(observable, cirq.PauliString):
        observable = cirq.PauliSum.from_pauli_strings(observable)
    if not isinstance(observable, cirq.PauliSum):
        raise KetgradTypeError(
            f"`observable` must be a cirq.PauliSum or PauliString, but is {type(observable).__name__}."
        )
    number = {qubit: k for k, qubit in enumerate(qubits)}
    terms = []
    for string in observable:
        x = z = 0
        for qubit, pauli in string.items():
            if qubit not in number:
                raise KetgradValueError(
                    f"`observable` acts on {qubit}, which is not among the qubits {', '.join(map(str, qubits))}."
                )
            bit_x, bit_z = LETTERS[_LETTERS[pauli]]
            x, z = x | bit_x << number[qubit], z | bit_z << number[qubit]
        terms.append((x, z, complex(string.coefficient)))
    return PauliSum.collect(terms)


def to_pauli_sum(observable: PauliSum, qubits: Sequence[cirq.Qid] | None = None) -> cirq.PauliSum:
    """The `cirq.PauliSum` of a Pauli sum; qubit k becomes qubits[k], by default `LineQubit(k)`.

    Raises `KetgradIndexError` if the list is too short.

    >>> print(kg.cirq.to_pauli_sum(kg.Pauli("0.5 X0 Z1")))
    0.500*X(q(0))*Z(q(1))
    """
    if not isinstance(observable, PauliSum):
        raise KetgradTypeError(f"`observable` must be a Pauli sum, but is {type(observable).__name__}.")
    places = cirq.LineQubit.range(observable.num_qubits) if qubits is None else list(qubits)
    if len(places) < observable.num_qubits:
        raise KetgradIndexError(
            f"`qubits` must name {observable.num_qubits} qubits - the sum acts on qubit {observable.num_qubits - 1} - "
            f"but names {len(places)}."
        )
    return cirq.PauliSum.from_pauli_strings(
        cirq.PauliString({places[k]: _PAULIS[letter] for k, letter in letters(x, z)}, coefficient=coefficient)
        for x, z, coefficient in observable.terms
    )
