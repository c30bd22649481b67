"""A known tree passes and a cloud without one fails, both through the whole chain."""

import numpy as np
import pytest

from phasebook.hierarchy.calibration import (
    Placed,
    area_under_curve,
    blended,
    least_areas,
    place,
    placed,
    places,
    separation,
    usable,
)
from phasebook.hierarchy.leaves import parted
from phasebook.hierarchy.trees import TREES, average_tree, distances_of, known_tree, spectrum, twin_points
from phasebook.hierarchy.ultrametric import likeness
from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import scaled_linear_levels
from phasebook.sampling.samplers import normal_start
from phasebook.site.results.claims import stated, verdict
from phasebook.stats import Estimate, median_interval
from tests.builders import refuses

LEAVES, SETS = 35, 12       # as the chapter takes them
LEVELS = scaled_linear_levels(40)
USED = ["triples", "cophenetic"]


def leaves(points, seed):
    model = ExactModel.of_points(points)
    return parted(model, normal_start(model, 1000 * seed, 4 * len(points)), LEVELS, model.features["pixels"])


def chain(points, seed):
    return likeness(leaves(points, seed).heights, 0.25)


def verdicts(sets):
    """On sets of points, by the bounds of the chapter's own claims: near the tree, above the twin."""
    ends = [leaves(points, seed) for seed, points in enumerate(sets)]
    beside = [placed(likeness(each.heights, 0.25), distances_of(points), chain, seed)
              for seed, (each, points) in enumerate(zip(ends, sets, strict=True))]
    at, claims = place(beside, USED, 0), stated("15_hierarchy")
    return tuple(verdict(at.value, (at.low, at.high), claims[f"hierarchy.splits_{name}"].bound)
                 for name in ("near_tree", "above_twin"))


def test_the_area_under_the_curve_against_counting():
    assert area_under_curve([2, 3], [0, 1]).value == 1 and area_under_curve([0], [0]).value == 0.5
    assert area_under_curve([1, 3], [2, 2]).value == 0.5 and area_under_curve([0, 1], [1, 1]).value == 0.25


def test_the_area_of_few_draws_is_uncertain_even_at_one():
    """Newcombe's interval by hand: at area 1 its lower end solves (1 - A)^2 = z^2 V(A)."""
    few, many = (area_under_curve(np.arange(n) + n, np.arange(n)) for n in (12, 48))
    assert (few.high, many.high) == (1, 1) and 0.8 < few.low < 0.86 and 0.95 < many.low < 0.97
    a, n = few.low, 12
    variance = a * (1 - a) / n**2 * (1 + (n - 1) * ((1 - a) / (2 - a) + a / (1 + a)))
    assert (1 - a) ** 2 == pytest.approx(1.96**2 * variance, rel=1e-2)


