"""The family of posteriors: against the denoiser, automatic differentiation, divergences summed directly."""

import numpy as np
import pytest
import torch

from phasebook.mixtures.flow import euler_path
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule
from phasebook.mixtures.spacetime import energy as spacetime

TOY = Mixture(np.array([[-2.5], [0.5], [2.5]]), np.full(3, 0.75**2), np.array([0.275, 0.45, 0.275]))
LINEAR = schedule("log_snr_linear")
PLANE = Mixture(np.array([[-1.0, 0.5], [1.0, 0.0], [0.2, -1.0]]), np.array([0.1, 0.0, 0.3]), np.array([0.3, 0.3, 0.4]))


def eta_at(t, x):
    t = np.asarray(t, float)
    return spacetime.eta_of(np.asarray(x, float).reshape(len(t), -1), LINEAR.alpha(t), LINEAR.sigma(t))


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


def reference_endpoints():
    times, paths = euler_path(TOY, LINEAR, np.array([[1.0], [0.0], [-1.0]]), 1.0, 0.1, 512)
    return times, paths[..., 0]


def test_published_flow_energies():
    times, paths = reference_endpoints()
    for path, published in zip(paths, (0.14769, 0.14043, 0.15019), strict=True):
        eta = eta_at(times, path)
        assert abs(spacetime.energy(eta, spacetime.mu_of(TOY, eta)) - published) < 5e-5


@pytest.mark.parametrize("c", [1e6, 1e8])
def test_far_from_the_origin_posteriors_keep_their_digits(c):
    far, x = Mixture([[c], [c + 1]], [0.1, 0.2], [0.5, 0.5]), np.array([(c + 0.3) * 0.8])
    assert spacetime.posterior_parts(far, spacetime.eta_of(x, np.array(0.8), np.array(0.6)))[0] == pytest.approx(
        far.responsibilities(x, 0.8, 0.6), abs=1e-6)
