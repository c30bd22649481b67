"""Exact mixtures: density, score, denoiser and posterior covariance against autograd, SciPy and each other."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from phasebook.mixtures.mixtures import Mixture


def some(d, seed=0, n=4):
    rng = np.random.default_rng(seed)
    variances = rng.uniform(0, 0.5, n) * (rng.uniform(size=n) < 0.6)
    return Mixture(rng.normal(size=(n, d)), variances, rng.dirichlet(np.ones(n)))


def test_density_against_scipy():
    mixture, x = some(2), np.random.default_rng(1).normal(size=(7, 2))
    p = sum(w * multivariate_normal(0.8 * m, (0.64 * v + 0.36) * np.eye(2)).pdf(x)
            for m, v, w in zip(mixture.means, mixture.variances, mixture.weights, strict=True))
    assert np.exp(mixture.log_density(x, 0.8, 0.6)) == pytest.approx(p, rel=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 4), st.integers(0, 1000), st.floats(0.1, 1.0), st.floats(0.1, 3.0))
def test_score_denoiser_and_covariance_are_derivatives(d, seed, alpha, sigma):
    """Score by autograd; Tweedie `xhat_0 = (x + sigma^2 score) / alpha`; its Jacobian is `alpha Cov / sigma^2`."""
    mixture = some(d, seed)
    x = np.random.default_rng(seed + 1).normal(size=(3, d))
    score, denoised = mixture.score(x, alpha, sigma), mixture.denoise(x, alpha, sigma)
    m, v, w = (torch.tensor(a) for a in (mixture.means, mixture.variances, mixture.weights))

    def log_density(point):
        s2 = alpha**2 * v + sigma**2
        return torch.logsumexp(w.log() - ((point - alpha * m) ** 2).sum(-1) / (2 * s2) - d / 2 * s2.log(), 0)

    for k, point in enumerate(torch.tensor(x)):
        grad = torch.autograd.functional.jacobian(log_density, point).numpy()
        assert score[k] == pytest.approx(grad, rel=1e-8, abs=1e-9)
        hessian = torch.autograd.functional.hessian(log_density, point).numpy()
        tweedie = (np.eye(d) + sigma**2 * hessian) * sigma**2 / alpha**2
        assert mixture.posterior_covariance(x, alpha, sigma)[k] == pytest.approx(tweedie, rel=1e-6, abs=1e-8)
    assert denoised == pytest.approx((x + sigma**2 * score) / alpha, rel=1e-8, abs=1e-8)
    assert mixture.responsibilities(x, alpha, sigma).sum(-1) == pytest.approx(1)


def test_far_points_stay_finite():
    mixture = Mixture.atoms([[-1.0, 0.0], [1.0, 0.0]])
    x = np.array([[1e8, -1e8]])
    assert np.isfinite(mixture.score(x, 1.0, 1e-3)).all()
    assert mixture.denoise(x, 1.0, 1e-3) == pytest.approx(np.array([[1.0, 0.0]]))


@pytest.mark.parametrize("change, words", [
    ({"weights": [0.5, 0.6]}, "weights = .*sum to 1"),
    ({"weights": [1.0, 0.0]}, "weights = .*positive"),
    ({"weights": [0.5, np.nan]}, "weights = .*NaN"),
    ({"variances": [-1.0, 0.0]}, "variances = .*>= 0"),
    ({"variances": [0.0]}, "variances, weights: lengths"),
    ({"means": [0.0, 1.0]}, "means: shape"),
    ({"means": 1.0}, "means: shape"),
    ({"means": [[np.inf], [0.0]]}, "means = .*finite"),
])
def test_bad_mixtures_are_refused_in_one_line(change, words):
    good = {"means": [[0.0], [1.0]], "variances": [0.0, 0.0], "weights": [0.5, 0.5]}
    with pytest.raises(ValueError, match=words) as caught:
        Mixture(**{name: np.array(value) for name, value in (good | change).items()})
    assert "\n" not in str(caught.value)


def test_ragged_means_are_refused_in_one_line():
    for make in (lambda m: Mixture(m, [0.0, 0.0], [0.5, 0.5]), Mixture.atoms):
        with pytest.raises(ValueError, match="^means: rows of different lengths"):
            make([[0.0, 1.0], [2.0]])
    for means in (1.0, [], [[]], [1.0, 2.0]):
        with pytest.raises(ValueError, match=r"^means: shape .*takes \(n, d\) with n, d >= 1"):
            Mixture.atoms(means)


def test_arguments_are_left_alone():
    means, x = np.ones((2, 1)), np.zeros((1, 1))
    Mixture.atoms(means).score(x, 1.0, 1.0)
    assert (means == 1).all() and (x == 0).all()


@pytest.mark.parametrize("x, alpha, sigma, words", [
    (np.linspace(0, 1, 5), 1, 1, r"x: shape \(5,\); takes points \(..., 1\)"), (np.zeros((3, 2)), 1, 1, "x: shape"),
    (np.zeros((3, 1)), 1, 0, "sigma = 0: takes"), (np.zeros((3, 1)), 1, -1, "sigma = -1: takes")])
def test_points_of_another_space_and_levels_without_noise_are_refused(x, alpha, sigma, words):
    atoms = Mixture.atoms([[0.0], [1.0]])
    for call in (atoms.log_density, atoms.score, atoms.denoise, atoms.posterior_covariance):
        with pytest.raises(ValueError, match=words):
            call(x, alpha, sigma)
