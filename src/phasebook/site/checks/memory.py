"""What a chapter will keep in memory, estimated from its parameters and held against what is free here.

An estimate counts the arrays that live at the same time, in bytes, part by part: `Parameters.memory` of each chapter.
Their sum is stated when a run begins, and refused where it is more than is free, so that a run which cannot end does
not begin.
"""

from collections.abc import Mapping

from phasebook.machine import free_memory

__all__ = ["bytes_of_exact", "bytes_of_latents", "bytes_of_slices", "check_memory", "named", "stated"]

KERNEL = 1.3e9              # an interpreter with torch, and what is in float64 at a time (`models.atoms`)
RUNNER = 1.1e9              # the process that checked the parameters and waits for the kernel
NUMBER = 4                  # bytes of a float32
POINT = 88                  # bytes of a point of a slice at a step: metric, by tangents too, in float64; jumps, fields
TILE = 2_500                # points of a slice that are swept together (`slices.sweep`)
COPIES = 8                  # of a tile's states: predictions, tangents, logits
SIDE = 16                   # of a latent of the shipped networks
DECODED = 7e6               # bytes of such a latent while a network of their size decodes it
LATENT = 2048               # entries of a latent whose model is not loaded yet


def bytes_of_exact(pictures: int, resolution: int, models: int = 1, double: bool = False) -> float:
    """Of exact models of one image set, with the pictures themselves.

    Args:
        pictures: n.
        resolution: pixels on a side.
        models: at different scales.
        double: whether there is one in float64 as well.
    """
    entries, square = pictures * 3 * resolution**2, pictures**2
    wide = models * NUMBER + (8 if double else 0)
    return entries * (NUMBER + 1 + wide) + square * (wide + 24) + 2 * TILE * pictures * NUMBER * COPIES


def bytes_of_latents(pictures: int, views: int, points: int = TILE) -> float:
    """Of an exact denoiser of a network's training latents.

    Args:
        pictures: n.
        views: of each, beside itself.
        points: that are swept together.
    """
    n = pictures * (1 + views)
    swept = 2 * max(points, TILE) * n * NUMBER * COPIES
    return n * (2 * LATENT * NUMBER + 3 * 64**2 * NUMBER) + n**2 * (NUMBER + 24) + swept


def bytes_of_slices(slices: int, grid: int, steps: int, pictures: int = 0, resolution: int = 64) -> float:
    """Of slices that are kept whole, with about `pictures` decoded along each side at every step."""
    return float(slices) * steps * (grid**2 * POINT + min(pictures, grid)**2 * 3 * resolution**2)


def named(**values: object) -> str:
    """A part of an estimate, by the parameters that decide it: `grid, steps = 9, 5`."""
    return f"{', '.join(values)} = {', '.join(map(str, values.values()))}"


def stated(parts: Mapping[str, float]) -> float:
    """Bytes of a run at its peak, of its two processes.

    Args:
        parts: bytes of arrays, by what `named` calls them.
    """
    return KERNEL + RUNNER + sum(parts.values())


def check_memory(parts: Mapping[str, float]) -> None:
    """ValueError where a run needs more memory than is free; its line names the largest part.

    Args:
        parts: as `stated` takes them.
    """
    free, need = free_memory(), stated(parts)
    if need > free:
        most = max(parts, key=parts.__getitem__, default="memory")
        raise ValueError(f"{most}: about {need / 1e9:.3g} GB of memory; takes what fits into the {free / 1e9:.3g} GB "
                         "that are free")
