"""Intervals and rank correlations, once for the whole book.

Every estimate carries the 95 % interval by which its verdict is found. Where the data are too few for an interval of
that coverage, its ends are infinite, and nothing is decided. That the intervals cover what they say at the sizes in use
is tested by simulation.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import scipy  # `special`, when it is asked for: the command line need not pay
from jaxtyping import Float, Int
from numpy import ndarray

__all__ = ["Estimate", "grouped_bootstrap", "largest_of", "median_interval", "partial_spearman", "share_interval",
           "slope_interval", "spearman"]

LEVEL = 0.95
DRAWS = 39              # of fewer draws the least and the largest are no interval of that level
MET = 60                # of what was not met in so many, one in twenty at most are such: 0.95^60 = 0.046


class Estimate(NamedTuple):
    """A statistic, the ends of its 95 % interval (infinite where `n` data are too few for one), and `n`."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if not np.isfinite([self.low, self.high]).all():
            return f"{self.value:.3g} (n = {self.n}: too few for an interval)"
        return f"{self.value:.3g} (95 % interval {self.low:.3g} to {self.high:.3g}, n = {self.n})"


def median_interval(values: Iterable[float | None], least: int = 12) -> Estimate | None:
    """The median of independent values and its interval by order statistics.

    With `k` the largest rank at which `P(Binomial(n, 1/2) < k) <= 0.025`, the interval is from the k-th smallest value
    to the k-th largest: it covers the median with probability 0.95 or more, whatever the distribution (David and
    Nagaraja 2003, section 7.1).

    Args:
        values: one number a sample (a slice, a seed); None stands for a sample without the statistic and is left out.
        least: the number of values below which no interval is given.

    Returns:
        The estimate, with infinite ends for fewer than `least` values; None for no value at all.

    Raises:
        ValueError: for a NaN, or what is no list of numbers.
    """
    if not np.iterable(values):
        raise ValueError(f"values = {values!r}: takes a list of numbers, None for none")
    known = np.asarray([v for v in values if v is not None])
    if known.ndim != 1 or known.dtype.kind not in "biuf":
        raise ValueError(f"values: {known.dtype} of shape {known.shape}; takes a list of numbers, None for none")
    known = np.sort(known.astype(np.float64))
    n = len(known)
    if np.isnan(known).any():
        raise ValueError(f"values: {int(np.isnan(known).sum())} of {n} are NaN; takes numbers, None for none")
    if n == 0:
        return None
    middle = float(np.median(known))
    below = scipy.special.bdtr(np.arange(n + 1.0), n, 0.5)
    k = int(np.searchsorted(below, (1 - LEVEL) / 2))        # P(B < k) <= 0.025 <= P(B <= k)
    if n < least or k < 1:
        return Estimate(middle, -np.inf, np.inf, n)
    return Estimate(middle, float(known[k - 1]), float(known[n - k]), n)


def largest_of(value: float, n: int, least: int = MET) -> float | Estimate:
    """The largest of n values, such as falls or shares of a bound, which more of them could only raise.

    Args:
        value: the largest.
        n: of how many.
        least: the number of values below which the largest says nothing of those that were not drawn. Of what was not
            met in 60 draws, one in twenty at most are such (95 %: 0.95^60 = 0.046).

    Returns:
        The value; without an upper end for fewer than `least`.
    """
    return value if n >= least else Estimate(float(value), float(value), np.inf, n)


