"""The statistics of a comparison: intervals and paired tests for overlapping training sets.

Cross-validation scores are not independent: two splits share most of their training rows, so the plain paired
t-test finds differences where there are none. Every test here that looks at splits uses the correction of
Nadeau and Bengio. Distributions come from `scipy.stats`, loaded when a number is first asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ketgrad.foundation.errors import KetgradValueError


@dataclass(frozen=True)
class CorrectedTest:
    """A paired test over splits: mean difference, its standard error, interval, t statistic and two-sided p.

    t is None when every difference is the same non-zero number (the statistic is infinite and p is 0).
    """

    mean: float
    standard_error: float
    low: float
    high: float
    t: float | None
    p: float
    degrees_of_freedom: int


@dataclass(frozen=True)
class RopeProbabilities:
    """Posterior probabilities that the true difference is below, in and above the region of equivalence."""

    p_worse: float
    p_equal: float
    p_better: float


def corrected_t(
    differences: Sequence[float],
    test_train_ratio: float,
    *,
    confidence: float = 0.95,
    resolution: float = 0.0,
) -> CorrectedTest:
    """Corrected resampled t-test of the paired differences of J splits.

    t = mean / sqrt((1/J + n_test/n_train) var) with J - 1 degrees of freedom. `resolution` is the step of the
    score (1/n_test for accuracy): the variance is taken to be at least that of rounding to it, resolution**2
    / 12. Raises `KetgradValueError` for fewer than two differences.

    Nadeau & Bengio 2003, Machine Learning 52:239, doi:10.1023/A:1024068626366.

    >>> test = corrected_t([0.02, 0.03, -0.01, 0.04, 0, 0.05, 0.01, 0.02, 0.03, -0.02], 0.25)
    >>> round(test.t, 6), round(test.p, 6)
    (1.298126, 0.226522)
    """
    from scipy import stats

    values = _finite(differences, "differences", at_least=2)
    mean, error = float(values.mean()), _standard_error(values, test_train_ratio, resolution)
    freedom = len(values) - 1
    reach = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error
    if error == 0:
        t, p = (0.0, 1.0) if mean == 0 else (None, 0.0)
    else:
        t = mean / error
        p = float(2 * stats.t.sf(abs(t), freedom))
    return CorrectedTest(mean, error, mean - reach, mean + reach, t, p, freedom)


def correlated_bayes(
    differences: Sequence[float], test_share: float, rope: float, *, resolution: float = 0.0
) -> RopeProbabilities:
    """Bayesian correlated t-test: where the true difference lies, given J paired differences.

    The posterior is Student's with J - 1 degrees of freedom, the mean difference and the scale sqrt((1/J +
    rho/(1-rho)) var), rho = `test_share` = n_test / n. `rope` is the half-width of practical equivalence.

    Benavoli, Corani, Demsar & Zaffalon 2017, JMLR 18:77.

    >>> answer = correlated_bayes([0.0, 0.001, -0.001, 0.0, 0.0], 0.2, rope=0.01)
    >>> answer.p_equal > 0.99
    True
    """
    from scipy import stats

    values = _finite(differences, "differences", at_least=2)
    scale = _standard_error(values, test_share / (1 - test_share), resolution)
    mean = float(values.mean())
    if scale == 0:
        worse, better = float(mean < -rope), float(mean > rope)
    else:
        worse = float(stats.t.cdf(-rope, len(values) - 1, mean, scale))
        better = float(stats.t.sf(rope, len(values) - 1, mean, scale))
    return RopeProbabilities(worse, max(0.0, 1 - worse - better), better)


def detectable_difference(
    standard_error: float, degrees_of_freedom: int, *, level: float = 0.05, power: float = 0.8
) -> float:
    """The smallest true difference that a two-sided t-test at `level` finds with probability `power`.

    standard_error: of the mean difference, correction included. Exact: from the noncentral t distribution.

    >>> round(detectable_difference(1.0, 1000), 2)
    2.8
    """
    from scipy import optimize, stats

    if standard_error == 0:
        return 0.0
    critical = stats.t.ppf(1 - level / 2, degrees_of_freedom)

    def shortfall(effect: float) -> float:
        return float(stats.nct.sf(critical, degrees_of_freedom, effect)) - power

    return standard_error * float(optimize.brentq(shortfall, 0.0, 4 * critical + 4))  # pyright: ignore


def mean_interval(
    scores: Sequence[float], test_train_ratio: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean score over splits, with the correction for overlapping training rows.

    >>> low, high = mean_interval([0.8, 0.9, 0.85, 0.9, 0.8], 0.25)
    >>> round(low, 3), round(high, 3)
    (0.757, 0.943)
    """
    test = corrected_t(scores, test_train_ratio, confidence=confidence)
    return test.low, test.high


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down correction of a family of p-values, in the given order.

    Holm 1979, Scandinavian Journal of Statistics 6:65.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    given = _finite(p_values, "p_values", at_least=0)
    order = np.argsort(given, kind="stable")
    adjusted = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(adjusted, 1.0)
    return tuple(float(p) for p in corrected)


def _finite(values: Sequence[float], name: str, *, at_least: int) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or len(array) < at_least or not np.isfinite(array).all():
        raise KetgradValueError(f"`{name}` must be at least {at_least} finite numbers, but is {values!r}.")
    return array


def _standard_error(values: np.ndarray, ratio: float, resolution: float) -> float:
    if not math.isfinite(ratio) or ratio < 0:
        raise KetgradValueError(f"the ratio of test to training rows must be positive, but is {ratio}.")
    # of equal values it is none: what is left of them after the rounding of their mean grows with their unit
    variance = float(values.var(ddof=1)) if np.ptp(values) > 0 else 0.0
    floor = resolution**2 / 12 if np.any(values != 0) else 0.0
    return math.sqrt((1 / len(values) + ratio) * max(variance, floor))
