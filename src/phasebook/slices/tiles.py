"""Tiles of a slice: what is swept at a time.

A tile is swept with one point more on each side, so that its centred differences are those of the whole grid.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.slices.plane import Plane

__all__ = ["Tile", "span"]


@dataclass(frozen=True, eq=False)
class Tile:
    """The points top..bottom, left..right of a plane, swept with one more on each side where there is one."""

    plane: Plane
    top: int
    bottom: int
    left: int
    right: int

    @property
    def window(self) -> tuple[int, int, int, int]:
        """What is swept: first and last row, first and last column."""
        grid = self.plane.grid
        return max(self.top - 1, 0), min(self.bottom + 1, grid), max(self.left - 1, 0), min(self.right + 1, grid)

    @property
    def size(self) -> int:
        """The number of points that are swept."""
        top, bottom, left, right = self.window
        return (bottom - top) * (right - left)

    def grid(self, x: Tensor | ndarray) -> Tensor | ndarray:
        """Values of all points that are swept, as rows of the grid."""
        top, bottom, left, right = self.window
        return x.reshape(bottom - top, right - left, *x.shape[1:])

    def cut(self, x: Tensor | ndarray, name: str = "") -> Tensor | ndarray:
        """Of rows of what is swept, the tile's own of the variable `name`."""
        (r0, r1), (c0, c1) = span(self, name)
        top, _, left, _ = self.window
        return x[r0 - top:r1 - top, c0 - left:c1 - left]

    def points(self) -> tuple[Float[ndarray, " p"], Float[ndarray, " p"]]:
        """alpha and beta of all points that are swept."""
        top, bottom, left, right = self.window
        alpha, beta = np.meshgrid(self.plane.alpha[top:bottom], self.plane.beta[left:right], indexing="ij")
        return alpha.ravel(), beta.ravel()


def span(tile: Tile, name: str, pick: Int[ndarray, " k"] | None = None) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns of a variable that a tile fills: jumps have one less, pictures are kept of some points."""
    rows, columns, last = (tile.top, tile.bottom), (tile.left, tile.right), tile.plane.grid - 1
    if name == "picture":
        return tuple(tuple(int(i) for i in np.searchsorted(pick, ends)) for ends in (rows, columns))
    if name == "jump_alpha":
        rows = (tile.top, min(tile.bottom, last))
    elif name == "jump_beta":
        columns = (tile.left, min(tile.right, last))
    return rows, columns
