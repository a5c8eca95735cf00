"""PennyLane's operators as rows of the gate table, and ops of a circuit as PennyLane's operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops.op_math import Adjoint, Controlled

from ketgrad.circuits import gate_kinds as kinds
from ketgrad.circuits.angles import Angle, as_angle
from ketgrad.circuits.custom import pauli_rotation, prepare_state, unitary
from ketgrad.circuits.gates import GATES
from ketgrad.circuits.op import Op, known_op, parts_of
from ketgrad.circuits.pauli_words import LETTER_OF, Term
from ketgrad.circuits.variables import w
from ketgrad.foundation.errors import KetgradValueError

WIDEST_MATRIX = 8  # qubits of an operator that is run through its matrix

Angles = Sequence[Angle]


@dataclass(frozen=True)
class Same:
    """A row of the gate table with controls; its angles are `scale` times those of PennyLane's operator."""

    gate: str
    controls: int = 0
    scale: float = 1.0

    def op(self, angles: Angles, qubits: Sequence[int]) -> Op:
        """The op on these qubits, controls first."""
        gate, turns = GATES[self.gate], angles
        if self.scale != 1.0:
            turns = [angle * self.scale for angle in angles]
        controls = qubits[: self.controls]
        targets = qubits[self.controls :] if gate.num_qubits else ()
        return known_op(gate, tuple(targets), tuple(turns), tuple(controls))


ROWS: Mapping[str, Same] = {
    "PauliX": Same("x"), "PauliY": Same("y"), "PauliZ": Same("z"), "Hadamard": Same("h"), "S": Same("s"),
    "T": Same("t"),
    "SX": Same("sx"), "SWAP": Same("swap"), "ISWAP": Same("iswap"), "SISWAP": Same("sqrt_iswap"), "ECR": Same("ecr"),
    "Adjoint(S)": Same("sdg"), "Adjoint(T)": Same("tdg"), "Adjoint(SX)": Same("sxdg"),
    "CNOT": Same("x", 1), "CY": Same("y", 1), "CZ": Same("z", 1), "CH": Same("h", 1), "CSWAP": Same("swap", 1),
    "Toffoli": Same("x", 2), "CCZ": Same("z", 2),
    "RX": Same("rx"), "RY": Same("ry"), "RZ": Same("rz"), "PhaseShift": Same("p"), "U1": Same("u1"), "U2": Same("u2"),
    "U3": Same("u3"), "Rot": Same("rot"), "GlobalPhase": Same("gphase", scale=-1.0),
    "CRX": Same("rx", 1), "CRY": Same("ry", 1), "CRZ": Same("rz", 1), "CRot": Same("rot", 1),
    "ControlledPhaseShift": Same("p", 1),
    "IsingXX": Same("rxx"), "IsingYY": Same("ryy"), "IsingZZ": Same("rzz"), "IsingXY": Same("xy", scale=-0.5),
    "SingleExcitation": Same("single_excitation"), "DoubleExcitation": Same("double_excitation"),
}  # fmt: skip

# Operators without any effect on the state; they only name wires.
SKIPPED = frozenset({"Identity", "Barrier", "Snapshot", "WireCut"})


def _gate(name: str, qubits: Sequence[int], *angles: Angle, controls: Sequence[int] = ()) -> Op:
    return known_op(GATES[name], tuple(qubits), tuple(angles), tuple(controls))


def _where_zero(ops: Sequence[Op], zeros: Sequence[int]) -> list[Op]:
    """The ops with the parts of |0> and |1> exchanged on some qubits."""
    flips = [_gate("x", [qubit]) for qubit in zeros]
    return [*flips, *ops, *flips]


def _phase_where(*zeros: int) -> Callable[[Any, Angles, Sequence[int]], list[Op]]:
    def phase(_: Any, angles: Angles, qubits: Sequence[int]) -> list[Op]:
        turn = _gate("p", qubits[1:], *angles, controls=qubits[:1])
        return _where_zero([turn], [qubits[k] for k in zeros])

    return phase


def _excitation(sign: float) -> Callable[[Any, Angles, Sequence[int]], list[Op]]:
    """SingleExcitation with the phase exp(i sign t / 2) on |00> and |11>: exp(i sign t (1 + ZZ) / 4)."""

    def gates(_: Any, angles: Angles, qubits: Sequence[int]) -> list[Op]:
        (angle,) = angles
        phases = [_gate("gphase", (), angle * (sign / 4)), _gate("rzz", qubits, angle * (-sign / 2))]
        return [_gate("single_excitation", qubits, angle), *phases]

    return gates


def _pswap(_: Any, angles: Angles, qubits: Sequence[int]) -> list[Op]:
    (angle,) = angles
    return [_gate("gphase", (), angle * 0.5), _gate("rzz", qubits, angle), _gate("swap", qubits)]


