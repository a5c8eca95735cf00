"""SVG as text, and what all charts are made of: elements, marks, scales with round ticks, axes, the figure around.

Every text passes `element`, which escapes it; marks differ in form as well as in colour; each mark carries its
numbers as a tooltip, and each chart a title and a description for those who hear the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from ketgrad.foundation.text import slug, visible

WIDTH = 820
AXIS_HEIGHT = 52
LABEL_LENGTH = 34


def element(name: str, *content: str, text: object = None, **attributes: object) -> str:
    """One SVG element; `text` and attribute values are escaped, `content` is SVG made by this function.

    >>> element("text", text="<b>", x=3.14159, class_="tick")
    '<text x="3.14" class="tick">&lt;b&gt;</text>'
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(number_text(value))}"
        for key, value in attributes.items()
    )
    inside = "".join(content) + ("" if text is None else escape(visible(text, 400)))
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def number_text(value: object) -> str:
    """A value as it is written into SVG: two digits after the point are enough for a pixel."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def mark(family: str, x: float, y: float, radius: float = 6.0) -> str:
    """The mark of a family: filled diamond quantum, hollow diamond twin, filled circle classical, hollow dummy."""
    if family in ("quantum", "twin"):
        reach = radius * 1.25
        path = f"M{x:.1f} {y - reach:.1f}L{x + reach:.1f} {y:.1f}L{x:.1f} {y + reach:.1f}L{x - reach:.1f} {y:.1f}Z"
        return element("path", d=path, class_=f"mark {family}")
    return element("circle", cx=float(x), cy=float(y), r=radius, class_=f"mark {family}")


def figure(name: str, title: str, description: str, height: float, *content: str) -> str:
    """A whole chart around its content; `name` makes its identifiers, which differ in one page."""
    identifier = slug(name)
    return element(
        "svg",
        element("title", text=title, id=f"{identifier}-title"),
        element("desc", text=description, id=f"{identifier}-text"),
        *content,
        class_="chart",
        viewBox=f"0 0 {WIDTH} {number_text(float(height))}",
        role="img",
        aria_labelledby=f"{identifier}-title {identifier}-text",
    )


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


def draw_axis(
    scale: Scale, top: float, bottom: float, label: str, left_hint: str = "", right_hint: str = ""
) -> str:
    """Grid lines with their numbers, the label below, and words at the two ends."""
    parts = []
    for tick in scale.ticks:
        x = scale(tick)
        parts.append(element("line", x1=x, x2=x, y1=float(top), y2=float(bottom), class_="grid"))
        parts.append(
            element(
                "text", x=x, y=bottom + 17.0, class_="tick", text_anchor="middle", text=tick_text(tick, scale)
            )
        )
    middle = (scale.left + scale.right) / 2
    parts.append(element("text", x=middle, y=bottom + 40.0, class_="axis", text_anchor="middle", text=label))
    y = top - 7.0 if left_hint and right_hint else bottom + 40.0
    for hint, x, anchor in ((left_hint, scale.left, "start"), (right_hint, scale.right, "end")):
        if hint:
            parts.append(element("text", x=x, y=y, class_="hint", text_anchor=anchor, text=hint))
    return "".join(parts)


def tick_text(value: float, scale: Scale) -> str:
    """The number at a tick, with the digits that tell it from its neighbours."""
    if len(scale.ticks) < 2:
        return f"{value:g}"
    step = scale.ticks[1] - scale.ticks[0]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{decimals}f}".replace("-", "−") if decimals <= 6 else f"{value:g}"
