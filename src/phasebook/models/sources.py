"""Models as they are named to workers: small values that can be sent anywhere and load the model there."""

from dataclasses import dataclass, field
from functools import lru_cache, partial

import torch
from jaxtyping import Float
from torch import Tensor

from phasebook.models.exact import NORM, ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.models.towers.tower import Tower
from phasebook.models.towers.vision import load_features

__all__ = ["ExactSource", "FeatureSource", "PipelineSource"]

WHERE = {"where": True}     # says where a model lies: its fingerprint tells whether it is the same, moved or not


@dataclass(frozen=True)
class ExactSource:
    """The exact model of an image set; calling it loads the model.

    Attributes:
        image_set: a name, or a directory of pictures that every worker can read.
        resolution: pixels on a side.
        families: only these; () for all.
        norm: of the data, see `ExactModel.of`.
        device: 'cpu' or 'cuda'.
        dtype: 'float32' or 'float64'.
    """

    image_set: str = field(default="families", metadata=WHERE)
    resolution: int = 64
    families: tuple[str, ...] = ()
    norm: float = NORM
    device: str = "cpu"
    dtype: str = "float32"

    def __call__(self) -> ExactModel:
        """The model itself. ValueError as `load_images` does."""
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype = {self.dtype!r}: the exact model takes float32 or float64")
        images = load_images(self.image_set, self.resolution, list(self.families) or None, "image_set")
        return ExactModel.of(images, self.device, getattr(torch, self.dtype), self.norm)


@dataclass(frozen=True)
class PipelineSource:
    """A diffusers pipeline in a directory or on the hub; calling it loads the model. Attributes: see
    `PipelineModel.load`; every worker must be able to read a directory."""

    name: str = field(metadata=WHERE)
    revision: str | None = field(default=None, metadata=WHERE)
    variant: str | None = field(default=None, metadata=WHERE)
    dtype: str = "float32"
    device: str = "cpu"
    batch: int = 64
    small_vae: str | None = None
    sampler: str = "ddim"

    def __call__(self) -> PipelineModel:
        """The model itself. ValueError as `PipelineModel.load` does."""
        load = partial(PipelineModel.load, self.name, revision=self.revision, variant=self.variant)
        return load(dtype=self.dtype, device=self.device, batch=self.batch, small_vae=self.small_vae,
                    sampler=self.sampler)


@dataclass(frozen=True)
class FeatureSource:
    """An open_clip or vision model as a feature of pixels, which loads it where it is first used. Attributes: see
    `load_features`; every worker must be able to read a directory."""

    name: str
    device: str = "cpu"
    dtype: str = "float32"
    batch: int = 64

    @property
    def fingerprint(self) -> str:
        """Of the loaded model."""
        return _tower(self).fingerprint

    def __call__(self, pixels: Float[Tensor, "n 3 y x"]) -> Float[Tensor, "n d"]:
        """Features of pictures. ValueError as `load_features` does."""
        return _tower(self)(pixels)


@lru_cache(maxsize=4)
def _tower(source: FeatureSource) -> Tower:
    return load_features(source.name, device=source.device, dtype=source.dtype, batch=source.batch)
