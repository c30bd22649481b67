"""Cubic splines of least energy: `nodes` free nodes between fixed ends, in the chart of `chart`.

A spline is not-a-knot through its ends and nodes (for 2 nodes one cubic) and is evaluated at `points` places.
Knots and places are laid out from a polygon at constant speed: knots where the fourth derivative is large,
places at equal Fisher-Rao length. The nodes are optimised in `v = U c`, `U^T U` the energy's Hessian with the
metric frozen: by L-BFGS, or by Adam as in the paper. Once the soft constraint is on, a point beyond its bound
counts as the point on it, and its excess is penalised: the least curve then keeps the bound at any weight.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from phasebook.mixtures.spacetime.chart import CurveEnergy

__all__ = ["COARSE", "fit_spline"]

COARSE = 97
PASSES, SETTLED = 6, 1e-4
SOFT = 10.0
REFUSED = 1e100         # the energy of a curve that leaves the family


def fit_spline(curve: CurveEnergy, z: Float[ndarray, "c D"], nodes: int, points: int,
               optimiser: Literal["lbfgs", "adam"] = "lbfgs", iterations: int | None = None,
               learning_rate: float = 0.1) -> tuple[Float[ndarray, "n D"], int]:
    """The cubic spline of least energy near a polygon.

    Each fit lays knots and places out anew from the last; ends when a fit gains less than `SETTLED`.

    Args:
        curve: the energy, with its ends and bounds.
        z: chart points of the polygon.
        nodes: free nodes of the spline.
        points: at which the energy is summed.
        optimiser: `"lbfgs"` or `"adam"`.
        iterations: at most (500 for L-BFGS, 2000 for Adam).
        learning_rate: of Adam.

    Returns:
        The spline's chart points, and the number of steps.
    """
    best, total, least = None, 0, np.inf
    for _ in range(PASSES):
        knots, places, path = _layout(curve, z, nodes, points)
        basis = CubicSpline(knots, np.eye(nodes + 2))(places)
        v, value, at = _preconditioned(curve, basis, path(knots))
        if optimiser == "adam":
            v, count = _adam(value, v, iterations or 2000, learning_rate)
        else:
            options = {"maxiter": iterations or 500, "ftol": 1e-14, "gtol": 1e-9, "maxcor": 20}
            minimum = minimize(value, v, jac=True, method="L-BFGS-B", options=options)
            v, count = minimum.x, minimum.nit
        total, E = total + count, value(v)[0]
        z = curve.project(at(v)) if curve.weight else at(v)
        if E == REFUSED:                # not even the start is one of the family: the polygon's own points are
            z = path(places)
        gain = 1 - E / max(least, 1e-300) if best is not None else 1.0
        if best is None or gain > 0:
            best, least = z, E
        if gain < SETTLED:
            break
    return best, total


def _layout(curve: CurveEnergy, z: Float[ndarray, "c D"], nodes: int, points: int):
    """Knots, places, and the polygon as a function of the spline parameter, from a polygon at constant speed.

    The parameter mixes Fisher-Rao length and Gaussian length evenly: near an atom the first all but stands
    still while the chart point runs on. Knots have equal shares of the fourth derivative's norm to the power
    2/7: the energy error of a cubic goes with the square of that derivative and the sixth power of the spacing.
    """
    metric = curve(z)[2]
    own, plain = (_arc(z, M) for M in (metric, curve.chart.gaussian_metric(z)))
    mixed = (own + plain) / 2
    with np.errstate(over="ignore"):                                # slopes next to none: the limit is right
        path = PchipInterpolator(mixed, z)
        places = np.clip(PchipInterpolator(own, mixed)(np.linspace(0, 1, points)), 0, 1)
        s = np.linspace(0, 1, COARSE)
        local = PchipInterpolator(mixed, metric)(s)
    fourth = np.diff(path(s), 4, axis=0)
    fourth = np.concatenate([fourth[:1]] * 2 + [fourth] + [fourth[-1:]] * 2)
    share = np.maximum(np.einsum("ni,nij,nj->n", fourth, local, fourth), 0) ** (1 / 7)
    half = max(3, COARSE // (nodes + 1) // 2)
    share = np.convolve(np.pad(share, half, mode="edge"), np.hanning(2 * half + 1), "valid")
    share = share / max(share.mean(), 1e-300) + 0.1
    total = np.concatenate([[0], np.cumsum(share[1:] + share[:-1])])
    knots = np.interp(np.linspace(0, total[-1], nodes + 2), total, s)
    return knots, places, path


def _arc(z: Float[ndarray, "c D"], M: Float[ndarray, "c D D"]) -> Float[ndarray, " c"]:
    """Fraction of the polygon's length under the metric M up to each point; strictly increasing."""
    step = np.diff(z, axis=0)
    part = np.sqrt(np.maximum(np.einsum("ni,nij,nj->n", step, (M[1:] + M[:-1]) / 2, step), 0))
    arc = np.concatenate([[0], np.cumsum(part + 1e-9 * part.sum() / len(part) + 1e-300)])
    return arc / arc[-1]


def _preconditioned(curve: CurveEnergy, basis: Float[ndarray, "n k"],
                    c: Float[ndarray, "k D"]) -> tuple[ndarray, Callable, Callable]:
    """`v = U c` at the start, energy and gradient as a function of v, and the curve at v (beyond bounds or not)."""
    free, ends = basis[:, 1:-1], basis[:, [0, -1]] @ curve.ends
    m, (n, D) = free.shape[1], ends.shape
    z = basis @ c
    energy, _, M = curve(z if curve.within(z) else curve.project(z))
    M = M + 1e-6 * curve.chart.gaussian_metric(z)
    step = np.diff(free, axis=0)
    weighted = ((M[1:] + M[:-1])[..., None] * step[:, None, None, :]).reshape(n - 1, -1)     # (n-1, i j b)
    H = (n - 1) * (step.T @ weighted).reshape(m, D, D, m).transpose(0, 1, 3, 2)
    weight = min(curve.weight, SOFT * energy)
    H[:, -1, :, -1] += 2 * weight / n * (free * (curve.excess(z) != 0)[:, None]).T @ free
    H = H.reshape(m * D, m * D)
    U = np.linalg.cholesky((H + H.T) / 2 + 1e-9 * np.diag(H.diagonal())).T
    inverse = solve_triangular(U, np.eye(m * D))

    def at(v):
        return free @ (inverse @ v).reshape(m, D) + ends

    def value(v):
        z = at(v)
        kept = curve.project(z) if weight else z
        if not curve.within(kept):
            return REFUSED, np.zeros_like(v)
        E, gradient, _ = curve(kept)
        excess = curve.excess(z)
        gradient[:, -1] = np.where(excess * weight == 0, gradient[:, -1], 2 * weight / n * excess)
        return E + weight * float((excess**2).mean()), inverse.T @ (free.T @ gradient).ravel()

    return U @ c[1:-1].ravel(), value, at


def _adam(value: Callable, v: Float[ndarray, " k"], steps: int, learning_rate: float) -> tuple[ndarray, int]:
    """Adam (0.9, 0.999), the rate falling to 0 as a cosine so that the last iterate settles."""
    first, second = np.zeros_like(v), np.zeros_like(v)
    for i in range(1, steps + 1):
        g = value(v)[1]
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        rate = learning_rate / 2 * (1 + np.cos(np.pi * i / steps))
        v = v - rate * first / (1 - 0.9**i) / (np.sqrt(second / (1 - 0.999**i)) + 1e-8)
    return v, steps
