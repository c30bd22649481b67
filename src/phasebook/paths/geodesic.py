r"""Geodesics of spacetime for a law whose moments are at hand: free, with little noise, or around a region.

A polygon of chart points between fixed ends minimises `(n - 1) sum (eta_{i+1} - eta_i) . (mu_{i+1} - mu_i)`, whose
gradient needs posterior covariances and no automatic differentiation, coarse to fine by L-BFGS in coordinates that
flatten the energy. Two constraints:

- *little noise*: `log k >= level` all along, a bound on the chart's u;
- *around a region*: the Bhattacharyya overlap of `p(x_0 | z)` with a denoising distribution `z*`, in closed form for an
  exponential family, `exp(A((eta + eta*)/2) - A(eta)/2 - A(eta*)/2)`, is penalised where it exceeds a share.

Source: Karczewski et al. (2025), section on molecules; their penalty is on a divergence instead. float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.interpolate import PchipInterpolator
from scipy.linalg import cholesky_banded, solve_banded
from scipy.optimize import minimize

from phasebook.arguments import numbers, whole
from phasebook.paths.denoiser import Boltzmann

__all__ = ["Curve", "Region", "checked", "curve_of", "geodesic", "half_circle", "laid_out", "measured", "overlaps",
           "tether"]

ROUNDS, SETTLED = 4, 1e-5
FAR = 40.0                          # chart coordinates that far out are refused, in units of the data and of the curve
WEIGHTS = (1e2, 1e4)               # of the penalties, one after the other; times the energy of the start


class Curve(NamedTuple):
    """A curve of denoising distributions.

    Attributes:
        eta: (n, 3) natural parameters `(q, -k/2)`.
        energy: the raw sum `sum (eta_{i+1} - eta_i) . (mu_{i+1} - mu_i)`.
        length: `sum sqrt(...)` of the same terms.
        log_snr: (n,) `log k`.
        place: (n, 2) `q / k`, where the noise puts x_0: `x_t / alpha`.
        mean: (n, 2) `E[x_0 | z]`.
        spread: (n,) root of the trace of the posterior covariance.
        gain: of a minimised curve, the share of its cost that one more step at a frozen metric promises: small where
            the search has converged; NaN where none was made.
        overlap: the largest overlap with the region to avoid that is reached; NaN without one.
    """

    eta: Float[ndarray, "n 3"]
    energy: float
    length: float
    log_snr: Float[ndarray, " n"]
    place: Float[ndarray, "n 2"]
    mean: Float[ndarray, "n 2"]
    spread: Float[ndarray, " n"]
    gain: float = np.nan
    overlap: float = np.nan


class Region(NamedTuple):
    """A denoising distribution that a curve keeps away from.

    Attributes:
        eta: (3,) natural parameters of `z*`.
        overlap: the largest Bhattacharyya overlap allowed, in (0, 1).
    """

    eta: Float[ndarray, " 3"]
    overlap: float


def measured(law: Boltzmann, eta: Float[ndarray, "n 3"]) -> Curve:
    """What the law says about a curve given by its natural parameters. ValueError where these are none."""
    eta = checked("eta", eta)
    mu, G, _ = law.moments(eta)
    parts = (np.diff(eta, axis=0) * np.diff(mu, axis=0)).sum(1)
    k = -2 * eta[:, 2]
    spread = np.sqrt(G[:, 0, 0] + G[:, 1, 1])
    return Curve(eta, float(parts.sum()), float(np.sqrt(np.maximum(parts, 0)).sum()), np.log(k),
                 eta[:, :2] / k[:, None], mu[:, :2], spread)


def curve_of(log_snr: Float[ndarray, " n"], place: Float[ndarray, "n 2"]) -> Float[ndarray, "n 3"]:
    """Natural parameters of noise levels and places `x_t / alpha`."""
    k = np.exp(log_snr)[:, None]
    return np.concatenate([k * place, -k / 2], axis=1)


def tether(ends: Float[ndarray, "2 2"], log_snr: float, n: int) -> Float[ndarray, "n 3"]:
    """The null: places on the straight line between two ends, all at one noise level."""
    share = np.linspace(0, 1, n)[:, None]
    return curve_of(np.full(n, float(log_snr)), (1 - share) * ends[0] + share * ends[1])


def laid_out(law: Boltzmann, curve: Curve, n: int) -> Float[ndarray, "n 3"]:
    """Natural parameters at `n` places of equal share of a curve's length. ValueError for a curve of none."""
    n = whole("n", n, 1)
    return law.chart.eta(_laid_out(law, law.chart.of_eta(curve.eta), n))


