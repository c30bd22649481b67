"""Partitions of a slice: what identical, independent and moved ones share."""

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from phasebook.slices.measures.partitions import clusters, displacement, shared_basins, shared_information
from tests.builders import refuses


def stripes(at, n=12):
    """Two phases, cut at a column."""
    return np.tile((np.arange(n) >= at).astype(int), (n, 1))


def compact(seed, n=12, centres=6):
    """Cells of random centres: compact, as phases of a slice are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n] / n
    at = rng.random((centres, 2))
    return np.argmin([(y - a)**2 + (x - b)**2 for a, b in at], axis=0)


def test_identical_labels_share_all_and_independent_ones_nothing():
    rng = np.random.default_rng(0)
    a, b = rng.integers(5, size=4000), rng.integers(7, size=4000)
    assert shared_information(a, 9 - a) == pytest.approx(1) and shared_information(a, b) < 0.01
    assert shared_information(a, b) == pytest.approx(normalized_mutual_info_score(a, b, average_method="geometric"))
    assert shared_information(np.zeros(9, int), np.zeros(9, int)) is None
    assert shared_information(np.zeros(9, int), np.arange(9)) == 0


def test_labels_of_a_point_each_take_no_table_of_all_pairs():
    """Its 40 401^2 numbers would be 13 GB."""
    each = np.arange(201**2)
    assert shared_information(each, each[::-1]) == pytest.approx(1)
    assert shared_information(each, each // 2) == pytest.approx((np.log(201**2 / 2) / np.log(201**2)) ** 0.5, abs=1e-4)


def test_few_points_share_by_chance_and_compact_ones_more_than_shuffled():
    """The bias that the null takes out: on 64 points independent labels share a tenth, unrelated cells a third."""
    rng = np.random.default_rng(1)
    small = [shared_information(rng.integers(5, size=64), rng.integers(5, size=64)) for _ in range(60)]
    assert 0.05 < np.mean(small) < 0.15
    cells = [compact(seed).ravel() for seed in range(20)]
    unrelated = np.mean([shared_information(cells[i], cells[i + 1]) for i in range(0, 20, 2)])
    shuffled = np.mean([shared_information(cells[i], rng.permutation(cells[i + 1])) for i in range(0, 20, 2)])
    assert unrelated > 2 * shuffled


def test_beyond_chance_is_one_for_the_same_basins_and_zero_for_strangers():
    first = np.stack([compact(seed).ravel() for seed in range(14)])
    same = shared_basins(first, first)
    assert same.own == pytest.approx(1) and same.beyond == pytest.approx(1) and (same.null < 0.8).all()
    strangers = shared_basins(first, np.stack([compact(100 + seed).ravel() for seed in range(14)]))
    assert abs(np.median(strangers.beyond)) < 0.15
    one = shared_basins(np.zeros((3, 9), int), np.zeros((3, 9), int))
    assert np.isnan(one.own).all() and np.isnan(one.null).all() and np.isnan(one.beyond).all()
    with pytest.raises(ValueError, match="two slices or more"):
        shared_basins(first[:1], first[:1])


def test_a_slice_that_neither_cuts_is_left_out():
    """One basin in both models is no agreement, on the slice and among strangers; one that one of the two cuts shares
    nothing."""
    first = np.stack([compact(seed).ravel() for seed in range(6)])
    second = np.stack([compact(100 + seed).ravel() for seed in range(6)])
    whole = np.zeros((1, 144), int)
    alone = shared_basins(first, second)
    beside = shared_basins(np.concatenate([first, whole]), np.concatenate([second, whole]))
    assert np.isnan([beside.own[6], beside.beyond[6]]).all() and beside.null[6] == 0
    assert np.allclose(beside.own[:6], alone.own) and np.allclose(beside.null[:6], alone.null * 5 / 6)
    parted = shared_basins(np.concatenate([first, whole]), np.concatenate([second, first[:1]]))
    assert parted.own[6] == 0 and parted.beyond[6] < 0


@pytest.mark.parametrize("call, words", [
    (lambda: shared_information([0, 1, 2], [0, 1]), "first, second: 3 and 2 labels; take as many of each"),
    (lambda: shared_information([], []), "first, second: 0 and 0 labels"),
    (lambda: displacement(stripes(4), stripes(4)[:5], (0.1, 0.1)), "first, second: shapes (12, 12), (5, 12)"),
    (lambda: displacement([0, 1], [1, 0], (0.1, 0.1)), "first, second: shapes (2,), (2,)"),
])
def test_labels_of_other_points_are_refused(call, words):
    refuses(call, words)


def test_clusters_are_pictures_that_lie_close():
    rng = np.random.default_rng(0)
    points = np.repeat(np.eye(3) * 10, 5, axis=0) + 0.1 * rng.standard_normal((15, 3))
    labels = clusters(points, 3.0)
    assert len(set(labels)) == 3 and all(len(set(labels[k:k + 5])) == 1 for k in (0, 5, 10))
    assert clusters(points[:1], 3.0).tolist() == [0] and len(set(clusters(points, 99.0))) == 1
    refuses(lambda: clusters(np.arange(6.0), 3.0), "features: shape (6,)")      # to SciPy the distances of four points


def test_a_boundary_that_moves_is_displaced_by_that_much():
    assert displacement(stripes(4), stripes(4).tolist(), (0.1, 0.1)) == 0
    assert displacement(stripes(4), stripes(7), (0.5, 0.1)) == pytest.approx(0.3)
    assert displacement(stripes(4).T, stripes(6).T, (0.5, 0.1)) == pytest.approx(1.0)
    assert displacement(stripes(4), np.zeros((12, 12), int), (0.1, 0.1)) is None
