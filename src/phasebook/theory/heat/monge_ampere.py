"""Brenier maps on the flat torus: Monge-Ampere by Newton-Krylov, spectrally accurate, with its own error estimate.

The Brenier map from rho to `rho_t = rho * gamma_t` is `T = Id + grad phi`, phi periodic, where

    log rho_t(x + grad phi) + log det(I + D^2 phi) = log rho(x).

Two devices keep the second order of T visible at t = 1e-6, where it is 1e-12 of the size of the torus:
the residual is a sum of two log1p of *differences*, each taken without cancellation; and phi is written as
`-(t/2) log rho + c`, the first part with exact derivatives, so that only c, of size t^2, meets the grid and
the round-off. (c is not assumed small: the equation solved is the full one, whatever c turns out to be.)
`t < 0` gives the map from rho back along the heat flow.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse.linalg import LinearOperator, gmres

from phasebook.arguments import number, whole
from phasebook.theory.heat.spectral import Spectral, spectral
from phasebook.theory.heat.torus import TorusDensity, grid_points, mean_norm

__all__ = ["BrenierMap", "brenier", "solve_weighted"]

CONVEX = 1e-10          # an eigenvalue of I + D^2 phi below it is zero to rounding, and has no logarithm


class BrenierMap(NamedTuple):
    """A Brenier map on the grid. `displacement` = T - Id = first + second, `first` = -(t/2) grad log rho."""

    displacement: Float[ndarray, "*n d"]
    second: Float[ndarray, "*n d"]           # T - (Id - (t/2) grad log rho), the left side of Eq. (13)
    error: float                             # ||second|| in L2(rho)
    least_eigenvalue: float                  # min eig(I + D^2 phi) > 0: phi's potential is convex


def _determinant(h: Float[ndarray, "p *n"]) -> Float[ndarray, "*n"]:
    """`det(I + H) - 1` of the upper triangle h."""
    return h[0] if len(h) == 1 else h[0] + h[2] + (h[0] * h[2] - h[1] ** 2)


def _cofactor(h: Float[ndarray, "p *n"]) -> Float[ndarray, "p *n"]:
    """The upper triangle of `(I + H)^{-1}`, off-diagonal twice: its products with D's sum to `tr((I + H)^{-1} D)`."""
    if len(h) == 1:
        return 1 / (1 + h)
    return np.stack([1 + h[2], -2 * h[1], 1 + h[0]]) / (1 + _determinant(h))


def _least_eigenvalue(h: Float[ndarray, "p *n"]) -> float:
    if len(h) == 1:
        return float(1 + h[0].min())
    half = np.hypot((h[0] - h[2]) / 2, h[1])
    return float((1 + (h[0] + h[2]) / 2 - half).min())


def _krylov(ops: Spectral, drift: Float[ndarray, "d *n"], second: Float[ndarray, "p *n"] | None,
            root: Float[ndarray, "*n"], r: Float[ndarray, "*n"], rtol: float) -> Float[ndarray, "*n"]:
    """Solve `drift . grad u + second : D^2 u = r` (Laplacian where second is None) for u of mean 0.

    Right preconditioner `root^{-1} Laplacian^{-1} root`, root = sqrt(rho): it turns the weighted Laplacian into
    the Laplacian plus a bounded potential, so that the iteration count does not grow with the contrast of rho.
    """
    mean = root.mean()

    def precondition(z):
        return ops.back(ops.inverse * ops.forward(root * z)) / root

    def apply(flat):
        z = flat.reshape(ops.shape)
        gradient, hessian = ops.jet(ops.forward(precondition(z)))
        trace = sum(hessian[q] for q, (i, j) in enumerate(ops.pairs) if i == j) if second is None else \
            (second * hessian).sum(0)
        return ((drift * gradient).sum(0) + trace + (root * z).mean() / mean).ravel()

    size = r.size
    z, _ = gmres(LinearOperator((size, size), matvec=apply), r.ravel(), rtol=rtol, atol=0.0, restart=60, maxiter=5)
    return precondition(z.reshape(ops.shape))


def solve_weighted(rho: Float[ndarray, "*n"], score: Float[ndarray, "*n d"],
                   right: Float[ndarray, "*n"], rtol: float = 1e-12) -> Float[ndarray, "*n"]:
    """`(1/rho) div(rho grad u) = right`, the elliptic problem of (26) and (30).

    Args:
        rho: positive, on a grid of d dimensions.
        score: `grad log rho`, components last.
        right: its rho-mean is subtracted.
        rtol: of GMRES.

    Returns:
        u, on the grid.
    """
    ops = spectral(rho.shape[0], rho.ndim)
    right = right - (rho * right).mean() / rho.mean()
    return _krylov(ops, np.moveaxis(score, -1, 0), None, np.sqrt(rho), right, rtol)


