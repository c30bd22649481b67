"""What the chapter on edits is asked for, checked before anything is computed, and how its models are set to work."""

import os
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field, model_validator

from phasebook.edits.editing import Edits
from phasebook.edits.judges import Judge
from phasebook.edits.pairs import pick_pairs
from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import ImageSet, load_images, read_picture
from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.family import check_length
from phasebook.models.pipelines.loading import tokenizer_of
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.models.pipelines.vocabulary import picture_size, unknown_word
from phasebook.models.towers.clip import ClipFeatures
from phasebook.models.towers.vision import has_no_words
from phasebook.sampling.features import Normalised, OfPixels
from phasebook.sampling.protocols import Embedding, Frame, Prompt, State
from phasebook.sampling.samplers import Resumed
from phasebook.site.checks.memory import named
from phasebook.site.checks.models import EXACT, ModelParameters, PerModel, Seed, Subject, small_pictures
from phasebook.site.checks.parameters import Finite, Positive
from phasebook.site.figures.edits import EditRow, Panel
from phasebook.slices.measures.splits import split_steps
from phasebook.slices.plane import Plane, load_anchors, seeded_anchors

__all__ = ["Chapter", "edit_rows", "generic_prompt", "judge_for", "needs_panels", "pair_rows", "with_source"]

Edit = Annotated[list[str], Field(min_length=2, max_length=2)]
Guidance = Annotated[float, Field(ge=0, le=10_000)]
Count = Annotated[int, Field(ge=0, le=2000)]
Place = Annotated[Finite, Field(ge=-1e6, le=1e6)]
SHOWN = 10              # columns of pictures
RESUMED = 16            # copies of what is resumed that live at a time: states, clean ones, log-priors, what is kept
INVERTED = 5            # states of each step: source and target on their ways back, what is read there, what is edited
JUDGED = 6              # copies of the pictures of one k: decoded, flat, in a judge's coordinates


