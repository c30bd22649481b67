"""Intervals cover what they say: by enumeration where that is possible, else by simulation."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from phasebook.site.results.claims import verdict
from phasebook.stats import (
    grouped_bootstrap,
    largest_of,
    median_interval,
    partial_spearman,
    share_interval,
    slope_interval,
    spearman,
)


@pytest.mark.parametrize("n", [12, 16, 24, 60])
def test_the_median_is_covered_whatever_the_distribution(n):
    """By the binomial law of the number of values below the median, and on skewed and heavy-tailed draws."""
    one = median_interval(range(n))
    k = int(one.low) + 1                                    # the ends are the k-th smallest and the k-th largest
    exact = 1 - 2 * binom.cdf(k - 1, n, 0.5)
    assert 0.95 <= exact < 0.99 and one.high == n - k
    rng = np.random.default_rng(n)
    for draw, median in ((rng.standard_exponential, np.log(2)), (rng.standard_cauchy, 0.0)):
        ends = np.array([median_interval(row)[1:3] for row in draw((800, n))])
        covered = ((ends[:, 0] <= median) & (median <= ends[:, 1])).mean()
        assert abs(covered - exact) < 3.5 * np.sqrt(0.05 * 0.95 / 800)


def test_fewer_than_a_dozen_decide_nothing():
    assert not np.isfinite(median_interval(range(11))[1:3]).any() and median_interval([]) is None
    assert median_interval([3.0, None]).n == 1


@pytest.mark.parametrize("n", [20, 48, 400])
def test_a_share_is_covered_at_every_probability(n):
    ends = np.array([share_interval(k, n)[1:3] for k in range(n + 1)])
    p = np.linspace(0.01, 0.99, 99)
    inside = (ends[:, :1] <= p) & (p <= ends[:, 1:])
    covered = (inside * binom.pmf(np.arange(n + 1)[:, None], n, p)).sum(0)
    assert covered.min() >= 0.95 and covered.mean() < 0.99 and share_interval(0, 0) is None


def coverage(groups, statistic, truth, draw, repeats=300):
    """Share of simulated data sets whose interval holds the truth; four data a group."""
    label = np.repeat(np.arange(groups), 4)
    hits = 0
    for seed in range(repeats):
        x, y = draw(np.random.default_rng(seed), groups)
        one = grouped_bootstrap(lambda i, x=x, y=y: statistic(x[i], y[i]), label, seed, draws=150)
        hits += one.low <= truth <= one.high
    return hits / repeats


def related(rng, groups, r=0.5):
    """Two columns that share a part within each group and correlate by r."""
    x, z = (rng.standard_normal((groups, 1)) + rng.standard_normal((groups, 4)) for _ in range(2))
    return x.ravel(), (r * x + np.sqrt(1 - r**2) * z).ravel()


def test_groups_are_drawn_whole_and_a_mean_is_covered():
    """Twenty groups, the fewest for which an interval is given; drawing data instead of groups would cover 0.7."""
    covered = coverage(20, lambda x, y: x.mean(), 0.0, related)
    assert abs(covered - 0.95) < 3 * np.sqrt(0.05 * 0.95 / 300) + 0.01         # 0.01: 150 draws


def test_a_rank_correlation_is_covered():
    """Spearman's rho of a normal pair is 6/pi arcsin(r/2)."""
    covered = coverage(30, lambda x, y: np.corrcoef(x.argsort().argsort(), y.argsort().argsort())[0, 1],
                       6 / np.pi * np.arcsin(0.25), related, 150)
    assert abs(covered - 0.95) < 3 * np.sqrt(0.05 * 0.95 / 150) + 0.01


def half_way(curves):
    """The level at which the mean of some falling or rising curves passes one half: what chapters ask of families."""
    mean = curves.mean(1)
    k = int(np.argmax(mean >= 0.5))
    return LEVELS[k - 1] + (0.5 - mean[k - 1]) / (mean[k] - mean[k - 1]) * (LEVELS[k] - LEVELS[k - 1])


LEVELS = np.linspace(-3, 3, 31)


def own_curves(rng, groups):
    """Rising curves, each half way at a level of its own, symmetric about zero."""
    return 1 / (1 + np.exp(-4 * (LEVELS[:, None] - rng.normal(0, 0.5, groups))))


def pair_table(rng, groups):
    """A number for every two groups, with a part of each of the two."""
    own, rest = rng.standard_normal(groups), np.triu(rng.standard_normal((groups, groups)) / 2, 1)
    table = own[:, None] + own + rest + rest.T
    np.fill_diagonal(table, np.nan)
    return table


