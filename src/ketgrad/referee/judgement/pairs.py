"""From the scores of all splits to pairs of models, with what the statistics say of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ketgrad.referee.judgement import statistics as stats
from ketgrad.referee.results import Interval, Metric, Model, PairedDifference, Protocol

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
    best = best_of(classical, protocol)
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


def best_of(models: Sequence[Model], protocol: Protocol) -> Model | None:
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


def find(pairs: Sequence[PairedDifference], first: str, role: str) -> PairedDifference | None:
    """The pair of a model in that role, if there is one."""
    return next((item for item in pairs if item.first == first and item.role == role), None)
