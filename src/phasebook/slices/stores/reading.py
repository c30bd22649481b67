"""Reading a stored slice: what is decoded is what was checked, and no more than fits into memory."""

from pathlib import Path

import xarray as xr

from phasebook.machine import free_memory
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Embedding, Feature, Frame, Model, Prompt, check_prompt
from phasebook.sampling.samplers import check_model
from phasebook.slices.plane import Plane
from phasebook.slices.slice import Slice
from phasebook.slices.stores.cost import COPIES, short_of
from phasebook.slices.stores.frame import ROOT
from phasebook.slices.stores.store import Store, stored

__all__ = ["open_store"]

OWN = ("anchors", "level_alpha", "level_sigma", "checksum")      # variables that are no part of a slice


class _Measured(Feature):
    """A feature as it was measured: its yardstick is known, with or without the model."""

    def __init__(self, feature: Feature | None, unit: float, at: list[int] | None, yardstick: float):
        self.feature, self.unit, self.at, self.known = feature, unit, at, yardstick

    def __call__(self, frame: Frame) -> Embedding:
        """The feature's own coordinates. ValueError where it is not known here."""
        if self.feature is None:
            raise ValueError("model: this slice was read without its model; takes open_store(path, model)")
        return self.feature(frame)

    def yardstick(self, model: Model, prompt: Prompt | None = None) -> float:
        """As it was when the store was made."""
        return self.known


def open_store(path: str | Path, model: Model | None = None, prompt: Prompt | None = None) -> Slice:
    """The slice in a store, also while it is being written: NaN (and -1, and black) where tiles are not done.

    Args:
        path: of the store, or a URL that fsspec knows.
        model: that was swept; only `Slice.between` needs it.
        prompt: that it was asked for; likewise, where it was asked for one.

    Raises:
        ValueError: for a model or a prompt that is none; where there is no store, or one of another model, or of a
            prompt and none is given with the model, or its coordinates are damaged.
        OSError: where it cannot be read.
    """
    if model is not None:
        check_model(model)
    check_prompt(prompt)
    store, attributes, root = stored(path)
    spec = store.spec
    if model is not None and model.fingerprint != spec["model"]:
        raise ValueError(f"model: {model.fingerprint}; path = {store.place.url!r} is of another, {spec['model']}")
    if model is not None and spec["prompt"] and (prompt is None or not prompt.conditions):
        raise ValueError(f"prompt: none given; path = {store.place.url!r} was asked for one; takes the same, from "
                         "model.prompt")
    data = _decoded(store, attributes, root)
    levels = Levels(spec["schedule"], data.level_alpha.values, data.level_sigma.values, data.timestep.values,
                    spec.get("order", 1), spec.get("landing"))
    plane = Plane(data.anchors.values, tuple(spec["extent"]), spec["grid"], spec["normalise"])
    own = {} if model is None else model.features
    features = {name: _Measured(own.get(name), **known) for name, known in attributes["features"].items()}
    data = data.drop_vars(OWN).assign_coords(feature=list(features))
    data.attrs = {"spec": attributes["spec"], "hash": attributes["hash"]}
    return Slice(data, plane, model, levels, features, prompt)


def _decoded(store: Store, attributes: dict, root: bytes) -> xr.Dataset:
    """Everything that is as it was written: the bytes that are decoded are those that were checked."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    files, total = store.framed(attributes)
    if COPIES * total > (free := free_memory()):
        raise ValueError(f"path = {store.place.url!r}: {short_of(COPIES * total)} of memory for all of it, here are "
                         f"{short_of(free)}; xarray.open_zarr reads parts of it")
    for tile in store.tiles():
        files |= store.sound(tile) or {}
    make = default_buffer_prototype().buffer.from_bytes
    held = MemoryStore({key: make(value) for key, value in {**files, ROOT: root}.items()})
    try:        # each array's own metadata, of zarr 3, which knows no pickles
        return xr.open_zarr(held, chunks=None, decode_cf=False, zarr_format=3, consolidated=False).load()
    except Exception as error:  # metadata that are none make zarr raise some six kinds
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ValueError(f"path = {store.place.url!r}: is not one of a slice ({reason})") from None
