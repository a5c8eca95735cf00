"""All models, best first: the table, their intervals, every single score, other ways to score."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ketgrad.referee.report import charts, wording
from ketgrad.referee.report.facts import ReportFacts
from ketgrad.referee.report.wording import FAMILY_TITLES, TableLine


def values(facts: ReportFacts) -> dict[str, Any]:
    """What `ranking.jinja` shows."""
    present = {model.family for model in facts.comparison.models}
    return {
        "families": [family for family in FAMILY_TITLES if family in present],
        "other_metrics": _other_metrics(facts),
        "charts": _charts(facts),
    }


def _other_metrics(facts: ReportFacts) -> list[dict[str, Any]]:
    found = []
    for metric in facts.comparison.protocol.metrics[1:]:
        numbers = wording.numbers_of(facts.comparison, metric.name)
        cells = {
            model.name: numbers.score(model.summary[metric.name].mean)
            if metric.name in model.summary
            else wording.DASH
            for model in facts.comparison.models
        }
        if any(cell != wording.DASH for cell in cells.values()):
            found.append({"metric": metric, "cells": cells})
    return found


def _charts(facts: ReportFacts) -> dict[str, str]:
    if not facts.scored:
        return {}
    numbers, rows, guides = facts.numbers, chart_rows(facts), _guides(facts)
    common = {"axis": numbers.axis, "guides": guides, "bounds": numbers.bounds}
    intervals = f"{numbers.title} of every model, with 95 % intervals"
    points = f"{numbers.title} of every model on each part of the data"
    bare = [dataclasses.replace(row, text="") for row in rows]
    return {
        "scores": charts.interval_chart("scores", intervals, rows, **common),
        "folds": charts.strip_chart("folds", points, bare, **common),
    }


def chart_rows(facts: ReportFacts) -> list[charts.ChartRow]:
    """The models that have a score as rows of a chart, best first."""
    return [_chart_row(line, facts) for line in facts.scored]


def _chart_row(line: TableLine, facts: ReportFacts) -> charts.ChartRow:
    factor, interval = facts.numbers.factor, line.model.summary[facts.metric]
    low = interval.mean if interval.low is None else interval.low
    high = interval.mean if interval.high is None else interval.high
    return charts.ChartRow(
        label=line.title,
        family=line.model.family,
        value=factor * interval.mean,
        low=factor * low,
        high=factor * high,
        text=f"{line.score}  ({line.interval})" if interval.low is not None else line.score,
        points=tuple(factor * value for value in line.model.values(facts.metric) if value is not None),
    )


def _guides(facts: ReportFacts) -> Sequence[charts.Guide]:
    found = []
    best = facts.comparison.verdict.best_classical
    for model in facts.comparison.models:
        if facts.metric in model.summary and (model.name == best or model.family == "dummy"):
            words = ("best classical", "guide") if model.name == best else ("no learning", "idle")
            found.append(charts.Guide(facts.numbers.factor * model.summary[facts.metric].mean, *words))
    return found
