"""Circuits as JSON: an op is its gate, qubits, angles and controls; a gate its name, or what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ketgrad.circuits import custom
from ketgrad.circuits.angles import INPUT_FUNCTIONS, Angle, Variable, add_up, as_angle
from ketgrad.circuits.gate import Gate
from ketgrad.circuits.gate_kinds import Preparation, gate_named, is_row
from ketgrad.circuits.matrices import deviation_from_unitary
from ketgrad.circuits.op import Op
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError

NEARLY = 1e-10  # far more than the inverse of a unitary matrix deviates
UNITARY_LABELS = ("U", "U†")  # of a unitary, and of one that was inverted
KINDS_OF_VARIABLES = ("w", "x", *INPUT_FUNCTIONS)


def op_form(op: Op, path: str, array_form: Callable[[np.ndarray], Any]) -> list[Any]:
    """The form [gate, qubits, angles, controls] of an op. array_form: how arrays are written here."""
    angles = [
        [[c, [list(variable) for variable in monomial]] for monomial, c in angle.terms] for angle in op.angles
    ]
    return [_gate_form(op.gate, path, array_form), list(op.qubits), angles, list(op.controls)]


def _gate_form(gate: Gate, path: str, array_form: Callable[[np.ndarray], Any]) -> Any:
    if isinstance(gate.definition, Preparation):
        vector = gate.definition.vector()
        return {"prepare_state": array_form(vector), "normalize": gate.normalize}
    if gate.name == "pauli_rotation":
        return {"pauli_rotation": gate.word}
    if gate.name == "unitary":
        label = {} if gate.label == UNITARY_LABELS[0] else {"label": gate.label}
        return {"unitary": array_form(gate.matrix())} | label
    check_same(gate, gate_named(gate.name) if is_row(gate.name) else None, path)
    return gate.name


def read_op(form: Any, array: Callable[[Any], np.ndarray]) -> Op:
    """The op of a form [gate, qubits, angles, controls]. array: how arrays are read here."""
    gate, qubits, angles, controls = form
    turns = [_angle(terms) for terms in angles]
    if isinstance(gate, str):
        if not is_row(gate):
            raise KetgradValueError(f"The file holds the unknown gate {gate[:40]!r}.")
        return Op.build(gate_named(gate), qubits, turns, controls)
    if "pauli_rotation" in gate:
        (turn,) = turns
        op = custom.pauli_rotation(turn, gate["pauli_rotation"], *qubits)
    elif "unitary" in gate:
        op = _unitary(array(gate["unitary"]), gate.get("label", UNITARY_LABELS[0]), qubits)
    else:
        entries = turns or array(gate["prepare_state"])
        op = custom.prepare_state(entries, *qubits, normalize=gate["normalize"] is True)
    return op.control(*controls) if controls else op


def _unitary(matrix: np.ndarray, label: Any, qubits: Any) -> Op:
    op = custom.unitary(matrix, *qubits)
    if label not in UNITARY_LABELS:
        raise KetgradValueError(f"The file holds a unitary with the label {str(label)[:40]!r}.")
    kept = (
        deviation_from_unitary(matrix) <= NEARLY
    )  # the bits of the file, and not those of the nearest matrix
    data = np.ascontiguousarray(matrix, np.complex128).tobytes() if kept else op.gate.unitary
    return replace(op, gate=Gate("unitary", len(op.qubits), 0, op.gate.doc, data, label=label))


def check_same(written: Any, read: Any, path: str) -> None:
    """Raise if what would be read back is another gate or op than the one to write."""
    if written != read:
        raise KetgradTypeError(
            f"`{path}` cannot be saved: it is a gate of your own making, {written!r}, and a file holds those of "
            "ketgrad, kg.unitary, kg.pauli_rotation and kg.prepare_state."
        )


def _angle(terms: Any) -> Angle:
    """The angle of its terms, collected once: adding them one by one would take the square of their number."""
    return add_up(_term(coefficient, variables) for coefficient, variables in terms)


def _term(coefficient: Any, variables: Any) -> Angle:
    constant = as_angle(coefficient, "A coefficient in the file").constant
    return Angle(((_monomial(variables), constant),))


def _monomial(variables: Any) -> tuple[Variable, ...]:
    for kind, index in variables:
        if kind not in KINDS_OF_VARIABLES or type(index) is not int or index < 0:
            raise KetgradValueError(f"The file holds the variable {str(kind)[:8]}[{str(index)[:20]}].")
    return tuple(sorted((kind, index) for kind, index in variables))
