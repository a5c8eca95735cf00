"""The charts of the report as SVG text: small, sharp at every size, coloured by the page's style sheet.

Every text passes `element`, which escapes it; marks differ in form as well as in colour; each mark carries its
numbers as a tooltip, and each chart a title and a description for those who hear the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from ketgrad.foundation.text import shorten, slug, visible

WIDTH = 820
LABEL_WIDTH = 254
VALUE_WIDTH = 170
ROW_HEIGHT = 34
TOP = 14
AXIS_HEIGHT = 52
LABEL_LENGTH = 34


@dataclass(frozen=True)
class Row:
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


@dataclass(frozen=True)
class Guide:
    """A vertical line across all rows with a word on top."""

    value: float
    label: str
    style: str = "guide"


@dataclass(frozen=True)
class Scale:
    """A linear map from values to pixels with round tick marks."""

    low: float
    high: float
    left: float
    right: float
    ticks: tuple[float, ...]

    def holds(self, value: float) -> bool:
        """Whether `value` lies inside the drawing."""
        return self.low <= value <= self.high

    def __call__(self, value: float) -> float:
        """The pixel of `value`, held inside the drawing."""
        share = (value - self.low) / (self.high - self.low)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)


def element(name: str, *content: str, text: object = None, **attributes: object) -> str:
    """One SVG element; `text` and attribute values are escaped, `content` is SVG made by this function.

    >>> element("text", text="<b>", x=3.14159, class_="tick")
    '<text x="3.14" class="tick">&lt;b&gt;</text>'
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(_number(value))}"
        for key, value in attributes.items()
    )
    inside = "".join(content) + ("" if text is None else escape(visible(text, 400)))
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def round_ticks(low: float, high: float, count: int = 6) -> tuple[float, ...]:
    """About `count` round numbers inside [low, high].

    >>> round_ticks(0.61, 0.97)
    (0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    """
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.8)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(float(f"{index * step:.10g}") for index in range(first, last + 1))


