"""Measurements, which must be final, and resets of qubits that are in |0>: both are noted and left out."""

from __future__ import annotations

from collections.abc import Sequence

from ketgrad.circuits.qasm.cursor import Cursor
from ketgrad.circuits.qasm.names import Register
from ketgrad.circuits.qasm.operands import read_operand


def read_measure(cursor: Cursor) -> None:
    """Of the forms: measure q -> c; measure q;."""
    position = cursor.tokens.position
    places, _ = read_measurement(cursor, None, position)
    if cursor.tokens.accept("->"):
        bits, _ = read_operand(cursor, "bit")
        if len(bits) != len(places):
            raise cursor.source.fault(
                position, f"{len(places)} qubit(s) are measured into {len(bits)} bit(s)."
            )
    cursor.tokens.expect(";", "after the measurement")


def read_assignment(cursor: Cursor) -> None:
    """Of the form: c = measure q;."""
    position = cursor.tokens.position
    bits, _ = read_operand(cursor, "bit")
    cursor.tokens.expect("=", "after the bit")
    read_measurement(cursor, Register("bit", bits), position)
    cursor.tokens.expect(";", "after the measurement")


def read_measurement(cursor: Cursor, target: Register | None, position: int) -> tuple[Sequence[int], bool]:
    """The words `measure q`, into as many bits as `target` has; returns the qubits as `read_operand` does."""
    cursor.tokens.expect("measure", "- only a measurement can be assigned -" if target else "")
    places, is_array = read_operand(cursor, "qubit")
    if target is not None and target.size != len(places):
        raise cursor.source.fault(position, f"{len(places)} qubit(s) are measured into {target.size} bit(s).")
    cursor.spend(len(places), position)
    cursor.measured.update(places)
    names = ", ".join(cursor.names.qubits[q] for q in places[:4]) + (", ..." if len(places) > 4 else "")
    cursor.note(
        position, f"measure {names}: left out; ask ketgrad for probabilities or samples of these qubits"
    )
    return places, is_array


def read_reset(cursor: Cursor) -> None:
    """reset q; of qubits on which nothing has acted."""
    tokens = cursor.tokens
    position = tokens.position
    tokens.advance()
    places, _ = read_operand(cursor, "qubit")
    cursor.spend(len(places), position)
    late = sorted(cursor.used.intersection(places) | cursor.measured.intersection(places))
    if late:
        raise cursor.source.fault(
            position,
            f"reset of {cursor.names.qubits[late[0]]} after a gate or measurement is not supported.",
        )
    cursor.note(position, "reset of qubits that are in |0>: left out")
    tokens.expect(";", "after reset")
