"""Parameters of the chapter on transition paths: what it takes, and one line for what it does not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasebook.paths.denoiser import Boltzmann
from phasebook.paths.geodesic import geodesic, tether
from phasebook.paths.langevin import transition_paths
from phasebook.paths.potential import FORMULAS, of_formula
from phasebook.site.build import runner, sources
from phasebook.site.chapters.transition_paths import Chapter, time_inside
from phasebook.site.checks.parameters import ParameterError

SOURCE = runner.find_chapter("10")
WELLS = {"potential": "double_well", "endpoints": [[-1.0, 0.0], [1.0, 0.0]], "avoid": [0.0, 0.5]}


@pytest.mark.parametrize("change", [
    WELLS, {"temperature": 2.494, "levels": [4.0, 4.0]}, {"levels": [5.0, 7.0], "tether_level": 6.0},
    {"potential": "mueller_brown", "endpoints": [[-0.56, 1.44], [0.62, 0.03]], "temperature": 15.0},
])
def test_odd_settings_are_taken(change):
    runner.check(SOURCE, change)


def test_a_grid_of_ones_own_is_taken(tmp_path):
    angle = -np.pi + 2 * np.pi * np.arange(24) / 24
    np.save(tmp_path / "own.npy", np.cos(angle)[:, None] + np.cos(2 * angle))
    runner.check(SOURCE, {"potential": str(tmp_path / "own.npy"), "endpoints": [[2.0, 1.5], [-2.0, -1.5]]})


def refused(change, words):
    with pytest.raises(ParameterError, match=words) as caught:
        runner.check(SOURCE, change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change, words", [
    ({"potential": "butane"}, "potential = 'butane': unknown; takes one of alanine, mueller_brown, double_well"),
    ({"potential": "double_well"}, r"endpoints = \[-2.55, 2.7\]: outside the potential"),
    ({"endpoints": [[1.0, 1.0], [1.0, 1.0]]}, "takes two different places"),
    ({"endpoints": [[1.0, 1.0]]}, "endpoints"),
    ({"levels": [2.0, 7.0]}, "least_level = 3: takes at most the ends' 2"),
    ({"levels": [9.0, 7.0]}, r"levels\[0\] = 9.0"),
    ({"temperature": 0.0}, "temperature = 0.0"), ({"temperature": 1e-308}, "temperature = 1e-308: .*>= 1e-12"),
    ({"temperature": 0.1}, "temperature = 0.1: the energy spans .* kT; takes >= 0.167"),
    ({"step_size": 0.01}, r"step_size = 0.01: Langevin steps are unstable at log-SNR 7 \(levels\).*takes <= 0.0023"),
    ({"tether_level": 8.0}, r"step_size = 0.0016: Langevin steps are unstable at log-SNR 8 \(tether_level\)"),
    ({"potential": "mueller_brown", "endpoints": [[-0.56, 1.44], [0.62, 0.03]]},
     r"bends by 4.1e\+03 kT \(temperature = 1\)"),
    (WELLS | {"temperature": 20.0}, "temperature = 20: 0.00.* of the density lies on the border"),
    ({"avoid": [0.95, -0.4]}, r"avoid = \[0.95, -0.4\]: an end of the path overlaps the region by 0.*overlap = 0.01"),
    ({"avoid_level": -1.0}, r"avoid = .* by 0.049; .*overlap = 0.01 \(avoid_level = -1\)"),
    (WELLS | {"avoid": [0.0, 9.0]}, "avoid = .*outside the potential"),
    ({"overlap": 1.0}, "overlap = 1.0"), ({"points": 16}, "points = 16: .*takes an integer >= 32"),
    ({"levels": [8.0, 7.0], "step_size": 4e-4}, r"nodes = 128: .* at log-SNR 8 \(levels, tether_level\); takes >= 154"),
    ({"nodes": 80}, "nodes = 80: their spacing is coarser .* at log-SNR 7 .*takes >= 94"),
    (WELLS | {"temperature": 0.02, "step_size": 1e-4, "levels": [5.0, 5.0]},
     r"nodes = 128: their spacing is coarser than the density where .* 1e\+04 kT \(temperature = 0.02\); takes >= 199"),
])
def test_others_are_refused_in_one_line(change, words):
    refused(change, words)


def test_nodes_that_are_taken_resolve_the_density():
    """The energy of a curve at least log-SNR 3 on nodes that are refused at kT = 0.02, and on those that are asked for,
    against 384."""
    surface = of_formula(*FORMULAS["double_well"])
    wells = np.array(WELLS["endpoints"])
    ends = tether(wells, 5.0, 2)

    def energy(nodes):
        bent = np.concatenate([ends[:1], tether(wells, 4.0, 22), ends[1:]])
        return geodesic(Boltzmann.of(surface, 0.02, nodes), bent, 24, least=3.0).energy

    fine = energy(384)
    assert abs(energy(96) / fine - 1) > 0.1 > 0.04 > abs(energy(199) / fine - 1)


def test_paths_on_the_rough_surface_stay_on_it():
    """Its levels and temperature are the chapter's own: a step that suits others is too long there."""
    p = Chapter.read(sources.defaults(SOURCE) | {"levels": [3.0, 3.0], "tether_level": 3.0, "least_level": 2.0,
                                                  "avoid_level": 2.0, "step_size": 0.01, "overlap": 0.9})
    surface = of_formula(*FORMULAS["mueller_brown"])
    eta = tether(np.array([[-0.558, 1.442], [0.623, 0.028]]), 7.0, 40)
    run = transition_paths(surface, 15.0, eta, 20, 20, p.rough_step, np.random.default_rng(0))
    assert (np.abs(run.position) < 3).all() and Chapter.read(sources.defaults(SOURCE)).rough_step == 0.0008


