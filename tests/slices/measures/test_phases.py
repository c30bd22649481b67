"""Phases of a slice: watershed, boundaries, linking, nesting."""

import numpy as np
import pytest

from phasebook.slices.measures.phases import (
    areas,
    boundary_length,
    connected,
    depth_points,
    link,
    nesting,
    nesting_over_steps,
    persistence,
    phases_of,
    watershed_labels,
)

N = 60


def halves(n=N):
    return np.repeat([[0] * (n // 2) + [1] * (n // 2)], n, axis=0)


def quarters(n=N):
    return halves(n) + 2 * halves(n).T


def test_watershed_parts_valleys_at_their_ridges():
    x = np.linspace(0, 1, N)
    height = np.exp(-((x - 0.5) / 0.03) ** 2) * np.ones((N, 1))         # one ridge, along beta = 1/2
    labels = watershed_labels(height, 0.1)
    assert labels.max() == 1
    assert (labels[:, 0] == labels[0, 0]).all() and (labels[:, -1] == labels[0, -1]).all()
    assert abs(areas(labels)[0] - 0.5) < 0.03
    cross = np.maximum(height, height.T)
    assert watershed_labels(cross, 0.1).max() == 3
    assert watershed_labels(0.05 * cross, 0.1).max() == 0                # nothing that deep
    assert watershed_labels(np.ones((9, 9)), 0.1).max() == 0
    for sea in (1e9, -1e9):
        assert np.array_equal(watershed_labels(np.round(height, 3) + sea, 0.1), watershed_labels(height, 0.1))


def test_shallow_valleys_are_no_basins():
    x = np.linspace(0, 1, N)
    height = np.exp(-((x - 0.5) / 0.03) ** 2) + 0.05 * np.sin(40 * x)
    height = height * np.ones((N, 1))
    assert watershed_labels(height, 0.2).max() == 1
    assert watershed_labels(height, 0.02).max() > 3


def test_an_open_ridge_parts_what_a_cut_does_not():
    """A ridge with a gap: the pass in the gap is still a climb."""
    x = np.linspace(0, 1, N)
    open_ridge = np.exp(-((x - 0.5) / 0.05) ** 2) * (1 - 0.5 * np.exp(-((x - 0.5) / 0.05) ** 2))[:, None]
    assert watershed_labels(open_ridge, 0.3).max() == 1
    assert watershed_labels(open_ridge, 0.7).max() == 0


@pytest.mark.parametrize("depth", [1.0, np.nextafter(1, 0), 1 - 1e-12, 1 - 1e-9, 1 - 1e-7])
def test_basins_nearly_as_deep_as_the_heights_are_high_are_numbered(depth):
    """What is left of the valleys once they are filled is next to nothing beside the heights, and still parts them."""
    h = np.array([[0, 1, 0.0], [0, 1, 0]])
    labels = watershed_labels(h, depth)
    assert labels.min() == 0
    assert labels.max() == (1 if depth < 1 - 1e-15 else 0)


@pytest.mark.parametrize("kind, values", [(np.uint8, [254, 255, 254]), (np.int8, [126, 127, 126]), (int, [-1, 3, -1])])
def test_pieces_of_any_label_are_counted_from_0(kind, values):
    assert connected(np.array([values], dtype=kind)).tolist() == [[0, 1, 2]]


def test_connected_pieces_count_apart():
    stripes = np.repeat([[0, 0, 1, 1, 0, 0]], 4, axis=0)
    assert connected(stripes).max() == 2
    assert connected(np.eye(3, dtype=int)).max() == 4                   # corners do not connect


def test_lengths_and_areas():
    square = np.zeros((N, N), dtype=int)
    square[10:30, 10:50] = 1
    assert areas(square).tolist() == [1 - 800 / N**2, 800 / N**2]
    h = 1 / (N - 1)
    assert boundary_length(square, (h, h)) == pytest.approx(np.pi / 4 * 120 * h)
    y, x = np.mgrid[:401, :401] / 400 - 0.5
    disk = (x**2 + y**2 < 0.16).astype(int)                             # the right length on average over directions
    assert boundary_length(disk, (1 / 400, 1 / 400)) == pytest.approx(2 * np.pi * 0.4, rel=0.01)
    found = phases_of(np.stack([np.zeros((N, N), int), quarters()]), (h, h))
    assert found.count.tolist() == [1, 4] and found.length[0] == 0 and found.largest.tolist() == [1, 0.25]


def test_nesting_is_one_for_refinements_and_chance_for_strangers():
    assert nesting(halves(), quarters()).score == 1
    perfect = nesting(quarters(), quarters(), [halves(), np.zeros((N, N), int)])
    assert perfect.score == 1 and perfect.shuffled < 0.3
    assert perfect.strangers == pytest.approx((0.5 + 0.25) / 2)
    assert nesting(halves(), halves().T).score == pytest.approx(0.5)
    assert nesting(halves(), quarters()).strangers is None
    shifted = np.roll(quarters(), 3, axis=1)
    assert 0.85 < nesting(halves(), shifted).score < 0.95
    each = np.arange(201**2).reshape(201, 201)      # a table of all pairs of these phases would take 13 GB
    assert nesting(each, each).score == 1 and nesting(each, each // 201).score == pytest.approx(1 / 201)


def test_nesting_over_steps_takes_steps_with_fewer_phases():
    steps = np.stack([np.zeros((N, N), int), halves(), quarters(), quarters()])
    over = nesting_over_steps(steps, 0.01, [halves().T])
    assert over.score == 1 and over.strangers == pytest.approx(0.5)
    assert nesting_over_steps(steps[:1], 0.01) is None and nesting_over_steps(steps[2:], 0.01) is None


def test_links():
    table = link(halves(), quarters())
    assert table.shape == (2, 4) and table.sum() == N * N
    for kind in (np.uint8, np.uint64):
        assert np.array_equal(link(halves().astype(kind), quarters().astype(kind)), table)
    assert nesting(halves(), quarters().astype(np.uint64)).score == 1
    with pytest.raises(ValueError, match="one grid"):
        link(halves(), halves(20))


def test_persistence_of_ridges():
    moved = np.roll(halves(), 8, axis=1)
    stays = persistence(np.stack([halves(), quarters()]))
    assert stays.tolist() == [1, 1]
    gone = persistence(np.stack([moved, halves()]))
    assert gone[0] < 0.6 and gone[1] == 1
    assert persistence(np.zeros((2, 5, 5), int)).tolist() == [1, 1]


def test_deepest_points():
    points = depth_points(quarters(), 0.1, 3)
    assert points.shape == (3, 2) and len({int(quarters()[i, j]) for i, j in points}) == 3


@pytest.mark.parametrize("call, words", [
    (lambda: watershed_labels(np.full((4, 4), np.nan), 0.1), "NaN or Inf"),
    (lambda: watershed_labels(np.ones((4, 4)), 0.0), "depth = 0.0"),
    (lambda: nesting(np.arange(900).reshape(30, 30), np.arange(900).reshape(30, 30) - 1), "^fine: a label -1; takes"),
    (lambda: link(halves() - 1, halves()), "^coarse: a label -1; takes labels 0, 1, ..."),
    (lambda: phases_of(halves()[None] - 1, (1, 1)), "^labels: a label -1; takes"),
])
def test_bad_inputs_are_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
