"""Geodesics of the diffusion's spacetime: cubic splines of least energy between two (t, x) points.

From the circle that a single Gaussian would have (for atoms on the line also from the shortest path on a grid) a
coarse free polygon (`spacetime_polygon`) is relaxed; it says where the spline's nodes are needed. The spline
(`spacetime_spline`) is then optimised on exact gradients. `0 <= t <= T` is a soft constraint: a quadratic
penalty, raised until it is met.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import Schedule
from phasebook.mixtures.spacetime import energy as spacetime
from phasebook.mixtures.spacetime.chart import Chart, CurveEnergy
from phasebook.mixtures.spacetime.grid import shortest_path
from phasebook.mixtures.spacetime.polygon import relax
from phasebook.mixtures.spacetime.spline import COARSE, fit_spline

__all__ = ["Geodesic", "check_endpoints", "edit_distance", "geodesic"]

MOST_NODES, HOPELESS = 80, 2e-3
PENALTIES = (1e2, 1e4, 1e6)


class Geodesic(NamedTuple):
    """A curve of spacetime: times (n,), positions (n, d), `eta` and `mu` (n, d+1), raw energy and length.

    `nodes` and `iterations` are what was used; `on_bound` counts inner points at t = 0 or T.
    """

    t: Float[ndarray, " n"]
    x: Float[ndarray, "n d"]
    eta: Float[ndarray, "n d+1"]
    mu: Float[ndarray, "n d+1"]
    energy: float
    length: float
    nodes: int
    iterations: int
    on_bound: int


def check_endpoints(endpoints: Float[ndarray, "2 d+1"], schedule: Schedule) -> Float[ndarray, "2 d+1"]:
    """Two (t, x) points as an array; ValueError in one line for a wrong shape, a NaN or a time off the schedule."""
    ends = np.asarray(endpoints, dtype=float)
    if ends.ndim != 2 or len(ends) != 2 or ends.shape[1] < 2:
        raise ValueError(f"endpoints: shape {ends.shape}; takes two points [[t, x], [t, x]]")
    if not np.isfinite(ends).all():
        raise ValueError(f"endpoints = {ends.tolist()}: takes finite numbers")
    schedule.check(ends[:, 0], "endpoints")
    if not np.isfinite(schedule.log_snr(ends[:, 0])).all():
        bad = ends[~np.isfinite(schedule.log_snr(ends[:, 0])), 0][0]
        raise ValueError(f"endpoints: t = {bad:g} has log-SNR {schedule.log_snr(np.array(bad)):g} in "
                         f"{schedule.name}; takes times of finite log-SNR")
    return ends


def geodesic(mixture: Mixture, schedule: Schedule, endpoints: Float[ndarray, "2 d+1"], *, nodes: int = 10,
             points: int = 512, optimiser: Literal["lbfgs", "adam"] = "lbfgs", iterations: int | None = None,
             learning_rate: float = 0.1, refine: float | None = None) -> Geodesic:
    """The geodesic between two (t, x) points, as a spline with `nodes` free nodes on `points` points.

    `refine`: double the nodes until the energy is within this fraction of its minimum over all polygons; where
    80 nodes are not enough (atoms at low noise: curves are log-singular) every point is one. `iterations` bounds the
    optimiser (500 for L-BFGS, 2000 for Adam at `learning_rate`, as published). Equal endpoints give the
    constant curve, energy 0; one atom (or coincident ones) a curve of energy 0, all posteriors being equal.
    ValueError for endpoints off the schedule, nodes < 1 or points < nodes + 2.
    """
    ends = check_endpoints(endpoints, schedule)
    if ends.shape[1] != mixture.means.shape[1] + 1:
        raise ValueError(f"endpoints: {ends.shape[1] - 1} coordinates; the mixture has {mixture.means.shape[1]}")
    if nodes < 1 or points < nodes + 2:
        raise ValueError(f"nodes = {nodes}, points = {points}: take nodes >= 1 and points >= nodes + 2")
    if optimiser not in ("lbfgs", "adam"):
        raise ValueError(f"optimiser = {optimiser!r}: takes 'lbfgs' or 'adam'")
    alpha, sigma = schedule.alpha(ends[:, 0]), schedule.sigma(ends[:, 0])
    if (ends[0] == ends[1]).all():
        eta = spacetime.eta_of(ends[:1, 1:], alpha[:1], sigma[:1]).repeat(points, 0)
        t, x = (a.repeat(points, 0) for a in (ends[:1, 0], ends[:1, 1:]))
        return Geodesic(t, x, eta, spacetime.mu_of(mixture, eta), 0.0, 0.0, nodes, 0, 0)
    curve = _curve(mixture, schedule, spacetime.eta_of(ends[:, 1:], alpha, sigma))
    if mixture.variances.max() == 0 and (mixture.means == mixture.means[0]).all():
        return _result(curve, schedule, ends, _start(curve, points), nodes, 0)
    z, total = _raise_penalty(curve, _start(curve, min(COARSE, points)), lambda z: relax(curve, z, 1e-5, 100))
    if mixture.means.shape[1] == 1 and mixture.variances.min() == 0:       # atoms: not convex, start well
        other, count = _raise_penalty(curve, _along_grid(curve, schedule, ends), lambda z: relax(curve, z, 1e-5, 100))
        z, total = min((z, other), key=lambda z: curve(curve.project(z))[0]), total + count
    fit = partial(fit_spline, curve, points=points, optimiser=optimiser, iterations=iterations,
                  learning_rate=learning_rate)
    best, count = _raise_penalty(curve, z, lambda z: fit(z, nodes))
    total += count
    if refine is not None:
        best, nodes, count = _refine(curve, best, fit, nodes, points, refine)
        total += count
    return _result(curve, schedule, ends, best, nodes, total)


def edit_distance(mixture: Mixture, schedule: Schedule, a: Float[ndarray, " d"], b: Float[ndarray, " d"],
                  t: float, refine: float | None = 1e-5, **options) -> float:
    """Diffusion edit distance of two data points: length of the geodesic between `(t, alpha_t a)`, `(t, alpha_t b)`.

    `t` is the low noise that stands for clean data; options go to `geodesic`, refined unless told otherwise.
    """
    x = float(schedule.alpha(t)) * np.array([a, b], dtype=float).reshape(2, -1)
    return geodesic(mixture, schedule, np.column_stack([[t, t], x]), refine=refine, **options).length


def _curve(mixture, schedule, eta):
    snr = np.exp(schedule.log_snr(np.array([schedule.last, 0.0])))
    chart = Chart.of(mixture)
    return CurveEnergy(mixture, eta, chart.level(snr[0]), chart.level(snr[1]))


def _start(curve: CurveEnergy, n: int) -> Float[ndarray, "n D"]:
    """The circle of the Gaussian with the data's mean and variance, kept within the bounds of u."""
    z = curve.chart.circle(*curve.ends, np.linspace(0, 1, n))
    z[1:-1, -1] = np.clip(z[1:-1, -1], curve.low, curve.high)
    return z


