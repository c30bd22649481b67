"""Modes of a one-dimensional mixture at a noise level: every root of the score, with a proof that none is missed.

`p(x) = sum_i pi_i N(x; c_i, s_i^2)`, `c_i = alpha m_i`, `s_i^2 = alpha^2 v_i + sigma^2` (Eq. (6) of the paper is
`v_i = 0`, `pi_i = 1/n`). On a cell `m + u`, `|u| <= h`, the score has the sign of the tilted derivative

    F(u) = p'(m + u) / (p(m) exp(D u - K u^2 / 2)) = sum_i w_i (d_i - k_i u) exp(delta_i u - kappa_i u^2 / 2),

with `w` the responsibilities at `m`, `k_i = 1/s_i^2`, `d_i = k_i (c_i - m)`, `D, K` the means of `d, k` under `w`
and `delta_i = d_i - D`, `kappa_i = k_i - K`. Its Taylor coefficients `a_j` are exact sums over the components;
the tail beyond order M is at most `lambda^-(M+1)` times the majorant series at `lambda h`, for any `lambda > 1`.
A cell is settled when on all of it, tail and rounding included, `F` has no root (`|a_0|` outweighs the rest) or
is monotone (`|a_1|` does: at most one root) or is zero to rounding; otherwise it is halved. On the settled
partition the signs of the score at the cell ends are a complete account of its roots. Components that stay below
`exp(-NEGLIGIBLE)` of another one all over a cell are left out of its sums, and enter its tail. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from phasebook.mixtures.mixtures import Mixture

__all__ = ["Critical", "detect_by_height", "modes_1d"]

ORDER = 10
# A cell narrower than this many of its own length scales is left to the signs at its ends: two roots so close
# are within 1e-16 (relative) of the noise level where they meet, which float64 cannot tell apart.
RESOLUTION = 1e-8
EPS = float(np.finfo(np.float64).eps)
NEGLIGIBLE = 100.0


class Critical(NamedTuple):
    """Critical points of a density on the line, ascending; one antimode between each two modes.

    Attributes:
        modes: (m,) maxima.
        antimodes: (m-1,) minima.
    """

    modes: Float[ndarray, " m"]
    antimodes: Float[ndarray, " m-1"]


class _Terms(NamedTuple):
    """A mixture at one noise level: `log (pi_i k_i^(1/2))`, ascending centres `c_i`, precisions `k_i = 1/s_i^2`.

    One row for all points, or after `near` one for each point.
    """

    log_weights: Float[ndarray, "*c n"]
    centres: Float[ndarray, "*c n"]
    precisions: Float[ndarray, "*c n"]

    def near(self, x: Float[ndarray, " c"], h: Float[ndarray, " c"]) -> "_Terms":
        """The components that count on `|u - x| <= h`, as many for each x: all from the first to the last of them.

        One does not where `exp(-NEGLIGIBLE)` of the component that leads at x exceeds it on the whole interval.
        """
        gap = self.centres - x[:, None]
        d = gap * self.precisions
        log_terms = self.log_weights - gap * d / 2
        lead, row = log_terms.argmax(1), np.arange(len(x))
        growth = np.abs(d - d[row, lead][:, None]) * h[:, None]
        if np.ptp(self.precisions):
            growth += np.abs(self.precisions - self.precisions[lead][:, None]) * (h**2 / 2)[:, None]
        counts = log_terms + growth > (log_terms[row, lead] - NEGLIGIBLE)[:, None]
        n, first = len(self.centres), counts.argmax(1)
        width = int((n - counts[:, ::-1].argmax(1) - first).max())
        if 3 * width > 2 * n:
            return self
        chosen = np.minimum(first, n - width)[:, None] + np.arange(width)
        return _Terms(*(values[chosen] for values in self))

    def at(self, x: Float[ndarray, " c"]) -> tuple[Float[ndarray, "c n"], ...]:
        """Log responsibilities, slopes `d_i = k_i (c_i - x)` and the rounding error of each term.

        The error is relative to the largest term: what they share cancels in the responsibilities.
        """
        gap = self.centres - x[:, None]
        square = gap**2 * (self.precisions / 2)
        log_terms = self.log_weights - square
        top, row = log_terms.argmax(1), np.arange(len(x))
        error = 3 * (square + square[row, top][:, None])
        error[row, top] = 0
        log_terms -= log_terms[row, top][:, None]
        return log_terms - np.log(np.exp(log_terms).sum(1, keepdims=True)), gap * self.precisions, EPS * (8 + error)

    def score(self, x: Float[ndarray, " c"]) -> tuple[Float[ndarray, " c"], ...]:
        """`(log p)'`, `(log p)''`, and a bound on the rounding error of the first."""
        log_w, d, rounding = self.at(x)
        w = np.exp(log_w)
        D = (w * d).sum(1)
        curvature = (w * ((d - D[:, None]) ** 2 - self.precisions)).sum(1)
        return D, curvature, (w * np.abs(d) * rounding).sum(1)


def modes_1d(mixture: Mixture, alpha: float, sigma: float) -> Critical:
    """All modes and antimodes of `p_t`.

    Complete: the line is cut into cells on which the score provably has at most one root (module docstring).
    Coincident atoms act as one; a stretch where the score is zero to rounding counts as one critical point, or
    none, by the signs beside it.

    Args:
        mixture: the data, on the line.
        alpha: the signal's factor.
        sigma: the noise's standard deviation.

    Returns:
        The critical points, in the frame of `x_t = alpha x_0 + sigma eps`.

    Raises:
        ValueError: where there is no density (`sigma = 0` with atoms) or no line.
    """
    terms = _terms(mixture, alpha, sigma)
    if np.ptp(terms.centres) == 0:
        return Critical(terms.centres[:1].copy(), np.empty(0))
    ends, rising = _signs(terms)
    change = np.flatnonzero(rising[1:] != rising[:-1])
    roots = _polish(terms, ends[change], ends[change + 1], rising[change])
    return Critical(roots[rising[change]], roots[~rising[change]])


def detect_by_height(mixture: Mixture, alpha: float, sigma: float, grid: Float[ndarray, " g"],
                     threshold: float) -> Float[ndarray, " m"]:
    """Modes as the paper detects them: local maxima on a grid, kept when `p >= threshold * max p` of the slice.

    For n equal atoms no mode is lower than `max p / (n sqrt e)`: at a mode some atom is within one noise level, else
    `p'' > 0`. What lies between grid points is lost at any threshold.

    Args:
        mixture: the data, on the line.
        alpha: the signal's factor.
        sigma: the noise's standard deviation.
        grid: positions, in the frame of `x_t`.
        threshold: strictly between 0 and 1.

    Returns:
        The grid points that count.

    Raises:
        ValueError: for a threshold outside (0, 1).
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold = {threshold}: takes a number strictly between 0 and 1")
    log_p = mixture.log_density(np.asarray(grid, float)[:, None], alpha, sigma)
    peak = np.r_[False, (log_p[1:-1] > log_p[:-2]) & (log_p[1:-1] >= log_p[2:]), False]
    return grid[peak & (log_p >= log_p.max() + np.log(threshold))]


