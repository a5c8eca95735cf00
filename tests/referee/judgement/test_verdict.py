"""From scores to words: which numbers make a verdict, on which side of each limit, and what is then said."""

from __future__ import annotations

import dataclasses

import baycomp
import numpy as np
import pytest
from scipy import stats as scipy_stats

from ketgrad.foundation.seeds import stream
from ketgrad.referee.judgement import pairs as paired
from ketgrad.referee.judgement import verdict, verdict_sentence
from ketgrad.referee.metrics import METRICS
from ketgrad.referee.results import (
    FitCost,
    Interval,
    Metric,
    Model,
    PairedDifference,
    Protocol,
    Split,
    SplitScore,
)

ACCURACY = METRICS["classification"][0]
R2, RMSE, MAE = METRICS["regression"]
COST = FitCost(*[None] * 8, 0.0)


def protocol(num_splits: int = 10, metric: Metric = ACCURACY, **fields) -> Protocol:
    """Five-fold cross-validation of 500 rows, unless the test says otherwise."""
    splits = tuple(Split(i, i // 5, i % 5, 400, 100) for i in range(num_splits))
    others = tuple(item for item in METRICS["classification"] if item != metric)
    plain = Protocol(
        metric.name, (metric, *others), 5, 2, 0, splits, "", 4, "", "", "", 1, 2, 0.01, 0.95, ()
    )  # fmt: skip
    return dataclasses.replace(plain, **fields)


def model(
    name: str, family: str, values, rules: Protocol, twin_of: str | None = None, failed: int = 0
) -> Model:
    """A contestant with these scores under the deciding metric; None is a score that does not exist."""
    scores = tuple(
        SplitScore(i, {rules.metric: value}, None, {}, 0, 0, 0, "broken" if i < failed else None)
        for i, value in enumerate(values)
    )
    known = [value for value in values if value is not None]
    complete = len(known) == len(values) > 0
    summary = (
        {rules.metric: paired.summarise(known, rules.metrics[0], rules, range(len(known)))}
        if complete
        else {}
    )
    return Model(name, name.capitalize(), family, "", twin_of, "", (), scores, summary, COST)


def difference(role: str = "best classical", **fields) -> PairedDifference:
    """A pair of `q` and `c` with nothing known but the fields."""
    plain = PairedDifference("q", "c", role, "accuracy", (), *[None] * 10)
    return dataclasses.replace(plain, **fields)


# ------------------------------------------------------------------------------------------------ the four words


@pytest.mark.parametrize(
    ("p_holm", "better", "equal", "worse", "word"),
    [
        (0.001, 0.951, 0.02, 0.029, "better"),
        (0.001, 0.95, 0.02, 0.03, "undecided"),
        (0.049, 0.999, 0.001, 0.0, "better"),
        (0.05, 0.999, 0.001, 0.0, "undecided"),
        (0.001, 0.029, 0.02, 0.951, "worse"),
        (0.001, 0.03, 0.02, 0.95, "undecided"),
        (0.049, 0.0, 0.001, 0.999, "worse"),
        (0.05, 0.0, 0.001, 0.999, "undecided"),
        (0.5, 0.02, 0.951, 0.029, "equivalent"),
        (0.5, 0.02, 0.95, 0.03, "undecided"),
        (0.001, 0.02, 0.951, 0.029, "equivalent"),  # a difference that is certain and too small to matter
        (0.5, 0.3, 0.4, 0.3, "undecided"),
        (None, 0.99, 0.0, 0.01, "undecided"),
        (0.001, None, 0.0, 0.99, "undecided"),
        (0.001, 0.99, None, 0.0, "undecided"),
        (0.001, 0.99, 0.0, None, "undecided"),
    ],
)
def test_a_word_needs_more_than_95_percent_and_less_than_5(p_holm, better, equal, worse, word):
    pair = difference(p_holm=p_holm, p_better=better, p_equal=equal, p_worse=worse)
    assert paired.kind_of(pair) == word


# ------------------------------------------------------------------------------------------ summaries and pairs


def test_the_interval_of_a_model_is_corrected_and_a_share_stays_a_share():
    rules = protocol()
    values = stream(1).uniform(0.7, 0.9, 10)
    found = paired.summarise(values.tolist(), ACCURACY, rules, range(10))
    reach = scipy_stats.t.ppf(0.975, 9) * np.sqrt((1 / 10 + 100 / 400) * values.var(ddof=1))
    assert (found.low, found.high) == pytest.approx((values.mean() - reach, values.mean() + reach))
    assert (found.mean, found.standard_deviation) == pytest.approx((values.mean(), values.std(ddof=1)))
    assert found.count == 10
    for scores, ends in (([0.9, 1.0], (None, 1.0)), ([0.1, 0.0], (0.0, None))):
        share = paired.summarise(scores, ACCURACY, rules, range(2))
        assert ends[0] is None or share.low == ends[0]
        assert ends[1] is None or share.high == ends[1]
    free = paired.summarise([0.1, 1.0], R2, rules, range(2))
    assert free.low is not None and free.low < 0 and free.high is not None and free.high > 1
    assert paired.summarise([0.9], ACCURACY, rules, [0]) == Interval(0.9, None, None, None, 1)
    assert paired.summarise([0.9, 0.8], ACCURACY, rules, [0, 1]).low is not None


def test_a_pair_is_measured_by_the_corrected_tests():
    rules = protocol(metric=R2)
    first, second = stream(2).normal(0.8, 0.05, 10), stream(3).normal(0.75, 0.05, 10)
    found = paired.pair(
        model("q", "quantum", first.tolist(), rules),
        model("c", "classical", second.tolist(), rules),
        "twin",
        rules,
    )
    worse, equal, better = baycomp.two_on_single(second, first, rope=0.01, runs=2)
    assert (found.p_worse, found.p_equal, found.p_better) == pytest.approx((worse, equal, better))
    assert found.p == pytest.approx(2 * min(baycomp.two_on_single(second, first, rope=0, runs=2)))
    assert found.mean == pytest.approx((first - second).mean())
    error = np.sqrt((1 / 10 + 1 / 4) * (first - second).var(ddof=1))
    assert found.t == pytest.approx((first - second).mean() / error)
    assert found.low is not None and found.high is not None
    assert (found.low + found.high) / 2 == pytest.approx(found.mean)
    assert found.high - found.low == pytest.approx(2 * scipy_stats.t.ppf(0.975, 9) * error)
    critical = scipy_stats.t.ppf(0.975, 9)
    assert scipy_stats.nct.sf(critical, 9, found.detectable / error) == pytest.approx(0.8)
    assert (found.first, found.second, found.role, found.metric) == ("q", "c", "twin", "r2")
    assert found.p_holm is None


def test_of_accuracies_that_agree_the_rounding_is_counted_and_of_other_scores_not():
    sizes = (Split(0, 0, 0, 410, 90), Split(1, 0, 1, 390, 110), Split(2, 0, 2, 400, 100))
    for metric, resolution in ((ACCURACY, 1 / 110), (R2, 0.0)):
        rules = protocol(metric=metric, splits=sizes)
        found = paired.pair(
            model("q", "quantum", [0.75] * 3, rules), model("c", "classical", [0.5] * 3, rules), "twin", rules
        )
        error = np.sqrt((1 / 3 + 300 / 1200) * resolution**2 / 12)
        assert found.mean == 0.25
        assert found.t == (pytest.approx(0.25 / error) if resolution else None)


def test_an_error_is_better_when_it_is_smaller():
    rules = protocol(3, RMSE)
    small, large = (
        model("a", "quantum", [1.0, 1.1, 1.2], rules),
        model("b", "classical", [2.0, 2.2, 2.4], rules),
    )
    assert paired.pair(small, large, "twin", rules).differences == pytest.approx((1.0, 1.1, 1.2))
    assert paired.best_of([large, small], rules) is small
    first_of_equals = model("c", "classical", [1.0, 1.1, 1.2], rules)
    assert paired.best_of([large, first_of_equals, small], rules) is first_of_equals
    assert paired.best_of([model("d", "classical", [None, 1.0, 1.0], rules)], rules) is None


def test_only_splits_that_both_models_have_are_compared():
    rules = protocol(4)
    whole = model("c", "classical", [0.5, 0.6, 0.7, 0.8], rules)
    for values, differences in (
        ([0.6, None, 0.9, 0.8], (0.1, 0.2, 0.0)),
        ([0.6, 0.6], (0.1, 0.0)),
        ([None, 0.7], (0.1,)),
        ([None, None], ()),
    ):
        found = paired.pair(model("q", "quantum", values, rules), whole, "classical", rules)
        assert found.differences == pytest.approx(differences)
        assert (found.p is None) == (len(differences) < 2)
        assert (found.mean is None) == (len(differences) < 1)
    single = paired.pair(model("q", "quantum", [None, 0.7], rules), whole, "classical", rules)
    assert single.mean == pytest.approx(0.1)


def contest(rules: Protocol) -> list[Model]:
    """Two quantum models, their twins, three classical ones and the dummy."""
    noise = 0.01 * stream(4).normal(size=10)
    noise -= noise.mean()
    means = {
        "dummy": ("dummy", 0.5, None),
        "linear": ("classical", 0.8, None),
        "forest": ("classical", 0.82, None),
        "svm": ("classical", 0.81, None),
        "kernel": ("quantum", 0.83, None),
        "kernel_twin": ("twin", 0.79, "kernel"),
        "circuit": ("quantum", 0.78, None),
        "circuit_twin": ("twin", 0.77, "circuit"),
    }
    return [
        model(name, family, (mean + noise * (place % 3)).tolist(), rules, twin_of)
        for place, (name, (family, mean, twin_of)) in enumerate(means.items())
    ]


def test_each_quantum_model_meets_its_twin_every_classical_one_and_the_dummy():
    pairs = paired.all_pairs(contest(protocol()), protocol())
    assert [(item.first, item.second, item.role) for item in pairs] == [
        ("linear", "dummy", "dummy"),
        ("forest", "dummy", "dummy"),
        ("svm", "dummy", "dummy"),
        ("kernel", "kernel_twin", "twin"),
        ("kernel", "linear", "classical"),
        ("kernel", "forest", "best classical"),
        ("kernel", "svm", "classical"),
        ("kernel", "dummy", "dummy"),
        ("circuit", "circuit_twin", "twin"),
        ("circuit", "linear", "classical"),
        ("circuit", "forest", "best classical"),
        ("circuit", "svm", "classical"),
        ("circuit", "dummy", "dummy"),
    ]


def test_p_is_corrected_among_the_pairs_that_make_the_same_claim():
    roles = [("best classical", 0.2), ("classical", 0.1), ("twin", 0.3), ("best classical", -0.1)]
    roles += [("classical", 0.0), ("twin", -0.1), ("dummy", 0.4), ("classical", None)]
    p_values = [0.01, 0.02, 0.03, 0.004, 0.5, 0.02, 0.04, None]
    pairs = [difference(role, mean=mean, p=p) for (role, mean), p in zip(roles, p_values, strict=True)]
    corrected = [item.p_holm for item in paired._with_holm(pairs)]
    assert corrected[0] == pytest.approx(0.01)  # ahead of the best: among the two pairs with the best one
    assert corrected[3] == pytest.approx(0.004 * 4)  # behind the best of many: among all four with p
    assert corrected[1] == pytest.approx(0.02 * 2) and corrected[4] == pytest.approx(0.5)
    assert corrected[2] == pytest.approx(0.04) and corrected[5] == pytest.approx(0.04)  # the two twins
    assert corrected[6] == pytest.approx(0.04) and corrected[7] is None
    level = paired._with_holm([difference(mean=0.0, p=0.01), difference("classical", mean=0.1, p=0.5)])
    assert level[0].p_holm == pytest.approx(0.02)  # level with the best is not ahead of it


# --------------------------------------------------------------------------------------------------- what is said

THEIRS, OURS = "the best classical model (C)", "the quantum model (Q)"
UNDECIDED = f"It is undecided whether {OURS} or {THEIRS} does better on this table:"
AHEAD, BEHIND = (
    f"{UNDECIDED} the quantum model is {side} the classical one" for side in ("ahead of", "behind")
)
FEW = "there are too few rows to say that they differ by less than 1 point."
SAME = f"{UNDECIDED} their scores are the same to the digits shown, and {FEW}"


@pytest.mark.parametrize(
    ("kind", "pair", "sentence"),
    [
        (
            "better",
            {"mean": 0.0312},
            f"On this table {OURS} is better than {THEIRS}, by 3.1 points of accuracy.",
        ),
        ("worse", {"mean": -0.01}, f"On this table {OURS} is worse than {THEIRS}, by 1 point of accuracy."),
        (
            "equivalent",
            {"mean": 0.001},
            f"On this table {OURS} and {THEIRS} do equally well: they differ by less than 1 point of accuracy.",
        ),
        (
            "undecided",
            {"mean": 0.02, "p": 0.2, "p_holm": 0.4},
            f"{AHEAD} by 2.0 points of accuracy, which chance alone can explain.",
        ),
        (
            "undecided",
            {"mean": -0.02, "p": 0.049, "p_holm": 0.05},
            f"{BEHIND} by 2.0 points of accuracy, which chance can explain when this many are compared.",
        ),
        (
            "undecided",
            {"mean": -0.02, "p": 0.05, "p_holm": 0.1},
            f"{BEHIND} by 2.0 points of accuracy, which chance alone can explain.",
        ),
        (
            "undecided",
            {"mean": 0.02, "p": 0.01, "p_holm": 0.049},
            f"{AHEAD} by 2.0 points of accuracy, which chance alone can explain.",
        ),
        ("undecided", {"mean": 0.0}, SAME),
        ("undecided", {"mean": -0.0004}, SAME),
        (
            "undecided",
            {"mean": -0.0006},
            f"{BEHIND} by 0.1 points of accuracy, which chance alone can explain.",
        ),
        ("undecided", {}, f"Whether {OURS} can compete with {THEIRS} is undecided: too little was computed."),
        (
            "undecided",
            None,
            f"Whether {OURS} can compete with {THEIRS} is undecided: too little was computed.",
        ),
    ],
)
def test_the_sentence_says_who_by_how_much_and_how_surely(kind, pair, sentence):
    rules = protocol()
    ours, theirs = model("q", "quantum", [0.5, 0.6], rules), model("c", "classical", [0.5, 0.6], rules)
    against = None if pair is None else difference(**pair)
    assert verdict_sentence.sentence_of(kind, ours, theirs, against, rules) == sentence


CERTAINLY = {"p_holm": 0.001, "p_better": 0.0, "p_equal": 0.0, "p_worse": 0.0}


@pytest.mark.parametrize(
    ("pair", "kind", "sentence"),
    [
        (
            CERTAINLY | {"mean": 0.03, "p_better": 0.99},
            "helps",
            "Entanglement helps: without it the same circuit loses 3.0 points of accuracy.",
        ),
        (
            CERTAINLY | {"mean": -0.03, "p_worse": 0.99},
            "hurts",
            "Entanglement hurts: without it the same circuit gains 3.0 points of accuracy.",
        ),
        (
            CERTAINLY | {"mean": 0.001, "p_equal": 0.99},
            "no difference",
            "Entanglement makes no difference here: without it the scores differ by less than 1 point.",
        ),
        (
            {"mean": 0.02},
            "undecided",
            "Whether entanglement helps is undecided: without it the score is 2.0 points lower, which chance can"
            " explain.",
        ),
        (
            {"mean": -0.02},
            "undecided",
            "Whether entanglement helps is undecided: without it the score is 2.0 points higher, which chance can"
            " explain.",
        ),
        (
            {"mean": -0.0004},
            "undecided",
            f"Whether entanglement helps is undecided: without it the score is the same to the digits shown, and {FEW}",
        ),
        (
            {},
            "not tested",
            "Whether entanglement helps was not tested: there is no twin without entanglers.",
        ),
    ],
)
def test_the_twin_tells_what_entanglement_does(pair, kind, sentence):
    rules = protocol()
    ours = model("q", "quantum", [0.5, 0.6], rules)
    assert verdict_sentence.entanglement_sentence(ours, [difference("twin", **pair)], rules) == (
        sentence,
        kind,
    )
    assert (
        verdict_sentence.entanglement_sentence(ours, [difference("dummy", **pair)], rules)[1] == "not tested"
    )
    other = dataclasses.replace(difference("twin", **pair), first="another")
    assert verdict_sentence.entanglement_sentence(ours, [other], rules)[1] == "not tested"


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.0131, ACCURACY, "1.3 points"),
        (0.01, ACCURACY, "1 point"),
        (0.0104, ACCURACY, "1 point"),
        (0.0105001, ACCURACY, "1.1 points"),
        (0.0, ACCURACY, "0.0 points"),
        (0.12345, R2, "0.123"),
        (12.345, RMSE, "12.3"),
        (0.00012345, MAE, "0.000123"),
    ],
)
def test_a_difference_is_written_in_the_unit_of_its_score(value, metric, text):
    assert verdict_sentence.amount(value, metric) == text


