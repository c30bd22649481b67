"""The walls of a power diagram in the plane, from the lower convex hull of its lifted sites.

The diagram of the function `max_i (x . y_i - g_i)` is dual to the lower hull of the points `(y_i, g_i)`: a facet of
three sites is a vertex of the diagram (the gradient of the facet), an edge is a wall, a border edge is a ray.
An apex above the points keeps the hull solid where they lie in a plane, so three or cocircular sites need no
special case; a site above the lower hull has an empty cell and no walls. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import ConvexHull

__all__ = ["Walls", "power_walls"]

# qhull normals are of unit length: a facet this close to vertical has its vertex at infinity
VERTICAL = 1e-13
# relative area below which a facet's three sites do not fix its vertex
SLIVER = 1e-11


class Walls(NamedTuple):
    """The walls of a power diagram, m pieces of lines.

    Wall k is `{h n + u e : u0 <= u <= u1}` with `e = direction`, `n = (e_2, -e_1)`; the cell of atom `left` lies to
    the left of e (so h > 0 when the origin does), `right` to the right.

    Attributes:
        left: atom whose cell lies to the left.
        right: atom whose cell lies to the right.
        direction: e, of unit length.
        h: signed distance of the line from the origin.
        u0: start along the line, -inf for a line.
        u1: end along the line, inf for rays and lines.
    """

    left: Int[ndarray, " m"]
    right: Int[ndarray, " m"]
    direction: Float[ndarray, "m 2"]
    h: Float[ndarray, " m"]
    u0: Float[ndarray, " m"]
    u1: Float[ndarray, " m"]

    def ends(self, radius: float) -> Float[ndarray, "m 2 2"]:
        """The two ends of each wall within a circle around the origin.

        Args:
            radius: of the circle.

        Returns:
            Pairs of points, NaN for a wall that lies outside.
        """
        reach = np.sqrt(np.maximum(radius**2 - self.h**2, 0.0))
        u = np.stack([np.clip(self.u0, -reach, reach), np.clip(self.u1, -reach, reach)], axis=1)
        normal = np.stack([self.direction[:, 1], -self.direction[:, 0]], axis=1)
        points = (self.h[:, None] * normal)[:, None] + u[:, :, None] * self.direction[:, None]
        return np.where((u[:, 1] > u[:, 0])[:, None, None], points, np.nan)

    def take(self, chosen: ndarray) -> "Walls":
        """The walls at these indices, or where this mask is true."""
        return Walls(*(field[chosen] for field in self))


def power_walls(y: Float[ndarray, "n 2"], g: Float[ndarray, " n"]) -> tuple[Walls, Float[ndarray, " n"]]:
    """Walls of the diagram `max_i (x . y_i - g_i)`.

    Where four cells meet in one vertex to rounding, the hull may choose the wrong diagonal: that wall comes out with
    a length u1 - u0 of about -1e-12, which is what makes the masses of the four cells right.

    Args:
        y: n atoms, not on one line.
        g: their values.

    Returns:
        The walls, and the angle that each cell fills at infinity, in radians.
    """
    facets, neighbours, vertices, area = _lower_hull(y, g)
    facet, corner = np.divmod(np.arange(3 * len(facets)), 3)
    across = neighbours[facet, corner]
    once = (across < 0) | (facet < across)
    facet, corner, across = facet[once], corner[once], across[once]
    ray = across < 0
    i, j = facets[facet, (corner + 1) % 3], facets[facet, (corner + 2) % 3]
    # the wall leads out of its facet, to the right of the edge i -> j of a positively turned one;
    # of the two facets the fatter one is asked, and a ray leads away from the middle of the atoms
    inner, outer = facets[facet, corner], facets[across, _opposite(neighbours, facet, across)]
    side = np.where(area[facet] >= area[across], _side(y, i, j, y[inner]), -_side(y, i, j, y[outer]))
    side = np.where(ray, _side(y, i, j, y.mean(0)), side)
    left, right = np.where(side > 0, j, i), np.where(side > 0, i, j)
    gap = y[left] - y[right]
    distance = np.hypot(*gap.T)
    e = np.stack([gap[:, 1], -gap[:, 0]], axis=1) / distance[:, None]
    u0 = (vertices[facet] * e).sum(1)
    u1 = np.where(ray, np.inf, (vertices[across] * e).sum(1))
    start, end = np.zeros((len(y), 2)), np.zeros((len(y), 2))
    start[left[ray]], end[right[ray]] = e[ray], e[ray]
    arcs = np.arctan2(start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0], (start * end).sum(1))
    return Walls(left, right, e, (g[right] - g[left]) / distance, u0, u1), arcs


def _side(y, i, j, x):
    """Positive where x lies to the left of the way from site i to site j."""
    edge, reach = y[j] - y[i], x - y[i]
    return edge[:, 0] * reach[:, 1] - edge[:, 1] * reach[:, 0]


def _opposite(neighbours, facet, across):
    """The corner of facet `across` that faces `facet`."""
    return np.argmax(neighbours[across] == facet[:, None], axis=1)


def _lower_hull(y, g):
    """Facets (k, 3), neighbours (k, 3; -1 beyond the border), the diagram's vertices (k, 2), relative areas (k,)."""
    n = len(y)
    # affine changes of (y, g) leave the facets alone; qhull's tolerances like a cube
    centre = y.mean(0)
    _, size, turn = np.linalg.svd((y - centre) / np.sqrt(n), full_matrices=False)
    frame = turn.T / size
    flat = (y - centre) @ frame
    plane, *_ = np.linalg.lstsq(np.c_[flat, np.ones(n)], g, rcond=None)
    height = g - np.c_[flat, np.ones(n)] @ plane
    unit = np.abs(height).max() or 1.0
    height = height / unit
    hull = ConvexHull(np.vstack([np.c_[flat, height], [0.0, 0.0, height.max() + 1.0]]))
    lower = (hull.simplices < n).all(axis=1) & (hull.equations[:, 2] < -VERTICAL)
    number = np.where(lower, np.cumsum(lower) - 1, -1)
    facets, normal = hull.simplices[lower], hull.equations[lower]
    vertices, area = _vertices(y, g, facets), _twice_area(flat, facets)
    # qhull cuts flat pieces (cocircular sites) into triangles, some without area: their plane is qhull's
    gradient = -normal[:, :2] / normal[:, 2:3] * unit + plane[:2]
    vertices = np.where(area[:, None] > SLIVER, vertices, gradient @ frame.T)
    return facets, number[hull.neighbors[lower]], vertices, area


def _vertices(y, g, facets):
    """The point x where `x . y - g` agrees for the three atoms of each facet."""
    i, j, k = facets.T
    a, b, da, db = y[j] - y[i], y[k] - y[i], (g[j] - g[i])[:, None], (g[k] - g[i])[:, None]
    det = a[:, :1] * b[:, 1:] - a[:, 1:] * b[:, :1]
    x = (da * b - db * a)[:, ::-1] * [1.0, -1.0]
    return np.divide(x, det, out=np.zeros_like(x), where=det != 0)


def _twice_area(flat, facets):
    """Twice the area of each facet over the square of its longest edge from the first corner."""
    i, j, k = facets.T
    a, b = flat[j] - flat[i], flat[k] - flat[i]
    return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / np.maximum((a**2).sum(1), (b**2).sum(1))
