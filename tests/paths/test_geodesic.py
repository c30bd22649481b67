"""Geodesics against the half-space's closed form, differences of the energy, and their constraints."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize

from phasebook.mixtures.spacetime import half_space
from phasebook.paths import geodesic as module
from phasebook.paths.denoiser import Boltzmann
from phasebook.paths.geodesic import Region, curve_of, geodesic, half_circle, laid_out, measured, tether
from phasebook.paths.potential import FORMULAS, of_formula
from tests.builders import refuses

LINE = np.linspace(-8, 8, 121)
GAUSSIAN = Boltzmann.of_log(LINE, LINE, -(LINE[:, None] ** 2 + LINE**2) / 2)
WELLS = Boltzmann.of(of_formula(*FORMULAS["double_well"]), 2.0, 64)
ENDS = curve_of(np.array([4.0, 4.0]), np.array([[-1.0, 0.1], [1.0, 0.0]]))


def overlaps(law, eta, star):
    """By the nodes' masses: the sum of the roots of their products."""
    other = law.posterior(star)
    return np.array([np.sqrt(law.posterior(z) * other).sum() for z in eta])


@pytest.mark.parametrize("method", ["L-BFGS-B", "CG"])
def test_a_gaussian_energy_has_the_half_spaces_distance(method):
    s, y = 0.4, 0.8
    k = 1 / s**2 - 1
    ends = curve_of(np.full(2, np.log(k)), np.array([[-y, 0.0], [0.0, y]]) * (k + 1) / k)
    straight = ends[0] + np.linspace(0, 1, 48)[:, None] * (ends[1] - ends[0])
    exact = half_space.level_distance(np.sqrt(2) * y, s, 2)
    assert measured(GAUSSIAN, straight).length > 1.01 * exact
    assert geodesic(GAUSSIAN, straight, 48, method=method).length == pytest.approx(exact, rel=1e-3)
    assert measured(GAUSSIAN, half_circle(GAUSSIAN, ends, 48)).length == pytest.approx(exact, rel=1e-3)


def test_the_gradient_is_that_of_energy_and_penalties():
    star = Region(curve_of(np.array([3.0]), np.array([[0.0, 0.0]]))[0], 1e-3)
    z = WELLS.chart.of_eta(tether(np.array([[-1.0, 0.1], [1.0, 0.0]]), 2.0, 5))
    low = WELLS.chart.level(np.exp(2.2))

    def cost(v):
        return module._energy(WELLS, v.reshape(z.shape), low, star, 7.0)[0]

    numeric = approx_fprime(z.ravel(), cost, 1e-7).reshape(z.shape)
    assert np.allclose(module._energy(WELLS, z, low, star, 7.0)[1], numeric, rtol=1e-3, atol=1e-2)


def test_constraints_are_kept_and_cost_energy():
    start = half_circle(WELLS, ENDS, 20)
    free = geodesic(WELLS, start, 20)
    bounded = geodesic(WELLS, start, 20, least=1.5)
    assert free.log_snr.min() < 1.0 and bounded.log_snr.min() >= 1.5 - 1e-6
    assert bounded.energy > free.energy
    star = bounded.eta[10]
    allowed = 0.6                                           # the ends have 0.45 and 0.54
    around = geodesic(WELLS, bounded.eta, 20, least=1.5, region=Region(star, allowed))
    assert overlaps(WELLS, around.eta, star).max() < 1.1 * allowed
    assert around.overlap == pytest.approx(overlaps(WELLS, around.eta, star).max(), rel=1e-6)
    assert around.energy > bounded.energy


def test_a_curve_laid_out_anew_has_even_steps_between_the_same_ends():
    curve = measured(WELLS, tether(np.array([[-1.0, 0.1], [1.0, 0.0]]), 2.0, 60))
    eta = laid_out(WELLS, curve, 40)
    assert np.allclose(eta[[0, -1]], curve.eta[[0, -1]])
    parts = (np.diff(eta, axis=0) * np.diff(WELLS.moments(eta)[0], axis=0)).sum(1)
    assert np.ptp(np.sqrt(parts)) < 0.2 * np.sqrt(parts).mean()


