"""The line: mixtures against SciPy, Brenier maps against POT, constants to 1 %."""

import numpy as np
import ot
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm as normal

from phasebook.theory.chains.chain import flow_displacement
from phasebook.theory.heat import line
from phasebook.theory.heat.expansion import ladder, line_expansion, slope
from phasebook.theory.heat.interpolation import line_interpolant, line_reverse, line_sweep
from phasebook.theory.heat.line import LineMixture, check_mixture, norm, quadrature
from tests.builders import refuses

MIXTURES = {
    "default": LineMixture([-1.5, 1.0], [0.7, 0.5], [0.4, 0.6]),
    "three": LineMixture([-6.0, 0.0, 6.0], [0.3, 1.0, 0.5], [0.1, 0.5, 0.4]),
    "spiky": LineMixture([-2.0, 2.0], [0.1, 0.02], [0.5, 0.5]),
}


@pytest.fixture(params=MIXTURES)
def rho(request):
    return MIXTURES[request.param]


def density(rho, x):
    return sum(w * normal.pdf(x, m, s) for m, s, w in zip(rho.means, rho.stds, rho.weights, strict=True))


def test_density_and_derivatives():
    rho = MIXTURES["default"]
    x = np.linspace(-4, 4, 33)
    assert np.exp(rho.log_density(x)) == pytest.approx(density(rho, x), rel=1e-13)
    h = 1e-4
    fine = LineMixture(rho.means, rho.stds, rho.weights)
    assert rho.score(x) == pytest.approx((fine.log_density(x + h) - fine.log_density(x - h)) / (2 * h), abs=1e-6)

    def q(y):
        p1, p2 = rho.ratios(y, 2)[1:]
        return p2 - p1**2 / 2

    assert rho.grad_q(x) == pytest.approx((q(x + h) - q(x - h)) / (2 * h), abs=1e-5)
    assert rho.grad_ratio(x) == pytest.approx((rho.ratios(x + h, 2)[2] - rho.ratios(x - h, 2)[2]) / (2 * h), abs=1e-5)


def test_third_order_is_the_flow_s_third_derivative():
    """b = X'''/6 on the line; X'' = -Q'/4, differentiated along the flow numerically."""
    rho, x, h = MIXTURES["default"], np.linspace(-3, 3, 13), 1e-5
    v = -rho.score(x) / 2
    ahead, behind = (-rho.heat(s).grad_q(x + s * v) / 4 for s in (h, -h))
    assert rho.third_order(x) == pytest.approx((ahead - behind) / (2 * h) / 6, rel=1e-4, abs=1e-6)


def test_quadrature(rho):
    x, w = quadrature(rho)
    assert w.sum() == pytest.approx(1, abs=1e-13)
    assert (w * x**2).sum() == pytest.approx((rho.weights * (rho.means**2 + rho.stds**2)).sum(), rel=1e-12)


def test_grad_q_norm_against_adaptive_quadrature():
    rho = MIXTURES["default"]
    square, _ = quad(lambda y: float(rho.grad_q(np.array([y]))[0] ** 2 * density(rho, y)), -9, 8, limit=400,
                     epsabs=1e-10, epsrel=1e-10, points=[-1.5, 0, 1])
    assert line_expansion(rho).grad_q_norm == pytest.approx(np.sqrt(square), rel=1e-8)


@pytest.mark.parametrize("t", [1.0, 0.1, 1e-3, -1e-5])
def test_map_against_root_finding(rho, t):
    x = np.array([m + z * s for m, s in zip(rho.means, rho.stds, strict=True) for z in (-2.5, -1, 0.3, 1.5)])
    later = rho.heat(t)
    expected = [brentq(lambda y, c=c: later.cdf(np.array(y)) - c, -30, 30, xtol=1e-14, rtol=1e-14) for c in rho.cdf(x)]
    assert x + rho.displacement(x, t) == pytest.approx(np.array(expected), abs=2e-9)


