"""Whether the parts of a pipeline fit together, tried out before a weight is read or a slice begun.

`understood` asks what kind of pipeline it is, `check_geometry` passes one latent through network, decoder and encoder,
and `check_directory` does both for the outlines of what lies in a directory. Every refusal is a ValueError of one line.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from phasebook.arguments import brief, whole
from phasebook.models.pipelines.checkpoints import cause, check_pipeline
from phasebook.models.pipelines.families import CLIP_WORDS, family_of
from phasebook.models.pipelines.family import Family
from phasebook.models.pipelines.loading import load_parts
from phasebook.models.pipelines.noise import Noise, noise_of
from phasebook.models.pipelines.outlines import LARGEST
from phasebook.models.pipelines.vae import encoded

if TYPE_CHECKING:
    import phasebook.models.pipelines.pipeline

__all__ = ["check_directory", "check_geometry", "understood"]

WORDS = 4096                # of a prompt; CLIP has 77
TRIED = "model = ?"         # in a refusal, until it is known which parameter named the directory
RUN_ONCE = 2e11             # weights times places of a latent: a network with fewer is run once when it is loaded


def understood(label: str, pipe, sampler: str) -> tuple[Family, Noise]:
    """The family and the noise of a pipeline in memory.

    Args:
        label: of the model, for refusals.
        pipe: of diffusers.
        sampler: 'ddim' or 'own'; see `PipelineModel.load`.

    Returns:
        Both.

    Raises:
        ValueError: one line, for one that this code cannot run.
    """
    family = family_of(label, type(pipe).__name__)
    for part in ("scheduler", *(part for part in family.parts if part not in family.optional)):
        weights = part != "scheduler" and "tokenizer" not in part
        value = getattr(pipe, part, None)
        says = hasattr(value, "model_max_length" if "tokenizer" in part else "config")
        if not says or weights and not isinstance(value, torch.nn.Module):
            raise ValueError(f"{label}: its {part} is {brief(value)}; takes a {family.pipeline} with one")
    for part, kinds in family.parts.items():            # prompts are filled up to this length, for CLIP
        if kinds is CLIP_WORDS and (tokenizer := getattr(pipe, part, None)) is not None:
            whole(f"{label}: model_max_length", tokenizer.model_max_length, 2, WORDS)
    _check_size(label, family.size(pipe))
    noise = noise_of(label, pipe.scheduler, family.tokens(pipe), type(family).__name__ == "Flux", family.flow, sampler)
    if getattr(pipe, family.network).config.get("time_cond_proj_dim"):
        raise ValueError(f"{label}: its network has guidance distilled into its clock; takes a plain one")
    return family, noise


def _check_size(label: str, size: object) -> None:
    """ValueError unless a latent's size is a number, or two: a network may leave it to whoever calls."""
    sides = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(sides) != 2 or not all(type(n) is int and 1 <= n <= LARGEST for n in sides):
        raise ValueError(f"{label}: sample_size = {brief(size)}: takes a whole number from 1 to {LARGEST}, or two")


@torch.no_grad()
def check_geometry(label: str, model: "phasebook.models.pipelines.pipeline.PipelineModel") -> None:
    """Refuse a model unless one latent passes through network, decoder and encoder; of a large network shapes alone.

    Args:
        label: of the model, for refusals.
        model: with weights, or in outlines.

    Raises:
        ValueError: one line.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    weights = sum(w.numel() for w in model.network.parameters())
    outline = model.device.type == "meta"
    large = weights * model.shape[1] * model.shape[2] > RUN_ONCE and not outline
    shapes = FakeTensorMode(allow_non_fake_inputs=True) if large else nullcontext()
    try:
        prompt = model.prompt("")
        with shapes:
            x = torch.zeros(1, *model.shape, device=model.device, dtype=model.dtype)
            conditions = {name: torch.zeros_like(c) for name, c in prompt.conditions.items()}
            y = model.family.guided(model.pipe, x, 1, conditions, 1.0)
            picture = model.pixels(y)
            back = encoded(model.encoder, picture, model.family.place(model.encoder))
        if not outline and not all(bool(c.isfinite().all()) for c in prompt.conditions.values()):
            raise RuntimeError("an empty prompt becomes numbers that are not finite")
        if not outline and not large and not all(bool(part.isfinite().all()) for part in (y, picture, back)):
            raise RuntimeError("a latent of zeros becomes numbers that are not finite")
        if y.shape != x.shape or picture.shape[1] != 3 or back.shape != x.shape:
            raise RuntimeError(f"a latent {tuple(x.shape)[1:]} becomes {tuple(y.shape)[1:]} in the network, a picture "
                               f"{tuple(picture.shape)[1:]}, where three colours are taken, and a latent "
                               f"{tuple(back.shape)[1:]} again")
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError) as error:
        if outline and ("meta tensor" in str(error) or isinstance(error, NotImplementedError)):
            return          # a number decides there, which an outline has not
        raise ValueError(f"{label}: its parts do not fit together ({cause(error)})") from None


def check_directory(kind: type["phasebook.models.pipelines.pipeline.PipelineModel"], label: str, folder: Path,
                    variant: str | None) -> "phasebook.models.pipelines.pipeline.PipelineModel":
    """Refuse a directory whose parts do not fit their weights or one another; tried once while its files stay.

    Args:
        kind: of the model that is built of its outlines.
        label: of the model, for refusals.
        folder: of the pipeline.
        variant: of the weights' file names.

    Returns:
        The model in outlines: shapes without numbers, on torch's device `meta`.

    Raises:
        ValueError: one line.
    """
    stamps = [(str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in folder.rglob("*") if f.is_file()]
    check_pipeline(label, folder, variant)
    try:
        return _tried(kind, folder, variant, tuple(sorted(stamps)))
    except ValueError as error:
        raise ValueError(str(error).replace(TRIED, label)) from None


@lru_cache(maxsize=32)
def _tried(kind: type, folder: Path, variant: str | None, stamps: tuple[tuple[str, int, int], ...]):
    """The outlines of a directory put together, once for files that stay as they are, whichever parameter names it."""
    pipe = load_parts(TRIED, folder, variant, "float32", weights=False)
    family, noise = understood(TRIED, pipe, "ddim")
    model = kind(pipe, family, noise, 1, TRIED, getattr(pipe, "vae", None))
    check_geometry(TRIED, model)
    return model
