"""Qiskit's parameter expressions and our angles, each made from the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from qiskit.circuit import Parameter, ParameterExpression, ParameterVector, ParameterVectorElement

from ketgrad.bridges.importing import Computed
from ketgrad.circuits.angles import ZERO, Angle, Variable, as_angle
from ketgrad.circuits.variables import arccos
from ketgrad.foundation.errors import KetgradValueError, near_matches

Names = Mapping[Parameter, Angle]

# Points at which a polynomial must agree with the expression that it was read from: of both signs, of no pattern.
_PROBES = (0.37, -0.82, 1.13, -1.71, 0.59, -0.24, 2.03)


def chosen_parameters(chosen: Any, parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """The parameters that `inputs` names, in its order; a vector stands for all of its elements."""
    by_name: dict[str, tuple[Parameter, ...]] = {parameter.name: (parameter,) for parameter in parameters}
    for parameter in parameters:
        if isinstance(parameter, ParameterVectorElement):
            by_name.setdefault(parameter.vector.name, tuple(parameter.vector))
    if isinstance(chosen, str | Parameter | ParameterVector):
        chosen = [chosen]
    found: list[Parameter] = []
    for entry in chosen:
        if isinstance(entry, ParameterVector):
            found += list(entry)
        elif isinstance(entry, Parameter) and entry in parameters:
            found.append(entry)
        elif isinstance(entry, str) and entry in by_name:
            found += by_name[entry]
        else:
            hint = near_matches(str(entry), by_name) if by_name else "It has none."
            raise KetgradValueError(
                f"`inputs` must name parameters of the circuit, but {entry!r} is none. {hint}"
            )
    if len(set(found)) != len(found):
        twice = next(parameter.name for k, parameter in enumerate(found) if parameter in found[:k])
        raise KetgradValueError(f"`inputs` must name each parameter once, but {twice!r} occurs twice.")
    return tuple(found)


def angle_of(value: Any, names: Names, where: str, computed: Computed | None = None) -> Angle:
    """The angle that equals a number, a parameter or an expression; `names` holds the angle of each parameter.

    Polynomials of degree 2 at most, and a * arccos(x) + b of an input x. `where` names the gate in messages.
    Anything else is added to `computed`, and without one raises `KetgradValueError` with the expression.
    """
    if not isinstance(value, ParameterExpression):
        return as_angle(value, where)
    parameters = sorted(value.parameters, key=lambda parameter: parameter.name)
    if not parameters:
        return as_angle(_number(value), where)
    if isinstance(value, Parameter):
        return names[value]
    angle = _polynomial(value, parameters, names)
    if angle is None and len(parameters) == 1:
        angle = _of_arccos(value, parameters[0], names)
    if angle is None and computed is not None:
        return computed.angle(value)
    if angle is None:
        raise KetgradValueError(
            f"{where} must be a polynomial of degree 2 at most in the parameters - that is what an angle of ketgrad "
            f"can hold - but is {value}. Bind some of its parameters first, or compute the angle and pass it as one."
        )
    return angle


def expression_of(angle: Angle, symbols: Mapping[Variable, Any]) -> Any:
    """The expression in qiskit's parameters that equals the angle; a float where it is constant."""
    total: Any = angle.constant
    for monomial, coefficient in angle.terms:
        if monomial:
            product = math.prod((_symbol(variable, symbols) for variable in monomial), start=coefficient)
            total = product if isinstance(total, float) and total == 0.0 else total + product
    return total


def _symbol(variable: Variable, symbols: Mapping[Variable, Any]) -> Any:
    kind, index = variable
    return symbols["x", index].arccos() if kind == "arccos" else symbols[variable]


def value_of(expression: ParameterExpression, values: Mapping[Parameter, float]) -> float:
    """The number that an expression takes where all parameters have values; NaN where that is no real number."""
    parameters = list(expression.parameters)
    return _at(expression, parameters, [values[parameter] for parameter in parameters])


def _number(expression: Any) -> float:
    """The value of an expression without parameters; NaN where it is not real."""
    value: Any = expression.numeric() if isinstance(expression, ParameterExpression) else expression
    if isinstance(value, complex):
        return value.real if value.imag == 0 else math.nan
    return float(value)


def _at(expression: Any, parameters: Sequence[Parameter], numbers: Sequence[float]) -> float:
    """The expression with numbers in place of parameters; NaN where it has no finite real value."""
    if not isinstance(expression, ParameterExpression):
        return _number(expression)
    present = expression.parameters
    try:
        return _number(
            expression.bind({p: v for p, v in zip(parameters, numbers, strict=True) if p in present})
        )
    except (ZeroDivisionError, OverflowError, ValueError, TypeError):
        return math.nan  # a pole, or outside of the domain: no polynomial has one


def _slope(expression: Any, parameter: Parameter) -> Any:
    """The derivative; zero for what does not read the parameter, NaN for a function that has none, as sign."""
    if not isinstance(expression, ParameterExpression) or parameter not in expression.parameters:
        return 0.0
    try:
        return expression.gradient(parameter)
    except RuntimeError:
        return math.nan


def _polynomial(expression: Any, parameters: Sequence[Parameter], names: Names) -> Angle | None:
    """The Taylor polynomial of degree 2 at zero, if it is the expression: derivatives are exact, probes decide."""
    zeros = [0.0] * len(parameters)
    terms: dict[tuple[int, ...], float] = {(): _at(expression, parameters, zeros)}
    for i, first in enumerate(parameters):
        slope = _slope(expression, first)
        terms[(i,)] = _at(slope, parameters, zeros)
        for j, second in enumerate(parameters[i:], start=i):
            curvature = _at(_slope(slope, second), parameters, zeros)
            terms[i, j] = curvature / 2 if i == j else curvature
    if not all(map(math.isfinite, terms.values())):
        return None
    for k in range(4):
        point = [
            _PROBES[(i * 2 + k * 3 + i * i * k) % len(_PROBES)] + 0.01 * i for i in range(len(parameters))
        ]
        value = sum(c * math.prod(point[i] for i in monomial) for monomial, c in terms.items())
        if not abs(_at(expression, parameters, point) - value) <= 1e-9 * (1 + abs(value)):
            return None
    total = ZERO
    for monomial, coefficient in terms.items():
        if coefficient:
            total = total + math.prod((names[parameters[i]] for i in monomial), start=as_angle(coefficient))
    return total


def _of_arccos(expression: Any, parameter: Parameter, names: Names) -> Angle | None:
    """a * arccos(x) + b, if that is the expression and x is an input."""
    ends = [_at(expression, [parameter], [end]) for end in (-1.0, 1.0)]
    scale, offset = (ends[0] - ends[1]) / math.pi, ends[1]
    if not math.isfinite(scale) or not any(kind == "x" for kind, _ in names[parameter].variables()):
        return None
    for point in (-0.83, -0.31, 0.12, 0.57):
        if not abs(_at(expression, [parameter], [point]) - scale * math.acos(point) - offset) <= 1e-9:
            return None
    return scale * arccos(names[parameter]) + offset
