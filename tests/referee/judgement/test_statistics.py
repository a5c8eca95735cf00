"""The statistics agree with published numbers and with other libraries, and keep their promised error rates."""

from __future__ import annotations

import itertools

import baycomp
import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.seeds import stream
from ketgrad.referee.judgement import statistics as stats

S1 = (0.02, 0.03, -0.01, 0.04, 0, 0.05, 0.01, 0.02, 0.03, -0.02)


def test_the_correction_of_nadeau_and_bengio_flips_the_verdict_of_the_plain_test():
    plain = scipy_stats.ttest_1samp(S1, 0)
    assert (plain.statistic, plain.pvalue) == pytest.approx((2.428571, 0.038072), abs=1e-6)
    corrected = stats.corrected_t(S1, 0.25)
    assert (corrected.t, corrected.p) == pytest.approx((1.298126, 0.226522), abs=1e-6)
    assert corrected.low < 0 < corrected.high


def test_with_no_overlap_the_corrected_test_is_the_plain_one():
    plain = scipy_stats.ttest_1samp(S1, 0)
    ours = stats.corrected_t(S1, 0.0)
    assert (ours.t, ours.p) == pytest.approx((plain.statistic, plain.pvalue), rel=1e-12)


def test_holm_gives_the_golden_values():
    assert stats.holm((0.01, 0.04, 0.03, 0.005)) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert stats.holm(()) == ()


def test_the_posterior_of_the_bayesian_test_sums_to_one_and_agrees_with_its_density():
    answer = stats.correlated_bayes(S1, 0.2, rope=0.01)
    assert answer.p_worse + answer.p_equal + answer.p_better == pytest.approx(1)
    scale = np.sqrt((1 / 10 + 0.25) * np.var(S1, ddof=1))
    assert answer.p_better == pytest.approx(scipy_stats.t.sf((0.01 - np.mean(S1)) / scale, 9))


def test_identical_models_are_equal_and_a_constant_lead_is_a_lead():
    same = stats.corrected_t([0.0] * 5, 0.25)
    assert (same.t, same.p) == (0.0, 1.0)
    assert stats.correlated_bayes([0.0] * 5, 0.2, rope=0.01).p_equal == 1.0
    assert stats.corrected_t([0.1] * 5, 0.25).p == 0.0
    rounded = stats.corrected_t([0.1] * 5, 0.25, resolution=1 / 20)
    assert rounded.t is not None and 0 < rounded.p < 1e-3


def test_the_detectable_difference_is_found_with_the_promised_power():
    error, freedom = 0.02, 9
    effect = stats.detectable_difference(error, freedom)
    critical = scipy_stats.t.ppf(0.975, freedom)
    assert scipy_stats.nct.sf(critical, freedom, effect / error) == pytest.approx(0.8)
    assert stats.detectable_difference(0.0, 9) == 0.0


def test_exchangeable_models_are_told_apart_no_more_often_than_the_level_allows():
    # Scores of 10 x 5-fold cross-validation: splits share rows, so differences are correlated with rho = 0.2.
    rng = stream(11)
    rejected_plain = rejected = 0
    for _ in range(300):
        shared, own = rng.normal(), rng.normal(size=50)
        differences = 0.02 * (np.sqrt(0.2) * shared + np.sqrt(0.8) * own)
        rejected_plain += scipy_stats.ttest_1samp(differences, 0).pvalue < 0.05
        rejected += stats.corrected_t(differences.tolist(), 0.25).p < 0.05
    assert rejected / 300 <= 0.10 < 0.3 < rejected_plain / 300


def test_too_few_or_broken_numbers_are_refused():
    for bad in ([], [0.1], [0.1, float("nan")], [0.1, float("inf")]):
        with pytest.raises(KetgradValueError, match="finite"):
            stats.corrected_t(bad, 0.25)
        with pytest.raises(KetgradValueError, match="finite"):
            stats.correlated_bayes(bad, 0.2, rope=0.01)


# --------------------------------------------------------------------------------------------- other libraries

FOLDS_AND_REPEATS = ((2, 1), (5, 1), (5, 2), (10, 10))


