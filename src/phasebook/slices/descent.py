"""Curves let down to geodesics: descent on the energy of polygons under a metric that is interpolated on a grid.

With nodes x_0 ... x_K and `d_i = x_{i+1} - x_i` the energy is `sum_i d_i^T M_i d_i`, M_i the mean of the metric over
the segment (three Gauss points). A step solves the block-tridiagonal system of the energy with M frozen; its length is
halved until the energy falls. All curves move at once.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

__all__ = ["descended", "descended_by_levels"]

GAUSS = ((0.5 - 0.6**0.5 / 2, 5 / 18), (0.5, 8 / 18), (0.5 + 0.6**0.5 / 2, 5 / 18))
STEP = 1e-3                      # of the grid, for the slope of the interpolated metric
SIDES = STEP * np.array([[0.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])[:, None, None]
FLAT = 1e-3                      # share of the mean metric added on the way: fixes curves where the metric vanishes


def _flat(surface) -> Float[ndarray, " 3"]:
    return FLAT * surface.size * np.array([1.0, 0.0, 1.0])


def _square(m: Float[ndarray, "*p 3"], d: Float[ndarray, "*p 2"]) -> Float[ndarray, "*p"]:
    return m[..., 0] * d[..., 0] ** 2 + 2 * m[..., 1] * d[..., 0] * d[..., 1] + m[..., 2] * d[..., 1] ** 2


def _energy(surface, x: Float[ndarray, "m k 2"]) -> Float[ndarray, " m"]:
    d, flat = np.diff(x, axis=1), _flat(surface)
    return sum(w * _square(surface.at(x[:, :-1] + s * d) + flat, d) for s, w in GAUSS).sum(1)


def _slope(surface, x: Float[ndarray, "m k 2"]) -> tuple[Float[ndarray, "m k 2"], Float[ndarray, "m k-1 2 2"]]:
    """Gradient of the energy in the nodes, and the mean metric of each segment."""
    d, flat = np.diff(x, axis=1), _flat(surface)
    gradient, mean = np.zeros_like(x), np.zeros((*d.shape[:2], 3))
    for s, w in GAUSS:
        metric = surface.at(x[:, :-1] + s * d + SIDES)
        mean += w * (metric[0] + flat)
        up_a, down_a, up_b, down_b = _square(metric[1:], d)
        for axis, (up, down) in enumerate(((up_a, down_a), (up_b, down_b))):
            rise = w * (up - down) / (2 * STEP)
            gradient[:, :-1, axis] += (1 - s) * rise
            gradient[:, 1:, axis] += s * rise
    blocks = mean[..., [0, 1, 1, 2]].reshape(*d.shape[:2], 2, 2)
    pull = 2 * np.einsum("mkij,mkj->mki", blocks, d)
    gradient[:, :-1] -= pull
    gradient[:, 1:] += pull
    return gradient, blocks


def _step(gradient: Float[ndarray, "m k 2"], blocks: Float[ndarray, "m k-1 2 2"]) -> Float[ndarray, "m k 2"]:
    """Minus the solution of the frozen system on the inner nodes: Thomas' algorithm on 2 x 2 blocks."""
    a = 2 * blocks
    inner = gradient.shape[1] - 2
    out = np.zeros_like(gradient)
    factor = np.empty((len(a), inner, 2, 2))
    right = np.empty((len(a), inner, 2, 1))
    for i in range(inner):
        diagonal, load = a[:, i] + a[:, i + 1], -gradient[:, i + 1, :, None]
        if i:
            diagonal = diagonal - a[:, i] @ factor[:, i - 1]
            load = load + a[:, i] @ right[:, i - 1]
        both = np.linalg.solve(diagonal, np.concatenate([a[:, i + 1], load], -1))
        factor[:, i], right[:, i] = both[..., :2], both[..., 2:]
    for i in range(inner - 1, -1, -1):
        out[:, i + 1] = right[:, i, :, 0] + np.einsum("mij,mj->mi", factor[:, i], out[:, i + 2])
    return out


def descended(surface, curves: Float[ndarray, "m k 2"], rounds: int = 12) -> Float[ndarray, "m k 2"]:
    """Curves of less energy with the same ends.

    Args:
        surface: a `geodesic.Surface`.
        curves: polygons in units of the grid; not changed.
        rounds: steps of descent, at most.

    Returns:
        Polygons with as many nodes, inside the grid, none of more energy than before.
    """
    x, top = curves.copy(), np.array(surface.shape) - 1.0
    if x.shape[1] < 3 or not surface.root.any():
        return x
    now, active = _energy(surface, x), np.arange(len(x))
    for _ in range(rounds):
        step = _step(*_slope(surface, x[active]))
        size, left = 1.0, np.arange(len(active))
        gained = np.zeros(len(active))
        while len(left) and size > 0.02:
            trial = np.clip(x[active[left]] + size * step[left], 0, top)
            energy = _energy(surface, trial)
            better = energy < now[active[left]]
            hit = active[left[better]]
            gained[left[better]] = 1 - energy[better] / now[hit]
            x[hit], now[hit] = trial[better], energy[better]
            left, size = left[~better], size / 2
        active = active[gained > 1e-5]
        if not len(active):
            break
    return x


def descended_by_levels(surface, paths: Float[ndarray, "m k 2"]) -> tuple[ndarray, ndarray]:
    """Descents with an eighth, a quarter, half and all of the paths' nodes: few nodes settle what a long curve settles
    slowly. Each starts from the one before, or from the path where that is shorter (a coarse polygon may have cut a
    corner).

    Args:
        surface: a `geodesic.Surface`.
        paths: polygons in units of the grid, ends held.

    Returns:
        The start of the last descent, and its end.
    """
    most = paths.shape[1]
    x = descended(surface, _even(surface, paths, most // 8 + 1))
    for nodes in (most // 4 + 1, most // 2 + 1, most):
        before, own = _even(surface, x, nodes), _even(surface, paths, nodes)
        shorter = surface.lengths(own) < surface.lengths(before)
        x = descended(surface, np.where(shorter[:, None, None], own, before))
    return before, x


def _even(surface, curves: Float[ndarray, "m k 2"], nodes: int) -> Float[ndarray, "m n 2"]:
    """Curves with `nodes` nodes, spaced half by length under the metric and half by length on the grid."""
    s = np.arange(0, curves.shape[1] - 1 + 1e-9, 0.125)
    i = np.minimum(s.astype(int), curves.shape[1] - 2)
    fine = curves[:, i] + (s - i)[:, None] * (curves[:, i + 1] - curves[:, i])
    d = np.diff(fine, axis=1)
    m = surface.at((fine[:, 1:] + fine[:, :-1]) / 2)
    far = np.sqrt(_square(m, d).clip(0))
    parts = [part / np.maximum(part.sum(1, keepdims=True), 1e-300) for part in (far, np.hypot(d[..., 0], d[..., 1]))]
    along = np.pad(np.cumsum(sum(parts), axis=1), ((0, 0), (1, 0)))
    out = np.empty((len(curves), nodes, 2))
    for k, t in enumerate(along):
        even = np.linspace(0, t[-1], nodes)
        out[k, :, 0], out[k, :, 1] = np.interp(even, t, fine[k, :, 0]), np.interp(even, t, fine[k, :, 1])
    return out
