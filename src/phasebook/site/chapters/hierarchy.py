"""Parameters of the chapter on the hierarchy, and the chains through which it calibrates."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import AfterValidator, Field, model_validator

from phasebook.hierarchy.boundaries import check_pairs, nearby_pairs
from phasebook.hierarchy.calibration import DIMENSION, Likeness, Measure, Placed, placed
from phasebook.hierarchy.leaves import Leaves, linkage_of, parted
from phasebook.hierarchy.straightness import geodesic_distances
from phasebook.hierarchy.trees import distances_of, twin_points
from phasebook.hierarchy.ultrametric import likeness
from phasebook.models.atom_features import AtomPixels
from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import ImageSet, load_images
from phasebook.sampling.levels import Levels, named_levels
from phasebook.sampling.protocols import Model, Prompt
from phasebook.sampling.samplers import normal_start
from phasebook.site.checks.memory import NUMBER, bytes_of_exact, bytes_of_slices, named
from phasebook.site.checks.models import (
    EXACT,
    ModelParameters,
    PerModel,
    Seed,
    Subject,
    check_pictures,
    entries_of,
    small_pictures,
)
from phasebook.site.checks.parameters import Finite, Fraction
from phasebook.site.figures.hierarchy import MergeTree, PairStrip, as_bytes
from phasebook.site.results.ledger import slug
from phasebook.slices.measures.splits import final_half, split_levels
from phasebook.slices.plane import Plane, check_extent
from phasebook.slices.slice import Slice
from phasebook.slices.sweep import slice_of
from phasebook.stats import Estimate

__all__ = ["Chapter", "apart_of", "cloud_of", "compared_subjects", "disjoint_parts", "leaves_of_model", "likeness_of",
           "merge_tree_of", "parts_of", "placed_on_slice", "points_of", "said", "strips_of", "through_slice",
           "through_splits"]

TWO_FACTORS = "icons"           # the image set of things in styles
RESOLUTION = 0.25               # of split heights: a factor 1.28 of the noise
SPANNED = 64                    # coordinates that a cloud has at least: its planes are normalised as those of pictures
GEODESICS = 3_000               # bytes of a point of a slice on which they are looked for: edges to those around it
BESIDE = 1.25                   # slices of the exact model with those of their clouds, in one feature
SHARE = 0.05                    # of the largest geodesic distance, likewise
Extent = Annotated[list[Finite], Field(min_length=4, max_length=4), AfterValidator(check_extent)]


class Chapter(ModelParameters):
    """The parameters of chapter 15."""

    distinct = ("compared", "ridges")

    judge: str = ""             # nothing here is judged by CLIP
    pretrained: str = ""
    compared: list[str]
    anchors_seed: Seed
    slices: Annotated[int, Field(ge=2, le=200)]
    extent: Extent
    grid: PerModel(Annotated[int, Field(ge=5, le=501)])
    ridge: Fraction
    ridges: Annotated[list[Fraction], Field(min_length=1, max_length=40)]
    pair_coordinates: Annotated[list[list[list[Finite]]], Field(max_length=40)]
    sets: Annotated[int, Field(ge=2, le=200)]
    starts: PerModel(Annotated[int, Field(ge=8, le=5000)])
    trees: Annotated[int, Field(ge=2, le=500)]
    slice_trees: Annotated[int, Field(ge=2, le=500)]
    tree_grid: Annotated[int, Field(ge=5, le=201)]
    seed: Seed

    @model_validator(mode="after")
    def _usable(self):
        check_pairs(self.pair_coordinates, self.extent)
        called = [slug(name) for name in (*self.models, *self.compared)]
        if len(set(called)) < len(called):
            raise ValueError(f"compared = {self.compared}: two, or one and a model, are called "
                             f"{max(called, key=called.count)!r} in figures and claims; takes sets whose last "
                             "names differ")
        sizes = {name: len(check_pictures(name, self.resolution, parameter="compared")) for name in self.compared}
        own = {}
        if EXACT in self.models:
            own[EXACT] = len(small_pictures(self.image_set, self.families or None))
        for name, n in (own | sizes).items():
            self._check_parts(self.models[0] if name in sizes else name, n)
        return self

    def _check_parts(self, name: str, pictures: int) -> None:
        """Each set takes a part of the pictures, of a quarter as many as it has starts, and four at least."""
        starts = self.at("starts", name)
        if starts < 16:
            raise ValueError(f"starts = {starts}: takes at least 16 for an exact model, which gets a quarter as many "
                             "pictures")
        if pictures // self.sets < 4:
            raise ValueError(f"sets = {self.sets}: takes at most {pictures // 4}, so that each has four of {pictures} "
                             "pictures")

    def memory(self) -> dict[str, float]:
        """See `Parameters`: slices, and the distances of all starts at all steps with trees of them."""
        parts = super().memory()
        for name in self.compared:          # the pictures, and an exact model of a part of them at a time
            n = len(small_pictures(name))
            part = min(self.at("starts", self.models[0]) // 4, n // self.sets)
            parts[named(compared=repr(name), resolution=self.resolution)] = \
                3.0 * n * self.resolution**2 * (2 * NUMBER + 1) + bytes_of_exact(part, self.resolution)
        for name in self.models:
            grid, steps, starts = (self.at(key, name) for key in ("grid", "steps", "starts"))
            entries = 3 * self.resolution**2 if name == EXACT else entries_of(name, self.variant)
            leaves = starts / 4 if name == EXACT else starts        # of the starts of a network each may be one
            n = len(small_pictures(self.image_set, self.families or None)) if name == EXACT else 0
            clouds = 2.0 * NUMBER * self.slices * n**2              # a null for each slice: points, and their products
            beside = BESIDE if name == EXACT else 1
            parts[named(models=name, slices=self.slices, grid=grid, steps=steps)] = \
                beside * bytes_of_slices(self.slices, grid, steps) + GEODESICS * grid**2 + clouds
            parts[named(models=name, starts=starts, steps=steps, sets=self.sets)] = \
                starts**2 * (14.0 * steps + 64) + 40.0 * starts * entries + 16 * self.sets * leaves**2
        return parts


def disjoint_parts(model: Model, parts: int, most: int, seed: int) -> list[Model]:
    """Models of disjoint random parts of the pictures of an exact model, of at most `most` pictures each; another model
    as often as asked.

    Args:
        model: any.
        parts: how many.
        most: pictures in a part.
        seed: of the order of the pictures.

    Raises:
        ValueError: for too few pictures for parts of four.
    """
    if not isinstance(model, ExactModel):
        return [model] * parts
    order = np.random.default_rng(seed).permutation(len(model.atoms))
    size = min(most, len(order) // parts)
    if size < 4:
        raise ValueError(f"sets = {parts}: takes at most {len(order) // 4}, so that each has four of {len(order)} "
                         "pictures")
    return [model.subset(np.sort(order[k * size:(k + 1) * size])) for k in range(parts)]


def parts_of(one: Subject, parts: int, most: int, seed: int) -> list[Model]:
    """Disjoint parts of a model's pictures (`disjoint_parts`); of the icons whole things, each in all of its styles.

    Args:
        one: the model, with its pictures.
        parts: how many.
        most: pictures in a part.
        seed: of the order of pictures, or things.
    """
    if one.name != TWO_FACTORS:
        return disjoint_parts(one.model, parts, most, seed)
    things = np.array([name.rsplit(", ", 1)[0] for name in one.images.names])
    order = np.random.default_rng(seed).permutation(np.unique(things))
    size = max(1, min(most // len(one.images.groups), len(order) // parts))
    return [one.model.subset(np.flatnonzero(np.isin(things, order[k * size:(k + 1) * size]))) for k in range(parts)]


def cloud_of(model: ExactModel, seed: int) -> ExactModel:
    """The exact model of the twin of all pictures of another: the same spectrum, and no tree."""
    points = twin_points(distances_of(model.atoms.cpu().numpy()), seed)
    return ExactModel.of_points(_in_dimensions(points, SPANNED), str(model.atoms.device))


def _in_dimensions(points: Float[ndarray, "n d"], least: int) -> Float[ndarray, "n k"]:
    """The same points with so many coordinates, at least; further ones are 0."""
    return np.pad(points, ((0, 0), (0, max(0, least - points.shape[1]))))


def merge_tree_of(title: str, parts: Sequence[Model], leaves: Sequence[Leaves]) -> MergeTree | None:
    """The tree of the first set that has two leaves or more, for a figure; None where none has.

    Args:
        title: of the model.
        parts: the models, to decode.
        leaves: of each.
    """
    for part, each in zip(parts, leaves, strict=True):
        if len(each.first) > 1:
            return MergeTree(title, linkage_of(each.heights), as_bytes(part.decode(each.x0)))
    return None


def points_of(apart: Sequence[Float[ndarray, "n n"]]) -> int:
    """How many points a known tree has that stands for some sets: as many as they have, eight at least.

    Args:
        apart: `apart_of` of each.
    """
    return max(8, int(np.median([len(one) for one in apart])))


def apart_of(part: Model, leaves: Leaves) -> Float[ndarray, "n n"]:
    """The distances of what twin and tree of a set are made of: of an exact model all its pictures, since theirs are
    reached or not as those of the set were; of another the leaves."""
    return distances_of(part.atoms.cpu().numpy()) if isinstance(part, ExactModel) else leaves.final


def leaves_of_model(model: Model, levels: Levels, starts: int, seed: int, prompt: Prompt | None = None) -> Leaves:
    """The leaves on which normal starts end, by the model's own feature."""
    feature = next(iter(model.features.values()))
    return parted(model, normal_start(model, seed * starts % 2**62, starts), levels, feature, prompt)


