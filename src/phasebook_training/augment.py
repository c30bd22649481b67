"""Small changes of a picture that keep what it shows: what keeps the models from memorising pixels."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from phasebook.models.pictures.views import uniform

__all__ = ["photometric"]


def photometric(pixels: Float[Tensor, "n 3 y x"], generator: torch.Generator, light: float = 0.08,
                noise: float = 0.06, blur: float = 0.5) -> Float[Tensor, "n 3 y x"]:
    """Contrast and brightness changed by up to `light`, noise of up to `noise`, and some pictures blurred.

    The colours keep their hue: hearts and apples differ in nothing else.
    """
    n = len(pixels)
    gain = (1 + uniform(generator, n, -light, light)).view(n, 1, 1, 1).to(pixels)
    offset = uniform(generator, n, -light, light).view(n, 1, 1, 1).to(pixels)
    soft = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    mix = (uniform(generator, n, -1, 1).clamp(min=0) * blur * 2).clamp(max=1).view(n, 1, 1, 1).to(pixels)
    level = uniform(generator, n, 0, noise).view(n, 1, 1, 1).to(pixels)
    grain = torch.randn(pixels.shape, generator=generator).to(pixels)
    return ((1 - mix) * pixels + mix * soft) * gain + offset + level * grain
