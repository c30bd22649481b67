"""Parameters of the chapter on temporal transitions, and where its trips start."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from pydantic import Field, model_validator

from phasebook.hierarchy.factors import exact_levels, sampled_levels
from phasebook.hierarchy.transitions import Trips, exact_trips, first_ridge, sampled_trips
from phasebook.models.exact import ExactModel
from phasebook.models.pictures.icons import icons
from phasebook.sampling.protocols import Frame, State
from phasebook.sampling.samplers import normal_start
from phasebook.site.chapters.network import PICTURE_SIDE, deviation_of, memory_of_data, nearest_kind, own_data
from phasebook.site.chapters.slices import Extent, opening
from phasebook.site.checks.memory import NUMBER, TILE, bytes_of_slices, named
from phasebook.site.checks.models import (
    EXACT,
    ModelParameters,
    PerModel,
    Seed,
    Subject,
    check_latents,
    entries_of,
    small_pictures,
)
from phasebook.site.figures.base import table
from phasebook.slices.measures.statistics import largest_deviation
from phasebook.slices.plane import Plane
from phasebook.slices.slice import RIDGE
from phasebook.slices.sweep import slice_of
from phasebook.stats import Estimate, grouped_bootstrap

__all__ = ["Chapter", "IconParts", "SHARES", "Traveller", "factor_levels", "factors_on_slices", "first_ridges",
           "icon_parts", "kept_more", "lead", "recorded", "ridges_table", "states_of", "travellers", "trips_of",
           "weighted"]

SHARES = (RIDGE / 2, RIDGE, 2 * RIDGE)      # thresholds of a ridge, the book's own between two others

PURE = "pure noise"
POSTERIORS = 9          # arrays of (samples, pictures) that live at a time
ICONS = 24.0 * 8104 * 3 * 64**2     # bytes of all icons, as they are read and in an exact model

Starts = Annotated[int, Field(ge=2, le=1000)]


class Chapter(ModelParameters):
    """Trips to a noise level and back, and first ridges of slices."""

    judge: str = ""             # nothing here is judged by CLIP
    pretrained: str = ""
    trained_on: PerModel(Literal["icons a", "icons b", ""])
    views: Annotated[int, Field(ge=0, le=16)]
    samples: Annotated[int, Field(ge=100, le=100_000)]
    starts: PerModel(Starts)
    visits: PerModel(Annotated[int, Field(ge=4, le=100)])
    slices: PerModel(Annotated[int, Field(ge=2, le=200)])
    grid: PerModel(Annotated[int, Field(ge=2, le=201)])
    extent: Extent
    factor_sets: Annotated[int, Field(ge=0, le=60)]
    anchors_seed: Seed
    seed: Seed

    @model_validator(mode="after")
    def _usable(self):
        if self.models[0] != EXACT:
            raise ValueError(f"models = {self.models}: takes 'exact' first; the theory is tested there")
        for name in self.trained:
            if trained_on := self.at("trained_on", name):
                check_latents(name, self.variant, PICTURE_SIDE, "trained_on", trained_on)
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`."""
        parts = super().memory()
        for name in self.models:
            slices, grid, steps = (self.at(key, name) for key in ("slices", "grid", "steps"))
            parts[named(models=name, slices=slices, grid=grid, steps=steps)] = bytes_of_slices(slices, grid, steps)
        pictures = len(small_pictures(self.image_set, self.families or None))
        parts[named(samples=self.samples, image_set=repr(self.image_set))] = \
            8.0 * POSTERIORS * self.samples * pictures
        if self.factor_sets:
            parts[named(factor_sets=self.factor_sets)] = ICONS
        if self.trained:
            own = {self.at("trained_on", name) for name in self.trained}
            grid = max(self.at("grid", name) for name in self.trained)
            entries = max(entries_of(name, self.variant) for name in self.trained)
            parts[named(grid=grid)] = 2.0 * NUMBER * entries * grid**2          # the states of a plane
            parts |= memory_of_data(own, self.views, max(self.at("starts", name) for name in self.trained))
        return parts


class Traveller:
    """A model of the chapter with what its trips need.

    Attributes:
        subject: the model.
        data: its exact data; the model itself where it is exact, None where they are not at hand.
        deviation: sqrt Lambda_1 of the data.
        label: of the states of a frame; None without data.
    """

    def __init__(self, subject: Subject, data: ExactModel | None, seed: int):
        self.subject, self.data = subject, data
        exact = isinstance(subject.model, ExactModel)
        gram = None if data is None else data.gram.cpu().double().numpy()
        self.deviation = largest_deviation(gram) if exact else deviation_of(subject, data, seed)
        self.label: Callable[[Frame], Int[ndarray, " p"]] | None = None
        if exact:
            self.label = lambda frame: data.family[data.weights(frame.x0).argmax(1).cpu().numpy()]
        elif data is not None:
            self.label = nearest_kind(data)

    @property
    def noise(self) -> ndarray:
        """nu of each step of the sampler."""
        return self.subject.levels.sigma_over_alpha / self.deviation

    @cached_property        # a network samples for it
    def yardstick(self) -> float:
        """Of the model's own feature: the distance of unrelated final predictions."""
        model = self.subject.model
        return next(iter(model.features.values())).yardstick(model, self.subject.prompt)


