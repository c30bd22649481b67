"""Regimes: clones against quadrature, collapse against its formula, rates in time."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, softmax
from scipy.stats import norm

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.tree import mode_tree
from phasebook.mixtures.regimes import (
    clone_probability,
    clones_agree,
    collapse_error,
    collapse_ratio,
    noise_rate,
    ou_time,
    own_weight,
    resolved_times,
    speciation_ratio,
    time_lipschitz,
    two_clusters,
)
from phasebook.mixtures.schedules import schedule
from tests.builders import refuses


def test_speciation_and_collapse():
    """The modes part at `M^2 - v` exactly; the formulas are near, the collapse's error falls with the dimension."""
    rng, d, n = np.random.default_rng(0), 64, 2000
    points = two_clusters(n, d, rng)
    line = Mixture(np.array([[-8.0], [8.0]]), np.ones(2), np.full(2, 0.5))
    split = mode_tree(line, 1, 20, 20).merges[0].ratio
    assert abs(split - np.sqrt(63)) < 1e-6
    assert abs(ou_time(split) / ou_time(speciation_ratio(points)) - 1) < 0.02
    assert abs(collapse_ratio(n, d, 1.0) - 1 / np.sqrt(n ** (2 / d) - 1)) < 1e-12
    errors = [np.mean([collapse_error(600, d, np.random.default_rng(s)) for s in range(6)]) for d in (4, 256)]
    assert 0 < errors[1] < errors[0] / 2


def test_clones_at_the_split_share_a_class_with_one_probability():
    """Any M and v, in 1 and 20 dimensions: drawn clones against the quadrature, and that against an integral."""
    p = quad(lambda z: norm.pdf(z) * (expit(2 + 2 * z) ** 2 + expit(-2 - 2 * z) ** 2), -12, 12)[0]
    assert abs(clone_probability() - p) < 1e-8 and abs(p - 0.7752) < 1e-4
    for d, M, v in ((1, 1.0, 0.0), (20, 3.0, 2.0)):
        centre = np.eye(d)[0] * M
        mixture = Mixture(np.array([centre, -centre]), np.full(2, v), np.full(2, 0.5))
        agree = clones_agree(mixture, np.sqrt(M**2 - v), 40_000, np.random.default_rng(d))
        assert abs(agree.mean() - p) < 4 * np.sqrt(p * (1 - p) / 40_000)


@pytest.mark.parametrize(("M", "v", "probability"), [(1.0, 0.1, 0.981), (2.0, 0.1, 0.811), (1.2, 2.0, 0.626)])
def test_clones_at_the_time_of_the_formula_depend_on_the_clusters(M, v, probability):
    """`r^2 = M^2 + v - 1`, not `M^2 - v`: far from 0.7752 unless M is large."""
    ratio = np.sqrt(M**2 + v - 1)
    p = clone_probability(M / np.sqrt(v + ratio**2))
    mixture = Mixture([[-M], [M]], [v, v], [0.5, 0.5])
    agree = clones_agree(mixture, ratio, 40_000, np.random.default_rng(0))
    assert abs(p - probability) < 1e-3 and abs(agree.mean() - p) < 4 * np.sqrt(p * (1 - p) / 40_000)


def test_the_largest_rate_in_time():
    """One atom at 0 beside one at 1: at the midpoint between them |x - x_i| / sigma turns fastest, like t^(-3/2);
    Gaussians turn like t^(-1/2)."""
    t, vp = np.geomspace(1e-6, 3e-5, 6), schedule("vp_linear")
    for variance, power in ((0.0, -1.5), (0.15, -0.5)):
        mixture = Mixture([[0.0], [1.0]], np.full(2, variance), [0.5, 0.5])
        rates = [time_lipschitz(mixture, vp, s) for s in t]
        assert np.polyfit(np.log(t), np.log(rates), 1)[0] == pytest.approx(power, abs=0.05)


def test_own_weight_is_the_softmax():
    rng = np.random.default_rng(2)
    points, noise = rng.standard_normal((50, 5)), rng.standard_normal((3, 5))
    w = own_weight(points, np.array([4, 7, 9]), noise, 0.8)
    y = points[[4, 7, 9]] + 0.8 * noise
    expected = Mixture.atoms(points).responsibilities(y, 1.0, 0.8)
    np.testing.assert_allclose(w, expected[[0, 1, 2], [4, 7, 9]], rtol=1e-12)


