"""Parameters of the chapter on heat flow and transport, and what can be known about them before anything runs."""

from typing import Annotated

from pydantic import Field, model_validator

from phasebook.site.checks.memory import check_memory, named
from phasebook.site.checks.parameters import Finite, Parameters, Positive
from phasebook.theory.heat.expansion import FINEST, resolving_grid
from phasebook.theory.heat.line import check_mixture
from phasebook.theory.heat.torus import TorusDensity, check_modes

__all__ = ["Chapter", "Densities", "Means", "Modes", "Size", "Stds", "memory_of_waves"]

HeatTime = Annotated[float, Field(ge=1e-9, le=1.0)]
Size = Annotated[float, Field(ge=1e-3, le=1e3)]
Means = Annotated[list[Annotated[float, Field(ge=-1e3, le=1e3)]], Field(min_length=1, max_length=100)]
Stds = Annotated[list[Size], Field(min_length=1, max_length=100)]
Modes = Annotated[list[Annotated[list[Finite], Field(max_length=4)]], Field(min_length=1, max_length=64)]

ARRAYS = 12             # float64 numbers for each point of a grid and each mode that live at the same time
FIELDS = 150            # and for each point alone


def memory_of_waves(modes: list, grid_name: str, grid: int, finest: int) -> dict[str, float]:
    """A density's values and derivatives on a grid in the plane, as a part of what a run keeps in memory.

    Args:
        modes: rows of the parameter `torus_modes`.
        grid_name: of the parameter that asks for the grid.
        grid: points an axis.
        finest: points an axis up to which it may be refined.
    """
    part = named(torus_modes=f"{len(modes)} modes", **{grid_name: f"{grid} (refined up to {finest})"})
    return {part: 8.0 * max(grid, finest)**2 * (ARRAYS * len(modes) + FIELDS)}


class Densities(Parameters):
    """Densities on the line and on the torus, and the heat times at which they are transported."""

    mixture_means: Means
    mixture_stds: Stds
    mixture_weights: list[Positive]
    torus_modes: Modes
    torus_grid: Annotated[int, Field(ge=16, le=384)]
    epsilons: Annotated[list[HeatTime], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _densities(self):
        check_mixture(self.mixture_means, self.mixture_stds, self.mixture_weights)
        check_memory(self.memory())         # before the grid is refined
        check_modes(self.torus_modes, grid=self.torus_grid)
        resolving_grid(TorusDensity.from_rows(self.torus_modes), self.torus_grid)
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`."""
        return memory_of_waves(self.torus_modes, "torus_grid", self.torus_grid, FINEST)


class Chapter(Densities):
    """What the chapter on heat flow and transport takes: these and the variance of its Gaussian."""

    gaussian_variance: Size
