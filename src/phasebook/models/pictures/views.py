"""Views of the training pictures: small changes that keep what they show, and the latents of them."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from phasebook.sampling.batches import in_batches

__all__ = ["affine", "latent_views"]

VIEWS = 12              # augmented versions of a picture that networks are trained on
MOVED = {"degrees": 4.0, "scale": (0.94, 1.03), "shift": 0.03}      # how far, at most


def uniform(generator: torch.Generator, n: int, low: float, high: float) -> Float[Tensor, " n"]:
    """`n` numbers, uniform between `low` and `high`."""
    return low + (high - low) * torch.rand(n, generator=generator)


def affine(pixels: Float[Tensor, "n 3 y x"], generator: torch.Generator, degrees: float = 6.0,
           scale: tuple[float, float] = (0.9, 1.04), shift: float = 0.05) -> Float[Tensor, "n 3 y x"]:
    """Each picture turned, resized and moved at random on white.

    Args:
        pixels: in [-1, 1].
        generator: of the random numbers.
        degrees: the largest angle.
        scale: the smallest and the largest factor.
        shift: the largest move, in widths.

    Raises:
        ValueError: for pictures that are not square: turned, they would be sheared.
    """
    n, y = len(pixels), pixels.shape[-2]
    if pixels.shape[-1] != y:
        raise ValueError(f"pixels: {y} x {pixels.shape[-1]}; takes square pictures")
    angle = uniform(generator, n, -degrees, degrees) * math.pi / 180
    size = uniform(generator, n, *scale)
    cos, sin = torch.cos(angle) / size, torch.sin(angle) / size
    move = uniform(generator, 2 * n, -2 * shift, 2 * shift).view(2, n)
    theta = torch.stack([torch.stack([cos, -sin, move[0]], -1), torch.stack([sin, cos, move[1]], -1)], 1)
    grid = F.affine_grid(theta.to(pixels), [n, 3, y, y], align_corners=False)
    white = 1 - pixels          # padding with zeros then means white
    return 1 - F.grid_sample(white, grid, mode="bicubic", align_corners=False).clamp(0, 2)


def latent_views(vae, pictures: Float[Tensor, "n 3 y x"], views: int = VIEWS,
                 seed: int = 0) -> Float[Tensor, "v n c y x"]:
    """Scaled latents of every picture: as it is, and in `views` augmented versions.

    Args:
        vae: an AutoencoderTiny of diffusers.
        pictures: in [-1, 1].
        views: how many versions beside the picture itself.
        seed: of the changes.

    Returns:
        Latents at the scale that the network is trained on; the first view is the picture itself.
    """
    generator = torch.Generator().manual_seed(seed)
    own = next(vae.parameters())
    latents = []
    for view in range(views + 1):
        pixels = affine(pictures, generator, **MOVED) if view else pictures
        latents += in_batches(lambda x: (vae.encoder(x.to(own.dtype)).to(x.dtype),), 64, pixels.to(own.device))
    return torch.stack(latents) * vae.config.scaling_factor
