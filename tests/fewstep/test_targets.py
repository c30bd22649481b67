"""Targets, and the fast flow against the library's own."""

import numpy as np
import pytest

from phasebook.fewstep.targets import TARGETS, denoised, flowed, latents, named_target, of_pictures
from phasebook.mixtures.latent_flow import latent_flow
from phasebook.mixtures.mixtures import Mixture
from tests.builders import refuses

Z = latents(64, 2, 0)


@pytest.mark.parametrize("name", TARGETS)
def test_the_flow_and_its_denoiser_are_the_mixtures(name):
    mixture, levels = named_target(name).mixture, np.array([1.5, 0.3])
    y = flowed(mixture, Z, levels)
    assert np.abs(y - latent_flow(mixture, Z, levels).y).max() < 1e-3
    assert np.allclose(denoised(mixture, y[1], 0.3), mixture.denoise(y[1], 1.0, 0.3), atol=1e-10)


@pytest.mark.parametrize("name", TARGETS)
def test_the_flow_ends_in_the_parts_in_their_shares(name):
    target = named_target(name)
    masses = target.masses(flowed(target.mixture, latents(1024, 2, 1), np.array([0.02]))[0])
    assert np.allclose(masses, target.shares, atol=0.02) and masses.sum() > 0.995


def test_gaps_are_distances_of_parts():
    eight = named_target("eight")
    assert eight.gaps[0, 1] == pytest.approx(4 * np.sin(np.pi / 8) - 0.8)
    assert eight.part(np.array([[2.0, 0.39], [2.0, 0.41], [0.0, 0.0]])).tolist() == [0, -1, -1]
    assert eight.near(np.array([2.0, 0.41])) == 0
    with pytest.raises(ValueError, match="target = 'three'"):
        named_target("three")


def test_the_deviation_is_that_of_samples():
    target = named_target("unequal")
    x = flowed(target.mixture, latents(2048, 2, 1), np.array([0.02]))[0]
    assert target.deviation == pytest.approx(np.sqrt(x.var(0).mean()), rel=0.02)


def test_pictures_come_back_whole():
    pixels = np.random.default_rng(0).uniform(size=(5, 4, 4, 3))
    target, back = of_pictures(pixels)
    again = pixels.reshape(5, -1).mean(0) + target.mixture.means @ back
    assert np.allclose(again, pixels.reshape(5, -1), atol=1e-12)
    assert target.mixture.means.shape == (5, 4) and target.deviation == pytest.approx(1, rel=0.01)
    assert target.part(target.mixture.means).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("pixels, words", [
    (np.full((1, 2, 2, 3), 0.5), "pixels: 1 pictures, 1 different"),
    (np.full((3, 2, 2, 3), 0.3), "pixels: 3 pictures, 1 different"),
    (np.zeros((0, 2, 2, 3)), "pixels: 0 pictures, 0 different"),
    (np.full((3, 2), np.nan), "pixels: NaN or Inf at [0, 0]"),
    (np.arange(12.0).reshape(3, 4)[[0, 1, 2, 0]], "pixels: 4 pictures, 3 different; takes two or more, all different"),
])
def test_equal_pictures_are_no_parts(pixels, words):
    """Two of them have no distance to take a width from."""
    refuses(lambda: of_pictures(pixels), words)


@pytest.mark.parametrize("levels", [[], [0.1, 1.0], [1.0, 0.0], [[1.0, 0.5]]])
def test_a_flow_goes_down(levels):
    """Upwards it would take a single step, however long."""
    refuses(lambda: flowed(named_target("eight").mixture, Z, levels), "levels = ", "takes noise levels > 0, descending")


def test_gaussians_of_several_variances_are_refused():
    """That of the first was taken for all: a denoiser off by as much as the data are wide."""
    mixture = Mixture(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([0.01, 1.0]), np.array([0.5, 0.5]))
    refuses(lambda: denoised(mixture, Z, 0.3), "mixture: variances [0.01, 1.0]; takes Gaussians of one variance")
    refuses(lambda: flowed(mixture, Z, [1.0, 0.3]), "mixture: variances")
    refuses(lambda: flowed(named_target("eight").mixture, Z, [1.0, 0.3], 0), "rate = 0: takes a whole number >= 1")


def test_the_gap_is_the_least_distance_of_two_parts():
    assert named_target("two_disks").gap == pytest.approx(3 - 2 * 0.68)
    eight = named_target("eight")
    assert eight.gap == pytest.approx(4 * np.sin(np.pi / 8) - 0.8)


def test_pictures_of_fewer_pixels_than_differences_have_unit_variance():
    pixels = np.random.default_rng(0).standard_normal((6, 2))
    target, back = of_pictures(pixels)
    assert target.mixture.means.shape == (6, 2) and (target.mixture.means**2).mean() == pytest.approx(1)
    assert np.abs(pixels.mean(0) + target.mixture.means @ back - pixels).max() < 1e-12
