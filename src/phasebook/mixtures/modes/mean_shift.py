"""Modes of an empirical distribution in d dimensions over noise levels: a mode tree by mean shift.

In the frame `y = x_t / alpha` the density of n atoms at `r = sigma / alpha` is a kernel density estimate; its modes
are fixed points of `y -> xhat_0(y) = sum_i w_i(y) x_i`. Modes lie in the span of the atoms, so a mode is its
weights `w` (n,) and only the Gram matrix of the atoms enters: the cost does not depend on d.

A tree that starts at the atoms loses modes as noise grows and can gain none. In more than one dimension the density
can: `modes_missed` searches for modes that no atom leads to. Of symmetric atoms mean shift may end on a saddle, or on a
minimum of the line, which is no mode: it is led off uphill, to one side. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import softmax

from phasebook.arguments import brief, numbers
from phasebook.mixtures.modes.tree import Merge, linkage_of

__all__ = ["SampleTree", "mean_shift", "mean_shift_tree", "modes_missed"]

UPHILL = 1.02           # a variance above this share of r^2 leads away from a fixed point, and by no rounding
PUSH, PUSHES = 0.1, 8   # how far a point is led off, in noise levels; how many saddles in a row
POWERS = 12             # steps that look for the way


class SampleTree(NamedTuple):
    """The modes that atoms lead to, over noise levels.

    Attributes:
        merges: in order of noise; `y` is not used (NaN).
        ratios: (l,) noise ratios.
        counts: (l,) modes at each.
        first: (n,) the mode, by its number, that each atom belongs to at the least noise.
    """

    merges: list[Merge]
    ratios: Float[ndarray, " l"]
    counts: Float[ndarray, " l"]
    first: Float[ndarray, " n"]

    def linkage(self) -> Float[ndarray, "m-1 4"]:
        """SciPy's linkage matrix, heights log r (`mode_tree.linkage_of`)."""
        return linkage_of(int(self.counts[0]), self.merges)


def mean_shift(gram: Float[ndarray, "n n"], weights: Float[ndarray, "m n"], ratio: float, steps: int = 300,
               tolerance: float = 1e-6) -> Float[ndarray, "m n"]:
    """Mean shift from m starts; a start that stands still is left alone.

    Args:
        gram: inner products of the atoms.
        weights: the starts, as weights of the atoms.
        ratio: `sigma / alpha`, in the atoms' unit.
        steps: at most.
        tolerance: stops when no weight changes by more in a step.

    Returns:
        Weights of the points reached.
    """
    weights, square, active = weights.copy(), np.diag(gram), np.arange(len(weights))
    for _ in range(steps):
        w = weights[active]
        inner = w @ gram
        distance = (w * inner).sum(1, keepdims=True) - 2 * inner + square
        new = softmax(-distance / (2 * ratio**2), axis=1)
        weights[active] = new
        active = active[np.abs(new - w).max(1) > tolerance]
        if not len(active):
            break
    return weights


def mean_shift_tree(points: Float[ndarray, "n d"] | None = None, *, gram: Float[ndarray, "n n"] | None = None,
                    ratios: Float[ndarray, " l"], closeness: float = 1e-2) -> SampleTree:
    """The mode tree of equal atoms over growing noise ratios.

    At each level modes start where they were at the level before; those that end within `closeness * r` of each
    other are one, and the one that moved least is the parent. Merges are resolved to the spacing of `ratios`.

    Args:
        points: the atoms, or
        gram: their inner products.
        ratios: `sigma / alpha`, growing.
        closeness: see above.

    Returns:
        The tree.

    Raises:
        ValueError: for both or neither of points and gram, or ratios that do not grow from above 0.
    """
    if (points is None) == (gram is None):
        raise ValueError("points, gram: takes one of the two")
    ratios = numbers("ratios", ratios, "positive, growing numbers (sigma/alpha)").astype(float)
    if ratios.ndim != 1 or len(ratios) < 1 or ratios[0] <= 0 or (np.diff(ratios) <= 0).any():
        raise ValueError(f"ratios = {brief(ratios.tolist())}: takes positive, growing numbers (sigma/alpha)")
    if gram is None:
        points = points - np.mean(points, axis=0)               # before the products: they are what loses digits
        gram = points @ points.T
    gram = _centred(np.asarray(gram, dtype=float))
    n = len(gram)
    weights, alive, merges, counts, first = np.eye(n), np.arange(n), [], [], np.arange(n)
    for level, r in enumerate(ratios):
        new = _risen(gram, mean_shift(gram, weights, r), r)
        parent = _parents(gram, weights, new, closeness * r)
        keep = parent == np.arange(len(parent))
        if level:
            merges += [Merge(float(r), np.nan, int(alive[i]), int(alive[parent[i]])) for i in np.flatnonzero(~keep)]
        else:
            alive = np.cumsum(keep) - 1
            first = alive[parent]
        weights, alive = new[keep], alive[keep]
        counts.append(len(alive))
    return SampleTree(merges, ratios, np.array(counts), first)


