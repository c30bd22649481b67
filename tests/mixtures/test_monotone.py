"""Counts that should not fall with the noise: exact modes do not, each other definition has its counterexample."""

import numpy as np
import pytest

from phasebook.mixtures.latent_flow import steep_regions
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.modes import modes_1d
from phasebook.mixtures.monotone import (
    antimode_ranks,
    boundary_tracks,
    falls,
    height_counts,
    minor_pair,
    mode_counts,
    random_mixture,
    random_mode_falls,
    wide_among_narrow,
)


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


@pytest.mark.parametrize("unit", [5.0])
@pytest.mark.parametrize("atoms", [0, 4])
def test_steep_regions_merge_beside_a_wide_component(unit, atoms):
    count, mass = steep_regions(wide_among_narrow(unit, atoms), np.geomspace(30 * unit, 0.1 * unit, 60), unit)
    assert falls(count) >= 1
    assert falls(mass, 1e-4) >= 1


def test_antimode_ranks_end_at_the_weights():
    ranks = antimode_ranks(Mixture.atoms([[-1.0], [1.0]], np.array([0.3, 0.7])), np.array([2.0, 0.7, 0.05]))
    assert len(ranks[0]) == 0
    assert ranks[1] == pytest.approx([0.2508], abs=1e-3)
    assert ranks[2] == pytest.approx([0.3], abs=1e-9)


def test_tracks_follow_each_boundary_up_to_where_it_formed():
    levels = np.geomspace(1.5, 0.05, 150)
    tracks = boundary_tracks(Mixture.atoms([[-2.0], [0.0], [1.0]], np.array([0.2, 0.5, 0.3])), levels)
    assert [t[-1, 1] for t in tracks] == pytest.approx([0.2, 0.7], abs=1e-6)
    assert [t[0, 0] for t in tracks] == pytest.approx([0.72, 0.40], abs=0.02)
    assert all((np.diff(t[:, 0]) < 0).all() and np.abs(np.diff(t[:, 1])).max() < 0.03 for t in tracks)
    assert boundary_tracks(Mixture.atoms([[0.0]]), levels) == []
