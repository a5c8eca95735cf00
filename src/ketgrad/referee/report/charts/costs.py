"""Score against time: each model with its name beside its mark, where it covers nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ketgrad.foundation.text import shorten, visible
from ketgrad.referee.report.charts.rows import ChartRow, focus
from ketgrad.referee.report.charts.svg import (
    AXIS_HEIGHT,
    LABEL_LENGTH,
    WIDTH,
    Scale,
    element,
    figure,
    fit_scale,
    mark,
    tick_text,
)


def cost_chart(
    name: str,
    title: str,
    rows: Sequence[ChartRow],
    seconds: Sequence[float],
    *,
    axis: tuple[str, str, str],
    bounds: tuple[float, float] | None = None,
) -> str:
    """Score against seconds (logarithmic, to the right dearer), each model with its name beside its mark."""
    chosen = focus(rows)
    shown = [(row, time) for row, time in zip(rows, seconds, strict=True) if row in chosen and time > 0]
    left, right, top, bottom = 64.0, WIDTH - 24.0, 30.0, 336.0
    logs = [math.log10(time) for _, time in shown] or [0.0]
    low, high = math.floor(min(logs) * 1.0001 - 0.02), math.ceil(max(logs) + 0.35)
    across = Scale(low, high, left, right, tuple(float(power) for power in range(low, high + 1)))
    up = fit_scale([row.value for row, _ in shown], bottom, top, bounds)
    frame = (left, right, top, bottom)
    parts = [*_grid(across, up, frame), *_words(axis, frame)]
    parts.extend(_named_marks(shown, across, up, right))
    description = " ".join(
        f"{visible(row.label)}: {row.text}, {_seconds(time)} per fit." for row, time in shown
    )
    return figure(name, title, description, bottom + AXIS_HEIGHT, *parts)


def _grid(across: Scale, up: Scale, frame: tuple[float, float, float, float]) -> list[str]:
    left, right, top, bottom = frame
    parts = []
    for tick in up.ticks:
        parts.append(element("line", x1=left, x2=right, y1=up(tick), y2=up(tick), class_="grid"))
        parts.append(
            element(
                "text", x=left - 8, y=up(tick) + 4, class_="tick", text_anchor="end", text=tick_text(tick, up)
            )
        )
    for tick in across.ticks:
        parts.append(element("line", x1=across(tick), x2=across(tick), y1=top, y2=bottom, class_="grid"))
        parts.append(
            element(
                "text",
                x=across(tick),
                y=bottom + 17,
                class_="tick",
                text_anchor="middle",
                text=_seconds(10**tick, 1e4),
            )
        )
    return parts


def _words(axis: tuple[str, str, str], frame: tuple[float, float, float, float]) -> list[str]:
    left, right, top, bottom = frame
    middle = (left + right) / 2
    return [
        element("text", x=middle, y=bottom + 40, class_="axis", text_anchor="middle", text=axis[0]),
        element("text", x=0, y=top - 14, class_="axis", text=axis[1]),
        element("text", x=left, y=bottom + 40, class_="hint", text="← cheaper"),
        element("text", x=right, y=bottom + 40, class_="hint", text_anchor="end", text="dearer →"),
    ]


def _seconds(time: float, most: float = 90.0) -> str:
    if time < 0.9995:
        return f"{time * 1000:.3g} ms"
    return (
        f"{time:.3g} s" if time <= most else f"{time / 60:.3g} min" if time < 5400 else f"{time / 3600:.3g} h"
    )


def _named_marks(
    shown: Sequence[tuple[ChartRow, float]], across: Scale, up: Scale, right: float
) -> list[str]:
    """Marks with their names; a name moves to the other side, then up or down, until it covers nothing."""
    boxes = [
        (across(math.log10(t)) - 8, up(row.value) - 8, across(math.log10(t)) + 8, up(row.value) + 8)
        for row, t in shown
    ]
    parts = []
    for row, time in sorted(shown, key=lambda pair: -pair[0].value):
        x, y = across(math.log10(time)), up(row.value)
        label = shorten(row.label, LABEL_LENGTH)
        width = 6.9 * len(label)
        places = [
            (x + 12 if side > 0 else x - 12 - width, y + shift)
            for shift in (0, -13, 13, -26, 26, -39, 39, -52, 52)
            for side in (1, -1)
        ]
        inside = [(a, b) for a, b in places if a + width <= right + 10 and a >= 0]
        a, b = next((place for place in inside if not _covered(place, width, boxes)), (inside or places)[0])
        boxes.append((a, b - 7, a + width, b + 7))
        if abs(b - y) > 14:
            parts.append(element("line", x1=x, x2=a if a > x else a + width, y1=y, y2=b, class_="leader"))
        tooltip = element("title", text=f"{row.label}: {row.text}, {_seconds(time)} per fit")
        parts.append(
            element(
                "g",
                tooltip,
                mark(row.family, x, y),
                element("text", x=a, y=b + 4.5, class_=f"label {row.family}", text=label),
            )
        )
    return parts


def _covered(
    place: tuple[float, float], width: float, boxes: Sequence[tuple[float, float, float, float]]
) -> bool:
    a, b = place
    return any(
        a < right and a + width > left and b - 7 < low and b + 7 > high for left, high, right, low in boxes
    )
