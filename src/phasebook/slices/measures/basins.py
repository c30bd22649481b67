"""Basins of a slice: regions in which neighbouring latents give nearly the same prediction, and the ridges between.

A ridge is an edge of the grid across which the prediction jumps by more than a threshold; a basin is a connected set
of grid points once those edges are cut. Nothing in it knows which model made the predictions.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.ndimage import distance_transform_cdt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["basin_centres", "basin_count", "basin_labels"]


def basin_labels(jump_alpha: Float[ndarray, "a-1 b"], jump_beta: Float[ndarray, "a b-1"],
                 threshold: float) -> Int[ndarray, "a b"]:
    """Basin of each grid point (0, 1, ...), cutting edges whose jump exceeds `threshold`."""
    shape = (jump_beta.shape[0], jump_alpha.shape[1])
    index = np.arange(shape[0] * shape[1]).reshape(shape)
    keep_a, keep_b = jump_alpha <= threshold, jump_beta <= threshold
    tail = np.concatenate([index[:-1][keep_a], index[:, :-1][keep_b]])
    head = np.concatenate([index[1:][keep_a], index[:, 1:][keep_b]])
    graph = coo_array((np.ones(len(tail), bool), (tail, head)), (index.size, index.size))
    return connected_components(graph, directed=False)[1].reshape(shape)


def basin_count(labels: Int[ndarray, "a b"], least: float = 5e-4) -> int:
    """Number of basins that hold at least the share `least` of the area (and two points): specks on a ridge are not
    basins. Never below one."""
    sizes = np.bincount(labels.ravel())
    return max(1, int((sizes >= max(2.0, least * labels.size)).sum()))


def basin_centres(labels: Int[ndarray, "a b"], least: float) -> list[tuple[int, int]]:
    """For each basin of at least the share `least` of the area, largest first, the grid point of it that lies deepest
    inside: where a label fits."""
    sizes = np.bincount(labels.ravel())
    centres = []
    for basin in np.argsort(-sizes, kind="stable"):
        if sizes[basin] < max(2.0, least * labels.size):
            break
        # a border of zeros: a point on the slice's rim is not deep inside
        depth = distance_transform_cdt(np.pad(labels == basin, 1))[1:-1, 1:-1]
        centres.append(tuple(int(i) for i in np.unravel_index(depth.argmax(), depth.shape)))
    return centres
