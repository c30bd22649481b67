"""Figures of the hierarchy: what they show is where it should be."""

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.cluster.hierarchy import linkage

from phasebook.site.figures.hierarchy import (
    MergeTree,
    PairStrip,
    PhaseRow,
    as_bytes,
    geodesic_map,
    likeness_scales,
    merge_trees,
    pair_strips,
    phase_maps,
    ridge_curves,
)
from phasebook.site.figures.phase_colours import phase_colours
from phasebook.stats import Estimate

EXTENT = [0.0, 1.0, 0.0, 2.0]


def labels(n=12):
    left = np.repeat([[0] * (n // 2) + [1] * (n // 2)], n, axis=0)
    return np.stack([np.zeros((n, n), int), left, left + 2 * left.T])


def test_pictures_as_bytes():
    pixels = np.zeros((2, 3, 4, 5))
    pixels[:, 0] = 2.0
    assert as_bytes(pixels).shape == (2, 4, 5, 3) and as_bytes(pixels)[0, 0, 0].tolist() == [255, 0, 0]


def test_phase_maps_have_a_pane_and_a_title_each():
    noise = np.array([13.0, 5.0, 1.0])
    rows = [PhaseRow("one", labels(), [0, 1, 2], noise, np.array([1, 2, 4])),
            PhaseRow("two", labels(), [0, 2], noise, np.array([1, 2, 4]))]
    fig = phase_maps(rows, EXTENT)
    assert len(fig.layout.images) == 5
    titles = [a.text for a in fig.layout.annotations]
    assert titles[:3] == ["σ/α = 13<br>1 phase", "σ/α = 5<br>2 phases", "σ/α = 1<br>4 phases"]
    image = fig.layout.images[0]
    assert (image.x, image.y, image.sizex, image.sizey) == (0, 1, 2, 1)
    assert [fig.layout[f"xaxis{k}"].title.text for k in ("", 2, 3, 4, 5)] == [None, None, "β", "β", "β"]
    assert fig.layout.yaxis2.scaleanchor == "x2" and not fig.layout.yaxis2.showticklabels
    assert all(fig.layout[f"xaxis{k}"].showticklabels is not False for k in ("", 2, 3, 4, 5))      # in each row alike


def test_a_shown_step_has_the_colours_that_it_has_among_all_steps():
    one, other = labels()[2], labels()[2].T
    steps = np.stack([one * 0, one % 2, one // 2, one, other])
    fig = phase_maps([PhaseRow("m", steps, [0, 4], np.geomspace(9, 1, 5), np.array([1, 2, 2, 4, 4]))], EXTENT)
    drawn = Image.open(BytesIO(b64decode(fig.layout.images[1].source.split(",")[1])))
    side = drawn.size[0] // 12
    shown = np.asarray(drawn.convert("RGB"))[side // 2::side, side // 2::side][::-1]
    assert (shown == phase_colours(steps)[4]).all()
    assert (phase_colours(steps)[4] != phase_colours(steps[[0, 4]])[1]).any()       # the steps between matter


def test_pair_strips_mark_the_split():
    noise = np.geomspace(10, 0.1, 10)
    pair = PairStrip("pair", np.zeros((3, 2, 8, 8, 3), np.uint8), [0, 5, 9], np.linspace(0, 1, 10), noise, 1.0, "rms")
    fig = pair_strips([pair, pair])
    assert len(fig.layout.images) == 2 and len(fig.layout.shapes) == 2
    assert fig.layout.shapes[0].x0 == pytest.approx(0)              # log10 of sigma/alpha
    strip, curve, below = (fig.layout[f"yaxis{k}"].domain for k in ("", 2, 3))
    assert strip[0] - curve[1] < curve[0] - below[1]                # nearer to its own curve than to the last
    assert [a.yref for a in fig.layout.annotations] == ["y domain", "y3 domain"]    # titles lie on their strips
    assert [t.y[-1] for t in fig.data if t.x is not None and len(t.x) == 10] == [1, 1]


def test_a_pair_of_a_flow_begins_at_infinite_noise():
    noise = np.array([np.inf, 4.0, 1.0])
    fig = pair_strips([PairStrip("p", np.zeros((2, 2, 8, 8, 3), np.uint8), [0, 2], np.arange(3.0), noise, 2.0, "rms")])
    assert list(fig.layout.xaxis.ticktext) == ["∞", "1"]
    assert next(list(t.x) for t in fig.data if t.mode == "lines") == pytest.approx([np.log10(4), 0], abs=1e-4)


def test_a_merge_tree_has_every_leaf_once_and_its_root_left():
    tree = linkage(np.array([[0.0], [1], [5], [6.5]]), "average")
    fig = merge_trees([MergeTree("t", tree, np.zeros((4, 6, 6, 3), np.uint8))] * 2, "height")
    assert len(fig.layout.images) == 8 and sorted(i.y for i in fig.layout.images)[::2] == [0, 1, 2, 3]
    assert fig.layout.xaxis.range[0] > fig.layout.xaxis.range[1]
    assert len([t for t in fig.data if t.mode == "lines"]) == 6


def test_scales_have_a_dot_for_each_set():
    fig = likeness_scales({"a": {"data": [0.5, 0.6], "twin": [0.3]}, "b": {"data": [0.4]}}, "x")
    assert {t.name: list(t.x) for t in fig.data} == {"data": [0.5, 0.6, 0.4], "twin": [0.3]}
    assert list(fig.layout.yaxis.ticktext) == ["a", "b"]
    assert fig.data[0].y == pytest.approx([-0.06, -0.06, 1.0]) and fig.data[1].y == pytest.approx([0.06])   # about it


def test_ridge_curves_leave_out_what_is_missing():
    some = [Estimate(0.5, 0.4, 0.7, 12), None, Estimate(0.6, -np.inf, np.inf, 3)]
    fig = ridge_curves([0.1, 0.2, 0.4], {"q": {"m": some}}, {"q": 0.9})
    line, marks = fig.data
    assert list(line.x) == [0.1, 0.4] and line.marker.symbol == "circle-open"       # hollow without an interval
    assert list(marks.x) == [0.1] and marks.error_y.array == pytest.approx([0.2])
    assert fig.layout.shapes[0].y0 == 0.9


def test_bars_of_two_models_stand_side_by_side():
    some = [Estimate(0.5, 0.4, 0.7, 12)]
    fig = ridge_curves([0.2], {"q": {"m": some, "n": some}}, {"q": 0.9})
    assert fig.data[0].x[0] < 0.2 < fig.data[2].x[0]


def test_geodesics_lie_in_the_extent():
    curves = np.array([[[0.0, 0], [5, 9]], [[2, 2], [4, 4]]])
    phases = np.repeat([[0] * 5 + [1] * 5], 6, axis=0)
    fig = geodesic_map(np.zeros((6, 10)), curves, [True, False], phases, EXTENT, "log")
    assert (fig.data[2].x[-1], fig.data[2].y[-1]) == (2, 1)
    border = fig.data[1]
    assert {v for v in border.x if v is not None} == {1.0} and len(border.y) == 3 * 6 and border.y[2] is None
    low, high = fig.layout.yaxis.range
    assert low < 0 and high > 1                         # marks at the edge are whole
    assert [t.name for t in fig.data[2:] if t.showlegend is not False] == ["inside a phase", "across a boundary"]
