"""What a store says of itself, held against what a slice is before a number of it is read.

The seal of a root is a checksum, and no secret: anybody can write another root under one.
"""

import json
from collections.abc import Mapping
from math import prod

import numpy as np

from phasebook.arguments import whole
from phasebook.slices.measurement import DIMS, METRIC
from phasebook.slices.plane import MOST, check_extent

__all__ = ["MOST_PICTURES", "MOST_TILES", "check_arrays", "frame_keys", "is_of_slice"]

MOST_TILES = 100_000
MOST_PICTURES = 1_000_000       # points of a slice whose pictures are kept
MEASURED = {*METRIC, "jump_alpha", "jump_beta"}
NUMBERS = {"float16", "float32", "float64", "int32", "int64"}
CODECS = {"measured": ["bytes", "zstd"], "known": ["bytes"], "feature": ["vlen-utf8"]}


def is_of_slice(attributes: dict, spec: dict) -> bool:
    """Whether a root's words are those of a slice; they may also fail in any way that words do.

    Args:
        attributes: of the root.
        spec: the specification among them.
    """
    grid, steps = whole("grid", spec["grid"], 2, MOST), whole("steps", spec["steps"], 1)
    side = whole("tile", spec["tile"], 2, grid)
    check_extent(spec["extent"])
    pick, kept, fields = spec["pick"], spec["kept"], spec["fields"]
    texts = [attributes["hash"], spec["model"], spec["schedule"], *fields, *attributes["frame"].values()]
    named = isinstance(fields, list) and all(isinstance(text, str) for text in texts)
    rising = _rises(pick, grid) and _rises(kept, steps) and bool(pick) == bool(kept)
    few = -(-grid // side) <= MOST_TILES ** 0.5 and len(pick)**2 <= MOST_PICTURES
    measured = list(attributes["features"]) == spec["features"] != []
    features = all(_is_feature(one, steps) for one in attributes["features"].values())
    return (named and rising and few and measured and features and isinstance(spec["normalise"], bool)
            and _are_variables(attributes["variables"], spec))


def _rises(places: object, end: int) -> bool:
    at = [whole("place", place, 0, end - 1) for place in places]
    return isinstance(places, list) and at == sorted(set(at))


def _is_feature(known: dict, steps: int) -> bool:
    numbers = all(isinstance(known[name], int | float) for name in ("unit", "yardstick"))
    return set(known) == {"unit", "at", "yardstick"} and numbers and (known["at"] is None or _rises(known["at"], steps))


def _are_variables(variables: dict, spec: dict) -> bool:
    exact = {f"{name}_exact" for name in METRIC}
    others = exact | set(spec["fields"]) | ({"picture"} if spec["pick"] else set())
    sizes = [whole("size", size, 1) for _, trailing in variables.values() for size in trailing]
    shapes = all((len(trailing) == 3) == (name == "picture") for name, (_, trailing) in variables.items())
    kinds = all(isinstance(kind, str) and np.dtype(kind).kind in "fiub" for kind, _ in variables.values())
    return MEASURED <= set(variables) <= MEASURED | others and shapes and kinds and all(sizes)


def _lengths(spec: dict) -> dict[str, int]:
    """Of a store's dimensions, but those of pictures and latents."""
    grid, steps, count = spec["grid"], spec["steps"], -(-spec["grid"] // spec["tile"])
    return {"feature": len(spec["features"]), "step": steps, "alpha": grid, "beta": grid, "alpha_edge": grid - 1,
            "beta_edge": grid - 1, "kept": len(spec["kept"]), "row": len(spec["pick"]), "column": len(spec["pick"]),
            "level": steps + 1, "tile_alpha": count, "tile_beta": count, "byte": 32, "anchor": 3}


def _known(spec: dict) -> dict[str, tuple[str, ...]]:
    """Dimensions of what is known before a tile is computed; of the anchors the first one."""
    axes = ["feature", "step", "alpha", "beta", "alpha_edge", "beta_edge"]
    axes += ["kept", "row", "column"] if spec["kept"] else []
    return {name: (name,) for name in axes} | {
        "sigma_over_alpha": ("step",), "timestep": ("step",), "level_alpha": ("level",), "level_sigma": ("level",),
        "anchors": ("anchor",)}


def frame_keys(attributes: dict, spec: dict) -> set[str]:
    """Files of a store but its root and its tiles; of the anchors' numbers there is one more.

    Args:
        attributes: of the root.
        spec: the specification.
    """
    known = [name for name in _known(spec) if name != "anchors"]
    heads = [*known, "anchors", "checksum", *attributes["variables"]]
    return {f"{name}/zarr.json" for name in heads} | {f"{name}/c/0" for name in known}


def check_arrays(files: Mapping[str, bytes], attributes: dict, spec: dict) -> float:
    """Whether each array is as the specification has it, so that no more is made of it than there is.

    Args:
        files: of the frame, by key.
        attributes: of the root.
        spec: the specification.

    Returns:
        Bytes of all arrays.

    Raises:
        ValueError: for one that is not; or whatever is raised by metadata that are none.
    """
    size, total = _lengths(spec), 0.0
    for name, (kind, trailing) in attributes["variables"].items():
        dims = DIMS.get(name, ("step", "alpha", "beta") if name in spec["fields"] else
                        ("feature", "step", "alpha", "beta"))
        shape = [size[dim] for dim in dims[:len(dims) - len(trailing)]] + list(trailing)
        side = [1, 1] if trailing else [spec["tile"]] * 2
        chunk = [*shape[:len(dims) - len(trailing) - 2], *side, *trailing]
        total += _agrees(name, files, dims, shape, chunk, {np.dtype(kind).name}, CODECS["measured"])
    for name, dims in _known(spec).items():
        shape = [size[dim] for dim in dims]
        if name == "feature":
            _agrees(name, files, dims, shape, shape, {"string"}, CODECS["feature"])
            continue
        if name == "anchors":
            shape += [whole(name, n, 1) for n in json.loads(files[f"{name}/zarr.json"])["shape"][1:]]
            dims += tuple(f"latent_{k}" for k in range(len(shape) - 1))
        need = _agrees(name, files, dims, shape, shape, NUMBERS, CODECS["known"])
        if need != len(files["/".join([name, "c", *["0"] * len(shape)])]):
            raise ValueError(f"{name} has other numbers than its shape {shape} takes")
    dims = ("tile_alpha", "tile_beta", "byte")
    shape = [size[dim] for dim in dims]
    return total + _agrees("checksum", files, dims, shape, [1, 1, shape[2]], {"uint8"}, CODECS["known"])


def _agrees(name: str, files: Mapping[str, bytes], dims: tuple[str, ...], shape: list[int], chunk: list[int],
            kinds: set[str], codecs: list[str]) -> float:
    """Bytes of an array. ValueError where it is another one."""
    said = json.loads(files[f"{name}/zarr.json"])
    theirs = [said["shape"], said["chunk_grid"]["configuration"]["chunk_shape"], said["dimension_names"]]
    packed = [one["name"] for one in said["codecs"]]
    if (theirs != [shape, chunk, list(dims)] or packed != codecs or said["data_type"] not in kinds
            or said["attributes"].keys() - {"unit"}):
        raise ValueError(f"{name} is no array of shape {shape}")
    return float(prod(shape)) * (0 if said["data_type"] == "string" else np.dtype(said["data_type"]).itemsize)
