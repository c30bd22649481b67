"""Pixels and clean latents, one to the other: a diffusers VAE with its shift and scale; without one they are equal."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Place", "decoded", "encoded"]

Place = tuple[float | Tensor, float | Tensor]       # what a code is spread by, and where its middle is


def encoded(vae, pixels: Float[Tensor, "p 3 y x"], place: Place = (1.0, 0.0)) -> Float[Tensor, "p c y x"]:
    """Clean latents of a batch of pictures: the mean where the VAE gives a distribution.

    Args:
        vae: of diffusers; None for a model of pixels.
        pixels: in [0, 1].
        place: see `families.Family.place`.
    """
    if vae is None:
        return 2 * pixels - 1
    code = vae.encode((2 * pixels - 1).to(vae.dtype))
    z = (code.latents if hasattr(code, "latents") else code.latent_dist.mean).to(pixels.dtype)
    spread, middle = (_like(number, pixels) for number in place)
    return (z - middle) * vae.config.scaling_factor / spread


def decoded(vae, x0: Float[Tensor, "p c y x"], place: Place = (1.0, 0.0)) -> Float[Tensor, "p 3 y x"]:
    """Pixels in [0, 1] of a batch of clean latents, differentiable.

    Args:
        vae: of diffusers; None for a model of pixels.
        x0: at the network's scale.
        place: see `families.Family.place`.
    """
    if vae is None:
        return (x0 / 2 + 0.5).clamp(0, 1)
    spread, middle = (_like(number, x0) for number in place)
    picture = vae.decode((x0 * spread / vae.config.scaling_factor + middle).to(vae.dtype), return_dict=False)[0]
    return (picture / 2 + 0.5).clamp(0, 1)


def _like(number: float | Tensor, x: Tensor) -> float | Tensor:
    return number.to(x) if isinstance(number, torch.Tensor) else number
