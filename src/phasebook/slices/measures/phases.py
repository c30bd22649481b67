"""Phases of a slice at each step, the boundaries between them, and how those of one step lie in those of another.

A labelling gives every grid point the number of its phase. It comes from the metric, by watershed (a ridge of the slope
separates two valleys, whether or not it closes), or for the exact model from the posterior (the likeliest picture, or
the likeliest family): true basins. Nothing here knows a model.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.ndimage import binary_dilation
from skimage.measure import label
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from phasebook.slices.measures.basins import basin_centres

__all__ = ["Nesting", "Phases", "areas", "boundary", "boundary_length", "connected", "depth_points", "link",
           "nesting", "nesting_over_steps", "overlaps", "persistence", "phases_of", "telling_counts",
           "watershed_labels"]


DENSE = 16              # numbers for each point up to which a table of all pairs of phases is made: it needs no sorting
FAR = 1e3               # heights above the sea, in their own range, from which they are taken above their least


def watershed_labels(height: Float[ndarray, "a b"], depth: float) -> Int[ndarray, "a b"]:
    """Basins of a height: valleys that a path must climb more than `depth` to leave, flooded to the divides.

    Args:
        height: of every point.
        depth: the pass between two basins is higher than this above each of their floors.

    Returns:
        Labels 0, 1, ...; one basin where nothing is that deep.

    Raises:
        ValueError: for a height that is not finite, or a depth that is not positive.
    """
    h = np.asarray(height, dtype=np.float64)
    if h.ndim != 2 or not np.isfinite(h).all():
        raise ValueError(f"height: shape {h.shape}{' with NaN or Inf' if h.ndim == 2 else ''}; takes finite (a, b)")
    if not (np.isfinite(depth) and depth > 0):
        raise ValueError(f"depth = {depth!r}: takes a positive number")
    if np.ptp(h) < depth:
        return np.zeros(h.shape, dtype=np.int64)
    h = h - h.min() if np.abs(h).max() > FAR * np.ptp(h) else h         # where steps between plateaus would be lost
    # valleys survive where filling up by `depth` leaves them below their surroundings (h-minima)
    filled = reconstruction(h + depth, h, method="erosion", footprint=np.ones((3, 3)))
    markers = label(_regional_minima(filled), connectivity=2)
    return watershed(h, markers, connectivity=2).astype(np.int64) - 1


def _regional_minima(h: Float[ndarray, "a b"]) -> Bool[ndarray, "a b"]:
    """Plateaus with no lower neighbour: what a slightly raised copy, let down onto h, does not reach."""
    step = max(1e-9 * np.ptp(h), 4 * np.spacing(np.abs(h).max()))       # less would be lost in the heights themselves
    return reconstruction(h + step, h, method="erosion", footprint=np.ones((3, 3))) - h > step / 2


def connected(labels: Int[ndarray, "a b"]) -> Int[ndarray, "a b"]:
    """The same phases with every connected piece (by sides) a phase of its own, numbered from 0."""
    labels = np.asarray(labels)
    own = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)       # one more than -1 is the background
    return label(own + 1, connectivity=1).astype(np.int64) - 1


def areas(labels: Int[ndarray, "a b"]) -> Float[ndarray, " k"]:
    """Share of the area of each phase. ValueError for labels below 0."""
    return np.bincount(_numbered("labels", labels).ravel()) / np.size(labels)


def boundary(labels: Int[ndarray, "a b"]) -> tuple[Bool[ndarray, "a-1 b"], Bool[ndarray, "a b-1"]]:
    """Edges of the grid between different phases, along alpha and along beta."""
    labels = np.asarray(labels)
    return labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]


def boundary_length(labels: Int[ndarray, "a b"], spacing: tuple[float, float]) -> float:
    """Length of all boundaries: cut edges times the spacing across, times pi/4 (Cauchy and Crofton: what a line of
    random direction measures too much on a square grid)."""
    up, right = boundary(labels)
    return float(np.pi / 4 * (up.sum() * spacing[1] + right.sum() * spacing[0]))


class Phases(NamedTuple):
    """A labelling at every step.

    Attributes:
        labels: of every point.
        count: of the phases that are large enough to count.
        length: of all boundaries, in units of alpha and beta.
        largest: share of the area of the largest phase.
    """

    labels: Int[ndarray, "step a b"]
    count: Int[ndarray, " step"]
    length: Float[ndarray, " step"]
    largest: Float[ndarray, " step"]


def phases_of(labels: Int[ndarray, "step a b"], spacing: tuple[float, float], least: float = 5e-4) -> Phases:
    """Counts and lengths of labellings.

    Args:
        labels: of every point at every step.
        spacing: of the grid along alpha and beta.
        least: share of the area below which a phase does not count.
    """
    shares = [areas(one) for one in labels]
    enough = max(least, 2 / labels[0].size)
    return Phases(np.asarray(labels), np.array([max(1, int((s >= enough).sum())) for s in shares]),
                  np.array([boundary_length(one, spacing) for one in labels]), np.array([s.max() for s in shares]))


def telling_counts(count: Int[ndarray, " step"], steps: int) -> list[int]:
    """Steps at which phase maps differ.

    Args:
        count: of phases at each step.
        steps: how many, at most.

    Returns:
        The first, the last, and those that first reach evenly spaced counts in between.
    """
    marks = np.linspace(count[0], count.max(), steps)[1:-1]
    return sorted({0, len(count) - 1, *(int((count >= mark).argmax()) for mark in marks)})


def link(coarse: Int[ndarray, "a b"], fine: Int[ndarray, "a b"]) -> Int[ndarray, "k j"]:
    """Points that coarse phase k and fine phase j share.

    Raises:
        ValueError: for labels of different grids, or below 0.
    """
    coarse, fine = _labels(coarse, fine)
    k, j = int(coarse.max()) + 1, int(fine.max()) + 1
    return np.bincount(coarse * j + fine, minlength=k * j).reshape(k, j)


def overlaps(coarse: Int[ndarray, "a b"],
             fine: Int[ndarray, "a b"]) -> tuple[Int[ndarray, " m"], Int[ndarray, " m"], Int[ndarray, " m"]]:
    """What of `link` is not 0: coarse phase, fine phase and the points that both share. The table itself would be as
    large as the square of the number of points where each of them is a phase.

    Raises:
        ValueError: for labels of different grids, or below 0.
    """
    coarse, fine = _labels(coarse, fine)
    j = int(fine.max()) + 1
    if (int(coarse.max()) + 1) * j <= DENSE * fine.size:
        table = link(coarse, fine)
        k, m = np.nonzero(table)
        return k, m, table[k, m]
    keys, count = np.unique(coarse * j + fine, return_counts=True)
    return *divmod(keys, j), count


def _labels(coarse: Int[ndarray, "a b"], fine: Int[ndarray, "a b"]) -> tuple[Int[ndarray, " p"], Int[ndarray, " p"]]:
    """Labels of every point. ValueError for labels of different grids, or below 0."""
    coarse, fine = np.asarray(coarse), np.asarray(fine)
    if coarse.shape != fine.shape:
        raise ValueError(f"coarse, fine: shapes {coarse.shape}, {fine.shape}; take labels of one grid")
    return _numbered("coarse", coarse.ravel()), _numbered("fine", fine.ravel())


def _numbered(name: str, labels: Int[ndarray, "*p"]) -> Int[ndarray, "*p"]:
    """Labels, signed: unsigned ones make no index. ValueError for one below 0, which would be taken for another's."""
    labels = np.asarray(labels).astype(np.int64)
    if labels.size and labels.min() < 0:
        raise ValueError(f"{name}: a label {labels.min()}; takes labels 0, 1, ...")
    return labels


