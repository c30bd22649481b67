"""Geodesics of the diffusion's spacetime: cubic splines of least energy between two (t, x) points.

From the circle that a single Gaussian would have (for atoms on the line also from the shortest path on a grid) a
coarse free polygon (`polygon`) is minimised; it says where the spline's nodes are needed. The spline
(`spline`) is then optimised on exact gradients. `0 <= t <= T` is a soft constraint: a quadratic
penalty, raised until it is met.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.arguments import whole
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import Schedule
from phasebook.mixtures.spacetime import energy as spacetime
from phasebook.mixtures.spacetime.chart import Chart, CurveEnergy, check_endpoints
from phasebook.mixtures.spacetime.grid import shortest_path
from phasebook.mixtures.spacetime.polygon import least_polygon
from phasebook.mixtures.spacetime.spline import COARSE, fit_spline

__all__ = ["Geodesic", "geodesic"]

MOST_NODES, HOPELESS = 80, 2e-3
PENALTIES = (1e2, 1e4, 1e6)


class Geodesic(NamedTuple):
    """A curve of spacetime.

    Attributes:
        t: (n,) diffusion times.
        x: (n, d) positions in the frame of `x_t`.
        eta: (n, d+1) natural parameters.
        mu: (n, d+1) expectation parameters.
        energy: raw, see `energy`.
        length: Fisher-Rao.
        nodes: of the spline that was used.
        iterations: of all optimisers together.
        on_bound: number of inner points at t = 0 or T.
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


def geodesic(mixture: Mixture, schedule: Schedule, endpoints: Float[ndarray, "2 d+1"], *, nodes: int = 10,
             points: int = 512, optimiser: Literal["lbfgs", "adam"] = "lbfgs", iterations: int | None = None,
             learning_rate: float = 0.1, accuracy: float | None = None) -> Geodesic:
    """The geodesic between two points of spacetime, as a cubic spline.

    Args:
        mixture: the data, in d dimensions.
        schedule: gives times their noise levels, and the bound `t <= T`.
        endpoints: two `(t, x)`, x in the frame of `x_t`.
        nodes: free nodes of the spline.
        points: at which the energy is summed.
        optimiser: `"lbfgs"`, or `"adam"` as published.
        iterations: bounds the optimiser (500 for L-BFGS, 2000 for Adam).
        learning_rate: of Adam.
        accuracy: if given, nodes are doubled until the energy is within this fraction of its minimum over all
            polygons; where 80 are not enough (atoms at low noise: curves are log-singular) every point is a node.

    Returns:
        The curve; constant for equal endpoints, of energy 0 for a single atom (all posteriors are equal).

    Raises:
        ValueError: for endpoints off the schedule or of another dimension, `nodes < 1`, `points < nodes + 2`, or an
            optimiser that is not known.
    """
    ends = check_endpoints(endpoints, schedule)
    _check(mixture, ends, nodes, points, optimiser)
    centre = mixture.weights @ mixture.means
    near = np.column_stack([ends[:, 0], ends[:, 1:] - schedule.alpha(ends[:, 0])[:, None] * centre])
    found = _geodesic(replace(mixture, means=mixture.means - centre), schedule, near, nodes, points, optimiser,
                      iterations, learning_rate, accuracy)
    return _moved(found, centre, ends)


def _moved(found: Geodesic, centre: Float[ndarray, " d"], ends: Float[ndarray, "2 d+1"]) -> Geodesic:
    """A geodesic of data about the origin as one of data about `centre`: of the same length. Far from the origin the
    numbers `|x_0|^2` would have lost it."""
    k, mean = -2 * found.eta[:, -1:], found.mu[:, :-1]
    x = found.x + np.sqrt(k / (1 + k)) * centre
    x[[0, -1]] = ends[:, 1:]
    eta = np.column_stack([found.eta[:, :-1] + k * centre, found.eta[:, -1]])
    mu = np.column_stack([mean + centre, found.mu[:, -1] + 2 * mean @ centre + centre @ centre])
    return found._replace(x=x, eta=eta, mu=mu)


