"""Parameters of the chapter on networks and their data, and the exact denoiser that a network was trained to be."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from pydantic import Field, model_validator

from phasebook.models.captions import captioned
from phasebook.models.exact import ExactModel
from phasebook.models.icons import icons
from phasebook.models.views import latent_views
from phasebook.sampling.protocols import Frame
from phasebook.sampling.samplers import normal_start
from phasebook.site.chapters.slices import Extent, Sets, SetsGrid
from phasebook.site.checks.memory import bytes_of_latents, bytes_of_slices, check_memory
from phasebook.site.checks.models import EXACT, ModelParameters, PerModel, Seed, Subject
from phasebook.slices.statistics import largest_deviation

__all__ = ["DATA", "Chapter", "check_data", "deviation_of", "nearest_kind", "own_data"]

DATA = {"emoji": 549, "icons a": 3543, "icons b": 3590, "": 0}        # pictures that networks are trained on
STARTS = 48             # samples from which the covariance of a model without data is estimated


class Chapter(ModelParameters):
    """Networks, each beside the exact denoiser of its data. Nothing here is asked of the exact model of pictures."""

    image_set: Literal["families"] = "families"
    families: list[str] = []
    resolution: Literal[64] = 64
    schedule: Literal["scaled_linear"] = "scaled_linear"
    grid: PerModel(Annotated[int, Field(ge=2, le=201)])
    anchors_seed: Seed
    extent: Extent
    normalise: bool
    shown: Annotated[int, Field(ge=2, le=8)]
    sets: Sets
    sets_grid: SetsGrid
    ridges: Annotated[int, Field(ge=1, le=200)]
    trained_on: Literal["emoji", "icons a", "icons b", ""]
    views: Annotated[int, Field(ge=0, le=16)]
    seed: Seed

    @model_validator(mode="after")
    def _networks(self):
        if EXACT in self.models:
            raise ValueError(f"models = {self.models}: takes networks; each has its data's exact denoiser beside it")
        if not self.judge:
            raise ValueError("judge = '': takes an open_clip model, a directory or a name")
        for name in self.models:        # the network's slices, and those of the exact denoiser of its data
            grid, steps = self.at("grid", name), self.at("steps", name)
            check_memory({"grid": grid, "steps": steps, "sets": self.sets, "sets_grid": self.sets_grid},
                         2 * (bytes_of_slices(1, grid, steps) + bytes_of_slices(self.sets, self.sets_grid, steps)))
        check_data([self.trained_on], self.views)
        return self


def check_data(names: Sequence[str], views: int, points: int = 0, parameter: str = "trained_on") -> None:
    """ValueError where exact denoisers of training data do not fit into memory.

    Args:
        names: of `DATA`.
        views: of each picture, beside itself.
        points: that are swept together.
        parameter: that named them.
    """
    need = sum(bytes_of_latents(DATA[name], views, points) for name in names if name)
    check_memory({"views": views, parameter: ", ".join(names)}, need)


def own_data(subject: Subject, trained_on: str, views: int, device: str = "cpu") -> ExactModel | None:
    """The exact denoiser of a network's training latents; None where its data are not at hand.

    Args:
        subject: the network, a latent diffusion model.
        trained_on: `emoji` for the captioned emoji, `icons a` or `icons b` for a half of the icons, or ''.
        views: small variations of each picture beside the picture itself, as the network was shown them.
        device: where the latents live.
    """
    if not trained_on:
        return None
    data = captioned() if trained_on == "emoji" else icons().only(trained_on.removeprefix("icons "))
    return ExactModel.of_latents(latent_views(subject.model.pipe.vae, data.floats(), views), data.images, device)


def deviation_of(subject: Subject, data: ExactModel | None, seed: int) -> float:
    """The largest standard deviation of the distribution that a network draws from: that of its data, or of samples of
    its own where they are not at hand."""
    if data is not None:
        return largest_deviation(data.gram.cpu().numpy())
    *_, last = subject.model.sweep(normal_start(subject.model, seed, STARTS), subject.levels, subject.prompt)
    flat = last.x0.flatten(1).double().cpu().numpy()
    return largest_deviation(flat @ flat.T)


def nearest_kind(data: ExactModel, kinds: Int[ndarray, " n"] | None = None) -> Callable[[Frame], Int[ndarray, " p"]]:
    """A field of a slice: the kind of the training latent that lies nearest to each prediction of a network.

    Args:
        data: the training latents.
        kinds: one for each of them; their families by default.
    """
    norms = (data.atoms**2).sum(1) / 2
    kinds = np.asarray(data.family if kinds is None else kinds)

    def kind(frame: Frame) -> Int[ndarray, " p"]:
        x0 = torch.as_tensor(frame.x0).flatten(1).to(data.atoms)
        return kinds[(x0 @ data.atoms.T - norms).argmax(1).cpu().numpy()]

    return kind