class Chapter(ModelParameters):
    """The edits, how they are made, and how many."""

    network_set: str
    edits: Annotated[list[Edit], Field(min_length=1, max_length=40)]
    source_image: str
    points: list[Annotated[list[Place], Field(min_length=2, max_length=2)]]
    anchors: str
    anchors_seed: Seed
    k_values: list[int | list[int]]
    guidance: PerModel(Guidance)
    source_guidance: PerModel(Guidance)
    inversion_guidance: Guidance
    log_prior: Annotated[Positive, Field(le=1000)]
    eta: Annotated[float, Field(ge=0, le=1)]
    iterations: PerModel(Annotated[int, Field(ge=0, le=200)])
    tolerance: PerModel(Positive)
    pairs: PerModel(Count)
    neighbours: PerModel(Count)
    nearness: PerModel(Annotated[float, Field(gt=0, le=1)])
    halvings: PerModel(Annotated[int, Field(ge=0, le=20)])
    trips: Annotated[int, Field(ge=2, le=1000)]
    seed: Seed

    @model_validator(mode="after")
    def _usable(self):
        _check_words(self.edits)
        if self.trained and has_no_words(self.judge):
            raise ValueError(f"judge = {self.judge!r}: a vision model has no words; takes an open_clip model")
        lists = sum(isinstance(entry, list) for entry in self.k_values)
        if lists > len(self.models) or lists not in (0, len(self.k_values)):
            raise ValueError(f"k_values = {self.k_values}: takes one list of steps, or one for each of "
                             f"{len(self.models)} models")
        for name in self.models:
            self._check_steps(name)
        if EXACT in self.models:
            self._check_exact()
        for name in self.trained:
            _check_vocabulary(name, [*_labelled(self.edits), ("prompt", self.prompt),
                                     ("negative_prompt", self.negative_prompt)])
            if (outline := PipelineModel.check(name, self.variant or None, "models")) is not None:
                outline.family.check_words(outline.pipe, **dict(_labelled(self.edits)))
            if (tokenizer := tokenizer_of(name)) is not None:
                for label, text in _labelled(self.edits):
                    check_length(tokenizer, **{label: text})
        for name in self.models:
            self._check_pairs(name, self.pictures(name, small=True))
        self._check_points()
        if self.source_image:
            read_picture(self.source_image, f"source_image = {self.source_image!r}", self._sizes())
        return self

    def pictures(self, name: str, small: bool = False) -> ImageSet:
        """The pictures that edits of one model are drawn from and judged by: an exact model's own, or those of things
        that networks know; small ones tell their numbers and names."""
        families = self.families or None
        own, chosen = ("image_set", self.image_set) if name == EXACT else ("network_set", self.network_set)
        if small:
            return small_pictures(chosen, families, own)
        return load_images(chosen, self.resolution, families, own)

    def k_at(self, name: str) -> list[int]:
        """The steps at which one model resumes; all of its own where none are given."""
        nested = any(isinstance(entry, list) for entry in self.k_values)
        chosen = self.at("k_values", name) if nested else self.k_values
        return chosen or list(range(self.at("steps", name)))

    @property
    def few(self) -> int:
        """Of `trips` where each is dear, of a network, or many would say no more, at first order."""
        return min(12, self.trips)

    def sampling(self, name: str) -> dict[str, Any]:
        """How one model edits, as `edit` takes it."""
        return {"guidance": self.at("guidance", name), "negative": "" if name == EXACT else self.negative_prompt,
                "eta": self.eta, "seed": self.seed, "iterations": self.at("iterations", name),
                "tolerance": self.at("tolerance", name)}

    def making(self, name: str) -> dict[str, Any]:
        """How one model makes sources and targets, as `make` takes it."""
        return {"guidance": self.at("source_guidance", name), "negative": "" if name == EXACT else self.negative_prompt}

    def start_points(self, subject: Subject) -> State | None:
        """Where the sources of the edits that are shown start: points of a slice, or None for starts of their own."""
        if not self.points:
            return None
        shape = tuple(subject.model.shape)
        anchors = load_anchors(self.anchors, shape) if self.anchors else seeded_anchors(shape, self.anchors_seed)
        alpha, beta = np.array(self.points).T
        return subject.model.start(Plane(anchors).latents(alpha, beta))

    def _check_steps(self, name: str) -> None:
        steps, k = self.at("steps", name), self.k_at(name)
        if any(not 0 <= value < steps for value in k) or sorted(set(k)) != list(k):
            raise ValueError(f"k_values = {k}: takes rising steps from 0 to {steps - 1} (steps - 1)")

    def _check_pairs(self, name: str, images: ImageSet) -> None:
        """Whether the pictures have as many pairs."""
        if count := self.at("pairs", name):
            pick_pairs(images.pixels, images.names, images.family, count, self.seed)

    def memory(self) -> dict[str, float]:
        """See `Parameters`: the edits of each model."""
        parts = super().memory()
        for name in self.models:
            pairs, steps, neighbours = (self.at(key, name) for key in ("pairs", "steps", "neighbours"))
            part = named(models=name, pairs=pairs, neighbours=neighbours, trips=self.trips, steps=steps)
            parts[part] = self._bytes_of_edits(name)
        return parts

    def _bytes_of_edits(self, name: str) -> float:
        picture = 0 if name == EXACT else 3 * (_size_of(name) or 512)**2
        state = 2 * len(self.pictures(name, small=True)) if name == EXACT else picture // 48
        wide, k, steps = 2 if name == EXACT else 1, len(self.k_at(name)), self.at("steps", name)    # 2: in float64
        inverted, most, kept = INVERTED * wide, 0.0, 0.0
        for count in (len(self.edits), self.at("pairs", name), self.at("neighbours", name)):        # all are kept
            most = max(most, kept + count * (state * (RESUMED * k + inverted * steps) + JUDGED * picture))
            kept += count * state * wide * (k + steps)
        trips = self.trips if name == EXACT else self.few       # these resume at every step
        return 4.0 * max(most, trips * state * (RESUMED + inverted) * steps)

    def _check_exact(self) -> None:
        model = ExactModel.of(small_pictures(self.image_set, self.families or None))
        for label, text in _labelled(self.edits):
            try:
                model.prompt(text)
            except ValueError as error:
                raise ValueError(f"{label}{str(error).removeprefix('prompt')}") from None

    def _check_points(self) -> None:
        if self.points and len(self.points) != len(self.edits):
            raise ValueError(f"points = {self.points}: takes one (alpha, beta) for each of {len(self.edits)} edits")
        if self.points and self.anchors:
            if not os.path.isfile(os.path.expanduser(self.anchors)):
                raise ValueError(f"anchors = {self.anchors!r}: no such file; takes a .npy file")
            if EXACT in self.models:
                load_anchors(self.anchors, (3, self.resolution, self.resolution))

    def _sizes(self) -> list[int]:
        """Pixels on a side of the models' pictures; [] where one is not known before it is loaded."""
        sizes = [_size_of(name) for name in self.trained]
        own = [self.resolution] if EXACT in self.models else []
        return [] if None in sizes else own + sizes


def _size_of(name: str) -> int | None:
    """Pixels on a side of a model's pictures, where its directory says so."""
    folder = known_directory(name)
    return picture_size(folder) if folder else None


