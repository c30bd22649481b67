"""The probability-flow map of the heat flow and its approximation by a chain of Brenier maps.

Flow: `dX/dt = v_t(X)`, `v_t = -1/2 grad log rho_t` (20). Chain: `T_n o .. o T_1`, T_j the Brenier map from
`rho_{(j-1)h}` to `rho_{jh}`, h = tau / n. One link differs from the flow by `h^3 w_t`, so the chain by
`h^2 e(tau) + O(h^3)`, where along trajectories

    e' = (grad v_t) e + w_t,  e(0) = 0,     that is     e(tau) = J_tau  int_0^tau J_s^{-1} w_s(X_s) ds,   J_s = D X_s.

Backwards the inverse maps are composed, from rho_tau to rho_0, and the error is `-h^2 J_tau^{-1} e(tau)`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.integrate import solve_ivp

from phasebook.arguments import brief, number, numbers, whole
from phasebook.theory.heat.circle import brenier_circle
from phasebook.theory.heat.expansion import bend_of_q, solenoidal
from phasebook.theory.heat.monge_ampere import brenier
from phasebook.theory.heat.spectral import coarsest, spectral
from phasebook.theory.heat.torus import TorusDensity, grid_points, mean_norm

__all__ = ["Chain", "Constants", "Links", "chain_displacement", "chain_error", "chain_sweep", "circle_predicted",
           "flow_displacement", "limit", "links", "predicted", "torus_flow"]


def flow_displacement(velocity, x: Float[ndarray, "*p"], times: Float[ndarray, " s"]) -> Float[ndarray, "s *p"]:
    """`X_t(x) - x` at `times` (the first is the start; they may decrease), of `dX/dt = velocity(t, X)`.

    Dormand-Prince of order 8 on the displacement, which stays accurate relative to itself for short times.

    Args:
        velocity: of (t, X), in the shape of x.
        x: starting points.
        times: heat times, length^2.

    Raises:
        ValueError: for no times, or a NaN.
        RuntimeError: where the solver gives up.
    """
    times = numbers("times", times, "heat times").astype(np.float64)
    if times.ndim != 1 or not times.size:
        raise ValueError(f"times: shape {times.shape}; takes a list of heat times")
    if not (span := abs(times[-1] - times[0])):
        return np.zeros((len(times), *x.shape))
    solution = solve_ivp(lambda t, u: velocity(t, x + u.reshape(x.shape)).ravel(), (times[0], times[-1]),
                         np.zeros(x.size), method="DOP853", t_eval=times, rtol=1e-12, atol=1e-15 * min(span, 1.0))
    if not solution.success:
        raise RuntimeError(f"flow from t = {times[0]:g} to {times[-1]:g}: {solution.message}")
    return solution.y.T.reshape(len(times), *x.shape)


def _grid(density: TorusDensity, tau: float, n: int) -> Float[ndarray, "p d"]:
    """The grid points. ValueError for no grid, or a heat time that is none or leads back to where rho falls below 0."""
    tau = number("tau", tau, "a heat time")
    x = grid_points(whole("n", n, 2), density.d).reshape(-1, density.d)
    if tau < 0 and (least := density.heat(tau).minimum()) <= 0:
        raise ValueError(f"tau = {tau:g}: the density falls to {least:.2g} there; takes a time for which it stays "
                         "positive")
    return x


def _link(density: TorusDensity, h: float, n: int):
    """The Brenier map from density to density.heat(h) as a function points (p, d) -> displacement (p, d)."""
    if density.d == 1:
        exact = brenier_circle(density, h)
        return lambda x: exact(x[:, 0])[:, None]
    # heat smooths, and maps are evaluated off the grid anyway: where the grid is fine, later links need less of it
    enough = n if n <= 64 else coarsest(lambda k: density.q(grid_points(k, 2)), 64, 1e-8, n)[0]
    second = brenier(density, h, enough).second
    return lambda x: -h / 2 * density.score(x) + spectral(enough, 2).at(second, x)


def chain_displacement(density: TorusDensity, tau: float, links: int, n: int) -> Float[ndarray, "p d"]:
    """`T_links o .. o T_1 - Id` at the grid points.

    Args:
        density: where the chain starts.
        tau: heat time, length^2; negative to run back along the heat flow.
        links: number of maps.
        n: grid points an axis.

    Raises:
        ValueError: for no map, no grid, or a tau back to where the density would not be positive.
        RuntimeError: where a map does not converge.
    """
    x, links = _grid(density, tau, n), whole("links", links, 1)
    u, h = np.zeros_like(x), tau / links
    for j in range(links):
        u = u + _link(density.heat(j * h), h, n)(x + u)
    return u


def chain_error(density: TorusDensity, tau: float, links: int, n: int,
                flow: Float[ndarray, "p d"] | None = None) -> float:
    """`||chain - flow||_{L2(density)}`.

    Args:
        density: where chain and flow start.
        tau: heat time, length^2; negative to run back.
        links: number of maps.
        n: grid points an axis.
        flow: the flow map's displacement at the grid points, if known.
    """
    x = grid_points(n, density.d).reshape(-1, density.d)
    if flow is None:
        flow = torus_flow(density, tau, n)
    return mean_norm(chain_displacement(density, tau, links, n) - flow, density(x))


def torus_flow(density: TorusDensity, tau: float, n: int, times=None) -> Float[ndarray, "... p d"]:
    """The flow map's displacement at the grid points.

    Args:
        density: where the flow starts.
        tau: heat time, length^2; negative to run back.
        n: grid points an axis.
        times: all the heat times wanted, from 0 on, in place of tau alone.

    Raises:
        ValueError: for no grid, or a tau back to where the density would not be positive.
    """
    x = _grid(density, tau, n)
    path = flow_displacement(lambda t, y: -density.heat(t).score(y) / 2, x, [0.0, tau] if times is None else times)
    return path[-1] if times is None else path


class Constants(NamedTuple):
    """Predicted constants of a chain: `local = ||w_0||`, `forward`, `backward` = lim n^2 error."""

    local: float
    forward: float
    backward: float


def predicted(density: TorusDensity, tau: float, n: int, nodes: int = 16) -> Constants:
    """The limits of n^2 (error of n composed Brenier maps), `tau^2 ||e(tau)||` and `tau^2 ||J_tau^{-1} e(tau)||`.

    The time integral by Gauss-Legendre; J_s by spectral differentiation of the flow map.

    Args:
        density: rho, at heat time 0.
        tau: heat time, length^2.
        n: grid points an axis.
        nodes: of the time integral.
    """
    whole("nodes", nodes, 1)
    ops, x = spectral(n, density.d), grid_points(n, density.d)
    nodes, weights = np.polynomial.legendre.leggauss(nodes)
    times = np.concatenate([[0.0], tau * (nodes + 1) / 2, [tau]])
    path = torus_flow(density, tau, n, times)
    total = np.zeros((*x.shape, 1))
    eye = np.eye(density.d)
    for s, u, weight in zip(times[1:-1], path[1:-1], weights * tau / 2, strict=True):
        later = density.heat(s)
        w = solenoidal(later, bend_of_q(later, n)) / 48
        moved = ops.at(w, x.reshape(-1, density.d) + u).reshape(*x.shape, 1)
        total += weight * np.linalg.solve(eye + ops.jacobian(u.reshape(x.shape)), moved)
    end = (eye + ops.jacobian(path[-1].reshape(x.shape))) @ total
    rho = density(x)
    local = mean_norm(solenoidal(density, bend_of_q(density, n)), rho) / 48
    return Constants(local, tau**2 * mean_norm(end[..., 0], rho), tau**2 * mean_norm(total[..., 0], rho))


def circle_predicted(density: TorusDensity, tau: float, n: int, nodes: int = 16) -> Constants:
    """`predicted` on the circle in closed form: `e(tau) = C / rho_tau(X_tau)` with `C = int_0^tau c_s ds`.

    There `w_s = c_s / rho_s` and `J_s = rho / rho_s(X_s)`, so that `J_s^{-1} w_s(X_s) = c_s / rho`.

    Args:
        density: d = 1.
        tau: heat time, length^2.
        n: grid points, for means over the circle.
        nodes: of the time integral.

    Raises:
        ValueError: for a density on the torus, and where `torus_flow` refuses tau and n.
    """
    if density.d != 1:
        raise ValueError(f"density: of {density.d} dimensions; takes one, the circle")
    x, nodes = _grid(density, tau, n), whole("nodes", nodes, 1)
    roots, weights = np.polynomial.legendre.leggauss(nodes)

    def current(s):
        later = density.heat(s)
        return bend_of_q(later, n)[:, 0].mean() / (1 / later(x)).mean() / 48

    total = tau / 2 * sum(w * current(tau * (r + 1) / 2) for r, w in zip(roots, weights, strict=True))
    spread = [np.sqrt((1 / density.heat(t)(x)).mean()) for t in (0.0, tau)]
    return Constants(abs(current(0.0)) * spread[0], tau**2 * abs(total) * spread[1], tau**2 * abs(total) * spread[0])


class Chain(NamedTuple):
    """Numbers of maps, their distances from the flow map in both directions, and a remark on what was left out."""

    n: Int[ndarray, " s"]
    forward: Float[ndarray, " s"]
    backward: Float[ndarray, " s"]
    remark: str


def chain_sweep(density: TorusDensity, tau: float, many, n: int) -> Chain:
    """Chains of `many` numbers of Brenier maps against the flow map, from rho to rho_tau and back.

    A number of maps for which a link does not converge is left out and remarked.

    Args:
        density: at heat time 0.
        tau: heat time, length^2.
        many: numbers of maps.
        n: grid points an axis.
    """
    end = density.heat(tau)
    there, back = torus_flow(density, tau, n), torus_flow(end, -tau, n)
    rows, remark = [], ""
    for k in [whole("many", k, 1, what="numbers of maps") for k in many]:
        try:
            rows.append((k, chain_error(density, tau, int(k), n, there), chain_error(end, -tau, int(k), n, back)))
        except RuntimeError as error:
            remark = f"WARNING: n = {k} left out, no map at {error}."
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Chain(table[:, 0].astype(int), table[:, 1], table[:, 2], remark)


class Links(NamedTuple):
    """The numbers of maps to compute, ascending; which of them are asymptotic; a remark."""

    n: ndarray
    usable: ndarray
    remark: str


def links(asked, tau: float, kappa: float, most: int = 128) -> Links:
    """The asked numbers of maps, and two more where they leave fewer than two asymptotic ones.

    Asymptotic: a link is at most a tenth of the density's own time scale, `n >= 10 kappa tau`, so that the order
    fitted to two such n is off by at most about 0.01. Where two such n are not within `most`, none is added.

    Args:
        asked: numbers of maps.
        tau: heat time, length^2.
        kappa: inverse time scale of the density (`Expansion.kappa`).
        most: no larger number is added.

    Raises:
        ValueError: for numbers of maps that are not whole, or a time or rate that is none.
    """
    n = np.unique([whole("asked", k, 1, what="numbers of maps") for k in asked]).astype(int)
    least = 10 * number("kappa", kappa, "a rate >= 0", least=0) * number("tau", tau, "a heat time >= 0", least=0)
    if (n >= least).sum() >= 2:
        dropped = n[n < least]
        remark = f"n ≤ {dropped.max()} is pre-asymptotic and not used for order and constant." if dropped.size else ""
        return Links(n, n >= least, remark)
    first = 2 ** int(np.ceil(np.log2(max(least, 4))))
    if 2 * first > most:
        remark = f"WARNING: no order, no constant: they take two n_steps of {int(np.ceil(least))} or more."
        return Links(n, n >= least, remark)
    added = np.setdiff1d([first, 2 * first], n)
    n = np.union1d(n, added)
    remark = f"WARNING: too few of the n_steps are asymptotic; added: {', '.join(str(k) for k in added)}."
    return Links(n, n >= least, remark)


def limit(n: ndarray, errors: Float[ndarray, " s"]) -> float:
    """`lim n^2 error` from the two largest n, their difference of relative order n^-2 extrapolated away.

    A link and its inverse differ in the sign of h alone, so the error is a series in n^-2 and what is left is O(n^-4).

    Args:
        n: numbers of maps, ascending.
        errors: of the chains.

    Raises:
        ValueError: for fewer than two numbers of maps, or two that are the same.
    """
    if len(n) < 2 or len(n) != len(errors) or n[-1] == n[-2]:
        raise ValueError(f"n = {brief(np.asarray(n).tolist())}: takes two different numbers of maps, one error each")
    (a, b), (ca, cb) = n[-2:], (n**2 * errors)[-2:]
    return float(cb + (cb - ca) / ((b / a) ** 2 - 1))
