"""The models that a chapter runs on, side by side: `exact`, directories of pipelines, hub ids."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_origin

import torch
from pydantic import AfterValidator, Field, model_validator

from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import IMAGE_SETS, RESOLUTIONS, ImageSet, load_images
from phasebook.models.pipelines.checkpoints import cause, check_device, known_directory
from phasebook.models.pipelines.family import check_length
from phasebook.models.pipelines.loading import check_available, noise_at, tokenizer_of
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.models.pipelines.vae import encoded
from phasebook.models.towers.tower import Tower
from phasebook.models.towers.vision import check_features, load_features
from phasebook.sampling.features import Normalised, OfPixels
from phasebook.sampling.levels import Levels, named_levels
from phasebook.sampling.protocols import Feature, Model, Prompt
from phasebook.site.checks.memory import DECODED, LATENT, NUMBER, SIDE, bytes_of_exact, named
from phasebook.site.checks.parameters import Parameters, Seed
from phasebook.site.results.ledger import slug

__all__ = ["Device", "ModelParameters", "PerModel", "Seed", "Steps", "Subject", "check_latents",
           "check_pictures", "check_trained", "entries_of", "judge_of", "memory_of_network", "memory_of_pictures",
           "small_pictures", "subjects", "trained_subject"]

Device = Annotated[str, AfterValidator(check_device)]
Steps = Annotated[int, Field(ge=2, le=500)]
EXACT = "exact"
SMALL = RESOLUTIONS[0]


def PerModel(kind: Any) -> Any:
    """One value for all models, or a list with one for each; the last one holds for all further models."""
    return kind | Annotated[list[kind], Field(min_length=1)]


class ModelParameters(Parameters):
    """Which models, and what they are asked for. Lists give each model its own value, all further ones the last."""

    models: Annotated[list[str], Field(min_length=1, max_length=6)]
    image_set: str
    families: list[str]
    resolution: Annotated[int, Field(ge=8, le=256)]
    schedule: Literal["scaled_linear", "log_snr"]
    steps: PerModel(Steps)
    revision: str
    variant: str
    dtype: Literal["float32", "bfloat16", "float16"]
    device: Device
    batch: Annotated[int, Field(ge=1, le=4096)]
    prompt: str
    negative_prompt: str
    guidance: Annotated[float, Field(ge=0, le=100)]
    judge: str
    pretrained: str

    @model_validator(mode="after")
    def _models(self):
        called = [slug(name) for name in self.models]
        if len(set(called)) < len(called):
            raise ValueError(f"models = {self.models}: two are called {max(called, key=called.count)!r} in figures and "
                             "claims; takes each model once, and directories whose last names differ")
        for name, field in type(self).model_fields.items():
            value, either = getattr(self, name), get_origin(field.annotation) in (Union, UnionType)
            if either and isinstance(value, list) and len(value) > len(self.models):
                raise ValueError(f"{name} = {value}: takes one value, or one for each of {len(self.models)} models")
        if EXACT in self.models:
            check_pictures(self.image_set, self.resolution, self.families or None)
        else:
            small_pictures(self.image_set, self.families or None)
        if self.revision and all(known_directory(name) for name in self.trained):
            raise ValueError(f"revision = {self.revision!r}: of a hub id, and models = {self.models} has none; takes "
                             "''")
        for name in self.trained:
            check_trained(name, "models", self.at("steps", name), self.revision, self.variant, prompt=self.prompt,
                          negative_prompt=self.negative_prompt)
        self._check_judge()
        return self

    def memory(self) -> dict[str, float]:
        """See `Parameters`: the exact model, and what networks have at hand while a batch goes through them."""
        parts = {}
        if EXACT in self.models:
            parts |= memory_of_pictures(self.image_set, self.resolution, self.families or None)
        for name in self.trained:
            parts |= memory_of_network(name, self.variant, self.dtype)
        if self.trained and self.device == "cpu":
            parts[named(batch=self.batch)] = self.batch * max(_decoded(name, self.variant) for name in self.trained)
        return parts

    def _check_judge(self) -> None:
        if self.pretrained and not (self.trained and self.judge):
            raise ValueError(f"pretrained = {self.pretrained!r}: no judge is used here; takes ''")
        if self.trained and self.judge:
            check_features(self.judge, self.pretrained or None, "judge")

    @property
    def trained(self) -> list[str]:
        """All but the exact one."""
        return [name for name in self.models if name != EXACT]

    def at(self, name: str, model: str) -> Any:
        """The value of a parameter for one model."""
        value = getattr(self, name)
        return value[min(self.models.index(model), len(value) - 1)] if isinstance(value, list) else value


def check_trained(name: str, parameter: str, steps: int, revision: str = "", variant: str = "", **words: str) -> None:
    """ValueError, one line, for a trained model that is not there, has no levels for so many steps, or cannot be told
    these words.

    Args:
        name: a directory or hub id.
        parameter: that named it.
        steps: of the sampler.
        revision: of a hub id.
        variant: of the weights' files.
        words: texts by the parameters they come from.
    """
    check_available(name, revision or None, variant or None, parameter)
    if (tokenizer := tokenizer_of(name)) is not None:
        check_length(tokenizer, **words)
    if (noise := noise_at(name)) is not None:
        try:
            noise.levels(steps, name)
        except (ValueError, IndexError, TypeError, ArithmeticError) as error:
            raise ValueError(f"steps = {steps}: {parameter} = {name!r} has no such levels ({cause(error)})") from None
    if (outline := PipelineModel.check(name, variant or None, parameter)) is not None:
        outline.family.check_words(outline.pipe, **words)


def check_latents(name: str, variant: str, side: int, parameter: str, value: object) -> None:
    """ValueError, one line, where a network in a local directory has other latents than its own autoencoder gives of
    square pictures.

    Args:
        name: of the model.
        variant: of the weights' files.
        side: of the pictures, in pixels.
        parameter: that asks for these pictures.
        value: of it.
    """
    model = PipelineModel.check(name, variant or None, "models")
    if model is None:
        return
    label = f"{parameter} = {value!r}"
    if model.encoder is None:
        raise ValueError(f"{label}: {name} is a network of pixels; takes one of latents")
    with torch.no_grad():
        shape = tuple(encoded(model.encoder, torch.zeros(1, 3, side, side, device="meta")).shape[1:])
    if shape != tuple(model.shape):
        raise ValueError(f"{label}: these pictures have latents of shape {shape} in {name}, whose own are "
                         f"{tuple(model.shape)}; takes what the network was trained on")


def memory_of_pictures(name: str, resolution: int = 64, families: list[str] | None = None,
                       parameter: str = "image_set", models: int = 1, double: bool = False) -> dict[str, float]:
    """The part of exact models of an image set in what a run keeps in memory; see `memory.bytes_of_exact`."""
    count = len(small_pictures(name, families))
    part = named(**{parameter: repr(name), "resolution": f"{resolution} ({count} pictures)"})
    return {part: bytes_of_exact(count, resolution, models, double)}


def memory_of_network(name: str, variant: str = "", dtype: str = "float32", parameter: str = "models",
                      ) -> dict[str, float]:
    """The part of a pipeline's weights, with the file that they are read from; none for a hub id."""
    outline = PipelineModel.check(name, variant or None, parameter)
    if outline is None:
        return {}
    numbers = sum(w.numel() for part in outline.family.modules(outline.pipe) for w in part.state_dict().values())
    return {named(**{parameter: repr(name), "dtype": dtype}): numbers * (getattr(torch, dtype).itemsize + NUMBER)}


