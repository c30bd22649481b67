"""The map from the latent space to a noise level: probability-flow ODE of an exact mixture, Jacobians, basins.

In the heat frame `y = x_t / alpha`, `s = sigma / alpha`, the flow is `dy / d log s = y - D(y, s)` with D the denoiser,
and its Jacobian `dJ / d log s = (I - Cov[x_0 | y] / s^2) J`. The latent is the standard Gaussian z; at a level
`s_0` far above the data, `p_s` is Gaussian up to `O((R / s_0)^3)` and `y = m + (Sigma + s_0^2 I)^(1/2) z`.
The composed map of Theorem 2.1, for a chain of many maps, is `z -> x_{t_k} = alpha y` (chapter 3 measures the
difference). Works in any dimension; the `line_` functions are closed forms in one. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.ndimage import label
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from phasebook.arguments import brief, number, numbers
from phasebook.mixtures.mixtures import Mixture

__all__ = ["LatentFlow", "basins", "count_regions", "even_slope", "far_level", "latent_flow", "line_quantile",
           "line_slope", "runge_kutta", "steep_regions", "whitening"]

# the flow starts this many data radii out: third cumulants then shift z by about 1e-7
FAR = 150.0
# classical Runge-Kutta steps per unit of log s
RATE = 16


class LatentFlow(NamedTuple):
    """States at k noise levels, in the heat frame (units of the data).

    Attributes:
        levels: noise levels sigma / alpha, descending.
        y: positions.
        jacobian: derivatives `dy / dz`, or None where they were not asked for.
    """

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
        the mean of the Jacobian along it, do not. Both are lower bounds of the Lipschitz constant on the cell, and
        depend on the grid: for the constant itself ask `ridges.ascend`.

        Args:
            spacing: of the grid of latents.

        Returns:
            One number a cell, in the variance-preserving frame.
        """
        norm, alpha = self.lipschitz(), (1 / np.sqrt(1 + self.levels**2))[:, None, None]
        down = np.linalg.norm(np.diff(self.y, axis=1), axis=-1) * alpha / spacing
        across = np.linalg.norm(np.diff(self.y, axis=2), axis=-1) * alpha / spacing
        corners = [norm[:, :-1, :-1], norm[:, 1:, :-1], norm[:, :-1, 1:], norm[:, 1:, 1:]]
        return np.max([*corners, down[:, :, :-1], down[:, :, 1:], across[:, :-1], across[:, 1:]], axis=0)


def latent_flow(mixture: Mixture, z: Float[ndarray, "*b d"], levels: Float[ndarray, " k"], *,
                jacobian: bool = False, rate: int = RATE) -> LatentFlow:
    """Flow latents down to noise levels.

    Args:
        mixture: the data in R^d.
        z: latents, standard Gaussian.
        levels: noise levels s = sigma / alpha > 0, strictly descending, in units of the data.
        jacobian: whether to carry `dy / dz` along.
        rate: Runge-Kutta steps per unit of log s.

    Returns:
        The states at the levels.

    Raises:
        ValueError: where there is no level, one is not positive, or they do not descend; for latents of another
            dimension than the data.
    """
    takes = "positive numbers in strictly descending order"
    levels = np.atleast_1d(numbers("levels", levels, takes)).astype(float)
    if levels.ndim > 1 or not levels.size or not (levels > 0).all() or (np.diff(levels) >= 0).any():
        raise ValueError(f"levels = {levels.tolist()}: takes {takes}")
    z, d = np.asarray(z, dtype=float), mixture.means.shape[1]
    if z.shape[-1:] != (d,):
        raise ValueError(f"z: shape {z.shape}; takes latents (..., {d})")
    s = far_level(mixture, levels[0])
    mean, root = whitening(mixture, s)
    y = (mean + z.reshape(-1, len(mean)) @ root).T.copy()
    J = np.repeat(root[:, :, None], y.shape[1], 2) if jacobian else None
    states = []
    for level in levels:
        steps = max(1, int(np.ceil(rate * np.log(s / level)))) if s > level else 0
        for step in range(steps):
            y, J = runge_kutta(mixture, y, J, s * (level / s) ** (step / steps), np.log(level / s) / steps)
        s = level
        states.append((y, J))
    shape = (len(levels), *z.shape)
    return LatentFlow(levels, np.stack([y.T for y, _ in states]).reshape(shape),
                      np.stack([np.moveaxis(J, 2, 0) for _, J in states]).reshape(*shape, d) if jacobian else None)


