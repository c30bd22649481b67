"""Figures of slices: orientation, shared colours, and what goes into the page."""

import re

import numpy as np
import pytest

from phasebook.site.figures.slices import (
    Map,
    annotated,
    as_bytes,
    coloured,
    curves,
    mosaic,
    overlaid,
    phase_diagram,
    round_ticks,
    strip_html,
)

STEPS, SHOWN = 4, [0, 3]
values = np.arange(STEPS * 25, dtype=float).reshape(STEPS, 5, 5)
thumbnails = np.random.default_rng(0).integers(0, 255, (STEPS, 3, 3, 8, 8, 3), dtype=np.uint8)
noise, extent, field = np.array([9.0, 3, 1, 0.1]), [0.0, 2.0, -1.0, 1.0], Map("log S", values)


def test_alpha_points_up():
    colours = coloured(np.array([[0.0, 0.0], [1.0, 1.0]]), (0, 1))
    assert colours[0].sum() > colours[1].sum()                     # the upper row is the larger alpha, and brighter
    tiles = np.zeros((2, 1, 4, 4, 3), np.uint8)
    tiles[1] = 200
    assert (mosaic(tiles, 4)[:4] == 200).all() and (mosaic(tiles, 4)[-4:] == 0).all()
    assert (as_bytes(np.array([[[-1.0, 0.5, 2.0]]])) == [0, 128, 255]).all()


def test_one_scale_for_all_steps():
    assert field.range == (0, 99)
    assert np.array_equal(field.picture(0), coloured(values[0], (0, 99)))
    flat = Map("flat", np.zeros((2, 3, 3)))
    assert flat.picture(1).shape == (3, 3, 3)


def test_a_strip_holds_each_picture_once_and_its_words():
    html = strip_html(SHOWN, noise, extent, [field], thumbnails[SHOWN], alt="what it <shows>")
    assert html.count("<img") == 4 and "what it &lt;shows&gt;" in html
    assert "step 3</b>, σ/α = 0.1" in html and "http" not in html
    assert len(re.findall(r'alt="[^"]+"', html)) == 4
    named = strip_html(SHOWN, noise, extent, [Map("a <b>net", values)], alt="a map")       # of a folder, say
    assert "a &lt;b&gt;net" in named and "<b>net" not in named


def test_a_figure_needs_an_alternative_text():
    with pytest.raises(ValueError, match="alt"):
        strip_html(SHOWN, noise, extent, [field], alt=" ")


def test_annotated_axes_and_anchors_inside_the_extent():
    fig = annotated(thumbnails[0], field, 1, extent, [(1.0, 0.0, "hearts")])
    assert fig.layout.xaxis2.title.text == "β" and fig.layout.yaxis.title.text == "α"
    assert tuple(fig.layout.yaxis2.range) == (0, 2) and tuple(fig.layout.xaxis.range) == (-1, 1)
    assert [a.text for a in fig.layout.annotations] == ["<b>z₀</b>", "<b>z₁</b>", "<b>z₂</b>"]
    assert not annotated(thumbnails[0], field, 1, [5.0, 6.0, 5.0, 6.0], []).layout.annotations


def test_names_of_basins_do_not_lie_on_one_another():
    near = [(1.0, 0.0, "arrows"), (1.02, 0.1, "religions"), (1.0, -0.8, "moons")]
    first, second, third = annotated(thumbnails[0], field, 1, extent, near).data[0].y
    assert first == 1 == third and second - 1.02 == pytest.approx(0.14)         # by a letter's height of the map's two


def test_curves_label_whole_decades():
    fig = curves([1, 2, 3], {"a": np.array([1e-3, 1, 1e2])}, xtitle="x", ytitle="y", log="y")
    assert list(fig.layout.yaxis.ticktext) == ["10⁻³", "10⁻²", "10⁻¹", "1", "10", "10²"]
    assert curves([1, 2], {"a": np.zeros(2)}, xtitle="x", ytitle="y", log="y").layout.yaxis.type == "log"


def test_the_picture_for_the_readme():
    assert phase_diagram(thumbnails[SHOWN], field, SHOWN, noise, pane=60).size == (2 * 72 + 12, 176)


def test_overlaid_figures_keep_every_line_and_tell_them_apart():
    one, other = (curves([1.0, 2.0], {name: np.array([0.0, 1.0])}, xtitle="x", ytitle="y") for name in "ab")
    whole = overlaid([one, other])
    assert [t.name for t in whole.data] == ["a", "b"] and whole.layout.showlegend
    assert [t.line.dash for t in whole.data] == ["solid", "dash"]


def test_ticks_are_round_and_inside():
    assert round_ticks(-18.4, 12.3) == [-10, 0, 10]
    assert round_ticks(0, 1) == [0.2, 0.4, 0.6, 0.8]
    for low, high in ((-3e-4, 2e-4), (0.0, 7e5), (1.0, 1.7)):
        found = round_ticks(low, high)
        assert 2 <= len(found) <= 6 and low < found[0] and found[-1] < high
