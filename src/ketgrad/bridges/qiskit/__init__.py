"""Qiskit: circuits and Pauli sums in and out, and its V2 primitives on our executors.

    kg.qiskit.from_qiskit(circuit), to_qiskit(circuit)                  circuits, parameters kept by name
    kg.qiskit.from_sparse_pauli_op(operator), to_sparse_pauli_op(sum)   observables
    kg.qiskit.Estimator(), Sampler()                                    for everything that takes a V2 primitive
    kg.qiskit.EstimatorGradient(), SamplerGradient()                    exact gradients for the networks and VQE

Bit order: qubit k is qubit k on both sides. What differs is the writing: qiskit puts qubit 0 last, in labels,
bit strings and the index of a state vector, and ketgrad puts it first. So the label "ZI" is Pauli("Z1") of two
qubits, and amplitude 0b01 of qiskit (qubit 0 is 1) is amplitude 0b10 of ketgrad.
"""

from __future__ import annotations

from ketgrad.foundation.errors import missing_extra

try:
    import qiskit as _installed  # noqa: F401
except ModuleNotFoundError as error:
    raise missing_extra("qiskit", "qiskit") from error

from ketgrad.bridges.qiskit.estimator import Estimator
from ketgrad.bridges.qiskit.gradient import EstimatorGradient, SamplerGradient
from ketgrad.bridges.qiskit.paulis import from_sparse_pauli_op, to_sparse_pauli_op
from ketgrad.bridges.qiskit.reader import Imported, from_qiskit
from ketgrad.bridges.qiskit.sampler import Sampler
from ketgrad.bridges.qiskit.writer import to_qiskit

__all__ = [
    "Estimator",
    "EstimatorGradient",
    "Imported",
    "Sampler",
    "SamplerGradient",
    "from_qiskit",
    "from_sparse_pauli_op",
    "to_qiskit",
    "to_sparse_pauli_op",
]


def __dir__() -> list[str]:
    return sorted(__all__)
