"""What a slice will cost, counted before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phasebook.slices.stores.work import Description
from phasebook.slices.tiles import Tile, span

__all__ = ["COPIES", "Cost", "short_of"]

BLOCKS = 8192           # bytes that a file takes beside what is in it: the rest of its last block, and its folder
COPIES = 2              # of a slice that is read: chunks, and arrays
SUFFIXES = ("", "k", "M", "G", "T", "P", "E")


@dataclass(frozen=True)
class Cost:
    """Of the tiles that are still to be done.

    Attributes:
        tiles: how many.
        points: swept for them, with the borders that tiles share.
        calls: evaluations of the network, a point at a level each.
        operations: floating-point operations, additions and multiplications counted each.
        disk: bytes, before compression, with what many small files take.
        memory: bytes of a worker at its peak (of the CPU; a network's own intermediate layers come on top).
        resident: bytes of it that are there before a tile begins.
    """

    tiles: int
    points: int
    calls: float
    operations: float
    disk: float
    memory: float
    resident: float

    @classmethod
    def of(cls, about: Description, tiles: Sequence[Tile]) -> "Cost":
        """The cost of some tiles.

        Args:
            about: the slice.
            tiles: of it.
        """
        points = sum(tile.size for tile in tiles)
        disk = [sum(_bytes(name, about, tile) for name in about.variables) for tile in tiles]
        most = max((tile.size for tile in tiles), default=0) * about.point_bytes + 2 * max(disk, default=0.0)
        files = len(tiles) * (len(about.variables) + 1) + len(about.spec["pick"])**2
        files += 4 * (len(about.variables) + len(about.coordinates))                    # of the frame
        return cls(len(tiles), points, float(points) * about.calls, points * about.operations,
                   sum(disk) + BLOCKS * files * bool(tiles),
                   about.process_bytes + most, about.process_bytes)

    def __str__(self) -> str:
        return (f"{self.tiles} tiles, {self.points} points: {short_of(self.calls, 'evaluations')}, "
                f"{short_of(self.operations, 'floating-point operations')}, at most {short_of(self.disk)} on disk, "
                f"{short_of(self.memory)} of memory a worker")

    def check(self, place: str, free_disk: float, free: float, workers: int, loaded: int) -> None:
        """ValueError, one line, for a slice that does not fit.

        Args:
            place: of the store.
            free_disk: bytes.
            free: bytes of memory of this machine; infinite where workers are elsewhere.
            workers: on this machine.
            loaded: of these, how many hold the model already.
        """
        if self.disk > free_disk:
            raise ValueError(f"path = {place!r}: {short_of(self.disk)} to write; takes a place with as much free, "
                             f"here are {short_of(free_disk)}")
        need = workers * self.memory - loaded * self.resident
        if self.tiles and need > free:
            raise ValueError(f"workers, tile: about {short_of(need)} of memory for {workers} at a time; takes what "
                             f"fits into the {short_of(free)} that are free")

    def check_read(self, place: str, free: float) -> None:
        """ValueError, one line, for a slice that could be written, but not read into this process.

        Args:
            place: of the store.
            free: bytes of memory of this machine.
        """
        if COPIES * self.disk > free:
            raise ValueError(f"read = True: {short_of(COPIES * self.disk)} of memory for all of {place!r}, here are "
                             f"{short_of(free)}; takes False, as `phasebook slice` does")


def _bytes(name: str, about: Description, tile: Tile) -> float:
    dtype, trailing = about.variables[name]
    (r0, r1), (c0, c1) = span(tile, name, np.asarray(about.spec["pick"], dtype=int))
    steps = about.levels.steps
    leading = {"picture": len(about.spec["kept"])}.get(name, steps if name in about.spec["fields"] else
                                                       steps * len(about.features))
    numbers = leading * max(r1 - r0, 0) * max(c1 - c0, 0) * int(np.prod(trailing, initial=1))
    return float(numbers * np.dtype(dtype).itemsize)


def short_of(number: float, what: str = "B") -> str:
    """Three digits, a decimal prefix, and what is counted."""
    size = 0
    while number >= 999.5 and size < len(SUFFIXES) - 1:
        number, size = number / 1000, size + 1
    between = " " if size and len(what) > 1 else ""
    return f"{number:.3g} {SUFFIXES[size]}{between}{what}"
