"""Parameters of the chapter on heat flow and transport, and what can be known about them before anything runs."""

from typing import Annotated

from pydantic import Field, model_validator

from phasebook.site.checks.parameters import Finite, Parameters, Positive
from phasebook.theory.heat.expansion import resolving_grid
from phasebook.theory.heat.line import check_mixture
from phasebook.theory.heat.torus import TorusDensity, check_modes

__all__ = ["Chapter", "Densities", "Means", "Size", "Stds"]

HeatTime = Annotated[float, Field(ge=1e-9, le=1.0)]
Size = Annotated[float, Field(ge=1e-3, le=1e3)]
Means = Annotated[list[Annotated[float, Field(ge=-1e3, le=1e3)]], Field(min_length=1, max_length=100)]
Stds = Annotated[list[Size], Field(min_length=1, max_length=100)]


class Densities(Parameters):
    """Densities on the line and on the torus, and the heat times at which they are transported."""

    mixture_means: Means
    mixture_stds: Stds
    mixture_weights: list[Positive]
    torus_modes: list[list[Finite]]
    torus_grid: Annotated[int, Field(ge=16, le=384)]
    epsilons: Annotated[list[HeatTime], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _densities(self):
        check_mixture(self.mixture_means, self.mixture_stds, self.mixture_weights)
        check_modes(self.torus_modes, grid=self.torus_grid)
        resolving_grid(TorusDensity.from_rows(self.torus_modes), self.torus_grid)
        return self


class Chapter(Densities):
    """What the chapter on heat flow and transport takes: these and the variance of its Gaussian."""

    gaussian_variance: Size
