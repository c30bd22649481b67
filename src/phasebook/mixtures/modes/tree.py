"""The mode evolution tree of a mixture on the line: modes linked over noise levels, deaths bisected.

Everything is a function of `r = sigma / alpha` in the frame `y = x_t / alpha`, where noise is pure heat flow; a
schedule only labels r with a time. As r grows modes never appear (on the line; Silverman 1981): each dies by meeting
an antimode. Convention for the edge: the mode beyond that antimode swallows the basin.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.modes import Critical, detect_by_height, modes_1d
from phasebook.mixtures.schedules import Schedule

__all__ = ["Merge", "ModeTree", "height_tree", "in_spacetime", "linkage_of", "mode_tree"]


class Merge(NamedTuple):
    """A mode's death as noise grows, its birth as noise falls.

    Attributes:
        ratio: `sigma / alpha`.
        y: `x_t / alpha` where it dies.
        child: number of the mode that dies.
        parent: of the one that swallows its basin.
    """

    ratio: float
    y: float
    child: int
    parent: int


class ModeTree(NamedTuple):
    """The modes of a mixture over noise levels.

    Attributes:
        branches: for each mode, numbered from the left at the least noise, the (r, y) polyline up to its death.
        merges: deaths in order of noise.
        ratios: (l,) the noise levels.
        counts: (l,) modes at each.
    """

    branches: list[Float[ndarray, "k 2"]]
    merges: list[Merge]
    ratios: Float[ndarray, " l"]
    counts: Float[ndarray, " l"]

    def joins(self) -> list[Float[ndarray, "2 2"]]:
        """For each merge the segment at its r from the dying mode to the one that swallows it."""
        segments = []
        for merge in self.merges:
            r, y = self.branches[merge.parent].T
            segments.append(np.array([[merge.ratio, merge.y], [merge.ratio, np.interp(merge.ratio, r, y)]]))
        return segments

    def linkage(self) -> Float[ndarray, "m-1 4"]:
        """SciPy's linkage matrix, heights log r (`linkage_of`)."""
        return linkage_of(len(self.branches), self.merges)


def linkage_of(n: int, merges: list[Merge]) -> Float[ndarray, "n-1 4"]:
    """Merges as SciPy's linkage matrix.

    Args:
        n: number of leaves.
        merges: all of them, in order of noise.

    Returns:
        Rows (cluster, cluster, log r, size).

    Raises:
        ValueError: unless one mode is left.
    """
    if len(merges) != n - 1:
        raise ValueError(f"tree: {n - len(merges)} modes are left at the largest noise; takes a full tree")
    cluster, size, rows = list(range(n)), [1] * n, []
    for step, merge in enumerate(merges):
        a, b = sorted((cluster[merge.child], cluster[merge.parent]))
        size[merge.parent] += size[merge.child]
        rows.append([a, b, np.log(merge.ratio), size[merge.parent]])
        cluster[merge.parent] = n + step
    return np.array(rows, dtype=float).reshape(-1, 4)


def mode_tree(mixture: Mixture, low: float, high: float, levels: int = 100, tolerance: float = 1e-9) -> ModeTree:
    """The exact tree of a mixture on the line.

    Args:
        mixture: the data.
        low: least `sigma / alpha`, > 0.
        high: largest.
        levels: noise levels between which modes are linked.
        tolerance: to which, relatively in r, deaths are bisected.

    Returns:
        The tree.

    Raises:
        ValueError: for a reversed interval or one that is not positive.
    """
    if not 0 < low < high < np.inf:
        raise ValueError(f"low, high = {low}, {high}: take 0 < low < high (sigma/alpha)")
    ratios = np.geomspace(low, high, levels)
    critical = modes_1d(mixture, 1.0, low)
    alive = list(range(len(critical.modes)))
    branches = [[(low, y)] for y in critical.modes]
    merges, counts = [], [len(alive)]
    for before, r in zip(ratios[:-1], ratios[1:], strict=True):
        after = modes_1d(mixture, 1.0, r)
        for a, c, b, rest in _events(mixture, before, critical, r, after, tolerance):
            alive, new = _bury(mixture, float(np.sqrt(a * b)), c, len(c.modes) - len(rest.modes), alive)
            for merge in new:
                branches[merge.child].append((merge.ratio, merge.y))
            merges += new
        for i, y in zip(alive, after.modes, strict=True):
            branches[i].append((r, y))
        critical = after
        counts.append(len(alive))
    return ModeTree([np.array(b) for b in branches], merges, ratios, np.array(counts))


