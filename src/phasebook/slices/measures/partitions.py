"""Partitions of one and the same slice by several models: do they cut it in the same places?

Shared information. For two labellings of the same points, `I(A; B) / sqrt(H(A) H(B))` is 1 where each tells the other
and 0 where they are independent. Few points a class inflate it, and classes of a slice are compact, so that shuffled
labels are too weak a null. The null here is the same quantity with labellings of *other* slices, which are as compact
(as in `phases.nesting`); beyond chance is `(own - null) / (1 - null)`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.ndimage import distance_transform_edt

from phasebook.arguments import numbers
from phasebook.slices.measures.phases import boundary, overlaps

__all__ = ["Shared", "beyond_chance", "clusters", "displacement", "shared_basins", "shared_information"]


def shared_information(first: Int[ndarray, " p"], second: Int[ndarray, " p"]) -> float | None:
    """Normalised mutual information of two labellings of the same points.

    Args:
        first: the labels of one.
        second: those of the other.

    Returns:
        0 to 1; 0 where one is constant; None where both are: nothing was cut, so there is nothing to agree on.

    Raises:
        ValueError: for no labels, or other numbers of them.
    """
    if np.size(first) != np.size(second) or not np.size(first):
        raise ValueError(f"first, second: {np.size(first)} and {np.size(second)} labels; take as many of each, one at "
                         "least")
    a, b = (np.unique(np.ravel(labels), return_inverse=True)[1] for labels in (first, second))
    joint = overlaps(a, b)[2] / len(a)
    entropies = [_entropy(np.bincount(labels) / len(a)) for labels in (a, b)]
    if max(entropies) < 1e-12:
        return None
    if min(entropies) < 1e-12:
        return 0.0
    shared = sum(entropies) - _entropy(joint)
    return float(np.clip(shared / np.sqrt(entropies[0] * entropies[1]), 0, 1))


def _entropy(p: Float[ndarray, " k"]) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


class Shared(NamedTuple):
    """What two kinds of labellings share on each slice: `own`, on the same one; `null`, on average of one kind's there
    with the other kind's on the other slices, both ways; `beyond` chance, NaN where the null is 1. NaN where neither
    cuts a slice, and for a null without a pair of which one does."""

    own: Float[ndarray, " set"]
    null: Float[ndarray, " set"]
    beyond: Float[ndarray, " set"]


def shared_basins(first: Int[ndarray, "set p"], second: Int[ndarray, "set p"]) -> Shared:
    """Shared information of two kinds of labellings of several slices, beyond what unrelated slices share.

    Args:
        first: labels of the points of each slice by one model.
        second: of the same points by another.

    Raises:
        ValueError: for fewer than two slices, or unequal numbers of points.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or len(first) < 2:
        raise ValueError(f"first, second: shapes {first.shape}, {second.shape}; take labels (set, p) of the same two "
                         "slices or more")
    every = np.array([[shared_information(a, b) for b in second] for a in first], dtype=float)      # None is NaN
    own, cut = every.diagonal().copy(), ~np.isnan(every) & ~np.eye(len(every), dtype=bool)
    total, pairs = (x.sum(0) + x.sum(1) for x in (np.where(cut, every, 0), cut))
    null = np.where(pairs > 0, total / np.maximum(pairs, 1), np.nan)
    return Shared(own, null, beyond_chance(own, null))


def beyond_chance(own: Float[ndarray, "*b"], null: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
    """`(own - null) / (1 - null)`: 1 for full agreement, 0 for that of strangers; NaN where strangers agree in full.

    Args:
        own: agreement, at most 1.
        null: that of strangers.
    """
    room = 1 - null
    return np.where(room > 1e-9, (own - null) / np.maximum(room, 1e-9), np.nan)


def clusters(features: Float[ndarray, "p k"], apart: float) -> Int[ndarray, " p"]:
    """Points whose features lie close, by average linkage: clusters further than `apart` from one another stay two.

    Args:
        features: of the final pictures.
        apart: in the units of the features.

    Raises:
        ValueError: for features that are no finite numbers (p, k).
    """
    features = numbers("features", features, "finite numbers (p, k)").astype(np.float64)
    if features.ndim != 2:              # SciPy takes a list for the distances of pairs
        raise ValueError(f"features: shape {features.shape}; takes finite numbers (p, k)")
    if len(features) < 2:
        return np.zeros(len(features), dtype=int)
    return fcluster(linkage(features, "average"), apart, "distance") - 1


def displacement(first: Int[ndarray, "a b"], second: Int[ndarray, "a b"],
                 spacing: tuple[float, float]) -> float | None:
    """How far the boundaries of one labelling lie from those of another: the mean distance from an edge between two
    labels to the nearest such edge of the other, both ways.

    Args:
        first: labels of the points of a slice.
        second: of the same points.
        spacing: of the grid along alpha and beta.

    Returns:
        In units of the slice; None where one has no boundary.

    Raises:
        ValueError: for labels of different grids.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"first, second: shapes {first.shape}, {second.shape}; take labels of one grid")
    lines = [_edges(labels) for labels in (first, second)]
    if not all(line.any() for line in lines):
        return None
    half = (spacing[0] / 2, spacing[1] / 2)             # edges lie half way between points
    away = [distance_transform_edt(~line, sampling=half) for line in lines]
    return float((away[1][lines[0]].mean() + away[0][lines[1]].mean()) / 2)


def _edges(labels: Int[ndarray, "a b"]) -> ndarray:
    """Boundaries on a grid of twice the resolution, between the points."""
    up, right = boundary(labels)
    fine = np.zeros((2 * len(labels) - 1, 2 * labels.shape[1] - 1), dtype=bool)
    fine[1::2, ::2], fine[::2, 1::2] = up, right
    return fine
