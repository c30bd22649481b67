"""Geodesics of slices whose answer is known: flat metrics, and a wall to go round."""

import numpy as np
import pytest

from phasebook.hierarchy.straightness import geodesic_distances, scattered, straightness
from phasebook.slices.geodesic import Surface


def test_straight_inside_a_flat_phase_and_longer_across_a_wall():
    n = 41
    one, labels = np.ones((n, n)), np.zeros((n, n), int)
    flat = straightness(Surface(one, 0 * one, one, (0.025,) * 2), labels, 16, 0)
    assert flat.inside.all() and flat.excess.max() < 1e-9 and flat.median(False) is None
    cost = one.copy()
    cost[:30, 19:22] = 400.0
    labels[:, 20:] = 1
    bent = straightness(Surface(cost, 0 * one, cost, (0.025,) * 2), labels, 24, 0)
    assert bent.median(True) < 0.05 < bent.median(False)
    assert not bent.inside[bent.spaced(False, 3)].any()


@pytest.mark.parametrize("shape", [(9, 41), (41, 9)])
def test_points_lie_all_over_a_slice_that_is_no_square(shape):
    one, labels = np.ones(shape), (np.add(*np.indices(shape)) >= 25).astype(int)
    found = straightness(Surface(one, 0 * one, one, (0.025,) * 2), labels, 12, 0, chord=(0.0, 2.0))
    assert (found.curves.max((0, 1)) > 0.6 * np.array(shape)).all()
    assert found.inside.any() and not found.inside.all() and found.excess.max() < 1e-9


def test_geodesic_distances_need_five_phases():
    one = np.ones((12, 12))
    quarters = np.kron(np.arange(4).reshape(2, 2), np.ones((6, 6), int))
    ninths = np.kron(np.arange(9).reshape(3, 3), np.ones((4, 4), int))
    surface = Surface(one, 0 * one, one, (1.0, 1.0))
    assert geodesic_distances(surface, quarters, 20) is None
    d, points = geodesic_distances(surface, ninths, 20)
    np.testing.assert_allclose(d, np.linalg.norm(points[:, None] - points[None], axis=-1), rtol=1e-9)
    assert geodesic_distances(Surface(0 * one, 0 * one, 0 * one, (1.0, 1.0)), ninths, 20) is None


def test_scattered_points_lie_far_apart():
    points = np.array([[0.0, 0], [0, 1], [9, 9], [0, 2]])
    assert scattered(points, 2).tolist() == [0, 2] and len(scattered(points, 9)) == 4
