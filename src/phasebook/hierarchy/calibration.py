"""What a measure of ultrametricity can tell, when data reach it through the whole chain.

    data -> exact denoiser -> splits of many starts (or geodesics of a slice) -> distances of leaves -> statistic

A measure is calibrated on data from known trees and on their twins, points of the same sample spectrum without a tree.
A statistic is *used* only if it separates the two for every kind of tree, by the area under the ROC curve. Other data
are then placed between their own twin (0) and their own tree (1), the ultrametric that average linkage makes of them.
Twin and tree are estimated from the sets as the data are, and statistics that pass may disagree: a place carries both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import norm

from phasebook.arguments import number, numbers
from phasebook.hierarchy.trees import TREES, average_tree, distances_of, known_tree, tree_points, twin_points
from phasebook.hierarchy.ultrametric import LIKENESS
from phasebook.stats import Estimate, grouped_bootstrap

__all__ = ["Areas", "Likeness", "Measure", "Placed", "area_under_curve", "blended", "least_areas", "place", "placed",
           "places", "separation", "usable"]

DIMENSION = 768                 # of points drawn for a tree
SEPARATES = 0.95                # area under the curve from which a statistic is used

LEAST_SETS = 12                 # below, a place has no interval

Likeness = Mapping[str, float]
Areas = Mapping[str, Mapping[str, Estimate]]    # by kind of tree, by statistic
Measure = Callable[[Float[ndarray, "n d"], int], Likeness | None]       # of points and a seed; None: nothing to measure


def area_under_curve(trees: Sequence[float], twins: Sequence[float], among: int = 1) -> Estimate:
    """The probability that a tree scores above a twin, ties counting half (Mann and Whitney's U over all pairs).

    The interval is Newcombe's score interval (2006, method 5): all areas A that the one found is no more than 1.96
    standard deviations from, of the variance that Hanley and McNeil give for A. It does not shrink to a point at 1.

    Args:
        trees: scores of m data with a tree.
        twins: of n data without.
        among: areas whose least is looked at: the upper ends of all hold at once (Bonferroni), as that of the least
            must. Its lower end needs no more.

    Returns:
        The area, its interval, and m + n.

    Raises:
        ValueError: for no score on either side, or a NaN.
    """
    a, b = (numbers(name, value, "a list of scores") for name, value in (("trees", trees), ("twins", twins)))
    if min(a.size, b.size) == 0 or a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"trees, twins: shapes {a.shape}, {b.shape}; take one score each at least")
    a = a[:, None]
    area = float((a > b).mean() + (a == b).mean() / 2)
    m, n, every = len(a), len(b), np.linspace(0, 1, 20_001)
    more = ((m + n) / 2 - 1) * ((1 - every) / (2 - every) + every / (1 + every))
    variance = every * (1 - every) / (m * n) * (1 + more)
    z = np.where(every < area, norm.ppf(0.975), norm.ppf(1 - 0.025 / among))
    inside = every[(area - every) ** 2 <= z**2 * variance]
    return Estimate(area, min(area, *inside[:1]), max(area, *inside[-1:]), m + n)


def separation(measure: Measure, leaves: int, draws: int, seed: int,
               kinds: Sequence[str] = TREES) -> dict[str, dict[str, Estimate]]:
    """The area under the curve of each statistic for each kind of tree.

    Args:
        measure: of points, through whatever chain.
        leaves: points of each set: as many as the data have that are to be judged.
        draws: trees of each kind, and twins.
        seed: of the first; the others count on.
        kinds: of trees.

    Returns:
        By kind, by statistic; 0.5, without an interval, where a measure gave nothing.
    """
    areas = {}
    for kind in kinds:
        scores: list[list[Likeness]] = [[], []]
        for k in range(draws):
            points = known_tree(kind, leaves, seed + k)
            for side, data in enumerate((points, twin_points(distances_of(points), seed + k))):
                if (score := measure(data, seed + k)) is not None:
                    scores[side].append(score)
        if all(scores):
            areas[kind] = {name: area_under_curve(*([s[name] for s in side] for side in scores), among=len(kinds))
                           for name in LIKENESS}
        else:
            areas[kind] = dict.fromkeys(LIKENESS, Estimate(0.5, -np.inf, np.inf, 0))
    return areas


def least_areas(areas: Areas) -> dict[str, Estimate]:
    """The area of each statistic for the kind of tree that it tells worst, the best statistic first.

    Args:
        areas: from `separation`.
    """
    least = {name: min((row[name] for row in areas.values()), key=lambda area: area.value) for name in LIKENESS}
    return dict(sorted(least.items(), key=lambda item: -item[1].value))


def usable(areas: Areas) -> dict[str, Estimate]:
    """The statistics that separate every kind of tree from its twin, with the least of their areas, the best first.

    Args:
        areas: from `separation`.
    """
    return {name: area for name, area in least_areas(areas).items() if area.value >= SEPARATES}


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


def place(sets: Sequence[Placed], names: Sequence[str], seed: int) -> Estimate | None:
    """The place of one kind of data between twin (0) and tree (1), by all statistics that are used.

    The place is a ratio of medians over sets. Its ends are as uncertain as the data, so sets are drawn through the
    whole ratio (`stats.grouped_bootstrap`). Where several statistics pass, nothing says which is right: the interval
    reaches over those of all. One by which these data's own tree does not score above their twin, in all draws but a
    few, has no scale to place them on: it is left out where another has.

    Args:
        sets: of one kind of data.
        names: of the statistics that are used, the best first.
        seed: of the draws.

    Returns:
        The place by the best statistic; without an interval for fewer than twelve sets; None without sets, statistics,
        or trees that score above the twins.
    """
    found = [one for name in names if (one := _place(sets, name, seed))]
    if not found:
        return None
    found = [one for one in found if np.isfinite([one.low, one.high]).all()] or found
    return Estimate(found[0].value, min(one.low for one in found), max(one.high for one in found), len(sets))


def _place(sets: Sequence[Placed], name: str, seed: int) -> Estimate | None:
    """By one statistic."""
    scores = np.array([[getattr(each, kind)[name] for each in sets] for kind in Placed._fields])

    def between(index):
        data, twin, tree = np.median(scores[:, index], axis=1)
        return (data - twin) / (tree - twin) if tree > twin else np.nan

    return grouped_bootstrap(between, np.arange(len(sets)), seed, least=LEAST_SETS)


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

    Raises:
        ValueError: for a share outside 0..1, or no distance matrix.
    """
    share = number("share", share, "0 to 1", least=0, most=1)
    twin = _unit(twin_points(final, seed)) * (1 - share) ** 0.5
    tree = _unit(tree_points(average_tree(final), DIMENSION, seed)) * share**0.5
    width = max(twin.shape[1], tree.shape[1])
    return sum(np.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in (twin, tree))


def _unit(points: Float[ndarray, "n d"]) -> Float[ndarray, "n d"]:
    """Centred points of total variance 1."""
    points = points - points.mean(0)
    return points / np.sqrt((points**2).sum())