def entries_of(name: str, variant: str = "", parameter: str = "models") -> int:
    """Numbers of a latent of a pipeline; LATENT for a hub id that is not here."""
    outline = PipelineModel.check(name, variant or None, parameter)
    return LATENT if outline is None else math.prod(outline.shape)


def _decoded(name: str, variant: str) -> float:
    """Bytes of a latent of a pipeline's size while a network as wide as the shipped ones decodes it."""
    outline = PipelineModel.check(name, variant or None, "models")
    plane = SIDE**2 if outline is None else outline.shape[1] * outline.shape[2]
    return DECODED * max(1.0, plane / SIDE**2)


def small_pictures(name: str, families: list[str] | None = None, parameter: str = "image_set") -> ImageSet:
    """An image set at 8 x 8 pixels, for its numbers and names; those that are shipped are read once."""
    if name in IMAGE_SETS:
        return _shipped(name, families and tuple(families))
    return load_images(name, SMALL, families, parameter)


@lru_cache
def _shipped(name: str, families: tuple[str, ...] | None) -> ImageSet:
    return load_images(name, SMALL, families and list(families))


def check_pictures(name: str, resolution: int = 64, families: list[str] | None = None,
                   parameter: str = "image_set") -> ImageSet:
    """The image set at 8 x 8 pixels. ValueError, one line, where it is none, or its pictures are all equal."""
    small = small_pictures(name, families, parameter)
    if _equal(small) and _equal(load_images(name, resolution, families, parameter)):
        raise ValueError(f"{parameter} = {name!r}: all {len(small)} pictures are equal; takes two different ones")
    return small


