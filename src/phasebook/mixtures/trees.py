"""Data with a hierarchy: the Cantor measure on the line, random trees in d dimensions, and how their modes multiply.

A tree of ratio r (each generation's offsets are r times those of the one before, r < 1/2 for Cantor data) and b
branches looks the same at a noise level s and at r s, but with b times as many parts. So the number of modes of
`p_0 * N(0, s^2 I)` grows like

    N(s) ~ s^(-log b / log(1/r)),

the similarity dimension of the data. On the line the count never falls as s does (Silverman 1981), and for Cantor data
it doubles with every factor r: exponent log 2 / log 3 = .6309 for thirds.

A Brenier map onto Cantor data jumps at every dyadic quantile of the source, since the data have a gap there. The set
of jumps is countable, hence null, and dense: no open set of the source is free of it. float64.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import helmert
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist, pdist, squareform

from phasebook.arguments import number, whole
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.mean_shift import PUSHES, UPHILL

__all__ = ["cantor", "gaussian_twin", "growth_exponent", "mode_count", "random_tree", "resolution_levels"]


def cantor(generations: int, ratio: float = 1 / 3) -> Mixture:
    """The 2^generations atoms of a Cantor construction on [0, 1], equal weights.

    Args:
        generations: how many times each interval is replaced by its two outer parts, at least 1.
        ratio: length of a part over its interval, in (0, 1/2).

    Returns:
        Atoms on the line in ascending order, at the middles of the last intervals.

    Raises:
        ValueError: for a ratio outside (0, 1/2) or no generation.
    """
    generations, ratio = whole("generations", generations, 1), number("ratio", ratio, "a number in (0, 1/2)", above=0)
    if ratio >= 0.5:
        raise ValueError(f"ratio = {ratio:g}: takes a number in (0, 1/2)")
    x, length = np.zeros(1), 1.0
    for _ in range(generations):
        x = np.concatenate([x[:, None], x[:, None] + (1 - ratio) * length], axis=1).ravel()
        length *= ratio
    return Mixture.atoms((x + length / 2)[:, None])


def random_tree(depth: int, branches: int, ratio: float, dimension: int, rng: np.random.Generator) -> Mixture:
    """Leaves of a random tree, equal weights: `sum_g ratio^g u_g`, a fresh offset u_g at every branch.

    The branches of a node leave in directions that are as far apart as can be, a regular simplex (for two branches:
    opposite), turned at random, at unit length.

    Args:
        depth: generations, at least 1.
        branches: children of a node, from 2 to dimension + 1.
        ratio: shrinkage of the offsets from one generation to the next, in (0, 1).
        dimension: of the space.
        rng: for the rotations.

    Returns:
        branches^depth atoms.

    Raises:
        ValueError: for no generation, more branches than a simplex of that dimension has corners, or a ratio outside
            (0, 1).
    """
    depth, dimension = whole("depth", depth, 1), whole("dimension", dimension, 1)
    branches = whole("branches", branches, 2, dimension + 1)
    if (ratio := number("ratio", ratio, "a number in (0, 1)", above=0)) >= 1:
        raise ValueError(f"ratio = {ratio:g}: takes a number in (0, 1)")
    simplex = helmert(branches).T * (branches / (branches - 1))**0.5          # (branches, branches - 1), of length 1
    x = np.zeros((1, dimension))
    for generation in range(depth):
        turns = np.linalg.qr(rng.normal(size=(len(x), dimension, branches - 1)))[0]
        offsets = np.einsum("nda,ba->nbd", turns, simplex)
        x = (x[:, None] + ratio**generation * offsets).reshape(-1, dimension)
    return Mixture.atoms(x)


def gaussian_twin(mixture: Mixture, rng: np.random.Generator) -> Mixture:
    """As many atoms, drawn from the Gaussian of the same mean and covariance: the null of a hierarchy.

    Args:
        mixture: atoms.
        rng: for the draw.

    Returns:
        Atoms of equal weight.
    """
    mean = mixture.weights @ mixture.means
    centred = np.sqrt(mixture.weights)[:, None] * (mixture.means - mean)
    return Mixture.atoms(mean + rng.normal(size=(len(centred), len(centred))) @ centred)


def mode_count(mixture: Mixture, s: float, shifts: int = 400) -> int:
    """Number of modes of `p_s` that are reached by mean shift from the atoms, in any dimension.

    Too low where no atom leads to a mode. Too high where the density is flat over many atoms, which mean shift then
    leaves where they are: 400 atoms evenly spread at s four times their spacing are one mode, and 374 are counted.

    Args:
        mixture: n atoms in R^d.
        s: noise level > 0.
        shifts: steps of the mean shift (Comaniciu and Meer 2002).

    Returns:
        The number of limits; two count as one within s / 10.

    Raises:
        ValueError: for a level that is not positive.
    """
    s, shifts = number("s", s, "a noise level > 0", above=0), whole("shifts", shifts, 1)
    x, r = _shifted(mixture, mixture.means, s, shifts)
    for _ in range(PUSHES):                                         # of symmetric atoms some end on a saddle
        off, away = _uphill(mixture, r, s)
        if not len(off):
            break
        x[off], r[off] = _shifted(mixture, x[off] + away, s, shifts)
    _, labels = connected_components(squareform(pdist(x)) < s / 10)
    return int(labels.max()) + 1


def _shifted(mixture: Mixture, x: Float[ndarray, "m d"], s: float,
             shifts: int) -> tuple[Float[ndarray, "m d"], Float[ndarray, "m n"]]:
    """Mean shift from some points: where they end, and the weights of the means there, but for the last step:
    responsibilities over variances."""
    mu, twice = mixture.means, 2 * (mixture.variances + s**2)
    narrow = twice.min() / twice
    log_weights = np.log(mixture.weights) - mu.shape[1] / 2 * np.log(twice)
    for _ in range(shifts):
        log_terms = log_weights - cdist(x, mu, "sqeuclidean") / twice
        r = np.exp(log_terms - log_terms.max(1, keepdims=True))     # `responsibilities` takes three times as long
        r *= narrow
        r /= r.sum(1, keepdims=True)
        before, x = x, r @ mu
        if np.abs(x - before).max() < 1e-5 * s:
            break
    return x, r


def _uphill(mixture: Mixture, r: Float[ndarray, "m n"], s: float) -> tuple[Int[ndarray, " k"], Float[ndarray, "k d"]]:
    """Those of the points `r @ means`, at which mean shift rests, where the density rises on one line: their indices,
    and a step of s / 10 along it."""
    mu = mixture.means - mixture.means.mean(0)
    x, q = r @ mu, r / (mixture.variances + s**2)           # of the Hessian, q (mu - x)(mu - x)^T - 1 is what matters
    sizes = q @ (mu**2).sum(1) - 2 * (x * (q @ mu)).sum(1) + q.sum(1) * (x**2).sum(1)
    off, away = [], []
    for i in np.flatnonzero(sizes > UPHILL):                # no eigenvalue exceeds their sum
        kept = r[i] > 1e-12
        _, size, along = np.linalg.svd(np.sqrt(q[i, kept])[:, None] * (mu[kept] - x[i]), full_matrices=False)
        if size[0]**2 > UPHILL:
            off.append(i)
            away.append(s / 10 * along[0] * np.sign(along[0][np.abs(along[0]).argmax()]))
    return np.array(off, dtype=int), np.reshape(away, (-1, mu.shape[1]))


def resolution_levels(count: Callable[[float], int], wanted: Sequence[int], high: float, low: float,
                      tolerance: float = 1e-3) -> Float[ndarray, " k"]:
    """The noise levels at which a count first reaches each of some numbers as the noise falls, by bisection.

    Args:
        count: number of parts at a noise level, rising as the level falls.
        wanted: rising numbers; those that are not reached at `low` are left out.
        high: a level at which the count is below all of them.
        low: the lowest level.
        tolerance: of the logarithm of a level.

    Returns:
        Falling levels, one for each number that is reached.
    """
    levels, most, top = [], count(low), np.log(high)
    for goal in wanted:
        if goal > most:
            break
        a, b = np.log(low), top
        while b - a > tolerance:
            middle = (a + b) / 2
            a, b = (middle, b) if count(float(np.exp(middle))) >= goal else (a, middle)
        levels.append(a)
        top = a + tolerance
    return np.exp(levels)


def growth_exponent(levels: Float[ndarray, " k"], branches: int) -> float | None:
    """Exponent a of `N(s) ~ s^-a`, a fitted slope through the levels at which N reaches branches, branches^2, ...

    The last generation has no finer one inside it and is left out.

    Args:
        levels: noise levels at which the j-th power is reached, falling.
        branches: b.

    Returns:
        The exponent; None for fewer than four levels.
    """
    if len(levels) < 4:
        return None
    inner = np.log(levels[:-1])
    return float(-np.polyfit(inner, np.log(branches) * np.arange(len(inner)), 1)[0])