def share_interval(successes: int, n: int) -> Estimate | None:
    """A share and its exact binomial interval (Clopper and Pearson 1934).

    Args:
        successes: how many.
        n: of how many.

    Returns:
        The estimate; None for n = 0.

    Raises:
        ValueError: for numbers that are not whole, or successes that are not between 0 and n.
    """
    from phasebook.arguments import whole  # loads torch, which the command line need not pay

    n = whole("n", n, 0)
    successes = whole("successes", successes, 0, n)
    if n == 0:
        return None
    tail = (1 - LEVEL) / 2
    low = float(scipy.special.betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(scipy.special.betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return Estimate(successes / n, low, high, n)


def grouped_bootstrap(statistic: Callable[[Int[ndarray, " m"]], float], groups: Int[ndarray, " e"], seed: int,
                      draws: int = 1000, least: int = 20, shares: bool = False) -> Estimate | None:
    """A statistic of data that come in groups, with its expanded percentile interval over drawn groups.

    The plain percentile interval of G groups is too short by about `sqrt((G - 1) / G) z / t`: its ends are taken at the
    quantiles `Phi(-+ sqrt(G / (G - 1)) t)`, t the 97.5 % quantile of Student's t with G - 1 degrees (Hesterberg 2015,
    section 5.2). Of a share that is 1 in every group all draws agree, and fewer than sixty groups say nothing of those
    that were not met (see `largest_of`); of measured numbers that agree they do. A draw for which the statistic does
    not exist may have any value: where they are more than a few in a hundred, there is no interval.

    Args:
        statistic: of an index array into the data; NaN where it does not exist.
        groups: the group of each datum (edits of one source, pairs of one slice); groups are drawn, not data.
        seed: of the draws.
        draws: how many.
        least: the number of groups below which no interval is given.
        shares: whether the statistic is made of shares of what is so or not so.

    Returns:
        The estimate, `n` the number of data, with infinite ends for fewer than `least` groups or 39 draws, many draws
        without the statistic, or shares of fewer than sixty groups whose draws all agree; None where the statistic of
        the data does not exist.

    Raises:
        ValueError: for no draw, groups that are no list, or fewer than two groups at least.
    """
    from phasebook.arguments import whole  # loads torch, which the command line need not pay

    draws, least = whole("draws", draws, 1), whole("least", least, 2)
    if (groups := np.asarray(groups)).ndim != 1:
        raise ValueError(f"groups: shape {groups.shape}; takes a list, one a datum")
    if len(groups) == 0 or not np.isfinite(value := statistic(np.arange(len(groups)))):
        return None
    names, which = np.unique(groups, return_inverse=True)      # by place: a group named NaN equals none
    if len(names) < least or draws < DRAWS:
        return Estimate(float(value), -np.inf, np.inf, len(groups))
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(which == g) for g in range(len(names))]
    drawn = []
    for _ in range(draws):
        chosen = rng.integers(len(names), size=len(names))
        drawn.append(statistic(np.concatenate([members[i] for i in chosen])))
    wide = np.sqrt(len(names) / (len(names) - 1)) * scipy.special.stdtrit(len(names) - 1, (1 + LEVEL) / 2)
    low, high = _end(drawn, scipy.special.ndtr(-wide), -np.inf), _end(drawn, scipy.special.ndtr(wide), np.inf)
    if shares and len(names) < MET and high - low <= 1e-12 * abs(value):
        low, high = -np.inf, np.inf
    return Estimate(float(value), low, high, len(groups))


def _end(drawn: list[float], share: float, worst: float) -> float:
    """A quantile of draws, of which those without the statistic count as the worst: they may have any value."""
    with np.errstate(invalid="ignore"):         # between a number and no end
        end = np.quantile(np.where(np.isnan(drawn), worst, drawn), share)
    return worst if np.isnan(end) else float(end)


def slope_interval(x: Float[ndarray, " p"], y: Float[ndarray, " p"]) -> Estimate:
    """The least-squares slope of log y against log x, the order of `y ~ x^slope`, and its interval by Student's t.

    The interval takes what scatters about the line for independent and of one size; with two points there is none, and
    its ends are infinite.

    Args:
        x: positive, two different ones at least.
        y: positive.

    Returns:
        The estimate.

    Raises:
        ValueError: for arrays that differ in length, a number that is not positive, or x all equal.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    positive = np.isfinite([*x.flat, *y.flat]).all() and min([*x.flat, *y.flat], default=0) > 0
    if x.ndim != 1 or x.shape != y.shape or not positive or not np.ptp(np.log(x)) > 0:
        raise ValueError(f"x, y = {x.tolist()}, {y.tolist()}: takes positive numbers, as many of x as of y, and two "
                         "different ones of x")
    a, b = np.log(x), np.log(y)
    # both are centred: of x that are close together rounding alone would outweigh the slope
    centred, rise, n = a - a.mean(), b - b.mean(), len(a)
    value = float(centred @ rise / (centred @ centred))
    if n < 3:
        return Estimate(value, -np.inf, np.inf, n)
    left = rise - value * centred
    half = scipy.special.stdtrit(n - 2, (1 + LEVEL) / 2) * np.sqrt(left @ left / (n - 2) / (centred @ centred))
    return Estimate(value, float(value - half), float(value + half), n)


def spearman(x: Float[ndarray, " e"], y: Float[ndarray, " e"]) -> float:
    """Rank correlation; NaN and ValueError as of `partial_spearman`."""
    return partial_spearman(x, y)


def partial_spearman(x: Float[ndarray, " e"], y: Float[ndarray, " e"], *given: Float[ndarray, " e"]) -> float:
    """Correlation of the ranks of x and y after those of `given` are regressed out of both.

    Returns:
        The correlation; NaN where one is constant, is explained by `given`, or holds a NaN, which has no rank.

    Raises:
        ValueError: for lists that differ in length.
    """
    columns = [np.asarray(v, dtype=np.float64) for v in (x, y, *given)]
    if len({c.shape for c in columns}) > 1 or columns[0].ndim != 1:
        raise ValueError(f"x, y, given: shapes {', '.join(str(c.shape) for c in columns)}; takes lists of one length")
    if np.isnan(columns).any():
        return np.nan
    from scipy.stats import rankdata  # loads in a second, which the command line need not pay

    ranks = rankdata(columns, axis=1)       # in one call: its checks take longer than the ranks of a short list
    a, b = residual(ranks[:2].T, *ranks[2:]).T
    scale = np.sqrt((a @ a) * (b @ b))
    # ranks reach to len(a), and so does the rounding of what is left of them
    if min(a @ a, b @ b) <= (1e-12 * len(a) ** 1.5) ** 2:
        return np.nan
    return round(float(a @ b / scale), 12) + 0.0       # none is zero, on every machine and without a sign


def residual(y: Float[ndarray, "e *k"], *given: Float[ndarray, " e"]) -> Float[ndarray, "e *k"]:
    """What is left of `y`, or of each of its columns, after least squares on a constant and `given`."""
    design = np.column_stack([np.ones(len(y)), *given])
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
