"""The four numbers: exact values of trees, of a square, and of small cases counted by hand."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from phasebook.hierarchy.trees import average_tree, comb_tree, distances_of, regular_tree
from phasebook.hierarchy.ultrametric import (
    check_distances,
    cophenetic,
    delta,
    gap,
    likeness,
    subdominant,
    triples,
)


def random_tree(n, seed):
    """An unbalanced tree with unequal branches."""
    return average_tree(distances_of(np.random.default_rng(seed).standard_normal((n, 3))))


@pytest.mark.parametrize("tree", [random_tree(12, 0), regular_tree([3, 2], [2, 1]), comb_tree(7)])
def test_exact_trees_reach_the_ends_of_all_four(tree):
    found = triples(tree)
    assert found.agree == 1 and found.count == len(tree) * (len(tree) - 1) * (len(tree) - 2) // 6
    assert cophenetic(tree) == pytest.approx(1) and gap(tree) < 1e-12 and delta(tree) < 1e-12
    np.testing.assert_allclose(subdominant(tree), tree, atol=1e-12)


def test_a_square():
    square = distances_of(np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]))
    assert delta(square) == pytest.approx((2 * 2**0.5 - 2) / 2 / 2**0.5)
    assert gap(square) == pytest.approx((2**0.5 - 1) / 2**0.5)
    assert triples(square).agree == 0                       # sides sqrt 2, 1, 1: the defect is 1


def test_delta_by_hand():
    d = distances_of(np.random.default_rng(4).standard_normal((7, 3)))
    worst = 0.0
    for x, y, z, w in np.ndindex(7, 7, 7, 7):
        _, b, c = sorted([d[x, y] + d[z, w], d[x, z] + d[y, w], d[x, w] + d[y, z]])
        worst = max(worst, (c - b) / 2)
    assert delta(d) == pytest.approx(worst / d.max())


def test_a_tree_that_is_not_ultrametric_has_delta_zero_and_a_gap():
    path = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
    assert delta(path) < 1e-12 and gap(path) > 0.5


def test_triples_below_the_resolution_do_not_count():
    d = 1 - np.eye(4)
    d[0, 1] = d[1, 0] = 0.5
    assert triples(d).resolved == 0.5 and triples(d).agree == 1
    assert triples(d, 0.6) == (0.0, 0.0, 4)
    assert triples(1 - np.eye(5)).resolved == 0             # equilateral


@pytest.mark.parametrize("unit", [1, 3, 7, 10])
def test_a_defect_of_a_fifth_agrees_in_any_unit(unit):
    assert triples(np.array([[0, 10, 5], [10, 0, 9], [5, 9, 0]]) / unit).agree == 1


def test_likeness_turns_all_four_the_same_way():
    tree, cloud = random_tree(20, 1), distances_of(np.random.default_rng(0).standard_normal((20, 2)))
    high, low = likeness(tree), likeness(cloud)
    assert all(high[name] > low[name] for name in ("triples", "cophenetic", "gap", "delta"))


@pytest.mark.parametrize("d, words", [
    (np.ones((5, 5)), "not zero on the diagonal"), (np.ones((3, 3)) - np.eye(3), "n >= 4"),
    (np.triu(np.ones((5, 5)), 1), "not symmetric"), (-(1 - np.eye(5)), ">= 0"), (np.full((4, 4), np.nan), "NaN or Inf"),
    ("x", "distances = 'x': takes a matrix"), (None, "distances = None: takes a matrix"),
])
def test_bad_distances_are_one_line(d, words):
    with pytest.raises(ValueError, match=words) as error:
        check_distances(d)
    assert "\n" not in str(error.value)


def test_all_subsets_are_looked_at_where_they_are_asked_for():
    """A random choice of more than there are would see some twice and others never."""
    d = distances_of(np.random.default_rng(0).standard_normal((40, 3)))
    i, j, k, m = np.array(list(combinations(range(40), 4))).T
    sums = np.sort([d[i, j] + d[k, m], d[i, k] + d[j, m], d[i, m] + d[j, k]], axis=0)
    assert delta(d, most=comb(40, 4)) == (sums[2] - sums[1]).max() / 2 / d.max()
    many = distances_of(np.random.default_rng(1).standard_normal((130, 2)))
    assert triples(many, most=400_000).count == comb(130, 3)
