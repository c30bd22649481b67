"""Parameters of the chapter on basins across models, and its columns: one slice as each of them finishes it."""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from pydantic import Field, model_validator

from phasebook.models.exact import ExactModel
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Model, Pixels, Prompt, State
from phasebook.site.chapters.network import PICTURE_SIDE, WithKin, memory_of_data, over_slices, own_data
from phasebook.site.chapters.slices import Extent, Sets, SetsGrid
from phasebook.site.checks.memory import named
from phasebook.site.checks.models import EXACT, Seed, Steps, Subject, check_latents
from phasebook.site.checks.parameters import Finite, Fraction
from phasebook.slices.measures.partitions import Shared, clusters
from phasebook.slices.plane import Plane
from phasebook.spacetime.expectations import FINEST

__all__ = ["Chapter", "Column", "basins_of", "chance_in_words", "columns", "finals", "levels_like"]

PICTURE = 4 * 4 * 3 * 64**2          # bytes of a picture while it is decoded and resized
FEATURE = 4 * 512                    # of what CLIP says about it

Guidance = Annotated[Finite, Field(ge=0, le=100)]


class Chapter(WithKin):
    """Networks in one latent space, each in several settings, beside exact denoisers of sets of pictures."""

    image_set: Literal["families"] = "families"
    families: list[str] = []
    resolution: Literal[64] = 64
    schedule: Literal["scaled_linear"] = "scaled_linear"
    data: list[Literal["icons a", "icons b"]]
    trained_on: Literal["icons a", "icons b", ""]
    views: Annotated[int, Field(ge=0, le=16)]
    guidances: Annotated[list[Guidance], Field(max_length=40)]
    step_counts: Annotated[list[Steps], Field(max_length=40)]
    cut: Fraction
    anchors_seed: Seed
    extent: Extent
    normalise: bool
    sets: Sets
    sets_grid: SetsGrid
    seed: Seed

    @model_validator(mode="after")
    def _networks(self):
        if EXACT in self.models:
            raise ValueError(f"models = {self.models}: takes networks; `data` names the exact denoisers beside them")
        if not self.judge:
            raise ValueError("judge = '': takes an open_clip model, a directory or a name")
        own = {"data": None, "guidances": self.guidance, "step_counts": self.at("steps", self.models[0])}
        for name, first in own.items():         # a column that is there already would be compared with itself
            value = getattr(self, name)
            guided = name == "guidances"        # in effect, and as the columns are called
            meant = [f"{max(x, 1):g}" if guided else x for x in (first, *value)]
            if len(set(meant)) < len(meant):
                beside = "" if first is None else f", and not {first:g}, which the first model has anyway"
                none = "; all up to 1 are one, without guidance" if guided else ""
                raise ValueError(f"{name} = {value}: takes each once{beside}{none}")
        if self.sets < 2:
            raise ValueError(f"sets = {self.sets}: takes at least 2; other slices are the null")
        self.check_kin()
        self._check_latents()
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`."""
        points = self.sets_grid**2
        columns = len(self.models) + bool(self.kin) + len(self.guidances) + len(self.step_counts) + len(self.data)
        return super().memory() | memory_of_data(self.data, self.views, points, "data") | {
            named(sets=self.sets, sets_grid=self.sets_grid): points * (PICTURE + 2 * FEATURE * self.sets * columns)}

    def _check_latents(self) -> None:
        """Whether the networks that are here share one latent space, and the data lie in it."""
        known = {name: PipelineModel.check(name, self.variant or None, "models") for name in self.models}
        shapes = {name: tuple(model.shape) for name, model in known.items() if model is not None}
        if other := [name for name, shape in shapes.items() if shape != next(iter(shapes.values()))]:
            raise ValueError(f"models: latents of {other[0]} have shape {shapes[other[0]]}; takes models of one latent "
                             f"space, {next(iter(shapes.values()))}")
        if self.data:
            check_latents(self.models[0], self.variant, PICTURE_SIDE, "data", self.data)


class Column(NamedTuple):
    """A model in one setting, how its final states become pictures, and what its starts are multiplied by."""

    model: Model
    levels: Levels
    prompt: Prompt | None
    decode: Callable[[State], Pixels]
    scale: float = 1.0


def levels_like(model: Model, levels: Levels) -> tuple[Levels, float]:
    """Another sampler's levels as a model knows them, and the scale of its starts.

    Each step has the same sigma/alpha, with the model's own clock and size `alpha^2 + sigma^2` there, and from the same
    latent starts the same `x / alpha`. A level beyond those of the model's training becomes the nearest of them: where
    the other begins with pure noise, and the model knows none, the latent is taken to lie at its noisiest.

    Args:
        model: whose own finest levels are interpolated.
        levels: the other's.

    Returns:
        Levels, and what latents are multiplied by where they are the other's starts as they are.
    """
    fine = model.levels(FINEST)
    known, size = _share(fine.alpha, fine.sigma)[::-1], (fine.alpha**2 + fine.sigma**2)[::-1]
    share = _share(levels.alpha, levels.sigma)
    share[:-1] = share[:-1].clip(known[1], known[-1])       # that of the end is asked of no model
    clock = np.interp(share[:-1], known[1:], np.asarray(fine.timestep, dtype=float)[::-1])

    def factors(share: Float[ndarray, "*k"]) -> Float[ndarray, "2 *k"]:
        both = np.stack([1 - share, share])
        return both * np.sqrt(np.interp(share, known, size) / (both**2).sum(0))

    landing = None if levels.landing is None else factors(_share(*levels.landing))
    made = Levels(fine.name, *factors(share), clock, levels.order, landing)
    return made, float(np.hypot(made.alpha[0], made.sigma[0]) / np.hypot(levels.alpha[0], levels.sigma[0]))


def _share(alpha: Float[ndarray, "*k"], sigma: Float[ndarray, "*k"]) -> Float[ndarray, "*k"]:
    """`sigma / (alpha + sigma)`: an axis of noise levels on which pure noise is 1 and no noise 0."""
    return sigma / (alpha + sigma)


def columns(p: Chapter, networks: list[Subject]) -> dict[str, Column]:
    """All columns by title: each network, at the first one's noise levels; the first one with other guidances and
    numbers of steps; and the exact denoisers of the sets of pictures, in the first one's latent space.

    Args:
        p: the parameters.
        networks: the loaded models.

    Raises:
        ValueError: for networks whose latents have different shapes.
    """
    first = networks[0]
    if other := [n for n in networks if n.model.shape != first.model.shape]:
        shape = tuple(other[0].model.shape)
        raise ValueError(f"models: latents of {other[0].name} have shape {shape}; takes models of one latent space, "
                         f"{tuple(first.model.shape)}")
    made = {first.title: Column(first.model, first.levels, first.prompt, first.model.decode)}
    for n in networks[1:]:
        levels, scale = levels_like(n.model, first.levels)
        made[n.title] = Column(n.model, levels, n.prompt, n.model.decode, scale)
    for guidance in p.guidances:
        prompt = first.model.prompt(p.prompt, guidance, p.negative_prompt)
        made[f"guidance {guidance:g}"] = Column(first.model, first.levels, prompt, first.model.decode)
    for steps in p.step_counts:
        made[f"{steps} steps"] = Column(first.model, first.model.levels(steps), first.prompt, first.model.decode)
    for name in p.data:
        exact = own_data(first, name, p.views, p.device)
        made[f"exact, {name}"] = Column(exact, first.levels, None, _through(exact, first.model))
    return made


def _through(exact: ExactModel, network: Model) -> Callable[[State], Pixels]:
    """Latents of an exact model, decoded by the network they belong to."""
    return lambda x0: network.decode((exact.weights(x0) @ exact.atoms).unflatten(1, exact.shape))


@torch.no_grad()
def finals(column: Column, several: list[Plane],
           feature: Callable[[Pixels], torch.Tensor]) -> Float[ndarray, "set p k"]:
    """The feature of the final picture of every point of several slices.

    Args:
        column: model and setting.
        several: planes of one size.
        feature: of pictures, such as a CLIP model's.
    """
    rows = []
    for plane in several:
        alpha, beta = np.meshgrid(plane.alpha, plane.beta, indexing="ij")
        c, _ = plane.coefficients(alpha.ravel(), beta.ravel())
        starts = column.scale * column.model.start(plane.anchors, c)
        for frame in column.model.sweep(starts, column.levels, column.prompt):
            last = frame
        rows.append(torch.as_tensor(feature(column.decode(last.x0))).flatten(1).float().cpu().numpy())
    return np.stack(rows)


def basins_of(pictures: Mapping[str, Float[ndarray, "set p k"]], cut: float) -> dict[str, Int[ndarray, "set p"]]:
    """The basin of every point by cluster of its final picture.

    Args:
        pictures: features by column.
        cut: of the median distance of two final pictures of the first column on different slices: pictures further
            apart are of two basins.
    """
    first = next(iter(pictures.values()))
    apart = np.linalg.norm(first[:-1] - first[1:], axis=-1)
    return {name: np.stack([clusters(one, cut * float(np.median(apart))) for one in rows])
            for name, rows in pictures.items()}


def chance_in_words(one: Shared) -> str:
    """What labellings share beyond chance, over all slices: on a few points strangers may share all there is."""
    middle = over_slices(one.beyond)
    return f"beyond chance {middle.value:z.0f}" if middle else "strangers share as much, on so few points"