def half_circle(law: Boltzmann, ends: Float[ndarray, "2 3"], n: int) -> Float[ndarray, "n 3"]:
    """The geodesic between two natural parameters if the law were Gaussian, with its mean and variance."""
    chart, ends, n = law.chart, checked("ends", ends), whole("n", n, 2)
    z = chart.circle(*chart.of_eta(ends), np.linspace(0, 1, n))
    z[:, 2] = np.maximum(z[:, 2], chart.level(1e-3 / law.variance))
    return chart.eta(z)


def geodesic(law: Boltzmann, start: Float[ndarray, "m 3"], n: int, *, least: float | None = None,
             region: Region | None = None, method: str = "L-BFGS-B") -> Curve:
    """The curve of least energy near another one, between its ends.

    Args:
        law: the data.
        start: natural parameters of a curve; its ends stay.
        n: points of the result.
        least: lower bound of the log-SNR; without one `k >= 0` binds all the same.
        region: what to keep away from, or None.
        method: SciPy's optimiser: `"L-BFGS-B"`, or `"CG"` as a second one.

    Returns:
        The curve; its `gain` says whether the search has converged, its `overlap` what is left of it with the region.

    Raises:
        ValueError: for an end that the region does not allow; for a start that is no curve between two different ends,
            or less than two points.
    """
    chart, start, n = law.chart, checked("start", start), whole("n", n, 2)
    if np.array_equal(start[0], start[-1]):
        raise ValueError("start: both ends are the same; takes a curve between two different ones")
    if region is not None and not (there := overlaps(law, start[[0, -1]], region.eta)).max() <= region.overlap:
        raise ValueError(f"region: the ends overlap it by {there[0]:.2g} and {there[1]:.2g}; takes at most the "
                         f"overlap = {region.overlap:g} that it allows")
    low = chart.level(np.exp(least)) if least is not None else chart.level(1e-6 / law.variance)
    z = chart.of_eta(start)
    for size in _sizes(n):
        z = _laid_out(law, z, size)
        scale = _energy(law, z, low, None, 0.0)[0]
        for weight in WEIGHTS:
            z, gain = _minimised(law, z, low, region, weight * scale, method)
    inner = z[1:-1]
    inner[:, 2] = np.maximum(inner[:, 2], low)
    curve = measured(law, chart.eta(z))
    reached = np.nan if region is None else float(overlaps(law, curve.eta, region.eta).max())
    return curve._replace(gain=gain, overlap=reached)


