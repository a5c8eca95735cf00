"""PennyLane: a device plugin, and circuits and observables in and out."""

from __future__ import annotations

from ketgrad.errors import missing_extra

try:
    import pennylane as _pennylane  # noqa: F401 - what the parts of this module need
except ImportError as error:
    raise missing_extra("pennylane", "pennylane") from error

from ketgrad.bridges.pennylane_device import QubitDevice
from ketgrad.bridges.pennylane_observables import from_observable, to_observable

__all__ = ["QubitDevice", "from_observable", "to_observable"]
