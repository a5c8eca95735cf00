"""Numbers and answers in the words of the report: the page and the terminal say the same thing the same way."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from ketgrad.referee.judgement.pairs import pair as paired
from ketgrad.referee.results import Comparison, Interval, Metric, Model, PairedDifference

FAMILY_TITLES = {
    "quantum": "quantum",
    "twin": "quantum, entanglers removed",
    "classical": "classical",
    "dummy": "no learning",
}
KIND_TAGS = {
    "better": "better",
    "equivalent": "as good",
    "worse": "worse",
    "undecided": "not decided",
}
MINUS = "\u2212"
DASH = "–"


@dataclass(frozen=True)
class Numbers:
    """How the values of one metric are written: shares as percent, everything else with three digits."""

    metric: Metric
    typical: float = 1.0
    smallest: float = 0.0

    @property
    def percent(self) -> bool:
        """Whether values are shares that are shown times 100."""
        return self.metric.unit == "points"

    @property
    def factor(self) -> float:
        """What a value is multiplied with before it is shown."""
        return 100.0 if self.percent else 1.0

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The range of possible shown values, None where there is none; the variance explained can be negative."""
        lowest = -math.inf if self.metric.name == "r2" or self.smallest < 0 else 0.0
        return (lowest, 100.0) if self.percent else None

    @property
    def title(self) -> str:
        """The name of the metric as the beginning of a sentence."""
        return sentence(self.metric.title).removesuffix(".")

    @property
    def axis(self) -> tuple[str, str, str]:
        """The label of a chart's axis and the hints at its two ends."""
        label = f"{self.title} (%)" if self.percent else self.title
        return (label, "", "better →") if self.metric.higher_is_better else (label, "← better", "")

    def _plain(self, value: float) -> str:
        if self.percent:
            return f"{100 * value:.1f}"
        decimals = max(0, min(6, 2 - math.floor(math.log10(self.typical)))) if self.typical > 0 else 3
        return f"{value:.{decimals}f}" if abs(value) < 1e7 else f"{value:.3g}"

    def score(self, value: float | None) -> str:
        """One score: `95.3 %` or `0.482`."""
        if value is None:
            return "no score"
        return (self._plain(value) + (" %" if self.percent else "")).replace("-", MINUS)

    def interval(self, interval: Interval) -> str:
        """The two ends of an interval; a share does not leave 0 to 100."""
        if interval.low is None or interval.high is None:
            return "one score only"
        low, high = interval.low, interval.high
        if self.bounds is not None:
            low, high = max(low, self.bounds[0] / 100), min(high, self.bounds[1] / 100)
        return f"{self._plain(low)} to {self._plain(high)}".replace("-", MINUS)

    def size(self, value: float | None) -> str:
        """The size of a difference: `1.2 points` or `0.031`."""
        if value is None:
            return "unknown"
        written = self._plain(abs(value)) + (" points" if self.percent else "")
        return "1 point" if written == "1.0 points" else written

    def difference(self, value: float | None) -> str:
        """A signed difference."""
        if value is None:
            return "unknown"
        written = self._plain(abs(value))
        return written if float(written) == 0 else ("+" if value > 0 else MINUS) + written


@dataclass(frozen=True)
class TableLine:
    """One model as a line of the final table, every cell as text; `rank` is None for a model without a score."""

    rank: int | None
    model: Model
    title: str
    family: str
    score: str
    interval: str
    difference: str
    difference_interval: str
    splits: str
    is_reference: bool


def numbers_of(comparison: Comparison, name: str | None = None) -> Numbers:
    """How the values of a metric (the deciding one by default) are written in this comparison."""
    metrics = {metric.name: metric for metric in comparison.protocol.metrics}
    metric = metrics[name or comparison.protocol.metric]
    means = [model.summary[metric.name].mean for model in comparison.models if metric.name in model.summary]
    typical = statistics.median(map(abs, means)) if means else 1.0
    return Numbers(metric, typical, min(means, default=0.0))


def pair(comparison: Comparison, first: str, second: str | None) -> PairedDifference | None:
    """The paired difference `first` minus `second` under the deciding metric, with its corrected interval.

    One that the referee made is taken as it is; another (of two classical models, say) is made here by the same rule.
    None if one of the two has no score.
    """
    for found in comparison.comparisons:
        if (found.first, found.second, found.metric) == (first, second, comparison.protocol.metric):
            return found
    models = {model.name: model for model in comparison.models if comparison.protocol.metric in model.summary}
    if first == second or first not in models or second not in models:
        return None
    return paired(models[first], models[second], "table", comparison.protocol)


