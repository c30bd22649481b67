"""Parameters of the chapter on networks and their data, and the exact denoiser that a network was trained to be."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from pydantic import Field, model_validator

from phasebook.models.exact import ExactModel
from phasebook.models.pictures.icons import alike
from phasebook.models.pictures.image_sets import ImageSet
from phasebook.models.pictures.views import latent_views
from phasebook.models.pipelines.loading import check_available
from phasebook.models.pipelines.parity import diffusers_steps
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.protocols import Frame
from phasebook.sampling.samplers import normal_start, sample
from phasebook.site.chapters.slices import Extent, Sets, SetsGrid
from phasebook.site.checks.memory import bytes_of_latents, bytes_of_slices, named
from phasebook.site.checks.models import (
    EXACT,
    ModelParameters,
    PerModel,
    Seed,
    Subject,
    check_latents,
    check_trained,
    memory_of_network,
)
from phasebook.site.results.ledger import slug
from phasebook.slices.measures.partitions import beyond_chance
from phasebook.slices.measures.statistics import agreement, hull, largest_deviation
from phasebook.slices.plane import seeded_anchors
from phasebook.slices.slice import Slice
from phasebook.stats import Estimate, median_interval

__all__ = ["DATA", "PICTURE_SIDE", "Chapter", "Maps", "WithKin", "above_both", "agreement_within", "as_well",
           "datasets", "deviation_of", "from_diffusers", "maps_at", "maps_of", "memory_of_data", "nearest_kind",
           "nearest_steps", "over_slices", "own_data", "same_kinds", "training_pictures", "without_ends"]

DATA = {"icons a": 1022, "icons b": 1055, "": 0}         # pictures that networks are trained on
PICTURE_SIDE = 64       # pixels of these
STARTS = 48             # samples from which the covariance of a model without data is estimated
LEVELS = 6              # of noise in a window, at which maps of two samplers are compared
LEAST = 1e-30           # tr G below which a map is flat
BESIDE = 4              # slices of a plane that are kept: in two features, of both exact denoisers, of a Gaussian
KNOWN = 0.2             # agreement beyond chance above which a network knows its data


class WithKin(ModelParameters):
    """Parameters of a chapter that knows another network of its first one's backbone."""

    same_backbone: str

    @cached_property        # two models in outlines, asked for by every check and by the chapter
    def kin(self) -> str:
        """`same_backbone`, if it is none of `models` and has the parameters of the first, number by number; else ''.
        Of a hub id this is taken on trust; where it is not known what the first one has learnt there is none."""
        name, first = self.same_backbone, self.models[0]
        if not name or not self.at("trained_on", first) or slug(name) in map(slug, self.models):
            return ""
        one, other = (PipelineModel.check(each, self.variant or None, "same_backbone") for each in (first, name))
        if one is None or other is None:
            return name
        shapes = [{key: x.shape for key, x in model.network.state_dict().items()} for model in (one, other)]
        return name if one.shape == other.shape and shapes[0] == shapes[1] else ""

    def memory(self) -> dict[str, float]:
        """See `Parameters`: such a network as well."""
        own = memory_of_network(self.kin, self.variant, self.dtype, "same_backbone") if self.kin else {}
        return super().memory() | own

    def check_kin(self) -> None:
        """ValueError, one line, for such a network that is not there, or cannot be asked what the first one is."""
        if not self.same_backbone:
            return
        check_available(self.same_backbone, self.revision or None, self.variant or None, "same_backbone")
        if name := self.kin:
            check_trained(name, "same_backbone", self.at("steps", self.models[0]), self.revision, self.variant,
                          prompt=self.prompt, negative_prompt=self.negative_prompt)
            check_latents(name, self.variant, PICTURE_SIDE, "same_backbone", name)


