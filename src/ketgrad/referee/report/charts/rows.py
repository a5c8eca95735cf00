"""The rows of a chart: a name, the mark of its family, a value with its interval; and which decide the scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ketgrad.foundation.text import shorten, visible
from ketgrad.referee.report.charts.svg import LABEL_LENGTH, WIDTH, element, mark, number_text

LABEL_WIDTH = 254
ROW_HEIGHT = 34


@dataclass(frozen=True)
class ChartRow:
    """One line of a chart: a name, the family that decides its mark, a value with its interval, single points.

    `family` is "quantum", "twin", "classical" or "dummy"; `low` and `high` bound the 95 % interval.
    """

    label: str
    family: str
    value: float
    low: float
    high: float
    text: str = ""
    points: tuple[float, ...] = ()


def focus(rows: Sequence[ChartRow]) -> Sequence[ChartRow]:
    """The rows that decide the scale, of rows in order of merit: without those that squeeze all others together.

    Left out are models at the end that are far behind, and a model that learns nothing where it is far away.
    """
    shown = [row for row in rows if math.isfinite(row.value)]
    kept = [row for row in shown if row.family != "dummy"]
    if len(kept) < 2:
        return shown
    while len(kept) > 3 and _width(kept[:-1]) < 0.4 * _width(kept):
        kept = kept[:-1]
    idle = [row for row in shown if row.family == "dummy"]
    return kept + idle if _width(kept) >= 0.6 * _width(kept + idle) else kept


def _width(rows: Sequence[ChartRow]) -> float:
    values = [value for row in rows for value in (row.low, row.high, *row.points) if math.isfinite(value)]
    return max(values) - min(values)


def row_frame(row: ChartRow, y: float, first: bool) -> str:
    """What every row has: a line to the row above, its mark, its name, its value in words."""
    line = (
        ""
        if first
        else element("line", x1=0, x2=WIDTH, y1=y - ROW_HEIGHT / 2, y2=y - ROW_HEIGHT / 2, class_="row")
    )
    label = shorten(row.label, LABEL_LENGTH)
    parts = [
        line,
        mark(row.family, 10, y, 4.0),
        element("text", x=24, y=y + 4.5, class_=f"label {row.family}", text=label),
    ]
    if row.text:
        parts.append(element("text", x=WIDTH, y=y + 4.5, class_="value", text_anchor="end", text=row.text))
    return "".join(parts)


def spoken(rows: Sequence[ChartRow], label: str) -> str:
    """The rows for those who hear the page."""
    sentences = [f"{visible(row.label)}: {row.text or number_text(row.value)}." for row in rows[:12]]
    return f"{label}. " + " ".join(sentences)
