"""From the scores of all splits to pairs, and from the pairs to one honest sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ketgrad.referee.judgement import statistics as stats
from ketgrad.referee.results import Interval, Metric, Model, ModelVerdict, PairedDifference, Protocol, Verdict

CERTAIN = 0.95  # a probability above this is called certain enough
STATISTICS = ("low", "high", "t", "p", "p_holm", "p_better", "p_equal", "p_worse", "detectable")


def summarise(
    model_scores: Sequence[float], metric: Metric, protocol: Protocol, splits: Sequence[int]
) -> Interval:
    """Mean and corrected interval of the scores of one model on these splits, cut at 0 and 1 for shares."""
    values = np.asarray(model_scores, dtype=float)
    if len(values) < 2:
        return Interval(
            mean=float(values.mean()), low=None, high=None, standard_deviation=None, count=len(values)
        )
    low, high = stats.mean_interval(model_scores, _ratio(protocol, splits), confidence=protocol.confidence)
    if metric.unit == "points":
        low, high = max(low, 0.0), min(high, 1.0)  # a share of more than all is none
    return Interval(
        mean=float(values.mean()),
        low=low,
        high=high,
        standard_deviation=float(values.std(ddof=1)),
        count=len(values),
    )


def _ratio(protocol: Protocol, splits: Sequence[int]) -> float:
    """Test rows over training rows."""
    chosen = [protocol.splits[index] for index in splits]
    return sum(split.n_test for split in chosen) / sum(split.n_train for split in chosen)


def pair(first: Model, second: Model, role: str, protocol: Protocol) -> PairedDifference:
    """The difference of two models under the deciding metric, on the splits that both have."""
    metric = protocol.metrics[0]
    ours = {item.split: item.scores.get(metric.name) for item in first.splits}
    theirs = {item.split: item.scores.get(metric.name) for item in second.splits}
    sign = 1.0 if metric.higher_is_better else -1.0
    common, differences = [], []
    for split in sorted(ours.keys() & theirs.keys()):
        a, b = ours[split], theirs[split]
        if a is not None and b is not None:
            common.append(split)
            differences.append(sign * (a - b))
    base = PairedDifference(
        first=first.name,
        second=second.name,
        role=role,
        metric=metric.name,
        differences=tuple(differences),
        mean=differences[0] if common else None,
        **dict.fromkeys(STATISTICS),
    )
    if len(common) < 2:
        return base
    return _with_statistics(base, protocol, common)


def _with_statistics(base: PairedDifference, protocol: Protocol, splits: list[int]) -> PairedDifference:
    ratio = _ratio(protocol, splits)
    counted = base.metric == "accuracy"
    resolution = 1 / max(protocol.splits[index].n_test for index in splits) if counted else 0.0
    test = stats.corrected_t(base.differences, ratio, confidence=protocol.confidence, resolution=resolution)
    belief = stats.correlated_bayes(
        base.differences, ratio / (1 + ratio), protocol.rope, resolution=resolution
    )
    return replace(
        base,
        mean=test.mean,
        low=test.low,
        high=test.high,
        t=test.t,
        p=test.p,
        p_better=belief.p_better,
        p_equal=belief.p_equal,
        p_worse=belief.p_worse,
        detectable=stats.detectable_difference(test.standard_error, test.degrees_of_freedom),
    )


def all_pairs(models: Sequence[Model], protocol: Protocol) -> tuple[PairedDifference, ...]:
    """Every quantum model against its twins, the dummy and each classical model; p corrected within its family."""
    pairs = []
    classical = [model for model in models if model.family == "classical"]
    best = _best(classical, protocol)
    for model in models:
        if model.family == "quantum":
            pairs += [pair(model, twin, "twin", protocol) for twin in models if twin.twin_of == model.name]
            for other in classical:
                role = "best classical" if best is not None and other.name == best.name else "classical"
                pairs.append(pair(model, other, role, protocol))
        if model.family in ("quantum", "classical"):
            pairs += [pair(model, other, "dummy", protocol) for other in models if other.family == "dummy"]
    return _with_holm(pairs)


def _with_holm(pairs: list[PairedDifference]) -> tuple[PairedDifference, ...]:
    """The pairs with p corrected in its family.

    To be better than the best classical model is to be better than all of them, so that claim is corrected for the
    number of quantum models only. To be worse than the best of many is easy, for the best was picked by its score:
    that claim shares a family with all the classical models that it was picked from.
    """
    every_rival = _holm_of(pairs, ("best classical", "classical"))
    by_role = {role: _holm_of(pairs, (role,)) for role in ("best classical", "twin", "dummy")}
    corrected = []
    for i, item in enumerate(pairs):
        ahead = item.role == "best classical" and (item.mean or 0.0) > 0
        family = every_rival if item.role.endswith("classical") and not ahead else by_role[item.role]
        corrected.append(replace(item, p_holm=family.get(i)))
    return tuple(corrected)


def _holm_of(pairs: Sequence[PairedDifference], roles: tuple[str, ...]) -> dict[int, float]:
    known = {i: item.p for i, item in enumerate(pairs) if item.role in roles and item.p is not None}
    return dict(zip(known, stats.holm(list(known.values())), strict=True))


def _best(models: Sequence[Model], protocol: Protocol) -> Model | None:
    """The model with the best mean among those with scores; the first of equals."""
    metric = protocol.metrics[0]
    scored = [model for model in models if metric.name in model.summary]
    sign = 1.0 if metric.higher_is_better else -1.0
    return max(scored, key=lambda model: sign * model.summary[metric.name].mean) if scored else None


def kind_of(difference: PairedDifference) -> str:
    """The word for a pair by the protocol's rules: "better", "worse", "equivalent" or "undecided"."""
    p, better, equal, worse = (
        difference.p_holm,
        difference.p_better,
        difference.p_equal,
        difference.p_worse,
    )
    if p is None or better is None or equal is None or worse is None:
        return "undecided"
    if equal > CERTAIN:
        return "equivalent"
    if p < 0.05 and better > CERTAIN:
        return "better"
    if p < 0.05 and worse > CERTAIN:
        return "worse"
    return "undecided"