def _terms(mixture: Mixture, alpha: float, sigma: float) -> _Terms:
    if mixture.means.shape[1] != 1:
        raise ValueError(f"mixture: dimension {mixture.means.shape[1]}; modes_1d takes a mixture on the line")
    if not (np.isfinite([alpha, sigma]).all() and alpha >= 0 and sigma >= 0):
        raise ValueError(f"alpha, sigma = {alpha}, {sigma}: take finite numbers >= 0")
    s2 = alpha**2 * mixture.variances + sigma**2
    if (s2 == 0).any():
        raise ValueError(f"sigma = {sigma}: atoms have no density at sigma = 0; takes sigma > 0")
    order = mixture.means[:, 0].argsort(kind="stable")
    whole = _Terms(np.log(mixture.weights) - np.log(s2) / 2, alpha * mixture.means[:, 0], 1 / s2)
    return _Terms(*(values[order] for values in whole))


def _signs(terms: _Terms) -> tuple[Float[ndarray, " e"], Bool[ndarray, " e"]]:
    """Ends of cells with at most one root each, where rounding lets one say, and whether the density rises there."""
    ends = _partition(terms)
    score, _, rounding = terms.near(ends, np.zeros_like(ends)).score(ends)
    certain = np.abs(score) > rounding
    return ends[certain], score[certain] > 0


