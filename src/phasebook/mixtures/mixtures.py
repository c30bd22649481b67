"""Exact diffusion of a Gaussian mixture in R^d: density, score, denoiser and their derivatives in closed form.

Data: `p_0 = sum_i pi_i N(m_i, v_i I_d)`, atoms where `v_i = 0`; Eq. (6) of the paper is `d = 1, v_i = 0, pi_i = 1/n`.
Noise: `x_t = alpha x_0 + sigma eps`. Every function takes `(alpha, sigma)`, so one code serves the
variance-preserving frame (`alpha^2 + sigma^2 = 1`) and pure heat flow (`alpha = 1`, `sigma^2 = t`). float64.

Given the component, the posterior of x_0 is Gaussian: `E[x_0 | x, i] = m_i + K_i (x - alpha m_i)` with gain
`K_i = alpha v_i / (alpha^2 v_i + sigma^2)` and covariance `sigma^2 v_i / (alpha^2 v_i + sigma^2) I`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import logsumexp, softmax

__all__ = ["Mixture"]


@dataclass(frozen=True, eq=False)
class Mixture:
    """`sum_i weights_i N(means_i, variances_i I)`.

    In its methods `x` are points (*b, d) in the frame of `x_t = alpha x_0 + sigma eps`, `alpha` the signal's factor and
    `sigma` the noise's standard deviation; they return one row for each point.

    Args:
        means: (n, d).
        variances: (n,) >= 0; 0 is an atom.
        weights: (n,) positive, of sum 1.

    Raises:
        ValueError: naming the argument, for a NaN, a weight that is not positive, weights that do not sum to 1 (to
            1e-9), a negative variance or lengths that differ.
    """

    means: Float[ndarray, "n d"]
    variances: Float[ndarray, " n"]
    weights: Float[ndarray, " n"]

    def __post_init__(self):
        for name in ("means", "variances", "weights"):
            value = _numbers(name, getattr(self, name))
            if not np.isfinite(value).all():
                raise ValueError(f"{name} = {value.tolist()}: NaN or Inf; takes finite numbers")
            object.__setattr__(self, name, value)
        if self.means.ndim != 2 or not self.means.size:
            raise ValueError(f"means: shape {self.means.shape}; takes (n, d) with n, d >= 1")
        n = len(self.means)
        if self.variances.shape != (n,) or self.weights.shape != (n,):
            raise ValueError(f"variances, weights: lengths {self.variances.shape}, {self.weights.shape}; "
                             f"take one number for each of the {n} means")
        if (self.variances < 0).any():
            raise ValueError(f"variances = {self.variances.tolist()}: take numbers >= 0")
        if (self.weights <= 0).any() or abs(self.weights.sum() - 1) > 1e-9:
            raise ValueError(f"weights = {self.weights.tolist()}: take positive numbers that sum to 1")

    @classmethod
    def atoms(cls, points: Float[ndarray, "n d"], weights: Float[ndarray, " n"] | None = None) -> "Mixture":
        """Dirac masses.

        Args:
            points: where.
            weights: equal unless given.

        Returns:
            The mixture.
        """
        points = _numbers("means", points)
        if points.ndim != 2 or not points.size:
            raise ValueError(f"means: shape {points.shape}; takes (n, d) with n, d >= 1")
        n = len(points)
        return cls(points, np.zeros(n), np.full(n, 1 / n) if weights is None else weights)

    def _log_terms(self, x: Float[ndarray, "*b d"], alpha: float, sigma: float) -> Float[ndarray, "*b n"]:
        """`log pi_i N(x; alpha m_i, alpha^2 v_i + sigma^2)`."""
        d = self.means.shape[1]
        if np.shape(x)[-1:] != (d,):
            raise ValueError(f"x: shape {np.shape(x)}; takes points (..., {d})")
        s2 = alpha**2 * self.variances + sigma**2
        if not (np.all(sigma >= 0) and s2.min() > 0):
            raise ValueError(f"sigma = {sigma}: takes a number above 0, or 0 where no component is an atom")
        square = ((x[..., None, :] - alpha * self.means) ** 2).sum(-1)
        return np.log(self.weights) - square / (2 * s2) - d / 2 * np.log(2 * np.pi * s2)

    def log_density(self, x: Float[ndarray, "*b d"], alpha: float, sigma: float) -> Float[ndarray, "*b"]:
        """`log p_t(x)`."""
        return logsumexp(self._log_terms(x, alpha, sigma), axis=-1)

    def responsibilities(self, x: Float[ndarray, "*b d"], alpha: float, sigma: float) -> Float[ndarray, "*b n"]:
        """`p(component i | x_t = x)`."""
        return softmax(self._log_terms(x, alpha, sigma), axis=-1)

    def score(self, x: Float[ndarray, "*b d"], alpha: float, sigma: float) -> Float[ndarray, "*b d"]:
        """`grad log p_t(x) = sum_i r_i (alpha m_i - x) / s_i^2`, `s_i^2 = alpha^2 v_i + sigma^2`."""
        r = self.responsibilities(x, alpha, sigma) / (alpha**2 * self.variances + sigma**2)
        return alpha * (r @ self.means) - x * r.sum(-1, keepdims=True)

    def denoise(self, x: Float[ndarray, "*b d"], alpha: float, sigma: float) -> Float[ndarray, "*b d"]:
        """`xhat_0 = E[x_0 | x_t = x] = sum_i r_i (m_i + K_i (x - alpha m_i))`."""
        r = self.responsibilities(x, alpha, sigma)
        gain = alpha * self.variances / (alpha**2 * self.variances + sigma**2)
        return (r * (1 - alpha * gain)) @ self.means + x * (r @ gain)[..., None]

    def posterior_covariance(self, x: Float[ndarray, "*b d"], alpha: float,
                             sigma: float) -> Float[ndarray, "*b d d"]:
        """`Cov[x_0 | x_t = x]`; the denoiser's Jacobian is `alpha / sigma^2` times it."""
        d = self.means.shape[1]
        s2 = alpha**2 * self.variances + sigma**2
        r = self.responsibilities(x, alpha, sigma)
        local = self.means + (alpha * self.variances / s2)[:, None] * (x[..., None, :] - alpha * self.means)
        centred = local - (r[..., None, :] @ local)
        within = (r * (sigma**2 * self.variances / s2)).sum(-1)
        return np.einsum("...n,...ni,...nj->...ij", r, centred, centred) + within[..., None, None] * np.eye(d)


def _numbers(name: str, value) -> ndarray:
    """An argument as float64, or ValueError in one line where it is no array of numbers."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: rows of different lengths, or no numbers; takes an array of numbers") from None
