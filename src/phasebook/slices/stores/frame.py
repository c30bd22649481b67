"""The frame of a store: its metadata and coordinates, known before a tile is computed, each file sealed by the root."""

import json
import warnings
from hashlib import sha256

import numpy as np
from numpy import ndarray

from phasebook.slices.measurement import DIMS
from phasebook.slices.stores.claims import is_of_slice
from phasebook.slices.stores.layout import LEVEL, Layout, fill_of, hash_of
from phasebook.slices.stores.work import Description

__all__ = ["ROOT", "frame_of", "is_foreign", "sealed", "short"]

ROOT = "zarr.json"
WORDS = (b'"variables"', b'"frame"', b'"seal"')         # that a root of ours says, and others do not


def short(data: bytes | None) -> str:
    """Of a file's bytes, by which it is known; '' for none."""
    return "" if data is None else sha256(data).hexdigest()[:16]


def frame_of(about: Description, layout: Layout) -> dict[str, bytes]:
    """All files of a store but its tiles, by key; the root's attributes seal them.

    Args:
        about: the slice.
        layout: its tiles.
    """
    import zarr
    from zarr.codecs import ZstdCodec
    from zarr.storage import MemoryStore

    held: dict = {}
    group = zarr.create_group(MemoryStore(held))
    for name, (dtype, trailing) in about.variables.items():
        dims = _dims(name, layout)
        shape = tuple(_length(dim, about) for dim in dims[:len(dims) - len(trailing)])
        side = (1, 1) if name == "picture" else (layout.side, layout.side)
        group.create_array(name, shape=shape + tuple(trailing), chunks=(*shape[:-2], *side, *trailing), dtype=dtype,
                           fill_value=fill_of(np.dtype(dtype)), dimension_names=dims,
                           compressors=[ZstdCodec(level=LEVEL, checksum=True)])
    for name, (dims, value, attributes) in _known(about).items():
        kind = str if value.dtype.kind == "O" else value.dtype
        array = group.create_array(name, shape=value.shape, chunks=value.shape, dimension_names=dims, dtype=kind,
                                   attributes=attributes, compressors=None)
        array[...] = value
    count = -(-about.plane.grid // layout.side)
    group.create_array("checksum", shape=(count, count, 32), chunks=(1, 1, 32), dtype="uint8", fill_value=0,
                       dimension_names=("tile_alpha", "tile_beta", "byte"), compressors=None)
    files = {key: value.to_bytes() for key, value in held.items() if key != ROOT}
    group.attrs.update({
        "spec": json.dumps(layout.spec, sort_keys=True), "hash": layout.hash, "variables": about.variables,
        "features": about.features, "frame": {key: short(data) for key, data in files.items()}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")         # consolidated metadata are not yet part of the format
        zarr.consolidate_metadata(MemoryStore(held))
    root = json.loads(held[ROOT].to_bytes())
    root["attributes"]["seal"] = _seal(root)
    return files | {ROOT: json.dumps(root, indent=1).encode()}


def _dims(name: str, layout: Layout) -> tuple[str, ...]:
    usual = ("feature", "step", "alpha", "beta")
    return DIMS.get(name, usual[1:] if name in layout.spec["fields"] else usual)


def _length(dim: str, about: Description) -> int:
    known = {"feature": len(about.features), "step": about.levels.steps, "kept": len(about.spec["kept"]),
             "row": len(about.spec["pick"]), "column": len(about.spec["pick"])}
    return known.get(dim, about.plane.grid - dim.endswith("_edge"))


def _known(about: Description) -> dict[str, tuple[tuple[str, ...], ndarray, dict]]:
    """Variables that are known before a tile is computed."""
    variables = {}
    for name, given in about.coordinates.items():
        dims, value, attributes = given if isinstance(given, tuple) and len(given) == 3 else \
            (*given, {}) if isinstance(given, tuple) else ((name,), given, {})
        value = np.asarray(value)
        value = value.astype(object) if value.dtype.kind == "U" else value
        variables[name] = (dims,) if isinstance(dims, str) else tuple(dims), value, attributes
    axes = tuple(f"latent_{k}" for k in range(about.plane.anchors.ndim - 1))
    variables["anchors"] = ("anchor", *axes), about.plane.anchors, {}
    variables["level_alpha"] = ("level",), np.asarray(about.levels.alpha, dtype=float), {}
    variables["level_sigma"] = ("level",), np.asarray(about.levels.sigma, dtype=float), {}
    return variables


def _seal(root: dict) -> str:
    attributes = {name: value for name, value in root["attributes"].items() if name != "seal"}
    return hash_of(root | {"attributes": attributes})


def sealed(data: bytes | None) -> dict | None:
    """The attributes of a root that is as it was written, and is one of a slice; None for none or a damaged one."""
    try:
        root = json.loads(data or b"")
        attributes = root["attributes"]
        sound = attributes["seal"] == _seal(root) and is_of_slice(attributes, json.loads(attributes["spec"]))
        return attributes if sound else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SyntaxError):     # NumPy's, of a dtype
        return None


def is_foreign(data: bytes | None) -> bool:
    """Whether a root is not a damaged one of ours, but somebody else's: sound, and without the words of ours, of which
    a flipped bit spoils one at most."""
    try:
        json.loads(data or b"")
    except (ValueError, RecursionError):
        return False
    return sum(word in data for word in WORDS) < 2
