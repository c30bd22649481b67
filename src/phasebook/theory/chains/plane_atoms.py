"""Atoms in the plane under noise: the law at every level, what is known of the data from a point, and the flow.

Heat frame: `y = x_t / alpha`, noise level `s = sigma / alpha`; `p_s = sum_i w_i N(y_i, s^2 I)`. float64.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import softmax

from phasebook.arguments import number, whole
from phasebook.theory.cells.power_cells import check_atoms

__all__ = ["Atoms", "flow", "flow_atom", "levels"]


@dataclass(frozen=True, eq=False)
class Atoms:
    """Data in the plane and its laws `p_s = sum_i w_i N(y_i, s^2 I)` at all noise levels.

    Attributes:
        y: the atoms, distinct.
        weights: w, positive, of sum 1.

    Raises:
        ValueError: in one line, where `check_atoms` refuses them.
    """

    y: Float[ndarray, "n 2"]
    weights: Float[ndarray, " n"]

    def __post_init__(self):
        for name, value in zip(("y", "weights"), check_atoms(self.y, self.weights), strict=True):
            object.__setattr__(self, name, value)

    def latent(self, z: Float[ndarray, "*b 2"], s: float) -> Float[ndarray, "*b 2"]:
        """`mean + (Cov p_s)^(1/2) z`: p_s as an image of standard Gaussian z, for s far above the data."""
        mean = self.weights @ self.y
        centred = self.y - mean
        value, vector = np.linalg.eigh((self.weights[:, None] * centred).T @ centred + s**2 * np.eye(2))
        return mean + z @ (vector * np.sqrt(value)) @ vector.T

    def denoise(self, x: Float[ndarray, "*b 2"], s: float) -> Float[ndarray, "*b 2"]:
        """`E[x_0 | x]`, by products of matrices.

        Args:
            x: points at noise level s.
            s: noise level > 0, a length.
        """
        mean = self.weights @ self.y
        y = self.y - mean                                          # fewer digits lost where the atoms are far from 0
        flat = (np.asarray(x) - mean).reshape(-1, 2)
        terms = (y @ flat.T - (y**2).sum(1)[:, None] / 2) / s**2 + np.log(self.weights)[:, None]   # (atom, point): sums
        return mean + (softmax(terms, axis=0).T @ y).reshape(np.shape(x))                         # over atoms are short

    def posterior(self, x: Float[ndarray, "*b 2"], s: float):
        """The law at x, and what is known of the data from x.

        Args:
            x: points at noise level s.
            s: noise level > 0, a length.

        Returns:
            `log p_s(x)` (*b), `E[x_0 | x]` (*b 2), and `Cov[x_0 | x]` as its entries 11, 12, 22 (3 *b).
        """
        centre = self.weights @ self.y
        y, x = self.y - centre, x - centre                         # squares of far places would cancel
        apart = x[..., None, :] - y
        terms = np.log(self.weights) - (apart**2).sum(-1) / (2 * s**2) - np.log(2 * np.pi * s**2)
        top = terms.max(-1, keepdims=True)
        r = np.exp(terms - top)
        total = r.sum(-1, keepdims=True)
        r /= total
        mean = r @ y
        second = r @ (y[:, [0, 0, 1]] * y[:, [0, 1, 1]])
        cov = np.moveaxis(second, -1, 0) - np.stack([mean[..., i] * mean[..., j] for i, j in ((0, 0), (0, 1), (1, 1))])
        return (top + np.log(total))[..., 0], centre + mean, cov


def levels(start: float, end: float, n: int) -> Float[ndarray, " n"]:
    """Where n maps with geometric steps start: `start (end / start)^(k/n)`, k = 0 .. n - 1.

    n - 1 of them are links between levels; the last leads from the last level to the data.

    Args:
        start: first noise level.
        end: the level at which an (n + 1)st map would start.
        n: number of maps.

    Raises:
        ValueError: for no map, or levels that do not fall from one above 0 to another.
    """
    n, start = whole("n", n, 1, what="a number of maps"), number("start", start, "a noise level > 0", above=0)
    if (end := number("end", end, "a noise level > 0", above=0)) >= start:
        raise ValueError(f"end = {end:g}: takes a noise level below start = {start:g}")
    return start * (end / start) ** (np.arange(n) / n)


def flow(data: Atoms, x: Float[ndarray, "*b 2"], s: float, t: float, rate: int = 24) -> Float[ndarray, "*b 2"]:
    """The probability flow `dx / d log s = x - E[x_0 | x]` from level s to level t, by classical Runge-Kutta steps.

    Args:
        data: the atoms.
        x: points at level s.
        s: first noise level.
        t: last noise level.
        rate: steps per unit of log s.

    Returns:
        Points at level t.
    """
    steps = max(1, int(np.ceil(rate * abs(np.log(s / t)))))
    h = np.log(t / s) / steps
    for k in range(steps):
        at = [s * np.exp((k + part) * h) for part in (0.0, 0.5, 1.0)]
        a = x - data.denoise(x, at[0])
        b = (y := x + h / 2 * a) - data.denoise(y, at[1])
        c = (y := x + h / 2 * b) - data.denoise(y, at[1])
        d = (y := x + h * c) - data.denoise(y, at[2])
        x = x + h / 6 * (a + 2 * b + 2 * c + d)
    return x


def flow_atom(data: Atoms, x: Float[ndarray, "*b 2"], s: float) -> Int[ndarray, "*b"]:
    """Index of the atom that the flow from x leads to.

    Followed to a twelfth of the smallest distance between atoms; from there the flow only converges.

    Args:
        data: the atoms.
        x: points at level s.
        s: noise level of x.
    """
    gap = np.linalg.norm(data.y[:, None] - data.y, axis=-1)
    gap = gap[gap > 0].min() if len(data.y) > 1 else s              # atoms are distinct
    end = flow(data, x, s, min(s, gap / 12))
    return ((end[..., None, :] - data.y) ** 2).sum(-1).argmin(-1)
