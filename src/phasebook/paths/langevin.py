r"""Transition paths: annealed Langevin dynamics along a curve of denoising distributions.

At each point `z` of the curve the paths take `steps` steps of

    x <- x + (h/2) grad log p(x | z) + sqrt(h) N(0, I),   grad log p(x | z) = -grad U(x)/kT + q - k x,

and carry on from where they are (Karczewski et al. 2025, Algorithm 1). The energy of every step is looked at, positions
are kept once a point. float64.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from phasebook.arguments import number, whole
from phasebook.paths.geodesic import checked
from phasebook.paths.potential import Potential

__all__ = ["Paths", "transition_paths"]


class Paths(NamedTuple):
    """Transition paths.

    Attributes:
        max_energy: (p,) the largest U on each path, over all steps, in the potential's unit above its lowest node.
        position: (n, p, 2) at the end of each point of the curve.
    """

    max_energy: Float[ndarray, " p"]
    position: Float[ndarray, "n p 2"]


def transition_paths(potential: Potential, kT: float, eta: Float[ndarray, "n 3"], paths: int, steps: int, size: float,
                     rng: np.random.Generator) -> Paths:
    """Paths from one end of a curve to the other.

    Args:
        potential: the energy.
        kT: the temperature, in its unit.
        eta: natural parameters `(q, -k/2)` along the curve.
        paths: how many.
        steps: Langevin steps at each point.
        size: of a step, h; stable while `h (k + U''/kT) < 4`.
        rng: draws the noise.

    Returns:
        The paths; all start at the place `q / k` of the first point.

    Raises:
        ValueError: for a temperature or a step that is not positive, natural parameters that are none, no path or
            step, or steps that the noise alone makes unstable.
    """
    eta, kT = checked("eta", eta), number("kT", kT, "a temperature > 0, in the unit of the energy", above=0)
    paths, steps = whole("paths", paths, 1), whole("steps", steps, 1)
    size, stable = number("size", size, "a step > 0", above=0), 4 / (-2 * eta[:, 2].min())
    if size >= stable:
        raise ValueError(f"size = {size:g}: Langevin steps are unstable at k = {4 / stable:.3g}; takes < {stable:.2g}")
    x = np.tile(eta[0, :2] / (-2 * eta[0, 2]), (paths, 1))
    top = potential.read(x)[:, 0]
    kept = np.empty((len(eta), paths, 2))
    for i, (*q, minus_half_k) in enumerate(eta):
        pull, k = np.array(q), -2 * minus_half_k
        noise = np.sqrt(size) * rng.standard_normal((steps, paths, 2))
        for step in noise:
            U = potential.read(x)
            np.maximum(top, U[:, 0], out=top)
            x = x + size / 2 * (pull - k * x - U[:, 1:] / kT) + step
        kept[i] = x
    return Paths(np.maximum(top, potential.read(x)[:, 0]), kept)
