"""Geodesics: closed forms, the minimum over all polygons, other mixtures, schedules and odd endpoints."""

import numpy as np
import pytest

from phasebook.mixtures.flow import euler_path
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule
from phasebook.mixtures.spacetime import energy as spacetime
from phasebook.mixtures.spacetime.atoms import great_circle
from phasebook.mixtures.spacetime.chart import CurveEnergy
from phasebook.mixtures.spacetime.geodesic import geodesic
from phasebook.mixtures.spacetime.half_space import gaussian_distance
from phasebook.mixtures.spacetime.polygon import least_polygon

TOY = Mixture(np.array([[-2.5], [0.5], [2.5]]), np.full(3, 0.75**2), np.array([0.275, 0.45, 0.275]))
LINEAR = schedule("log_snr_linear")
PLANE = Mixture(np.array([[-1.0, 0.5], [1.0, 0.0], [0.2, -1.0]]), np.array([0.1, 0.0, 0.3]), np.array([0.3, 0.3, 0.4]))


def eta_at(t, x):
    t = np.asarray(t, float)
    return spacetime.eta_of(np.asarray(x, float).reshape(len(t), -1), LINEAR.alpha(t), LINEAR.sigma(t))


def minimum(mixture, endpoints, points=512):
    """The discrete energy with every point free."""
    ends = np.asarray(endpoints, float)
    curve = CurveEnergy(mixture, eta_at(ends[:, 0], ends[:, 1:]), -np.inf, np.inf)
    z, _ = least_polygon(curve, curve.chart.circle(*curve.ends, np.linspace(0, 1, points)), 1e-13)
    return curve(z)[0] / (points - 1)


@pytest.mark.parametrize("ends", [((0.1, 0.3), (0.8, -0.5)), ((0.3, -1.0), (0.3, 1.2)), ((0.9, 0.0), (0.2, 0.4))])
def test_gaussian_distance(ends):
    mean, var = 0.4, 1.7
    mixture = Mixture(np.array([[mean]]), np.array([var]), np.array([1.0]))
    g = geodesic(mixture, LINEAR, np.array(ends), nodes=20, points=2048)
    t = np.array(ends)[:, 0]
    eta = eta_at(t, np.array(ends)[:, 1])
    precision = -2 * eta[:, 1] + 1 / var
    means, stds = (eta[:, 0] + mean / var) / precision, precision**-0.5
    exact = gaussian_distance(means[:, None], stds)
    assert abs(g.length - exact) < 1e-5
    assert abs(np.sqrt(2047 * g.energy) - exact) < 1e-5


def test_great_circle_of_three_atoms():
    """The whole triangle when k may be negative; 1e-6 where the curve keeps inside."""
    mixture = Mixture.atoms(np.array([[-1.0], [0.2], [1.0]]), np.array([0.3, 0.4, 0.3]))
    ends = np.array([[0.42, -0.35], [0.45, 0.5]])
    eta = eta_at(ends[:, 0], ends[:, 1])
    p = spacetime.posterior_parts(mixture, eta)[0]
    exact = great_circle(*p)
    curve = CurveEnergy(mixture, eta, -np.inf, np.inf)
    z, _ = least_polygon(curve, curve.chart.circle(*curve.ends, np.linspace(0, 1, 2000)), 1e-13)
    eta = curve.chart.eta(z)
    assert exact > 1 and abs(spacetime.length(eta, spacetime.mu_of(mixture, eta)) - exact) < 1e-6
    assert abs(geodesic(mixture, LINEAR, ends, nodes=20, points=2000).length - exact) < 1e-5
    np.testing.assert_allclose(exact, 2 * np.arccos(np.sqrt(p[0] * p[1]).sum()), rtol=1e-12)
    assert great_circle(p[0], p[0]) == 0


def reference_endpoints():
    times, paths = euler_path(TOY, LINEAR, np.array([[1.0], [0.0], [-1.0]]), 1.0, 0.1, 512)
    return times, paths[..., 0]