class Nesting(NamedTuple):
    """How well fine phases lie inside coarse ones.

    Attributes:
        score: share of the area that lies inside the coarse parent of its fine phase; 1 where every fine phase has one
            parent.
        strangers: the mean score of fine phases of other slices, which are as compact as the slice's own; None where
            there are none.
        shuffled: the mean score with the fine labels dealt to other points.
    """

    score: float
    strangers: float | None
    shuffled: float


def nesting(coarse: Int[ndarray, "a b"], fine: Int[ndarray, "a b"], others: Sequence[Int[ndarray, "a b"]] = (),
            seed: int = 0, draws: int = 5) -> Nesting:
    """How well fine phases lie inside coarse ones, beside chance.

    Args:
        coarse: phases of an earlier step.
        fine: phases of a later one.
        others: fine phases of other slices, on as many grid points.
        seed: of the shuffled labels.
        draws: how often they are shuffled.
    """
    rng, flat = np.random.default_rng(seed), np.ravel(fine)
    shuffled = [_inside(coarse, rng.permutation(flat)) for _ in range(draws)]
    strangers = [_inside(coarse, other) for other in others]
    return Nesting(_inside(coarse, flat), float(np.mean(strangers)) if strangers else None, float(np.mean(shuffled)))


def _inside(coarse: Int[ndarray, "a b"], fine: Int[ndarray, "a b"]) -> float:
    _, phase, shared = overlaps(np.ravel(coarse), np.ravel(fine))
    most = np.zeros(int(np.max(fine)) + 1, dtype=np.int64)
    np.maximum.at(most, phase, shared)
    return float(most.sum() / np.size(fine))


