"""Data of two factors, such as style and thing: which of them a diffusion decides first, against their covariances.

Let the classes of a factor have shares `p_c` and means `m_c`. The covariance of the data splits into that between the
classes, `sum_c p_c (m_c - m)(m_c - m)^T`, and that within. The share of its trace that lies between is the factor's
share of the variance (eta squared). Few pictures a class inflate it: by chance it is `(k - 1) / (n - 1)` for k classes
of n pictures, which omega squared takes out (Hays 1963).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from phasebook.arguments import whole
from phasebook.hierarchy.transitions import falling, posteriors, settled, starts_of, there_and_back, visited_steps
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Frame, Model, Prompt, State
from phasebook.slices.measures.statistics import centred_gram

__all__ = ["VarianceShare", "exact_levels", "factor_split", "sampled_levels", "variance_share"]

AT_ONCE = 2_500         # states that travel together: a trip has a score of copies of each
APART = 10**12          # between the seeds of those and of the next


class VarianceShare(NamedTuple):
    """Attributes:
    eta: share of the variance between the classes.
    omega: the same without what chance gives; may be slightly negative, and NaN where each picture is its own class.
    deviation: the largest standard deviation of the class means, the speciation level of the factor alone.
    """

    eta: float
    omega: float
    deviation: float


def variance_share(gram: Float[ndarray, "n n"], labels: Int[ndarray, " n"]) -> VarianceShare:
    """What a factor contributes to the covariance of n pictures.

    Args:
        gram: inner products of the pictures; they need not be centred.
        labels: the class of each picture.

    Raises:
        ValueError: for inner products of no pictures or of equal ones, or another number of labels.
    """
    centred, (_, place) = centred_gram(gram), np.unique(labels, return_inverse=True)
    n, sizes = len(centred), np.bincount(place)
    if len(place) != n:
        raise ValueError(f"labels: {len(place)}; takes one for each of {n} pictures")
    member = np.eye(len(sizes))[place] / np.sqrt(sizes)
    between = member.T @ centred @ member               # of the class means, weighted by the roots of their sizes
    inside, total = np.trace(between), np.trace(centred)
    k = len(sizes)
    error = (total - inside) / max(1, n - k)
    omega = (inside - (k - 1) * error) / (total + error) if k < n else np.nan
    top = np.sqrt(max(np.linalg.eigvalsh(between)[-1], 0) / n)
    return VarianceShare(float(inside / total), float(omega), float(top))


def exact_levels(gram: Float[ndarray, "n n"], factors: Mapping[str, Int[ndarray, " n"]], ratios: Float[ndarray, " r"],
                 samples: int, seed: int) -> dict[str, float]:
    """The noise level at which each factor is settled in the exact model (`transitions.settled`).

    Args:
        gram: inner products of the pictures.
        factors: the class of each picture, by factor.
        ratios: sigma/alpha of the levels that are visited.
        samples: trips to each of them.
        seed: of the noise.
    """
    ratios, samples = falling(ratios), whole("samples", samples, 1)
    origin = starts_of(samples, len(gram), seed + 1)
    kept = {name: [] for name in factors}
    for weights in posteriors(np.asarray(gram, dtype=np.float64), ratios, origin, seed):
        for name, labels in factors.items():
            kept[name].append((weights * (labels == labels[origin, None])).sum(1).mean())
    return {name: settled(ratios, np.array(shares)) for name, shares in kept.items()}


def sampled_levels(model: Model, x0: State, levels: Levels, at: Sequence[int],
                   factors: Mapping[str, Callable[[Frame], Int[ndarray, " s"]]], prompt: Prompt | None = None,
                   seed: int = 0) -> dict[str, float]:
    """The same for any model, through its own sampler: which factor of its samples survives trips to which levels.

    Args:
        model: any.
        x0: clean states to start from: the samples of a slice.
        levels: of the sampler.
        at: the steps whose levels are visited.
        factors: by name, the class of each state of a frame, such as the style of the nearest picture.
        prompt: for all points, or one a point.
        seed: of the noise.

    Raises:
        ValueError: for no step, or one that the sampler does not have.
    """
    last, visited = levels.steps - 1, visited_steps(at, levels)
    kept = {name: np.zeros(len(visited)) for name in factors}
    for part, index in enumerate(torch.arange(len(x0)).split(AT_ONCE)):
        some, asked = x0[index.to(x0.device)], prompt and prompt.pick(index)
        before = {name: label(Frame(model, last, some)) for name, label in factors.items()}
        for number, step in enumerate(visited):
            ends = there_and_back(model, some, levels, step, asked, seed + APART * part + 10_000_000 * number)
            for name, label in factors.items():
                same = sum(int((label(Frame(model, last, end)) == before[name]).sum()) for end in ends)
                kept[name][number] += same / (len(ends) * len(x0))
    return {name: settled(levels.heights[visited], shares) for name, shares in kept.items()}


def factor_split(levels: Mapping[str, float], first: str, second: str) -> float | None:
    """The noise level at which one factor is settled over that of another: above 1 it is decided first; None where
    either has no level, or none above 0."""
    one, other = levels[first], levels[second]
    return float(one / other) if np.isfinite([one, other]).all() and min(one, other) > 0 else None