@pytest.mark.parametrize("draw, statistic", [
    (own_curves, lambda x, i: half_way(x[:, i])), (pair_table, lambda x, i: float(np.nanmedian(x[np.ix_(i, i)]))),
], ids=["half way", "pairs"])
def test_ten_groups_are_enough_for_what_is_asked_of_families(draw, statistic):
    """The two statistics for which chapters take an interval from ten groups on; the truth of both is 0."""
    hits, repeats = 0, 100
    for seed in range(repeats):
        x = draw(np.random.default_rng(seed), 10)
        one = grouped_bootstrap(lambda i, x=x: statistic(x, i), np.arange(10), seed, draws=100, least=10)
        hits += one.low <= 0 <= one.high
    assert abs(hits / repeats - 0.95) < 3 * np.sqrt(0.05 * 0.95 / repeats) + 0.01         # 100 draws


def test_few_groups_decide_nothing_and_ends_widen_by_students_t():
    x = np.arange(19.0)
    assert not np.isfinite(grouped_bootstrap(lambda i: x[i].mean(), np.arange(19), 0)[1:3]).any()
    wide = np.random.default_rng(1).standard_normal(21)
    one = grouped_bootstrap(lambda i: wide[i].mean(), np.arange(21), 0, draws=4000)
    error = wide.std(ddof=1) / np.sqrt(21)
    assert (one.high - one.low) / (2 * error) == pytest.approx(2.086, rel=0.05)      # the 97.5 % quantile of t, 20
    assert norm.ppf(0.975) < 2.086


@pytest.mark.parametrize("having, ends", [(24, True), (6, True), (3, False), (2, False)])
def test_a_draw_without_the_statistic_may_have_any_value(having, ends):
    """A ratio over groups most of which have no denominator: the draws that have one say nothing of the others."""
    x = np.random.default_rng(3).standard_normal(24) + 4
    some = np.arange(24) < having       # none of three is in a draw of twenty-five, none of six in one of a thousand
    one = grouped_bootstrap(lambda i: x[i].sum() / some[i].sum() if some[i].any() else np.nan, np.arange(24), 0)
    assert np.isfinite(one.value)
    assert np.isfinite(one[1:3]).all() == ends
    assert not np.isnan(one[1:3]).any()


def test_ranks_with_ties_and_constants():
    assert spearman(np.array([1.0, 2, 2, 3]), np.array([10.0, 20, 20, 30])) == pytest.approx(1)
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))
    assert np.isnan(spearman(np.array([1.0, np.nan, 2, 3]), np.arange(4.0)))


def test_what_is_no_number_or_no_share_is_refused():
    with pytest.raises(ValueError, match="^values: 1 of 3 are NaN"):
        median_interval([1.0, np.nan, 2.0, None])
    for k in (7, -1, 2.5, "a"):
        with pytest.raises(ValueError, match=f"^successes = {k!r}: takes a whole number from 0 to 5"):
            share_interval(k, 5)
    with pytest.raises(ValueError, match="^n = 2.5: takes a whole number >= 0"):
        share_interval(1, 2.5)
    for values in (5, "ab", ["a"], [[1.0, 2.0]], [1j]):
        with pytest.raises(ValueError, match="^values.* takes a list of numbers"):
            median_interval(values)
    with pytest.raises(ValueError, match="^draws = 0: takes a whole number >= 1"):
        grouped_bootstrap(np.mean, np.arange(30), 0, draws=0)
    with pytest.raises(ValueError, match="^least = 1: takes a whole number >= 2"):
        grouped_bootstrap(np.mean, np.zeros(5, dtype=int), 0, least=1)
    with pytest.raises(ValueError, match=r"^groups: shape \(5, 2\); takes a list"):
        grouped_bootstrap(np.mean, np.zeros((5, 2), dtype=int), 0)
    with pytest.raises(ValueError, match=r"^x, y, given: shapes \(3,\), \(2,\); takes lists of one length"):
        spearman([1, 2, 3], [1, 2])


@pytest.mark.parametrize("x, y", [([1, 2], [1, 0]), ([1, 2], [1, -1]), ([2, 2], [1, 3]), ([1], [1]), ([], []),
                                  ([1, 2, 3], [1, 2]), ([0, 1], [1, 2]), ([1, 2], [1, np.inf]),
                                  ([1e300, np.nextafter(1e300, 2e300)], [1, 2]), ([1, np.nan], [1, 2])])
