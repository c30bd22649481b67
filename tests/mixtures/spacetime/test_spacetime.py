"""Spacetime geometry: against closed forms, quadrature, automatic differentiation, shortest paths on a grid."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from phasebook.mixtures.flow import decode, euler_path, pullback_geodesic
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule
from phasebook.mixtures.spacetime import energy as spacetime
from phasebook.mixtures.spacetime.chart import Chart, CurveEnergy
from phasebook.mixtures.spacetime.geodesic import edit_distance, geodesic
from phasebook.mixtures.spacetime.grid import shortest_path
from phasebook.mixtures.spacetime.polygon import relax

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
    z, _ = relax(curve, curve.chart.circle(*curve.ends, np.linspace(0, 1, points)), 1e-13)
    return curve(z)[0] / (points - 1)


# the family


@pytest.mark.parametrize("mixture", [TOY, PLANE])
def test_mu_is_the_posterior_moments(mixture):
    rng = np.random.default_rng(0)
    d = mixture.means.shape[1]
    for t in (0.2, 0.5, 0.9):
        x, a, s = rng.normal(size=(4, d)), LINEAR.alpha(t), LINEAR.sigma(t)
        mu = spacetime.mu_of(mixture, spacetime.eta_of(x, a, s))
        mean, cov = mixture.denoise(x, a, s), mixture.posterior_covariance(x, a, s)
        np.testing.assert_allclose(mu[:, :-1], mean, rtol=1e-12)
        second = (mean**2).sum(1) + np.trace(cov, axis1=1, axis2=2)
        np.testing.assert_allclose(mu[:, -1], second, rtol=1e-11)
        x_back, log_snr = spacetime.x_of(spacetime.eta_of(x, a, s))
        np.testing.assert_allclose(x_back, x, atol=1e-12)
        np.testing.assert_allclose(log_snr, LINEAR.log_snr(t), atol=1e-12)


def log_partition(mixture, eta):
    """`log int p_0 exp(q . x - k |x|^2 / 2)` in torch, by the Gaussian integral."""
    m, v, w = (torch.tensor(a) for a in (mixture.means, mixture.variances, mixture.weights))
    q, k = eta[:-1], -2 * eta[-1]
    c = 1 + v * k
    terms = (m @ q + v * (q @ q) / 2 - k * (m**2).sum(1) / 2) / c - m.shape[1] / 2 * torch.log(c)
    return torch.logsumexp(torch.log(w) + terms, 0)


@pytest.mark.parametrize("mixture", [TOY, PLANE])
def test_mu_and_fisher_are_derivatives_of_the_log_partition(mixture):
    d = mixture.means.shape[1]
    for k, shift in ((0.05, 0.3), (2.0, -1.0), (30.0, 5.0)):
        eta = torch.tensor([shift, -0.4 * shift][:d] + [-k / 2], dtype=torch.float64)
        mu = torch.autograd.functional.jacobian(lambda e: log_partition(mixture, e), eta)
        G = torch.autograd.functional.hessian(lambda e: log_partition(mixture, e), eta)
        np.testing.assert_allclose(spacetime.mu_of(mixture, eta.numpy()), mu, rtol=1e-11)
        np.testing.assert_allclose(spacetime.fisher(mixture, eta.numpy()), G, rtol=1e-9, atol=1e-12)


def test_hutchinson_divergence():
    """Exact in one dimension; in the plane within the probes' error; a torch network through its callable."""
    t, rng = 0.45, np.random.default_rng(1)
    a, s = LINEAR.alpha(t), LINEAR.sigma(t)
    x = rng.normal(size=(5, 1))
    mu = spacetime.mu_of_denoiser(lambda x: TOY.denoise(x, a, s), x, a, s, 1, rng)
    np.testing.assert_allclose(mu, spacetime.mu_of(TOY, spacetime.eta_of(x, a, s)), rtol=1e-6)
    x = rng.normal(size=(3, 2))
    mu = spacetime.mu_of_denoiser(lambda x: PLANE.denoise(x, a, s), x, a, s, 4000, rng)
    np.testing.assert_allclose(mu, spacetime.mu_of(PLANE, spacetime.eta_of(x, a, s)), rtol=0.03)
    network = torch.nn.Linear(3, 3).double()

    def denoise(x):
        with torch.no_grad():
            return network(torch.tensor(x)).numpy()

    found = spacetime.divergence(denoise, np.zeros((1, 3)), 4000, rng)
    assert abs(found[0] - network.weight.trace().item()) < 0.05
    with pytest.raises(ValueError, match="probes = 0"):
        spacetime.divergence(denoise, x, 0, rng)


