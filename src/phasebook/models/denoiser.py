"""A model of your own: any function that denoises."""

from collections.abc import Callable, Sequence
from hashlib import sha256

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from phasebook.arguments import (
    brief,
    check_place,
    check_states,
    check_takes,
    latent_shape,
    number,
    numbers,
    of_its_kind,
    tensor_of,
)
from phasebook.sampling.features import Latent, OfPixels
from phasebook.sampling.fingerprints import fingerprint_of
from phasebook.sampling.levels import Levels, asked_at, log_snr_levels
from phasebook.sampling.protocols import Model, Pixels, Prediction, Prompt, State, check_prompt

__all__ = ["Denoiser"]

NETWORK = "Denoiser(..., dtype=..., device=...) of the network"


class Denoiser(Model):
    """The model of a function `denoise(x, alpha, sigma)` that gives `xhat_0 = E[x_0 | x_t = x]`.

    Args:
        shape: of one latent, e.g. (2,) or (3, 32, 32).
        denoise: takes a tensor (p, *shape) and the level's alpha and sigma (floats), gives a tensor or array of the
            same shape, each point by itself. Tangents need a function that torch can differentiate forwards.
        decode: pictures (p, 3, y, x) in [0, 1] of clean states, tensor or array; what lies outside is clipped, so that
            pixels in [-1, 1] want `x / 2 + 1 / 2`.
            Without it the model has no pictures.
        name: of the fingerprint, in place of what the functions are: their code, and the values, other functions and
            networks that they use, as they are now: a network that is trained further wants a new `Denoiser`.
        levels: noise levels by number of steps.
        dtype: of the states.
        device: where they live.

    Raises:
        ValueError: for an argument that is none of these, or a function that does not take three.

    Latents are the states of the first level, so noise begins with standard deviation one. A network of
    `x_0 + sigma eps`, without alpha, whose noise begins with 80, say, is `f(x / alpha, sigma / alpha)`, at
    `log_snr_levels(steps, noisiest=80)`.

    Examples:
        >>> model = Denoiser((2,), lambda x, alpha, sigma: alpha * x / (alpha**2 + sigma**2))      # N(0, 1)
    """

    def __init__(self, shape: Sequence[int], denoise: Callable[[Tensor, float, float], Tensor | ndarray], *,
                 decode: Callable[[Tensor], Tensor] | None = None, name: str = "",
                 levels: Callable[[int], Levels] = log_snr_levels, dtype: torch.dtype = torch.float64,
                 device: str = "cpu"):
        shape = latent_shape(shape)
        check_place(dtype, device)
        check_takes("denoise", denoise, "x", "alpha", "sigma")
        check_takes("levels", levels, "steps")
        if decode is not None:
            check_takes("decode", decode, "x0")
        if not isinstance(name, str):
            raise ValueError(f"name = {brief(name)}: takes a text")
        self.shape = shape
        self.denoise = denoise
        self._decode, self._levels = decode, levels
        self.dtype, self.device = dtype, device
        said = name or fingerprint_of(denoise, *([] if decode is None else [decode]))
        self.fingerprint = sha256(f"{shape} {said}".encode()).hexdigest()[:16]
        self._tried = False
        self.features = {"latent": Latent(shape)}
        if decode:
            self.features["pixels"] = OfPixels(lambda pixels: pixels.flatten(1) / pixels[0].numel() ** 0.5)

    def levels(self, steps: int) -> Levels:
        """Levels equally spaced in log-SNR, unless others were given.

        Returns:
            Steps + 1 levels.

        Raises:
            ValueError: for a function that gave something else.
        """
        made = self._levels(steps)
        if not isinstance(made, Levels):
            raise ValueError(f"levels: gives a {type(made).__name__}; takes a function of steps that gives Levels")
        return made

    def start(self, latents: Float[ndarray, "m *latent"], coefficients: Float[ndarray, "p m"] | None = None) -> State:
        """Latents as they are, or combinations of a few; summed in float64."""
        return combined(checked_latents(latents, self.shape), coefficients).to(self.device, self.dtype)

    def prompt(self, texts: str | Sequence[str], guidance: float = 1.0, negative: str = "") -> Prompt:
        """The empty prompt; a function of (x, alpha, sigma) knows no other."""
        return wordless(texts, guidance, negative)

    def predict(self, x: State, levels: Levels, step: int, prompt: Prompt | None = None,
                read: int | None = None) -> Prediction:
        """The function at the level of `step`, and the noise that follows from it at the level of `read`."""
        check_states("x", x, self.shape)
        check_prompt(prompt, len(x))
        if prompt is not None and prompt.conditions:
            raise ValueError(f"prompt: of another model, with {', '.join(prompt.conditions)}; this one takes none")
        step, read = asked_at(levels, step, read)
        x0 = self._asked(x, float(levels.alpha[step]), float(levels.sigma[step]))
        if x0.shape != x.shape:
            raise ValueError(f"denoise: gives shape {tuple(x0.shape)} for {tuple(x.shape)}; takes a function that "
                             "keeps the shape")
        return Prediction.of(x0, x, levels, step, read)

    def _asked(self, x: State, alpha: float, sigma: float) -> State:
        """The function's answer, copied: it may give the same memory each time. It gets a copy, which it may change."""
        with of_its_kind("denoise", x, NETWORK):
            x0 = self.denoise(x.clone(), alpha, sigma)
        takes = "a function that gives a tensor or an array of floating-point numbers"
        if not isinstance(x0, Tensor | ndarray):
            raise ValueError(f"denoise: gives a {type(x0).__name__}; takes {takes}")
        given = tensor_of("denoise", x0, takes)
        if not given.is_floating_point():           # most clean states would be cut off to 0
            raise ValueError(f"denoise: gives {str(given.dtype).removeprefix('torch.')}; takes {takes}")
        kept = given.to(x, copy=True)
        lost = not isinstance(x0, Tensor) or unpack_dual(kept).tangent is None
        if lost and unpack_dual(x).tangent is not None and not self._constant(x0, kept, x, alpha, sigma):
            raise ValueError("tangents: denoise gives an array, or leaves torch on the way; takes a function of "
                             "tensors, or jacobian='differences'")
        return kept

    def _constant(self, x0: Tensor | ndarray, kept: State, x: State, alpha: float, sigma: float) -> bool:
        """Whether the function gives what is kept of `x0` elsewhere, too: then it has no tangents to lose."""
        other = self.denoise(2 * unpack_dual(x).primal + 1, alpha, sigma)
        return isinstance(x0, Tensor) and isinstance(other, Tensor) and torch.equal(other.to(kept), kept)

    def push(self, x: State, dx: Float[Tensor, "t p *s"], levels: Levels, step: int,
             prompt: Prompt | None = None) -> tuple[Prediction, Prediction]:
        """The prediction and its derivatives by forward-mode differentiation.

        Up to the first step at which the prediction moves with the state, which at pure noise it does not, one point is
        held against a centred difference, since a function that leaves torch half way loses tangents without a word.
        Where the signal prevails already it is the last time: there a difference may step over a boundary.

        Returns:
            The prediction, and its derivatives with the tangents in front.

        Raises:
            ValueError: where they disagree.
        """
        value, slope = super().push(x, dx, levels, step, prompt)
        if not self._tried:
            eps = torch.finfo(x.dtype).eps          # a step is longer in half precision, or it would be rounding
            h = max(1e-3, eps**0.5) * float(x[:1].norm()) / max(float(dx[0, :1].norm()), 1e-30)
            up, down = (self.predict(x[:1] + s * h * dx[0, :1], levels, step).x0 for s in (1, -1))
            near, exact = (up - down) / (2 * h), slope.x0[0, :1]
            rounding = 1e-2 * float(dx[0, :1].norm()) + 4 * eps * float(up.norm()) / max(h, 1e-30)
            if float((near - exact).norm()) > 0.2 * float(exact.norm()) + rounding:
                raise ValueError("tangents: denoise differs from its derivative; takes a function of tensors "
                                 "throughout, or jacobian='differences'")
            self._tried = float(near.norm()) > rounding or bool(levels.alpha[step] > levels.sigma[step])
        return value, slope

    def decode(self, x0: State) -> Pixels:
        """The pictures of clean states.

        Returns:
            Pixels (p, 3, y, x) in [0, 1].

        Raises:
            ValueError: where no `decode` was given, or it gives no pictures: another shape or range, or NaN; for states
                that are none.
        """
        if self._decode is None:
            raise ValueError("decode: this model has no pictures; takes Denoiser(..., decode=function)")
        check_states("x0", x0, self.shape, finite=True)
        with of_its_kind("decode", x0, NETWORK):
            pixels = self._decode(x0.clone())           # the next feature looks at the states, too
        pixels = tensor_of("decode", pixels, f"a function that gives pictures ({len(x0)}, 3, y, x)")
        if pixels.ndim != 4 or len(pixels) != len(x0) or pixels.shape[1] != 3:
            raise ValueError(f"decode: gives shape {tuple(pixels.shape)} for {len(x0)} states; takes a function that "
                             f"gives pictures ({len(x0)}, 3, y, x)")
        if not torch.isfinite(pixels).all():
            raise ValueError("decode: gives numbers that are not finite; takes a function that gives pixels in [0, 1]")
        # unclipped pictures stray to both sides; those of bytes, from 0 to 255, to one side and far
        low, mean, high = (float(extreme) for extreme in (pixels.min(), pixels.double().mean(), pixels.max()))
        if not pixels.is_floating_point() or (low >= 0 and mean > 1.5):
            raise ValueError(f"decode: gives {str(pixels.dtype).removeprefix('torch.')} from {low:.3g} to {high:.3g}; "
                             "takes a function that gives pixels in [0, 1], floating-point")
        return pixels.clamp(0, 1)


