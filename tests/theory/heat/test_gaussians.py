"""Gaussians: closed forms against SymPy."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from phasebook.theory.heat import gaussians
from phasebook.theory.heat.interpolation import gaussian_sweep
from tests.builders import refuses


def test_sharp_constants_symbolically():
    """(12), (13) for N(0, diag(s1, s2)): the leading coefficients are ||grad Q|| / 32 and / 8, in SymPy."""
    s1, s2, eps, t = sp.symbols("s1 s2 epsilon t", positive=True)
    x = sp.symbols("x1 x2", real=True)
    variances = (s1, s2)
    log_rho = -sum(y**2 / (2 * s) for y, s in zip(x, variances, strict=True))
    q = sum(sp.diff(log_rho, y, 2) + sp.diff(log_rho, y) ** 2 / 2 for y in x)
    # second moments replace x_i^2 by s_i; grad Q is linear in x
    square = sum(sp.diff(q, y) ** 2 for y in x).expand().subs({x[0] ** 2: s1, x[1] ** 2: s2})
    assert sp.simplify(square - s1**-3 - s2**-3) == 0
    error = sum(s * (sp.sqrt(1 + eps / s) - 1 - eps / (2 * s)) ** 2 for s in variances)
    assert sp.simplify(sp.series(error, eps, 0, 5).removeO().coeff(eps, 4) - square / 64) == 0
    chord = [sp.sqrt(s + t * eps) - ((1 - t) * sp.sqrt(s) + t * sp.sqrt(s + eps)) for s in variances]
    gap = sp.series(sum(c**2 for c in chord), eps, 0, 5).removeO().coeff(eps, 4)
    assert sp.simplify(gap - (t * (1 - t) / 8) ** 2 * square) == 0
    assert sp.simplify(gap.subs(t, sp.Rational(1, 2)) - square / 32**2) == 0


def test_acceleration_symbolically():
    """d/dt along the flow of v_t = x / (2 (s + t)) is -grad Q / 4."""
    s, t, x = sp.symbols("s t x", positive=True)
    v = x / (2 * (s + t))
    grad_q = x / (s + t) ** 2
    assert sp.simplify(sp.diff(v, t) + v * sp.diff(v, x) + grad_q / 4) == 0


def test_jko_symbolically():
    """One JKO step from N(0, s) is stationary for the functional, and misses the heat flow by tau^2 / (8 s^{3/2})."""
    s, tau, r = sp.symbols("s tau r", positive=True)
    step = (sp.sqrt(s) + sp.sqrt(s + 2 * tau)) / 2
    functional = (r - sp.sqrt(s)) ** 2 / (2 * tau) - sp.log(r) / 2
    assert sp.simplify(sp.diff(functional, r).subs(r, step)) == 0
    gap = sp.series(sp.sqrt(s + tau) - step, tau, 0, 3).removeO()
    assert sp.simplify(gap - tau**2 / (8 * s ** sp.Rational(3, 2))) == 0


@pytest.mark.parametrize(("s", "tau", "steps"), [(1.3, 0.2, 1), (0.5, 1.0, 64), (1.0, 1e-9, 4), (1e-9, 1.0, 3)])
def test_the_jko_gap_keeps_its_digits(s, tau, steps):
    """Against the recursion in fifty digits, where the two deviations agree in twenty of them too."""
    with mp.workdps(50):
        h, v = mp.mpf(tau) / steps, mp.mpf(s)
        for _ in range(steps):
            v = (mp.sqrt(v) + mp.sqrt(v + 2 * h)) ** 2 / 4
        exact = float(mp.sqrt(mp.mpf(s) + mp.mpf(tau)) - mp.sqrt(v))
    assert gaussians.jko_gap(s, tau, steps) == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("eps", [1e-3, 1e-9, 1e-15])
def test_the_widest_gap_is_where_the_deviation_is_the_mean_of_its_ends(eps):
    s = 1.7
    with mp.workdps(60):
        a, b = mp.sqrt(mp.mpf(s)), mp.sqrt(mp.mpf(s) + mp.mpf(eps))
        t = ((a + b) / 2) ** 2 - mp.mpf(s)
        exact = float((a + b) / 2 - (a + t / mp.mpf(eps) * (b - a)))
    assert gaussian_sweep(s, [eps]).w2[0] == pytest.approx(exact, rel=1e-9)


def test_a_jko_gap_takes_a_step():
    for steps in (0, 2.5):
        refuses(lambda steps=steps: gaussians.jko_gap(1.0, 0.1, steps), f"steps = {steps}: takes a whole number >= 1")


def test_against_high_precision():
    s, eps = sp.Rational(7, 10), sp.Rational(1, 10**6)
    exact = sp.sqrt(s) * (1 + eps / (2 * s) - sp.sqrt(1 + eps / s))
    assert gaussians.map_error(0.7, 1e-6, 1) == pytest.approx(float(sp.N(exact, 40)), rel=1e-12)
    t = eps / 3
    gap = sp.sqrt(s + t) - sp.Rational(2, 3) * sp.sqrt(s) - sp.sqrt(s + eps) / 3
    assert gaussians.interpolation_gap(0.7, 1e-6 / 3, 1e-6) == pytest.approx(float(sp.N(gap, 40)), rel=1e-10)


@pytest.mark.parametrize(("s", "d"), [(0.3, 1), (2.0, 1), (0.8, 7)])
def test_sweep_meets_the_constants(s, d):
    sweep = gaussian_sweep(s, [1e-6, 1e-5, 0.5], d)
    size = np.sqrt(d) * s**-1.5
    assert sweep.map_error[0] / (1e-12 / 8 * size) == pytest.approx(1, abs=1e-5)
    assert sweep.w2[0] / (1e-12 / 32 * size) == pytest.approx(1, abs=1e-5)
    t = np.linspace(0, 0.5, 20001)
    assert sweep.w2[2] == pytest.approx(gaussians.interpolation_gap(s, t, 0.5, d).max(), rel=1e-8)


def test_what_is_no_gaussian_and_no_step_is_refused():
    refuses(lambda: gaussians.map_error(0, 1.0), "s = 0: takes a variance > 0")
    refuses(lambda: gaussians.map_error(1.0, -2.0), "eps = -2.0: takes a heat time >= -1")
    refuses(lambda: gaussians.map_error(1.0, 1.0, 0), "d = 0")
    refuses(lambda: gaussians.interpolation_gap(1.0, 2.0, 1.0), "t, eps = 2.0, 1.0: take times in [0, eps]")
    refuses(lambda: gaussians.interpolation_gap(1.0, 0.0, 0.0), "eps > 0")
    refuses(lambda: gaussians.jko_gap(1.0, -1.0, 3), "tau = -1.0: takes a heat time >= 0")
    assert gaussians.map_error(1.0, -1.0) == pytest.approx(0.5)
