"""The three dynamical regimes of Biroli et al. (2024), and the growth of the noise prediction's rate in time.

As noise falls: pure noise; from the speciation time on the class is decided; from the collapse time on the
empirical denoiser has chosen one training sample. Both are stated here as noise ratios `r = sigma / alpha`; the
Ornstein-Uhlenbeck time of that work is `t = log(1 + r^2) / 2`.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import Schedule

__all__ = ["collapse_ratio", "half_weight_ratio", "noise_rate", "ou_time", "own_weight", "speciation_ratio"]


def ou_time(ratio: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
    """Ornstein-Uhlenbeck time `t` at `sigma/alpha`: `alpha = exp(-t)`."""
    return np.log1p(np.asarray(ratio, float) ** 2) / 2


def speciation_ratio(points: Float[ndarray, "n d"]) -> float:
    """The formula `t_S = log(Lambda) / 2`, i.e. `alpha^2 Lambda = 1`: Lambda the covariance's largest eigenvalue."""
    top = np.linalg.norm(points - points.mean(0), 2) ** 2 / len(points)
    return float(np.sqrt(max(top - 1, 0)))


def collapse_ratio(n: int, d: int, variance: float, clusters: int = 1) -> float:
    """The entropy condition `(d/2) log(1 + v/r^2) + log(clusters) = log n`, for n samples of equal, well separated
    Gaussian clusters of variance v: `r^2 = v / ((n / clusters)^(2/d) - 1)`. Exact as log n grows; at finite n
    the exponent is off by O(1)."""
    return float(np.sqrt(variance / np.expm1(2 * np.log(n / clusters) / d)))


def own_weight(points: Float[ndarray, "n d"], chosen: Float[ndarray, " q"], noise: Float[ndarray, "q d"],
               ratio: float) -> Float[ndarray, " q"]:
    """Posterior weight of the sample itself at `x_t / alpha = x_i + r eps`, for the chosen samples i."""
    y = points[chosen] + ratio * noise
    square = (y**2).sum(1)[:, None] - 2 * y @ points.T + (points**2).sum(1)
    logits = -square / (2 * ratio**2)
    top = logits.max(1, keepdims=True)
    own = np.take_along_axis(logits, np.asarray(chosen)[:, None], 1)
    return (np.exp(own - top) / np.exp(logits - top).sum(1, keepdims=True))[:, 0]


def half_weight_ratio(points: Float[ndarray, "n d"], queries: int, rng: np.random.Generator, low: float,
                      high: float) -> float:
    """The ratio at which the median own weight passes 1/2, by bisection on one fixed draw of noise: the collapse."""
    chosen = rng.choice(len(points), queries, replace=False)
    noise = rng.standard_normal((queries, points.shape[1]))
    for _ in range(30):
        middle = np.sqrt(low * high)
        settled = np.median(own_weight(points, chosen, noise, middle)) > 0.5
        low, high = (middle, high) if settled else (low, middle)
    return float(np.sqrt(low * high))


def noise_rate(mixture: Mixture, schedule: Schedule, t: float) -> float:
    """Root mean square over `x ~ p_t` of `d/dt eps(x, t)` at fixed x, `eps = -sigma score`: the noise prediction.

    On the line, by Gauss-Hermite quadrature about each component; the time derivative by central difference.
    """
    z, weight = np.polynomial.hermite_e.hermegauss(40)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    spread = np.sqrt(alpha**2 * mixture.variances + sigma**2)
    x = (alpha * mixture.means[:, 0, None] + spread[:, None] * z)[..., None]

    def eps(t):
        return -schedule.sigma(t) * mixture.score(x, schedule.alpha(t), schedule.sigma(t))

    step = 1e-4 * t
    rate = (eps(t + step) - eps(t - step))[..., 0] / (2 * step)
    return float(np.sqrt(mixture.weights @ (rate**2 @ weight) / weight.sum()))
