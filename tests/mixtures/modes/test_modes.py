"""Modes on the line: every root against dense scans, extremes, heights."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.modes import detect_by_height, modes_1d


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


@pytest.mark.parametrize("r", [0.007, 0.05, 0.3])
def test_what_is_left_out_of_a_cell_changes_nothing(r):
    """Two hundred atoms in any order, of which a cell's sums hold a few: against all of them on a dense grid."""
    law = Mixture.atoms(np.random.default_rng(5).uniform(-2.5, 2.5, (200, 1)))
    x = np.linspace(-2.6, 2.6, int(26 / min(r, 0.05)))
    rising = np.concatenate([law.score(part[:, None], 1.0, r)[:, 0] > 0 for part in np.array_split(x, 20)])
    roots, changes = np.sort(np.concatenate(modes_1d(law, 1.0, r))), x[1:][rising[1:] != rising[:-1]]
    np.testing.assert_allclose(roots, changes, atol=x[1] - x[0])


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


@pytest.mark.parametrize("seed", range(6))
def test_no_mode_of_equal_atoms_is_lower_than_the_bound(seed):
    """`p(mode) >= max p / (n sqrt e)`: below that threshold nothing is lost to it."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 30))
    mixture = Mixture.atoms(rng.normal(size=(n, 1)) ** 3)
    for r in np.geomspace(0.003, 1, 12):
        heights = mixture.log_density(modes_1d(mixture, 1.0, r).modes[:, None], 1.0, r)
        assert heights.min() - heights.max() >= -np.log(n) - 0.5


def test_refusals():
    with pytest.raises(ValueError, match="sigma = 0.*takes sigma > 0"):
        modes_1d(atoms(0, 1), 1.0, 0)
    with pytest.raises(ValueError, match="dimension 2"):
        modes_1d(Mixture.atoms(np.zeros((3, 2))), 1.0, 1.0)
    for threshold in (0, 1, -0.1, 2):
        with pytest.raises(ValueError, match=f"threshold = {threshold}"):
            detect_by_height(atoms(0, 1), 1.0, 1.0, np.linspace(0, 1, 5), threshold)