def _along_grid(curve: CurveEnergy, schedule: Schedule, ends: ndarray) -> Float[ndarray, "n D"]:
    """The shortest path on a grid, at equal shares of its length."""
    eta = shortest_path(curve.mixture, schedule, ends)[1]
    step = np.diff(eta, axis=0) * np.diff(spacetime.mu_of(curve.mixture, eta), axis=0)
    arc = np.concatenate([[0], np.cumsum(np.sqrt(np.maximum(step.sum(1), 1e-24)))])
    z, s = curve.chart.of_eta(eta), np.linspace(0, arc[-1], COARSE)
    return np.column_stack([np.interp(s, arc, column) for column in z.T])


def _raise_penalty(curve: CurveEnergy, z: ndarray, solve: Callable) -> tuple[ndarray, int]:
    """Solve; where t has left [0, T], again under a growing penalty, each time from the last curve."""
    total, scale = 0, max(curve(z)[0], 1e-12)
    for weight in (curve.weight, *(w * scale for w in PENALTIES if w * scale > curve.weight)):
        curve.weight = weight
        z, count = solve(z)
        total += count
        if np.abs(curve.excess(z)).max() < 1e-6:
            break
    return z, total


def _refine(curve, best, fit, nodes, points, tolerance) -> tuple[ndarray, int, int]:
    """Double the nodes until the energy is within the tolerance of the free polygon's; else that polygon."""
    free, total = relax(curve, best, 1e-12, 600)
    least = curve(free)[0]
    above = curve(best)[0] / max(least, 1e-300) - 1
    while above >= tolerance and above < HOPELESS and 2 * nodes <= min(MOST_NODES, points - 2):
        nodes = 2 * nodes
        best, count = fit(best, nodes)
        total, above = total + count, curve(best)[0] / least - 1
    return (best, nodes, total) if above < tolerance else (free, points - 2, total)


def _result(curve, schedule, ends, z, nodes, iterations) -> Geodesic:
    z = curve.project(z)
    on_bound = int(((z[1:-1, -1] == curve.low) | (z[1:-1, -1] == curve.high)).sum())
    x, log_snr = spacetime.x_of(curve.chart.eta(z))
    t = np.clip(schedule.time(log_snr), 0, schedule.last)
    t[[0, -1]], x[[0, -1]] = ends[:, 0], ends[:, 1:]
    eta = spacetime.eta_of(x, schedule.alpha(t), schedule.sigma(t))
    mu = spacetime.mu_of(curve.mixture, eta)
    return Geodesic(t, x, eta, mu, spacetime.energy(eta, mu), spacetime.length(eta, mu), nodes,
                    iterations, on_bound)
