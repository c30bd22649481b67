"""The lowest pass between two places of an energy: no path, however chosen, stays below it.

Nodes of a grid are flooded in the order of their energies, neighbours (eight of them) merged by union-find; the two
places meet at the minimax energy. A path between nodes may cut a corner of a cell, so the number is right up to what
the energy varies within one.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.cluster.hierarchy import DisjointSet

from phasebook.arguments import numbers, whole
from phasebook.paths.potential import Potential

__all__ = ["minimax_energy"]

NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def minimax_energy(potential: Potential, ends: Float[ndarray, "2 2"], n: int = 128) -> float:
    """The least energy at which two places are connected.

    Args:
        potential: the energy.
        ends: the two places; the nearest nodes stand for them.
        n: nodes of each coordinate.

    Returns:
        The largest energy on the best path, in the potential's unit above its lowest node.

    Raises:
        ValueError: for less than two nodes, or ends that are not two finite places.
    """
    n, takes = whole("n", n, 2), "two places of the plane, [[x, y], [x, y]]"
    if (ends := numbers("ends", ends, takes)).shape != (2, 2):
        raise ValueError(f"ends: shape {ends.shape}; takes {takes}")
    U = potential.nodes(n)
    first, last = (int(i * n + j) for i, j in potential.nearest(ends, n))
    sets, wet = DisjointSet(), np.zeros((n, n), dtype=bool)
    for number in np.argsort(U, axis=None).tolist():
        i, j = divmod(number, n)
        sets.add(number)
        wet[i, j] = True
        for di, dj in NEIGHBOURS:
            a, b = i + di, j + dj
            if potential.periodic:
                a, b = a % n, b % n
            if 0 <= a < n and 0 <= b < n and wet[a, b]:
                sets.merge(number, a * n + b)
        if wet.flat[first] and wet.flat[last] and sets.connected(first, last):
            return float(U[i, j])
    raise AssertionError("a grid is connected")
