"""Features of pictures: any open_clip image tower, by name and checkpoint, on tensors in batches.

`f(picture)` is the tower's embedding, divided by its norm if `normalise`. The authors' own code does both in different
places, so it is a parameter; the pullback metric of unnormalised features is the default.

Checkpoints are safetensors, from a directory, a file or the hub. OpenAI's ViT-B/32 was trained with the activation
x sigmoid(1.702 x): in open_clip it is `ViT-B-32-quickgelu`, and plain `ViT-B-32` with these weights, which open_clip
only warns of, is refused.
"""

import logging
import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from phasebook.models.pipelines.checkpoints import cause, check_complete, check_weights, known_directory
from phasebook.models.pipelines.loading import unreachable
from phasebook.models.pipelines.outlines import check_counts, weights_at_most
from phasebook.models.pipelines.staging import CLIP_WEIGHTS, read_config, staged_clip
from phasebook.models.towers.tower import Tower, begun, column

__all__ = ["ClipFeatures", "check_feature"]

LARGEST = 4096      # pixels on a side, or tokens

# what open_clip fits to a model, or fills in, when it loads older files
RESIZED = ("positional_embedding", "position_ids", "attn_mask", "logit_bias")


def check_feature(name: str | Path, pretrained: str | None = None, parameter: str = "feature_trained") -> None:
    """ValueError unless `ClipFeatures.load` knows the model and has or can fetch its checkpoint; nothing is loaded."""
    label = f"{parameter} = {str(name)!r}"
    if folder := known_directory(name):
        if pretrained:
            raise ValueError(f"pretrained = {pretrained!r}: {label} is a directory, which holds its weights; takes ''")
        _check_local(label, folder)
        return
    _check_name(label, name)
    known = _known_checkpoint(label, str(name), pretrained)
    if isinstance(known, dict):
        _check_within_reach(label, str(pretrained), known)


def _check_name(label: str, name: str | Path) -> None:
    import open_clip

    if str(name) not in open_clip.list_models():
        raise ValueError(f"{label}: no such directory, and no model of open_clip (open_clip.list_models() has "
                         f"{len(open_clip.list_models())}, e.g. 'ViT-B-32-quickgelu')")


