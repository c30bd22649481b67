"""A pipeline's sampler run backwards, and resumed from any level under another prompt.

Going back over step k, the network is asked about the latent after the step, `x_{k+1}`, at the time of step k, and its
answer is read at the level of `x_{k+1}`: the pairing of diffusers' DDIMInverseScheduler, for every prediction type.
With fixed-point iterations the latent `x_k` is then corrected until the sampler's own step leads from it to `x_{k+1}`
(`diffusion.samplers.solve_step`). Guidance above 1 makes the step steep: more iterations, and some may not settle.

Here each point has a prompt of its own, so that many edits share a batch. Latents have shape (channel, y, x).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from phasebook.models.pipeline import PipelineModel, Prompt
from phasebook.sampling.samplers import Levels, solve_step

__all__ = ["Inversion", "Prompts", "Resumed", "invert", "prompts_of", "resume"]


class Prompts(NamedTuple):
    """What the network hears at each point: `embeddings`, the negative prompt's first where guidance > 1."""

    embeddings: Float[Tensor, "p copies tokens width"]
    guidance: float

    def pick(self, index: Int[Tensor, " q"]) -> "Prompts":
        """The prompts of some points, in that order, repeated where `index` repeats."""
        return Prompts(self.embeddings[torch.as_tensor(index).to(self.embeddings.device)], self.guidance)


class Inversion(NamedTuple):
    """`x[k]`: the latents at level k, from `stop` (before it: zeros) to S, the source. `residual[k]`: root mean square
    by which the sampler's step from `x[k]` misses `x[k + 1]`, infinite where nothing was iterated."""

    x: Float[Tensor, "s+1 p c y x"]
    residual: Float[Tensor, "s p"]
    converged: Bool[Tensor, "s p"]


class Resumed(NamedTuple):
    """The final latents `x` and the clean ones `x0` predicted at the last step, which is what is shown."""

    x: Float[Tensor, "p c y x"]
    x0: Float[Tensor, "p c y x"]


def prompts_of(model: PipelineModel, prompts: Sequence[str], negative_prompt: str = "",
               guidance: float = 1.0) -> Prompts:
    """One prompt a point; equal ones are encoded once. ValueError as from `model.encode_prompt`."""
    known = {text: model.encode_prompt(text, negative_prompt, guidance).embeddings for text in dict.fromkeys(prompts)}
    return Prompts(torch.stack([known[text] for text in prompts]), float(guidance))


def _spread(prompt: Prompt | Prompts, points: int) -> Prompts:
    embeddings = prompt.embeddings[None] if isinstance(prompt, Prompt) else prompt.embeddings
    return Prompts(embeddings.expand(points, *embeddings.shape[1:]), prompt.guidance)


def _output(model: PipelineModel, x: Tensor, time: int, heard: Tensor, guidance: float) -> Tensor:
    """The network's output for one batch, each point under its own prompt."""
    return model.output(x, time, heard.transpose(0, 1).flatten(0, 1), guidance)


@torch.no_grad()
def invert(model: PipelineModel, latents: Float[Tensor, "p c y x"], levels: Levels, prompt: Prompt | Prompts, *,
           stop: int = 0, iterations: int = 0, tolerance: float = 1e-5, progress: bool = False) -> Inversion:
    """From clean latents (level S) back to level `stop`, by the exact reverse of `model.sweep` at eta 0.

    `iterations` = 0 is diffusers' inverse scheduler. ValueError for a `stop` outside the sampler's steps.
    """
    if not 0 <= stop < levels.steps or iterations < 0:
        raise ValueError(f"stop, iterations = {stop}, {iterations}: takes a step from 0 to {levels.steps - 1}, and a "
                         "number >= 0")
    x = torch.as_tensor(latents).to(model.device, model.dtype)
    heard, guidance = _spread(prompt, len(x))
    states = torch.zeros(levels.steps + 1, *x.shape, dtype=x.dtype, device=x.device)
    residual = torch.full((levels.steps, len(x)), torch.inf)
    states[-1] = x
    for step in tqdm(range(levels.steps - 1, stop - 1, -1), desc="invert", disable=not progress):
        time, (a, b, _) = int(levels.timestep[step]), levels.mixing(step)
        alpha2 = torch.as_tensor(levels.alpha ** 2, dtype=torch.float32)[step:step + 2]

        def back(y, h, time=time, alpha2=alpha2, alpha=float(levels.alpha[step]), sigma=float(levels.sigma[step])):
            x0, eps = model.split(y, _output(model, y, time, h, guidance), alpha2[1])
            return (alpha * x0 + sigma * eps,)

        def advance(y, time=time, alpha2=alpha2, a=a, b=b):
            def one(y, h):
                x0, eps = model.split(y, _output(model, y, time, h, guidance), alpha2[0])
                return (a * x0 + b * eps,)
            return model._batched(one, y, heard)[0]

        first, = model._batched(back, x, heard)
        rate = float(levels.alpha[step] / levels.alpha[step + 1])
        x, found = solve_step(advance, x, first, rate, iterations, tolerance)
        states[step], residual[step] = x, found.float().cpu()
    return Inversion(states, residual, residual <= tolerance)


@torch.no_grad()
def resume(model: PipelineModel, latents: Float[Tensor, "p c y x"], first: Int[Tensor, " p"], levels: Levels,
           prompt: Prompt | Prompts, *, eta: float = 0.0, seed: int = 0, progress: bool = False) -> Resumed:
    """Sample points that start at levels of their own, `first`, on to the end.

    At each step all points that have begun are advanced together, so batches stay full. With `eta` > 0 the noise of
    a step is drawn from `seed + step` and shared by all points: they differ in where they start alone. A point that
    starts at level S is returned as it is. ValueError for a `first` outside 0..S, or an eta outside 0..1.
    """
    first = torch.as_tensor(first)
    if len(first) != len(latents) or int(first.min()) < 0 or int(first.max()) > levels.steps:
        raise ValueError(f"first: takes a level from 0 to {levels.steps} for each of {len(latents)} points")
    if not 0 <= eta <= 1:
        raise ValueError(f"eta = {eta!r}: takes 0 to 1")
    x = torch.as_tensor(latents).to(model.device, model.dtype, copy=True)
    clean, (heard, guidance) = x.clone(), _spread(prompt, len(x))
    with tqdm(total=int((levels.steps - first).sum()), desc="resume", disable=not progress) as bar:
        for step in range(levels.steps):
            active = (first <= step).nonzero()[:, 0].to(x.device)
            if len(active) == 0:
                continue
            time, (a, b, spread) = int(levels.timestep[step]), levels.mixing(step, eta)
            alpha2 = model.scheduler.alphas_cumprod[time]

            def one(y, h, time=time, alpha2=alpha2, a=a, b=b):
                x0, eps = model.split(y, _output(model, y, time, h, guidance), alpha2)
                return a * x0 + b * eps, x0

            x[active], clean[active] = model._batched(one, x[active], heard[active])
            if spread:
                noise = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(seed + step))
                x[active] += spread * noise.to(x)
            bar.update(len(active))
    return Resumed(x, clean)
