"""From independent starts to the leaves of a tree: which starts end on one picture, and when two pictures part.

Starts that end on one picture are one leaf. The height of two leaves is the noise level at which their starts part
(`slices.splits`, definition (a), interpolated), averaged over all pairs of their starts: a single pair is noisy.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.cluster.hierarchy import linkage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

from phasebook.hierarchy.ultrametric import check_distances
from phasebook.sampling.features import distances
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Feature, Model, Prompt, State
from phasebook.slices.measures.splits import split_levels

__all__ = ["Leaves", "leaves_of", "linkage_of", "parted"]

SAME = 0.01                     # of the median final distance of different pictures: starts that end closer share one


class Leaves(NamedTuple):
    """Attributes:
    heights: at which two leaves part: log(sigma/alpha) above the last step; 0 on the diagonal.
    final: mean distance of their final predictions.
    first: one start of each leaf.
    starts: how many starts each leaf has.
    x0: the final prediction of that start, what `model.decode` takes; None where distances alone were given.
    """

    heights: Float[ndarray, "k k"]
    final: Float[ndarray, "k k"]
    first: Int[ndarray, " k"]
    starts: Int[ndarray, " k"]
    x0: State | None = None


def leaves_of(apart: Float[ndarray, "m step"], noise: Float[ndarray, " step"]) -> Leaves:
    """The leaves that starts end on, and when they part.

    Args:
        apart: distances of the predictions at each step of all pairs of starts i < j, in the order of SciPy's `pdist`;
            of many starts they are what fills the memory.
        noise: sigma/alpha of each step.
    """
    starts = round((1 + np.sqrt(1 + 8 * len(apart))) / 2)
    rows, columns = np.triu_indices(starts, 1)
    final = apart[:, -1]
    far = final[final > SAME * final.max(initial=0)]       # where most starts share one picture the median is rounding
    same = final <= SAME * (np.median(far) if len(far) else 0)
    near = csr_array((same[same], (rows[same], columns[same])), shape=(starts, starts))
    count, leaf = connected_components(near, directed=False)
    different = leaf[rows] != leaf[columns]
    if count < 2:
        return Leaves(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1, dtype=int), np.bincount(leaf))
    pairs = leaf[rows[different]], leaf[columns[different]]
    levels = split_levels(apart, noise, np.median(final[different]) / 2)
    return Leaves(_averaged(levels[different], pairs, count), _averaged(final[different], pairs, count),
                  np.unique(leaf, return_index=True)[1], np.bincount(leaf))


def _averaged(values: Float[ndarray, " m"], pairs: tuple[Int[ndarray, " m"], Int[ndarray, " m"]],
              count: int) -> Float[ndarray, "k k"]:
    """The mean of the values of each pair of leaves, both ways round."""
    total, number = np.zeros((2, count, count))
    np.add.at(total, pairs, values)
    np.add.at(number, pairs, 1)
    return (total + total.T) / np.maximum(number + number.T, 1)


def parted(model: Model, start: State, levels: Levels, feature: Feature, prompt: Prompt | None = None) -> Leaves:
    """The leaves of a model's starts.

    Args:
        model: any.
        start: states at level 0.
        levels: of the sampler.
        feature: by which predictions differ.
        prompt: for all points.
    """
    pairs = np.ravel_multi_index(np.triu_indices(len(start), 1), (len(start), len(start)))
    apart = np.empty((levels.steps, len(pairs)))
    for k, frame in enumerate(model.sweep(start, levels, prompt)):
        apart[k] = distances(frame.embedded(feature), feature.unit).cpu().numpy().take(pairs)
        last = frame.x0
    leaves = leaves_of(apart.T, levels.heights)
    return leaves._replace(x0=last.clone().cpu()[leaves.first])


def linkage_of(distances: Float[ndarray, "n n"]) -> Float[ndarray, "n-1 4"]:
    """SciPy's linkage matrix by average linkage, leaves in an order that keeps neighbours close."""
    flat = squareform(check_distances(distances, 2), checks=False)
    return linkage(flat, "average", optimal_ordering=len(distances) <= 200)
