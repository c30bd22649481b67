"""Modes of a Gaussian mixture in several dimensions at a noise level, and noise levels at which their number changes.

In the plane no partition argument as on the line is at hand: modes are searched from every mean, from the middle of
every two and three means and from the common mean, by mean shift (ascent that cannot overshoot), then polished by
Newton steps and kept where the Hessian of log p is negative definite. A search can miss a mode, never invent one.
`p_s = p_0 * N(0, s^2 I)`. float64.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from phasebook.mixtures.mixtures import Mixture

__all__ = ["about_mean", "ascended", "distinct", "equilateral_triangle", "modes", "mode_count_changes", "parted",
           "starts_of"]

FLAT = 1e-14            # of a slope times the noise level: rounding


def modes(mixture: Mixture, s: float, shifts: int = 300) -> Float[ndarray, "m d"]:
    """The modes of `p_s` that the search finds.

    Args:
        mixture: the data.
        s: noise level, > 0.
        shifts: steps of mean shift before Newton's.

    Returns:
        The modes, in no order.

    Raises:
        ValueError: unless `s > 0`.
    """
    if not s > 0:
        raise ValueError(f"s = {s}: takes a number > 0")
    mixture, mean = about_mean(mixture)
    x, arrived = ascended(mixture, starts_of(mixture), s, shifts)
    return parted(mixture, distinct(x[arrived], s), s) + mean


def about_mean(mixture: Mixture) -> tuple[Mixture, Float[ndarray, " d"]]:
    """The mixture moved to mean 0, and its mean: far from the origin a slope next to a mode would be rounding.

    Args:
        mixture: the data.
    """
    mean = mixture.weights @ mixture.means
    return replace(mixture, means=mixture.means - mean), mean


def parted(mixture: Mixture, x: Float[ndarray, "b d"], s: float) -> Float[ndarray, "m d"]:
    """Of points that look like modes those between which the density falls and rises again, in their order.

    Of others the likeliest stays: beside a critical level the density is flat to rounding around a mode.

    Args:
        mixture: the data.
        x: the points.
        s: noise level.
    """
    kept: list[int] = []
    for i in np.argsort(-mixture.log_density(x, 1.0, s), kind="stable"):
        if all(np.linalg.norm(x[i] - x[j]) > s or _dips(mixture, x[j], x[i], s) for j in kept):
            kept.append(int(i))
    return x[sorted(kept)]


def _dips(mixture: Mixture, a: Float[ndarray, " d"], b: Float[ndarray, " d"], s: float) -> bool:
    """Whether log p falls from a, and rises to b, by more than rounding."""
    near = 0.5 ** np.arange(1, 30)                       # a young mode's valley lies close to it
    share = np.concatenate([near[::-1], 1 - near])[:, None]
    slope = mixture.score(a + share * (b - a), 1.0, s) @ (b - a) / np.linalg.norm(b - a) * s
    falls = slope < -FLAT
    return bool(falls.any() and (slope[falls.argmax():] > FLAT).any())


def starts_of(mixture: Mixture) -> Float[ndarray, "b d"]:
    """Where modes are searched from: every mean, the middles of two and three (of at most 12), the common mean."""
    mu = mixture.means
    groups = [g for k in (1, 2, 3) for g in combinations(range(len(mu)), k) if len(mu) <= 12 or k == 1]
    return np.array([*(mu[list(g)].mean(0) for g in groups), mixture.weights @ mu])


def ascended(mixture: Mixture, x: Float[ndarray, "b d"], s: float,
             shifts: int = 300) -> tuple[Float[ndarray, "b d"], Bool[ndarray, " b"]]:
    """Mean shift, then Newton's steps, from some starts.

    Args:
        mixture: the data.
        x: the starts.
        s: noise level, > 0.
        shifts: steps of mean shift at most.

    Returns:
        Where they end, and whether that is a mode.
    """
    inverse = 1 / (mixture.variances + s**2)
    for _ in range(shifts):
        r = mixture.responsibilities(x, 1.0, s) * inverse
        before, x = x, (r @ mixture.means) / r.sum(1, keepdims=True)
        if np.abs(x - before).max() < 1e-9 * s:
            break
    for _ in range(30):
        bend, axes = np.linalg.eigh(_hessian(mixture, x, s) * s**2)
        bend = np.where(np.abs(bend) < FLAT, -FLAT, bend)              # at a critical level it is singular
        along = np.einsum("bij,bi->bj", axes, mixture.score(x, 1.0, s)) * s**2
        step = np.einsum("bij,bj->bi", axes, along / bend)
        size = np.linalg.norm(step, axis=1, keepdims=True)
        x = x - step * np.minimum(1.0, s / 4 / np.maximum(size, 1e-200))
        if size.max() < 1e-13 * s:
            break
    still = np.linalg.norm(mixture.score(x, 1.0, s), axis=1) * s < 1e-9
    return x, still & (np.linalg.eigvalsh(_hessian(mixture, x, s)).max(axis=1) < 0)


def distinct(x: Float[ndarray, "b d"], s: float) -> Float[ndarray, "m d"]:
    """Points that lie apart by more than 1e-6 noise levels, in their order."""
    kept = []
    for point in x:
        if all(np.linalg.norm(point - other) > 1e-6 * s for other in kept):
            kept.append(point)
    return np.array(kept).reshape(-1, x.shape[1])


def _hessian(mixture: Mixture, x: Float[ndarray, "b d"], s: float) -> Float[ndarray, "b d d"]:
    """`Hessian log p_s = (Cov[x_0 | x] / s^2 - I) / s^2`."""
    return (mixture.posterior_covariance(x, 1.0, s) / s**2 - np.eye(x.shape[1])) / s**2


def mode_count_changes(mixture: Mixture, low: float, high: float, grid: int = 40, tolerance: float = 1e-8,
                       ) -> list[tuple[float, int, int]]:
    """Changes of the number of modes over noise levels.

    Two changes within one cell of the grid that cancel are missed.

    Args:
        mixture: the data.
        low: least noise level.
        high: largest.
        grid: levels, even in log s.
        tolerance: to which each change is bisected, in the data's unit.

    Returns:
        `(s, count just below, count just above)` for each.
    """
    levels = np.geomspace(low, high, grid)
    counts = [len(modes(mixture, s)) for s in levels]
    changes = []
    for a, b, below, above in zip(levels[:-1], levels[1:], counts[:-1], counts[1:], strict=True):
        while below != above:
            left, right = a, b
            while right - left > max(tolerance, 4 * np.spacing(right)):
                middle = (left + right) / 2
                left, right = (middle, right) if len(modes(mixture, middle)) == below else (left, middle)
            after = len(modes(mixture, right))
            changes.append(((left + right) / 2, below, after))
            a, below = right, after
    return changes


def equilateral_triangle() -> Mixture:
    """The smallest case in which a mode appears with the noise.

    Returns:
        Three equal atoms at unit distance from the origin.
    """
    angle = np.pi / 2 + 2 * np.pi * np.arange(3) / 3
    return Mixture.atoms(np.stack([np.cos(angle), np.sin(angle)], axis=1))
