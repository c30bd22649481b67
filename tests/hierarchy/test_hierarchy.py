"""Ultrametricity finds trees that are known, and none in Euclidean points; split steps and inputs."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from phasebook.hierarchy.hierarchy import (
    Statistic,
    Ultrametricity,
    found_tree,
    interval,
    over_sets,
    pair_split,
    ridge_split,
    split_steps,
    tree_distance,
    tree_of,
    ultrametricity,
)
from phasebook.hierarchy.nulls import (
    comb_tree,
    distances_of,
    equal_spectrum,
    regular_tree,
    shuffled_entries,
    shuffled_features,
    spectrum,
    tree_points,
)
from phasebook.hierarchy.ultrametric import check_distances, cophenetic, delta, gap, subdominant, triples

DRAWS = 16


def random_tree(n, seed):
    """An unbalanced tree with unequal branches: random points on a line, merged at random heights."""
    d = squareform(np.random.default_rng(seed).random(n * (n - 1) // 2) + 0.2)
    return squareform(cophenet(linkage(squareform(d), "average")))


TREES = {
    "binary": (regular_tree([2] * 4, [8, 4, 2, 1]), 1000),
    "binary, equal increments": (regular_tree([2] * 4, np.sqrt([4.0, 3, 2, 1])), 12288),
    "ternary": (regular_tree([3] * 3, [4, 2, 1]), 1000),
    "mixed": (regular_tree([2, 4, 3], [5, 3, 1]), 3000),
    "comb": (comb_tree(16), 2000),
}


@pytest.mark.parametrize("name", TREES)
def test_a_known_tree_is_found(name):
    tree, dimension = TREES[name]
    u = ultrametricity(points=tree_points(tree, dimension, 3), draws=DRAWS, seed=1)
    assert u.triples.value >= 0.95 and u.cophenetic.value >= 0.95
    assert u.gap.below_null and u.delta.below_null
    assert found_tree(u)


@pytest.mark.parametrize("n, dimension", [(30, 2), (24, 12288)])
@pytest.mark.parametrize("kind", ["normal", "uniform", "other normal"])
def test_euclidean_points_are_no_tree(n, dimension, kind):
    rng = np.random.default_rng(dimension + (kind == "other normal"))
    x = rng.random((n, dimension)) if kind == "uniform" else rng.standard_normal((n, dimension))
    u = ultrametricity(points=x, draws=DRAWS, seed=2)
    assert u.triples.value < 0.6 and u.cophenetic.value < 0.9
    assert not u.gap.below_null and not u.delta.below_null
    assert not found_tree(u)


def test_concentration_alone_makes_gap_and_delta_small():
    """In 12288 dimensions gap and delta are small for any points: their null has the same size."""
    u = ultrametricity(points=np.random.default_rng(0).standard_normal((24, 12288)), draws=DRAWS)
    assert u.gap.value < 0.05 and u.delta.value < 0.03
    assert u.gap.null == pytest.approx(u.gap.value, rel=0.5)


def test_statistics_of_exact_trees_and_of_a_square():
    for tree in (random_tree(12, 0), regular_tree([3, 2], [2, 1]), comb_tree(7)):
        found = triples(tree)
        assert found.agree == 1 and found.count == len(tree) * (len(tree) - 1) * (len(tree) - 2) // 6
        assert cophenetic(tree) == pytest.approx(1) and gap(tree) < 1e-12 and delta(tree) < 1e-12
        np.testing.assert_allclose(subdominant(tree), tree, atol=1e-12)
    square = distances_of(np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]))
    assert delta(square) == pytest.approx((2 * 2**0.5 - 2) / 2 / 2**0.5)
    assert gap(square) == pytest.approx((2**0.5 - 1) / 2**0.5)
    assert triples(square).agree == 0                       # sides sqrt 2, 1, 1: the defect is 1


def test_delta_by_hand():
    """Against four nested loops, and for a tree metric that is not ultrametric, where it vanishes and the gap does
    not."""
    d = distances_of(np.random.default_rng(4).standard_normal((7, 3)))
    worst = 0.0
    for x in range(7):
        for y in range(7):
            for z in range(7):
                for w in range(7):
                    a, b, c = sorted([d[x, y] + d[z, w], d[x, z] + d[y, w], d[x, w] + d[y, z]])
                    worst = max(worst, (c - b) / 2)
    assert delta(d) == pytest.approx(worst / d.max())
    line = np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
    assert delta(line) == 0 and gap(line) == pytest.approx(0.8)


def test_subdominant_is_the_minimax_path():
    d = distances_of(np.random.default_rng(5).standard_normal((9, 2)))
    best = d.copy()
    for k in range(9):
        best = np.minimum(best, np.maximum(best[:, k, None], best[k]))
    np.testing.assert_allclose(subdominant(d), best, atol=1e-12)


def test_equilateral_triples_say_nothing():
    d = 1 - np.eye(5)
    assert triples(d).decided == 0 and triples(d).agree == 0
    d = np.ones((4, 4)) - np.eye(4)
    d[0, 1] = d[1, 0] = 0.5
    assert triples(d).decided == pytest.approx(2 / 4) and triples(d).agree == 1


def test_ties_of_split_steps():
    """Sides 10, 9, 3 agree within one step, 10, 8, 3 do not (defect 2/7), and 10, 10, 9 says nothing."""
    def matrix(a, b, c):
        d = np.zeros((3, 3))
        d[0, 1], d[0, 2], d[1, 2] = a, b, c
        return d + d.T

    assert triples(matrix(10, 9, 3), tie=1) == (1, 1, 1)
    assert triples(matrix(10, 8, 3), tie=1) == (0, 1, 1)
    assert triples(matrix(10, 10, 9), tie=1).decided == 0


def test_a_noisy_matrix_says_what_its_noise_is():
    """Siblings of a ternary tree in 1000 dimensions, from distances alone: a side is known to about 2 %."""
    d = distances_of(tree_points(regular_tree([3] * 3, [4, 2, 1]), 1000, 3))
    assert triples(d).agree < 0.9 < 0.97 < triples(d, equilateral=0.1).agree
    assert ultrametricity(distances=d, equilateral=0.1, draws=4).triples.value == triples(d, equilateral=0.1).agree


def test_tree_points_have_the_distances_of_their_tree():
    tree = regular_tree([2, 3], [3, 1])
    d = distances_of(tree_points(tree, 40_000, 0))
    np.testing.assert_allclose(d, tree, atol=0.05)
    assert np.array_equal(tree_points(tree, 10, 7), tree_points(tree, 10, 7))


def test_the_null_has_the_same_spectrum_and_no_tree():
    points = tree_points(regular_tree([2] * 4, [8, 4, 2, 1]), 2000, 0)
    d, rng = distances_of(points), np.random.default_rng(0)
    own = spectrum(d)
    covariance = np.linalg.svd(points - points.mean(0), compute_uv=False)[:-1] ** 2
    np.testing.assert_allclose(own, covariance, rtol=1e-6)
    null = equal_spectrum(own, len(d), rng)
    np.testing.assert_allclose(spectrum(null), own, rtol=1e-6)
    assert cophenetic(null) < 0.9
    dealt = shuffled_entries(d, rng)
    np.testing.assert_allclose(np.sort(dealt.ravel()), np.sort(d.ravel()))
    mixed = shuffled_features(points, rng)
    np.testing.assert_allclose(np.sort(mixed, 0), np.sort(points, 0))
    assert cophenetic(distances_of(mixed)) < 0.8


def test_split_steps_by_the_three_definitions():
    """Three points: 0 and 1 part late and stay close, 2 leaves early."""
    d = np.zeros((5, 3, 3))
    d[:, 0, 1] = d[:, 1, 0] = [0, 0, 0, 1, 4]
    for a in (0, 1):
        d[:, a, 2] = d[:, 2, a] = [0, 3, 9, 10, 10]
    assert split_steps(d).tolist() == [[5, 5, 2], [5, 5, 2], [2, 2, 5]]         # half the median final distance: 5
    assert split_steps(d, threshold=0.5)[0, 1] == 3
    assert pair_split(d).tolist() == [[5, 4, 2], [4, 5, 2], [2, 2, 5]]
    assert ridge_split(np.array([[0, 0, 0], [0, 0, 1], [0, 1, 2]])).tolist() == [[3, 2, 1], [2, 3, 1], [1, 1, 3]]
    assert tree_distance(split_steps(d), 5)[0].tolist() == [0, 0, 3]
    assert tree_of(tree_distance(pair_split(d), 5))[:, 2].tolist() == [1, 3]


def test_intervals_cover_and_sets_are_pooled():
    rng, hits = np.random.default_rng(0), 0
    for k in range(60):
        _, low, high = interval(list(rng.normal(1, 0.3, 15)), k, draws=300)
        hits += low <= 1 <= high
    assert hits >= 50
    one = Statistic(0.5, 0.4, 0.6, 0.3, 0.2, 0.4, 0.1)
    found = over_sets([Ultrametricity(one, one, one, one)] * 3, 0)
    assert found.gap == Statistic(0.5, 0.5, 0.5, 0.3, 0.2, 0.4, 0.1)
    assert set(found.gap.record()) >= {"value", "low", "high", "null"}


def test_value_lies_in_its_interval_and_runs_repeat():
    x = np.random.default_rng(1).standard_normal((12, 5))
    first, second = (ultrametricity(distances=distances_of(x), draws=10, seed=3) for _ in range(2))
    assert first == second
    assert all(s.low <= s.value <= s.high for s in first)


@pytest.mark.parametrize("call, words", [
    (lambda: ultrametricity(), "give exactly one"),
    (lambda: ultrametricity(points=np.zeros((4, 2)), distances=np.eye(4)), "give exactly one"),
    (lambda: ultrametricity(points=np.ones((5, 3))), "all zero"),
    (lambda: ultrametricity(points=np.full((5, 3), np.nan)), "NaN or Inf"),
    (lambda: ultrametricity(points=np.ones(5)), "points: shape"),
    (lambda: ultrametricity(distances=np.ones((5, 5))), "not zero on the diagonal"),
    (lambda: ultrametricity(distances=np.ones((3, 3)) - np.eye(3)), "n >= 4"),
    (lambda: ultrametricity(distances=1 - np.eye(5), draws=0), "draws = 0"),
    (lambda: ultrametricity(distances=1 - np.eye(5), tie=-1.0), "tie = -1.0"),
    (lambda: ultrametricity(distances=1 - np.eye(5), equilateral=float("nan")), "equilateral = nan"),
    (lambda: check_distances(np.triu(np.ones((5, 5)), 1)), "not symmetric"),
    (lambda: check_distances(-(1 - np.eye(5))), ">= 0"),
    (lambda: regular_tree([2, 1], [2, 1]), "branching >= 2"),
    (lambda: regular_tree([2, 2], [1, 2]), "fall from level to level"),
    (lambda: regular_tree([2], [2, 1]), "one height a level"),
    (lambda: tree_points(np.array([[0, 1, 3], [1, 0, 1], [3, 1, 0.0]]), 10, 0), "no ultrametric"),
    (lambda: tree_points(regular_tree([2], [1]), 0, 0), "dimension = 0"),
    (lambda: split_steps(np.zeros((3, 2, 4))), "takes finite numbers (step, n, n)"),
    (lambda: ridge_split(np.zeros(3)), "labels: shape (3,)"),
    (lambda: interval([], 0), "takes one finite number"),
])
def test_bad_inputs_are_one_line(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert words in str(error.value) and "\n" not in str(error.value)