def test_energy_terms_are_symmetrised_divergences_and_nothing_is_clamped():
    """For atoms the divergence is a sum; time parts are often negative, their sum with the space part never."""
    rng = np.random.default_rng(4)
    mixture = Mixture.atoms(rng.normal(size=(6, 1)), rng.dirichlet(np.ones(6)))
    eta = eta_at(rng.uniform(0.3, 0.95, 400), rng.normal(size=400))
    mu = spacetime.mu_of(mixture, eta)
    space, time = spacetime.energy_parts(eta, mu)
    p = spacetime.posterior_parts(mixture, eta)[0]
    log_p = eta[:, :1] * mixture.means[:, 0] + eta[:, 1:] * mixture.means[:, 0] ** 2 + np.log(mixture.weights)
    log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    direct = ((p[1:] - p[:-1]) * (log_p[1:] - log_p[:-1])).sum(1)
    np.testing.assert_allclose(space + time, direct, rtol=1e-12, atol=1e-12)
    assert (direct >= 0).all() and 0.2 < (time < 0).mean() < 0.8
    assert (space < 0).any()
    np.testing.assert_allclose(spacetime.energy(eta, mu), direct.sum(), rtol=1e-12)
    np.testing.assert_allclose(spacetime.length(eta, mu), np.sqrt(direct).sum(), rtol=1e-11)


# distances with a closed form


@pytest.mark.parametrize("ends", [((0.1, 0.3), (0.8, -0.5)), ((0.3, -1.0), (0.3, 1.2)), ((0.9, 0.0), (0.2, 0.4))])
def test_gaussian_distance(ends):
    mean, var = 0.4, 1.7
    mixture = Mixture(np.array([[mean]]), np.array([var]), np.array([1.0]))
    g = geodesic(mixture, LINEAR, np.array(ends), nodes=20, points=2048)
    t = np.array(ends)[:, 0]
    eta = eta_at(t, np.array(ends)[:, 1])
    precision = -2 * eta[:, 1] + 1 / var
    means, stds = (eta[:, 0] + mean / var) / precision, precision**-0.5
    exact = spacetime.gaussian_distance(tuple(means), tuple(stds))
    assert abs(g.length - exact) < 1e-5
    assert abs(np.sqrt(2047 * g.energy) - exact) < 1e-5


def test_gaussian_distance_is_the_half_plane_metric():
    """Small steps: `ds^2 = dm^2 / s^2 + 2 ds^2 / s^2`."""
    assert abs(spacetime.gaussian_distance((0, 1e-4), (0.5, 0.5)) - 2e-4) < 1e-10
    assert abs(spacetime.gaussian_distance((0, 0), (0.5, 0.5 + 1e-4)) / (np.sqrt(2) * np.log(1 + 2e-4)) - 1) < 1e-6


