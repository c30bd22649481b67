"""Parameters of the chapter on ridges and resolution, and the steps that it looks at."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field, model_validator

from phasebook.site.chapters.slices import SliceParameters
from phasebook.site.checks.parameters import Positive

__all__ = ["Chapter", "nearest_steps", "without"]

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
