"""Circuits as figures: a layout becomes lines, boxes, circles and texts, which SVG and matplotlib then draw.

Lengths are points. The text of a figure is measured with the widths of Helvetica, so that boxes fit without asking
a font; the SVG names no font file, loads nothing, and holds no style sheet and no script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from ketgrad.circuits.drawing.layout import Cell, Layout
from ketgrad.foundation.errors import missing_extra

WIRE_GAP, BOX, COLUMN_GAP, PADDING, BLOCK_GAP, BORDER = 44.0, 30.0, 16.0, 10.0, 34.0, 14.0
FONT_SIZE, SMALL_SIZE = 13.0, 10.5
FONTS = ["Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"]
INK, WIRE, PALE = "#1f2933", "#9aa5b1", "#52606d"
COLOURS = {  # role -> (fill, line)
    "fixed": ("#ffffff", "#3e4c59"),
    "weight": ("#fff3e0", "#d9730d"),
    "input": ("#e6f2ff", "#1f6feb"),
    "both": ("#f3eaff", "#7c3aed"),
}
LEGEND = {"input": "data", "weight": "trained", "both": "data and trained"}

# Helvetica: widths in thousandths of the size, Adobe Font Metrics; other characters count as 600.
_WIDTHS = {
    **dict.fromkeys("0123456789abdeghnopqu_Lπθφω", 556),
    **dict.fromkeys("ABEKPSXYV", 667),
    **dict.fromkeys("CDHNRU", 722),
    **dict.fromkeys("ckvxyszJ", 500),
    **dict.fromkeys("FTZ+-=<>−√", 611),
    **dict.fromkeys("GOQ", 778),
    **dict.fromkeys(" ft.,:;/I[]!|", 278),
    **dict.fromkeys("()r", 333),
    **dict.fromkeys("ijl", 222),
    **dict.fromkeys("mM", 833),
    **dict.fromkeys("wW", 800),
    **dict.fromkeys("²*", 389),
    "…": 1000,
}


@dataclass(frozen=True)
class Stroke:
    """A straight line; wires are thin and grey, everything else has the colour of its op."""

    start: tuple[float, float]
    end: tuple[float, float]
    colour: str
    width: float = 1.3


@dataclass(frozen=True)
class Box:
    """A rectangle with rounded corners, its upper left corner at `corner`."""

    corner: tuple[float, float]
    size: tuple[float, float]
    fill: str
    colour: str


@dataclass(frozen=True)
class Circle:
    """A dot or a ring around `centre`."""

    centre: tuple[float, float]
    radius: float
    fill: str
    colour: str


@dataclass(frozen=True)
class Words:
    """A text; anchor "start", "middle" or "end" of its base line at `place`, vertically centred there."""

    place: tuple[float, float]
    text: str
    size: float = FONT_SIZE
    colour: str = INK
    anchor: str = "middle"


Shape = Stroke | Box | Circle | Words


# -- texts


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """A label in parts (text, kind): "RY(2 w[0])" writes its variable as an italic w with a subscript 0.

    >>> list(pieces("RY(2 w[0])"))
    [('RY(2 ', 'plain'), ('w', 'italic'), ('0', 'sub'), (')', 'plain')]
    """
    position = 0
    for match in re.finditer(r"\b([wxq])\[(\d+)\]", text):
        if match.start() > position:
            yield text[position : match.start()], "plain"
        yield match[1], "italic"
        yield match[2], "sub"
        position = match.end()
    if position < len(text):
        yield text[position:], "plain"


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """The length of a label in points; subscripts are set at 72 percent."""
    total = 0.0
    for part, kind in pieces(text):
        total += sum(_WIDTHS.get(character, 600) for character in part) * (0.72 if kind == "sub" else 1.0)
    return total * size / 1000


# -- geometry


def _cell_width(cell: Cell) -> float:
    if cell.kind != "box":
        return 22.0
    ports = 12.0 if cell.ports else 0.0
    return max(BOX, text_width(cell.label) + 2 * PADDING + ports)


def shapes(plan: Layout, width: float) -> tuple[list[Shape], float, float]:
    """The shapes of a whole picture, and its width and height. Wires first, so that boxes lie above them."""
    widths = [max(map(_cell_width, column)) + COLUMN_GAP for column in plan.columns]
    margin = BORDER + text_width(f"q[{max(plan.num_qubits - 1, 0)}]") + 8
    right = margin
    found: list[Shape] = []
    top = BORDER + BOX / 2
    height = max(plan.num_qubits - 1, 0) * WIRE_GAP
    start = 0
    while True:
        stop, used = _fold(widths, start, width - margin - BORDER)
        end = margin + used + COLUMN_GAP
        found += _wires(plan, top, margin, end, start == 0, stop == len(widths))
        left = margin + COLUMN_GAP / 2
        for column in range(start, stop):
            for cell in plan.columns[column]:
                found += _cell_shapes(cell, left + widths[column] / 2, top)
            left += widths[column]
        right = max(right, end)
        top += height + BLOCK_GAP + BOX
        start = stop
        if start == len(widths):
            break
    bottom = top - BLOCK_GAP - BOX / 2 + BORDER
    footer, right, bottom = _footer(plan, margin, right, bottom)
    return found + footer, right + BORDER, bottom


def _fold(widths: list[float], start: int, room: float) -> tuple[int, float]:
    """The first column of the next line, and the length of this one; at least one column is taken."""
    stop, used = start, 0.0
    while stop < len(widths) and (stop == start or used + widths[stop] <= room):
        used += widths[stop]
        stop += 1
    return stop, used


def _wires(
    plan: Layout, top: float, left: float, right: float, is_first: bool, is_last: bool
) -> Iterator[Shape]:
    for q in range(plan.num_qubits):
        y = top + q * WIRE_GAP
        yield Stroke((left, y), (right, y), WIRE, 1.1)
        yield Words((left - 8, y), f"q[{q}]", colour=PALE if not is_first else INK, anchor="end")
        if not is_last:
            yield Words((right + 3, y), "…", SMALL_SIZE, PALE, "start")


def _cell_shapes(cell: Cell, x: float, top: float) -> Iterator[Shape]:
    fill, colour = COLOURS[cell.role]
    first, last = (top + row * WIRE_GAP for row in cell.span)
    if first != last:
        yield Stroke((x, first), (x, last), colour, 1.5)
    for row in cell.controls:
        yield Circle((x, top + row * WIRE_GAP), 4.2, colour, colour)
    heights = [top + row * WIRE_GAP for row in cell.rows]
    if cell.kind == "box":
        yield from _boxes(cell, x, heights, fill, colour)
    for y in heights:
        if cell.kind == "dot":
            yield Circle((x, y), 4.2, colour, colour)
        elif cell.kind == "not":
            yield Circle((x, y), 10.0, "#ffffff", colour)
            yield Stroke((x - 10, y), (x + 10, y), colour, 1.5)
            yield Stroke((x, y - 10), (x, y + 10), colour, 1.5)
        elif cell.kind == "swap":
            yield Stroke((x - 6, y - 6), (x + 6, y + 6), colour, 1.8)
            yield Stroke((x - 6, y + 6), (x + 6, y - 6), colour, 1.8)


def _boxes(cell: Cell, x: float, heights: list[float], fill: str, colour: str) -> Iterator[Shape]:
    width = _cell_width(cell)
    left, shift = x - width / 2, 6.0 if cell.ports else 0.0
    spans = [(min(heights), max(heights))] if cell.is_tall else [(y, y) for y in heights]
    for first, last in spans:
        yield Box((left, first - BOX / 2), (width, last - first + BOX), fill, colour)
        yield Words((x + shift, (first + last) / 2), cell.label)
    if cell.ports:
        for port, y in enumerate(heights):
            yield Words((left + 5, y), str(port), SMALL_SIZE, PALE, "start")


def _footer(plan: Layout, left: float, right: float, bottom: float) -> tuple[list[Shape], float, float]:
    """Below the wires: what the colours mean, and the global phase."""
    roles = {cell.role for column in plan.columns for cell in column}
    found: list[Shape] = []
    x, y = left, bottom + 6
    for role in LEGEND:
        if role in roles:
            found.append(Box((x, y - 5), (10, 10), *COLOURS[role]))
            found.append(Words((x + 15, y), LEGEND[role], SMALL_SIZE, PALE, "start"))
            x += 15 + text_width(LEGEND[role], SMALL_SIZE) + 16
    if plan.phases:
        text = "global phase " + ", ".join(plan.phases)
        found.append(Words((x, y), text, SMALL_SIZE, PALE, "start"))
        x += text_width(text, SMALL_SIZE)
    return found, max(right, x), bottom + (18 if found else 0)


# -- SVG


def svg(plan: Layout, width: float) -> str:
    """The picture as one SVG element: no scripts, no style sheet, nothing loaded from elsewhere."""
    found, right, bottom = shapes(plan, width)
    count = sum(map(len, plan.columns))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_short(right)}" height="{_short(bottom)}" '
        f'viewBox="0 0 {_short(right)} {_short(bottom)}" role="img" font-family="{", ".join(FONTS)}, sans-serif">',
        f"<title>Quantum circuit with {plan.num_qubits} qubits and {count} operations</title>",
        f'<rect width="{_short(right)}" height="{_short(bottom)}" fill="#ffffff"/>',
        *map(_svg_shape, found),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _svg_shape(shape: Shape) -> str:
    if isinstance(shape, Stroke):
        (x1, y1), (x2, y2) = shape.start, shape.end
        return (
            f'<line x1="{_short(x1)}" y1="{_short(y1)}" x2="{_short(x2)}" y2="{_short(y2)}" '
            f'stroke="{shape.colour}" stroke-width="{_short(shape.width)}"/>'
        )
    if isinstance(shape, Box):
        (x, y), (width, height) = shape.corner, shape.size
        return (
            f'<rect x="{_short(x)}" y="{_short(y)}" width="{_short(width)}" height="{_short(height)}" rx="3" '
            f'fill="{shape.fill}" stroke="{shape.colour}" stroke-width="1.3"/>'
        )
    if isinstance(shape, Circle):
        x, y = shape.centre
        return (
            f'<circle cx="{_short(x)}" cy="{_short(y)}" r="{_short(shape.radius)}" fill="{shape.fill}" '
            f'stroke="{shape.colour}" stroke-width="1.5"/>'
        )
    return _svg_words(shape)


def _svg_words(words: Words) -> str:
    x, y = words.place
    parts, lowered = [], False
    for text, kind in pieces(words.text):
        drop = f' dy="{_short(words.size * 0.25)}"' if kind == "sub" else ""
        rise = f' dy="{_short(-words.size * 0.25)}"' if lowered else ""
        lowered = kind == "sub"
        style = {"italic": ' font-style="italic"', "sub": f' font-size="{_short(words.size * 0.72)}"'}.get(
            kind, ""
        )
        parts.append(f"<tspan{style}{drop or rise}>{escape(text)}</tspan>" if style or rise else escape(text))
    return (
        f'<text x="{_short(x)}" y="{_short(y + words.size * 0.35)}" font-size="{_short(words.size)}" '
        f'fill="{words.colour}" text-anchor="{words.anchor}" xml:space="preserve">{"".join(parts)}</text>'
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


# -- matplotlib


def matplotlib_figure(plan: Layout, width: float) -> Any:
    """The picture as a `matplotlib.figure.Figure`, one point per unit; pyplot and its state are not touched."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_extra("matplotlib", "draw") from None

    found, right, bottom = shapes(plan, width)
    figure = Figure(figsize=(right / 72, bottom / 72), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, right), ylim=(bottom, 0))
    axes.axis("off")
    for layer, shape in enumerate(found):
        _draw_shape(axes, shape, layer)
    return figure


