"""Definitions of gates: a body of calls becomes a gate that may be called, and its cost is known then."""

from __future__ import annotations

from collections import ChainMap
from functools import lru_cache
from typing import Any

from ketgrad.circuits.qasm.calls import check_number_of_qubits, read_call_head
from ketgrad.circuits.qasm.cursor import Cursor
from ketgrad.circuits.qasm.definitions import own_definition
from ketgrad.circuits.qasm.gates import LIBRARIES, QELIB1_DEFINITIONS, CallableGate, GateCall, settled
from ketgrad.circuits.qasm.names import Names
from ketgrad.circuits.qasm.tokens import Source, Tokens, shortened
from ketgrad.foundation.errors import near_matches

CLASSICAL = (
    "angle array bool box break cal case complex continue def defcal defcalgrammar default delay duration else end "
    "extern float for if int let nop opaque output pragma return stretch switch uint while"
).split()
_NOT_IN_BODIES = {*CLASSICAL, *"measure reset qubit bit qreg creg gate include input const".split()}


def read_gate_definition(cursor: Cursor) -> None:
    """gate name(params) qubits { body }: declared with the cost of its expansion."""
    tokens = cursor.tokens
    start = tokens.position
    tokens.advance()
    position, name = tokens.position, tokens.name("a gate")
    parameters = cursor.names_in_brackets() if tokens.accept("(") else ()
    qubits = cursor.names_up_to("a qubit", "{")
    cursor.refuse_repeats((*parameters, *qubits), position)
    known = ChainMap[str, Any](dict.fromkeys(parameters), cursor.names.constants)
    slots = {qubit: k for k, qubit in enumerate(qubits)}
    tokens.expect("{", f"before the body of {name}")
    body: list[GateCall] = []
    while tokens.word != "}":
        _body_statement(cursor, name, known, slots, body)
    text = tokens.source.text[start : tokens.position + 1]
    cost = min(1 + sum(call.cost for call in body), cursor.max_operations + 1)
    made = _gate_with_this_definition(cursor, name, text, body)
    roots = max((call.gate.roots for call in body), default=0)
    own = CallableGate(name, parameters, len(qubits), cost, body=tuple(body), roots=roots)
    cursor.names.declare(name, made or own, position)
    tokens.advance()


def _gate_with_this_definition(
    cursor: Cursor, name: str, text: str, body: list[GateCall]
) -> CallableGate | None:
    """A definition that our own writer makes, in the same words and of table rows, is read as the gate itself."""
    ours = own_definition(name)
    if ours is None or ours[0].split() != text.split() or not all(call.gate.row is not None for call in body):
        return None
    gate = ours[1]
    return CallableGate(name, gate.angle_names, gate.num_qubits, 1, gate)


def _body_statement(
    cursor: Cursor, gate: str, known: ChainMap[str, Any], slots: dict[str, int], body: list[GateCall]
) -> None:
    tokens = cursor.tokens
    if tokens.accept(";"):
        return
    is_barrier = tokens.word == "barrier"
    if is_barrier:
        tokens.advance()
        operands = cursor.names_up_to("a qubit", ";")
    else:
        if tokens.word in _NOT_IN_BODIES and tokens.word not in cursor.names.declared:
            raise tokens.fault(f"the statement '{tokens.word}' is not supported in the body of a gate.")
        call = read_call_head(cursor, known)
        operands = cursor.names_up_to("a qubit", ";")
    for operand in operands:
        if operand not in slots:
            raise tokens.fault(
                f"{shortened(operand)} is not a qubit of the gate {gate}. {near_matches(operand, slots)}"
            )
    if not is_barrier:
        cursor.refuse_repeats(operands, call.position)
        check_number_of_qubits(cursor, call, len(operands))
        body.append(settled(call, tuple(slots[q] for q in operands), known, cursor.source))
    tokens.expect(";", f"in the body of {gate}")


@lru_cache(maxsize=1)
def composite_gates() -> tuple[CallableGate, ...]:
    """The gates of qelib1.inc that are sequences of others."""
    source = Source(QELIB1_DEFINITIONS, "qelib1.inc")
    names = Names(source)
    names.declare_gates(LIBRARIES["qelib1.inc"], 0)
    before = set(names.declared)
    cursor = Cursor(Tokens(source), source, names, 10**7, version=2)
    while cursor.tokens.kind != "end":
        read_gate_definition(cursor)
    return tuple(what for name, what in names.declared.items() if name not in before)
