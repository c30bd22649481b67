"""Steepness from the image: inverse of the flow down, closed forms on the line, the bound, counts of regions."""

import numpy as np
import pytest

from phasebook.mixtures import ridges
from phasebook.mixtures.latent_flow import count_regions, latent_flow, line_slope
from phasebook.mixtures.mixtures import Mixture
from tests.builders import refuses

PLANE = Mixture.atoms([[-1.2, 0.3], [0.2, 1.1], [1.3, 0.1], [-0.3, -1.0], [0.3, 0.2]], np.array([.25, .15, .3, .2, .1]))


def test_the_way_up_inverts_the_way_down():
    z = np.random.default_rng(0).normal(size=(40, 2))
    flow = latent_flow(PLANE, z, np.array([0.6]), jacobian=True, rate=60)
    back = ridges.source_of(PLANE, flow.y[0], 0.6, rate=30)
    assert np.abs(back.z - z).max() < 1e-6
    assert np.abs(back.inverse @ flow.jacobian[0] - np.eye(2)).max() < 1e-4
    steep = ridges.lipschitz_from_image(PLANE, flow.y[0], 0.6, rate=30)
    assert np.exp(steep) / np.sqrt(1.36) == pytest.approx(flow.lipschitz()[0], rel=1e-4)


@pytest.mark.parametrize("s", [1.0, 0.5, 0.3, 0.1])
@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.3, 0.7), (0.02, 0.98)])
def test_ascent_against_the_quantile_map_of_the_line(s, weights):
    weights = np.array(weights)
    plane, line = Mixture.atoms([[-1.0, 0.0], [1.0, 0.0]], weights), Mixture.atoms([[-1.0], [1.0]], weights)
    exact = line_slope(line, s, np.linspace(-4, 4, 200_001))[1].max()     # of ridges 1e-2 wide: to 1e-6
    for mixture in (plane, line):
        top, _ = ridges.ascend(mixture, s, ridges.pair_starts(mixture))
        assert np.exp(top) / np.sqrt(1 + s**2) == pytest.approx(exact, rel=2e-4)


@pytest.mark.parametrize("s", [0.74, 0.26, 0.13])
def test_ascent_is_never_below_a_finer_grid_of_the_image(s):
    starts = np.concatenate([ridges.pair_starts(PLANE), ridges.image_grid(PLANE, s, 4.0, 24).reshape(-1, 2)])
    top, place = ridges.ascend(PLANE, s, starts, reach=4.0)
    assert top >= ridges.lipschitz_from_image(PLANE, ridges.image_grid(PLANE, s, 4.0, 40), s, 4.0).max() - 0.02
    assert np.linalg.norm(ridges.source_of(PLANE, place, s).z) <= 4.0 + 1e-9


@pytest.mark.parametrize("d", [2, 3, 64])
def test_no_constant_exceeds_the_bound_in_any_dimension(d):
    cloud = Mixture.atoms(np.random.default_rng(d).normal(size=(5, d)))
    flat, rows = ridges.in_span(cloud)
    diameter = np.linalg.norm(cloud.means[:, None] - cloud.means, axis=-1).max()
    for s in diameter * np.array([0.5, 0.2]):
        top, place = ridges.ascend(flat, s, ridges.pair_starts(flat), reach=4.0)
        assert top <= ridges.lipschitz_bound(cloud, s) + 1e-4
        if s > 0.4 * diameter:                 # the same number from the whole space, by the flow down
            z = ridges.source_of(flat, place, s).z @ rows
            whole = latent_flow(cloud, z, np.array([s]), jacobian=True, rate=40).jacobian[0]
            assert np.log(np.linalg.norm(whole, 2)) == pytest.approx(top, abs=1e-3)
    if d == 64:                                # every pair is an edge of the hull: the bound is nearly reached
        assert top > ridges.lipschitz_bound(cloud, s) - 0.1


def test_two_equal_atoms_attain_the_bound():
    pair = Mixture.atoms([[-1.0, 0.5, 0.0], [1.0, -0.5, 2.0]])
    for s in (1.0, 0.4, 0.2):
        assert ridges.ascend(ridges.in_span(pair)[0], s, np.zeros((1, 1)))[0] == \
            pytest.approx(ridges.lipschitz_bound(pair, s), abs=1e-4)


def test_the_bound_needs_a_bounded_support():
    with pytest.raises(ValueError, match="variances = .*: take zeros"):
        ridges.lipschitz_bound(Mixture(np.zeros((1, 2)), np.ones(1), np.ones(1)), 1.0)


def test_regions_counted_in_the_image_do_not_depend_on_the_grid():
    counts = {}
    for points in (40, 80):
        counts[points] = []
        for s in (0.26, 0.18, 0.13):
            y = ridges.image_grid(PLANE, s, 4.0, points)
            steep = ridges.lipschitz_from_image(PLANE, y, s, 4.0) - np.log1p(s**2) / 2 > np.log(5)
            counts[points].append(count_regions(steep))
    assert counts[40] == counts[80]


def test_odd_data_do_not_crash():
    one = Mixture.atoms([[2.0, 1.0]])
    assert ridges.ascend(one, 0.5, ridges.pair_starts(one))[0] == pytest.approx(np.log(0.5), abs=1e-6)
    close = Mixture.atoms([[0.0, 0.0], [1e-7, 0.0], [1.0, 1.0]])
    assert np.isfinite(ridges.ascend(close, 0.3, ridges.pair_starts(close))[0])
    assert ridges.ascend(PLANE, 0.3, np.array([[50.0, 50.0]]), reach=1.0)[0] == -np.inf


@pytest.mark.parametrize("d", [3, 8])
def test_in_many_dimensions_the_midpoint_of_two_atoms_is_as_steep_as_the_bound(d):
    ends = np.eye(d)[:2] * 2**0.5
    two, middle = Mixture.atoms(ends), ends.mean(0)[None]
    for s in (0.2, 0.05):
        assert ridges.lipschitz_from_image(two, middle, s) == pytest.approx(ridges.lipschitz_bound(two, s), abs=1e-3)
    top = ridges.ascend(two, 0.1, ridges.pair_starts(two))[0]
    assert top == pytest.approx(ridges.lipschitz_bound(two, 0.1), abs=1e-3)


def test_what_has_no_source_is_refused():
    plane = Mixture.atoms([[0.0, 0.0], [1.0, 0.0]])
    refuses(lambda: ridges.source_of(plane, np.zeros((4, 1)), 0.3), "y: shape (4, 1); takes points (..., 2)")
    refuses(lambda: ridges.source_of(plane, np.zeros((4, 2)), 0.0), "s = 0.0: takes a noise level > 0")
    refuses(lambda: ridges.lipschitz_bound(plane, 0.0), "s = 0.0: takes a noise level > 0")
