"""A known tree passes and a cloud without one fails, both through the whole chain."""

import numpy as np
import pytest

from phasebook.hierarchy.calibration import area_under_curve, blended, placed, places, separation, usable
from phasebook.hierarchy.leaves import parted
from phasebook.hierarchy.trees import TREES, average_tree, distances_of, known_tree, spectrum, twin_points
from phasebook.hierarchy.ultrametric import likeness
from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import scaled_linear_levels
from phasebook.sampling.samplers import normal_start

LEAVES = 35
LEVELS = scaled_linear_levels(40)


def leaves(points, seed):
    model = ExactModel.of_points(points)
    return parted(model, normal_start(model, 1000 * seed, 4 * LEAVES), LEVELS, model.features["pixels"])


def chain(points, seed):
    return likeness(leaves(points, seed).heights, 0.25)


def place(sets):
    """The median place of several sets of points by triples."""
    ends = [leaves(points, seed) for seed, points in enumerate(sets)]
    beside = [placed(likeness(each.heights, 0.25), each.final, chain, seed) for seed, each in enumerate(ends)]
    return np.median(places(beside, "triples"))


def test_the_area_under_the_curve_against_counting():
    assert area_under_curve([2, 3], [0, 1]) == 1 and area_under_curve([0], [0]) == 0.5
    assert area_under_curve([1, 3], [2, 2]) == 0.5 and area_under_curve([0, 1], [1, 1]) == 0.25


@pytest.mark.parametrize("kind", TREES)
def test_a_known_tree_passes(kind):
    assert place([known_tree(kind, LEAVES, seed) for seed in range(5)]) > 0.8


def test_clouds_without_a_tree_fail():
    twins = [twin_points(distances_of(known_tree("ternary", LEAVES, seed)), seed + 50) for seed in range(5)]
    assert place(twins) < 0.3
    clouds = [np.random.default_rng(seed).standard_normal((LEAVES, 2)) for seed in range(5)]
    assert place(clouds) < 0.5


def test_splits_separate_trees_from_twins():
    areas = separation(chain, LEAVES, 5, 0, kinds=["binary, steep", "ternary"])
    assert {"triples", "cophenetic"} <= set(usable(areas))


def test_a_measure_that_knows_nothing_is_not_used():
    areas = separation(lambda points, seed: {"triples": 0.0, "cophenetic": seed % 7, "gap": 0.0, "delta": 0.0}, 8, 6, 0)
    assert usable(areas) == {}
    assert separation(lambda points, seed: None, 8, 2, 0)["comb"]["triples"] == 0.5


def test_blends_run_from_twin_to_tree():
    d = distances_of(np.random.default_rng(0).standard_normal((16, 10)))
    tree, twin = blended(d, 1.0, 0), blended(d, 0.0, 0)
    np.testing.assert_allclose(spectrum(distances_of(twin)), spectrum(d) / spectrum(d).sum(), rtol=1e-6)
    own = average_tree(d)
    assert np.corrcoef(distances_of(tree)[own > 0], own[own > 0])[0, 1] > 0.8
    assert (blended(d, 0.5, 0) ** 2).sum() == pytest.approx(1, abs=0.1)
