"""Brenier maps on the circle, by distribution functions: no grid, exact at any point.

The optimal map between densities on the circle is monotone, `F_t(T(x)) = F(x) + c`, and has the form
`x + phi'` with phi periodic: the constant c is fixed by `int (T(x) - x) dx = 0`. It is not 0 in general, and
the flow map of the heat flow has another one; on the line, where mass cannot turn around, both are 0.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.arguments import number, whole
from phasebook.theory.heat.torus import TorusDensity, grid_points

__all__ = ["CircleMap", "brenier_circle"]


class CircleMap(NamedTuple):
    """The Brenier map from `density` to `density.heat(t)`, d = 1; call it with points for its displacement."""

    density: TorusDensity
    t: float
    turn: float                 # c, in units of 2 pi times mass

    def __call__(self, x: Float[ndarray, " p"]) -> Float[ndarray, " p"]:
        """`T(x) - x`."""
        return _displacement(self.density, self.t, self.turn, np.asarray(x, dtype=np.float64))


def _displacement(density: TorusDensity, t: float, turn: float, x: Float[ndarray, " p"]) -> Float[ndarray, " p"]:
    """u with `2 pi (F_t(x + u) - F(x)) = turn`: Newton inside a bracket, mode by mode, without cancellation."""
    k, slope = density.wave[:, 0], density.amplitude / density.wave[:, 0]
    angles, target = density.angles(x[:, None]), density.heat(t)
    decay = np.expm1(-(k**2) * t / 2)
    reach = abs(turn) + 2 * np.abs(slope).sum()
    low, high, u = np.full_like(x, -reach), np.full_like(x, reach), np.zeros_like(x)
    for _ in range(80):
        arc = u[:, None] * k
        change = decay * np.sin(angles + arc) + 2 * np.cos(angles + arc / 2) * np.sin(arc / 2)
        excess = u - turn + change @ slope
        low, high = np.where(excess > 0, low, u), np.where(excess > 0, u, high)
        new = u - excess / target((x + u)[:, None])
        new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
        done = np.abs(new - u) <= 2e-15 * (np.abs(u) + np.abs(change).sum(1))
        u = new
        if done.all():
            break
    return u


def brenier_circle(density: TorusDensity, t: float, n: int = 256) -> CircleMap:
    """The Brenier map from `density` to `density.heat(t)` on the circle.

    Args:
        density: d = 1.
        t: heat time, length^2; negative for the map back.
        n: points of the circle for the mean that fixes the constant c (spectrally accurate).

    Raises:
        ValueError: no heat time, or one that leads back to where rho falls below 0; no points; a density on the torus.
    """
    t, n = number("t", t, "a heat time"), whole("n", n, 1)
    if density.d != 1:
        raise ValueError(f"density: of {density.d} dimensions; takes one, the circle")
    if t < 0 and (least := density.heat(t).minimum()) <= 0:
        raise ValueError(f"t = {t:g}: the density falls to {least:.2g} there; takes a time for which it stays positive")
    x = grid_points(n, 1)[:, 0]
    target, turn, before = density.heat(t), 0.0, np.inf
    for _ in range(30):
        u = _displacement(density, t, turn, x)
        step = u.mean() / (1 / target((x + u)[:, None])).mean()
        turn -= step
        if abs(step) <= 1e-15 * abs(t) or abs(step) > before / 2:      # converged, or at the round-off
            break
        before = abs(step)
    return CircleMap(density, t, float(turn))
