"""Which pairs need how many steps: rank correlations and differences with bootstrap intervals, and the exact law.

Edits of one source share its start and its inversion, so the bootstrap draws sources, not edits.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.special import expit
from scipy.stats import rankdata

from phasebook.edits.editing import Edits, monotone, split_steps

__all__ = ["Estimate", "basins", "bootstrap", "difference", "even_odds", "findings", "partial_spearman", "spearman",
           "thresholds", "two_picture_constant"]


class Estimate(NamedTuple):
    """A statistic with its 95 % interval; None where it does not exist."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None:
            return "not measurable"
        return f"{self.value:.2f} (95 % interval {self.low:.2f} to {self.high:.2f})"


def bootstrap(statistic: Callable[[Int[ndarray, " m"]], float], groups: Int[ndarray, " e"], seed: int,
              draws: int = 1000) -> Estimate:
    """`statistic` of an index array over the edits, and its percentile interval over drawn sources (`groups`)."""
    groups = np.asarray(groups)
    if len(groups) == 0 or not np.isfinite(value := statistic(np.arange(len(groups)))):
        return Estimate(None, None, None)
    rng, names = np.random.default_rng(seed), np.unique(groups)
    members = [np.flatnonzero(groups == g) for g in names]
    found = [statistic(np.concatenate([members[i] for i in rng.integers(len(names), size=len(names))]))
             for _ in range(draws)]
    low, high = np.nanquantile(found, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))


def _residual(y: Float[ndarray, " e"], given: Float[ndarray, "e c"]) -> Float[ndarray, " e"]:
    design = np.column_stack([np.ones(len(y)), given])
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def spearman(x: ndarray, y: ndarray) -> float:
    """Rank correlation; NaN where either is constant."""
    return partial_spearman(x, y)


def partial_spearman(x: ndarray, y: ndarray, *given: ndarray) -> float:
    """Correlation of the ranks of x and y after those of `given` are regressed out of both."""
    ranks = [rankdata(v) for v in (x, y, *given)]
    others = np.column_stack(ranks[2:]) if given else np.zeros((len(ranks[0]), 0))
    a, b = (_residual(v, others) for v in ranks[:2])
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 1e-9 * len(a) else np.nan


def difference(y: ndarray, second: Bool[ndarray, " e"], *given: ndarray) -> float:
    """Mean of y in the `second` group over that in the first, at equal `given`: a coefficient of least squares. NaN
    where one group is empty."""
    second = np.asarray(second, dtype=float)
    others = np.column_stack(given) if given else np.zeros((len(second), 0))
    a = _residual(second, others)
    return float(a @ _residual(np.asarray(y, dtype=float), others) / (a @ a)) if a @ a > 1e-9 else np.nan


def thresholds(k_star: Int[ndarray, " e"], noise: Float[ndarray, " step"]) -> Float[ndarray, " e"]:
    """The noise level sigma/alpha at which success is lost, between `k*` and the next step (geometric mean)."""
    following = np.minimum(k_star + 1, len(noise) - 1)
    return np.sqrt(noise[k_star] * noise[following])


def even_odds(log_prior: float, along: Float[ndarray, " e"]) -> Float[ndarray, " e"]:
    """`r/|dx|` at which the log-odds `lambda - R/2 + g sqrt(R)`, `R = (|dx|/r)^2`, are even; g: noise along dx."""
    return 1 / (along + np.sqrt(along**2 + 2 * log_prior))


def two_picture_constant(log_prior: float, slopes: int = 400) -> float:
    """`c` of the law `sigma/alpha = c |dx| / sqrt(2 lambda)` for two pictures alone, by the flow between them.

    Let eta be the share of the way from source to target, R = |dx|^2 alpha^2 / sigma^2, s = log(alpha/sigma). Then

        d eta / ds = w - eta,    d R / ds = 2 R,    w = 1 / (1 + exp(-lambda - (eta - 1/2) R)),    eta = 0 at the start;

    c is the R at which the outcome tips, `R = 2 lambda / c^2`. With w fixed by eta = 0 it would be 1.
    """
    def succeeds(big_r: float) -> bool:
        eta, h = 0.0, 6.0 / slopes
        for _ in range(slopes):
            half = eta + h / 2 * (expit(log_prior + (eta - 0.5) * big_r) - eta)
            middle = big_r * np.exp(h)
            eta += h * (expit(log_prior + (half - 0.5) * middle) - half)
            big_r *= np.exp(2 * h)
        return eta > 0.5

    low, high = 1e-3 * log_prior, 10.0 * log_prior                     # succeeds, fails
    for _ in range(50):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if succeeds(middle) else (low, middle)
    return float(np.sqrt(2 * log_prior / low))


def basins(edits: Edits, seed: int, *given: Float[ndarray, " e"]) -> dict[str, Estimate]:
    """How many more inverted steps pairs across a boundary need than pairs within one basin, at equal `given`
    (`basin`) and at equal distance of the pictures as well (`basin_given_picture`).

    A pair is across a boundary if its predictions part before those of the median pair do.
    """
    done = edits.k_star >= 0
    split, group = split_steps(edits.apart)[done], np.asarray(edits.pairs.group)[done]
    parted = split < np.median(split) if done.any() else split
    columns = [edits.needed[done], parted, *(v[done] for v in given)]
    over = lambda *found: bootstrap(lambda i: difference(*(c[i] for c in found)), group, seed)  # noqa: E731
    return {"basin": over(*columns), "basin_given_picture": over(*columns, edits.distance[done])}


def findings(edits: Edits, seed: int) -> dict[str, Estimate]:
    """What the paper's statements come to over `edits`, each with its interval.

    `monotone`: share of edits whose success has one threshold. Among those that succeed at all: rank correlations of
    k* with the split step (`split`; `split_own` by each pair's own threshold; `split_given_distance`) and with the
    distance of the pictures (`distance`); how many more inverted steps are needed by edits across families than within
    (`fine`), and by pairs across a boundary at equal distance of their inverted latents (`basins`).
    """
    done, whole = edits.k_star >= 0, monotone(edits.success)
    group, k, image = np.asarray(edits.pairs.group)[done], edits.k_star[done], edits.distance[done]
    split, own = split_steps(edits.apart)[done], split_steps(edits.apart, own=True)[done]
    across = np.asarray(edits.pairs.level)[done] == "across"
    over = lambda statistic, *columns: bootstrap(  # noqa: E731
        lambda i: statistic(*(c[i] for c in columns)), group, seed)
    return {
        "monotone": bootstrap(lambda i: whole[i].mean(), np.asarray(edits.pairs.group), seed),
        "split": over(spearman, k, split), "split_own": over(spearman, k, own), "distance": over(spearman, k, image),
        "split_given_distance": over(partial_spearman, k, split, image),
        "fine": over(difference, edits.needed[done], across), **basins(edits, seed, edits.latent_distance),
    }
