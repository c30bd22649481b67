"""Parameters of the chapter on the proof of Theorem B.1 and on densities with a corner."""

from typing import Annotated

from pydantic import Field

from phasebook.site.chapters.heat import Densities, Size
from phasebook.site.checks.parameters import Fraction

__all__ = ["Chapter"]

Pair = Annotated[list[Size], Field(min_length=2, max_length=2)]


class Chapter(Densities):
    """Smooth densities for the steps of the proof, and the two sides of densities with a corner at 0."""

    kink_rates: Pair
    jump_left_mass: Fraction
    split_stds: Pair
