"""Chances as divided bars: how likely each of three answers is."""

from __future__ import annotations

from collections.abc import Sequence

from ketgrad.foundation.text import visible
from ketgrad.referee.report.charts.rows import LABEL_WIDTH, ROW_HEIGHT, ChartRow, row_frame
from ketgrad.referee.report.charts.svg import WIDTH, Scale, element, figure


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
        parts.append(row_frame(ChartRow(label, "quantum", 0.0, 0.0, 0.0), y, place == 0))
        parts.append(_divided_bar(label, y, scale, chances, words, styles))
    told = [
        f"{visible(label)}: "
        + ", ".join(f"{word} {chance:.0%}" for word, chance in zip(words, chances, strict=True))
        + "."
        for label, chances in rows
    ]
    return figure(name, title, " ".join(told), top + ROW_HEIGHT * len(rows) + 8, *parts)


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
