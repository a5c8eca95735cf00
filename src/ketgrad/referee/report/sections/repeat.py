"""To repeat this: the command, the seed, the digests, the versions."""

from __future__ import annotations

from typing import Any

from ketgrad.referee.report.facts import ReportFacts


def values(facts: ReportFacts) -> dict[str, Any]:
    """What `repeat.jinja` shows."""
    return {"command": facts.command, "digest": facts.comparison.digest()}
