"""Counts that should not fall with the noise: exact modes do not, each other definition has its counterexample."""

import numpy as np
import pytest
from scipy.stats import norm

from phasebook.mixtures.latent_flow import count_regions, even_slope, line_quantile, steep_regions
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.modes import modes_1d
from phasebook.mixtures.monotone import (
    boundaries,
    boundary_tracks,
    drift,
    falls,
    height_counts,
    minor_pair,
    mode_counts,
    random_mixture,
    random_mode_falls,
    wide_among_narrow,
)
from phasebook.mixtures.ridges import image_grid, lipschitz_from_image


def test_counting_agrees_with_the_modes_found():
    rng = np.random.default_rng(0)
    for _ in range(15):
        mixture, levels = random_mixture(rng), np.geomspace(2, 0.05, 5)
        assert mode_counts(mixture, levels).tolist() == [len(modes_1d(mixture, 1.0, s).modes) for s in levels]
    assert mode_counts(Mixture.atoms([[1.0]]), [1.0, 0.1]).tolist() == [1, 1]


def test_exact_mode_count_never_falls():
    assert random_mode_falls(300, np.random.default_rng(5)) == 0


def test_falls():
    assert falls(np.array([1, 2, 2, 1, 3, 0])) == 2
    assert falls(np.array([1.0, 0.95, 0.5]), tolerance=0.1) == 1


def test_height_threshold_loses_a_mode():
    levels = np.geomspace(0.6, 0.05, 30)
    assert falls(height_counts(minor_pair(), levels, 0.05)) == 1
    assert falls(mode_counts(minor_pair(), levels)) == 0


@pytest.mark.parametrize("unit", [1.0, 5.0])
@pytest.mark.parametrize("atoms, most", [(0, 2), (4, 5)])
def test_beside_a_wide_component_mass_falls_and_regions_do_not(unit, atoms, most):
    """At unit 5 slopes above 5 would be one region: the data's own width."""
    count, mass = steep_regions(wide_among_narrow(unit, atoms), np.geomspace(30 * unit, 0.1 * unit, 60), 5.0)
    assert falls(count) == 0 and count[-1] == most
    assert falls(mass, 1e-4) >= 1


def test_steep_regions_of_the_plane_merge():
    """Three atoms have three ridges, which meet: three regions, then one."""
    data, counts = Mixture.atoms([[0.0, 1.0], [-0.9, -0.5], [0.9, -0.6]], np.array([0.3, 0.35, 0.35])), []
    for s in np.geomspace(0.6, 0.2, 8):
        steep = lipschitz_from_image(data, image_grid(data, s, 4.0, 48), s, 4.0) - np.log1p(s**2) / 2
        counts.append(count_regions(steep > np.log(5.0 * even_slope(data, s))))
    assert falls(np.array(counts)) >= 1


def test_a_boundary_ends_at_the_weight_with_the_slope_of_the_quantile_map():
    mixture = Mixture.atoms([[-1.0], [1.0]], np.array([0.3, 0.7]))
    assert boundaries(mixture, 2.0) == []
    (middle,), (last,) = boundaries(mixture, 0.7), boundaries(mixture, 0.05)
    assert middle.quantile == pytest.approx(0.2508, abs=1e-3)
    assert last.quantile == pytest.approx(0.3, abs=1e-9)
    z = norm.ppf([middle.quantile - 1e-5, middle.quantile + 1e-5])
    y = line_quantile(mixture, 0.7, norm.cdf(z))
    even = np.sqrt((0.84 + 0.49) / 1.49)            # a Gaussian's, of variance 1 - 0.4²
    assert middle.slope == pytest.approx(np.diff(y)[0] / np.diff(z)[0] / np.sqrt(1.49) / even, rel=1e-4)


def test_tracks_follow_each_boundary_up_to_where_it_formed():
    levels = np.geomspace(1.5, 0.05, 150)
    tracks = boundary_tracks(Mixture.atoms([[-2.0], [0.0], [1.0]], np.array([0.2, 0.5, 0.3])), levels)
    assert [t[-1].quantile for t in tracks] == pytest.approx([0.2, 0.7], abs=1e-6)
    assert [t[0].level for t in tracks] == pytest.approx([0.7248, 0.3977], abs=1e-4)
    for track in tracks:
        assert (np.diff([b.level for b in track]) < 0).all()
        assert np.abs(np.diff([b.quantile for b in track])).max() < 0.03
    assert boundary_tracks(Mixture.atoms([[0.0]]), levels) == []


@pytest.mark.parametrize("levels", [60, 200])
def test_drift_is_large_at_birth_and_small_from_the_ridge_on(levels):
    """Nine per cent since birth, whatever the grid of levels; birth is where p' and p'' vanish together."""
    (track,) = boundary_tracks(Mixture.atoms([[-1.0], [1.0]], np.array([0.3, 0.7])), np.geomspace(1.5, 0.05, levels))
    assert track[0].level == pytest.approx(0.736760, abs=1e-5)
    assert drift(track, 0.0) == pytest.approx(0.0910, abs=2e-4)
    assert 1e-3 < drift(track, 5.0) < 2.5e-3
    assert drift(track, 1e300) is None


@pytest.mark.parametrize("data, moved", [
    (wide_among_narrow(1.0), 0.0081), (wide_among_narrow(5.0), 0.0081),
    (Mixture.atoms([[-0.38], [0.69], [0.75], [1.69]], np.array([0.676, 0.021, 0.027, 0.276])), 0.0240)])
def test_a_ridge_may_move_by_a_per_cent_or_two_whatever_the_unit(data, moved):
    size = np.abs(data.means).max()
    tracks = boundary_tracks(data, size * np.geomspace(0.5, 0.05, 200))
    assert max(drift(track, 5.0) or 0 for track in tracks) == pytest.approx(moved, rel=0.1)
