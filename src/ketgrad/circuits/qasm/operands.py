"""Qubits and bits as OpenQASM names them: q, q[2], q[0:2], q[{0, 2}], $2."""

from __future__ import annotations

from collections.abc import Sequence

from ketgrad.circuits.qasm.cursor import Cursor
from ketgrad.circuits.qasm.names import Register


def read_operands(cursor: Cursor) -> list[tuple[Sequence[int], bool]]:
    """Qubit operands with commas between them: (places, whether it is an array to broadcast over)."""
    operands: list[tuple[Sequence[int], bool]] = []
    while cursor.tokens.word not in (";", "->"):
        operands.append(read_operand(cursor, "qubit"))
        if not cursor.tokens.accept(","):
            break
    return operands


def read_operand(cursor: Cursor, kind: str) -> tuple[Sequence[int], bool]:
    """q, q[2], q[0:2], q[0:2:8] or q[{0, 2}]; $2."""
    tokens = cursor.tokens
    position, name = tokens.position, tokens.word
    if name.startswith("$") and kind == "qubit" and cursor.version == 3:
        tokens.advance()
        return cursor.names.physical_qubit(name, position).places, False
    register = cursor.names.register(kind, tokens.name(f"a {kind}"), position)
    if tokens.word != "[":
        return register.places, register.is_array
    tokens.advance()
    if tokens.accept("{"):
        chosen = [_index(cursor, name, register)]
        while tokens.accept(","):
            chosen.append(_index(cursor, name, register))
        tokens.expect("}", "after the indices")
        places, is_array = tuple(register.places[k] for k in chosen), True
    else:
        places, is_array = _index_or_range(cursor, name, register)
    tokens.expect("]", "after the index")
    return places, is_array


def _index_or_range(cursor: Cursor, name: str, register: Register) -> tuple[Sequence[int], bool]:
    """2, 0:2 or 0:2:8, whose step is in the middle and whose last index belongs to it; :2 and 1: have open ends."""
    tokens, position = cursor.tokens, cursor.tokens.position
    numbers = [_bound(cursor)]
    if tokens.word != ":":
        if numbers[0] is None:
            raise tokens.fault(f"expected an index of {name}, but found {tokens.shown()}.")
        return (register.places[_inside(cursor, numbers[0], name, register)],), False
    while len(numbers) < 3 and tokens.accept(":"):
        numbers.append(_bound(cursor))
    if cursor.version == 2 and (len(numbers) == 3 or None in numbers):
        raise cursor.source.fault(position, "a range of OpenQASM 2 has a first and a last index.")
    step = 1 if len(numbers) < 3 else numbers[1][0] if numbers[1] and numbers[2] else 0
    if step == 0:
        raise cursor.source.fault(
            position,
            "a range of three parts has its step, which is not 0, in the middle and its last index at the end.",
        )
    ends = (0, register.size - 1) if step > 0 else (register.size - 1, 0)
    first, last = (
        end if number is None else _inside(cursor, number, name, register)
        for number, end in zip((numbers[0], numbers[-1]), ends, strict=True)
    )
    chosen = range(first, last + (1 if step > 0 else -1), step)
    if isinstance(register.places, range):  # a part of it takes no memory, however long it is
        origin, stride = register.places.start, register.places.step
        return range(origin + stride * chosen.start, origin + stride * chosen.stop, stride * step), True
    cursor.source.spend(len(chosen), position)
    return tuple(register.places[k] for k in chosen), True


def _bound(cursor: Cursor) -> tuple[int, int] | None:
    """The number that stands here and its position; None if a ':' or ']' does."""
    if cursor.tokens.word in (":", "]"):
        return None
    position = cursor.tokens.position
    return cursor.whole_number("an index"), position


def _index(cursor: Cursor, name: str, register: Register) -> int:
    """The index that stands here, counted from 0."""
    position = cursor.tokens.position
    return _inside(cursor, (cursor.whole_number("an index"), position), name, register)


def _inside(cursor: Cursor, number: tuple[int, int], name: str, register: Register) -> int:
    index, position = number
    if not -register.size <= index < register.size or (index < 0 and cursor.version == 2):
        shown = index if abs(index) < 10**15 else "the index"
        raise cursor.source.fault(
            position,
            f"{shown} is out of range: {name} is {register}, so indices are 0 to {register.size - 1}.",
        )
    return index % register.size