def _draw_shape(axes: Any, shape: Shape, layer: int) -> None:
    from matplotlib import patches

    if isinstance(shape, Stroke):
        xs, ys = zip(shape.start, shape.end, strict=True)
        axes.plot(xs, ys, color=shape.colour, linewidth=shape.width, zorder=layer, solid_capstyle="butt")
    elif isinstance(shape, Box):
        style = patches.BoxStyle("Round", pad=0, rounding_size=3)
        look = {"facecolor": shape.fill, "edgecolor": shape.colour, "linewidth": 1.3, "zorder": layer}
        axes.add_patch(patches.FancyBboxPatch(shape.corner, *shape.size, boxstyle=style, **look))
    elif isinstance(shape, Circle):
        look = {"facecolor": shape.fill, "edgecolor": shape.colour, "linewidth": 1.5, "zorder": layer}
        axes.add_patch(patches.Circle(shape.centre, shape.radius, **look))
    else:
        _draw_words(axes, shape, layer)


def _draw_words(axes: Any, words: Words, layer: int) -> None:
    """Part by part, each at its measured place: labels are never handed to a parser of mathematics."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    x, y = words.place
    wanted = text_width(words.text, words.size)
    parts = []
    for text, kind in pieces(words.text):
        style = "italic" if kind == "italic" else "normal"
        font = FontProperties(
            family="DejaVu Sans", style=style, size=words.size * (0.72 if kind == "sub" else 1.0)
        )
        parts.append(
            (text, kind, font, text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])
        )
    # DejaVu Sans is the font that comes with matplotlib; it is wider than the widths that the boxes were made for
    scale = min(1.0, wanted / max(sum(part[3] for part in parts), 1e-9))
    x -= {"start": 0.0, "middle": 0.5, "end": 1.0}[words.anchor] * scale * sum(part[3] for part in parts)
    for text, kind, font, length in parts:
        font.set_size(font.get_size_in_points() * scale)
        drop = words.size * (0.57 if kind == "sub" else 0.34)
        axes.text(
            x,
            y + drop,
            text,
            color=words.colour,
            zorder=layer,
            fontproperties=font,
            parse_math=False,
            usetex=False,
        )
        x += length * scale