def _equal(images: ImageSet) -> bool:
    return bool((images.pixels == images.pixels[0]).all())


@dataclass(frozen=True, eq=False)
class Subject:
    """A model as a chapter runs it.

    Attributes:
        name: as in the parameter `models`.
        model: of the protocol.
        levels: of its sampler.
        prompt: what it is asked for; None for the exact model.
        features: by name, the first being the model's own; of a trained model also `clip`, at some steps.
        images: the data of the exact model, or None.
    """

    name: str
    model: Model
    levels: Levels
    prompt: Prompt | None
    features: Mapping[str, Feature]
    images: ImageSet | None

    @property
    def title(self) -> str:
        """For figures and tables."""
        return "exact denoiser" if self.name == EXACT else self.name.rstrip("/").rsplit("/", 1)[-1]


def judge_of(p: ModelParameters) -> Tower | None:
    """The CLIP or vision model by which pictures of trained models are judged; None where there is none."""
    return load_features(p.judge, p.pretrained or None, device=p.device) if p.trained and p.judge else None


def subjects(p: ModelParameters, judge: Tower | None = None,
             judged_at: Mapping[str, list[int]] | None = None, **exact: Any) -> list[Subject]:
    """The models of a chapter, loaded.

    Args:
        p: the chapter's parameters.
        judge: adds the features `clip` and `clip_normalised` of decoded pictures to trained models.
        judged_at: by model, the steps at which these are measured; all by default.
        exact: further arguments of `ExactModel.of`, such as `bonus`.
    """
    loaded = []
    for name in p.models:
        if name == EXACT:
            images = load_images(p.image_set, p.resolution, p.families or None, "image_set")
            model = ExactModel.of(images, p.device, **exact)
            levels = named_levels(p.schedule, p.at("steps", name))
            loaded.append(Subject(name, model, levels, None, model.features, images))
        else:
            loaded.append(trained_subject(p, name, judge, (judged_at or {}).get(name)))
    return loaded


def trained_subject(p: ModelParameters, name: str, judge: Tower | None = None, at: list[int] | None = None,
                    like: str = "") -> Subject:
    """A network, loaded.

    Args:
        p: the chapter's parameters.
        name: of a directory, or hub id.
        judge: adds the features `clip` and `clip_normalised` of decoded pictures.
        at: the steps at which these are measured; all by default.
        like: the one of the chapter's models whose steps and guidance it takes, where it is none itself.
    """
    model = PipelineModel.load(name, revision=p.revision or None, variant=p.variant or None, dtype=p.dtype,
                               device=p.device, batch=p.batch)
    features = {"latent": model.features["latent"]}
    if judge:
        features["clip"] = OfPixels(judge, at=at)
        features["clip_normalised"] = Normalised(features["clip"])
    prompt = model.prompt(p.prompt, p.at("guidance", like or name), p.negative_prompt)
    return Subject(name, model, model.levels(p.at("steps", like or name)), prompt, features, None)
