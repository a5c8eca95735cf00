"""What circuits are written in: the weights w[i], the inputs x[j], and arccos of an input."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from ketgrad.circuits.angles import Angle, as_angle, known_angle
from ketgrad.foundation.errors import KetgradIndexError, KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import MOST_COUNT, check_count

BYTES_PER_ANGLE = 320  # of a variable with the containers around it


class Variables:
    """`w` or `x`: index it for one variable, slice it for a list of them.

    `kg.x` bears two names of the field: x[0] is an input, and x(0) is the gate X on qubit 0.

    >>> w[0:3]
    [w[0], w[1], w[2]]
    """

    __slots__ = ("builder", "name")

    def __init__(self, name: str, builder: Callable[..., Any] | None = None) -> None:
        self.name = name
        self.builder = builder

    def __call__(self, *arguments: Any) -> Any:
        """The gate of the same name, where there is one."""
        if self.builder is None:
            raise KetgradTypeError(f"`{self.name}` is indexed, as {self.name}[0]; it is not a function.")
        return self.builder(*arguments)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            if index.stop is None:
                raise KetgradIndexError(f"`{self.name}[...]` needs an end, such as {self.name}[0:4].")
            first, step = self._place(index.start or 0), check_count(index.step or 1, "step", -MOST_COUNT)
            places = range(first, self._place(index.stop), step)
            count = (places.stop - first) // step  # len(places) knows no number beyond 2^63
            if count > 2**16:
                reserve(BYTES_PER_ANGLE * count, f"`{self.name}[{first}:{places.stop}]`")
            return [self[i] for i in places]
        return known_angle(((((self.name, self._place(index)),), 1.0),))

    def _place(self, index: Any) -> int:
        if isinstance(index, bool) or not isinstance(index, int | np.integer):
            raise KetgradTypeError(f"`{self.name}` takes an integer index, but {shown(index)} was given.")
        if index < 0:
            raise KetgradIndexError(f"`{self.name}[{index}]`: indices start at 0.")
        return int(index)

    def __iter__(self) -> Any:
        raise KetgradTypeError(f"`{self.name}` has no end; index it, or slice it as {self.name}[0:4].")

    def __repr__(self) -> str:
        return self.name


w = Variables("w")
x = Variables("x")


def arccos(angle: Angle | float) -> Angle:
    """arccos of one input, for Chebyshev encodings: cos(k arccos x) is the Chebyshev polynomial T_k(x).

    angle: x[j] itself, or a number in [-1, 1]. Data outside of [-1, 1] is refused when the circuit is evaluated.
    First and second derivatives are exact up to +-1, and at +-1 where they are finite there, as for Chebyshev
    polynomials; rows that close to the edge cost about twenty others.

    Kyriienko et al. 2021, arXiv:2011.10395.

    >>> 2 * arccos(x[0])
    2 * arccos(x[0])
    """
    if isinstance(angle, Real) or (isinstance(angle, Angle) and angle.is_constant):
        number = as_angle(angle, "The argument of `arccos`").constant
        if abs(number) > 1:
            raise KetgradValueError(f"`arccos` takes numbers from -1 to 1, but {number} was given.")
        return as_angle(math.acos(number))
    if not (isinstance(angle, Angle) and len(angle.terms) == 1):
        raise KetgradTypeError(f"`arccos` takes one input such as x[0], but {angle!r} was given.")
    (monomial, coefficient), *_ = angle.terms
    if len(monomial) != 1 or monomial[0][0] != "x" or coefficient != 1.0:
        raise KetgradTypeError(f"`arccos` takes one input such as x[0], but {angle!r} was given.")
    return known_angle((((("arccos", monomial[0][1]),), 1.0),))
