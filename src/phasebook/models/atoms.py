"""Large sets of pictures as atoms, in float64 sums but without a float64 copy of them: a few rows at a time."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief

__all__ = ["centred_atoms", "check_labels", "gram_of", "pixels_of", "products_with"]

AT_ONCE = 6_000_000        # numbers that are in float64 at a time


def _blocks(n: int, width: int) -> Iterator[slice]:
    size = max(1, AT_ONCE // width)
    return (slice(top, top + size) for top in range(0, n, size))


def check_labels(images: object, *also: str) -> None:
    """ValueError unless it has the names and families of an image set, and what else is asked for."""
    if not all(hasattr(images, key) for key in ("family", "families", "names", *also)):
        raise ValueError(f"images = {brief(images)}: takes an image set, such as load_images('families')")


def pixels_of(images) -> Float[ndarray, "n y x 3"]:
    """The pixels of an image set. ValueError unless there are some, finite, and as many names and families."""
    check_labels(images, "pixels")
    pixels = np.asarray(images.pixels)
    if len(pixels) == 0 or not np.isfinite(pixels).all():
        raise ValueError("images: none, or with NaN or Inf in them; takes one finite image or more")
    if pixels.ndim != 4 or not len(pixels) == len(images.family) == len(images.names):
        raise ValueError(f"images: pixels of shape {pixels.shape}, {len(images.family)} family labels, "
                         f"{len(images.names)} names; takes (n, y, x, rgb), n and n")
    return pixels


def centred_atoms(pixels: Float[ndarray, "n y x 3"], norm: float, device: str,
                  dtype: torch.dtype) -> tuple[Float[Tensor, "n d"], Float[Tensor, " d"], float]:
    """Pictures as vectors (rgb, y, x), centred and scaled.

    Args:
        pixels: finite.
        norm: root mean square norm of the scaled atoms.
        device: where they live.
        dtype: of the results.

    Returns:
        Atoms, mean and scale: a picture is `mean + atom / scale`. Scale is 1 where all pictures are equal.
    """
    pixels, flat = np.asarray(pixels), np.asarray(pixels).reshape(len(pixels), -1)
    mean = torch.cat([_wide(flat[:, part]).mean(0) for part in _blocks(flat.shape[1], len(flat))])
    rows = list(_blocks(*flat.shape))
    square = torch.cat([((_wide(flat[part]) - mean) ** 2).sum(1) for part in rows])
    rms = float(square.mean().sqrt())
    scale = norm / rms if rms > 1e-9 else 1.0
    atoms = torch.empty(flat.shape, dtype=dtype, device=device)
    for part in rows:
        block = ((_wide(flat[part]) - mean) * scale).view(-1, *pixels.shape[1:])
        atoms[part] = block.permute(0, 3, 1, 2).flatten(1).to(device, dtype)
    return atoms, mean.view(pixels.shape[1:]).permute(2, 0, 1).flatten().to(device, dtype), scale


def _wide(part: ndarray) -> Tensor:
    return torch.as_tensor(part).to(torch.float64)


def gram_of(atoms: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    """`<x_i, x_j>`, summed in float64."""
    rows = list(_blocks(*atoms.shape))
    gram = torch.empty(len(atoms), len(atoms), dtype=atoms.dtype, device=atoms.device)
    for k, one in enumerate(rows):
        wide = atoms[one].to(torch.float64)
        for other in rows[k:]:
            gram[one, other] = (wide @ atoms[other].to(torch.float64).T).to(atoms.dtype)
            if other != one:
                gram[other, one] = gram[one, other].T
    return gram


def products_with(atoms: Float[Tensor, "n d"], vectors: Float[Tensor, "m d"]) -> Float[Tensor, "m n"]:
    """`<z_j, x_i>` in float64."""
    wide = vectors.to(torch.float64)
    return torch.cat([wide @ atoms[part].to(torch.float64).T for part in _blocks(*atoms.shape)], 1)
