"""Parameters of chapter 5, on the singular set of one transport, and their checks."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from phasebook.site.checks.memory import named
from phasebook.site.checks.parameters import Fraction, Parameters

__all__ = ["Chapter"]

Shape = Annotated[float, Field(ge=0, le=1)]
Oval = Annotated[float, Field(ge=0.3, le=5)]
BRICK = 500             # bytes of a brick of a transport: its cell, its neighbours, its tears
BESIDE = 24             # further transports of all samples: four shapes, five at five sizes, and what is solved


class Chapter(Parameters):
    """What chapter 5 takes."""

    source: Literal["gaussian", "disk"]
    unequal_mass: Fraction
    n_samples: Annotated[int, Field(ge=100, le=20_000)]
    half_necks: Annotated[list[Shape], Field(min_length=2, max_length=40)]
    hole: Annotated[float, Field(ge=0.1, le=0.9)]
    cassini_ratios: Annotated[list[Oval], Field(min_length=1, max_length=40)]
    generations: Annotated[int, Field(ge=4, le=12)]
    cantor_ratio: Annotated[float, Field(ge=0.05, le=0.45)]

    @model_validator(mode="after")
    def _distinct(self):
        if self.cantor_ratio**self.generations < 1e-12:
            smallest = self.cantor_ratio**self.generations
            raise ValueError(f"generations = {self.generations}: cantor_ratio ** generations is {smallest:.0e}; "
                             "takes at least 1e-12, so that atoms are distinct")
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`: transports onto all shapes are kept for the figures with a slider."""
        transports = len(self.half_necks) + len(self.cassini_ratios) + BESIDE
        return {named(n_samples=self.n_samples, shapes=transports): float(BRICK) * self.n_samples * transports}
