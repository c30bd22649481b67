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

from phasebook.models.clip import ClipFeatures, check_feature
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
from phasebook.models.towers import Tower, begun, column

__all__ = ["VisionFeatures", "check_features", "has_no_words", "load_features"]

INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}          # Pillow's numbers for them
LEAST, LARGEST = 1e-6, 1e6      # of a deviation, and of any number by which pictures are scaled
Fit = tuple[int | None, tuple[int, int], str]           # shorter side, size, interpolation


@dataclass(frozen=True, eq=False, kw_only=True)
class VisionFeatures(Tower):
    """A vision model of transformers. Build it with `VisionFeatures.load`.

    Attributes:
        shorter: what the shorter side is resized to before the middle is cut out; None where pictures are squashed.
    """

    shorter: int | None

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
        """The shorter side is resized and the middle cut out; or pictures are squashed."""
        if not self.shorter:
            return self.size, (0, 0)
        target = (int(y * self.shorter / min(y, x)), int(x * self.shorter / min(y, x)))
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
    (shorter, size, interpolation), mean, std = _preprocessing(label, folder)
    with quiet(), staged_vision(label, folder) as (clean, kind):
        model = _outlined(label, clean, kind)
        if device != "meta":
            model = _loaded(label, clean, kind, dtype).to(device)
    features = VisionFeatures(model=model.requires_grad_(False).eval(), shorter=shorter, size=size,
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


def _preprocessing(label: str, folder: Path) -> tuple[Fit, list[float], list[float]]:
    """How pictures are fitted, and their mean and standard deviation. ValueError, one line, for what is not known."""
    values = read_config(label, folder / "preprocessor_config.json", "vision model's preprocessing")
    mean, std = values.get("image_mean"), values.get("image_std")
    threes = all(isinstance(part, list) and len(part) == 3 for part in (mean, std))
    if not threes or not all(isinstance(x, int | float) and abs(x) <= LARGEST for x in mean + std) or min(std) < LEAST:
        raise ValueError(f"{label}: preprocessor_config.json has no image_mean and image_std of three numbers")
    place = values.get("resample", 2)
    kind = INTERPOLATIONS.get(place) if isinstance(place, int) else None
    if kind is None:
        raise ValueError(f"{label}: resample = {values['resample']!r}; takes 2 (bilinear) or 3 (bicubic)")
    size, crop = _sides(values.get("size")), _sides(values.get("crop_size")) if values.get("do_center_crop") else None
    if size is None or (size[1] is None and crop is None):
        raise ValueError(f"{label}: size = {values.get('size')!r}; takes height and width, or shortest_edge with a "
                         "crop_size")
    shorter = size[0] if size[1] is None else None
    if crop and crop[1] is None:
        raise ValueError(f"{label}: crop_size = {values['crop_size']!r}; takes height and width")
    if crop and shorter and max(crop) > shorter:
        raise ValueError(f"{label}: crop_size = {values['crop_size']!r}: larger than the picture")
    return (shorter, crop if shorter else size, kind), mean, std


def _sides(size) -> tuple[int, int | None] | None:
    """(height, width), (shortest edge, None), or None for neither."""
    if isinstance(size, int) and not isinstance(size, bool):
        size = {"height": size, "width": size}
    named = size if isinstance(size, dict) else {}
    sides = (named.get("height", named.get("shortest_edge")), named.get("width"))
    given = [n for n in sides if n is not None]
    return sides if given and all(type(n) is int and 0 < n <= 4096 for n in given) else None     # True is no side
