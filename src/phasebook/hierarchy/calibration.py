"""What a measure of ultrametricity can tell, when data reach it through the whole chain.

    data -> exact denoiser -> splits of many starts (or geodesics of a slice) -> distances of leaves -> statistic

A measure is calibrated on data from known trees and on their twins, points of the same sample spectrum without a tree.
A statistic is *used* only if it separates the two for every kind of tree, by the area under the ROC curve. Other data
are then placed between their own twin (0) and their own tree (1), the ultrametric that average linkage makes of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.hierarchy.trees import TREES, average_tree, distances_of, known_tree, tree_points, twin_points
from phasebook.hierarchy.ultrametric import LIKENESS

__all__ = ["Likeness", "Measure", "Placed", "area_under_curve", "blended", "placed", "places", "separation", "usable"]

DIMENSION = 768                 # of points drawn for a tree
SEPARATES = 0.95                # area under the curve from which a statistic is used

Likeness = Mapping[str, float]
Measure = Callable[[Float[ndarray, "n d"], int], Likeness | None]       # of points and a seed; None: nothing to measure


def area_under_curve(trees: Sequence[float], twins: Sequence[float]) -> float:
    """The probability that a tree scores above a twin, ties counting half (Mann and Whitney's U over all pairs).

    Args:
        trees: scores of data with a tree.
        twins: of data without.
    """
    a, b = np.asarray(trees, dtype=float)[:, None], np.asarray(twins, dtype=float)
    return float((a > b).mean() + (a == b).mean() / 2)


def separation(measure: Measure, leaves: int, draws: int, seed: int,
               kinds: Sequence[str] = TREES) -> dict[str, dict[str, float]]:
    """The area under the curve of each statistic for each kind of tree.

    Args:
        measure: of points, through whatever chain.
        leaves: points of each set: as many as the data have that are to be judged.
        draws: trees of each kind, and twins.
        seed: of the first; the others count on.
        kinds: of trees.

    Returns:
        By kind, by statistic; 0.5 where a measure gave nothing.
    """
    areas = {}
    for kind in kinds:
        scores: list[list[Likeness]] = [[], []]
        for k in range(draws):
            points = known_tree(kind, leaves, seed + k)
            for side, data in enumerate((points, twin_points(distances_of(points), seed + k))):
                if (score := measure(data, seed + k)) is not None:
                    scores[side].append(score)
        enough = all(scores)
        areas[kind] = {name: area_under_curve(*([s[name] for s in side] for side in scores)) if enough else 0.5
                       for name in LIKENESS}
    return areas


def usable(areas: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The statistics that separate every kind of tree from its twin, with the least of their areas.

    Args:
        areas: from `separation`.
    """
    least = {name: min(row[name] for row in areas.values()) for name in LIKENESS}
    return {name: area for name, area in least.items() if area >= SEPARATES}


class Placed(NamedTuple):
    """A set of data between its twin and its tree.

    Attributes:
        data: its own likeness to a tree, by statistic.
        twin: that of its twin.
        tree: that of its tree.
    """

    data: Likeness
    twin: Likeness
    tree: Likeness


def places(sets: Sequence[Placed], name: str) -> list[float]:
    """Where each of several sets of data lies by a statistic: 0 at the median twin, 1 at the median tree.

    Args:
        sets: of one kind of data.
        name: of the statistic.

    Returns:
        A place for each set; none where the trees do not score above the twins.
    """
    if not sets:
        return []
    twin, tree = (float(np.median([getattr(each, end)[name] for each in sets])) for end in ("twin", "tree"))
    return [(each.data[name] - twin) / (tree - twin) for each in sets] if tree > twin else []


def placed(data: Likeness, final: Float[ndarray, "n n"], measure: Measure, seed: int) -> Placed | None:
    """Data beside their own twin and their own tree, all through one chain.

    Args:
        data: their likeness to a tree.
        final: distances of their leaves: of the pictures themselves.
        measure: the chain, for the twin and the tree.
        seed: of both.

    Returns:
        None where the twin or the tree leaves nothing to measure.
    """
    twin, tree = (measure(blended(final, share, seed), seed) for share in (0.0, 1.0))
    return None if twin is None or tree is None else Placed(data, twin, tree)


def blended(final: Float[ndarray, "n n"], share: float, seed: int) -> Float[ndarray, "n d"]:
    """Points between the twin of some leaves and their tree.

    Args:
        final: distances of the leaves.
        share: of the variance that the tree has: 0 for the twin, 1 for the tree.
        seed: of both.
    """
    twin = _unit(twin_points(final, seed)) * (1 - share) ** 0.5
    tree = _unit(tree_points(average_tree(final), DIMENSION, seed)) * share**0.5
    width = max(twin.shape[1], tree.shape[1])
    return sum(np.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in (twin, tree))


def _unit(points: Float[ndarray, "n d"]) -> Float[ndarray, "n d"]:
    """Centred points of total variance 1."""
    points = points - points.mean(0)
    return points / np.sqrt((points**2).sum())
