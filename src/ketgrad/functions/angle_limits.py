"""How large an angle may be: beyond, floating-point numbers of its size have lost their place on the circle."""

from __future__ import annotations

from typing import Any

import numpy as np

from ketgrad.foundation.arrays import position
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import FLOAT32, FLOAT64
from ketgrad.foundation.user_warnings import warn_user
from ketgrad.programs.program import Program

LARGEST_ANGLE = {FLOAT64: 2.0**26, FLOAT32: 2.0**16}  # numbers of this size stand 1.5e-8 and 0.008 rad apart
MEANINGFUL = {FLOAT64: 2.0**53, FLOAT32: 2.0**24}  # numbers beyond stand more than 1 rad apart


def describe(occurrence: Any) -> str:
    """A gate as messages name it: its name, qubits, and place in the circuit.

    >>> describe(kg.expectation(kg.Circuit([kg.rx(kg.w[0], 2)]), kg.Pauli("Z0")).program.occurrences[0])
    'rx on qubit 2 (op 0)'
    """
    qubits = ", ".join(str(q) for q in occurrence.qubits)
    where = f" on qubit{'s' * (len(occurrence.qubits) != 1)} {qubits}" if qubits else ""
    return f"{occurrence.gate_name}{where} (op {occurrence.op_index})"


def check_angles(
    program: Program, weights: np.ndarray, inputs: np.ndarray, batch: int, moved_by: str = ""
) -> None:
    """Raise if an angle, or a part of it, is so large that floating-point numbers of its size stand 1 rad apart.

    batch: of the caller's rows, of which there may be several copies below each other. moved_by: who moved them.
    """
    kind = inputs.dtype
    largest = max(float(np.abs(array).max(initial=1.0)) for array in (weights, inputs))
    limit = MEANINGFUL[kind]
    if program.steepness * largest * largest <= limit:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = program.angle_sizes(weights.astype(float), inputs.astype(float))
    senseless = ~(sizes <= limit)
    if not senseless.any():
        return
    row, instruction = np.argwhere(senseless)[0]
    gate = next((o for o in program.occurrences if instruction in o.instructions), None)
    scale, name = 1.0, "a constant angle"
    if gate is not None:
        scale = max(1.0, abs(gate.scales[gate.instructions.index(instruction)]))
        name = f"the angle {gate.angle} of {describe(gate)}"
    raise KetgradValueError(
        f"{name} must lie within +-{limit / scale:.1g} - {kind} numbers beyond that stand more than 1 rad apart - but "
        f"is {sizes[row, instruction] / scale:.3g} in row {row % batch}{moved_by}. Reduce it modulo 2 pi before the "
        "call."
    )


def warn_of_large_angles(program: Program, array: np.ndarray, name: str) -> None:
    """Warn of an angle among the "weights" or "inputs" so large that its neighbours differ visibly modulo 2 pi."""
    limit = LARGEST_ANGLE[array.dtype]
    if array.size == 0 or max(array.max(), -array.min()) <= limit:
        return
    angles = angle_columns(program, name)
    large = np.abs(array[..., angles]) > limit
    if not large.any():
        return
    *row, column = np.argwhere(large)[0]
    index = (*row, angles[column])
    warn_user(
        f"{position(name, index)} is {float(array[index]):g}: angles count modulo 2 pi, and {array.dtype} numbers of "
        f"this size are {np.spacing(np.abs(array[index])):.1g} apart. Reduce the angle if its digits matter."
    )


def angle_columns(program: Program, name: str) -> np.ndarray:
    """Which of the "weights" or "inputs" are read by angles."""
    first, count = (
        (1, program.num_weights) if name == "weights" else (1 + program.num_weights, program.num_inputs)
    )
    slots = np.unique(np.concatenate([program.term_a, program.term_b])) - first
    columns = slots[(slots >= 0) & (slots < count)]
    if name == "inputs" and program.input_map is not None:
        return np.unique([program.input_map[k][1] for k in columns]).astype(np.int64)
    return columns
