"""Small changes of a picture that keep what it shows: what keeps the models from memorising pixels."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["affine", "photometric"]


def _uniform(generator: torch.Generator, n: int, low: float, high: float) -> Float[Tensor, " n"]:
    return low + (high - low) * torch.rand(n, generator=generator)


def affine(pixels: Float[Tensor, "n 3 y x"], generator: torch.Generator, degrees: float = 6.0,
           scale: tuple[float, float] = (0.9, 1.04), shift: float = 0.05) -> Float[Tensor, "n 3 y x"]:
    """Each picture turned, resized and moved at random on white; pixels in [-1, 1], `shift` in widths.

    Pictures are enlarged twofold before they are resampled, so that edges stay sharp.
    """
    n, y = len(pixels), pixels.shape[-2]
    angle = _uniform(generator, n, -degrees, degrees) * math.pi / 180
    size = _uniform(generator, n, *scale)
    cos, sin = torch.cos(angle) / size, torch.sin(angle) / size
    move = _uniform(generator, 2 * n, -2 * shift, 2 * shift).view(2, n)
    theta = torch.stack([torch.stack([cos, -sin, move[0]], -1), torch.stack([sin, cos, move[1]], -1)], 1)
    grid = F.affine_grid(theta.to(pixels), [n, 3, y, y], align_corners=False)
    white = 1 - pixels          # padding with zeros then means white
    return 1 - F.grid_sample(white, grid, mode="bicubic", align_corners=False).clamp(0, 2)


def photometric(pixels: Float[Tensor, "n 3 y x"], generator: torch.Generator, light: float = 0.08,
                noise: float = 0.06, blur: float = 0.5) -> Float[Tensor, "n 3 y x"]:
    """Contrast and brightness changed by up to `light`, noise of up to `noise`, and some pictures blurred.

    The colours keep their hue: hearts and apples differ in nothing else.
    """
    n = len(pixels)
    gain = (1 + _uniform(generator, n, -light, light)).view(n, 1, 1, 1).to(pixels)
    offset = _uniform(generator, n, -light, light).view(n, 1, 1, 1).to(pixels)
    soft = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    mix = (_uniform(generator, n, -1, 1).clamp(min=0) * blur * 2).clamp(max=1).view(n, 1, 1, 1).to(pixels)
    level = _uniform(generator, n, 0, noise).view(n, 1, 1, 1).to(pixels)
    grain = torch.randn(pixels.shape, generator=generator).to(pixels)
    return ((1 - mix) * pixels + mix * soft) * gain + offset + level * grain
