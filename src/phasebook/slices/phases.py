"""Phases of a slice at each step, the boundaries between them, and how those of one step lie in those of another.

A labelling gives every grid point the number of its phase. It comes from the metric, by watershed (a ridge of the slope
separates two valleys, whether or not it closes), or for the exact model from the posterior (the likeliest picture, or
the likeliest family): true basins. Nothing here knows a model.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.ndimage import binary_dilation
from skimage.measure import label
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

__all__ = ["Nesting", "Phases", "areas", "boundary", "boundary_length", "connected", "depth_points", "lineage",
           "link", "nesting", "nesting_over_steps", "parents", "persistence", "phases_of", "telling_counts",
           "watershed_labels"]


def watershed_labels(height: Float[ndarray, "a b"], depth: float) -> Int[ndarray, "a b"]:
    """Basins 0, 1, ... of a height: valleys that a pass must climb `depth` or more to leave, flooded to the divides.

    One basin where nothing is that deep. ValueError for a height that is not finite, or a depth that is not positive.
    """
    h = np.asarray(height, dtype=np.float64)
    if h.ndim != 2 or not np.isfinite(h).all():
        raise ValueError(f"height: shape {h.shape}{' with NaN or Inf' if h.ndim == 2 else ''}; takes finite (a, b)")
    if not (np.isfinite(depth) and depth > 0):
        raise ValueError(f"depth = {depth!r}: takes a positive number")
    if np.ptp(h) < depth:
        return np.zeros(h.shape, dtype=np.int64)
    # valleys survive where filling up by `depth` leaves them below their surroundings (h-minima)
    filled = reconstruction(h + depth, h, method="erosion", footprint=np.ones((3, 3)))
    markers = label(_regional_minima(filled), connectivity=2)
    return watershed(h, markers, connectivity=2).astype(np.int64) - 1


def _regional_minima(h: Float[ndarray, "a b"]) -> Bool[ndarray, "a b"]:
    """Plateaus with no lower neighbour: what a slightly raised copy, let down onto h, does not reach."""
    step = 1e-9 * max(np.ptp(h), 1e-300)
    return reconstruction(h + step, h, method="erosion", footprint=np.ones((3, 3))) - h > step / 2


def connected(labels: Int[ndarray, "a b"]) -> Int[ndarray, "a b"]:
    """The same phases with every connected piece (by sides) a phase of its own, numbered from 0."""
    return label(np.asarray(labels) + 1, connectivity=1).astype(np.int64) - 1


def areas(labels: Int[ndarray, "a b"]) -> Float[ndarray, " k"]:
    """Share of the area of each phase."""
    return np.bincount(np.asarray(labels).ravel()) / np.size(labels)


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
    """A labelling at every step, with count, boundary length and the area (share) of the largest phase. Phases below
    the share `least` of the area are not counted."""

    labels: Int[ndarray, "step a b"]
    count: Int[ndarray, " step"]
    length: Float[ndarray, " step"]
    largest: Float[ndarray, " step"]


def phases_of(labels: Int[ndarray, "step a b"], spacing: tuple[float, float], least: float = 5e-4) -> Phases:
    """Counts and lengths of labellings."""
    shares = [areas(one) for one in labels]
    enough = max(least, 2 / labels[0].size)
    return Phases(np.asarray(labels), np.array([max(1, int((s >= enough).sum())) for s in shares]),
                  np.array([boundary_length(one, spacing) for one in labels]), np.array([s.max() for s in shares]))


def telling_counts(count: Int[ndarray, " step"], steps: int) -> list[int]:
    """At most `steps` steps, the first, the last, and those that first reach evenly spaced counts in between."""
    marks = np.linspace(count[0], count.max(), steps)[1:-1]
    return sorted({0, len(count) - 1, *(int((count >= mark).argmax()) for mark in marks)})


def link(coarse: Int[ndarray, "a b"], fine: Int[ndarray, "a b"]) -> Int[ndarray, "k j"]:
    """Points that coarse phase k and fine phase j share."""
    coarse, fine = np.asarray(coarse), np.asarray(fine)
    if coarse.shape != fine.shape:
        raise ValueError(f"coarse, fine: shapes {coarse.shape}, {fine.shape}; take labels of one grid")
    k, j = int(coarse.max()) + 1, int(fine.max()) + 1
    return np.bincount(coarse.ravel().astype(np.int64) * j + fine.ravel(), minlength=k * j).reshape(k, j)


def parents(coarse: Int[ndarray, "a b"], fine: Int[ndarray, "a b"]) -> tuple[Int[ndarray, " j"], Float[ndarray, " j"]]:
    """Of each fine phase: the coarse one that holds most of it, and the share of its area that does."""
    table = link(coarse, fine)
    return table.argmax(0), table.max(0) / np.maximum(table.sum(0), 1)


class Nesting(NamedTuple):
    """`score`: share of the area that lies inside the coarse parent of its fine phase; 1 where every fine phase has one
    parent. `shuffled`: the mean score with the fine labels dealt to other points; what any labelling reaches."""

    score: float
    shuffled: float

    @property
    def beyond_chance(self) -> float:
        """(score - shuffled)/(1 - shuffled): 0 for labels that know nothing of each other, 1 for perfect nesting."""
        return (self.score - self.shuffled) / (1 - self.shuffled) if self.shuffled < 1 else 0.0


def nesting(coarse: Int[ndarray, "a b"], fine: Int[ndarray, "a b"], seed: int = 0, draws: int = 20) -> Nesting:
    """How well the fine phases lie inside the coarse ones."""
    rng, flat = np.random.default_rng(seed), np.ravel(fine)
    inside = lambda labels: float(link(np.ravel(coarse), labels).max(0).sum() / flat.size)  # noqa: E731
    return Nesting(inside(flat), float(np.mean([inside(rng.permutation(flat)) for _ in range(draws)])))


def nesting_over_steps(labels: Int[ndarray, "step a b"], least: float, seed: int = 0) -> Nesting | None:
    """The mean over steps of how the last step's phases lie in theirs: over the steps that have two phases or more of
    at least the share `least` of the area, and fewer phases than the last one has. None where there is no such step."""
    counts = [int((areas(one) >= least).sum()) for one in labels]
    found = [nesting(one, labels[-1], seed) for one, n in zip(labels, counts, strict=True) if 2 <= n < counts[-1]]
    return Nesting(*(float(v) for v in np.mean(found, axis=0))) if found else None


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


def lineage(labels: Int[ndarray, "step a b"]) -> Int[ndarray, "step k"]:
    """At every step, the phase that holds most of each of the last step's phases: its ancestors, and by
    `hierarchy.ridge_split` the steps at which two of them were parted."""
    return np.stack([parents(one, labels[-1])[0] for one in labels])


def depth_points(labels: Int[ndarray, "a b"], least: float, most: int) -> Int[ndarray, "n 2"]:
    """(row, column) of the deepest point of each phase of at least the share `least`, largest first, `most` at most."""
    from phasebook.slices.basins import basin_centres

    return np.array(basin_centres(np.asarray(labels), least)[:most], dtype=np.int64).reshape(-1, 2)
