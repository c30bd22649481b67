"""Planar target domains, their dense samples, and the singular set of the transport onto them.

A domain is known by its membership function; its sample is the centres of a brick pattern, weighted by area.
Most walls of the sample's power cells only show the sampling: their dual edge joins neighbours. The singular set
of the limit is seen in the walls whose dual edge is long and leaves the domain; both conditions are needed, as in
the tails of a Gaussian source long edges occur inside a convex domain too. float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.stats import qmc

from phasebook.theory.cells.diagram import Walls
from phasebook.theory.cells.power_cells import PowerCells, solve

__all__ = ["Domain", "SingularSet", "cassini", "cassini_outline", "dumbbell", "ellipse", "horseshoe", "leaves",
           "singular_set", "square", "three_lobes", "transport_onto", "tube_exponent", "two_disks"]

# a dual edge is long beyond this many lattice spacings; smooth maps of the book's domains stay below
LONG = 3.0


class Domain(NamedTuple):
    """`inside` takes points (*b, 2); the domain lies in `|x_1| <= half_width, |x_2| <= half_height`."""

    inside: Callable[[Float[ndarray, "*b 2"]], Bool[ndarray, "*b"]]
    half_width: float
    half_height: float

    def bricks(self, spacing: float) -> tuple[Float[ndarray, "m 2"], Float[ndarray, " m"]]:
        """The domain cut into bricks: centre of mass and share of the area of each piece.

        Bricks are `spacing` wide, `spacing sqrt(3/4)` high, every other row shifted by half a brick, so that inner
        centres form a hexagonal lattice; pieces at the border are measured by 6 x 6 points. Symmetric in x_1.
        """
        height = spacing * np.sqrt(0.75)
        k, m = int(self.half_width / spacing) + 2, int(self.half_height / height) + 1
        column, row = np.meshgrid(np.arange(-k, k + 1), np.arange(-m, m))
        centre = np.stack([(column + 0.5 * (row % 2)) * spacing, (row + 0.5) * height], axis=-1).reshape(-1, 2)
        fine = (np.arange(6) - 2.5) / 6
        points = centre[:, None] + np.stack(np.meshgrid(fine * spacing, fine * height), axis=-1).reshape(-1, 2)
        inside = self.inside(points)
        count = inside.sum(1)
        met = count > 0
        middle = (points * inside[..., None]).sum(1)[met] / count[met, None]
        return middle, count[met] / count.sum()

    def sample(self, n: int) -> tuple[Float[ndarray, "m 2"], Float[ndarray, " m"], float]:
        """About n points with weights of sum 1, and the spacing of the lattice they come from."""
        if n < 10:
            raise ValueError(f"n = {n}: takes an integer >= 10")
        spacing = 2 * np.sqrt(self.half_width * self.half_height / n)
        for _ in range(3):
            spacing *= np.sqrt(len(self.bricks(spacing)[1]) / n)
        return *self.bricks(spacing), float(spacing)


def two_disks(centre: float) -> Domain:
    """Unit disks around (+-centre, 0)."""
    return Domain(lambda x: np.hypot(np.abs(x[..., 0]) - centre, x[..., 1]) <= 1, centre + 1, 1.0)


def dumbbell(half_neck: float, centre: float = 1.5) -> Domain:
    """Unit disks around (+-centre, 0), joined by the bar `|x_2| <= half_neck`; convex (a stadium) at half_neck = 1."""
    return Domain(lambda x: (np.hypot(np.abs(x[..., 0]) - centre, x[..., 1]) <= 1)
                  | ((np.abs(x[..., 0]) <= centre) & (np.abs(x[..., 1]) <= half_neck)), centre + 1, 1.0)


def horseshoe(inner: float = 0.5, outer: float = 1.1, leg: float = 1.0) -> Domain:
    """A half ring, open downwards, with straight legs."""
    def inside(x):
        r = np.where(x[..., 1] > 0, np.hypot(x[..., 0], x[..., 1]), np.abs(x[..., 0]))
        return (r >= inner) & (r <= outer) & (x[..., 1] >= -leg)
    return Domain(inside, outer, max(outer, leg))


def cassini(ratio: float) -> Domain:
    """The Cassini oval `|z^2 - 1| <= ratio^2`: convex from sqrt 2 on, non-convex below, in two pieces below 1."""
    def inside(x):
        z = x[..., 0] + 1j * x[..., 1]
        return np.abs(z * z - 1) <= ratio**2
    return Domain(inside, float(np.sqrt(1 + ratio**2)), float(ratio))


def cassini_outline(ratio: float, points: int = 161) -> Float[ndarray, "p 2"]:
    """The boundary `z = +-sqrt(1 + ratio^2 e^(i tau))`; a row of NaN parts the two loops below ratio 1."""
    right = np.sqrt(1 + ratio**2 * np.exp(1j * np.linspace(-np.pi, np.pi, points)))
    z = np.concatenate([right, [np.nan] if ratio < 1 else [], -right])
    return np.stack([z.real, z.imag], axis=1)


def ellipse(a: float = 1.0, b: float = 1.0) -> Domain:
    """Half axes a and b; the unit disk by default."""
    return Domain(lambda x: (x[..., 0] / a) ** 2 + (x[..., 1] / b) ** 2 <= 1, a, b)


def square(half: float = 1.0) -> Domain:
    """`max(|x_1|, |x_2|) <= half`."""
    return Domain(lambda x: np.abs(x).max(-1) <= half, half, half)


def three_lobes(z: Float[ndarray, "*b 2"], k: float) -> Float[ndarray, "*b 2"]:
    """`z + k conj(z)^2` on the unit disk: the gradient of the convex `|z|^2/2 + k Re z^3/3` for k < 1/2.

    A diffeomorphism whose image is convex only for k <= 1/4.
    """
    w = z[..., 0] + 1j * z[..., 1]
    w = w + k * np.conj(w) ** 2
    return np.stack([w.real, w.imag], axis=-1)


class SingularSet(NamedTuple):
    """Walls that belong to the singular set, their lengths and the jumps of T across them."""

    walls: Walls
    lengths: Float[ndarray, " m"]
    jumps: Float[ndarray, " m"]

    @property
    def length(self) -> float:
        """Its H^1 measure: plain inside the disk, weighted by the density for the Gaussian source."""
        return float(self.lengths.sum())

    @property
    def jump(self) -> float:
        """`integral of |jump of T| dH^1`, in the same measure."""
        return float((self.lengths * self.jumps).sum())


def leaves(domain: Domain, p: Float[ndarray, "m 2"], q: Float[ndarray, "m 2"], points: int = 31,
           ) -> Bool[ndarray, " m"]:
    """Whether the segment from p to q leaves the domain, looked at in equidistant inner points."""
    t = ((np.arange(points) + 0.5) / points)[:, None]
    return ~domain.inside(p[:, None] * (1 - t) + q[:, None] * t).all(axis=1)


def singular_set(cells: PowerCells, domain: Domain, spacing: float, long: float = LONG) -> SingularSet:
    """The walls whose dual edge is longer than `long * spacing` and leaves the domain, and that the source sees."""
    chosen = np.flatnonzero((cells.lengths > 0) & (cells.jumps > long * spacing))
    ends = cells.atoms[cells.walls.left[chosen]], cells.atoms[cells.walls.right[chosen]]
    chosen = chosen[leaves(domain, *ends)]
    return SingularSet(cells.walls.take(chosen), cells.lengths[chosen], cells.jumps[chosen])


def transport_onto(domain: Domain, n: int, source: str, left_mass: float = 0.5) -> tuple[PowerCells, SingularSet]:
    """Cells of about n samples of the domain, the half x_1 < 0 carrying `left_mass`, and its singular set."""
    if not 0 < left_mass < 1:
        raise ValueError(f"left_mass = {left_mass}: takes a number between 0 and 1")
    y, area, spacing = domain.sample(n)
    side = np.sign(y[:, 0]).astype(int)
    half = np.array([area[side == k].sum() for k in (0, 1, -1)])
    p = area * np.array([1.0, (1 - half[0]) * (1 - left_mass) / half[1], (1 - half[0]) * left_mass / half[2]])[side]
    cells = solve(y, p, source)
    return cells, singular_set(cells, domain, spacing)


def tube_exponent(cells: PowerCells, widths: Float[ndarray, " k"], seed: int = 0) -> float | None:
    """Exponent of the source mass within a distance of the walls, fitted over `widths`; None without walls,
    or where fewer than 100 points come that near to them (walls that part off tiny masses).

    On 2^18 quasi-random points. The distance from x to the wall between cells i and j is the difference of the two
    planes of the potential at x over `|y_i - y_j|`, exact up to twice the widths from where walls end.
    """
    if len(cells.atoms) == 1:
        return None
    q, turn = qmc.Sobol(2, seed=seed).random(2**18).T * [[1.0], [2 * np.pi]]
    x = cells.source.radius(q)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    own, gap = cells.cell_of(x), np.full(len(x), np.inf)
    top = (x * cells.atoms[own]).sum(1) - cells.values[own]
    for y, g in zip(cells.atoms, cells.values, strict=True):
        apart = np.linalg.norm(cells.atoms[own] - y, axis=1)
        gap = np.minimum(gap, np.where(apart > 0, top - x @ y + g, np.inf) / np.where(apart > 0, apart, 1.0))
    near = np.array([(gap < w).sum() for w in widths])
    return float(np.polyfit(np.log(widths), np.log(near), 1)[0]) if near.min() >= 100 else None
