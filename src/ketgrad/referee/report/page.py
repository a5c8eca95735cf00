"""The page `report.html`: one file that loads nothing, runs nothing and shows every name as plain text.

The template lies in `templates/`, is filled by Jinja with automatic escaping, and never sees data as template text.
The content security policy allows the one style sheet inside the page by its hash, pictures inside the page, and
nothing else.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from ketgrad.foundation.errors import missing_extra
from ketgrad.foundation.text import visible
from ketgrad.referee.report import charts, wording
from ketgrad.referee.report.wording import Numbers
from ketgrad.referee.results import Column, Comparison, Model, ModelVerdict

MOST_ROWS = 40  # lines of a table of columns, warnings or failures; results.json holds the rest
SHOTS = 1000
RESET_SECONDS, READOUT_SECONDS, LAYER_SECONDS = 250e-6, 1e-6, 300e-9  # a superconducting processor
KIND_ORDER = ("worse", "undecided", "equivalent", "better")


def render(comparison: Comparison, command: str = "") -> str:
    """The whole page as text; `command` is the line that repeats the comparison.

    Cost: some milliseconds; below 1 MB for any number of columns, because long tables are shortened.
    Raises `KetgradImportError` if Jinja is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise missing_extra("jinja2", "compare") from error
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_packaged),
    )
    environment.filters["visible"] = visible
    style = _packaged("page.css")
    return environment.get_template("page.html.jinja").render(
        style=Markup(style),
        policy=content_policy(style),
        charts={name: Markup(svg) for name, svg in draw_charts(comparison).items()},
        marks={family: Markup(_legend_mark(family)) for family in wording.FAMILY_TITLES},
        command=command,
        **page_values(comparison),
    )


