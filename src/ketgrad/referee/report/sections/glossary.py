"""The words of the report that a reader may not know."""

from __future__ import annotations

from typing import Any

from ketgrad.referee.report.facts import ReportFacts


def values(facts: ReportFacts) -> dict[str, Any]:
    """What `glossary.jinja` shows beside the facts that all sections have."""
    return {}
