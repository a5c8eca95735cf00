"""Charts with one line for each model: intervals around means, and every single score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ketgrad.referee.report.charts.rows import LABEL_WIDTH, ROW_HEIGHT, ChartRow, focus, row_frame, spoken
from ketgrad.referee.report.charts.svg import (
    AXIS_HEIGHT,
    WIDTH,
    Scale,
    draw_axis,
    element,
    figure,
    fit_scale,
    mark,
    number_text,
)

VALUE_WIDTH = 170
TOP = 14


@dataclass(frozen=True)
class Guide:
    """A vertical line across all rows with a word on top."""

    value: float
    label: str
    style: str = "guide"


def _guides(guides: Sequence[Guide], scale: Scale, top: float, bottom: float) -> str:
    parts = []
    for guide in guides:
        x = scale(guide.value)
        if not scale.holds(guide.value):
            continue
        anchor = "end" if x > scale.right - 50 else "start" if x < scale.left + 50 else "middle"
        parts.append(element("line", x1=x, x2=x, y1=float(top), y2=float(bottom), class_=guide.style))
        parts.append(
            element("text", x=x, y=top - 7.0, class_="guide-label", text_anchor=anchor, text=guide.label)
        )
    return "".join(parts)


def _rows_chart(
    name: str,
    title: str,
    description: str,
    rows: Sequence[ChartRow],
    scale: Scale,
    guides: Sequence[Guide],
    axis: tuple[str, str, str],
    draw_row: Callable[[ChartRow, float, Scale], str],
) -> str:
    top = TOP + (14 if guides else 0)
    bottom = top + ROW_HEIGHT * len(rows)
    parts = [draw_axis(scale, top, bottom, *axis)]
    parts.extend(
        row_frame(row, top + ROW_HEIGHT * (place + 0.5), place == 0) for place, row in enumerate(rows)
    )
    parts.append(_guides(guides, scale, top, bottom))
    parts.extend(draw_row(row, top + ROW_HEIGHT * (place + 0.5), scale) for place, row in enumerate(rows))
    return figure(name, title, description, bottom + AXIS_HEIGHT, *parts)


def _outside(row: ChartRow, y: float, scale: Scale) -> str:
    """A row whose value the scale leaves out: an arrow towards it."""
    if row.value < scale.low:
        return element("text", x=scale.left + 4, y=y + 4.5, class_="hint", text="← far below")
    return element("text", x=scale.right - 4, y=y + 4.5, class_="hint", text_anchor="end", text="far above →")


def _interval_row(row: ChartRow, y: float, scale: Scale) -> str:
    if not scale.holds(row.value):
        return _outside(row, y, scale)
    tooltip = element("title", text=f"{row.label}: {row.text or number_text(row.value)}")
    low, high = scale(row.low), scale(row.high)
    parts = [
        tooltip,
        element("line", x1=low, x2=high, y1=y, y2=y, class_=f"interval {row.family}"),
        *(
            element("line", x1=x, x2=x, y1=y - 4.5, y2=y + 4.5, class_=f"cap {row.family}")
            for x in (low, high)
        ),
        mark(row.family, scale(row.value), y),
    ]
    return element("g", *parts)


def _strip_row(row: ChartRow, y: float, scale: Scale) -> str:
    if not scale.holds(row.value):
        return _outside(row, y, scale)
    tooltip = element("title", text=f"{row.label}: {len(row.points)} folds, mean {row.value:.3f}")
    parts = [tooltip]
    for place, point in enumerate(row.points):
        if scale.holds(point):
            # A fixed sequence that fills [-1, 1] evenly keeps equal scores apart without a random number.
            offset = ((place + 1) * 0.6180339887) % 1.0 * 2.0 - 1.0
            parts.append(
                element("circle", cx=scale(point), cy=y + 8.0 * offset, r=3.2, class_=f"dot {row.family}")
            )
    x = scale(row.value)
    parts.append(element("line", x1=x, x2=x, y1=y - 12, y2=y + 12, class_=f"mean {row.family}"))
    return element("g", *parts)


def interval_chart(
    name: str,
    title: str,
    rows: Sequence[ChartRow],
    *,
    axis: tuple[str, str, str],
    guides: Sequence[Guide] = (),
    bounds: tuple[float, float] | None = None,
) -> str:
    """Mean and 95 % interval of each row. `axis`: the label below, and a word at its left and its right end."""
    values = [number for row in focus(rows) for number in (row.low, row.value, row.high)]
    values += [guide.value for guide in guides if guide.style != "idle"]
    if axis[1] and axis[2]:  # two sides with a meaning each: zero stands in the middle
        values += [-value for value in values]
    scale = fit_scale(values, LABEL_WIDTH, WIDTH - VALUE_WIDTH, bounds)
    return _rows_chart(name, title, spoken(rows, axis[0]), rows, scale, guides, axis, _interval_row)


def strip_chart(
    name: str,
    title: str,
    rows: Sequence[ChartRow],
    *,
    axis: tuple[str, str, str],
    guides: Sequence[Guide] = (),
    bounds: tuple[float, float] | None = None,
) -> str:
    """Every single fold of each row as a dot, the mean as a stroke."""
    values = [point for row in focus(rows) for point in row.points]
    scale = fit_scale(values, LABEL_WIDTH, WIDTH - 24, bounds)
    description = f"Each dot is the {axis[0]} on one part of the data that the model had not seen. " + spoken(
        rows, axis[0]
    )
    return _rows_chart(name, title, description, rows, scale, guides, axis, _strip_row)