@dataclass(frozen=True, eq=False, kw_only=True)
class ClipFeatures(Tower):
    """An image tower of open_clip, and the text tower of the same model. Build it with `ClipFeatures.load`.

    Attributes:
        tokenizer: of its prompts.
        crop: whether the middle is cut out; else pictures are squashed to `size`.
    """

    tokenizer: Callable
    crop: bool

    @classmethod
    def load(cls, name: str | Path = "icons-clip-b", pretrained: str | None = None, *, normalise: bool = False,
             device: str = "cpu", dtype: str = "float32", batch: int = 64) -> "ClipFeatures":
        """The model in a directory, or of a name that open_clip knows.

        Args:
            name: an open_clip directory (also one below assets/), or a name.
            pretrained: with a name: a tag such as 'openai' (fetched from the hub once) or a .safetensors file.
            normalise: scale features to length one.
            device: 'cpu' or 'cuda'.
            dtype: 'float32', 'bfloat16' or 'float16'.
            batch: pictures at a time.

        Returns:
            The model, in evaluation mode.

        Raises:
            ValueError: one line, for an unknown name or tag, weights that are not whole or not safetensors, an
                activation that is not the weights' own, or no network.
        """
        label, folder = begun(name, device, dtype)
        precision = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}[dtype]
        if folder:
            with staged_clip(label, folder) as clean:
                _check_staged(label, clean)
                model, tokenizer = _created(label, f"local-dir:{clean}", precision=precision, device=device)
        else:
            _check_name(label, name)
            model, tokenizer = _created(
                label, str(name), precision=precision, device=device, force_quick_gelu=False,
                pretrained=str(_checkpoint(label, str(name), pretrained)),
                force_preprocess_cfg=_preprocessing(str(name), pretrained))
        check_complete(label, "the model", model, ())
        model.requires_grad_(False).eval()
        config = model.visual.preprocess_cfg
        size = config["size"]
        size = (size, size) if isinstance(size, int) else tuple(size)
        return cls(model=model, tokenizer=tokenizer, name=str(name), size=size, mean=column(config["mean"], device),
                   std=column(config["std"], device), interpolation=config["interpolation"],
                   crop=config["resize_mode"] == "shortest", normalise=normalise, batch=batch)

    def fit(self, y: int, x: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """The shorter side fits, the longer one is cut; or pictures are squashed."""
        h, w = self.size
        if not self.crop or (y, x) == (h, w):
            return (h, w), (0, 0)
        scale = max(h / y, w / x)
        target = (max(h, int(y * scale)), max(w, int(x * scale)))
        return target, (round((target[0] - h) / 2), round((target[1] - w) / 2))

    def embed(self, pixels: Float[Tensor, "n 3 y x"]) -> Float[Tensor, "n d"]:
        """Features of one batch of pixels in [0, 1]; differentiable."""
        return self.model.encode_image(self.prepare(pixels), normalize=self.normalise)

    @torch.no_grad()
    def text(self, prompts: list[str]) -> Float[Tensor, "m d"]:
        """Embeddings of prompts, of norm one."""
        tokens = self.tokenizer(prompts).to(self.mean.device)
        return self.model.encode_text(tokens, normalize=True).float()


def _created(label: str, source: str, **options):
    """open_clip's model and tokenizer."""
    import open_clip

    try:
        return open_clip.create_model(source, **options), open_clip.get_tokenizer(source)
    except Exception as error:  # json, safetensors, shapes: open_clip raises some six kinds
        raise ValueError(f"{label}: open_clip cannot load it ({cause(error)})") from None


def _check_local(label: str, folder: Path) -> None:
    """ValueError unless a directory holds an open_clip model of which nothing names code, with whole weights."""
    with staged_clip(label, folder) as clean:
        _check_staged(label, clean)


def _check_staged(label: str, clean: Path) -> None:
    _check_numbers(label, read_config(label, clean / "open_clip_config.json", "open_clip configuration"))
    check_weights(label, [clean / CLIP_WEIGHTS])
    _check_fits(label, f"local-dir:{clean}", clean / CLIP_WEIGHTS)


def _check_numbers(label: str, config: dict[str, Any]) -> None:
    """ValueError for numbers of an open_clip configuration that are none, or beyond any picture or text."""
    try:
        check_counts(config)
    except ValueError as error:
        raise ValueError(f"{label}: {str(error).replace('config.json', 'open_clip_config.json')}") from None
    fit, model = config.get("preprocess_cfg", {}), config["model_cfg"]
    for key in ("mean", "std"):
        column = fit.get(key, [0.5] * 3)
        numbers = isinstance(column, list) and len(column) == 3 and all(isinstance(x, int | float) for x in column)
        if not numbers or not all(math.isfinite(x) for x in column) or (key == "std" and min(column) <= 0):
            raise ValueError(f"{label}: {key} = {str(column)[:60]}; takes three numbers"
                             + (" > 0" if key == "std" else ""))
    sizes = [("image_size", model["vision_cfg"].get("image_size", 224)), ("size", fit.get("size", 224)),
             ("context_length", model["text_cfg"].get("context_length", 77))]
    for key, size in sizes:
        sides = size if isinstance(size, list) else [size]
        if not (0 < len(sides) <= 2 and all(isinstance(n, int) and 1 <= n <= LARGEST for n in sides)):
            raise ValueError(f"{label}: {key} = {str(size)[:60]}; takes 1 to {LARGEST}")
    for key, known in (("interpolation", ("bicubic", "bilinear")), ("resize_mode", ("shortest", "squash"))):
        if fit.get(key, known[0]) not in known:
            raise ValueError(f"{label}: {key} = {str(fit[key])[:60]!r}; takes {' or '.join(known)}")


def _check_fits(label: str, source: str, file: Path) -> None:
    """ValueError where the header of a file lists the weights of another model than open_clip's `source`."""
    import open_clip
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        held = {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}
    if any(key.startswith("module.") for key in held):       # open_clip renames these
        return
    try:
        with torch.device("meta"), _without_hints(), weights_at_most(2 * len(held) + 100):
            wanted = open_clip.create_model(source, load_weights=False, device="meta").state_dict()
    except Exception as error:  # a geometry that is none makes it raise some six kinds
        raise ValueError(f"{label}: open_clip cannot load it ({cause(error)})") from None
    for key, weight in wanted.items():
        if key.endswith(RESIZED) or held.get(key) == tuple(weight.shape):
            continue
        there = f"of shape {held[key]}" if key in held else "not there"
        raise ValueError(f"{label}: open_clip cannot load it ({file.name} holds another model: {key} is {there}; "
                         f"takes {tuple(weight.shape)})")


@contextmanager
def _without_hints():
    """Without open_clip's warning that a model has no weights yet."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _preprocessing(name: str, tag: str | None) -> dict:
    """What the weights of a tag were trained with: a file given by path has no such record of its own."""
    import open_clip

    known = open_clip.get_pretrained_cfg(name, tag) or {}
    return {key: known[key] for key in ("mean", "std", "interpolation", "resize_mode", "size") if known.get(key)}


def _tags(name: str) -> str:
    """Some checkpoints of a model, in words."""
    import open_clip

    known = open_clip.list_pretrained_tags_by_model(name)
    return ", ".join(known[:6]) + (", ..." if len(known) > 6 else "") or "none"


def _known_checkpoint(label: str, name: str, pretrained: str | None) -> Path | dict:
    """The safetensors file that `pretrained` is, or open_clip's record of the tag. Raises ValueError."""
    import open_clip

    if not pretrained:
        raise ValueError(f"{label}: needs a checkpoint; takes one of "
                         f"{_tags(name)} or a .safetensors file")
    file = Path(pretrained)
    if file.is_file():
        if file.suffix != ".safetensors":
            raise ValueError(f"pretrained = {pretrained!r}: takes a .safetensors file; pickled weights are never read")
        check_weights(f"pretrained = {pretrained!r}", [file])
        _check_fits(f"pretrained = {pretrained!r}", name, file)
        return file
    known = open_clip.get_pretrained_cfg(name, pretrained)
    if not known:
        raise ValueError(f"pretrained = {pretrained!r}: neither a file nor a checkpoint of {name}; known are "
                         f"{_tags(name)}")
    _check_activation(label, name, pretrained, known)
    return known


def _checkpoint(label: str, name: str, pretrained: str | None) -> Path:
    """The local safetensors file of a checkpoint, fetched from the hub if it is a tag. Raises ValueError."""
    known = _known_checkpoint(label, name, pretrained)
    return known if isinstance(known, Path) else _fetched(label, str(pretrained), known)


def _check_activation(label: str, name: str, tag: str, known: dict) -> None:
    import open_clip

    quick = bool(open_clip.get_model_config(name).get("quick_gelu", False))
    if quick != bool(known.get("quick_gelu", False)):
        other = name.removesuffix("-quickgelu") if quick else f"{name}-quickgelu"
        raise ValueError(f"{label}: the weights {tag!r} were trained with the {'plain' if quick else 'quick'} GELU, "
                         f"this model has the other; take {other!r}")


def _hub_of(label: str, tag: str, known: dict) -> str:
    hub = "/".join(str(known.get("hf_hub", "")).split("/")[:2])         # OWNER/NAME[/FILE]
    if "/" not in hub:
        raise ValueError(f"{label}: the weights {tag!r} are on no hub as safetensors; take another checkpoint")
    return hub


def _check_within_reach(label: str, tag: str, known: dict) -> None:
    """ValueError unless the weights of a tag are in the local cache, or the hub answers."""
    from huggingface_hub import try_to_load_from_cache

    hub = _hub_of(label, tag, known)
    if not isinstance(try_to_load_from_cache(hub, CLIP_WEIGHTS), str) and (reason := unreachable(hub)):
        raise ValueError(f"{label}: the weights {tag!r} are not in the local cache, and cannot be fetched from the "
                         f"hub ({reason})")


def _fetched(label: str, tag: str, known: dict) -> Path:
    from huggingface_hub import hf_hub_download

    hub = _hub_of(label, tag, known)
    reason = unreachable(hub)
    try:
        return Path(hf_hub_download(hub, CLIP_WEIGHTS, local_files_only=bool(reason)))
    except Exception as error:  # the hub's client raises its own kinds, the socket's and httpx's
        raise ValueError(f"{label}: the weights {tag!r} are not in the local cache, and cannot be fetched from the "
                         f"hub ({reason or cause(error)})") from None