def far_level(mixture: Mixture, level: float) -> float:
    """The level from which `p_s` counts as Gaussian: 150 data radii, and beyond `level`."""
    centred = mixture.means - mixture.weights @ mixture.means
    radius = np.sqrt((centred**2).sum(1).max() + mixture.variances.max())
    return float(max(FAR * radius, FAR * 1e-3, 1.01 * level))


def whitening(mixture: Mixture, s: float) -> tuple[Float[ndarray, " d"], Float[ndarray, "d d"]]:
    """Mean m and root `(Sigma + s^2 I)^(1/2)` of p_s: `y = m + root z` for s far above the data."""
    m = mixture.weights @ mixture.means
    centred = mixture.means - m
    cov = (mixture.weights[:, None] * centred).T @ centred + mixture.weights @ mixture.variances * np.eye(len(m))
    value, vector = np.linalg.eigh(cov)
    return m, (vector * np.sqrt(value + s**2)) @ vector.T


def even_slope(mixture: Mixture, s: float) -> float:
    """How much the spread of the data stretches by itself: the largest slope of the flow to the Gaussian of the same
    mean and covariance, `((Lambda_1 + s^2) / (1 + s^2))^(1/2)` in the variance-preserving frame. That map has no
    boundary, and a slope over its slope does not depend on the unit of the data."""
    return float(np.linalg.eigvalsh(whitening(mixture, s)[1])[-1] / np.sqrt(1 + s**2))


def _rate(mixture, y, J, s):
    """`dy / d log s` and `dJ / d log s`, as `runge_kutta` takes both; the posterior is taken once for both. Means and
    covariances as in Mixture."""
    total = mixture.variances + s**2
    apart = y - mixture.means[:, :, None]
    square = (apart**2).sum(1)
    log_terms = (np.log(mixture.weights) - len(y) / 2 * np.log(total))[:, None] - square / (2 * total[:, None])
    r = np.exp(log_terms - log_terms.max(0))
    r /= r.sum(0)
    pull = (s**2 / total)[:, None, None] * apart              # y - E[x_0 | y, component]
    mean = (r[:, None] * pull).sum(0)
    if J is None:
        return mean, None
    centred = pull - mean
    spread = np.einsum("nip,njp->ijp", r[:, None] * centred, centred) / s**2
    within = (mixture.variances / total) @ r
    return mean, (1 - within) * J - np.einsum("ijp,jkp->ikp", spread, J)


def runge_kutta(mixture, y, J, s, h):
    """One classical step of the flow. Points come last here, so that sums over coordinates are sums of long rows.

    Args:
        mixture: the data.
        y: positions (d, p) at level s, heat frame.
        J: derivatives (d, k, p) that move along, or None.
        s: noise level.
        h: step in log s; positive goes up in noise.

    Returns:
        Positions and derivatives at the level `s exp(h)`.
    """
    def ahead(k, by):
        return y + by * k[0], None if J is None else J + by * k[1]

    k1 = _rate(mixture, y, J, s)
    k2 = _rate(mixture, *ahead(k1, h / 2), s * np.exp(h / 2))
    k3 = _rate(mixture, *ahead(k2, h / 2), s * np.exp(h / 2))
    k4 = _rate(mixture, *ahead(k3, h), s * np.exp(h))
    y = y + h / 6 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0])
    return y, None if J is None else J + h / 6 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1])


def basins(mixture: Mixture, z: Float[ndarray, "*b d"], rate: int = RATE) -> Int[ndarray, "*b"]:
    """Index of the component that the flow from each latent ends in.

    Followed to a twelfth of the smallest distance between means; from there the flow only converges.

    Args:
        mixture: the data.
        z: latents.
        rate: Runge-Kutta steps per unit of log s.

    Returns:
        Indices of components.

    Raises:
        ValueError: where all of several means are one point.
    """
    if len(mixture.means) == 1:
        return np.zeros(np.shape(z)[:-1], dtype=int)
    gap = np.linalg.norm(mixture.means[:, None] - mixture.means, axis=-1)
    if not (gap > 0).any():
        raise ValueError(f"means: all {len(gap)} are {mixture.means[0].tolist()}, which leaves no basins; takes two "
                         "different ones at least")
    level = gap[gap > 0].min() / 12
    y = latent_flow(mixture, z, np.array([level]), rate=rate).y[0]
    return mixture.responsibilities(y, 1.0, level).argmax(-1)


