"""What edits come to: differences at equal distance, intervals over sources, the right columns."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from phasebook.edits.findings import agreement, difference, findings, over_sources, rank_at_equal, surplus
from phasebook.slices.measures.splits import split_steps
from phasebook.stats import grouped_bootstrap, partial_spearman, spearman


def test_difference_at_equal_distance_sees_through_a_confounder():
    rng = np.random.default_rng(1)
    second = rng.random(400) < 0.5
    distance = second + rng.normal(size=400)
    y = 3 * distance + 0.5 * second + 0.01 * rng.normal(size=400)
    assert difference(y, second) == pytest.approx(y[second].mean() - y[~second].mean())
    assert difference(y, second, distance) == pytest.approx(0.5, abs=0.01)
    assert np.isnan(difference(y, np.ones(400, bool)))


def test_a_bend_that_two_share_is_no_correlation_at_equal_distance():
    """Both rise from a half of the distances on, and not before; the known answers are 0 and a half."""
    rng = np.random.default_rng(1)
    distance, (a, b, both) = rng.random(2000), 0.05 * rng.normal(size=(3, 2000))
    bend = np.maximum(distance - 0.5, 0)
    assert partial_spearman(bend + a, bend + b, distance) > 0.3
    assert abs(rank_at_equal(bend + a, bend + b, distance)) < 0.1          # what a stratum leaves of the bend
    assert rank_at_equal(bend + a + both, bend + b + both, distance) == pytest.approx(0.5, abs=0.07)


def test_edits_equally_far_stay_together_in_any_order():
    """Edits of one pair are equally far; where all are, nothing is regressed out."""
    rng = np.random.default_rng(0)
    given, order = rng.integers(0, 6, 60).astype(float), rng.permutation(60)
    x, y = given + rng.normal(size=(2, 60))
    assert rank_at_equal(x, y, given) == pytest.approx(rank_at_equal(x[order], y[order], given[order]), abs=1e-9)
    assert rank_at_equal(x, y, np.ones(60)) == pytest.approx(spearman(x, y), abs=1e-9)


def by_distance_alone(rng, n=127, scatter=0.025):
    """As many neighbours as the chapter has: k* and split step follow the logarithm of the distance along a bend, with
    scatters of their own, in whole steps; the nearest never part, and pictures across families are further apart."""
    across = np.arange(n) % 2 == 0
    size = np.where(across, rng.normal(-2.05, 0.25, n), rng.normal(-2.56, 0.48, n)).clip(-3.7, -1.6)
    need = 1.24 + 0.43 * size + 0.033 * size**2
    needed, split = (np.round(50 * (need + scatter * rng.normal(size=n))) for _ in range(2))
    return needed / 50, across, size, np.where(size < -2.9, 50, 50 - split)


def test_where_distance_alone_decides_controls_find_nothing_else():
    """One in twenty intervals may leave out zero, for no effect is there."""
    names, repeats = ("strata", "across"), 60
    out = dict.fromkeys(names, 0)
    for seed in range(repeats):
        needed, across, size, split = by_distance_alone(np.random.default_rng(seed))
        found = (grouped_bootstrap(lambda i, c=c, f=f: f(*(v[i] for v in c)), np.arange(len(size)), seed, draws=100)
                 for f, c in ((rank_at_equal, (-needed, split, size)), (difference, (needed, across, size))))
        for name, one in zip(names, found, strict=True):
            out[name] += not one.low <= 0 <= one.high
    assert all(n / repeats < 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats) for n in out.values())


def test_fewer_than_sixty_edits_decide_nothing():
    y, group = np.arange(60.0), np.arange(60) // 2
    whole = over_sources(np.mean, (y,), group, 0)
    assert np.isfinite([whole.low, whole.high]).all() and whole.low < whole.value < whole.high
    few = over_sources(np.mean, (y[:59],), group[:59], 0)
    assert np.isinf([few.low, few.high]).all() and few.value == pytest.approx(29)
    assert over_sources(np.mean, (y[:0],), group[:0], 0) is None


def test_agreement_is_the_ratio_of_noise_levels():
    e = edits(120, 2)
    e.levels = SimpleNamespace(heights=0.9 ** np.arange(50))
    found = agreement(e, e.k_star + np.tile([1, -2], 60), 0)
    assert found["within"].value == pytest.approx(1 / 0.9) and found["across"].value == pytest.approx(0.9**2)
    assert found["within"].low == pytest.approx(1 / 0.9) and found["order"].value > 0.9
    few = edits(118, 2)                                     # 59 of each kind: one too few
    few.levels = e.levels
    assert np.isinf(agreement(few, few.k_star, 0)["within"].low)


def test_edits_that_fail_stay_in_as_the_hardest():
    e = edits(80, 0)
    e.k_star[::4] = -1
    e.done, e.needed = e.k_star >= 0, 1 - e.k_star / 50
    found = findings(e, 0)
    assert found["split"].n == 80
    assert found["split"].value == pytest.approx(stats.spearmanr(e.k_star, split_steps(e.parting)).statistic)
    across = np.tile([False, True], 40)
    assert found["across"].value == pytest.approx(e.needed[across].mean() - e.needed[~across].mean())
    assert surplus(e, edits(80, 1), 0).n == 160


def edits(n, seed, shift=0.0):
    """Edits of 50 steps whose k* falls with the logarithm of the distance, and by `shift` (share of steps)."""
    rng = np.random.default_rng(seed)
    distance = rng.uniform(0.1, 1, n)
    k = np.round(20 - 10 * np.log(distance) - 50 * shift).astype(int)
    parting = np.linspace(0, 1, 50)[None] * distance[:, None]
    return SimpleNamespace(k_star=k, done=k >= 0, needed=1 - k / 50, distance=distance, parting=parting,
                           pairs=SimpleNamespace(group=tuple(range(n)), level=("within", "across") * (n // 2)))


def test_findings_are_scipys_correlations():
    e = edits(80, 0)
    found = findings(e, 0)
    assert found["split"].value == pytest.approx(stats.spearmanr(e.k_star, split_steps(e.parting)).statistic)
    assert found["distance"].value == pytest.approx(stats.spearmanr(e.k_star, e.distance).statistic)
    assert found["split"].low <= found["split"].value <= found["split"].high
    across = np.tile([False, True], 40)
    assert found["across"].value == pytest.approx(e.needed[across].mean() - e.needed[~across].mean())
    assert found["across_given_distance"].low < 0 < found["across_given_distance"].high


def test_surplus_is_what_neighbours_need_more_at_equal_distance():
    found = surplus(edits(80, 0, shift=-0.2), edits(80, 1), 0)
    assert found.value == pytest.approx(-0.2, abs=0.005) and found.high < -0.19
    assert np.isinf(surplus(edits(40, 0), edits(80, 1), 0).low)
