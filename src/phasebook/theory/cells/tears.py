"""The singular set of a transport onto a planar domain, through the power cells of a dense sample of the domain.

Most walls of the sample's cells only show the sampling: their dual edge joins neighbours. A *tear* is a wall whose
dual edge is long, three bricks or more, and leaves the domain; both conditions are needed, as in the tails of a
Gaussian source long edges occur inside a convex domain too. Two functionals are taken:

- the jump integral `J = int |jump of T| dH^1` over the tears. It sees what has length, and no isolated point;
- the stretch, the largest jump between any two cells that meet, in brick widths. For a Lipschitz map it stays bounded
  as the bricks shrink; where T jumps, on a line or in a point, it grows like one over their width h. Its exponent
  in 1/h is 0 for a Lipschitz map, 1 for a discontinuous one, between for a Hoelder map.

float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import ConvexHull

from phasebook.theory.cells.diagram import Walls
from phasebook.theory.cells.power_cells import PowerCells, solve
from phasebook.theory.cells.targets import Domain

__all__ = ["Tears", "TornTransport", "missing_edges", "resolved", "stretch", "tears", "transport_onto"]

# a dual edge is long beyond this many brick widths; smooth maps of the book's domains stay below
LONG = 3.0
# walls shorter than this are rounding where four cells meet
SHORTEST = 1e-9


class Tears(NamedTuple):
    """Walls that belong to the singular set.

    Attributes:
        walls: the walls.
        lengths: their lengths, plain inside the disk, weighted by the density for the Gaussian source.
        jumps: `|jump of T|` across them, in units of the target.
    """

    walls: Walls
    lengths: Float[ndarray, " m"]
    jumps: Float[ndarray, " m"]

    @property
    def length(self) -> float:
        """Their H^1 measure."""
        return float(self.lengths.sum())

    @property
    def jump(self) -> float:
        """`J`, the integral of `|jump of T|` over them."""
        return float((self.lengths * self.jumps).sum())

    @property
    def unbounded(self) -> int:
        """How many of them run to infinity."""
        return int((np.isinf(self.walls.u0) | np.isinf(self.walls.u1)).sum())

    def atoms(self) -> Int[ndarray, " k"]:
        """Indices of the atoms whose cells touch a tear."""
        return np.unique(np.concatenate([self.walls.left, self.walls.right]))


class TornTransport(NamedTuple):
    """A transport onto a domain.

    Attributes:
        cells: its power cells.
        tears: its singular set.
        spacing: width of a brick of the sample, in units of the target.
    """

    cells: PowerCells
    tears: Tears
    spacing: float

    @property
    def stretch(self) -> float:
        """Largest jump between two cells that meet, in brick widths."""
        return stretch(self.cells, self.spacing)

    @property
    def torn_mass(self) -> float:
        """Mass of the cells that touch a tear."""
        return float(self.cells.atom_weights[self.tears.atoms()].sum())


def stretch(cells: PowerCells, spacing: float) -> float:
    """The largest jump between two cells that meet, in brick widths.

    Args:
        cells: power cells of a sample of bricks.
        spacing: width of a brick, a length.

    Returns:
        A pure number.
    """
    return float(cells.jumps[cells.lengths > SHORTEST].max() / spacing)


def leaves(domain: Domain, p: Float[ndarray, "m 2"], q: Float[ndarray, "m 2"], points: int = 31,
           ) -> Bool[ndarray, " m"]:
    """Whether the segment from p to q leaves the domain, looked at in equidistant inner points."""
    t = ((np.arange(points) + 0.5) / points)[:, None]
    return ~domain.inside(p[:, None] * (1 - t) + q[:, None] * t).all(axis=1)


def tears(cells: PowerCells, domain: Domain, spacing: float) -> Tears:
    """The walls whose dual edge is longer than three bricks and leaves the domain, and that the source meets.

    Args:
        cells: power cells of a sample of the domain.
        domain: the domain.
        spacing: width of the sample's bricks, in units of the target.

    Returns:
        The tears.
    """
    chosen = np.flatnonzero((cells.lengths > 0) & (cells.jumps > LONG * spacing))
    ends = cells.atoms[cells.walls.left[chosen]], cells.atoms[cells.walls.right[chosen]]
    chosen = chosen[leaves(domain, *ends)]
    return Tears(cells.walls.take(chosen), cells.lengths[chosen], cells.jumps[chosen])


def transport_onto(domain: Domain, n: int, source: str, left_mass: float = 0.5) -> TornTransport:
    """The transport onto about n atoms that stand for a domain.

    Args:
        domain: the target.
        n: number of atoms, at least 10.
        source: "gaussian" or "disk".
        left_mass: mass of the half x_1 < 0, in (0, 1).

    Returns:
        Cells, tears and brick width.

    Raises:
        ValueError: for a mass outside (0, 1), an n below 10 or an unknown source.
    """
    if not 0 < left_mass < 1:
        raise ValueError(f"left_mass = {left_mass}: takes a number between 0 and 1")
    y, p, spacing = domain.sample(n)
    if left_mass != 0.5:
        side = np.sign(y[:, 0]).astype(int)
        half = np.array([p[side == k].sum() for k in (0, 1, -1)])
        factor = np.array([1.0, (1 - half[0]) * (1 - left_mass) / half[1], (1 - half[0]) * left_mass / half[2]])
        p = p * factor[side]
    cells = solve(y, p, source)
    return TornTransport(cells, tears(cells, domain, spacing), spacing)


def missing_edges(domain: Domain, y: Float[ndarray, "m 2"], spacing: float) -> int:
    """Number of edges of the convex hull that are long and leave the domain; needs no transport.

    Args:
        domain: the domain.
        y: its sample.
        spacing: width of the sample's bricks.

    Returns:
        How many edges of the hull the domain misses.
    """
    ends = y[ConvexHull(y).simplices]
    long = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) > LONG * spacing
    return int((long & leaves(domain, ends[:, 0], ends[:, 1])).sum())


def resolved(widths: Float[ndarray, " k"], spacing: float) -> Int[ndarray, " m"]:
    """Those of some falling widths that a sample can tell apart: each at least two bricks below the one before.

    Args:
        widths: in falling order, in units of the target.
        spacing: width of the sample's bricks.

    Returns:
        Indices, the first width among them.
    """
    kept = [0]
    for k in range(1, len(widths)):
        if widths[kept[-1]] - widths[k] >= 2 * spacing:
            kept.append(k)
    return np.array(kept)
