"""Control for the exact model: the Gaussian with the images' mean and covariance, one mode with a linear denoiser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, check_states
from phasebook.models.denoiser import wordless
from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import Levels, asked_at
from phasebook.sampling.protocols import (
    Embedding,
    Feature,
    Frame,
    Model,
    Pixels,
    Prediction,
    Prompt,
    State,
    check_prompt,
)

__all__ = ["GaussianModel"]

CENTRED = 1e-9          # of the atoms' mean square: the square of a mean that is rounding


@dataclass(frozen=True, eq=False)
class GaussianModel(Model):
    """The Gaussian N(mean, covariance of the atoms), whose denoiser is linear. Build it with `GaussianModel.of(exact)`.

    On principal axis r, of variance `s_r` and mean `m_r`:

        xhat_r = m_r + alpha s_r / (alpha^2 s_r + sigma^2) (x_r - alpha m_r).

    A latent decomposes over the axes as `x = sum_r y_r v_r + rest`, `v_r = sum_i axes_ir x_i` of norm one; the rest is
    denoised to zero. States are the coordinates y. Where the mean of the atoms is not 0 (latents of another model, a
    subset), what of it lies off the axes of the covariance is one more axis, of variance 0.

    Attributes:
        exact: the model of the atoms.
        axes: (n, r).
        variance: (r,).
        mean: of the atoms (r,).
    """

    exact: ExactModel
    axes: Float[Tensor, "n r"]
    variance: Float[Tensor, " r"]
    mean: Float[Tensor, " r"]

    @classmethod
    def of(cls, exact: ExactModel) -> "GaussianModel":
        """The Gaussian fitted to the atoms of an exact model (its prior being uniform). ValueError for another."""
        if not isinstance(exact, ExactModel):
            raise ValueError(f"exact = {brief(exact)}: takes an ExactModel, such as ExactModel.of(images)")
        gram, n = exact.gram.to(torch.float64), len(exact.atoms)
        variance, axes = torch.linalg.eigh(gram - gram.mean(0) - gram.mean(1, keepdim=True) + gram.mean())
        keep = variance > 1e-9 * variance[-1].clamp(min=0)
        axes, variance = axes[:, keep] / variance[keep].sqrt(), variance[keep] / n
        axes = axes - axes.mean(0)                      # of sum 0: combinations of differences of atoms
        mean = axes.T @ gram.mean(1)
        off = 1 / n - axes @ mean                       # the mean off the axes, as a combination of the atoms
        if (rest := off @ gram @ off) > CENTRED * gram.diagonal().mean():
            axes = torch.cat([axes, (off / rest.sqrt())[:, None]], 1)
            variance, mean = torch.cat([variance, rest.new_zeros(1)]), torch.cat([mean, rest.sqrt()[None]])
        return cls(exact, axes, variance, mean)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the images."""
        return self.exact.shape

    @property
    def fingerprint(self) -> str:
        """That of the images, marked."""
        return "gaussian-" + self.exact.fingerprint

    @property
    def features(self) -> Mapping[str, Feature]:
        """`pixels`, through the principal axes, which are orthonormal."""
        return {"pixels": _AxisPixels(self.exact)}

    def levels(self, steps: int) -> Levels:
        """Those of the exact model."""
        return self.exact.levels(steps)

    def start(self, latents: Float[ndarray, "m *latent"], coefficients: Float[ndarray, "p m"] | None = None) -> State:
        """Coordinates of latents on the principal axes."""
        q = self.exact.start(latents, coefficients)[:, :len(self.exact.atoms)]
        return (q.to(torch.float64) @ self.axes).to(self.exact.dtype)

    def prompt(self, texts: str | Sequence[str], guidance: float = 1.0, negative: str = "") -> Prompt:
        """The empty prompt: a Gaussian has nothing to choose from. ValueError for another."""
        return wordless(texts, guidance, negative)

    def predict(self, x: State, levels: Levels, step: int, prompt: Prompt | None = None,
                read: int | None = None) -> Prediction:
        """The linear denoiser, and the noise that follows from it. ValueError for an argument that is none."""
        check_states("x", x, self.variance.shape)
        check_prompt(prompt, len(x))
        step, read = asked_at(levels, step, read)
        alpha, sigma = float(levels.alpha[step]), float(levels.sigma[step])
        s, mean = self.variance.to(x), self.mean.to(x)
        x0 = mean + alpha * s / (alpha**2 * s + sigma**2) * (x - alpha * mean)
        return Prediction.of(x0, x, levels, step, read)

    def decode(self, x0: State) -> Pixels:
        """The pictures of coordinates. ValueError for what are none."""
        check_states("x0", x0, self.variance.shape, self.exact.dtype, finite=True)
        w = x0 @ self.axes.T.to(x0)
        return self.exact.decode(torch.cat([torch.zeros_like(w), w], 1))


class _AxisPixels(Feature):
    """Pixels of the predictions; distances are root mean squares over pixels."""

    def __init__(self, exact: ExactModel):
        self.unit = exact.unit
        self.exact = exact

    def __call__(self, frame: Frame) -> Embedding:
        return Embedding(frame.x0, frame.x0, frame.dx0, frame.dx0)

    def yardstick(self, model: Model, prompt: Prompt | None = None) -> float:
        return self.exact.features["pixels"].yardstick(self.exact)
