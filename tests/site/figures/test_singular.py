"""Builders of the singular-set figures: what they draw, what slides, how small they are."""

import numpy as np
import pytest

from phasebook.mixtures.monotone import Boundary
from phasebook.site.figures.base import table
from phasebook.site.figures.singular import (
    Cells,
    Torn,
    cells_and_basins,
    crease,
    drift_curves,
    family,
    growth_panel,
    staircase,
    stretch_panels,
    stretching,
    torn,
)
from phasebook.theory.cells import targets
from phasebook.theory.cells.tears import transport_onto

RNG = np.random.default_rng(0)
WALLS = RNG.normal(size=(3, 2, 2))


def transport(title):
    x = RNG.normal(size=(50, 2))
    return Torn(title, x, 2 * x, WALLS)


def test_torn_slides_only_when_there_is_something_to_slide():
    assert not torn([transport("a")]).layout.sliders
    fig = torn([transport(t) for t in "abc"], slider="neck ")
    steps = fig.layout.sliders[0].steps
    assert [s.label for s in steps] == ["a", "b", "c"]
    shown = [t.visible for t in fig.data]
    assert shown == list(steps[fig.layout.sliders[0].active].args[0]["visible"]) and sum(shown) == 3


def test_torn_opens_where_told_and_marks_a_speck():
    speck = transport("b")._replace(walls=0.01 * WALLS)
    fig = torn([transport("a"), speck, transport("c")], slider="target ", first=0)
    assert fig.layout.sliders[0].active == 0 and [t.visible for t in fig.data[::3]] == [True, False, False]
    assert [t.mode for t in fig.data[1::3]] == ["lines", "lines+markers", "lines"]


def test_a_torn_transport_is_drawn_at_points_of_equal_mass():
    done = transport_onto(targets.two_disks(5.0), 100, "disk")
    drawn = Torn.of(done, "far", 400)
    radius = np.linalg.norm(drawn.x, axis=1)
    assert drawn.title == "far" and np.isclose((radius**2).mean(), 0.5)           # uniform on the unit disk
    assert np.abs(drawn.walls).max() <= 1 + 1e-9 and len(drawn.walls) > 0
    assert np.isclose((drawn.image[:, 0] < 0).mean(), 0.5, atol=0.02)


def test_stretch_panels_draw_a_missing_jump_at_the_least_value():
    run = [transport_onto(targets.ellipse(), n, "disk") for n in (50, 100)]
    panels = stretch_panels({"disk": run}, least=1e-3)
    stretch, jump = (panel[0] for panel in panels)
    assert np.allclose(stretch.x, [1 / t.spacing for t in run]) and np.allclose(stretch.y, [t.stretch for t in run])
    assert np.allclose(jump.y, 1e-3)
    guide = panels[0][-1]
    assert guide.kind == "fitted" and np.allclose(guide.y / guide.x, guide.y[0] / guide.x[0])      # slope one


def test_drift_curves_put_a_dot_where_a_boundary_is_first_steep():
    track = [Boundary(1.0, 0.2, 1.0), Boundary(0.5, 0.3, 4.0), Boundary(0.25, 0.31, 9.0)]
    line, dot = drift_curves([track], 3.0)
    assert line.y.tolist() == [0.2, 0.3, 0.31] and (dot.x.tolist(), dot.y.tolist()) == ([0.5], [0.3])
    assert len(drift_curves([track], 10.0)) == 1


def test_growth_panel_predicts_from_the_first_dot():
    dots, rings, line = growth_panel({"trees": [1.0, 0.5], "twin": [0.9, 0.8]}, 2, 1.0)
    assert (dots.kind, rings.kind) == ("measured", "open")
    assert dots.y.tolist() == [2, 4] and np.allclose(line.y, [2, 4])


def test_cells_share_axis_and_colours():
    labels = RNG.integers(0, 5, (20, 20))
    fig = cells_and_basins([Cells("one", labels, labels, WALLS, 0.0), Cells("two", labels, labels, WALLS, 4.0)],
                           np.linspace(-3, 3, 20))
    maps = [t for t in fig.data if t.type == "heatmap"]
    assert len(maps) == 4 and all(m.z.dtype == np.uint8 for m in maps)
    assert "4.0 %" in fig.layout.annotations[3].text


def test_stretching_has_one_colour_scale_and_bytes():
    fig = stretching(["2", "1"], 10 ** RNG.uniform(-3, 6, (2, 9, 9)), np.linspace(-1, 1, 9), WALLS)
    maps = [t for t in fig.data if t.type == "heatmap"]
    assert {(m.zmin, m.zmax) for m in maps} == {(-30, 120)}
    assert all(m.z.dtype == np.int8 and m.z.min() >= -30 and m.z.max() <= 120 for m in maps)
    assert maps[0].colorbar.ticktext == ("0.1", "1", "10", "100", "1000", "10000")


def test_the_colours_of_stretching_end_at_what_is_there():
    """Two decades above the largest number would leave every map dark."""
    for largest, end, ticks in ((232.0, 71, 4), (1e3, 90, 5), (0.01, 0, 2), (np.inf, 120, 6)):
        maps = np.full((2, 9, 9), 0.5)
        maps[0, 3, 4] = largest
        bright = stretching(["2", "1"], maps, np.linspace(-1, 1, 9), WALLS).data[0]
        assert bright.zmax == end and len(bright.colorbar.tickvals) == ticks


def test_crease_and_family_carry_axis_titles():
    axis = np.linspace(-1, 1, 5)
    fig = crease(axis, np.abs(axis)[None] + 0 * axis[:, None], RNG.normal(size=(1, 2, 3)))
    assert fig.layout.scene.zaxis.title.text == "φ"
    pieces = np.concatenate([WALLS[0], np.full((1, 2), np.nan), WALLS[2]])
    fig = family([pieces, WALLS[1]], ["a", "b"], [True, False], np.arange(2.0), np.ones(2), np.ones(2), "b", 1.4)
    assert [fig.data[k].line.color for k in (0, 1)] == ["#D55E00", "#0072B2"]
    assert all(a.title.text for a in (fig.layout.xaxis, fig.layout.xaxis2, fig.layout.yaxis, fig.layout.yaxis2))
    assert fig.layout.xaxis.constrain == fig.layout.yaxis.constrain == "domain"
    assert fig.layout.xaxis.range[1] > np.abs(WALLS[..., 0]).max()         # whole, where an outline is in pieces


def test_staircase_is_flat_on_its_steps():
    fig = staircase([("map", np.array([0.0, 0.5, 1.0]), np.array([2.0, 3.0]))], "q", "T", 0.25)
    assert fig.data[0].x.tolist() == [0, 0.5, 0.5, 1] and fig.data[0].y.tolist() == [2, 2, 3, 3]
    assert fig.data[1].x.tolist() == [0, 0.25] and fig.data[1].y.tolist() == [2, 2]
    assert fig.layout.xaxis.title.text == fig.layout.xaxis2.title.text == "q"


@pytest.mark.parametrize("word", ["<b>", "&"])
def test_table_escapes(word):
    assert word not in table((word,), [(word,)], "x").replace("&lt;b&gt;", "").replace("&amp;", "")
