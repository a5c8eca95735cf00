"""What went wrong: splits that were not done, fits that failed, warnings of those that did not."""

from __future__ import annotations

from typing import Any

from ketgrad.referee.report.facts import ReportFacts, shortened
from ketgrad.referee.results import Comparison


def values(facts: ReportFacts) -> dict[str, Any]:
    """What `failures.jinja` shows."""
    comparison = facts.comparison
    return {
        "missing": comparison.missing,
        "failures": shortened(_failures(comparison)),
        "notes": shortened(_notes(comparison)),
    }


def _failures(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {"title": model.title, "split": score.split + 1, "reason": score.failure}
        for model in comparison.models
        for score in model.failures
    ]


def _notes(comparison: Comparison) -> list[dict[str, Any]]:
    """Warnings of the fits, each once per model with the number of splits that gave it."""
    found = []
    for model in comparison.models:
        counts: dict[str, int] = {}
        for score in model.splits:
            for note in dict.fromkeys(score.notes):
                counts[note] = counts.get(note, 0) + 1
        found.extend(
            {"title": model.title, "note": note, "splits": splits} for note, splits in counts.items()
        )
        failed = sum(score.failed_candidates for score in model.splits)
        if failed:
            found.append(
                {
                    "title": model.title,
                    "note": f"{failed} settings failed during tuning",
                    "splits": len(model.splits),
                }
            )
    return found
