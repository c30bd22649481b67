"""The probability-flow ODE of an exact mixture under a continuous schedule, as a map and as a path.

`dx/dt = (1/2) sigma^2 lambda' (x + score)`, `lambda` the log-SNR of a variance-preserving schedule. On the line
the flow keeps quantiles: `x_t = F_t^-1(F_s(x_s))`, which is how its paths are tested.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.diffusion.mixtures import Mixture
from phasebook.diffusion.schedules import Schedule

__all__ = ["decode", "euler_path", "velocity"]


def velocity(mixture: Mixture, schedule: Schedule, x: Float[ndarray, "*b d"], t: float) -> Float[ndarray, "*b d"]:
    """`dx/dt` of the flow at time t."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return sigma**2 * schedule.slope(t) / 2 * (x + mixture.score(x, alpha, sigma))


def euler_path(mixture: Mixture, schedule: Schedule, x: Float[ndarray, "b d"], start: float, stop: float,
               steps: int) -> tuple[Float[ndarray, " k"], Float[ndarray, "b k d"]]:
    """Explicit Euler in t, as in the published toy: times (steps + 1) and the paths from `x` at `start`."""
    schedule.check(np.array([start, stop]))
    times = np.linspace(start, stop, steps + 1)
    path = [np.asarray(x, dtype=float)]
    for t, after in zip(times[:-1], times[1:], strict=True):
        path.append(path[-1] + (after - t) * velocity(mixture, schedule, path[-1], t))
    return times, np.stack(path, axis=1)


def decode(mixture: Mixture, schedule: Schedule, x: Float[ndarray, "*b d"], start: float, stop: float,
           steps: int = 128) -> Float[ndarray, "*b d"]:
    """The flow map from `start` to `stop` by the classical Runge-Kutta method, steps even in log-SNR."""
    levels = np.linspace(*schedule.log_snr(np.array([start, stop], dtype=float)), steps + 1)
    x = np.asarray(x, dtype=float)

    def rate(x, level):                        # dx / d lambda
        alpha2, sigma2 = 1 / (1 + np.exp(-level)), 1 / (1 + np.exp(level))
        return sigma2 / 2 * (x + mixture.score(x, np.sqrt(alpha2), np.sqrt(sigma2)))

    for level, after in zip(levels[:-1], levels[1:], strict=True):
        h = after - level
        a = rate(x, level)
        b = rate(x + h / 2 * a, level + h / 2)
        c = rate(x + h / 2 * b, level + h / 2)
        x = x + h / 6 * (a + 2 * b + 2 * c + rate(x + h * c, after))
    return x
