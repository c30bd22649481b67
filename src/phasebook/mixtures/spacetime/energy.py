"""The spacetime of a diffusion: the family of denoising distributions `p(x_0 | x_t)` and its Fisher-Rao geometry.

Karczewski et al. (2025): the distributions form an exponential family with

    eta = (q, -k/2),  q = alpha x_t / sigma^2,  k = alpha^2 / sigma^2 (the SNR)
    mu  = (E[x_0 | x_t], E[|x_0|^2 | x_t])
    p(x_0 | eta) proportional to p_0(x_0) exp(q . x_0 - k |x_0|^2 / 2).

So `mu` is the gradient and the Fisher-Rao tensor the Hessian of one convex function of `eta`. The energy of a
curve of n points is the raw sum `sum (eta_{i+1} - eta_i) . (mu_{i+1} - mu_i)`: each term is the symmetrised
Kullback-Leibler divergence of neighbours, hence >= 0; its space and time parts alone are not, and neither is
clamped. Points of spacetime are (t, x); arrays of `eta` and `mu` are (..., d + 1). float64.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import softmax

from phasebook.mixtures.mixtures import Mixture

__all__ = ["energy", "energy_parts", "eta_of", "fisher", "length", "moments", "mu_of", "posterior_parts", "x_of"]


def eta_of(x: Float[ndarray, "*b d"], alpha: Float[ndarray, "*b"],
           sigma: Float[ndarray, "*b"]) -> Float[ndarray, "*b d+1"]:
    """Natural parameters `eta = (alpha x / sigma^2, -alpha^2 / (2 sigma^2))` of `p(x_0 | x_t = x)`.

    Args:
        x: points in the frame of `x_t`.
        alpha: the signal's factor at each.
        sigma: the noise's standard deviation at each, > 0.

    Returns:
        `(q, -k/2)`: q per data unit, k the SNR per squared data unit.
    """
    x, alpha, sigma = np.broadcast_arrays(x, np.asarray(alpha)[..., None], np.asarray(sigma)[..., None])
    return np.concatenate([alpha * x / sigma**2, -(alpha / sigma)[..., :1] ** 2 / 2], axis=-1)


def x_of(eta: Float[ndarray, "*b d+1"]) -> tuple[Float[ndarray, "*b d"], Float[ndarray, "*b"]]:
    """Where in spacetime a point of the family lies, in the variance-preserving frame.

    Args:
        eta: natural parameters with k > 0.

    Returns:
        `x_t = q sigma^2 / alpha`, and the log-SNR `log k`.
    """
    k = -2 * eta[..., -1]
    return eta[..., :-1] / np.sqrt(k * (1 + k))[..., None], np.log(k)


def posterior_parts(mixture: Mixture, eta: Float[ndarray, "*b d+1"]) -> tuple[ndarray, ndarray, ndarray]:
    """The posterior as a mixture.

    Component i gives `N((m_i + v_i q) / c_i, v_i / c_i)`, `c_i = 1 + v_i k`, with log weight
    `log pi_i - (d/2) log c_i + (m_i . q + v_i |q|^2 / 2 - k |m_i|^2 / 2) / c_i`.

    Args:
        mixture: the data.
        eta: natural parameters.

    Returns:
        Responsibilities (*b, n), means (*b, n, d), variances (*b, n).

    Raises:
        ValueError: where some `c_i <= 0` (k too negative: no such distribution).
    """
    centre, v, d = mixture.weights @ mixture.means, mixture.variances, mixture.means.shape[1]
    k = -2 * eta[..., -1:]
    m, q = mixture.means - centre, eta[..., :-1] - k * centre          # far from the origin the terms would cancel
    c = 1 + v * k
    if (c <= 0).any():
        raise ValueError(f"k = {k.min():g}: takes k > {-1 / v.max():g} (SNR; below it nothing normalises)")
    square = (q**2).sum(-1, keepdims=True)
    log_r = np.log(mixture.weights) - d / 2 * np.log(c)
    log_r = log_r + (q @ m.T + v * square / 2 - k * (m**2).sum(-1) / 2) / c
    return softmax(log_r, axis=-1), centre + (m + v[:, None] * q[..., None, :]) / c[..., None], v / c


def mu_of(mixture: Mixture, eta: Float[ndarray, "*b d+1"]) -> Float[ndarray, "*b d+1"]:
    """Expectation parameters `mu = (E[x_0], E[|x_0|^2])` in closed form.

    Args:
        mixture: the data.
        eta: natural parameters.

    Returns:
        `mu`, in data units and squared data units.
    """
    r, mean, var = posterior_parts(mixture, eta)
    return np.concatenate([(r[..., None, :] @ mean)[..., 0, :], _second(r, mean, var)[..., None]], axis=-1)


def _second(r, mean, var):
    return (r * ((mean**2).sum(-1) + mean.shape[-1] * var)).sum(-1)


def fisher(mixture: Mixture, eta: Float[ndarray, "*b d+1"]) -> Float[ndarray, "*b d+1 d+1"]:
    """The Fisher-Rao tensor `d mu / d eta = Cov[(x_0, |x_0|^2)]`: between the components and within them.

    Args:
        mixture: the data.
        eta: natural parameters.

    Returns:
        The tensor in `eta`, positive definite but for atoms that are not affinely independent.
    """
    return moments(mixture, eta)[1]


def moments(mixture: Mixture, eta: Float[ndarray, "*b d+1"]) -> tuple[ndarray, ndarray]:
    """`mu` and the Fisher-Rao tensor together.

    Args:
        mixture: the data.
        eta: natural parameters.

    Returns:
        `mu_of` and `fisher` at `eta`.
    """
    r, mean, var = posterior_parts(mixture, eta)
    d = mean.shape[-1]
    square = (mean**2).sum(-1)
    local = np.concatenate([mean, (square + d * var)[..., None]], axis=-1)          # mu of each component
    mu = (r[..., None, :] @ local)[..., 0, :]
    away = local - mu[..., None, :]
    tensor = np.swapaxes(away * r[..., None], -1, -2) @ away
    cross = 2 * ((r * var)[..., None, :] @ mean)[..., 0, :]
    tensor[..., :d, :d] += (r * var).sum(-1)[..., None, None] * np.eye(d)
    tensor[..., :d, d] += cross
    tensor[..., d, :d] += cross
    tensor[..., d, d] += (r * (4 * var * square + 2 * d * var**2)).sum(-1)
    return mu, tensor


def energy_parts(eta: Float[ndarray, "n d+1"], mu: Float[ndarray, "n d+1"]) -> tuple[ndarray, ndarray]:
    """Space and time part of each step's symmetrised divergence; each may be negative, their sum not.

    Args:
        eta: natural parameters along a curve.
        mu: expectation parameters there.

    Returns:
        The two parts, (n-1,) each.
    """
    product = np.diff(eta, axis=0) * np.diff(mu, axis=0)
    return product[:, :-1].sum(-1), product[:, -1]


def energy(eta: Float[ndarray, "n d+1"], mu: Float[ndarray, "n d+1"]) -> float:
    """The raw energy of a curve of n points; `(n - 1) E` tends to the continuum energy.

    Args:
        eta: natural parameters along a curve.
        mu: expectation parameters there.

    Returns:
        `E = sum (eta_{i+1} - eta_i) . (mu_{i+1} - mu_i)`.
    """
    return float((np.diff(eta, axis=0) * np.diff(mu, axis=0)).sum())


def length(eta: Float[ndarray, "n d+1"], mu: Float[ndarray, "n d+1"]) -> float:
    """The length of a curve of n points; `L^2 <= (n - 1) E`, equal at constant speed.

    Args:
        eta: natural parameters along a curve.
        mu: expectation parameters there.

    Returns:
        `L = sum sqrt((eta_{i+1} - eta_i) . (mu_{i+1} - mu_i))`.
    """
    space, time = energy_parts(eta, mu)
    return float(np.sqrt(np.maximum(space + time, 0)).sum())      # a sum >= 0 but for its last rounding
