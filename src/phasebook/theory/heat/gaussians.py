"""Gaussians, where everything is a closed form: Brenier map, W2, heat flow, JKO step. The book's known answers.

`rho = N(0, s I)` in R^d, s a variance; heat flow (10) adds t to it. `T_eps = sqrt(1 + eps/s) Id`,
`grad Q = x / s^2` and `||grad Q||_{L2(rho)} = sqrt(d) s^{-3/2}`.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.arguments import brief, number, numbers, whole

__all__ = ["interpolation_gap", "jko_gap", "map_error"]


def _checked(s, d):
    return number("s", s, "a variance > 0", above=0), whole("d", d, 1)


def _defect(s, t):
    """`1 + t/(2 s) - sqrt(1 + t/s)`, written without cancellation."""
    a = t / s
    return a**2 / (2 * (1 + np.sqrt(1 + a)) ** 2)


def map_error(s: float, eps: float, d: int = 1) -> float:
    """The left side of (13), `||T_eps - (Id - (eps/2) grad log rho)||`, about `(eps^2/8) sqrt(d) s^{-3/2}`.

    Args:
        s: variance of each coordinate, length^2.
        eps: heat time, length^2.
        d: dimension.

    Returns:
        A length, to full relative accuracy.

    Raises:
        ValueError: for a variance that is not positive, now or after eps.
    """
    s, d = _checked(s, d)
    eps = number("eps", eps, f"a heat time >= {-s:g}, where the variance ends", least=-s)
    return float(np.sqrt(d * s) * _defect(s, eps))


def interpolation_gap(s: float, t: Float[ndarray, "*b"], eps: float, d: int = 1) -> Float[ndarray, "*b"]:
    """`W2(mu_t, mu_t^OT)` of (12), about `t (eps - t)/8 sqrt(d) s^{-3/2}`.

    The standard deviations are `sqrt(s + t)` and its chord over [0, eps].

    Args:
        s: variance of each coordinate, length^2.
        t: heat times in [0, eps], any shape.
        eps: length of the step.
        d: dimension.

    Returns:
        Lengths, in the shape of t.

    Raises:
        ValueError: for a variance or a step that is not positive, or times outside of the step.
    """
    s, d = _checked(s, d)
    t, eps = (numbers(name, v, "heat times").astype(np.float64) for name, v in (("t", t), ("eps", eps)))
    if not ((t >= 0) & (t <= eps) & (eps > 0)).all():
        raise ValueError(f"t, eps = {brief(t.tolist())}, {brief(eps.tolist())}: take times in [0, eps], eps > 0")
    return np.sqrt(d * s) * (t / eps * _defect(s, eps) - _defect(s, t))


def jko_gap(s: float, tau: float, steps: int) -> float:
    """`W2` between N(0, s + tau) and the law after `steps` JKO steps of length tau / steps from N(0, s).

    The minimiser of `W2^2 / (2 h) + 1/2 int rho log rho` among all densities is Gaussian: from variance v a step of
    length h leads to `(sqrt(v) + sqrt(v + 2h))^2 / 4`. That is less than v + h by `v (1 + h/v - sqrt(1 + 2h/v)) / 2`,
    and what is missing is summed, all of one sign. Times `steps` the gap tends to
    `tau log(1 + tau/s) / (8 sqrt(s + tau))`.

    Args:
        s: variance at the start, length^2.
        tau: heat time of all steps, length^2.
        steps: how many.

    Returns:
        A length, to full relative accuracy.

    Raises:
        ValueError: for no step, a variance that is not positive, or a time below 0.
    """
    s, tau = _checked(s, 1)[0], number("tau", tau, "a heat time >= 0", least=0)
    h, missing = tau / whole("steps", steps, 1), 0.0
    for k in range(steps):
        v = s + k * h - missing
        missing += v * _defect(v, 2 * h) / 2
    return float(missing / (np.sqrt(s + tau) + np.sqrt(s + tau - missing)))
