"""Densities on the line with one corner: heat flow and Brenier maps in closed form, and the constants of a corner.

At x = 0 the derivative of order k of log rho jumps, and rho is smooth on both sides. Heat flow rounds the corner over a
layer of width `sqrt(eps)`, and in the layer the Brenier map is off the first-order map by `eps^((k + 1)/2)`. Hence

    || T_eps - (Id - (eps/2) (log rho)') ||_{L2(rho)}  ~  C_k eps^(3/4 + k/2),        k = 0, 1, 2.

For k >= 3 the layer is lost beside the smooth part, `(eps^2/8) ||grad Q||`: the order stays 2, and k >= 3 is exactly
the condition that grad Q is square integrable. With the repeated integrals of the error function
`i^n erfc` (`i^0 erfc = erfc`, `(i^n erfc)' = -i^(n-1) erfc`), `rho_0` the density at 0 and J the jump of the k-th
derivative of log rho,

    k = 1:  C^2 = (sqrt(2)/8) rho_0 J^2 int_0^inf (4 i^2 erfc)^2 = rho_0 J^2 (7 sqrt(2) - 8) / (30 sqrt(pi))
    k = 2:  C^2 = (sqrt(2)/4) rho_0 J^2 int_0^inf (4 i^3 erfc)^2.

For k = 0, with densities a and b on the two sides, let `h(y) = a y + (b - a) (y Phi(y) + phi(y))` (the mass that has
come to the left of `sqrt(eps) y`) and s(y) = h/a where h < 0, h/b where h > 0 (the place it came from). Then

    k = 0:  C^2 = int (y - s(y))^2 h'(y) dy.

float64.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import brentq
from scipy.special import erfc, log_ndtr, ndtr, ndtri, owens_t

from phasebook.arguments import number, whole

__all__ = ["Leading", "SplitNormal", "TwoExponentials", "corner_constant", "jump_constant", "panels"]

LEGENDRE = np.polynomial.legendre.leggauss(16)


class Leading(NamedTuple):
    """`error ~ constant eps^order (1 + O(next sqrt(eps)))`; `next`, in 1 / length, is an estimate and no bound."""

    order: float
    constant: float
    next: float


class _TwoSides:
    """What the densities with a corner at 0 share; a subclass knows its sides, given by their scale parameters."""

    left: float
    right: float
    reach = 0.0         # how many lengths of a side hold all of its mass, to rounding

    def __post_init__(self):
        for name in ("left", "right"):
            number(name, getattr(self, name), "a number > 0", above=0)

    @property
    def scale(self) -> float:
        """The shorter of the two sides' lengths."""
        return min(self.lengths)

    def density(self, x: Float[ndarray, " p"], t: float) -> Float[ndarray, " p"]:
        """`rho_t` at x, heat time t > 0 (length^2). ValueError for another t."""
        t = number("t", t, "a heat time > 0", above=0)
        p, q = self.masses
        return p * self._side(-x, t, self.left)[1] + q * self._side(x, t, self.right)[1]

    def preimage(self, y: Float[ndarray, " p"], t: float) -> Float[ndarray, " p"]:
        """`T_t^{-1}(y) = F^{-1}(F_t(y))`, t > 0; each side from its own tail, so that no digits are lost there.
        ValueError for another t."""
        t = number("t", t, "a heat time > 0", above=0)
        p, q = self.masses
        beyond_left, beyond_right = self._side(-y, t, self.left)[0], self._side(y, t, self.right)[0]
        # mass that has crossed the corner: nothing but rounding ten layers away from it
        below = p * beyond_left + np.where(y > -10 * np.sqrt(t), q * (1 - beyond_right), 0)
        above = q * beyond_right + np.where(y < 10 * np.sqrt(t), p * (1 - beyond_left), 0)
        on_left = below < p
        return np.where(on_left, -self._distance(np.minimum(below / p, 1), self.left),
                        self._distance(np.minimum(above / q, 1), self.right))


@dataclass(frozen=True)
class TwoExponentials(_TwoSides):
    """`left_mass left e^(left x)` for x < 0 and `(1 - left_mass) right e^(-right x)` for x > 0.

    The Laplace density for equal rates and masses. Where the two sides meet at one height, the first derivative of
    log rho jumps (k = 1), elsewhere rho itself (k = 0).

    Args:
        left: rate of the left side, 1 / length, positive.
        right: rate of the right side.
        left_mass: the mass of the left side, in (0, 1); None for the one that makes rho continuous.
    """

    left: float
    right: float
    left_mass: float | None = None
    reach = 40.0

    def __post_init__(self):
        super().__post_init__()
        if self.left_mass is not None and number("left_mass", self.left_mass, "a mass in (0, 1)", above=0) >= 1:
            raise ValueError(f"left_mass = {self.left_mass:g}: takes a mass in (0, 1)")

    @property
    def masses(self) -> tuple[float, float]:
        """The masses of the two sides."""
        p = self.right / (self.left + self.right) if self.left_mass is None else self.left_mass
        return p, 1 - p

    @property
    def lengths(self) -> tuple[float, float]:
        """The decay lengths of the two sides."""
        return 1 / self.left, 1 / self.right

    @staticmethod
    def _side(y, t, rate):
        """`P(E + sqrt(t) Z > y)`, E exponential, and the density there: sums of positive terms."""
        z = y / np.sqrt(t)
        shifted = np.exp(rate**2 * t / 2 - rate * y + log_ndtr(z - rate * np.sqrt(t)))
        return ndtr(-z) + shifted, rate * shifted

    @staticmethod
    def _distance(share, rate):
        """How far from 0 the part `share` of a side's mass begins."""
        return -np.log(np.maximum(share, 1e-300)) / rate

    def score(self, x: Float[ndarray, " p"]) -> Float[ndarray, " p"]:
        """`(log rho)'`, one-sided at 0."""
        return np.where(x < 0, self.left, -self.right)

    def leading(self) -> Leading:
        """Order 3/4 where rho jumps, 5/4 where only the slope of log rho does."""
        p, q = self.masses
        a, b = p * self.left, q * self.right
        kink = corner_constant(1, max(a, b), self.left + self.right)
        if abs(a - b) <= 1e-12 * (a + b):
            return Leading(1.25, kink, 1 / self.scale)
        jump = jump_constant(a, b)
        return Leading(0.75, jump, (kink / jump) ** 2 / 2 + 1 / self.scale)


