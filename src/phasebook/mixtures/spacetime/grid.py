"""Shortest paths on a grid of spacetime: a check of geodesics that shares no optimiser with them.

The grid lies in the chart of `chart` for data on the line and contains both ends; an edge between
points up to `reach` cells apart costs the root of the symmetrised divergence of its ends. Dijkstra's
path is the shortest of the graph, hence no local minimum; it is longer than the geodesic by what the edges'
directions cost (about 1 %). float64.
"""

from math import gcd

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from phasebook.arguments import whole
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import Schedule
from phasebook.mixtures.spacetime.chart import Chart, check_endpoints
from phasebook.mixtures.spacetime.energy import eta_of, mu_of

__all__ = ["shortest_path"]


def shortest_path(mixture: Mixture, schedule: Schedule, endpoints: Float[ndarray, "2 2"],
                  shape: tuple[int, int] = (201, 121), reach: int = 5) -> tuple[float, Float[ndarray, "n 2"]]:
    """The shortest path on a grid between two points of spacetime.

    Args:
        mixture: the data, on the line.
        schedule: gives times their noise levels, and the bound `t <= T`.
        endpoints: two `(t, x)`.
        shape: cells along y and u; the ends are added to the grid.
        reach: the farthest neighbour that an edge leads to, in cells.

    Returns:
        Its Fisher-Rao length, and its points as natural parameters.

    Raises:
        ValueError: for data in more dimensions, points that are none of spacetime, or a grid without cells.
    """
    if mixture.means.shape[1] != 1:
        raise ValueError(f"mixture: its data have {mixture.means.shape[1]} dimensions; takes one, a grid over (y, u)")
    if (ends := check_endpoints(endpoints, schedule)).shape != (2, 2):
        raise ValueError(f"endpoints: {ends.shape[1] - 1} coordinates; the mixture has 1")
    shape, reach = [whole("shape", n, 2) for n in shape], whole("reach", reach, 1)
    chart = Chart.of(mixture)
    z = chart.of_eta(eta_of(ends[:, 1:], schedule.alpha(ends[:, 0]), schedule.sigma(ends[:, 0])))
    low = min(chart.level(schedule.least_snr()), *z[:, 1])
    side = mixture.means[:, 0]
    wide = np.concatenate([z[:, 0], [side.min(), side.max()]])
    margin = np.ptp(wide) / 2                  # near t = T geodesics between atoms bend outside the data's range
    y = np.union1d(np.linspace(wide.min() - margin, wide.max() + margin, shape[0]), z[:, 0])
    u = np.union1d(np.linspace(low, z[:, 1].max(), shape[1]), z[:, 1])
    grid = np.stack(np.meshgrid(y, u, indexing="ij"), axis=-1)
    eta = chart.eta(grid)
    graph = _graph(eta, mu_of(mixture, eta), reach)
    corner = [np.searchsorted(y, p[0]) * len(u) + np.searchsorted(u, p[1]) for p in z]
    distance, before = dijkstra(graph, directed=False, indices=corner[0], return_predecessors=True)
    path = [corner[1]]
    while path[-1] != corner[0]:
        path.append(before[path[-1]])
    return float(distance[corner[1]]), eta.reshape(-1, 2)[path[::-1]]


def _graph(eta: Float[ndarray, "a b 2"], mu: Float[ndarray, "a b 2"], reach: int) -> coo_array:
    """Undirected graph of the grid; zero costs (equal distributions to rounding) are kept as tiny ones."""
    number = np.arange(eta.shape[0] * eta.shape[1]).reshape(eta.shape[:2])
    rows, columns, costs = [], [], []
    steps = [(i, j) for i in range(reach + 1) for j in range(-reach, reach + 1)
             if gcd(i, abs(j)) == 1 and (i, j) != (0, -1)]
    for i, j in steps:
        a = (slice(None, -i or None), slice(max(0, -j), -j if j > 0 else None))
        b = (slice(i, None), slice(j, None) if j >= 0 else slice(None, j))
        square = ((eta[b] - eta[a]) * (mu[b] - mu[a])).sum(-1)
        rows.append(number[a].ravel())
        columns.append(number[b].ravel())
        costs.append(np.sqrt(np.maximum(square, 1e-24)).ravel())
    rows, columns, costs = map(np.concatenate, (rows, columns, costs))
    return coo_array((costs, (rows, columns)), shape=(number.size, number.size)).tocsr()