def modes_missed(gram: Float[ndarray, "n n"], ratio: float, starts: int, rng: np.random.Generator,
                 closeness: float = 1e-2) -> int:
    """Modes at a noise ratio that mean shift reaches from mixtures of atoms, but from no atom.

    Starts are random convex combinations of an atom and two of its ten nearest, and the common mean. A point counts
    where the density has a maximum: the posterior covariance is below `r^2` (Hessian of the log density negative).

    Args:
        gram: inner products of the atoms.
        ratio: `sigma / alpha`, in the atoms' unit.
        starts: how many combinations.
        rng: of the starts.
        closeness: points nearer than this many noise levels are one.

    Returns:
        Their number; a search can miss a mode, never invent one.
    """
    gram = _centred(gram)
    n = len(gram)
    square = np.diag(gram)
    near = (square[:, None] + square - 2 * gram).argsort(1)[:, : min(11, n)]
    mixed = np.zeros((starts + 1, n))
    mixed[-1] = 1 / n
    for row in mixed[:-1]:
        i = rng.integers(n)
        group = np.append(i, rng.choice(near[i], min(2, n), replace=False))
        np.add.at(row, group, rng.dirichlet(np.ones(len(group))))
    reached = mean_shift(gram, np.concatenate([np.eye(n), mixed]), ratio, steps=1000)
    label = _parents(gram, reached, reached, closeness * ratio)
    from_atoms = set(label[:n])
    return sum(_is_mode(gram, reached[k], ratio) for k in set(label[n:]) - from_atoms)


def _risen(gram: Float[ndarray, "n n"], weights: Float[ndarray, "m n"], ratio: float) -> Float[ndarray, "m n"]:
    """Points that mean shift has reached; those on which the density still rises are led off and shifted on."""
    weights = weights.copy()
    for _ in range(PUSHES):
        off, away = _uphill(gram, weights, ratio)
        if not len(off):
            break
        weights[off] = mean_shift(gram, weights[off] + PUSH * ratio * away, ratio)
    return weights


def _uphill(gram: Float[ndarray, "n n"], weights: Float[ndarray, "m n"],
            ratio: float) -> tuple[Int[ndarray, " k"], Float[ndarray, "k n"]]:
    """Those of some fixed points from which a step of mean shift, made linear, leads away: their indices, and a step of
    length 1 as weights of sum 0. By powers of it, whose growth is at most the largest variance over `r^2`."""
    spread = weights @ np.diag(gram) - ((weights @ gram) * weights).sum(1)          # no variance exceeds their sum
    off = np.flatnonzero(spread > UPHILL * ratio**2)
    w, inner = weights[off], np.random.default_rng(0).standard_normal((len(off), len(gram)))
    for _ in range(POWERS):
        step = w * (inner - (w * inner).sum(1, keepdims=True)) / ratio**2
        inner = step @ gram
        growth = np.sqrt(np.maximum((step * inner).sum(1, keepdims=True), 1e-300))
        step, inner = step / growth, inner / growth
    rises = growth[:, 0] > UPHILL
    return off[rises], step[rises]


def _is_mode(gram: Float[ndarray, "n n"], w: Float[ndarray, " n"], ratio: float) -> bool:
    """Whether the posterior covariance at a fixed point lies below `r^2` in all directions."""
    kept = np.flatnonzero(w > 1e-12)
    w, gram = w[kept], gram[np.ix_(kept, kept)]
    inner = gram @ w
    centred = gram - inner - inner[:, None] + w @ inner
    root = np.sqrt(w)
    return bool(np.linalg.eigvalsh(root[:, None] * centred * root)[-1] < ratio**2 * (1 - 1e-9))


def _centred(gram: Float[ndarray, "n n"]) -> Float[ndarray, "n n"]:
    """Inner products of the atoms less their mean: small norms, less rounding."""
    return gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()


def _parents(gram: Float[ndarray, "n n"], before: Float[ndarray, "m n"], after: Float[ndarray, "m n"],
             distance: float) -> Float[ndarray, " m"]:
    """For each mode the one it has merged with (itself where it has not, and for the one that moved least)."""
    inner = after @ gram @ after.T
    square = np.diag(inner)
    close = square[:, None] + square - 2 * inner < distance**2
    step = after - before
    moved = ((step @ gram) * step).sum(1)
    label = np.full(len(after), -1)
    for i in np.argsort(moved):                  # the least moved first: it takes what is close to it
        if label[i] < 0:
            label[close[i] & (label < 0)] = i
    return label
