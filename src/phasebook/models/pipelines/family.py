"""What a kind of diffusers pipeline says of itself: which part denoises, how it is told a prompt, what else it wants.

The kinds stand in `families`; everything else about a pipeline is the same for all: `pipeline.PipelineModel`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from phasebook.arguments import brief
from phasebook.sampling.levels import Levels

__all__ = ["Family", "check_length"]

Pair = tuple[str, str]


def check_length(tokenizer, most: int | None = None, /, **prompts: str) -> None:
    """ValueError names the first of `prompts` that is longer than the tokenizer's limit, or than `most` tokens:
    diffusers would cut it."""
    most = most or tokenizer.model_max_length
    for label, text in prompts.items():
        length = len(tokenizer(text, verbose=False).input_ids)
        if length > most:
            raise ValueError(f"{label} = {text[:40] + '...'!r}: {length} tokens with its begin and end; takes at most "
                             f"{most}")


class Family:
    """A kind of pipeline.

    Attributes:
        pipeline: diffusers' class of it.
        network: the part that denoises.
        parts: part to the (library, class) pairs that it may be of, the scheduler aside.
        optional: parts that may be absent.
        flow: whether it is trained by flow matching.
        upcasts: whether diffusers runs its VAE in float32 for a network in float16, where the VAE says so.
    """

    pipeline = ""
    network = "unet"
    parts: Mapping[str, list[Pair]] = {}
    optional: tuple[str, ...] = ()
    flow = False
    upcasts = False

    def modules(self, pipe) -> list[torch.nn.Module]:
        """All parts with weights."""
        named = [part for part in self.parts if "tokenizer" not in part]
        return [module for part in named if (module := getattr(pipe, part, None)) is not None]

    def size(self, pipe) -> Any:
        """Of a latent, as the pipeline says it: a number, or one for y and one for x."""
        return getattr(pipe, self.network).config.get("sample_size")

    def shape(self, pipe) -> tuple[int, int, int]:
        """(channels, y, x) of a latent."""
        size = self.size(pipe)
        y, x = (size, size) if isinstance(size, int) else size
        return getattr(pipe, self.network).config.in_channels, y, x

    def tokens(self, pipe) -> int:
        """Patches of a latent."""
        _, y, x = self.shape(pipe)
        patch = getattr(pipe, self.network).config.get("patch_size") or 1
        return (y // patch) * (x // patch)

    def tokenizers(self, pipe) -> list[Any]:
        """Those whose limit on words is the network's: longer prompts would be cut."""
        return [t for part in self.parts if part in ("tokenizer", "tokenizer_2")
                if (t := getattr(pipe, part, None)) is not None]

    def sentences(self, pipe) -> list[tuple[Any, int]]:
        """Tokenizers of T5, with how many tokens diffusers takes of each."""
        return []

    def place(self, vae) -> tuple[float | Tensor, float | Tensor]:
        """`(s, m)` by which the pipeline reads a clean latent: its VAE decodes `s x_0 / scaling_factor + m`."""
        return 1.0, (getattr(vae.config, "shift_factor", None) or 0.0) if self.flow and vae is not None else 0.0

    def placed(self, levels: Levels) -> Levels:
        """Levels of the pipeline's scheduler as its own call ends them."""
        return levels

    def check_words(self, pipe, **words: str) -> None:
        """ValueError names the first text that the pipeline has no place for; `negative_prompt` is one."""

    def conditions(self, pipe, text: str, negative: str, guidance: float) -> dict[str, Float[Tensor, "k ..."]]:
        """What `encode` gives; ValueError for a text that has no place here, would be cut, or has no weights."""
        self.check_words(pipe, prompt=text, negative_prompt=negative)
        for tokenizer in self.tokenizers(pipe):
            check_length(tokenizer, prompt=text, negative_prompt=negative)
        for tokenizer, most in self.sentences(pipe):
            check_length(tokenizer, most, prompt=text, negative_prompt=negative)
        try:
            return self.encode(pipe, text, negative, guidance)
        except IndexError:      # of a table of weights
            raise ValueError(f"prompt = {brief(text)}, negative_prompt = {brief(negative)}: has a word that its text "
                             "encoder has no weights for, though its tokenizer knows it; takes others") from None

    def encode(self, pipe, text: str, negative: str, guidance: float) -> dict[str, Float[Tensor, "k ..."]]:
        """Conditions of one text by name; with guidance > 1 those of the negative prompt come first (k = 2)."""
        raise NotImplementedError

    def call(self, pipe, x: Float[Tensor, "b c y x"], time: float, c: Mapping[str, Tensor]) -> Tensor:
        """What the network says of states at a time; conditions have a row for each state."""
        return getattr(pipe, self.network)(x, time, return_dict=False)[0]

    def guided(self, pipe, x: Float[Tensor, "p c y x"], time: float | Tensor,
               conditions: Mapping[str, Float[Tensor, "p k ..."]], guidance: float) -> Tensor:
        """What the network says at a time (or one a point); with guidance each point has its negative prompt first."""
        copies = max((c.shape[1] for c in conditions.values()), default=1)
        wide = torch.cat([x] * copies).contiguous(memory_format=torch.channels_last)
        rows = {name: c.transpose(0, 1).flatten(0, 1) for name, c in conditions.items()}
        if isinstance(time, Tensor):
            clock = time.repeat(copies)
        else:
            clock = int(time) if time == int(time) else time
        raw = self.call(pipe, wide, clock, rows)
        if copies == 1:
            return raw
        negative, positive = raw.chunk(2)
        return negative + guidance * (positive - negative)
