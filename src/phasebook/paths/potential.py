r"""Energies in two coordinates: formulas on a window of the plane, or a grid over two angles.

A `Potential` is a fine table of `U` and its gradient, read bilinearly: what Langevin dynamics ask for a hundred
thousand times. Formulas: the surface of Mueller and Brown (1979), a sum of four Gaussians
`A exp(a (x - x_0)^2 + b (x - x_0)(y - y_0) + c (y - y_0)^2)`, and the double well `h (x^2 - 1)^2 + h y^2`. A grid over
two angles is continued by its Fourier series. Energies are kept above the lowest node. float64.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from phasebook.arguments import brief, number, numbers

__all__ = ["FORMULAS", "Potential", "double_well", "mueller_brown", "of_formula", "of_grid"]

TABLE = 512

# rows: A, a, b, c, x_0, y_0
MUELLER_BROWN = np.array([[-200, -1, 0, -10, 1, 0], [-100, -1, 0, -10, 0, 0.5],
                          [-170, -6.5, 11, -6.5, -0.5, 1.5], [15, 0.7, 0.6, 0.7, -1, 1]])
BARRIER = 10.0


@dataclass(frozen=True)
class Potential:
    """An energy over a rectangle.

    Attributes:
        low: (2,) the lower corner.
        size: (2,) the sides.
        periodic: whether the rectangle is one period in both coordinates; else energies end at its border.
        table: (n, n, 3) of U, dU/dx, dU/dy at `low + size i / n` (periodic) or `low + size i / (n - 1)`.
    """

    low: Float[ndarray, " 2"]
    size: Float[ndarray, " 2"]
    periodic: bool
    table: Float[ndarray, "n n 3"]

    def read(self, x: Float[ndarray, "*b 2"]) -> Float[ndarray, "*b 3"]:
        """U and its gradient at points, bilinear between the nodes; outside a window, those of its border.

        Args:
            x: points; angles of any number of turns.

        Returns:
            U, dU/dx, dU/dy.
        """
        n = len(self.table)
        place = (x - self.low) / self.size * (n if self.periodic else n - 1)
        if not self.periodic:
            place = np.clip(place, 0, n - 1 - 1e-9)
        corner = np.floor(place).astype(int)
        beyond = place - corner
        i, j, s, t = corner[..., 0], corner[..., 1], beyond[..., :1], beyond[..., 1:]
        i, j, up, right = i % n, j % n, (i + 1) % n, (j + 1) % n
        near = self.table[i, j] * (1 - t) + self.table[i, right] * t
        return near * (1 - s) + (self.table[up, j] * (1 - t) + self.table[up, right] * t) * s

    def stiffest(self, highest: float) -> float:
        """The largest curvature of U in any direction, over the places where it is at most `highest`."""
        n = len(self.table)
        spacing = self.size / (n if self.periodic else n - 1)
        slope = self.table[..., 1:]
        if self.periodic:
            bent = [(np.roll(slope, -1, a) - np.roll(slope, 1, a)) / (2 * spacing[a]) for a in (0, 1)]
        else:
            bent = [np.gradient(slope, spacing[a], axis=a) for a in (0, 1)]
        hessian = np.stack(bent, axis=-1)
        hessian = (hessian + np.swapaxes(hessian, -1, -2)) / 2
        return float(np.linalg.eigvalsh(hessian[self.table[..., 0] <= highest])[:, -1].max())

    def within(self, x: Float[ndarray, "*b 2"]) -> Float[ndarray, "*b 2"]:
        """Angles moved into the rectangle by full turns; places of a window as they are."""
        return x - self.size * np.floor((x - self.low) / self.size) if self.periodic else x

    def axes(self, n: int) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
        """`n` evenly spaced nodes of each coordinate: a period without its end, or a window with both ends."""
        share = np.arange(n) / (n if self.periodic else n - 1)
        return self.low[0] + self.size[0] * share, self.low[1] + self.size[1] * share

    def nodes(self, n: int) -> Float[ndarray, "n n"]:
        """U on the nodes of `axes`."""
        return self.read(np.stack(np.meshgrid(*self.axes(n), indexing="ij"), axis=-1))[..., 0]

    def nearest(self, x: Float[ndarray, "*b 2"], n: int) -> Int[ndarray, "*b 2"]:
        """The node of `axes(n)` nearest to each point, as two indices."""
        spacing = self.size / (n if self.periodic else n - 1)
        node = np.rint((x - self.low) / spacing).astype(int)
        return node % n if self.periodic else np.clip(node, 0, n - 1)


def mueller_brown(x: Float[ndarray, "*b 2"]) -> tuple[Float[ndarray, "*b"], Float[ndarray, "*b 2"]]:
    """The surface of Mueller and Brown (1979), Theor. Chim. Acta 53, 75: energy and gradient.

    Args:
        x: points of the plane; the minima lie near (-0.56, 1.44), (0.62, 0.03) and (-0.05, 0.47).

    Returns:
        U and its gradient, in the authors' unit; the lowest minimum is -146.70.
    """
    A, a, b, c, x0, y0 = MUELLER_BROWN.T
    dx, dy = x[..., :1] - x0, x[..., 1:] - y0
    part = A * np.exp(a * dx**2 + b * dx * dy + c * dy**2)
    slope = np.stack([(part * (2 * a * dx + b * dy)).sum(-1), (part * (b * dx + 2 * c * dy)).sum(-1)], axis=-1)
    return part.sum(-1), slope


def double_well(x: Float[ndarray, "*b 2"]) -> tuple[Float[ndarray, "*b"], Float[ndarray, "*b 2"]]:
    """`10 (x^2 - 1)^2 + 10 y^2`: energy and gradient. Minima at (-1, 0) and (1, 0), a barrier of 10 between them."""
    well = x[..., 0] ** 2 - 1
    slope = np.stack([4 * BARRIER * well * x[..., 0], 2 * BARRIER * x[..., 1]], axis=-1)
    return BARRIER * (well**2 + x[..., 1] ** 2), slope


# by name: the formula, the lower corner and the upper corner of its window
FORMULAS: dict[str, tuple[Callable, tuple[float, float], tuple[float, float]]] = {
    "mueller_brown": (mueller_brown, (-1.7, -0.6), (1.3, 2.3)),
    "double_well": (double_well, (-2.2, -1.6), (2.2, 1.6)),
}


def of_formula(formula: Callable, low: tuple[float, float], high: tuple[float, float]) -> Potential:
    """A potential from a formula on a window.

    Args:
        formula: points (..., 2) to U (...) and its gradient (..., 2).
        low: the window's lower corner.
        high: its upper corner.

    Returns:
        The potential, its lowest node at 0.

    Raises:
        ValueError: for a window without an area, or a formula that is not finite on it.
    """
    corner, size = np.array(low, dtype=float), np.subtract(high, low)
    if corner.shape != (2,) or size.shape != (2,) or not (size > 0).all():
        raise ValueError(f"low, high = {brief(low)}, {brief(high)}: takes two corners (x, y), the lower one first")
    axes = [np.linspace(low[i], high[i], TABLE) for i in (0, 1)]
    takes = "a function of points (..., 2) that gives U (...) and its gradient (..., 2)"
    given = formula(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    U, slope = (numbers("formula", part, takes) for part in given)
    if U.shape != (TABLE, TABLE) or slope.shape != (TABLE, TABLE, 2):
        raise ValueError(f"formula: gives shapes {U.shape}, {slope.shape} for {TABLE} x {TABLE} points; takes {takes}")
    return Potential(corner, size, False, np.concatenate([(U - U.min())[..., None], slope], axis=-1))


def of_grid(energy: Float[ndarray, "n m"], kT: float) -> Potential:
    """A potential from a grid over two angles, continued by its Fourier series.

    The period is cut where the Boltzmann density of an angle alone is least: no well is torn.

    Args:
        energy: U at `-pi + 2 pi i / n`, the first angle along the rows.
        kT: the temperature at which the cut is chosen, in the unit of `energy`.

    Returns:
        The potential, its lowest node at 0. The angles are those of the grid, up to turns.

    Raises:
        ValueError: for no grid of finite energies, or a temperature that is not positive.
    """
    energy, kT = numbers("energy", energy, "a grid (n, m) of energies"), number("kT", kT, "a temperature > 0", above=0)
    if energy.ndim != 2 or 0 in energy.shape:
        raise ValueError(f"energy: shape {energy.shape}; takes a grid (n, m) of energies")
    with np.errstate(all="ignore"):     # next to no temperature: no mass but at the lowest nodes
        mass = np.nan_to_num(np.exp((energy.min() - energy) / kT), nan=1.0)     # 0 / 0 where such a kT is flushed to 0
    cut = [int(mass.sum(1 - axis).argmin()) for axis in (0, 1)]
    low = np.array([-np.pi + 2 * np.pi * cut[i] / energy.shape[i] for i in (0, 1)])
    low -= 2 * np.pi * np.round((low + np.pi) / (2 * np.pi))
    waves = [np.fft.fftfreq(n, 1 / n) for n in energy.shape]
    spectrum = np.fft.fft2(np.roll(energy, [-c for c in cut], (0, 1)), norm="forward")
    share = 2 * np.pi * np.arange(TABLE) / TABLE
    left, right = (np.exp(1j * np.outer(share, k)) for k in waves)
    # an even grid's last mode slopes between the nodes alone: U and slope are real parts of one series
    inner = [1j * k for k in waves]
    table = [left @ spectrum @ right.T, (left * inner[0]) @ spectrum @ right.T, left @ spectrum @ (right * inner[1]).T]
    table = np.stack([part.real for part in table], axis=-1)
    table[..., 0] -= table[..., 0].min()
    return Potential(low, np.full(2, 2 * np.pi), True, table)
