"""Distances on a slice under its pullback metric: shortest curves on a grid, then let down off the grid.

A curve x(s) = (alpha, beta)(s) has the length `int sqrt(E a'^2 + 2 F a' b' + G b'^2) ds`, with the entries of Eq. (5)
given at the grid points. Their matrix square root is interpolated bilinearly: between two points the speed of a curve
along the grid is then linear, and a ridge of jump j that centred differences see as two points is j long to cross.
For each pair of points three admissible curves are measured by one quadrature, and the shortest counts: the straight
line; the shortest path along edges to all points whose offsets (i, j), |i|, |j| <= reach, are coprime (Dijkstra); and
that path let down off the grid by descent on its energy. The path finds the way round, the descent takes out the
1/2 % by which a path with few directions is too long.

Every curve is admissible, so a distance is never below the infimum for the interpolated metric.
"""

from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from phasebook.arguments import brief, numbers, whole
from phasebook.slices.descent import descended_by_levels

__all__ = ["Geodesics", "Surface", "geodesics"]

NODES = 49                      # of a curve
LARGEST = 1e150                 # in a metric: the square of a larger one is beyond float64


@dataclass(frozen=True, eq=False)
class Surface:
    """A metric on a grid. Positions are in units of the grid: (i, j) is a grid point.

    Attributes:
        E: G_alpha,alpha at the points.
        F: G_alpha,beta.
        G: G_beta,beta.
        spacing: of the grid along alpha and beta.

    Raises:
        ValueError: for shapes that differ, fewer than 2 points along a side, NaN or Inf, a spacing that is not
            positive, or a metric with a negative direction (beyond rounding).
    """

    E: Float[ndarray, "a b"]
    F: Float[ndarray, "a b"]
    G: Float[ndarray, "a b"]
    spacing: tuple[float, float]

    def __post_init__(self):
        E, F, G = (numbers(name, getattr(self, name), "an array (a, b)").astype(np.float64) for name in "EFG")
        if len({E.shape, F.shape, G.shape}) > 1 or E.ndim != 2 or min(E.shape) < 2:
            raise ValueError(f"E, F, G: shapes {E.shape}, {F.shape}, {G.shape}; take three arrays of one shape (a, b), "
                             "both >= 2")
        for name, value in zip("EFG", (E, F, G), strict=True):          # of tensors, too
            object.__setattr__(self, name, value)
        if (size := max(E.max(), G.max())) > LARGEST:
            raise ValueError(f"E, G: a number of size {size:.3g} in it; takes numbers up to {LARGEST:g}")
        takes = "two positive numbers (alpha, beta)"
        if (spacing := numbers("spacing", self.spacing, takes)).shape != (2,) or spacing.min() <= 0:
            raise ValueError(f"spacing = {brief(self.spacing)}: takes {takes}")
        wrong = (E < 0) | (G < 0) | (F**2 > E * G * (1 + 1e-6) + 1e-9 * max(E.max(), G.max()) ** 2)
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            raise ValueError(f"E, F, G = {E[i, j]:.4g}, {F[i, j]:.4g}, {G[i, j]:.4g} at [{i}, {j}]: takes E, G >= 0 "
                             "and F² <= E G")

    @property
    def shape(self) -> tuple[int, int]:
        """Of the grid."""
        return self.E.shape

    @cached_property
    def root(self) -> Float[ndarray, "a b 3"]:
        """Entries (aa, ab, bb) of the square root of the metric per unit of the grid, float64:
        `sqrt M = (M + sqrt(det M) I) / sqrt(tr M + 2 sqrt(det M))`."""
        h, k = self.spacing
        E, F, G = (np.asarray(x, dtype=np.float64) * s for x, s in ((self.E, h * h), (self.F, h * k), (self.G, k * k)))
        det = np.sqrt((E * G - F**2).clip(0))
        size = np.maximum(np.sqrt(E + G + 2 * det), 1e-300)
        return np.stack([(E + det) / size, F / size, (G + det) / size], -1)

    @cached_property
    def size(self) -> float:
        """The mean square of the root's entries."""
        return (self.root**2).sum(-1).mean()

    @cached_property
    def _cells(self) -> dict[int, Float[ndarray, "4 3 a-1 b-1"]]:
        return {}

    def _bilinear(self, every: int) -> Float[ndarray, "4 3 a-1 b-1"]:
        """In each cell between the lines that are kept the root's coefficients of 1, u, v and u v."""
        if every not in self._cells:
            keep = [np.unique(np.append(np.arange(0, n, every), n - 1)) for n in self.shape]
            m = np.ascontiguousarray(np.moveaxis(self.root[np.ix_(*keep)], -1, 0))
            du, dv = np.diff(m, axis=1), np.diff(m, axis=2)
            self._cells[every] = np.stack([m[:, :-1, :-1], du[:, :, :-1], dv[:, :-1], np.diff(du, axis=2)])
        return self._cells[every]

    def at(self, x: Float[ndarray, "*p 2"], every: int = 1) -> Float[ndarray, "*p 3"]:
        """(E, F, G) per unit of the grid at positions; `every` = 2 leaves out every other line of the grid."""
        cells = self._bilinear(every)
        (i, u), (j, v) = (_cell(x[..., axis], every, n) for axis, n in enumerate(self.shape))
        c = cells.reshape(4, 3, -1).take(i * cells.shape[3] + j, axis=2)        # twice as fast as cells[:, :, i, j]
        aa, ab, bb = c[0] + u * (c[1] + v * c[3]) + v * c[2]
        metric = np.empty((*x.shape[:-1], 3))
        metric[..., 0], metric[..., 1], metric[..., 2] = aa**2 + ab**2, ab * (aa + bb), bb**2 + ab**2
        return metric

    def lengths(self, curves: Float[ndarray, "*m k 2"], every: int = 1) -> Float[ndarray, "*m"]:
        """Length of polygons, three midpoints a cell of the grid (at least four a segment)."""
        d = np.diff(curves, axis=-2)
        count = max(4, int(np.ceil(3 * np.abs(d).max()))) if d.size else 4
        total = np.zeros(d.shape[:-1])
        square = np.stack([d[..., 0] ** 2, 2 * d[..., 0] * d[..., 1], d[..., 1] ** 2], -1)
        for s in (np.arange(count) + 0.5) / count:
            speed = (self.at(curves[..., :-1, :] + s * d, every) * square).sum(-1)
            total += np.sqrt(speed.clip(0)) / count
        return total.sum(-1)