def judge(models: Sequence[Model], pairs: Sequence[PairedDifference], protocol: Protocol) -> Verdict:
    """The verdict: on each quantum model, and on the best of them."""
    quantum = [model for model in models if model.family == "quantum"]
    best_classical = _best([model for model in models if model.family == "classical"], protocol)
    best_quantum = _best(quantum, protocol)
    if best_quantum is None or best_classical is None:
        return _no_contest(best_quantum, best_classical)
    verdicts = tuple(_judge_one(model, best_classical, models, pairs, protocol) for model in quantum)
    main = next(item for item in verdicts if item.model == best_quantum.name)
    against = _find(pairs, best_quantum.name, "best classical")
    return Verdict(
        kind=main.kind,
        sentence=main.sentence,
        reasons=_reasons(best_quantum, best_classical, against, models, pairs, protocol),
        entanglement=main.entanglement,
        entanglement_kind=main.entanglement_kind,
        best_quantum=best_quantum.name,
        best_classical=best_classical.name,
        minimal_detectable_difference=against.detectable if against else None,
        models=verdicts,
    )


def _no_contest(best_quantum: Model | None, best_classical: Model | None) -> Verdict:
    missing = "quantum" if best_quantum is None else "classical"
    return Verdict(
        kind="undecided",
        sentence=f"Nothing can be said: no {missing} model has a score.",
        reasons=(),
        entanglement="Whether entanglement helps was not tested.",
        entanglement_kind="not tested",
        best_quantum=best_quantum.name if best_quantum else None,
        best_classical=best_classical.name if best_classical else None,
        minimal_detectable_difference=None,
        models=(),
    )


def _judge_one(
    model: Model,
    rival: Model,
    models: Sequence[Model],
    pairs: Sequence[PairedDifference],
    protocol: Protocol,
) -> ModelVerdict:
    against = _find(pairs, model.name, "best classical")
    kind = "undecided" if against is None else kind_of(against)
    entanglement, entanglement_kind = _entanglement(model, pairs, protocol)
    sentence = _sentence(kind, model, rival, against, protocol)
    if kind == "better" and entanglement_kind != "helps":
        sentence += (
            " This is not shown to be due to entanglement: " + entanglement[0].lower() + entanglement[1:]
        )
    return ModelVerdict(
        model=model.name,
        against=rival.name,
        kind=kind,
        sentence=sentence,
        entanglement=entanglement,
        entanglement_kind=entanglement_kind,
    )


def _sentence(
    kind: str, model: Model, rival: Model, against: PairedDifference | None, protocol: Protocol
) -> str:
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


def _entanglement(model: Model, pairs: Sequence[PairedDifference], protocol: Protocol) -> tuple[str, str]:
    """What the twin without entanglers says: a sentence and its kind."""
    twin = _find(pairs, model.name, "twin")
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


def _find(pairs: Sequence[PairedDifference], first: str, role: str) -> PairedDifference | None:
    return next((item for item in pairs if item.first == first and item.role == role), None)


def _reasons(
    quantum: Model,
    classical: Model,
    against: PairedDifference | None,
    models: Sequence[Model],
    pairs: Sequence[PairedDifference],
    protocol: Protocol,
) -> tuple[str, ...]:
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
        floor = _find(pairs, model.name, "dummy")
        if floor is not None and kind_of(floor) != "better":
            reasons.append(f"{model.title} is not clearly better than a model that looks at no column.")
    return reasons


def _with_interval(interval: Interval, metric: Metric) -> str:
    scale, digits = (100, 1) if metric.unit == "points" else (1, 3)
    mean = f"{scale * interval.mean:.{digits}f}" + (" %" if metric.unit == "points" else "")
    if interval.low is None or interval.high is None:
        return mean
    return f"{mean} (95 % interval {scale * interval.low:.{digits}f} to {scale * interval.high:.{digits}f})"
