"""The chapter on the hierarchy refuses what it cannot use, in one line, before anything runs; and its small parts."""

import numpy as np
import pytest

from phasebook.models.exact import ExactModel
from phasebook.site.build import runner
from phasebook.site.chapters.hierarchy import disjoint_parts, through_slice, through_splits
from phasebook.site.checks.parameters import ParameterError
from phasebook.slices.plane import Plane

SOURCE = runner.find_chapter("15")
ALONE = {"models": ["exact"], "grid": 21, "steps": 20, "starts": 40}

BAD = [
    ({"models": ["nowhere"]}, "models"), ({"models": []}, "models"),
    ({"models": ["exact", "exact"]}, "takes each model once"),
    ({"image_set": "elephants"}, "image_set = 'elephants'"), ({"compared": ["elephants"]}, "compared = 'elephants'"),
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