def test_great_circle_of_three_atoms():
    """The whole triangle when k may be negative; 1e-6 where the curve keeps inside."""
    mixture = Mixture.atoms(np.array([[-1.0], [0.2], [1.0]]), np.array([0.3, 0.4, 0.3]))
    ends = np.array([[0.42, -0.35], [0.45, 0.5]])
    eta = eta_at(ends[:, 0], ends[:, 1])
    p = spacetime.posterior_parts(mixture, eta)[0]
    exact = spacetime.great_circle(*p)
    curve = CurveEnergy(mixture, eta, -np.inf, np.inf)
    z, _ = relax(curve, curve.chart.circle(*curve.ends, np.linspace(0, 1, 2000)), 1e-13)
    eta = curve.chart.eta(z)
    assert exact > 1 and abs(spacetime.length(eta, spacetime.mu_of(mixture, eta)) - exact) < 1e-6
    assert abs(geodesic(mixture, LINEAR, ends, nodes=20, points=2000).length - exact) < 1e-5
    np.testing.assert_allclose(exact, 2 * np.arccos(np.sqrt(p[0] * p[1]).sum()), rtol=1e-12)
    assert spacetime.great_circle(p[0], p[0]) == 0


# geodesics

REFERENCE = [([1.0, x], x) for x in (1.0, 0.0, -1.0)]


def reference_endpoints():
    times, paths = euler_path(TOY, LINEAR, np.array([[1.0], [0.0], [-1.0]]), 1.0, 0.1, 512)
    return times, paths[..., 0]


def test_published_flow_energies():
    times, paths = reference_endpoints()
    for path, published in zip(paths, (0.14769, 0.14043, 0.15019), strict=True):
        eta = eta_at(times, path)
        assert abs(spacetime.energy(eta, spacetime.mu_of(TOY, eta)) - published) < 5e-5


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


def test_gradient_of_the_curve_energy():
    """Against central differences, penalty included."""
    rng = np.random.default_rng(0)
    curve = CurveEnergy(PLANE, eta_at([0.3, 0.6], rng.normal(size=(2, 2))), 0.5, 2.0)
    curve.weight = 3.0
    z = curve.chart.circle(*curve.ends, np.linspace(0, 1, 7)) + 0.1 * rng.normal(size=(7, 3))
    gradient, numeric = curve(z)[1], np.zeros_like(z)
    for index in np.ndindex(z.shape):
        h = np.zeros_like(z)
        h[index] = 1e-6
        numeric[index] = (curve(z + h)[0] - curve(z - h)[0]) / 2e-6
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-6)
    chart = Chart.of(PLANE)
    np.testing.assert_allclose(chart.of_eta(chart.eta(z)), z, rtol=1e-10)


def test_adam_agrees_with_lbfgs():
    ends = np.array([[0.35, -2.3], [0.4, 2.0]])
    a = geodesic(TOY, LINEAR, ends, nodes=4, points=64, optimiser="adam", iterations=400)
    b = geodesic(TOY, LINEAR, ends, nodes=4, points=64)
    assert abs(a.energy / b.energy - 1) < 1e-4


@pytest.mark.parametrize("mixture, ends, slack", [
    (TOY, [[0.35, -2.3], [0.4, 2.0]], 0.02),
    (Mixture.atoms(np.array([[-1.8], [-0.9], [0.1], [0.7], [1.6]])), [[0.36, 1.3], [0.43, -0.6]], 0.03),
])
def test_shortest_path_on_a_grid(mixture, ends, slack):
    """Never shorter, and only as much longer as the grid's directions cost: the geodesic is the global one."""
    g = geodesic(mixture, LINEAR, np.array(ends), refine=1e-6)
    by_grid, eta = shortest_path(mixture, LINEAR, np.array(ends))
    assert g.length * (1 - 1e-4) < by_grid < g.length * (1 + slack)
    np.testing.assert_allclose(eta[[0, -1]], g.eta[[0, -1]], rtol=1e-9)


def test_atoms_at_low_noise_by_refinement():
    mixture = Mixture.atoms(np.array([[-1.79], [-1.77], [-1.4], [-1.08], [-0.66], [-0.38], [-0.2], [1.19]]))
    ends = np.array([[0.3, -0.08], [0.2, -0.87]])
    g = geodesic(mixture, LINEAR, ends, refine=1e-5, points=200)
    assert g.energy < minimum(mixture, ends, 200) * (1 + 1e-4)


