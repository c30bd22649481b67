"""Parameters of the chapter on chains of transports in the plane, and their checks."""

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from phasebook.site.checks.memory import named
from phasebook.site.checks.parameters import Parameters, Seed
from phasebook.theory.cells.power_cells import check_atoms
from phasebook.theory.chains.plane_chain import FINEST

__all__ = ["Chapter"]

FARTHEST = 20.0
SOLVED = 6_500          # bytes of a grid point of the link that is solved: its linear system and the atoms' shares
Coordinate = Annotated[float, Field(ge=-1e3, le=1e3)]
Level = Annotated[float, Field(ge=1e-3, le=1e4)]
Point = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]


class Chapter(Parameters):
    """Atoms, the noise levels between which the maps lie, their numbers, and how finely all of it is computed."""

    atoms: Annotated[list[Point], Field(min_length=1, max_length=20)]
    atom_weights: Annotated[list[float], Field(min_length=1, max_length=20)]
    sigma_start: Level
    sigma_end: Level
    links: Annotated[list[Annotated[int, Field(ge=1, le=128)]], Field(min_length=1, max_length=12)]
    grid: Annotated[float, Field(ge=4, le=10)]
    samples: Annotated[int, Field(ge=20, le=2000)]
    seed: Seed

    @model_validator(mode="after")
    def _sound(self):
        check_atoms(self.atoms, self.atom_weights)
        if not self.sigma_end < self.sigma_start:
            raise ValueError(f"sigma_end = {self.sigma_end:g}: takes a level below sigma_start = {self.sigma_start:g}")
        apart = float(np.linalg.norm(np.ptp(self.atoms, axis=0)))
        if apart > FARTHEST * self.sigma_start:         # the chain begins where the atoms are one cloud
            raise ValueError(f"atoms: they spread over {apart:g}; takes at most {FARTHEST:g} sigma_start = "
                             f"{FARTHEST * self.sigma_start:g}")
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`: the links of all chains are kept, splines on the finest grid at most; one is solved."""
        maps = sum(set(self.links))
        return {named(links=self.links): FINEST**2 * (SOLVED + 8.0 * maps)}
