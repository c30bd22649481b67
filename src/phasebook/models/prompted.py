"""A pipeline that hears one prompt, as slices ask for a model: the same calls as the exact model's, on latents.

The state of a point is its latent, the coordinates of its prediction are the entries of `xhat_0`, and so is its
feature; distances are root mean squares over those entries. Features of the decoded picture go beside it
(`slices.slice_of(also=...)`), since decoding costs more than denoising.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from phasebook.models.checkpoints import quiet
from phasebook.models.clip import ClipFeatures
from phasebook.models.exact import Frame
from phasebook.models.pipeline import PipelineModel, Prompt
from phasebook.sampling.samplers import Levels

__all__ = ["Prompted", "diffusers_steps"]

PICTURES = 256          # held in memory at once: 0.8 GB at 512 x 512


def diffusers_steps(pipeline: PipelineModel, start: Float[Tensor, "c y x"], steps: int, prompt: str,
                    negative_prompt: str, guidance: float) -> Float[Tensor, "step c y x"]:
    """What diffusers' own `StableDiffusionPipeline.__call__` has after every step from one start, with its DDIM."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    own = DDIMScheduler.from_config(pipeline.pipe.scheduler.config)
    with quiet():
        pipe = StableDiffusionPipeline(**pipeline.pipe.components | {"scheduler": own}, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    found = []

    def keep(pipe, step, time, tensors):
        found.append(tensors["latents"][0].clone())
        return tensors

    pipe(prompt, negative_prompt=negative_prompt, guidance_scale=guidance, num_inference_steps=steps, eta=0.0,
         latents=start[None].to(pipeline.device, pipeline.dtype), output_type="latent", callback_on_step_end=keep)
    return torch.stack(found)


@dataclass(frozen=True, eq=False)
class Prompted:
    """`pipeline` under `prompt` (from its `encode_prompt`)."""

    pipeline: PipelineModel
    prompt: Prompt

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.pipeline.shape

    @property
    def unit(self) -> float:
        """Root mean square per entry, per unit of latent distance."""
        return float(np.prod(self.shape)) ** -0.5

    @cached_property
    def fingerprint(self) -> str:
        heard = self.prompt.embeddings.float().cpu().contiguous().numpy().tobytes()
        return sha256(f"{self.pipeline.fingerprint} {self.prompt.guidance}".encode() + heard).hexdigest()[:16]

    def start(self, latents: Float[ndarray, "m *latent"],
              coefficients: Float[ndarray, "p m"] | None = None) -> Float[Tensor, "p c y x"]:
        """Latents, or combinations `coefficients @ latents` of a few; summed in float64."""
        wide = np.asarray(latents, dtype=np.float64)
        if coefficients is not None:
            wide = np.tensordot(coefficients, wide, 1)
        return torch.as_tensor(wide).to(self.pipeline.device, self.pipeline.dtype)

    def sweep(self, x: Float[Tensor, "p c y x"], levels: Levels, tangents: Float[Tensor, "2 p c y x"] | None = None, *,
              feature: str = "latent", first: int = 0) -> Iterator[Frame]:
        """DDIM (eta 0) from `x` at level `first`: a Frame of all points per step."""
        if feature != "latent":
            raise ValueError(f"feature = {feature!r}: a pipeline's slice takes 'latent'; others go beside it")
        for part in self.pipeline.sweep(x, levels, self.prompt, first=first, tangents=tangents, together=len(x)):
            x0 = part.x0.flatten(1).float()
            dx0 = None if part.dx0 is None else part.dx0.flatten(2).float()
            yield Frame(part.step, x0, x0, x0, dx0, dx0)

    def typical_distance(self, levels: Levels, points: int = 32, seed: int = 0) -> float:
        """Median distance of the final predictions of independent starts: the yardstick for jumps."""
        x = torch.randn((points, *self.shape), generator=torch.Generator().manual_seed(seed))
        return float(torch.pdist(self.final(x, levels).flatten(1).cpu()).median()) * self.unit

    def final(self, x: Float[Tensor, "p c y x"], levels: Levels) -> Float[Tensor, "p c y x"]:
        """The prediction of the last step: the clean latents that the pipeline would decode."""
        *_, last = self.sweep(x, levels)
        return last.weights.view(-1, *self.shape)

    def seen_by(self, clip: ClipFeatures, steps: Collection[int]) -> Callable[[Frame], dict[str, Tensor]]:
        """For `slice_of(also=...)`: features of the decoded predictions at some steps, as they are (`clip`) and of
        norm one (`clip_normalised`)."""
        def features(frame: Frame) -> dict[str, Tensor]:
            if frame.step not in steps:
                return {}
            parts = (torch.as_tensor(self.decode(w)).movedim(-1, -3) for w in frame.weights.split(PICTURES))
            f = torch.cat([clip(part) for part in parts]).to(frame.weights.device)
            return {"clip": f, "clip_normalised": F.normalize(f, dim=-1)}

        return features

    def decode(self, weights: Float[Tensor, "*p n"]) -> Float[ndarray, "*p y x rgb"]:
        """The pictures of predictions as pixels in [0, 1]."""
        weights = torch.as_tensor(weights)
        return self.pipeline.decode(weights.reshape(*weights.shape[:-1], *self.shape))
