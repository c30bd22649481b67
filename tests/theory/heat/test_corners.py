"""Densities with a corner: closed maps against root finding on convolutions, constants against their definitions."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erfc
from scipy.stats import norm as normal

from phasebook.theory.heat.corners import SplitNormal, TwoExponentials, corner_constant, jump_constant
from tests.builders import refuses

LAPLACE = TwoExponentials(1.0, 1.0)
DENSITIES = [LAPLACE, TwoExponentials(0.5, 2.0, 0.7), SplitNormal(0.6, 1.5)]


def raw_density(rho, x):
    """The density at heat time 0, written out."""
    p, q = rho.masses
    if isinstance(rho, TwoExponentials):
        return p * rho.left * np.exp(rho.left * x) if x < 0 else q * rho.right * np.exp(-rho.right * x)
    return 2 * p * normal.pdf(x, scale=rho.left) if x < 0 else 2 * q * normal.pdf(x, scale=rho.right)


@pytest.mark.parametrize("rho", DENSITIES)
def test_heat_flow_is_the_convolution(rho):
    for x in (-1.3, -0.1, 0.0, 0.4, 2.0):
        value, _ = quad(lambda y, x=x: raw_density(rho, y) * normal.pdf(x - y, scale=0.3), -30, 30,
                        points=[0, x], limit=400, epsabs=1e-13)
        assert rho.density(np.array([x]), 0.09)[0] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("rho", DENSITIES)
def test_preimage_solves_the_quantile_equation(rho):
    """F(T^-1(y)) = F_t(y), both distribution functions by quadrature."""
    def below(density, x):
        parts = [quad(density, a, b, limit=400, epsabs=1e-13)[0] for a, b in ((-40, min(x, 0.0)), (min(x, 0.0), x))]
        return sum(parts)

    for y in (-1.0, 0.05, 1.2):
        level = below(lambda x: rho.density(np.array([x]), 0.09)[0], y)
        x = brentq(lambda v, c=level: below(lambda u: raw_density(rho, u), v) - c, -20, 20, xtol=1e-12)
        assert rho.preimage(np.array([y]), 0.09)[0] == pytest.approx(x, abs=1e-7)


def test_kink_constant_of_laplace():
    """The closed form, the printed digits, and the double integral that defines it."""
    closed = np.sqrt((7 * np.sqrt(2) - 8) / (15 * np.sqrt(np.pi)))
    assert LAPLACE.leading().constant == pytest.approx(closed, rel=1e-12)
    assert closed == pytest.approx(0.2672920, abs=5e-8)

    def layer(y):
        return quad(lambda tau: erfc(y / np.sqrt(tau)), 0, 1, epsabs=1e-12)[0]

    square, _ = quad(lambda y: layer(y) ** 2, 0, 7, epsabs=1e-10)
    assert closed == pytest.approx(np.sqrt(np.sqrt(2) / 4 * square), rel=1e-7)


def test_bend_constant_by_its_definition():
    """k = 2: the error in the layer is (J/4) int_0^1 sqrt(2 tau) ierfc(y / sqrt(2 tau)) dtau, integrated directly."""
    def ierfc(y):
        return np.exp(-(y**2)) / np.sqrt(np.pi) - y * erfc(y)

    def layer(x):
        return quad(lambda tau: np.sqrt(2 * tau) * ierfc(x / np.sqrt(2 * tau)), 0, 1, epsabs=1e-12)[0] / 4

    square = 2 * quad(lambda x: layer(x) ** 2, 0, 10, epsabs=1e-12)[0]
    assert corner_constant(2, 1.0, 1.0) == pytest.approx(np.sqrt(square), rel=1e-7)


def test_jump_constant_against_monotone_rearrangement():
    """The layer by brute force: cumulated masses of a step and of a smoothed step, matched by interpolation."""
    a, b = 0.2, 0.8
    y = np.linspace(-12, 12, 400001)
    step = np.where(y < 0, a, b)
    smooth = a + (b - a) * normal.cdf(y)
    masses = [np.concatenate([[0.0], np.cumsum((d[1:] + d[:-1]) / 2 * np.diff(y))]) for d in (step, smooth)]
    came = np.interp(masses[1], masses[0], y)
    inner = np.abs(y) < 11
    brute = np.sqrt(np.trapezoid(((y - came) ** 2 * smooth)[inner], y[inner]))
    assert jump_constant(a, b) == pytest.approx(brute, rel=1e-3)
    assert jump_constant(0.0, 1.0) == pytest.approx(jump_constant(1.0, 0.0), rel=1e-12)
    assert jump_constant(2 * a, 2 * b) == pytest.approx(np.sqrt(2) * jump_constant(a, b), rel=1e-12)


def test_what_is_no_corner():
    for make, words in ((lambda: TwoExponentials(-1.0, 1.0), "left = -1.0: takes a number > 0"),
                        (lambda: TwoExponentials(1.0, 1.0, 1.0), "left_mass = 1: takes a mass in (0, 1)"),
                        (lambda: TwoExponentials(1.0, 1.0, 0.0), "left_mass = 0.0: takes"),
                        (lambda: SplitNormal(1.0, np.nan), "right = nan: takes a number > 0"),
                        (lambda: LAPLACE.density(np.zeros(1), 0.0), "t = 0.0: takes a heat time > 0"),
                        (lambda: LAPLACE.preimage(np.zeros(1), -1.0), "t = -1.0: takes a heat time > 0"),
                        (lambda: corner_constant(3, 1.0, 1.0), "k = 3: takes a whole number from 1 to 2"),
                        (lambda: corner_constant(1, -1.0, 1.0), "height = -1.0"),
                        (lambda: jump_constant(-1.0, 1.0), "a = -1.0: takes a density >= 0")):
        refuses(make, words)


@pytest.mark.parametrize("a, b", [(1.0, 2.0), (5.0, 3.0), (1e-3, 1.0)])
def test_jump_constant_by_adaptive_quadrature(a, b):
    def came(y):
        return a * y + (b - a) * (y * normal.cdf(y) + normal.pdf(y))

    def square(y):
        return (y - came(y) / (a if came(y) < 0 else b)) ** 2 * (a * normal.sf(y) + b * normal.cdf(y))

    bend = brentq(came, -10, 10, xtol=1e-15)
    parts = [quad(square, *side, epsabs=0, epsrel=1e-12, limit=400)[0] for side in ((-12, bend), (bend, 12))]
    assert jump_constant(a, b) == pytest.approx(np.sqrt(sum(parts)), rel=1e-10)
