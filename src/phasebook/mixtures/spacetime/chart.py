"""Coordinates of spacetime in which geodesics are tame, and the energy of a curve with its gradient there.

With k the SNR, `q = alpha x / sigma^2`, V the data variance per dimension and m the data mean, the chart is
`z = (y, u)`: `u = log(k + 1/V)`, `y = (q + m/V) / (k + 1/V)`. For one Gaussian (its own m, V) these are the
posterior's mean and log precision: `(y / sqrt(2 d), exp(-u/2))` is the upper half-space, where geodesics are
circles run at constant speed. In (t, x) the same curves are log-singular at the noisy end.
"""

from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.arguments import numbers
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import Schedule
from phasebook.mixtures.spacetime.energy import energy, moments, mu_of

__all__ = ["Chart", "CurveEnergy", "check_endpoints"]

U_MAX = 300.0        # exp(u) beyond it has no meaning


def check_endpoints(endpoints: Float[ndarray, "2 d+1"], schedule: Schedule) -> Float[ndarray, "2 d+1"]:
    """Two points of spacetime as an array.

    Args:
        endpoints: two `(t, x)`.
        schedule: whose times they are.

    Returns:
        The points, float64.

    Raises:
        ValueError: in one line, for a wrong shape, a NaN, a time off the schedule or of infinite log-SNR.
    """
    ends = numbers("endpoints", endpoints, "two points [[t, x], [t, x]]").astype(float)
    if ends.ndim != 2 or len(ends) != 2 or ends.shape[1] < 2:
        raise ValueError(f"endpoints: shape {ends.shape}; takes two points [[t, x], [t, x]]")
    schedule.check_finite(ends[:, 0], "endpoints")
    return ends


class Chart(NamedTuple):
    """The chart of a mixture.

    Attributes:
        mean: (d,) of the data.
        variance: of the data, per dimension; 1 where that is zero.
    """

    mean: Float[ndarray, " d"]
    variance: float

    @classmethod
    def of(cls, mixture: Mixture) -> Self:
        """The chart of a mixture, from its mean and variance."""
        mean = mixture.weights @ mixture.means
        spread = ((mixture.means - mean) ** 2).mean(1) + mixture.variances
        variance = float(mixture.weights @ spread)
        return cls(mean, variance if variance > 0 else 1.0)

    def eta(self, z: Float[ndarray, "*b d+1"]) -> Float[ndarray, "*b d+1"]:
        """Natural parameters at chart points."""
        K = np.exp(z[..., -1:])
        return np.concatenate([z[..., :-1] * K - self.mean / self.variance, (1 / self.variance - K) / 2], axis=-1)

    def of_eta(self, eta: Float[ndarray, "*b d+1"]) -> Float[ndarray, "*b d+1"]:
        """Chart points of natural parameters."""
        K = -2 * eta[..., -1:] + 1 / self.variance
        return np.concatenate([(eta[..., :-1] + self.mean / self.variance) / K, np.log(K)], axis=-1)

    def level(self, snr: float) -> float:
        """`u` at an SNR."""
        return float(np.log(snr + 1 / self.variance))

    def jacobian(self, z: Float[ndarray, "*b d+1"]) -> Float[ndarray, "*b d+1 d+1"]:
        """`d eta / d z`."""
        d, K = z.shape[-1] - 1, np.exp(z[..., -1])
        J = K[..., None, None] * np.eye(d + 1)
        J[..., :d, d] = K[..., None] * z[..., :-1]
        J[..., d, d] = -K / 2
        return J

    def gaussian_metric(self, z: Float[ndarray, "*b d+1"]) -> Float[ndarray, "*b d+1 d+1"]:
        """The half-space metric `K |dy|^2 + (d/2) du^2`."""
        d = z.shape[-1] - 1
        C = np.exp(z[..., -1])[..., None, None] * np.eye(d + 1)
        C[..., d, d] = d / 2
        return C

    def circle(self, z0: Float[ndarray, " d+1"], z1: Float[ndarray, " d+1"],
               s: Float[ndarray, " n"]) -> Float[ndarray, "n d+1"]:
        """The half-space geodesic between two points: exact for one Gaussian.

        Args:
            z0: the one chart point.
            z1: the other.
            s: shares of its length.

        Returns:
            Chart points.
        """
        d = len(z0) - 1
        gap = z1[:-1] - z0[:-1]
        b = np.linalg.norm(gap) / np.sqrt(2 * d)                # the plane through both, z0 at abscissa 0
        r0, r1 = np.exp(-z0[-1] / 2), np.exp(-z1[-1] / 2)
        if b < 1e-9 * (r0 + r1):
            return z0 + s[:, None] * (z1 - z0)
        centre = (b**2 + r1**2 - r0**2) / (2 * b)
        radius = np.hypot(centre, r0)
        # asinh of ordinate ratios: no cancellation where the arc is nearly vertical
        angle = np.array([-np.arcsinh(centre / r0), np.arcsinh((b - centre) / r1)])
        angle = angle[0] + s * (angle[1] - angle[0])
        y = z0[:-1] + ((centre + radius * np.tanh(angle)) / b)[:, None] * gap
        return np.column_stack([y, 2 * np.log(np.cosh(angle)) - 2 * np.log(radius)])


