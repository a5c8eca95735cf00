"""Calls of gates: modifiers, name, angles and qubits, broadcast over registers and expanded to ops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from ketgrad.circuits.qasm.cursor import Cursor
from ketgrad.circuits.qasm.expressions import Expression, evaluate, parse_expression
from ketgrad.circuits.qasm.gates import CallableGate, GateCall, expanded, root
from ketgrad.circuits.qasm.names import MAX_BITS
from ketgrad.circuits.qasm.operands import read_operands

MODIFIERS = ("ctrl", "negctrl", "inv", "pow")


def read_gate_call(cursor: Cursor) -> None:
    """One call at the top level: broadcast over registers, counted, expanded."""
    call = read_call_head(cursor, cursor.names.values)
    operands = read_operands(cursor)
    check_number_of_qubits(cursor, call, len(operands))
    lengths = {len(places) for places, is_array in operands if is_array}
    if len(lengths) > 1:
        raise cursor.source.fault(call.position, f"registers of different sizes: {sorted(lengths)}.")
    repeats = lengths.pop() if lengths else 1
    cursor.spend(repeats * call.cost, call.position)
    angles = tuple(evaluate(angle, cursor.names.values, cursor.source) for angle in call.angles)
    for k in range(repeats):
        places = tuple(places[k] if is_array else places[0] for places, is_array in operands)
        if len(set(places)) != len(places) or (cursor.measured and not cursor.measured.isdisjoint(places)):
            raise _bad_places(cursor, call, places)
        cursor.used.update(places)
        cursor.ops.extend(expanded(call, angles, places, cursor.source))
    cursor.tokens.expect(";", f"after the gate {call.gate.name}")


def read_call_head(cursor: Cursor, known: Mapping[str, Any]) -> GateCall:
    """Modifiers, name and angles of a call."""
    tokens = cursor.tokens
    start = tokens.position
    modifiers = _modifiers(cursor) if cursor.version == 3 and tokens.word in MODIFIERS else ()
    position, name = tokens.position, tokens.word
    gate = cursor.names.declared.get(name)
    if not isinstance(gate, CallableGate):
        raise cursor.names.unknown_gate(name, position, cursor.version) if tokens.kind == "name" else tokens.fault(
            f"expected the name of a gate, but found {tokens.shown()}.")  # fmt: skip
    tokens.advance()
    angles = _angles(cursor, known) if tokens.word == "(" else ()
    if len(angles) != len(gate.parameters):
        wanted = (
            f"{len(gate.parameters)} angle(s) ({', '.join(gate.parameters)})"
            if gate.parameters
            else "no angle"
        )
        raise cursor.source.fault(position, f"the gate {name} takes {wanted}, but {len(angles)} are given.")
    return _modified(cursor, gate, angles, modifiers, start)


def _modified(
    cursor: Cursor,
    gate: CallableGate,
    angles: tuple[Expression, ...],
    modifiers: Sequence[tuple[float, tuple[bool, ...]]],
    start: int,
) -> GateCall:
    """A call under modifiers, the innermost of which is the last."""
    power, inner = 1, []
    for number, controls in reversed(modifiers):
        inner.append(controls)
        if number == int(number):
            power *= int(number)
            if abs(power) > cursor.max_operations:
                raise cursor.too_many(start)
        else:
            gate = root(GateCall(gate, angles, _outermost_first(inner), power, start), number, cursor.source)
            power, inner = 1, []
    return GateCall(gate, angles, _outermost_first(inner), power, start)


def _angles(cursor: Cursor, known: Mapping[str, Any]) -> tuple[Expression, ...]:
    tokens = cursor.tokens
    tokens.advance()
    angles: list[Expression] = []
    while tokens.word != ")":
        angles.append(parse_expression(tokens, cursor.version, known))
        if not tokens.accept(","):
            break
    tokens.expect(")", "after the angles")
    return tuple(angles)


def _modifiers(cursor: Cursor) -> list[tuple[float, tuple[bool, ...]]]:
    """ctrl @, negctrl(2) @, inv @, pow(3) @ in any order: the power and the controls of each, outermost first."""
    tokens, found, added = cursor.tokens, [], 0
    while tokens.word in MODIFIERS:
        position, word = tokens.position, tokens.take()
        number = _number_of(cursor, word) if word != "inv" and (word == "pow" or tokens.word == "(") else 1
        tokens.expect("@", f"after {word}")
        if word in ("inv", "pow"):
            found.append((number if word == "pow" else -1, ()))
            continue
        if number != int(number):
            raise cursor.source.fault(
                position, f"the number of '{word}' must be an integer, but is {number}."
            )
        added += int(number)
        if number < 1 or added > MAX_BITS:
            raise cursor.source.fault(
                position, f"'{word}' takes 1 to {MAX_BITS:,} controls, but {int(number)} is given."
            )
        found.append((1, (word == "ctrl",) * int(number)))
    return found


def _number_of(cursor: Cursor, word: str) -> float:
    """The number in brackets behind a modifier."""
    tokens, known = cursor.tokens, cursor.names.constants
    tokens.expect("(", f"after {word}")
    value = evaluate(parse_expression(tokens, 3, known), known, cursor.source)
    tokens.expect(")", f"after {word}")
    return value


def check_number_of_qubits(cursor: Cursor, call: GateCall, given: int) -> None:
    """Raise unless a call is given as many qubits as it acts on."""
    if given != call.num_qubits:
        raise cursor.source.fault(
            call.position,
            f"the gate {call.gate.name} acts on {call.num_qubits} qubit(s), but {given} are given.",
        )


def _bad_places(cursor: Cursor, call: GateCall, places: tuple[int, ...]) -> Exception:
    qubit, times = Counter(places).most_common(1)[0]
    if times > 1:
        reason = f"names the qubit {cursor.names.qubits[qubit]} twice; qubits must be distinct."
    else:
        name = cursor.names.qubits[min(cursor.measured & set(places))]
        reason = f"acts on {name} after its measurement; measurements must be final."
    return cursor.source.fault(call.position, f"the gate {call.gate.name} {reason}")


def _outermost_first(controls: list[tuple[bool, ...]]) -> tuple[bool, ...]:
    """The polarity of the controls of modifiers that are given from the innermost on."""
    return tuple(chain.from_iterable(reversed(controls)))
