"""Parameters of the chapter on one dimension."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from phasebook.mixtures.setting import check_interval
from phasebook.site.checks.memory import named
from phasebook.site.checks.models import check_pictures, memory_of_pictures
from phasebook.site.checks.parameters import Finite, Fraction, Parameters, Seed

__all__ = ["Chapter", "Numbers"]

CLOUD = 64              # dimensions of the two clusters
Numbers = Annotated[list[Annotated[Finite, Field(ge=-1e6, le=1e6)]], Field(min_length=1, max_length=400)]


class Chapter(Parameters):
    """What the chapter's first cell sets.

    Attributes:
        n_atoms: drawn uniformly on `interval` unless `atoms` is given.
        interval: `[a, b]`.
        atoms: positions, or None.
        seed: of every draw.
        schedule: labels noise levels with times.
        threshold: relative height of the second tree.
        levels: noise levels between which modes are linked.
        images: image set of the last section, or None.
        image_levels: noise levels of its tree.
        samples: training samples of a cloud in the collapse experiment.
        clones: samples that are cloned at the speciation time.
    """

    n_atoms: Annotated[int, Field(ge=1, le=400)]
    interval: Annotated[list[Annotated[Finite, Field(ge=-1e6, le=1e6)]], Field(min_length=2, max_length=2)]
    atoms: Numbers | None
    seed: Seed
    schedule: Literal["log_snr_linear", "vp_linear", "vp_cosine"]
    threshold: Fraction
    levels: Annotated[int, Field(ge=10, le=2000)]
    images: str | None
    image_levels: Annotated[int, Field(ge=5, le=2000)]
    samples: Annotated[int, Field(ge=100, le=5000)]
    clones: Annotated[int, Field(ge=100, le=1_000_000)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_interval(self.interval)
        if self.images is not None:
            check_pictures(self.images, parameter="images")
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`."""
        pictures = {} if self.images is None else memory_of_pictures(self.images, parameter="images")
        return pictures | {named(clones=self.clones): 8.0 * CLOUD * 4 * self.clones}
