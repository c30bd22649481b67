"""The exact diffusion model of a finite image set: Eq. (6) in pixel space, the true score without a network.

Data: n images `x_i` (atoms), centred and scaled, with prior `p_i`. Then

    xhat_0(x, t) = sum_i w_i x_i,   w = softmax_i( log p_i + (alpha <x, x_i> - alpha^2 |x_i|^2 / 2) / sigma^2 ).

DDIM keeps `x_t` in the span of its start and the atoms and only the products `q_i = <x_t, x_i>` enter w. One
product with the n x n Gram matrix per step propagates them, whatever the resolution, and tangents likewise:

    m = w Gram,   q'/sigma' = q/sigma + (alpha'/sigma' - alpha/sigma) m;
    dw = w (dl - <w, dl>),   dl = (alpha/sigma^2) dq.

Scale: the atoms are centred and scaled to root mean square norm `NORM` = 0.4 sqrt(1024) = 12.8 at any resolution,
so that Stable Diffusion's levels (sigma/alpha from 13 down to 0.04) bracket the levels at which they separate.
A latent has shape (rgb, y, x), as in torch; decoded pixels are (y, x, rgb) in [0, 1].
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.models.entropy import entropy, membership
from phasebook.sampling.samplers import Levels

__all__ = ["ExactModel", "Frame", "NORM", "check_device"]

NORM = 0.4 * 1024**0.5
Feature = Literal["pixels", "posterior"]


class Frame(NamedTuple):
    """All points at one step. Inner products of features are `sum(features * duals)`, so that any geometry of
    features (pixels through a Gram matrix, or plain coordinates) goes through one metric code.

    `weights` (p, n): coordinates of xhat_0, what `decode` takes. `features`, `duals` (p, k). `d_features`, `d_duals`
    (2, p, k): derivatives along the two tangents, or None.
    """

    step: int
    weights: Float[Tensor, "p n"]
    features: Float[Tensor, "p k"]
    duals: Float[Tensor, "p k"]
    d_features: Float[Tensor, "2 p k"] | None = None
    d_duals: Float[Tensor, "2 p k"] | None = None


def check_device(device: str) -> str:
    """`device` if torch can use it here; else ValueError in one line."""
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError):
        raise ValueError(f"device = {device!r}: unknown; takes 'cpu' or 'cuda'") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device = {device!r}: no CUDA device here; takes 'cpu'")
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device = {device!r}: not supported; takes 'cpu' or 'cuda'")
    return device


@dataclass(frozen=True, eq=False)
class ExactModel:
    """The exact denoiser of n images. Build it with `ExactModel.of(images)`.

    `atoms` (n, d), float32, centred and scaled; `mean` (d,) and `scale`: pixels = mean + latent / scale.
    `shape` = (3, y, x). `family` (n,) int labels into `families`; `names` of the atoms.
    """

    atoms: Float[Tensor, "n d"]
    mean: Float[Tensor, " d"]
    scale: float
    shape: tuple[int, int, int]
    family: Int[ndarray, " n"]
    families: tuple[str, ...]
    names: tuple[str, ...]
    dtype: torch.dtype = torch.float32

    @classmethod
    def of(cls, images, device: str = "cpu", dtype: torch.dtype = torch.float32) -> "ExactModel":
        """The model of an image set: `pixels` (n, y, x, rgb) in [0, 1], `family`, `families`, `names`.

        ValueError for no image at all, or pixels that are not finite.
        """
        pixels = torch.as_tensor(np.asarray(images.pixels), dtype=torch.float64).permute(0, 3, 1, 2)
        if len(pixels) == 0 or not torch.isfinite(pixels).all():
            raise ValueError("images: none, or with NaN or Inf in them; takes one finite image or more")
        flat = pixels.flatten(1)
        mean = flat.mean(0)
        centred = flat - mean
        rms = float((centred**2).sum(1).mean().sqrt())
        scale = NORM / rms if rms > 1e-9 else 1.0          # one image, or equal ones: nothing to scale
        check_device(device)
        return cls((centred * scale).to(device, dtype), mean.to(device, dtype), scale, tuple(pixels.shape[1:]),
                   np.asarray(images.family), tuple(images.families), tuple(images.names), dtype)

    @classmethod
    def of_latents(cls, latents: Float[Tensor, "v n *latent"], images, device: str = "cpu") -> "ExactModel":
        """The model whose atoms are latents of another model, as they are: `v` views of each of the `n` `images`,
        which give names and families.

        Noise levels are that model's own. There is nothing to decode here: `unit` is per entry of a latent.
        """
        views = len(latents)
        flat = torch.as_tensor(latents).flatten(0, 1).flatten(1).float().to(check_device(device))
        return cls(flat, torch.zeros_like(flat[0]), 1.0, tuple(latents.shape[2:]),
                   np.tile(np.asarray(images.family), views), tuple(images.families), tuple(images.names) * views)

    def subset(self, index: Int[ndarray, " m"]) -> "ExactModel":
        """The model of some of the atoms, on the same centre and scale, so that levels and distances compare."""
        index = np.asarray(index)
        return replace(self, atoms=self.atoms[torch.as_tensor(index)], family=self.family[index],
                       names=tuple(self.names[i] for i in index))

    @cached_property
    def gram(self) -> Float[Tensor, "n n"]:
        """`<x_i, x_j>`, summed in float64."""
        wide = self.atoms.to(torch.float64)
        return (wide @ wide.T).to(self.dtype)

    @property
    def unit(self) -> float:
        """Root-mean-square distance of two decoded images per unit of latent distance."""
        return 1 / (self.scale * self.atoms.shape[1] ** 0.5)

    def typical_distance(self, feature: Feature = "pixels") -> float:
        """Median feature distance of two different atoms: the yardstick for jumps. 0 for one atom."""
        n = len(self.atoms)
        if n < 2:
            return 0.0
        if feature == "posterior":
            return 2 * 2**0.5
        square = self._norms[:, None] + self._norms - 2 * self.gram
        upper = torch.triu_indices(n, n, 1)
        return float(square[upper[0], upper[1]].clamp(min=0).sqrt().median()) * self.unit

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the atoms: the same images at the same scale give the same text."""
        return sha256(np.ascontiguousarray(self.atoms.cpu().numpy())).hexdigest()[:16]

    # --- what a model is asked for -----------------------------------------------------------------------------

    def posterior(self, x: Float[Tensor, "p d"], alpha: float, sigma: float,
                  log_prior: Float[Tensor, " n"] | None = None) -> Float[Tensor, "p n"]:
        """`p(atom i | x_t = x)` in pixel space."""
        return self._softmax(x @ self.atoms.T, alpha / sigma**2, (alpha / sigma) ** 2, log_prior)

    def denoise(self, x: Float[Tensor, "p *latent"], alpha: float, sigma: float,
                log_prior: Float[Tensor, " n"] | None = None) -> Float[Tensor, "p *latent"]:
        """`xhat_0 = E[x_0 | x_t = x]` in pixel space."""
        return (self.posterior(x.flatten(1), alpha, sigma, log_prior) @ self.atoms).view_as(x)

    def decode(self, weights: Float[Tensor, "*p n"]) -> Float[ndarray, "*p y x rgb"]:
        """The pictures `sum_i w_i x_i` as pixels in [0, 1]."""
        weights = torch.as_tensor(weights).to(self.atoms)
        pixels = self.mean + (weights @ self.atoms) / self.scale
        return pixels.view(*weights.shape[:-1], *self.shape).movedim(-3, -1).clamp(0, 1).cpu().numpy()

    def encode_prompt(self, prompt: str, bonus: float = 12.0) -> Float[Tensor, " n"]:
        """A prompt as a log-prior: `bonus` (> log n) on the atoms whose name or family it names; '' is the plain prior.

        ValueError for a prompt that names no atom.
        """
        wanted = prompt.strip().casefold()
        labels = [(name.casefold(), self.families[f].casefold())
                  for name, f in zip(self.names, self.family, strict=True)]
        hit = [wanted in label for label in labels] if wanted else [False] * len(labels)
        if wanted and not any(hit):
            hit = [wanted in name for name, _ in labels]        # part of a name
        if wanted and not any(hit):
            raise ValueError(f"prompt = {prompt!r}: names no image and no family; takes {', '.join(self.families)}, "
                             "or (part of) an image's name")
        return torch.tensor(hit).to(self.atoms) * bonus

    # --- Gram space --------------------------------------------------------------------------------------------

    def start(self, latents: Float[ndarray, "m *latent"],
              coefficients: Float[ndarray, "p m"] | None = None) -> Float[Tensor, "p n"]:
        """`q_i = <z, x_i>` of latents, or of combinations `coefficients @ latents` of a few; summed in float64."""
        wide = torch.as_tensor(np.asarray(latents), dtype=torch.float64, device=self.atoms.device).flatten(1)
        q = wide @ self.atoms.to(torch.float64).T
        if coefficients is not None:
            q = torch.as_tensor(coefficients, dtype=torch.float64, device=q.device) @ q
        return q.to(self.dtype)

    def _softmax(self, products: Tensor, factor: float, snr: float, log_prior: Tensor | None = None,
                 out: Tensor | None = None) -> Tensor:
        """`softmax(log p_i + factor products_i - snr |x_i|^2 / 2)`."""
        offset = self._norms * float(-snr / 2)
        if log_prior is not None:
            offset = offset + log_prior.to(offset)
        logits = torch.add(offset, products, alpha=float(factor), out=out)
        return torch.softmax(logits, -1, out=out) if out is not None else torch.softmax(logits, -1)

    @cached_property
    def _norms(self) -> Float[Tensor, " n"]:
        return self.gram.diagonal().clone()

    def sweep(self, q: Float[Tensor, "p n"], levels: Levels, tangents: Float[Tensor, "2 p n"] | None = None, *,
              feature: Feature = "pixels", log_prior: Tensor | None = None, first: int = 0) -> Iterator[Frame]:
        """DDIM (eta 0) in Gram space from `q` at level `first`: a Frame per step, streamed.

        The tensors of a frame are overwritten by the next step: keep copies. With `tangents` (derivatives of q) the
        exact derivatives of the features are carried along. Neither argument is changed.
        """
        scaled, weights, duals = q / levels.sigma[first], torch.empty_like(q), torch.empty_like(q)
        rates = None if tangents is None else tangents / levels.sigma[first]
        d_weights, d_duals = (None, None) if rates is None else (torch.empty_like(rates), torch.empty_like(rates))
        for step in range(first, levels.steps):
            # q / sigma changes by d(alpha / sigma) m in a step: one addition where q itself takes two passes
            ratio, after = levels.alpha[step:step + 2] / levels.sigma[step:step + 2]
            self._softmax(scaled, ratio, ratio**2, log_prior, out=weights)
            torch.mm(weights, self.gram, out=duals)
            scaled.add_(duals, alpha=after - ratio)
            if rates is not None:
                torch.mul(rates, ratio, out=d_weights)
                d_weights.sub_((weights * d_weights).sum(-1, keepdim=True)).mul_(weights)
                torch.matmul(d_weights, self.gram, out=d_duals)
                rates.add_(d_duals, alpha=after - ratio)
            yield _frame(feature, step, weights, duals, d_weights, d_duals)

    def coordinates(self, log_prior: Float[Tensor, "*p n"] | None = None):
        """The denoiser of states `(q, c)` (p, 2n) of points `x = (start's share) + sum_i c_i x_i`, `q_i = <x, x_i>`.

        `xhat_0` has `q = w Gram`, `c = w`, so that any sampler that combines states and predictions linearly runs on
        such states: one of `diffusion.samplers`, forward or back. `log_prior` may differ from point to point.
        """
        def denoise(state: Float[Tensor, "p 2n"], alpha: float, sigma: float) -> Float[Tensor, "p 2n"]:
            weights = self._softmax(state[:, :len(self.atoms)], alpha / sigma**2, (alpha / sigma) ** 2, log_prior)
            return torch.cat([weights @ self.gram, weights], 1)

        return denoise

    def summary(self, weights: Float[Tensor, "p n"]) -> dict[str, ndarray]:
        """Per point: the likeliest `atom` and the entropies (nats) of the posterior over atoms and over families."""
        grouped = weights @ self._membership
        return {"atom": weights.argmax(-1).cpu().numpy(), "entropy_atom": entropy(weights).cpu().numpy(),
                "entropy_family": entropy(grouped).cpu().numpy()}

    @cached_property
    def _membership(self) -> Float[Tensor, "n f"]:
        return membership(self.family).to(self.atoms)


def _frame(feature: Feature, step: int, w: Tensor, m: Tensor, dw: Tensor | None, dm: Tensor | None) -> Frame:
    if feature == "pixels":
        return Frame(step, w, w, m, dw, dm)
    # 2 sqrt(w): Euclidean distance there is the Fisher-Rao distance of posteriors to second order
    root = 2 * w.sqrt()
    d_root = None if dw is None else torch.where(root > 0, 2 * dw / root, 0)
    return Frame(step, w, root, root, d_root, d_root)