def scores_of_two(folds: int, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    rng = stream(folds, repeats)
    shared = rng.normal(0.8, 0.05, folds * repeats)
    return shared + rng.normal(0.01, 0.02, len(shared)), shared + rng.normal(0.0, 0.02, len(shared))


@pytest.mark.parametrize(("folds", "repeats"), FOLDS_AND_REPEATS)
def test_the_corrected_test_and_the_posterior_are_those_of_baycomp(folds, repeats):
    first, second = scores_of_two(folds, repeats)
    differences, ratio = (first - second).tolist(), 1 / (folds - 1)
    test = stats.corrected_t(differences, ratio)
    tails = baycomp.two_on_single(second, first, rope=0, runs=repeats)
    assert test.p == pytest.approx(2 * min(tails), rel=1e-9)
    for rope in (0.001, 0.01, 0.05):
        worse, equal, better = baycomp.two_on_single(second, first, rope=rope, runs=repeats)
        ours = stats.correlated_bayes(differences, 1 / folds, rope)
        assert (ours.p_worse, ours.p_equal, ours.p_better) == pytest.approx((worse, equal, better), abs=1e-12)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_the_interval_holds_zero_exactly_when_the_test_does_not_reject_it(confidence):
    differences = np.array(S1)
    test = stats.corrected_t(S1, 0.25, confidence=confidence)
    low, high = scipy_stats.t.interval(confidence, 9, test.mean, test.standard_error)
    assert (test.low, test.high) == pytest.approx((low, high), rel=1e-12)
    assert stats.mean_interval(S1, 0.25, confidence=confidence) == (test.low, test.high)
    at_the_end = stats.corrected_t((differences - test.low).tolist(), 0.25)
    assert at_the_end.p == pytest.approx(1 - confidence, rel=1e-9) and test.degrees_of_freedom == 9


def test_an_interval_is_one_of_95_percent_unless_told_otherwise():
    assert stats.corrected_t(S1, 0.25) == stats.corrected_t(S1, 0.25, confidence=0.95)
    assert stats.mean_interval(S1, 0.25) == stats.mean_interval(S1, 0.25, confidence=0.95)
    assert stats.detectable_difference(1.0, 9) == stats.detectable_difference(1.0, 9, level=0.05, power=0.8)


def test_the_detectable_difference_is_that_of_a_table_of_power():
    for n, level, power in itertools.product((5, 10, 50), (0.05, 0.01), (0.8, 0.9)):
        peer = TTestPower().solve_power(nobs=n, alpha=level, power=power) * np.sqrt(n)
        ours = stats.detectable_difference(1.0, n - 1, level=level, power=power)
        assert ours == pytest.approx(peer, rel=1e-5)  # the peer counts the tail on the wrong side too
    for n, power in itertools.product((2, 3, 100), (0.1, 0.8, 0.99)):
        effect, critical = (
            stats.detectable_difference(1.0, n - 1, power=power),
            scipy_stats.t.ppf(0.975, n - 1),
        )
        assert scipy_stats.nct.sf(critical, n - 1, effect) == pytest.approx(power)
    assert stats.detectable_difference(0.02, 9) == pytest.approx(0.02 * stats.detectable_difference(1.0, 9))


def test_families_are_those_of_statsmodels():
    for size in (1, 2, 9):
        p_values = stream(size).random(size) ** 3
        peer = multipletests(p_values, method="holm")[1]
        assert stats.holm(p_values.tolist()) == pytest.approx(peer, rel=1e-12)
    assert stats.holm((0.02, 0.02, 0.9)) == pytest.approx(multipletests((0.02, 0.02, 0.9), method="holm")[1])


# ------------------------------------------------------------------------------------------------- the resolution


def test_scores_that_are_rounded_vary_at_least_as_much_as_the_rounding():
    for step in (1 / 20, 1 / 400):
        rounding = scipy_stats.uniform(0, step).var()
        same = stats.corrected_t([0.1] * 5, 0.25, resolution=step)
        assert same.standard_error == pytest.approx(np.sqrt((1 / 5 + 0.25) * rounding), rel=1e-12)
        wide = stats.corrected_t(S1, 0.25, resolution=step)
        seen = max(np.var(S1, ddof=1), rounding)
        assert wide.standard_error == pytest.approx(np.sqrt((1 / 10 + 0.25) * seen), rel=1e-12)
        belief = stats.correlated_bayes([0.1] * 5, 0.2, rope=0.1 - step / 2, resolution=step)
        scale = np.sqrt((1 / 5 + 0.25) * rounding)
        assert belief.p_better == pytest.approx(scipy_stats.t.sf(-step / 2 / scale, 4))
    assert stats.corrected_t([0.0] * 5, 0.25, resolution=1 / 20).standard_error == 0.0  # nothing was rounded


def test_the_same_number_in_every_split_has_no_variance_though_its_mean_is_rounded():
    for value, splits in itertools.product((0.1, -0.3, 1 / 3, 1234.1, -1e6 / 3), (3, 7, 10)):
        lead = stats.corrected_t([value] * splits, 0.25)
        assert (lead.t, lead.p, lead.low, lead.high) == (None, 0.0, lead.mean, lead.mean)
        belief = stats.correlated_bayes([value] * splits, 0.2, rope=0.01)
        assert (belief.p_worse, belief.p_equal, belief.p_better) == (float(value < 0), 0.0, float(value > 0))
    tiny = stats.corrected_t([1e-16, 2e-16, 3e-16], 0.25)
    assert tiny.t is not None and tiny.standard_error > 0


def test_the_ends_of_the_rope_belong_to_it():
    for value in (0.25, -0.25):
        belief = stats.correlated_bayes([value] * 4, 0.2, rope=0.25)
        assert (belief.p_worse, belief.p_equal, belief.p_better) == (0.0, 1.0, 0.0)


def test_arguments_at_the_edge_are_taken_and_beyond_it_refused():
    assert stats.corrected_t([0.1, 0.2], 0.0).degrees_of_freedom == 1
    for ratio in (-0.1, float("nan"), float("inf")):
        with pytest.raises(KetgradValueError, match="ratio"):
            stats.corrected_t(S1, ratio)
    for bad in ([0.1, float("nan")], [[0.1, 0.2]]):
        with pytest.raises(KetgradValueError, match="p_values"):
            stats.holm(bad)
