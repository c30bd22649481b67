"""The two models as `latent.editing` asks for them: the exact one in Gram space, and a trained pipeline.

| | exact model | pipeline |
|---|---|---|
| a prompt is | a bonus on the log-prior of the pictures it names | text, with guidance |
| a state is | `(q, c)`, see `ExactModel.coordinates` | a latent |
| a feature is | the picture itself: distances are root mean squares of pixels | the CLIP feature, of norm one |
| the predictions that split are compared by | pixels | entries of the latent |
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from phasebook.edits.edit_inputs import read_picture
from phasebook.edits.editing import Edits, Look, Pairs, Sampled
from phasebook.models.clip import ClipFeatures
from phasebook.models.exact import ExactModel
from phasebook.models.image_sets import ImageSet
from phasebook.models.pipeline import PipelineModel
from phasebook.sampling import inversion
from phasebook.sampling.inversion import Inversion
from phasebook.sampling.samplers import Levels, invert, rms

__all__ = ["ExactEditor", "PipelineEditor", "given_source"]

CERTAIN = 1e4           # a log-prior that no noise outweighs


def given_source(editor: "ExactEditor | PipelineEditor", path: str, size: int, seed: int) -> dict[int, Sampled] | None:
    """For `edit(sources=...)`: the picture in a file as the first edit's source, if its side is `size`; else None.

    The exact model knows its own pictures alone: what it sees in another is its own reading of it.
    """
    if not path:
        return None
    pixels = read_picture(path)
    if len(pixels) != size:
        return None
    state = editor.encode(pixels[None], seed)
    return {0: Sampled(state[0], editor.reading(state)[0])}


@dataclass(frozen=True, eq=False)
class ExactEditor:
    """The exact model; `log_prior` is the bonus lambda of the pictures that a prompt names. Use float64 atoms.

    `eta`, `noise_seed`: of the sampler; all points share a step's noise. `tolerance` of inversion: root mean square.
    """

    model: ExactModel
    levels: Levels
    log_prior: float = 12.0
    eta: float = 0.0
    noise_seed: int = 0
    tolerance: float = 1e-6

    @property
    def steps(self) -> int:
        return self.levels.steps

    def starts(self, seeds: Sequence[int]) -> Float[Tensor, "p 2n"]:
        z = [torch.randn(self.model.shape, generator=torch.Generator().manual_seed(s)).numpy() for s in seeds]
        return self._state(np.stack(z))

    def _state(self, latents: Float[ndarray, "p c y x"]) -> Float[Tensor, "p 2n"]:
        q = self.model.start(latents)
        return torch.cat([q, torch.zeros_like(q)], 1)

    def encode(self, pixels: Float[ndarray, "p y x 3"], seed: int) -> Float[Tensor, "p 2n"]:
        """Any pictures as states at the clean end, with the noise of that level drawn from `seed`."""
        flat = torch.as_tensor(np.asarray(pixels), dtype=torch.float64).movedim(-1, 1).flatten(1)
        latents = ((flat - self.model.mean.double()) * self.model.scale).view(-1, *self.model.shape)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
        return self._state((self.levels.alpha[-1] * latents + self.levels.sigma[-1] * noise).numpy())

    def _priors(self, prompts: Sequence[str | None]) -> Float[Tensor, "p n"]:
        known = {text: self.model.encode_prompt(text or "", self.log_prior) for text in set(prompts)}
        return torch.stack([known[text] for text in prompts])

    def make(self, starts: Tensor, prompts: Sequence[str]) -> Sampled:
        """Pictures that certainly are of the prompts: with `log_prior` alone a start may end on a third picture."""
        return replace(self, log_prior=CERTAIN, eta=0.0).sample(starts, np.zeros(len(starts), int), prompts)

    def sample(self, states: Tensor, first: ndarray, prompts: Sequence[str | None]) -> Sampled:
        x, priors, begun = states.clone(), self._priors(prompts), torch.as_tensor(first)
        weights = torch.zeros_like(priors)
        for step in range(self.steps):
            rows = (begun <= step).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            alpha, sigma = float(self.levels.alpha[step]), float(self.levels.sigma[step])
            x0 = self.model.coordinates(priors[rows])(x[rows], alpha, sigma)
            a, b, spread = self.levels.mixing(step, self.eta)
            x[rows] = a * x0 + b * (x[rows] - alpha * x0) / sigma
            if spread:
                x[rows] += spread * self.starts([self.noise_seed + step])
            weights[rows] = x0[:, x0.shape[1] // 2:]
        return Sampled(x, weights)

    def invert(self, states: Tensor, prompts: Sequence[str | None], iterations: int) -> Inversion:
        zero = torch.zeros_like(states)
        norm = lambda gap: torch.as_tensor(self.apart(gap, zero))  # noqa: E731
        back = list(invert(self.model.coordinates(self._priors(prompts)), states, self.levels, 0, iterations,
                           self.tolerance, norm))[::-1]
        return Inversion(torch.stack([*(b.x for b in back), states]), torch.stack([b.residual for b in back]).cpu(),
                         torch.stack([b.converged for b in back]).cpu())

    def reading(self, states: Tensor) -> Float[Tensor, "p n"]:
        """The picture that a state at the clean end is taken for."""
        return self.predict(states, self.steps - 1)[:, len(self.model.atoms):]

    def predict(self, states: Tensor, step: int) -> Tensor:
        return self.model.coordinates()(states, float(self.levels.alpha[step]), float(self.levels.sigma[step]))

    def noise_along(self, edits: Edits) -> Float[ndarray, " e"]:
        """The share g of standard normal size that the noise of each inverted source has along `dx`, at k*.

        `<x_k - alpha x_i, dx> = g sigma |dx|`, for edits that succeed.
        """
        k, each = edits.k_star, torch.arange(len(edits.pairs))
        alpha, sigma = (torch.as_tensor(v[k]) for v in (self.levels.alpha, self.levels.sigma))
        dx = edits.target - edits.source
        products = dx @ self.model.gram
        along, own = ((v * w).sum(1).cpu() for v, w in ((edits.states[k, each, :dx.shape[1]], dx),
                                                        (products, edits.source)))
        gap = (products * dx).sum(1).clamp(min=1e-12).sqrt().cpu()
        return ((along - alpha * own) / (sigma * gap)).numpy()

    @cached_property
    def _root(self) -> Float[Tensor, "n n"]:
        """R with `R R^T = Gram`: the rows of `w R` have the distances of the pictures `sum_i w_i x_i`."""
        values, vectors = torch.linalg.eigh(self.model.gram.double())
        return vectors * values.clamp(min=0).sqrt()

    def look(self, pictures: Float[Tensor, "p n"]) -> Look:
        found = (pictures.double() @ self._root * self.model.unit).float().cpu().numpy()
        return Look(found, found)

    def neighbours(self, count: int, angle: float, seed: int) -> tuple[Pairs, dict[int, Sampled]]:
        """`count` pairs of starts at one distance, `angle` (radians) apart on the sphere, sampled under the generic
        prompt: the edits that lead from the first's picture to the second's where these differ, and for
        `edit(sources=...)` the pictures."""
        one, other = (self.starts(range(first, first + count)) for first in (seed, seed + count))
        starts = torch.cat([one, np.cos(angle) * one + np.sin(angle) * other])
        made = self.sample(starts, np.zeros(2 * count, int), [None] * 2 * count)
        a, b = made.picture.argmax(1).cpu().numpy().reshape(2, count)
        keep, n = np.flatnonzero(a != b), int((a != b).sum())
        family = self.model.family
        pairs = Pairs(*(tuple(self.model.names[i] for i in v[keep]) for v in (a, b)),
                      tuple("within" if family[a[i]] == family[b[i]] else "across" for i in keep), tuple(range(n)))
        both = np.concatenate([keep, keep + count])
        return pairs, {i: Sampled(made.state[j], made.picture[j]) for i, j in enumerate(both)}

    def references(self, prompts: Sequence[str]) -> list[ndarray]:
        return []

    def words(self, features: ndarray, pairs: Pairs) -> None:
        return None

    def pixels(self, pictures: Float[Tensor, "p n"]) -> Float[ndarray, "p y x 3"]:
        return self.model.decode(pictures)

    def apart(self, one: Tensor, other: Tensor) -> Float[ndarray, " p"]:
        """Root mean square over the entries of two latents whose starts are the same: the rest is in the span."""
        off = (one - other)[:, one.shape[1] // 2:]
        return ((off @ self.model.gram * off).sum(1).clamp(min=0) / self.model.atoms.shape[1]).sqrt().cpu().numpy()


@dataclass(frozen=True, eq=False)
class PipelineEditor:
    """A pipeline with the CLIP model that judges. `generic`: the prompt of inversions, with `inversion_guidance`.
    `data`: captioned pictures, as further examples of what a prompt means."""

    model: PipelineModel
    levels: Levels
    clip: ClipFeatures
    generic: str = "emoji"
    negative: str = ""
    guidance: float = 3.0
    inversion_guidance: float = 1.0
    eta: float = 0.0
    noise_seed: int = 0
    tolerance: float = 1e-4
    data: ImageSet | None = None

    @property
    def steps(self) -> int:
        return self.levels.steps

    def starts(self, seeds: Sequence[int]) -> Float[Tensor, "p c y x"]:
        return torch.stack([torch.randn(self.model.shape, generator=torch.Generator().manual_seed(s)) for s in seeds])

    def encode(self, pixels: Float[ndarray, "p y x 3"], seed: int) -> Float[Tensor, "p c y x"]:
        """Pictures as clean latents, by the pipeline's own VAE; `seed` is not used."""
        return self.model.encode(torch.as_tensor(np.asarray(pixels), dtype=torch.float32).movedim(-1, 1))

    def reading(self, states: Tensor) -> Tensor:
        return states

    def _heard(self, prompts: Sequence[str | None], guidance: float) -> inversion.Prompts:
        return inversion.prompts_of(self.model, [self.generic if t is None else t for t in prompts], self.negative,
                                    guidance)

    def make(self, starts: Tensor, prompts: Sequence[str]) -> Sampled:
        return replace(self, eta=0.0).sample(starts, np.zeros(len(starts), int), prompts)

    def sample(self, states: Tensor, first: ndarray, prompts: Sequence[str | None]) -> Sampled:
        return Sampled(*inversion.resume(self.model, states, torch.as_tensor(first), self.levels,
                                         self._heard(prompts, self.guidance), eta=self.eta, seed=self.noise_seed))

    def invert(self, states: Tensor, prompts: Sequence[str | None], iterations: int) -> Inversion:
        return inversion.invert(self.model, states, self.levels, self._heard(prompts, self.inversion_guidance),
                                iterations=iterations, tolerance=self.tolerance)

    def predict(self, states: Tensor, step: int) -> Tensor:
        heard, time = self.model.encode_prompt(self.generic, self.negative, 1.0), int(self.levels.timestep[step])
        with torch.no_grad():
            return self.model._batched(lambda y: self.model.predict(y, time, heard)[:1], states)[0]

    def look(self, pictures: Tensor) -> Look:
        pixels = torch.as_tensor(self.pixels(pictures))
        features = F.normalize(self.clip(pixels.movedim(-1, 1)), dim=-1).cpu().numpy()
        return Look(features, pixels.flatten(1).numpy() / np.sqrt(pixels[0].numel()))

    def references(self, prompts: Sequence[str]) -> list[Float[ndarray, "p f"]]:
        """Features of the data's own picture of each prompt; nothing unless all prompts are captions of `data`."""
        if self.data is None or not set(prompts) <= set(self.data.names):
            return []
        pixels = self.data.pixels[[self.data.names.index(text) for text in prompts]]
        return [F.normalize(self.clip(torch.as_tensor(pixels).movedim(-1, 1)), dim=-1).cpu().numpy()]

    def words(self, features: Float[ndarray, "e k f"], pairs: Pairs) -> Float[ndarray, "e k"]:
        """By how much the CLIP score with the target prompt exceeds that with the source prompt."""
        target, source = (self.clip.text(list(texts)).cpu().numpy() for texts in (pairs.target, pairs.source))
        return np.einsum("ekf,ef->ek", features, target - source)

    def pixels(self, pictures: Tensor) -> Float[ndarray, "p y x 3"]:
        return self.model.decode(pictures)

    def apart(self, one: Tensor, other: Tensor) -> Float[ndarray, " p"]:
        return rms((one - other).float()).cpu().numpy()
