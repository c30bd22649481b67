"""Heat flow against displacement interpolation: the two errors of Theorem B.1 in each of the three settings.

`map_error` is the left side of (13). `w2` is the left side of (12), the largest over t of `W2(mu_t, mu_t^OT)`.
With S_t the Brenier map rho -> rho_t and `I_t = (1 - t/eps) Id + (t/eps) T_eps` (11), the pair (S_t, I_t) couples
mu_t with mu_t^OT, so `||S_t - I_t||_{L2(rho)}` bounds W2 from above. On the line it is W2. On the torus S_t - I_t is a
gradient in the coordinates of rho and, up to a relative O(eps), in those of mu_t; its solenoidal part there adds
in square, so the bound exceeds W2 by a relative O(eps^2) only. From below W2 is bounded by Kantorovich's duality, with
a multiple of Q for the potential (`torus_gap_below`): what refutes a bound must lie below W2.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from phasebook.theory.heat import gaussians
from phasebook.theory.heat.expansion import Expansion, Ladder, slope
from phasebook.theory.heat.line import LineMixture, norm, quadrature
from phasebook.theory.heat.monge_ampere import BrenierMap, brenier
from phasebook.theory.heat.spectral import spectral
from phasebook.theory.heat.torus import TorusDensity, grid_points, mean_norm

__all__ = ["Comparison", "Sweep", "compare", "gaussian_sweep", "line_interpolant", "line_reverse", "line_sweep",
           "torus_gap", "torus_gap_below", "torus_reverse", "torus_sweep", "velocity_gap"]


class Sweep(NamedTuple):
    """The left sides of (13) and (12), lengths, at the eps where they could be computed."""

    epsilons: Float[ndarray, " e"]
    map_error: Float[ndarray, " e"]
    w2: Float[ndarray, " e"]
    remark: str = ""


def _widest(gap, eps: float) -> float:
    """`max_t gap(t)` over (0, eps), for a gap close to a multiple of `t (eps - t)`.

    gap / (t (eps - t)) is fitted by the parabola through three points; the gap is then evaluated at the maximum.
    """
    f = np.array([0.35, 0.5, 0.65])
    shape = np.polyfit(f, [gap(s * eps) / (s * (1 - s)) for s in f], 2)
    fine = np.linspace(0.2, 0.8, 6001)
    top = fine[np.argmax(np.polyval(shape, fine) * fine * (1 - fine))]
    return float(gap(float(top) * eps))


def gaussian_sweep(s: float, epsilons, d: int = 1) -> Sweep:
    """N(0, s I_d), closed form; the largest gap is where `sqrt(s + t)` is the mean of its values at the two ends.

    Args:
        s: variance, length^2.
        epsilons: heat times, length^2.
        d: dimension.
    """
    eps = np.asarray(epsilons, dtype=np.float64)
    t = eps / 4 + eps / (np.sqrt(1 + eps / s) + 1) / 2
    error = np.array([gaussians.map_error(s, e, d) for e in eps])
    return Sweep(eps, error, gaussians.interpolation_gap(s, t, eps, d))


def line_sweep(rho: LineMixture, epsilons) -> Sweep:
    """A mixture on the line; W2 is exact.

    Args:
        rho: the mixture.
        epsilons: heat times, length^2.
    """
    x, weight = quadrature(rho)
    score, errors, gaps = rho.score(x), [], []
    for eps in epsilons:
        whole = rho.displacement(x, eps)

        def gap(t, eps=eps, whole=whole):
            return norm(rho.displacement(x, t) - t / eps * whole, weight)

        errors.append(norm(whole + eps / 2 * score, weight))
        gaps.append(_widest(gap, eps))
    return Sweep(np.asarray(epsilons, dtype=np.float64), np.array(errors), np.array(gaps))


def torus_gap(density: TorusDensity, t: float, eps: float, n: int, whole: BrenierMap) -> float:
    """`||S_t - I_t||_{L2(rho)}`, an upper bound of `W2(mu_t, mu_t^OT)`; the first-order parts cancel exactly.

    Args:
        density: rho.
        t: heat time within the step.
        eps: length of the step.
        n: grid points an axis.
        whole: `T_eps`, on the same grid.
    """
    return mean_norm(brenier(density, t, n).second - t / eps * whole.second, density(grid_points(n, density.d)))


def torus_gap_below(density: TorusDensity, t: float, eps: float, n: int, whole: BrenierMap) -> float:
    """A lower bound of `W2(mu_t, mu_t^OT)`, sharp to leading order.

    With `h = s Q`, and `L < 1` no less than the largest eigenvalue of `D^2 h`, for all x, y and their translates

        h(x) <= h(y) + grad h(y) . (x - y) + (L/2) |x - y|^2,
        |x - y|^2 / 2 >= h(x) - h(y) - |grad h(y)|^2 / (2 (1 - L)).

    Under any coupling of mu_t and mu_t^OT therefore

        W2^2 / 2 >= s a - s^2 b / (2 (1 - L)),   a = int Q d(mu_t - mu_t^OT),   b = int |grad Q|^2 d mu_t^OT.

    Taken at `s = a / b`. `a` is formed without cancellation, by the midpoint rule from I_t(x) to S_t(x), whose error is
    of third order in that distance.

    Args:
        density: rho, of two dimensions or one.
        t: heat time within the step.
        eps: length of the step.
        n: grid points an axis, of a grid that resolves grad Q.
        whole: `T_eps`, on the same grid.
    """
    x = grid_points(n, density.d)
    rho, there = density(x), x + t / eps * whole.displacement
    apart = brenier(density, t, n).second - t / eps * whole.second
    a = np.mean(rho * (density.grad_q(there + apart / 2) * apart).sum(-1))
    b = np.mean(rho * (density.grad_q(there) ** 2).sum(-1))
    bend = np.linalg.norm(spectral(n, density.d).jacobian(density.grad_q(x)), axis=(-2, -1)).max()
    least = 1 / (1 - 2 * abs(a) / b * bend)                       # twice what the grid shows of |D^2 Q|
    return float(abs(a) * np.sqrt(max(2 - least, 0.0) / b)) if least > 0 else 0.0


def torus_sweep(density: TorusDensity, epsilons, n: int, kappa: float = np.inf) -> Sweep:
    """A torus density on a grid of n points an axis; an eps without a converged map is left out and remarked.

    Where `kappa eps < 1e-3` the gap is taken at t = eps / 2: the maximum lies within `kappa eps` of it and, the gap
    being flat there, is larger by a relative `(kappa eps)^2` at most.

    Args:
        density: rho.
        epsilons: heat times, length^2.
        n: grid points an axis.
        kappa: inverse time scale of the density (`Expansion.kappa`).
    """
    done, errors, gaps, remark = [], [], [], ""
    for eps in epsilons:
        try:
            whole = brenier(density, eps, n)

            def gap(t, eps=eps, whole=whole):
                return torus_gap(density, t, eps, n, whole)

            widest = gap(eps / 2) if kappa * eps < 1e-3 else _widest(gap, eps)
        except RuntimeError as error:
            remark = f"WARNING: no map at {error}."
            continue
        done.append(eps)
        errors.append(whole.error)
        gaps.append(widest)
    return Sweep(np.array(done), np.array(errors), np.array(gaps), remark)


def velocity_gap(density: TorusDensity, fractions, eps: float, n: int, whole: BrenierMap) -> Float[ndarray, " f"]:
    """`||v_t^heat - v_t^OT||` of (34), (35) at `t = fraction * eps`, in L2 of mu_t^OT.

    At `I_t(x)` the OT velocity is `(T_eps(x) - x) / eps`; the norm is taken over x under rho.

    Args:
        density: rho.
        fractions: t / eps, in [0, 1].
        eps: length of the step, heat time.
        n: grid points an axis.
        whole: `T_eps`, on the same grid.
    """
    x = grid_points(n, density.d)
    rho, u = density(x), whole.displacement
    return np.array([mean_norm(-density.heat(f * eps).score(x + f * u) / 2 - u / eps, rho) for f in fractions])


class Comparison(NamedTuple):
    """A sweep against the constants of its density; None where no eps of the sweep is usable."""

    eps: float | None                # the smallest usable eps; the next three are taken there
    map_ratio: float | None          # measured / predicted of (13), limit 1
    w2_ratio: float | None           # measured / predicted of (12), limit 1
    map_slope: float | None          # fitted over the usable eps, limit 2; None for fewer than two
    w2_slope: float | None
    usable: Bool[ndarray, " e"]


def compare(sweep: Sweep, constants: Expansion, rungs: Ladder) -> Comparison:
    """Ratios and slopes of a sweep.

    Args:
        sweep: the measured errors.
        constants: of its density.
        rungs: which eps are usable, decided before anything was measured.
    """
    usable = np.isin(sweep.epsilons, rungs.epsilons[rungs.usable])
    if not usable.any():
        return Comparison(None, None, None, None, None, usable)
    first = int(np.flatnonzero(usable)[0])
    eps, error, w2 = (float(v[first]) for v in (sweep.epsilons, sweep.map_error, sweep.w2))
    unit = eps**2 * constants.grad_q_norm
    slopes = [None, None]
    if usable.sum() > 1:
        slopes = [slope(sweep.epsilons[usable], v[usable]) for v in (sweep.map_error, sweep.w2)]
    return Comparison(eps, 8 * error / unit, 32 * w2 / unit, *slopes, usable)


def line_reverse(rho: LineMixture, epsilons) -> Float[ndarray, " e"]:
    """`||T_eps^{-1} - (Id + (eps/2) grad log rho_eps)||` over `(eps^2/8) ||grad Q_eps||`, in L2(rho_eps).

    The inverse of a Brenier map is the Brenier map back, from rho_eps to rho. The ratio is `1 - beta eps + ..`.

    Args:
        rho: a mixture on the line.
        epsilons: heat times, length^2.
    """
    ratios = []
    for eps in epsilons:
        later = rho.heat(eps)
        x, weight = quadrature(later)
        error = norm(later.displacement(x, -eps) - eps / 2 * later.score(x), weight)
        ratios.append(error / (eps**2 / 8 * norm(later.grad_q(x), weight)))
    return np.array(ratios)


def torus_reverse(density: TorusDensity, epsilons, n: int) -> Float[ndarray, " e"]:
    """The ratio of `line_reverse` on the torus, by the Monge-Ampere equation from rho_eps to rho.

    Args:
        density: on the circle or the torus.
        epsilons: heat times, length^2.
        n: grid points an axis.
    """
    x, ratios = grid_points(n, density.d), []
    for eps in epsilons:
        later = density.heat(eps)
        ratios.append(brenier(later, -eps, n).error / (eps**2 / 8 * mean_norm(later.grad_q(x), later(x))))
    return np.array(ratios)


def line_interpolant(rho: LineMixture, fractions, eps: float, x: Float[ndarray, " p"]) -> list[Float[ndarray, " p"]]:
    """Densities of `mu_t^OT` (11): the image density `rho / I_t'` at `I_t`.

    `T' = rho / rho_eps(T)` is exact; the image points are dense, and the density is interpolated between them.

    Args:
        rho: a mixture on the line.
        fractions: t / eps, in [0, 1].
        eps: heat time, length^2.
        x: where the densities are wanted.
    """
    spread = np.linspace(x.min() - 1, x.max() + 1, 20 * len(x))
    u = rho.displacement(spread, eps)
    log_source = rho.log_density(spread)
    source, stretch = np.exp(log_source), np.exp(log_source - rho.heat(eps).log_density(spread + u))
    densities = []
    for f in fractions:
        slope_of_map = 1 - f + f * stretch
        image = np.divide(source, slope_of_map, out=np.zeros_like(source), where=slope_of_map > 1e-250)
        densities.append(np.interp(x, spread + f * u, image))
    return densities
