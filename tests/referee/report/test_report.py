"""The page, its charts and the terminal's table say what the comparison found, in the order that was promised."""

from __future__ import annotations

import dataclasses
import io
import os
import re
from pathlib import Path

import html5lib
import pytest
import report_samples as samples

from ketgrad.foundation.text import formula_safe, shorten, visible
from ketgrad.referee.contest.progress import Progress
from ketgrad.referee.report import charts, sections, terminal, wording
from ketgrad.referee.report.facts import ReportFacts
from ketgrad.referee.report.page import render
from ketgrad.referee.report.sections import SECTIONS
from ketgrad.referee.results import Comparison, Missing

GOLDEN = Path(__file__).parents[2] / "golden" / "report_skeleton.txt"
SHOWN = {"h1", "h2", "h3", "th", "dt", "svg", "caption"}


def parse(page: str):
    return html5lib.parse(page, namespaceHTMLElements=False)


def words(node) -> str:
    return " ".join("".join(node.itertext()).split())


def skeleton(page: str) -> str:
    """Headings, table heads, facts and charts in order, without a number: what must not change unnoticed."""
    lines = []
    for node in parse(page).iter():
        tag = str(node.tag).removeprefix("{http://www.w3.org/2000/svg}")
        if tag == "svg" and node.get("role") == "img":
            lines.append(f"    chart {(node.get('aria-labelledby') or '').split()[0]}")
        elif tag in SHOWN - {"svg"}:
            indent = "" if tag == "h1" else "  " if tag in ("h2", "h3") else "    "
            lines.append(f"{indent}{tag} {re.sub(r'[0-9]+', '#', words(node))}")
    return "\n".join(lines) + "\n"


