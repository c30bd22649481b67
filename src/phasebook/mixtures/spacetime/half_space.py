r"""Spacetime of Gaussian data: the hyperbolic half-space, in closed form.

For data `N(m, V I)` in R^d every posterior is `N(y, s^2 I)`, with `1/s^2 = k + 1/V` and k the SNR, and the Fisher-Rao
metric is

    |dy|^2 / s^2 + 2 d (ds / s)^2,

that is `sqrt(2 d)` times the hyperbolic half-space in `(y / sqrt(2 d), s)`. Two points at equal height s are
`2 sqrt(2d) arcsinh(|dy| / (2 sqrt(2d) s))` apart, where their half circle stays below `s = sqrt V`, the height of pure
noise; beyond, `t <= T` binds.

From `arcsinh(2a) <= arcsinh(a) + log 2` follows that any three points at one height satisfy
`d(x, z) <= max(d(x, y), d(y, z)) + 2 sqrt(2d) log 2`: an ultrametric up to a constant, for points no farther apart
than `2 sqrt(2d (V - s^2))`; of three in a row beyond it the excess grows with the gap. Gromov's delta is at most
`sqrt(2d) log 2`: with `y'` the mirror image of y in the plane `s = 0`, and heights h,

    exp(d(x, y) / (2 sqrt(2d))) = (|x y| + |x y'|) / (2 sqrt(h_x h_y)),

and Ptolemy's inequality for four points, with none, one or both of two mirrored, adds up to itself for these numbers.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.arguments import numbers, whole

__all__ = ["free_delta", "free_excess", "gaussian_distance", "gromov_delta", "level_distance", "ultrametric_excess"]


def gaussian_distance(means: Float[ndarray, "2 d"], stds: Float[ndarray, " 2"]) -> float:
    """Fisher-Rao distance of `N(y, s^2 I)` and `N(y', s'^2 I)`.

    Args:
        means: the two means; in data units.
        stds: the two standard deviations; in data units.

    Returns:
        `sqrt(2d) arccosh(1 + g / (2 s s'))`, `g = |dy|^2 / (2d) + ds^2`, written as
        `2 sqrt(2d) arcsinh sqrt(g / (4 s s'))`, `arccosh` being blind to small distances.

    Raises:
        ValueError: unless there are two means of one dimension, and two positive deviations.
    """
    means, stds = np.asarray(means, dtype=float), np.asarray(stds, dtype=float)
    if means.ndim != 2 or len(means) != 2 or stds.shape != (2,) or not (stds > 0).all():
        raise ValueError(f"means, stds: shape {means.shape}, {stds.tolist()}; take means (2, d) and two numbers > 0")
    d = means.shape[1]
    gap = ((means[1] - means[0]) ** 2).sum() / (2 * d) + (stds[1] - stds[0]) ** 2
    return float(2 * np.sqrt(2 * d) * np.arcsinh(np.sqrt(gap / (4 * stds[0] * stds[1]))))


def level_distance(gap: Float[ndarray, "*b"], s: float | Float[ndarray, "*c"], d: int) -> Float[ndarray, "*b"]:
    """Distance of two posteriors of equal width.

    Args:
        gap: `|dy|`, in data units.
        s: their common standard deviation, in data units; or one for each gap.
        d: the dimension of the data.

    Returns:
        `2 sqrt(2d) arcsinh(|dy| / (2 sqrt(2d) s))`.

    Raises:
        ValueError: for a deviation that is not positive, or no dimension.
    """
    s, d = numbers("s", s, takes := "standard deviations > 0"), whole("d", d, 1)
    if s.min(initial=np.inf) <= 0:
        raise ValueError(f"s = {s.min():g}: takes {takes}")
    scale = 2 * np.sqrt(2 * d)
    return scale * np.arcsinh(np.asarray(gap, dtype=float) / (scale * s))


def free_excess(d: int) -> float:
    """The most by which a triple at one height can break the ultrametric inequality.

    Args:
        d: the dimension of the data.

    Returns:
        `2 sqrt(2d) log 2`.
    """
    return float(2 * np.sqrt(2 * d) * np.log(2))


def free_delta(d: int) -> float:
    """The most that Gromov's delta can be at one height.

    Args:
        d: the dimension of the data.

    Returns:
        `sqrt(2d) log 2`.
    """
    return float(np.sqrt(2 * d) * np.log(2))


def ultrametric_excess(sides: Float[ndarray, "*b 3"]) -> Float[ndarray, "*b"]:
    """By how much the largest side of a triangle exceeds the second largest; 0 in an ultrametric.

    Args:
        sides: the three distances of each triple.

    Returns:
        The excess of each.
    """
    ordered = np.sort(sides, axis=-1)
    return ordered[..., 2] - ordered[..., 1]


def gromov_delta(distances: Float[ndarray, "*b 4 4"]) -> Float[ndarray, "*b"]:
    """Gromov's delta of four points: half the gap of the two largest sums of opposite distances; 0 in a tree.

    Args:
        distances: their distance matrix.

    Returns:
        Delta of each quadruple (four-point definition).
    """
    pairs = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))
    sums = np.stack([distances[..., a, b] + distances[..., c, e] for (a, b), (c, e) in pairs], axis=-1)
    return ultrametric_excess(sums) / 2
