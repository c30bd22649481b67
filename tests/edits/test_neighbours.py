"""Neighbours on two sides of a boundary."""

import numpy as np
import pytest
import torch

from phasebook.edits.neighbours import neighbours
from phasebook.sampling.samplers import normal_start, resume
from tests.builders import refuses


def test_neighbours_are_samples_of_starts_at_their_angle(exact, images):
    model, levels = exact.model, exact.levels
    found = neighbours(model, exact.judge, images.family, 12, 0.4, 0, levels=levels, seed=50)
    one, other = normal_start(model, 50, 12), normal_start(model, 62, 12)
    starts = torch.cat([one, np.cos(0.4) * one + np.sin(0.4) * other])
    final = resume(model, starts, torch.zeros(24, dtype=torch.int64), levels).x0
    a, b = model.weights(final).argmax(1).view(2, 12).tolist()
    crossed = [(images.names[i], images.names[j]) for i, j in zip(a, b, strict=True) if i != j]
    assert found.tried == 12 and found.parted == len(crossed) >= 3
    assert list(zip(found.pairs.source, found.pairs.target, strict=True)) == crossed


def test_halving_keeps_two_sides_of_a_boundary(exact, images):
    """Both ends of a short arc lie within it of each other, and still end on different pictures."""
    model, levels = exact.model, exact.levels
    found = neighbours(model, exact.judge, images.family, 12, 0.02, 5, levels=levels, seed=50)
    n = len(found.pairs)
    assert 3 <= n <= found.parted
    names = [images.names[i] for i in model.weights(found.made.x0).argmax(1).tolist()]
    assert tuple(names[:n]) == found.pairs.source and tuple(names[n:]) == found.pairs.target
    assert all(a != b for a, b in zip(found.pairs.source, found.pairs.target, strict=True))
    family = dict(zip(images.names, images.family, strict=True))
    for a, b, level in zip(found.pairs.source, found.pairs.target, found.pairs.level, strict=True):
        assert (family[a] == family[b]) == (level == "within")


def test_a_model_that_blends_has_no_boundary(worded):
    """Its pictures vary continuously: what the ends of a short arc are nearest to may differ, but not they."""
    from phasebook.edits.judges import Judge
    from phasebook.sampling.protocols import Frame

    values = torch.tensor([0.45, 0.55]).view(2, 1, 1, 1).expand(2, 3, 4, 4).double()
    feature = worded.model.features["pixels"]
    judge = Judge(feature, ("darker", "lighter"), feature(Frame(worded.model, 11, values)))
    found = neighbours(worded.model, judge, np.array([0, 1]), 40, 0.01, 6, levels=worded.levels, seed=0)
    assert found.parted > 0 and len(found.pairs) == 0


@pytest.mark.parametrize("wrong, words", [
    ({"count": 0}, "count = 0: takes a whole number >= 1"), ({"halvings": 0.5}, "halvings = 0.5"),
    ({"halvings": -1}, "halvings = -1: takes a whole number >= 0"), ({"angle": np.nan}, "angle = nan"),
    ({"angle": 0.0}, "angle = 0.0: takes a positive number"), ({"family": [0, 1]}, "family: 2; takes one for each of"),
])
def test_arcs_that_are_none_are_refused(exact, images, wrong, words):
    usual = {"family": images.family, "count": 2, "angle": 0.1, "halvings": 1} | wrong
    refuses(lambda: neighbours(exact.model, exact.judge, levels=exact.levels, **usual), words)
