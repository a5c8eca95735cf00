"""How it was judged: cuts, scores, tests, and every model with what it was tuned over."""

from __future__ import annotations

from typing import Any

from ketgrad.referee.report.facts import ReportFacts


def values(facts: ReportFacts) -> dict[str, Any]:
    """What `method.jinja` shows beside the facts that all sections have."""
    return {}
