"""Mode trees: births in closed form, deaths as double roots, what a threshold loses."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.modes import detect_by_height, modes_1d
from phasebook.mixtures.modes.tree import height_tree, mode_tree


def atoms(*x, weights=None):
    return Mixture.atoms(np.array(x, float)[:, None], weights)


def random_mixture(rng):
    n = rng.integers(1, 8)
    variances = np.where(rng.random(n) < 0.5, 0, rng.exponential(0.1, n) * 10.0 ** rng.uniform(-4, 0, n))
    weights = rng.dirichlet(np.full(n, 0.5)) + 1e-9
    return Mixture(rng.normal(size=(n, 1)).round(rng.integers(1, 6)), variances, weights / weights.sum())


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
    ratios = np.geomspace(0.004, 2, 60)
    found, edges, fine = height_tree(mixture, ratios, 0.4)
    counts = np.array([len(f) for f in found])
    assert counts[0] == 1 and counts.max() > 1 and (np.diff(counts) > 0).any() and len(edges) > 0
    assert fine.all() and not height_tree(mixture, ratios, 0.4, most=100)[2].all()
    assert mode_tree(mixture, 0.004, 2, 15).counts[0] == 8
    grid = np.linspace(-0.5, 1.5, 4001)
    low = detect_by_height(mixture, 1.0, 0.004, grid, 0.2)                 # a lower threshold sees them all
    np.testing.assert_allclose(low, modes_1d(mixture, 1.0, 0.004).modes, atol=5e-4)


def test_refusals():
    with pytest.raises(ValueError, match="low, high = 2, 1"):
        mode_tree(atoms(0, 1), 2, 1)
    with pytest.raises(ValueError, match="takes a full tree"):
        mode_tree(atoms(-1, 1), 0.1, 0.5).linkage()
