"""Each quantum model against the best classical one: the verdict on it, and how likely each answer is."""

from __future__ import annotations

from typing import Any

from ketgrad.referee.report import charts, wording
from ketgrad.referee.report.facts import ReportFacts
from ketgrad.referee.results import Comparison, ModelVerdict

KIND_ORDER = ("worse", "undecided", "equivalent", "better")


def values(facts: ReportFacts) -> dict[str, Any] | None:
    """What `quantum_models.jinja` shows; None where no quantum model was judged."""
    verdicts = ordered_verdicts(facts.comparison)
    if not verdicts:
        return None
    return {"verdicts": verdicts, "tags": wording.KIND_TAGS, "charts": _charts(facts)}


def ordered_verdicts(comparison: Comparison) -> list[ModelVerdict]:
    """The verdicts on the single quantum models, the least flattering first."""
    return sorted(comparison.verdict.models, key=lambda verdict: KIND_ORDER.index(verdict.kind))


def _charts(facts: ReportFacts) -> dict[str, str]:
    chances = _chances(facts.comparison)
    if not chances or not facts.scored:
        return {}
    equal = f"equal within {facts.numbers.size(facts.comparison.protocol.rope)}"
    words = ("quantum model worse", equal, "quantum model better")
    title = "How likely each quantum model is worse, equal or better than the best classical one"
    return {"chances": charts.chance_chart("chances", title, chances, words)}


def _chances(comparison: Comparison) -> list[tuple[str, tuple[float, float, float]]]:
    """For each quantum model the chances that it is worse, equal and better, in the order of the verdicts."""
    rows = []
    for verdict in ordered_verdicts(comparison):
        found = wording.pair(comparison, verdict.model, verdict.against)
        if (
            found is not None
            and found.p_worse is not None
            and found.p_equal is not None
            and found.p_better is not None
        ):
            rows.append(
                (comparison.model(verdict.model).title, (found.p_worse, found.p_equal, found.p_better))
            )
    return rows
