"""Parameters of the chapter on ridges and resolution, and the steps that it looks at."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field, model_validator

from phasebook.models.exact import ExactModel
from phasebook.models.gaussian import GaussianModel
from phasebook.sampling.levels import Levels
from phasebook.site.chapters.slices import SliceParameters
from phasebook.site.checks.memory import NUMBER, named
from phasebook.site.checks.models import memory_of_pictures, small_pictures
from phasebook.site.checks.parameters import Positive
from phasebook.slices.measures.ridges import ridge_edges, ridges_at
from phasebook.slices.measures.statistics import steepest
from phasebook.slices.plane import Plane
from phasebook.slices.sweep import slice_of

__all__ = ["Chapter", "beyond_gaussian", "nearest_steps", "without"]

TANGENTS = 48           # further bytes of a point of a slice at a step: the metric by tangents, and maps of it
SWEPT = 20              # numbers of a point for each picture while it is swept
NEAR = 0.15             # of a logarithm: a step whose noise lies further off is at another noise level


class Chapter(SliceParameters):
    """Ridges of the exact model of an image set, on grids and off them."""

    norm: Annotated[Positive, Field(ge=0.01, le=1e4)]
    jacobian: Literal["differences", "jvp", "exact"]
    octaves: Annotated[int, Field(ge=4, le=16)]
    refined_grid: Annotated[int, Field(ge=17, le=401)]

    @model_validator(mode="after")
    def _three_grids(self):
        if (self.refined_grid - 1) % 4:
            raise ValueError(f"refined_grid = {self.refined_grid}: takes a multiple of 4, and one")
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`: of the finest of three grids all points are swept together; and slices with tangents, the
        further ones always, with those of a Gaussian."""
        pictures = len(small_pictures(self.image_set, self.families or None))
        points = self.sets * self.sets_grid**2 + (self.grid**2 if self.jacobian != "differences" else 0)
        tangents = named(jacobian=self.jacobian, grid=self.grid, steps=self.steps, sets=self.sets)
        models = memory_of_pictures(self.image_set, self.resolution, self.families or None, models=2, double=True)
        return super().memory() | models | {            # one of unit variance beside the chapter's own
            tangents: float(TANGENTS) * points * self.steps,
            named(refined_grid=self.refined_grid): NUMBER * SWEPT * self.refined_grid**2 * pictures}


def nearest_steps(noise: Float[ndarray, " step"], values: Sequence[float]) -> list[int]:
    """The step whose noise level lies nearest to each of some values.

    Args:
        noise: nu of each step.
        values: of nu that are wanted; one beyond the range of `noise` has its end.
    """
    return [int(np.abs(np.asarray(noise) - value).argmin()) for value in values]


def without(noise: Float[ndarray, " step"], *values: float) -> str:
    """Why a claim at some noise levels is not tested: names one that no step of the sampler is near to; '' for none.

    Args:
        noise: nu of each step.
        values: of nu that the claim names.
    """
    far = [value for value in values if np.abs(np.log(np.asarray(noise) / value)).min() > NEAR]
    return f"no step of the sampler lies near ν = {far[0]:g}" if far else ""


def beyond_gaussian(model: ExactModel, several: Sequence[Plane], first: Levels) -> list[float | None]:
    """The largest slope in the first steps over that of the Gaussian of the same covariance, which has no boundaries,
    on every slice; exact tangents on the grid and on climbed ridges. None where the Gaussian is flat.

    Args:
        model: exact, in float64 where its ridges are late ones.
        several: planes.
        first: the levels of these steps.
    """
    end, feature = first.steps - 1, model.features["pixels"]
    slices = [slice_of(model, one, first, features=["pixels"], jacobian="exact") for one in several]
    gaussian = GaussianModel.of(model)
    even = [slice_of(gaussian, one, first, jacobian="jvp") for one in several]
    onto = [ridge_edges(one, [end], one.ridge(), 7) for one in slices]
    ends = np.cumsum([len(one.low) for one in onto])[:-1]
    steep = np.split(ridges_at(model, onto, first, end, feature).slope, ends)
    largest = [max(steepest(one, exact=True).max(), *up, 0) for one, up in zip(slices, steep, strict=True)]
    return [x / y if x and y else None for x, y in zip(largest, (steepest(s, exact=True).max() for s in even),
                                                       strict=True)]
