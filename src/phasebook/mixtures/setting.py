"""One-dimensional data from a chapter's parameters, refused in one line that names the parameter."""

from collections.abc import Sequence

import numpy as np

from phasebook.mixtures.mixtures import Mixture

__all__ = ["atoms_on_line", "check_interval", "mixture_on_line"]

NARROWEST, WIDEST = 1e-2, 1e3       # of an interval: noise is of order one


def check_interval(interval: Sequence[float]) -> None:
    """Refuse an interval that is empty, or out of proportion to noise of order one.

    Args:
        interval: `[a, b]`.

    Raises:
        ValueError: unless a < b, with a width from 0.01 to 1000 and ends from -1000 to 1000.
    """
    if len(interval) != 2 or not interval[0] < interval[1]:
        raise ValueError(f"interval = {list(interval)}: takes [a, b] with a < b")
    if max(map(abs, interval)) > WIDEST or not NARROWEST <= interval[1] - interval[0] <= WIDEST:
        raise ValueError(f"interval = {list(interval)}: takes [a, b] from {-WIDEST:g} to {WIDEST:g}, with b - a from "
                         f"{NARROWEST:g} to {WIDEST:g}")


def atoms_on_line(n_atoms: int, interval: Sequence[float], seed: int,
                  atoms: Sequence[float] | None = None) -> Mixture:
    """Equal atoms on the line (Eq. (6) of the paper).

    Args:
        n_atoms: how many are drawn.
        interval: `[a, b]` from which they are drawn uniformly.
        seed: of the draw.
        atoms: the positions themselves; the other arguments are then not used.

    Returns:
        The mixture.

    Raises:
        ValueError: unless a < b.
    """
    check_interval(interval)
    if atoms is None:
        atoms = np.random.default_rng(seed).uniform(*interval, n_atoms)
    return Mixture.atoms(np.asarray(atoms, dtype=float)[:, None])


def mixture_on_line(means: Sequence[float], stds: Sequence[float], weights: Sequence[float]) -> Mixture:
    """A Gaussian mixture on the line.

    Args:
        means: of the components.
        stds: their standard deviations; 0 is an atom.
        weights: positive, of sum 1.

    Returns:
        The mixture.

    Raises:
        ValueError: for lengths that differ, a negative std, weights that are not positive or do not sum to 1.
    """
    if not len(means) == len(stds) == len(weights):
        raise ValueError(f"mixture_stds, mixture_weights: lengths {len(stds)}, {len(weights)}; "
                         f"take one number for each of the {len(means)} mixture_means")
    if min(stds) < 0:
        raise ValueError(f"mixture_stds = {list(stds)}: take numbers >= 0")
    if min(weights) <= 0 or abs(sum(weights) - 1) > 1e-9:
        raise ValueError(f"mixture_weights = {list(weights)}: take positive numbers that sum to 1")
    return Mixture(np.array(means, float)[:, None], np.array(stds, float) ** 2, np.array(weights, float))
