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

from phasebook.slices.stores.claims import check_arrays, frame_keys
from phasebook.slices.stores.files import Place, place_of
from phasebook.slices.stores.frame import ROOT, frame_of, is_foreign, sealed, short
from phasebook.slices.stores.layout import Layout
from phasebook.slices.stores.work import Description

__all__ = ["LABELS", "Status", "Store", "check_same", "check_store", "stored"]

LABELS = {"schedule"}           # of a specification: what others call the same, such as the path of a model
BEGINNINGS = 3                  # another writer may be faster, of another slice even
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
    def of(cls, url: str | Path, about: Description) -> "Store":
        """The store of a slice, as it is or will be; nothing is written.

        Args:
            url: a path, or what fsspec takes.
            about: the slice.

        Raises:
            ValueError: for a store of another slice, with what differs.
        """
        spec, place = json.loads(json.dumps(about.spec)), place_of(url)
        attributes = sealed(place.get(ROOT))
        theirs = spec if attributes is None else json.loads(attributes["spec"])
        check_same(place.url, theirs, spec)
        return cls(place, theirs, about.variables)

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
        for _ in range(BEGINNINGS):
            store = cls.of(url, about)
            new = store.place.get(ROOT) is None
            frame = store._to_write(about)
            if frame is None:
                break
            for key in frame.keys() - {ROOT}:
                if store.place.get(key) != frame[key]:
                    store.place.put(key, frame[key])
            if store.place.put(ROOT, frame[ROOT], new):         # it counts as a store once it has a root
                break
        store.place.tidy()
        return store

    def _to_write(self, about: Description) -> dict[str, bytes] | None:
        """The frame, where there is no store yet, or one whose frame is damaged; None for a sound store of this slice.
        """
        data = self.place.get(ROOT)
        attributes = sealed(data)
        if attributes is not None:
            try:
                self.framed(attributes)
            except ValueError:
                return frame_of(about, self)
            return None
        _check_root(self.place, data)
        frame = frame_of(about, self)
        top = {key.split("/")[0] for key in [*frame, *self.variables]} | {".zarr.json"}
        others = [name for name in self.place.names() if name not in top and not name.endswith(".part")]
        if others:
            raise ValueError(f"path = {self.place.url!r}: holds other files, such as {sorted(others)[0]!r}; takes a "
                             "folder, new or of a slice")
        marks = [tile for tile in self.tiles() if self.place.get(self.mark(tile)) is not None]
        if marks and not any(self.sound(tile) for tile in marks):
            raise ValueError(f"path = {self.place.url!r}: its zarr.json is damaged, and no tile is of this slice; "
                             "takes a place of its own")
        return frame

    def framed(self, attributes: dict) -> tuple[dict[str, bytes], float]:
        """The files of the frame by key, and the bytes of all arrays.

        Args:
            attributes: of the root.

        Raises:
            ValueError: for a frame that is damaged, or is none of this slice.
        """
        sealed, wanted = attributes["frame"], frame_keys(attributes, self.spec)
        anchors = [key for key in sealed if key not in wanted]
        if wanted - sealed.keys() or len(anchors) != 1 or not anchors[0].startswith("anchors/c/0"):
            odd = min(wanted ^ sealed.keys(), default="anchors")
            raise ValueError(f"path = {self.place.url!r}: is not one of a slice ({odd})")
        files = {key: self.place.get(key) for key in sealed}
        wrong = [key for key, data in files.items() if data is None or short(data) != sealed[key]]
        if wrong:
            raise ValueError(f"path = {self.place.url!r}: {wrong[0]} is damaged; the same call that made the store "
                             "mends it")
        try:
            return files, check_arrays(files, attributes, self.spec)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = " ".join(str(error).split())[:160]
            raise ValueError(f"path = {self.place.url!r}: is not one of a slice ({reason})") from None

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

    def check_done(self, whole: bool) -> None:
        """OSError, one line, where a tile that was written is there no longer: its folder was removed, say.

        Args:
            whole: look at the numbers, and not at the marks alone.
        """
        is_there = self.sound if whole else self.marked
        if lost := sum(not is_there(tile) for tile in self.tiles()):
            raise OSError(f"path = {self.place.url!r}: {lost} tiles that were done are lost, to somebody else who "
                          "wrote or removed files there; the same call goes on")

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


def check_same(url: str, theirs: dict, spec: dict) -> None:
    """ValueError, one line, for a place that holds another slice, with what differs.

    Args:
        url: of the place.
        theirs: specification of what is there.
        spec: of what is wanted.
    """
    text = lambda one, name: json.dumps(one.get(name), sort_keys=True)  # noqa: E731  (as the hash sees it)
    differing = [n for n in {**spec, **theirs} if n not in LABELS and text(theirs, n) != text(spec, n)]
    if differing:
        said = [f"{n} = {_brief(theirs.get(n))} there, {_brief(spec.get(n))} here" for n in differing]
        raise ValueError(f"path = {url!r}: holds another slice ({'; '.join(said[:4])}); takes a place of its own")


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def check_store(url: str | Path) -> None:
    """ValueError, one line, unless a slice can be begun or continued at a place, as far as is known without the slice;
    nothing stays that was not there.

    Args:
        url: a path, or what fsspec takes.
    """
    place = place_of(url)
    try:
        root = place.get(ROOT)
        others = [name for name in place.names() if place.foreign(name)] if root is None else []
    except OSError as error:
        raise ValueError(str(error)) from None
    _check_root(place, root)
    if others:
        raise ValueError(f"path = {place.url!r}: holds other files, such as {sorted(others)[0]!r}; takes a folder, "
                         "new or of a slice")
    place.try_out()


def _check_root(place: Place, data: bytes | None) -> None:
    """ValueError for a root that somebody else has written."""
    if is_foreign(data):
        raise ValueError(f"path = {place.url!r}: its zarr.json is none of a slice's; takes a folder, "
                         "new or of a slice")


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
        raise ValueError(f"path = {place.url!r}: no store there; takes a path that `phasebook slice` has written")
    attributes = sealed(data)
    if attributes is None:
        raise ValueError(f"path = {place.url!r}: its zarr.json is damaged or not of a slice; the same call that made "
                         "the store mends it")
    return Store(place, json.loads(attributes["spec"]), attributes["variables"]), attributes, data
