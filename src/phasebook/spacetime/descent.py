"""L-BFGS on many independent problems at once, each with steps and a memory of its own.

All are evaluated together, which is what a network wants. One search on the sum of their values has a single step, and
the problem that can bear the least decides on it: after eight evaluations of a dozen curves of a network the sum was
10 % higher than by this one. Two-loop recursion after Nocedal and Wright (2006), algorithm 7.4; a step that does not
lower its value enough is cut to the least of the parabola through it.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

__all__ = ["descended"]

MEMORY = 8
LEAP = 0.3              # the longest step, over the norm of the first gradient
ENOUGH = 1e-4           # share of the slope by which a step has to lower the value
SETTLED = 1e-7          # a step that gains less than this share of the value is the last one

Value = Callable[[Float[ndarray, "c k"]], tuple[Float[ndarray, " c"], Float[ndarray, "c k"]]]
Pair = tuple[Float[ndarray, "c k"], Float[ndarray, "c k"], Float[ndarray, " c"]]


def descended(value: Value, x: Float[ndarray, "c k"], evaluations: int) -> Float[ndarray, "c k"]:
    """The points of least value that were met on the way down.

    Args:
        value: values of c problems and their gradients, in coordinates in which Hessians are near one.
        x: where they start.
        evaluations: of all of them, that of the start included.
    """
    e, g = value(x)
    longest = LEAP * np.linalg.norm(g, axis=1)
    pairs: list[Pair] = []
    d, step, settled = -g, np.ones(len(x)), np.zeros(len(x), dtype=bool)
    for _ in range(evaluations - 1):
        trial = x + step[:, None] * d
        e_there, g_there = value(trial)
        slope = step * (g * d).sum(1)
        taken = e_there <= e + ENOUGH * slope               # not where it is no number
        settled |= (taken & (e - e_there <= SETTLED * np.abs(e))) | (step < SETTLED)
        pairs = [*pairs, _pair(trial - x, g_there - g, taken)][-MEMORY:]
        bent = np.nan_to_num(-slope / (2 * (e_there - e - slope) + 1e-300), nan=0.1, posinf=0.1, neginf=0.1)
        step = np.where(taken, 1.0, step * bent.clip(0.1, 0.5))
        x, e, g = np.where(taken[:, None], trial, x), np.where(taken, e_there, e), np.where(taken[:, None], g_there, g)
        if settled.all():
            break
        way = -_newton(g, pairs)
        way *= np.minimum(1, longest / np.linalg.norm(way, axis=1).clip(1e-300))[:, None]
        d = np.where(taken[:, None], way, d)
    return x


def _pair(moved: Float[ndarray, "c k"], turned: Float[ndarray, "c k"], taken: Bool[ndarray, " c"]) -> Pair:
    """A step, the change of the gradient and the inverse of their product: zeros where nothing is to be learnt."""
    product = (moved * turned).sum(1)
    good = taken & (product > 1e-10 * np.linalg.norm(moved, axis=1) * np.linalg.norm(turned, axis=1))
    return tuple(np.where(good[:, None], v, 0) for v in (moved, turned)) + (good / np.where(good, product, 1),)


def _newton(g: Float[ndarray, "c k"], pairs: list[Pair]) -> Float[ndarray, "c k"]:
    """The inverse Hessian of the pairs times a gradient."""
    q, shares, scale = g, [], np.ones(len(g))
    for moved, turned, inverse in reversed(pairs):
        shares.append(inverse * (moved * q).sum(1))
        q = q - shares[-1][:, None] * turned
    for _, turned, inverse in pairs:                        # that of the latest pair
        size = inverse * (turned**2).sum(1)
        scale = np.where(size > 0, 1 / np.where(size > 0, size, 1), scale)
    q = scale[:, None] * q
    for (moved, turned, inverse), share in zip(pairs, reversed(shares), strict=True):
        q = q + (share - inverse * (turned * q).sum(1))[:, None] * moved
    return q
