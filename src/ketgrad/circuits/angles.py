"""Angles: polynomials of degree at most two in trained weights w[i] and data inputs x[j].

Degree two covers what circuits in the literature need: scaled inputs (w[0] * x[0] + w[1]), and the
(pi - x[0]) * (pi - x[1]) of the ZZ feature map, so that a circuit is written as its paper writes it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from ketgrad.foundation.errors import (
    KetgradError,
    KetgradTypeError,
    KetgradValueError,
    shown,
)
from ketgrad.foundation.numbers import as_real, check_count, check_number, unboxed

Variable = tuple[str, int]  # ("w", i): weight; ("x", j): input; ("arccos", j): arccos of input j
Monomial = tuple[Variable, ...]  # 0, 1 or 2 variables, sorted


@dataclass(frozen=True)
class InputFunction:
    """An elementwise function of an input, and the interval on which it is defined."""

    name: str
    value: Callable[[np.ndarray], np.ndarray]
    low: float
    high: float


INPUT_FUNCTIONS: Mapping[str, InputFunction] = {
    "arccos": InputFunction("arccos", np.arccos, -1.0, 1.0),  # its derivatives: functions/input_functions.py
}


@dataclass(frozen=True, init=False, repr=False)
class Angle:
    """A polynomial of degree <= 2: a tuple of (monomial, coefficient), sorted, without zeros.

    Made from `w[i]`, `x[j]` and numbers with + - * / and ** (2 at most). `str` of it is short, `repr` reads back as
    the same value.

    >>> 2 * kg.w[3] * kg.x[0] + 1 / 3
    0.3333333333333333 + 2 * w[3] * x[0]
    >>> print(2 * kg.w[3] * kg.x[0] + 1 / 3)
    0.333333 + 2 w[3] x[0]
    """

    terms: tuple[tuple[Monomial, float], ...]

    def __init__(self, terms: Iterable[tuple[Monomial, float]]) -> None:
        object.__setattr__(self, "terms", _checked_terms(terms))

    @property
    def is_constant(self) -> bool:
        """Whether no weight and no input occurs."""
        return all(not monomial for monomial, _ in self.terms)

    @property
    def constant(self) -> float:
        """The term without variables."""
        return self.terms[0][1] if self.terms and not self.terms[0][0] else 0.0

    def variables(self) -> frozenset[Variable]:
        """The weights and inputs that occur."""
        return frozenset(variable for monomial, _ in self.terms for variable in monomial)

    def count(self, kind: str) -> int:
        """One more than the largest index of a weight (kind "w") or of an input (kind "x")."""
        of_weights = kind == "w"
        return max((1 + i for name, i in self.variables() if (name == "w") == of_weights), default=0)

    def substitute(self, values: Mapping[Variable, Any]) -> Angle:
        """The angle with some variables replaced by numbers or by other angles."""
        if not isinstance(values, Mapping):
            raise KetgradTypeError(
                f"`values` must be a dictionary such as {{('w', 0): 0.5}}, but is {shown(values)}."
            )
        if not any(variable in values for variable in self.variables()):
            return self
        products = []
        for monomial, coefficient in self.terms:
            product = as_angle(coefficient)
            for variable in monomial:
                product = product * values.get(variable, known_angle((((variable,), 1.0),)))
            products.append(product)
        return add_up(products)

    def shift_weights(self, by: int) -> Angle:
        """The angle with w[i] renamed to w[i + by]."""
        if type(by) is not int or by < 0:
            by = check_count(by, "by", 0, None)
        if by == 0 or self.is_constant:
            return self
        moved = ((tuple(_shifted(v, by) for v in monomial), c) for monomial, c in self.terms)
        return known_angle(tuple(sorted((tuple(sorted(monomial)), c) for monomial, c in moved)))

    def evaluate(self, weights: Any = (), inputs: Any = ()) -> float:
        """The number that the angle takes, in radians.

        >>> (kg.w[0] * kg.x[1]).evaluate([2.0], [0.0, 3.0])
        6.0
        """

        def number(variable: Variable) -> float:
            name, index = variable
            if name == "w":
                return _entry(weights, index, "weights")
            value = _entry(inputs, index, "inputs")
            return value if name == "x" else float(INPUT_FUNCTIONS[name].value(np.asarray(value)))

        total = sum(c * math.prod(number(v) for v in monomial) for monomial, c in self.terms)
        return check_number(total, f"The value of {self}")

    def __add__(self, other: Any) -> Angle:
        operand = _operand(other)
        if operand is None:
            return NotImplemented
        few, many = sorted((self.terms, operand.terms), key=len)
        return _inserted(many, few) if len(few) <= 4 else _collect((*self.terms, *operand.terms))

    __radd__ = __add__

    def __neg__(self) -> Angle:
        return known_angle(tuple((monomial, -c) for monomial, c in self.terms))

    def __sub__(self, other: Any) -> Angle:
        operand = _operand(other)
        return NotImplemented if operand is None else self + (-operand)

    def __rsub__(self, other: Any) -> Angle:
        return -self + other

    def __mul__(self, other: Any) -> Angle:
        operand = _operand(other)
        if operand is None:
            return NotImplemented
        return _collect(
            (tuple(sorted(m1 + m2)), c1 * c2) for m1, c1 in self.terms for m2, c2 in operand.terms if c1 * c2
        )

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Angle:
        if not isinstance(other, Real):
            return NotImplemented
        divisor = as_angle(other, "What divides an angle").constant
        if divisor == 0.0:
            raise KetgradValueError("An angle may be divided by any number but 0.")
        return self * (1.0 / divisor)

    def __pow__(self, power: int) -> Angle:
        if not isinstance(power, Real) or power not in (1, 2):
            raise KetgradValueError(
                f"An angle may be raised to the power 1 or 2, but {shown(power)} was given."
            )
        return self if power == 1 else self * self

    def __float__(self) -> float:
        if not self.is_constant:
            raise _no_polynomial(
                f"{self} has no value yet - pass weights and inputs when the circuit is evaluated"
            )
        return self.constant

    def __array_ufunc__(self, function: np.ufunc, method: str, *arguments: Any, **options: Any) -> Any:
        """Arithmetic with NumPy's numbers and arrays, entry by entry; other functions of an angle are refused."""
        if function not in ARITHMETIC or method != "__call__":
            raise _no_polynomial(f"np.{function.__name__} of {self} is none")
        boxed = (_box(value) if isinstance(value, Angle) else value for value in arguments)
        return function(*boxed, **options)

    def _refuse(self, *_: Any) -> Any:
        raise _no_polynomial(f"a quotient, a remainder, an absolute value or a power by {self} is none")

    __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __abs__ = __rpow__ = _refuse

    def __str__(self) -> str:
        return " + ".join(_term_text(*term) for term in self.terms).replace("+ -", "- ") or "0"

    def __repr__(self) -> str:
        return " + ".join(_term_code(*term) for term in self.terms).replace("+ -", "- ") or "0"


