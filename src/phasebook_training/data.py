"""What a trainer asks of captioned pictures."""

from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Data"]


class Data(Protocol):
    """Pictures with words, such as `phasebook.models.pictures.icons.Icons`."""

    def __len__(self) -> int: ...

    @property
    def prompts(self) -> list[str]:
        """Everything a model may be told, for the tokenizer to learn."""

    def floats(self, index: Int[Tensor, " b"] | slice = slice(None)) -> Float[Tensor, "b 3 y x"]:
        """Pictures in [-1, 1]."""

    def calls(self, index: Int[Tensor, " b"], generator: torch.Generator) -> list[str]:
        """A prompt for each picture, drawn at random among its names and none."""
