"""A picture of ops in the style that is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ketgrad.circuits.drawing.figure import matplotlib_figure, svg
from ketgrad.circuits.drawing.layout import Layout, layout
from ketgrad.circuits.drawing.text import text
from ketgrad.circuits.op import Op
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches, shown

WIDEST = 10**9  # of a picture, in characters or points
POINTS = 1000  # at which a figure is folded where nobody says
STYLES: Mapping[str, Callable[[Layout, int], Any]] = {
    "text": text, "svg": svg, "matplotlib": matplotlib_figure,
}  # fmt: skip


def picture(ops: Iterable[Op], num_qubits: int, style: str, width: int | None) -> Any:
    """The ops of a circuit drawn in one of `STYLES`, folded at `width`; see `kg.draw.draw`."""
    if width is not None and not (isinstance(width, int) and 0 < width <= WIDEST):
        raise KetgradValueError(f"`width` must be a positive integer up to {WIDEST}, but is {shown(width)}.")
    if not isinstance(style, str):
        raise KetgradTypeError(f"`style` must be 'text', 'svg' or 'matplotlib', but is {shown(style)}.")
    if style not in STYLES:
        raise KetgradValueError(
            f"`style` must be 'text', 'svg' or 'matplotlib', but is {style!r}. {near_matches(style, STYLES)}"
        )
    usual = shutil.get_terminal_size((100, 24)).columns if style == "text" else POINTS
    return STYLES[style](layout(ops, num_qubits), width or usual)
