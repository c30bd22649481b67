"""A spacetime geodesic with every point free: the true minimum of the discrete energy.

L-BFGS in the variables `v = U z`, `U^T U` the Hessian with the metric frozen (block tridiagonal, so both
directions cost O(n)); the metric is renewed every few steps. Where data are atoms the metric of the interior
vanishes near them, so a little of the Gaussian one is added to `U`; it changes the steps, not the minimum.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import cholesky_banded
from scipy.linalg.lapack import dtbtrs
from scipy.optimize import minimize

from phasebook.diffusion.spacetime_chart import CurveEnergy

__all__ = ["relax"]

DAMPING = 1e-3
U_MAX = 300.0        # exp(u) beyond it has no meaning; a trial step there is refused


def relax(curve: CurveEnergy, z: Float[ndarray, "n d+1"], tolerance: float = 1e-11, renewals: int = 40,
          steps: int = 25) -> tuple[Float[ndarray, "n d+1"], int]:
    """The polygon of least energy from chart points `z` (ends kept), and the number of steps taken.

    Stops when a renewal of the metric gains less than `tolerance` of the energy.
    """
    ends, inner, total, before = curve.ends, z[1:-1], 0, np.inf

    def whole(inner):
        return np.concatenate([ends[:1], inner, ends[1:]])

    for _ in range(renewals):
        U = _factor(curve, whole(inner))
        shape = inner.shape

        def value(v, U=U, shape=shape):
            inner = _solve(U, v, "N").reshape(shape)
            if not np.isfinite(inner).all() or np.abs(inner[:, -1]).max() > U_MAX:
                return 1e100, np.zeros_like(v)
            E, gradient, _ = curve(whole(inner))
            return E, _solve(U, gradient[1:-1].ravel(), "T")

        start = _multiply(U, inner.ravel())
        found = minimize(value, start, jac=True, method="L-BFGS-B",
                         options={"maxiter": steps, "ftol": 1e-15, "gtol": 1e-12, "maxcor": steps})
        inner = _solve(U, found.x, "N").reshape(shape)
        total += found.nit
        if before - found.fun <= tolerance * found.fun:
            break
        before = found.fun
    return whole(inner), total


def _factor(curve: CurveEnergy, z: Float[ndarray, "n D"]) -> Float[ndarray, "2D m"]:
    """Banded upper Cholesky factor of the frozen-metric Hessian of the inner points."""
    n, D = z.shape
    M = curve(z)[2] + DAMPING * curve.chart.gaussian_metric(z)
    edge = (n - 1) * (M[1:] + M[:-1])
    diagonal, beside = edge[:-1] + edge[1:], -edge[1:-1]
    diagonal[:, -1, -1] += 2 * curve.weight / n * (curve.excess(z)[1:-1] != 0)
    band = np.zeros((2 * D, (n - 2) * D))
    for i in range(D):
        for j in range(D):
            if j >= i:
                band[2 * D - 1 + i - j, j::D] = diagonal[:, i, j]
            band[D - 1 + i - j, D + j :: D] = beside[:, i, j]
    return cholesky_banded(band)


def _solve(U: Float[ndarray, "k m"], v: Float[ndarray, " m"], trans: str) -> Float[ndarray, " m"]:
    return dtbtrs(U, v[:, None], uplo="U", trans=trans)[0][:, 0]


def _multiply(U: Float[ndarray, "k m"], x: Float[ndarray, " m"]) -> Float[ndarray, " m"]:
    out, width = U[-1] * x, len(U) - 1
    for k in range(1, width + 1):
        out[:-k] += U[width - k, k:] * x[k:]
    return out