def test_own_weight_knows_no_origin():
    """Against the distances themselves, which keep their digits where their squares' differences do not."""
    rng = np.random.default_rng(4)
    points, noise, chosen = 1e7 + rng.standard_normal((20, 3)), rng.standard_normal((5, 3)), np.arange(5)
    square = (((points[chosen] - points[:, None]) + 0.8 * noise) ** 2).sum(-1).T
    expected = softmax(-square / (2 * 0.8**2), axis=1)[chosen, chosen]
    np.testing.assert_allclose(own_weight(points, chosen, noise, 0.8), expected, rtol=1e-7)
    refuses(lambda: own_weight(points, chosen, noise, 0.0), "ratio = 0.0: takes a noise ratio > 0")


@pytest.mark.parametrize("variance, rate", [(0.0, -1.0), (0.15, -0.5)])
def test_time_rate_diverges(variance, rate):
    """VP linear: sigma ~ sqrt(t), so d eps/dt goes as 1/t for atoms and as 1/sqrt(t) for smooth data."""
    mixture = Mixture(np.array([[-1.0], [0.3], [1.0]]), np.full(3, variance), np.full(3, 1 / 3))
    t = np.geomspace(1e-6, 3e-5, 6)
    found = [noise_rate(mixture, schedule("vp_linear"), s) for s in t]
    assert abs(np.polyfit(np.log(t), np.log(found), 1)[0] - rate) < 0.005


@pytest.mark.parametrize("x, resolved", [([0, 1e-5, 1, 2], True), ([-8, 8], True), ([3.0], True), ([-100, 100], True),
                                         ([0, 1e-12, 1], False)])
def test_times_resolve_the_smallest_gap(x, resolved):
    mixture = Mixture.atoms(np.array(x, float)[:, None])
    t = resolved_times(mixture, schedule("vp_linear"))
    assert bool(len(t)) == resolved
    if resolved:
        found = [noise_rate(mixture, schedule("vp_linear"), s) for s in t]
        assert abs(np.polyfit(np.log(t), np.log(found), 1)[0] + 1) < 0.01


@pytest.mark.parametrize("weights", [None, np.array([0.2, 0.7, 0.1])])
def test_the_rate_in_time_is_that_of_a_grid_as_fine_as_the_turn_is_narrow(weights):
    """Its width is sigma^2 over the gap: 1e-6 here, where an even grid of 4001 points is 3e-4 apart."""
    vp, three = schedule("vp_linear"), Mixture.atoms([[-0.3], [1.0], [0.11]], weights)
    assert time_lipschitz(three, vp, 1e-5) == pytest.approx(time_lipschitz(three, vp, 1e-5, 4_000_001), rel=2e-3)


@pytest.mark.parametrize("means", [[0.0, 3.0], [0.0, 0.0, 5.0]])
def test_largest_rate_beside_a_narrow_component(means):
    """Narrower by a thousand than the others: it takes over from them within a few of its own widths."""
    n, vp = len(means), schedule("vp_cosine")
    mixture = Mixture(np.array(means)[:, None], [1.0, 1e-8, 1.0][:n], np.full(n, 1 / n))
    assert time_lipschitz(mixture, vp, 1e-4) == pytest.approx(time_lipschitz(mixture, vp, 1e-4, 1_000_001), rel=1e-2)


@pytest.mark.parametrize("variances", [[1.0, 0.0], [1.0, 1e-4], [0.1, 0.1]])
@pytest.mark.parametrize("t", [0.1, 0.3])
def test_rate_of_the_prediction_inside_a_wide_component(variances, t):
    """It turns on the scale of the narrow component: by the trapezoidal rule on a fine grid of the line."""
    mixture, plan = Mixture([[0.0], [0.3]], variances, [0.9, 0.1]), schedule("log_snr_linear")
    alpha, sigma, step = plan.alpha(t), plan.sigma(t), 1e-4 * t
    x = np.linspace(-12, 12, 240_001)[:, None]
    p = np.exp(mixture.log_density(x, alpha, sigma))

    def eps(t):
        return -plan.sigma(t) * mixture.score(x, plan.alpha(t), plan.sigma(t))[:, 0]

    wanted = np.sqrt(np.trapezoid(((eps(t + step) - eps(t - step)) / (2 * step)) ** 2 * p, x[:, 0]))
    assert noise_rate(mixture, plan, t) == pytest.approx(wanted, rel=1e-6)


def test_no_times_before_the_first_and_no_collapse_of_more_clusters_than_samples():
    assert resolved_times(Mixture.atoms([[0.0], [0.01]]), schedule("log_snr_linear")).size == 0
    refuses(lambda: collapse_ratio(2, 3, 1.0, 4), "n = 2: takes more samples than clusters (4)")
    refuses(lambda: collapse_ratio(4, 3, 0.0), "variance = 0.0: takes a number > 0")
