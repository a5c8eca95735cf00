"""Loops, boxes and subroutines: bodies that are read where they are repeated or called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ketgrad.circuits.qasm.blocks import MAX_READ, Parameter, Subroutine, as_argument, find_body
from ketgrad.circuits.qasm.cursor import Cursor
from ketgrad.circuits.qasm.operands import read_operand


def read_loop(cursor: Cursor) -> None:
    """for int i in [0:2:8] { ... }, also over {1, 2, 4}; the body is read once for each value."""
    tokens, start = cursor.tokens, cursor.tokens.position
    tokens.advance()
    kind = cursor.type_of("a loop variable")
    name = tokens.name("a loop variable")
    tokens.expect("in", f"after {name}")
    values, times = _loop_values(cursor)
    cursor.blocks.repeat(find_body(tokens), kind, name, values, times, start)


def _loop_values(cursor: Cursor) -> tuple[Iterable[Any], int]:
    """The values of [0:2:8] or {1, 2, 4}, and how many there are."""
    tokens, position = cursor.tokens, cursor.tokens.position
    if tokens.accept("{"):
        values = [cursor.value()]
        while tokens.accept(","):
            values.append(cursor.value())
        tokens.expect("}", "after the values")
        return values, len(values)
    tokens.expect("[", "or '{' before the values of a loop")
    numbers = [cursor.whole_number("a bound")]
    while tokens.accept(":"):
        numbers.append(cursor.whole_number("a bound"))
    tokens.expect("]", "after the bounds")
    if len(numbers) not in (2, 3) or (len(numbers) == 3 and numbers[1] == 0):
        raise cursor.source.fault(
            position, "a loop takes [first:last] or [first:step:last], with a step other than 0."
        )
    first, last, step = numbers[0], numbers[-1], numbers[1] if len(numbers) == 3 else 1
    times = max(0, (last - first) // step + 1)
    return (first + k * step for k in range(min(times, MAX_READ))), times


def read_box(cursor: Cursor) -> None:
    """box { ... } or box[100ns] { ... }: the statements, since a circuit has no time."""
    tokens, start = cursor.tokens, cursor.tokens.position
    tokens.advance()
    cursor.skip_duration()
    if tokens.word != "{":
        raise tokens.fault(f"expected '{{' after box, but found {tokens.shown()}.")
    cursor.blocks.once(find_body(tokens), start)


def read_subroutine(cursor: Cursor) -> None:
    """def f(qubit q, angle t) { ... }: kept as it stands, and read where it is called."""
    tokens = cursor.tokens
    tokens.advance()
    position, name = tokens.position, tokens.name("a subroutine")
    tokens.expect("(", f"after def {name}")
    parameters: list[Parameter] = []
    while tokens.word != ")":
        parameters.append(_parameter(cursor))
        if not tokens.accept(","):
            break
    tokens.expect(")", "after the parameters")
    cursor.refuse_repeats(tuple(parameter.name for parameter in parameters), position)
    if tokens.word != "{":
        raise tokens.fault(
            f"expected the body of the subroutine {name}, but found {tokens.shown()}; only subroutines of gates, "
            "which return nothing, can be read."
        )
    body = find_body(tokens)
    cursor.names.declare(name, Subroutine(name, tuple(parameters), body), position)
    tokens.restart(body.resume)


def _parameter(cursor: Cursor) -> Parameter:
    tokens = cursor.tokens
    if tokens.word != "qubit":
        return Parameter(cursor.type_of("a parameter"), tokens.name("a parameter"), None)
    tokens.advance()
    size = cursor.size() if tokens.word == "[" else None
    return Parameter("qubit", tokens.name("a parameter"), size)


def read_subroutine_call(cursor: Cursor) -> None:
    """f(q, pi); is read as the body of f with its parameters standing for these."""
    tokens, start = cursor.tokens, cursor.tokens.position
    subroutine: Subroutine = cursor.names.declared[tokens.take()]
    tokens.expect("(", f"after {subroutine.name}")
    arguments: list[Any] = []
    for parameter in subroutine.parameters:
        if arguments:
            tokens.expect(",", f"between the arguments of {subroutine.name}")
        arguments.append(_argument(cursor, subroutine, parameter))
    tokens.expect(")", f"after the {len(arguments)} argument(s) of {subroutine.name}")
    if tokens.word != ";":
        raise tokens.fault(f"expected ';' after the call of {subroutine.name}, but found {tokens.shown()}.")
    cursor.blocks.call(subroutine, arguments, tokens.position, start)


def _argument(cursor: Cursor, subroutine: Subroutine, parameter: Parameter) -> Any:
    if parameter.kind != "qubit":
        return cursor.value()
    position = cursor.tokens.position
    found = as_argument(parameter, read_operand(cursor, "qubit"))
    if found is None:
        wanted = "one qubit" if parameter.size is None else f"{parameter.size} qubits"
        message = f"the parameter {parameter.name} of {subroutine.name} takes {wanted}."
        raise cursor.source.fault(position, message)
    return found