@dataclass(frozen=True)
class SplitNormal(_TwoSides):
    """`c exp(-x^2 / (2 s^2))`, s = left for x < 0 and right for x > 0: the second derivative of log rho jumps (k = 2).

    Args:
        left: standard deviation of the left side, a length, positive.
        right: standard deviation of the right side.
    """

    left: float
    right: float
    reach = 9.0

    @property
    def masses(self) -> tuple[float, float]:
        """The masses of the two sides."""
        return self.left / (self.left + self.right), self.right / (self.left + self.right)

    @property
    def lengths(self) -> tuple[float, float]:
        """The standard deviations of the two sides."""
        return self.left, self.right

    @staticmethod
    def _side(y, t, s):
        """`P(|s Z| + sqrt(t) W > y)` and the density there: a skew normal law, by Owen's T function."""
        wide, skew = np.sqrt(s**2 + t), s / np.sqrt(t)
        z = y / wide
        height = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        return ndtr(-z) + 2 * owens_t(z, skew), 2 / wide * height * ndtr(skew * z)

    @staticmethod
    def _distance(share, s):
        """How far from 0 the part `share` of a side's mass begins."""
        return -s * ndtri(np.maximum(share, 1e-300) / 2)

    def score(self, x: Float[ndarray, " p"]) -> Float[ndarray, " p"]:
        """`(log rho)'`."""
        return -x / np.where(x < 0, self.left, self.right) ** 2

    def leading(self) -> Leading | None:
        """Order 7/4; None where nothing jumps, for a Gaussian."""
        p, q = self.masses
        jump = abs(self.left**-2 - self.right**-2)
        if jump * self.scale**2 < 1e-9:
            return None
        constant = corner_constant(2, np.sqrt(2 / np.pi) / (self.left + self.right), jump)
        smooth = np.sqrt(p * self.left**-6 + q * self.right**-6) / 8        # ||grad Q|| / 8 beside the corner
        return Leading(1.75, constant, (smooth / constant) ** 2 / 2)


def repeated_erfc(n: int, y: Float[ndarray, " p"]) -> Float[ndarray, " p"]:
    """`i^n erfc` by its three-term recurrence (Abramowitz and Stegun 7.2.5), n <= 3, y >= 0."""
    before, here = 2 / np.sqrt(np.pi) * np.exp(-(y**2)), erfc(y)
    for j in range(1, n + 1):
        before, here = here, (before - 2 * y * here) / (2 * j)
    return here


def panels(cuts: Float[ndarray, " c"]) -> tuple[Float[ndarray, " p"], Float[ndarray, " p"]]:
    """Nodes and weights of Gauss-Legendre quadrature, sixteen between neighbouring cuts (ascending)."""
    half = np.diff(cuts)[:, None] / 2
    return (cuts[:-1, None] + half * (1 + LEGENDRE[0])).ravel(), (half * LEGENDRE[1]).ravel()


def corner_constant(k: int, height: float, jump: float) -> float:
    """`C_k` of the head of this module for a jump of the k-th derivative of log rho.

    Args:
        k: 1 (a kink) or 2 (a jump of the curvature).
        height: `rho(0)`, 1 / length.
        jump: of the derivative, 1 / length^k.

    Returns:
        The constant, in length^(-1/2 - k).

    Raises:
        ValueError: for another k, or a height or jump below 0.
    """
    k, jump = whole("k", k, 1, 2), number("jump", jump, "a number >= 0", least=0)
    height = number("height", height, "a density >= 0", least=0)
    y, weight = panels(np.linspace(0, 8, 33))
    layer = 4 * repeated_erfc(k + 1, y)
    return float(np.sqrt(np.sqrt(2) / 8 * k * height * (weight * layer**2).sum()) * jump)


def jump_constant(a: float, b: float) -> float:
    """`C_0` of the head of this module for a jump of the density.

    Args:
        a: density on the left of the jump, 1 / length.
        b: density on the right; one of the two may be 0.

    Returns:
        The constant, in length^(-1/2).

    Raises:
        ValueError: for a density below 0.
    """
    a, b = (number(name, v, "a density >= 0", least=0) for name, v in (("a", a), ("b", b)))

    def came(y):
        phi = np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi)
        # y Phi(y) + phi(y) is the mass that a unit jump has moved to the left of y; for y > 0 without the y itself
        moved = np.where(y < 0, y * ndtr(y) + phi, phi - y * ndtr(-y))
        return np.where(y < 0, a * y, b * y) + (b - a) * moved

    corner = [brentq(came, -10, 10, xtol=1e-14)] if came(-10.0) < 0 < came(10.0) else []       # s bends there
    y, weight = panels(np.union1d(np.linspace(-10, 10, 1601), corner))
    mass = came(y)
    source = mass / np.where(mass < 0, a or 1.0, b or 1.0)
    arriving = a * ndtr(-y) + b * ndtr(y)
    return float(np.sqrt((weight * arriving * (y - source) ** 2).sum()))