@pytest.mark.parametrize("case", range(3))
def test_reference_geodesics_reach_the_minimum(case):
    times, paths = reference_endpoints()
    ends = np.array([[1.0, paths[case, 0]], [0.1, paths[case, -1]]])
    least = minimum(TOY, ends)
    for nodes, target in ((10, 5e-4), (20, 2e-5)):
        g = geodesic(TOY, LINEAR, ends, nodes=nodes)
        assert -1e-9 < g.energy / least - 1 < target
        assert g.t[0] == 1.0 and g.x[-1, 0] == paths[case, -1] and len(g.t) == 512
    assert g.energy < (0.09896, 0.08639, 0.10197)[case]
    eta = eta_at(times, paths[case])
    assert spacetime.length(eta, spacetime.mu_of(TOY, eta)) > g.length
    assert g.length**2 <= 511 * g.energy * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_other_mixtures_and_endpoints(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 6)
    mixture = Mixture(rng.normal(0, 2, (n, 1)), rng.uniform(0.2, 1, n) ** 2, rng.dirichlet(np.full(n, 3)))
    ends = np.column_stack([rng.uniform(0.1, 0.6, 2), rng.normal(size=2)])
    least = minimum(mixture, ends)
    assert abs(geodesic(mixture, LINEAR, ends, nodes=10).energy / least - 1) < 5e-4
    assert abs(geodesic(mixture, LINEAR, ends, nodes=20).energy / least - 1) < 2e-5


def test_atoms_at_low_noise_by_refinement():
    mixture = Mixture.atoms(np.array([[-1.79], [-1.77], [-1.4], [-1.08], [-0.66], [-0.38], [-0.2], [1.19]]))
    ends = np.array([[0.3, -0.08], [0.2, -0.87]])
    g = geodesic(mixture, LINEAR, ends, accuracy=1e-5, points=200)
    assert g.energy < minimum(mixture, ends, 200) * (1 + 1e-4)


def test_accuracy_keeps_the_curve_within_the_schedule():
    """A coarse spline that keeps t <= T on its own, where the finer ones and the free polygon would leave it."""
    atoms, t = np.array([[1.1, 2.8], [0.5, -3.0], [0.2, 0.2]]), 0.45
    ends = np.column_stack([[t, t], LINEAR.alpha(t) * atoms[:2]])
    coarse, fine = (geodesic(Mixture.atoms(atoms), LINEAR, ends, points=40, nodes=6, accuracy=a) for a in (None, 1e-4))
    assert fine.energy <= coarse.energy and fine.length < 1.01 * coarse.length


@pytest.mark.parametrize("far", [1e3, 1e6])
@pytest.mark.parametrize("variances", [[0.1, 0.2, 0.05], [0.1, 0.0, 0.05]])
def test_data_far_from_the_origin_have_the_same_geodesics(far, variances):
    means, weights = np.array([[1.0, 0.0], [-1.0, 0.3], [0.0, 1.2]]), np.array([0.3, 0.3, 0.4])
    ends, centre = np.array([[0.4, 0.5, 0.1], [0.4, -0.6, 0.4]]), np.array([far, -far / 3])
    near = geodesic(Mixture(means, np.array(variances), weights), LINEAR, ends)
    away = Mixture(means + centre, np.array(variances), weights)
    ends[:, 1:] += LINEAR.alpha(ends[:, 0])[:, None] * centre
    moved = geodesic(away, LINEAR, ends)
    assert moved.energy == pytest.approx(near.energy, rel=1e-6) and moved.length == pytest.approx(near.length, rel=1e-6)
    np.testing.assert_allclose(moved.x, near.x + LINEAR.alpha(moved.t)[:, None] * centre, atol=1e-9 * far)
    np.testing.assert_allclose(moved.mu, spacetime.mu_of(away, moved.eta), rtol=1e-9)
    np.testing.assert_allclose(spacetime.x_of(moved.eta)[0], moved.x, atol=1e-9 * far)


def test_two_dimensions():
    g = geodesic(PLANE, LINEAR, np.array([[0.3, -0.9, 0.3], [0.4, 0.5, -0.4]]), points=128)
    assert g.x.shape == (128, 2) and g.energy > 0 and g.length**2 <= 127 * g.energy * (1 + 1e-9)


def test_length_of_a_way_is_the_length_of_its_return():
    atoms = Mixture.atoms(np.array([[-1.0], [-0.8], [1.0]]))
    ends = np.array([[0.4, -0.9], [0.4, 0.9]])
    there, back = (geodesic(atoms, LINEAR, e, points=128, accuracy=1e-5).length for e in (ends, ends[::-1]))
    assert abs(back / there - 1) < 1e-3