def travellers(chosen: list[Subject], p: Chapter) -> dict[str, Traveller]:
    """The models of the chapter by name."""
    travellers = {}
    for one in chosen:
        exact = isinstance(one.model, ExactModel)
        data = one.model if exact else own_data(one, p.at("trained_on", one.name), p.views, p.device)
        travellers[one.name] = Traveller(one, data, p.seed)
    return travellers


def states_of(model: ExactModel, index: Int[ndarray, " m"]) -> State:
    """Pictures of an exact model as clean states."""
    atoms = torch.zeros(len(index), len(model.atoms), dtype=model.dtype, device=model.atoms.device)
    atoms[torch.arange(len(index)), torch.as_tensor(np.asarray(index))] = 1
    return torch.cat([atoms @ model.gram, atoms], 1)


def trips_of(one: Traveller, samples: int, starts: int, visits: int, seed: int) -> Trips | None:
    """Trips of a model to `visits` levels: of an exact model by its posterior, of another through its sampler.

    Args:
        one: the model.
        samples: of an exact model.
        starts: samples of another model that travel.
        visits: levels; of a sampler every so many steps.
        seed: of starts and noise.

    Returns:
        The trips; None for a network whose data are not at hand.
    """
    model, levels = one.subject.model, one.subject.levels
    if isinstance(model, ExactModel):
        ratios = one.deviation * np.geomspace(6, 0.06, visits)
        return exact_trips(model.gram.cpu().numpy(), model.family, ratios, samples, seed)
    if one.label is None:
        return None
    *_, last = model.sweep(normal_start(model, seed, starts), levels, one.subject.prompt)
    at = sorted({round(k) for k in np.linspace(0, levels.steps - 1, min(visits, levels.steps))})
    return sampled_trips(model, last.x0, levels, at, one.label, one.subject.prompt, seed + 1_000_000_000)


def kept_more(one: Trips, other: Trips, seed: int) -> Estimate | None:
    """By how much the label survives `one` set of trips to a level more often than the `other`, both drawn anew in its
    interval, by labels."""
    kept = np.r_[one.label[0], other.label[0]]
    first = np.arange(len(kept)) < one.label.shape[1]

    def more(i: Int[ndarray, " m"]) -> float:
        """NaN for a draw that leaves one of the sets out."""
        here = first[i]
        return kept[i][here].mean() - kept[i][~here].mean() if 0 < here.sum() < len(i) else np.nan

    return grouped_bootstrap(more, np.r_[one.origin, other.origin], seed, least=10, shares=True)


def first_ridges(one: Traveller, several: Sequence[Plane], until: float) -> dict[float, list[float | None]]:
    """For each threshold of `SHARES`, nu of the first ridge of each slice; None for a slice without one.

    Args:
        one: the model.
        several: the slices' planes.
        until: steps below this nu are left out.
    """
    s, shown = one.subject, one.noise >= until
    levels = opening(s.levels, int(shown.sum()))
    swept = [slice_of(s.model, plane, levels, prompt=s.prompt) for plane in several]
    begun = {}
    for share in SHARES:
        at = [first_ridge(w, share * one.yardstick) for w in swept]
        begun[share] = [x and x / one.deviation for x in at]
    return begun


def ridges_table(title: str, begun: Mapping[int, Mapping[float, Sequence[float | None]]]) -> str:
    """Slices with a ridge before the split, and the median first level, by grid and threshold, as an HTML table.

    Args:
        title: of the model.
        begun: `first_ridges` by the grid's number of lines.
    """
    rows = [(f"{size} lines", *(_begun(levels) for levels in row.values())) for size, row in begun.items()]
    header = ("grid", *(f"ridge: {share:.1f} of a picture's distance" for share in SHARES))
    return table(header, rows, f"{title}: slices with a ridge at ν > 1, and the median ν of the first")


def recorded(levels: Sequence[float | None]) -> list[float | str | None]:
    """Levels as a ledger takes them: that of pure noise, where a flow begins, is no number."""
    return [PURE if x == np.inf else x for x in levels]


def _begun(levels: Sequence[float | None]) -> str:
    middle = float(np.median([x or 0 for x in levels]))
    words = PURE if middle == np.inf else f"{middle:.2f}" if middle else "below what was swept"
    return f"{sum((x or 0) > 1 for x in levels)} of {len(levels)}; {words}"


