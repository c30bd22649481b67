"""The two radial sources of semi-discrete transport in the plane: the standard Gaussian and the uniform unit disk.

A wall of a power diagram lies on a line at distance `h` from the origin; `u` is the arc length along the line,
counted from the foot of the perpendicular. All masses follow from one function of (h, u), the mass of the
right-angled triangle with corners origin, foot and the point u:

    K(h, u) = (1 / 2 pi) * integral over angles 0..arctan(u / h) of P(|x| < h / cos theta) d theta.

Gaussian: `K = arctan(u/h) / 2 pi - OwenT(h, u/h)`. Disk: `K = h u / 2 pi` inside, a sector beyond the circle.
K is odd in u, continuous, and 0 at h = 0, so a wall through the origin needs no special care, and no cell is
ever clipped: the mass of a cell is a signed sum of K over the ends of its walls. float64.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr, ndtri, owens_t

__all__ = ["SOURCES", "Source"]


@dataclass(frozen=True)
class Source:
    """A radial probability measure of the plane. Use `SOURCES["gaussian"]` or `SOURCES["disk"]`."""

    name: str

    def triangle(self, h: Float[ndarray, "*b"], u: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """`K(h, u)`, for h >= 0 and u in [-inf, inf]."""
        h, u = np.broadcast_arrays(np.asarray(h, dtype=float), np.asarray(u, dtype=float))
        angle = np.arctan2(u, h)
        if self.name == "gaussian":
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = np.where(h > 0, u / h, 0.0)
            return np.where(h > 0, angle / (2 * np.pi) - owens_t(h, slope), 0.0)
        reach = np.sqrt(np.maximum(1 - h**2, 0.0))
        inside = np.clip(u, -reach, reach)
        beyond = angle - np.where(reach > 0, np.arctan2(inside, h), 0.0)
        return np.where(h > 0, (h * inside + beyond) / (2 * np.pi), 0.0)

    def density_on_line(self, h: Float[ndarray, "*b"], u0: Float[ndarray, "*b"],
                        u1: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """Integral of the source's density over the piece u0 <= u <= u1 of the line at distance |h|."""
        if self.name == "gaussian":
            return np.exp(-h**2 / 2) / np.sqrt(2 * np.pi) * _normal_interval(u0, u1)
        return self.length_on_line(h, u0, u1) / np.pi

    def length_on_line(self, h: Float[ndarray, "*b"], u0: Float[ndarray, "*b"],
                       u1: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """The length that the book quotes: weighted by the density for the Gaussian, plain H^1 inside the disk."""
        if self.name == "gaussian":
            return self.density_on_line(h, u0, u1)
        reach = np.sqrt(np.maximum(1 - h**2, 0.0))
        return np.clip(u1, -reach, reach) - np.clip(u0, -reach, reach)

    def radius(self, q: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """The radius that holds the mass q in [0, 1)."""
        return np.sqrt(-2 * np.log1p(-q)) if self.name == "gaussian" else np.sqrt(q)

    def marginal_quantile(self, q: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
        """The quantile of any coordinate; the disk's by Newton's method with bisection as a guard."""
        if self.name == "gaussian":
            return ndtri(q)
        low, high = np.full(np.shape(q), -1.0), np.ones(np.shape(q))
        c = 2 * np.asarray(q, dtype=float) - 1
        for _ in range(100):
            excess = self.marginal_cdf(c) - q
            low, high = np.where(excess < 0, c, low), np.where(excess < 0, high, c)
            step = c - excess / np.maximum(2 / np.pi * np.sqrt(np.maximum(1 - c**2, 0.0)), 1e-300)
            c = np.where((step >= low) & (step <= high), step, (low + high) / 2)
            if np.all(np.abs(excess) < 3e-16):
                break
        return c

    def marginal_cdf(self, c: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
        """`P(x_1 <= c)`."""
        if self.name == "gaussian":
            return ndtr(c)
        c = np.clip(c, -1.0, 1.0)
        return 0.5 + (c * np.sqrt(1 - c**2) + np.arcsin(c)) / np.pi

    def sample(self, n: int, rng: np.random.Generator) -> Float[ndarray, "n 2"]:
        """n independent points."""
        if self.name == "gaussian":
            return rng.standard_normal((n, 2))
        angle = rng.uniform(0, 2 * np.pi, n)
        return np.sqrt(rng.uniform(size=n))[:, None] * np.c_[np.cos(angle), np.sin(angle)]


def _normal_interval(u0: Float[ndarray, "*b"], u1: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
    """`Phi(u1) - Phi(u0)`, taken in the tail where both ends are small, so that it keeps its relative precision."""
    flip = (u0 > 0) & (u1 > 0)
    return ndtr(np.where(flip, -u0, u1)) - ndtr(np.where(flip, -u1, u0))


SOURCES = {name: Source(name) for name in ("gaussian", "disk")}
