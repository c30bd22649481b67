"""Figures of transition paths hold what they are given."""

import numpy as np

from phasebook.site.figures.paths import along, landscape

AXES = (np.linspace(0, 1, 6), np.linspace(0, 2, 5))


def test_a_landscape_has_its_energy_paths_and_curves():
    energy = np.arange(30.0).reshape(6, 5)
    fig = landscape(AXES, energy, {"a": np.ones((4, 2))}, ["x", "y"], "kT", 20, np.zeros((9, 3, 2)), energy > 12)
    assert np.allclose(fig.data[0].z, np.minimum(energy, 20).T)
    assert fig.data[1].x.count(None) == 3 and len(fig.data[1].x) == 3 * 4
    assert [trace.name for trace in fig.data[2:]] == ["region", "a"]


def test_a_slider_shows_one_density_at_a_time():
    fig = along(AXES, np.random.default_rng(0).random((3, 6, 5)), np.zeros((3, 2)), [0, 0.5, 1], ["x", "y"])
    steps = fig.layout.sliders[0].steps
    assert [sum(step.args[0]["visible"][:3]) for step in steps] == [1, 1, 1]
    assert [trace.visible for trace in fig.data[:3]] == [False, True, False]
    assert fig.data[3].marker.size <= 3     # a density of one cell in 64, some 6 pixels, stays seen
