"""A slice in a few numbers per step, and the noise levels at which they are read.

The noise level that matters to a sampler is

    nu = sigma / (alpha sqrt Lambda_1),     Lambda_1 the largest eigenvalue of the data's covariance:

rescaling the data and sigma / alpha by one factor leaves every prediction as it was, up to that factor. nu = 1 is where
a distribution begins to split (Biroli et al. 2024), whatever the scale of the data.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse.linalg import eigsh
from scipy.stats import rankdata

from phasebook.arguments import numbers
from phasebook.slices.measures.basins import basin_count, basin_labels
from phasebook.slices.plane import Plane
from phasebook.slices.slice import Slice
from phasebook.stats import Estimate

__all__ = ["Observations", "agreement", "basin_counts", "branching", "centred_gram", "contrast", "early",
           "half_parted", "hull", "interior_sensitivity", "largest_deviation", "late", "mean_s", "observations",
           "plane_contrast", "rests_from", "ridge_overlap", "ridge_share", "steepest"]

MANY = 600                      # points, beyond which one eigenvalue is sought alone
EARLY, LATE = 1.0, 0.1          # noise levels in units of the data's largest standard deviation
STANDS, LEVEL = 0.8, 0.05       # ridges shared with the last step, and change of the mean of S, of what is at rest


def centred_gram(gram: Float[ndarray, "n n"]) -> Float[ndarray, "n n"]:
    """Inner products of points less their mean.

    Args:
        gram: inner products of n points.

    Raises:
        ValueError: for no square of finite numbers, or points that are all equal, to rounding: nothing splits there.
    """
    gram = numbers("gram", gram, "inner products (n, n)").astype(np.float64)
    if gram.ndim != 2 or len(gram) != gram.shape[1] or not gram.size:
        raise ValueError(f"gram: shape {gram.shape}; takes inner products (n, n)")
    centred = gram - gram.mean(0) - gram.mean(1, keepdims=True) + gram.mean()
    if not np.trace(centred) > 1e-13 * np.trace(gram):
        raise ValueError(f"gram: all {len(gram)} points are equal; takes two different ones at least")
    return centred


def largest_deviation(gram: Float[ndarray, "n n"]) -> float:
    """The standard deviation of n points along their first principal axis, `sqrt Lambda_1`.

    Args:
        gram: inner products of the points; they need not be centred.

    Raises:
        ValueError: where `centred_gram` refuses them.
    """
    centred = centred_gram(gram)
    if len(gram) > MANY:
        start = np.random.default_rng(0).normal(size=len(gram))
        largest = eigsh(centred, k=1, v0=start, return_eigenvectors=False)[0]
    else:
        largest = np.linalg.eigvalsh(centred)[-1]
    return float(np.sqrt(max(largest, 0) / len(gram)))


def early(noise: Float[ndarray, " step"]) -> Bool[ndarray, " step"]:
    """The steps of large noise: nu >= 1, before the distribution of noisy states has begun to split.

    Args:
        noise: nu of each step.
    """
    return np.asarray(noise) >= EARLY


def late(noise: Float[ndarray, " step"]) -> Bool[ndarray, " step"]:
    """The steps of small noise: nu <= 0.1. A sampler that ends above it has none.

    Args:
        noise: nu of each step.
    """
    return np.asarray(noise) <= LATE


def mean_s(one: Slice, feature: str | None = None, exact: bool = False) -> Float[ndarray, " step"]:
    """The paper's curve: the mean of S = det G over the grid, by finite differences or from tangents."""
    return one.values("det", feature, exact).mean((1, 2))


def basin_counts(one: Slice, ridge: float, feature: str | None = None) -> Int[ndarray, " step"]:
    """The number of basins at each step: what stays connected once jumps above `ridge` are cut, specks left out."""
    pairs = zip(one.values("jump_alpha", feature), one.values("jump_beta", feature), strict=True)
    return np.array([basin_count(basin_labels(up, right, ridge)) for up, right in pairs])


def branching(count: Int[ndarray, " step"]) -> float:
    """Goodman and Kruskal's gamma of a count with its step: of all pairs of steps with different counts, the share in
    which the later one has more, minus the share in which it has less.

    A count that never falls has 1, however late it begins to grow; one that never changes has 0, since nothing
    branches.
    """
    count = np.asarray(count, dtype=np.float64)         # unsigned ones would never fall
    sign = np.sign(count[None, :] - count[:, None])[np.triu_indices(len(count), 1)]
    apart = int(np.abs(sign).sum())
    return float(sign.sum() / apart) if apart else 0.0


def half_parted(count: Int[ndarray, " step"]) -> int | None:
    """The first step with half of the last step's basins, or more; None where the last has a single one, and nothing is
    parted."""
    return int(np.argmax(count >= count[-1] / 2)) if count[-1] > 1 else None


def steepest(one: Slice, feature: str | None = None, exact: bool = False) -> Float[ndarray, " step"]:
    """The largest Lipschitz constant over the points of the grid."""
    return np.sqrt(one.values("largest", feature, exact).max((1, 2)))


def interior_sensitivity(one: Slice, feature: str | None = None) -> Float[ndarray, " step"]:
    """The median slope over the points, from tangents, over the mean slope: 1 for an even map, 0 where all change is on
    ridges.

    The mean slope is that of the jumps between neighbours, which miss no ridge, however narrow; by tangents alone a
    grid would. NaN where nothing changes.
    """
    median = np.median(np.sqrt(one.values("trace", feature, exact=True)), axis=(1, 2))
    pairs = (one.values(name, feature).mean((1, 2)) / h
             for name, h in zip(("jump_alpha", "jump_beta"), one.plane.spacing, strict=True))
    mean = np.hypot(*pairs)
    return np.where(mean > 1e-9, median / np.maximum(mean, 1e-9), np.nan)


