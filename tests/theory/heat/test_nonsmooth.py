"""Theorem B.1 at corners: orders and constants, units, what cannot be judged, and the threshold."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import gamma

from phasebook.theory.heat import gaussians
from phasebook.theory.heat.corners import SplitNormal, TwoExponentials
from phasebook.theory.heat.expansion import slope
from phasebook.theory.heat.nonsmooth import (
    bernoulli_density,
    bernoulli_fit,
    bernoulli_grad_q_norm,
    c4_remainders,
    corner_error,
    corner_fit,
)
from phasebook.theory.heat.torus import TorusDensity, grid_points, mean_norm
from tests.builders import refuses

LAPLACE = TwoExponentials(1.0, 1.0)


@pytest.mark.parametrize(("rho", "order"), [
    (LAPLACE, 1.25), (TwoExponentials(100.0, 0.3), 1.25), (TwoExponentials(1.0, 1.0, 0.2), 0.75),
    (TwoExponentials(2.0, 1.0, 0.999), 0.75), (SplitNormal(1.0, 2.0), 1.75), (SplitNormal(10.0, 1.0), 1.75)])
def test_orders_and_constants(rho, order):
    fit = corner_fit(rho, order)
    assert fit.order == pytest.approx(order, abs=5e-3)
    assert fit.ratio == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("size", [1e-3, 1e3])
def test_units(size):
    """A density in other units: errors scale as lengths."""
    small, wide = TwoExponentials(1.0, 2.0, 0.4), TwoExponentials(1 / size, 2 / size, 0.4)
    assert corner_error(wide, 1e-5 * size**2) == pytest.approx(size * corner_error(small, 1e-5), rel=1e-6)


def test_what_cannot_be_judged_is_not():
    assert corner_fit(TwoExponentials(1.0, 1.0, 0.5), 0.75) is None           # no jump
    assert corner_fit(TwoExponentials(1.0, 1.0, 0.49999), 0.75) is None       # too faint
    assert corner_fit(SplitNormal(1.0, 1.0), 1.75) is None                    # a Gaussian
    assert corner_fit(SplitNormal(1.0, 1.01), 1.75) is None


def test_a_gaussian_has_order_two():
    """The code for corners on the Gaussian, against its closed form."""
    eps = np.array([1e-3, 1e-2])
    errors = [corner_error(SplitNormal(1.3, 1.3), e) for e in eps]
    assert errors == pytest.approx([gaussians.map_error(1.69, e) for e in eps], rel=1e-6)
    assert slope(eps, errors) == pytest.approx(2, abs=5e-3)


def test_threshold():
    """grad Q in L2 though the third derivative jumps: order 2, constant ||grad Q|| / 8 by the Bernoulli polynomial."""
    rho, x = bernoulli_density(2000), grid_points(8192, 1)
    assert mean_norm(rho.grad_q(x), rho(x)) == pytest.approx(bernoulli_grad_q_norm(), rel=3e-4)
    fit = bernoulli_fit(modes=400, points=1600)
    assert fit.order == pytest.approx(2, abs=5e-3) and fit.ratio == pytest.approx(1, abs=1e-3)


def test_remainders_of_a_density_that_is_c4_and_no_smoother():
    """(18) against its Mellin transform, `int h^(s - 1) (e^-h - 1 + h - h^2 / 2) dh = Gamma(s)` at s = -2.05; (24)
    against the same density by its modes one by one."""
    times = np.array([1e-5, 1e-4, 1e-3])
    taylor, velocity = c4_remainders(times, 8192)
    assert taylor == pytest.approx(abs(gamma(-2.05)) / 4 * (times / 2) ** 2.05, rel=1e-5)
    assert slope(times, velocity) == pytest.approx(1.8, abs=0.01)
    k, x = np.arange(1.0, 513), grid_points(2048, 1)
    rho = TorusDensity(k[:, None], k**-5.1 / 2, np.zeros(512))
    left = (rho.score(x) - rho.heat(1e-3).score(x)) / 2 + 1e-3 / 4 * rho.grad_ratio(x)
    assert velocity[2] == pytest.approx(mean_norm(left, rho(x)), rel=1e-3)


def test_errors_take_heat_times():
    """No heat time would leave panels without a width, and a search for their end without one."""
    for eps in (0.0, -1.0, np.nan):
        refuses(lambda eps=eps: corner_error(LAPLACE, eps), f"eps = {eps}: takes a heat time > 0")
    refuses(lambda: corner_fit(LAPLACE, 1.25, 1), "points = 1: takes a whole number >= 2")
    refuses(lambda: bernoulli_density(0), "modes = 0: takes a whole number >= 1")
    for epsilons in ([1e-4], [], [1e-3, 1e-4], [0.0, 1e-4]):
        refuses(lambda e=epsilons: bernoulli_fit(e), "epsilons = ", "takes ascending heat times > 0, two at least")
    for times in ([0.0], [-1e-5, 1e-5], [[1e-5]]):
        refuses(lambda t=times: c4_remainders(t), "times = ", "takes heat times > 0")
    refuses(lambda: c4_remainders([1e-5], 0), "modes = 0: takes a whole number >= 1")


@pytest.mark.parametrize("rho, eps", [(TwoExponentials(2.0, 0.5, 0.3), 0.1), (TwoExponentials(1.0, 1.0, 0.3), 1e-5),
                                      (TwoExponentials(1.0, 3.0), 0.5), (SplitNormal(1.0, 2.0), 0.01)])
def test_error_where_the_map_crosses_the_corner_beside_it(rho, eps):
    """The score jumps where the source is 0: by adaptive quadrature on both sides of that place."""
    def source(y):
        return float(rho.preimage(np.array([y]), eps)[0])

    def density_of_error(y):
        x = source(y)
        return float(rho.density(np.array([y]), eps)[0]) * (y - x + eps / 2 * float(rho.score(np.array([x]))[0])) ** 2

    layer = np.sqrt(eps)
    crossing = brentq(source, -9 * layer, 9 * layer, xtol=1e-16)
    cuts = crossing + layer * np.r_[-np.geomspace(1e-3, 1e3, 25)[::-1], 0, np.geomspace(1e-3, 1e3, 25)]
    cuts = np.clip(cuts, -40 * rho.lengths[0] - 12 * layer, 40 * rho.lengths[1] + 12 * layer)
    found = corner_error(rho, eps)
    tiny, sides = 1e-10 * found**2, zip(cuts[:-1], cuts[1:], strict=True)
    square = sum(quad(density_of_error, *side, epsabs=tiny, epsrel=1e-9)[0] for side in sides if side[1] > side[0])
    assert found == pytest.approx(np.sqrt(square), rel=1e-8)