def test_a_score_is_written_with_its_interval():
    assert verdict_sentence._with_interval(Interval(0.8125, 0.75, 0.875, 0.1, 5), ACCURACY) == (
        "81.2 % (95 % interval 75.0 to 87.5)"
    )
    assert verdict_sentence._with_interval(Interval(0.8125, None, 0.875, 0.1, 5), ACCURACY) == "81.2 %"
    assert verdict_sentence._with_interval(Interval(0.8125, 0.75, None, 0.1, 5), ACCURACY) == "81.2 %"
    assert verdict_sentence._with_interval(Interval(2.5, 1.25, 3.75, 0.1, 5), RMSE) == (
        "2.500 (95 % interval 1.250 to 3.750)"
    )


def reasons(quantum: Model, classical: Model, against, pairs, rules: Protocol) -> tuple[str, ...]:
    return verdict_sentence.reasons_of(quantum, classical, against, [quantum, classical], pairs, rules)


def test_the_reasons_are_scores_chances_and_what_would_stay_unnoticed():
    rules = protocol()
    ours = model("q", "quantum", [0.8, 0.9], rules, failed=1)
    theirs = model("c", "classical", [0.7, 0.8], rules, failed=2)
    against = difference(
        mean=0.1, p=0.049, p_holm=0.05, p_better=0.6, p_equal=0.15, p_worse=0.25, detectable=0.042
    )  # fmt: skip
    found = reasons(ours, theirs, against, [], rules)
    assert found[0].startswith("Q: accuracy 85.0 % (95 % interval ")
    assert found[1].startswith("C: accuracy 75.0 % (95 % interval ")
    assert found[2:] == (
        "Given these splits, the chance that the quantum model is better is 60%, that both are equal within 1 point"
        " 15%, that it is worse 25%.",
        "With this many rows, a true difference below 4.2 points would mostly stay unnoticed.",
        "By itself this difference looks decided (p = 0.049), but the best classical model was picked by its score,"
        " and with all pairs of models in view it is not (p = 0.05 after Holm).",
        "3 fits failed and were given the score of the dummy model; they are listed.",
    )
    whole = model("q", "quantum", [0.8, 0.9], rules), model("c", "classical", [0.7, 0.8], rules)
    sure = reasons(*whole, dataclasses.replace(against, p_better=1.0, p_equal=0.0, p_worse=0.0), [], rules)
    assert sure[2].endswith("is better is 100%, that both are equal within 1 point 0%, that it is worse 0%.")
    assert len(reasons(*whole, None, [], rules)) == 2
    for unknown in ({"p_better": None}, {"detectable": None}):
        assert len(reasons(*whole, dataclasses.replace(against, p=0.2, **unknown), [], rules)) == 2


