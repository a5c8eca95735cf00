"""The short way through OpenQASM: calls such as `rx(pi/2) q[0];`, read by one match each.

Most of a long text is of this form. Whatever is not, or is wrong, is left to the reader proper, which says what is
wrong and where.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ketgrad.circuits.angles import Angle, as_angle
from ketgrad.circuits.op import Op, known_op
from ketgrad.circuits.qasm.expressions import evaluate, parse_expression
from ketgrad.circuits.qasm.gates import CallableGate
from ketgrad.circuits.qasm.names import Names, Register
from ketgrad.circuits.qasm.tokens import Source, Tokens
from ketgrad.foundation.errors import KetgradError

PLAIN_CALL = re.compile(
    r"[ \t\r\n]*([^\W\d]\w*)[ \t]*"  # the gate
    r"(?:\(([^();{}\[\]\"'/]*(?:/[^();{}\[\]\"'/*][^();{}\[\]\"'/]*)*)\))?[ \t]*"  # angles without brackets, comments
    r"(?<![\w])((?:\w+\[\d{1,7}\]|\$\d{1,7})(?:,[ \t]*(?:\w+\[\d{1,7}\]|\$\d{1,7}))*);"  # single qubits
)


@dataclass
class PlainCalls:
    """Reads plain calls of table rows; remembers qubits and angles by their text, since both recur."""

    names: Names
    version: int
    angles: dict[str, tuple[Angle, ...]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def read(self, source: Source, position: int, measured: set[int]) -> tuple[Op, int] | None:
        """The op of the plain call at `position` and the position after it; None if there is none, or a wrong one."""
        match = PLAIN_CALL.match(source.text, position)
        if match is None:
            return None
        name, numbers, operands = match.groups()
        gate = self.names.declared.get(name)
        angles = self._angles(numbers, source) if numbers else ()
        if not isinstance(gate, CallableGate) or gate.row is None or len(gate.parameters) != len(angles):
            return None
        places = tuple([self._place(operand) for operand in operands.split(",")])
        if len(places) != gate.num_qubits or -1 in places or len(set(places)) != len(places):
            return None
        if measured and not measured.isdisjoint(places):
            return None
        op = known_op(gate.row, places[gate.num_controls :], angles, places[: gate.num_controls])
        return op, match.end()

    def _angles(self, text: str, source: Source) -> tuple[Angle, ...]:
        """The angles that stand between brackets; none if they are wrong."""
        known = self.angles.get(text)
        if known is None:
            try:
                known = self._computed(Source(text, source.name, source.work))
            except KetgradError:
                known = ()  # the long way comes to the same error, and knows where in the whole text it is
            self.angles[text] = known
        return known

    def _computed(self, source: Source) -> tuple[Angle, ...]:
        tokens, found = Tokens(source), []
        while tokens.kind != "end" and (not found or tokens.accept(",")):
            expression = parse_expression(tokens, self.version, self.names.values)
            found.append(as_angle(evaluate(expression, self.names.values, source)))
        return tuple(found) if tokens.kind == "end" else ()

    def _place(self, text: str) -> int:
        """The qubit that `q[3]` or `$3` means; -1 if it means none, or none yet."""
        place = self.places.get(text)
        if place is None:
            name, _, index = text.strip().rstrip("]").partition("[")
            if name.startswith("$"):
                known = self.names.physical and int(name[1:]) < self.names.sizes["qubit"]
                return int(name[1:]) if known else -1
            register = self.names.declared.get(name)
            if not isinstance(register, Register) or register.kind != "qubit" or int(index) >= register.size:
                return -1
            place = self.places[text] = register.places[int(index)]
        return place
