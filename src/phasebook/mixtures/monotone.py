"""'The complexity is non-decreasing as t -> 0', counted: how often a count falls when the noise does.

Each counter takes noise levels `s = sigma / alpha` in descending order. Mixtures here are on the line. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import ndtr, ndtri

from phasebook.mixtures.latent_flow import even_slope, line_slope
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.modes import _signs, _terms, detect_by_height, modes_1d

__all__ = ["Boundary", "boundaries", "boundary_tracks", "drift", "falls", "height_counts", "minor_pair", "mode_counts",
           "random_mixture", "random_mode_falls", "wide_among_narrow"]


class Boundary(NamedTuple):
    """A boundary between two modes on the line, at one noise level.

    Attributes:
        level: the noise level s.
        quantile: `F_s(antimode)`, its place in the latent space as a Gaussian mass.
        slope: of the map from the latent there, over that for a Gaussian of the same variance (`even_slope`).
    """

    level: float
    quantile: float
    slope: float


def falls(counts: Float[ndarray, " k"], tolerance: float = 0.0) -> int:
    """Number of steps at which a sequence falls.

    Args:
        counts: the sequence, in falling order of the noise.
        tolerance: a fall of no more than this is none.

    Returns:
        How many steps fall.
    """
    return int((np.diff(counts) < -tolerance).sum())


def mode_counts(mixture: Mixture, levels: Float[ndarray, " k"]) -> Int[ndarray, " k"]:
    """Exact number of modes at each level: `modes_1d` without its last act, the polishing of the roots.

    Args:
        mixture: data on the line.
        levels: k noise levels > 0.

    Returns:
        The numbers.
    """
    counts = []
    for s in levels:
        terms = _terms(mixture, 1.0, s)
        rising = _signs(terms)[1]
        counts.append(int((rising[:-1] & ~rising[1:]).sum()) if np.ptp(terms.centres) else 1)
    return np.array(counts)


def height_counts(mixture: Mixture, levels: Float[ndarray, " k"], threshold: float, grid: int = 4001,
                  ) -> Int[ndarray, " k"]:
    """Number of modes at least `threshold` times as high as the highest, on a grid, as the paper counts them.

    Args:
        mixture: data on the line.
        levels: k noise levels > 0.
        threshold: relative height.
        grid: points.

    Returns:
        The numbers.
    """
    reach = np.sqrt(mixture.variances.max()) + max(levels)
    x = np.linspace(mixture.means.min() - 3 * reach, mixture.means.max() + 3 * reach, grid)
    return np.array([len(detect_by_height(mixture, 1.0, s, x, threshold)) for s in levels])


def random_mixture(rng: np.random.Generator) -> Mixture:
    """2 to 6 components on [-2, 2], random weights; half of the components are atoms, the others have a width."""
    n = int(rng.integers(2, 7))
    weights = rng.dirichlet(np.ones(n)) + 1e-3
    widths = rng.uniform(0, 0.5, n) * rng.integers(0, 2, n)
    return Mixture(rng.uniform(-2, 2, (n, 1)), widths**2, weights / weights.sum())


def random_mode_falls(steps: int, rng: np.random.Generator, chain: int = 20) -> int:
    """Falls of the exact mode count over random downward steps in noise of random mixtures.

    Args:
        steps: how many in all.
        rng: for mixtures and levels.
        chain: steps a mixture.

    Returns:
        How many steps fall.
    """
    lost = 0
    for start in range(0, steps, chain):
        levels = np.sort(np.exp(rng.uniform(np.log(0.05), np.log(2.5), min(chain, steps - start) + 1)))[::-1]
        lost += falls(mode_counts(random_mixture(rng), levels))
    return lost


def boundaries(mixture: Mixture, s: float) -> list[Boundary]:
    """The boundaries between the modes of p_s.

    Args:
        mixture: data on the line.
        s: noise level > 0.

    Returns:
        One for each antimode, in ascending order.
    """
    y = modes_1d(mixture, 1.0, s).antimodes
    quantile = ndtr((y[:, None] - mixture.means[:, 0]) / np.sqrt(mixture.variances + s**2)) @ mixture.weights
    slope = line_slope(mixture, s, y)[1] / even_slope(mixture, s)
    return [Boundary(float(s), float(q), float(m)) for q, m in zip(quantile, slope, strict=True)]


def boundary_tracks(mixture: Mixture, levels: Float[ndarray, " k"]) -> list[list[Boundary]]:
    """One track for each boundary of the last level, followed back up to where it formed.

    Args:
        mixture: data on the line.
        levels: falling and dense: a boundary is matched to the nearest one of the level below. The levels at which
            boundaries form are added, by bisection.

    Returns:
        Tracks in falling order of the level.
    """
    levels = np.sort(np.concatenate([levels, _births(mixture, levels)]))[::-1]
    tracks = [[last] for last in boundaries(mixture, levels[-1])]
    alive = list(range(len(tracks)))
    for s in levels[-2::-1]:
        nearest = {}
        for boundary in boundaries(mixture, s) if alive else []:
            k = min(alive, key=lambda k, q=boundary.quantile: abs(tracks[k][-1].quantile - q))
            nearest[k] = boundary
        for k, boundary in nearest.items():
            tracks[k].append(boundary)
        alive = list(nearest)
    return [track[::-1] for track in tracks]


def _births(mixture, levels):
    """Levels just below which a new mode exists, to a relative 1e-7."""
    counts, levels_of_falls = mode_counts(mixture, levels), []
    for high, low, above, below in zip(levels[:-1], levels[1:], counts[:-1], counts[1:], strict=True):
        while below > above and high / low - 1 > 1e-7:
            middle = np.sqrt(high * low)
            high, low = (high, middle) if mode_counts(mixture, [middle])[0] > above else (middle, low)
        levels_of_falls += [low] if below > above else []
    return np.array(levels_of_falls)


def drift(track: list[Boundary], steepness: float) -> float | None:
    """How far a boundary still moves in the latent space once it is a ridge.

    Args:
        track: of one boundary.
        steepness: the slope from which on it counts as a ridge; 0 for the whole track.

    Returns:
        The largest distance from its last place, in Gaussian mass; None where it never is that steep.
    """
    ridge = [b for b in track if b.slope >= steepness]
    if not ridge:
        return None
    return max(abs(b.quantile - track[-1].quantile) for b in ridge)


def minor_pair() -> Mixture:
    """A heavy atom and two light ones close together: merged they pass a height threshold of 5 %, apart they fail."""
    return Mixture.atoms([[0.0], [3.0], [3.4]], np.array([0.94, 0.03, 0.03]))


def wide_among_narrow(unit: float = 1.0, atoms: int = 0) -> Mixture:
    """A wide component (standard deviation 4 units) between two narrow ones at +-12 units.

    The latent intervals that are steep stay two, in units of `even_slope`. By slopes without a unit they would seem to
    merge at unit 5, where a Gaussian of their standard deviation, 50, is steep everywhere.

    `atoms` > 0 replaces each component by that many atoms of equal weight: the wide one by its quantiles, the
    narrow ones by atoms a thousandth of a unit apart.

    Args:
        unit: the length all others are measured in.
        atoms: per component; 0 for the mixture itself.

    Returns:
        The mixture.
    """
    if atoms == 0:
        return Mixture(unit * np.array([[-12.0], [0.0], [12.0]]), unit**2 * np.array([0.01, 16.0, 0.01]),
                       np.full(3, 1 / 3))
    close, wide = 1e-3 * np.arange(atoms), 4 * ndtri((np.arange(atoms) + 0.5) / atoms)
    return Mixture.atoms(unit * np.concatenate([close - 12, wide, close + 12])[:, None])
