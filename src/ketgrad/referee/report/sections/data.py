"""What was done with the data: task, preparation, remarks, the columns that were used and those that were not."""

from __future__ import annotations

from typing import Any

from ketgrad.referee.report.facts import MOST_ROWS, ReportFacts, shortened
from ketgrad.referee.results import Column, Comparison


def values(facts: ReportFacts) -> dict[str, Any]:
    """What `data.jinja` shows."""
    comparison = facts.comparison
    return {
        "used": shortened(_column_groups(comparison)),
        "unused": shortened(comparison.data.dropped),
        "warnings": shortened(comparison.data.warnings),
    }


def _column_groups(comparison: Comparison) -> list[dict[str, Any]]:
    """The columns that are used, those of one kind that were treated alike in one line."""
    groups: dict[tuple[str, str], list[Column]] = {}
    for column in comparison.data.columns:
        if column.used:
            groups.setdefault((column.kind, column.handling), []).append(column)
    return [
        {
            "kind": kind,
            "handling": handling,
            "columns": columns[:MOST_ROWS],
            "hidden": max(0, len(columns) - MOST_ROWS),
        }
        for (kind, handling), columns in groups.items()
    ]