def _labelled(edits: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Each text of the edits with the name that a refusal gives it."""
    return [(f"edits[{i}]", text) for i, pair in enumerate(edits) for text in pair]


def _check_words(edits: Sequence[Sequence[str]]) -> None:
    for i, (source, target) in enumerate(edits):
        if not source.strip() or not target.strip():
            raise ValueError(f"edits[{i}] = {[source, target]}: an empty text; takes words (the generic prompt of the "
                             "inversion is the parameter prompt)")
        if source.strip().casefold() == target.strip().casefold():
            raise ValueError(f"edits[{i}] = {[source, target]}: the target is the source; takes another one")


def _check_vocabulary(model: str, texts: Sequence[tuple[str, str]]) -> None:
    """ValueError for a word that the tokenizer of a model in a directory has no tokens for."""
    folder = known_directory(model)
    for label, text in texts if folder else ():
        if word := unknown_word(folder, text):
            raise ValueError(f"{label} = {text!r}: the word {word!r} is not in the vocabulary of {model}; takes words "
                             "of the letters it knows")


def generic_prompt(subject: Subject, p: Chapter) -> Prompt | None:
    """What inversions are asked under: the plain distribution of the exact model, the generic prompt of a network."""
    if subject.name == EXACT:
        return None
    return subject.model.prompt(p.prompt, p.inversion_guidance, p.negative_prompt)


def judge_for(subject: Subject, images: ImageSet, clip: ClipFeatures | None) -> Judge:
    """Pixels for the exact model, CLIP features of norm one and words for a network; both know the data's pictures."""
    if subject.name == EXACT:
        gram = subject.model.gram
        atoms = torch.cat([gram, torch.eye(len(gram)).to(gram)], 1)
        feature = subject.model.features["pixels"]
        return Judge(feature, subject.model.names, feature(Frame(subject.model, subject.levels.steps - 1, atoms)))
    feature = Normalised(OfPixels(clip))
    pixels = torch.as_tensor(images.pixels).movedim(-1, 1)
    known = torch.nn.functional.normalize(clip(pixels), dim=-1)
    return Judge(feature, images.names, Embedding(known, known), clip)


def with_source(made: Resumed, subject: Subject, path: str, generic: Prompt | None, seed: int) -> Resumed:
    """Made pictures with the first source replaced by the picture in a file, where its size is the model's.

    The exact model knows its own pictures alone: any other is taken for one of them.
    """
    if not path:
        return made
    model, last = subject.model, subject.levels.steps - 1
    pixels = torch.as_tensor(read_picture(path, f"source_image = {path!r}")).movedim(-1, 0)[None]
    if pixels.shape != model.decode(made.x0[:1]).shape:
        return made
    state = model.encode(pixels, subject.levels, seed) if subject.name == EXACT else model.encode(pixels)
    reading = model.predict(state, subject.levels, last, generic).x0
    return Resumed(torch.cat([state.to(made.x), made.x[1:]]), torch.cat([reading, made.x0[1:]]))


def edit_rows(edits: Edits, subject: Subject) -> tuple[list[EditRow], list[int]]:
    """The rows of a figure of edits, and the steps of its columns: every k* that fits, the others evenly spread."""
    k_values = edits.k_values.tolist()
    spread = [k_values[round(i)] for i in np.linspace(0, len(k_values) - 1, SHOWN)]
    stars = sorted({int(k) for k in edits.k_star if k >= 0})[:SHOWN]
    further = [k for k in dict.fromkeys([spread[0], spread[-1], *spread[1::2], *spread[::2]]) if k not in stars]
    k_shown = sorted([*stars, *further[:SHOWN - len(stars)]])
    columns = [k_values.index(k) for k in k_shown]
    rows = []
    for i, star in enumerate(edits.k_star):
        x0 = torch.cat([edits.source[i:i + 1], edits.pictures[i, columns], edits.target[i:i + 1]])
        first, *between, last = _pixels(subject.model.decode(x0))
        place = k_shown.index(star) if star in k_shown else None
        rows.append(EditRow(edits.pairs.source[i], edits.pairs.target[i], first, np.stack(between), last, place))
    return rows, k_shown


def _pixels(pictures: torch.Tensor) -> Float[ndarray, "p y x 3"]:
    return pictures.movedim(1, -1).float().cpu().numpy()


def pair_rows(edits: Edits) -> list[dict[str, Any]]:
    """One row a pair, for the ledger: `k_star` is null where no k succeeds."""
    split, k = split_steps(edits.parting), edits.k_star
    rows = []
    for i in range(len(edits.pairs)):
        rows.append({
            "source": edits.pairs.source[i], "target": edits.pairs.target[i], "level": edits.pairs.level[i],
            "k_star": int(k[i]) if k[i] >= 0 else None, "split_step": int(split[i]),
            "distance": round(float(edits.distance[i]), 4),
        })
    return rows


def needs_panels(edits: Edits, title: str) -> list[Panel]:
    """Two panels: k* of all pairs, -1 where no step succeeds, against their split steps and against the distances of
    their pictures."""
    axes = {"split step": split_steps(edits.parting), "distance (rms per entry)": edits.distance}
    return [Panel(title, name, x, "k*", edits.k_star, edits.pairs.level, edits.pairs.titles)
            for name, x in axes.items()]
