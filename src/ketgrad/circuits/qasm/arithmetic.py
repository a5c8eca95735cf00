"""Numbers and angles as OpenQASM arithmetic that is read back to the last bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

from ketgrad.circuits.angles import Angle, Variable


def expression(angle: Angle | float, names: Mapping[Variable, str] | None = None) -> str:
    """An angle as OpenQASM arithmetic that gives back the same coefficients, to the last bit."""
    if not isinstance(angle, Angle):
        return number(float(angle))
    pieces: list[str] = []
    for monomial, coefficient in angle.terms:
        variables = "*".join(names[v] if names else _symbol(v) for v in monomial)
        size = "" if variables and abs(coefficient) == 1 else number(abs(coefficient))
        sign = "-" if coefficient < 0 else "+"
        pieces.append(f" {sign} {size}{'*' * bool(size and variables)}{variables}")
    text = "".join(pieces) or " + 0.0"
    return text.replace(" - ", "-", 1) if text.startswith(" - ") else text.removeprefix(" + ")


def identifier(variable: Variable) -> str:
    """The parameter of a text that a weight or input becomes: w_3 or x_3."""
    return f"w_{variable[1]}" if variable[0] == "w" else f"x_{variable[1]}"


def _symbol(variable: Variable) -> str:
    return identifier(variable) if variable[0] in "wx" else f"{variable[0]}({identifier(variable)})"


@lru_cache(maxsize=4096)
def number(value: float) -> str:
    """A multiple of pi where that is exact, else the shortest decimal number that is read back as `value`."""
    for divisor in (1, 2, 3, 4, 6, 8) if abs(value) < 60 else ():
        factor = round(value * divisor / math.pi)
        if 0 < abs(factor) <= 16 and factor * math.pi / divisor == value and math.gcd(factor, divisor) == 1:
            top = {1: "pi", -1: "-pi"}.get(factor, f"{factor}*pi")
            return top if divisor == 1 else f"{top}/{divisor}"
    return repr(value)