def _word(word: str, angles: Angles, qubits: Sequence[int]) -> list[Op]:
    kept = [k for k, letter in enumerate(word) if letter != "I"]
    if not kept:  # exp(-i t / 2)
        return [_gate("gphase", (), angles[0] * -0.5)]
    return [pauli_rotation(angles[0], "".join(word[k] for k in kept), *(qubits[k] for k in kept))]


# Operators whose parameters are angles, but which are no single row: name -> (operator, angles, qubits) -> ops.
SEQUENCES: Mapping[str, Callable[[Any, Angles, Sequence[int]], list[Op]]] = {
    "MultiRZ": lambda op, angles, qubits: _word("Z" * len(qubits), angles, qubits),
    "PauliRot": lambda op, angles, qubits: _word(op.hyperparameters["pauli_word"], angles, qubits),
    "PSWAP": _pswap,
    "CPhaseShift00": _phase_where(0, 1),
    "CPhaseShift01": _phase_where(0),
    "CPhaseShift10": _phase_where(1),
    "SingleExcitationPlus": _excitation(1.0),
    "SingleExcitationMinus": _excitation(-1.0),
}


def reads_angles(op: Operator) -> bool:
    """Whether the parameters of the operator are angles; if not, they are fixed numbers such as a matrix."""
    if op.name in ROWS or op.name in SEQUENCES:
        return True
    return isinstance(op, Controlled | Adjoint) and reads_angles(op.base)


def runs(op: Operator, *, by_matrix: bool = True) -> bool:
    """Whether the operator runs as it is: as rows of the table, or (`by_matrix`) through its matrix."""
    name = op.name
    if name in ROWS or name in SEQUENCES or name in SKIPPED:
        return True
    if isinstance(op, Controlled | Adjoint) and reads_angles(op.base):
        return True
    if isinstance(op, Controlled | Adjoint):
        return runs(op.base, by_matrix=by_matrix)
    if not by_matrix or not isinstance(op, Operator) or op.batch_size is not None:
        return False
    if any(qml.math.requires_grad(number) for number in op.data) or len(op.wires) > WIDEST_MATRIX:
        return False
    return name == "QubitUnitary" or (op.has_matrix and not op.has_decomposition)


def lower(op: Operator, angles: Angles, place: Mapping[Any, int]) -> list[Op]:
    """The operator as ops; `angles` stand for its parameters, if these are angles, and wire w is qubit place[w]."""
    name = op.name
    if name in SKIPPED:
        return []
    row = ROWS.get(name)
    if row is not None:
        return [row.op(angles, [place[wire] for wire in op.wires])]
    if name in SEQUENCES:
        return SEQUENCES[name](op, angles, [place[wire] for wire in op.wires])
    if isinstance(op, Controlled):
        controls = [place[wire] for wire in op.control_wires]
        zeros = [qubit for qubit, value in zip(controls, op.control_values, strict=True) if not value]
        inner = [part.control(*controls) for part in lower(op.base, angles, place)]
        return _where_zero(inner, zeros) if inner else []
    if isinstance(op, Adjoint):
        return [part.inverse() for part in reversed(lower(op.base, angles, place))]
    if isinstance(op, qml.BasisState):
        bits = np.asarray(qml.math.unwrap(op.data)[0])
        return [_gate("x", [place[wire]]) for wire, bit in zip(op.wires, bits, strict=True) if bit]
    matrix = np.asarray(qml.math.unwrap([op.matrix()])[0])
    return [unitary(matrix, *(place[wire] for wire in op.wires), check=False)]


# -- back ---------------------------------------------------------------------------------------------------

_BACK: Mapping[tuple[str, int], tuple[str, float]] = {
    (row.gate, row.controls): (name, 1 / row.scale) for name, row in reversed(ROWS.items()) if "(" not in name
}
_BACK_ALSO: Mapping[str, tuple[str, float]] = {
    "id": ("Identity", 1.0), "u": ("U3", 1.0), "phase": ("PhaseShift", 1.0), "u1": ("U1", 1.0),
}  # fmt: skip


def operators(op: Op, angles: Sequence[Any], wires: Sequence[Any]) -> list[Operator]:
    """The op as PennyLane's operators; `angles` are numbers or tensors, and qubit q is wires[q].

    Rows that PennyLane has under another name take that name; a sequence becomes its parts, another rotation one
    PauliRot per word of its generator, a matrix a QubitUnitary.
    """
    gate = op.gate
    targets, controls = [wires[q] for q in op.qubits], [wires[q] for q in op.controls]
    if isinstance(gate.definition, kinds.Preparation):
        return [_preparation(gate.definition, angles, targets)]
    direct = _BACK.get((gate.name, len(controls))) if gate is GATES.get(gate.name) else None
    if direct is not None and not (controls and gate.name == "gphase"):
        name, scale = direct
        return [
            _named(name, [angle if scale == 1.0 else angle * scale for angle in angles], controls + targets)
        ]
    return [qml.ctrl(part, controls) if controls else part for part in _parts(op, angles, targets, wires)]


