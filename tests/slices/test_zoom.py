"""Box dimensions and crossings of curves that are known."""

import numpy as np
import pytest
from skimage.measure import points_in_poly

from phasebook.slices.zoom import box_counts, box_dimension, crossings, window_at
from tests.builders import refuses


def test_a_circle_has_dimension_one_over_ten_octaves():
    sizes = []

    def disk(x):
        sizes.append(len(x))
        return ((x**2).sum(1) < 0.6).astype(int)

    counts = box_counts(disk, (0.1, 0.1), 1.0, 10)
    assert max(sizes) <= 512 < sum(sizes)        # so that the latents of all never lie in memory together
    assert box_dimension(counts) == pytest.approx(1, abs=0.03)
    # a monotone quarter arc crosses as many boxes as lines of the grid, a unit of it two for each box's size
    assert counts[-1] / 2**10 == pytest.approx(2 * (np.sqrt(0.6 - 0.01) - 0.1), rel=0.02)


def test_a_window_lies_on_the_boundary():
    def disk(x):
        return ((x**2).sum(1) < 0.6).astype(int)

    corner = window_at(disk, (0, 1, 0, 1), 1e-3, 0)
    assert np.hypot(*(np.array(corner) + 0.5e-3)) == pytest.approx(0.6**0.5, abs=1e-9)
    assert window_at(disk, (-0.1, 0.1, -0.1, 0.1), 1e-3, 0) is None


def koch(depth):
    """The vertices of Koch's snowflake."""
    z = np.exp(-2j * np.pi * np.arange(4) / 3)
    for _ in range(depth):
        d = np.diff(z)
        parts = [z[:-1], z[:-1] + d / 3, z[:-1] + d / 3 + d / 3 * np.exp(1j * np.pi / 3), z[:-1] + 2 * d / 3]
        z = np.append(np.stack(parts, 1).ravel(), z[-1])
    return np.stack([z.real, z.imag], 1)


def test_a_koch_curve_has_its_own_dimension():
    curve = koch(5)
    counts = box_counts(lambda x: points_in_poly(x, curve).astype(int), (-1.31, -1.27), 2.6, 7)
    assert box_dimension(counts) == pytest.approx(np.log(4) / np.log(3), abs=0.05)


def test_grain_fills_the_plane_and_nothing_has_no_boundary():
    rng = np.random.default_rng(0)
    assert box_dimension(box_counts(lambda x: rng.integers(0, 2, len(x)), (0, 0), 1.0, 6)) == pytest.approx(2, abs=0.02)
    assert np.isnan(box_dimension(box_counts(lambda x: np.zeros(len(x), int), (0, 0), 1.0, 6)))


def test_crossings_measure_how_far_a_circle_has_moved():
    def of(radius):
        return lambda x: (np.hypot(*x.T) > radius).astype(float)[:, None]

    angle = np.linspace(0, 2 * np.pi, 17)
    direction = np.stack([np.cos(angle), np.sin(angle)], 1)
    low, high = 0.5 * direction, 1.5 * direction
    ends = (np.zeros((17, 1)), np.ones((17, 1)))
    one, two = (0.5 + crossings(of(r), low, high, ends) for r in (1.0, 1.001))
    np.testing.assert_allclose(one, 1.0, atol=1e-7)
    np.testing.assert_allclose(two - one, 1e-3, atol=1e-7)
    assert np.isnan(crossings(of(2.0), low, high, ends)).all()


@pytest.mark.parametrize("wrong, words", [
    ({"size": 0.0}, "size = 0.0: takes a positive number"), ({"size": -1.0}, "size = -1.0"),
    ({"octaves": -1}, "octaves = -1: takes a whole number >= 0"), ({"octaves": 2.5}, "octaves = 2.5"),
    ({"corner": (0.0,)}, "corner = (0.0,): takes two numbers"), ({"corner": None}, "corner = None: takes two numbers"),
])
def test_windows_that_are_none_are_refused(wrong, words):
    usual = {"label": lambda x: (x[:, 0] > 0.5).astype(int), "corner": (0.0, 0.0), "size": 1.0, "octaves": 2}
    assert box_counts(**usual).tolist() == [1, 2, 4]
    refuses(lambda: box_counts(**usual | wrong), words)
