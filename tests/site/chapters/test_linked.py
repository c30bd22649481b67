"""Phases and tree at one level: the mark stands where the level is, colours lie above their pictures."""

import re

import numpy as np

from phasebook.hierarchy.leaves import linkage_of
from phasebook.site.chapters.linked import BAR, FEW, HEAD, LEFT, PICTURE, TALL, UNIT, _note, _strip, _svg, _unit


def test_the_drawing_has_a_line_a_join_and_its_top_above():
    heights = np.array([[0, 1, 3], [1, 0, 3], [3, 3, 0]], float)
    svg = _svg(linkage_of(heights), 4.0, 0.1, 30.0)
    lines = [line for line in re.findall(r'points="([^"]+)"', svg) if len(line.split()) == 4]
    tops = sorted(min(float(p.split(",")[1]) for p in line.split()) for line in lines)
    assert tops == [TALL * (1 - 3 / 4), TALL * (1 - 1 / 4)]
    assert 'transform="translate(0 30.0)"' in svg and "Merge tree of 3 points" in svg


def test_every_picture_lies_under_its_colour():
    pictures = np.stack([np.full((8, 8, 3), grey, np.uint8) for grey in (0, 200)])
    strip = _strip(pictures, np.array([[255, 0, 0], [0, 0, 255]], np.uint8))
    assert strip.shape == (PICTURE + BAR, LEFT + FEW, 3)
    middles = [LEFT + FEW // 4, LEFT + 3 * FEW // 4]
    assert strip[1, middles].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert strip[-5, middles, 0].tolist() == [0, 200]


def test_few_leaves_lie_further_apart_and_none_beneath_the_levels():
    assert _unit(2) == FEW // 2 and _unit(12) == UNIT
    for n in (2, 12):
        heights = 3.0 - 3.0 * np.eye(n)
        svg = _svg(linkage_of(heights), 3.0, 0.1, 30.0)
        wide = LEFT + n * _unit(n)
        assert f'viewBox="0 {-HEAD} {wide} {TALL + HEAD}"' in svg and wide > TALL
        lines = [line for line in re.findall(r'points="([^"]+)"', svg) if len(line.split()) == 4]
        assert min(float(point.split(",")[0]) for line in lines for point in line.split()) >= LEFT
        assert "σ/α</text>" in svg


def test_the_note_counts_phases():
    phases, points = np.array([[0, 0], [1, 2]]), np.array([[0, 0], [0, 1]])
    assert _note("x", phases, points) == "At x the slice has 3 phases; the 2 points of the tree lie in one of them."
    assert _note("x", 0 * phases, points) == "At x the slice is one phase."
