"""The sentence of the verdict, that on entanglement, and the reasons below them."""

from __future__ import annotations

from collections.abc import Sequence

from ketgrad.referee.judgement.pairs import find, kind_of
from ketgrad.referee.results import Interval, Metric, Model, PairedDifference, Protocol


def sentence_of(
    kind: str, model: Model, rival: Model, against: PairedDifference | None, protocol: Protocol
) -> str:
    """The verdict on one quantum model, in one sentence."""
    metric = protocol.metrics[0]
    ours = f"the quantum model ({model.title})"
    theirs = f"the best classical model ({rival.title})"
    if against is None or against.mean is None:
        return f"Whether {ours} can compete with {theirs} is undecided: too little was computed."
    gap = amount(abs(against.mean), metric)
    if kind == "better":
        return f"On this table {ours} is better than {theirs}, by {gap} of {metric.title}."
    if kind == "worse":
        return f"On this table {ours} is worse than {theirs}, by {gap} of {metric.title}."
    if kind == "equivalent":
        return (
            f"On this table {ours} and {theirs} do equally well: they differ by less than"
            f" {amount(protocol.rope, metric)} of {metric.title}."
        )
    begin = f"It is undecided whether {ours} or {theirs} does better on this table: "
    if _looks_like_nothing(against.mean, metric):
        return (
            f"{begin}their scores are the same to the digits shown, and {_too_few_to_say(metric, protocol)}."
        )
    side = "ahead of" if against.mean > 0 else "behind"
    chance = (
        "chance can explain when this many are compared"
        if _lost_to_holm(against)
        else "chance alone can explain"
    )
    return f"{begin}the quantum model is {side} the classical one by {gap} of {metric.title}, which {chance}."


def _looks_like_nothing(mean: float, metric: Metric) -> bool:
    """Whether a difference is written as zero: "0.0 points ahead, which chance can explain" is no sentence."""
    return float(amount(abs(mean), metric).split()[0]) == 0


def _too_few_to_say(metric: Metric, protocol: Protocol) -> str:
    """That equal means are not yet equal models."""
    return f"there are too few rows to say that they differ by less than {amount(protocol.rope, metric)}"


def _lost_to_holm(difference: PairedDifference) -> bool:
    """Whether the pair by itself looks decided, but not among all the pairs that were looked at."""
    p, p_holm = difference.p, difference.p_holm
    return p is not None and p_holm is not None and p < 0.05 <= p_holm


def amount(value: float, metric: Metric) -> str:
    """A difference in the words of its metric: "1.3 points" or "0.42".

    >>> amount(0.0131, Metric("accuracy", "accuracy", True, "points", ""))
    '1.3 points'
    """
    if metric.unit != "points":
        return f"{value:.3f}" if metric.name == "r2" else f"{value:.3g}"
    points = f"{100 * value:.1f}"
    return "1 point" if points == "1.0" else f"{points} points"


def entanglement_sentence(
    model: Model, pairs: Sequence[PairedDifference], protocol: Protocol
) -> tuple[str, str]:
    """What the twin without entanglers says: a sentence and its kind."""
    twin = find(pairs, model.name, "twin")
    if twin is None or twin.mean is None:
        return "Whether entanglement helps was not tested: there is no twin without entanglers.", "not tested"
    kind, metric = kind_of(twin), protocol.metrics[0]
    gap = amount(abs(twin.mean), metric)
    if kind == "better":
        return f"Entanglement helps: without it the same circuit loses {gap} of {metric.title}.", "helps"
    if kind == "worse":
        return f"Entanglement hurts: without it the same circuit gains {gap} of {metric.title}.", "hurts"
    if kind == "equivalent":
        limit = amount(protocol.rope, metric)
        return f"Entanglement makes no difference here: without it the scores differ by less than {limit}.", (
            "no difference"
        )
    if _looks_like_nothing(twin.mean, metric):
        few = _too_few_to_say(metric, protocol)
        return (
            "Whether entanglement helps is undecided: without it the score is the same to the digits shown, and"
            f" {few}.",
            "undecided",
        )
    word = "lower" if twin.mean > 0 else "higher"
    return (
        f"Whether entanglement helps is undecided: without it the score is {gap} {word}, which chance can explain.",
        "undecided",
    )


def reasons_of(
    quantum: Model,
    classical: Model,
    against: PairedDifference | None,
    models: Sequence[Model],
    pairs: Sequence[PairedDifference],
    protocol: Protocol,
) -> tuple[str, ...]:
    """Why the verdict is what it is, a sentence for each reason."""
    metric = protocol.metrics[0]
    reasons = [
        f"{model.title}: {metric.title} {_with_interval(model.summary[metric.name], metric)}."
        for model in (quantum, classical)
    ]
    if against is not None and against.p_better is not None and against.detectable is not None:
        near, worse = against.p_equal or 0.0, against.p_worse or 0.0
        reasons.append(
            f"Given these splits, the chance that the quantum model is better is {against.p_better:.0%}, that both"
            f" are equal within {amount(protocol.rope, metric)} {near:.0%}, that it is worse {worse:.0%}."
        )
        reasons.append(
            f"With this many rows, a true difference below {amount(against.detectable, metric)} would mostly stay"
            " unnoticed."
        )
    if against is not None and _lost_to_holm(against):
        reasons.append(
            f"By itself this difference looks decided (p = {against.p:.2g}), but the best classical model was picked by"
            f" its score, and with all pairs of models in view it is not (p = {against.p_holm:.2g} after Holm)."
        )
    reasons += _chance_reasons((quantum, classical), pairs)
    lost = sum(len(model.failures) for model in models)
    if lost:
        reasons.append(f"{lost} fits failed and were given the score of the dummy model; they are listed.")
    return tuple(reasons)


def _chance_reasons(best: Sequence[Model], pairs: Sequence[PairedDifference]) -> list[str]:
    reasons = []
    for model in best:
        floor = find(pairs, model.name, "dummy")
        if floor is not None and kind_of(floor) != "better":
            reasons.append(f"{model.title} is not clearly better than a model that looks at no column.")
    return reasons


def _with_interval(interval: Interval, metric: Metric) -> str:
    scale, digits = (100, 1) if metric.unit == "points" else (1, 3)
    mean = f"{scale * interval.mean:.{digits}f}" + (" %" if metric.unit == "points" else "")
    if interval.low is None or interval.high is None:
        return mean
    return f"{mean} (95 % interval {scale * interval.low:.{digits}f} to {scale * interval.high:.{digits}f})"
