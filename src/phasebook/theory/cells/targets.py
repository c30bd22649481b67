"""Planar target domains, known by their membership functions, and their dense samples: the centres of a brick pattern.

Two of them have a Brenier map in closed form: the image of the disk under `z + k conj(z)^2` (`three_lobes`), and the
annulus (`annulus_map`). float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from phasebook.arguments import number
from phasebook.theory.cells.sources import SOURCES

__all__ = ["Domain", "annulus", "annulus_source", "cassini", "cassini_outline", "dumbbell", "ell", "ellipse",
           "horseshoe", "square", "three_lobes", "two_disks"]

AT_ONCE = 20_000        # bricks that are measured at a time


class Domain(NamedTuple):
    """A bounded domain of the plane.

    Attributes:
        inside: membership of points (*b, 2), a truth array (*b).
        half_width: the domain lies in `|x_1| <= half_width`.
        half_height: and in `|x_2| <= half_height`.
    """

    inside: Callable[[Float[ndarray, "*b 2"]], Bool[ndarray, "*b"]]
    half_width: float
    half_height: float

    def bricks(self, spacing: float) -> tuple[Float[ndarray, "m 2"], Float[ndarray, " m"]]:
        """The domain cut into bricks.

        Bricks are `spacing` wide, `spacing sqrt(3/4)` high, every other row shifted by half a brick, so that inner
        centres form a hexagonal lattice; pieces at the border are measured by 6 x 6 points. Symmetric in x_1.

        Args:
            spacing: width of a brick, in units of the target.

        Returns:
            Centre of mass and share of the area of each of the m pieces.
        """
        height = spacing * np.sqrt(0.75)
        k, m = int(self.half_width / spacing) + 2, int(self.half_height / height) + 1
        column, row = np.meshgrid(np.arange(-k, k + 1), np.arange(-m, m))
        centre = np.stack([(column + 0.5 * (row % 2)) * spacing, (row + 0.5) * height], axis=-1).reshape(-1, 2)
        fine = (np.arange(6) - 2.5) / 6
        fine = np.stack(np.meshgrid(fine * spacing, fine * height), axis=-1).reshape(-1, 2)
        middles, counts = [], []
        for some in np.array_split(centre, 1 + len(centre) // AT_ONCE):     # of a small domain most of its box is empty
            points = some[:, None] + fine
            inside = self.inside(points)
            count = inside.sum(1)
            met = count > 0
            middles.append((points * inside[..., None]).sum(1)[met] / count[met, None])
            counts.append(count[met])
        count = np.concatenate(counts)
        return np.concatenate(middles), count / count.sum()

    def sample(self, n: int) -> tuple[Float[ndarray, "m 2"], Float[ndarray, " m"], float]:
        """About n atoms that stand for the uniform density.

        Args:
            n: how many, at least 10.

        Returns:
            Points, weights of sum 1, and the width of the bricks.

        Raises:
            ValueError: for n < 10.
        """
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
    def inside(x):
        disks = np.hypot(np.abs(x[..., 0]) - centre, x[..., 1]) <= 1
        bar = (np.abs(x[..., 0]) <= centre) & (np.abs(x[..., 1]) <= half_neck)
        return disks | bar
    return Domain(inside, centre + 1, max(1.0, half_neck))


def horseshoe(inner: float = 0.5, outer: float = 1.1, leg: float = 1.0) -> Domain:
    """A half ring, open downwards, with straight legs."""
    def inside(x):
        r = np.where(x[..., 1] > 0, np.hypot(x[..., 0], x[..., 1]), np.abs(x[..., 0]))
        return (r >= inner) & (r <= outer) & (x[..., 1] >= -leg)
    return Domain(inside, outer, max(outer, leg))


def ell() -> Domain:
    """The square `|x_1|, |x_2| <= 1` without its upper right quarter: one reentrant corner, at the origin."""
    return Domain(lambda x: (np.abs(x).max(-1) <= 1) & (x.min(-1) <= 0), 1.0, 1.0)


def annulus(inner: float, shift: float = 0.0) -> Domain:
    """The unit disk without the disk of radius `inner` around (shift, 0)."""
    def inside(x):
        return (np.hypot(x[..., 0], x[..., 1]) <= 1) & (np.hypot(x[..., 0] - shift, x[..., 1]) >= inner)
    return Domain(inside, 1.0, 1.0)


def annulus_source(y: Float[ndarray, "*b 2"], inner: float, source: str) -> Float[ndarray, "*b 2"]:
    """The inverse of the Brenier map onto the annulus around 0: `x = y r(|y|) / |y|`.

    A radial map with rising radius is the gradient of a convex function. It keeps masses if the source's mass within r
    is the annulus' share within |y|, `(|y|^2 - inner^2) / (1 - inner^2)`. At x = 0 the map T jumps.

    Args:
        y: points of the annulus.
        inner: its inner radius, in (0, 1).
        source: "gaussian" or "disk".

    Returns:
        The points that T sends to y.

    Raises:
        ValueError: for a radius outside (0, 1), or an unknown source.
    """
    if source not in SOURCES:
        raise ValueError(f"source = {source!r}: takes one of {', '.join(map(repr, SOURCES))}")
    if number("inner", inner, "a radius in (0, 1)", above=0) >= 1:
        raise ValueError(f"inner = {inner:g}: takes a radius in (0, 1)")
    radius = np.linalg.norm(y, axis=-1, keepdims=True)
    share = np.clip((radius**2 - inner**2) / (1 - inner**2), 0.0, 1 - 1e-15)
    return y * SOURCES[source].radius(share) / radius


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
