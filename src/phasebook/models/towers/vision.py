"""Features of pictures by a vision model of transformers in a local directory: CLIP's tower, ViT, DINOv2, SigLIP, ...

`f(picture)` is what the model says of a whole picture: its projection or pooled output where it has one, else the mean
of its last hidden states. Pictures are fitted as the directory's `preprocessor_config.json` says. Only safetensors are
read, and of the configuration only what the model's own configuration knows (`pipelines.staging`).
"""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from phasebook.arguments import brief, number
from phasebook.models.pipelines.checkpoints import (
    SOON_READ,
    cause,
    check_complete,
    check_weights,
    known_directory,
    own_memory,
    quiet,
)
from phasebook.models.pipelines.outlines import outline
from phasebook.models.pipelines.staging import read_config, staged_vision, weight_files
from phasebook.models.towers.clip import ClipFeatures, check_feature
from phasebook.models.towers.tower import Tower, begun, column

__all__ = ["VisionFeatures", "check_features", "has_no_words", "load_features"]

INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}          # Pillow's numbers for them
LEAST, LARGEST = 1e-6, 1e6      # of a deviation, and of any number by which pictures are scaled
WARPED = 384                    # shorter side from which ConvNeXT's preprocessing cuts nothing off
Sides = int | tuple[int, int]   # the shorter one, or (y, x)


