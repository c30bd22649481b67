"""Figures of spacetime: rows of pictures, energies, maps of a slice."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from phasebook.site.figures import spacetime as draw
from phasebook.stats import Estimate


def test_rows_stand_as_named():
    white, black = np.ones((3, 4, 4, 3)), np.zeros((3, 4, 4, 3))
    fig = draw.strips({"above": white, "below": black}, size=8)
    sheet = Image.open(BytesIO(base64.b64decode(fig.layout.images[0].source.split(",")[1]))).convert("L")
    assert sheet.size == (24, 16) and sheet.getpixel((12, 4)) > 240 and sheet.getpixel((12, 12)) < 15
    assert list(fig.layout.yaxis.ticktext) == ["above", "below"] and fig.layout.yaxis.range == (2, 0)
    assert list(fig.layout.xaxis.ticktext) == ["0.00", "0.50", "1.00"]


def test_published_values_are_rings_of_the_same_colour():
    fig = draw.measured_against(["a", "b"], {"flow": [1, 2]}, {"flow": [1.1, 2.1]}, [0.01, 0.02])
    ours, theirs, bars = fig.data
    assert ours.marker.color == theirs.marker.color and theirs.marker.symbol == "circle-open"
    assert list(bars.y) == [1, 2]


def test_curvature_is_drawn_about_zero():
    u = np.linspace(-1, 1, 5)
    density = np.linspace(-3, 1, 25).reshape(5, 5)
    left, right = draw.slice_curvature((u, u), np.full((5, 5), 100.0), density).data
    assert (left.z == 2).all() and right.zmin == -right.zmax and right.zmax > 2.5
    figure = draw.slice_curvature((u, u), np.full((5, 5), 100.0), density)
    assert figure.layout.yaxis.constrain == figure.layout.yaxis2.constrain == "domain"      # no grid beyond a map
    flat = draw.slice_curvature((u, u), np.ones((5, 5)), np.zeros((5, 5)))
    assert flat.data[1].zmax == 1


def test_intervals_stand_around_their_estimates():
    fig = draw.compared(np.array([1.0, 2.0]), {"a": [Estimate(3, 2, 5, 4), Estimate(1, 0, 2, 4)]}, "x", "y")
    bars = fig.data[0].error_y
    assert list(fig.data[0].y) == [3, 1] and list(bars.array) == [2, 1] and list(bars.arrayminus) == [1, 1]
