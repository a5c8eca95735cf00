"""Pictures of circuits: one layout, drawn as text, as SVG and by matplotlib."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ketgrad.circuits.angles import Angle, Monomial
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.drawing.figure import matplotlib_figure, svg
from ketgrad.circuits.gates import Gate
from ketgrad.circuits.op import Op
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches, shown
from ketgrad.foundation.memory import reserve

__all__ = ["Cell", "Layout", "draw", "layout"]


def __dir__() -> list[str]:
    return __all__


WIDEST = 10**9  # of a picture, in characters or points
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


def draw(circuit: Circuit, style: str = "text", *, width: int | None = None) -> Any:
    """A picture of `circuit`, ops as far to the left as their wires allow.

    style: "text" returns a string for a terminal, "svg" a string that is a self-contained SVG file, "matplotlib"
    a `matplotlib.figure.Figure` (with `savefig`). Trained angles, data and fixed gates have their own colours.
    width: where the picture is folded, in characters (text; by default the width of the terminal) or in
    points (svg, matplotlib; 1000 by default).
    Cost: linear in the number of ops (times the wires that they span).
    Raises `KetgradImportError` if matplotlib is asked for and not installed.

    >>> import ketgrad as kg
    >>> print(draw(kg.Circuit([kg.h(0), kg.cx(0, 1), kg.ry(2 * kg.w[0], 1)]), width=60))
    q0 ─┤H├─●──────────────
            │
    q1 ─────⊕─┤RY(2 w[0])├─
    """
    circuit = as_circuit(circuit)
    if width is not None and not (isinstance(width, int) and 0 < width <= WIDEST):
        raise KetgradValueError(f"`width` must be a positive integer up to {WIDEST}, but is {shown(width)}.")
    if not isinstance(style, str):
        raise KetgradTypeError(f"`style` must be 'text', 'svg' or 'matplotlib', but is {shown(style)}.")
    if style == "text":
        return _text(layout(circuit), width or shutil.get_terminal_size((100, 24)).columns)
    if style == "svg":
        return svg(layout(circuit), width or 1000)
    if style == "matplotlib":
        return matplotlib_figure(layout(circuit), width or 1000)
    raise KetgradValueError(
        f"`style` must be 'text', 'svg' or 'matplotlib', but is {style!r}. "
        f"{near_matches(str(style), ['text', 'svg', 'matplotlib'])}"
    )


# -- layout


def layout(circuit: Circuit) -> Layout:
    """Each op in the first column in which all wires between its outermost ones are free."""
    circuit = as_circuit(circuit)
    free = [0] * circuit.num_qubits
    columns: list[list[Cell]] = []
    phases = []
    for op in circuit.ops:
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
    return Layout(circuit.num_qubits, tuple(map(tuple, columns)), tuple(phases))


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
    if gate.num_qubits != 2 or gate.amplitudes is not None:
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
    angles = "" if gate.amplitudes is not None else ", ".join(map(angle_text, op.angles))
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


# -- text


def _text(plan: Layout, width: int) -> str:
    names = [f"q{q}" for q in range(plan.num_qubits)]
    margin = max(map(len, names), default=0) + 1
    widths = [1 + max(_width(cell) for cell in column) for column in plan.columns]  # 1 keeps neighbours apart
    joined = any(cell.span[0] != cell.span[1] for column in plan.columns for cell in column)
    num_lines = plan.num_qubits * (1 + joined)
    reserve(
        8 * sum(widths) * num_lines,
        "the picture of this circuit as text",
        "Draw a part: Circuit(circuit.ops[:100]).",
    )
    blocks = []
    for start, stop in _folds(widths, width - margin - 2):
        rows = _block(plan, start, stop, widths, joined)
        first, last = "─" if start == 0 else "┄", "" if stop == len(widths) else "┄"
        lines = []
        for k, row in enumerate(rows):
            is_wire = not joined or k % 2 == 0
            name = names[k // (1 + joined)] if is_wire else ""
            lines.append(
                f"{name:<{margin}}{first if is_wire else ' '}{row}{last if is_wire else ''}".rstrip()
            )
        blocks.append("\n".join(lines))
    if plan.phases:
        blocks.append("global phase: " + ", ".join(plan.phases))
    return "\n\n".join(block for block in blocks if block)


def _width(cell: Cell) -> int:
    if cell.kind != "box":
        return 1
    ports = 0 if not cell.ports else 2 if cell.is_tall else 1
    return len(cell.label) + ports + 2


def _folds(widths: list[int], room: int) -> Iterator[tuple[int, int]]:
    """Ranges of columns that fit into `room` characters; a column that does not fit stands alone."""
    start, used = 0, 0
    for column, width in enumerate(widths):
        if used + width > room and column > start:
            yield start, column
            start, used = column, 0
        used += width
    yield start, len(widths)


def _block(plan: Layout, start: int, stop: int, widths: list[int], joined: bool) -> list[str]:
    """The lines of some columns: wires, and between two wires the line that joins them if any cell needs it."""
    count = (2 * plan.num_qubits - 1 if joined else plan.num_qubits) if plan.num_qubits else 0
    lines: list[list[str]] = [[] for _ in range(count)]
    for column in range(start, stop):
        pieces: dict[int, str] = {}
        for cell in plan.columns[column]:
            pieces |= _pieces(cell, widths[column] - 1, 1 + joined)
        for k, line in enumerate(lines):
            blank = "─" if not joined or k % 2 == 0 else " "
            line.append((pieces.get(k) or blank * (widths[column] - 1)) + blank)
    return ["".join(line) for line in lines]


def _pieces(cell: Cell, width: int, step: int) -> dict[int, str]:
    """What a cell puts on each line of its column; wire q is line q * step."""
    top, bottom = cell.span
    pieces = {}
    for line in range(top * step, bottom * step + 1):
        is_wire = line % step == 0
        pieces[line] = _centred("┼" if is_wire else "│", width, is_wire)
    for row in cell.controls:
        pieces[row * step] = _centred("●", width, True)
    if cell.is_tall:
        pieces |= _tall_box(cell, width, step)
        return pieces
    for port, row in enumerate(cell.rows):
        sign = {"not": "⊕", "swap": "×", "dot": "●"}.get(cell.kind)
        number = str(port).translate(SUBSCRIPTS) if cell.ports else ""
        pieces[row * step] = _centred(sign or f"┤{cell.label}{number}├", width, True)
    return pieces


SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def _tall_box(cell: Cell, width: int, step: int) -> dict[int, str]:
    first, last = min(cell.rows) * step, max(cell.rows) * step
    middle, inside = (first + last) // 2, len(cell.label) + 2 * cell.ports
    pieces = {}
    for line in range(first, last + 1):
        is_wire = line % step == 0
        left = f"{cell.rows.index(line // step)} " if cell.ports and is_wire else "  " * cell.ports
        content = (left + (cell.label if line == middle else "")).ljust(inside)
        pieces[line] = _centred(f"┤{content}├" if is_wire else f"│{content}│", width, is_wire)
    return pieces


def _centred(text: str, width: int, is_wire: bool) -> str:
    before = (width - 1) // 2 - (len(text) - 1) // 2
    fill = "─" if is_wire else " "
    return fill * before + text + fill * (width - before - len(text))
