"""The answer before any number: the question, the verdict, what may be wrong with it, the facts of the comparison."""

from __future__ import annotations

from typing import Any

from ketgrad.referee.report.facts import ReportFacts
from ketgrad.referee.report.wording import headline, tone


def values(facts: ReportFacts) -> dict[str, Any]:
    """What `verdict.jinja` shows."""
    comparison = facts.comparison
    return {
        "headline": headline(comparison),
        "tone": tone(comparison),
        "failed": sum(len(model.failures) for model in comparison.models),
    }
