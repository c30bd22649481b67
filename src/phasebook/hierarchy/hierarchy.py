"""When two points part, the tree that makes, and whether their distances are those of a tree.

Split step of a pair, from the distances of its predictions at each step: (a) for trees, the first step at which they
exceed half the *median* final distance over all pairs, one threshold for all so that split steps compare; (b) for one
pair's figure, half its own final distance; (c) the first step at which a ridge separates the two. A pair that never
parts has the number of steps. Tree distance = steps - split step.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from phasebook.hierarchy.nulls import distances_of, equal_spectrum, shuffled_entries, spectrum
from phasebook.hierarchy.ultrametric import EQUILATERAL, check_distances, cophenetic, delta, gap, triple_spread, triples

__all__ = ["Spread", "Statistic", "Ultrametricity", "found_tree", "interval", "over_sets", "pair_split", "ridge_split",
           "split_steps", "spread", "tree_distance", "tree_of", "ultrametricity"]


def split_steps(distances: Float[ndarray, "step n n"], threshold: float | None = None) -> Int[ndarray, "n n"]:
    """Definition (a); `threshold` instead of half the median final distance if given."""
    d = _over_steps(distances)
    if threshold is None:
        threshold = float(np.median(d[-1][np.triu_indices(d.shape[1], 1)])) / 2
    return _first(d > threshold)


def pair_split(distances: Float[ndarray, "step n n"]) -> Int[ndarray, "n n"]:
    """Definition (b): every pair by its own final distance."""
    d = _over_steps(distances)
    return _first((d > d[-1] / 2) & (d > 0))


def ridge_split(labels: Int[ndarray, "step n"]) -> Int[ndarray, "n n"]:
    """Definition (c), from the basin that each point lies in at each step."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.size == 0:
        raise ValueError(f"labels: shape {labels.shape}; takes (step, n), the basin of every point at every step")
    return _first(labels[:, :, None] != labels[:, None])


def _over_steps(distances: ndarray) -> ndarray:
    d = np.asarray(distances, dtype=np.float64)
    if d.ndim != 3 or d.shape[1] != d.shape[2] or d.shape[0] < 1 or d.shape[1] < 2 or not np.isfinite(d).all():
        raise ValueError(f"distances: shape {d.shape}; takes finite numbers (step, n, n), n >= 2")
    return d


def _first(apart: ndarray) -> Int[ndarray, "n n"]:
    """First step at which each pair is apart; the number of steps for pairs that never are."""
    return np.where(apart.any(0), apart.argmax(0), len(apart))


def tree_distance(split: Int[ndarray, "n n"], steps: int) -> Float[ndarray, "n n"]:
    """`steps - split step`: 0 on the diagonal, and for pairs that never part."""
    return (steps - np.asarray(split)).astype(np.float64)


def tree_of(distances: Float[ndarray, "n n"]) -> Float[ndarray, "n-1 4"]:
    """SciPy's linkage matrix by average linkage, leaves in an order that keeps neighbours close."""
    flat = squareform(check_distances(distances, 2), checks=False)
    return linkage(flat, "average", optimal_ordering=len(distances) <= 200)


class Statistic(NamedTuple):
    """A number, its bootstrap 95 % interval, and its two nulls: points of the same covariance spectrum (median and
    95 % range) and the same distances dealt to other pairs (median)."""

    value: float
    low: float
    high: float
    null: float
    null_low: float
    null_high: float
    shuffled: float

    @property
    def below_null(self) -> bool:
        """Whether the whole interval lies below the null, twice as far from its median as its 2.5 % quantile: about
        four standard deviations, so that of many point sets without a tree none is called below by chance."""
        return self.high < 2 * self.null_low - self.null

    def record(self) -> dict[str, float]:
        """For a ledger: `value, low, high, null` and the rest, by name."""
        return {k: float(v) for k, v in self._asdict().items()}


class Ultrametricity(NamedTuple):
    """The four statistics of `latent.ultrametric`."""

    triples: Statistic
    cophenetic: Statistic
    gap: Statistic
    delta: Statistic


def found_tree(u: Ultrametricity, least: float = 0.95) -> bool:
    """Whether all four say 'tree': triples and cophenetic correlation reach `least`, gap and delta lie below the null
    of equal spectrum with their whole intervals."""
    large = u.triples.value >= least and u.cophenetic.value >= least
    return bool(large and u.gap.below_null and u.delta.below_null)


def _four(d: Float[ndarray, "n n"], looks: ndarray | None = None, **options: float) -> list[float]:
    return [triples(d, looks=looks, **options).agree, cophenetic(d), gap(d), delta(d)]