def as_angle(value: Any, where: str = "The angle") -> Angle:
    """`value` as an Angle: angles pass, finite real numbers become constants.

    Raises `KetgradTypeError` for strings, None, complex numbers and booleans, `KetgradValueError` for NaN and
    infinity; `where` names the gate and the parameter.
    """
    if isinstance(value, Angle):
        return value
    given = unboxed(value)
    number = as_real(given)
    if number is None:
        raise KetgradTypeError(
            f"{where} must be a real number or an angle such as 2 * w[0], but is {given!r}."
        )
    if not math.isfinite(number):
        raise KetgradValueError(f"{where} must be finite, but is {shown(given)}.")
    return known_angle((((), number),)) if number else ZERO


def known_angle(terms: tuple[tuple[Monomial, float], ...]) -> Angle:
    """The angle of terms that are known to be sorted and free of zeros.

    >>> known_angle((((), 0.5),))
    0.5
    """
    made = object.__new__(Angle)
    object.__setattr__(made, "terms", terms)
    return made


ZERO = known_angle(())

# what NumPy calls for `np.float64(2) * w[0]` and `np.array([1, 2]) - w[0]`
ARITHMETIC = (
    np.add,
    np.subtract,
    np.multiply,
    np.negative,
    np.positive,
    np.square,
    np.divide,
    np.equal,
    np.not_equal,
)


def _box(angle: Angle) -> np.ndarray:
    """An array without axes that holds an angle: NumPy's loops over objects then use its arithmetic."""
    box = np.empty((), object)
    box[()] = angle
    return box


def _no_polynomial(what: str) -> KetgradTypeError:
    return KetgradTypeError(
        f"An angle is a polynomial of degree 2 at most in weights and inputs, and {what}. Apply other functions to the "
        "data before it is passed; arccos(x[0]) is the one that a circuit may hold."
    )


