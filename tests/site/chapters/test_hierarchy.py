"""Chapter 6 refuses what it cannot use, in one line, before anything runs."""

import pytest

from phasebook.site.build import runner
from phasebook.site.chapters.parameters import ParameterError

SOURCE = runner.find_chapter("06")
HERE = {"trained": ""}

BAD = [
    ({"model": "sd"}, "model = 'sd'"), ({"image_set": "elephants"}, "image_set = 'elephants'"),
    ({"anchors_seed": -1}, "anchors_seed = -1"), ({"n_anchor_sets": 1}, "n_anchor_sets = 1"),
    ({"n_anchor_sets": 2.5}, "n_anchor_sets = 2.5"), ({"grid": 3}, "grid = 3"), ({"grid": "many"}, "grid = 'many'"),
    ({"sets_grid": 0}, "sets_grid = 0"), ({"steps": 1}, "steps = 1"), ({"steps": 500, "grid": 501}, "grid, steps"),
    ({"feature": "clip"}, "feature = 'clip'"), ({"seed": -1}, "seed = -1"), ({"seed": None}, "seed = None"),
    ({"ridge": 1.5}, "ridge = 1.5"), ({"leaves": 2}, "leaves = 2"), ({"starts": 2}, "starts = 2"),
    ({"draws": 0}, "draws = 0"), ({"device": "tpu"}, "device = 'tpu'"),
    ({"extent": [1.0, 0.0, 0.0, 1.0]}, "extent = [1.0, 0.0, 0.0, 1.0]"),
    ({"sets_extent": [0.0, 1.0]}, "sets_extent = [0.0, 1.0]"),
    ({"pair_coordinates": [[[0.1, 0.2], [0.1, 0.2]]]}, "two different points"),
    ({"pair_coordinates": [[[0.1, 0.2], [0.1, 1.2]]]}, "inside the extent"),
    ({"pair_coordinates": [[[0.1, 0.2]]]}, "takes pairs [[alpha, beta], [alpha, beta]]"),
    ({"pair_coordinates": [[[0.1], [0.2]]]}, "takes pairs [[alpha, beta], [alpha, beta]]"),
    ({"pair_coordinates": [[0.1, 0.2], [0.3, 0.4]]}, "pair_coordinates"),
    ({"pair_coordinates": [[[0.1, float("nan")], [0.1, 0.3]]]}, "pair_coordinates"),
    ({"pair_coordinates": "here"}, "pair_coordinates = 'here'"),
    ({"anchors": "nowhere/z.npy"}, "anchors = 'nowhere/z.npy'"),
    ({"trained": "nowhere"}, "trained = 'nowhere'"), ({"guidance": -1.0}, "guidance = -1.0"),
    ({"dtype": "int8"}, "dtype = 'int8'"), ({"grid_trained": 2}, "grid_trained = 2"),
    ({"ridge_trained": 0.0}, "ridge_trained = 0.0"), ({"extent_trained": [0.0, 1.0, 2.0, 1.0]}, "extent_trained"),
    ({"sets_trained": 0}, "sets_trained = 0"), ({"steps_trained": 1}, "steps_trained = 1"),
    ({"guidence": 5}, "guidence = 5: unknown parameter"),
]


@pytest.mark.parametrize("changes, words", BAD, ids=lambda v: str(v)[:40])
def test_bad_values_are_refused(changes, words):
    with pytest.raises(ParameterError) as error:
        runner.check(SOURCE, HERE | changes)
    message = str(error.value)
    assert words in message and "\n" not in message and len(message) < 500


@pytest.mark.parametrize("changes", [
    {"anchors_seed": 7, "n_anchor_sets": 3}, {"image_set": "digits"}, {"families": ["hearts"]},
    {"pair_coordinates": "[[[1.0, 0.1], [1.0, 0.11]], [[0.22, 1.0], [0.23, 1.0]]]"},
    {"pair_coordinates": [[[-1.0, 0.5], [-0.9, 0.5]]], "extent": [-1.0, 2.0, 0.0, 1.0]},
    {"feature": "posterior", "schedule": "log_snr", "normalise": False},
])
def test_good_values_are_taken(changes):
    runner.check(SOURCE, HERE | changes)