def through_splits(points: Float[ndarray, "n d"], seed: int, levels: Levels, starts: int) -> Likeness | None:
    """Points -> exact denoiser -> heights at which their starts part -> likeness to a tree."""
    leaves = leaves_of_model(ExactModel.of_points(points), levels, starts, seed)
    return likeness_of(leaves)


def likeness_of(leaves: Leaves) -> Likeness | None:
    """The likeness of heights to those of a tree; None for fewer than four leaves."""
    if len(leaves.heights) < 4 or not leaves.heights.any():
        return None
    return likeness(leaves.heights, RESOLUTION)


def through_slice(points: Float[ndarray, "n d"], seed: int, levels: Levels, plane: Plane,
                  ridge: float) -> Likeness | None:
    """Points -> exact denoiser -> a slice -> geodesic distances of its phases -> likeness to a tree.

    `plane` gives extent and grid; its anchors are drawn anew for the points, in as many dimensions for trees as for
    their twins: both planes are normalised, as those of pictures are.
    """
    model = ExactModel.of_points(_in_dimensions(points, DIMENSION))
    own = Plane.random(model.shape, seed, extent=plane.extent, grid=plane.grid, normalise=True)
    last = levels.steps - 1
    s = slice_of(model, own, levels, features={"pixels": AtomPixels(model.unit, at=[last])})
    measured = geodesic_distances(s.surface(last), s.phases_at(last, ridge * s.yardstick()), leaves=16)
    return None if measured is None else likeness(measured[0], SHARE * measured[0].max())


