"""Statements that change no circuit: barriers, delays, pragmas and annotations."""

from __future__ import annotations

import re

from ketgrad.circuits.qasm.cursor import Cursor
from ketgrad.circuits.qasm.names import Register
from ketgrad.circuits.qasm.operands import read_operands
from ketgrad.circuits.qasm.tokens import shortened

PRAGMA = re.compile(r"#?pragma\b(.*)")
ANNOTATION = re.compile(r"@[ \t]*[^\W\d][\w.]*")
WORD = re.compile(r"\$\d+|[^\W\d]\w*")


def read_barrier(cursor: Cursor) -> None:
    """barrier q; asks compilers to keep the order of gates, which a circuit has anyway."""
    cursor.tokens.advance()
    read_operands(cursor)
    cursor.tokens.expect(";", "after barrier")


def read_delay(cursor: Cursor) -> None:
    """delay[100ns] q; is the identity."""
    tokens, start = cursor.tokens, cursor.tokens.position
    tokens.advance()
    cursor.skip_duration()
    read_operands(cursor)
    cursor.note(start, "delay: left out; a circuit has no time")
    tokens.expect(";", "after delay")


def read_nop(cursor: Cursor) -> None:
    """nop q; does nothing to the qubits that it names."""
    cursor.tokens.advance()
    read_operands(cursor)
    cursor.tokens.expect(";", "after nop")


def read_pragma(cursor: Cursor) -> None:
    """pragma ... and #pragma ...: left out, unless they name qubits and so may change what the circuit does."""
    tokens = cursor.tokens
    line = _line(cursor)
    words = PRAGMA.match(line)
    if words is None:
        raise tokens.fault(f"expected a statement, but found {tokens.shown()}.")
    for word in WORD.findall(words[1]):
        register = cursor.names.declared.get(word)
        if word.startswith("$") or (isinstance(register, Register) and register.kind == "qubit"):
            raise tokens.fault(
                f"this pragma names the qubit {shortened(word)}, so it may change what the circuit does, and it is "
                "not understood. Remove it, or write it as gates."
            )
    cursor.note(tokens.position, f"pragma {shortened(words[1].strip())}: left out")
    tokens.restart(tokens.position + len(line))


def read_annotation(cursor: Cursor) -> None:
    """@name ...: a hint for a compiler, on a line of its own."""
    tokens, line = cursor.tokens, _line(cursor)
    if ANNOTATION.match(line) is None:
        raise tokens.fault("an annotation is '@' and a name, on a line of its own.")
    cursor.note(tokens.position, f"annotation {shortened(line.strip())}: left out")
    tokens.restart(tokens.position + len(line))


def _line(cursor: Cursor) -> str:
    """The rest of the line from the current word on."""
    end = cursor.source.text.find("\n", cursor.tokens.position)
    return cursor.source.text[cursor.tokens.position : end if end >= 0 else None]
