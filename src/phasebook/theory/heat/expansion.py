"""The expansion of a Brenier map in heat time, its sharp constants, and the range of eps where it can be measured.

    T_eps = Id + eps v_0 - (eps^2/8) grad Q + eps^3 b + O(eps^4),       v_0 = -1/2 grad log rho,

so the error (13) is `(eps^2/8) ||grad Q|| (1 + beta eps + ..)`, `beta = -8 <grad Q, b> / ||grad Q||^2`, and the gap
(12), `t (eps - t)/8 ||grad Q||` to leading order, is `(eps^2/32) ||grad Q|| (1 + 3/2 beta eps + ..)` at its largest.
The flow map differs from the Brenier map first at third order, by `eps^3 w`,
`w = P_sol(D^2 Q grad log rho) / 48`, P_sol the L2(rho) projection onto fields with `div(rho w) = 0`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.arguments import brief, numbers
from phasebook.theory.heat.line import LineMixture, norm, quadrature
from phasebook.theory.heat.monge_ampere import solve_weighted
from phasebook.theory.heat.spectral import coarsest, spectral, tail
from phasebook.theory.heat.torus import TorusDensity, grid_points, mean_norm

__all__ = ["Expansion", "Ladder", "bend_of_q", "ladder", "line_expansion", "resolving_grid", "slope", "solenoidal",
           "torus_expansion"]

TRUNCATION = 5e-3       # eps up to here counts as asymptotic: next term over leading term, for both ratios
ROUNDOFF = 1e-4         # eps down to here: relative error of the map error from floating point
RESOLVED = 5e-3         # tail of grad Q's spectrum; the error of its norm is of the order of its square
FINEST = 384            # the finest grid an axis that a chapter waits for


class Expansion(NamedTuple):
    """The constants of one density."""

    grad_q_norm: float          # ||grad Q|| in L2(rho)
    beta: float                 # relative next-order coefficient of (13), per unit of eps
    kappa: float                # 8 ||b|| / ||grad Q|| >= |beta|: 1 / kappa is the density's own time scale
    speed: float                # ||v_0|| in L2(rho)
    local: float                # ||w||: flow map against Brenier map, per eps^3

    def truncation(self, eps):
        """Estimated relative distance from the leading term, the larger of the two ratios'."""
        return 1.5 * self.kappa * np.asarray(eps)

    def roundoff(self, eps):
        """Estimated relative error of the map error: 1e-15 of the displacement over the second-order term."""
        return 8e-15 * self.speed / (np.asarray(eps) * self.grad_q_norm)


def line_expansion(rho: LineMixture) -> Expansion:
    """The constants of a mixture on the line, where every field is a gradient: `local = 0`.

    Args:
        rho: the mixture; its heat time is 0.
    """
    x, weight = quadrature(rho)
    grad_q, b = rho.grad_q(x), rho.third_order(x)
    size = norm(grad_q, weight)
    return Expansion(size, -8 * float((weight * grad_q * b).sum()) / size**2, 8 * norm(b, weight) / size,
                     norm(rho.score(x), weight) / 2, 0.0)


def solenoidal(density: TorusDensity, field: Float[ndarray, "*n d"]) -> Float[ndarray, "*n d"]:
    """P_sol: the part w of a field with `div(rho w) = 0`; `field - w` is the gradient of a periodic function.

    The Helmholtz decomposition with weight rho. On the circle `w = (mean field / mean 1/rho) / rho`.

    Args:
        density: rho, in one or two dimensions.
        field: on the grid of n points an axis, components last.

    Returns:
        w, in the shape of field.
    """
    n, d = field.shape[0], density.d
    ops, x = spectral(n, d), grid_points(n, d)
    rho, score = density(x), density.score(x)
    if d == 1:
        return (field.mean() / (1 / rho).mean() / rho)[..., None]
    potential = solve_weighted(rho, score, ops.divergence(field) + (score * field).sum(-1))
    return field - ops.gradient(potential)


def bend_of_q(density: TorusDensity, n: int) -> Float[ndarray, "*n d"]:
    """`D^2 Q grad log rho`, of which the flow map keeps the solenoidal part.

    Args:
        density: rho, in one or two dimensions.
        n: grid points an axis.

    Returns:
        The field on the grid, 1 / length^5.
    """
    x = grid_points(n, density.d)
    hessian = spectral(n, density.d).jacobian(density.grad_q(x))
    return (hessian @ density.score(x)[..., None])[..., 0]