def _geodesic(mixture: Mixture, schedule: Schedule, ends: Float[ndarray, "2 d+1"], nodes: int, points: int,
              optimiser: str, iterations: int | None, learning_rate: float, accuracy: float | None) -> Geodesic:
    """`geodesic` of data about the origin."""
    alpha, sigma = schedule.alpha(ends[:, 0]), schedule.sigma(ends[:, 0])
    if (ends[0] == ends[1]).all():
        eta = spacetime.eta_of(ends[:1, 1:], alpha[:1], sigma[:1]).repeat(points, 0)
        t, x = (a.repeat(points, 0) for a in (ends[:1, 0], ends[:1, 1:]))
        return Geodesic(t, x, eta, spacetime.mu_of(mixture, eta), 0.0, 0.0, nodes, 0, 0)
    curve = _curve(mixture, schedule, spacetime.eta_of(ends[:, 1:], alpha, sigma))
    if mixture.variances.max() == 0 and (mixture.means == mixture.means[0]).all():
        return _result(curve, schedule, ends, _start(curve, points), nodes, 0)

    def fit(z, nodes):
        return fit_spline(curve, z, nodes, points, optimiser, iterations, learning_rate)

    z, total = _coarse(curve, schedule, ends, min(COARSE, points))
    best, count = _raise_penalty(curve, z, lambda z: fit(z, nodes))
    total += count
    if accuracy is not None:
        best, nodes, count = _to_accuracy(curve, best, fit, nodes, points, accuracy)
        total += count
    return _result(curve, schedule, ends, best, nodes, total)


def _check(mixture: Mixture, ends: ndarray, nodes: int, points: int, optimiser: str) -> None:
    if ends.shape[1] != mixture.means.shape[1] + 1:
        raise ValueError(f"endpoints: {ends.shape[1] - 1} coordinates; the mixture has {mixture.means.shape[1]}")
    whole("points", points, whole("nodes", nodes, 1) + 2)
    if optimiser not in ("lbfgs", "adam"):
        raise ValueError(f"optimiser = {optimiser!r}: takes 'lbfgs' or 'adam'")


def _coarse(curve: CurveEnergy, schedule: Schedule, ends: ndarray, points: int) -> tuple[ndarray, int]:
    """A coarse free polygon near the geodesic; for atoms on the line, not convex, the better of two starts."""
    def solve(z):
        return least_polygon(curve, z, 1e-5, 100)

    mixture = curve.mixture
    z, total = _raise_penalty(curve, _start(curve, points), solve)
    if mixture.means.shape[1] == 1 and mixture.variances.min() == 0:
        other, count = _raise_penalty(curve, _along_grid(curve, schedule, ends), solve)
        z, total = min((z, other), key=lambda z: curve(curve.project(z))[0]), total + count
    return z, total


def _curve(mixture: Mixture, schedule: Schedule, eta: Float[ndarray, "2 D"]) -> CurveEnergy:
    """The energy between two members of the family, with the bounds `0 <= t <= T`."""
    chart = Chart.of(mixture)
    low = min(schedule.least_snr(), *(-2 * eta[:, -1]))
    return CurveEnergy(mixture, eta, chart.level(low), chart.level(np.exp(schedule.log_snr(np.array(0.0)))))


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


def _to_accuracy(curve, best, fit, nodes, points, tolerance) -> tuple[ndarray, int, int]:
    """Double the nodes until the energy is within the tolerance of the free polygon's; else that polygon. Either may
    leave [0, T] where the spline before did not."""
    free, total = _raise_penalty(curve, best, lambda z: least_polygon(curve, z, 1e-12, 600))
    least = curve(free)[0]
    above = curve(best)[0] / max(least, 1e-300) - 1
    while above >= tolerance and above < HOPELESS and 2 * nodes <= min(MOST_NODES, points - 2):
        nodes = 2 * nodes
        best, count = _raise_penalty(curve, best, lambda z, nodes=nodes: fit(z, nodes))
        total, above = total + count, curve(best)[0] / least - 1
    return (best, nodes, total) if above < tolerance else (free, points - 2, total)


def _result(curve, schedule, ends, z, nodes, iterations) -> Geodesic:
    z = curve.project(z)
    on_bound = int(((z[1:-1, -1] == curve.low) | (z[1:-1, -1] == curve.high)).sum())
    eta = curve.chart.eta(z)
    x, log_snr = spacetime.x_of(eta)
    t = np.clip(schedule.time(log_snr), 0, schedule.last)
    t[[0, -1]], x[[0, -1]] = ends[:, 0], ends[:, 1:]
    eta[[0, -1]] = spacetime.eta_of(ends[:, 1:], schedule.alpha(ends[:, 0]), schedule.sigma(ends[:, 0]))
    mu = spacetime.mu_of(curve.mixture, eta)
    return Geodesic(t, x, eta, mu, spacetime.energy(eta, mu), spacetime.length(eta, mu), nodes, iterations, on_bound)
