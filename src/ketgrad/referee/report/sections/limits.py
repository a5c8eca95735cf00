"""What the comparison cannot tell: small differences, other tables, real processors."""

from __future__ import annotations

from typing import Any

from ketgrad.referee.report.facts import ReportFacts


def values(facts: ReportFacts) -> dict[str, Any]:
    """What `limits.jinja` shows."""
    smallest = facts.comparison.verdict.minimal_detectable_difference
    return {"detectable": facts.numbers.size(smallest), "detectable_known": smallest is not None}
