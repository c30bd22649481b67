"""What chapter 6 measures on one slice, so that it can be measured on many: one number a slice, or one a step."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.stats import spearmanr

from phasebook.hierarchy.hierarchy import Ultrametricity, ridge_split, split_steps, tree_distance, ultrametricity
from phasebook.slices.film import Film, Pairs
from phasebook.slices.geodesic import Surface, bend, geodesics
from phasebook.slices.phases import Nesting, depth_points, nesting_over_steps, phases_of

__all__ = ["Divergence", "Straightness", "Survey", "coarse_first", "divergence", "drops", "geodesic_distances",
           "resting", "scattered", "straightness", "survey"]


def _edges(film: Film) -> Float[ndarray, "step e"]:
    """Jumps of all grid edges: along alpha, then along beta."""
    return np.concatenate([film.up.reshape(film.steps, -1), film.right.reshape(film.steps, -1)], axis=1)


def _ends(labels: Int[ndarray, "step a b"]) -> Int[ndarray, "2 step e"]:
    """Phases at the two ends of all grid edges, in the order of `_edges`."""
    steps = len(labels)
    first = [labels[:, :-1].reshape(steps, -1), labels[:, :, :-1].reshape(steps, -1)]
    second = [labels[:, 1:].reshape(steps, -1), labels[:, :, 1:].reshape(steps, -1)]
    return np.stack([np.concatenate(first, 1), np.concatenate(second, 1)])


def drops(counts: Int[ndarray, " step"]) -> float:
    """Share of the steps at which a count falls."""
    return float((np.diff(counts) < 0).mean()) if len(counts) > 1 else 0.0


def coarse_first(film: Film, threshold: float) -> float | None:
    """Rank correlation, over the edges with a final jump above `threshold`, of that jump with the step at which half
    of it is there: negative where boundaries between unlike predictions come first. None for fewer than ten edges."""
    jump = _edges(film)
    kept = jump[:, jump[-1] > threshold]
    if kept.shape[1] < 10 or np.ptp(kept[-1]) == 0:
        return None
    step = (kept > kept[-1] / 2).argmax(0)
    return float(spearmanr(step, kept[-1]).statistic) if np.ptp(step) else 0.0


class Divergence(NamedTuple):
    """Of nearby pairs that a ridge separates in the end: mean distance of their predictions before it does over that
    after, the median over pairs (`before`); final distance of neighbours that no ridge ever separates over theirs
    (`control`); `pairs`: how many there are."""

    before: float
    control: float
    pairs: int


def divergence(film: Film, labels: Int[ndarray, "step a b"], threshold: float) -> Divergence | None:
    """`labels`: phases at every step. Pairs are grid neighbours; only those with a final jump above `threshold` count
    as separated. None where there is no separated pair, or none that is not."""
    jump, ends = _edges(film), _ends(labels)
    apart = ends[0] != ends[1]
    parted = apart[-1] & apart.any(0) & ~apart[0] & (jump[-1] > threshold)
    never = ~apart.any(0)
    if not parted.any() or not never.any():
        return None
    jump_p, first = jump[:, parted], apart[:, parted].argmax(0)
    earlier = np.arange(film.steps)[:, None] < first
    before = (jump_p * earlier).sum(0) / earlier.sum(0)
    after = (jump_p * ~earlier).sum(0) / (~earlier).sum(0)
    return Divergence(float(np.median(before / after)), float(np.median(jump[-1, never]) / np.median(jump[-1, parted])),
                      int(parted.sum()))


def geodesic_distances(surface: Surface, labels: Int[ndarray, "a b"] | None, leaves: int,
                       least: float = 1e-3) -> tuple[Float[ndarray, "n n"], Int[ndarray, "n 2"]] | None:
    """Geodesic distances between the deepest points of the `leaves` largest phases, and the points (row, column);
    without `labels` between `leaves` points that lie far from one another.

    None for fewer than five phases of the share `least`, which say nothing of a tree, or a metric that vanishes.
    """
    points = scattered(surface.shape, leaves) if labels is None else depth_points(labels, least, leaves)
    if len(points) < 5 or not surface.root.any():
        return None
    d = geodesics(surface, points).distances
    return (d, points) if d.max() > 0 else None


def scattered(shape: tuple[int, int], count: int) -> Int[ndarray, "n 2"]:
    """Grid points, each as far as can be from those before it, the first in the middle."""
    every = np.stack(np.unravel_index(np.arange(shape[0] * shape[1]), shape), -1)
    chosen = [int(np.abs(every - (np.array(shape) - 1) / 2).sum(1).argmin())]
    far = np.full(len(every), np.inf)
    while len(chosen) < min(count, len(every)):
        far = np.minimum(far, ((every - every[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(far.argmax()))
    return every[chosen]


class Straightness(NamedTuple):
    """Pairs of points of a slice: whether they share a phase, the share by which the straight line is longer than the
    geodesic, and how far the geodesic leaves the chord (over its length). `curves` in units of the grid."""

    inside: Bool[ndarray, " m"]
    excess: Float[ndarray, " m"]
    bend: Float[ndarray, " m"]
    curves: Float[ndarray, "m k 2"]

    def spaced(self, inside: bool, count: int) -> Int[ndarray, " count"]:
        """Indices of some pairs of one kind whose middles lie far from one another, for a figure."""
        left = list(np.flatnonzero(self.inside == inside))
        middles, chosen = self.curves[:, [0, -1]].mean(1), []
        while left and len(chosen) < count:
            far = [min((np.hypot(*(middles[i] - middles[j])) for j in chosen), default=0.0) for i in left]
            chosen.append(left.pop(int(np.argmax(far))))
        return np.array(chosen, dtype=int)

    def medians(self) -> tuple[float | None, float | None]:
        """Median excess of pairs inside a phase, and across a boundary; None without such pairs."""
        return tuple(float(np.median(self.excess[k])) if k.any() else None for k in (self.inside, ~self.inside))


def straightness(surface: Surface, labels: Int[ndarray, "a b"], points: int, seed: int,
                 chord: tuple[float, float] = (0.15, 0.4)) -> Straightness:
    """Geodesics between random grid points whose chords have a length in `chord` (shares of the slice's side), so that
    pairs inside a phase and across a boundary are about equally far apart."""
    rng, n = np.random.default_rng(seed), surface.shape[0]
    at = np.unique(rng.integers(0, n, (points, 2)), axis=0)
    found = geodesics(surface, at)
    i, j = np.triu_indices(len(at), 1)
    size = np.hypot(*(at[i] - at[j]).T) / (n - 1)
    kept = (size >= chord[0]) & (size <= chord[1])
    phase, straight = labels[at[:, 0], at[:, 1]], found.straight[i, j]
    excess = np.where(straight > 0, 1 - found.distances[i, j] / np.maximum(straight, 1e-300), 0.0)
    return Straightness((phase[i] == phase[j])[kept], excess[kept], bend(found.curves)[kept], found.curves[kept])


class Survey(NamedTuple):
    """One slice. `counts` of phases over steps by name; `nesting` of the watershed's phases and of the true basins;
    `coarse` (`coarse_first`); `pairs` (`divergence`); ultrametricity of `geodesic` distances, of the `split` steps by
    definition (a) and of the steps at which `ridges` part the leaves (c); median `inside`, `across` (`straightness`).
    None where a slice has nothing to measure."""

    counts: dict[str, Int[ndarray, " step"]]
    nesting: Nesting | None
    nesting_true: Nesting | None
    coarse: float | None
    pairs: Divergence | None
    geodesic: Ultrametricity | None
    split: Ultrametricity | None
    ridges: Ultrametricity | None
    inside: float | None
    across: float | None


def survey(film: Film, edge: float, between: Callable[[ndarray, ndarray], Pairs], *, leaves: int, draws: int, seed: int,
           member: Int[ndarray, " n"] | None = None, final: Surface | None = None) -> Survey:
    """Measure a slice. `edge`: height of a ridge. `between(alpha, beta)`: distances of predictions of points.
    `member`: the family of each picture of an exact model. `final`: the metric of the last step by which the leaves of
    the tree are apart; the film's own unless given. Leaves are the deepest points of the largest phases; of a model
    without a posterior, each point of whose slice is a picture of its own, points far from one another."""
    rest, last = resting(film), film.steps - 1
    labels = film.watershed(edge)
    counts = {"watershed": phases_of(labels, film.plane.spacing).count,
              "cut edges": phases_of(film.cut(edge), film.plane.spacing).count}
    true = None
    if member is not None:
        true = film.true()
        counts["pictures"] = phases_of(true, film.plane.spacing).count
        counts["families"] = phases_of(film.true(member), film.plane.spacing).count
    still, final = film.surface(rest), final or film.surface(last)
    straight = straightness(still, labels[rest], 18, seed) if still.root.any() else None
    return Survey(
        counts, nesting_over_steps(labels, 5e-3, seed), None if true is None else nesting_over_steps(true, 5e-3, seed),
        coarse_first(film, edge), divergence(film, labels, edge),
        *_trees(film, labels, final, between, leaves, draws, seed), *(straight.medians() if straight else (None, None)))


def resting(film: Film) -> int:
    """The step at which the slice's metric has come to rest: the last but one that chapter 5 would show."""
    shown = film.telling(6)
    return shown[-2] if len(shown) > 1 else shown[-1]


def _trees(film: Film, labels: ndarray, final: Surface, between: Callable, leaves: int, draws: int,
           seed: int) -> list[Ultrametricity | None]:
    found = geodesic_distances(final, labels[-1] if film.atom is not None else None, leaves)
    if found is None:
        return [None] * 3
    d, (i, j) = found[0], found[1].T
    pairs = between(film.plane.alpha[i], film.plane.beta[j])
    split = tree_distance(split_steps(pairs.distances), film.steps)
    parted = tree_distance(ridge_split(labels[:, i, j]), film.steps)
    options = {"draws": draws, "seed": seed}
    return [ultrametricity(distances=d, **options),
            ultrametricity(distances=split, tie=1.0, **options) if split.max() > 0 else None,
            ultrametricity(distances=parted, tie=1.0, **options) if parted.max() > 0 else None]