def placed_on_slice(s: Slice, ridge: float, measure: Measure, seed: int) -> Placed | None:
    """Geodesic distances of a slice's phases between those of their twin and their tree, all through one chain.

    Args:
        s: the slice.
        ridge: height of a ridge, in the feature's distance.
        measure: the chain, for the twin and the tree.
        seed: of both.

    Returns:
        None for fewer than five phases, or where the twin or the tree leaves nothing to measure.
    """
    last = s.steps - 1
    found = geodesic_distances(s.surface(last), s.phases_at(last, ridge), leaves=16)
    if found is None:
        return None
    lengths, points = found
    final = s.between(s.plane.alpha[points[:, 0]], s.plane.beta[points[:, 1]]).distances[-1]
    return placed(likeness(lengths, SHARE * lengths.max()), final, measure, seed)


def compared_subjects(p: Chapter) -> list[Subject]:
    """The exact models of the further image sets, at the first model's number of steps."""
    chosen = []
    for name in p.compared:
        images = _complete(load_images(name, p.resolution)) if name == TWO_FACTORS else load_images(name, p.resolution)
        model = ExactModel.of(images, p.device)
        levels = named_levels(p.schedule, p.at("steps", p.models[0]))
        chosen.append(Subject(name, model, levels, None, model.features, images))
    return chosen


def _complete(images: ImageSet) -> ImageSet:
    """The icons of those things that are drawn in every style."""
    _, thing, count = np.unique([name.rsplit(", ", 1)[0] for name in images.names], return_inverse=True,
                                return_counts=True)
    kept = np.flatnonzero(count[thing] == len(images.groups))
    names, captions = (tuple(words[i] for i in kept) for words in (images.names, images.captions))
    return replace(images, pixels=images.pixels[kept], names=names, captions=captions, family=images.family[kept],
                   group=images.group[kept])


def said(one: Estimate | None) -> str:
    """An estimate in a note, or that there is none."""
    return str(one) if one else "nothing to measure"


def strips_of(title: str, s: Slice, pairs: Float[ndarray, "pair 2 2"] | None, count: int) -> list[PairStrip]:
    """Nearby points of a slice, their predictions and distances, for a figure.

    Args:
        title: of the model.
        s: the slice.
        pairs: (alpha, beta) of both points of each; None for those across the largest jumps.
        count: of pairs, where none are given.
    """
    pairs = nearby_pairs(s, count) if pairs is None else pairs
    shown, noise = sorted({round(k) for k in np.linspace(0, s.steps - 1, 11)}), s.levels.heights
    strips = []
    for (a, b), (c, d) in pairs:                # pair by pair: nobody asks for the distances of points of two
        near = s.between(np.array([a, c]), np.array([b, d]))
        apart = near.distances[:, 0, 1]
        height = split_levels(apart[None], noise, final_half(apart[None]))[0]
        pictures = np.stack([as_bytes(s.model.decode(near.x0[step])) for step in shown])
        words = f"{title}: ({a:.2f}, {b:.2f}) and ({c:.2f}, {d:.2f})".replace("(-", "(−").replace(" -", " −")
        split = noise[-1] * np.exp(height)
        strips.append(PairStrip(words, pictures, shown, apart, s.levels.sigma_over_alpha, split, "rms"))
    return strips
