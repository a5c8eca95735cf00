"""What every section of the report may use: the comparison, how its numbers are written, its table line by line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ketgrad.referee.report import wording
from ketgrad.referee.report.wording import Numbers, TableLine
from ketgrad.referee.results import Comparison, Model

MOST_ROWS = 40  # lines of a table of columns, warnings or failures; results.json holds the rest


@dataclass(frozen=True)
class ReportFacts:
    """A comparison on its way into the report. command: the line that repeats it."""

    comparison: Comparison
    command: str
    numbers: Numbers
    lines: tuple[TableLine, ...]

    @classmethod
    def of(cls, comparison: Comparison, command: str = "") -> ReportFacts:
        """The facts of a comparison."""
        numbers, lines = wording.numbers_of(comparison), wording.table_lines(comparison)
        return cls(comparison, command, numbers, lines)

    @property
    def metric(self) -> str:
        """The name of the score that decides."""
        return self.comparison.protocol.metric

    @property
    def scored(self) -> list[TableLine]:
        """The lines of the models that have a score."""
        return [line for line in self.lines if self.metric in line.model.summary]

    def best(self, name: str | None) -> Model | None:
        """A model by its name, None where there is none."""
        return None if name is None else self.comparison.model(name)


def shortened(items: Iterable[Any]) -> dict[str, Any]:
    """The first lines of a long list and how many are left out."""
    everything = list(items)
    return {
        "shown": everything[:MOST_ROWS],
        "hidden": max(0, len(everything) - MOST_ROWS),
        "total": len(everything),
    }
