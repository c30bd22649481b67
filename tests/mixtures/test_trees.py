"""Hierarchical data: gaps at dyadic quantiles, exponents of growth against the similarity dimension, and their null."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.critical_points import equilateral_triangle
from phasebook.mixtures.monotone import mode_counts
from phasebook.mixtures.trees import cantor, gaussian_twin, growth_exponent, mode_count, random_tree, resolution_levels
from tests.builders import refuses


def doublings(mixture, count, branches, depth, ratio, tolerance=1e-3):
    return resolution_levels(lambda s: count(mixture, s), [branches**j for j in range(1, depth + 1)], 4.0,
                             ratio**depth / 8, tolerance)


@pytest.mark.parametrize("ratio", [1 / 3, 0.1, 0.25, 0.4])
def test_cantor_modes_grow_with_the_similarity_dimension(ratio):
    """.6309 for thirds, within .01."""
    levels = doublings(cantor(6, ratio), lambda m, s: int(mode_counts(m, [s])[0]), 2, 6, ratio)
    assert len(levels) == 6
    assert growth_exponent(levels, 2) == pytest.approx(np.log(2) / np.log(1 / ratio), abs=0.01)
    assert (levels[1:-1] / levels[:-2]) == pytest.approx(ratio, rel=0.03)


def test_cantor_atoms_sit_beside_the_gaps_of_every_generation():
    """The quantile map jumps by the middle part at 1/2, by its r-th at the quarters, whatever comes later."""
    ratio = 0.3
    for generations in (4, 7):
        x = cantor(generations, ratio).means[:, 0]
        jump = np.diff(x)
        for m in range(1, 4):
            odd = np.arange(1, 2**m, 2) * 2 ** (generations - m) - 1
            assert jump[odd] == pytest.approx((1 - 2 * ratio) * ratio ** (m - 1) + ratio**generations)
    with pytest.raises(ValueError, match="ratio = 0.5: takes a number in"):
        cantor(3, 0.5)


@pytest.mark.parametrize("dimension, branches, ratio, depth", [(2, 2, 0.3, 5), (16, 2, 0.3, 5), (2, 3, 0.25, 4)])
def test_trees_grow_with_their_exponent_and_clouds_do_not(dimension, branches, ratio, depth):
    rng = np.random.default_rng(1)
    tree = random_tree(depth, branches, ratio, dimension, rng)
    twin = gaussian_twin(tree, rng)
    expected = np.log(branches) / np.log(1 / ratio)
    of_tree, of_twin = (growth_exponent(doublings(m, mode_count, branches, depth, ratio, 0.01), branches)
                        for m in (tree, twin))
    assert of_tree == pytest.approx(expected, rel=0.03)
    assert of_twin > 1.4 * expected


def test_offsets_are_a_simplex_and_shrink():
    tree = random_tree(2, 3, 0.1, 5, np.random.default_rng(0))
    groups = tree.means.reshape(3, 3, 5)
    middles = groups.mean(1)
    assert np.linalg.norm(middles, axis=1) == pytest.approx(1)
    assert np.linalg.norm(middles[0] - middles[1]) == pytest.approx(np.sqrt(3))
    assert np.linalg.norm(groups - middles[:, None], axis=-1) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="branches = 4: takes a whole number from 2 to 3"):
        random_tree(2, 4, 0.3, 2, np.random.default_rng(0))


def test_mode_count_against_the_exact_one_on_the_line():
    data = Mixture.atoms(np.random.default_rng(3).normal(size=(12, 1)))
    for s in (0.05, 0.1, 0.2, 0.4):
        assert mode_count(data, s) == mode_counts(data, [s])[0]
    assert [mode_count(equilateral_triangle(), s) for s in (0.3, 0.9)] == [3, 1]


def test_twin_has_the_same_covariance_on_average():
    tree = random_tree(4, 2, 0.3, 3, np.random.default_rng(5))
    twins = [gaussian_twin(tree, np.random.default_rng(k)).means for k in range(200)]
    assert np.cov(np.concatenate(twins).T) == pytest.approx(np.cov(tree.means.T, bias=True), abs=0.03)


def test_too_few_levels_have_no_exponent():
    assert growth_exponent(np.array([1.0, 0.5, 0.25]), 2) is None
    assert len(resolution_levels(lambda s: 1 + (s < 0.5), [2, 4], 2.0, 0.01)) == 1
    assert resolution_levels(lambda s: 1 + (s < 0.5), [2, 4], 2.0, 0.01)[0] == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("depth, branches, ratio, words", [
    (0, 2, 0.3, "depth = 0: takes a whole number >= 1"), (1.5, 2, 0.3, "depth = 1.5"),
    (2, 2, -3, "ratio = -3: takes a number in (0, 1)"), (2, 2, 1.0, "ratio = 1: takes"), (2, 2, np.nan, "ratio = nan"),
    (2, 2.5, 0.3, "branches = 2.5"), (2, 1, 0.3, "branches = 1"),
])
def test_what_is_no_tree(depth, branches, ratio, words):
    refuses(lambda: random_tree(depth, branches, ratio, 2, np.random.default_rng(0)), words)
    for generations in (0, 1.5):
        refuses(lambda n=generations: cantor(n), f"generations = {generations}")


def test_modes_of_unequal_widths_are_those_of_a_fine_grid():
    """Mean shift weighs the means by responsibilities over variances: without these one case in eight was wrong."""
    rng, x = np.random.default_rng(0), np.linspace(-9, 9, 20_001)
    for _ in range(40):
        means, variances, weights = 2 * rng.normal(size=4), rng.uniform(0.05, 1, 4), rng.dirichlet(np.ones(4))
        wide = variances + 0.09
        density = (weights / np.sqrt(wide) * np.exp(-(x[:, None] - means)**2 / (2 * wide))).sum(1)
        tops = ((density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])).sum()
        assert mode_count(Mixture(means[:, None], variances, weights), 0.3) == tops
