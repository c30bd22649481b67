"""Chains of Brenier maps between the noisy marginals of data in the plane, from far noise down to small noise.

Heat frame: at noise level s (a standard deviation) the law of atoms y_i is `p_s = sum_i w_i N(y_i, s^2 I)`.
The Brenier map from p_s to p_t, t < s, is sought as

    T = r x + (1 - r) E[x_0 | x] + grad c,   r = t / s.

The first two terms are one DDIM step, a gradient itself, with Jacobian `r I + (1 - r) Cov[x_0 | x] / s^2 > 0`, and
exact in the far tails, so c is small and smooth. It solves the Monge-Ampere equation
`log p_t(T) + log det DT = log p_s` by Newton's method with sixth-order differences; a sparse factorisation at second
order preconditions GMRES. Where p_s is below e^-12 of its maximum c is harmonic instead: those tails carry no mass, and
convexity lost there would stop the iteration. A long link is reached by continuation in t: Newton starts from the
extrapolated solution of a shorter one, and a step in log t is halved where that leaves the convex functions. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.interpolate import RectBivariateSpline
from scipy.sparse import csr_matrix, diags, identity, kron
from scipy.sparse.linalg import LinearOperator, gmres, splu

from phasebook.arguments import number
from phasebook.theory.cells.mixture_cells import cell_of, mixture_cells
from phasebook.theory.chains.plane_atoms import Atoms, levels

__all__ = ["Chain", "Link", "chain", "link"]

REACH = 5.0                    # half width of the grid beyond the means, in units of the noise
TAIL, CORE = -12.0, -8.0       # log p_s - max: c is harmonic below the first, the full equation holds above the second
FIRST = float(np.log(0.8))     # first step of the continuation, in log t
SHIFT = 1e-4                   # c is known up to a constant only: makes the linear problem regular, per half width^2
FAR, FINEST = 128, 240         # most points an axis, for targets far above the data and in general
# central differences of the first and second derivative, by their order
STENCILS = {2: (np.array([-1, 0, 1]) / 2, np.array([1.0, -2, 1])),
            6: (np.array([-1, 9, -45, 0, 45, -9, 1]) / 60, np.array([2, -27, 270, -490, 270, -27, 2]) / 180)}


class Link(NamedTuple):
    """A Brenier map from p_s to p_t.

    Attributes:
        data: the atoms.
        s: noise level of the source.
        t: noise level of the target.
        correction: c, a spline.
        residual: of the Monge-Ampere equation, in L2(p_s).
        grid: points an axis.
    """

    data: Atoms
    s: float
    t: float
    correction: RectBivariateSpline
    residual: float
    grid: int

    def __call__(self, x: Float[ndarray, "b 2"]) -> Float[ndarray, "b 2"]:
        """The images T(x)."""
        r = self.t / self.s
        slope = [self.correction.ev(x[:, 0], x[:, 1], dx=i, dy=1 - i) for i in (1, 0)]
        return r * x + (1 - r) * self.data.denoise(x, self.s) + np.stack(slope, axis=1)


def link(data: Atoms, s: float, t: float, nodes: float = 4.0, tolerance: float = 1e-6) -> Link:
    """The Brenier map from p_s to p_t.

    Args:
        data: the atoms.
        s: noise level of the source.
        t: noise level of the target, 0 < t < s.
        nodes: grid points per length t.
        tolerance: of the residual, in L2(p_s); a link that stalls within ten times this is accepted.

    Raises:
        ValueError: for a level t that is not below s, and above 0.
        RuntimeError: where the grid would be too fine, or no step of the continuation keeps the map convex.
    """
    s = number("s", s, "a noise level > 0", above=0)
    if (t := number("t", t, "a noise level > 0", above=0)) >= s:
        raise ValueError(f"t = {t:g}: takes a noise level below that of the source, s = {s:g}")
    eq = _Equation(data, s, t, nodes)
    c, done, rate, step, end = np.zeros(eq.shape), 0.0, 0.0, FIRST, np.log(t / s)
    while done > end:
        to = end if done + step < end else done + step
        solved, residual = eq.solve(c + (to - done) * rate, s * np.exp(to), tolerance if to == end else 1e-3)
        if solved is None:
            step /= 2
            if step > FIRST / 64:
                raise RuntimeError(f"s = {s:.3g}, t = {t:.3g}, grid = {eq.shape[0]}: no Brenier map; "
                                   "takes a level t nearer to s or more nodes")
            continue
        rate, c, done, step = (solved - c) / (to - done), solved, to, 1.5 * step
    return Link(data, s, t, RectBivariateSpline(*eq.axes, c, kx=5, ky=5), residual, eq.shape[0])


class Chain(NamedTuple):
    """n Brenier maps with geometric steps from the law at a far noise level to the atoms.

    Attributes:
        data: the atoms.
        levels: where the maps start, descending.
        links: the maps between successive levels (n - 1).
        values: g of the last map, from the last level to the atoms, which is semi-discrete.
    """

    data: Atoms
    levels: Float[ndarray, " n"]
    links: list[Link]
    values: Float[ndarray, " m"]

    def atom_of(self, x: Float[ndarray, "b 2"]) -> Int[ndarray, " b"]:
        """Index of the atom to which the maps, composed, send a point at the first level."""
        for step in self.links:
            x = step(x)
        return cell_of(self.data.y, self.values, x)


def chain(data: Atoms, start: float, end: float, n: int, nodes: float = 4.0) -> Chain:
    """The chain of n maps; one map is the semi-discrete one alone.

    Args:
        data: the atoms.
        start: noise level at which the first map starts, far above the data.
        end: the level at which an (n + 1)st map would start; the last one starts one step above.
        n: number of maps.
        nodes: grid points per length t in a link to level t.

    Raises:
        RuntimeError: where a link is not resolved.
    """
    at = levels(start, end, n)
    steps = [link(data, s, t, nodes) for s, t in zip(at[:-1], at[1:], strict=True)]
    return Chain(data, at, steps, mixture_cells(data.y, data.weights, at[-1]))


def _differences(n: int, h: float, order: int):
    """The matrices (n, n) of the first and second derivative, values mirrored beyond both ends."""
    i, matrices = np.arange(n), []
    for power, coefficients in enumerate(STENCILS[order], 1):
        matrix = np.zeros((n, n))
        reach = len(coefficients) // 2
        for offset, weight in enumerate(coefficients, -reach):
            j = np.abs(i + offset)
            np.add.at(matrix, (i, np.minimum(j, 2 * (n - 1) - j)), weight / h**power)
        matrices.append(matrix)
    return matrices


class _Equation:
    """The Monge-Ampere residual on a square grid of the source as a function of c, for targets of any level."""

    def __init__(self, data, s, t, nodes):
        self.data, self.s = data, s
        low, high = data.y.min(0) - REACH * s, data.y.max(0) + REACH * s
        half = (high - low).max() / 2
        n = max(48, int(np.ceil(2 * half * nodes / t)))
        if t > (data.y.max(0) - data.y.min(0)).max() / 4:               # one mode: the map is nearly linear
            n = min(n, FAR)
        if n > FINEST:
            raise RuntimeError(f"s = {s:.3g}, t = {t:.3g}: {n} grid points an axis; takes at most {FINEST}")
        self.shape, self.shift = (n, n), SHIFT / half**2
        self.axes = [middle + np.linspace(-half, half, n) for middle in (low + high) / 2]
        self.x = np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1)
        self.height, self.mean, self.cov = data.posterior(self.x, s)
        depth = self.height - self.height.max()
        self.mass = np.exp(depth) / np.exp(depth).sum()
        u = np.clip((depth - TAIL) / (CORE - TAIL), 0, 1)
        self.full = u * u * (3 - 2 * u)
        self.d1, self.d2 = _differences(n, 2 * half / (n - 1), 6)
        (b1, b2), one = (csr_matrix(b) for b in _differences(n, 2 * half / (n - 1), 2)), identity(n)
        self.coarse = [kron(b1, one), kron(one, b1), kron(b2, one), kron(b1, b1), kron(one, b2)]

    def jet(self, c):
        """c_1, c_2, c_11, c_12, c_22."""
        first = self.d1 @ c
        return np.stack([first, c @ self.d1.T, self.d2 @ c, first @ self.d1.T, c @ self.d2.T])

    def residual(self, c, t):
        """`(|r|, r, coefficients of the linearised equation on the jet)`; |r| = inf where the map is not convex."""
        r, jet = t / self.s, self.jet(c)
        image = r * self.x + (1 - r) * self.mean + np.moveaxis(jet[:2], 0, -1)
        h = (1 - r) / self.s**2 * self.cov + jet[2:]
        h[[0, 2]] += r
        det = h[0] * h[2] - h[1] ** 2
        inside = self.full > 0
        if det[inside].min() <= 0 or h[0][inside].min() <= 0:
            return np.inf, None, None
        det = np.where(inside, det, 1.0)
        height, mean, _ = self.data.posterior(image, t)
        tail = 1 - self.full
        defect = self.full * (height + np.log(det) - self.height) + tail * (jet[2] + jet[4])
        defect -= self.full * (self.mass * defect).sum()
        score = np.moveaxis(mean - image, -1, 0) / t**2             # Tweedie's formula
        k = self.full / det
        rows = [*(self.full * score), k * h[2] + tail, -2 * k * h[1], k * h[0] + tail]
        return np.sqrt((self.mass * defect**2).sum()), defect, np.stack(rows)

    def newton(self, rows, defect, factor):
        """Newton's correction, the iterations of GMRES it took, and the factorisation it used."""
        size = defect.size
        if factor is None:
            matrix = sum(diags(row.ravel()) @ part for row, part in zip(rows, self.coarse, strict=True))
            factor = splu((matrix - self.shift * identity(size)).tocsc(), permc_spec="MMD_AT_PLUS_A",
                          options={"SymmetricMode": True})
        took = []

        def apply(flat):
            return ((rows * self.jet(flat.reshape(self.shape))).sum(0)).ravel() - self.shift * flat

        operator = LinearOperator((size, size), matvec=apply)
        inverse = LinearOperator((size, size), matvec=factor.solve)
        delta, _ = gmres(operator, -defect.ravel(), M=inverse, rtol=1e-6, atol=0.0, restart=30, maxiter=1,
                         callback=took.append, callback_type="pr_norm")
        return delta.reshape(self.shape), len(took), factor

    def solve(self, c, t, tolerance, max_steps=14):
        """`(c, residual)` for the target p_t by damped Newton from c; (None, residual) where it does not converge."""
        size, defect, rows = self.residual(c, t)
        factor = None
        for _ in range(max_steps):
            if size < tolerance or not np.isfinite(size):
                break
            delta, took, factor = self.newton(rows, defect, factor)
            length = 1.0
            new = self.residual(c + delta, t)
            while not new[0] < (1 - length / 4) * size and length > 0.1:
                length /= 2
                new = self.residual(c + length * delta, t)
            if not new[0] < size:
                break
            c, (size, defect, rows) = c + length * delta, new
            if took > 12 or length < 1:
                factor = None
        return (c if size < 10 * tolerance else None), size