class Chapter(WithKin):
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
    trained_on: PerModel(Literal["icons a", "icons b", ""])
    other_half: Literal["icons a", "icons b", ""]
    views: Annotated[int, Field(ge=0, le=16)]
    seed: Seed

    @model_validator(mode="after")
    def _networks(self):
        if EXACT in self.models:
            raise ValueError(f"models = {self.models}: takes networks; each has its data's exact denoiser beside it")
        if not self.judge:
            raise ValueError("judge = '': takes an open_clip model, a directory or a name")
        own = [self.at("trained_on", name) for name in self.models]
        if self.other_half and self.other_half == own[0]:
            raise ValueError(f"other_half = {self.other_half!r}: the first network was trained on it; takes the other "
                             "half")
        self.check_kin()
        for name, trained_on in zip(self.models, own, strict=True):
            if trained_on:
                check_latents(name, self.variant, PICTURE_SIDE, "trained_on", trained_on)
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`: slices of each network, and of the exact denoisers beside it."""
        parts = super().memory()
        for name in self.models:
            grid, steps = self.at("grid", name), self.at("steps", name)
            parts[named(models=name, grid=grid, steps=steps, sets=self.sets, sets_grid=self.sets_grid)] = \
                BESIDE * (bytes_of_slices(1, grid, steps) + bytes_of_slices(self.sets, self.sets_grid, steps))
        return parts | memory_of_data({*(self.at("trained_on", name) for name in self.models), self.unseen}, self.views)

    @property
    def unseen(self) -> str:
        """The half that the first network has not seen; '' where it is not known what it has."""
        return self.other_half if self.at("trained_on", self.models[0]) else ""


def memory_of_data(names: Collection[str], views: int, points: int = 0,
                   parameter: str = "trained_on") -> dict[str, float]:
    """Exact denoisers of training data, as a part of what a run keeps in memory.

    Args:
        names: of `DATA`.
        views: of each picture, beside itself.
        points: that are swept together.
        parameter: that named them.
    """
    part = named(**{"views": views, parameter: ", ".join(sorted(names))})
    return {part: sum(bytes_of_latents(DATA[name], views, points) for name in names if name)}


def training_pictures(name: str) -> ImageSet:
    """A half of the icons that look alike in all styles, from which networks learn.

    Args:
        name: `icons a` or `icons b`.

    Returns:
        The pictures. Their families are Unicode's groups: few of these things belong to a family by looks.
    """
    data = alike().only(name.removeprefix("icons "))
    return replace(data.images, family=data.group.numpy(), families=data.groups)


def own_data(subject: Subject, trained_on: str, views: int, device: str = "cpu") -> ExactModel | None:
    """The exact denoiser of a network's training latents; None where its data are not at hand.

    Args:
        subject: the network, a latent diffusion model.
        trained_on: `icons a` or `icons b`, see `training_pictures`, or ''. ValueError where these are no latents of
            the network's.
        views: small variations of each picture beside the picture itself, as the network was shown them.
        device: where the latents live.
    """
    if not trained_on:
        return None
    images = training_pictures(trained_on)
    pixels = 2 * torch.as_tensor(images.pixels).permute(0, 3, 1, 2) - 1
    latents = latent_views(subject.model.pipe.vae, pixels, views)
    if latents.shape[2:] != subject.model.shape:
        raise ValueError(f"trained_on = {trained_on!r}: its pictures have latents of shape {tuple(latents.shape[2:])}, "
                         f"those of {subject.name} have {subject.model.shape}; takes '' for a network of other data")
    return ExactModel.of_latents(latents, images, device)


def datasets(chosen: Mapping[str, Subject], trained_on: Mapping[str, str], views: int,
             device: str = "cpu") -> dict[str, ExactModel | None]:
    """`own_data` of several networks, once for all that share pictures and autoencoder.

    Args:
        chosen: the networks by name.
        trained_on: for each of them as for `own_data`.
        views: likewise.
        device: likewise.
    """
    made: dict[str, ExactModel | None] = {}
    for name, one in chosen.items():
        twins = [other for other in made if trained_on[other] == trained_on[name]
                 and _same_weights(chosen[other].model.pipe.vae, one.model.pipe.vae)]
        made[name] = made[twins[0]] if twins else own_data(one, trained_on[name], views, device)
    return made


def _same_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


class Maps(NamedTuple):
    """tr G of several slices by one model, and nu of each step."""

    noise: Float[ndarray, " step"]
    trace: Float[ndarray, "set step p"]


def maps_of(noise: Float[ndarray, " step"], slices: Sequence[Slice]) -> Maps:
    """The maps of a model's slices, flat."""
    return Maps(np.asarray(noise), np.stack([one.values("trace").reshape(one.steps, -1) for one in slices]))


def nearest_steps(noise: Float[ndarray, " step"], wanted: Float[ndarray, " k"]) -> Int[ndarray, " k"]:
    """The steps of one sampler whose noise is nearest, by ratio, to those that are wanted; pure noise counts as large,
    not as infinite."""
    one, other = (np.log(np.minimum(values, 1e300)) for values in (noise, wanted))
    return np.abs(one[None, :] - other[:, None]).argmin(1)


def maps_at(maps: Maps, wanted: Float[ndarray, " k"]) -> Float[ndarray, "set k p"]:
    """Maps at noise levels between a sampler's own: log tr G is linear in log nu from step to step. `wanted` lie
    within the finite levels."""
    order = np.argsort(np.where(np.isfinite(maps.noise), maps.noise, np.inf))[:np.isfinite(maps.noise).sum()]
    place = np.interp(np.log(wanted), np.log(maps.noise[order]), np.arange(len(order)))
    below = np.minimum(place.astype(int), max(0, len(order) - 2))
    above, part = np.minimum(below + 1, len(order) - 1), (place - below)[:, None]
    logs = np.log(np.maximum(maps.trace[:, order], LEAST))
    return (1 - part) * logs[:, below] + part * logs[:, above]


def agreement_within(first: Maps, second: Maps, low: float, high: float) -> Float[ndarray, " set"]:
    """Rank correlation of the maps of two models on each slice, beyond that of different slices; a mean over `LEVELS`
    values of nu, equal by ratio, from `low` to `high`, at which both are interpolated: samplers place their steps
    differently. Levels that one of the two does not reach are left out.

    Returns:
        One number a slice, `(r - r0) / (1 - r0)`, NaN where r0 is 1; none for a single slice, or where no level is
        reached by both.
    """
    wanted = low * (high / low)**((np.arange(LEVELS) + 0.5) / LEVELS)
    for one in (first, second):
        reached = one.noise[np.isfinite(one.noise)]
        wanted = wanted[(wanted >= reached.min()) & (wanted <= reached.max())] if len(reached) else wanted[:0]
    if not len(wanted) or len(first.trace) < 2:
        return np.empty(0)
    own, chance = agreement(maps_at(first, wanted), maps_at(second, wanted))
    return beyond_chance(own, chance).mean(1)


def same_kinds(first: Int[ndarray, "set a b"], second: Int[ndarray, "set a b"]) -> Float[ndarray, " set"]:
    """On each slice the share of points that two models give one kind, beyond that of the second's other slices; NaN
    where these agree in full, and for a single slice, which has no others.

    Args:
        first: kinds of one model.
        second: of another, on the same slices.
    """
    hits = np.array([[(a == b).mean() for b in second] for a in first])
    own, n = hits.diagonal(), len(hits)
    return beyond_chance(own, (hits.sum(1) - own) / (n - 1) if n > 1 else np.full(n, np.nan))


def over_slices(values: Float[ndarray, " set"]) -> Estimate | None:
    """The median over slices with its interval; NaN is a slice without the statistic."""
    return median_interval(values[np.isfinite(values)].tolist())


def without_ends(estimate: Estimate | None) -> Estimate | None:
    """A number by which nothing is decided, since it could hardly have come out otherwise."""
    return estimate and estimate._replace(low=-np.inf, high=np.inf)


def above_both(each: Float[ndarray, " set"], first: Float[ndarray, " set"],
               second: Float[ndarray, " set"]) -> Estimate | None:
    """How far an agreement lies above two others: the lower of the medians of its differences to them, with an interval
    that holds those of both.

    The larger of both, slice by slice, would not do: of two that scatter it lies above either. By simulation with 12
    slices of 7 x 7 points and three maps that agree alike, a difference of nought came out as -0.04 to -0.24, and in
    nearly one run of five its interval lay below nought.

    Args:
        each: one number a slice; NaN where there is none.
        first: likewise, of one of the two.
        second: of the other.

    Returns:
        None where a difference to one of the two is not known.
    """
    both = [over_slices(each - other) for other in (first, second)]
    return None if None in both else hull(sorted(both))


def as_well(seen: Float[ndarray, " set"], unseen: Float[ndarray, " set"]) -> tuple[Estimate | None, str]:
    """By how much a network's maps agree better with those of the data that it was shown than with those of others.

    Args:
        seen: agreement beyond chance with its own data, one number a slice; NaN where there is none.
        unseen: with other data of the distribution.

    Returns:
        The median difference, and a reason why it says nothing. One that agrees with nobody agrees with both alike:
        unless the interval of `seen` lies above `KNOWN` there are no ends to the difference.
    """
    own, less = over_slices(seen), over_slices(seen - unseen)
    if own is None or less is None or own.low > KNOWN:
        return less, ""
    return without_ends(less), (
        f"the interval of its agreement with its own data is not above {KNOWN}: with nobody it would agree as well")


def from_diffusers(subject: Subject, p: Chapter, guidance: float) -> float:
    """How far the states of one sampled point lie from those of diffusers' own pipeline call, over all steps, in units
    of the largest entry."""
    start = torch.as_tensor(seeded_anchors(subject.model.shape, p.seed)[:1])
    theirs = diffusers_steps(subject.model, start[0], subject.levels.steps, p.prompt, p.negative_prompt, guidance)
    prompt = subject.model.prompt(p.prompt, guidance, p.negative_prompt)
    begun = start.to(subject.model.device, subject.model.dtype)
    ours = torch.cat([frame.after for frame in sample(subject.model, begun, subject.levels, prompt)])
    return float((ours - theirs).abs().max() / theirs.abs().max())


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