def checked(name: str, eta: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """Natural parameters as an array. ValueError unless they are finite, with k > 0, and at least one."""
    takes = "natural parameters (n, 3), one at least"
    eta = numbers(name, eta, takes).astype(float)
    if eta.ndim != 2 or eta.shape[1] != 3 or not len(eta):
        raise ValueError(f"{name}: shape {eta.shape}; takes {takes}")
    if not (eta[:, 2] < 0).all():
        raise ValueError(f"{name}: k = {-2 * eta[:, 2].max():g}; takes k > 0, noise with some signal")
    return eta


def overlaps(law: Boltzmann, eta: Float[ndarray, "n 3"], star: Float[ndarray, " 3"]) -> Float[ndarray, " n"]:
    """Bhattacharyya overlaps of the distributions along a curve with another one, in [0, 1].

    Args:
        law: the data.
        eta: natural parameters along the curve.
        star: of the other.
    """
    A, middle = law.moments(eta)[2], law.moments((eta + star) / 2)[2]
    return np.exp(middle - (A + law.moments(star[None])[2]) / 2)


def _sizes(n: int) -> list[int]:
    """Points of the polygons, coarse to fine."""
    sizes = [n]
    while sizes[0] > 40:
        sizes.insert(0, (sizes[0] + 1) // 2)
    return sizes


def _laid_out(law: Boltzmann, z: Float[ndarray, "m 3"], n: int) -> Float[ndarray, "n 3"]:
    """The curve through the points at `n` places of equal share of its length."""
    eta = law.chart.eta(z)
    mu = law.moments(eta)[0]
    parts = np.sqrt(np.maximum((np.diff(eta, axis=0) * np.diff(mu, axis=0)).sum(1), 0))
    if not parts.any():
        raise ValueError("curve: of length 0; takes one between two different ends")
    arc = np.concatenate([[0], np.cumsum(parts + 1e-6 * parts.sum() / len(parts))])
    return PchipInterpolator(arc / arc[-1], z)(np.linspace(0, 1, n))


def _energy(law: Boltzmann, z: Float[ndarray, "n 3"], low: float, region: Region | None,
            weight: float) -> tuple[float, ndarray, ndarray]:
    """`(n - 1) E` and the penalties, their gradient, and the tensor, in the chart."""
    chart, n = law.chart, len(z)
    eta, J = chart.eta(z), chart.jacobian(z)
    mu, G, A = law.moments(eta)
    step, turn = np.diff(eta, axis=0), np.diff(mu, axis=0)
    pull = np.zeros_like(eta)
    pull[:-1] -= step
    pull[1:] += step
    slope = (G @ pull[..., None])[..., 0]
    slope[:-1] -= turn
    slope[1:] += turn
    value, slope = (n - 1) * float((step * turn).sum()), (n - 1) * slope
    if region is not None:
        cost, push = _crowding(law, eta, mu, A, region)
        value, slope = value + weight * cost, slope + weight * push
    JT = np.swapaxes(J, 1, 2)
    slope = (JT @ slope[..., None])[..., 0]
    short = np.maximum(low - z[:, 2], 0)
    slope[:, 2] -= 2 * weight * short / n
    return value + weight * float((short**2).mean()), slope, JT @ G @ J


def _crowding(law: Boltzmann, eta: Float[ndarray, "n 3"], mu: Float[ndarray, "n 3"], A: Float[ndarray, " n"],
              region: Region) -> tuple[float, Float[ndarray, "n 3"]]:
    """Mean square of `log(overlap / allowed)` where it is positive, and its gradient in eta."""
    star = law.moments(region.eta[None])[2]
    middle, _, A_middle = law.moments((eta + region.eta) / 2)
    over = np.maximum(A_middle - (A + star) / 2 - np.log(region.overlap), 0)
    return float((over**2).mean()), (over / len(eta))[:, None] * (middle - mu)


def _minimised(law: Boltzmann, z: Float[ndarray, "n 3"], low: float, region: Region | None, weight: float,
               method: str) -> tuple[Float[ndarray, "n 3"], float]:
    """The points of least cost, in `v = U z` with `U^T U` the energy's Hessian at a frozen metric, laid anew; and the
    share of the cost that a step there still promises, `|v's slope|^2 / 2`."""
    least, domain = np.inf, _domain(law, z)
    for _ in range(ROUNDS):
        start, _, metric = _energy(law, z, low, region, weight)
        if start > (1 - SETTLED) * least:
            break
        least = start
        band = _factored(law, z, metric, low, weight)
        origin = z

        def cost(v, band=band, origin=origin):
            points = origin.copy()
            points[1:-1] += solve_banded((0, 5), band, v).reshape(-1, 3)
            if not domain(points):
                return 1e100, np.zeros_like(v)
            value, slope, _ = _energy(law, points, low, region, weight)
            return value, _transposed(band, slope[1:-1].ravel())

        best = minimize(cost, np.zeros(3 * (len(z) - 2)), jac=True, method=method,
                         options={"maxiter": 400} | ({"maxcor": 30} if method == "L-BFGS-B" else {}))
        if not best.fun < start:                   # a line search that left the domain
            break
        z = origin.copy()
        z[1:-1] += solve_banded((0, 5), band, best.x).reshape(-1, 3)
    value, slope, metric = _energy(law, z, low, region, weight)
    inner = _transposed(_factored(law, z, metric, low, weight), slope[1:-1].ravel())
    return z, float(inner @ inner / 2 / value)


def _domain(law: Boltzmann, z: Float[ndarray, "n 3"]) -> Callable[[Float[ndarray, "n 3"]], bool]:
    """Whether chart points lie no farther out than `FAR` times the data, or the curve z; free of the data's unit."""
    unit = max(law.variance**0.5, np.abs(z[:, :2] - law.mean).max())
    level = np.log(1 / law.variance)

    def within(points: Float[ndarray, "n 3"]) -> bool:
        far = max(np.abs(points[:, :2] - law.mean).max() / unit, np.abs(points[:, 2] - level).max())
        return bool(far < FAR)

    return within


def _factored(law: Boltzmann, z: Float[ndarray, "n 3"], metric: Float[ndarray, "n 3 3"], low: float,
              weight: float) -> Float[ndarray, "6 m"]:
    """The banded Cholesky factor of the inner points' Hessian at a frozen metric, with that of the bound where it
    binds: without it the penalty is too stiff for a line search."""
    metric = metric + 1e-3 * law.chart.gaussian_metric(z)
    edge = (len(metric) - 1) * (metric[1:] + metric[:-1])
    diagonal, beside = edge[1:] + edge[:-1], -edge[1:-1]
    diagonal[:, 2, 2] += 2 * weight / len(z) * (z[1:-1, 2] < low)
    m = len(diagonal)
    band = np.zeros((6, 3 * m))
    for i in range(3):
        for j in range(3):
            if j >= i:
                band[5 + i - j, j::3] = diagonal[:, i, j]
            band[2 + i - j, 3 + j::3] = beside[:, i, j]
    return cholesky_banded(band)


def _transposed(band: Float[ndarray, "6 m"], g: Float[ndarray, " m"]) -> Float[ndarray, " m"]:
    """`U^{-T} g` for an upper banded U."""
    lower = np.zeros_like(band)
    for i in range(6):
        lower[i, : max(band.shape[1] - i, 0)] = band[5 - i, i:]       # of one inner point there are three
    return solve_banded((5, 0), lower, g)
