"""Four numbers that say how far distances are from those of a tree with all leaves at one level.

An ultrametric has `d(x, z) <= max(d(x, y), d(y, z))`: of three sides the two largest are equal, and the matrix is the
cophenetic one of a dendrogram (Rammal, Toulouse and Virasoro 1986).

- `triples`: sides d1 >= d2 >= d3 have the isosceles defect (d1 - d2)/(d1 - d3); a triple agrees at <= 0.2. 1 for a
  tree.
- `cophenetic`: correlation of the distances with those of the dendrogram by average linkage. 1 for a tree.
- `gap`: largest `d - u` over the diameter, u the subdominant ultrametric (the largest below d: single linkage). 0.
- `delta`: Gromov's, over the diameter: half the largest difference of the two largest of the sums d(x, y) + d(z, w),
  d(x, z) + d(y, w), d(x, w) + d(y, z). 0 for any tree metric, ultrametric or not.

None of them means anything by itself: ties look like a tree, and so do distances that are nearly equal because there
are many dimensions. What they say of data, `calibration` finds out.
"""

from functools import lru_cache
from itertools import chain, combinations
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from phasebook.arguments import array_of, brief

__all__ = ["LIKENESS", "Triples", "check_distances", "cophenetic", "delta", "gap", "likeness", "subdominant", "triples"]

AGREES = 0.2                    # isosceles defect up to which a triple agrees
LIKENESS = ("triples", "cophenetic", "gap", "delta")


class Triples(NamedTuple):
    """The triples test: share `agree` of the resolved triples, share `resolved` of all, and the `count` looked at."""

    agree: float
    resolved: float
    count: int


def check_distances(distances: Float[ndarray, "n n"], least: int = 4) -> Float[ndarray, "n n"]:
    """The matrix in float64, exactly symmetric.

    Args:
        distances: of n points.
        least: number of points.

    Raises:
        ValueError: unless it is a square, symmetric, finite matrix with zeros on the diagonal, no negative entry, some
            positive one, and `least` points or more.
    """
    d = array_of(distances)
    if d is None:
        raise ValueError(f"distances = {brief(distances)}: takes a matrix (n, n) with n >= {least}")
    d = d.astype(np.float64)
    if d.ndim != 2 or d.shape[0] != d.shape[1] or len(d) < least:
        raise ValueError(f"distances: shape {d.shape}; takes (n, n) with n >= {least}")
    if not np.isfinite(d).all() or (d < 0).any():
        raise ValueError(f"distances: {'NaN or Inf' if not np.isfinite(d).all() else d.min()} in it; takes finite "
                         "numbers >= 0")
    top = d.max()
    if top == 0 or np.abs(d - d.T).max() > 1e-6 * top or np.diag(d).max() > 1e-6 * top:
        raise ValueError("distances: all zero, not symmetric, or not zero on the diagonal; takes a distance matrix")
    d = (d + d.T) / 2
    np.fill_diagonal(d, 0)
    return d


@lru_cache(maxsize=16)
def _subsets(n: int, size: int, most: int, seed: int) -> Int[ndarray, "m k"]:
    """All subsets of `size` of n points, or `most` random ones (distinct points in each) where there are more; to be
    read, not changed."""
    if n**size <= 2e6 or comb(n, size) <= most:
        every = np.fromiter(chain.from_iterable(combinations(range(n), size)), int).reshape(-1, size)
        if len(every) <= most:
            return every
        return every[np.random.default_rng(seed).choice(len(every), most, replace=False)]
    drawn = np.sort(np.random.default_rng(seed).integers(0, n, (2 * most, size)), axis=1)
    return drawn[(np.diff(drawn, axis=1) > 0).all(1)][:most]


def triples(distances: Float[ndarray, "n n"], resolution: float = 0.0, *, most: int = 50_000,
            seed: int = 0) -> Triples:
    """The triples test.

    Args:
        distances: of n >= 3 points.
        resolution: the largest and the smallest side of a triple must differ by more for it to count.
        most: triples that are looked at; a random choice where there are more.
        seed: of that choice.

    Returns:
        `agree` is 0 where no triple is resolved.

    Raises:
        ValueError: for no distance matrix.
    """
    d = check_distances(distances, 3)
    i, j, k = _subsets(len(d), 3, most, seed).T
    low, middle, high = np.sort(np.stack([d[i, j], d[i, k], d[j, k]]), axis=0)
    resolved = high - low > max(resolution, 1e-9 * d.max())
    if not resolved.any():
        return Triples(0.0, 0.0, len(high))
    agree = high - middle <= AGREES * (high - low) + 1e-12 * d.max()       # a fifth is one in any unit
    return Triples(float(agree[resolved].mean()), float(resolved.mean()), len(high))


def cophenetic(distances: Float[ndarray, "n n"]) -> float:
    """Correlation with the cophenetic distances of average linkage; 0 where all distances are equal.

    Raises:
        ValueError: for no distance matrix.
    """
    flat = squareform(check_distances(distances, 3), checks=False)
    tree = cophenet(linkage(flat, "average"))
    if np.ptp(flat) < 1e-12 * flat.max() or np.ptp(tree) < 1e-12 * flat.max():
        return 0.0
    return float(np.corrcoef(flat, tree)[0, 1])


def subdominant(distances: Float[ndarray, "n n"]) -> Float[ndarray, "n n"]:
    """The largest ultrametric that is nowhere above the distances: the least over paths of the largest step."""
    return squareform(cophenet(linkage(squareform(check_distances(distances, 2), checks=False), "single")))


def gap(distances: Float[ndarray, "n n"]) -> float:
    """Largest distance to the subdominant ultrametric, over the diameter."""
    d = check_distances(distances, 2)
    return float((d - subdominant(d)).max() / d.max())


def delta(distances: Float[ndarray, "n n"], *, most: int = 20_000, seed: int = 0) -> float:
    """Gromov's delta over the diameter by the four-point condition.

    Args:
        distances: of n >= 4 points.
        most: quadruples that are looked at. Of more, a random choice: then the true value is not below the one given,
            and with 95 % confidence no more than 3/most of all quadruples exceed it.
        seed: of that choice.

    Raises:
        ValueError: for no distance matrix.
    """
    d = check_distances(distances)
    i, j, k, m = _subsets(len(d), 4, most, seed).T
    sums = np.sort(np.stack([d[i, j] + d[k, m], d[i, k] + d[j, m], d[i, m] + d[j, k]]), axis=0)
    return float((sums[2] - sums[1]).max() / 2 / d.max())


def likeness(distances: Float[ndarray, "n n"], resolution: float = 0.0) -> dict[str, float]:
    """All four, each turned so that more means more like a tree: gap and delta with the opposite sign.

    Args:
        distances: of n >= 4 points.
        resolution: of `triples`.

    Returns:
        Numbers by the names of `LIKENESS`, and `resolved`, the share of triples that are.

    Raises:
        ValueError: for no distance matrix.
    """
    three = triples(distances, resolution)
    return {"triples": three.agree, "cophenetic": cophenetic(distances), "gap": -gap(distances),
            "delta": -delta(distances), "resolved": three.resolved}
