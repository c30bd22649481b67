"""Figures of the hierarchy: what they show is where it should be."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage

from phasebook.site.figures.hierarchy import (
    _colour_of,
    distance_matrices,
    geodesic_map,
    merge_tree,
    pair_strips,
    phase_maps,
    ultrametric_table,
)

EXTENT = [0.0, 1.0, 0.0, 2.0]


def labels(n=12):
    left = np.repeat([[0] * (n // 2) + [1] * (n // 2)], n, axis=0)
    return np.stack([np.zeros((n, n), int), left, left + 2 * left.T])


def test_neighbouring_phases_never_share_a_colour_and_the_larger_child_keeps_its_parents():
    rng = np.random.default_rng(0)
    patches = np.kron(np.arange(36).reshape(6, 6), np.ones((3, 3), int))
    colour = _colour_of(patches, None)
    for a, b in ((slice(1, None), slice(None, -1)),):
        assert ((colour[a] != colour[b]) == (patches[a] != patches[b])).all()
        assert ((colour[:, a] != colour[:, b]) == (patches[:, a] != patches[:, b])).all()
    before = rng.integers(0, 3, (12, 12)) * 0 + 5
    uneven = np.zeros((12, 12), int)
    uneven[:, 9:] = 1
    after = _colour_of(uneven, before)
    assert (after[:, :9] == 5).all() and (after[:, 9:] != 5).all()


def test_phase_maps_have_a_pane_and_a_title_each():
    fig = phase_maps(labels(), [0, 1, 2], np.array([13.0, 5.0, 1.0]), EXTENT, [1, 2, 4])
    assert len(fig.layout.images) == 3
    assert [a.text for a in fig.layout.annotations][:3] == [
        "step 0, σ/α = 13: 1 phase", "step 1, σ/α = 5: 2 phases", "step 2, σ/α = 1: 4 phases"]
    image = fig.layout.images[0]
    assert (image.x, image.y, image.sizex, image.sizey) == (0, 1, 2, 1)


def test_pair_strips_mark_the_split():
    pictures = np.zeros((2, 3, 2, 8, 8, 3), np.uint8)
    fig = pair_strips(pictures, [0, 5, 9], np.linspace(0, 1, 20).reshape(2, 10), [4, 10], ["one", "two"], "rms")
    assert len(fig.layout.images) == 2 and len(fig.layout.shapes) == 1 and fig.layout.shapes[0].x0 == 4
    assert [t.y[-1] for t in fig.data if len(t.x) == 10] == pytest.approx([0.4737, 1])


def test_a_merge_tree_has_every_leaf_once_and_its_root_left():
    tree = linkage(np.array([[0.0], [1], [5], [6.5]]), "average")
    fig = merge_tree(tree, np.zeros((4, 6, 6, 3), np.uint8), xtitle="height", reference=(2.0, "here"))
    assert len(fig.layout.images) == 4 and sorted(i.y for i in fig.layout.images) == [0, 1, 2, 3]
    assert fig.layout.xaxis.range[0] > fig.layout.xaxis.range[1]
    assert len([t for t in fig.data if t.mode == "lines"]) == 3


def test_matrices_are_ordered_by_the_tree():
    d = np.abs(np.subtract.outer([0, 10, 1, 11.0], [0, 10, 1, 11.0]))
    fig = distance_matrices({"d": d}, linkage(d[np.triu_indices(4, 1)], "average"))
    shown = np.array(fig.data[0].z)
    assert shown.max() == 1 and shown[0, 1] == shown[2, 3] == pytest.approx(0.091)


def test_geodesics_lie_in_the_extent():
    curves = np.array([[[0.0, 0], [5, 9]], [[2, 2], [4, 4]]])
    fig = geodesic_map(np.zeros((6, 10)), curves, [True, False], EXTENT, "log")
    assert (fig.data[1].x[-1], fig.data[1].y[-1]) == (2, 1)
    assert [t.name for t in fig.data[1:] if t.showlegend is not False] == ["inside a phase", "across a boundary"]


def test_the_table_shows_value_interval_and_null():
    s = SimpleNamespace(value=0.5, low=0.4, high=0.6, null_low=0.1, null_high=0.2)
    html = ultrametric_table({"here": SimpleNamespace(triples=s, cophenetic=s, gap=s, delta=s)}, "caption")
    assert html.count("0.50 [0.40, 0.60], null 0.10 to 0.20") == 4 and "caption" in html
