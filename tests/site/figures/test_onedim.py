"""Figures of the line: curves, gaps between polylines, pictures below their leaves."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from phasebook.site.figures import onedim as draw


def test_trees_are_one_trace_with_gaps():
    density = np.random.default_rng(0).uniform(1, 2, (3, 4))
    line = np.array([[0.1, -1.0], [0.2, -0.5]])
    fig = draw.spacetime(np.arange(3.0), np.arange(4.0), density, {"a": {"tree": [line, line], "joins": [line]}},
                         {"red": line})
    assert fig.data[0].z.max() == 1 and fig.data[0].z.shape == (4, 3)
    tree = next(t for t in fig.data if t.name == "modes")
    assert list(tree.x) == [0.1, 0.2, None, 0.1, 0.2, None]
    assert [t.name for t in fig.data if t.name == "red"] == ["red"]


def test_a_slice_whose_density_lies_between_the_positions_is_empty():
    fig = draw.spacetime(np.arange(2.0), np.arange(3.0), np.array([[0.0, 0, 0], [0, 2, 1]]), {"": {"tree": []}})
    assert fig.data[0].z.T.tolist() == [[0, 0, 0], [0, 1, 0.5]]


def test_lines_share_colours_and_log_axes():
    panels = {"one": {"a": ([1, 2], [3, 4]), "b": ([1], [2], "markers")}, "two": {"a": ([1, 2], [3, 4], "dash")}}
    fig = draw.lines(panels, ["x", "x"], ["y", "y"], log=["", "xy"], marks={"one": [(1.5, "here")]})
    first, dots, second = fig.data
    assert first.line.color == second.line.color and second.line.dash == "dash" and dots.mode == "markers"
    assert fig.layout.yaxis2.type == "log" and fig.layout.yaxis.type != "log"


def test_pictures_lie_below_their_leaves():
    """Three leaves in the order 2, 0, 1: the strip shows red, green, blue as the order says."""
    pictures = np.zeros((3, 4, 4, 3))
    pictures[[2, 0, 1], ..., [0, 1, 2]] = 1
    linkage = np.array([[0, 1, 1.0, 2], [2, 3, 2.0, 3]])
    fig = draw.dendrogram(linkage, [2, 0, 1], pictures, ["green", "blue", "red"], "height", size=8)
    sheet = Image.open(BytesIO(base64.b64decode(fig.layout.images[0].source.split(",")[1]))).convert("RGB")
    assert [int(np.argmax(sheet.getpixel((8 * k + 4, 4)))) for k in range(3)] == [0, 1, 2]
    assert [t for t in fig.data if t.text][0].text == ("red", "green", "blue")