def _checked_terms(terms: Any) -> tuple[tuple[Monomial, float], ...]:
    """The terms of an angle that anybody may have written: of the right form, collected and sorted."""
    found = []
    try:
        for monomial, coefficient in terms:
            number = as_angle(coefficient, "A coefficient of an angle").constant
            variables = tuple((kind, index) for kind, index in monomial)
            if not all(
                kind in ("w", "x", *INPUT_FUNCTIONS) and type(i) is int and i >= 0 for kind, i in variables
            ):
                raise TypeError
            found.append((tuple(sorted(variables)), number))
    except KetgradError:
        raise
    except (TypeError, ValueError):
        raise KetgradTypeError(
            "`terms` of an angle must be pairs (monomial, coefficient) such as ((('w', 0),), 0.5), but are "
            f"{shown(terms)}. Write 0.5 * w[0]."
        ) from None
    return _collect(found).terms


def add_up(angles: Iterable[Angle]) -> Angle:
    """The sum of many angles, collected once: linear in the number of their terms.

    >>> add_up([kg.w[0], 2 * kg.x[1], kg.w[0]])
    2 * w[0] + 2 * x[1]
    """
    return _collect(term for angle in angles for term in angle.terms)


def _operand(value: Any) -> Angle | None:
    if isinstance(value, Angle):
        return value
    return as_angle(value) if isinstance(value, Real) and not isinstance(value, bool | np.bool_) else None


def _collect(terms: Iterable[tuple[Monomial, float]]) -> Angle:
    total: dict[Monomial, float] = {}
    for monomial, coefficient in terms:
        if len(monomial) > 2:
            text = " * ".join(_name(variable) for variable in monomial[:3]) + " ..." * (len(monomial) > 3)
            raise KetgradValueError(f"An angle is a polynomial of degree 2 at most, but holds {text}.")
        total[monomial] = total.get(monomial, 0.0) + coefficient
    return known_angle(tuple(sorted(_finite(monomial, c) for monomial, c in total.items() if c != 0)))


def _inserted(many: tuple[tuple[Monomial, float], ...], few: tuple[tuple[Monomial, float], ...]) -> Angle:
    """The sum of two angles, of which one has few terms: nothing is sorted again."""
    terms = list(many)
    for monomial, coefficient in few:
        place = bisect_left(terms, monomial, key=lambda term: term[0])
        if place == len(terms) or terms[place][0] != monomial:
            terms.insert(place, (monomial, coefficient))
        elif terms[place][1] + coefficient:
            terms[place] = _finite(monomial, terms[place][1] + coefficient)
        else:
            del terms[place]
    return known_angle(tuple(terms))


def _entry(values: Any, index: int, name: str) -> float:
    try:
        return check_number(values[index], f"{name}[{index}]")
    except (TypeError, IndexError, KeyError) as error:
        if isinstance(error, KetgradError):
            raise
        raise KetgradValueError(
            f"`{name}` must hold a number for each one that the angle reads, {name}[{index}] among them, but is "
            f"{shown(values)}."
        ) from None


def _finite(monomial: Monomial, coefficient: float) -> tuple[Monomial, float]:
    if not math.isfinite(coefficient):
        raise KetgradValueError(
            f"A coefficient of an angle must be finite, but that of {_term_text(monomial, 1.0)} is {coefficient}."
        )
    return monomial, coefficient


def _shifted(variable: Variable, by: int) -> Variable:
    return ("w", variable[1] + by) if variable[0] == "w" else variable


def _name(variable: Variable) -> str:
    kind, index = variable
    return f"{kind}[{index}]" if kind in "wx" else f"{kind}(x[{index}])"


def _term_text(monomial: Monomial, coefficient: float) -> str:
    names = " ".join(_name(variable) for variable in monomial)
    if not names:
        return f"{coefficient:.6g}"
    scale = "" if coefficient == 1 else "-" if coefficient == -1 else f"{coefficient:.6g} "
    return scale + names


def _term_code(monomial: Monomial, coefficient: float) -> str:
    names = " * ".join(_name(variable) for variable in monomial)
    short = f"{coefficient:.6g}"
    number = short if float(short) == coefficient else repr(coefficient)
    if not names:
        return number
    return {1.0: names, -1.0: f"-{names}"}.get(coefficient, f"{number} * {names}")
