"""Modes, mode trees, mean shift, regimes: against dense scans, closed forms and each other."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.mean_shift import mean_shift, mean_shift_tree
from phasebook.mixtures.modes.modes import detect_by_height, modes_1d
from phasebook.mixtures.modes.tree import height_tree, mode_tree
from phasebook.mixtures.regimes import (
    collapse_ratio,
    half_weight_ratio,
    noise_rate,
    ou_time,
    own_weight,
    speciation_ratio,
)
from phasebook.mixtures.schedules import schedule


def atoms(*x, weights=None):
    return Mixture.atoms(np.array(x, float)[:, None], weights)


def random_mixture(rng):
    n = rng.integers(1, 8)
    variances = np.where(rng.random(n) < 0.5, 0, rng.exponential(0.1, n) * 10.0 ** rng.uniform(-4, 0, n))
    weights = rng.dirichlet(np.full(n, 0.5)) + 1e-9
    return Mixture(rng.normal(size=(n, 1)).round(rng.integers(1, 6)), variances, weights / weights.sum())


@pytest.mark.parametrize("seed", range(40))
def test_every_root_is_found(seed):
    """Against the sign changes of the score on a dense grid, for atoms and components of unequal variance."""
    rng = np.random.default_rng(seed)
    mixture, r = random_mixture(rng), 10 ** rng.uniform(-2, 0.5)
    alpha, sigma = 1 / np.hypot(1, r), r / np.hypot(1, r)
    modes, antimodes = modes_1d(mixture, alpha, sigma)
    assert len(modes) == len(antimodes) + 1
    both = np.sort(np.concatenate([modes, antimodes]))
    assert (both[::2] == modes).all()
    c = alpha * mixture.means[:, 0]
    x = np.linspace(c.min() - 1e-3, c.max() + 1e-3, 60001)
    score = mixture.score(x[:, None], alpha, sigma)[:, 0] >= 0
    assert (score[1:] != score[:-1]).sum() == len(both)
    spread = np.sqrt(alpha**2 * mixture.variances.min() + sigma**2)
    ahead, behind = (mixture.score((both + s * 1e-6 * spread)[:, None], alpha, sigma)[:, 0] for s in (1, -1))
    is_mode = np.isin(both, modes)
    assert ((ahead < 0) == is_mode).all() and ((behind > 0) == is_mode).all()


def test_two_atoms_split_at_their_half_distance():
    for r, count in ((1 - 1e-9, 2), (1 + 1e-9, 1), (1.0, 1)):
        assert len(modes_1d(atoms(-1, 1), 1.0, r).modes) == count


def test_extremes():
    assert modes_1d(atoms(0, 1e8), 1.0, 0.03).modes.tolist() == [0, 1e8]          # weights underflow between them
    coincident = modes_1d(atoms(0.3, 0.3, 0.3), 0.5, 0.1)
    assert coincident.modes.tolist() == [0.15] and len(coincident.antimodes) == 0
    assert len(modes_1d(atoms(0, 0, 1, 1 + 1e-9), 1.0, 0.1).modes) == 2
    assert len(modes_1d(atoms(*np.linspace(-1, 1, 400)), 1.0, 0.03).modes) == 1    # a plateau flat to rounding
    assert len(modes_1d(atoms(*np.linspace(-1, 1, 300)), 1.0, 5e-4).modes) == 300
    assert modes_1d(atoms(2.0), 0.0, 1.0).modes.tolist() == [0]


def test_near_flat_ripples_are_resolved():
    """Equal atoms at spacing h and noise 0.55 h: ripples of amplitude exp(-2 pi^2 0.55^2) ~ 2.6e-3 still count."""
    n, h = 61, 1 / 30
    inner = modes_1d(atoms(*(h * np.arange(n))), 1.0, 0.55 * h).modes
    inside = inner[(inner > 10 * h) & (inner < 50 * h)]
    np.testing.assert_allclose(inside / h, np.round(inside / h), atol=1e-3)
    assert len(inside) == 39


def test_refusals():
    with pytest.raises(ValueError, match="sigma = 0.*takes sigma > 0"):
        modes_1d(atoms(0, 1), 1.0, 0)
    with pytest.raises(ValueError, match="dimension 2"):
        modes_1d(Mixture.atoms(np.zeros((3, 2))), 1.0, 1.0)
    for threshold in (0, 1, -0.1, 2):
        with pytest.raises(ValueError, match=f"threshold = {threshold}"):
            detect_by_height(atoms(0, 1), 1.0, 1.0, np.linspace(0, 1, 5), threshold)
    with pytest.raises(ValueError, match="low, high = 2, 1"):
        mode_tree(atoms(0, 1), 2, 1)
    with pytest.raises(ValueError, match="takes a full tree"):
        mode_tree(atoms(-1, 1), 0.1, 0.5).linkage()
    with pytest.raises(ValueError, match="one of the two"):
        mean_shift_tree(ratios=[1.0])
    with pytest.raises(ValueError, match="growing"):
        mean_shift_tree(np.eye(2), ratios=[2.0, 1.0])


def test_tree_births_and_causality():
    tree = mode_tree(atoms(-1, 1), 0.5, 2, 8)
    assert abs(tree.merges[0].ratio - 1) < 1e-9 and abs(tree.merges[0].y) < 1e-4
    x = np.random.default_rng(3).uniform(-2, 2, 15)
    tree = mode_tree(atoms(*x), 0.002, 3, 40)
    assert (np.diff(tree.counts) <= 0).all() and tree.counts[0] == 15 and tree.counts[-1] == 1
    for merge in tree.merges:                                   # each death is a double root of the score
        before, after = (len(modes_1d(atoms(*x), 1.0, merge.ratio * f).modes) for f in (1 - 1e-8, 1 + 1e-8))
        assert before == after + 1
        y = np.array([[merge.y]])
        assert abs(atoms(*x).score(y, 1.0, merge.ratio)[0, 0]) < 1e-6
    linkage = tree.linkage()
    assert linkage.shape == (14, 4) and linkage[-1, 3] == 15 and (np.diff(linkage[:, 2]) >= 0).all()


def test_symmetric_deaths_come_together():
    tree = mode_tree(atoms(*np.linspace(-1, 1, 5)), 0.1, 1, 12, tolerance=1e-7)
    ratios = np.array([m.ratio for m in tree.merges])
    np.testing.assert_allclose(ratios[[0, 2]], ratios[[1, 3]], rtol=1e-6)
    assert {tree.merges[0].child, tree.merges[1].child} == {0, 4}


def test_unequal_weights_and_variances_keep_causality():
    rng = np.random.default_rng(5)
    for _ in range(4):
        mixture = random_mixture(rng)
        assert (np.diff(mode_tree(mixture, 0.02, 5, 20).counts) <= 0).all()


def test_relative_height_loses_modes_and_is_not_monotone():
    """Seven atoms of weight 0.1 beside one of 0.3: each is lost to a threshold of 0.4 until they have merged."""
    mixture = atoms(*(-0.06 + 0.02 * np.arange(7)), 1, weights=np.array([0.1] * 7 + [0.3]))
    ratios, grid = np.geomspace(0.004, 2, 60), np.linspace(-0.5, 1.5, 4001)
    found, edges = height_tree(mixture, ratios, grid, 0.4)
    counts = np.array([len(f) for f in found])
    assert counts[0] == 1 and counts.max() > 1 and (np.diff(counts) > 0).any() and len(edges) > 0
    assert mode_tree(mixture, 0.004, 2, 15).counts[0] == 8
    low = detect_by_height(mixture, 1.0, 0.004, grid, 0.2)                 # a lower threshold sees them all
    np.testing.assert_allclose(low, modes_1d(mixture, 1.0, 0.004).modes, atol=5e-4)


def test_mean_shift_on_a_line_is_the_exact_tree():
    x = np.random.default_rng(0).uniform(-2, 2, 20)
    exact = mode_tree(atoms(*x), 0.1, 3, 60)
    shifted = mean_shift_tree(x[:, None], ratios=exact.ratios)
    assert np.abs(exact.counts - shifted.counts).max() <= 1 and (np.diff(shifted.counts) <= 0).all()
    late = np.array([m.ratio for m in exact.merges])[-4:]
    np.testing.assert_allclose([m.ratio for m in shifted.merges[-4:]], late, rtol=0.15)


def test_mean_shift_in_the_span_is_mean_shift():
    """Fixed points in a space of many dimensions: the score vanishes there; pure function of the Gram matrix."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(12, 300)) / 10
    weights = mean_shift(points @ points.T, np.eye(12), 1.0, steps=3000, tolerance=1e-12)
    y = weights @ points
    assert np.abs(Mixture.atoms(points).score(y, 1.0, 1.0)).max() < 1e-9
    ratios = np.geomspace(0.1, 2, 20)
    by_gram = mean_shift_tree(gram=points @ points.T, ratios=ratios)
    assert (by_gram.counts == mean_shift_tree(points + 5.0, ratios=ratios).counts).all()
    assert by_gram.counts[0] == 12 and by_gram.counts[-1] == 1 and len(by_gram.merges) == 11


