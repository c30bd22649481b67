"""How the boundaries of one slice come: which first, whether predictions agree before one is there, what is lost.

Edges are those of the grid, between neighbours; the *jump* of an edge is the distance of the predictions at its ends.
Most functions give one number a slice, so that a statement over slices has an interval (`stats.median_interval`).
Phases that are lost are too few on one slice: their share is taken over all.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from phasebook.arguments import whole
from phasebook.slices.measures.splits import final_half, split_levels
from phasebook.slices.slice import Slice
from phasebook.stats import Estimate, grouped_bootstrap, share_interval, spearman

__all__ = ["before_over_after", "check_pairs", "coarse_first", "lost_over_gained", "nearby_pairs"]

ALONG = 2                       # grid points along a boundary from which the step is borrowed
LEAST = 10                      # edges, or pairs, that a number of a slice needs
LEAST_SLICES = 12               # below, no interval over slices
GAINED = 60                     # of fewer phases a share of a twentieth cannot be told from none (3 / 60)


def _jumps(s: Slice) -> Float[ndarray, "e step"]:
    """Jumps of all edges: along alpha, then along beta."""
    parts = [s.values(name).reshape(s.steps, -1) for name in ("jump_alpha", "jump_beta")]
    return np.concatenate(parts, axis=1).T


def coarse_first(s: Slice, ridge: float) -> float | None:
    """Whether boundaries between unlike predictions come first: rank correlation, over edges, of the final jump with
    the noise level at which half of it is there.

    The threshold is each edge's own, so that large jumps are not early by definition.

    Args:
        s: the slice.
        ridge: edges count whose final jump is larger.

    Returns:
        Positive where coarse boundaries come at higher noise; None for fewer than ten edges.
    """
    apart = _jumps(s)
    apart = apart[apart[:, -1] > ridge]
    if len(apart) < LEAST:
        return None
    level = split_levels(apart, s.levels.heights, final_half(apart))
    value = spearman(apart[:, -1], level)
    return float(value) if np.isfinite(value) else None


def before_over_after(s: Slice, labels: Int[ndarray, "step a b"], ridge: float) -> float | None:
    """How far apart neighbours are before a boundary comes between them, over how far after: the median over edges.

    The step at which the boundary is there is read two grid points further along it, at an edge that shares no point
    with the one whose jump is measured: else the jump would define both sides.

    Args:
        s: the slice.
        labels: its phases at every step.
        ridge: edges count whose final jump is larger.

    Returns:
        The ratio of mean distances; None for fewer than ten edges.
    """
    ratios = []
    for axis, name in ((1, "jump_alpha"), (2, "jump_beta")):
        jump = np.moveaxis(s.values(name), axis, 1)
        apart = np.diff(np.moveaxis(labels, axis, 1), axis=1) != 0
        borrowed = np.where(apart.any(0), apart.argmax(0), 0)[:, ALONG:]
        jump = jump[:, :, :-ALONG]
        kept = (borrowed > 0) & (jump[-1] > ridge)
        ratios.append(_ratio(jump[:, kept], borrowed[kept]))
    ratios = np.concatenate(ratios)
    return float(np.median(ratios)) if len(ratios) >= LEAST else None


def _ratio(jump: Float[ndarray, "step e"], first: Int[ndarray, " e"]) -> Float[ndarray, " e"]:
    """Mean jump before the step `first` over the mean from it on."""
    before = np.arange(len(jump))[:, None] < first
    after = (jump * ~before).sum(0) / (~before).sum(0)
    return (jump * before).sum(0) / before.sum(0) / np.maximum(after, 1e-300)


def lost_over_gained(counts: Int[ndarray, "slice step"], seed: int = 0) -> Estimate | None:
    """The sum of all falls of the counts over the sum of all rises, over all slices: 0 for counts that never fall,
    however late they start to grow.

    The interval is the wider one of two: slices drawn, and the binomial one, which does not shrink to a point where no
    phase is lost.

    Args:
        counts: of phases.
        seed: of the draws.

    Returns:
        The share, with infinite ends for fewer than twelve slices or sixty phases gained; None where none is gained.
    """
    change = np.diff(np.asarray(counts, dtype=np.int64), axis=1)        # unsigned ones would never fall
    lost, gained = -change.clip(max=0).sum(1), change.clip(min=0).sum(1)

    def share(index):
        return lost[index].sum() / gained[index].sum() if gained[index].any() else np.nan

    found = grouped_bootstrap(share, np.arange(len(counts)), seed, least=LEAST_SLICES, shares=True)
    if found is None:
        return None
    total = int(gained.sum())
    if total < GAINED:
        return Estimate(found.value, -np.inf, np.inf, total)
    single = share_interval(min(int(lost.sum()), total), total)
    if not lost.any() and len(counts) >= LEAST_SLICES:
        return single           # of which no draw says anything
    return Estimate(found.value, min(found.low, single.low), max(found.high, single.high), total)


def nearby_pairs(s: Slice, count: int, apart: float = 0.15) -> Float[ndarray, "count 2 2"]:
    """Pairs of grid neighbours across the largest final jumps, far from one another.

    Args:
        s: the slice.
        count: of pairs; fewer where there is no room.
        apart: no two pairs are closer, as a share of the slice's sides.

    Returns:
        (alpha, beta) of both points of each pair.

    Raises:
        ValueError: for no pair.
    """
    count = whole("count", count, 1)
    jump = _jumps(s)[:, -1]
    alpha, beta = s.plane.alpha, s.plane.beta
    n = len(alpha)
    chosen: list[ndarray] = []
    for edge in np.argsort(-jump, kind="stable"):
        turned, place = divmod(int(edge), n * (n - 1))
        i, j = divmod(place, n - 1 if turned else n)
        pair = np.array([[alpha[i], beta[j]], [alpha[i + 1 - turned], beta[j + turned]]])
        far = [np.abs((pair - other).mean(0) / [np.ptp(alpha), np.ptp(beta)]).max() for other in chosen]
        if all(d > apart for d in far):
            chosen.append(pair)
        if len(chosen) == count:
            break
    return np.stack(chosen)


def check_pairs(pairs: list[list[list[float]]], extent: list[float]) -> None:
    """Check the pairs of points that a user names.

    Raises:
        ValueError: unless every pair is [[alpha, beta], [alpha, beta]], two different points inside `extent`.
    """
    a0, a1, b0, b1 = extent
    for pair in pairs:
        shaped = len(pair) == 2 and all(len(point) == 2 for point in pair)
        if not shaped or pair[0] == pair[1] or not all(a0 <= a <= a1 and b0 <= b <= b1 for a, b in pair):
            raise ValueError(f"pair_coordinates = {pairs}: takes pairs [[alpha, beta], [alpha, beta]] of two different "
                             f"points inside the extent {list(extent)}; [] for those across the largest jumps")
