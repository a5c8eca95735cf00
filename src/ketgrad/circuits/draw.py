"""Pictures of circuits: one layout, drawn as text, as SVG and by matplotlib."""

from __future__ import annotations

from typing import Any

from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.drawing import layout as layouts
from ketgrad.circuits.drawing.layout import Cell, Layout

__all__ = ["Cell", "Layout", "draw", "layout"]


def __dir__() -> list[str]:
    return __all__


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
    return as_circuit(circuit).draw(style, width=width)


def layout(circuit: Circuit) -> Layout:
    """Each op in the first column in which all wires between its outermost ones are free."""
    circuit = as_circuit(circuit)
    return layouts.layout(circuit.ops, circuit.num_qubits)