class _Equation:
    """The Monge-Ampere residual of one pair (density, density.heat(t)) as a function of c, phi = -(t/2) log rho + c."""

    def __init__(self, density: TorusDensity, t: float, n: int):
        self.ops, self.x = spectral(n, density.d), grid_points(n, density.d)
        self.density, self.target, self.t = density, density.heat(t), t
        self.angles = density.angles(self.x)
        self.rho, gradient, hessian, *_ = density.derivatives(self.x)
        score = gradient / self.rho[..., None]
        bend = hessian / self.rho[..., None, None] - score[..., :, None] * score[..., None, :]
        self.first = np.moveaxis(-t / 2 * score, -1, 0)
        self.first_hessian = np.stack([-t / 2 * bend[..., i, j] for i, j in self.ops.pairs])
        self.root = np.sqrt(self.rho)

    def residual(self, c):
        """`(r, u, H, |r|)`; |r| = inf where the iterate is not convex. r is made rho-mean free: mass is conserved."""
        du, dh = self.ops.jet(self.ops.forward(c))
        u, h = self.first + du, self.first_hessian + dh
        change = self.density.increment(self.angles, np.moveaxis(u, 0, -1), self.t) / self.rho
        if not (_least_eigenvalue(h) > CONVEX and change.min() > -1):
            return None, u, h, np.inf
        r = np.log1p(change) + np.log1p(_determinant(h))
        r = r - (self.rho * r).mean() / self.rho.mean()
        return r, u, h, float(np.sqrt((r**2).mean()))

    def correction(self, state, rtol):
        """Newton's step from a state of `residual`."""
        r, u, h, _ = state
        drift = np.moveaxis(self.target.score(self.x + np.moveaxis(u, 0, -1)), -1, 0)
        return _krylov(self.ops, drift, _cofactor(h), self.root, -r, rtol)

    def start(self):
        """c = 0 (the paper's first-order map) or, where that is not convex, a shrunken first-order map."""
        for shrink in (0.0, 0.5, 0.75, 0.9, 1.0):
            c = shrink * self.t / 2 * np.log(self.rho)
            state = self.residual(c)
            if state[0] is not None:
                return c, state
        return c, state

    def damped(self, c, state, delta):
        """`c + length * delta` for the longest length 2^-j that keeps the iterate convex and the residual in check."""
        length = 1.0
        new = self.residual(c + delta)
        while not new[3] < 2 * state[3] and length > 1e-4:
            length /= 2
            new = self.residual(c + length * delta)
        return c + length * delta, new, length


def brenier(density: TorusDensity, t: float, n: int, *, max_steps: int = 30) -> BrenierMap:
    """The Brenier map from `density` to `density.heat(t)` on the grid of n points an axis.

    Damped Newton until the corrections no longer shrink.

    Args:
        density: rho, in one or two dimensions.
        t: heat time, length^2; negative for the map from rho back along the heat flow.
        n: grid points an axis.
        max_steps: of Newton's method.

    Raises:
        ValueError: no heat time, or no grid.
        RuntimeError: where the corrections do not shrink or the iterate cannot be kept convex: the grid is then too
            coarse, or t too large, for this density.
    """
    t, n = number("t", t, "a heat time other than 0"), whole("n", n, 2)
    if t == 0:
        raise ValueError("t = 0: takes a heat time other than 0, at which every map is the identity")
    eq = _Equation(density, t, n)
    c, state = eq.start()
    before, converged = np.inf, False
    for _ in range(max_steps):
        if state[0] is None:
            break
        delta = eq.correction(state, 1e-3 if state[3] > 1e-5 * abs(t) else 1e-6)
        c, state, length = eq.damped(c, state, delta)
        moved = mean_norm(eq.ops.gradient(delta), eq.rho)
        # at the round-off of the residual, or at the point where corrections stop shrinking
        converged = length == 1 and (moved <= 1e-14 * abs(t) or before / 2 < moved < 1e-9 * abs(t))
        if converged:
            break
        before = moved
    if not converged or state[0] is None:
        raise RuntimeError(f"t = {t:g}, grid = {n}: no Brenier map; takes a finer grid or a smaller t")
    second = eq.ops.gradient(c)
    return BrenierMap(np.moveaxis(state[1], 0, -1), second, mean_norm(second, eq.rho), _least_eigenvalue(state[2]))
