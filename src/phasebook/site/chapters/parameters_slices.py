"""Parameters that several chapters share, by name and by what they take: the exact model's slices, a trained model."""

from typing import Annotated, Literal

from pydantic import Field

from phasebook.site.chapters.parameters import Count, Fraction, Parameters

__all__ = ["ExactParameters", "PipelineParameters", "Seed", "TrainedParameters"]

# room for the chapters to add a few thousand
Seed = Annotated[int, Field(ge=0, lt=2**62)]


class ExactParameters(Parameters):
    """An image set, a slice through its exact model, and what is a ridge. Extents and grids are the chapter's."""

    model: Literal["exact"]
    image_set: str
    families: list[str]
    resolution: Annotated[int, Field(ge=8, le=256)]
    anchors: str
    anchors_seed: Seed
    schedule: Literal["scaled_linear", "log_snr"]
    normalise: bool
    feature: Literal["pixels", "posterior"]
    ridge: Fraction
    seed: Seed


class PipelineParameters(Parameters):
    """A text-to-image pipeline, what it hears, and the features of its pictures. '' for `trained` skips its part."""

    trained: str
    revision: str
    variant: str
    dtype: Literal["float32", "bfloat16", "float16"]
    batch: Annotated[int, Field(ge=1, le=4096)]
    prompt: str
    negative_prompt: str
    guidance: Annotated[float, Field(ge=0, le=100)]
    steps_trained: Annotated[int, Field(ge=2, le=500)]
    feature_trained: str
    pretrained: str


class TrainedParameters(PipelineParameters):
    """The same for chapters that repeat it over anchor sets."""

    sets_trained: Annotated[Count, Field(le=200)]
