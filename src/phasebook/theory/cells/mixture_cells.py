"""The last map of a chain: power cells of a Gaussian mixture, and how far two divisions of the plane differ.

The Brenier map from `p_s = sum_i w_i N(y_i, s^2 I)` onto the atoms y_i themselves is semi-discrete: it sends the cell
`{x : x . y_i - g_i maximal}` to y_i, and g gives cell i the p_s-mass w_i. The mass of a cell is the mean over the
components of masses for the standard Gaussian, whose closed forms `sources` has; so masses and their derivatives are
exact. float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import brentq
from scipy.special import ndtr

from phasebook.arguments import number
from phasebook.theory.cells.power_cells import COLLINEAR, _evaluate, check_atoms, solve
from phasebook.theory.cells.sources import SOURCES

__all__ = ["Lines", "cell_of", "lines", "mismatch", "mixture_cells"]

MET = 1e-9             # the largest error of the masses, in L1
APART = 1e-11          # parts whose walls carry less density than this share of the densest exchange no mass
HALVINGS = 14          # of the interval between two grid points that holds a crossing


def mixture_cells(atoms: Float[ndarray, "n 2"], weights: Float[ndarray, " n"], s: float) -> Float[ndarray, " n"]:
    """The values g of the Brenier map from p_s to the atoms, by damped Newton steps on the concave dual.

    Args:
        atoms: distinct points.
        weights: positive, of sum 1.
        s: noise level > 0, a length.

    Raises:
        ValueError: for atoms and weights that `check_atoms` refuses, or a level that is not positive.
        RuntimeError: where the masses are not met to 1e-9.
    """
    atoms, weights = check_atoms(atoms, weights)
    s, mean = number("s", s, "a noise level > 0", above=0), weights @ atoms
    y = atoms - mean
    unit = np.sqrt(s**2 + weights @ (y**2).sum(1) / 2)
    size = np.linalg.svd(y, compute_uv=False)
    rounding = np.finfo(float).eps * np.linalg.norm(atoms)
    on_a_line = len(atoms) < 3 or size[1] <= max(COLLINEAR * size[0], rounding)
    # about the mean and in units of the mixture's own deviation: neither a far origin nor a small unit costs digits
    g = unit**2 * (_strips if on_a_line else _planar)(y / unit, weights, s / unit) + y @ mean
    return g - g.min()


def _planar(atoms: Float[ndarray, "n 2"], weights: Float[ndarray, " n"], s: float) -> Float[ndarray, " n"]:
    """Atoms of mean 0 that do not lie on a line, where the mixture's deviation is 1."""
    # exact far up (the mixture is Gaussian) and far down (Voronoi cells)
    tries = [solve(atoms, weights).values, (atoms**2).sum(1) / 2]
    g = max(tries, key=lambda g: (_masses(atoms, weights, s, g)[0] / weights).min())
    g, off = _newton(atoms, weights, s, g)
    if not off < MET:
        g, off = _cooled(atoms, weights, s)
    if not off < MET:
        raise RuntimeError(f"s = {s:.3g} deviations of the mixture: masses of the last map are off by {off:.1e}")
    return g


def _cooled(atoms, weights, s):
    """From far noise, where the cells are those of a Gaussian, down to s, each level from the one above: parts that
    lie apart lose touch on the way when their masses are right, and need no wall moved where there is no mass."""
    top = max(2.0, s)
    deviation = np.sqrt(top**2 + weights @ (atoms**2).sum(1) / 2)
    g, off = deviation * solve(atoms, weights).values, np.inf
    for level in np.geomspace(top, s, 2 + int(8 * np.log(top / s))):
        g, off = _newton(atoms, weights, level, g)
    return g, off


def _newton(atoms, weights, s, g):
    """The values after damped Newton steps, and by how much their masses are off."""
    masses, hessian = _masses(atoms, weights, s, g)
    for _ in range(60):
        error = np.abs(masses - weights).sum()
        if error < 1e-12 or masses.min() <= 0:
            break
        shift, length = _step(hessian, masses - weights, weights), 1.0
        floor = 0.3 * min(masses.min(), weights.min())
        new = _masses(atoms, weights, s, g + shift)
        while not (new[0].min() > floor and np.abs(new[0] - weights).sum() < error) and length > 1e-6:
            length /= 2
            new = _masses(atoms, weights, s, g + length * shift)
        if length <= 1e-6:
            break
        g, (masses, hessian) = g + length * shift, new
    return g, np.abs(masses - weights).sum()


def _step(hessian, excess, weights):
    """Newton's step; between parts of the cells that exchange next to no mass, none."""
    root = np.sqrt(weights)
    scaled = hessian / root[:, None] / root
    value, vector = np.linalg.eigh(scaled)
    if value[1] > APART * value[-1]:
        return np.r_[0.0, np.linalg.solve(hessian[1:, 1:], excess[1:])]
    touching = value > APART * value[-1]
    along = vector[:, touching]
    return along @ (along.T @ (excess / root) / value[touching]) / root