class CurveEnergy:
    """`(n - 1) E` of a polygon of chart points between fixed ends, with its gradient; soft bounds on `u`.

    Args:
        mixture: the data.
        ends: natural parameters of the two ends.
        low: least u (t = T).
        high: largest u (t = 0).

    Attributes:
        floor: exp(u) above it has members of the family: more than zero where a component is wider than the data's
            mean variance, since with k below minus its precision nothing normalises.

    Gradient: `dE/d eta_i = (mu_i - mu_{i-1}) - (mu_{i+1} - mu_i) + G_i [(eta_i - eta_{i-1}) - (eta_{i+1} - eta_i)]`
    with G the Fisher-Rao tensor: posterior covariances, no differentiation of a differentiation.
    """

    def __init__(self, mixture: Mixture, ends: Float[ndarray, "2 d+1"], low: float, high: float):
        self.mixture, self.chart = mixture, Chart.of(mixture)
        self.ends = self.chart.of_eta(ends)
        self.low, self.high, self.weight = low, high, 0.0
        widest = mixture.variances.max()
        self.floor = max(1 / self.chart.variance - 1 / widest, 0.0) if widest > 0 else 0.0

    def __call__(self, z: Float[ndarray, "n d+1"]) -> tuple[float, ndarray, ndarray]:
        """`(n - 1) E` + penalty, its gradient (n, d+1), and the tensor in the chart (n, d+1, d+1)."""
        eta = self.chart.eta(z)
        mu, G = moments(self.mixture, eta)
        step, turn = np.diff(eta, axis=0), np.diff(mu, axis=0)
        pull = np.zeros_like(eta)
        pull[:-1] -= step
        pull[1:] += step
        gradient = (G @ pull[..., None])[..., 0]
        gradient[:-1] -= turn
        gradient[1:] += turn
        J = self.chart.jacobian(z)
        JT = np.swapaxes(J, -1, -2)
        gradient = (len(z) - 1) * (JT @ gradient[..., None])[..., 0]
        excess = self.excess(z)
        gradient[:, -1] += 2 * self.weight * excess / len(z)
        value = (len(z) - 1) * float((step * turn).sum()) + self.weight * float((excess**2).mean())
        return value, gradient, JT @ G @ J

    def value(self, z: Float[ndarray, "n d+1"]) -> float:
        """`(n - 1) E` + penalty alone, at a quarter of the cost."""
        eta = self.chart.eta(z)
        return (len(z) - 1) * energy(eta, mu_of(self.mixture, eta)) + self.weight * float((self.excess(z)**2).mean())

    def within(self, z: Float[ndarray, "n d+1"]) -> bool:
        """Whether all chart points are numbers at which the family has members."""
        u = z[:, -1]
        return bool(np.isfinite(z).all() and np.abs(u).max() < U_MAX and np.exp(u.min()) > self.floor)

    def excess(self, z: Float[ndarray, "n d+1"]) -> Float[ndarray, " n"]:
        """By how much `u` leaves its bounds (t in [0, T]), signed."""
        u = z[:, -1]
        return np.maximum(u - self.high, 0) - np.maximum(self.low - u, 0)

    def project(self, z: Float[ndarray, "n d+1"]) -> Float[ndarray, "n d+1"]:
        """The points with `u` put back onto its bounds."""
        return np.concatenate([z[:, :-1], np.clip(z[:, -1:], self.low, self.high)], axis=1)
