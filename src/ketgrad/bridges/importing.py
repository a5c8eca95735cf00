"""What the readers of circuits of other libraries share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ketgrad.circuits.angles import Angle
from ketgrad.circuits.variables import w


@dataclass
class Computed:
    """Expressions that no angle holds, for callers that know all values: each is one more weight.

    first: the number of weights before. unit: what the value of an expression counts in radians.
    expressions: number k is w[first + k].
    """

    first: int
    unit: float = 1.0
    expressions: list[Any] = field(default_factory=list)

    def angle(self, expression: Any) -> Angle:
        """The angle whose value is `unit` times that of the expression."""
        if expression not in self.expressions:
            self.expressions.append(expression)
        return w[self.first + self.expressions.index(expression)] * self.unit
