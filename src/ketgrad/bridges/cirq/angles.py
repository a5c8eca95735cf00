"""SymPy expressions, which are the parameters of Cirq, and our angles, each made from the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import sympy

from ketgrad.bridges.importing import Computed
from ketgrad.circuits.angles import Angle, Variable, add_up, as_angle
from ketgrad.circuits.variables import arccos
from ketgrad.foundation.errors import KetgradValueError

Names = Mapping[sympy.Symbol, Angle]


def angle_of(half_turns: Any, names: Names, where: str, computed: Computed | None = None) -> Angle:
    """The angle of pi times a number or an expression; `names` holds the angle of each symbol.

    Polynomials of degree 2 at most in the symbols and in arccos of inputs. `where` names the gate in messages.
    Anything else is added to `computed`, and without one raises `KetgradValueError` with the expression.
    """
    if not isinstance(half_turns, sympy.Basic):
        return as_angle(math.pi * half_turns, where)
    angle = _direct(half_turns, sympy.pi, names)
    if angle is None:
        angle = _direct(sympy.expand(half_turns), sympy.pi, names)  # terms of higher degree may cancel
    if angle is None and computed is not None:
        return computed.angle(half_turns)
    if angle is None:
        raise KetgradValueError(
            f"{where} must be a polynomial of degree 2 at most in the symbols - that is what an angle of ketgrad can "
            f"hold - but is {half_turns}. Resolve some of its symbols first, or pass the angle as a symbol of its own."
        )
    return angle


def _listed(symbol: Any, names: Names) -> Angle:
    """The angle of a symbol; refused where the gate does not tell Cirq of it, so that no circuit lists it."""
    if symbol not in names:
        raise KetgradValueError(
            f"The symbol {symbol.name!r} is not among the parameters of its circuit - Cirq lists none for its gate. "
            "Resolve it first, with cirq.resolve_parameters(circuit, ...)."
        )
    return names[symbol]


def _direct(expression: Any, factor: Any, names: Names) -> Angle | None:
    """factor * expression, term by term; None for what is no polynomial of degree 2 as it is written.

    The factor is an exact number, so that the pi of an angle and the 1/pi of an exponent cancel.
    """
    if expression.is_number:
        number = complex(factor * expression)
        return as_angle(number.real) if number.imag == 0 and math.isfinite(number.real) else None
    if expression.is_Symbol:
        return _listed(expression, names) * float(factor)
    if expression.is_Add:
        terms = [_direct(term, factor, names) for term in expression.args]
        return None if None in terms else add_up(terms)  # type: ignore[arg-type]
    if expression.is_Mul:
        numbers = [part for part in expression.args if part.is_number]
        return _product(
            [part for part in expression.args if not part.is_number], factor * sympy.Mul(*numbers), names
        )
    if expression.is_Pow and expression.exp in (1, 2):
        return _product([expression.base] * int(expression.exp), factor, names)
    if isinstance(expression, sympy.acos) and expression.args[0] in names:
        angle = names[expression.args[0]]
        return arccos(angle) * float(factor) if all(kind == "x" for kind, _ in angle.variables()) else None
    return None


def expression_of(angle: Angle, symbols: Mapping[Variable, sympy.Symbol]) -> Any:
    """The expression in the symbols that equals the angle; a float where it is constant."""
    if angle.is_constant:
        return angle.constant
    return sympy.Add(*(
        sympy.Mul(_coefficient(coefficient), *(_symbol(variable, symbols) for variable in monomial))
        for monomial, coefficient in angle.terms
    ))  # fmt: skip


def half_turns(angle: Angle, symbols: Mapping[Variable, sympy.Symbol]) -> Any:
    """The angle in units of pi, which is how Cirq counts exponents."""
    return angle.constant / math.pi if angle.is_constant else expression_of(angle, symbols) / sympy.pi


def _product(parts: list[Any], factor: Any, names: Names) -> Angle | None:
    if len(parts) > 2 or complex(factor).imag:
        return None
    first = _direct(parts[0], factor, names)
    second = _direct(parts[1], sympy.Integer(1), names) if len(parts) == 2 else None
    if first is None or len(parts) == 1 or second is None:
        return first if len(parts) == 1 else None
    return first * second if _degree(first) + _degree(second) <= 2 else None


def _degree(angle: Angle) -> int:
    return max((len(monomial) for monomial, _ in angle.terms), default=0)


def _coefficient(number: float) -> Any:
    return (
        sympy.Integer(int(number)) if number == int(number) and abs(number) < 2**53 else sympy.Float(number)
    )


def _symbol(variable: Variable, symbols: Mapping[Variable, sympy.Symbol]) -> Any:
    kind, index = variable
    return sympy.acos(symbols["x", index]) if kind == "arccos" else symbols[variable]
