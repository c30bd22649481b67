"""A model of your own: any function that denoises."""

import inspect
from collections.abc import Callable, Sequence
from hashlib import sha256

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from phasebook.sampling.features import Latent, OfPixels
from phasebook.sampling.levels import Levels, log_snr_levels
from phasebook.sampling.protocols import Model, Pixels, Prediction, Prompt, State

__all__ = ["Denoiser"]


class Denoiser(Model):
    """The model of a function `denoise(x, alpha, sigma)` that gives `xhat_0 = E[x_0 | x_t = x]`.

    Args:
        shape: of one latent, e.g. (2,) or (3, 32, 32).
        denoise: takes a tensor (p, *shape) and the level's alpha and sigma (floats), gives a tensor or array of the
            same shape. Tangents need a function that torch can differentiate forwards.
        decode: pictures (p, 3, y, x) in [0, 1] of clean states; without it the model has no pictures.
        name: enters the fingerprint; by default the function's source.
        levels: noise levels by number of steps.
        dtype: of the states.
        device: where they live.

    Examples:
        >>> model = Denoiser((2,), lambda x, alpha, sigma: alpha * x / (alpha**2 + sigma**2))      # N(0, 1)
    """

    def __init__(self, shape: Sequence[int], denoise: Callable[[Tensor, float, float], Tensor | ndarray], *,
                 decode: Callable[[Tensor], Tensor] | None = None, name: str = "",
                 levels: Callable[[int], Levels] = log_snr_levels, dtype: torch.dtype = torch.float64,
                 device: str = "cpu"):
        shape = tuple(shape)
        if not shape or not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
            raise ValueError(f"shape = {shape!r}: takes positive integers, the shape of one latent")
        if not callable(denoise):
            raise ValueError(f"denoise = {denoise!r}: takes a function of (x, alpha, sigma)")
        self.shape = shape
        self.denoise = denoise
        self._decode, self._levels = decode, levels
        self.dtype, self.device = dtype, device
        self.fingerprint = sha256(f"{shape} {name or _source(denoise)}".encode()).hexdigest()[:16]
        self.features = {"latent": Latent(shape)}
        if decode:
            self.features["pixels"] = OfPixels(lambda pixels: pixels.flatten(1) / pixels[0].numel() ** 0.5)

    def levels(self, steps: int) -> Levels:
        """Levels equally spaced in log-SNR, unless others were given."""
        return self._levels(steps)

    def start(self, latents: Float[ndarray, "m *latent"], coefficients: Float[ndarray, "p m"] | None = None) -> State:
        """Latents as they are, or combinations of a few; summed in float64."""
        return combined(latents, coefficients).to(self.device, self.dtype)

    def prompt(self, texts: str | Sequence[str], guidance: float = 1.0, negative: str = "") -> Prompt:
        """The empty prompt; a function of (x, alpha, sigma) knows no other."""
        named = [t for t in ([texts] if isinstance(texts, str) else texts) if t]
        if named:
            raise ValueError(f"prompt = {named[0]!r}: this model takes none")
        return Prompt({})

    def predict(self, x: State, levels: Levels, step: int, prompt: Prompt | None = None,
                read: int | None = None) -> Prediction:
        """The function at the level of `step`, and the noise that follows from it at the level of `read`."""
        at = step if read is None else read
        x0 = self.denoise(x, float(levels.alpha[step]), float(levels.sigma[step]))
        if not isinstance(x0, Tensor) and unpack_dual(x).tangent is not None:
            raise ValueError("tangents: denoise gives an array; takes a function of tensors, or tangents=False")
        x0 = torch.as_tensor(x0).to(x)
        if x0.shape != x.shape:
            raise ValueError(f"denoise: gives shape {tuple(x0.shape)} for {tuple(x.shape)}; takes a function that "
                             "keeps the shape")
        return Prediction(x0, (x - float(levels.alpha[at]) * x0) / float(levels.sigma[at]))

    def decode(self, x0: State) -> Pixels:
        """The pictures of clean states; ValueError where no `decode` was given."""
        if self._decode is None:
            raise ValueError("decode: this model has no pictures; takes Denoiser(..., decode=function)")
        return torch.as_tensor(self._decode(x0)).clamp(0, 1)


def combined(latents: Float[ndarray, "m *latent"], coefficients: Float[ndarray, "p m"] | None) -> Tensor:
    """Latents, or combinations `coefficients @ latents` of a few, in float64."""
    wide = np.asarray(latents, dtype=np.float64)
    return torch.as_tensor(wide if coefficients is None else np.tensordot(coefficients, wide, 1))


def _source(function: Callable) -> str:
    """What tells one function from another: its source where there is one."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return code.co_code.hex() if code else repr(type(function))
