"""Parameters of the chapter on temporal transitions, and where its trips start."""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from pydantic import Field, model_validator

from phasebook.hierarchy.factors import factor_split, sampled_levels
from phasebook.hierarchy.transitions import Trips, exact_trips, sampled_trips
from phasebook.models.exact import ExactModel
from phasebook.models.icons import icons
from phasebook.models.image_sets import load_images
from phasebook.sampling.protocols import Frame, State
from phasebook.sampling.samplers import normal_start
from phasebook.site.chapters.network import check_data, deviation_of, nearest_kind, own_data
from phasebook.site.chapters.slices import Extent
from phasebook.site.checks.memory import bytes_of_slices, check_memory
from phasebook.site.checks.models import EXACT, ModelParameters, PerModel, Seed, Subject
from phasebook.site.checks.parameters import Fraction
from phasebook.slices.measures.statistics import largest_deviation
from phasebook.slices.plane import Plane

__all__ = ["Chapter", "IconParts", "Traveller", "factors_on_slices", "icon_parts", "states_of", "travellers",
           "trips_of"]

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
    ridge: Fraction
    factor_sets: Annotated[int, Field(ge=0, le=60)]
    anchors_seed: Seed
    seed: Seed

    @model_validator(mode="after")
    def _usable(self):
        if EXACT not in self.models:
            raise ValueError(f"models = {self.models}: takes 'exact' among them; the theory is tested there")
        for name in self.models:
            slices, grid, steps = (self.at(key, name) for key in ("slices", "grid", "steps"))
            check_memory({"slices": slices, "grid": grid, "steps": steps}, bytes_of_slices(slices, grid, steps))
        pictures = len(load_images(self.image_set, 8, self.families or None))
        check_memory({"samples": self.samples, "image_set": repr(self.image_set)},
                     8.0 * POSTERIORS * self.samples * pictures)
        if self.factor_sets:
            check_memory({"factor_sets": self.factor_sets}, ICONS)
        if self.trained:
            own = {self.at("trained_on", name) for name in self.trained}
            check_data(own, self.views, max(self.at("starts", name) for name in self.trained))
        return self


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
    style, thing = data.style.numpy(), data.what.numpy()
    order = np.random.default_rng(seed).permutation(np.unique(thing))
    chosen = [some[:most] for some in np.array_split(order, parts)]
    index = [np.flatnonzero(np.isin(thing, some)) for some in chosen]
    return IconParts(ExactModel.of(data.images), index, style, thing)


def factors_on_slices(one: Traveller, several: list[Plane], visits: int, seed: int) -> list[float | None]:
    """For each slice of a network on icons, the level at which the style of its pictures is settled over that of the
    thing; [] for another model.

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
    labels = {name: nearest_kind(data, kinds) for name, kinds in classes.items()}
    at = sorted({round(k) for k in np.linspace(0, levels.steps - 1, min(visits, levels.steps))})
    splits = []
    for number, plane in enumerate(several):
        alpha, beta = np.meshgrid(plane.alpha, plane.beta, indexing="ij")
        c, _ = plane.coefficients(alpha.ravel(), beta.ravel())
        *_, last = model.sweep(model.start(plane.anchors, c), levels, one.subject.prompt)
        settled_at = sampled_levels(model, last.x0, levels, at, labels, one.subject.prompt, seed + 10**9 * number)
        splits.append(factor_split(settled_at, "style", "thing"))
    return splits
