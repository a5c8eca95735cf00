"""The reader of OpenQASM 2 and of the circuit part of OpenQASM 3: statements to ops, with explicit stacks.

The work that a text asks for is counted before it is done: a gate knows how many gate calls it stands for
when its definition has been read, so a definition that doubles sixty times is refused without being expanded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ketgrad.circuits.angles import Angle
from ketgrad.circuits.op import Op
from ketgrad.circuits.qasm import declarations, left_out, loops, measurements
from ketgrad.circuits.qasm.blocks import OUTSIDE, Subroutine
from ketgrad.circuits.qasm.calls import MODIFIERS, read_gate_call
from ketgrad.circuits.qasm.cursor import Cursor
from ketgrad.circuits.qasm.gate_bodies import CLASSICAL, read_gate_definition
from ketgrad.circuits.qasm.gates import BUILT_IN, CallableGate
from ketgrad.circuits.qasm.names import Names, Register
from ketgrad.circuits.qasm.plain import PlainCalls
from ketgrad.circuits.qasm.tokens import Source, Tokens
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.numbers import check_count

MAX_BYTES = 64 * 2**20  # of a text
MAX_OPERATIONS = 10**7  # of a circuit that is read


@dataclass(frozen=True)
class Contents:
    """What a text says: ops on a register, and what of the text is not part of a circuit.

    qubits: the names of qubits 0, 1, ... in the text. parameters: the angle that each `input` has become.
    notes: one line for each statement that was understood and left out (final measurements, resets of |0>).
    """

    ops: tuple[Op, ...]
    num_qubits: int
    version: int
    qubits: tuple[str, ...]
    parameters: Mapping[str, Angle]
    notes: tuple[str, ...]


def read_text(text: str | bytes, max_operations: int = MAX_OPERATIONS, name: str = "qasm") -> Contents:
    """The contents of a text, which is UTF-8 where it comes as bytes; `name` is what errors call it."""
    check_count(max_operations, "max_operations", 0, None)
    if not isinstance(text, str | bytes):
        raise KetgradTypeError(f"`text` must be a string or bytes, but is {type(text).__name__}.")
    if len(text) > MAX_BYTES:
        raise KetgradValueError(
            f"{name}: a text may have {MAX_BYTES:,} bytes at most, but this one has {len(text):,}."
        )
    decoded = _decode(text, name) if isinstance(text, bytes) else text
    return read_program(Source(decoded.removeprefix("\ufeff"), name), max_operations)


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise KetgradValueError(
            f"{name}:{line}:{column}: the text must be UTF-8, but the byte 0x{data[error.start]:02x} is not."
        ) from None


def read_program(source: Source, max_operations: int) -> Contents:
    """All statements of a text, first to last; it may stand for `max_operations` ops at most."""
    cursor = Cursor(Tokens(source), source, Names(source), max_operations)
    tokens = cursor.tokens
    if tokens.word == "OPENQASM":
        _header(cursor)
    elif tokens.word == "include" and "qelib1.inc" in cursor.source.text[tokens.position :][:40]:
        cursor.version = 2
    plain = PlainCalls(cursor.names, cursor.version)
    cursor.names.declare_gates(BUILT_IN[cursor.version], tokens.position)
    while tokens.kind != "end" or cursor.blocks.open:
        if not cursor.blocks.open:  # what a text means in a block changes with its variables
            _plain_calls(cursor, plain)
        if tokens.kind != "end":
            _statement(cursor)
        cursor.blocks.settle()
    names = cursor.names
    return Contents(
        tuple(cursor.ops),
        names.sizes["qubit"],
        cursor.version,
        tuple(names.qubits),
        names.parameters,
        tuple(cursor.notes),
    )


def _header(cursor: Cursor) -> None:
    tokens = cursor.tokens
    tokens.advance()
    if tokens.word not in ("2", "2.0", "3", "3.0", "3.1"):
        raise tokens.fault(f"the version must be 2.0, 3.0 or 3.1, but is {tokens.shown()}.")
    cursor.version = int(tokens.take()[0])
    tokens.expect(";", "after the version")


def _plain_calls(cursor: Cursor, plain: PlainCalls) -> None:
    """As long as plain calls follow one another, take them the short way."""
    position, start = cursor.tokens.position, len(cursor.ops)
    while cursor.count < cursor.max_operations:
        found = plain.read(cursor.source, position, cursor.measured)
        if found is None:
            break
        op, position = found
        cursor.count += 1
        cursor.used.update(op.qubits)
        cursor.used.update(op.controls)
        cursor.ops.append(op)
    if len(cursor.ops) > start:
        cursor.tokens.restart(position)


def _statement(cursor: Cursor) -> None:
    tokens = cursor.tokens
    word = tokens.word
    if tokens.kind == "name" and isinstance(cursor.names.declared.get(word), CallableGate):
        return read_gate_call(cursor)
    if word == ";":
        return tokens.advance()
    if cursor.blocks.open and word in OUTSIDE:
        raise tokens.fault(f"the statement '{word}' must stand outside of loops, boxes and subroutines.")
    statement = _STATEMENTS[cursor.version].get(word)
    if statement is not None:
        return statement(cursor)
    if isinstance(cursor.names.declared.get(word), Subroutine):
        return loops.read_subroutine_call(cursor)
    if word in MODIFIERS and cursor.version == 3:
        return read_gate_call(cursor)
    if isinstance(cursor.names.declared.get(word), Register):
        return measurements.read_assignment(cursor)
    if word in CLASSICAL or word in "@#" or word in _STATEMENTS[5 - cursor.version]:
        raise tokens.fault(
            f"the statement '{word}' is not supported - a circuit holds declarations, gates, barriers and final "
            f"measurements - or does not belong to OpenQASM {cursor.version}."
        )
    if word == "OPENQASM":
        raise tokens.fault("the version must be the first statement.")
    if tokens.kind != "name":
        raise tokens.fault(f"expected a statement, but found {tokens.shown()}.")
    raise cursor.names.unknown_gate(word, tokens.position, cursor.version)


_Statements = Mapping[str, Callable[[Cursor], None]]
_BOTH: _Statements = {
    "include": declarations.read_include, "gate": read_gate_definition, "barrier": left_out.read_barrier,
    "measure": measurements.read_measure, "reset": measurements.read_reset,
    "qreg": declarations.read_old_register, "creg": declarations.read_old_register,
}  # fmt: skip
_STATEMENTS: Mapping[int, _Statements] = {
    2: {**_BOTH, "opaque": declarations.read_opaque},
    3: {
        **_BOTH,
        "qubit": declarations.read_register,
        "bit": declarations.read_register,
        "input": declarations.read_input_parameter,
        "const": declarations.read_constant,
        "let": declarations.read_alias,
        "for": loops.read_loop,
        "box": loops.read_box,
        "def": loops.read_subroutine,
        "delay": left_out.read_delay,
        "nop": left_out.read_nop,
        "pragma": left_out.read_pragma,
        "#": left_out.read_pragma,
        "@": left_out.read_annotation,
    },
}