@dataclass(frozen=True, eq=False, kw_only=True)
class VisionFeatures(Tower):
    """A vision model of transformers. Build it with `VisionFeatures.load`.

    Attributes:
        resized: what pictures are resized to before the middle is cut out: their shorter side, or (y, x).
    """

    resized: Sides

    @classmethod
    def load(cls, name: str | Path, *, normalise: bool = False, device: str = "cpu", dtype: str = "float32",
             batch: int = 64) -> "VisionFeatures":
        """The model in a directory.

        Args:
            name: a directory with `config.json`, `preprocessor_config.json` and safetensors.
            normalise: scale features to length one.
            device: 'cpu' or 'cuda'.
            dtype: 'float32', 'bfloat16' or 'float16'.
            batch: pictures at a time.

        Returns:
            The model, in evaluation mode.

        Raises:
            ValueError: one line, for a directory that holds no such model, names code, or lacks weights.
        """
        label, folder = begun(name, device, dtype)
        if folder is None:
            raise ValueError(f"{label}: no such directory; takes one of a vision model of transformers")
        return _features(label, folder, device, dtype, name=str(name), normalise=normalise, batch=batch)

    def fit(self, y: int, x: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """The shorter side is resized, or pictures are squashed; and the middle is cut out."""
        target = self.resized
        if isinstance(target, int):
            target = (int(y * target / min(y, x)), int(x * target / min(y, x)))
        return target, ((target[0] - self.size[0]) // 2, (target[1] - self.size[1]) // 2)

    def embed(self, pixels: Float[Tensor, "n 3 y x"]) -> Float[Tensor, "n d"]:
        """Features of one batch of pixels in [0, 1]; differentiable."""
        said = self.model(pixel_values=self.prepare(pixels))
        whole = getattr(said, "image_embeds", None)
        whole = getattr(said, "pooler_output", None) if whole is None else whole
        if whole is None:
            last = said.last_hidden_state           # (n, token, d), or (n, d, y, x) of a convolutional one
            whole = last.mean(1) if last.ndim == 3 else last.mean((2, 3))
        whole = whole.flatten(1)
        return F.normalize(whole, dim=-1) if self.normalise else whole


def has_no_words(name: str | Path) -> bool:
    """Whether a name means a directory with a vision model of transformers, not one of open_clip."""
    folder = known_directory(name)
    if folder is None or (folder / "open_clip_config.json").is_file():
        return False
    return (folder / "config.json").is_file()


def check_features(name: str | Path, pretrained: str | None = None, parameter: str = "features") -> None:
    """ValueError unless `load_features` has something whole to load.

    A small vision model is loaded for it, and one picture goes through; of a large one, shapes alone.
    """
    if not has_no_words(name):
        return check_feature(name, pretrained, parameter)
    label, folder = f"{parameter} = {str(name)!r}", known_directory(name)
    small = sum(file.stat().st_size for file in weight_files(folder, "model", None)) <= SOON_READ
    _features(label, folder, "cpu" if small else "meta", "float32", name=str(name), normalise=False, batch=1)


def load_features(name: str | Path, pretrained: str | None = None, **options) -> Tower:
    """An open_clip model by directory or name, or a vision model of transformers in a directory.

    Args:
        name: see `ClipFeatures.load` and `VisionFeatures.load`.
        pretrained: of a name.
        **options: of either: `normalise`, `device`, `dtype`, `batch`.

    Returns:
        The model, as a function of pixels.
    """
    if has_no_words(name):
        return VisionFeatures.load(name, **options)
    return ClipFeatures.load(name, pretrained, **options)


def _features(label: str, folder: Path, device: str, dtype: str, **options) -> VisionFeatures:
    """The model of a directory, of which one picture has features; on device `meta`, its shapes alone."""
    values = read_config(label, folder / "preprocessor_config.json", "vision model's preprocessing")
    mean, std = _colours(label, values)
    interpolation = _interpolation(label, values)
    resized, size = _fit(label, values)
    with quiet(), staged_vision(label, folder) as (clean, kind):
        model = _outlined(label, clean, kind)
        if device != "meta":
            model = _loaded(label, clean, kind, dtype).to(device)
    features = VisionFeatures(model=model.requires_grad_(False).eval(), resized=resized, size=size,
                              mean=column(mean, device), std=column(std, device), interpolation=interpolation,
                              **options)
    _check_answer(label, features)
    return features


def _outlined(label: str, clean: Path, kind: type) -> torch.nn.Module:
    """The model's shapes, on device `meta`."""
    files = weight_files(clean, "model", None)
    if not files:
        raise ValueError(f"{label}: has no weights model.safetensors; pickled weights are never read")
    check_weights(label, [f for f in files if f.suffix == ".safetensors"])
    try:
        return outline(kind, clean)
    except Exception as error:  # a geometry that is none makes transformers raise some six kinds
        raise ValueError(f"{label}: transformers cannot load it ({cause(error)})") from None


def _loaded(label: str, clean: Path, kind: type, dtype: str) -> torch.nn.Module:
    """The model with its weights: every one that it has, and of its files no layers left over."""
    try:
        model, said = kind.from_pretrained(clean, dtype=getattr(torch, dtype), local_files_only=True,
                                           use_safetensors=True, output_loading_info=True,
                                           ignore_mismatched_sizes=True)     # they are named here
    except Exception as error:  # as above
        raise ValueError(f"{label}: transformers cannot load it ({cause(error)})") from None
    if said["mismatched_keys"]:
        key, theirs, ours = min(said["mismatched_keys"])
        raise ValueError(f"{label}: {key} has the shape {list(theirs)}, and {list(ours)} in config.json")
    own_memory(model)
    check_complete(label, "the model", model, said["missing_keys"])
    layers = {name: len(part) for name, part in model.named_modules() if isinstance(part, torch.nn.ModuleList)}
    for key in sorted(said["unexpected_keys"]):         # heads, tables and other towers may be left over
        if any(layers.get(key[:at.start()], int(at[1]) + 1) <= int(at[1]) for at in re.finditer(r"\.(\d+)\.", key)):
            raise ValueError(f"{label}: {key} is in its weights, and config.json has fewer layers")
    return model


def _check_answer(label: str, features: VisionFeatures) -> None:
    """ValueError unless one picture has features, and these are finite."""
    y, x = features.size
    try:
        with torch.no_grad():
            said = features.embed(torch.zeros(1, 3, y, x, device=features.mean.device, dtype=features.dtype))
    except Exception as error:  # as above
        raise ValueError(f"{label}: a picture of {y} x {x} does not go through it ({cause(error)})") from None
    if said.ndim != 2 or len(said) != 1 or not said.numel():
        raise ValueError(f"{label}: gives features of shape {tuple(said.shape)} for a picture; takes (1, d)")
    if not said.is_meta and not bool(said.isfinite().all()):
        raise ValueError(f"{label}: gives features that are not finite")


def _switch(label: str, values: dict, key: str, usual: bool) -> bool:
    said = usual if values.get(key) is None else values[key]
    if not isinstance(said, bool):
        raise ValueError(f"{label}: {key} = {brief(said)}; takes true or false")
    return said


def _colours(label: str, values: dict) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of colours in [0, 1]; libraries take them of 0 to 255 times `rescale_factor`."""
    scale = 255.0
    if _switch(label, values, "do_rescale", True):
        scale *= number(f"{label}: rescale_factor", values.get("rescale_factor", 1 / 255),
                        f"a number from {LEAST} to {LARGEST:.0e}", LEAST, LARGEST)
    mean, std = values.get("image_mean"), values.get("image_std")
    if not _switch(label, values, "do_normalize", True):
        mean, std = [0.0] * 3, [1.0] * 3
    threes = all(isinstance(part, list) and len(part) == 3 for part in (mean, std))
    if not threes or not all(isinstance(x, int | float) and abs(x) <= LARGEST for x in mean + std) or min(std) < LEAST:
        raise ValueError(f"{label}: preprocessor_config.json has no image_mean and image_std of three numbers")
    return [x / scale for x in mean], [x / scale for x in std]


def _interpolation(label: str, values: dict) -> str:
    place = values.get("resample", 2)
    kind = INTERPOLATIONS.get(place) if isinstance(place, int) else None
    if kind is None:
        raise ValueError(f"{label}: resample = {brief(place)}; takes 2 (bilinear) or 3 (bicubic)")
    return kind


def _fit(label: str, values: dict) -> tuple[Sides, tuple[int, int]]:
    """What pictures are resized to, and the size that is cut out of their middle."""
    shorter, both = _shorter(values.get("size")), _both(values.get("size"))
    crops = _switch(label, values, "do_center_crop", False)
    named = str(values.get("image_processor_type") or values.get("feature_extractor_type") or "ConvNext")
    part = values.get("crop_pct") if named.startswith("ConvNext") else None     # others do not read it
    if not _switch(label, values, "do_resize", True):
        raise ValueError(f"{label}: do_resize = False; takes true")
    if part is not None:
        part = number(f"{label}: crop_pct", part, "a number from 0.1 to 1", 0.1, 1)
        if shorter is None or crops:
            raise ValueError(f"{label}: crop_pct = {part}; takes a size with shortest_edge, and no do_center_crop")
        return int(shorter / part) if shorter < WARPED else (shorter, shorter), (shorter, shorter)
    resized = shorter or both if crops else both        # a whole number is the shorter side where something is cut off
    if resized is None:
        raise ValueError(f"{label}: size = {brief(values.get('size'))}; takes height and width, or shortest_edge with "
                         "a crop_size")
    if not crops:
        return both, both
    crop, (y, x) = _both(values.get("crop_size")), both or (shorter, shorter)
    if crop is None:
        raise ValueError(f"{label}: crop_size = {brief(values.get('crop_size'))}; takes height and width")
    if crop[0] > y or crop[1] > x:
        raise ValueError(f"{label}: crop_size = {brief(values['crop_size'])}: larger than the picture")
    return resized, crop


def _shorter(size: object) -> int | None:
    if isinstance(size, dict):
        size = None if size.get("longest_edge") else size.get("shortest_edge")
    return _side(size)


def _both(size: object) -> tuple[int, int] | None:
    sides = [_side(size.get(key) if isinstance(size, dict) else size) for key in ("height", "width")]
    return None if None in sides else (sides[0], sides[1])


def _side(n: object) -> int | None:
    return n if type(n) is int and 0 < n <= 4096 else None      # True is no side