def checked_latents(latents: Float[ndarray, "m *latent"], shape: tuple[int, ...]) -> Float[ndarray, "m *latent"]:
    """The latents as an array. ValueError unless they are of `shape` and finite."""
    array = numbers("latents", latents, f"an array (m, {', '.join(map(str, shape))})")
    if array.shape[1:] != tuple(shape) or array.ndim == 0:
        raise ValueError(f"latents: shape {array.shape}; this model takes (m, {', '.join(map(str, shape))})")
    return array


def combined(latents: Float[ndarray, "m *latent"], coefficients: Float[ndarray, "p m"] | None) -> Tensor:
    """Latents, or combinations `coefficients @ latents` of a few, in float64. ValueError for another shape of these."""
    wide = np.asarray(latents, dtype=np.float64)
    if coefficients is None:
        return torch.as_tensor(wide)
    c = numbers("coefficients", coefficients, f"an array (p, {len(wide)})")
    if c.ndim != 2 or c.shape[1] != len(wide):
        raise ValueError(f"coefficients: shape {c.shape}; takes (p, {len(wide)}), one for each of the latents")
    return torch.as_tensor(np.tensordot(c, wide, 1))


def wordless(texts: str | Sequence[str], guidance: float = 1.0, negative: str = "") -> Prompt:
    """The empty prompt of a model that knows no other. ValueError for a text, or a guidance that is none."""
    for name, given in (("prompt", listed(texts, negative)), ("negative", [negative])):
        if named := [text for text in given if text]:
            raise ValueError(f"{name} = {named[0]!r}: this model takes none")
    return Prompt({}, guided(guidance))


def guided(guidance: float) -> float:
    """The guidance of a prompt as a float. ValueError unless it is a finite number >= 0."""
    return number("guidance", guidance, "a finite number >= 0 (1 or less: no guidance)", least=0)


def listed(texts: str | Sequence[str], negative: str = "") -> list[str]:
    """One text, or one a point, as a list. ValueError for anything else, or a `negative` that is no text."""
    single = [texts] if isinstance(texts, str) else texts
    if not isinstance(single, Sequence) or not single or not all(isinstance(text, str) for text in single):
        raise ValueError(f"prompt = {brief(texts)}: takes a text, or a list of texts, one a point")
    if not isinstance(negative, str):
        raise ValueError(f"negative = {brief(negative)}: takes a text")
    return list(single)
