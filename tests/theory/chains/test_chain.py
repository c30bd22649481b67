"""Chains of Brenier maps and JKO steps: order by regression, constants predicted, closed forms."""

import numpy as np
import pytest
from scipy.optimize import minimize

from phasebook.theory.chains.chain import (
    chain_displacement,
    chain_error,
    chain_sweep,
    circle_predicted,
    limit,
    links,
    predicted,
    torus_flow,
)
from phasebook.theory.chains.jko import jko_second
from phasebook.theory.heat import gaussians
from phasebook.theory.heat.expansion import slope, torus_expansion
from phasebook.theory.heat.line import LineMixture, norm, quadrature
from phasebook.theory.heat.monge_ampere import brenier
from phasebook.theory.heat.spectral import spectral
from phasebook.theory.heat.torus import TorusDensity, grid_points, mean_norm
from tests.builders import refuses

MODES = [[1, 0, 0.3, 0.0], [0, 1, 0.2, 0.5], [1, 1, 0.2, 1.0], [2, -1, 0.1, 0.3]]
CIRCLE = [[1, 0.4, 0.0], [2, 0.3, 1.0], [3, 0.15, 0.3]]


@pytest.mark.parametrize(("rows", "d", "n"), [(MODES, 2, 64), (CIRCLE, 1, 128)])
def test_local_constant(rows, d, n):
    """Flow map minus Brenier map = eps^3 ||w||."""
    rho, eps = TorusDensity.from_rows(rows, d), 1e-3
    flow = torus_flow(rho, eps, n).reshape(*[n] * d, d)
    gap = mean_norm(flow - brenier(rho, eps, n).displacement, rho(grid_points(n, d)))
    assert gap / (eps**3 * torus_expansion(rho, n).local) == pytest.approx(1, abs=5e-3)


def test_chain_on_the_torus():
    rho, tau, n = TorusDensity.from_rows(MODES), 0.5, 64
    constants, flow = predicted(rho, tau, n), torus_flow(rho, tau, n)
    many = np.array([8, 16])
    errors = np.array([chain_error(rho, tau, k, n, flow) for k in many])
    assert slope(many, errors) == pytest.approx(-2, abs=0.01)
    assert many[-1] ** 2 * errors[-1] / constants.forward == pytest.approx(1, abs=1e-3)


def test_chain_on_the_circle_both_ways():
    rho, tau, n = TorusDensity.from_rows(CIRCLE, 1), 0.5, 128
    constants = predicted(rho, tau, n)
    for start, signed, predicted_limit in ((rho, tau, constants.forward), (rho.heat(tau), -tau, constants.backward)):
        many = np.array([16, 32, 64])
        errors = np.array([chain_error(start, signed, k, n) for k in many])
        assert slope(many, errors) == pytest.approx(-2, abs=0.01)
        assert many[-1] ** 2 * errors[-1] / predicted_limit == pytest.approx(1, abs=1e-3)


def test_backward_chain_inverts_the_forward_one():
    rho, tau, n = TorusDensity.from_rows(CIRCLE, 1), 0.5, 128
    x = grid_points(n, 1)
    there = chain_displacement(rho, tau, 3, n)
    flow, flow_back = torus_flow(rho, tau, n), torus_flow(rho.heat(tau), -tau, n)
    ops = spectral(n, 1)
    assert there + ops.at(chain_displacement(rho.heat(tau), -tau, 3, n), x + there) == pytest.approx(0 * x, abs=1e-10)
    assert flow + ops.at(flow_back, x + flow) == pytest.approx(0 * x, abs=1e-10)


def test_symmetric_circle_and_stripes_have_no_gap():
    """Where the density is even, the flow map is the Brenier map."""
    even = TorusDensity.from_rows([[1, 0.4, 0.0], [2, 0.3, 0.0]], 1)
    assert predicted(even, 0.5, 128).forward < 1e-14
    assert chain_error(even, 0.5, 1, 128) < 1e-11


