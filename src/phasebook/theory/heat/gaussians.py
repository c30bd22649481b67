"""Gaussians, where everything is a closed form: Brenier map, W2, heat flow, JKO step. The book's known answers.

`rho = N(0, Sigma)` in R^d; heat flow (10) adds t to every variance, `rho_t = N(0, Sigma + t I)`. For one variance s,
`T_eps = sqrt(1 + eps/s) Id`, `grad Q = x / s^2` and `||grad Q||_{L2(rho)} = sqrt(d) s^{-3/2}`.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import sqrtm

__all__ = ["brenier_matrix", "bures", "grad_q_norm", "interpolation_gap", "jko_variance", "map_error"]


def brenier_matrix(a: Float[ndarray, "d d"], b: Float[ndarray, "d d"]) -> Float[ndarray, "d d"]:
    """The Brenier map `N(0, a) -> N(0, b)` is `x -> M x`, `M = a^{-1/2} (a^{1/2} b a^{1/2})^{1/2} a^{-1/2}`."""
    root = np.real(sqrtm(a))
    back = np.linalg.inv(root)
    return back @ np.real(sqrtm(root @ b @ root)) @ back


def bures(a: Float[ndarray, "d d"], b: Float[ndarray, "d d"]) -> float:
    """`W2(N(0, a), N(0, b))`, from `W2^2 = tr a + tr b - 2 tr (a^{1/2} b a^{1/2})^{1/2}`."""
    root = np.real(sqrtm(a))
    square = np.trace(a) + np.trace(b) - 2 * np.trace(np.real(sqrtm(root @ b @ root)))
    return float(np.sqrt(max(square, 0.0)))


def _defect(s, t):
    """`1 + t/(2 s) - sqrt(1 + t/s)`, written without cancellation."""
    a = t / s
    return a**2 / (2 * (1 + np.sqrt(1 + a)) ** 2)


def map_error(s: float, eps: float, d: int = 1) -> float:
    """The left side of (13): `||T_eps - (Id - (eps/2) grad log rho)||`, about `(eps^2/8) sqrt(d) s^{-3/2}`."""
    return float(np.sqrt(d * s) * _defect(s, eps))


def interpolation_gap(s: float, t: Float[ndarray, "*b"], eps: float, d: int = 1) -> Float[ndarray, "*b"]:
    """`W2(mu_t, mu_t^OT)` of (12): the standard deviations `sqrt(s + t)` and their chord, about `t (eps - t)/8 ..`."""
    t = np.asarray(t, dtype=np.float64)
    return np.sqrt(d * s) * (t / eps * _defect(s, eps) - _defect(s, t))


def grad_q_norm(s: float, d: int = 1) -> float:
    """`||grad Q||_{L2(rho)} = sqrt(d) s^{-3/2}`."""
    return float(np.sqrt(d) * s**-1.5)


def jko_variance(s: float, tau: float, steps: int = 1) -> float:
    """The variance after JKO steps of length tau from N(0, s): `sqrt(s') = (sqrt(s) + sqrt(s + 2 tau)) / 2`.

    The minimiser of `W2^2 / (2 tau) + 1/2 int rho log rho` among all densities is Gaussian.
    """
    for _ in range(steps):
        s = ((np.sqrt(s) + np.sqrt(s + 2 * tau)) / 2) ** 2
    return float(s)
