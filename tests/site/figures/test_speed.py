"""Panels of cost curves."""

import numpy as np

from phasebook.site.figures.speed import cost_curves


def test_a_panel_for_each_size_with_its_own_axis():
    fig = cost_curves({name: ([1, 2, 4], np.array([1.0, 2.0, 8.0]) * k) for k, name in enumerate("abcd", 1)})
    assert [trace.y[2] for trace in fig.data] == [8, 16, 24, 32] and len({trace.xaxis for trace in fig.data}) == 4
    assert fig.layout.xaxis4.title.text == "d" and fig.layout.xaxis.type == fig.layout.yaxis4.type == "log"
    assert tuple(fig.layout.xaxis2.tickvals) == (1, 2, 4)


def test_a_panel_shows_a_decade_at_least_so_that_noise_does_not_look_like_a_slope():
    fig = cost_curves({"pixels": ([256, 1024, 4096], [2.57, 2.78, 2.61]), "grid": ([1, 10], [0.1, 30.0])})
    flat, steep = (fig.layout[name].range for name in ("yaxis", "yaxis2"))
    assert np.isclose(flat[1] - flat[0], 1) and np.isclose(10 ** (sum(flat) / 2), (2.57 * 2.78) ** 0.5)
    assert steep[0] < -1 and np.log10(30) < steep[1] and steep[1] - steep[0] < 3
