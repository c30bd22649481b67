"""Builders of the few-step figures: panels, shared scales, sizes."""

import numpy as np

from phasebook.site.figures.fewstep import Portrait, picture_rows, planes, portraits

RNG = np.random.default_rng(0)


def test_portraits_share_one_scale_of_slopes():
    axis = np.linspace(-1, 1, 5)
    flat = np.zeros((5, 5), int)
    columns = [Portrait(name, RNG.normal(size=(9, 2)), np.arange(9) % 3 - 1, flat, top * np.ones((5, 5)))
               for name, top in (("a", 10.0), ("b", 1000.0))]
    fig = portraits(columns, axis, 2)
    slopes = [t for t in fig.data if t.type == "heatmap" and t.zmin == -1]
    assert [t.zmax for t in slopes] == [3.0, 3.0] and [t.showscale for t in slopes] == [False, True]
    assert sum(t.type == "scatter" for t in fig.data) == 2


def test_eight_parts_have_eight_colours_and_none_is_that_of_what_leaks():
    one = Portrait("a", RNG.normal(size=(9, 2)), np.arange(9) - 1, np.zeros((5, 5), int), np.ones((5, 5)))
    fig = portraits([one], np.linspace(-1, 1, 5), 8)
    assert len({colour for _, colour in fig.data[1].colorscale}) == 9


def test_planes_share_one_scale_of_jumps():
    labels, jumps = [np.eye(4, dtype=int)] * 3, [k * np.ones((3, 3)) for k in range(3)]
    fig = planes(["a", "b", "c"], labels, jumps, 2)
    assert len(fig.data) == 6 and {t.zmax for t in fig.data} == {1.5, 2.0}


def test_planes_of_seven_models_stand_in_four_columns():
    """More would not fit a page, which lets five scroll."""
    fig = planes(list("abcdefg"), [np.eye(4, dtype=int)] * 7, [np.ones((3, 3))] * 7, 8)
    starts = {round(axis.domain[0], 3) for axis in fig.select_xaxes()}
    assert len(starts) == 4 and len(fig.data) == 14 and sum(t.showscale for t in fig.data) == 1
    heads = [(a.text, round(a.y, 3)) for a in fig.layout.annotations]
    assert [text for text, _ in heads] == list("abcdefg") and len({y for _, y in heads}) == 2
    assert len({colour for _, colour in fig.data[0].colorscale}) == 8


def test_rows_of_pictures_are_one_small_image():
    fig = picture_rows(["a", "b"], RNG.uniform(size=(2, 3, 8, 8, 3)))
    assert fig.data[0].source.startswith("data:image/webp") and fig.layout.yaxis.ticktext == ("a", "b")
    assert fig.layout.yaxis.tickvals == (4.0, 12.0)
