"""A step of the Jordan-Kinderlehrer-Otto scheme on the torus, as the convex minimisation that it is.

    minimise over densities:   W2(rho, .)^2 / (2 tau) + 1/2 int . log .

The minimiser is the image of rho under `Id + grad phi` with phi periodic, and in terms of phi the functional is

    J(phi) = <|grad phi|^2>_rho / (2 tau) - 1/2 <log det(I + D^2 phi)>_rho  + const,

strictly convex up to constants. JKO is implicit Euler in W2: its end velocity is the heat velocity of the *end*,
so its step overshoots the acceleration and misses the heat flow by `(tau^2/8) ||grad Q||`. float64.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse.linalg import LinearOperator, cg

from phasebook.arguments import number, whole
from phasebook.theory.heat.monge_ampere import _cofactor, _Equation
from phasebook.theory.heat.torus import TorusDensity, mean_norm

__all__ = ["jko_second"]


def jko_second(density: TorusDensity, tau: float, n: int, max_steps: int = 30) -> Float[ndarray, "*n d"]:
    """`T - (Id - (tau/2) grad log rho)` of the map T of one JKO step; subtract `brenier(..).second` for the gap.

    Newton's method with preconditioned conjugate gradients.

    Args:
        density: rho, in one or two dimensions.
        tau: length of the step, heat time.
        n: grid points an axis.
        max_steps: of Newton's method.

    Returns:
        The field on the grid, a length; about `-(tau^2/4) grad Q`.

    Raises:
        ValueError: for a step of no length, or no grid.
        RuntimeError: where the step does not converge.
    """
    tau, n = number("tau", tau, "a heat time > 0", above=0), whole("n", n, 2)
    step = _Step(density, tau, n)
    ops, rho = step.eq.ops, step.eq.rho
    c, _ = step.eq.start()
    for _ in range(max_steps):
        delta, stretch = step.newton(c)
        # full steps where I + D^2 phi changes by less than a third, else damped so that it stays positive
        length = 1.0 if stretch < 1 / 3 else 1 / (1 + stretch)
        c = c + length * delta
        if length == 1 and mean_norm(ops.gradient(delta), rho) <= 1e-9 * mean_norm(ops.gradient(c), rho):
            return ops.gradient(c)
    raise RuntimeError(f"tau = {tau:g}, grid = {n}: the JKO step did not converge; takes a finer grid or a smaller tau")


class _Step:
    """Gradient and Hessian of J as functions of c, phi = -(tau/2) log rho + c."""

    def __init__(self, density: TorusDensity, tau: float, n: int):
        self.eq, self.tau = _Equation(density, tau, n), tau
        ops = self.eq.ops
        # neither the mean nor the Nyquist modes, whose slope is zero on the grid, enter the minimisation
        self.kept = (ops.square > 0) & (np.abs((ops.wave**2).sum(0) - ops.square) < 0.5)
        square = np.maximum(ops.square, 1.0)
        self.symbol = square / tau + square**2 / 2

    def project(self, field):
        return self.eq.ops.back(self.kept * self.eq.ops.forward(field))

    def _assemble(self, gradient, second):
        """`-div(rho gradient)/tau + 1/2 sum_ij d_ij(rho second_ij)`; second's off-diagonal entry counts twice."""
        ops = self.eq.ops
        both = np.concatenate([-gradient / self.tau, second / 2]) * self.eq.rho
        return ops.back(self.kept * (ops.symbols * ops.forward(both)).sum(0))

    def newton(self, c):
        """Newton's correction by conjugate gradients, and the largest `|(I + H)^{-1} D^2 correction|`.

        Preconditioner: the Hessian for constant rho between factors rho^{-1/2}.
        """
        eq, ops, size = self.eq, self.eq.ops, c.size
        gradient, second = ops.jet(ops.forward(c))
        h = eq.first_hessian + second
        inverse = _cofactor(h)
        # with B = I - (I + H)^{-1} in place of -(I + H)^{-1} the first-order parts have cancelled
        slope = self._assemble(gradient, _defect(h))

        def hessian(flat):
            g, s = ops.jet(self.kept * ops.forward(flat.reshape(ops.shape)))
            return self._assemble(g, _sandwich(inverse, s)).ravel()

        def precondition(flat):
            z = self.project(flat.reshape(ops.shape)) / eq.root
            return self.project(ops.back(ops.forward(z) / self.symbol) / eq.root).ravel()

        correction, _ = cg(LinearOperator((size, size), matvec=hessian), -slope.ravel(), rtol=1e-8, atol=0.0,
                           M=LinearOperator((size, size), matvec=precondition), maxiter=300)
        correction = correction.reshape(ops.shape)
        _, s = ops.jet(self.kept * ops.forward(correction))
        return correction, float(np.sqrt((_sandwich(inverse, s) * s).sum(0).max()))


def _defect(h):
    """`I - (I + H)^{-1}` without cancellation, upper triangle, off-diagonal twice."""
    if len(h) == 1:
        return h / (1 + h)
    minor = h[0] * h[2] - h[1] ** 2
    return np.stack([h[0] + minor, 2 * h[1], h[2] + minor]) / (1 + h[0] + h[2] + minor)


def _sandwich(a, s):
    """`A S A` for the symmetric S with upper triangle s, A in `_cofactor` form; off-diagonal twice."""
    if len(a) == 1:
        return a**2 * s
    a0, a1, a2 = a[0], a[1] / 2, a[2]
    p, q = a0 * s[0] + a1 * s[1], a0 * s[1] + a1 * s[2]
    v, w = a1 * s[0] + a2 * s[1], a1 * s[1] + a2 * s[2]
    return np.stack([p * a0 + q * a1, 2 * (p * a1 + q * a2), v * a1 + w * a2])