def nesting_over_steps(labels: Int[ndarray, "step a b"], least: float, others: Sequence[Int[ndarray, "a b"]] = (),
                       seed: int = 0) -> Nesting | None:
    """The mean over steps of how the last step's phases lie in theirs.

    Args:
        labels: phases at every step.
        least: share of the area from which a phase counts.
        others: last phases of other slices.
        seed: of the shuffled labels.

    Returns:
        The mean over the steps that have two phases or more, and fewer than the last one has; None without such steps.
    """
    counts = [int((areas(one) >= least).sum()) for one in labels]
    steps = [k for k, n in enumerate(counts) if 2 <= n < counts[-1]]
    if not steps:
        return None
    score, strangers, shuffled = zip(*(nesting(labels[k], labels[-1], others, seed) for k in steps), strict=True)
    return Nesting(float(np.mean(score)), float(np.mean(strangers)) if others else None, float(np.mean(shuffled)))


def persistence(labels: Int[ndarray, "step a b"], slack: int = 1) -> Float[ndarray, " step"]:
    """Share of the boundary of each step that is still boundary at the last one, up to `slack` grid points of drift.
    1 where a step has no boundary."""
    last = _rim(labels[-1])
    near = binary_dilation(last, np.ones((2 * slack + 1,) * 2)) if slack else last
    rims = [_rim(one) for one in labels]
    return np.array([float(near[rim].mean()) if rim.any() else 1.0 for rim in rims])


def _rim(labels: Int[ndarray, "a b"]) -> Bool[ndarray, "a b"]:
    """Points with a neighbour in another phase."""
    up, right = boundary(labels)
    rim = np.zeros(np.shape(labels), dtype=bool)
    rim[1:] |= up
    rim[:-1] |= up
    rim[:, 1:] |= right
    rim[:, :-1] |= right
    return rim


def depth_points(labels: Int[ndarray, "a b"], least: float, most: int) -> Int[ndarray, "n 2"]:
    """Row and column of the deepest point of each phase.

    Args:
        labels: the phases.
        least: share of the area from which a phase counts.
        most: phases, the largest first.
    """
    return np.array(basin_centres(np.asarray(labels), least)[:most], dtype=np.int64).reshape(-1, 2)
