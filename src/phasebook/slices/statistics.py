"""A slice in a few numbers per step, and statements over several slices."""

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.stats import rankdata, spearmanr

from phasebook.slices.basins import area_holding_half, basin_count, basin_labels

__all__ = ["agreement", "basin_counts", "early", "isotropy", "late", "late_spread", "median_interval", "rise",
           "statistics"]


def early(steps: int) -> slice:
    """The first tenth of the steps, at least one."""
    return slice(0, max(1, steps // 10))


def late(steps: int) -> slice:
    """The last fifth of the steps, at least two where there are two: 'late t' in observation (iii)."""
    return slice(max(0, steps - max(2, steps // 5)), steps)


def basin_counts(dataset: xr.Dataset, threshold: float) -> Int[ndarray, " step"]:
    """Number of basins at each step."""
    pairs = zip(dataset.jump_alpha.values, dataset.jump_beta.values, strict=True)
    return np.array([basin_count(basin_labels(up, right, threshold)) for up, right in pairs])


def statistics(dataset: xr.Dataset, threshold: float) -> dict[str, Float[ndarray, " step"]]:
    """Per step: means of det G and tr G (finite differences, as in the paper), number of basins, the smallest share
    of the area that holds half of `sqrt tr G`, the largest Lipschitz constant, and its ratio to the median one."""
    steepness = np.sqrt(dataset.largest.values.reshape(dataset.sizes["step"], -1))
    middle = np.median(steepness, 1)
    return {
        "det": dataset.det_g.values.mean((1, 2)), "trace": dataset.tr_g.values.mean((1, 2)),
        "basins": basin_counts(dataset, threshold),
        "area": np.array([area_holding_half(np.sqrt(t)) for t in dataset.tr_g.values]),
        "steepest": steepness.max(1),
        "contrast": steepness.max(1) / np.maximum(middle, 1e-12) if steepness.max() > 1e-9 else np.ones(len(middle)),
    }


def late_spread(mean_s: Float[ndarray, " step"]) -> float | None:
    """`(max - min) / mean` of S over the late steps: small on a plateau. None with fewer than three steps, where
    there is nothing to see, or where S vanishes."""
    tail = mean_s[late(len(mean_s))]
    return float(np.ptp(tail) / tail.mean()) if len(mean_s) >= 3 and tail.mean() > 1e-12 else None


def rise(values: Float[ndarray, " step"]) -> float | None:
    """Rank correlation of a sequence with its index; 0 for a constant one, None for fewer than three values."""
    if len(values) < 3:
        return None
    return 0.0 if np.ptp(values) == 0 else float(spearmanr(np.arange(len(values)), values).statistic)


def isotropy(det: Float[ndarray, "step a b"], trace: Float[ndarray, "step a b"],
             share: float) -> Float[ndarray, " step"]:
    """Median of `det G / (tr G / 2)^2` over the steepest `share` of the slice: 1 for equal eigenvalues, 0 for rank
    one."""
    det, trace = (x.reshape(len(x), -1) for x in (det, trace))
    top = trace >= np.quantile(trace, 1 - share, axis=1, keepdims=True)
    pairs = zip(det, trace, top, strict=True)
    return np.array([np.median(4 * d[k] / np.maximum(t[k] ** 2, 1e-30)) for d, t, k in pairs])


def agreement(first: Float[ndarray, "set step p"],
              second: Float[ndarray, "set step p"]) -> tuple[Float[ndarray, "set step"], Float[ndarray, "set step"]]:
    """Rank correlation over the points of two maps of the same slice, and, as its null, the mean correlation with the
    second kind's maps of the *other* slices (NaN for a single one). 0 where a map is constant."""
    a, b = (rankdata(x, axis=-1) for x in (first, second))
    a, b = (x - x.mean(-1, keepdims=True) for x in (a, b))
    a, b = (x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12) for x in (a, b))
    every = np.einsum("isp,jsp->ijs", a, b)
    own, n = np.einsum("iis->is", every), len(every)
    return own, (every.sum(1) - own) / (n - 1) if n > 1 else np.full_like(own, np.nan)


def median_interval(values: list[float | None], seed: int) -> tuple[float | None, str]:
    """The median of the values that are there, and its bootstrap 95 % interval in words; None if there are none."""
    known = np.array([v for v in values if v is not None], dtype=np.float64)
    if len(known) == 0:
        return None, "nothing to measure"
    draws = np.random.default_rng(seed).choice(known, (2000, len(known)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return float(np.median(known)), f"median of {len(known)} anchor sets, 95 % interval {low:.3g} to {high:.3g}"