def test_mean_shift_merges_coincident_points_at_once():
    tree = mean_shift_tree(np.array([[0.0, 0], [0, 0], [3, 0]]), ratios=np.array([0.1, 1.0, 2.0]))
    assert tree.counts.tolist() == [2, 2, 1] and tree.first[0] == tree.first[1] != tree.first[2]


def clusters(n, d, rng):
    axis = np.zeros(d)
    axis[0] = np.sqrt(d)
    return rng.choice([-1, 1], (n, 1)) * axis + rng.standard_normal((n, d))


def test_speciation_and_collapse():
    rng, d, n = np.random.default_rng(0), 64, 2000
    points = clusters(n, d, rng)
    line = Mixture(np.array([[-8.0], [8.0]]), np.ones(2), np.full(2, 0.5))
    split = mode_tree(line, 1, 20, 20).merges[0].ratio
    assert abs(split - np.sqrt(63)) < 1e-6                                   # |m|^2 - v, exactly
    assert abs(ou_time(split) / ou_time(speciation_ratio(points)) - 1) < 0.02
    found = half_weight_ratio(points, 500, rng, 0.3, 10)
    assert abs(ou_time(found) / ou_time(collapse_ratio(n, d, 1.0, 2)) - 1) < 0.08
    assert abs(collapse_ratio(n, d, 1.0) - 1 / np.sqrt(n ** (2 / d) - 1)) < 1e-12


def test_own_weight_is_the_softmax():
    rng = np.random.default_rng(2)
    points, noise = rng.standard_normal((50, 5)), rng.standard_normal((3, 5))
    w = own_weight(points, np.array([4, 7, 9]), noise, 0.8)
    y = points[[4, 7, 9]] + 0.8 * noise
    expected = Mixture.atoms(points).responsibilities(y, 1.0, 0.8)
    np.testing.assert_allclose(w, expected[[0, 1, 2], [4, 7, 9]], rtol=1e-12)


@pytest.mark.parametrize("variance, rate", [(0.0, -1.0), (0.15, -0.5)])
def test_time_rate_diverges(variance, rate):
    """VP linear: sigma ~ sqrt(t), so d eps/dt goes as 1/t for atoms and as 1/sqrt(t) for smooth data."""
    mixture = Mixture(np.array([[-1.0], [0.3], [1.0]]), np.full(3, variance), np.full(3, 1 / 3))
    t = np.geomspace(1e-6, 3e-5, 6)
    found = [noise_rate(mixture, schedule("vp_linear"), s) for s in t]
    assert abs(np.polyfit(np.log(t), np.log(found), 1)[0] - rate) < 0.005
