"""Arithmetic of OpenQASM: a parser and an evaluator of expressions, with explicit stacks.

Nothing here calls itself, and no text is ever run as code: the depth of the input is a number in a list.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ketgrad.circuits.angles import Angle
from ketgrad.circuits.qasm.tokens import Source, Tokens, integer, shortened
from ketgrad.circuits.variables import arccos
from ketgrad.foundation.errors import KetgradError

MAX_NESTING = 256  # brackets inside brackets
MAX_TERMS = 1000  # of an angle in parameters
WORK_PER_TERM = 5
SHORT_ANGLE = 8  # terms; the work with fewer is that of reading them
FEW_TERMS = 4  # that `Angle` inserts one by one


class Item(NamedTuple):
    """One step of an expression in reverse Polish order: push a number, push a variable, or apply a function."""

    kind: str  # "number", "name", "call"
    value: Any  # the number, the name, or (function, how many arguments, symbol)
    position: int


Expression = tuple[Item, ...]


def _divide(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        if b and a % b == 0:
            return a // b
        if b:
            raise ValueError(f"{a}/{b} of two integers drops the remainder in OpenQASM 3; write {a}.0/{b}")
    return a / b


def _remainder(a: Any, b: Any) -> Any:
    if not (isinstance(a, int) and isinstance(b, int)) or a < 0 or b < 0:
        raise ValueError(
            "it is the remainder of integers that are not negative; languages differ in all others"
        )
    return a % b


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, Angle) or isinstance(b, Angle):
        if isinstance(b, Angle) or b not in (1, 2):
            raise ValueError("a parameter may be raised to the power 1 or 2 only")
        return a ** int(b)
    if isinstance(a, int) and isinstance(b, int) and abs(a) > 1 and b > 64:
        raise OverflowError
    return a**b


def _real(function: Callable[..., float]) -> Callable[..., Any]:
    """`function` of numbers; what it says of a parameter that has no value yet."""

    def applied(*arguments: Any) -> float:
        if any(isinstance(argument, Angle) for argument in arguments):
            raise ValueError(
                f"`{function.__name__}` of a parameter is not an angle that ketgrad can train; "
                "angles are polynomials of degree 2 at most (and arccos of an input)"
            )
        return function(*arguments)

    return applied


def _arccos(value: Any) -> Any:
    return arccos(value) if isinstance(value, Angle) else math.acos(value)


_SHARED = {"sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp, "sqrt": math.sqrt}
_SHARED |= {"arcsin": math.asin, "arctan": math.atan}
_OLD = {"ln": math.log, "asin": math.asin, "atan": math.atan}
_NEW = {"log": math.log, "floor": math.floor, "ceiling": math.ceil}
FUNCTIONS: Mapping[int, Mapping[str, tuple[Callable[..., Any], int]]] = {
    2: {name: (_real(f), 1) for name, f in (_SHARED | _OLD).items()}
    | {"acos": (_arccos, 1), "arccos": (_arccos, 1)},
    3: {name: (_real(f), 1) for name, f in (_SHARED | _NEW).items()}
    | {"arccos": (_arccos, 1), "mod": (_real(operator.mod), 2), "pow": (_power, 2)},
}
CONSTANTS: Mapping[str, float] = {
    "pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e,
}  # fmt: skip

_NEGATE, _KEEP = (operator.neg, 1, "-"), (operator.pos, 1, "+")
_BINARY = {"+": (operator.add, 1), "-": (operator.sub, 1), "*": (operator.mul, 2), "/": (_divide, 2)}
_NEW_BINARY = _BINARY | {"%": (_remainder, 2)}
_UNARY_RANK, _POWER_RANK = 3, 4  # -2**2 is -(2**2)


@dataclass(frozen=True)
class _Pending:
    """An operator, prefix, bracket or function on the stack of the parser. A bracket has rank 0."""

    call: tuple[Callable[..., Any], int, str] | None
    rank: int
    position: int
    commas: int = 0


def parse_expression(tokens: Tokens, version: int, known: Container[str]) -> Expression:
    """Read one expression, up to a ',', ')', ']', ';', ':' or '}' that does not belong to it.

    Dijkstra's shunting yard: an output in reverse Polish order and a stack of pending operators. `known`
    holds the names that may occur. Time and memory: linear in the number of words.
    """
    output: list[Item] = []
    pending: list[_Pending] = []
    depth = 0
    while True:
        depth = _read_operand(tokens, version, known, output, pending, depth)
        while depth and tokens.word == ")":
            _finish_call(tokens, _close(output, pending), output)
            tokens.advance()
            depth -= 1
        if depth and tokens.word == ",":
            bracket = _close(output, pending)
            if bracket.call is None:
                raise tokens.fault("expected ')', but found ','.")
            pending.append(_Pending(bracket.call, 0, bracket.position, bracket.commas + 1))
            tokens.advance()
        elif not _read_operator(tokens, version, output, pending):
            break
    if depth:
        raise tokens.fault(f"expected ')', but found {tokens.shown()}.")
    while pending:
        _apply(output, pending.pop())
    return tuple(output)


def _read_operand(
    tokens: Tokens,
    version: int,
    known: Container[str],
    output: list[Item],
    pending: list[_Pending],
    depth: int,
) -> int:
    """Prefixes, opening brackets and function names, then one number or name; returns the new depth."""
    while True:
        kind, word, position = tokens.kind, tokens.word, tokens.position
        if kind == "integer" or kind == "float":
            output.append(Item("number", _literal(tokens, version), position))
            tokens.advance()
            if tokens.kind == "name" and tokens.position == position + len(word):
                raise tokens.fault(
                    f"a number runs into the name {tokens.shown()}; durations are not supported."
                )
            return depth
        if kind == "name":
            tokens.advance()
            function = FUNCTIONS[version].get(word) if tokens.word == "(" else None
            if function is None:
                output.append(_named(tokens, word, position, known, version))
                return depth
            pending.append(_Pending((*function, word), 0, position))
            depth += 1
        elif word == "(":
            pending.append(_Pending(None, 0, position))
            depth += 1
        elif word == "-" or word == "+":
            pending.append(_Pending(_NEGATE if word == "-" else _KEEP, _UNARY_RANK, position))
        else:
            raise tokens.fault(f"expected a number or a name, but found {tokens.shown()}.")
        if depth > MAX_NESTING or len(pending) > 4 * MAX_NESTING:
            raise tokens.fault(f"nesting > {MAX_NESTING}: the expression is nested too deeply.")
        tokens.advance()


def _literal(tokens: Tokens, version: int) -> float | int:
    """The number that stands here; an integer that fits into 64 bits stays one in version 3."""
    value = integer(tokens) if tokens.kind == "integer" else float(tokens.word.replace("_", ""))
    if isinstance(value, int) and version == 3 and value < 2**63:
        return value
    if value > sys.float_info.max:  # compared exactly, also for an integer
        raise tokens.fault(f"the number {tokens.shown()} is larger than any float; write one below 1.8e308.")
    return float(value)


def _named(tokens: Tokens, word: str, position: int, known: Container[str], version: int) -> Item:
    if word in known:
        return Item("name", word, position)
    if word in CONSTANTS and (version == 3 or word == "pi"):
        return Item("number", CONSTANTS[word], position)
    if tokens.word == "(":
        names = ", ".join(sorted(FUNCTIONS[version]))
        raise tokens.source.fault(position, f"the function {shortened(word)} is not known. Known: {names}.")
    raise tokens.source.fault(position, f"the name {shortened(word)} is not declared.")


def _read_operator(tokens: Tokens, version: int, output: list[Item], pending: list[_Pending]) -> bool:
    """Push the binary operator that stands here; False if none does."""
    word = tokens.word
    if word == ("**" if version == 3 else "^"):
        call, rank = (_power, 2, word), _POWER_RANK
    elif word in (_NEW_BINARY if version == 3 else _BINARY):
        function, rank = _NEW_BINARY[word]
        call = (function, 2, word)
    elif word in ("^", "**"):
        power = "**" if version == 3 else "^"
        raise tokens.fault(f"'{word}' is not a power in OpenQASM {version}; write '{power}'.")
    else:
        return False
    while pending and pending[-1].rank > rank - (rank != _POWER_RANK):  # left associative, but for the power
        _apply(output, pending.pop())
    pending.append(_Pending(call, rank, tokens.position))
    if len(pending) > 4 * MAX_NESTING:
        raise tokens.fault(f"nesting > {MAX_NESTING}: the expression is nested too deeply.")
    tokens.advance()
    return True


def _close(output: list[Item], pending: list[_Pending]) -> _Pending:
    """Apply what is pending since the last opening bracket; returns that bracket."""
    while pending[-1].rank:
        _apply(output, pending.pop())
    return pending.pop()


def _finish_call(tokens: Tokens, opening: _Pending, output: list[Item]) -> None:
    if opening.call is None:
        return
    _, arity, name = opening.call
    if opening.commas + 1 != arity:
        raise tokens.source.fault(
            opening.position,
            f"the function '{name}' takes {arity} argument(s), but {opening.commas + 1} are given.",
        )
    output.append(Item("call", opening.call, opening.position))


def _apply(output: list[Item], what: _Pending) -> None:
    output.append(Item("call", what.call, what.position))


def evaluate(expression: Expression, values: Mapping[str, Any], source: Source) -> Any:
    """The value of an expression: an int, a float or an `Angle`. Errors carry the line and column of the operator."""
    stack: list[Any] = []
    for kind, value, position in expression:
        if kind == "number":
            stack.append(value)
        elif kind == "name":
            stack.append(values[value])
        else:
            function, arity, symbol = value
            arguments = stack[-arity:]
            del stack[-arity:]
            stack.append(_result(function, symbol, arguments, position, source))
    return stack[0]


def _work(symbol: str, arguments: list[Any], result: Angle) -> int:
    """What making an angle counts as; a short one is put into a long sum without a look at the rest."""
    sizes = [len(value.terms) if isinstance(value, Angle) else 1 for value in arguments]
    terms = len(result.terms) + sum(sizes)
    if terms <= SHORT_ANGLE:
        return 0
    added = (symbol == "+" and min(sizes) <= FEW_TERMS) or (symbol == "-" and sizes[-1] <= FEW_TERMS)
    return WORK_PER_TERM * terms // (128 if added else 1)


def _result(
    function: Callable[..., Any], symbol: str, arguments: list[Any], position: int, source: Source
) -> Any:
    try:
        result = function(*arguments)
    except ZeroDivisionError:
        raise source.fault(position, f"'{symbol}' divides by zero.") from None
    except OverflowError:
        raise source.fault(position, f"the result of '{symbol}' is larger than any number here.") from None
    except (KetgradError, ValueError, TypeError) as error:
        reason = str(error).rstrip(".")
        if reason in ("math domain error", "expected a positive input") or not reason:
            reason = f"the argument {arguments[0]!r} is outside of its domain"
        raise source.fault(position, f"'{symbol}' cannot be computed: {reason}.") from None
    if isinstance(result, Angle):
        source.spend(_work(symbol, arguments, result), position)
    if isinstance(result, Angle) and len(result.terms) > MAX_TERMS:
        raise source.fault(position, f"'{symbol}' makes an angle of more than {MAX_TERMS} terms.")
    if isinstance(result, complex):
        raise source.fault(position, f"'{symbol}' cannot be computed: the result is not a real number.")
    if isinstance(result, float) and not math.isfinite(result):
        raise source.fault(position, f"the result of '{symbol}' is larger than any number here.")
    if isinstance(result, int) and abs(result) >= 2**63:
        raise source.fault(position, f"the result of '{symbol}' does not fit into 64 bits; write floats.")
    return result
