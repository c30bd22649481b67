"""What the ultrametricity of points is held against: points without a tree, and points with one that is known."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.distance import squareform

__all__ = ["comb_tree", "distances_of", "equal_spectrum", "known_cases", "regular_tree", "shuffled_entries",
           "shuffled_features", "spectrum", "tree_points"]


def distances_of(points: Float[ndarray, "n d"]) -> Float[ndarray, "n n"]:
    """Euclidean distances, float64. ValueError unless `points` is a finite (n, d) array."""
    x = np.asarray(points, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"points: shape {x.shape}{'' if x.ndim != 2 or len(x) < 2 else ' with NaN or Inf in it'}; "
                         "takes a finite array (n, d), n >= 2")
    x = x - x.mean(0)
    square = (x**2).sum(1)
    d = np.sqrt((square[:, None] + square - 2 * x @ x.T).clip(0))
    np.fill_diagonal(d, 0)
    return (d + d.T) / 2


def spectrum(distances: Float[ndarray, "n n"]) -> Float[ndarray, " r"]:
    """Positive eigenvalues of the centred Gram matrix `-1/2 J d^2 J` (classical scaling), from the largest: for
    Euclidean points n times the eigenvalues of their covariance."""
    square = np.asarray(distances, dtype=np.float64) ** 2
    gram = -(square - square.mean(0) - square.mean(1)[:, None] + square.mean()) / 2
    values = np.linalg.eigvalsh((gram + gram.T) / 2)[::-1]
    return values[values > 1e-10 * max(values[0], 1e-300)]


def equal_spectrum(values: Float[ndarray, " r"], n: int, rng: np.random.Generator) -> Float[ndarray, "n n"]:
    """Distances of n Euclidean points whose covariance has exactly the spectrum `values` (r <= n - 1) and nothing else:
    the principal components are turned at random. Gaussian points are their own null, in any dimension."""
    frame, _ = np.linalg.qr(rng.standard_normal((n - 1, n - 1)))
    # an orthonormal basis of the vectors of sum zero, from the QR of differences
    basis, _ = np.linalg.qr(np.eye(n)[:, :-1] - 1 / n)
    return distances_of(basis @ frame[:, :len(values)] * np.sqrt(values))


def shuffled_entries(distances: Float[ndarray, "n n"], rng: np.random.Generator) -> Float[ndarray, "n n"]:
    """The same distances, dealt to other pairs."""
    return squareform(rng.permutation(squareform(distances, checks=False)))


def shuffled_features(points: Float[ndarray, "n d"], rng: np.random.Generator) -> Float[ndarray, "n d"]:
    """Every coordinate shuffled over the points by itself: the same marginals, nothing in common."""
    return rng.permuted(points, axis=0)


def regular_tree(branching: Sequence[int], heights: Sequence[float]) -> Float[ndarray, "n n"]:
    """Distances of the leaves of a tree with `branching[k]` children at level k from the root, whose leaves first meet
    at distance `heights[k]`: (2, 2, 2) with falling heights is a binary tree of 8 leaves.

    ValueError unless there are as many heights as levels, each branching >= 2, and heights that fall and stay positive.
    """
    if len(branching) != len(heights) or not len(branching) or min(branching) < 2:
        raise ValueError(f"branching, heights = {list(branching)}, {list(heights)}: take one height a level, and "
                         "branching >= 2")
    if (np.diff(heights) >= 0).any() or heights[-1] <= 0 or not np.isfinite(heights).all():
        raise ValueError(f"heights = {list(heights)}: take positive numbers that fall from level to level")
    d = np.zeros((1, 1))
    for children, height in zip(branching[::-1], heights[::-1], strict=True):
        n = len(d)
        whole = np.full((children * n, children * n), float(height))
        for c in range(children):
            whole[c * n:(c + 1) * n, c * n:(c + 1) * n] = d
        d = whole
    return d


def tree_points(tree: Float[ndarray, "n n"], dimension: int, seed: int) -> Float[ndarray, "n d"]:
    """Gaussian points with the ultrametric distances `tree` up to noise of relative size (2 dimension)^-1/2.

    A mixture with a known tree, one point a leaf: every edge adds an independent increment, so that leaves share what
    lies above their last common node; covariance `(h^2 - tree^2) / 2` with h the height of the root, over `dimension`
    coordinates. ValueError for a matrix that is no ultrametric, or a dimension < 1.
    """
    if isinstance(dimension, bool) or not isinstance(dimension, int | np.integer) or dimension < 1:
        raise ValueError(f"dimension = {dimension!r}: takes an integer >= 1")
    u = np.asarray(tree, dtype=np.float64)
    if u.ndim != 2 or u.shape[0] != u.shape[1] or not np.array_equal(u, u.T) or np.diag(u).any() or not (
            u[:, None] <= np.maximum(u[:, :, None], u[None]) * (1 + 1e-9)).all():
        raise ValueError(f"tree: shape {u.shape}, no ultrametric; takes distances of the leaves of a tree, as "
                         "regular_tree gives")
    values, vectors = np.linalg.eigh((u.max() ** 2 - u**2) / 2)
    root = vectors * np.sqrt(values.clip(0))
    return root @ np.random.default_rng(seed).standard_normal((len(u), dimension)) / dimension**0.5


def comb_tree(leaves: int) -> Float[ndarray, "n n"]:
    """Distances of the leaves of a comb: one leaf after another leaves the trunk, the k-th at height sqrt(k)."""
    if leaves < 2:
        raise ValueError(f"leaves = {leaves}: takes an integer >= 2")
    height = np.sqrt(np.arange(1.0, leaves + 1))
    return np.where(np.eye(leaves) > 0, 0.0, height[np.maximum.outer(np.arange(leaves), np.arange(leaves))])


def known_cases(seed: int) -> dict[str, tuple[Float[ndarray, "n d"], bool]]:
    """Points by name, and whether they come from a tree."""
    rng = np.random.default_rng(seed)
    return {
        "binary tree": (tree_points(regular_tree([2] * 5, [16, 8, 4, 2, 1]), 2000, seed), True),
        "ternary tree": (tree_points(regular_tree([3] * 3, [4, 2, 1]), 2000, seed + 1), True),
        "comb": (tree_points(comb_tree(20), 2000, seed + 2), True),
        "cloud in 2 dimensions": (rng.standard_normal((32, 2)), False),
        "cloud in 12288 dimensions": (rng.standard_normal((32, 12_288)), False),
    }