def table_lines(comparison: Comparison) -> tuple[TableLine, ...]:
    """The final table, best model first, models without a score last; equal scores share a rank."""
    numbers = numbers_of(comparison)
    metric = comparison.protocol.metric
    ranking = comparison.ranking()
    means = [model.summary[metric].mean for model in ranking]
    lines = [
        _line(comparison, numbers, model, 1 + means.index(mean))
        for model, mean in zip(ranking, means, strict=True)
    ]
    unscored = [model for model in comparison.models if metric not in model.summary]
    return tuple(lines + [_line(comparison, numbers, model, None) for model in unscored])


def _line(comparison: Comparison, numbers: Numbers, model: Model, rank: int | None) -> TableLine:
    reference = comparison.verdict.best_classical
    found = pair(comparison, model.name, reference)
    known = found is not None and found.low is not None and found.high is not None
    interval = model.summary.get(comparison.protocol.metric)
    planned = len(comparison.protocol.splits)
    return TableLine(
        rank=rank,
        model=model,
        title=model.title,
        family=FAMILY_TITLES.get(model.family, model.family),
        score=numbers.score(interval.mean if interval else None),
        interval=numbers.interval(interval) if interval else DASH,
        difference=numbers.difference(found.mean) if found and found.mean is not None else DASH,
        difference_interval=f"{numbers.difference(found.low)} to {numbers.difference(found.high)}"
        if found and known
        else "",
        splits=f"{len(model.splits)} of {planned}" if len(model.splits) < planned else str(planned),
        is_reference=model.name == reference,
    )


def sentence(text: str) -> str:
    """`text` with a capital and a full stop.

    >>> sentence("share of rows predicted right")
    'Share of rows predicted right.'
    """
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".") if text else ""


def headline(comparison: Comparison) -> str:
    """The answer in one line, before any number."""
    verdict = comparison.verdict
    if verdict.best_quantum is None:
        return "No quantum model was scored, so there is nothing to compare."
    if verdict.best_classical is None:
        return "No classical model was scored, so there is nothing to compare with."
    return {
        "worse": "No. Classical models do better here.",
        "equivalent": "No. Quantum models do as well as classical ones here, not better.",
        "undecided": "Not shown. The data do not decide between quantum and classical models.",
        "better": _better_headline(verdict.entanglement_kind),
    }[verdict.kind]


def tone(comparison: Comparison) -> str:
    """The kind whose colour the answer gets: a win that entanglement does not explain is no clear yes."""
    verdict = comparison.verdict
    return "undecided" if verdict.kind == "better" and verdict.entanglement_kind != "helps" else verdict.kind


def _better_headline(entanglement_kind: str) -> str:
    if entanglement_kind == "helps":
        return "Yes. A quantum model does better here, and entanglement helps it."
    return "Yes, but. A quantum model does better here; that it is for a quantum reason is not shown."


def duration(seconds: float | None) -> str:
    """A time for people: `45 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`.

    >>> duration(0.0451), duration(250), duration(7500)
    ('45 ms', '4 min 10 s', '2 h 5 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    if seconds < 0.0995:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s".replace(" 0 s", "")
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return f"{hours} h {minutes} min".replace(" 0 min", "")
    return f"{hours / 24:,.0f} days".replace(",", "\u202f")


def rough_duration(seconds: float | None) -> str:
    """A time that is only estimated, with two digits; a dash where there is none.

    >>> rough_duration(2534), rough_duration(168900), rough_duration(None)
    ('42 min', '47 h', '–')
    """
    if seconds is None:
        return DASH
    units = (("days", 172_800, 86_400), ("h", 5400, 3600), ("min", 90, 60), ("s", 0, 1))
    name, size = next((name, size) for name, least, size in units if seconds >= least)
    return f"{count(int(float(f'{seconds / size:.2g}'))) if seconds / size >= 10 else f'{seconds / size:.2g}'} {name}"


def count(number: int | None) -> str:
    """A whole number with thin spaces between thousands; a dash where there is none.

    >>> count(28680).split("\u202f")
    ['28', '680']
    """
    return DASH if number is None else f"{number:,}".replace(",", "\u202f")
