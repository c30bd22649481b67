"""Geodesics against the half-space's closed form, differences of the energy, and their constraints."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from phasebook.mixtures.spacetime import half_space
from phasebook.paths import geodesic as module
from phasebook.paths.denoiser import Boltzmann
from phasebook.paths.geodesic import Region, curve_of, geodesic, half_circle, laid_out, measured, tether
from phasebook.paths.potential import FORMULAS, of_formula

LINE = np.linspace(-8, 8, 121)
GAUSSIAN = Boltzmann.of_log(LINE, LINE, -(LINE[:, None] ** 2 + LINE**2) / 2)
WELLS = Boltzmann.of(of_formula(*FORMULAS["double_well"]), 2.0, 64)
ENDS = curve_of(np.array([4.0, 4.0]), np.array([[-1.0, 0.1], [1.0, 0.0]]))


def overlaps(law, eta, star):
    A, middle = law.moments(eta)[2], law.moments((eta + star) / 2)[2]
    return np.exp(middle - (A + law.moments(star[None])[2]) / 2)


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
    allowed = overlaps(WELLS, bounded.eta, star).max() / 2
    around = geodesic(WELLS, bounded.eta, 20, least=1.5, region=Region(star, allowed))
    assert overlaps(WELLS, around.eta, star).max() < 1.1 * allowed
    assert around.energy > bounded.energy


def test_a_curve_laid_out_anew_has_even_steps_between_the_same_ends():
    curve = measured(WELLS, tether(np.array([[-1.0, 0.1], [1.0, 0.0]]), 2.0, 60))
    eta = laid_out(WELLS, curve, 40)
    assert np.allclose(eta[[0, -1]], curve.eta[[0, -1]])
    parts = (np.diff(eta, axis=0) * np.diff(WELLS.moments(eta)[0], axis=0)).sum(1)
    assert np.ptp(np.sqrt(parts)) < 0.2 * np.sqrt(parts).mean()
