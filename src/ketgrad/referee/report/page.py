"""The page `report.html`: one file that loads nothing, runs nothing and shows every name as plain text.

The templates are filled by Jinja with automatic escaping, and never see data as template text. The content security
policy allows the one style sheet inside the page by its hash, pictures inside the page, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

from ketgrad.foundation.errors import missing_extra
from ketgrad.foundation.text import visible
from ketgrad.referee.report import charts, wording
from ketgrad.referee.report.facts import ReportFacts
from ketgrad.referee.report.sections import SECTIONS
from ketgrad.referee.results import Comparison


def render(comparison: Comparison, command: str = "") -> str:
    """The whole page as text; `command` is the line that repeats the comparison.

    Cost: some milliseconds; below 1 MB for any number of columns, because long tables are shortened.
    Raises `KetgradImportError` if Jinja is not installed.
    """
    environment = _environment()
    from markupsafe import Markup

    facts = ReportFacts.of(comparison, command)
    shared = _shared(facts)
    sections = []
    for section in SECTIONS:
        values = section.values(facts)
        if values is not None:
            drawn = {name: Markup(svg) for name, svg in values.get("charts", {}).items()}
            name = section.__name__.rpartition(".")[2]
            text = environment.get_template(f"{name}.jinja").render({**shared, **values, "charts": drawn})
            sections.append(Markup(text))
    style = _packaged("page.css")
    page = environment.get_template("page.jinja")
    return page.render(shared, style=Markup(style), policy=content_policy(style), sections=sections)


def _environment() -> Any:
    """Jinja, strict: every text is escaped, and a name that nobody gave is an error."""
    try:
        import jinja2
    except ImportError as error:
        raise missing_extra("jinja2", "compare") from error
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_packaged),
    )
    environment.filters["visible"] = visible
    words = {"sentence": wording.sentence, "duration": wording.duration, "count": wording.count}
    environment.globals.update(words)
    return environment


def _packaged(name: str) -> str:
    """The text of a template or of the style: the page's own lie here, those of the sections beside them."""
    folder = resources.files("ketgrad.referee.report")
    if not name.startswith("page."):
        folder = folder.joinpath("sections")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _shared(facts: ReportFacts) -> dict[str, Any]:
    """What every template may show."""
    from markupsafe import Markup

    comparison = facts.comparison
    return {
        "comparison": comparison,
        "data": comparison.data,
        "protocol": comparison.protocol,
        "verdict": comparison.verdict,
        "metric": comparison.protocol.metrics[0],
        "numbers": facts.numbers,
        "lines": facts.lines,
        "rope": facts.numbers.size(comparison.protocol.rope),
        "title_of": {model.name: model.title for model in comparison.models},
        "family_titles": wording.FAMILY_TITLES,
        "marks": {family: Markup(_legend_mark(family)) for family in wording.FAMILY_TITLES},
    }


def _legend_mark(family: str) -> str:
    return charts.element("svg", charts.mark(family, 8, 8, 5.0), viewBox="0 0 16 16", aria_hidden="true")


def content_policy(style: str) -> str:
    """The content security policy of a page whose one style sheet is `style`."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
