r"""The three dynamical regimes of Biroli et al. (2024), and the growth of the noise prediction's rate in time.

As noise falls: pure noise; from the speciation time on the class is decided; from the collapse time on the empirical
denoiser has chosen one training sample. Both are stated here as noise ratios `r = sigma / alpha`; the
Ornstein-Uhlenbeck time of that work is `t = log(1 + r^2) / 2`.

Two equal classes `N(+-M, v)` part as modes at `r^2 = M^2 - v`. There the log odds of a noisy sample of the class +
are `2 (1 + z)`, z standard normal, whatever M and v: what two clones drawn from it share is a number. The formula's
time is `r^2 = M^2 + v - 1`, where it is another number for each M and v, and tends to the first as M grows.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.special import expit

from phasebook.arguments import number, whole
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import Schedule

__all__ = ["clone_probability", "clones_agree", "collapse_error", "collapse_ratio", "half_weight_ratio", "noise_rate",
           "ou_time", "own_weight", "resolved_times", "speciation_ratio", "time_lipschitz", "two_clusters"]

RESOLVED = 2e-9          # noise below this share of the data's size is lost to rounding
BISECTIONS = 18


def ou_time(ratio: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
    """Ornstein-Uhlenbeck time at a noise ratio.

    Args:
        ratio: `sigma / alpha`.

    Returns:
        `t = log(1 + r^2) / 2`, so that `alpha = exp(-t)`.
    """
    return np.log1p(np.asarray(ratio, float) ** 2) / 2


def two_clusters(n: int, d: int, rng: np.random.Generator) -> Float[ndarray, "n d"]:
    """Samples of two equal Gaussian clusters of variance 1 in R^d.

    Args:
        n: how many.
        d: dimension.
        rng: of the draw.

    Returns:
        Points around `+-sqrt(d) e_1`.
    """
    centre = np.zeros(d)
    centre[0] = np.sqrt(d)
    return rng.choice([-1, 1], (n, 1)) * centre + rng.standard_normal((n, d))


def speciation_ratio(points: Float[ndarray, "n d"]) -> float:
    """The formula `t_S = log(Lambda) / 2`, i.e. `alpha^2 Lambda = 1`.

    Args:
        points: samples.

    Returns:
        `sigma / alpha` there, Lambda the largest eigenvalue of the samples' covariance; 0 where Lambda < 1.
    """
    top = np.linalg.norm(points - points.mean(0), 2) ** 2 / len(points)
    return float(np.sqrt(max(top - 1, 0)))


def clone_probability(apart: float = 1.0) -> float:
    """The probability that two clones of a noisy sample of two equal classes N(+-M, v) share a class.

    Args:
        apart: `a = M / (v + r^2)^(1/2)` at the noise ratio r; 1 where the two modes part, `r^2 = M^2 - v`.

    Returns:
        `E[p^2 + (1 - p)^2]`, `p = 1 / (1 + exp(-2 a (a + z)))`, z standard normal: 0.77520 for a = 1.
    """
    z, weight = np.polynomial.hermite_e.hermegauss(200)
    p = expit(2 * apart * (apart + z))
    return float(weight @ (p**2 + (1 - p) ** 2) / weight.sum())


def clones_agree(mixture: Mixture, ratio: float, count: int, rng: np.random.Generator) -> Bool[ndarray, " c"]:
    """Noise samples, denoise each twice by the exact reverse process, compare the components of the two.

    The reverse process from `x_t` ends in a draw from `p(x_0 | x_t)`, whose component is drawn here directly.

    Args:
        mixture: the data; its components are the classes.
        ratio: `sigma / alpha` at which a sample is cloned.
        count: how many samples.
        rng: of all draws.

    Returns:
        Whether the clones of each sample share a class.
    """
    n, d = mixture.means.shape
    origin = rng.choice(n, count, p=mixture.weights)
    spread = np.sqrt(mixture.variances[origin] + ratio**2)[:, None]
    y = mixture.means[origin] + spread * rng.standard_normal((count, d))
    steps = mixture.responsibilities(y, 1.0, ratio).cumsum(1)
    first, second = ((steps < rng.random((count, 1))).sum(1) for _ in range(2))
    return first == second


def collapse_ratio(n: int, d: int, variance: float, clusters: int = 1) -> float:
    """The entropy condition `(d/2) log(1 + v/r^2) + log(clusters) = log n`.

    Args:
        n: number of samples.
        d: dimension.
        variance: v of each cluster.
        clusters: equal and well separated.

    Returns:
        `r = sqrt(v / ((n / clusters)^(2/d) - 1))`; asymptotic in d and log n.

    Raises:
        ValueError: unless there are more samples than clusters, a dimension, and a positive variance.
    """
    clusters, d = whole("clusters", clusters, 1), whole("d", d, 1)
    n = whole("n", n, clusters + 1, what=f"more samples than clusters ({clusters}), a whole number")
    variance = number("variance", variance, "a number > 0", above=0)
    return float(np.sqrt(variance / np.expm1(2 * np.log(n / clusters) / d)))


def own_weight(points: Float[ndarray, "n d"], chosen: Int[ndarray, " q"], noise: Float[ndarray, "q d"],
               ratio: float) -> Float[ndarray, " q"]:
    """Weight of a noised training sample in its own posterior.

    Args:
        points: the training samples.
        chosen: which of them are noised.
        noise: standard normal, one row each.
        ratio: `sigma / alpha`.

    Returns:
        The posterior weight of `x_i` at `x_i + r eps`.

    Raises:
        ValueError: for a ratio that is not positive.
    """
    ratio = number("ratio", ratio, "a noise ratio > 0", above=0)
    points = points - points.mean(0)                            # squares of far places would cancel
    y = points[chosen] + ratio * noise
    square = (y**2).sum(1)[:, None] - 2 * y @ points.T + (points**2).sum(1)
    logits = -square / (2 * ratio**2)
    top = logits.max(1, keepdims=True)
    own = np.take_along_axis(logits, np.asarray(chosen)[:, None], 1)
    return (np.exp(own - top) / np.exp(logits - top).sum(1, keepdims=True))[:, 0]


def half_weight_ratio(points: Float[ndarray, "n d"], queries: int, rng: np.random.Generator, low: float,
                      high: float) -> float:
    """The collapse as measured: where the median own weight passes 1/2, by bisection on one draw of noise.

    Args:
        points: the training samples.
        queries: how many are noised.
        rng: of the choice and the noise.
        low: a ratio below the collapse.
        high: one above it.

    Returns:
        `sigma / alpha`, to about 1e-5 of itself.
    """
    chosen = rng.choice(len(points), queries, replace=False)
    noise = rng.standard_normal((queries, points.shape[1]))
    for _ in range(BISECTIONS):
        middle = np.sqrt(low * high)
        settled = np.median(own_weight(points, chosen, noise, middle)) > 0.5
        low, high = (middle, high) if settled else (low, middle)
    return float(np.sqrt(low * high))


def collapse_error(n: int, d: int, rng: np.random.Generator, queries: int = 100) -> float:
    """Relative error in time of the collapse formula on one cloud of `two_clusters`.

    Args:
        n: number of samples.
        d: dimension.
        rng: of the cloud and the noise.
        queries: samples that are noised.

    Returns:
        Measured over predicted Ornstein-Uhlenbeck time, minus 1.
    """
    points = two_clusters(n, d, rng)
    predicted = collapse_ratio(n, d, 1.0, 2)
    measured = half_weight_ratio(points, min(n, queries), rng, predicted / 8, predicted * 8)
    return float(ou_time(measured) / ou_time(predicted) - 1)


def noise_rate(mixture: Mixture, schedule: Schedule, t: float) -> float:
    """How fast the noise prediction turns at fixed x, typically: root mean square of `d/dt eps(x, t)` over `x ~ p_t`.

    Args:
        mixture: the data, on the line.
        schedule: of the noise.
        t: diffusion time, > 0.

    Returns:
        The rate, per unit of time. `eps = -sigma score`; Gauss-Legendre quadrature on panels of a quarter of every
        component's deviation, the time derivative by a central difference.
    """
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    spread = np.sqrt(alpha**2 * mixture.variances + sigma**2)
    # the prediction turns on the scale of the narrowest component, inside of a wide one too
    cuts = np.unique(alpha * mixture.means + spread[:, None] * np.linspace(-9, 9, 73))
    node, weight = np.polynomial.legendre.leggauss(8)
    half, square = np.diff(cuts)[:, None] / 2, 0.0
    for some in np.array_split(np.arange(len(half)), 1 + len(half) * len(spread) // 10**6):
        x = (cuts[some, None] + half[some] * (1 + node)).ravel()
        mass = (half[some] * weight).ravel() * np.exp(mixture.log_density(x[:, None], alpha, sigma))
        square += mass @ _turning(mixture, schedule, x, t) ** 2
    return float(np.sqrt(square))


def time_lipschitz(mixture: Mixture, schedule: Schedule, t: float, points: int = 4001) -> float:
    """The largest `|d/dt eps(x, t)|` over x between the outermost means: the Lipschitz constant in time there.

    Args:
        mixture: the data, on the line.
        schedule: of the noise.
        t: diffusion time, > 0.
        points: of an even grid of x; where two components are equally likely the prediction turns over the width in
            which their odds change, `sigma^2 / gap` for atoms, and is looked at on that scale besides.

    Returns:
        The rate, per unit of time.
    """
    low, high = mixture.means.min(), mixture.means.max()
    x = np.concatenate([np.linspace(low, high, points), _crossings(mixture, schedule, t)])
    if np.ptp(mixture.variances):
        wide = _unequal_crossings(mixture, schedule, t)
        x = np.concatenate([x, wide[(wide >= low) & (wide <= high)]])
    parts = np.array_split(x, 1 + len(x) * len(mixture.means) // 10**6)
    return float(max(np.abs(_turning(mixture, schedule, part, t)).max() for part in parts))


def _crossings(mixture: Mixture, schedule: Schedule, t: float) -> Float[ndarray, " m"]:
    """Points around those at which two neighbours on the line are equally likely."""
    order = np.argsort(mixture.means[:, 0], kind="stable")
    m, v, w = mixture.means[order, 0], mixture.variances[order], mixture.weights[order]
    known = np.diff(m) > 0
    alpha, gap = float(schedule.alpha(t)), np.diff(m)[known]
    noise = float(schedule.sigma(t))**2 + alpha**2 * (v[1:] + v[:-1])[known] / 2
    width = noise / (alpha * gap)
    middle = alpha * (m[1:] + m[:-1])[known] / 2 + width * np.log(w[:-1] / w[1:])[known]
    return (middle[:, None] + width[:, None] * np.linspace(-8, 8, 161)).ravel()


def _unequal_crossings(mixture: Mixture, schedule: Schedule, t: float) -> Float[ndarray, " m"]:
    """Points around those at which two components of unequal widths are equally likely, and no third much likelier: a
    narrow one among wide ones has two such places, wherever it lies."""
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    i, j = np.triu_indices(len(mixture.means), 1)
    known = mixture.variances[i] != mixture.variances[j]
    i, j = np.where(mixture.variances[i] < mixture.variances[j], (i, j), (j, i))[:, known]     # i the narrower
    s2, c = alpha**2 * mixture.variances + sigma**2, alpha * mixture.means[:, 0]
    log_height = np.log(mixture.weights) - np.log(s2) / 2
    # log odds of i at x = c_i + u: a - b u - k u^2 / 2
    k, gap = 1 / s2[i] - 1 / s2[j], c[i] - c[j]
    a, b = log_height[i] - log_height[j] + gap**2 / (2 * s2[j]), -gap / s2[j]
    root = np.sqrt(np.maximum(b**2 + 2 * k * a, 0))
    width = 1 / np.maximum(root, np.sqrt(k))[:, None]
    at = c[i, None] + np.stack([-b - root, -b + root], axis=1) / k[:, None]
    met = []
    for some in np.array_split(np.arange(len(i)), 1 + 2 * len(i) * len(c) // 10**6):
        likely = mixture.responsibilities(at[some, :, None], alpha, sigma)
        place = np.arange(len(some))
        met.append(likely[place, :, i[some]] + likely[place, :, j[some]] > 1e-6)
    return (at[..., None] + width[..., None] * np.linspace(-8, 8, 161))[np.concatenate(met)].ravel()


def _turning(mixture, schedule, x, t):
    """`d/dt eps(x, t)`, `eps = -sigma score`, by a central difference."""
    def eps(t):
        return -schedule.sigma(t) * mixture.score(x[..., None], schedule.alpha(t), schedule.sigma(t))

    step = 1e-4 * t
    return (eps(t + step) - eps(t - step))[..., 0] / (2 * step)


def resolved_times(mixture: Mixture, schedule: Schedule, count: int = 7, latest: float = 1e-5) -> Float[ndarray, " c"]:
    """Times, a factor 30 in all, at which the noise is less than a tenth of the smallest gap between atoms.

    Earlier, too, than `1e-3 / |x|^2`: before that the atoms' own motion `alpha_t x_i` turns the prediction as well.

    Args:
        mixture: the data, on the line.
        schedule: of the noise.
        count: how many times.
        latest: no time is later.

    Returns:
        Ascending times; none where atoms lie so close that the noise between them is lost to rounding, or where the
        schedule's least noise is more than a tenth of the gap.
    """
    x = np.unique(mixture.means[:, 0])
    gap = np.diff(x).min() if len(x) > 1 else np.inf
    by_gap = float(schedule.time(-2 * np.log(gap / 10))) if np.isfinite(gap) else latest
    top = min(latest, by_gap, 1e-3 / max(np.abs(x).max(), 1e-9) ** 2)
    if top <= 0 or schedule.ratio(top / 30) < RESOLVED * np.abs(x).max():
        return np.empty(0)
    return np.geomspace(top / 30, top, count)
