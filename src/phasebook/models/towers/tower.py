"""What image towers share, whichever library they come from: pictures fitted to a size, features in batches."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from phasebook.models.pipelines.checkpoints import check_device, check_dtype, known_directory
from phasebook.sampling.batches import in_batches
from phasebook.sampling.fingerprints import fingerprint_of

__all__ = ["Tower", "begun", "column"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tower(ABC):
    """An image tower with its preprocessing: a function of pixels.

    Attributes:
        model: of the library that it comes from.
        name: of the model, or its directory.
        size: (y, x) of what the model takes.
        mean, std: of the model's own preprocessing.
        interpolation: likewise.
        normalise: scale features to length one.
        batch: pictures at a time.
    """

    model: torch.nn.Module
    name: str
    size: tuple[int, int]
    mean: Float[Tensor, "3 1 1"]
    std: Float[Tensor, "3 1 1"]
    interpolation: str
    normalise: bool
    batch: int

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.model.parameters()).dtype

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights, of the layers' settings and of how pictures are fitted."""
        colours, cut = [part.flatten().tolist() for part in (self.mean, self.std)], self.fit(*self.size)
        said = (self.size, self.interpolation, self.normalise, *colours)
        said += () if cut == (self.size, (0, 0)) else cut       # the middle of something larger
        return sha256(f"{said} {fingerprint_of(self.model)}".encode()).hexdigest()[:16]

    @abstractmethod
    def fit(self, y: int, x: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """What a picture of y x x pixels is resized to, and the (top, left) from which `size` is cut out."""

    @abstractmethod
    def embed(self, pixels: Float[Tensor, "n 3 y x"]) -> Float[Tensor, "n d"]:
        """Features of one batch of pixels in [0, 1]; differentiable."""

    def prepare(self, pixels: Float[Tensor, "n 3 y x"]) -> Float[Tensor, "n 3 h w"]:
        """The model's own resizing, cropping and scaling, on pixels in [0, 1]; differentiable."""
        (target, (top, left)), (h, w) = self.fit(*pixels.shape[-2:]), self.size
        if target != tuple(pixels.shape[-2:]):
            pixels = F.interpolate(pixels, target, mode=self.interpolation, align_corners=False, antialias=True)
            pixels = pixels.clamp(0, 1)
        pixels = pixels[..., top:top + h, left:left + w]
        return (pixels - self.mean.to(pixels)) / self.std.to(pixels)

    def __call__(self, pixels: Float[Tensor, "n 3 y x"]) -> Float[Tensor, "n d"]:
        """Features of any number of pictures, in batches, as float32."""
        pixels = torch.as_tensor(pixels).to(self.mean.device, self.dtype)
        return in_batches(lambda x: (self.embed(x).float(),), self.batch, pixels)[0]


def begun(name: str | Path, device: str, dtype: str) -> tuple[str, Path | None]:
    """How a refusal of a tower begins, and the directory that its name means, if any.

    Raises:
        ValueError: an unknown device or dtype.
    """
    check_device(device)
    check_dtype(dtype)
    return f"name = {str(name)!r}", known_directory(name)


def column(values: Sequence[float], device: str) -> Float[Tensor, "3 1 1"]:
    """A number for each colour."""
    return torch.tensor(values, device=device).view(3, 1, 1)
