"""Declarations: libraries, registers, inputs, constants, opaque gates and aliases."""

from __future__ import annotations

from ketgrad.circuits.qasm.cursor import Cursor
from ketgrad.circuits.qasm.gate_bodies import composite_gates
from ketgrad.circuits.qasm.gates import LIBRARIES, REPLACEABLE
from ketgrad.circuits.qasm.measurements import read_measurement
from ketgrad.circuits.qasm.names import Register, Unknown
from ketgrad.circuits.qasm.operands import read_operand
from ketgrad.circuits.qasm.tokens import shortened


def read_include(cursor: Cursor) -> None:
    """include "stdgates.inc"; or "qelib1.inc": the names of the gates of a library."""
    tokens = cursor.tokens
    tokens.advance()
    library = LIBRARIES.get(tokens.word[1:-1]) if tokens.kind == "string" else None
    if library is None:
        raise tokens.fault(
            f'only "stdgates.inc" and "qelib1.inc" can be included - both are built in and no other file '
            f"is read - but here stands {tokens.shown()}."
        )
    name = tokens.word[1:-1]
    cursor.names.declare_gates(library, tokens.position)
    if name == "qelib1.inc":
        for composite in composite_gates():
            cursor.names.declare(composite.name, composite, tokens.position)
        cursor.names.replaceable.update(REPLACEABLE)
    tokens.advance()
    tokens.expect(";", "after the file name")


def read_old_register(cursor: Cursor) -> None:
    """qreg q[3]; or creg c[3]; of OpenQASM 2, which 3 allows too."""
    tokens = cursor.tokens
    kind = "qubit" if tokens.take() == "qreg" else "bit"
    position, name = tokens.position, tokens.name("a register")
    size = cursor.size() if tokens.word == "[" or cursor.version == 2 else 1
    cursor.names.declare_register(kind, name, size, True, position)
    tokens.expect(";", f"after the declaration of {name}")


def read_register(cursor: Cursor) -> None:
    """Of the forms: qubit[3] q; qubit q; bit[3] c; bit c; bit[3] c = measure q;."""
    tokens = cursor.tokens
    kind = tokens.take()
    is_array = tokens.word == "["
    size = cursor.size() if is_array else 1
    position, name = tokens.position, tokens.name("a register")
    cursor.names.declare_register(kind, name, size, is_array, position)
    if kind == "bit" and tokens.accept("="):
        read_measurement(cursor, Register("bit", range(size)), position)
    tokens.expect(";", f"after the declaration of {name}")


def read_input_parameter(cursor: Cursor) -> None:
    """input float[64] name; becomes w[i] for the name w_i, x[j] for x_j, and else the next free weight."""
    tokens = cursor.tokens
    tokens.advance()
    if tokens.word not in ("float", "angle"):
        raise tokens.fault(
            f"an input of type {tokens.shown()} is not supported; declare `input float[64] name;`."
        )
    tokens.advance()
    if tokens.word == "[":
        cursor.size()
    position, name = tokens.position, tokens.name("an input")
    cursor.names.declare_input(name, position)
    tokens.expect(";", f"after the declaration of {name}")


def read_constant(cursor: Cursor) -> None:
    """const int n = 3; gives a number a name."""
    tokens = cursor.tokens
    tokens.advance()
    kind = cursor.type_of("a constant")
    position, name = tokens.position, tokens.name("a constant")
    tokens.expect("=", f"after const {name}")
    cursor.names.declare_constant(kind, name, cursor.value(), position)
    tokens.expect(";", f"after the declaration of {name}")


def read_opaque(cursor: Cursor) -> None:
    """opaque name(params) qubits; declares a gate that only hardware knows."""
    tokens = cursor.tokens
    tokens.advance()
    position, name = tokens.position, tokens.name("a gate")
    if tokens.accept("("):
        cursor.names_in_brackets()
    cursor.names_up_to("a qubit", ";")
    tokens.expect(";", f"after the declaration of {name}")
    cursor.names.declare(name, Unknown(name), position)


def read_alias(cursor: Cursor) -> None:
    """let a = q[0:2] ++ r; gives qubits another name."""
    tokens = cursor.tokens
    tokens.advance()
    position, name = tokens.position, tokens.name("an alias")
    tokens.expect("=", f"after let {name}")
    parts = [read_operand(cursor, "qubit")]
    while tokens.accept("++"):
        parts.append(read_operand(cursor, "qubit"))
    if len(parts) > 1:
        cursor.source.spend(sum(len(part) for part, _ in parts), position)
    places = parts[0][0] if len(parts) == 1 else tuple(k for part, _ in parts for k in part)
    if not isinstance(places, range) and len(set(places)) != len(places):
        raise cursor.source.fault(
            position, f"the alias {shortened(name)} names a qubit twice; qubits must be distinct."
        )
    is_array = len(parts) > 1 or parts[0][1]
    cursor.names.declare(name, Register("qubit", places, is_array), position)
    tokens.expect(";", f"after the alias {name}")
