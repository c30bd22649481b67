"""Leaves of starts: which starts share a picture, and the averaged heights at which pictures part."""

import numpy as np
import pytest

from phasebook.hierarchy.leaves import leaves_of, linkage_of, parted
from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import log_snr_levels
from phasebook.sampling.samplers import normal_start
from phasebook.slices.pairs import Pairs


def condensed(distances):
    """Of (step, p, p) the pairs i < j, (m, step)."""
    return distances[:, *np.triu_indices(distances.shape[1], 1)].T


def test_starts_on_one_picture_are_one_leaf_and_heights_are_averaged():
    noise = np.array([8.0, 4.0, 2.0, 1.0])
    distances = np.zeros((4, 3, 3))                         # starts 0 and 1 end on one picture, 2 on another
    for i, first in ((0, 2), (1, 3)):                       # 0 parts from 2 at step 2, 1 at step 3
        distances[first:, i, 2] = distances[first:, 2, i] = 1.0
    leaves = leaves_of(condensed(distances), noise)
    assert leaves.starts.tolist() == [2, 1] and leaves.first.tolist() == [0, 2]
    crossings = [np.log(noise[1] * noise[2]) / 2, np.log(noise[2] * noise[3]) / 2]      # halfway between two steps
    assert leaves.heights[0, 1] == leaves.heights[1, 0] == pytest.approx(np.mean(crossings))
    assert leaves.final[0, 1] == 1 and (np.diag(leaves.heights) == 0).all()


def test_two_atoms_part_at_the_noise_that_their_distance_sets():
    """Twice as far apart is twice the noise: heights differ by log 2."""
    levels = log_snr_levels(400, 50.0, 0.05)

    def height(distance):
        points = np.zeros((2, 50))
        points[1, 0] = distance
        model = ExactModel.of_points(points, norm=distance / 2)
        return parted(model, normal_start(model, 0, 40), levels, model.features["pixels"]).heights[0, 1]

    assert height(8.0) - height(4.0) == pytest.approx(np.log(2), abs=0.05)


def test_one_picture_is_one_leaf():
    assert leaves_of(np.zeros((6, 3)), np.array([3.0, 2, 1])).starts.tolist() == [4]
    assert leaves_of(np.zeros((0, 3)), np.array([3.0, 2, 1])).starts.tolist() == [1]


def test_starts_are_one_leaf_where_most_share_one_picture():
    """The median over all pairs is then of equal pictures: rounding."""
    ends = np.repeat([0.0, 1.0, 2.0], [8, 1, 1]) + 1e-6 * np.random.default_rng(0).normal(size=10)
    apart = np.abs(np.subtract.outer(ends, ends))
    assert leaves_of(condensed(np.stack([apart / 10, apart])), np.array([10.0, 1])).starts.tolist() == [8, 1, 1]


def test_leaves_of_a_model_are_those_of_the_distances_of_its_starts():
    model = ExactModel.of_points(np.random.default_rng(0).normal(size=(9, 20)))
    start, levels = normal_start(model, 3, 30), log_snr_levels(25, 20.0, 0.05)
    feature = model.features["pixels"]
    pairs = Pairs.of(model, start, levels, feature)
    leaves, expected = parted(model, start, levels, feature), leaves_of(condensed(pairs.distances), levels.heights)
    assert len(leaves.heights) > 3 and leaves.first.tolist() == expected.first.tolist()
    assert (leaves.heights == expected.heights).all() and (leaves.final == expected.final).all()
    assert (leaves.x0 == pairs.x0[-1][leaves.first]).all()


def test_linkage_merges_the_nearest_first():
    d = np.abs(np.subtract.outer([0, 1, 5.0], [0, 1, 5.0]))
    assert linkage_of(d)[0, 2] == 1 and linkage_of(d)[1, 2] == pytest.approx(4.5)