APART, CLOSE = (Mixture.atoms(np.array(x)[:, None]) for x in ([-2.0, -0.5, 2.0], [0.0, 1e-7, 1.0]))
LOW, SAME, FAR = [[0.02, -2.5], [0.97, 3]], [[0.5, -2], [0.5, 2]], [[0.05, -8], [0.1, 8]]


# a Latin square: every schedule, mixture and pair of ends meets every other once
@pytest.mark.parametrize(("name", "mixture", "ends"), [
    ("log_snr_linear", TOY, LOW), ("log_snr_linear", APART, SAME), ("log_snr_linear", CLOSE, FAR),
    ("vp_linear", APART, LOW), ("vp_linear", CLOSE, SAME), ("vp_linear", TOY, FAR),
    ("vp_cosine", CLOSE, LOW), ("vp_cosine", TOY, SAME), ("vp_cosine", APART, FAR)])
def test_every_schedule_and_odd_endpoints(name, mixture, ends):
    """Curves that would meet t = T, where `vp_cosine` has no signal left, stay finite and within the schedule."""
    g = geodesic(mixture, schedule(name), np.array(ends), points=96)
    assert np.isfinite(g.energy) and np.isfinite(g.x).all() and (g.t >= 0).all() and (g.t <= 1).all()
    assert g.length**2 <= 95 * g.energy * (1 + 1e-9)


def test_degenerate_inputs():
    same = geodesic(TOY, LINEAR, np.array([[0.3, 1.0], [0.3, 1.0]]))
    assert same.energy == 0 and same.length == 0 and np.ptp(same.t) == 0
    for atoms in ([[0.7]], [[0.7], [0.7]]):
        g = geodesic(Mixture.atoms(np.array(atoms)), LINEAR, np.array([[0.3, 1.0], [0.8, -1.0]]))
        assert abs(g.energy) < 1e-12 and g.length < 1e-6


@pytest.mark.parametrize("ends, message", [
    ([[0.3, 1.0], [1.2, 0.0]], "endpoints: t = 1.2 is outside the schedule; takes 0 <= t <= 1"),
    ([[-0.1, 1.0], [0.2, 0.0]], "t = -0.1 is outside"),
    ([[0.3, np.nan], [0.2, 0.0]], "takes finite numbers"),
    (["a", "b"], "endpoints = .*takes two points"),
    ([0.3, 1.0], "takes two points"),
    ([[0.3, 1.0, 2.0], [0.2, 0.0, 1.0]], "2 coordinates; the mixture has 1"),
])
def test_endpoints_are_checked(ends, message):
    with pytest.raises(ValueError, match=message) as caught:
        geodesic(TOY, LINEAR, np.array(ends))
    assert "\n" not in str(caught.value)


def test_other_refusals():
    ends = np.array([[0.0, 1.0], [0.2, 0.0]])
    with pytest.raises(ValueError, match="log-SNR inf in vp_linear"):
        geodesic(TOY, schedule("vp_linear"), ends)
    with pytest.raises(ValueError, match="nodes = 0"):
        geodesic(TOY, LINEAR, ends, nodes=0)
    with pytest.raises(ValueError, match="nodes = 2.5: takes a whole number >= 1"):
        geodesic(TOY, LINEAR, ends, nodes=2.5)
    with pytest.raises(ValueError, match="points = 11: takes a whole number >= 12"):
        geodesic(TOY, LINEAR, ends, points=11)
    with pytest.raises(ValueError, match="optimiser = 'sgd'"):
        geodesic(TOY, LINEAR, ends, optimiser="sgd")
    with pytest.raises(ValueError, match="nothing normalises"):
        spacetime.mu_of(TOY, np.array([0.0, 2.0]))


def test_posteriors_that_rounding_cannot_tell_apart():
    """Both ends all but surely at one atom: an energy of zero, and no failure."""
    means = np.array([[-1.1, 0.9, 1.0], [-5.8, 1.5, -2.9], [-3.7, 3.3, -4.8]])
    atoms = Mixture.atoms(means, np.array([0.66, 0.01, 0.33]))
    ends = np.array([[0.4, -1.2, 0.9, 1.2], [0.4 + 1e-6, -1.5, 0.6, 0.6]])
    assert abs(geodesic(atoms, LINEAR, ends).length) < 1e-9