@pytest.mark.parametrize(("rows", "d", "n"), [
    (MODES, 2, 64), ([[1, 0, 0.6, 0.0], [0, 2, 0.25, 0.5]], 2, 128), (CIRCLE, 1, 128)])
def test_jko_constant(rows, d, n):
    """One JKO step misses the heat flow by (tau^2/8) ||grad Q||, order 2."""
    rho = TorusDensity.from_rows(rows, d)
    taus = np.array([1e-5, 1e-4])
    weight = rho(grid_points(n, d))
    gaps = [mean_norm(jko_second(rho, t, n) - brenier(rho, t, n).second, weight) for t in taus]
    assert gaps[0] / (taus[0] ** 2 / 8 * torus_expansion(rho, n).grad_q_norm) == pytest.approx(1, abs=1e-3)
    assert slope(taus, gaps) == pytest.approx(2, abs=2e-3)


def test_jko_step_minimises():
    """On the circle at a large tau: no better map among many, by SciPy on the functional in Fourier coordinates."""
    rho, tau, n = TorusDensity.from_rows([[1, 0.5, 0.3], [2, 0.2, 1.0]], 1), 0.4, 48
    x = grid_points(n, 1)[:, 0]
    weight = rho(x[:, None])
    waves = np.arange(1, 12)
    basis = np.concatenate([np.cos(np.outer(waves, x)), np.sin(np.outer(waves, x))])
    square = np.concatenate([waves, waves]) ** 2
    slopes = np.concatenate([-waves[:, None] * np.sin(np.outer(waves, x)), waves[:, None] * np.cos(np.outer(waves, x))])

    def functional(a):
        stretch = 1 - (a * square) @ basis
        if stretch.min() <= 0:
            return 1e3
        return np.mean(weight * ((a @ slopes) ** 2 / (2 * tau) - np.log(stretch) / 2))

    least = minimize(functional, np.zeros(22), method="BFGS", options={"gtol": 1e-8})
    displacement = jko_second(rho, tau, n)[:, 0] - tau / 2 * rho.score(x[:, None])[:, 0]
    assert displacement == pytest.approx(least.x @ slopes, abs=1e-5)


def test_jko_gaussian_recursion_is_first_order():
    """n JKO steps to heat time 1 from N(0, 1/2): the standard deviation converges with order 1."""
    many = np.array([64, 128, 256])
    errors = np.array([gaussians.jko_gap(0.5, 1.0, k) for k in many])
    assert slope(many, errors) == pytest.approx(-1, abs=0.02)
    assert many[-1] * errors[-1] == pytest.approx(np.log(3) / (8 * np.sqrt(1.5)), rel=1e-2)


def test_chain_on_the_line_is_exact():
    rho = LineMixture([-1.5, 1.0], [0.7, 0.5], [0.4, 0.6])
    x, w = quadrature(rho)
    y = x.copy()
    for j in range(4):
        y = y + rho.heat(j * 0.1).displacement(y, 0.1)
    assert norm(y - x - rho.displacement(x, 0.4), w) < 1e-12


def test_jko_step_of_a_long_step_and_high_contrast():
    """Where the first-order map is not even convex, damping finds the minimiser: the optimality condition holds."""
    rho, tau, n = TorusDensity.from_rows([[1, 0, 0.6, 0.0], [0, 2, 0.25, 0.5], [1, 3, 0.12, 1.0]]), 0.3, 128
    ops, x = spectral(n, 2), grid_points(n, 2)
    u = jko_second(rho, tau, n) - tau / 2 * rho.score(x)
    stretch = np.linalg.det(np.eye(2) + ops.jacobian(u))
    log_image = np.log(rho(x) / stretch)                    # log of the end density, at the image points
    inverse = np.linalg.inv(np.eye(2) + ops.jacobian(u))
    end_score = np.einsum("...ji,...j->...i", inverse, ops.gradient(log_image))
    assert u == pytest.approx(-tau / 2 * end_score, abs=2e-3)


