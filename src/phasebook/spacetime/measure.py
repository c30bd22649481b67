"""Length and energy of curves from estimated expectations, with their errors; what clamping does to them.

With r probes, each shared by a whole curve, every probe gives an unbiased energy: the mean has a Student interval. The
length is made of square roots and is biased; the jackknife over probes removes the leading part and gives its error.
Two curves measured with the same probes are compared by the ratio of their lengths, probe by probe: what is common to
their errors cancels.

Terms of true posteriors are positive. A network's may be negative where it is asked outside of its data; in a length
such a term counts with its absolute value, so that no curve is shortened by the network's errors.

The code published with Karczewski et al. (2025) draws new probes at every point and clamps at zero the product of each
coordinate of `x` and that of the time, one by one. Only their sum has a sign: what falls in one coordinate while
another rises is lost, and the noise of two neighbours counts as distance. `clamped_energy` computes it, to be held
against the other.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.stats import t as student

from phasebook.arguments import number, whole
from phasebook.spacetime.expectations import Expectations
from phasebook.stats import Estimate

__all__ = ["Curve", "Measured", "clamped_energy", "jackknifed", "length_ratio", "measured",
           "negative_terms"]

Curve = tuple[Float[ndarray, "n d+1"], Expectations]


class Measured(NamedTuple):
    """Attributes:
    energy: the raw sum `sum (eta_{i+1} - eta_i) . (mu_{i+1} - mu_i)`.
    length: `sum sqrt|...|` of the same terms.
    """

    energy: Estimate
    length: Estimate


def measured(eta: Float[ndarray, "n d+1"], expectations: Expectations) -> Measured:
    """Energy and length of a curve.

    Args:
        eta: natural parameters along it.
        expectations: of its points, with r >= 2 probes; with the exact trace take one row, their mean, and read the
            values alone.

    Returns:
        Both with 95 % intervals, `n` the number of probes; infinite ones for a single probe.
    """
    terms = _terms(eta, expectations.x0, expectations.square)
    return Measured(_mean(terms.sum(1)), jackknifed(terms, lambda mean: float(np.sqrt(np.abs(mean)).sum())))


def clamped_energy(eta: Float[ndarray, "n d+1"], expectations: Expectations) -> Estimate:
    """The energy as it comes out with new probes at every point, each coordinate's product clamped at zero by itself.

    Args:
        eta: natural parameters along a curve.
        expectations: of its points, with r >= 2 probes; row j of neighbouring points is taken from different ones.

    Returns:
        `sum_i [sum_j max(d eta_j d mu_j, 0) + max(d eta_t d mu_t, 0)]`, its interval over probes.

    Raises:
        ValueError: for a single probe, or expectations of other points.
    """
    _terms(eta, *expectations)                              # of its points
    r, n = expectations.square.shape
    whole("probes", r, 2)
    other = (np.arange(r)[:, None] + np.arange(n)) % r
    step, square = np.diff(eta, axis=0), np.take_along_axis(expectations.square, other, axis=0)
    space = (step[:, :-1] * np.diff(expectations.x0, axis=0)).clip(0).sum()
    time = (step[:, -1] * np.diff(square, axis=1)).clip(0)
    return _mean(space + time.sum(1))


def length_ratio(one: Curve, other: Curve, level: float = 0.95) -> Estimate:
    """The length of one curve over that of another, measured with the same probes.

    Args:
        one: natural parameters along it, and the expectations of its points.
        other: likewise, with the same r >= 2 probes.
        level: of the interval.

    Raises:
        ValueError: for different numbers of probes, or another curve of no length.
    """
    if len(one[1].square) != len(other[1].square):
        raise ValueError(f"probes: {len(one[1].square)} and {len(other[1].square)}; takes the same on both curves")
    first, second = (_terms(eta, e.x0, e.square) for eta, e in (one, other))
    m = first.shape[1]
    if not second.mean(0).any():
        raise ValueError("other: a curve of length 0; takes one that some length can be measured by")

    def ratio(mean: Float[ndarray, " n"]) -> float:
        root = np.sqrt(np.abs(mean))
        return float(root[:m].sum() / root[m:].sum())

    return jackknifed(np.concatenate([first, second], axis=1), ratio, level)


def negative_terms(curve: Curve, errors: float = 3.0) -> Bool[ndarray, " n-1"]:
    """Which terms of the energy are negative by more than some standard errors: there no posterior has these moments.

    Args:
        curve: natural parameters along it, and the expectations of its points with r >= 2 probes.
        errors: how many.

    Raises:
        ValueError: for a single probe, which has no standard error.
    """
    eta, posterior = curve
    whole("probes", len(posterior.square), 2)
    terms = _terms(eta, posterior.x0, posterior.square)
    return terms.mean(0) < -errors * terms.std(0, ddof=1) / np.sqrt(len(terms))


def jackknifed(rows: Float[ndarray, "r m"], statistic: Callable[[ndarray], float], level: float = 0.95) -> Estimate:
    """A statistic of the mean row, its leading bias removed, with a Student interval over the rows left out in turn.

    Args:
        rows: independent and equally distributed.
        statistic: of a row.
        level: of the interval, in (0, 1).

    Raises:
        ValueError: for no row, or a level that is none.
    """
    r = whole("rows", len(rows), 1)
    if number("level", level, "a share in (0, 1)", above=0) >= 1:
        raise ValueError(f"level = {level:g}: takes a share in (0, 1)")
    every = statistic(rows.mean(0))
    if r < 2:
        return Estimate(every, -np.inf, np.inf, r)
    without = [statistic(np.delete(rows, j, axis=0).mean(0)) for j in range(r)]
    return _mean(r * every - (r - 1) * np.array(without), level)


def _terms(eta: ndarray, x0: ndarray, square: Float[ndarray, "r n"]) -> Float[ndarray, "r n-1"]:
    if x0.shape != (len(eta), eta.shape[1] - 1) or square.shape[1:] != (len(eta),):
        raise ValueError(f"eta, expectations: shapes {eta.shape}, {x0.shape}, {square.shape}; take the same points")
    step = np.diff(eta, axis=0)
    return (step[:, :-1] * np.diff(x0, axis=0)).sum(1) + step[:, -1] * np.diff(square, axis=1)


def _mean(values: Float[ndarray, " r"], level: float = 0.95) -> Estimate:
    r = len(values)
    if r < 2:
        return Estimate(float(values.mean()), -np.inf, np.inf, r)
    wide = float(student.ppf((1 + level) / 2, r - 1) * values.std(ddof=1) / np.sqrt(r))
    return Estimate(float(values.mean()), float(values.mean()) - wide, float(values.mean()) + wide, r)