def ultrametricity(*, points: Float[ndarray, "n d"] | None = None, distances: Float[ndarray, "n n"] | None = None,
                   tie: float = 0.0, equilateral: float = EQUILATERAL, draws: int = 100,
                   seed: int = 0) -> Ultrametricity:
    """The four statistics of points, or of a distance matrix, with intervals and nulls from `draws` draws each.

    The interval is a bootstrap over the points (those drawn twice count once, as a distance of 0 says nothing). With
    `points`, coordinates count as independent looks at the distances (`ultrametric.triples`). `tie` = 1 for distances
    counted in steps. Of a bare matrix with noise (siblings in a ternary tree are never exactly equidistant) give its
    relative size as `equilateral`; with `points` it is found from them.

    ValueError, one line, unless exactly one of `points` and `distances` is given, n >= 4 and draws >= 1.
    """
    if (points is None) == (distances is None):
        raise ValueError("points, distances: give exactly one of them")
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise ValueError(f"draws = {draws!r}: takes an integer >= 1")
    for name, size in (("tie", tie), ("equilateral", equilateral)):
        if not (np.isfinite(size) and size >= 0):
            raise ValueError(f"{name} = {size!r}: takes a number >= 0")
    looks = None if points is None else triple_spread(np.atleast_2d(points), seed=seed)
    d = check_distances(distances if points is None else distances_of(points))
    rng, values = np.random.default_rng(seed), spectrum(d)
    options = {"tie": tie, "equilateral": equilateral}
    value = _four(d, looks, **options)
    again, null, dealt = [], [], []
    for _ in range(draws):
        again.append(_resampled(d, looks, rng, **options))
        null.append(_four(equal_spectrum(values[:len(d) - 1], len(d), rng), **options))
        dealt.append(_four(shuffled_entries(d, rng), **options))
    low, high = np.quantile(again, [0.025, 0.975], axis=0)
    under, middle, over = np.quantile(null, [0.025, 0.5, 0.975], axis=0)
    rows = zip(value, np.minimum(low, value), np.maximum(high, value), middle, under, over, np.median(dealt, 0),
               strict=True)
    return Ultrametricity(*(Statistic(*map(float, row)) for row in rows))


def _resampled(d: ndarray, looks: ndarray | None, rng: np.random.Generator, **options: float) -> list[float]:
    """The statistics of points drawn with replacement; drawn again until four differ at a positive distance."""
    for _ in range(100):
        keep = np.unique(rng.integers(0, len(d), len(d)))
        part = d[np.ix_(keep, keep)]
        if len(keep) >= 4 and part.max() > 0:
            return _four(part, None if looks is None else looks[:, keep][:, :, keep], **options)
    return _four(d, looks, **options)


def interval(values: Sequence[float], seed: int, of: Callable = np.median,
             draws: int = 2000) -> tuple[float, float, float]:
    """`of(values)` and its bootstrap 95 % interval over the values (anchor sets, seeds). ValueError for none."""
    v = np.asarray([x for x in values if x is not None], dtype=np.float64)
    if len(v) == 0 or not np.isfinite(v).all():
        raise ValueError(f"values = {v.tolist()}: takes one finite number or more")
    drawn = np.random.default_rng(seed).choice(v, (draws, len(v)))
    low, high = np.quantile(of(drawn, axis=1), [0.025, 0.975])
    return float(of(v)), float(low), float(high)


class Spread(NamedTuple):
    """A median over anchor sets (or seeds) with its bootstrap 95 % interval; all None where there is nothing."""

    value: float | None
    low: float | None
    high: float | None
    count: int

    @property
    def words(self) -> str:
        if self.value is None:
            return "nothing to measure"
        return f"median {self.value:.3g} of {self.count} sets, 95 % interval {self.low:.3g} to {self.high:.3g}"


def spread(values: Sequence[float | None], seed: int) -> Spread:
    """The median and its interval over the values that are there."""
    known = [v for v in values if v is not None]
    return Spread(*interval(known, seed), len(known)) if known else Spread(None, None, None, 0)


def over_sets(found: Sequence[Ultrametricity | None], seed: int) -> Ultrametricity | None:
    """The median of several sets' statistics with a bootstrap interval over the sets; nulls are medians as well. None
    where no set has any."""
    found, rows = [u for u in found if u is not None], []
    if not found:
        return None
    for k in range(4):
        one = [u[k] for u in found]
        value, low, high = interval([s.value for s in one], seed)
        rest = [float(np.median([getattr(s, name) for s in one])) for name in Statistic._fields[3:]]
        rows.append(Statistic(value, low, high, *rest))
    return Ultrametricity(*rows)
