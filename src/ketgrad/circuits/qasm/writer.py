"""The writer of OpenQASM 3: ops to statements, after the definitions that they need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ketgrad.circuits.gate import Gate
from ketgrad.circuits.gates import CONTROLLED, GATES
from ketgrad.circuits.op import Op
from ketgrad.circuits.qasm.arithmetic import expression, identifier
from ketgrad.circuits.qasm.definitions import definition_of, fixed_name, in_brackets, under_controls
from ketgrad.circuits.qasm.gates import LIBRARIES


def write(ops: Sequence[Op], num_qubits: int) -> str:
    """The ops of a circuit as OpenQASM 3; see `kg.qasm.write`."""
    definitions = _Definitions()
    body = [_statement(op, position, definitions) for position, op in enumerate(ops)]
    variables = {variable for op in ops for angle in op.angles for variable in angle.variables()}
    order = sorted(variables, key=lambda variable: (variable[0] != "w", variable[1]))
    inputs = dict.fromkeys(f"input float[64] {identifier(variable)};" for variable in order)
    register = [f"qubit[{num_qubits}] q;"] if num_qubits else []
    return "\n".join(
        ["OPENQASM 3.0;", 'include "stdgates.inc";', *inputs, *definitions.texts, *register, *body, ""]
    )


@dataclass
class _Definitions:
    """Gate definitions that the text needs, each after those it uses, and the gates whose names are numbered."""

    texts: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    numbered: dict[Gate, str] = field(default_factory=dict)

    def add(self, name: str, text: str, needs: Sequence[str]) -> None:
        """Add a definition, after those of the table rows in `needs`."""
        if name not in self.known:
            self.known.add(name)
            for need in needs:
                self.add(need, *definition_of(GATES[need], need))
            self.texts.append(text)

    def numbered_name(self, gate: Gate) -> str:
        """The name under which a matrix, a state or a gate of one's own is defined; equal ones share it."""
        if gate not in self.numbered:
            number = sum(other.name == gate.name for other in self.numbered)
            self.numbered[gate] = f"{gate.name}_{number}"
        return self.numbered[gate]


def _statement(op: Op, position: int, definitions: _Definitions) -> str:
    gate, angles = op.gate, [expression(angle) for angle in op.angles]
    row = _row_undone_by(gate)
    if row is not None:
        gate = row
    if op.controls and gate.name in (
        "u2",
        "u3",
    ):  # texts differ in the phase of these; that of u is defined here
        angles = [expression(math.pi / 2), *angles] if gate.name == "u2" else angles
        gate = GATES["u"]
    covered = _WITH_CONTROLS.get((gate.name, len(op.controls)))
    name = covered or gate.qasm or _defined_name(gate, op, position, definitions)
    modifiers = under_controls(0 if covered else len(op.controls)) + ("" if row is None else "inv @ ")
    return _call(modifiers, name, angles, (*op.controls, *op.qubits))


def _row_undone_by(gate: Gate) -> Gate | None:
    """The row of which `gate` is the inverse, where that is the better name: iswap for iswap_dg, sx for sxdg."""
    if gate.name.endswith("_dg"):
        return gate.inverse()
    if gate.qasm is None and gate.name in GATES and gate.inverse().qasm is not None:
        return gate.inverse()
    return None


def _defined_name(gate: Gate, op: Op, position: int, definitions: _Definitions) -> str:
    """The name of a gate that stdgates.inc lacks; its definition is added to the text."""
    name = fixed_name(gate) or definitions.numbered_name(gate)
    if name not in definitions.known:
        definitions.add(name, *definition_of(gate, name, f"op {position}, {op!r},"))
    return name


_WITH_CONTROLS = {CONTROLLED[name]: name for name in LIBRARIES["stdgates.inc"] if name in CONTROLLED}


def _call(modifiers: str, name: str, angles: Sequence[str], qubits: Sequence[int]) -> str:
    places = ", ".join(f"q[{qubit}]" for qubit in qubits)
    return f"{modifiers}{name}{in_brackets(angles)}{' ' * bool(places)}{places};"
