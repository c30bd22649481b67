"""Builders of the transport figures: what is drawn is what was given."""

import numpy as np

from phasebook.site.figures.transport import (
    Curve,
    Field,
    animated_pair,
    chain_panels,
    curves,
    error_panels,
    fields,
    ratio_panels,
)
from phasebook.theory.chains.chain import Chain, Constants
from phasebook.theory.heat.expansion import Expansion
from phasebook.theory.heat.interpolation import Sweep


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


def test_thinned_field_draws_its_longest_arrow_as_long_as_said():
    arrows = np.zeros((48, 48, 2))
    arrows[4, 8] = [3.0, 4.0]
    field = Field.thinned("t", np.zeros((48, 48)), arrows, "z")
    assert len(field.points) == 144 and field.stretch * 5 == 0.6
    moved = np.flatnonzero(np.hypot(*field.arrows.T))
    assert np.allclose(field.points[moved], 2 * np.pi * np.array([[4, 8]]) / 48)


def test_panels_of_errors_and_ratios_hold_measured_and_predicted():
    eps = np.array([1e-3, 1e-2])
    sweep = {"a": Sweep(eps, eps**2 / 8 * 3 * (1 + 2 * eps), eps**2 / 32 * 3)}
    constants = {"a": Expansion(3.0, -2.0, 2.0, 1.0, 0.0)}
    maps, gaps = error_panels(sweep, constants)
    assert np.allclose(maps[1].y, eps**2 / 8 * 3) and np.allclose(gaps[0].y, gaps[1].y)
    ratios, _ = ratio_panels(sweep, constants)
    assert np.allclose(ratios[0].y, 2 * eps) and np.allclose(ratios[1].y, 2 * eps)


def test_panels_of_chains_leave_out_a_limit_of_zero():
    n = np.array([4, 8])
    chains = {"a": Chain(n, 3 / n**2, 2 / n**2, ""), "even": Chain(n, 0 / n, 0 / n, "")}
    left, right = chain_panels(chains, {"a": Constants(1.0, 3.0, 2.0), "even": Constants(0.0, 0.0, 0.0)})
    assert len(left) == 6 and [c.name for c in right] == ["a, forward", "a, backward"]
    assert np.allclose(right[0].y, 0)
