"""The chapter on the hierarchy refuses what it cannot use, in one line, before anything runs; and its small parts."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from phasebook.hierarchy.leaves import Leaves
from phasebook.hierarchy.trees import distances_of, known_tree, spectrum, twin_points
from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import named_levels
from phasebook.site.build import runner
from phasebook.site.chapters import hierarchy
from phasebook.site.chapters.hierarchy import (
    apart_of,
    cloud_of,
    disjoint_parts,
    leaves_of_model,
    likeness_of,
    merge_tree_of,
    parts_of,
    points_of,
    said,
    through_slice,
    through_splits,
)
from phasebook.site.checks.parameters import ParameterError
from phasebook.slices.plane import Plane
from phasebook.slices.sweep import slice_of
from phasebook.stats import Estimate

SOURCE = runner.find_chapter("15")
ALONE = {"models": ["exact"], "compared": ["digits"], "grid": 21, "steps": 20, "starts": 40}

BAD = [
    ({"models": ["nowhere"]}, "models"), ({"models": []}, "models"),
    ({"models": ["exact", "exact"]}, "takes each model once"),
    ({"image_set": "elephants"}, "image_set = 'elephants'"), ({"compared": ["elephants"]}, "compared = 'elephants'"),
    ({"compared": ["digits", "mine/digits"]}, "called 'digits'"), ({"compared": ["mine/exact/"]}, "called 'exact'"),
    ({"anchors_seed": -1}, "anchors_seed = -1"), ({"slices": 1}, "slices = 1"), ({"slices": 2.5}, "slices = 2.5"),
    ({"grid": 3}, "grid = 3"), ({"grid": "many"}, "grid = 'many'"), ({"grid": [21, 21]}, "grid = [21, 21]"),
    ({"steps": 1}, "steps = 1"), ({"seed": -1}, "seed = -1"), ({"seed": None}, "seed = None"),
    ({"ridge": 1.5}, "ridge = 1.5"), ({"ridges": []}, "ridges = []"), ({"sets": 1}, "sets = 1"),
    ({"starts": 2}, "starts = 2"), ({"trees": 1}, "trees = 1"), ({"slice_trees": 0}, "slice_trees = 0"),
    ({"tree_grid": 2}, "tree_grid = 2"), ({"device": "tpu"}, "device = 'tpu'"),
    ({"extent": [1.0, 0.0, 0.0, 1.0]}, "extent = [1.0, 0.0, 0.0, 1.0]"),
    ({"pair_coordinates": [[[0.1, 0.2], [0.1, 0.2]]]}, "two different points"),
    ({"pair_coordinates": [[[0.1, 0.2], [0.1, 9.0]]]}, "inside the extent"),
    ({"pair_coordinates": [[[0.1, 0.2]]]}, "takes pairs [[alpha, beta], [alpha, beta]]"),
    ({"pair_coordinates": [[0.1, 0.2], [0.3, 0.4]]}, "pair_coordinates"),
    ({"pair_coordinates": [[[0.1, 0.2], [0.1, 0.3]]] * 41}, "pair_coordinates"),
    ({"pair_coordinates": "here"}, "pair_coordinates = 'here'"), ({"guidance": -1.0}, "guidance = -1.0"),
    ({"dtype": "int8"}, "dtype = 'int8'"), ({"guidence": 5}, "guidence = 5: unknown parameter"),
]


@pytest.mark.parametrize("changes, words", BAD, ids=lambda v: str(v)[:40])
def test_bad_values_are_refused(changes, words):
    with pytest.raises(ParameterError) as error:
        runner.check(SOURCE, ALONE | changes)
    message = str(error.value)
    assert words in message and "\n" not in message and len(message) < 500


@pytest.mark.parametrize("changes", [
    {"anchors_seed": 7, "slices": 3}, {"image_set": "digits"}, {"families": ["hearts"], "sets": 5},
    {"pair_coordinates": "[[[1.0, 0.1], [1.0, 0.11]], [[0.22, 1.0], [0.23, 1.0]]]"},
    {"schedule": "log_snr", "compared": []}, {"grid": [21]},
])
def test_good_values_are_taken(changes):
    runner.check(SOURCE, ALONE | changes)


def test_parts_of_the_pictures_are_disjoint():
    model = ExactModel.of_points(np.random.default_rng(0).standard_normal((40, 6)))
    parts = disjoint_parts(model, 3, 10, 0)
    names = [set(part.names) for part in parts]
    assert [len(n) for n in names] == [10, 10, 10] and len(set.union(*names)) == 30
    assert disjoint_parts("another model", 2, 5, 0) == ["another model"] * 2
    with pytest.raises(ValueError, match="sets = 11"):
        disjoint_parts(model, 11, 10, 0)


def test_chains_end_in_numbers():
    points = np.random.default_rng(1).standard_normal((20, 30))
    levels = ExactModel.of_points(points).levels(20)
    assert set(through_splits(points, 0, levels, 40)) >= {"triples", "cophenetic", "gap", "delta", "resolved"}
    plane = Plane(np.eye(3), (-2.0, 3.0, -2.0, 3.0), 21, normalise=False)
    assert through_slice(points, 0, levels, plane, 0.2) is not None


def test_trees_and_twins_are_cut_by_planes_of_one_kind(monkeypatch):
    """A twin has fewer coordinates than its tree; that must not make the one plane normalised and the other not."""
    cut = []
    monkeypatch.setattr(hierarchy, "slice_of", lambda *of, **how: cut.append(of) or slice_of(*of, **how))
    tree, plane = known_tree("ternary", 12, 0), Plane(np.eye(3), (-1.0, 2.0, -1.0, 2.0), 9, normalise=False)
    for points in (tree, twin_points(distances_of(tree), 0)):
        through_slice(points, 0, named_levels("scaled_linear", 10), plane, 0.2)
    assert {(own.normalise, own.anchors.shape) for _, own, _ in cut} == {(True, (3, 768))}
    assert [model.shape for model, _, _ in cut] == [(768,)] * 2


def test_parts_of_icons_are_whole_things():
    names = tuple(f"thing {k}, {style} style" for style in "abc" for k in range(6))
    model = ExactModel.of_points(np.random.default_rng(0).standard_normal((18, 5)))
    model = replace(model, names=names)
    one = SimpleNamespace(name="icons", model=model, images=SimpleNamespace(names=names, groups=tuple("abc")))
    parts = parts_of(one, 2, 7, 0)
    things = [{name.split(",")[0] for name in part.names} for part in parts]
    assert [len(part.names) for part in parts] == [6, 6] and [len(t) for t in things] == [2, 2]
    assert not things[0] & things[1]
    one.name = "digits"
    assert [len(part.names) for part in parts_of(one, 2, 7, 0)] == [7, 7]


def test_the_cloud_has_the_spectrum_and_other_points():
    points = known_tree("ternary", 20, 0)
    model = ExactModel.of_points(points)
    cloud = cloud_of(model, 0)
    own, other = (distances_of(m.atoms.numpy()) for m in (model, cloud))
    np.testing.assert_allclose(spectrum(other)[:15], spectrum(own)[:15], rtol=1e-3)
    assert abs(np.corrcoef(own[np.triu_indices(20, 1)], other[np.triu_indices(20, 1)])[0, 1]) < 0.5


def test_the_cloud_of_pictures_on_a_line_has_room_for_a_plane():
    model = ExactModel.of_points(np.arange(8.0)[:, None] * np.ones(5))
    cloud = cloud_of(model, 0)
    own, other = (distances_of(m.atoms.numpy()) for m in (model, cloud))
    np.testing.assert_allclose(spectrum(other), spectrum(own), rtol=1e-3)
    assert Plane.random(cloud.shape, 0, grid=5).latents([0.0, 1.0], [0.5, 0.5]).shape == (2, 64)


def test_a_set_of_one_leaf_is_passed_over():
    alone = Leaves(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1, int), np.array([16]), None)
    model = SimpleNamespace(decode=lambda x0: np.zeros((len(x0), 3, 4, 4)))
    two = Leaves(1.0 - np.eye(2), 1.0 - np.eye(2), np.arange(2), np.array([8, 8]), np.zeros((2, 5)))
    assert likeness_of(alone) is None and merge_tree_of("t", [model], [alone]) is None
    assert merge_tree_of("t", [model] * 2, [alone, two]).linkage.shape == (1, 4)
    assert points_of([apart_of(model, each) for each in (alone, two)]) == 8


def test_twin_and_tree_are_of_all_pictures_of_a_set_reached_or_not():
    points = known_tree("ternary", 20, 0)
    leaves = Leaves(1.0 - np.eye(3), 1.0 - np.eye(3), np.arange(3), np.ones(3, int))
    model = ExactModel.of_points(points)
    np.testing.assert_allclose(apart_of(model, leaves), distances_of(model.atoms.numpy()))
    assert points_of([apart_of(model, leaves)]) == 20
    assert apart_of(SimpleNamespace(), leaves) is leaves.final


def test_few_starts_of_few_pictures_leave_no_traceback():
    """Sixteen starts on four pictures: as many leaves as there are, and a likeness or none."""
    model = ExactModel.of_points(np.random.default_rng(3).standard_normal((4, 6)))
    leaves = leaves_of_model(model, model.levels(12), 16, 0)
    assert len(leaves.first) <= 4 and (likeness_of(leaves) is None) == (len(leaves.first) < 4)


def test_a_note_says_where_there_is_nothing_to_measure():
    assert said(None) == "nothing to measure" and said(Estimate(0.25, 0.1, 0.5, 20)).startswith("0.25 (95 % interval")
