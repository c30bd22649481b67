"""The boundaries of several slices of one model, in a few estimates."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from phasebook.hierarchy.boundaries import before_over_after, coarse_first, lost_over_gained
from phasebook.hierarchy.straightness import straightness
from phasebook.slices.measures.phases import nesting_over_steps, phases_of
from phasebook.slices.slice import Slice
from phasebook.stats import Estimate, median_interval

__all__ = ["Boundaries", "Lines", "beyond", "boundaries", "straight"]

LARGE = 5e-3                    # share of the area from which a phase counts for nesting


class Boundaries(NamedTuple):
    """Medians over slices, each with its interval, but for `lost`; None where no slice has the number.

    Attributes:
        coarse: rank correlation of the final jump with the noise level of the split.
        before: distance of neighbours before a boundary parts them over that after.
        lost: phases lost over phases gained, over all slices.
        nested: nesting score.
        beyond: nesting score less that of the phases of other slices.
        shuffled: nesting score of labels dealt at random.
        counts: of phases, by slice and step.
        each: the numbers of each slice behind `coarse`, `before` and `nested`; None for a slice without.
    """

    coarse: Estimate | None
    before: Estimate | None
    lost: Estimate | None
    nested: Estimate | None
    beyond: Estimate | None
    shuffled: Estimate | None
    counts: Int[ndarray, "slice step"]
    each: Mapping[str, list[float | None]]


def boundaries(slices: Sequence[Slice], ridge: float, seed: int = 0) -> Boundaries:
    """What boundaries do on slices of one grid.

    Args:
        slices: of one model.
        ridge: height of a ridge, in the feature's distance.
        seed: of shuffled labels.
    """
    labels = [s.phases(ridge) for s in slices]
    counts = [phases_of(one, s.plane.spacing).count for s, one in zip(slices, labels, strict=True)]
    nested = []
    for k, one in enumerate(labels):
        others = [other[-1] for j, other in enumerate(labels) if j != k]
        nested.append(nesting_over_steps(one, LARGE, others, seed))
    there = [n for n in nested if n is not None]
    each = {"coarse": [coarse_first(s, ridge) for s in slices],
            "before": [before_over_after(s, one, ridge) for s, one in zip(slices, labels, strict=True)],
            "nested": [None if n is None else n.score for n in nested]}
    return Boundaries(
        median_interval(each["coarse"]), median_interval(each["before"]), lost_over_gained(np.stack(counts), seed),
        median_interval(each["nested"]),
        median_interval(n.score - n.strangers for n in there if n.strangers is not None),
        median_interval(n.shuffled for n in there),
        np.stack(counts), each)


def beyond(data: Boundaries, null: Boundaries, name: str) -> Estimate | None:
    """By how much slices exceed those of a null, one slice of each side by side: the median difference.

    Args:
        data: of the slices in question.
        null: of as many slices of data without what is asked about.
        name: `coarse`, `before` or `nested`.
    """
    both = zip(data.each[name], null.each[name], strict=True)
    return median_interval(a - b for a, b in both if a is not None and b is not None)


class Lines(NamedTuple):
    """By how many heights of a ridge straight lines are longer than geodesics: medians over slices.

    Attributes:
        inside: a phase.
        across: a boundary.
        share: the first over the second, or 1 where the second is no larger, slice by slice.
    """

    inside: Estimate | None
    across: Estimate | None
    share: Estimate | None


def straight(slices: Iterable[Slice], ridge: float, points: int, seed: int = 0) -> Lines:
    """By how many heights of a ridge straight lines are longer than geodesics, at the step at which the metric has come
    to rest.

    Args:
        slices: of one model.
        ridge: height of a ridge.
        points: on each slice.
        seed: of the points of the first; the others count on.
    """
    inside, across = [], []
    for k, s in enumerate(slices):
        rest = s.resting()
        surface = s.surface(rest)
        if surface.root.any():
            lines = straightness(surface, s.phases_at(rest, ridge), points, seed + k)
            for kept, side in ((inside, True), (across, False)):
                value = lines.median(side)
                kept.append(None if value is None else value / ridge)
    share = [a / max(a, b) if a or b else 1.0 for a, b in zip(inside, across, strict=True) if None not in (a, b)]
    return Lines(median_interval(inside), median_interval(across), median_interval(share))
