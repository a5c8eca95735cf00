"""Whether the quantumness helps: each quantum model beside its twin without entanglers."""

from __future__ import annotations

from typing import Any

from ketgrad.referee.report import charts, wording
from ketgrad.referee.report.facts import ReportFacts
from ketgrad.referee.results import Model


def values(facts: ReportFacts) -> dict[str, Any] | None:
    """What `quantumness.jinja` shows; None where no twin ran."""
    twins = [_twin(facts, model) for model in facts.comparison.models if model.family == "twin"]
    return {"twins": twins, "charts": _charts(facts)} if twins else None


def _twin(facts: ReportFacts, twin: Model) -> dict[str, Any]:
    comparison, numbers, metric = facts.comparison, facts.numbers, facts.metric
    found = wording.pair(comparison, twin.twin_of or "", twin.name)
    original = next((model for model in comparison.models if model.name == twin.twin_of), None)
    verdict = next((each for each in comparison.verdict.models if each.model == twin.twin_of), None)
    scores = [
        numbers.score(model.summary[metric].mean if model and metric in model.summary else None)
        for model in (original, twin)
    ]
    return {
        "title": original.title if original else twin.title,
        "with": scores[0],
        "without": scores[1],
        "difference": numbers.difference(found.mean) if found else wording.DASH,
        "interval": f"{numbers.difference(found.low)} to {numbers.difference(found.high)}"
        if found and found.low is not None
        else "",
        "sentence": verdict.entanglement if verdict else "",
    }


def _charts(facts: ReportFacts) -> dict[str, str]:
    rows = _chart_rows(facts)
    if not rows or not facts.scored:
        return {}
    unit = " (points)" if facts.numbers.percent else ""
    drawn = charts.interval_chart(
        "twins",
        "What the entanglers add to each quantum model",
        rows,
        guides=(charts.Guide(0.0, "no effect", "zero"),),
        axis=(f"Difference made by entanglement{unit}", "← entanglers hurt", "entanglers help →"),
    )
    return {"twins": drawn}


def _chart_rows(facts: ReportFacts) -> list[charts.ChartRow]:
    comparison, numbers = facts.comparison, facts.numbers
    rows = []
    for twin in comparison.models:
        found = wording.pair(comparison, twin.twin_of, twin.name) if twin.twin_of else None
        if found is None or found.mean is None:
            continue
        low, high = (found.mean if end is None else end for end in (found.low, found.high))
        rows.append(
            charts.ChartRow(
                label=comparison.model(found.first).title,
                family="quantum",
                value=numbers.factor * found.mean,
                low=numbers.factor * low,
                high=numbers.factor * high,
                text=f"{numbers.difference(found.mean)}  ({numbers.difference(low)} to {numbers.difference(high)})",
            )
        )
    return rows