def fit_scale(
    values: Iterable[float], left: float, right: float, bounds: tuple[float, float] | None = None
) -> Scale:
    """A scale that shows all finite `values` with a margin, not reaching beyond `bounds` (0 to 100 for a share)."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    low, high = low - margin, high + margin
    if bounds is not None:
        low, high = max(low, bounds[0] - 0.01), min(high, bounds[1] + 0.01)
    return Scale(low, high, left, right, round_ticks(low, high))


def focus(rows: Sequence[Row]) -> Sequence[Row]:
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


def _width(rows: Sequence[Row]) -> float:
    values = [value for row in rows for value in (row.low, row.high, *row.points) if math.isfinite(value)]
    return max(values) - min(values)


def _figure(name: str, title: str, description: str, height: float, *content: str) -> str:
    identifier = slug(name)
    return element(
        "svg",
        element("title", text=title, id=f"{identifier}-title"),
        element("desc", text=description, id=f"{identifier}-text"),
        *content,
        class_="chart",
        viewBox=f"0 0 {WIDTH} {_number(float(height))}",
        role="img",
        aria_labelledby=f"{identifier}-title {identifier}-text",
    )


def mark(family: str, x: float, y: float, radius: float = 6.0) -> str:
    """The mark of a family: filled diamond quantum, hollow diamond twin, filled circle classical, hollow dummy."""
    if family in ("quantum", "twin"):
        reach = radius * 1.25
        path = f"M{x:.1f} {y - reach:.1f}L{x + reach:.1f} {y:.1f}L{x:.1f} {y + reach:.1f}L{x - reach:.1f} {y:.1f}Z"
        return element("path", d=path, class_=f"mark {family}")
    return element("circle", cx=float(x), cy=float(y), r=radius, class_=f"mark {family}")


def _axis(
    scale: Scale, top: float, bottom: float, label: str, left_hint: str = "", right_hint: str = ""
) -> str:
    parts = []
    for tick in scale.ticks:
        x = scale(tick)
        parts.append(element("line", x1=x, x2=x, y1=float(top), y2=float(bottom), class_="grid"))
        parts.append(
            element(
                "text", x=x, y=bottom + 17.0, class_="tick", text_anchor="middle", text=_tick(tick, scale)
            )
        )
    middle = (scale.left + scale.right) / 2
    parts.append(element("text", x=middle, y=bottom + 40.0, class_="axis", text_anchor="middle", text=label))
    y = top - 7.0 if left_hint and right_hint else bottom + 40.0
    for hint, x, anchor in ((left_hint, scale.left, "start"), (right_hint, scale.right, "end")):
        if hint:
            parts.append(element("text", x=x, y=y, class_="hint", text_anchor=anchor, text=hint))
    return "".join(parts)


def _tick(value: float, scale: Scale) -> str:
    if len(scale.ticks) < 2:
        return f"{value:g}"
    step = scale.ticks[1] - scale.ticks[0]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{decimals}f}".replace("-", "−") if decimals <= 6 else f"{value:g}"


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


def _row_frame(row: Row, y: float, first: bool) -> str:
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


def _rows_chart(
    name: str,
    title: str,
    description: str,
    rows: Sequence[Row],
    scale: Scale,
    guides: Sequence[Guide],
    axis: tuple[str, str, str],
    draw_row,
) -> str:
    top = TOP + (14 if guides else 0)
    bottom = top + ROW_HEIGHT * len(rows)
    parts = [_axis(scale, top, bottom, *axis)]
    parts.extend(
        _row_frame(row, top + ROW_HEIGHT * (place + 0.5), place == 0) for place, row in enumerate(rows)
    )
    parts.append(_guides(guides, scale, top, bottom))
    parts.extend(draw_row(row, top + ROW_HEIGHT * (place + 0.5), scale) for place, row in enumerate(rows))
    return _figure(name, title, description, bottom + AXIS_HEIGHT, *parts)


def _outside(row: Row, y: float, scale: Scale) -> str:
    """A row whose value the scale leaves out: an arrow towards it."""
    if row.value < scale.low:
        return element("text", x=scale.left + 4, y=y + 4.5, class_="hint", text="← far below")
    return element("text", x=scale.right - 4, y=y + 4.5, class_="hint", text_anchor="end", text="far above →")


def _interval_row(row: Row, y: float, scale: Scale) -> str:
    if not scale.holds(row.value):
        return _outside(row, y, scale)
    tooltip = element("title", text=f"{row.label}: {row.text or _number(row.value)}")
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


def _strip_row(row: Row, y: float, scale: Scale) -> str:
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
    rows: Sequence[Row],
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
    return _rows_chart(name, title, _spoken(rows, axis[0]), rows, scale, guides, axis, _interval_row)


def strip_chart(
    name: str,
    title: str,
    rows: Sequence[Row],
    *,
    axis: tuple[str, str, str],
    guides: Sequence[Guide] = (),
    bounds: tuple[float, float] | None = None,
) -> str:
    """Every single fold of each row as a dot, the mean as a stroke."""
    values = [point for row in focus(rows) for point in row.points]
    scale = fit_scale(values, LABEL_WIDTH, WIDTH - 24, bounds)
    description = (
        f"Each dot is the {axis[0]} on one part of the data that the model had not seen. "
        + _spoken(rows, axis[0])
    )
    return _rows_chart(name, title, description, rows, scale, guides, axis, _strip_row)


def _spoken(rows: Sequence[Row], label: str) -> str:
    sentences = [f"{visible(row.label)}: {row.text or _number(row.value)}." for row in rows[:12]]
    return f"{label}. " + " ".join(sentences)


def chance_chart(
    name: str, title: str, rows: Sequence[tuple[str, tuple[float, float, float]]], words: tuple[str, str, str]
) -> str:
    """For each row three chances that sum to 1 as one divided bar; `words` names the three in the order drawn."""
    top, styles = 34.0, ("worse", "equivalent", "better")
    scale = Scale(0.0, 1.0, LABEL_WIDTH, WIDTH - 2.0, (0.0, 0.5, 1.0))
    parts = []
    places = ((scale.left, "start"), ((scale.left + scale.right) / 2, "middle"), (scale.right, "end"))
    for word, style, (x, anchor) in zip(words, styles, places, strict=True):
        parts.append(
            element("text", x=x, y=top - 14, class_=f"chance-word {style}", text_anchor=anchor, text=word)
        )
    for place, (label, chances) in enumerate(rows):
        y = top + ROW_HEIGHT * (place + 0.5)
        parts.append(_row_frame(Row(label, "quantum", 0.0, 0.0, 0.0), y, place == 0))
        parts.append(_divided_bar(label, y, scale, chances, words, styles))
    told = [
        f"{visible(label)}: "
        + ", ".join(f"{word} {chance:.0%}" for word, chance in zip(words, chances, strict=True))
        + "."
        for label, chances in rows
    ]
    return _figure(name, title, " ".join(told), top + ROW_HEIGHT * len(rows) + 8, *parts)


def _divided_bar(
    label: str, y: float, scale: Scale, chances: Sequence[float], words: Sequence[str], styles: Sequence[str]
) -> str:
    parts = []
    begin = 0.0
    for chance, word, style in zip(chances, words, styles, strict=True):
        left, right = scale(begin), scale(begin + chance)
        begin += chance
        tooltip = element("title", text=f"{label}, {word}: {chance:.0%}")
        box = element(
            "rect",
            x=left,
            y=y - 11,
            width=max(right - left - 1.5, 0.0),
            height=22,
            rx=3,
            class_=f"chance {style}",
        )
        inside = (
            element(
                "text",
                x=(left + right) / 2,
                y=y + 4.5,
                class_="chance-value",
                text_anchor="middle",
                text=f"{chance:.0%}",
            )
            if chance >= 0.07
            else ""
        )
        parts.append(element("g", tooltip, box, inside))
    return "".join(parts)


def cost_chart(
    name: str,
    title: str,
    rows: Sequence[Row],
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
    parts = []
    for tick in up.ticks:
        parts.append(element("line", x1=left, x2=right, y1=up(tick), y2=up(tick), class_="grid"))
        parts.append(
            element(
                "text", x=left - 8, y=up(tick) + 4, class_="tick", text_anchor="end", text=_tick(tick, up)
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
    parts.append(
        element(
            "text", x=(left + right) / 2, y=bottom + 40, class_="axis", text_anchor="middle", text=axis[0]
        )
    )
    parts.append(element("text", x=0, y=top - 14, class_="axis", text=axis[1]))
    parts.append(element("text", x=left, y=bottom + 40, class_="hint", text="← cheaper"))
    parts.append(element("text", x=right, y=bottom + 40, class_="hint", text_anchor="end", text="dearer →"))
    parts.extend(_named_marks(shown, across, up, right))
    description = " ".join(
        f"{visible(row.label)}: {row.text}, {_seconds(time)} per fit." for row, time in shown
    )
    return _figure(name, title, description, bottom + AXIS_HEIGHT, *parts)


def _seconds(time: float, most: float = 90.0) -> str:
    if time < 0.9995:
        return f"{time * 1000:.3g} ms"
    return (
        f"{time:.3g} s" if time <= most else f"{time / 60:.3g} min" if time < 5400 else f"{time / 3600:.3g} h"
    )


def _named_marks(shown: Sequence[tuple[Row, float]], across: Scale, up: Scale, right: float) -> list[str]:
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
