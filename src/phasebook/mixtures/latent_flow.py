"""The map from the latent plane to a noise level: probability-flow ODE of an exact mixture, Jacobians, basins.

In the heat frame `y = x_t / alpha`, `s = sigma / alpha`, the flow is `dy / d log s = y - D(y, s)` with D the denoiser,
and its Jacobian `dJ / d log s = (I - Cov[x_0 | y] / s^2) J`. The latent is the standard Gaussian z; at a level
`s_0` far above the data, `p_s` is Gaussian up to `O((R / s_0)^3)` and `y = m + (Sigma + s_0^2 I)^(1/2) z`.
`T_{N->k}` of Theorem 2.1, for a chain of many maps, is `z -> x_{t_k} = alpha y` (chapter 2 measures the difference).
Works in any dimension. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.ndimage import label
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from phasebook.mixtures.mixtures import Mixture

__all__ = ["LatentFlow", "basins", "count_regions", "latent_flow", "line_quantile", "line_slope",
           "steep_regions"]

# the flow starts this many data radii out: third cumulants then shift z by about 1e-7
FAR = 150.0
# classical Runge-Kutta steps per unit of log s
RATE = 16


class LatentFlow(NamedTuple):
    """States at k noise levels, `levels` descending; positions and Jacobians are in the heat frame."""

    levels: Float[ndarray, " k"]
    y: Float[ndarray, "k *b d"]
    jacobian: Float[ndarray, "k *b d d"] | None

    def lipschitz(self) -> Float[ndarray, "k *b"]:
        """Spectral norm of the Jacobian of `z -> x_t = alpha y`, `alpha = (1 + s^2)^(-1/2)` (variance preserving)."""
        alpha = 1 / np.sqrt(1 + self.levels**2)
        norm = np.linalg.svd(self.jacobian, compute_uv=False)[..., 0]
        return norm * alpha.reshape(-1, *[1] * (norm.ndim - 1))

    def cell_lipschitz(self, spacing: float) -> Float[ndarray, "k g1 h1"]:
        """For a flow of a plane grid (k, g, h): the largest stretch seen in each cell between four neighbours.

        The Jacobians at the corners miss a ridge thinner than the grid; the differences along the four edges, each
        the mean of the Jacobian along it, do not. Both are lower bounds of the Lipschitz constant on the cell.
        """
        norm, alpha = self.lipschitz(), (1 / np.sqrt(1 + self.levels**2))[:, None, None]
        down = np.linalg.norm(np.diff(self.y, axis=1), axis=-1) * alpha / spacing
        across = np.linalg.norm(np.diff(self.y, axis=2), axis=-1) * alpha / spacing
        corners = [norm[:, :-1, :-1], norm[:, 1:, :-1], norm[:, :-1, 1:], norm[:, 1:, 1:]]
        return np.max([*corners, down[:, :, :-1], down[:, :, 1:], across[:, :-1], across[:, 1:]], axis=0)


def latent_flow(mixture: Mixture, z: Float[ndarray, "*b d"], levels: Float[ndarray, " k"], *,
                jacobian: bool = False, rate: int = RATE) -> LatentFlow:
    """Flow the latents z down to each of `levels` (s = sigma / alpha > 0, strictly descending).

    ValueError where a level is not positive or they do not descend.
    """
    levels = np.atleast_1d(np.asarray(levels, dtype=float))
    if not (levels > 0).all() or (np.diff(levels) >= 0).any():
        raise ValueError(f"levels = {levels.tolist()}: takes positive numbers in strictly descending order")
    z = np.asarray(z, dtype=float)
    y, J, s = _far_start(mixture, z, levels[0])
    if not jacobian:
        J = None
    found = []
    for level in levels:
        steps = max(1, int(np.ceil(rate * np.log(s / level)))) if s > level else 0
        for step in range(steps):
            y, J = _runge_kutta(mixture, y, J, s * (level / s) ** (step / steps), np.log(level / s) / steps)
        s = level
        found.append((y, J))
    return LatentFlow(levels, np.stack([y for y, _ in found]),
                      np.stack([J for _, J in found]) if jacobian else None)


def _far_start(mixture, z, level):
    m = mixture.weights @ mixture.means
    centred = mixture.means - m
    cov = (mixture.weights[:, None] * centred).T @ centred + mixture.weights @ mixture.variances * np.eye(len(m))
    radius = np.sqrt((centred**2).sum(1).max() + mixture.variances.max())
    s = max(FAR * radius, FAR * 1e-3, 1.01 * level)
    value, vector = np.linalg.eigh(cov)
    root = (vector * np.sqrt(value + s**2)) @ vector.T
    return m + z @ root, np.broadcast_to(root, (*z.shape, len(m))), s


def _rate(mixture, y, J, s):
    if J is None:
        return y - mixture.denoise(y, 1.0, s), None
    spread = mixture.posterior_covariance(y, 1.0, s) / s**2
    return y - mixture.denoise(y, 1.0, s), J - spread @ J


def _runge_kutta(mixture, y, J, s, h):
    """One classical step of size h in log s."""
    def ahead(k, by):
        return y + by * k[0], None if J is None else J + by * k[1]

    k1 = _rate(mixture, y, J, s)
    k2 = _rate(mixture, *ahead(k1, h / 2), s * np.exp(h / 2))
    k3 = _rate(mixture, *ahead(k2, h / 2), s * np.exp(h / 2))
    k4 = _rate(mixture, *ahead(k3, h), s * np.exp(h))
    y = y + h / 6 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0])
    return y, None if J is None else J + h / 6 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1])


def basins(mixture: Mixture, z: Float[ndarray, "*b d"], rate: int = RATE) -> Int[ndarray, "*b"]:
    """Index of the component that the flow from z ends in.

    Followed to a twelfth of the smallest distance between means; from there the flow only converges.
    """
    if len(mixture.means) == 1:
        return np.zeros(np.shape(z)[:-1], dtype=int)
    gap = np.linalg.norm(mixture.means[:, None] - mixture.means, axis=-1)
    level = gap[gap > 0].min() / 12
    y = latent_flow(mixture, z, np.array([level]), rate=rate).y[0]
    return mixture.responsibilities(y, 1.0, level).argmax(-1)


def line_slope(mixture: Mixture, s: float, y: Float[ndarray, " g"],
               ) -> tuple[Float[ndarray, " g"], Float[ndarray, " g"]]:
    """On the line, in closed form: the latent `z = Phi^-1(F_s(y))` that flows to y, and the slope `dx_t / dz` there.

    The slope `alpha phi(z) / p_s(y)` is in the variance-preserving frame; it is 0 where |z| exceeds about 37.
    """
    u = (y[:, None] - mixture.means[:, 0]) / np.sqrt(mixture.variances + s**2)
    below, above = ndtr(u) @ mixture.weights, ndtr(-u) @ mixture.weights
    z = np.where(below < above, ndtri(np.minimum(below, 0.5)), -ndtri(np.minimum(above, 0.5)))
    log_slope = -z**2 / 2 - np.log(2 * np.pi) / 2 - mixture.log_density(y[:, None], 1.0, s)
    return z, np.where(np.isfinite(z), np.exp(log_slope), 0.0) / np.sqrt(1 + s**2)


def line_quantile(mixture: Mixture, s: float, q: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
    """On the line: `F_s^-1(q)`, the quantiles of p_s, by bracketed root finding."""
    scale = np.sqrt(mixture.variances + s**2)
    low, high = (mixture.means[:, 0] - 40 * scale).min(), (mixture.means[:, 0] + 40 * scale).max()
    return np.array([brentq(lambda y, r=r: ndtr((y - mixture.means[:, 0]) / scale) @ mixture.weights - r, low, high,
                            xtol=1e-14) for r in q])


def steep_regions(mixture: Mixture, levels: Float[ndarray, " k"], threshold: float, span: float = 4.5,
                  ) -> tuple[Int[ndarray, " k"], Float[ndarray, " k"]]:
    """On the line: number and Gaussian mass of the latent intervals with slope above `threshold`, for each level.

    Seen within |z| <= span, on 400 points for each component: a region counts once its points do.
    """
    found = []
    for s in levels:
        y = np.sort((mixture.means + np.sqrt(mixture.variances + s**2)[:, None] * np.linspace(-6, 6, 400)).ravel())
        z, slope = line_slope(mixture, s, y)
        steep = (slope > threshold) & (np.abs(z) <= span)
        cells = np.diff(ndtr(z)) * (steep[1:] + 0.0 + steep[:-1]) / 2
        found.append((count_regions(steep), cells.sum()))
    return np.array([n for n, _ in found]), np.array([m for _, m in found])


def count_regions(above: Bool[ndarray, "*g"]) -> int:
    """Number of connected regions of a truth array on a line or plane grid (corners do not connect)."""
    return int(label(above)[1])
