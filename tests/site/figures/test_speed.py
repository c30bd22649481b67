"""Panels of cost curves."""

import numpy as np

from phasebook.site.figures.speed import cost_curves


def test_a_panel_for_each_size_with_its_own_axis():
    fig = cost_curves({name: ([1, 2, 4], np.array([1.0, 2.0, 8.0]) * k) for k, name in enumerate("abcd", 1)})
    assert [trace.y[2] for trace in fig.data] == [8, 16, 24, 32] and len({trace.xaxis for trace in fig.data}) == 4
    assert fig.layout.xaxis4.title.text == "d" and fig.layout.xaxis.type == fig.layout.yaxis4.type == "log"
    assert tuple(fig.layout.xaxis2.tickvals) == (1, 2, 4)
