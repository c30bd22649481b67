"""Semi-discrete optimal transport in the plane: from a radial source to n weighted atoms, by power diagrams.

The Brenier potential is `phi(x) = max_i (x . y_i - g_i)`, its gradient T sends the cell
`{x : x . y_i - g_i maximal} = {x : |x - y_i|^2 - w_i minimal}`, `w_i = |y_i|^2 - 2 g_i`, to the atom y_i, and
the singular set (where phi is not differentiable) is the union of the walls between cells; T jumps by
`|y_i - y_j|` across a wall. `solve` finds the g for which cell i has mass `atom_weights[i]`, by damped Newton
steps on the concave dual (Kitagawa, Merigot and Thibert 2019), with exact masses and exact Hessian.

Atoms on one line have strips for cells and their g in closed form. The geometry is in `diagram`, the integrals
over cells and walls in `sources`. float64.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from phasebook.arguments import number, numbers, whole
from phasebook.theory.cells.diagram import Walls, power_walls
from phasebook.theory.cells.sources import SOURCES, Source

__all__ = ["PowerCells", "check_atoms", "solve"]

# second singular value over the first, below which atoms count as lying on one line
COLLINEAR = 1e-13


@dataclass(frozen=True, eq=False)
class PowerCells:
    """The optimal transport from `source` to `sum_i atom_weights_i delta(atoms_i)`.

    Attributes:
        atoms: places of the n atoms.
        atom_weights: their masses, of sum 1.
        source: the radial measure that is transported.
        values: g, fixed by `phi(0) = 0`, that is min g = 0.
        masses: the exact masses of the cells.
        walls: between the cells.
        steps: Newton steps that were taken.
    """

    atoms: Float[ndarray, "n 2"]
    atom_weights: Float[ndarray, " n"]
    source: Source
    values: Float[ndarray, " n"]
    masses: Float[ndarray, " n"]
    walls: Walls
    steps: int

    @property
    def weights(self) -> Float[ndarray, " n"]:
        """Power weights `w_i = |y_i|^2 - 2 g_i`."""
        return (self.atoms**2).sum(1) - 2 * self.values

    @property
    def mass_error(self) -> float:
        """`sum_i |mass_i - atom_weight_i|`."""
        return float(np.abs(self.masses - self.atom_weights).sum())

    @cached_property
    def jumps(self) -> Float[ndarray, " m"]:
        """`|jump of T|` across each wall, in units of the target."""
        return np.linalg.norm(self.atoms[self.walls.left] - self.atoms[self.walls.right], axis=1)

    @cached_property
    def lengths(self) -> Float[ndarray, " m"]:
        """Length of each wall: inside the disk, or weighted by the Gaussian density."""
        return np.maximum(self.source.length_on_line(self.walls.h, self.walls.u0, self.walls.u1), 0.0)

    def cell_of(self, x: Float[ndarray, "*b 2"]) -> Int[ndarray, "*b"]:
        """Index of the cell that holds x.

        Args:
            x: points of the source.

        Returns:
            Indices of atoms.
        """
        flat = np.asarray(x, dtype=float).reshape(-1, 2)
        rows = max(1, 4_000_000 // len(self.atoms))
        y = self.atoms - np.median(self.atoms, axis=0)      # a common shift changes no cell and saves digits
        parts = [np.argmax(flat[k:k + rows] @ y.T - self.values, axis=1)
                 for k in range(0, len(flat), rows)]
        return np.concatenate([np.zeros(0, dtype=int), *parts]).reshape(np.shape(x)[:-1])

    def transport(self, x: Float[ndarray, "*b 2"]) -> Float[ndarray, "*b 2"]:
        """The Brenier map `T(x) = grad phi(x)`."""
        return self.atoms[self.cell_of(x)]

    def potential(self, x: Float[ndarray, "*b 2"]) -> Float[ndarray, "*b"]:
        """`phi(x) = max_i (x . y_i - g_i)`."""
        cell = self.cell_of(x)
        return (np.asarray(x) * self.atoms[cell]).sum(-1) - self.values[cell]


def check_atoms(atoms: Float[ndarray, "n 2"], atom_weights: Float[ndarray, " n"] | None = None,
                ) -> tuple[Float[ndarray, "n 2"], Float[ndarray, " n"]]:
    """Atoms and weights as float64 arrays.

    Args:
        atoms: n >= 1 distinct points of the plane.
        atom_weights: positive, of sum 1 (to 1e-9); equal unless given.

    Returns:
        Both, the weights scaled to sum 1.

    Raises:
        ValueError: in one line that names the atom or weight, for anything else.
    """
    try:
        atoms = np.array(atoms, dtype=float)
    except (TypeError, ValueError):
        raise ValueError("atoms: rows of different lengths, or no numbers; takes (n, 2) with n >= 1") from None
    if atoms.ndim != 2 or atoms.shape[1] != 2 or len(atoms) == 0:
        raise ValueError(f"atoms: shape {atoms.shape}; takes (n, 2) with n >= 1")
    n = len(atoms)
    p = np.full(n, 1 / n) if atom_weights is None else np.array(atom_weights, dtype=float)
    if p.shape != (n,):
        raise ValueError(f"atom_weights: shape {p.shape}; takes one number for each of the {n} atoms")
    if not np.isfinite(atoms).all():
        k = int(np.argmin(np.isfinite(atoms).all(1)))
        raise ValueError(f"atoms[{k}] = {atoms[k].tolist()}: NaN or Inf; takes finite numbers")
    if not (p > 0).all() or not np.isfinite(p).all():
        k = int(np.argmin((p > 0) & np.isfinite(p)))
        raise ValueError(f"atom_weights[{k}] = {p[k]}: takes positive finite numbers that sum to 1")
    if abs(p.sum() - 1) > 1e-9:
        raise ValueError(f"atom_weights: sum {p.sum():.12g}; takes positive numbers that sum to 1")
    if n > 1:
        distance, other = cKDTree(atoms).query(atoms, k=2)
        k = int(np.argmin(distance[:, 1]))
        if distance[k, 1] <= 1e-14 * np.abs(atoms).max():
            a, b = sorted((k, int(other[k][other[k] != k][0])))
            raise ValueError(f"atoms[{a}] and atoms[{b}] = {atoms[b].tolist()} coincide: takes distinct points "
                             "(merge them and add their weights)")
    return atoms, p / p.sum()


def solve(atoms: Float[ndarray, "n 2"], atom_weights: Float[ndarray, " n"] | None = None,
          source: str = "gaussian", *, start: Float[ndarray, " n"] | None = None, tolerance: float = 2e-12,
          max_steps: int = 60) -> PowerCells:
    """The power cells whose masses are the atoms' weights (Kitagawa, Merigot and Thibert 2019).

    Args:
        atoms: n distinct points of the plane.
        atom_weights: positive, of sum 1; equal unless given.
        source: "gaussian" (standard) or "disk" (uniform, radius 1).
        start: a first g, used where it gives every cell some mass: g of a similar problem, or any strictly convex
            function of the atoms. The result does not depend on it.
        tolerance: L1 mass error at which Newton stops; it also stops where rounding allows no further progress.
        max_steps: Newton steps at most.

    Returns:
        The cells.

    Raises:
        ValueError: in one line, for repeated atoms, weights that are not positive or not of sum 1, an unknown source,
            a start of another length.
        RuntimeError: if the mass error stays above 1e-7.
    """
    if source not in SOURCES:
        raise ValueError(f"source = {source!r}: takes one of {', '.join(map(repr, SOURCES))}")
    mu = SOURCES[source]
    atoms, p = check_atoms(atoms, atom_weights)
    tolerance, max_steps = number("tolerance", tolerance, "a number >= 0", least=0), whole("max_steps", max_steps, 1)
    if start is not None and (start := numbers("start", start, "one number for each atom")).shape != p.shape:
        raise ValueError(f"start: shape {start.shape}; takes one number for each of the {len(p)} atoms")
    # one common translation and scale leave the cells alone; a median keeps a cluster's digits beside an outlier
    centre = np.median(atoms, axis=0)
    scale = np.median(np.linalg.norm(atoms - centre, axis=1)) or np.abs(atoms - centre).max() or 1.0
    y = (atoms - centre) / scale
    singular = np.linalg.svd(y - y.mean(0), compute_uv=False)
    if len(atoms) == 1 or singular[1] <= COLLINEAR * singular[0]:
        g, masses, walls = _strips(y, p, mu)
        steps = 0
    else:
        first = None if start is None else start / scale
        first = _start(y, p, mu, first)
        g, masses, walls, steps = _newton(y, p, mu, first, tolerance, max_steps)
        if np.abs(masses - p).sum() > 1e-7:
            g, masses, walls, steps = _continuation(y, p, mu, first, tolerance, max_steps)
    cells = PowerCells(atoms, p, mu, scale * (g - g.min()), masses, walls, steps)
    if cells.mass_error > 1e-7:
        raise RuntimeError(f"solve: mass error {cells.mass_error:.1e} after {steps} Newton steps for n = {len(p)}; "
                           "distances or weights span too many decades for float64")
    return cells


def _newton(y, p, mu, g, tolerance, max_steps):
    """Damped Newton on `masses(g) = p`: no cell below half of the smallest mass, error falling at every step."""
    masses, walls, hessian = _evaluate(y, g, mu)
    floor, tau = 0.5 * min(p.min(), masses.min()), 1.0
    for step in range(max_steps):
        error = np.abs(masses - p).sum()
        if error <= tolerance:
            return g, masses, walls, step
        try:
            factor = splu(hessian[1:, 1:].tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        except RuntimeError:                      # a wall too short to carry mass in float64
            return g, masses, walls, step
        shift = np.r_[0.0, factor.solve((masses - p)[1:])]
        tau = min(1.0, 4 * tau)
        while tau > 1e-8:
            trial = _evaluate(y, g + tau * shift, mu)
            bound = 1 - tau / 2 if error > 1e-8 else 0.9      # near the end rounding, not curvature, is in the way
            if trial[0].min() >= floor and np.abs(trial[0] - p).sum() <= bound * error:
                break
            tau = tau / 2 if error > 1e-8 else 0.0
        else:
            return g, masses, walls, step
        g, (masses, walls, hessian) = g + tau * shift, trial
    return g, masses, walls, max_steps


def _continuation(y, p, mu, g, tolerance, max_steps):
    """Newton along `p_t ~ masses^(1 - t) p^t`, no mass changing by more than a factor 8 at a time.

    For weights or distances over many decades, where plain Newton would creep.
    """
    masses, used = _evaluate(y, g, mu)[0], 0
    while used < 20 * max_steps and masses.min() > 0:
        distance = np.abs(np.log(p / masses)).max()
        if distance < np.log(8):
            break
        stage = masses * (p / masses) ** (np.log(8) / distance)
        stage /= stage.sum()
        g, reached, _, steps = _newton(y, stage, mu, g, 0.1 * stage.min(), max_steps)
        used += steps
        if steps == 0 or np.abs(np.log(p / reached)).max() > 0.999 * distance:
            break
        masses = reached
    g, masses, walls, steps = _newton(y, p, mu, g, tolerance, max_steps)
    return g, masses, walls, used + steps


def _start(y, p, mu, given):
    """A g for which every cell has mass: any strictly convex function of y does.

    Two are tried, the one with the larger smallest relative mass is taken: a contracted Voronoi diagram,
    `g = c |y|^2 / 2`, and a radial function whose gradient sends the quantiles of |y| to those of the source.
    """
    if given is not None and _evaluate(y, given, mu)[0].min() > 0:
        return given - np.median(given)
    centred = y - p @ y
    r = np.linalg.norm(centred, axis=1)
    order = np.argsort(r)
    level = np.linspace(0, 1, 17)[1:]
    knots = np.r_[0.0, np.quantile(r, level)]
    ranks = np.interp(knots, r[order], np.cumsum(p[order]) - p[order] / 2)
    keep = np.r_[True, np.diff(knots) > 1e-9 * knots[-1]]
    knots, radius = knots[keep], np.maximum.accumulate(np.r_[0.0, mu.radius(np.minimum(ranks[keep][1:], 1 - 1e-16))])
    radius = radius + 1e-3 * knots / knots[-1]
    area = np.r_[0.0, np.cumsum(np.diff(knots) * (radius[1:] + radius[:-1]) / 2)]
    k = np.clip(np.searchsorted(knots, r, side="right") - 1, 0, len(knots) - 2)
    slope = (radius[k + 1] - radius[k]) / (knots[k + 1] - knots[k])
    radial = area[k] + (r - knots[k]) * (radius[k] + slope * (r - knots[k]) / 2)
    candidates = [radial, mu.radius(0.5) * r**2 / (2 * r.max())]
    best = max(candidates, key=lambda g: (_evaluate(y, g, mu)[0] / p).min())
    return best - np.median(best)                 # what is left of a constant g carries all the digits


def _evaluate(y, g, mu):
    """Masses, walls and the matrix `- d masses_i / d g_j` (a weighted graph Laplacian) at g."""
    n = len(y)
    walls, arcs = power_walls(y, g)
    size = np.abs(walls.h)
    mass = np.sign(walls.h) * (mu.triangle(size, walls.u1) - mu.triangle(size, walls.u0))
    masses = np.bincount(walls.left, mass, n) - np.bincount(walls.right, mass, n) + arcs / (2 * np.pi)
    distance = np.linalg.norm(y[walls.left] - y[walls.right], axis=1)
    rate = np.maximum(mu.density_on_line(size, walls.u0, walls.u1), 0.0) / distance
    i, j = walls.left, walls.right
    diagonal = np.bincount(i, rate, n) + np.bincount(j, rate, n)
    rows, columns = np.r_[i, j, np.arange(n)], np.r_[j, i, np.arange(n)]
    return masses, walls, coo_matrix((np.r_[-rate, -rate, diagonal], (rows, columns)), shape=(n, n)).tocsr()


def _strips(y, p, mu):
    """Atoms on one line: walls at the quantiles of the source's marginal, g from the walls."""
    n = len(y)
    d = np.array([1.0, 0.0]) if n == 1 else np.linalg.svd(y - y.mean(0), full_matrices=False)[2][0]
    order = np.argsort(y @ d)
    cut = mu.marginal_quantile(np.cumsum(p[order])[:-1])
    g = np.zeros(n)
    g[order] = np.r_[0.0, np.cumsum(cut * np.diff((y @ d)[order]))]
    masses = np.zeros(n)
    masses[order] = np.diff(np.r_[0.0, mu.marginal_cdf(cut), 1.0])
    m, far = n - 1, np.full(n - 1, np.inf)
    direction = np.tile([-d[1], d[0]], (m, 1))      # the lower atom lies to the left
    return g, masses, Walls(order[:-1], order[1:], direction, cut, -far, far)