def _named(name: str, angles: Sequence[Any], wires: Sequence[Any]) -> Operator:
    kind = getattr(qml, name)
    return kind(*angles) if name == "GlobalPhase" else kind(*angles, wires=wires)


def _parts(op: Op, angles: Sequence[Any], targets: Sequence[Any], wires: Sequence[Any]) -> list[Operator]:
    """The op without its controls."""
    gate = op.gate
    known = gate is GATES.get(gate.name)
    found = (_BACK_ALSO.get(gate.name) or _BACK.get((gate.name, 0))) if known else None
    if found is not None:
        name, scale = found
        return [_named(name, [angle if scale == 1.0 else angle * scale for angle in angles], targets)]
    if gate.name in ("sdg", "tdg", "sxdg") and known:
        return [qml.adjoint(_named({"sdg": "S", "tdg": "T", "sxdg": "SX"}[gate.name], [], targets))]
    match gate.definition:
        case kinds.Sequence() as sequence:  # with weights in place of its angles
            parts = parts_of(known_op(gate, op.qubits, tuple(w[0 : len(angles)])), sequence)
            found = [
                operators(part, [evaluate(angle, angles, ()) for angle in part.angles], wires)
                for part in parts
            ]
            return [operator for several in found for operator in several]
        case kinds.Rotation(generator):
            return [_word_rotation(term, angles[0], targets) for term in generator.terms]
        case kinds.Fixed() | kinds.Preparation():  # a preparation has no controls and came first
            return [qml.QubitUnitary(gate.matrix(), wires=targets)]


def _word_rotation(term: Term, angle: Any, wires: Sequence[Any]) -> Operator:
    x, z, coefficient = term
    word = "".join(LETTER_OF[x >> k & 1, z >> k & 1] for k in range(len(wires)))
    turn = angle * complex(coefficient).real
    return qml.PauliRot(turn, word, wires=wires) if word else qml.GlobalPhase(turn / 2)


def evaluate(angle: Angle, weights: Any, inputs: Any) -> Any:
    """The angle at weights[..., i] and inputs[..., j], in the arithmetic of whatever library made these."""
    total: Any = angle.constant
    for monomial, coefficient in angle.terms:
        if not monomial:
            continue
        product: Any = coefficient
        for kind, index in monomial:
            values = weights if kind == "w" else inputs
            value = values[index] if isinstance(values, list | tuple) else values[..., index]
            product = product * (qml.math.arccos(value) if kind == "arccos" else value)
        total = total + product if not (isinstance(total, float) and total == 0.0) else product
    return total


def _preparation(state: kinds.Preparation, angles: Sequence[Any], wires: Sequence[Any]) -> Operator:
    if not angles:
        return qml.StatePrep(state.vector(), wires=wires)
    shape = max((np.shape(qml.math.unwrap([a])[0]) for a in angles), key=len)
    columns = [a if np.shape(qml.math.unwrap([a])[0]) == shape else a + np.zeros(shape) for a in angles]
    return qml.StatePrep(qml.math.stack(columns, axis=-1), wires=wires, normalize=state.normalize)


def preparation(op: Operator, angles: Angles, place: Mapping[Any, int]) -> list[Op]:
    """A StatePrep whose amplitudes are read from slots (`angles`), or are fixed numbers where there are none."""
    qubits = [place[wire] for wire in op.wires]
    if angles:
        return [prepare_state(list(angles), *qubits)]
    vector = op.state_vector(wire_order=op.wires)
    dense = vector.toarray() if hasattr(vector, "toarray") else np.asarray(qml.math.unwrap([vector])[0])
    flat = np.asarray(dense, dtype=np.complex128).ravel()
    norm = float(np.linalg.norm(flat))
    if not math.isclose(norm, 1.0, abs_tol=1e-6):
        raise KetgradValueError(
            f"the state of {op.name} must have norm 1 - it is a quantum state - but the norm is {norm:.9g}. "
            "Pass normalize=True to it."
        )
    return [prepare_state(flat, *qubits, normalize=True)]


def fixed_angles(op: Operator) -> list[Angle]:
    """The parameters of an operator as constant angles; none where they are no angles."""
    numbers = qml.math.unwrap(op.data) if reads_angles(op) else []
    return [as_angle(float(number), op.name) for number in numbers]
