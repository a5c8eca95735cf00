"""Where everything in a picture of ops stands: columns of cells with their labels, for every style alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ketgrad.circuits.angles import Angle, Monomial
from ketgrad.circuits.gate import Gate
from ketgrad.circuits.op import Op

LONGEST_LABEL = 48  # characters; a longer label ends in "…"


@dataclass(frozen=True)
class Cell:
    """One op as it is drawn: what stands on which wires.

    kind: "box" (one box over adjacent wires, or one on each wire), "not", "swap" or "dot" (a controlled Z).
    rows: the wires of the gate in the order of its qubits. ports: whether that order must be shown.
    role: "fixed", "weight", "input" or "both": what the angles depend on.
    """

    kind: str
    rows: tuple[int, ...]
    controls: tuple[int, ...]
    label: str
    role: str
    ports: bool

    @property
    def span(self) -> tuple[int, int]:
        """The first and last wire that the op touches."""
        everything = (*self.rows, *self.controls)
        return min(everything), max(everything)

    @property
    def is_tall(self) -> bool:
        """Whether the gate is one box over several adjacent wires."""
        return (
            self.kind == "box"
            and len(self.rows) > 1
            and max(self.rows) - min(self.rows) == len(self.rows) - 1
        )


@dataclass(frozen=True)
class Layout:
    """Columns of cells that do not overlap, and what belongs to no wire: the global phases."""

    num_qubits: int
    columns: tuple[tuple[Cell, ...], ...]
    phases: tuple[str, ...]


def layout(ops: Iterable[Op], num_qubits: int) -> Layout:
    """Each op in the first column in which all wires between its outermost ones are free."""
    free = [0] * num_qubits
    columns: list[list[Cell]] = []
    phases = []
    for op in ops:
        if not op.qubits and not op.controls:
            phases.append(angle_text(op.angles[0]))
            continue
        cell = _cell(op)
        top, bottom = cell.span
        column = max(free[top : bottom + 1]) if bottom > top else free[top]
        free[top : bottom + 1] = [column + 1] * (bottom + 1 - top)
        if column == len(columns):
            columns.append([])
        columns[column].append(cell)
    return Layout(num_qubits, tuple(map(tuple, columns)), tuple(phases))


def _cell(op: Op) -> Cell:
    name, rows, controls, kind = op.gate.name, op.qubits, op.controls, "box"
    if not rows:  # a phase under controls is a phase gate on any one of them
        rows, controls, name = controls[-1:], controls[:-1], "p"
    if name == "x" and controls:
        kind = "not"
    elif name == "z" and controls:
        kind = "dot"
    elif name == "swap":
        kind = "swap"
    ports = kind == "box" and len(rows) > 1 and not _is_symmetric(op.gate) and not _is_ascending(rows)
    return Cell(kind, rows, controls, _label(op, name), _role(op), ports)


def _is_ascending(rows: tuple[int, ...]) -> bool:
    return all(row == rows[0] + k for k, row in enumerate(rows))


@lru_cache(maxsize=1024)
def _is_symmetric(gate: Gate) -> bool:
    """Whether the two qubits of a gate may be exchanged; tried at angles that are no special case."""
    if gate.num_qubits != 2 or not gate.definition.is_unitary:
        return False
    matrix = gate.matrix(*(0.7 + 0.4 * k for k in range(gate.num_angles)))
    return bool(np.allclose(matrix, matrix[np.ix_([0, 2, 1, 3], [0, 2, 1, 3])]))


def _role(op: Op) -> str:
    kinds = {"weight" if name == "w" else "input" for angle in op.angles for name, _ in angle.variables()}
    return "both" if len(kinds) == 2 else kinds.pop() if kinds else "fixed"


# -- labels


def _label(op: Op, name: str) -> str:
    gate = op.gate
    head = "P" if name == "p" else gate.label or gate.name
    if name == "pauli_rotation":
        head = head.replace("(", "").replace(")", "")  # RXYZ, like RXX and RZZ
    angles = ", ".join(map(angle_text, op.angles)) if gate.definition.labels_angles else ""
    text = printable(f"{head}({angles})" if angles else head)
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def printable(text: str) -> str:
    """`text` without characters that move the cursor or the writing direction.

    >>> printable("a" + chr(27) + "[2J")
    'a�[2J'
    """
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


@lru_cache(maxsize=65536)
def angle_text(angle: Angle) -> str:
    """An angle as people write it: multiples of pi as such, four digits, the constant last.

    >>> import ketgrad as kg
    >>> angle_text((np.pi - kg.x[0]) * (np.pi - kg.x[1])), angle_text(kg.w[0] / 2 - np.pi / 4)
    ('x[0] x[1] - π x[0] - π x[1] + π²', '0.5 w[0] - π/4')
    """
    ordered = sorted(angle.terms, key=lambda term: -len(term[0]))
    text = "".join(_term(monomial, coefficient) for monomial, coefficient in ordered)
    return text.removeprefix(" + ").replace(" - ", "-", 1) if text.startswith(" - ") else text[3:] or "0"


def _term(monomial: Monomial, coefficient: float) -> str:
    names = [f"{kind}[{k}]" if kind in "wx" else f"{kind}(x[{k}])" for kind, k in monomial]
    if len(names) == 2 and names[0] == names[1]:
        names = [names[0] + "²"]
    amount = _amount(abs(coefficient))
    factors = names if amount == "1" and names else [amount, *names]
    return f" {'-' if coefficient < 0 else '+'} {' '.join(factors)}"


def _amount(value: float) -> str:
    """A positive number: a multiple of pi with a small denominator if it is one, else four digits."""
    for unit, symbol in ((math.pi, "π"), (math.pi**2, "π²")):
        for divisor in (1, 2, 3, 4, 6, 8, 16) if value < 1e3 else ():
            factor = round(value * divisor / unit)
            if 0 < factor <= 64 and abs(factor * unit / divisor - value) <= 1e-12 * value:
                top = symbol if factor == 1 else f"{factor}{symbol}"
                return top if divisor == 1 else f"{top}/{divisor}"
    return f"{value:.4g}"
