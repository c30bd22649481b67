"""Pixels and clean latents, one to the other: a diffusers VAE with its shift and scale; without one they are equal."""

from jaxtyping import Float
from torch import Tensor

__all__ = ["decoded", "encoded"]


def encoded(vae, pixels: Float[Tensor, "p 3 y x"]) -> Float[Tensor, "p c y x"]:
    """Clean latents of a batch of pictures: the mean where the VAE gives a distribution.

    Args:
        vae: of diffusers; None for a model of pixels.
        pixels: in [0, 1].
    """
    if vae is None:
        return 2 * pixels - 1
    code = vae.encode(2 * pixels - 1)
    z = code.latents if hasattr(code, "latents") else code.latent_dist.mean
    return (z - _shift(vae)) * vae.config.scaling_factor


def decoded(vae, x0: Float[Tensor, "p c y x"]) -> Float[Tensor, "p 3 y x"]:
    """Pixels in [0, 1] of a batch of clean latents, differentiable.

    Args:
        vae: of diffusers; None for a model of pixels.
        x0: at the network's scale.
    """
    if vae is None:
        return (x0 / 2 + 0.5).clamp(0, 1)
    picture = vae.decode(x0 / vae.config.scaling_factor + _shift(vae), return_dict=False)[0]
    return (picture / 2 + 0.5).clamp(0, 1)


def _shift(vae) -> float:
    return getattr(vae.config, "shift_factor", None) or 0.0
