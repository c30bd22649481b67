"""A slice on disk: a zarr 3 group that xarray reads, written tile by tile, which survives whatever stops its writer.

A tile's numbers are one chunk of each variable. When all of them are written, so is the tile's mark: a row of the
variable `checksum`, the SHA-256 of the specification's hash and of the chunks. A tile counts as done when its mark
agrees with what is there; everything else is computed again. Since a tile's bytes depend on the specification alone,
two writers can do no more harm than the same work twice.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import xarray as xr

from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Embedding, Feature, Frame, Model, Prompt
from phasebook.slices.plane import Plane
from phasebook.slices.slice import Slice
from phasebook.slices.stores.files import Place, place_of
from phasebook.slices.stores.frame import ROOT, frame_of, sealed, short
from phasebook.slices.stores.layout import Layout
from phasebook.slices.stores.work import Description

__all__ = ["Status", "Store", "check_store", "open_store", "stored"]

OWN = ("anchors", "level_alpha", "level_sigma", "checksum")      # variables that are no part of a slice
PAUSE = 20                      # times the median between two tiles: an interruption


@dataclass(frozen=True)
class Status:
    """How far a store is.

    Attributes:
        done: tiles.
        damaged: tiles that have a mark which does not agree with what is there.
        tiles: in all.
        rate: tiles a minute while it was last written; None where too few are done.
    """

    done: int
    damaged: int
    tiles: int
    rate: float | None

    def __str__(self) -> str:
        text = f"{self.done} of {self.tiles} tiles done"
        if self.damaged:
            text += f", {self.damaged} damaged (to be computed again)"
        if self.rate:
            text += f"; {self.rate:.3g} tiles a minute"
            if self.done < self.tiles:
                text += f", {_duration(60 * (self.tiles - self.done) / self.rate)} left at that rate"
        return text


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Store(Layout):
    """The tiles of one slice at a place.

    Args:
        place: where.
        spec: the slice's specification.
        variables: dtype and trailing shape by name.
    """

    def __init__(self, place: Place, spec: dict, variables: Mapping[str, tuple[str, tuple[int, ...]]]):
        super().__init__(spec, variables)
        self.place = place

    @classmethod
    def begun(cls, url: str | Path, about: Description) -> "Store":
        """The store of a slice: made, continued, or mended where its frame is damaged.

        Args:
            url: a path, or what fsspec takes.
            about: the slice.

        Raises:
            ValueError: for a store of another slice, with what differs; for a place that holds something else.
            OSError: where it cannot be written.
        """
        store = cls(place_of(url), json.loads(json.dumps(about.spec)), about.variables)
        frame = frame_of(about, store)
        root = store._root_of_ours(frame)
        sealed = json.loads(root)["attributes"]["frame"] if root else {}
        wrong = [key for key in frame if key != ROOT and short(store.place.get(key)) != sealed.get(key)]
        if wrong or not root:
            for key in [*(key for key in frame if key != ROOT), ROOT]:        # it counts as a store once it has a root
                if store.place.get(key) != frame[key]:
                    store.place.put(key, frame[key])
        store.place.tidy()
        return store

    def _root_of_ours(self, frame: Mapping[str, bytes]) -> bytes | None:
        """The root of a sound store of this slice; None where there is none yet, or a damaged one."""
        data = self.place.get(ROOT)
        attributes = sealed(data)
        if attributes is not None:
            theirs = json.loads(attributes["spec"])
            differing = [name for name in {**self.spec, **theirs} if theirs.get(name) != self.spec.get(name)]
            if differing:
                said = [f"{n} = {_brief(theirs.get(n))} there, {_brief(self.spec.get(n))} here" for n in differing]
                raise ValueError(f"store = {self.place.url!r}: holds another slice ({'; '.join(said[:4])}); takes a "
                                 "place of its own")
            return data
        top = {key.split("/")[0] for key in [*frame, *self.variables]} | {".zarr.json"}
        others = [name for name in self.place.names() if name not in top and not name.endswith(".part")]
        if others:
            raise ValueError(f"store = {self.place.url!r}: holds other files, such as {sorted(others)[0]!r}; takes a "
                             "folder, new or of a slice")
        marks = [tile for tile in self.tiles() if self.place.get(self.mark(tile)) is not None]
        if marks and not any(self.sound(tile) for tile in marks):
            raise ValueError(f"store = {self.place.url!r}: its zarr.json is damaged, and no tile is of this slice; "
                             "takes a place of its own")
        return None

    def put(self, tile: tuple[int, int], chunks: Mapping[str, bytes]) -> None:
        """Write a tile, its mark last. OSError in one line where that fails.

        Args:
            tile: its place.
            chunks: of all variables, from `packed`.
        """
        for key, data in chunks.items():
            self.place.put(key, data)
        self.place.put(self.mark(tile), self.checksum(chunks))

    def sound(self, tile: tuple[int, int]) -> dict[str, bytes] | None:
        """The chunks of a tile that is done, with its mark; None where they are not what was written."""
        mark = self.place.get(self.mark(tile))
        if mark is None:
            return None
        chunks = {key: self.place.get(key) for key in self.chunks(tile)}
        if None in chunks.values() or self.checksum(chunks) != mark:
            return None
        return chunks | {self.mark(tile): mark}

    def marked(self, tile: tuple[int, int]) -> bool:
        """Whether a tile has a mark; cheaper than `sound`, and true of a damaged tile."""
        return self.place.get(self.mark(tile)) is not None

    def status(self) -> Status:
        """How far it is; everything is read."""
        marked = [tile for tile in self.tiles() if self.marked(tile)]
        done = [tile for tile in marked if self.sound(tile)]
        at = self.place.times("checksum")
        times = sorted(at[self.mark(tile)] for tile in done if self.mark(tile) in at)
        return Status(len(done), len(marked) - len(done), len(self.tiles()), _rate(times))


def _rate(times: list[float]) -> float | None:
    """Tiles a minute, without the interruptions between them."""
    gaps = np.diff(times)
    if len(gaps) < 1 or not np.isfinite(gaps).all() or gaps.sum() <= 0:
        return None
    usual = [gap for gap in gaps if gap <= PAUSE * max(median(gaps), 1e-3)]
    return 60 * len(usual) / sum(usual) if sum(usual) > 0 else None


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


# --- reading -------------------------------------------------------------------------------------------------------


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


def check_store(url: str | Path) -> None:
    """ValueError, one line, unless a slice can be begun or continued at a place, as far as is known without the slice;
    nothing stays that was not there.

    Args:
        url: a path, or what fsspec takes.
    """
    place = place_of(url)
    try:
        others = [] if place.get(ROOT) else [name for name in place.names() if place.foreign(name)]
    except OSError as error:
        raise ValueError(str(error)) from None
    if others:
        raise ValueError(f"store = {place.url!r}: holds other files, such as {sorted(others)[0]!r}; takes a folder, "
                         "new or of a slice")
    place.try_out()


def stored(url: str | Path) -> tuple[Store, dict, bytes]:
    """A store that is there, its attributes, and its root.

    Args:
        url: a path, or what fsspec takes.

    Raises:
        ValueError: where there is none, or its root is damaged.
    """
    place = place_of(url)
    data = place.get(ROOT)
    if data is None:
        raise ValueError(f"store = {place.url!r}: no store there; takes a path that `phasebook slice` has written")
    attributes = sealed(data)
    if attributes is None:
        raise ValueError(f"store = {place.url!r}: its zarr.json is damaged or not of a slice; the same call that made "
                         "the store mends it")
    return Store(place, json.loads(attributes["spec"]), attributes["variables"]), attributes, data


def open_store(path: str | Path, model: Model | None = None, prompt: Prompt | None = None) -> Slice:
    """The slice in a store, also while it is being written: NaN (and -1, and black) where tiles are not done.

    Args:
        path: of the store, or a URL that fsspec knows.
        model: that was swept; only `Slice.between` needs it.
        prompt: that it was asked for; likewise.

    Raises:
        ValueError: where there is no store, or one of another model, or its coordinates are damaged.
        OSError: where it cannot be read.
    """
    store, attributes, root = stored(path)
    spec = store.spec
    if model is not None and model.fingerprint != spec["model"]:
        raise ValueError(f"model: {model.fingerprint}; store = {store.place.url!r} is of another, {spec['model']}")
    data = _decoded(store, attributes["frame"], root)
    levels = Levels(spec["schedule"], data.level_alpha.values, data.level_sigma.values, data.timestep.values)
    plane = Plane(data.anchors.values, tuple(spec["extent"]), spec["grid"], spec["normalise"])
    own = {} if model is None else model.features
    features = {name: _Measured(own.get(name), **known) for name, known in attributes["features"].items()}
    data = data.drop_vars(OWN).assign_coords(feature=list(features))
    data.attrs = {"spec": attributes["spec"], "hash": attributes["hash"]}
    return Slice(data, plane, model, levels, features, prompt)


def _decoded(store: Store, frame: Mapping[str, str], root: bytes) -> xr.Dataset:
    """Everything that is as it was written: the bytes that are decoded are those that were checked."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    files = {key: store.place.get(key) for key in frame}
    wrong = [key for key, digest in frame.items() if short(files[key]) != digest]
    if wrong:
        raise ValueError(f"store = {store.place.url!r}: {wrong[0]} is damaged; the same call that made the store mends "
                         "it")
    for tile in store.tiles():
        files |= store.sound(tile) or {}
    make = default_buffer_prototype().buffer.from_bytes
    held = MemoryStore({key: make(value) for key, value in {**files, ROOT: root}.items()})
    try:        # each array's own metadata, of zarr 3, which knows no pickles
        return xr.open_zarr(held, chunks=None, mask_and_scale=False, zarr_format=3, consolidated=False).load()
    except Exception as error:  # metadata that are none make zarr raise some six kinds
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ValueError(f"store = {store.place.url!r}: is not one of a slice ({reason})") from None
