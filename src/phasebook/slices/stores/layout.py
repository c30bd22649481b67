"""How a tile lies in a store: which chunks it has, and their bytes. Workers pack what they have computed, so that the
process that writes has little to do, and little is sent."""

import json
from collections.abc import Mapping
from hashlib import sha256
from itertools import product

import numpy as np
from numpy import ndarray

from phasebook.slices.tiles import Tile, span

__all__ = ["LEVEL", "Layout", "fill_of", "hash_of"]

LEVEL = 1                       # of zstd


class Layout:
    """The tiles of one slice, wherever it is kept.

    Args:
        spec: the slice's specification.
        variables: dtype and trailing shape by name.
    """

    def __init__(self, spec: dict, variables: Mapping[str, tuple[str, tuple[int, ...]]]):
        self.spec, self.variables = spec, dict(variables)
        self.hash = hash_of(spec)
        self.side = spec["tile"]
        self.pick = np.asarray(spec["pick"], dtype=int)

    def tiles(self) -> list[tuple[int, int]]:
        """Places of all tiles, row by row."""
        count = -(-self.spec["grid"] // self.side)
        return list(product(range(count), range(count)))

    def ends(self, tile: tuple[int, int]) -> tuple[int, int, int, int]:
        """First and last row, first and last column of a tile."""
        (i, j), side, grid = tile, self.side, self.spec["grid"]
        return i * side, min((i + 1) * side, grid), j * side, min((j + 1) * side, grid)

    def mark(self, tile: tuple[int, int]) -> str:
        """The key of a tile's mark."""
        return f"checksum/c/{tile[0]}/{tile[1]}/0"

    def chunks(self, tile: tuple[int, int]) -> dict[str, tuple[str, tuple[int, int] | None]]:
        """Keys of a tile's chunks: the variable, and of a picture its row and column."""
        plane = _Grid(self.spec["grid"])
        area, chunks = Tile(plane, *self.ends(tile)), {}
        for name in self.variables:
            (r0, r1), (c0, c1) = span(area, name, self.pick)
            if name == "picture":
                for r, c in product(range(r0, r1), range(c0, c1)):
                    chunks[f"{name}/c/0/{r}/{c}/0/0/0"] = name, (r - r0, c - c0)
            elif r1 > r0 and c1 > c0:
                leading = "0/" if name in self.spec["fields"] else "0/0/"
                chunks[f"{name}/c/{leading}{tile[0]}/{tile[1]}"] = name, None
        return chunks

    def packed(self, tile: tuple[int, int], values: Mapping[str, ndarray]) -> dict[str, bytes]:
        """A tile's chunks, by key.

        Args:
            tile: its place.
            values: of all variables.
        """
        chunks = {}
        for key, (name, at) in self.chunks(tile).items():
            value = values[name] if at is None else values[name][:, at[0]:at[0] + 1, at[1]:at[1] + 1]
            chunks[key] = self._encoded(name, value)
        return chunks

    def _encoded(self, name: str, value: ndarray) -> bytes:
        """A chunk as zarr writes it: filled up to its shape, little-endian, compressed."""
        from numcodecs.zstd import Zstd

        dtype = np.dtype(self.variables[name][0]).newbyteorder("<")
        if name != "picture":
            whole = np.full((*value.shape[:-2], self.side, self.side), fill_of(dtype), dtype)
            whole[..., :value.shape[-2], :value.shape[-1]] = value
            value = whole
        return Zstd(level=LEVEL, checksum=True).encode(np.ascontiguousarray(value, dtype).tobytes())

    def checksum(self, chunks: Mapping[str, bytes | None]) -> bytes:
        """What a mark holds: of the specification's hash and of the chunks."""
        digest = sha256(self.hash.encode())
        for key in sorted(chunks):
            digest.update(f"{key} {len(chunks[key] or b'')} ".encode() + (chunks[key] or b""))
        return digest.digest()


class _Grid:
    """What `Tile` and `span` ask of a plane whose anchors are not needed."""

    def __init__(self, grid: int):
        self.grid = grid


def hash_of(spec: dict) -> str:
    """Of a specification."""
    return sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


def fill_of(dtype: np.dtype) -> float | int:
    """What stands where a tile is not done."""
    return np.nan if dtype.kind == "f" else -1 if dtype.kind == "i" else 0
