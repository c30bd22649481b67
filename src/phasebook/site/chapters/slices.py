"""Parameters of the chapters on slices, what can be known about them before anything runs, and their planes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import AfterValidator, Field, model_validator

from phasebook.arguments import renamed
from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import Levels
from phasebook.site.checks.memory import bytes_of_slices, named
from phasebook.site.checks.models import Device, Seed, check_pictures, memory_of_pictures
from phasebook.site.checks.parameters import Finite, Parameters, Positive
from phasebook.site.figures.base import table
from phasebook.site.results.claims import verdict
from phasebook.site.results.ledger import Ledger
from phasebook.site.results.tables import in_words
from phasebook.slices.plane import Plane, check_extent, load_anchors, seeded_anchors
from phasebook.slices.slice import Slice
from phasebook.slices.stores.engine import store_slice
from phasebook.slices.stores.store import check_store
from phasebook.slices.sweep import slice_of
from phasebook.stats import Estimate

__all__ = ["PICTURES", "Chapter", "Extent", "SliceParameters", "anchors_of", "by_scale", "check_plane", "check_size",
           "opening", "planes", "swept"]

MOST_NUMBERS = 60_000_000
PICTURES = 13           # that the chapter on phase boundaries keeps along each side of its slice
Extent = Annotated[list[Finite], Field(min_length=4, max_length=4), AfterValidator(check_extent)]
Sets = Annotated[int, Field(ge=1, le=200)]
SetsGrid = Annotated[int, Field(ge=2, le=201)]


class SliceParameters(Parameters):
    """Slices of the exact model of an image set: one that is shown, and further ones for what is said of slices in
    general."""

    image_set: str
    families: list[str]
    resolution: Annotated[int, Field(ge=8, le=256)]
    anchors: str
    anchors_seed: Seed
    extent: Extent
    grid: Annotated[int, Field(ge=2, le=1001)]
    steps: Annotated[int, Field(ge=2, le=500)]
    schedule: Literal["scaled_linear", "log_snr"]
    normalise: bool
    feature: Literal["pixels", "posterior"]
    sets: Sets
    sets_grid: SetsGrid
    device: Device
    seed: Seed
    store: str

    @model_validator(mode="after")
    def _usable(self):
        check_pictures(self.image_set, self.resolution, self.families or None)
        if self.store:
            with renamed("path", "store"):
                check_store(self.store)
        check_size(self.grid, self.steps)
        anchors = anchors_of(self.anchors, self.anchors_seed, (3, self.resolution, self.resolution))
        check_plane(Plane(anchors, tuple(self.extent), self.grid, self.normalise))
        return self

    @property
    def _models(self) -> int:
        """Exact models that are held at a time."""
        return 1

    @property
    def _pictures(self) -> int:
        """Pictures that are kept along each side of the slice."""
        return 0

    def memory(self) -> dict[str, float]:
        """See `Parameters`: the exact models, and slices that are kept."""
        kept = bytes_of_slices(1, self.grid, self.steps, self._pictures, self.resolution)
        further = bytes_of_slices(self.sets * self._models, self.sets_grid, self.steps)
        part = named(grid=self.grid, steps=self.steps, sets=self.sets, sets_grid=self.sets_grid)
        return {part: kept + further} | memory_of_pictures(
            self.image_set, self.resolution, self.families or None, models=self._models, double=True)


class Chapter(SliceParameters):
    """Phase boundaries on slices, at several scales of the data."""

    distinct = ("norms",)

    norms: Annotated[list[Annotated[Positive, Field(ge=0.01, le=1e4)]], Field(min_length=1, max_length=6)]
    null_images: Annotated[int, Field(ge=20, le=1600)]

    @property
    def _models(self) -> int:
        """One for each scale."""
        return len(self.norms)

    @property
    def _pictures(self) -> int:
        return PICTURES


def check_size(grid: int, steps: int) -> None:
    """ValueError for a slice that is too large to be kept in memory."""
    if grid**2 * steps > MOST_NUMBERS:
        raise ValueError(f"grid, steps = {grid}, {steps}: {grid**2 * steps} points in all; take grid² x steps <= "
                         f"{MOST_NUMBERS}")


def check_plane(plane: Plane) -> None:
    """ValueError for a plane with a point that cannot be normalised."""
    alpha, beta = np.meshgrid(plane.alpha, plane.beta, indexing="ij")
    plane.coefficients(alpha.ravel(), beta.ravel())


def anchors_of(path: str, seed: int, shape: Sequence[int]) -> Float[ndarray, "3 *latent"]:
    """The anchors of a `.npy` file, or of a seed where `path` is ''."""
    return load_anchors(path, tuple(shape)) if path else seeded_anchors(tuple(shape), seed)


def opening(levels: Levels, count: int) -> Levels:
    """The first steps of a sampler: its predictions there are those of the whole one.

    Args:
        levels: of the whole sampler.
        count: of steps, one at least; all where there are fewer.
    """
    count = max(1, count)
    gaps = None if levels.landing is None else levels.landing[:, :count]
    return replace(levels, alpha=levels.alpha[:count + 1], sigma=levels.sigma[:count + 1],
                   timestep=levels.timestep[:count], landing=gaps)


def planes(shape: Sequence[int], seed: int, count: int, extent: Sequence[float], grid: int,
           normalise: bool) -> list[Plane]:
    """Planes through anchors of their own, none of them those of `seed` itself."""
    seeds = [seed + 1000 + k for k in range(count)]
    return [Plane(seeded_anchors(tuple(shape), one), tuple(extent), grid, normalise) for one in seeds]


def swept(store: str, model: ExactModel, plane: Plane, levels: Levels, features: Sequence[str], *,
          fields: Sequence[str] = (), pictures: int = 0, jacobian: str = "differences") -> Slice:
    """The slice, through a store where one is named.

    Args:
        store: a path or URL that is made or continued; '' for none.
        model: the exact model.
        plane: the grid.
        levels: of the sampler.
        features: by which it is measured.
        fields: names of the model's fields.
        pictures: kept along each side.
        jacobian: see `slice_of`.
    """
    if store:
        with renamed("path", "store"):
            return store_slice(model, plane, levels, store, features=features, fields=fields, pictures=pictures,
                               jacobian=jacobian)
    own = {name: model.fields[name] for name in fields}
    return slice_of(model, plane, levels, features=features, fields=own, pictures=pictures, jacobian=jacobian)


def by_scale(ledger: Ledger, estimates: Mapping[str, Mapping[str, Estimate | None]]) -> str:
    """A table of verdicts: claims down, conditions (scales of the data) across, by the ledger's own bounds.

    Args:
        ledger: of the chapter.
        estimates: by claim, then by condition; None where there is nothing to measure.
    """
    rows = []
    for name, row in estimates.items():
        bound = ledger.stated[name].bound
        cells = [_cell(estimate, bound) for estimate in row.values()]
        rows.append((name, in_words(bound), *cells))
    header = ("claim", "bound", *next(iter(estimates.values())))
    return table(header, rows, "Medians over the slices, and what each scale alone would have said")


def _cell(estimate: Estimate | None, bound: str) -> str:
    if estimate is None:
        return "no such step"
    return f"{estimate.value:.2g}: {verdict(estimate.value, (estimate.low, estimate.high), bound)}"