def ridge_overlap(one: Slice, ridge: float, first: int, second: int, feature: str | None = None) -> float | None:
    """Of the edges of the grid that are on a ridge (jump above `ridge`) at one of two steps, the share at both; None
    where there is no ridge."""
    jumps = [one.values(name, feature) > ridge for name in ("jump_alpha", "jump_beta")]
    a, b = (np.concatenate([j[k].ravel() for j in jumps]) for k in (first, second))
    either = int((a | b).sum())
    return float((a & b).sum() / either) if either else None


def ridge_share(one: Slice, ridge: float, step: int, feature: str | None = None) -> float:
    """Of all edges of the grid, the share that is on a ridge (jump above `ridge`) at a step."""
    return float(np.mean(np.concatenate([one.values(f"jump_{way}", feature)[step].ravel() for way in ("alpha", "beta")])
                         > ridge))


def rests_from(noise: Float[ndarray, " step"], calm: Bool[ndarray, " step"]) -> float | None:
    """The noise level of the step from which on something is calm at every step; None where it is not at the last.

    Args:
        noise: nu of each step, falling.
        calm: whether it is.
    """
    moving = np.flatnonzero(~np.asarray(calm))
    first = moving[-1] + 1 if len(moving) else 0
    return float(noise[first]) if first < len(noise) else None


class Observations(NamedTuple):
    """What the paper reads off a slice, in numbers; None where a slice does not have them.

    Attributes:
        flat: the mean of S at large noise over its mean at small noise.
        branching: `branching` of the number of basins.
        overlap: `ridge_overlap` between the first step of small noise and the last.
        pattern: the noise from which on ridges stand where they do at the last step (`ridge_overlap` 0.8 or more).
        plateau: the noise from which on the mean of S is its last value, to 5 %.
    """

    flat: float | None
    branching: float
    overlap: float | None
    pattern: float | None
    plateau: float | None


def observations(one: Slice, noise: Float[ndarray, " step"], feature: str | None = None,
                 ridge: float | None = None) -> Observations:
    """Observations (i) to (iii) on one slice, by finite differences as in the paper.

    Args:
        one: the slice.
        noise: nu of each step.
        feature: in which it is measured.
        ridge: height of a ridge; the slice's own by default, which costs a network a few hundred evaluations.
    """
    s, first, last = mean_s(one, feature), early(noise), late(noise)
    ridge = one.ridge(feature) if ridge is None else ridge
    known = first.any() and last.any() and s[last].mean() > 1e-12
    flat = float(s[first].mean() / s[last].mean()) if known else None
    shared = [ridge_overlap(one, ridge, k, one.steps - 1, feature) for k in range(one.steps)]
    overlap = shared[int(np.argmax(last))] if last.any() else None
    pattern = None if shared[-1] is None else rests_from(noise, np.array(shared) >= STANDS)
    plateau = rests_from(noise, np.abs(s / s[-1] - 1) <= LEVEL) if s[-1] > 1e-12 else None
    return Observations(flat, branching(basin_counts(one, ridge, feature)), overlap, pattern, plateau)


def contrast(one: Slice, step: int, feature: str | None = None) -> float:
    """The largest slope at a step over the median one: 1 where nothing changes, infinite where most points do not."""
    slope = np.sqrt(one.values("largest", feature)[step])
    largest, median = float(slope.max()), float(np.median(slope))
    if not median > 0:
        return np.inf if largest > 0 else 1.0
    return largest / median


def plane_contrast(plane: Plane) -> float:
    """The same of the latents themselves, before any model: 1 for a flat plane, more once the division by the standard
    deviation has bent it onto a sphere. From the anchors' Gram matrix."""
    alpha, beta = np.meshgrid(plane.alpha, plane.beta, indexing="ij")
    _, dc = plane.coefficients(alpha.ravel(), beta.ravel())
    flat = plane.anchors.reshape(3, -1).astype(np.float64)
    metric = np.einsum("apk,kl,bpl->pab", dc, flat @ flat.T, dc)
    slope = np.sqrt(np.linalg.eigvalsh(metric)[:, -1])
    return float(slope.max() / np.median(slope))


def hull(estimates: list[Estimate | None]) -> Estimate | None:
    """One estimate for a statement made under several conditions: the first one's value, and the smallest interval that
    holds all intervals. Where conditions disagree about a bound, it lies on both sides.

    Args:
        estimates: the first that there is gives the value; None are left out.
    """
    there = [e for e in estimates if e is not None]
    if not there:
        return None
    return Estimate(there[0].value, min(e.low for e in there), max(e.high for e in there), min(e.n for e in there))


def agreement(first: Float[ndarray, "set step p"],
              second: Float[ndarray, "set step p"]) -> tuple[Float[ndarray, "set step"], Float[ndarray, "set step"]]:
    """Rank correlation over the points of two maps of the same slice, and its null.

    Args:
        first: maps of several slices by one model.
        second: maps of the same slices by another.

    Returns:
        The correlations, and the mean correlations with the second kind's maps of the *other* slices (NaN for a single
        slice). 0 where a map is constant.
    """
    a, b = (rankdata(x, axis=-1) for x in (first, second))
    a, b = (x - x.mean(-1, keepdims=True) for x in (a, b))
    a, b = (x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12) for x in (a, b))
    every = np.einsum("isp,jsp->ijs", a, b)
    own, n = np.einsum("iis->is", every), len(every)
    return own, (every.sum(1) - own) / (n - 1) if n > 1 else np.full_like(own, np.nan)
