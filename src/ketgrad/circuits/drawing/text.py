"""Circuits in characters: a layout becomes lines of wires and boxes for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from ketgrad.circuits.drawing.layout import Cell, Layout
from ketgrad.foundation.memory import reserve


def text(plan: Layout, width: int) -> str:
    """The picture in characters, folded to lines of `width` where its columns allow."""
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
