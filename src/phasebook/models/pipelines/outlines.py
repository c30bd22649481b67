"""Parts of a model as shapes alone: what a configuration asks for, held against the weights before these are read."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from phasebook.models.pipelines.staging import read_config, weight_files

__all__ = ["LARGEST", "check_counts", "outline", "weights_at_most"]

FLOATS = ("F32", "F16", "BF16", "F64")
LARGEST = 4096      # latent pixels on a side
COUNT = 10**7       # of anything in a part's configuration: libraries make lists of as many entries
SPARE = 10**6       # numbers more than twice those in a part's files that its configuration may ask for
PLACES = 10**9      # numbers in a table of places; Stable Diffusion 3.5's has a third of it


def outline(kind: type, place: Path, variant: str | None = None, network: bool = False):
    """A part of a model as its configuration describes it, without numbers.

    Args:
        kind: its class, of diffusers or transformers.
        place: a staged directory with its configuration and weights.
        variant: of the weights' file names.
        network: whether it is the part that denoises, whose sizes are bounded.

    Returns:
        The module, on torch's device `meta`.

    Raises:
        ValueError: one line, where the weights have other shapes.
    """
    import torch
    from safetensors import safe_open

    config = read_config(place.name, place / "config.json", place.name)
    check_counts(config)
    if not (scale := config.get("scaling_factor", 1)):
        raise ValueError(f"scaling_factor = {scale}; takes a number > 0")
    if network:
        _check_sizes(config)
    shapes: dict[str, list[int]] = {}
    kinds: dict[str, str] = {}
    stem = "diffusion_pytorch_model" if hasattr(kind, "load_config") else "model"
    for file in weight_files(place, stem, variant):
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as opened:
                shapes |= {key: opened.get_slice(key).get_shape() for key in opened.keys()}
                kinds |= {key: opened.get_slice(key).get_dtype() for key in opened.keys()}
    most = 2 * len(shapes) + 100
    _check_layers(config, most)
    with torch.device("meta"), weights_at_most(most):
        if hasattr(kind, "load_config"):
            module = kind.from_config(kind.load_config(place))
        else:
            module = kind(kind.config_class.from_pretrained(place))
    weights = module.state_dict()
    asked, held = sum(w.numel() for w in weights.values()), sum(map(math.prod, shapes.values()))
    if asked > 2 * held + SPARE:            # a table may have two names, and one place in the file
        raise ValueError(f"its configuration asks for {asked} numbers, and its weights have {held}")
    _check_names(place, module, shapes)
    for key, tensor in weights.items():
        if shapes.get(key, list(tensor.shape)) != list(tensor.shape):
            raise ValueError(f"{key} has the shape {shapes[key]}, and {list(tensor.shape)} in config.json")
        if tensor.is_floating_point() and kinds.get(key, FLOATS[0]) not in FLOATS:
            raise ValueError(f"{key} is {kinds[key]} in its file; takes {', '.join(FLOATS)}")
    return module


def _check_names(place: Path, module, shapes: Mapping[str, list[int]]) -> None:
    """ValueError where weights of a module are in none of its files. Libraries take some by older names; of diffusers'
    these have as many numbers, and of transformers' nothing is said here."""
    tied = set(getattr(module, "_tied_weights_keys", None) or ())
    own = dict(module.named_parameters())
    lacking = [key for key in own if key not in shapes and key not in tied]
    known = module.state_dict()
    older = [math.prod(shape) for key, shape in shapes.items() if key not in known]
    diffusers = hasattr(module, "load_config")
    short = len(lacking) == len(own) or sum(own[key].numel() for key in lacking) > sum(older)
    if lacking and (short if diffusers else not older):
        raise ValueError(f"{place.name} lacks {len(lacking)} of its weights ({lacking[0]}, ...)")


def check_counts(values: Any) -> None:
    """ValueError for a number in a configuration, at whatever depth, that no layer can have of anything.

    Args:
        values: of the configuration.
    """
    if isinstance(values, int) and abs(values) > COUNT:
        raise ValueError(f"the number {str(values)[:40]} in config.json; takes up to {COUNT}")
    if isinstance(values, float) and not math.isfinite(values):
        raise ValueError(f"the number {values} in config.json; takes finite ones")
    parts = values.values() if isinstance(values, dict) else values if isinstance(values, list) else []
    for value in parts:
        check_counts(value)


def _check_sizes(config: dict[str, object]) -> None:
    """ValueError for sizes whose tables alone would fill the memory."""
    sizes = config.get("sample_size", 1)
    sizes = sizes if isinstance(sizes, list) else [1 if sizes is None else sizes]
    wide = [config.get(key, 1) for key in ("num_attention_heads", "attention_head_dim")]
    side = config.get("pos_embed_max_size") or max(sizes, default=0)
    if not (1 <= len(sizes) <= 2 and all(isinstance(n, int) and 1 <= n <= LARGEST for n in (*sizes, side))):
        raise ValueError(f"sample_size = {str(config.get('sample_size'))[:40]}; takes 1 to {LARGEST}")
    if all(isinstance(n, int) for n in wide) and side**2 * wide[0] * wide[1] > PLACES:
        raise ValueError(f"a table of {side} x {side} places of width {wide[0] * wide[1]}")


def _check_layers(config: Mapping[str, Any], most: int) -> None:
    """ValueError for lists or layers that are more than weights: libraries go through each list once for each entry."""
    for key, value in config.items():
        if isinstance(value, list) and len(value) > most:
            raise ValueError(f"{key} has {len(value)} entries in config.json: more layers than its weights")
    for key in ("num_hidden_layers", "depths"):
        said = config.get(key)
        layers = said if isinstance(said, list) else [said]
        if all(isinstance(n, int) for n in layers) and not 1 <= sum(layers) <= most:
            raise ValueError(f"{key} = {str(said)[:40]} in config.json: none, or more layers than its weights")


@contextmanager
def weights_at_most(most: int) -> Iterator[None]:
    """While it lasts no more weights are made: a configuration may ask for a billion layers.

    Args:
        most: weights; ValueError at the next.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    made = count(1)

    def counted(*_) -> None:
        if next(made) > most:
            raise ValueError("its configuration has more layers than its weights")

    handle = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        handle.remove()
