"""When the predictions of two points part.

Two definitions of the split of a pair, from the distance of its predictions at each step of the sampler: (a) where it
first exceeds half the *median* final distance of all pairs: one threshold for all, so that splits compare; (b) where it
first exceeds half of the pair's own final distance. Either is given as a step or, free of ties, as a noise level
interpolated at the crossing.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from phasebook.arguments import brief, numbers

__all__ = ["final_half", "median_half", "split_levels", "split_steps"]


def median_half(apart: Float[ndarray, "p step"]) -> float:
    """Half the median final distance: the threshold of definition (a).

    Args:
        apart: distance of the predictions of each pair at each step.
    """
    return float(np.median(_checked(apart)[:, -1])) / 2


def final_half(apart: Float[ndarray, "p step"]) -> Float[ndarray, " p"]:
    """Half of each pair's own final distance: the thresholds of definition (b).

    Args:
        apart: distance of the predictions of each pair at each step.
    """
    return _checked(apart)[:, -1] / 2


def split_steps(apart: Float[ndarray, "p step"],
                threshold: float | Float[ndarray, " p"] | None = None) -> Int[ndarray, " p"]:
    """The first step at which each pair is further apart than a threshold.

    Args:
        apart: distance of the predictions of each pair at each step.
        threshold: one for all pairs, or one a pair; half the median final distance by default (definition (a)).

    Returns:
        Steps from 0; the number of steps for a pair that never parts.

    Raises:
        ValueError: unless `apart` is a finite array (p, step), and `threshold` one number or one a pair.
    """
    beyond = _beyond(apart, threshold)
    return np.where(beyond.any(1), beyond.argmax(1), beyond.shape[1])


def split_levels(apart: Float[ndarray, "p step"], noise: Float[ndarray, " step"],
                 threshold: float | Float[ndarray, " p"] | None = None) -> Float[ndarray, " p"]:
    """The noise level at which each pair parts, as a height above the last step: `log(sigma/alpha)` there, less that of
    the last step, interpolated linearly between the two steps around the crossing.

    Args:
        apart: distance of the predictions of each pair at each step.
        noise: sigma/alpha of each step, falling.
        threshold: as in `split_steps`.

    Returns:
        Natural logarithms of noise ratios, >= 0; 0 for a pair that never parts.

    Raises:
        ValueError: unless `apart` is a finite array (p, step), `noise` as many positive numbers as steps, falling, and
            `threshold` one number or one a pair.
    """
    beyond = _beyond(apart, threshold)
    apart, noise = np.asarray(apart, dtype=np.float64), numbers("noise", noise, "one noise level a step, falling")
    if noise.shape != apart.shape[1:] or noise.min() <= 0 or (np.diff(noise) > 0).any():
        raise ValueError(f"noise = {brief(noise.tolist())}: takes {apart.shape[1]} numbers > 0, one a step, falling")
    height = np.log(noise / noise[-1])
    limit, rows = _limits(apart, threshold), np.arange(len(apart))
    before = np.maximum(beyond.argmax(1) - 1, 0)
    after = np.minimum(before + 1, apart.shape[1] - 1)                  # of a single step there is none before it
    low, high = apart[rows, before], apart[rows, after]
    part = np.clip((limit - low) / np.maximum(high - low, 1e-300), 0, 1)
    crossing = height[before] + part * (height[after] - height[before])
    return np.where(beyond.any(1), crossing, 0.0)


def _checked(apart: Float[ndarray, "p step"]) -> Float[ndarray, "p step"]:
    apart = numbers("apart", apart, "finite distances (pair, step)").astype(np.float64, copy=False)
    if apart.ndim != 2 or 0 in apart.shape:
        raise ValueError(f"apart: shape {apart.shape}; takes finite distances (pair, step)")
    return apart


def _beyond(apart: Float[ndarray, "p step"], threshold: float | Float[ndarray, " p"] | None) -> ndarray:
    """Whether each pair is further apart than its threshold, and at all, at each step."""
    apart = _checked(apart)
    return (apart > _limits(apart, threshold)[:, None]) & (apart > 0)


def _limits(apart: Float[ndarray, "p step"], threshold: float | Float[ndarray, " p"] | None) -> Float[ndarray, " p"]:
    """The threshold of each pair. ValueError unless it is one finite number >= 0, or one a pair."""
    takes = f"one number, or one for each of {len(apart)} pairs"
    limits = numbers("threshold", median_half(apart) if threshold is None else threshold, takes)
    if limits.shape not in ((), (len(apart),)):
        raise ValueError(f"threshold: shape {limits.shape}; takes {takes}")
    if limits.min() < 0:            # which everything exceeds
        raise ValueError(f"threshold: {limits.min():g} in it; takes {takes}, >= 0")
    return np.broadcast_to(limits, len(apart))
