"""Parameters of the chapter on one dimension."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from phasebook.mixtures.setting import check_interval
from phasebook.site.checks.memory import named
from phasebook.site.checks.models import check_pictures, small_pictures
from phasebook.site.checks.parameters import Finite, Fraction, Parameters, Seed

__all__ = ["Chapter", "Numbers"]

CLOUD = 64              # dimensions of the two clusters
SQUARES = 13            # tables of all pictures by all that live at a time in a mean shift
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
        clones = {named(clones=self.clones): 8.0 * CLOUD * 4 * self.clones}
        if self.images is None:
            return clones
        n = len(small_pictures(self.images))
        entries = n * 3 * 64**2
        part = named(images=repr(self.images), pictures=n)
        return clones | {part: 12.0 * entries + max(8.0 * entries, 8.0 * SQUARES * n**2)}
