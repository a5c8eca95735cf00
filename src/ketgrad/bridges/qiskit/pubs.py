"""What both primitives ask of a PUB and of an executor."""

from __future__ import annotations

from typing import Any

import numpy as np

import ketgrad.executors as executors
from ketgrad.bridges.qiskit.reader import Imported
from ketgrad.foundation.arrays import check_finite
from ketgrad.foundation.errors import KetgradValueError


def unmeasured(found: Imported) -> Imported:
    """The conversion itself; `KetgradValueError` if the circuit measures anything."""
    if found.measured:
        raise KetgradValueError(
            f"The circuit measures qubit {found.measured[0][2]}, but an expectation value is that of the state before "
            "any measurement. Pass circuit.remove_final_measurements(inplace=False)."
        )
    return found


def parameter_rows(pub: Any) -> np.ndarray:
    """The parameter sets of a PUB (rows, parameters), in the order of `circuit.parameters`."""
    rows = pub.parameter_values.as_array(pub.circuit.parameters)
    rows = np.ascontiguousarray(rows.reshape(pub.parameter_values.size, pub.circuit.num_parameters))
    if not np.isfinite(rows).all():
        names = [parameter.name for parameter in pub.circuit.parameters]
        check_finite(rows, "parameter_values", lambda column: f"they are angles, here of {names[column]!r}")
    return rows


def child_seed(root: np.random.SeedSequence, number: int) -> np.random.SeedSequence:
    """The seed of the PUB with that number."""
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, number))


def exact_executor(executor: Any) -> Any:
    """The executor, which must be exact."""
    engine = executors.get(executor)
    if "exact" not in engine.abilities:
        raise KetgradValueError(
            f"`executor` must be exact - shots are drawn by the primitive, from exact probabilities - but "
            f"{engine.name!r} is not."
        )
    return engine