def test_a_power_is_of_positive_numbers(x, y):
    with pytest.raises(ValueError, match="^x, y = .*: takes positive numbers, as many of x as of y, and two different"):
        slope_interval(x, y)


@pytest.mark.parametrize("spread", [1e-3, 1e-6, 1e-9])
def test_a_slope_over_a_narrow_range_is_that_of_the_power(spread):
    """Of x that are nearly equal the logarithms are as well; y = x^2 up to their rounding."""
    x = 1e5 * np.linspace(1, 1 + spread, 21)
    assert slope_interval(x, (x / 1e5) ** 2 * 3e9).value == pytest.approx(2, abs=1e-14 / spread)


def test_a_slope_is_covered():
    """Five points with noise about a power: Student's interval has its coverage; two points have none."""
    x, hits = np.array([1.0, 2, 4, 8, 16]), 0
    for z in np.random.default_rng(0).standard_normal((400, 5)):
        one = slope_interval(x, x**-2.0 * np.exp(0.1 * z))
        assert one.value == pytest.approx(np.polyfit(np.log(x), np.log(x**-2.0) + 0.1 * z, 1)[0])
        hits += one.low <= -2 <= one.high
    assert abs(hits / 400 - 0.95) < 3.5 * np.sqrt(0.05 * 0.95 / 400)
    assert not np.isfinite(slope_interval(x[:2], x[:2])[1:3]).any()


def test_the_largest_of_few_values_can_refute_and_not_confirm():
    said = [verdict(one.value, (one.low, one.high), "<= 0") for one in (largest_of(0, 3, 12), largest_of(2, 3, 12))]
    assert said == ["undecided", "fails"]
    assert largest_of(0, 12, 12) == 0 and largest_of(2, 12, 12) == 2


@pytest.mark.parametrize("n", [3, 200, 5000, 20_000])
def test_what_is_given_leaves_nothing_to_correlate(n):
    """Rounding of many ranks was taken for a remainder."""
    x, z = np.random.default_rng(n).standard_normal((2, n))
    for given in ((z,), (z, -z)):
        assert np.isnan(partial_spearman(x, np.exp(z), *given)) and np.isnan(partial_spearman(z, x, *given))
    assert partial_spearman(z, np.exp(z), x) == pytest.approx(1)


def test_a_largest_value_of_few_can_refute_and_not_confirm():
    assert largest_of(0.0, 60) == 0.0 and largest_of(2.0, 3, 3) == 2.0
    few = largest_of(0.0, 59)
    assert (few.low, few.high, few.n) == (0.0, np.inf, 59)
    for found, word in ((few, "undecided"), (largest_of(1.0, 2), "fails")):
        assert verdict(found.value, (found.low, None), "<= 1e-6") == word


def test_groups_named_nan_are_one_and_few_draws_give_no_interval():
    groups = np.r_[np.arange(25.0), np.nan, np.nan]
    counted = grouped_bootstrap(len, groups, 0)
    assert counted == grouped_bootstrap(len, np.minimum(np.nan_to_num(groups, nan=25), 25), 0)
    assert counted.low < counted.value < counted.high
    few, enough = (grouped_bootstrap(np.mean, np.arange(30), 0, draws=draws) for draws in (38, 39))
    assert few.high == np.inf == -few.low and np.isfinite([enough.low, enough.high]).all()


def test_a_share_that_no_draw_moves_is_not_known_to_a_point():
    """Of twenty groups whose shares vary about 0.99, nearly half of all samples hold nothing but ones."""
    def of(groups, q, seed):
        rng = np.random.default_rng(seed)
        hit = rng.random((groups, 4)) < rng.beta(20 * q, 20 * (1 - q), (groups, 1))
        return grouped_bootstrap(lambda i: hit.ravel()[i].mean(), np.repeat(np.arange(groups), 4), seed, draws=150,
                                 shares=True)

    found = [of(20, 0.99, seed) for seed in range(150)]
    assert any(one.value == 1 for one in found)
    assert np.mean([one.low <= 0.99 <= one.high for one in found]) >= 0.9
    for groups, known in ((59, False), (60, True)):
        for level in (0.0, 0.9, 1.0):
            equal = np.full(3 * groups, level)
            mean, names = lambda i, x=equal: x[i].mean(), np.repeat(range(groups), 3)
            one, measured = (grouped_bootstrap(mean, names, 0, shares=shares) for shares in (True, False))
            assert np.isfinite([one.low, one.high]).all() == known and one.value == pytest.approx(level)
            assert measured.high - measured.low <= 1e-12
