"""A spacetime geodesic with every point free: the true minimum of the discrete energy, by Newton's method.

The Hessian of `E = sum (eta_{i+1} - eta_i) . (mu_{i+1} - mu_i)` is block tridiagonal,

    d2E / d eta_i^2 = 4 G_i + (d G_i / d eta) . (2 eta_i - eta_{i-1} - eta_{i+1}),
    d2E / d eta_i d eta_{i+1} = -(G_i + G_{i+1}),

so a step costs O(n). The derivative of the Fisher-Rao tensor along one direction is a difference of closed forms.
Steps are damped by the Gaussian metric (Levenberg and Marquardt): where the data are atoms the true one vanishes near
them, and the energy is not convex.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import LinAlgError, solveh_banded

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.spacetime.chart import Chart, CurveEnergy
from phasebook.mixtures.spacetime.energy import length, moments, mu_of

__all__ = ["least_polygon", "polygon_length"]

LEAP = 1.0           # the farthest a point may move in one step, in Gaussian units
MOST_DAMPING = 1e12
NEARLY = 1e-3        # a step damped less than this errs by at most a thousandth, and the next one by a millionth


def least_polygon(curve: CurveEnergy, z: Float[ndarray, "n D"], tolerance: float = 1e-11,
                  steps: int = 300) -> tuple[Float[ndarray, "n D"], int]:
    """The polygon of least energy between fixed ends.

    Args:
        curve: the energy, with its ends.
        z: chart points to start from; the first and the last are replaced by the ends.
        tolerance: stops when a step that is nearly Newton's own, or three successive ones together, gain less than this
            share of the energy.
        steps: at most.

    Returns:
        The chart points, and the number of steps taken.
    """
    z = np.concatenate([curve.ends[:1], z[1:-1], curve.ends[1:]])
    energies, damping = [curve.value(z)], 1e-2
    count = 0
    while count < steps and damping <= MOST_DAMPING:
        z, value, damping = _descend(curve, z, energies[-1], damping)
        count += 1
        energies.append(value)
        before = energies[-2] if damping < NEARLY else energies[-4:][0]
        if before - value <= tolerance * value and (damping < NEARLY or len(energies) > 3):
            break
    return z, count


def polygon_length(mixture: Mixture, ends: Float[ndarray, "2 D"], points: int = 65, finest: int = 0,
                   settled: float = 1e-7) -> tuple[float, float]:
    """Distance of two members of the family, any k allowed, by free polygons that start at the straight chart line.

    The length of a polygon errs by even powers of its step; three polygons, each from the last, remove two of them.

    Args:
        mixture: the data.
        ends: natural parameters of the two.
        points: of the third polygon, one more than a multiple of 4, at least 9.
        finest: at most so many points; up to there steps are halved until the length has settled.
        settled: the relative change by the last extrapolation at which it has.

    Returns:
        The extrapolated length, and by how much, relatively, the last extrapolation moved it: an estimate of its error
        and no bound, since two extrapolations of a slow sequence may agree by chance. Zeros for equal ends, and for a
        single atom, all of whose posteriors are equal.

    Raises:
        ValueError: for another number of points, or an end outside of the chart.
    """
    if points < 9 or points % 4 != 1:
        raise ValueError(f"points = {points}: takes 9, 13, 17, ...")
    ends = np.asarray(ends, dtype=float)
    _check_ends(mixture, ends)
    if (ends[0] == ends[1]).all():
        return 0.0, 0.0
    mean = mixture.weights @ mixture.means          # where the data lie changes no length, but costs digits
    mixture = Mixture(mixture.means - mean, mixture.variances, mixture.weights)
    ends = np.column_stack([ends[:, :-1] + 2 * ends[:, -1:] * mean, ends[:, -1]])
    curve, lengths = CurveEnergy(mixture, ends, -np.inf, np.inf), []
    z, n = curve.ends, points // 4 + 1
    while True:
        old, new = np.linspace(0, 1, len(z)), np.linspace(0, 1, n)
        start = np.column_stack([np.interp(new, old, column) for column in z.T])
        z = least_polygon(curve, start, 1e-15)[0]
        eta = curve.chart.eta(z)
        lengths.append(length(eta, mu_of(mixture, eta)))
        n = 2 * n - 1
        if len(lengths) < 3:
            continue
        first, second = ((4 * b - a) / 3 for a, b in zip(lengths[-3:-1], lengths[-2:], strict=True))
        final = (16 * second - first) / 15
        if final == 0:
            return 0.0, 0.0
        moved = abs(second / final - 1)
        if moved <= settled or n > finest:
            return final, moved


def _check_ends(mixture: Mixture, ends: Float[ndarray, "2 D"]) -> None:
    """ValueError for ends that are none of the family, or have too little signal for the chart."""
    width = mixture.means.shape[1] + 1
    if ends.shape != (2, width) or not np.isfinite(ends).all():
        raise ValueError(f"ends: shape {ends.shape}; takes (2, {width}), finite natural parameters of two")
    least = max(-1 / v for v in (Chart.of(mixture).variance, mixture.variances.max()) if v > 0)
    if (k := -2 * ends[:, -1].max()) <= least:
        raise ValueError(f"ends: k = {k:g}; takes k > {least:g} (SNR)")


def _descend(curve: CurveEnergy, z: Float[ndarray, "n D"], energy: float,
             damping: float) -> tuple[Float[ndarray, "n D"], float, float]:
    """One damped Newton step that does not raise the energy: points, energy and the next damping."""
    gradient, diagonal, beside = _hessian(curve, z)
    gaussian = curve.chart.gaussian_metric(z)
    edge = (len(z) - 1) * (gaussian[1:] + gaussian[:-1])
    while damping <= MOST_DAMPING:
        band = _band(diagonal + damping * (edge[:-1] + edge[1:]), beside - damping * edge[1:-1])
        new, value = z.copy(), np.inf
        try:
            step = solveh_banded(band, -gradient.ravel()).reshape(-1, z.shape[1])
            far = np.sqrt(np.einsum("ni,nij,nj->n", step, gaussian[1:-1], step).max())
            new[1:-1] += step * min(1, LEAP / max(far, LEAP))
        except LinAlgError:
            damping *= 4
            continue
        if curve.within(new):
            value = curve.value(new)
        if value <= energy:
            return new, value, max(damping / 8, 1e-12)
        damping *= 4
    return z, energy, damping


def _hessian(curve: CurveEnergy, z: Float[ndarray, "n D"]) -> tuple[ndarray, ndarray, ndarray]:
    """In the chart, of the inner points: gradient, diagonal blocks, blocks beside them."""
    n, mixture = len(z), curve.mixture
    eta, J, K = curve.chart.eta(z), curve.chart.jacobian(z), np.exp(z[:, -1])
    mu, G = moments(mixture, eta)
    pull, turn = (2 * a[1:-1] - a[:-2] - a[2:] for a in (eta, mu))
    # d G along `pull`: a step of 1e-4 in Gaussian units, and of what is left above the floor
    size = np.sqrt((pull[:, :-1] ** 2).sum(1) / K[1:-1]) + np.abs(pull[:, -1]) / (K[1:-1] - curve.floor) + 1e-300
    h = (1e-4 / size)[:, None]
    third = (moments(mixture, eta[1:-1] + h * pull)[1] - G[1:-1]) / h[..., None]
    JT = np.swapaxes(J, -1, -2)
    in_eta = (G[1:-1] @ pull[..., None])[..., 0] + turn
    diagonal = JT[1:-1] @ (4 * G[1:-1] + third) @ J[1:-1]
    # the chart's own curvature: q = K y, theta = -K/2
    mixed = K[1:-1, None] * in_eta[:, :-1]
    diagonal[:, :-1, -1] += mixed
    diagonal[:, -1, :-1] += mixed
    diagonal[:, -1, -1] += (mixed * z[1:-1, :-1]).sum(1) - K[1:-1] * in_eta[:, -1] / 2
    beside = -JT[1:-2] @ (G[1:-2] + G[2:-1]) @ J[2:-1]
    diagonal, beside = (n - 1) * diagonal, (n - 1) * beside
    excess = curve.excess(z)[1:-1]
    diagonal[:, -1, -1] += 2 * curve.weight / n * (excess != 0)
    gradient = (n - 1) * (JT[1:-1] @ in_eta[..., None])[..., 0]
    gradient[:, -1] += 2 * curve.weight / n * excess
    return gradient, diagonal, beside


def _band(diagonal: Float[ndarray, "m D D"], beside: Float[ndarray, "m-1 D D"]) -> Float[ndarray, "2D mD"]:
    """Upper banded storage of the block tridiagonal matrix."""
    m, D = diagonal.shape[:2]
    band = np.zeros((2 * D, m, D))
    for k in range(D):                                      # entries (j - k, j)
        band[2 * D - 1 - k, :, k:] = np.diagonal(diagonal, k, 1, 2)
    for k in range(1 - D, D):                               # entries (j + k, j)
        band[D - 1 + k, 1:, max(0, -k):D - max(0, k)] = np.diagonal(beside, -k, 1, 2)
    return band.reshape(2 * D, m * D)
