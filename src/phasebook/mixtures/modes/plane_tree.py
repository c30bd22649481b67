"""How the modes of a Gaussian mixture in several dimensions come and go as the noise grows: a tree, with exceptions.

On the line modes only die as noise grows (`tree`). In the plane a mode can also appear, so that what one follows is a
forest: it has a stem that begins in mid-air. Modes are searched at every level as by `critical_points.modes`, and from
the modes of the level before; where two of these end on one, or one is reached by none, the level is bisected.
`p_s = p_0 * N(0, s^2 I)`. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.critical_points import about_mean, ascended, distinct, modes, parted, starts_of

__all__ = ["Join", "PlaneTree", "plane_tree"]

AHEAD = 1.02            # a mode that is gone is led on at this much more noise, where its ghost holds nobody


class Join(NamedTuple):
    """A mode's death as noise grows.

    Attributes:
        s: noise level.
        child: number of the mode that dies.
        parent: of the one that its place belongs to from then on.
    """

    s: float
    child: int
    parent: int


class PlaneTree(NamedTuple):
    """Modes over noise levels.

    Attributes:
        births: for each mode the level from which it is there: the least one, or where it appears.
        joins: deaths in order of noise.
        first: (m, d) the modes at the least level; they have the first m numbers.
    """

    births: list[float]
    joins: list[Join]
    first: Float[ndarray, "m d"]


class _Change(NamedTuple):
    """Between two levels: which mode of the upper one each of the lower one leads to."""

    s: float
    below: Float[ndarray, "m d"]
    above: Float[ndarray, "k d"]
    link: Int[ndarray, " m"]


def plane_tree(mixture: Mixture, low: float, high: float, levels: int = 36, tolerance: float = 1e-4) -> PlaneTree:
    """The modes of a mixture from the least noise to the largest.

    Two changes within one cell of the levels that cancel are missed.

    Args:
        mixture: the data.
        low: least noise level, > 0.
        high: largest.
        levels: even in log s.
        tolerance: to which, relatively, births and deaths are bisected.

    Returns:
        The tree.

    Raises:
        ValueError: unless `0 < low < high`.
    """
    if not 0 < low < high < np.inf:
        raise ValueError(f"low, high = {low}, {high}: take 0 < low < high")
    mixture, mean = about_mean(mixture)
    grid = np.geomspace(low, high, levels)
    first = below = modes(mixture, low)
    alive, births, joins = list(range(len(first))), [float(low)] * len(first), []
    for a, b in zip(grid[:-1], grid[1:], strict=True):
        for change in _changes(mixture, a, below, b, tolerance):
            alive, below = _passed(change, alive, births, joins), change.above
    return PlaneTree(births, joins, first + mean)


def _changes(mixture: Mixture, a: float, below: Float[ndarray, "m d"], b: float, tolerance: float) -> list[_Change]:
    """What happens between two levels, in order, each in a bracket as narrow as asked."""
    above, link = _led(mixture, below, b)
    s = float(np.sqrt(a * b))
    if len(set(link.tolist())) == len(below) == len(above) or b / a - 1 < tolerance:
        return [_Change(s, below, above, link)]
    first = _changes(mixture, a, below, s, tolerance)
    return first + _changes(mixture, s, first[-1].above, b, tolerance)


def _led(mixture: Mixture, below: Float[ndarray, "m d"], s: float) -> tuple[Float[ndarray, "k d"], Int[ndarray, " m"]]:
    """The modes at s, and which of them each mode of a lower level leads to."""
    x, arrived = ascended(mixture, np.concatenate([starts_of(mixture), below]), s)
    above, ends = parted(mixture, distinct(x[arrived], s), s), x[-len(below):]
    for i in np.flatnonzero(~arrived[-len(below):]):              # no longer there
        ends[i] = _climbed(mixture, below[i], AHEAD * s)
    return above, np.linalg.norm(ends[:, None] - above, axis=2).argmin(1)


def _climbed(mixture: Mixture, x: Float[ndarray, " d"], s: float) -> Float[ndarray, " d"]:
    """Mean shift of atoms: steps of `s^2` times the score, which never overshoot."""
    for _ in range(1000):
        before, x = x, mixture.denoise(x, 1.0, s)
        if np.abs(x - before).max() < 1e-7 * s:
            break
    return x


def _passed(change: _Change, alive: list[int], births: list[float], joins: list[Join]) -> list[int]:
    """The numbers of the modes above a change; adds to births and deaths."""
    numbers = []
    for j, x in enumerate(change.above):
        here = np.flatnonzero(change.link == j)
        if not len(here):
            numbers.append(len(births))
            births.append(change.s)
            continue
        parent = here[np.linalg.norm(change.below[here] - x, axis=1).argmin()]
        joins += [Join(change.s, alive[i], alive[parent]) for i in here if i != parent]
        numbers.append(alive[parent])
    return numbers
