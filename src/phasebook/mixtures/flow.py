"""The probability-flow ODE of an exact mixture under a continuous schedule, as a map and as a path.

`dx/dt = (1/2) sigma^2 lambda' (x + score)`, `lambda` the log-SNR of a variance-preserving schedule. On the line
the flow keeps quantiles: `x_t = F_t^-1(F_s(x_s))`, which is how its paths are tested.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.arguments import whole
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import Schedule

__all__ = ["decode", "euler_path", "pullback_geodesic", "velocity"]


def velocity(mixture: Mixture, schedule: Schedule, x: Float[ndarray, "*b d"], t: float) -> Float[ndarray, "*b d"]:
    """`dx/dt` of the flow at time t."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return sigma**2 * schedule.slope(t) / 2 * (x + mixture.score(x, alpha, sigma))


def euler_path(mixture: Mixture, schedule: Schedule, x: Float[ndarray, "b d"], start: float, stop: float,
               steps: int) -> tuple[Float[ndarray, " k"], Float[ndarray, "b k d"]]:
    """Explicit Euler in t, as in the published toy: times (steps + 1) and the paths from `x` at `start`. ValueError for
    a time off the schedule, a start of infinite log-SNR, where the velocity is 0 times infinity, or no step."""
    schedule.check_finite([start], "start")
    schedule.check([stop], "stop")
    steps = whole("steps", steps, 1)
    times = np.linspace(start, stop, steps + 1)
    path = [np.asarray(x, dtype=float)]
    for t, after in zip(times[:-1], times[1:], strict=True):
        path.append(path[-1] + (after - t) * velocity(mixture, schedule, path[-1], t))
    return times, np.stack(path, axis=1)


def decode(mixture: Mixture, schedule: Schedule, x: Float[ndarray, "*b d"], start: float, stop: float,
           steps: int = 128) -> Float[ndarray, "*b d"]:
    """The flow map from `start` to `stop` by the classical Runge-Kutta method, steps even in log-SNR. ValueError for a
    time off the schedule or of infinite log-SNR, or no step."""
    schedule.check_finite([start, stop])
    steps = whole("steps", steps, 1)
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


def pullback_geodesic(decoder: Callable, start: Float[ndarray, " d"], stop: Float[ndarray, " d"],
                      points: int = 33, steps: int = 60) -> tuple[Float[ndarray, "n d"], Float[ndarray, "n k"]]:
    """The geodesic of the metric `J^T J` of a decoder (a callable on batches): latents and what they decode to.

    Minimises `sum |D(z_{i+1}) - D(z_i)|^2` by damped Gauss-Newton from the straight latent line, Jacobians by
    central differences; nothing in it knows where the minimum lies.
    """
    z = start + np.linspace(0, 1, points)[:, None] * (stop - start)
    d, damping, image = z.shape[1], 1e-3, decoder(z)
    energy = (np.diff(image, axis=0) ** 2).sum()
    for _ in range(steps):
        J = _jacobian(decoder, z)[1:-1]                                      # (n-2, k, d)
        rows = np.zeros((points - 1, J.shape[1], points - 2, d))
        inner = np.arange(points - 2)
        rows[inner, :, inner], rows[inner + 1, :, inner] = J, -J
        A = rows.reshape(-1, (points - 2) * d)
        residual, H = np.diff(image, axis=0).ravel(), A.T @ A
        while True:
            step = np.linalg.solve(H + damping * np.diag(H.diagonal() + 1e-12), -A.T @ residual)
            new = z.copy()
            new[1:-1] += step.reshape(-1, d)
            new_image = decoder(new)
            new_energy = (np.diff(new_image, axis=0) ** 2).sum()
            if new_energy <= energy or damping > 1e8:
                break
            damping *= 10
        gain, z, image, energy, damping = energy - new_energy, new, new_image, new_energy, damping / 10
        if gain <= 1e-12 * energy:
            break
    return z, image


def _jacobian(decoder: Callable, z: Float[ndarray, "n d"], step: float = 1e-5) -> Float[ndarray, "n k d"]:
    shift = step * np.eye(z.shape[1])
    ahead, behind = (decoder((z[:, None] + s * shift).reshape(-1, z.shape[1])) for s in (1, -1))
    return np.swapaxes((ahead - behind).reshape(*z.shape, -1), 1, 2) / (2 * step)