def test_time_stays_within_the_schedule():
    """Far atoms: unconstrained, the curve wants k < 0; the penalty keeps it on t = T."""
    mixture = Mixture.atoms(np.array([[-1.0], [0.0], [1.0]]), np.array([0.45, 0.1, 0.45]))
    ends = np.array([[0.35, -0.9], [0.35, 0.9]])
    free = CurveEnergy(mixture, eta_at(ends[:, 0], ends[:, 1]), -np.inf, np.inf)
    z, _ = relax(free, free.chart.circle(*free.ends, np.linspace(0, 1, 128)))
    assert free.chart.eta(z)[:, 1].max() > 0
    q = np.linspace(-40, 40, 20001)                  # from atom to atom along t = T: an upper bound
    eta = np.column_stack([q, np.full_like(q, -np.exp(-10) / 2)])
    along = spacetime.length(eta, spacetime.mu_of(mixture, eta))
    circle = spacetime.great_circle(*spacetime.posterior_parts(mixture, eta_at(ends[:, 0], ends[:, 1]))[0])
    g = geodesic(mixture, LINEAR, ends, points=256, refine=1e-5)
    assert (g.t <= 1).all() and g.on_bound > 100
    assert circle + 0.3 < g.length < along and along - g.length < 0.03


def test_two_dimensions_and_edit_distance():
    g = geodesic(PLANE, LINEAR, np.array([[0.3, -0.9, 0.3], [0.4, 0.5, -0.4]]), points=128)
    assert g.x.shape == (128, 2) and g.energy > 0 and g.length**2 <= 127 * g.energy * (1 + 1e-9)
    atoms = Mixture.atoms(np.array([[-1.0], [-0.8], [1.0]]))
    near = edit_distance(atoms, LINEAR, [-1.0], [-0.8], 0.4, points=128)
    far = edit_distance(atoms, LINEAR, [-1.0], [1.0], 0.4, points=128)
    assert 0 < near < far < 2 * np.pi
    assert abs(edit_distance(atoms, LINEAR, [1.0], [-1.0], 0.4, points=128) / far - 1) < 1e-3


# clear answers and refusals


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
    with pytest.raises(ValueError, match="optimiser = 'sgd'"):
        geodesic(TOY, LINEAR, ends, optimiser="sgd")
    with pytest.raises(ValueError, match="nothing normalises"):
        spacetime.mu_of(TOY, np.array([0.0, 2.0]))


# the flow


def test_flow_keeps_quantiles():
    x = np.array([[-1.2], [0.1], [0.9]])

    def cdf(x, t):
        a, s = LINEAR.alpha(t), LINEAR.sigma(t)
        spread = np.sqrt(a**2 * TOY.variances + s**2)
        return norm.cdf((x - a * TOY.means[:, 0]) / spread) @ TOY.weights

    np.testing.assert_allclose(cdf(decode(TOY, LINEAR, x, 1.0, 0.1), 0.1), cdf(x, 1.0), atol=1e-6)
    _, path = euler_path(TOY, LINEAR, x, 1.0, 0.1, 4000)
    np.testing.assert_allclose(cdf(path[:, -1], 0.1), cdf(x, 1.0), atol=2e-3)


def test_pullback_geodesics_of_the_flow_decode_to_segments():
    means = np.array([[-1.5, -0.5], [1.5, -0.5], [0, 1.8]])
    mixture = Mixture(means, np.array([0.3, 0.4, 0.3]), np.array([0.4, 0.3, 0.3]))
    z, x = pullback_geodesic(lambda z: decode(mixture, LINEAR, z, 1.0, 0.1, 32), np.array([-1.2, -1.0]),
                             np.array([1.3, 0.9]), 17)
    chord = x[-1] - x[0]
    assert np.abs((x - x[0]) @ np.array([-chord[1], chord[0]])).max() / (chord @ chord) < 1e-9
    latent = z[-1] - z[0]
    assert np.abs((z - z[0]) @ np.array([-latent[1], latent[0]])).max() / (latent @ latent) > 0.01