def _masses(atoms, weights, s, g):
    """Masses of the cells under p_s, and minus their derivatives in g."""
    masses, hessian = np.zeros(len(atoms)), np.zeros((len(atoms), len(atoms)))
    for weight, centre in zip(weights, atoms, strict=True):
        # x = centre + s z: the cells of z have the sites s y and the values g - centre . y
        part, _, bend = _evaluate(s * atoms, g - atoms @ centre, SOURCES["gaussian"])
        masses += weight * part
        hessian += weight * bend.toarray()
    return masses, hessian


def _strips(atoms, weights, s):
    """Atoms on a line: cells are strips between quantiles of the mixture on the line."""
    direction = np.linalg.svd(atoms)[2][0]
    place, order = atoms @ direction, np.argsort(atoms @ direction)
    ends = place.min() - 40 * s, place.max() + 40 * s
    cuts = [brentq(lambda u, q=q: ndtr((u - place) / s) @ weights - q, *ends, xtol=1e-14 * s)
            for q in np.cumsum(weights[order])[:-1]]
    g = np.zeros(len(atoms))
    g[order] = np.r_[0.0, np.cumsum(cuts * np.diff(place[order]))]
    return g


def cell_of(atoms: Float[ndarray, "n 2"], g: Float[ndarray, " n"], x: Float[ndarray, "*b 2"]) -> Int[ndarray, "*b"]:
    """Index of the cell that holds x.

    Args:
        atoms: y.
        g: values, as from `mixture_cells`.
        x: points.
    """
    return (x @ (atoms - np.median(atoms, axis=0)).T - g).argmax(-1)     # a common shift moves no wall, saves digits


class Lines(NamedTuple):
    """Where a labelling of the plane changes along straight lines `across + u along`, |u| <= reach.

    Attributes:
        label: of points (p, 2); gives integers (p,).
        offset: of the lines from the origin.
        across: their points nearest to the origin.
        along: their directions.
        cuts: for each line the u of its changes, ascending.
        reach: half length.
    """

    label: Callable
    offset: Float[ndarray, " l"]
    across: Float[ndarray, "l 2"]
    along: Float[ndarray, "l 2"]
    cuts: list[ndarray]
    reach: float


def lines(label: Callable, count: int, seed: int, reach: float = 4.2, points: int = 140) -> Lines:
    """The changes of a labelling along lines whose offsets and directions form a lattice.

    Args:
        label: of points (p, 2); gives integers (p,).
        count: of lines; offsets are evenly spaced over |offset| <= reach, directions turn by the golden ratio.
        seed: of the first direction.
        reach: largest offset, and half length of a line.
        points: on a line; a change between two of them is located by bisection, two changes between them are missed.
    """
    turn = np.random.default_rng(seed).uniform() + np.arange(count) * (np.sqrt(5) - 1) / 2
    along = np.stack([np.cos(np.pi * turn), np.sin(np.pi * turn)], axis=1)
    offset = (np.arange(count) + 0.5) / count * 2 * reach - reach
    across = offset[:, None] * along[:, ::-1] * [-1, 1]
    u = np.linspace(-reach, reach, points)
    labels = label((across[:, None] + u[:, None] * along[:, None]).reshape(-1, 2)).reshape(-1, points)
    row, k = np.nonzero(labels[:, 1:] != labels[:, :-1])
    low, high, before = u[k], u[k + 1], labels[row, k]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        same = label(across[row] + middle[:, None] * along[row]) == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    cuts = [((low + high) / 2)[row == i] for i in range(count)]
    return Lines(label, offset, across, along, cuts, reach)


def mismatch(one: Lines, other: Lines) -> float:
    """The standard Gaussian mass on which two labellings differ.

    Exact along each line, by the midpoint rule across. Every piece between two changes is asked again for both its
    labels, so that a change which one of the two has missed does not count as a difference.

    Args:
        one: from `lines`.
        other: from `lines` with the same settings.
    """
    ends = [np.r_[-one.reach, np.union1d(a, b), one.reach] for a, b in zip(one.cuts, other.cuts, strict=True)]
    row = np.repeat(np.arange(len(ends)), [len(e) - 1 for e in ends])
    middle = np.concatenate([(e[1:] + e[:-1]) / 2 for e in ends])
    mass = np.concatenate([np.diff(ndtr(e)) for e in ends])
    points = one.across[row] + middle[:, None] * one.along[row]
    weight = np.exp(-one.offset**2 / 2)
    return float((mass * weight[row]) @ (one.label(points) != other.label(points)) / weight.sum())