def _partition(terms: _Terms) -> Float[ndarray, " e"]:
    """Ends of cells that cover every root, each cell with at most one root."""
    scale = terms.precisions.max() ** -0.5
    low, high = terms.centres.min() - scale / 100, terms.centres.max() + scale / 100
    count = int(min(np.ceil((high - low) / scale), 2 * len(terms.centres)))
    ends = np.linspace(low, high, max(count, 2) + 1)
    settled = [ends]
    left, right = ends[:-1], ends[1:]
    while len(left):
        middle = (left + right) / 2
        open_ = ~_settled(terms, middle, (right - left) / 2)
        left, middle, right = left[open_], middle[open_], right[open_]
        settled.append(middle)
        left, right = np.r_[left, middle], np.r_[middle, right]
    return np.unique(np.concatenate(settled))


def _settled(terms: _Terms, m: Float[ndarray, " c"], h: Float[ndarray, " c"]) -> Bool[ndarray, " c"]:
    """Whether a cell has no root, or at most one, or cannot be told from zero (module docstring)."""
    largest = terms.precisions.max()
    most = largest * (np.ptp(terms.centres) + h)                       # of |d_i - k_i u|
    left_out = len(terms.centres) * np.exp(-NEGLIGIBLE) * most * (1 + 2 * most * h + largest * h**2)
    terms = terms.near(m, h)
    log_w, d, rounding = terms.at(m)
    w, k = np.exp(log_w), terms.precisions
    K = (w * k).sum(1)
    delta, kappa = d - (w * d).sum(1, keepdims=True), k - K[:, None]
    size = h * (np.sqrt(K) + np.sqrt((w * delta**2).sum(1)))           # half width in length scales
    # Taylor coefficients, times h^j: e_j of exp(delta u - kappa u^2 / 2), then a_j of F
    dh, kh, wd, wk = delta * h[:, None], kappa * h[:, None] ** 2, w * d, w * k * h[:, None]
    before, e = np.zeros_like(d), np.ones_like(d)
    a, noise = [(wd * e).sum(1)], [(np.abs(wd) * rounding).sum(1)]
    for j in range(1, ORDER + 1):
        part = wk * e
        before, e = e, (dh * e - kh * before) / j
        a.append((wd * e - part).sum(1))
        noise.append(((np.abs(wd * e) + np.abs(part)) * rounding).sum(1))
    dh, kh, lead = np.abs(dh), np.abs(kh), log_w.argmax(1)[:, None]    # the tails, each with its best lambda
    stretch = np.clip((ORDER + 1) / (dh + np.sqrt((ORDER + 1) * kh) + 1e-30), 1.2, 1e30)
    with np.errstate(over="ignore", invalid="ignore"):                     # an infinite tail settles nothing
        majorant = np.exp(log_w + dh * stretch + kh * stretch**2 / 2 - (ORDER + 1) * np.log(stretch))
        tail = ((np.abs(d) + k * h[:, None] * stretch) * majorant).sum(1)
        tail += left_out * np.exp(np.take_along_axis(dh + kh / 2, lead, 1)[:, 0])
        a, noise, j = np.abs(a), np.array(noise), np.arange(ORDER + 1)[:, None]
        empty = a[0] > a[1:].sum(0) + tail + noise.sum(0)
        monotone = a[1] > (j * a)[2:].sum(0) + (ORDER + 1) * tail + (j * noise).sum(0)
        flat = a.sum(0) + tail <= noise.sum(0)
    return empty | monotone | flat | (size < RESOLUTION) | (h <= 4 * np.spacing(np.abs(m)))


def _polish(terms: _Terms, left: Float[ndarray, " r"], right: Float[ndarray, " r"],
            rising: Bool[ndarray, " r"]) -> Float[ndarray, " r"]:
    """The root in each bracket, by Newton steps kept inside and halving where a step leaves."""
    root = (left + right) / 2
    terms, x, open_ = terms.near(root, (right - left) / 2), root.copy(), np.arange(len(root))
    for _ in range(80):
        here = _Terms(*(values[open_] for values in terms)) if terms.centres.ndim > 1 else terms
        value, slope, _ = here.score(x)
        same = (value >= 0) == rising
        left, right = np.where(same, x, left), np.where(same, right, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = x - value / slope
        new = np.where((new > left) & (new < right), new, (left + right) / 2)
        going = (np.abs(new - x) > 2 * np.spacing(np.abs(x))) & (value != 0)
        x = np.where(value == 0, x, new)
        root[open_] = x
        open_, x, left, right, rising = (values[going] for values in (open_, x, left, right, rising))
        if not len(open_):
            break
    return root
