"""Atoms under noise against the mixtures of the library, and their flow against a second integrator."""

import numpy as np
import pytest

from phasebook.mixtures.latent_flow import basins
from phasebook.mixtures.mixtures import Mixture
from phasebook.theory.chains.plane_atoms import Atoms, flow, flow_atom

Y = np.array([[-1.2, 0.3], [0.2, 1.1], [1.3, 0.1], [-0.3, -1.0], [0.3, 0.2]])
W = np.array([0.25, 0.15, 0.3, 0.2, 0.1])


def test_posterior_is_that_of_the_mixture():
    x = np.random.default_rng(0).standard_normal((7, 3, 2))
    height, mean, cov = Atoms(Y, W).posterior(x, 0.7)
    other = Mixture.atoms(Y, W)
    assert np.allclose(height, other.log_density(x, 1.0, 0.7), atol=1e-12)
    assert np.allclose(mean, other.denoise(x, 1.0, 0.7), atol=1e-12)
    assert np.allclose(Atoms(Y, W).denoise(x, 0.7), mean, atol=1e-12)
    wanted = other.posterior_covariance(x, 1.0, 0.7)
    assert np.allclose(cov, [wanted[..., 0, 0], wanted[..., 0, 1], wanted[..., 1, 1]], atol=1e-12)


def test_a_posterior_keeps_its_digits_far_from_the_origin():
    data, far = (Atoms(np.array([[-1.0, 0.2], [0.5, 1.0], [1.0, -0.7]]) + c, [0.2, 0.5, 0.3]) for c in (0.0, 2.0**20))
    x = np.random.default_rng(3).standard_normal((50, 2))
    near, moved = data.posterior(x, 0.5), far.posterior(x + 2.0**20, 0.5)
    assert np.abs(moved[0] - near[0]).max() < 1e-8 and np.abs(moved[2] - near[2]).max() < 1e-8
    assert np.abs(moved[1] - 2.0**20 - near[1]).max() < 1e-8


def test_flow_of_one_atom_is_a_scaling_and_runs_back():
    one, x = Atoms([[1.0, 2.0]], [1.0]), np.random.default_rng(1).standard_normal((20, 2))
    there = flow(one, x, 3.0, 0.5)
    assert np.abs(there - (one.y + (x - one.y) / 6)).max() < 1e-6
    assert np.abs(flow(one, there, 0.5, 3.0) - x).max() < 1e-6


def test_flow_from_far_up_ends_in_the_basins_of_the_latent():
    z, data = np.random.default_rng(2).standard_normal((400, 2)), Atoms(Y, W)
    assert (flow_atom(data, data.latent(z, 200.0), 200.0) != basins(Mixture.atoms(Y, W), z)).mean() <= 1 / 400


@pytest.mark.parametrize(("y", "weights", "words"), [
    ([[0.0, 0.0], [0.0, 0.0]], [0.5, 0.5], "coincide"), ([[0.0, 0.0], [1.0]], [0.5, 0.5], "rows of different lengths"),
    ([[0.0, 0.0]], [0.5], "sum 0.5"), ([0.0, 1.0], [1.0], "shape"), ([[0.0, np.nan]], [1.0], "NaN"),
])
def test_bad_atoms_are_refused_in_one_line(y, weights, words):
    with pytest.raises(ValueError, match=words) as caught:
        Atoms(y, weights)
    assert "\n" not in str(caught.value)