def test_a_model_that_may_be_no_better_than_the_dummy_is_named():
    rules = protocol()
    ours, theirs = model("q", "quantum", [0.8, 0.9], rules), model("c", "classical", [0.7, 0.8], rules)
    sure = difference("dummy", **CERTAINLY | {"p_better": 0.99})
    unsure = difference("dummy", **CERTAINLY | {"p_better": 0.9})
    behind = dataclasses.replace(unsure, first="c")
    lines = "{} is not clearly better than a model that looks at no column."
    assert reasons(ours, theirs, None, [sure], rules)[2:] == ()
    assert reasons(ours, theirs, None, [unsure], rules)[2:] == (lines.format("Q"),)
    assert reasons(ours, theirs, None, [unsure, behind], rules)[2:] == (lines.format("Q"), lines.format("C"))


def test_the_best_quantum_model_answers_for_all_and_each_has_its_verdict():
    rules = protocol()
    models = contest(rules)
    pairs = paired.all_pairs(models, rules)
    found = verdict.judge(models, pairs, rules)
    assert (found.best_quantum, found.best_classical) == ("kernel", "forest")
    assert [(item.model, item.against) for item in found.models] == [
        ("kernel", "forest"),
        ("circuit", "forest"),
    ]
    best = found.models[0]
    assert (found.kind, found.sentence) == (best.kind, best.sentence)
    assert (found.entanglement, found.entanglement_kind) == (best.entanglement, best.entanglement_kind)
    against = next(item for item in pairs if (item.first, item.second) == ("kernel", "forest"))
    assert found.minimal_detectable_difference == against.detectable is not None
    assert found.reasons[0].startswith("Kernel: ") and found.reasons[1].startswith("Forest: ")
    assert found.models[1].kind == "worse" and "(Circuit) is worse" in found.models[1].sentence


