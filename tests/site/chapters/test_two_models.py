"""Network and exact denoiser on one slice: one colour a picture in both, alpha upwards."""

import numpy as np

from phasebook.site.chapters.two_models import SIDE, _maps, _note


def test_a_picture_has_one_colour_and_alpha_points_up():
    maps = _maps(np.array([[[3, 7], [7, 7]], [[7, 3], [3, 3]]]))
    three, seven = maps[0, -1, 0], maps[0, 0, 0]
    assert maps.shape == (2, 2 * SIDE, 2 * SIDE, 3) and (three != seven).any()
    assert (maps[1, -1, -1] == three).all() and (maps[1, -1, 0] == seven).all()
    assert len({tuple(c) for c in _maps(np.arange(40)[None, None])[0, 0].tolist()}) == 40


def test_the_note_counts_pictures():
    assert _note("the network", "x", np.array([[2, 2]])).startswith("The network at x: one training picture is")
    assert "2 training pictures are" in _note("the network", "x", np.array([[2, 5]]))
