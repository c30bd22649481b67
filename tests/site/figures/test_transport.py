"""Builders of the transport figures: what is drawn is what was given."""

import numpy as np

from phasebook.site.figures.transport import Curve, Field, animated_pair, curves, fields


def test_curves_share_a_legend_and_log_axes():
    x = np.logspace(-6, -1, 6)
    panels = [[Curve("a", x, x**2), Curve("b", x, x, "predicted", 1)], [Curve("a", x, x, "open")]]
    fig = curves(panels, ["x", "x"], ["y", "z"])
    assert [t.showlegend for t in fig.data] == [True, True, False]
    assert fig.layout.xaxis.type == "log" and fig.layout.yaxis2.title.text == "z"
    assert np.array_equal(fig.data[0].y, x**2)


def test_animation_opens_in_the_middle_with_fixed_axes():
    x, times = np.linspace(0, 1, 11), [0.0, 0.5, 1.0]
    curve = [(x, x * (1 + t)) for t in times]
    difference = [(x, x * t) for t in times]
    fig = animated_pair(times, curve, curve, difference, names=("p", "q"), x_title="x",
                        y_titles=("d", "e"), difference_name="r")
    assert len(fig.frames) == 3 and fig.layout.sliders[0].active == 1
    assert np.allclose(fig.data[0].y, 1.5 * x, atol=1e-3) and fig.layout.yaxis2.range[1] > 1


def test_arrows_point_where_the_field_points():
    z, points = np.zeros((4, 4)), np.array([[1.0, 2.0], [3.0, 1.0]])
    fig = fields([Field("t", z, points, np.array([[1.0, 0.0], [0.0, -0.5]]), 2.0, "z")])
    heads = fig.data[2]
    assert np.allclose(heads.x, [3, 3]) and np.allclose(heads.y, [2, 0])
    assert np.allclose(heads.marker.angle % 360, [90, 180])         # clockwise from up: right, down
