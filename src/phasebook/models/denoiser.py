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
        name: enters the fingerprint; by default the function's source, the values it closes over, and the weights of a
            network among them.
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
        shape = tuple(shape) if isinstance(shape, Sequence) else (shape,)
        if not dtype.is_floating_point:
            raise ValueError(f"dtype = {dtype}: takes a floating-point type")
        if not shape or not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
            raise ValueError(f"shape = {shape!r}: takes positive integers, the shape of one latent")
        if not callable(denoise):
            raise ValueError(f"denoise = {denoise!r}: takes a function of (x, alpha, sigma)")
        self.shape = shape
        self.denoise = denoise
        self._decode, self._levels = decode, levels
        self.dtype, self.device = dtype, device
        said = name.encode() if name else _described(denoise)
        self.fingerprint = sha256(f"{shape} ".encode() + said).hexdigest()[:16]
        self._tried = False
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
        named = [t for t in listed(texts) if t]
        if named:
            raise ValueError(f"prompt = {named[0]!r}: this model takes none")
        return Prompt({})

    def predict(self, x: State, levels: Levels, step: int, prompt: Prompt | None = None,
                read: int | None = None) -> Prediction:
        """The function at the level of `step`, and the noise that follows from it at the level of `read`."""
        at = step if read is None else read
        if x.ndim < 2 or tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"x: shape {tuple(x.shape)}; takes states (p, {', '.join(map(str, self.shape))})")
        x0 = self._asked(x, float(levels.alpha[step]), float(levels.sigma[step]))
        if x0.shape != x.shape:
            raise ValueError(f"denoise: gives shape {tuple(x0.shape)} for {tuple(x.shape)}; takes a function that "
                             "keeps the shape")
        return Prediction(x0, (x - float(levels.alpha[at]) * x0) / float(levels.sigma[at]))

    def _asked(self, x: State, alpha: float, sigma: float) -> State:
        """The function's answer as a tensor; it gets a copy, which it may change."""
        try:
            x0 = self.denoise(x.clone(), alpha, sigma)
        except RuntimeError as error:
            if "dtype" not in str(error):
                raise
            raise ValueError(f"denoise: {str(error).splitlines()[0]}; states are {x.dtype}, takes "
                             "Denoiser(..., dtype=...) of the network") from None
        if not isinstance(x0, Tensor | ndarray):
            raise ValueError(f"denoise: gives a {type(x0).__name__}; takes a function that gives a tensor or an array")
        lost = not isinstance(x0, Tensor) or unpack_dual(x0).tangent is None
        if lost and unpack_dual(x).tangent is not None:
            raise ValueError("tangents: denoise gives an array, or leaves torch on the way; takes a function of "
                             "tensors, or jacobian='differences'")
        return torch.as_tensor(x0).to(x)

    def push(self, x: State, dx: Float[Tensor, "t p *s"], levels: Levels, step: int,
             prompt: Prompt | None = None) -> tuple[Prediction, Prediction]:
        """The prediction and its derivatives by forward-mode differentiation.

        The first time, one point is held against a centred difference, since a function that leaves torch half way
        loses tangents without a word.

        Returns:
            The prediction, and its derivatives with the tangents in front.

        Raises:
            ValueError: where they disagree.
        """
        value, slope = super().push(x, dx, levels, step, prompt)
        if not self._tried:
            h = 1e-3 * float(x[:1].norm()) / max(float(dx[0, :1].norm()), 1e-30)
            up, down = (self.predict(x[:1] + s * h * dx[0, :1], levels, step).x0 for s in (1, -1))
            near, exact = (up - down) / (2 * h), slope.x0[0, :1]
            rounding = 1e-2 * float(dx[0, :1].norm())
            if float((near - exact).norm()) > 0.2 * float(exact.norm()) + rounding:
                raise ValueError("tangents: denoise differs from its derivative; takes a function of tensors "
                                 "throughout, or jacobian='differences'")
            self._tried = True
        return value, slope

    def decode(self, x0: State) -> Pixels:
        """The pictures of clean states.

        Returns:
            Pixels (p, 3, y, x) in [0, 1].

        Raises:
            ValueError: where no `decode` was given, or it gives no pictures: another shape, or NaN.
        """
        if self._decode is None:
            raise ValueError("decode: this model has no pictures; takes Denoiser(..., decode=function)")
        pixels = torch.as_tensor(self._decode(x0))
        if pixels.ndim != 4 or len(pixels) != len(x0) or pixels.shape[1] != 3:
            raise ValueError(f"decode: gives shape {tuple(pixels.shape)} for {len(x0)} states; takes a function that "
                             f"gives pictures ({len(x0)}, 3, y, x)")
        if not torch.isfinite(pixels).all():
            raise ValueError("decode: gives numbers that are not finite; takes a function that gives pixels in [0, 1]")
        return pixels.clamp(0, 1)


def combined(latents: Float[ndarray, "m *latent"], coefficients: Float[ndarray, "p m"] | None) -> Tensor:
    """Latents, or combinations `coefficients @ latents` of a few, in float64."""
    wide = np.asarray(latents, dtype=np.float64)
    return torch.as_tensor(wide if coefficients is None else np.tensordot(coefficients, wide, 1))


def listed(texts: str | Sequence[str]) -> list[str]:
    """One text, or one a point, as a list. ValueError for anything else."""
    single = [texts] if isinstance(texts, str) else texts
    if not isinstance(single, Sequence) or not single or not all(isinstance(text, str) for text in single):
        raise ValueError(f"prompt = {texts!r}: takes a text, or a list of texts, one a point")
    return list(single)


def _described(value: object) -> bytes:
    """What tells one function from another: its source, the values it closes over, the weights of a network."""
    if isinstance(value, torch.nn.Module):
        weights = [(name, w.detach().float().cpu().numpy().tobytes()) for name, w in value.state_dict().items()]
        return repr(type(value)).encode() + b"".join(name.encode() + w for name, w in weights)
    if isinstance(value, Tensor | ndarray):
        return np.ascontiguousarray(torch.as_tensor(value).detach().cpu().numpy()).tobytes()
    if not callable(value):
        return repr(value).encode()
    try:
        said = inspect.getsource(value).encode()
    except (OSError, TypeError):
        code = getattr(value, "__code__", None)
        said = code.co_code if code else repr(type(value)).encode()
    cells = [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
    return said + b"".join(_described(cell) for cell in [*cells, *(getattr(value, "__defaults__", None) or ())])