def test_links_and_limit():
    enough = links([1, 4, 8, 16], tau=0.5, kappa=1.0)
    assert enough.n[enough.usable].tolist() == [8, 16] and "pre-asymptotic" in enough.remark
    few = links([2], tau=0.5, kappa=1.0)
    assert few.n.tolist() == [2, 8, 16] and few.remark.startswith("WARNING")
    long = links([1, 64, 128], tau=4.0, kappa=17.05)           # ten links a time scale are 682
    assert long.n.tolist() == [1, 64, 128] and not long.usable.any() and "two n_steps of 682 or more" in long.remark
    assert links([512, 1024], tau=4.0, kappa=17.05).usable.tolist() == [False, True]
    n = np.array([8, 16, 32])
    assert limit(n, 3 / n**2 + 5 / n**4) == pytest.approx(3, rel=1e-12)


def test_circle_constants_in_closed_form():
    """Trajectories integrated against the formula without any; and a chain against both."""
    rho, tau, n = TorusDensity.from_rows(CIRCLE, 1), 0.5, 128
    closed = circle_predicted(rho, tau, n)
    assert closed == pytest.approx(predicted(rho, tau, n), rel=1e-9)
    chain = chain_sweep(rho, tau, [16, 32], n)
    assert limit(chain.n, chain.forward) / closed.forward == pytest.approx(1, abs=1e-5)
    assert limit(chain.n, chain.backward) / closed.backward == pytest.approx(1, abs=1e-5)


def test_sweep_leaves_out_what_does_not_converge():
    rough = TorusDensity(np.array([[1.0, 0.0], [0.0, 9.0]]), np.array([0.5, 0.499]), np.zeros(2))
    chain = chain_sweep(rough, 1e-2, [1], 24)
    assert chain.n.size == 0 and "left out" in chain.remark


def test_what_is_no_chain():
    rho = TorusDensity.from_rows(CIRCLE, 1)
    plane = TorusDensity.from_rows(MODES)
    for call, words in ((lambda: chain_displacement(rho, 0.1, 0, 32), "links = 0: takes a whole number >= 1"),
                        (lambda: chain_displacement(rho, 0.1, 2.5, 32), "links = 2.5"),
                        (lambda: chain_displacement(rho, np.nan, 2, 32), "tau = nan: takes a heat time"),
                        (lambda: chain_displacement(rho, -9.0, 2, 32), "tau = -9: the density falls to -"),
                        (lambda: torus_flow(rho, -9.0, 32), "takes a time for which it stays positive"),
                        (lambda: torus_flow(rho, 0.1, 0), "n = 0: takes a whole number >= 2"),
                        (lambda: circle_predicted(plane, 0.1, 32), "density: of 2 dimensions; takes one, the circle"),
                        (lambda: circle_predicted(rho, -9.0, 32), "tau = -9: the density falls to -"),
                        (lambda: predicted(rho, 0.1, 32, 0), "nodes = 0"),
                        (lambda: chain_sweep(rho, 0.1, [0, 2], 32), "many = 0: takes numbers of maps >= 1"),
                        (lambda: links([2.7, 4], 0.1, 1.0), "asked = 2.7: takes numbers of maps >= 1"),
                        (lambda: links([2], 0.1, np.inf), "kappa = inf: takes a rate >= 0"),
                        (lambda: limit(np.array([2]), np.ones(1)), "n = [2]: takes two different numbers of maps")):
        refuses(call, words)
    for tau in (0.0, -0.1, np.nan):
        refuses(lambda tau=tau: jko_second(rho, tau, 32), f"tau = {tau}: takes a heat time > 0")


def test_no_time_moves_nothing():
    rho = TorusDensity.from_rows(CIRCLE, 1)
    assert not torus_flow(rho, 0.0, 32).any() and not chain_displacement(rho, 0.0, 3, 32).any()
