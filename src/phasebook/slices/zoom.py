"""Boundaries at all scales: their box dimension by zooming in, and how far another arithmetic moves them.

Boxes are halved where a boundary passes through them and nowhere else, so that ten octaves cost about as much as one
picture. A smooth curve passes through `N ~ 2^k` boxes of size `2^-k`: dimension 1. Rounding that differs from point to
point turns the neighbourhood of a boundary into grain, whose boxes multiply by four.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from phasebook.arguments import brief, number, numbers, whole

__all__ = ["box_counts", "box_dimension", "crossings", "window_at"]

PLACES = np.stack(np.meshgrid([0, 1, 2], [0, 1, 2], indexing="ij"), -1).reshape(9, 2)       # in halves of a box
TOGETHER = 512          # points that are labelled at a time: the latents of pictures of 256 px fill a gigabyte
QUARTERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def box_counts(label: Callable[[Float[ndarray, "m 2"]], Int[ndarray, " m"]], corner: tuple[float, float], size: float,
               octaves: int) -> Int[ndarray, " k"]:
    """The number of boxes of size `size / 2^k`, k = 0 ... octaves, that a boundary passes through.

    Args:
        label: the basin of points (alpha, beta).
        corner: of the window, its smallest alpha and beta.
        size: of a side of the window.
        octaves: how often boxes are halved. A box counts where labels differ at its corners, middles of sides, or
            centre.

    Raises:
        ValueError: for a corner that is no two numbers, a size that is not positive, or octaves that are no number.
    """
    size, octaves = number("size", size, "a positive number", above=0), whole("octaves", octaves, 0)
    if numbers("corner", corner, "two numbers").shape != (2,):
        raise ValueError(f"corner = {brief(corner)}: takes two numbers, the smallest alpha and beta")
    boxes, counts = np.zeros((1, 2), dtype=np.int64), []
    for k in range(octaves + 1):
        places, where = np.unique((2 * boxes[:, None] + PLACES).reshape(-1, 2), axis=0, return_inverse=True)
        points = np.asarray(corner) + size / 2**(k + 1) * places
        found = np.concatenate([label(part) for part in np.array_split(points, 1 + len(points) // TOGETHER)])
        labels = found[where.ravel()].reshape(len(boxes), 9)
        boxes = boxes[(labels != labels[:, :1]).any(1)]
        counts.append(len(boxes))
        if not len(boxes):
            return np.array(counts + [0] * (octaves - k))
        boxes = (2 * boxes[:, None] + QUARTERS).reshape(-1, 2)
    return np.array(counts)


def window_at(label: Callable[[Float[ndarray, "m 2"]], Int[ndarray, " m"]], extent: Sequence[float], size: float,
              seed: int, rounds: int = 40) -> tuple[float, float] | None:
    """The smallest alpha and beta of a window in whose middle a boundary lies, by bisection between random points.

    Args:
        label: the basin of points (alpha, beta).
        extent: alpha0, alpha1, beta0, beta1, within which the points lie.
        size: of a side of the window.
        seed: of the points.
        rounds: of halving.

    Returns:
        The corner; None where a hundred pairs of points lie in one basin each.
    """
    a0, a1, b0, b1 = extent
    pairs = np.array([a0, b0]) + np.array([a1 - a0, b1 - b0]) * np.random.default_rng(seed).random((100, 2, 2))
    labels = label(pairs.reshape(-1, 2)).reshape(-1, 2)
    parted = np.flatnonzero(labels[:, 0] != labels[:, 1])
    if not len(parted):
        return None
    ends = pairs[parted[0]]
    own = label(ends)[0]
    for _ in range(rounds):
        middle = ends.mean(0)
        ends[0 if label(middle[None])[0] == own else 1] = middle
    return tuple(float(x) for x in ends.mean(0) - size / 2)


def box_dimension(counts: Int[ndarray, " k"], first: int = 2) -> float:
    """The slope of `log2 counts` over the octaves from `first` on; NaN where a window has no boundary."""
    counts = np.asarray(counts)[first:]
    if len(counts) < 2 or not counts.all():
        return float("nan")
    return float(np.polyfit(np.arange(len(counts)), np.log2(counts), 1)[0])


def crossings(evaluate: Callable[[Float[ndarray, "m 2"]], Float[ndarray, "m k"]], low: Float[ndarray, "m 2"],
              high: Float[ndarray, "m 2"], ends: tuple[Float[ndarray, "m k"], Float[ndarray, "m k"]],
              rounds: int = 24) -> Float[ndarray, " m"]:
    """Where boundaries cross segments, as a share of each from `low` to `high`, by bisection; NaN for a segment whose
    ends are not on their own sides.

    Args:
        evaluate: predictions at points (alpha, beta), in the arithmetic that is asked about.
        low: one end of each segment.
        high: the other.
        ends: the reference's predictions at `low` and `high`: a point belongs to the nearer.
        rounds: of halving.
    """
    def beyond(t: Float[ndarray, " m"]) -> ndarray:
        f = evaluate(low + t[:, None] * (high - low))
        return ((f - ends[1]) ** 2).sum(1) < ((f - ends[0]) ** 2).sum(1)

    a, b = np.zeros(len(low)), np.ones(len(low))
    parted = ~beyond(a) & beyond(b)
    for _ in range(rounds):
        middle = (a + b) / 2
        up = beyond(middle)
        a, b = np.where(up, a, middle), np.where(up, middle, b)
    return np.where(parted, (a + b) / 2, np.nan)
