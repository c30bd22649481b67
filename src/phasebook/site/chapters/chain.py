"""Parameters of the chapter on chains of transports, and what can be known about them before anything runs."""

from typing import Annotated

from pydantic import Field, model_validator

from phasebook.site.chapters.heat import Means, Modes, Stds, memory_of_waves
from phasebook.site.checks.memory import check_memory
from phasebook.site.checks.parameters import Parameters, Positive
from phasebook.theory.heat.expansion import resolving_grid
from phasebook.theory.heat.line import check_mixture
from phasebook.theory.heat.torus import TorusDensity, check_modes

__all__ = ["Chapter", "circle_grid", "torus_grid"]

FINEST = 192        # points an axis of the finest grid on the torus
RESOLVED = 1e-6     # a chain reads the third order of its links: the grids resolve grad Q six digits deep


def torus_grid(density: TorusDensity, asked: int) -> tuple[int, str]:
    """Points an axis for the chapter's torus density, and a remark where they are more than asked."""
    return resolving_grid(density, asked, "grid", wanted=RESOLVED, finest=FINEST)


def circle_grid(density: TorusDensity) -> tuple[int, str]:
    """The same for its density on the circle, from 128 points on."""
    return resolving_grid(density, 128, "circle_grid", modes="circle_modes", wanted=RESOLVED, finest=1024)


class Chapter(Parameters):
    """Densities on the torus, the circle and the line, the total heat time and the numbers of maps composed over it."""

    torus_modes: Modes
    circle_modes: Modes
    mixture_means: Means
    mixture_stds: Stds
    mixture_weights: list[Positive]
    tau: Annotated[float, Field(ge=1e-3, le=4.0)]
    n_steps: Annotated[list[Annotated[int, Field(ge=1, le=256)]], Field(min_length=1, max_length=20)]
    grid: Annotated[int, Field(ge=16, le=192)]

    @model_validator(mode="after")
    def _densities(self):
        check_mixture(self.mixture_means, self.mixture_stds, self.mixture_weights)
        check_memory(self.memory())         # before the grids are refined
        check_modes(self.torus_modes, grid=self.grid)
        check_modes(self.circle_modes, d=1, grid=128, name="circle_modes")
        torus_grid(TorusDensity.from_rows(self.torus_modes), self.grid)
        circle_grid(TorusDensity.from_rows(self.circle_modes, 1))
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`."""
        return memory_of_waves(self.torus_modes, "grid", self.grid, FINEST)