def test_map_of_one_gaussian_to_full_relative_accuracy():
    rho = LineMixture([0.4], [0.8], [1.0])
    x, eps = np.linspace(-6, 6, 101), 1e-7
    exact = (x - 0.4) * (eps / 0.64) / (1 + np.sqrt(1 + eps / 0.64))
    assert rho.displacement(x, eps) == pytest.approx(exact, rel=1e-13, abs=1e-22)


def test_many_points_are_moved_some_at_a_time(monkeypatch):
    rho = LineMixture([-1.5, 1.0], [0.7, 0.5], [0.4, 0.6])
    x, _ = quadrature(rho)
    whole = rho.displacement(x, 0.1)
    monkeypatch.setattr(line, "AT_ONCE", 1600)          # a hundred of them
    assert rho.displacement(x, 0.1) == pytest.approx(whole, rel=1e-12)


def test_map_against_pot_on_samples():
    """The map sends samples to partners that POT finds optimal too, and moves them by POT's W2."""
    rho, rng = MIXTURES["default"], np.random.default_rng(1)
    which = rng.choice(2, size=4000, p=rho.weights)
    x = rng.normal(rho.means[which], rho.stds[which])
    u = rho.displacement(x, 0.5)
    assert ot.emd2_1d(x, x + u) == pytest.approx((u**2).mean(), rel=1e-9)
    # deterministic quantile samples of rho_t: POT's distance to the image of rho's is small
    level = (np.arange(2000) + 0.5) / 2000
    points = np.interp(level, rho.cdf(grid := np.linspace(-9, 9, 400001)), grid)
    images = np.interp(level, rho.heat(0.5).cdf(grid), grid)
    assert ot.wasserstein_1d(points + rho.displacement(points, 0.5), images, p=2) < 1e-8


def test_constants(rho):
    """Ratios at small eps, order, quotient: each fails when a constant is off by 1 %."""
    constants = line_expansion(rho)
    rungs = ladder([1e-6, 1e-5, 1e-4, 1e-3], constants)
    sweep = line_sweep(rho, rungs.epsilons)
    e = sweep.epsilons[rungs.best]
    assert sweep.map_error[rungs.best] / (e**2 / 8 * constants.grad_q_norm) == pytest.approx(1, abs=1e-4)
    assert sweep.w2[rungs.best] / (e**2 / 32 * constants.grad_q_norm) == pytest.approx(1, abs=2e-4)
    assert slope(sweep.epsilons[rungs.usable], sweep.map_error[rungs.usable]) == pytest.approx(2, abs=2e-3)
    assert sweep.map_error[rungs.best] / sweep.w2[rungs.best] == pytest.approx(4, abs=1e-2)
    second = (sweep.map_error / (sweep.epsilons**2 / 8 * constants.grad_q_norm) - 1) / sweep.epsilons
    assert second[rungs.usable][-1] == pytest.approx(constants.beta, rel=2e-2)


def test_w2_against_quantiles():
    """The largest gap at eps = 0.5 against brute force over t with quantile functions."""
    rho, eps = MIXTURES["default"], 0.5
    x, w = quadrature(rho)
    whole = rho.displacement(x, eps)
    brute = max(norm(rho.displacement(x, f * eps) - f * whole, w) for f in np.linspace(0.3, 0.7, 41))
    assert line_sweep(rho, [eps]).w2[0] == pytest.approx(brute, rel=1e-4)


def test_flow_map_is_the_brenier_map():
    rho = MIXTURES["default"]
    x = np.linspace(-3.5, 3.5, 41)
    flow = flow_displacement(lambda t, y: -rho.heat(t).score(y) / 2, x, [0.0, 0.7])[-1]
    assert flow == pytest.approx(rho.displacement(x, 0.7), abs=1e-11)


@pytest.mark.parametrize(("means", "stds", "weights", "word"), [
    ([0, 1], [1, 1], [0.5, 0.4], "sum to 1"), ([0, 1], [1, 0], [0.5, 0.5], "> 0"),
    ([0, float("nan")], [1, 1], [0.5, 0.5], "finite"), ([0], [1, 1], [0.5, 0.5], "lengths"),
    ([], [], [], "at least one"), ([0, 1], [1, 1], [1.5, -0.5], "positive"),
])
def test_bad_mixtures(means, stds, weights, word):
    with pytest.raises(ValueError, match=word) as caught:
        check_mixture(means, stds, weights)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("eps", [0.5, 1e-4])