def _cell(x: Float[ndarray, "*p"], every: int, n: int) -> tuple[Int[ndarray, "*p"], Float[ndarray, "*p"]]:
    """The interval between kept lines of a side of `n` that a position lies in, and the share of it that it has gone;
    the last interval may be shorter."""
    i = np.minimum(np.maximum((x // every).astype(int), 0), (n - 2) // every)
    return i, (x - every * i) / np.minimum(every, n - 1 - every * i)


class Geodesics(NamedTuple):
    """Geodesics between n points.

    Attributes:
        distances: lengths of the shortest curves.
        straight: lengths of the straight lines.
        error: an estimate for the distances: a third of what halving the metric's resolution changes (the interpolation
            is of second order), and what the last doubling of the curve's nodes has gained.
        curves: the shortest curves in units of the grid, pairs in the order of `numpy.triu_indices(n, 1)`.
    """

    distances: Float[ndarray, "n n"]
    straight: Float[ndarray, "n n"]
    error: Float[ndarray, "n n"]
    curves: Float[ndarray, "m k 2"]


def _offsets(reach: int) -> list[tuple[int, int]]:
    """Coprime offsets, one of each pair +-."""
    return [(i, j) for i in range(reach + 1) for j in range(-reach, reach + 1)
            if gcd(i, j) == 1 and (i > 0 or j > 0)]


def _edge_lengths(root: Float[ndarray, "a b 3"], i: int, j: int) -> Float[ndarray, "p q"]:
    """Lengths of the edges with offset (i, j), i >= 0, from every point that has one: all interpolate alike."""
    a, b = root.shape[:2]
    along = np.stack([root[..., 0] * i + root[..., 1] * j, root[..., 1] * i + root[..., 2] * j])
    left, count, total = max(0, -j), max(4, 3 * max(i, abs(j))), 0.0
    for s in (np.arange(count) + 0.5) / count:
        (p, u), (q, v) = ((int(np.floor(s * k)), s * k - np.floor(s * k)) for k in (i, j))
        speed = 0.0
        for row, col, weight in ((p, q, (1 - u) * (1 - v)), (p, q + 1, (1 - u) * v), (p + 1, q, u * (1 - v)),
                                 (p + 1, q + 1, u * v)):
            if weight:
                speed = speed + weight * along[:, row:row + a - i, left + col:left + col + b - abs(j)]
        total = total + np.hypot(*speed) / count
    return total


def _graph(surface: Surface, reach: int) -> csr_array:
    """Edges of all offsets with their lengths."""
    a, b = surface.shape
    index = np.arange(a * b).reshape(a, b)
    tails, heads, lengths = [], [], []
    for i, j in _offsets(min(reach, max(a, b) - 1)):
        if i < a and abs(j) < b:
            tails.append(index[:a - i, max(0, -j):b - max(0, j)].ravel())
            heads.append(index[i:, max(0, j):b - max(0, -j)].ravel())
            lengths.append(_edge_lengths(surface.root, i, j).ravel())
    # a positive floor: Dijkstra's predecessors need no ties of length zero
    weight = np.concatenate(lengths)
    weight = weight + 1e-9 * max(weight.mean(), 1e-300)
    return csr_array((weight, (np.concatenate(tails), np.concatenate(heads))), (a * b, a * b))


def _path(before: Int[ndarray, " p"], start: int, end: int) -> list[int]:
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return path[::-1]


def _with_nodes(points: Float[ndarray, "p 2"], nodes: int) -> Float[ndarray, "k 2"]:
    """The polygon with `nodes` nodes: its own and more on its longest segments; evenly spaced where it has more."""
    size = np.hypot(*np.diff(points, axis=0).T)
    s = np.append(0, np.cumsum(size))
    if len(points) >= nodes:
        t = np.linspace(0, s[-1], nodes)
    else:
        parts = np.ones(len(size), dtype=int)
        for _ in range(nodes - len(points)):
            parts[(size / parts).argmax()] += 1
        t = np.concatenate([np.linspace(a, b, k, endpoint=False) for a, b, k in zip(s[:-1], s[1:], parts, strict=True)]
                           + [s[-1:]])
    return np.stack([np.interp(t, s, points[:, 0]), np.interp(t, s, points[:, 1])], -1)


def _check_points(points: Int[ndarray, "n 2"], shape: tuple[int, int], reach: int) -> ndarray:
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2 or points.dtype.kind not in "iu":
        raise ValueError(f"points: shape {points.shape}, {points.dtype}; takes (n, 2) integers, n >= 2: rows and "
                         "columns of the grid")
    outside = ((points < 0) | (points >= shape)).any(1)
    if outside.any():
        raise ValueError(f"points: {tuple(points[outside][0].tolist())} lies outside the grid of shape {shape}")
    if len(np.unique(points, axis=0)) < len(points):
        raise ValueError(f"points = {brief(points.tolist())}: one of them twice; takes distinct points")
    whole("reach", reach, 1)
    return points


def geodesics(surface: Surface, points: Int[ndarray, "n 2"], *, reach: int = 6) -> Geodesics:
    """Distances between all pairs of some grid points.

    Args:
        surface: the metric.
        points: row and column of each point, n >= 2.
        reach: of an edge of the graph, in grid points along either side.

    Raises:
        ValueError: for points off the grid, or one twice.
    """
    points = _check_points(points, surface.shape, reach)
    flat = np.ravel_multi_index(points.T, surface.shape)
    walked, before = dijkstra(_graph(surface, reach), directed=False, indices=flat, return_predecessors=True)
    first, second = np.triu_indices(len(points), 1)
    paths = np.stack([_with_nodes(np.stack(np.unravel_index(_path(before[i], flat[i], flat[j]), surface.shape), -1)
                                  .astype(np.float64), NODES) for i, j in zip(first, second, strict=True)])
    coarse, fine = descended_by_levels(surface, paths)
    line = points[first][:, None] + np.linspace(0, 1, NODES)[:, None] * (points[second] - points[first])[:, None]
    curves = np.stack([line, paths, coarse, fine])
    measured = surface.lengths(curves)
    best = measured.argmin(0)
    curves, length = curves[best, np.arange(len(first))], measured.min(0)
    # a path of more nodes than are kept is measured along the graph
    error = np.abs(surface.lengths(curves, every=2) - length) / 3 + (measured[:3].min(0) - length)
    square = lambda v: _symmetric(v, len(points))  # noqa: E731
    distances = _closed(square(np.minimum(length, walked[first, flat[second]])))
    return Geodesics(distances, square(measured[0]), square(error), curves)


def _closed(d: Float[ndarray, "n n"]) -> Float[ndarray, "n n"]:
    """With the triangle inequality enforced: the shortest way over the other points."""
    for k in range(len(d)):
        d = np.minimum(d, d[:, k, None] + d[k])
    return d


def _symmetric(values: Float[ndarray, " m"], n: int) -> Float[ndarray, "n n"]:
    out = np.zeros((n, n))
    out[np.triu_indices(n, 1)] = values
    return out + out.T