class IconParts(NamedTuple):
    """The exact model of the icons and disjoint parts of them, each all pictures of some things: `index` into the
    model's pictures, and the `style` and `thing` of every picture."""

    model: ExactModel
    index: list[Int[ndarray, " m"]]
    style: Int[ndarray, " n"]
    thing: Int[ndarray, " n"]


def icon_parts(parts: int, seed: int, most: int = 110) -> IconParts:
    """The icons of the six styles that have halves, in `parts` disjoint sets of at most `most` things.

    Args:
        parts: how many.
        seed: of the order of the things.
        most: things in a part.
    """
    data = icons().only("a", "b", "held out")
    order = np.random.default_rng(seed).permutation(np.unique(data.what.numpy()))
    chosen = [some[:most] for some in np.array_split(order, parts)]
    data = data.at(torch.isin(data.what, torch.from_numpy(np.concatenate(chosen))))
    style, thing = data.style.numpy(), data.what.numpy()
    index = [np.flatnonzero(np.isin(thing, some)) for some in chosen]
    return IconParts(ExactModel.of(data.images), index, style, thing)


def weighted(gram: Float[ndarray, "n n"], labels: Int[ndarray, " n"], weight: float) -> Float[ndarray, "n n"]:
    """Inner products of pictures in which one factor counts more: the mean of each class, less that of all, times
    `weight`; the rest as it was.

    Args:
        gram: inner products of the pictures.
        labels: the class of each picture.
        weight: of the factor, 1 for none.
    """
    member = (labels[:, None] == np.unique(labels)).astype(float)
    between = member / member.sum(0) @ member.T - 1 / len(labels)
    mixing = np.eye(len(labels)) + (weight - 1) * between
    return mixing @ np.asarray(gram, dtype=np.float64) @ mixing.T


def factor_levels(gram: Float[ndarray, "n n"], style: Int[ndarray, " n"], thing: Int[ndarray, " n"], samples: int,
                  seed: int) -> dict[str, float]:
    """sigma/alpha at which an exact model settles the two factors, and each of them shuffled among the pictures.

    Args:
        gram: inner products of the pictures.
        style: of each picture.
        thing: likewise.
        samples: trips to each level.
        seed: of the noise, which serves all four, and of the shuffling.
    """
    rng, reach = np.random.default_rng(seed), np.sqrt(np.trace(gram) / len(gram)) * np.geomspace(4, 0.02, 25)
    labels = {"style": style, "thing": thing, "shuffled style": rng.permutation(style),
              "shuffled thing": rng.permutation(thing)}
    return exact_levels(gram, labels, reach, samples, seed)


def lead(levels: Mapping[str, float]) -> float | None:
    """The level of the style over that of the thing, over the same ratio of labels without meaning: above 1 where the
    style is decided first by more than chance gives it; None where a level is missing."""
    ratio = levels["style"] / levels["thing"] / (levels["shuffled style"] / levels["shuffled thing"])
    return float(ratio) if np.isfinite(ratio) else None


def factors_on_slices(one: Traveller, several: Sequence[Plane], visits: int, seed: int) -> list[float | None]:
    """For each slice of a network on icons, the `lead` of the style of its pictures; [] for another model.

    Args:
        one: the network; its data name their pictures 'thing, so-and-so style'.
        several: the planes.
        visits: levels of a trip.
        seed: of the noise.
    """
    data, model, levels = one.data, one.subject.model, one.subject.levels
    if data is None or isinstance(model, ExactModel) or not data.names[0].endswith(" style"):
        return []
    things, styles = zip(*(name.rsplit(", ", 1) for name in data.names), strict=True)
    classes = {"style": np.unique(styles, return_inverse=True)[1], "thing": np.unique(things, return_inverse=True)[1]}
    rng = np.random.default_rng(seed)
    at = sorted({round(k) for k in np.linspace(0, levels.steps - 1, min(visits, levels.steps))})
    splits = []
    for number, plane in enumerate(several):
        alpha, beta = np.meshgrid(plane.alpha, plane.beta, indexing="ij")
        c, _ = plane.coefficients(alpha.ravel(), beta.ravel())
        ends = []
        for top in range(0, len(c), TILE):
            *_, last = model.sweep(model.start(plane.anchors, c[top:top + TILE]), levels, one.subject.prompt)
            ends.append(last.x0)
        dealt = {f"shuffled {name}": rng.permutation(kinds) for name, kinds in classes.items()}
        labels = {name: nearest_kind(data, kinds) for name, kinds in (classes | dealt).items()}
        x0, own = torch.cat(ends), seed + 10**9 * number
        splits.append(lead(sampled_levels(model, x0, levels, at, labels, one.subject.prompt, own)))
    return splits