def test_the_way_back(rho, eps):
    """The map from rho_t to rho inverts the one from rho to rho_t."""
    x = np.array([m + z * s for m, s in zip(rho.means, rho.stds, strict=True) for z in (-2, -0.5, 1)])
    u = rho.displacement(x, eps)
    assert u + rho.heat(eps).displacement(x + u, -eps) == pytest.approx(0 * x, abs=1e-9 * eps + 1e-12)


def test_reverse_constant():
    rho, eps = MIXTURES["default"], 1e-5
    ratio = line_reverse(rho, [eps])[0]
    assert ratio == pytest.approx(1, abs=1e-4)
    assert (1 - ratio) / eps == pytest.approx(line_expansion(rho).beta, rel=1e-2)


def test_interpolant_of_one_gaussian_and_of_a_deep_valley():
    """N(0, s): the standard deviation is the chord; far components: finite, and of mass one."""
    bell, x = LineMixture([0.0], [1.0], [1.0]), np.linspace(-4, 4, 401)
    half = line_interpolant(bell, [0.5], 0.8, x)[0]
    assert half == pytest.approx(normal.pdf(x, scale=(1 + np.sqrt(1.8)) / 2), abs=1e-6)
    far, wide = LineMixture([-8.0, 8.0], [0.7, 0.5], [0.4, 0.6]), np.linspace(-12, 12, 1201)
    for density in line_interpolant(far, [0.0, 0.5, 1.0], 0.1, wide):
        assert np.isfinite(density).all() and np.trapezoid(density, wide) == pytest.approx(1, abs=1e-3)


def test_times_before_a_variance_is_used_up():
    rho = LineMixture([0.0, 1.0], [0.5, 2.0], [0.5, 0.5])
    for call in (lambda: rho.heat(-0.25), lambda: rho.displacement(np.array([0.1]), -1.0)):
        refuses(call, "takes a heat time > -0.25, at which every variance is positive")
    refuses(lambda: rho.displacement(np.array([0.1]), np.nan), "t = nan: takes a heat time")


def test_a_slope_takes_positive_numbers():
    refuses(lambda: slope([1.0, 1.0], [1.0, 2.0]), "x, y = [1.0, 1.0], [1.0, 2.0]: takes positive numbers")
    refuses(lambda: slope([1.0, 2.0], [1.0, -2.0]), "takes positive numbers")
    refuses(lambda: slope([1.0, 2.0], [1.0]), "as many of x as of y")


@pytest.mark.parametrize("t", [0.01, 1.0, 100.0])
def test_displacement_in_far_tails_and_deep_valleys(t):
    """Where the density is below e^-300: one Gaussian in closed form, of two the one that lies nearer for its width,
    and the middle of a symmetric pair, to which everything between the two is sent."""
    x = np.array([-300.0, -30.0, -8.0, 25.0, 700.0])
    one, pair = LineMixture([0.0], [0.1], [1.0]), LineMixture([-3.0, 3.0], [0.1, 0.1], [0.5, 0.5])
    stretch = t / (np.sqrt(0.01 + t) + 0.1) / 0.1
    np.testing.assert_allclose(one.displacement(x, t), x * stretch, rtol=1e-12)
    if t < 1:
        np.testing.assert_allclose(pair.displacement(x, t), (x - 3 * np.sign(x)) * stretch, rtol=1e-6)
    else:
        assert np.abs(pair.displacement(np.array([-0.5, 0.5]), t) + [-0.5, 0.5]).max() < 1e-9
    wide = LineMixture([0.0, 0.0], [1e-3, 1.0], [0.5, 0.5])
    np.testing.assert_allclose(wide.displacement(np.array([-30.0]), 1.0), [-30 * (np.sqrt(2) - 1)], rtol=1e-3)