def test_the_unit_of_the_data_does_not_matter():
    """In degrees the chart's coordinates are large; the search is the same."""
    unit = 180 / np.pi * 10
    far = Boltzmann.of_log(WELLS.x * unit, WELLS.y * unit, np.log(WELLS.mass))
    ends = ENDS / np.array([unit, unit, unit**2])
    near, wide = (geodesic(law, half_circle(law, e, 20), 20) for law, e in ((WELLS, ENDS), (far, ends)))
    assert wide.energy == pytest.approx(near.energy, rel=1e-4)
    assert wide.energy < 0.99 * measured(far, half_circle(far, ends, 20)).energy


def test_a_search_says_whether_it_has_converged(monkeypatch):
    start = tether(np.array([[-1.0, 0.1], [1.0, 0.0]]), 4.0, 20)
    assert np.isnan(measured(WELLS, start).gain) and geodesic(WELLS, start, 20).gain < 1e-3
    stuck = module._minimised(WELLS, WELLS.chart.of_eta(start), -40.0, None, 1.0, "L-BFGS-B")
    monkeypatch.setattr(module, "FAR", 0.0)                  # no step is allowed
    assert module._minimised(WELLS, WELLS.chart.of_eta(start), -40.0, None, 1.0, "L-BFGS-B")[1] > max(0.05, stuck[1])


def test_a_region_at_an_end_cannot_be_avoided():
    with pytest.raises(ValueError, match="region: the ends overlap it by 1 and .*; takes at most the overlap = 0.01"):
        geodesic(WELLS, half_circle(WELLS, ENDS, 20), 20, region=Region(ENDS[0], 0.01))


def test_a_bound_that_binds_does_not_jam_the_search():
    """The penalty's curvature is in the preconditioner: both optimisers end at one energy, from two starts."""
    ends = curve_of(np.array([0.5, 0.5]), np.array([[-1.0, 0.1], [1.0, 0.0]]))
    one = geodesic(WELLS, half_circle(WELLS, ends, 24), 24, least=0.2)
    two = geodesic(WELLS, tether(np.array([[-1.0, 0.1], [1.0, 0.0]]), 0.5, 24), 24, least=0.2, method="CG")
    assert one.log_snr.min() == pytest.approx(0.2) and max(one.gain, two.gain) < 1e-4
    assert one.energy == pytest.approx(two.energy, rel=1e-5)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_polygons_of_few_points_are_least(n):
    """Of no, one and two inner points, against SciPy's minimum of the energy over them."""
    start = half_circle(WELLS, ENDS, 9)
    chart, inner = WELLS.chart, half_circle(WELLS, ENDS, n)[1:-1]

    def energy(v):
        z = np.concatenate([chart.of_eta(ENDS[:1]), v.reshape(-1, 3), chart.of_eta(ENDS[1:])])
        return module._energy(WELLS, z, -40.0, None, 0.0)[0] / (n - 1)

    v = chart.of_eta(inner).ravel()
    least = minimize(energy, v, method="Nelder-Mead", options={"maxfev": 20_000, "fatol": 1e-10}).fun if n > 2 \
        else energy(v)
    assert geodesic(WELLS, start, n).energy == pytest.approx(least, rel=1e-3)


def test_what_is_no_curve():
    start = half_circle(WELLS, ENDS, 9)
    for call, words in ((lambda: geodesic(WELLS, start, 1), "n = 1: takes a whole number >= 2"),
                        (lambda: geodesic(WELLS, start[:, :2], 9), "start: shape (9, 2); takes natural parameters"),
                        (lambda: geodesic(WELLS, start * np.nan, 9), "start: NaN or Inf at [0, 0]"),
                        (lambda: geodesic(WELLS, start * [1, 1, -1], 9), "start: k = -5"),
                        (lambda: geodesic(WELLS, start[[0, 3, 0]], 9), "start: both ends are the same"),
                        (lambda: half_circle(WELLS, -ENDS, 9), "ends: k = -5"),
                        (lambda: measured(WELLS, start[:0]), "eta: shape (0, 3)"),
                        (lambda: laid_out(WELLS, measured(WELLS, start[:1]), 9), "curve: of length 0"),
                        (lambda: laid_out(WELLS, measured(WELLS, start), 0), "n = 0: takes a whole number >= 1")):
        refuses(call, words)
