"""The half-space: its metric by small steps, the constants of the ultrametric and of Gromov, and where they end."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule
from phasebook.mixtures.spacetime.geodesic import geodesic
from phasebook.mixtures.spacetime.half_space import (
    free_delta,
    free_excess,
    gaussian_distance,
    gromov_delta,
    level_distance,
    ultrametric_excess,
)
from tests.builders import refuses


@pytest.mark.parametrize("d", [1, 2, 64])
def test_distance_is_that_of_the_metric(d):
    """Small steps: `ds^2 = |dy|^2 / s^2 + 2 d (ds / s)^2`; along the vertical, `sqrt(2d) log(s'/s)`."""
    step = np.full(d, 1e-4 / np.sqrt(d))
    assert abs(gaussian_distance(np.array([0 * step, step]), (0.5, 0.5)) / 2e-4 - 1) < 1e-6
    upright = gaussian_distance(np.zeros((2, d)), (0.5, 2.0))
    assert abs(upright / (np.sqrt(2 * d) * np.log(4)) - 1) < 1e-12
    far = gaussian_distance(np.array([0 * step, step * 1e4]), (0.3, 0.3))
    assert abs(far / level_distance(1.0, 0.3, d) - 1) < 1e-12


@pytest.mark.parametrize("d", [1, 2, 64])
def test_constants_hold_and_are_reached(d):
    rng = np.random.default_rng(d)
    points = rng.normal(size=(10_000, 4, d)) * 10.0 ** rng.uniform(-3, 3, (10_000, 1, 1))
    gap = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    distance = level_distance(gap, 0.1, d)
    triples = distance[:, [0, 0, 1], [1, 2, 2]]
    assert ultrametric_excess(triples).max() <= free_excess(d)
    assert gromov_delta(distance).max() <= free_delta(d)
    line = np.abs(np.subtract.outer([0.0, 1, 2], [0.0, 1, 2]))[[0, 0, 1], [1, 2, 2]]
    assert abs(ultrametric_excess(level_distance(line, 1e-9, d)) / free_excess(d) - 1) < 1e-3
    a = 3 + 2 * np.sqrt(2)                                                # a harmonic quadruple: cross ratio 2
    four = np.abs(np.subtract.outer([-a, -1.0, 1, a], [-a, -1.0, 1, a]))
    assert abs(gromov_delta(level_distance(four, 1e-9, d)) / free_delta(d) - 1) < 1e-3


def test_four_points_at_any_heights_obey_ptolemy_with_mirror_images():
    """`exp(d / (2 sqrt(2d)))` by distances to a point and to its mirror image, and its four-point inequality."""
    rng = np.random.default_rng(3)
    y = rng.normal(size=(2000, 4, 2)) * 10.0 ** rng.uniform(-3, 3, (2000, 1, 1))
    s = 10.0 ** rng.uniform(-2, 2, (2000, 4))
    square = ((y[:, :, None] - y[:, None]) ** 2).sum(-1) / 4                                # (y / sqrt(2 d), s), d = 2
    plain, mirrored = (np.sqrt(square + (s[:, :, None] + sign * s[:, None]) ** 2) for sign in (-1, 1))
    grown = (plain + mirrored) / (2 * np.sqrt(s[:, :, None] * s[:, None]))
    one = gaussian_distance(y[0, :2], s[0, :2])
    assert abs(np.log(grown[0, 0, 1]) * 4 / one - 1) < 1e-12
    left, right = grown[:, 0, 2] * grown[:, 1, 3], grown[:, 0, 1] * grown[:, 2, 3] + grown[:, 0, 3] * grown[:, 1, 2]
    assert (left <= right * (1 + 1e-12)).all()


@pytest.mark.parametrize("gap, free", [(0.99, True), (4.0, False)])
def test_the_constant_holds_as_far_as_half_circles_stay_below_pure_noise(gap, free):
    """Three points in a row of Gaussian data of variance 1, width 0.1: farther apart the way runs along `k = 0`."""
    clock, data, s = schedule("log_snr_linear"), Mixture(np.zeros((1, 1)), np.ones(1), np.ones(1)), 0.1
    t = float(clock.time(np.log(1 / s**2 - 1)))
    x = np.array([0.0, gap, 2 * gap]) / s**2 * clock.sigma(t) ** 2 / clock.alpha(t)
    near, far = (geodesic(data, clock, [[t, x[0]], [t, x[i]]], accuracy=1e-4).length for i in (1, 2))
    assert (2 * gap <= 2 * np.sqrt(2 * (1 - s**2))) == free == (far - near <= free_excess(1))
    run = 2 * gap / np.sqrt(2) - 2 * np.sqrt(1 - s**2)
    exact = level_distance(2 * gap, s, 1) if free else np.sqrt(2) * (2 * np.arccosh(1 / s) + run)
    assert abs(far / exact - 1) < 1e-4


def test_trees_have_no_excess():
    """A star and an ultrametric: four points, exact zeros."""
    star = np.add.outer([1.0, 2, 3, 4], [1.0, 2, 3, 4]) * (1 - np.eye(4))
    assert gromov_delta(star) == 0
    assert ultrametric_excess(np.array([3.0, 3.0, 1.0])) == 0 and ultrametric_excess(np.array([5.0, 3, 1])) == 2


@pytest.mark.parametrize("d", [1, 64])
def test_small_distances_keep_their_digits(d):
    step = np.full(d, 1e-12 / np.sqrt(d))
    assert abs(gaussian_distance(np.array([0 * step, step]), (0.5, 0.5)) / 2e-12 - 1) < 1e-6


def test_distances_are_of_gaussians_with_a_width():
    refuses(lambda: gaussian_distance([[0.0], [1.0]], [0.0, 1.0]), "means, stds: shape (2, 1), [0.0, 1.0]; take")
    refuses(lambda: level_distance([1.0], 0.0, 2), "s = 0: takes standard deviations > 0")
    several = level_distance(np.ones((3, 1)), np.array([1.0, 2.0]), 2)
    assert several.shape == (3, 2) and several[0, 1] == level_distance(1.0, 2.0, 2)
    refuses(lambda: level_distance([1.0], 1.0, 0), "d = 0")
