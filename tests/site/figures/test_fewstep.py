"""Builders of the few-step figures: panels, shared scales, sizes."""

import numpy as np

from phasebook.site.figures.fewstep import Leaks, Portrait, leaks, picture_rows, planes, portraits

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


def test_infinite_constants_stand_beyond_all_finite_ones_and_side_by_side():
    layers = {"soft": (np.array([3.0, 2e3]), np.array([0.1, 0.0])), "hard": (np.full(2, np.inf), np.full(2, 0.01)),
              "experts": (np.full(2, np.inf), np.full(2, 0.02))}
    fig = leaks([Leaks(layers, np.array([0.5, 1e3]), np.array([0.5, 1e-5]))])
    soft, hard, experts, bound = fig.data
    assert 2e3 < hard.x[0] == hard.x[1] < experts.x[0] and hard.marker.symbol == experts.marker.symbol == "circle-open"
    assert fig.layout.xaxis.ticktext[-1] == "∞" and hard.x[0] < fig.layout.xaxis.tickvals[-1] < experts.x[0]
    assert min(soft.y) == min(bound.y) == 1e-4


def test_without_layers_that_jump_nothing_is_at_infinity():
    fig = leaks([Leaks({"soft": (np.array([3.0]), np.array([0.1]))}, np.array([1.0, 10.0]), np.array([0.5, 0.1]))])
    assert "∞" not in fig.layout.xaxis.ticktext