def line_slope(mixture: Mixture, s: float, y: Float[ndarray, " g"],
               ) -> tuple[Float[ndarray, " g"], Float[ndarray, " g"]]:
    """On the line, in closed form: the latent `z = Phi^-1(F_s(y))` that flows to y, and the slope `dx_t / dz` there.

    Args:
        mixture: data on the line.
        s: noise level > 0.
        y: points at that level, heat frame.

    Returns:
        Latents, and slopes `alpha phi(z) / p_s(y)` in the variance-preserving frame (0 where |z| exceeds about 37).
    """
    u = (y[:, None] - mixture.means[:, 0]) / np.sqrt(mixture.variances + s**2)
    below, above = ndtr(u) @ mixture.weights, ndtr(-u) @ mixture.weights
    z = np.where(below < above, ndtri(np.minimum(below, 0.5)), -ndtri(np.minimum(above, 0.5)))
    log_slope = -z**2 / 2 - np.log(2 * np.pi) / 2 - mixture.log_density(y[:, None], 1.0, s)
    return z, np.where(np.isfinite(z), np.exp(log_slope), 0.0) / np.sqrt(1 + s**2)


def line_quantile(mixture: Mixture, s: float, q: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
    """On the line: `F_s^-1(q)`, by bracketed root finding.

    Args:
        mixture: data on the line.
        s: noise level > 0.
        q: probabilities in (0, 1).

    Returns:
        Quantiles of p_s, heat frame.

    Raises:
        ValueError: for data in more dimensions, a level that is not positive, or a probability that is not inside.
    """
    if mixture.means.shape[1] != 1:
        raise ValueError(f"mixture: its data have {mixture.means.shape[1]} dimensions; takes one, a line")
    s, q = number("s", s, "a number > 0", above=0), numbers("q", q, "numbers in (0, 1)")
    if not ((q > 0) & (q < 1)).all():
        raise ValueError(f"q = {brief(q.tolist())}: takes numbers in (0, 1)")
    centre = mixture.weights @ mixture.means[:, 0]
    place, scale = mixture.means[:, 0] - centre, np.sqrt(mixture.variances + s**2)
    low, high = (place - 40 * scale).min(), (place + 40 * scale).max()
    # in units of the narrowest component, about the mean: neither a small unit nor a far origin costs digits
    return centre + np.array([brentq(lambda y, r=r: ndtr((y - place) / scale) @ mixture.weights - r, low, high,
                                     xtol=1e-14 * scale.min()) for r in q])


def steep_regions(mixture: Mixture, levels: Float[ndarray, " k"], threshold: float, span: float = 4.5,
                  ) -> tuple[Int[ndarray, " k"], Float[ndarray, " k"]]:
    """On the line: number and Gaussian mass of the latent intervals that are steep.

    On 400 points of the image for each component, where ridges are as wide as the noise.

    Args:
        mixture: data on the line.
        levels: k noise levels.
        threshold: of the slope, in units of `even_slope`.
        span: latents beyond |z| <= span are left out.

    Returns:
        Number and mass for each level.
    """
    rows = []
    for s in levels:
        y = np.sort((mixture.means + np.sqrt(mixture.variances + s**2)[:, None] * np.linspace(-6, 6, 400)).ravel())
        z, slope = line_slope(mixture, s, y)
        steep = (slope > threshold * even_slope(mixture, s)) & (np.abs(z) <= span)
        cells = np.diff(ndtr(z)) * (steep[1:] + 0.0 + steep[:-1]) / 2
        rows.append((count_regions(steep), cells.sum()))
    return np.array([n for n, _ in rows]), np.array([m for _, m in rows])


def count_regions(above: Bool[ndarray, "*g"]) -> int:
    """Number of connected regions of a truth array on a line or plane grid (corners do not connect).

    Args:
        above: the truth array.

    Returns:
        The number.
    """
    return int(label(above)[1])