def test_the_skeleton_of_the_report_is_the_committed_one():
    found = skeleton(render(samples.comparison(), "ketgrad compare wine.csv --target cultivar"))
    if os.environ.get("KETGRAD_WRITE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["worse", "equivalent", "undecided", "better"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_verdict_makes_valid_html(kind, task):
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    page = render(samples.comparison(kind, task))
    document = parser.parse(page)
    identifiers = [node.get("id") for node in document.iter() if node.get("id")]
    assert len(identifiers) == len(set(identifiers))
    targets = {node.get("href")[1:] for node in document.iter("a")}
    labels = {name for node in document.iter() for name in (node.get("aria-labelledby") or "").split()}
    assert targets | labels <= set(identifiers)
    assert "None" not in words(document) and "nan" not in words(document).split()


def test_the_answer_stands_before_every_number():
    for kind, beginning in (
        ("worse", "No."),
        ("equivalent", "No."),
        ("undecided", "Not shown."),
        ("better", "Yes"),
    ):
        text = words(parse(render(samples.comparison(kind))).find(".//main"))
        before = text[: text.index(beginning)]
        assert not re.search(r"\d", before.replace("2026-11-21", ""))


def test_the_least_flattering_verdict_on_a_model_comes_first():
    document = parse(render(samples.comparison("better")))
    tags = [words(node) for node in document.iter("span") if (node.get("class") or "").startswith("tag")]
    assert tags == ["worse", "better"]


def test_a_win_without_help_from_entanglement_is_no_clear_yes():
    sample = samples.comparison("better")
    helped = dataclasses.replace(
        sample, verdict=dataclasses.replace(sample.verdict, entanglement_kind="helps")
    )
    assert wording.headline(sample).startswith("Yes, but.") and wording.tone(sample) == "undecided"
    assert wording.headline(helped).startswith("Yes. ") and wording.tone(helped) == "better"


def test_the_table_ranks_models_and_measures_against_the_best_classical_one():
    lines = wording.table_lines(samples.comparison())
    assert [line.rank for line in lines] == list(range(1, 11))
    assert lines[0].is_reference and lines[0].difference == wording.DASH
    assert all(
        line.difference.startswith(wording.MINUS) and "to" in line.difference_interval for line in lines[1:]
    )


def test_differences_that_the_referee_did_not_make_are_made_by_its_rule():
    sample = dataclasses.replace(samples.comparison(), comparisons=())
    line = next(line for line in wording.table_lines(sample) if line.model.name == "forest")
    assert line.difference.startswith(wording.MINUS) and line.difference_interval
    assert wording.pair(sample, "svm", "svm") is None and wording.pair(sample, "svm", None) is None


def test_equal_scores_share_a_rank():
    sample = samples.comparison()
    models = tuple(dataclasses.replace(model, summary=sample.models[1].summary) for model in sample.models)
    assert {line.rank for line in wording.table_lines(dataclasses.replace(sample, models=models))} == {1}


def stopped(sample: Comparison, done: int) -> Comparison:
    """The comparison as if it had been stopped with `done` splits of each model finished."""
    models = tuple(
        dataclasses.replace(model, splits=model.splits[:done], summary=model.summary if done else {})
        for model in sample.models
    )
    answer = sample.verdict
    if not done:
        answer = dataclasses.replace(
            answer,
            kind="undecided",
            best_quantum=None,
            best_classical=None,
            models=(),
            minimal_detectable_difference=None,
        )
    missing = tuple(Missing(model.name, tuple(range(done, 10))) for model in models)
    pairs = sample.comparisons if done else ()
    return dataclasses.replace(
        sample, models=models, verdict=answer, comparisons=pairs, interrupted=True, missing=missing
    )


@pytest.mark.parametrize("done", [0, 1, 4])
def test_a_stopped_run_says_so_and_lists_what_is_missing(done):
    sample = stopped(samples.comparison(), done)
    text = words(parse(render(sample)))
    assert "This run was stopped before it was done" in text
    assert f"Random forest: {10 - done} of 10 scores" in text
    output = io.StringIO()
    terminal.show(sample, terminal.console(output))
    assert "Stopped before the end" in output.getvalue()


def test_failures_and_warnings_are_told_with_their_reason():
    sample = samples.with_text(samples.comparison(), ("it did not converge",))
    text = words(parse(render(sample)))
    assert "20 fits failed and were given the score of a model that learns nothing" in text
    assert "it did not converge" in text and "(2 of 10 scores)" in text
    assert "every fit of every model was finished" in words(parse(render(samples.comparison())))


def test_a_section_is_a_pair_of_files_that_stands_in_the_table():
    folder = Path(sections.__file__).parent
    names = [section.__name__.rpartition(".")[2] for section in SECTIONS]
    assert sorted(names) == sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    assert sorted([*names, "more"]) == sorted(path.stem for path in folder.glob("*.jinja"))


def test_charts_have_titles_descriptions_and_a_tooltip_for_each_mark():
    facts = ReportFacts.of(samples.comparison())
    drawn = {
        name: svg
        for section in SECTIONS
        for name, svg in (section.values(facts) or {}).get("charts", {}).items()
    }
    assert list(drawn) == ["scores", "folds", "chances", "twins", "cost"]
    for name, svg in drawn.items():
        node = parse(svg).find(".//svg") or parse(svg).find(".//{http://www.w3.org/2000/svg}svg")
        assert node is not None and node.get("role") == "img"
        assert f'id="{name}-title"' in svg and f'id="{name}-text"' in svg
        assert svg.count("<g><title>") >= (2 if name in ("twins", "chances") else 9)


def test_marks_of_the_families_differ_in_form_and_not_only_in_colour():
    forms = {family: charts.mark(family, 10, 10) for family in wording.FAMILY_TITLES}
    assert "<path" in forms["quantum"] and "<circle" in forms["classical"]
    assert len(set(forms.values())) == 4


def test_a_model_far_behind_does_not_squeeze_the_others():
    rows = [charts.ChartRow(f"m{place}", "classical", 0.9 - 0.01 * place, 0.88, 0.92) for place in range(5)]
    rows += [
        charts.ChartRow("lost", "classical", -400.0, -900.0, 100.0),
        charts.ChartRow("none", "dummy", 0.5, 0.49, 0.51),
    ]
    assert [row.label for row in charts.focus(rows)] == [f"m{place}" for place in range(5)]
    svg = charts.interval_chart("c", "t", rows, axis=("", "", ""))
    assert svg.count("far below") == 2 and "NaN" not in svg and "inf" not in svg


@pytest.mark.parametrize("values", [(0.5, 0.5), (0.0, 0.0), (-3.0, 1e9), (1e-12, 2e-12), (1e300, -1e300)])
def test_scales_and_ticks_exist_for_every_range(values):
    scale = charts.fit_scale(values, 0.0, 100.0)
    assert scale.low < min(values) or scale.low < scale.high
    assert 2 <= len(scale.ticks) <= 12
    assert all(scale.holds(value) for value in values)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.00042, "0.42 ms"),
        (0.5, "0.5 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3600, "1 h"),
        (3599.9, "1 h"),
        (1e6, "12 days"),
        (None, "unknown"),
    ],
)
def test_durations_are_written_for_people(seconds, text):
    assert wording.duration(seconds) == text


