"""Theorem B.1 where the density has a corner: its error measured, its order fitted, its constant compared.

The densities and their constants are in `corners`. Everything is done in the image variable y, in which
`T^{-1}(y) = F^{-1}(F_eps(y))` is a closed form. At the threshold, a jump of the third derivative, grad Q is just square
integrable and the order is 2: a density on the circle whose modes fall as k^-4. One whose modes fall as k^-5.1
is of class C^4, as the paper assumes, and no smoother: on it the remainders of (18) and (24) are measured. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import brentq
from scipy.special import zeta

from phasebook.arguments import brief, number, numbers, whole
from phasebook.theory.heat.circle import brenier_circle
from phasebook.theory.heat.corners import SplitNormal, TwoExponentials, panels
from phasebook.theory.heat.expansion import slope
from phasebook.theory.heat.torus import TorusDensity, grid_points, mean_norm

__all__ = ["CornerFit", "bernoulli_density", "bernoulli_fit", "bernoulli_grad_q_norm", "c4_remainders", "corner_error",
           "corner_fit"]

ROUNDOFF = 4e-16        # of the measured error, in units of length / sqrt(mass) of a side
USABLE = 1e-2           # largest relative distance from the leading term at which an order is fitted
BARELY_C4 = 5.1         # the sum of k^(4 - 5.1) converges


def _cuts(layer: float, scale: float, reach: float) -> Float[ndarray, " c"]:
    """Panel ends from 0: thirty in the first layer, half a layer each up to twelve, then growing to half a scale.

    The first are fine because the density bends there; `scale` is the side's length.
    """
    cuts, width = list(layer * np.arange(31) / 30), layer / 2
    while cuts[-1] < reach:
        cuts.append(cuts[-1] + width)
        if cuts[-1] > 12 * layer:
            width = min(1.2 * width, max(scale, layer) / 2)
    return np.array(cuts)


def _crossing(rho: TwoExponentials | SplitNormal, eps: float) -> list[float]:
    """Where `T^{-1}` crosses the corner, and what is integrated jumps with the score; none beyond ten layers."""
    def source(y):
        return float(rho.preimage(np.array([y]), eps)[0])

    far = 10 * np.sqrt(eps)
    return [brentq(source, -far, far, xtol=1e-14 * far)] if source(-far) < 0 < source(far) else []


def corner_error(rho: TwoExponentials | SplitNormal, eps: float) -> float:
    """The left side of (13), `|| T_eps - (Id - (eps/2) (log rho)') ||_{L2(rho)}`, of a density with a corner at 0.

    The integral runs over the image, `int (y - T^{-1}(y) + (eps/2) (log rho)'(T^{-1}(y)))^2 rho_eps(y) dy`.

    Args:
        rho: the density.
        eps: heat time, length^2.

    Returns:
        The error, a length; its round-off is about 4e-16 of the density's own length.

    Raises:
        ValueError: for a heat time that is not positive.
    """
    layer = np.sqrt(number("eps", eps, "a heat time > 0", above=0))
    outwards = [_cuts(layer, length, rho.reach * length + 10 * layer) for length in rho.lengths]
    cuts = np.concatenate([-outwards[0][:0:-1], outwards[1]])
    y, weight = panels(np.union1d(cuts, _crossing(rho, eps)))
    weight = weight * rho.density(y, eps)
    y, weight = y[weight > 1e-40], weight[weight > 1e-40]
    x = rho.preimage(y, eps)
    return float(np.sqrt((weight * (y - x + eps / 2 * rho.score(x)) ** 2).sum()))


class CornerFit(NamedTuple):
    """Errors (13) of one density: fitted order, predicted constant, and measured over predicted as eps -> 0."""

    epsilons: Float[ndarray, " e"]
    errors: Float[ndarray, " e"]
    order: float
    constant: float
    ratio: float


def _fit(eps, errors, order: float, constant: float) -> CornerFit:
    """Slope and constant; the relative distance from the leading term, of order sqrt(eps), is extrapolated away."""
    ratios, root = errors / (constant * eps**order), np.sqrt(eps)
    limit = (ratios[0] * root[-1] - ratios[-1] * root[0]) / (root[-1] - root[0])
    return CornerFit(eps, errors, slope(eps, errors), constant, float(limit))


def corner_fit(rho: TwoExponentials | SplitNormal, order: float, points: int = 5) -> CornerFit | None:
    """The order and the constant of (13) for small eps, measured over two decades just above the round-off.

    The relative distance from the leading term falls as sqrt(eps); it is extrapolated away from the constant, not
    from the order.

    Args:
        rho: the density.
        order: the one that its corner should have, 3/4, 5/4 or 7/4.
        points: how many eps.

    Returns:
        The fit; None where the derivative of that order does not jump, or so little that the leading term is not
        reached above the round-off (estimated before anything is measured).

    Raises:
        ValueError: for less than two points.
    """
    points = whole("points", points, 2)
    leading = rho.leading()
    if leading is None or leading.order != order:
        return None
    noise = ROUNDOFF * max(length / np.sqrt(mass) for length, mass in zip(rho.lengths, rho.masses, strict=True))
    floor = (70 * noise / leading.constant) ** (1 / leading.order)
    eps = max(floor, 1e-10 * rho.scale**2) * np.logspace(0, 2, points)
    if leading.next * np.sqrt(eps[-1]) > USABLE:
        return None
    errors = np.array([corner_error(rho, e) for e in eps])
    return _fit(eps, errors, leading.order, leading.constant)


def bernoulli_density(modes: int) -> TorusDensity:
    """`1 + (1/2) sum_k k^-4 cos(k x)` on the circle, cut off at `modes`: the third derivative jumps at x = 0 (k = 3).

    Too rough for the paper's C^4, and just smooth enough for grad Q in L2.

    Args:
        modes: the largest wave number; heat flow over eps leaves nothing of those beyond a few `1 / sqrt(eps)`.

    Raises:
        ValueError: for no mode.
    """
    modes = whole("modes", modes, 1)
    k = np.arange(1, modes + 1, dtype=np.float64)
    return TorusDensity(k[:, None], k**-4 / 2, np.zeros(modes))


def bernoulli_grad_q_norm() -> float:
    """`||grad Q||_{L2(rho)}` of `bernoulli_density` with all its modes, by the Bernoulli polynomial that it sums to."""
    x, weight = panels(np.linspace(0, 2 * np.pi, 65))
    rho = 1 + np.polynomial.Polynomial([np.pi**4 / 90, 0, -np.pi**2 / 12, np.pi / 12, -1 / 48])(x) / 2
    first = (-np.pi**2 * x / 6 + np.pi * x**2 / 4 - x**3 / 12) / 2 / rho
    second = (-np.pi**2 / 6 + np.pi * x / 2 - x**2 / 4) / 2 / rho
    third = (np.pi / 2 - x / 2) / 2 / rho
    grad_q = third - 2 * first * second + first**3
    return float(np.sqrt((weight * rho * grad_q**2).sum() / (2 * np.pi)))


def bernoulli_fit(epsilons=(1e-4, 3e-4, 1e-3), modes: int = 512, points: int = 2048) -> CornerFit:
    """Order and constant of (13) for `bernoulli_density`, against order 2 and `||grad Q|| / 8`.

    Args:
        epsilons: heat times, ascending, at least about `30 / modes^2`.
        modes: wave numbers kept of the density.
        points: of the circle, for norms.

    Raises:
        ValueError: for heat times that do not ascend from above 0, two at least.
    """
    eps = numbers("epsilons", epsilons, "ascending heat times > 0").astype(np.float64)
    if eps.ndim != 1 or len(eps) < 2 or eps[0] <= 0 or (np.diff(eps) <= 0).any():
        raise ValueError(f"epsilons = {brief(eps.tolist())}: takes ascending heat times > 0, two at least")
    rho, x = bernoulli_density(modes), grid_points(points, 1)
    weight, score = rho(x), rho.score(x)[:, 0]
    seconds = [brenier_circle(rho, e, points)(x[:, 0]) + e / 2 * score for e in eps]
    errors = np.array([mean_norm(s[:, None], weight) for s in seconds])
    return _fit(eps, errors, 2.0, bernoulli_grad_q_norm() / 8)


def c4_remainders(times, modes: int = 16384) -> tuple[Float[ndarray, " t"], Float[ndarray, " t"]]:
    """What (18) and (24) leave over for `1 + (1/2) sum_k k^-5.1 cos(k x)` on the circle: class C^4, and hardly more.

    The mode k of the density contributes to (18) `e^-h - 1 + h - h^2 / 2 <= 0` times its amplitude, `h = k^2 t / 2`, so
    the maximum lies at x = 0. There modes of h beyond 50 are summed by zeta functions: their share falls slowly.

    Args:
        times: heat times, at least about `100 / modes^2`.
        modes: wave numbers kept of the density for (24).

    Returns:
        The largest `|R_t|` of (18), of order 2.05; the L2(rho) norm of the remainder of (24), of order 1.8.

    Raises:
        ValueError: for times that are not positive, or no mode.
    """
    times, modes = numbers("times", times, "heat times > 0"), whole("modes", modes, 1)
    if times.ndim != 1 or (times <= 0).any():
        raise ValueError(f"times = {brief(times.tolist())}: takes heat times > 0")
    return np.array([_taylor_at_0(t) for t in times]), np.array([_velocity_remainder(t, modes) for t in times])


def _taylor_at_0(t: float) -> float:
    """`|R_t(0)|` of (18): modes up to h = 50 one by one, the others by what is left of them."""
    kept = 1 + int(np.sqrt(100 / t))
    k = np.arange(1, kept + 1, dtype=np.float64)
    low = TorusDensity(k[:, None], k**-BARELY_C4 / 2, np.zeros(kept)).taylor_remainder(np.zeros((1, 1)), t)[0]
    still, first, second = (zeta(BARELY_C4 - 2 * j, kept + 1) for j in range(3))
    return float(abs(low + (-still + t / 2 * first - t**2 / 8 * second) / 2))


def _velocity_remainder(t: float, modes: int) -> float:
    """The L2(rho) norm of the remainder of (24), by FFT on four points a wave."""
    k = np.arange(modes + 1, dtype=np.float64)
    amplitude = np.r_[0, k[1:] ** -BARELY_C4] / 2

    def derivative(order, coefficients):
        return np.fft.irfft(2 * modes * (1j * k) ** order * coefficients, 4 * modes)

    rho, first, second, third = (derivative(j, amplitude) + (j == 0) for j in range(4))
    later, slope_later = (derivative(j, amplitude * np.exp(-(k**2) * t / 2)) + (j == 0) for j in range(2))
    left = (first / rho - slope_later / later) / 2 + t / 4 * (third / rho - second * first / rho**2)
    return mean_norm(left[:, None], rho)
