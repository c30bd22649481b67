"""Four numbers that say how far a distance matrix is from that of a tree with all leaves at one level.

An ultrametric has `d(x, z) <= max(d(x, y), d(y, z))`: of three sides the two largest are equal, and the matrix is the
cophenetic one of a dendrogram.

- `triples`: sides d1 >= d2 >= d3 have the isosceles defect (d1 - d2)/(d1 - d3); a triple agrees at <= 0.2. 1 for a
  tree.
- `cophenetic`: correlation of the distances with those of the dendrogram by average linkage. 1 for a tree.
- `gap`: largest `d - u` over the diameter, u the subdominant ultrametric (the largest below d: single linkage). 0.
- `delta`: Gromov's, over the diameter: half the largest difference of the two largest of the sums d(x, y) + d(z, w),
  d(x, z) + d(y, w), d(x, w) + d(y, z). 0 for any tree metric, ultrametric or not.

In many dimensions all distances are nearly equal, and gap and delta are small for any points at all: they mean
something beside a null only (`hierarchy.ultrametricity`). The defect divides by the spread and is not fooled.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

__all__ = ["AGREES", "Triples", "check_distances", "cophenetic", "delta", "gap", "subdominant", "triples",
           "triple_spread"]

AGREES = 0.2                    # isosceles defect up to which a triple agrees
EQUILATERAL = 1e-3              # d1 - d3 in units of d1, up to which a triple says nothing
STANDARD_ERRORS = 10            # the sides of a triple must differ by so many, where their errors are known
DECIDED = 0.05                  # least share of triples that do; with fewer, noise decides, and all of them count


class Triples(NamedTuple):
    """`agree`: share of the decided triples that agree. `decided`: their share of all; the rest are equilateral as far
    as can be told. `count`: how many were looked at."""

    agree: float
    decided: float
    count: int


def check_distances(distances: Float[ndarray, "n n"], least: int = 4) -> Float[ndarray, "n n"]:
    """The matrix in float64; ValueError unless it is a square, symmetric, finite one with zeros on the diagonal, no
    negative entry, some positive one, and `least` points or more."""
    d = np.asarray(distances, dtype=np.float64)
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


def _subsets(n: int, size: int, most: int, seed: int) -> Int[ndarray, "m k"]:
    """All subsets of `size` of n points, or `most` random ones (distinct points in each) where there are more."""
    grids = np.indices((n,) * size).reshape(size, -1) if n**size <= 2e6 else None
    if grids is not None:
        every = grids[:, (np.diff(grids, axis=0) > 0).all(0)].T
        if len(every) <= most:
            return every
    rng = np.random.default_rng(seed)
    if grids is not None:
        return every[rng.choice(len(every), most, replace=False)]
    drawn = np.sort(rng.integers(0, n, (2 * most, size)), axis=1)
    return drawn[(np.diff(drawn, axis=1) > 0).all(1)][:most]


def triple_spread(points: Float[ndarray, "n d"], blocks: int = 16, seed: int = 0) -> Float[ndarray, "k n n"] | None:
    """Squared distances in disjoint random blocks of the coordinates: independent looks at the same points, from which
    `triples` learns how well it knows a side. None below 4 coordinates a block."""
    dimension = np.shape(points)[1]
    if dimension < 4 * blocks:
        return None
    order = np.random.default_rng(seed).permutation(dimension)
    looks = []
    for part in np.array_split(order, blocks):
        x = np.asarray(points, dtype=np.float64)[:, part]
        x = x - x.mean(0)
        square = (x**2).sum(1)
        looks.append((square[:, None] + square - 2 * x @ x.T).clip(0))
    return np.stack(looks)


def triples(distances: Float[ndarray, "n n"], *, tie: float = 0.0, equilateral: float = EQUILATERAL,
            looks: Float[ndarray, "k n n"] | None = None, most: int = 50_000, seed: int = 0) -> Triples:
    """The triples test. `tie`: for distances counted in steps, two sides within `tie` are equal (take 1).
    `equilateral`: share of d1 by which sides must differ to say anything; take the relative error of the distances.

    `looks` (from `triple_spread`): triples whose largest and smallest side differ by less than ten standard errors are
    counted apart as well, unless that leaves fewer than 5 %.
    """
    d = check_distances(distances, 3)
    i, j, k = _subsets(len(d), 3, most, seed).T
    sides = np.stack([d[i, j], d[i, k], d[j, k]])
    order = np.argsort(-sides, axis=0)
    d1, d2, d3 = np.take_along_axis(sides, order, 0)
    decided = d1 - d3 > np.maximum(equilateral * d1, tie)
    if looks is not None:
        parts = np.take_along_axis(np.stack([looks[:, i, j], looks[:, i, k], looks[:, j, k]]), order[:, None], 0)
        error = (parts[0] - parts[2]).std(0, ddof=1) * len(looks) ** 0.5 / np.maximum(2 * d1, 1e-300)
        known = decided & (d1 - d3 > STANDARD_ERRORS * error)
        decided = known if known.mean() >= DECIDED else decided
    if not decided.any():
        return Triples(0.0, 0.0, len(d1))
    agree = d1 - d2 <= np.maximum(AGREES * (d1 - d3), tie)
    return Triples(float(agree[decided].mean()), float(decided.mean()), len(d1))


def cophenetic(distances: Float[ndarray, "n n"]) -> float:
    """Correlation with the cophenetic distances of average linkage; 0 where all distances are equal."""
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


def delta(distances: Float[ndarray, "n n"], *, most: int = 40_000, seed: int = 0) -> float:
    """Gromov's delta over the diameter by the four-point condition: all quadruples up to `most` (n <= 32 by default).

    Of more, a random `most` are looked at: then the true value is not below the one given, and with 95 % confidence
    no more than 3/most of all quadruples exceed it.
    """
    d = check_distances(distances)
    i, j, k, m = _subsets(len(d), 4, most, seed).T
    sums = np.sort(np.stack([d[i, j] + d[k, m], d[i, k] + d[j, m], d[i, m] + d[j, k]]), axis=0)
    return float((sums[2] - sums[1]).max() / 2 / d.max())
