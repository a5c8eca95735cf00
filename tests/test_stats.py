"""The statistics agree with published numbers, and keep their promised error rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from ketgrad.errors import KetgradValueError
from ketgrad.referee import stats
from ketgrad.streams import stream

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


def test_friedman_and_nemenyi_give_the_numbers_of_demsar():
    test = stats.friedman((3.143, 2.000, 2.893, 1.964), 14)
    assert (test.chi_squared, test.f) == pytest.approx((9.28, 3.69), abs=0.01)
    assert stats.nemenyi_distance(4, 14) == pytest.approx(1.2535, abs=1e-3)
    assert stats.nemenyi_distance(4, 14, level=0.10) == pytest.approx(1.1179, abs=1e-3)


def test_friedman_from_ranks_equals_scipy_without_ties():
    scores = stream(3).random((9, 4))
    ours = stats.friedman(stats.mean_ranks(scores.tolist()).tolist(), 9)
    assert ours.chi_squared == pytest.approx(scipy_stats.friedmanchisquare(*scores.T).statistic)


def test_holm_and_mcnemar_give_the_golden_values():
    assert stats.holm((0.01, 0.04, 0.03, 0.005)) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert stats.holm(()) == ()
    assert stats.mcnemar(12, 4) == pytest.approx(0.0768127, abs=1e-7)
    assert stats.mcnemar(0, 0) == 1.0


def test_the_posterior_of_the_bayesian_test_sums_to_one_and_agrees_with_its_density():
    answer = stats.correlated_bayes(S1, 0.2, rope=0.01)
    assert answer.p_worse + answer.p_equal + answer.p_better == pytest.approx(1)
    scale = np.sqrt((1 / 10 + 0.25) * np.var(S1, ddof=1))
    assert answer.p_better == pytest.approx(scipy_stats.t.sf((0.01 - np.mean(S1)) / scale, 9))


def test_identical_models_are_equal_and_a_constant_lead_is_a_lead():
    assert stats.corrected_t([0.0] * 5, 0.25).p == 1.0
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


def test_wilson_stays_inside_zero_and_one():
    for correct, n in ((0, 1), (1, 1), (0, 60), (60, 60), (59, 60)):
        low, high = stats.wilson(correct, n)
        assert 0 <= low <= correct / n <= high <= 1


def test_too_few_or_broken_numbers_are_refused():
    for bad in ([], [0.1], [0.1, float("nan")], [0.1, float("inf")]):
        with pytest.raises(KetgradValueError, match="finite"):
            stats.corrected_t(bad, 0.25)
    with pytest.raises(KetgradValueError, match="correct"):
        stats.wilson(3, 2)
