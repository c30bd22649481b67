"""The chapter on ridges refuses what it cannot use, in one line, before anything runs; the steps that it looks at."""

import numpy as np
import pytest

from phasebook.site.build import runner
from phasebook.site.chapters.ridges import nearest_steps, without
from phasebook.site.checks.parameters import ParameterError

SOURCE = next(s for s in runner.chapters() if s.stem.endswith("_ridges_and_resolution"))

BAD = [
    ({"refined_grid": 18}, "refined_grid = 18: takes a multiple of 4, and one"),
    ({"refined_grid": 13}, "refined_grid = 13"),
    ({"refined_grid": 33.0}, "refined_grid = 33.0"),
    ({"norm": 0.0}, "norm = 0.0"),
    ({"norm": float("inf")}, "norm = inf"),
    ({"norms": [12.8]}, "norms = [12.8]: unknown parameter (did you mean norm?)"),
    ({"null_images": 200}, "null_images = 200: unknown parameter"),
    ({"grid": 1}, "grid = 1"),
    ({"grid": 1001, "steps": 500}, "grid, steps = 1001, 500"),
    ({"sets": 0}, "sets = 0"),
    ({"image_set": "elephants"}, "image_set = 'elephants'"),
    ({"extent": [1.0, 0.0, 0.0, 1.0]}, "extent = [1.0, 0.0, 0.0, 1.0]"),
    ({"anchors": "nowhere/z.npy"}, "(no such file or directory)"),
    ({"feature": "clip"}, "feature = 'clip'"),
]


@pytest.mark.parametrize("changes, words", BAD, ids=lambda v: str(v)[:40])
def test_bad_values_are_refused(changes, words):
    with pytest.raises(ParameterError) as error:
        runner.check(SOURCE, changes)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("changes", [{"refined_grid": 33, "norm": 110.9}, {"image_set": "digits"},
                                     {"families": ["hearts"], "feature": "posterior", "normalise": False}])
def test_good_values_are_taken(changes):
    runner.check(SOURCE, changes)


def test_nearest_steps():
    noise = np.array([4.0, 2.0, 1.0, 0.5])
    assert nearest_steps(noise, (2.1, 0.6, 9.0, 0.0)) == [1, 3, 0, 3]


def test_a_claim_is_made_only_where_its_noise_levels_are():
    """Of data scaled down by 25 the schedule ends near nu = 0.17: what is said of 0.1 is not tested there."""
    noise = np.geomspace(50, 0.17, 50)
    assert without(noise, 0.3, 0.2) == "" and without(noise, 0.2, 0.1) == "no step of the sampler lies near ν = 0.1"
    assert without(np.array([2.0, 0.5]), 0.3) and not without(noise)