def torus_expansion(density: TorusDensity, n: int) -> Expansion:
    """The constants of a density on the circle or the torus.

    Args:
        density: rho; its heat time is 0.
        n: points an axis of a grid that resolves grad Q (`resolving_grid`).
    """
    x = grid_points(n, density.d)
    rho, grad_q = density(x), density.grad_q(x)
    step = 1e-3 / (density.wave**2).sum(1).max()
    in_time = sum(c * density.heat(j * step).grad_q(x) for j, c in ((1, 8), (-1, -8), (2, -1), (-2, 1))) / (12 * step)
    bend = bend_of_q(density, n)
    w = solenoidal(density, bend)
    b = -(in_time - (bend - w) / 2) / 24
    size = mean_norm(grad_q, rho)
    return Expansion(size, -8 * float((rho * (grad_q * b).sum(-1)).mean()) / size**2, 8 * mean_norm(b, rho) / size,
                     mean_norm(density.score(x), rho) / 2, mean_norm(w, rho) / 48)


def resolving_grid(density: TorusDensity, asked: int, name: str = "torus_grid", *, modes: str = "torus_modes",
                   wanted: float = RESOLVED, finest: int = FINEST) -> tuple[int, str]:
    """The grid to work on and a remark: `asked`, or the first finer one that resolves grad Q (the remark says so).

    grad Q has poles at the complex zeros of rho, so its spectrum is far wider than that of rho.

    Args:
        density: rho.
        asked: points an axis.
        name: of the parameter that asks, for the remark.
        modes: of the parameter that holds the density, for the error.
        wanted: share of the spectrum allowed at the top of the grid.
        finest: the largest number of points an axis.

    Returns:
        Points an axis, and the remark ("" where `asked` does).

    Raises:
        ValueError: where even the finest grid does not do.
    """
    def q_on(n):
        return density.q(grid_points(n, density.d))

    n, left_over = coarsest(q_on, asked, wanted, max(finest, asked))
    if left_over > wanted:
        raise ValueError(f"{modes}: no grid up to {n} resolves grad Q (least density "
                         f"{density.minimum():.2g}, largest wave number {np.abs(density.wave).max():.0f}); takes "
                         f"smaller amplitudes or wave numbers")
    if n == asked:
        return n, ""
    return n, (f"WARNING: {name} = {asked} under-resolves grad Q (a share {tail(q_on(asked)):.1g} of its spectrum lies "
               f"at the top of the grid); computed on {n} instead.")


class Ladder(NamedTuple):
    """The eps to compute, ascending; which of them are usable for constants and slopes; a remark."""

    epsilons: Float[ndarray, " e"]
    usable: Float[ndarray, " e"]
    remark: str

    @property
    def best(self) -> int:
        """Index of the smallest usable eps."""
        return int(np.flatnonzero(self.usable)[0])


def ladder(epsilons, constants: Expansion) -> Ladder:
    """The asked epsilons, and more where they leave fewer than three usable ones or none at 1e-4 of the limit.

    Usable: above the round-off floor and below the time scale of the density, both estimated from the density
    and not from the measured errors.

    Args:
        epsilons: heat times, length^2.
        constants: of the density.
    """
    eps = np.unique(np.asarray(epsilons, dtype=np.float64))
    ok = (constants.truncation(eps) <= TRUNCATION) & (constants.roundoff(eps) <= ROUNDOFF)
    remarks = []
    if (low := eps[constants.roundoff(eps) > ROUNDOFF]).size:
        remarks.append(f"ε ≤ {low.max():.1g} lies below the round-off floor and is not used.")
    if (high := eps[constants.truncation(eps) > TRUNCATION]).size:
        remarks.append(f"ε ≥ {high.min():.1g} is pre-asymptotic for this density and is not used.")
    if ok.sum() < 3 or constants.truncation(eps[ok].min()) > 1e-4:
        top = 10.0 ** np.floor(np.log10(1e-3 / (1.5 * constants.kappa)))
        added = np.setdiff1d(top * np.array([1e-2, 1e-1, 1.0]), eps)
        eps = np.union1d(eps, added)
        remarks.append(f"WARNING: too few of the epsilons are usable; added: {', '.join(f'{e:.1g}' for e in added)}.")
        ok = (constants.truncation(eps) <= TRUNCATION) & (constants.roundoff(eps) <= ROUNDOFF)
    return Ladder(eps, ok, " ".join(remarks))


def slope(x: Float[ndarray, " p"], y: Float[ndarray, " p"]) -> float:
    """The least-squares slope of log y against log x: the order of `y ~ x^slope`.

    Args:
        x: positive, two different ones at least.
        y: positive.

    Raises:
        ValueError: for a number that is not positive, x all equal, or another number of y.
    """
    x, y = (numbers(name, v, "positive numbers").astype(np.float64) for name, v in (("x", x), ("y", y)))
    if x.ndim != 1 or x.shape != y.shape or min([*x, *y], default=0) <= 0 or not np.ptp(x) > 0:
        raise ValueError(f"x, y = {brief(x.tolist())}, {brief(y.tolist())}: takes positive numbers, as many of x as of "
                         "y, and two different ones of x")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])
