"""What it costs: time here, size of the models, and an estimate for a quantum processor."""

from __future__ import annotations

from typing import Any

from ketgrad.referee.report import charts, wording
from ketgrad.referee.report.facts import ReportFacts
from ketgrad.referee.report.sections.ranking import chart_rows
from ketgrad.referee.report.wording import TableLine
from ketgrad.referee.results import Model

SHOTS = 1000
RESET_SECONDS, READOUT_SECONDS, LAYER_SECONDS = 250e-6, 1e-6, 300e-9  # a superconducting processor


def values(facts: ReportFacts) -> dict[str, Any]:
    """What `cost.jinja` shows."""
    verdict = facts.comparison.verdict
    quantum, classical = facts.best(verdict.best_quantum), facts.best(verdict.best_classical)
    return {
        "best": {"quantum": quantum, "classical": classical},
        "slower": _slower(quantum, classical),
        "costs": [_cost(line) for line in facts.lines],
        "shots": SHOTS,
        "charts": _charts(facts),
    }


def _charts(facts: ReportFacts) -> dict[str, str]:
    times = [line.model.cost.fit_seconds or 0.0 for line in facts.scored]
    if not any(time > 0 for time in times):
        return {}
    numbers = facts.numbers
    axis = ("Time to train once (logarithmic)", *numbers.axis[:1], "")
    title = f"{numbers.title} against training time"
    return {
        "cost": charts.cost_chart("cost", title, chart_rows(facts), times, axis=axis, bounds=numbers.bounds)
    }


def _slower(quantum: Model | None, classical: Model | None) -> str | None:
    """How many times as long the best quantum model trained as the best classical one, as words."""
    if quantum is None or classical is None or not quantum.cost.fit_seconds or not classical.cost.fit_seconds:
        return None
    ratio = quantum.cost.fit_seconds / classical.cost.fit_seconds
    if 0.67 < ratio < 1.5:
        return "about as long as"
    factor = ratio if ratio > 1 else 1 / ratio
    written = (
        wording.count(int(round(factor, 1 - len(str(int(factor)))))) if factor >= 10 else f"{factor:.1f}"
    )
    return f"{written.removesuffix('.0')} times {'as long as' if ratio > 1 else 'less time than'}"


def _cost(line: TableLine) -> dict[str, Any]:
    cost = line.model.cost
    device = None
    if cost.circuit_executions is not None and cost.depth is not None:
        device = (
            cost.circuit_executions * SHOTS * (RESET_SECONDS + READOUT_SECONDS + cost.depth * LAYER_SECONDS)
        )
    return {
        "line": line,
        "cost": cost,
        "device": wording.rough_duration(device),
    }
