"""What edits have to say about which pairs need how many steps: rank correlations and differences, with intervals.

Edits of one source share its start and its inversion, so intervals draw sources, not edits (`stats.grouped_bootstrap`).
An edit that succeeds from no step stays among them, as the hardest: to leave it out would be to choose by the outcome.
Its k* is -1, below all others, and it needs a step more than there are.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from phasebook.edits.editing import Edits
from phasebook.edits.two_pictures import thresholds
from phasebook.slices.measures.splits import split_steps
from phasebook.stats import Estimate, grouped_bootstrap, partial_spearman, residual, spearman

__all__ = ["agreement", "difference", "findings", "over_sources", "rank_at_equal", "surplus"]

LEAST_EDITS = 60        # below, nothing is decided
STRATA = 8              # of distance, as many edits in each


def over_sources(statistic: Callable[..., float], columns: tuple[Float[ndarray, " e"], ...], group: Int[ndarray, " e"],
                 seed: int, least: int = LEAST_EDITS) -> Estimate | None:
    """A statistic of columns of numbers, an entry an edit, with its interval over drawn sources.

    Args:
        statistic: of the columns; NaN where it does not exist.
        columns: its arguments.
        group: the source of each edit.
        seed: of the draws.
        least: the number of edits below which no interval is given.

    Returns:
        The estimate; None where the statistic does not exist.
    """
    if len(group) == 0:
        return None
    enough = {} if len(group) >= least else {"least": len(group) + 1}
    return grouped_bootstrap(lambda i: statistic(*(c[i] for c in columns)), group, seed, **enough)


def difference(y: Float[ndarray, " e"], second: Bool[ndarray, " e"], *given: Float[ndarray, " e"]) -> float:
    """Mean of y in the `second` group over that in the first, at equal `given`: a coefficient of least squares.

    NaN where one group is empty.
    """
    left, risen = residual(np.stack([second, y], 1, dtype=float), *given).T
    size = left @ left
    if size <= 1e-9:
        return np.nan
    slope = float(left @ risen / size)
    return round(slope, 12) + 0.0       # none is zero, on every machine and without a sign


def rank_at_equal(x: Float[ndarray, " e"], y: Float[ndarray, " e"], given: Float[ndarray, " e"]) -> float:
    """Rank correlation of x and y at equal `given`: its rank and eight strata of it are regressed out of both.

    The rank alone would leave a bend that x and y share, and call it a correlation: ranks are squeezed at both ends,
    and an edit that never parts has the last step whatever its distance. Equal ones of `given` share a stratum.
    """
    below = np.searchsorted(np.sort(given), given)
    stratum = below * STRATA // max(len(below), 1)
    return partial_spearman(x, y, given, *(stratum == s for s in range(1, STRATA)))


def findings(edits: Edits, seed: int) -> Mapping[str, Estimate | None]:
    """What the paper's statements come to over all edits.

    Args:
        edits: with levels 'within' and 'across'.
        seed: of the bootstrap.

    Returns:
        `split` and `distance`: rank correlations of k* with the split step and with the distance of the two pictures;
        `split_given_distance`: the first at equal distance; `across`: the share of all steps that must be inverted
        more across families than within; `across_given_distance`: the same at equal logarithm of the distance.
    """
    group, across = np.asarray(edits.pairs.group), np.asarray(edits.pairs.level) == "across"
    k, needed, distance = edits.k_star, edits.needed, edits.distance
    size = np.log(np.maximum(distance, 1e-12))          # noise levels at k* are proportional to distances
    split = split_steps(edits.parting)
    return {
        "split": over_sources(spearman, (k, split), group, seed),
        "distance": over_sources(spearman, (k, distance), group, seed),
        "split_given_distance": over_sources(rank_at_equal, (k, split, distance), group, seed),
        "across": over_sources(difference, (needed, across), group, seed),
        "across_given_distance": over_sources(difference, (needed, across, size), group, seed),
    }


def surplus(near: Edits, far: Edits, seed: int) -> Estimate | None:
    """The share of all steps that must be inverted more in `near` than in `far`, at equal distance of the pictures.

    Without an interval unless both are enough edits.

    Args:
        near: edits between neighbours in latent space.
        far: edits between pictures that were drawn at random.
        seed: of the bootstrap.
    """
    parts = (near, far)
    needed = np.concatenate([edits.needed for edits in parts])
    size = np.log(np.maximum(np.concatenate([edits.distance for edits in parts]), 1e-12))
    is_near = np.repeat([True, False], [len(edits.needed) for edits in parts])
    first, second = (np.asarray(edits.pairs.group) for edits in parts)
    group = np.concatenate([first, second + 1 + max(first, default=0)])
    enough = min(len(first), len(second)) >= LEAST_EDITS
    least = LEAST_EDITS if enough else len(group) + 1
    return over_sources(difference, (needed, is_near, size), group, seed, least=least)


def agreement(edits: Edits, promised: Int[ndarray, " e"], seed: int) -> Mapping[str, Estimate | None]:
    """How the noise levels that edits need agree with those at another k*, where both are steps.

    Args:
        edits: with levels 'within' and 'across'.
        promised: the other k*, e.g. by `two_pictures.forecast`.
        seed: of the bootstrap.

    Returns:
        `within` and `across`: the geometric mean of the ratio of the noise levels, for edits within one family and
        across two; `order`: the rank correlation of the two k*.
    """
    both = edits.done & (promised >= 0)
    group, level = np.asarray(edits.pairs.group)[both], np.asarray(edits.pairs.level)[both]
    k, other = edits.k_star[both], promised[both]
    ratio = np.log(thresholds(k, edits.levels) / thresholds(other, edits.levels))
    estimates = {"order": over_sources(spearman, (k, other), group, seed)}
    for name in ("within", "across"):
        mine = level == name
        estimates[name] = over_sources(_geometric_mean, (ratio[mine],), group[mine], seed)
    return estimates


def _geometric_mean(logarithm: Float[ndarray, " e"]) -> float:
    return float(np.exp(logarithm.mean())) if len(logarithm) else np.nan