def test_a_win_that_its_twin_shares_is_not_put_down_to_entanglement():
    rules = protocol()
    noise = 0.005 * stream(6).normal(size=10)
    for twin, helps in ((0.79, True), (0.9, False)):
        models = [
            model("c", "classical", [0.8] * 10, rules),
            model("q", "quantum", (0.9 + noise).tolist(), rules),
            model("t", "twin", (twin + noise).tolist(), rules, "q"),
        ]
        found = verdict.judge(models, paired.all_pairs(models, rules), rules)
        extra = " This is not shown to be due to entanglement: entanglement makes no difference here: "
        assert found.kind == "better" and (extra in found.sentence) == (not helps)
        assert found.sentence.endswith(".") and found.sentence.count("  ") == 0
    lost = [model("c", "classical", [0.95] * 10, rules), *models[1:]]
    assert "entanglement" not in verdict.judge(lost, paired.all_pairs(lost, rules), rules).sentence


def test_without_a_rival_nothing_is_said():
    rules = protocol(2)
    ours, theirs = model("q", "quantum", [0.8, 0.9], rules), model("c", "classical", [0.7, 0.8], rules)
    for models, missing, names in (
        ([ours], "classical", ("q", None)),
        ([theirs], "quantum", (None, "c")),
        ([], "quantum", (None, None)),
    ):
        found = verdict.judge(models, paired.all_pairs(models, rules), rules)
        assert found.sentence == f"Nothing can be said: no {missing} model has a score."
        assert (found.kind, found.best_quantum, found.best_classical) == ("undecided", *names)
        assert (found.entanglement_kind, found.reasons, found.models) == ("not tested", (), ())
        assert found.entanglement == "Whether entanglement helps was not tested."