def content_policy(style: str) -> str:
    """The content security policy of a page whose one style sheet is `style`."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _packaged(name: str) -> str:
    return resources.files("ketgrad.referee.report").joinpath("templates", name).read_text(encoding="utf-8")


def _legend_mark(family: str) -> str:
    return charts.element("svg", charts.mark(family, 8, 8, 5.0), viewBox="0 0 16 16", aria_hidden="true")


def page_values(comparison: Comparison) -> dict[str, Any]:
    """Everything that the template shows, computed; the template holds words and layout only."""
    numbers = wording.numbers_of(comparison)
    best = {
        name: _model(comparison, getattr(comparison.verdict, f"best_{name}"))
        for name in ("quantum", "classical")
    }
    return {
        "comparison": comparison,
        "headline": wording.headline(comparison),
        "tone": wording.tone(comparison),
        "tags": wording.KIND_TAGS,
        "numbers": numbers,
        "lines": wording.table_lines(comparison),
        "families": [
            name for name in wording.FAMILY_TITLES if any(name == each.family for each in comparison.models)
        ],
        "family_titles": wording.FAMILY_TITLES,
        "verdicts": ordered_verdicts(comparison),
        "title_of": {model.name: model.title for model in comparison.models},
        "detectable": numbers.size(comparison.verdict.minimal_detectable_difference),
        "detectable_known": comparison.verdict.minimal_detectable_difference is not None,
        "rope": numbers.size(comparison.protocol.rope),
        "best": best,
        "slower": _slower(best["quantum"], best["classical"]),
        "twins": [_twin(comparison, numbers, model) for model in comparison.models if model.family == "twin"],
        "costs": [_cost(line) for line in wording.table_lines(comparison)],
        "other_metrics": _other_metrics(comparison),
        "used": _part(_column_groups(comparison)),
        "unused": _part(comparison.data.dropped),
        "failures": _part(_failures(comparison)),
        "notes": _part(_notes(comparison)),
        "warnings": _part(comparison.data.warnings),
        "missing": comparison.missing,
        "digest": comparison.digest(),
        "sentence": wording.sentence,
        "duration": wording.duration,
        "count": wording.count,
        "shots": SHOTS,
    }


def _model(comparison: Comparison, name: str | None) -> Model | None:
    return comparison.model(name) if name is not None else None


def _part(items: Iterable[Any]) -> dict[str, Any]:
    """The first lines of a long list and how many are left out."""
    everything = list(items)
    return {
        "shown": everything[:MOST_ROWS],
        "hidden": max(0, len(everything) - MOST_ROWS),
        "total": len(everything),
    }


def _column_groups(comparison: Comparison) -> list[dict[str, Any]]:
    """The columns that are used, those of one kind that were treated alike in one line."""
    groups: dict[tuple[str, str], list[Column]] = {}
    for column in comparison.data.columns:
        if column.used:
            groups.setdefault((column.kind, column.handling), []).append(column)
    return [
        {
            "kind": kind,
            "handling": handling,
            "columns": columns[:MOST_ROWS],
            "hidden": max(0, len(columns) - MOST_ROWS),
        }
        for (kind, handling), columns in groups.items()
    ]


def ordered_verdicts(comparison: Comparison) -> list[ModelVerdict]:
    """The verdicts on the single quantum models, the least flattering first."""
    return sorted(comparison.verdict.models, key=lambda verdict: KIND_ORDER.index(verdict.kind))


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


def _twin(comparison: Comparison, numbers: Numbers, twin: Model) -> dict[str, Any]:
    found = wording.pair(comparison, twin.twin_of or "", twin.name)
    metric = comparison.protocol.metric
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


def _cost(line: wording.Line) -> dict[str, Any]:
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


def _other_metrics(comparison: Comparison) -> list[dict[str, Any]]:
    found = []
    for metric in comparison.protocol.metrics[1:]:
        numbers = wording.numbers_of(comparison, metric.name)
        cells = {
            model.name: numbers.score(model.summary[metric.name].mean)
            if metric.name in model.summary
            else wording.DASH
            for model in comparison.models
        }
        if any(cell != wording.DASH for cell in cells.values()):
            found.append({"metric": metric, "cells": cells})
    return found


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


def draw_charts(comparison: Comparison) -> dict[str, str]:
    """The charts of the page as SVG text, those for which there are numbers: scores, folds, chances, twins, cost."""
    numbers = wording.numbers_of(comparison)
    metric = comparison.protocol.metric
    scored = [line for line in wording.table_lines(comparison) if metric in line.model.summary]
    if not scored:
        return {}
    rows = [_chart_row(line, numbers, metric) for line in scored]
    bare = [dataclasses.replace(row, text="") for row in rows]
    guides = _guides(comparison, numbers)
    title = numbers.title
    times = [line.model.cost.fit_seconds or 0.0 for line in scored]
    found = {
        "scores": charts.interval_chart(
            "scores",
            f"{title} of every model, with 95 % intervals",
            rows,
            axis=numbers.axis,
            guides=guides,
            bounds=numbers.bounds,
        ),
        "folds": charts.strip_chart(
            "folds",
            f"{title} of every model on each part of the data",
            bare,
            axis=numbers.axis,
            guides=guides,
            bounds=numbers.bounds,
        ),
    }
    if any(time > 0 for time in times):
        axis = ("Time to train once (logarithmic)", *numbers.axis[:1], "")
        found["cost"] = charts.cost_chart(
            "cost", f"{title} against training time", rows, times, axis=axis, bounds=numbers.bounds
        )
    chances = _chances(comparison)
    if chances:
        words = (
            "quantum model worse",
            f"equal within {numbers.size(comparison.protocol.rope)}",
            "quantum model better",
        )
        found["chances"] = charts.chance_chart(
            "chances",
            "How likely each quantum model is worse, equal or better than the best classical one",
            chances,
            words,
        )
    twins = _twin_rows(comparison, numbers)
    if twins:
        unit = " (points)" if numbers.percent else ""
        found["twins"] = charts.interval_chart(
            "twins",
            "What the entanglers add to each quantum model",
            twins,
            guides=(charts.Guide(0.0, "no effect", "zero"),),
            axis=(f"Difference made by entanglement{unit}", "← entanglers hurt", "entanglers help →"),
        )
    return found


def _chart_row(line: wording.Line, numbers: Numbers, metric: str) -> charts.Row:
    interval = line.model.summary[metric]
    low = interval.mean if interval.low is None else interval.low
    high = interval.mean if interval.high is None else interval.high
    points = tuple(numbers.factor * value for value in line.model.values(metric) if value is not None)
    text = f"{line.score}  ({line.interval})" if interval.low is not None else line.score
    value, low, high = (numbers.factor * number for number in (interval.mean, low, high))
    return charts.Row(line.title, line.model.family, value, low, high, text, points)


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


def _twin_rows(comparison: Comparison, numbers: Numbers) -> list[charts.Row]:
    rows = []
    for twin in comparison.models:
        found = wording.pair(comparison, twin.twin_of, twin.name) if twin.twin_of else None
        if found is None or found.mean is None:
            continue
        low, high = (found.mean if end is None else end for end in (found.low, found.high))
        text = f"{numbers.difference(found.mean)}  ({numbers.difference(low)} to {numbers.difference(high)})"
        value, low, high = (numbers.factor * number for number in (found.mean, low, high))
        rows.append(charts.Row(comparison.model(found.first).title, "quantum", value, low, high, text))
    return rows


def _guides(comparison: Comparison, numbers: Numbers) -> Sequence[charts.Guide]:
    metric = comparison.protocol.metric
    found = []
    best = comparison.verdict.best_classical
    for model in comparison.models:
        if metric in model.summary and (model.name == best or model.family == "dummy"):
            words = ("best classical", "guide") if model.name == best else ("no learning", "idle")
            found.append(charts.Guide(numbers.factor * model.summary[metric].mean, *words))
    return found