def test_scores_are_percent_or_three_digits():
    percent = wording.Numbers(samples.ACCURACY)
    assert (percent.score(0.9534), percent.difference(-0.012), percent.difference(0.0001)) == (
        "95.3 %",
        "−1.2",
        "0.0",
    )
    error = wording.Numbers(samples.RMSE, typical=56.0)
    assert (error.score(55.96), error.difference(1.234), error.size(0.5)) == ("56.0", "+1.2", "0.5")


def test_names_are_shortened_in_the_middle_and_controls_written_out():
    assert shorten("x" * 100, 20) == "x" * 12 + "…" + "x" * 7
    assert visible("a\nb\tc\x7f\u200f") == r"a\nb\tc\x7f\u200f"
    assert visible("naïve 表 💥 ﷽") == "naïve 表 💥 ﷽"
    assert [formula_safe(cell) for cell in ("a=1", "", 3, None, "=1")] == ["a=1", "", 3, None, "'=1"]


def test_the_display_shows_models_means_and_time_left():
    output = io.StringIO()
    display = terminal.ProgressDisplay(output)
    with display:
        display(Progress("plan", "", "", 0, 2, 0, 4, 0.0, None, None, "2 models, 2 splits"))
        display(Progress("started", "svm", "SVM", 0, 2, 0, 4, 1.0, None, None, "svm: split 1"))
        display(Progress("done", "svm", "SVM", 0, 2, 1, 4, 3.0, 33.0, 0.75, "svm: split 1: 0.750"))
        display(Progress("done", "svm", "SVM", 1, 2, 2, 4, 12.0, 12.0, 0.25, "svm: split 2: 0.250"))
        display(Progress("failed", "mlp", "MLP", 0, 2, 3, 4, 13.0, 5.0, 0.5, "mlp: it broke"))
        display(Progress("interrupted", "", "", 0, 2, 3, 4, 14.0, 5.0, None, "Stopped."))
    lines = output.getvalue().splitlines()
    assert lines.pop() == "[3/4] Stopped."
    assert lines == [
        "[0/4] 2 models, 2 splits",
        "[1/4] svm: split 1: 0.750; about 33 s left",
        "[3/4] mlp: it broke; about 5 s left",
    ]
    picture = io.StringIO()
    terminal.console(picture).print(display.picture())
    assert (
        "0.500" in picture.getvalue()
        and "1 failed" in picture.getvalue()
        and "3 of 4 fits" in picture.getvalue()
    )


def test_the_terminal_table_fits_eighty_columns():
    output = io.StringIO()
    console = terminal.console(output)
    console.width = 80
    terminal.show(samples.comparison(), console)
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1] == "No. Classical models do better here."
