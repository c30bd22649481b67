"""Parameters of the chapter on spacetime."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from phasebook.mixtures.schedules import schedule as schedule_named
from phasebook.mixtures.setting import check_interval, mixture_on_line
from phasebook.mixtures.spacetime.chart import check_endpoints
from phasebook.site.chapters.one_dimension import Numbers
from phasebook.site.checks.memory import named
from phasebook.site.checks.models import check_pictures, memory_of_pictures
from phasebook.site.checks.parameters import Finite, Parameters, Seed

__all__ = ["Chapter"]

Place = Annotated[Finite, Field(ge=-1e6, le=1e6)]
Point = Annotated[list[Place], Field(min_length=2, max_length=2)]


class Chapter(Parameters):
    """What the chapter's first cell sets.

    Attributes:
        dimensions: d of the Gaussian data.
        heights: posterior widths s at which their distances are checked.
        triples: random triples, and as many quadruples.
        mixture_means: of the Gaussian mixture on the line.
        mixture_stds: its standard deviations.
        mixture_weights: its weights.
        n_atoms: atoms drawn uniformly on `interval` unless `atoms` is given.
        interval: `[a, b]`.
        atoms: positions, or None.
        seed: of every draw.
        schedule: of the geodesics between `endpoints`.
        endpoints: two `(t, x)`.
        nodes: free nodes of a spline.
        points: at which its energy is summed.
        optimiser: of the spline.
        images: image set of the section on atoms, or None.
        pictures: how many of its images are atoms.
        noise: endpoint levels there, in units of the mean distance between the pictures.
        slice_offset: third latent coordinate of the decoded slice.
        slice_time: diffusion time down to which it is decoded.
        slice_grid: points an axis of its curvature map.
    """

    dimensions: Annotated[list[Annotated[int, Field(ge=1, le=64)]], Field(min_length=1, max_length=6)]
    heights: Annotated[list[Annotated[float, Field(ge=1e-3, lt=1)]], Field(min_length=1, max_length=6)]
    triples: Annotated[int, Field(ge=1, le=1_000_000)]
    mixture_means: Numbers
    mixture_stds: Numbers
    mixture_weights: Numbers
    n_atoms: Annotated[int, Field(ge=1, le=400)]
    interval: Point
    atoms: Numbers | None
    seed: Seed
    schedule: Literal["log_snr_linear", "vp_linear", "vp_cosine"]
    endpoints: Annotated[list[Point], Field(min_length=2, max_length=2)]
    nodes: Annotated[int, Field(ge=1, le=200)]
    points: Annotated[int, Field(ge=32, le=4096)]
    optimiser: Literal["lbfgs", "adam"]
    images: str | None
    pictures: Annotated[int, Field(ge=2, le=24)]
    noise: Annotated[list[Annotated[float, Field(ge=0.05, le=100)]], Field(min_length=1, max_length=8)]
    slice_offset: Annotated[Finite, Field(ge=-5, le=5)]
    slice_time: Annotated[float, Field(ge=0, lt=1)]
    slice_grid: Annotated[int, Field(ge=11, le=201)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_interval(self.interval)
        if self.images is not None:
            check_pictures(self.images, parameter="images")
        check_endpoints(self.endpoints, schedule_named(self.schedule))
        mixture_on_line(self.mixture_means, self.mixture_stds, self.mixture_weights)
        if self.points < self.nodes + 2:
            raise ValueError(f"nodes = {self.nodes}: takes at most points - 2 = {self.points - 2}")
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`."""
        pictures = {} if self.images is None else memory_of_pictures(self.images, parameter="images")
        return pictures | {named(triples=self.triples): 8.0 * 130 * self.triples}
