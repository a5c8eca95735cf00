"""PennyLane: the device `ketgrad.qubit`, and circuits and observables in and out.

`qml.device("ketgrad.qubit", wires=n)` runs existing PennyLane code on ketgrad's core. `from_pennylane` and
`to_pennylane` convert circuits, `from_observable` and `to_observable` observables.

>>> import pennylane as qml
>>> found = from_pennylane(lambda angle: qml.IsingXX(angle, wires=[0, 1]), kg.w[0])
>>> found.circuit
Circuit([rxx(w[0], 0, 1)], num_qubits=2)
"""

from __future__ import annotations

from ketgrad.foundation.errors import missing_extra

try:
    import pennylane  # noqa: F401 - for the message; the parts below need it
except ImportError as error:
    raise missing_extra("pennylane", "pennylane") from error

from ketgrad.bridges.pennylane.convert import Converted, from_pennylane, to_pennylane
from ketgrad.bridges.pennylane.device import QubitDevice
from ketgrad.bridges.pennylane.observables import from_observable, to_observable

__all__ = ["Converted", "QubitDevice", "from_observable", "from_pennylane", "to_observable", "to_pennylane"]


def __dir__() -> list[str]:
    return sorted(__all__)
