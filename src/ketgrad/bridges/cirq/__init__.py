"""Cirq: circuits and Pauli sums in and out, and a simulator with Cirq's own interfaces on our executors.

    kg.cirq.from_cirq(circuit), to_cirq(circuit)                 circuits, symbols kept by name
    kg.cirq.from_pauli_sum(sum, qubits), to_pauli_sum(sum)       observables
    kg.cirq.Simulator()                                          simulate, run, expectation values; sweeps in one call

Bit order: both write qubit 0 first, so states and bit strings are equal as they stand. Cirq names qubits and ketgrad
numbers them: in Cirq's sorted order (grid, line, named qubits), or in the `qubit_order` that is given.
"""

from __future__ import annotations

from ketgrad.foundation.errors import missing_extra

try:
    import cirq as _installed  # noqa: F401
except ModuleNotFoundError as error:
    raise missing_extra("cirq", "cirq") from error

from ketgrad.bridges.cirq.paulis import from_pauli_sum, to_pauli_sum
from ketgrad.bridges.cirq.reader import Imported, from_cirq
from ketgrad.bridges.cirq.simulator import Simulator
from ketgrad.bridges.cirq.writer import to_cirq

__all__ = ["Imported", "Simulator", "from_cirq", "from_pauli_sum", "to_cirq", "to_pauli_sum"]


def __dir__() -> list[str]:
    return sorted(__all__)
