"""The exact diffusion model of a finite image set: Eq. (6) in pixel space, the true score without a network.

Data: n images `x_i` (atoms), centred and scaled, with prior `p_i`. Then

    xhat_0(x, t) = sum_i w_i x_i,   w = softmax_i( log p_i + (alpha <x, x_i> - alpha^2 |x_i|^2 / 2) / sigma^2 ).

DDIM keeps `x_t` in the span of its start and the atoms and only the products `q_i = <x_t, x_i>` enter w. One
product with the n x n Gram matrix per step propagates them, whatever the resolution, and tangents likewise:

    m = w Gram,   q'/sigma' = q/sigma + (alpha'/sigma' - alpha/sigma) m;
    dw = w (dl - <w, dl>),   dl = (alpha/sigma^2) dq.

States are pairs `(q, c)` (p, 2n) of points `x = (the start's share) + sum_i c_i x_i`, `q_i = <x, x_i>`: those of
`xhat_0` are `(w Gram, w)`, so any sampler that combines states linearly runs on them. A prompt is a bonus on the
log-prior of the pictures that it names.

Scale: the atoms are centred and scaled to root mean square norm `NORM` = 0.4 sqrt(1024) = 12.8 at any resolution,
so that Stable Diffusion's levels (sigma/alpha from 13 down to 0.04) bracket those at which they separate. A latent
has shape (rgb, y, x).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, check_place, check_states, number, numbers, pictures, whole
from phasebook.models.atom_features import AtomPixels, Posterior
from phasebook.models.atom_prompts import log_prior, prompt_of
from phasebook.models.atoms import centred_atoms, check_labels, gram_of, pixels_of, products_with
from phasebook.models.denoiser import checked_latents, combined
from phasebook.models.entropy import entropy, membership
from phasebook.models.gram_sweep import gram_sweep, posterior
from phasebook.sampling.levels import Levels, asked_at, check_levels, scaled_linear_levels
from phasebook.sampling.protocols import Feature, Frame, Model, Pixels, Prediction, Prompt, State
from phasebook.sampling.samplers import check_tangents

__all__ = ["ExactModel", "NORM"]

NORM = 0.4 * 1024**0.5
FEW, PLANES = 3, 32     # latents whose products are kept together, and of how many planes
BONUS = 12.0            # of a prompt, in nats; more than the logarithm of the number of pictures


@dataclass(frozen=True, eq=False)
class ExactModel(Model):
    """The exact denoiser of n images. Build it with `ExactModel.of(images)`.

    Attributes:
        atoms: (n, d), centred and scaled.
        mean: (d,); with `scale`, pixels = mean + latent / scale.
        scale: see `mean`.
        shape: (3, y, x), or that of another model's latents.
        family: (n,) labels into `families`.
        families: names.
        names: of the atoms.
        bonus: nats that a prompt adds to the log-prior of the atoms it names, for guidance 1.
        pictures: whether the atoms are pictures, not points, or latents that only another model decodes.
    """

    atoms: Float[Tensor, "n d"]
    mean: Float[Tensor, " d"]
    scale: float
    shape: tuple[int, ...]
    family: Int[ndarray, " n"]
    families: tuple[str, ...]
    names: tuple[str, ...]
    bonus: float = BONUS
    pictures: bool = True

    @classmethod
    def of(cls, images, device: str = "cpu", dtype: torch.dtype = torch.float32, norm: float = NORM,
           bonus: float = BONUS) -> "ExactModel":
        """The model of an image set.

        Args:
            images: with `pixels` (n, y, x, rgb) in [0, 1], `family`, `families`, `names`.
            device: where the atoms live.
            dtype: float32, or float64 for inversions.
            norm: root mean square norm of the scaled atoms. `sqrt(d)` is Stable Diffusion's unit variance.
            bonus: of prompts, 0 or more.

        Returns:
            The model, with the mean picture taken off and the atoms scaled.

        Raises:
            ValueError: for no image, pixels that are not finite, labels that are not as many, or another argument.
        """
        check_place(dtype, device)
        if dtype not in (torch.float32, torch.float64):         # products of pictures are beyond the shorter ones
            raise ValueError(f"dtype = {dtype}: the exact model takes torch.float32 or torch.float64")
        norm, bonus = _norm(norm), number("bonus", bonus, "a finite number >= 0", least=0)
        pixels = pixels_of(images)
        atoms, mean, scale = centred_atoms(pixels, norm, device, dtype)
        return cls(atoms, mean, scale, (pixels.shape[3], *pixels.shape[1:3]),
                   np.asarray(images.family), tuple(images.families), tuple(images.names), bonus)

    @classmethod
    def of_latents(cls, latents: Float[Tensor, "v n *latent"], images, device: str = "cpu") -> "ExactModel":
        """The model whose atoms are latents of another model, as they are: there is nothing to decode.

        Args:
            latents: `v` views of each of `n` images, at that model's own scale.
            images: give names and families.
            device: where the atoms live.

        Returns:
            The model, which has no pictures.

        Raises:
            ValueError: for latents that are not finite numbers (v, n, ...), n as many as the images, or a device that
                is not there.
        """
        check_labels(images)
        check_place(torch.float32, device)
        array, takes = numbers("latents", latents, "an array (views, n, ...)"), f"(views, {len(images.names)}, ...)"
        if array.ndim < 3 or 0 in array.shape or array.shape[1] != len(images.names):
            raise ValueError(f"latents: shape {array.shape} for {len(images.names)} images; takes {takes}")
        views = len(array)
        flat = torch.as_tensor(array).flatten(0, 1).flatten(1).float().to(device)
        return cls(flat, torch.zeros_like(flat[0]), 1.0, tuple(array.shape[2:]),
                   np.tile(np.asarray(images.family), views), tuple(images.families), tuple(images.names) * views,
                   pictures=False)

    @classmethod
    def of_points(cls, points: Float[ndarray, "n d"], device: str = "cpu", norm: float = NORM) -> "ExactModel":
        """The model whose atoms are points without pictures, centred and scaled like those of an image set.

        Args:
            points: at any scale.
            device: where the atoms live.
            norm: root mean square norm of the scaled atoms.

        Returns:
            The model, which has no pictures.

        Raises:
            ValueError: for points that are not finite numbers (n, d), n >= 1, or another argument that is none.
        """
        array, takes = numbers("points", points, "an array (n, d)"), "(n, d), one point or more"
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(f"points: shape {array.shape}; takes {takes}")
        check_place(torch.float32, device)
        norm, x = _norm(norm), torch.as_tensor(array, dtype=torch.float64)
        size, x = float(x.abs().max()), x - x.mean(0)
        rms = float((x**2).sum(1).mean().sqrt())
        scale = norm / rms if rms > 1e-14 * size else 1.0           # of equal points only rounding is left
        names = tuple(str(i) for i in range(len(x)))
        return cls((x * scale).float().to(device), torch.zeros(x.shape[1], device=device), 1.0, (x.shape[1],),
                   np.zeros(len(x), dtype=int), ("points",), names, pictures=False)

    def subset(self, index: Int[ndarray, " m"]) -> "ExactModel":
        """The model of some of the atoms, on the same centre and scale, so that levels and distances compare.

        Args:
            index: of the atoms, one or more.

        Returns:
            The model; atoms that are named twice stand in it twice.

        Raises:
            ValueError: for anything else.
        """
        index, n = np.asarray(index), len(self.atoms)
        if index.dtype.kind not in "iu" or index.ndim != 1 or not len(index) or index.min() < 0 or index.max() >= n:
            raise ValueError(f"index = {brief(index)}: takes a list of atoms, from 0 to {n - 1}")
        return replace(self, atoms=self.atoms[torch.as_tensor(index)], family=self.family[index],
                       names=tuple(self.names[i] for i in index))

    @property
    def dtype(self) -> torch.dtype:
        """Of the atoms, and of all states."""
        return self.atoms.dtype

    @cached_property
    def gram(self) -> Float[Tensor, "n n"]:
        """`<x_i, x_j>`, summed in float64."""
        return gram_of(self.atoms)

    @property
    def unit(self) -> float:
        """Root-mean-square distance of two decoded images per unit of Euclidean distance of their latents."""
        return 1 / (self.scale * self.atoms.shape[1] ** 0.5)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the atoms: the same images at the same scale give the same text."""
        return sha256(np.ascontiguousarray(self.atoms.cpu().numpy())).hexdigest()[:16]

    @cached_property
    def features(self) -> Mapping[str, Feature]:
        """`pixels` of the prediction, and `posterior`: two square roots of the weights."""
        return {"pixels": AtomPixels(self.unit), "posterior": Posterior()}

    @cached_property
    def fields(self) -> Mapping[str, Callable[[Frame], ndarray]]:
        """Of each point of a frame: the likeliest `atom`, and the entropies (nats) over atoms and over families."""
        groups = membership(self.family).to(self.atoms)
        return {
            "atom": lambda frame: self.weights(frame.x0).argmax(-1).cpu().numpy(),
            "entropy_atom": lambda frame: entropy(self.weights(frame.x0)).cpu().numpy(),
            "entropy_family": lambda frame: entropy(self.weights(frame.x0) @ groups).cpu().numpy(),
        }

    def weights(self, x0: State) -> Float[Tensor, "*p n"]:
        """The posterior over atoms of predicted states: their coordinates `c`. ValueError for what is no state."""
        if not isinstance(x0, Tensor) or x0.ndim == 0 or x0.shape[-1] != 2 * len(self.atoms):
            self._check("x0", x0)
        return x0[..., len(self.atoms):]

    def _check(self, name: str, x: State, finite: bool = False) -> None:
        check_states(name, x, (2 * len(self.atoms),), self.dtype, finite)

    # --- the protocol ------------------------------------------------------------------------------------------

    def levels(self, steps: int) -> Levels:
        """Stable Diffusion's schedule."""
        return scaled_linear_levels(steps)

    def start(self, latents: Float[ndarray, "m *latent"], coefficients: Float[ndarray, "p m"] | None = None) -> State:
        """`(q, 0)` with `q_i = <z, x_i>` of latents, or of combinations of a few; summed in float64."""
        latents = np.ascontiguousarray(checked_latents(latents, self.shape), dtype=np.float64)
        q = combined(self._products(latents), coefficients).to(self.atoms)
        return torch.cat([q, torch.zeros_like(q)], 1)

    def _products(self, latents: Float[ndarray, "m *latent"]) -> Float[ndarray, "m n"]:
        """`<z, x_i>`. Those of a few, as the anchors of a plane, are asked for with every new point of it, and kept."""
        few = latents.tobytes() if len(latents) <= FEW else None
        found = self._known.get(few)
        if found is None:
            wide = torch.as_tensor(latents, device=self.atoms.device).flatten(1)
            found = products_with(self.atoms, wide).cpu().numpy()
            if few is not None:
                if len(self._known) == PLANES:
                    del self._known[next(iter(self._known))]
                self._known[few] = found
        return found

    @cached_property
    def _known(self) -> dict[bytes, Float[ndarray, "m n"]]:
        return {}

    def prompt(self, texts: str | Sequence[str], guidance: float = 1.0, negative: str = "") -> Prompt:
        """A log-prior on the atoms that a text names.

        Args:
            texts: one, or one a point: `guidance * bonus` on the atoms of that name or family; '' is the plain prior.
            guidance: a factor, 0 or more.
            negative: the same is taken off the atoms of this name or family.

        Returns:
            The prompt.

        Raises:
            ValueError: for a text that names no atom, or a guidance that is no number >= 0 or too large a one.
        """
        families = [self.families[f] for f in self.family]
        return prompt_of(texts, guidance, negative, self.names, families, self.bonus, self.atoms)

    def predict(self, x: State, levels: Levels, step: int, prompt: Prompt | None = None,
                read: int | None = None) -> Prediction:
        """`xhat_0 = (w Gram, w)` and the noise that follows from it. ValueError for an argument that is none."""
        self._check("x", x)
        step, read = asked_at(levels, step, read)
        alpha, sigma = float(levels.alpha[step]), float(levels.sigma[step])
        q, prior = x[:, :len(self.atoms)], log_prior(prompt, len(x))
        w = posterior(q, self._norms, alpha / sigma**2, (alpha / sigma) ** 2, prior)
        x0 = torch.cat([w @ self.gram, w], 1)
        return Prediction.of(x0, x, levels, step, read)

    def decode(self, x0: State) -> Pixels:
        """The pictures `sum_i w_i x_i`; ValueError where the atoms are none, or for what is no finite state."""
        self._check_pictures("decode")
        self._check("x0", x0, finite=True)
        pixels = self.mean + (self.weights(x0) @ self.atoms) / self.scale
        return pixels.view(-1, *self.shape).clamp(0, 1)

    def norm(self, x: State) -> Float[Tensor, " p"]:
        """Root mean square over the entries of the latents, of differences of states whose starts agree.

        Returns:
            A number a point; such differences lie in the span of the atoms.

        Raises:
            ValueError: for what is no state.
        """
        self._check("x", x)
        off = self.weights(x)
        return ((off @ self.gram * off).sum(1).clamp(min=0) / self.atoms.shape[1]).sqrt()

    def denoise(self, x: Float[Tensor, "p *latent"], alpha: float, sigma: float,
                prompt: Prompt | None = None) -> Float[Tensor, "p *latent"]:
        """`xhat_0 = E[x_0 | x_t = x]` in pixel space, without the Gram matrix. ValueError for an argument that is none.
        """
        check_states("x", x, self.shape, self.dtype)
        alpha, sigma = number("alpha", alpha, "a number >= 0", least=0), number("sigma", sigma, "a number > 0", above=0)
        q, prior = x.flatten(1) @ self.atoms.T, log_prior(prompt, len(x))
        w = posterior(q, self._norms, alpha / sigma**2, (alpha / sigma) ** 2, prior)
        return (w @ self.atoms).view_as(x)

    def encode(self, pixels: Float[Tensor, "p 3 y x"], levels: Levels, seed: int) -> State:
        """Pictures as states at the clean end, with noise of that level drawn from `seed`.

        Returns:
            States of the last level.

        Raises:
            ValueError: as `decode`, for pictures of another shape or outside [0, 1], or a seed that is none.
        """
        self._check_pictures("encode")
        pixels = pictures("pixels", pixels, self.shape[1:], fixed=True)
        check_levels(levels)
        seed = whole("seed", seed, 0, 2**63 - 1)
        latents = (pixels.double().cpu().flatten(1) - self.mean.double().cpu()) * self.scale
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
        noisy = levels.alpha[-1] * latents + levels.sigma[-1] * noise
        return self.start(noisy.view(-1, *self.shape).numpy())

    def _check_pictures(self, call: str) -> None:
        if not self.pictures:
            raise ValueError(f"{call}: the atoms are points, not pictures; takes ExactModel.of(images)")

    @cached_property
    def _norms(self) -> Float[Tensor, " n"]:
        return self.gram.diagonal().clone()

    def sweep(self, x: State, levels: Levels, prompt: Prompt | None = None, *, first: int = 0,
              tangents: Float[Tensor, "2 p 2n"] | None = None) -> Iterator[Frame]:
        """The sampler in Gram space: the frames of `sample` at half the cost or less.

        Heun's method and levels with gaps are `sample` itself.
        The tensors of a frame are overwritten by the next step: keep copies. `x` and `after` are not formed.
        """
        self._check("x", x, finite=True)
        check_levels(levels)
        first = whole("first", first, 0, levels.steps - 1, "a step")
        check_tangents(tangents, x)
        if levels.order > 1 or levels.landing is not None:
            yield from super().sweep(x, levels, prompt, first=first, tangents=tangents)
            return
        for step, x0, dx0 in gram_sweep(x, self.gram, levels, log_prior(prompt, len(x)), first, tangents):
            yield Frame(self, step, x0, dx0=dx0)


def _norm(norm: float) -> float:
    return number("norm", norm, "a positive number", above=0)