def test_the_interval_of_an_area_covers_it():
    """Two normal scores 1.5 apart: the area is Phi(1.5 / sqrt 2)."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(300):
        area = area_under_curve(rng.normal(1.5, 1, 12), rng.normal(0, 1, 12))
        hits += area.low <= 0.85558 <= area.high
    assert hits >= 0.92 * 300


def test_the_upper_end_of_the_least_of_several_areas_covers_it():
    """Four kinds of one true area, 0.95: by plain intervals the least of them lies below in one case of six."""
    rng, apart = np.random.default_rng(1), 1.6449 * 2**0.5          # Phi(apart / sqrt 2) = 0.95
    for n in (4, 12):
        below = {1: 0, 4: 0}
        for _ in range(300):
            scores = [(rng.normal(apart, 1, n), rng.normal(0, 1, n)) for _ in range(4)]
            for among in below:
                least = min((area_under_curve(*one, among=among) for one in scores), key=lambda area: area.value)
                below[among] += least.high < 0.95
        assert below[4] <= 0.08 * 300 and below[1] > 2 * below[4]       # Newcombe's own ends are not exact, either


@pytest.mark.parametrize("kind", TREES)
def test_a_known_tree_passes(kind):
    near, above = verdicts([known_tree(kind, LEAVES, seed) for seed in range(SETS)])
    assert near != "fails" and above == "holds"


def test_clouds_without_a_tree_fail():
    twins = [twin_points(distances_of(known_tree("ternary", LEAVES, seed)), seed + 50) for seed in range(SETS)]
    clouds = [np.random.default_rng(seed).standard_normal((LEAVES, 3)) for seed in range(SETS)]
    for sets in (twins, clouds):
        near, above = verdicts(sets)
        assert near == "fails" and above != "holds"


def noisy(rng, n=12, at=0.7):
    """Sets whose data lie at a known place between a twin and a tree that are as uncertain as they are."""
    scores = rng.normal([at, 0, 1], 0.25, (n, 3))
    return [Placed(*({"triples": v, "cophenetic": v + 0.3 * (k == 0)} for k, v in enumerate(row))) for row in scores]


def test_the_interval_of_a_place_knows_that_its_ends_are_estimates():
    rng, hits, naive = np.random.default_rng(1), 0, 0
    for seed in range(40):
        sets = noisy(rng)
        whole, ends_known = place(sets, ["triples"], seed), median_interval(places(sets, "triples"))
        assert whole.value == pytest.approx(ends_known.value)
        hits += whole.low <= 0.7 <= whole.high
        naive += ends_known.low <= 0.7 <= ends_known.high
    assert hits >= 36 and naive <= hits


def test_a_place_carries_all_statistics_that_are_used():
    sets = noisy(np.random.default_rng(2), 20)
    one, other, both = (place(sets, names, 0) for names in (["triples"], ["cophenetic"], USED))
    assert both.value == one.value and (both.low, both.high) == (one.low, other.high)
    assert place(sets, [], 0) is None and place([], USED, 0) is None
    flat = [one._replace(tree=one.tree | {"triples": one.twin["triples"] + 1e-9 * (k % 2)})
            for k, one in enumerate(sets)]
    assert place(flat, USED, 0)[1:3] == place(flat, ["cophenetic"], 0)[1:3]
    assert np.isinf(place(flat, ["triples"], 0).low)
    assert np.isinf(place(sets[:11], USED, 0).low)


def test_splits_separate_trees_from_twins():
    areas = separation(chain, 35, 5, 0, kinds=["binary, steep", "ternary"])
    assert {"triples", "cophenetic"} <= set(usable(areas))
    least = least_areas(areas)
    assert [e.value for e in least.values()] == sorted((e.value for e in least.values()), reverse=True)
    assert least["gap"].value == min(row["gap"].value for row in areas.values())


def test_a_measure_that_knows_nothing_is_not_used():
    areas = separation(lambda points, seed: {"triples": 0.0, "cophenetic": seed % 7, "gap": 0.0, "delta": 0.0}, 8, 6, 0)
    assert usable(areas) == {}
    assert separation(lambda points, seed: None, 8, 2, 0)["comb"]["triples"] == Estimate(0.5, -np.inf, np.inf, 0)


def test_blends_run_from_twin_to_tree():
    d = distances_of(np.random.default_rng(0).standard_normal((16, 10)))
    tree, twin = blended(d, 1.0, 0), blended(d, 0.0, 0)
    np.testing.assert_allclose(spectrum(distances_of(twin)), spectrum(d) / spectrum(d).sum(), rtol=1e-6)
    own = average_tree(d)
    assert np.corrcoef(distances_of(tree)[own > 0], own[own > 0])[0, 1] > 0.8
    assert (blended(d, 0.5, 0) ** 2).sum() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("share", [-0.5, 1.5, np.nan, "all"])
def test_a_blend_has_a_share_of_the_tree(share):
    """Beyond 0 and 1 a root of a negative number would make complex points."""
    d = distances_of(np.random.default_rng(0).standard_normal((8, 3)))
    refuses(lambda: blended(d, share, 0), "share = ", "takes 0 to 1")


def test_an_area_takes_scores_on_both_sides():
    for trees, twins in (([], [1]), ([1], []), ([], [])):
        refuses(lambda trees=trees, twins=twins: area_under_curve(trees, twins), "trees, twins", "one score each")
    refuses(lambda: area_under_curve([np.nan], [1]), "trees: NaN or Inf")
    refuses(lambda: area_under_curve(["a"], [1]), "trees = ['a']: takes a list of scores")
