"""Divisions side by side: latents that leave the first division are black, all others keep their atom's colour."""

import numpy as np

from phasebook.site.figures.divisions import divisions, partitions


def test_what_differs_from_the_first_panel_is_black():
    first = np.array([[0, 0, 1], [0, 1, 1], [2, 2, 2]])
    second = first.copy()
    second[0, 1] = 1
    fig = divisions(["flow", "one map"], [first, second], np.arange(3.0))
    left, right = (np.asarray(t.z) for t in fig.data)
    assert (left == first).all() and right[0, 1] == 3 and (right == first).sum() == 8
    assert fig.data[1].colorscale[-1][1] == "#000000" and fig.layout.xaxis2.title.text


def test_equal_basins_have_equal_colours():
    first = np.array([[0, 0, 1], [0, 1, 1], [2, 2, 1]])
    fig = partitions(["one", "renamed", "other"], np.stack([first, 2 - first, first.T])[:, None])
    one, renamed, other = (np.asarray(t.z) for t in fig.data)
    assert (one == renamed).all() and not (one == other).all()
    assert len(np.unique(one.reshape(-1, 3), axis=0)) == 3
