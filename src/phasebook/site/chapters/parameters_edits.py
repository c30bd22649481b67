"""What chapter 7 takes: the edits, the exact model, a trained one. See the notebook for what each parameter means."""

from typing import Annotated, Literal

from pydantic import Field

from phasebook.site.chapters.parameters import Finite, Positive
from phasebook.site.chapters.parameters_slices import PipelineParameters, Seed

__all__ = ["EditParameters"]

Whole = Annotated[int, Field(ge=0)]
Edit = Annotated[list[str], Field(min_length=2, max_length=2)]
Guidance = Annotated[float, Field(ge=0, le=100)]
Iterations = Annotated[int, Field(ge=0, le=200)]
Steps = Annotated[int, Field(ge=2, le=500)]


class EditParameters(PipelineParameters):
    """All but the device, which only the models' room can check."""

    model: Literal["exact"]
    image_set: str
    resolution: Annotated[int, Field(ge=8, le=256)]
    source_prompt: str
    target_prompt: str
    source_image: str
    edits: list[Edit]
    k_values: list[int]
    pairs: Annotated[int, Field(ge=4, le=2000)]
    steps: Steps
    schedule: Literal["scaled_linear", "log_snr"]
    log_prior: Annotated[Positive, Field(le=1000)]
    eta: Annotated[float, Field(ge=0, le=1)]
    fixed_point_iterations: Iterations
    seed: Seed
    inversion_guidance: Guidance
    iterations_trained: Iterations
    k_values_trained: Annotated[list[int], Field(min_length=1)]
    pairs_trained: Annotated[int, Field(ge=0, le=2000)]
    trained_edits: list[Edit]
    points: list[Annotated[list[Finite], Field(min_length=2, max_length=2)]]
    anchors: str
    anchors_seed: Seed
    expected_steps: list[Whole]
