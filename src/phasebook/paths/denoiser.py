r"""The exact denoiser of a Boltzmann density `exp(-U / kT)` in two coordinates, by quadrature.

For natural parameters `eta = (q, -k/2)` the denoising distribution on the nodes of a grid is

    p(x_0 | eta) proportional to exp(-U(x_0)/kT) exp(q . x_0 - k |x_0|^2 / 2),

and its noise factor is a product of one in each coordinate: a moment `E[x^a y^b]` is the bilinear form
`sum_ij x_i^a g_i P_ij h_j y_j^b`. Every moment up to the fourth costs five matrix products for a whole curve. The rule
is the trapezoid's: for a smooth density that vanishes at the border, it converges faster than any power. float64.
"""

from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from phasebook.arguments import number, whole
from phasebook.mixtures.spacetime.chart import Chart
from phasebook.paths.potential import Potential

__all__ = ["Boltzmann", "DEEPEST"]

DEEPEST = 600.0     # energies above this many kT count as this: their mass would underflow


class Boltzmann(NamedTuple):
    """A Boltzmann density on the nodes of a grid.

    Attributes:
        x: (n,) nodes of the first coordinate.
        y: (n,) of the second.
        mass: (n, n) `exp(-U / kT)`, at most 1.
        mean: (2,) of the density.
        variance: of the density, per dimension.
    """

    x: Float[ndarray, " n"]
    y: Float[ndarray, " n"]
    mass: Float[ndarray, "n n"]
    mean: Float[ndarray, " 2"]
    variance: float

    @classmethod
    def of(cls, potential: Potential, kT: float, n: int = 128) -> Self:
        """The density of a potential at a temperature, on `n` x `n` nodes. ValueError for a temperature that is not
        positive, or less than two nodes."""
        kT = number("kT", kT, "a temperature > 0, in the unit of the energy", above=0)
        x, y = potential.axes(whole("n", n, 2))
        return cls.of_log(x, y, -np.minimum(potential.nodes(n), DEEPEST * kT) / kT)

    @classmethod
    def of_log(cls, x: Float[ndarray, " n"], y: Float[ndarray, " m"], log_density: Float[ndarray, "n m"]) -> Self:
        """The density from its logarithm on the nodes, up to a constant."""
        mass = np.exp(log_density - log_density.max())
        p = mass / mass.sum()
        mean = np.array([p.sum(1) @ x, p.sum(0) @ y])
        spread = p.sum(1) @ (x - mean[0]) ** 2 + p.sum(0) @ (y - mean[1]) ** 2
        return cls(x, y, mass, mean, float(spread / 2))

    @property
    def border(self) -> float:
        """Share of the mass on the outermost nodes, small where the window holds the density."""
        inner = self.mass[1:-1, 1:-1].sum() / self.mass.sum()
        return float(1 - inner)

    @property
    def chart(self) -> Chart:
        """The coordinates (y, u) in which geodesics of Gaussian data are circles."""
        return Chart(self.mean, self.variance)

    def moments(self, eta: Float[ndarray, "m 3"]) -> tuple[Float[ndarray, "m 3"], Float[ndarray, "m 3 3"], ndarray]:
        """`mu`, the Fisher-Rao tensor and the log-partition function along a curve.

        Args:
            eta: natural parameters (q_1, q_2, -k/2).

        Returns:
            `mu = (E[x_0], E|x_0|^2)`; the covariance of `(x_0, |x_0|^2)`; `A(eta) = log sum_ij mass exp(...)`.
        """
        # about the place where the noise puts x_0, so that no digits are lost to far-off squares
        centre = self._centre(eta)
        g, top_g = _factor(self.x, eta[:, 0], -2 * eta[:, 2])
        h, top_h = _factor(self.y, eta[:, 1], -2 * eta[:, 2])
        dx, dy = self.x - centre[:, :1], self.y - centre[:, 1:]
        left, right = _powers(g, dx), _powers(h, dy)
        rows = (left.reshape(-1, len(self.x)) @ self.mass).reshape(len(eta), 5, -1)
        M = rows @ np.swapaxes(right, 1, 2)
        total = M[:, 0, 0]
        M = M / total[:, None, None]
        return *_about_origin(M, centre), np.log(total) + top_g + top_h

    def _centre(self, eta: Float[ndarray, "m 3"]) -> Float[ndarray, "m 2"]:
        K = -2 * eta[:, 2:] + 1 / self.variance
        place = (eta[:, :2] + self.mean / self.variance) / K
        return np.clip(place, [self.x[0], self.y[0]], [self.x[-1], self.y[-1]])

    def posterior(self, eta: Float[ndarray, " 3"]) -> Float[ndarray, "n n"]:
        """The denoising distribution at one point, as masses of the nodes."""
        g, _ = _factor(self.x, eta[None, 0], -2 * eta[None, 2])
        h, _ = _factor(self.y, eta[None, 1], -2 * eta[None, 2])
        mass = self.mass * g[0][:, None] * h[0]
        return mass / mass.sum()

    def core(self, eta: Float[ndarray, " 3"], share: float) -> Bool[ndarray, "n n"]:
        """The fewest nodes that hold a share of a denoising distribution's mass."""
        mass = self.posterior(eta).ravel()
        order = np.argsort(-mass)
        count = int(np.searchsorted(np.cumsum(mass[order]), share)) + 1
        inside = np.zeros(mass.size, dtype=bool)
        inside[order[:count]] = True
        return inside.reshape(self.mass.shape)


def _factor(x: Float[ndarray, " n"], q: Float[ndarray, " m"], k: Float[ndarray, " m"]) -> tuple[ndarray, ndarray]:
    """`exp(q x - k x^2 / 2)` over its largest value, and the logarithm of that value."""
    log = q[:, None] * x - k[:, None] * x**2 / 2
    top = log.max(1)
    return np.exp(log - top[:, None]), top


def _powers(factor: Float[ndarray, "m n"], d: Float[ndarray, "m n"]) -> Float[ndarray, "m 5 n"]:
    """`factor d^a` for a = 0, ..., 4."""
    powers = [factor]
    for _ in range(4):
        powers.append(powers[-1] * d)
    return np.stack(powers, axis=1)


def _about_origin(M: Float[ndarray, "m 5 5"], c: Float[ndarray, "m 2"]) -> tuple[ndarray, ndarray]:
    """`mu` and the covariance of `(x, |x|^2)` from moments about `c`: `|x|^2 = |c|^2 + 2 c . d + |d|^2`."""
    d, r2 = np.stack([M[:, 1, 0], M[:, 0, 1]], axis=1), M[:, 2, 0] + M[:, 0, 2]
    dd = np.stack([M[:, 2, 0], M[:, 1, 1], M[:, 1, 1], M[:, 0, 2]], axis=1).reshape(-1, 2, 2)
    dr = np.stack([M[:, 3, 0] + M[:, 1, 2], M[:, 2, 1] + M[:, 0, 3]], axis=1)
    rr = M[:, 4, 0] + 2 * M[:, 2, 2] + M[:, 0, 4]
    C = np.empty((len(c), 3, 3))
    C[:, :2, :2] = dd - d[:, :, None] * d[:, None]
    C[:, :2, 2] = C[:, 2, :2] = dr - d * r2[:, None]
    C[:, 2, 2] = rr - r2**2
    shift = np.tile(np.eye(3), (len(c), 1, 1))
    shift[:, 2, :2] = 2 * c
    G = shift @ C @ np.swapaxes(shift, 1, 2)
    mu = np.concatenate([c + d, ((c**2).sum(1) + 2 * (c * d).sum(1) + r2)[:, None]], axis=1)
    return mu, G
