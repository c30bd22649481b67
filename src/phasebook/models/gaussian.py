"""Control for the exact model: the Gaussian with the images' mean and covariance, one mode with a linear denoiser."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from phasebook.models.exact import ExactModel, Feature, Frame
from phasebook.sampling.samplers import Levels

__all__ = ["GaussianModel"]


@dataclass(frozen=True, eq=False)
class GaussianModel:
    """Control: the Gaussian N(mean, covariance of the atoms), whose denoiser is linear and has one mode.

    On principal axis r (variance `s_r`): `xhat_r = alpha s_r / (alpha^2 s_r + sigma^2) x_r`. The latent decomposes
    over the axes as `x = sum_r y_r v_r + rest`, `v_r = sum_i axes_ir x_i` of norm one; the rest is denoised to zero.
    """

    exact: ExactModel
    axes: Float[Tensor, "n r"]
    variance: Float[Tensor, " r"]

    @classmethod
    def of(cls, exact: ExactModel) -> "GaussianModel":
        """The Gaussian fitted to the atoms of an exact model (its prior being uniform)."""
        variance, axes = torch.linalg.eigh(exact.gram.to(torch.float64))
        keep = variance > 1e-9 * variance[-1].clamp(min=1e-9)
        return cls(exact, axes[:, keep] / variance[keep].sqrt(), variance[keep] / len(exact.atoms))

    @property
    def unit(self) -> float:
        return self.exact.unit

    @property
    def fingerprint(self) -> str:
        return "gaussian-" + self.exact.fingerprint

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.exact.shape

    def start(self, latents: ndarray, coefficients: ndarray | None = None) -> Float[Tensor, "p r"]:
        """Coordinates of latents on the principal axes."""
        return (self.exact.start(latents, coefficients).to(torch.float64) @ self.axes).to(self.exact.dtype)

    def sweep(self, y: Float[Tensor, "p r"], levels: Levels, tangents: Float[Tensor, "2 p r"] | None = None, *,
              feature: Feature = "pixels", first: int = 0) -> Iterator[Frame]:
        """DDIM as in `ExactModel.sweep`; weights are the coordinates of xhat_0 over the atoms. Pixel features only."""
        if feature != "pixels":
            raise ValueError(f"feature = {feature!r}: a Gaussian has no posterior over atoms; takes 'pixels'")
        s = self.variance.to(y)
        to_atoms = self.axes.T.to(y)
        for step in range(first, levels.steps):
            alpha, sigma = float(levels.alpha[step]), float(levels.sigma[step])
            a, b = levels.coefficients(step)
            gain = alpha * s / (alpha**2 * s + sigma**2)
            x0, d_x0 = gain * y, None if tangents is None else gain * tangents
            yield Frame(step, x0 @ to_atoms, x0, x0, d_x0, d_x0)
            y = a * y + b * x0
            tangents = None if tangents is None else a * tangents + b * d_x0

    def decode(self, weights: Tensor) -> ndarray:
        return self.exact.decode(weights)