@pytest.mark.parametrize("array, words", [
    (np.zeros((24, 24)), "energies span 0"), (np.ones((24, 24)) * np.nan, "finite real"), (np.ones(24), "has shape"),
    (np.ones((3, 30)), "has shape"), (np.full((24, 24), "x"), "finite real"),
])
def test_bad_grids_are_refused_in_one_line(tmp_path, array, words):
    np.save(tmp_path / "bad.npy", array)
    refused({"potential": str(tmp_path / "bad.npy")}, words)
    (tmp_path / "text.npy").write_text("no array")
    refused({"potential": str(tmp_path / "text.npy")}, "not a readable .npy array")


@given(x=st.floats(-2.2, 2.2), y=st.floats(-1.6, 1.6), levels=st.tuples(st.floats(4, 7), st.floats(4, 7)))
@settings(max_examples=8, deadline=None)
def test_every_place_of_the_window_at_every_level_is_an_end(x, y, levels):
    region = {"avoid": [0.1234, 0.5678], "overlap": 0.999}
    runner.check(SOURCE, WELLS | region | {"endpoints": [[x, y], [-x, 0.1 - y / 2]], "levels": list(levels)})


@pytest.mark.parametrize("change, wells, paths", [
    ({}, True, True), ({"temperature": 2.0}, True, False), ({"steps": 8}, True, False),
    ({"endpoints": [[-1.4, 1.0], [0.95, -0.4]]}, False, False), (WELLS, False, False),
    ({"endpoints": [[-2.55 + 2 * np.pi, 2.7], [0.95, -0.4]]}, True, True),
], ids=["published", "warm", "short", "other ends", "other potential", "a turn on"])
def test_published_numbers_are_held_against_published_settings(change, wells, paths):
    chapter = Chapter.read(sources.defaults(SOURCE) | change)
    assert (chapter.published_wells, chapter.published_paths) == (wells, paths)


def test_few_paths_inside_leave_a_wide_interval_or_none():
    """Of twenty paths one draw in twenty-five has none of three that are inside, of no time over no time, which may be
    anything; of seven hardly one has none."""
    close, avoiding = np.zeros((2, 20))
    close[:2], avoiding[4] = 0.3, 0.1
    few = time_inside(avoiding, close, 0)
    assert few.value == pytest.approx(1 / 6) and not np.isfinite(few[1:3]).any()
    close[:6] = 0.3
    found = time_inside(avoiding, close, 0)
    assert found.value == pytest.approx(1 / 18) and found.low == 0 and 0.1 < found.high < np.inf
    assert time_inside(avoiding, 1 - avoiding, 0).high < 0.1
