"""Leak against Lipschitz constant: what Gaussian isoperimetry asks of every generator.

A generator G of R^d sends standard Gaussian latents to a target in parts A_1, ..., A_m; `p_i` is the mass that it puts
on A_i, `1 - sum p_i` its leak. Split the parts into two groups at distance D. Their preimages are D/L apart if L is a
Lipschitz constant of G, and the enlarged preimage of a group of mass p has mass `Phi(Phi^-1(p) + D/L)` at least
(Borell; Sudakov and Tsirelson). Hence, with p and q the masses of the two groups,

    Phi^-1(p) + Phi^-1(q) <= -D/L,        that is,  L >= D / -(Phi^-1(p) + Phi^-1(q)).

float64.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.integrate import quad
from scipy.optimize import brentq, differential_evolution
from scipy.special import ndtr, ndtri
from scipy.stats import norm

from phasebook.arguments import brief, number, numbers, whole

__all__ = ["chained_constant", "least_constant", "least_leak", "leak_of_two", "searched_leak", "sectors_leak",
           "slabs_leak"]

NONE, FEW = 1e-300, 1e-12           # masses that are as good as none


def leak_of_two(p: Float[ndarray, "*b"], width: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
    """The least leak of a target in two parts: `Phi(Phi^-1(p) + D/L) - p`.

    Args:
        p: mass on one part.
        width: D/L, distance of the parts over the Lipschitz constant.

    Returns:
        `1 - p - q` at least, q the mass on the other part. Attained by `G(z) = L z_1 + b`, cut off at the parts.

    Raises:
        ValueError: for a p outside [0, 1], or a width below 0.
    """
    for name, value, takes in (("p", p, "numbers from 0 to 1"), ("width", width, "numbers from 0 on")):
        given = numbers(name, value, takes)
        if not ((given >= 0) & (given <= (1 if name == "p" else np.inf))).all():
            raise ValueError(f"{name} = {brief(value)}: takes {takes}")
    p, width = np.asarray(p, dtype=np.float64), np.asarray(width, dtype=np.float64)
    return ndtr(ndtri(p) + width) - p


def chained_constant(constants: Sequence[float], fresh: Sequence[float] = ()) -> float:
    """The Lipschitz constant of a chain of steps, as a function of all its noise at once.

    Step j maps `sqrt(1 - s_j^2) x_{j-1} + s_j z_j` by G_j, and the first maps z_1. With `B_{j-1}` the constant so far,
    Cauchy and Schwarz give `sqrt(1 - s^2) B |dz| + s |dz_j| <= sqrt((1 - s^2) B^2 + s^2) |(dz, dz_j)|`; hence

        B_j = L_j sqrt((1 - s_j^2) B_{j-1}^2 + s_j^2),

    attained by linear maps of the line. Without fresh noise it is the product of all `L_j`.

    Args:
        constants: `L_j` of each step.
        fresh: `s_j` in [0, 1] of the steps after the first; none is added where it is left out.

    Raises:
        ValueError: for no step, a constant that is none, or another number of `s_j` or one outside [0, 1].
    """
    takes = "one or more finite numbers, none below 0"
    L = numbers("constants", constants, takes)
    if L.ndim != 1 or not len(L) or not (L >= 0).all():
        raise ValueError(f"constants = {brief(constants)}: takes {takes}")
    takes = f"none, or {len(L) - 1} numbers from 0 to 1"
    s = numbers("fresh", fresh, takes)
    if s.ndim != 1 or len(s) not in (0, len(L) - 1) or not ((s >= 0) & (s <= 1)).all():
        raise ValueError(f"fresh = {brief(fresh)}: takes {takes}")
    chained = float(L[0])
    for constant, mixed in zip(L[1:].tolist(), s.tolist() or [0.0] * (len(L) - 1), strict=True):
        chained = constant and constant * math.hypot(math.sqrt(1 - mixed**2) * chained, mixed)  # inf beyond floats
    return chained


def _splits(gaps: Float[ndarray, "m m"]) -> Iterator[tuple[list[int], list[int], float]]:
    """Each way to put the parts into two groups, with the distance of the groups."""
    m = len(gaps)
    for size in range(1, m // 2 + 1):
        for group in combinations(range(m), size):
            rest = [i for i in range(m) if i not in group]
            if 2 * size < m or group[0] == 0:           # of two halves the one with the first part
                yield list(group), rest, float(gaps[np.ix_(group, rest)].min())


def _checked(masses: Float[ndarray, "*b m"], gaps: Float[ndarray, "m m"]) -> tuple[ndarray, ndarray]:
    """Both as arrays; ValueError unless they are masses of parts and distances between them."""
    masses = numbers("masses", masses, "numbers from 0 on, of sum at most 1").astype(np.float64, copy=False)
    gaps = numbers("gaps", gaps, "a distance from 0 on for each two parts").astype(np.float64, copy=False)
    if not masses.ndim or not (masses >= 0).all() or not (masses.sum(-1) <= 1 + 1e-9).all():
        raise ValueError(f"masses = {brief(masses.tolist())}: takes numbers from 0 on, of sum at most 1")
    m = masses.shape[-1]
    between = ~np.eye(m, dtype=bool)
    if gaps.shape != between.shape or not ((gaps >= 0) & np.isclose(gaps, gaps.T))[between].all():
        raise ValueError(f"gaps = {brief(gaps.tolist())}: takes a distance from 0 on for each two of {m} parts")
    return masses, gaps


def least_constant(masses: Float[ndarray, "*b m"], gaps: Float[ndarray, "m m"]) -> Float[ndarray, "*b"]:
    """The Lipschitz constant that a generator must have for what it puts on the parts.

    Args:
        masses: on each of m parts, of sum at most 1; or of many generators, a row each.
        gaps: distances of the parts.

    Returns:
        The largest of `D / -(Phi^-1(p) + Phi^-1(q))` over all splits into two groups; 0 where a part has no mass,
        infinite where there is no leak.

    Raises:
        ValueError: for masses or gaps that are none.
    """
    masses, gaps = _checked(masses, gaps)
    demanded = np.zeros(masses.shape[:-1])
    for group, rest, gap in _splits(gaps):
        p, q = masses[..., group].sum(-1), masses[..., rest].sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            room = -(ndtri(p) + ndtri(q))
            # beside a small mass the quantile of 1 - p has lost its digits, and 1 - p - q has not
            asked = np.where((room > 1e-12) & (1 - p - q > 1e-14), gap / room, np.inf)
        demanded = np.where((p > 0) & (q > 0) & (gap > 0), np.maximum(demanded, asked), demanded)
    return demanded[()]


def least_leak(shares: Float[ndarray, " m"], gaps: Float[ndarray, "m m"], constant: float) -> float:
    """The leak that a Lipschitz constant forces where the masses on the parts stand in the right proportion.

    Args:
        shares: of the parts in the target, of sum 1.
        gaps: distances of the parts.
        constant: L.

    Returns:
        The largest bound over all splits into two groups: a bound by pairs of groups. No generator is known to attain
        it for three parts or more.

    Raises:
        ValueError: for shares or gaps that are none, or a constant that is not positive.
    """
    shares, gaps = _checked(shares, gaps)
    if shares.ndim > 1:
        raise ValueError(f"shares = {brief(shares.tolist())}: takes those of one target")
    if abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"shares = {brief(shares.tolist())}: takes shares of all parts, of sum 1")
    if not constant > 0:
        raise ValueError(f"constant = {constant}: takes a number above 0")
    kept = 1.0
    for group, rest, gap in _splits(gaps):
        a, b = float(shares[group].sum()), float(shares[rest].sum())

        def excess(c, a=a, b=b, width=gap / constant):
            return ndtri(c * a) + ndtri(c * b) + width

        if min(a, b) == 0:              # of no part nothing is asked
            continue
        if excess(NONE) >= 0:
            return 1.0
        if excess(1.0) > 0:
            kept = min(kept, brentq(excess, NONE, 1.0, xtol=1e-14))
    return 1.0 - kept


def sectors_leak(parts: int, width: float) -> float:
    """Of `parts` equal sectors of the plane, `width` apart: the mass of the strips between them. ValueError for fewer
    than two, or a width below 0."""
    parts, width = whole("parts", parts, 2), number("width", width, "a number from 0 on", least=0)
    if parts == 2:
        return float(1 - 2 * ndtr(-width / 2))
    half = np.pi / parts
    apex = width / (2 * np.sin(half))
    sector = quad(lambda x: norm.pdf(x) * (2 * ndtr((x - apex) * np.tan(half)) - 1), apex, apex + 12)[0]
    return 1 - parts * sector


def slabs_leak(parts: int, width: float) -> float:
    """The same of `parts` parallel slabs of equal mass."""
    parts, width = whole("parts", parts, 2), number("width", width, "a number from 0 on", least=0)

    def last(p: float) -> float:
        edge = ndtri(p)
        for _ in range(parts - 2):
            edge = ndtri(min(ndtr(edge + width) + p, 1 - 1e-16))
        return ndtr(-edge - width) - p
    if last(FEW) <= 0:                  # so wide that next to nothing is left for the slabs
        return 1.0
    return 1 - parts * brentq(last, FEW, 1 / parts) if last(1 / parts) < 0 else 0.0


def searched_leak(p: float, width: float, intervals: int = 3, seed: int = 0) -> float:
    """The least leak on the line, by search over preimages of mass p made of intervals: nothing of the theorem in it.

    Args:
        p: mass of the preimage.
        width: D/L.
        intervals: of which the preimage may consist, half-lines among them.
        seed: of the search.

    Returns:
        The mass within `width` of the preimage, without the preimage itself.

    Raises:
        ValueError: for a p outside [0, 1], a width below 0, or no interval.
    """
    p, width = number("p", p, "a number from 0 to 1", 0, 1), number("width", width, "a number from 0 on", least=0)
    intervals = whole("intervals", intervals, 1)

    def leak(v: Float[ndarray, " k"]) -> float:
        low, high = _ends(v[:intervals], v[intervals:], p)
        low, high = low - width, high + width
        inside, reach = 0.0, -np.inf
        for a, b in zip(low, high, strict=True):        # in order; a merged piece is counted once
            inside += max(ndtr(b) - ndtr(max(a, reach)), 0.0)
            reach = max(reach, b)
        return inside - p
    box = [(0.0, 1.0)] * (2 * intervals + 1)
    return float(differential_evolution(leak, box, seed=seed, maxiter=250, tol=1e-9, popsize=6).fun)


def _ends(masses: Sequence[float], gaps: Sequence[float], p: float) -> tuple[ndarray, ndarray]:
    """Intervals with masses in proportion to squares of `masses`, of sum p, and `gaps` likewise between them."""
    m, g = np.square(masses) + 1e-300, np.square(gaps) + 1e-300
    m, g = p * m / m.sum(), (1 - p) * g / g.sum()
    low = np.cumsum(g[:-1]) + np.r_[0.0, np.cumsum(m)[:-1]]
    return ndtri(np.clip(low, 0, 1)), ndtri(np.clip(low + m, 0, 1))
