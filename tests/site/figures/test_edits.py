"""Figures of edits: every picture and every pair is there, and says what it is."""

import numpy as np
import pytest

from phasebook.site.figures.edits import EditRow, Panel, edits_html, scatters, success_curves, trip_curves


def test_rows_name_their_pictures_and_frame_one():
    picture = np.zeros((4, 4, 3))
    row = EditRow("a <b>", "c", picture, np.zeros((2, 4, 4, 3)), picture, 1)
    page = edits_html([row], [0, 5], np.linspace(9, 1, 6), alt="two", title="model")
    assert page.count("<img") == 4 and page.count("class=pb-star") == 1 and "<b>5</b>" in page
    assert "a &lt;b&gt; → c, resumed at step 5 (k*)" in page and "<b>c</b>" in page
    with pytest.raises(ValueError, match="alt: empty"):
        edits_html([row], [0, 5], np.ones(6), alt=" ")


def test_every_pair_is_a_point_of_its_level():
    panel = Panel("t", "x", np.array([1.0, 2.5, 3.0]), "y", np.array([2.0, 3.5, 5.0]), ["within", "across", "within"],
                  ["p", "q", "r"], True)
    fig = scatters([panel, panel, panel])
    assert [len(trace.x) for trace in fig.data] == [2, 1, 2] * 3
    assert fig.data[1].text == ("q",) and sum(bool(trace.showlegend) for trace in fig.data) == 2
    assert fig.layout.xaxis.type == "log"


def test_curves_have_a_row_a_model():
    falling = (np.array([1.0, 0.5]), np.array([0.3, 0.1]))
    curves = {"within": falling, "across": falling}
    fig = success_curves({"one": ([0, 5], curves), "two": ([0, 2], curves)})
    assert len(fig.data) == 8 and sum(bool(trace.showlegend) for trace in fig.data) == 2
    trips = trip_curves({"m": np.array([1e-3, 0.0])}, 1e-6)
    assert trips.data[0].x.tolist() == [1.0, 0.5] and trips.data[0].y[1] > 0
    assert "10⁻⁴" in trips.layout.yaxis.ticktext        # as on every logarithmic axis of the book
