"""Points of known trees have the trees' distances; twins have the spectrum of what they are twins of."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.linalg import sqrtm
from scipy.spatial.distance import pdist, squareform

from phasebook.hierarchy.trees import (
    TREES,
    average_tree,
    comb_tree,
    distances_of,
    known_tree,
    regular_tree,
    spectrum,
    tree_points,
    twin_points,
)
from phasebook.hierarchy.ultrametric import triples


def test_distances_against_scipy():
    x = np.random.default_rng(0).standard_normal((9, 4))
    np.testing.assert_allclose(distances_of(x), squareform(pdist(x)), atol=1e-12)
    np.testing.assert_allclose(average_tree(distances_of(x)), squareform(cophenet(linkage(pdist(x), "average"))))


def test_the_spectrum_is_that_of_the_covariance():
    x = np.random.default_rng(1).standard_normal((12, 5)) * [3, 2, 1, 0.5, 0.1]
    np.testing.assert_allclose(spectrum(distances_of(x)) / 12, np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1])


def test_a_twin_has_the_spectrum_and_not_the_tree():
    points = known_tree("ternary", 30, 0)
    twin = twin_points(distances_of(points), 3)
    np.testing.assert_allclose(spectrum(distances_of(twin)), spectrum(distances_of(points)), rtol=1e-8)
    assert np.abs(distances_of(twin) - distances_of(points)).max() > 0.1
    assert triples(distances_of(twin), 0.05).agree < triples(distances_of(points), 0.05).agree - 0.2


@pytest.mark.parametrize("tree", [regular_tree([2] * 4, [8, 4, 2, 1]), regular_tree([2, 4, 3], [5, 3, 1]),
                                  comb_tree(16)])
def test_tree_points_have_the_trees_distances(tree):
    np.testing.assert_allclose(distances_of(tree_points(tree, 20_000, 3)), tree, rtol=0.05)


def test_one_seed_is_one_tree_on_every_processor():
    tree = regular_tree([2, 2, 2], [4, 2, 1])       # its covariance has equal eigenvalues, whose vectors are any
    noise = np.random.default_rng(3).standard_normal((8, 5))
    np.testing.assert_allclose(tree_points(tree, 5, 3), sqrtm((16 - tree**2) / 2).real @ noise / 5**0.5, atol=1e-10)


@pytest.mark.parametrize("kind", TREES)
def test_known_trees_are_trees(kind):
    points = known_tree(kind, 20, 1, dimension=4000)
    d = distances_of(points)
    assert points.shape == (20, 4000)
    assert triples(d, 0.3 * d.max()).agree > 0.95


@pytest.mark.parametrize("call, words", [
    (lambda: regular_tree([2, 1], [2, 1]), "branching >= 2"),
    (lambda: regular_tree([2, 2], [1, 2]), "fall from level to level"),
    (lambda: regular_tree([2], [2, 1]), "one height a level"),
    (lambda: comb_tree(1), "leaves = 1"),
    (lambda: tree_points(np.array([[0, 1, 3], [1, 0, 1], [3, 1, 0.0]]), 10, 0), "no ultrametric"),
    (lambda: tree_points(regular_tree([2], [1]), 0, 0), "dimension = 0"),
    (lambda: known_tree("oak", 8, 0), "kind = 'oak'"),
    (lambda: known_tree("comb", 0, 0), "leaves = 0: takes an integer >= 2"),
    (lambda: known_tree("ternary", 0, 0), "leaves = 0: takes an integer >= 2"),
    (lambda: known_tree("binary, flat", 2.5, 0), "leaves = 2.5"),
    (lambda: known_tree("binary, flat", 8, 0, 0), "dimension = 0"),
    (lambda: distances_of(np.full((5, 3), np.nan)), "NaN or Inf"),
    (lambda: distances_of(np.ones(5)), "points: shape"),
])
def test_bad_inputs_are_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_near_points_beside_far_ones_are_apart():
    for points in ([[0.0], [1e-9], [1.0]], [[0, 0], [1e-6, 0], [1e3, 0]], np.repeat(np.eye(3), 5, axis=0)):
        assert squareform(distances_of(points)) == pytest.approx(pdist(points), rel=1e-7, abs=0)
