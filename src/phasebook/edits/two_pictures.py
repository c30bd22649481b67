"""Two pictures on paper: from which noise level does a prompt turn one into the other?

Take a source x_s and a target x_t, dx = x_t - x_s, and forget all other pictures. Of a state at level (alpha, sigma)
only its share eta of the way matters, `x = alpha (x_s + eta dx) + ...`, and `R = |dx|^2 alpha^2 / sigma^2`. With a
bonus lambda on the target's log-prior the posterior weight of the target is

    w = 1 / (1 + exp(-lambda - (eta - 1/2) R)),

and the sampler moves, with r = sigma / alpha, by `eta' = w + (r'/r)(eta - w)`; in the limit of fine steps, with
s = -log r, by `d eta / ds = w - eta`, `d R / ds = 2 R`. The edit succeeds where eta ends nearer to 1 than to 0. A flow
begins at alpha = 0, where eta is not defined; what a state carries of the way, `m = alpha eta`, is:
`m' = alpha' w + (sigma'/sigma)(m - alpha w)`.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.special import expit
from torch import Tensor

from phasebook.arguments import number, whole
from phasebook.edits.editing import Edits, k_star
from phasebook.sampling.levels import Levels

__all__ = ["forecast", "foretold", "gap", "thresholds", "two_picture_constant", "way"]


def two_picture_constant(log_prior: float, steps: int = 400) -> float:
    """`c` of the law `sigma/alpha = c |dx| / sqrt(2 lambda)` for a source that carries no noise along dx.

    It is found by bisection on the R at which the outcome of the flow from eta = 0 tips, `R = 2 lambda / c^2`. With w
    held at its first value c would be 1: the sampler moves while it decides. c tends to 1 for large lambda.

    Args:
        log_prior: lambda, in nats, from 1e-100 to 1e100.
        steps: of the midpoint rule for each six units of s; there are more than six for a small lambda.

    Raises:
        ValueError: for a lambda out of these, or no step.
    """
    takes = "a number above 0, up to 1e100, and from 1e-100 on"
    log_prior = number("log_prior", log_prior, takes, least=1e-100, most=1e100)
    steps = whole("steps", steps, 1)
    low, high = 1e-3 * log_prior * min(1.0, log_prior), 10.0 * log_prior       # succeeds, fails
    for _ in range(50):
        middle = math.sqrt(low) * math.sqrt(high)       # a small lambda's product would underflow
        if _flows_over(middle, log_prior, steps):
            low = middle
        else:
            high = middle
    return math.sqrt(2 * log_prior / low)


def _flows_over(big_r: float, log_prior: float, steps: int) -> bool:
    # of eta - 1/2, which beside a small lambda becomes as small: eta itself has no digits left for it
    rest, h = -0.5, 6.0 / steps
    for _ in range(round(steps * max(1.0, 1 - math.log(log_prior) / 6))):
        half = rest + h / 2 * (math.tanh((log_prior + rest * big_r) / 2) / 2 - rest)
        middle = big_r * math.exp(h)
        rest += h * (math.tanh((log_prior + half * middle) / 2) / 2 - half)
        big_r *= math.exp(2 * h)
    return rest > 0


def foretold(levels: Levels, carried: Float[ndarray, "e k"], dx: Float[ndarray, " e"], log_prior: float,
             k_values: ndarray) -> Bool[ndarray, "e k"]:
    """Whether each edit succeeds from each k by the sampler's own steps on two pictures.

    Args:
        levels: of the sampler.
        carried: `alpha eta` of the inverted source at level k, see `way`.
        dx: distances of source and target.
        log_prior: lambda.
        k_values: the starting steps.
    """
    alpha, sigma, m = levels.alpha, levels.sigma, np.array(carried, dtype=np.float64)
    for step in range(levels.steps):
        begun = np.asarray(k_values) <= step
        odds = alpha[step] * (m[:, begun] - alpha[step] / 2) * (dx[:, None] / sigma[step]) ** 2
        w = expit(log_prior + odds)
        a, b, _ = levels.mixing(step)
        m[:, begun] = a * w + b / sigma[step] * (m[:, begun] - alpha[step] * w)
    return m > alpha[-1] / 2


def forecast(edits: Edits, log_prior: float) -> Int[ndarray, " e"]:
    """The k* of each edit that its two pictures and the noise between them foretell, -1 for none.

    Args:
        edits: of the exact model, whose states are pairs `(q, c)`.
        log_prior: lambda.
    """
    k = edits.k_values
    carried = way(edits.inverted[k], edits.source, edits.target, edits.levels.alpha[k])
    return k_star(foretold(edits.levels, carried, gap(edits.source, edits.target), log_prior, k), k)


def gap(source: Float[Tensor, "e 2n"], target: Float[Tensor, "e 2n"]) -> Float[ndarray, " e"]:
    """|dx| of clean states `(q, c)`: products with n atoms, and coordinates by them."""
    q, c = (target - source).chunk(2, -1)
    return (q * c).sum(-1).clamp(min=0).sqrt().cpu().numpy()


def way(x: Float[Tensor, "k e 2n"], source: Float[Tensor, "e 2n"], target: Float[Tensor, "e 2n"],
        alpha: Float[ndarray, " k"]) -> Float[ndarray, "e k"]:
    """What states carry of the way from source to target: `alpha eta = <x - alpha x_s, dx> / |dx|^2`; 0 where there is
    no way.

    Args:
        x: states `(q, c)` at the levels k.
        source: clean states.
        target: clean states.
        alpha: of the levels.
    """
    q, c = (target - source).chunk(2, -1)
    n = q.shape[-1]
    along = (x[..., :n] * c).sum(-1).cpu().numpy()
    own = alpha[:, None] * (source[:, :n] * c).sum(-1).cpu().numpy()
    square = np.broadcast_to(gap(source, target) ** 2, along.shape)
    return np.divide(along - own, square, out=np.zeros_like(along), where=square > 0).T


def thresholds(k_star: ndarray, levels: Levels) -> Float[ndarray, " e"]:
    """The noise level sigma/alpha at which success is lost, between `k*` and the next step (geometric mean); NaN for a
    `k*` of -1, of an edit that succeeds from no step."""
    noise, k_star = levels.heights, np.asarray(k_star)
    own, following = (np.minimum(k, len(noise) - 1) for k in (k_star, k_star + 1))      # the end is no step
    return np.where(k_star < 0, np.nan, np.sqrt(noise[own] * noise[following]))
