"""Points whose distances are those of a known tree, and points without one: the two ends of every scale.

A tree is a distance matrix of its leaves, ultrametric. Points of a tree: every edge adds an independent increment, so
that leaves share what lies above their last common node. The *twin* of some points has their covariance spectrum to the
last digit and nothing else in common with them: its principal components are turned at random, which leaves a Gaussian
cloud as it is and destroys any tree.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from phasebook.arguments import whole
from phasebook.hierarchy.ultrametric import check_distances

__all__ = ["TREES", "average_tree", "comb_tree", "distances_of", "known_tree", "regular_tree", "spectrum",
           "tree_points", "twin_points"]

TREES = ("binary, steep", "binary, flat", "ternary", "comb")
NEAR = 1e-6             # of two squared lengths: below this share of their sum their difference has lost digits


def distances_of(points: Float[ndarray, "n d"]) -> Float[ndarray, "n n"]:
    """Euclidean distances, float64.

    Raises:
        ValueError: unless `points` is a finite (n, d) array, n >= 2.
    """
    x = np.asarray(points, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"points: shape {x.shape}{'' if x.ndim != 2 or len(x) < 2 else ' with NaN or Inf in it'}; "
                         "takes a finite array (n, d), n >= 2")
    own, x = x, x - x.mean(0)
    square = (x**2).sum(1)
    both = square[:, None] + square
    apart = (both - 2 * x @ x.T).clip(0)
    near = np.argwhere(apart < NEAR * both)                             # these have cancelled, and are taken anew
    for some in np.array_split(near, 1 + near.size * x.shape[1] // 10**7):
        i, j = some.T
        apart[i, j] = ((own[i] - own[j])**2).sum(1)
    d = np.sqrt(apart)
    np.fill_diagonal(d, 0)
    return (d + d.T) / 2


def spectrum(distances: Float[ndarray, "n n"]) -> Float[ndarray, " r"]:
    """Positive eigenvalues of the centred Gram matrix `-1/2 J d^2 J` (classical scaling), from the largest: for
    Euclidean points n times the eigenvalues of their covariance."""
    square = np.asarray(distances, dtype=np.float64) ** 2
    gram = -(square - square.mean(0) - square.mean(1)[:, None] + square.mean()) / 2
    values = np.linalg.eigvalsh((gram + gram.T) / 2)[::-1]
    return values[values > 1e-10 * max(values[0], 1e-300)]


def twin_points(distances: Float[ndarray, "n n"], seed: int) -> Float[ndarray, "n r"]:
    """n points with exactly the spectrum of the given ones, their principal components turned at random.

    Args:
        distances: of the given points, or of anything: negative eigenvalues are left out.
        seed: of the turn.
    """
    n, values = len(distances), spectrum(distances)[:len(distances) - 1]
    frame, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n - 1, n - 1)))
    # an orthonormal basis of the vectors of sum zero, from the QR of differences
    basis, _ = np.linalg.qr(np.eye(n)[:, :-1] - 1 / n)
    return basis @ frame[:, :len(values)] * np.sqrt(values)


def average_tree(distances: Float[ndarray, "n n"]) -> Float[ndarray, "n n"]:
    """The tree that average linkage makes of distances: their cophenetic matrix."""
    return squareform(cophenet(linkage(squareform(check_distances(distances, 2), checks=False), "average")))


def tree_points(tree: Float[ndarray, "n n"], dimension: int, seed: int) -> Float[ndarray, "n d"]:
    """Gaussian points with the ultrametric distances `tree` up to noise of relative size (2 dimension)^-1/2: covariance
    `(h^2 - tree^2) / 2`, h the height of the root, over `dimension` coordinates.

    Args:
        tree: distances of the leaves.
        dimension: of the points.
        seed: of the increments.

    Raises:
        ValueError: for a matrix that is no ultrametric, or a dimension < 1.
    """
    dimension = whole("dimension", dimension, 1, what="an integer")
    u = np.asarray(tree, dtype=np.float64)
    square = u.ndim == 2 and u.shape[0] == u.shape[1] and np.array_equal(u, u.T) and not np.diag(u).any()
    if not square or not (u[:, None] <= np.maximum(u[:, :, None], u[None]) * (1 + 1e-9)).all():
        raise ValueError(f"tree: shape {u.shape}, no ultrametric; takes distances of the leaves of a tree, as "
                         "regular_tree gives")
    values, vectors = np.linalg.eigh((u.max() ** 2 - u**2) / 2)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T      # equal values leave vectors to the processor, not this
    return root @ np.random.default_rng(seed).standard_normal((len(u), dimension)) / dimension**0.5


def regular_tree(branching: Sequence[int], heights: Sequence[float]) -> Float[ndarray, "n n"]:
    """The tree with `branching[k]` children at level k from the root, whose leaves first meet at distance `heights[k]`:
    (2, 2, 2) with falling heights is a binary tree of 8 leaves.

    Raises:
        ValueError: unless there are as many heights as levels, each branching >= 2, and heights that fall and stay
            positive.
    """
    if len(branching) != len(heights) or not len(branching) or min(branching) < 2:
        raise ValueError(f"branching, heights = {list(branching)}, {list(heights)}: take one height a level, and "
                         "branching >= 2")
    if (np.diff(heights) >= 0).any() or heights[-1] <= 0 or not np.isfinite(heights).all():
        raise ValueError(f"heights = {list(heights)}: take positive numbers that fall from level to level")
    d = np.zeros((1, 1))
    for children, height in zip(branching[::-1], heights[::-1], strict=True):
        n = len(d)
        grown = np.full((children * n, children * n), float(height))
        for c in range(children):
            grown[c * n:(c + 1) * n, c * n:(c + 1) * n] = d
        d = grown
    return d


def comb_tree(leaves: int) -> Float[ndarray, "n n"]:
    """A comb: one leaf after another leaves the trunk, the k-th at height sqrt(k)."""
    leaves = whole("leaves", leaves, 2, what="an integer")
    height = np.sqrt(np.arange(1.0, leaves + 1))
    return np.where(np.eye(leaves) > 0, 0.0, height[np.maximum.outer(np.arange(leaves), np.arange(leaves))])


def known_tree(kind: str, leaves: int, seed: int, dimension: int = 768) -> Float[ndarray, "n d"]:
    """Points of a tree of one of the `TREES`, with a random choice of `leaves` of its leaves.

    Args:
        kind: `binary, steep` and `ternary` halve their distances from level to level; in `binary, flat` the increments
            of all levels are equally large; `comb` is maximally unbalanced.
        leaves: how many.
        seed: of the choice and of the points.
        dimension: of the points.

    Raises:
        ValueError: for another kind, less than two leaves, or no dimension.
    """
    if kind not in TREES:
        raise ValueError(f"kind = {kind!r}: takes one of {TREES}")
    leaves = whole("leaves", leaves, 2, what="an integer")
    if kind == "comb":
        return tree_points(comb_tree(leaves), dimension, seed)
    children = 3 if kind == "ternary" else 2
    depth = int(np.ceil(np.log(leaves) / np.log(children) - 1e-9)) + (kind != "ternary")
    heights = np.sqrt(np.arange(depth, 0.0, -1)) if kind == "binary, flat" else 2.0 ** -np.arange(depth)
    full = regular_tree([children] * depth, heights)
    chosen = np.sort(np.random.default_rng(seed).choice(len(full), leaves, replace=False))
    return tree_points(full[np.ix_(chosen, chosen)], dimension, seed)
