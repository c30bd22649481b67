"""Geodesics of a slice: between its phases, and against straight lines inside a phase and across a boundary."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from phasebook.slices.geodesic import Surface, geodesics
from phasebook.slices.measures.phases import depth_points

__all__ = ["Straightness", "geodesic_distances", "scattered", "straightness"]

FEWEST = 5                      # leaves that say anything of a tree


def geodesic_distances(surface: Surface, labels: Int[ndarray, "a b"], leaves: int,
                       least: float = 1e-3) -> tuple[Float[ndarray, "n n"], Int[ndarray, "n 2"]] | None:
    """Geodesic distances between the deepest points of the largest phases.

    Args:
        surface: the metric.
        labels: the phases.
        leaves: how many, at most.
        least: share of the area that a phase must have.

    Returns:
        The distances, and row and column of the points; None for fewer than five phases, or a metric that vanishes.
    """
    points = depth_points(labels, least, leaves)
    if len(points) < FEWEST or not surface.root.any():
        return None
    d = geodesics(surface, points).distances
    return (d, points) if d.max() > 0 else None


class Straightness(NamedTuple):
    """Pairs of points of a slice.

    Attributes:
        inside: whether the two share a phase.
        excess: length of the straight line less that of the geodesic, in the feature's distance.
        curves: the geodesics in units of the grid.
    """

    inside: Bool[ndarray, " m"]
    excess: Float[ndarray, " m"]
    curves: Float[ndarray, "m k 2"]

    def median(self, inside: bool) -> float | None:
        """The median excess of pairs inside a phase, or across a boundary; None without such pairs."""
        kept = self.excess[self.inside == inside]
        return float(np.median(kept)) if len(kept) else None

    def spaced(self, inside: bool, count: int) -> Int[ndarray, " count"]:
        """Indices of some pairs of one kind whose middles lie far from one another, for a figure."""
        of_kind = np.flatnonzero(self.inside == inside)
        middles = self.curves[of_kind][:, [0, -1]].mean(1)
        return of_kind[scattered(middles, count)]


def scattered(points: Float[ndarray, "n 2"], count: int) -> Int[ndarray, " count"]:
    """Indices of points, the first one and then each as far as can be from those before it."""
    chosen: list[int] = []
    far = np.full(len(points), np.inf)
    for _ in range(min(count, len(points))):
        chosen.append(int(far.argmax()))
        far = np.minimum(far, np.hypot(*(points - points[chosen[-1]]).T))
    return np.array(chosen, dtype=int)


def straightness(surface: Surface, labels: Int[ndarray, "a b"], points: int, seed: int,
                 chord: tuple[float, float] = (0.15, 0.4)) -> Straightness:
    """Geodesics between random grid points at moderate distances, so that pairs inside a phase and across a boundary
    are about equally far apart.

    Args:
        surface: the metric.
        labels: the phases.
        points: how many; all pairs with a chord of the right length are measured.
        seed: of the points.
        chord: shortest and longest distance of a pair, as shares of the slice's longer side.
    """
    at = np.unique(np.random.default_rng(seed).integers(0, surface.shape, (points, 2)), axis=0)
    whole = geodesics(surface, at)
    i, j = np.triu_indices(len(at), 1)
    size = np.hypot(*(at[i] - at[j]).T) / (max(surface.shape) - 1)
    kept = (size >= chord[0]) & (size <= chord[1])
    phase = labels[at[:, 0], at[:, 1]]
    excess = np.maximum(whole.straight[i, j] - whole.distances[i, j], 0.0)
    return Straightness((phase[i] == phase[j])[kept], excess[kept], whole.curves[kept])
