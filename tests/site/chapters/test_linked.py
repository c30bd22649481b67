"""Phases and tree at one level: the mark stands where the level is, colours lie above their pictures."""

import re

import numpy as np

from phasebook.hierarchy.leaves import linkage_of
from phasebook.site.chapters.linked import BAR, PICTURE, TALL, _note, _strip, _svg


def test_the_drawing_has_a_line_a_join_and_its_top_above():
    heights = np.array([[0, 1, 3], [1, 0, 3], [3, 3, 0]], float)
    svg = _svg(linkage_of(heights), 4.0, 0.1, 30.0)
    lines = re.findall(r'points="([^"]+)"', svg)
    tops = sorted(min(float(p.split(",")[1]) for p in line.split()) for line in lines)
    assert tops == [TALL * (1 - 3 / 4), TALL * (1 - 1 / 4)]
    assert 'transform="translate(0 30.0)"' in svg and "Merge tree of 3 points" in svg


def test_every_picture_lies_under_its_colour():
    pictures = np.stack([np.full((8, 8, 3), grey, np.uint8) for grey in (0, 200)])
    strip = _strip(pictures, np.array([[255, 0, 0], [0, 0, 255]], np.uint8))
    assert strip.shape == (PICTURE + BAR, 2 * PICTURE, 3)
    assert strip[1, [5, PICTURE + 5]].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert strip[-5, [5, PICTURE + 5], 0].tolist() == [0, 200]


def test_the_note_counts_phases():
    phases, points = np.array([[0, 0], [1, 2]]), np.array([[0, 0], [0, 1]])
    assert _note("x", phases, points) == "At x the slice has 3 phases; the 2 points of the tree lie in one of them."
    assert _note("x", 0 * phases, points) == "At x the slice is one phase."