def _events(mixture: Mixture, a: float, at_a: Critical, b: float, at_b: Critical, tolerance: float) -> list:
    """Brackets [a, b], narrower than the tolerance, across which the number of modes falls; in order."""
    if len(at_a.modes) <= len(at_b.modes):
        return []
    if b / a - 1 < tolerance:
        return [(a, at_a, b, at_b)]
    if len(at_a.modes) == len(at_b.modes) + 1:
        r = _fold(mixture, a, at_a, b)
        below, above = r / (1 + tolerance / 4), r * (1 + tolerance / 4)
        if a < below and above < b:
            last, first = modes_1d(mixture, 1.0, below), modes_1d(mixture, 1.0, above)
            if (len(last.modes), len(first.modes)) == (len(at_a.modes), len(at_b.modes)):
                return [(below, last, above, first)]
    middle = np.sqrt(a * b)
    at = modes_1d(mixture, 1.0, middle)
    return (_events(mixture, a, at_a, middle, at, tolerance)
            + _events(mixture, middle, at, b, at_b, tolerance))


def _fold(mixture: Mixture, a: float, at_a: Critical, b: float) -> float:
    """A guess of the r in (a, b) where `p_y = p_yy = 0`, by Newton in (y, r^2), `d p / d r^2 = p_yy / 2`; 0 if lost.

    Only a guess: the caller counts modes on both sides of it. It fails at a pitchfork, where `p_yyy = 0` too.
    """
    both = np.sort(np.concatenate(at_a))
    k = np.diff(both).argmin()
    y, s = both[k : k + 2].mean(), a**2
    for _ in range(25):
        var = mixture.variances + s
        z = (y - mixture.means[:, 0]) / np.sqrt(var)
        w = mixture.responsibilities(np.array([y]), 1.0, np.sqrt(s))
        hermite = (z, z**2 - 1, z**3 - 3 * z, z**4 - 6 * z**2 + 3)
        p1, p2, p3, p4 = ((-1) ** j * (w * h / var ** (j / 2)).sum() for j, h in enumerate(hermite, 1))
        slope = (p2 * p4 - p3**2) / 2
        if slope == 0:
            return 0.0
        ds = (p1 * p3 - p2 * p2) / slope
        y, s = y + (p2 * p3 - p1 * p4) / 2 / slope, s + ds
        if not 0 < s < 2 * b**2:
            return 0.0
        if abs(ds) < 1e-15 * s:
            break
    return float(np.sqrt(s))


def _bury(mixture: Mixture, r: float, critical: Critical, deaths: int,
          alive: list[int]) -> tuple[list[int], list[Merge]]:
    """Who dies just after r: the modes closest to an antimode; of a symmetric pair the lower, else the right."""
    modes, antimodes, alive, merges = list(critical.modes), list(critical.antimodes), list(alive), []
    for _ in range(deaths):
        m, s = np.array(modes), np.array(antimodes)
        k = int(np.minimum(s - m[:-1], m[1:] - s).argmin())            # antimode k lies between modes k, k + 1
        gaps = s[k] - m[k], m[k + 1] - s[k]
        if max(gaps) < 2 * min(gaps):                                  # a pitchfork: both meet the antimode
            heights = mixture.log_density(m[k : k + 2, None], 1.0, r)
            child = k if heights[0] < heights[1] - 1e-9 else k + 1
        else:
            child = k + int(gaps[1] < gaps[0])
        parent = 2 * k + 1 - child
        merges.append(Merge(r, float(s[k]), alive[child], alive[parent]))
        del modes[child], antimodes[k], alive[child]
    return alive, merges


def height_tree(mixture: Mixture, ratios: Float[ndarray, " l"], threshold: float, per_width: int = 20,
                most: int = 20_001) -> tuple[list[ndarray], list[ndarray], Bool[ndarray, " l"]]:
    """The paper's tree: local maxima of each slice above a share of the highest, linked to the nearest at more noise.

    Args:
        mixture: the data, on the line.
        ratios: `sigma / alpha`, growing.
        threshold: the share, between 0 and 1.
        per_width: grid points for each standard deviation of the noise: the grid adapts to the slice's scale.
        most: grid points of a slice at most.

    Returns:
        The modes of each level; the edges `((r, y), (r', y'))`; whether the grid of each level is as fine as asked.
    """
    low, high = mixture.means.min(), mixture.means.max()
    detected, fine = [], []
    for r in ratios:
        wanted = int(per_width * ((high - low) / r + 2)) + 1
        grid = np.linspace(low - r, high + r, min(wanted, most))
        detected.append(detect_by_height(mixture, 1.0, r, grid, threshold))
        fine.append(wanted <= most)
    edges = []
    for k, modes in enumerate(detected[:-1]):
        later = detected[k + 1]
        for y in modes:
            edges.append(np.array([(ratios[k], y), (ratios[k + 1], later[np.abs(later - y).argmin()])]))
    return detected, edges, np.array(fine)


def in_spacetime(polylines: list[Float[ndarray, "k 2"]], schedule: Schedule) -> list[Float[ndarray, "k 2"]]:
    """Polylines of (r, y) in the frame of `x_t`.

    Args:
        polylines: each (k, 2).
        schedule: gives noise ratios their times.

    Returns:
        Polylines of (t, x), `x = alpha_t y`.
    """
    out = []
    for line in polylines:
        r, y = np.asarray(line, dtype=float).T
        t = schedule.time(-2 * np.log(r))
        out.append(np.column_stack([t, schedule.alpha(t) * y]))
    return out
