"""Any diffusers StableDiffusionPipeline as a model: from the shipped emoji to DreamShaper-8, through one code path.

A network predicts noise, sample or velocity at a training time; whatever it is, `xhat_0` and `eps` follow from it, and
DDIM (Song, Meng, Ermon 2021) steps on the model's own noise levels:

    x' = alpha' xhat_0 + sqrt(sigma'^2 - s^2) eps + s n,   s = eta sigma'/sigma sqrt(1 - alpha^2/alpha'^2), n ~ N(0, 1).

Guidance w > 1 (Ho, Salimans 2022) replaces the prediction by `e_neg + w (e_prompt - e_neg)`, at twice the cost. Points
are run in batches of one shape, the last one padded; a point's result does not depend on its company beyond rounding.
Latents have shape (channel, y, x); pixels (y, x, rgb) in [0, 1].
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from tqdm import tqdm

from phasebook.models.checkpoints import (
    cause,
    check_complete,
    check_dtype,
    check_length,
    check_parts,
    check_settings,
    fetch_pipeline,
    load_small_vae,
    quiet,
)
from phasebook.sampling.batches import in_batches, split
from phasebook.sampling.samplers import Levels
from phasebook.sampling.tangents import forward_mode, pushed

__all__ = ["PipelineModel", "Prompt", "Sweep"]


class Prompt(NamedTuple):
    """What the network hears. `embeddings`: (1, tokens, width) for guidance <= 1, else the negative prompt's first."""

    embeddings: Float[Tensor, "k tokens width"]
    guidance: float


class Sweep(NamedTuple):
    """Points taken together at one step. `points`: their indices. `x` is the noisy latent that the step starts from,
    `x0` the clean one predicted there, `after` the latent it ends on; `dx`, `dx0` (tangent, point, ...) or None."""

    points: slice
    step: int
    x: Float[Tensor, "p c y x"]
    x0: Float[Tensor, "p c y x"]
    after: Float[Tensor, "p c y x"]
    dx: Float[Tensor, "t p c y x"] | None = None
    dx0: Float[Tensor, "t p c y x"] | None = None


@dataclass(frozen=True, eq=False)
class PipelineModel:
    """A loaded pipeline; build it with `PipelineModel.load`.

    `pipe`: the diffusers pipeline. `scheduler`: its DDIM scheduler, made from its own scheduler's configuration.
    `batch`: latents at a time (guidance doubles what the network sees). `decoder`: a small VAE, or the pipe's.
    """

    pipe: object
    scheduler: object
    batch: int
    name: str
    decoder: object = None
    largest_batch: list[int] = field(default_factory=list)     # what out-of-memory has taught, one entry

    @classmethod
    def load(cls, name: str | Path, *, revision: str | None = None, variant: str | None = None,
             dtype: str = "float32", device: str = "cpu", batch: int = 64, small_vae: str | Path | None = None,
             compiled: bool = False) -> "PipelineModel":
        """The model in the directory `name` (also one below assets/), or of that hub id at `revision`.

        `variant`: the weights' file variant, e.g. 'fp16'. `small_vae`: directory or hub id of an AutoencoderTiny that
        decodes in place of the pipeline's VAE. `compiled`: torch.compile the network (CUDA only).
        Raises ValueError, one line, for whatever is not there, not whole or not a StableDiffusionPipeline.
        """
        from diffusers import StableDiffusionPipeline

        check_dtype(dtype)
        check_settings(device, batch, compiled)
        folder, label = fetch_pipeline(name, revision, variant), f"model = {str(name)!r}"
        try:
            with quiet():
                pipe = StableDiffusionPipeline.from_pretrained(
                    folder, variant=variant, dtype=getattr(torch, dtype), use_safetensors=True, safety_checker=None,
                    feature_extractor=None, image_encoder=None, requires_safety_checker=False, local_files_only=True,
                    trust_remote_code=False)
        except (OSError, ValueError, RuntimeError, TypeError, KeyError, AttributeError, ImportError) as error:
            raise ValueError(f"{label}: diffusers cannot load it ({cause(error)})") from None
        ending = f".{variant}.safetensors" if variant else ".safetensors"
        for part in ("unet", "vae"):
            check_complete(label, part, getattr(pipe, part), (folder / part).glob("*" + ending))
        decoder = load_small_vae(small_vae, dtype) if small_vae else None
        return cls.of(pipe, str(name), device=device, batch=batch, decoder=decoder, compiled=compiled)

    @classmethod
    def of(cls, pipe, name: str, *, device: str = "cpu", batch: int = 64, decoder=None,
           compiled: bool = False) -> "PipelineModel":
        """The model of a diffusers pipeline in memory, which is moved to `device` and loses its gradients."""
        from diffusers import DDIMScheduler

        check_settings(device, batch, compiled)
        try:
            scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise ValueError(f"model = {name!r}: its schedule is none of DDIM's ({cause(error)})") from None
        check_parts(f"model = {name!r}", pipe, scheduler)
        decoder = decoder or pipe.vae
        for part in (pipe.unet, pipe.vae, pipe.text_encoder, decoder):
            part.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
        if compiled:
            pipe.unet.compile(dynamic=False)
        return cls(pipe, scheduler, batch, name, decoder)

    # --- what a model is asked for -----------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, y, x) of a latent."""
        size = self.pipe.unet.config.sample_size
        y, x = (size, size) if isinstance(size, int) else size
        return self.pipe.unet.config.in_channels, y, x

    @property
    def dtype(self) -> torch.dtype:
        return self.pipe.unet.dtype

    @property
    def device(self) -> torch.device:
        return self.pipe.unet.device

    @property
    def fingerprint(self) -> str:
        """Hash of the network's weights and of the noise schedule."""
        digest = sha256(self.scheduler.alphas_cumprod.numpy().tobytes())
        for part in (self.pipe.unet, self.pipe.text_encoder, self.decoder):
            for tensor in part.state_dict().values():
                digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def levels(self, steps: int) -> Levels:
        """The model's own noise levels for `steps` DDIM steps; ValueError for a number it has no levels for."""
        most = self.scheduler.config.num_train_timesteps
        if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or not 1 <= steps < most:
            raise ValueError(f"steps = {steps!r}: takes an integer from 1 to {most - 1}")
        self.scheduler.set_timesteps(int(steps))
        time = self.scheduler.timesteps.cpu().numpy()
        if time.max() >= most:
            raise ValueError(f"steps = {steps}: with this schedule's offset the first time is {time.max()}, beyond "
                             f"{most - 1}; take another number")
        table = self.scheduler.alphas_cumprod.numpy()
        before = time - most // int(steps)
        last = np.where(before >= 0, table[before.clip(0)], np.float32(self.scheduler.final_alpha_cumprod))
        alpha2 = np.append(table[time[:1]], last)
        if not np.array_equal(table[time[1:]], last[:-1]):      # a spacing whose times are not `most // steps` apart
            raise ValueError(f"steps = {steps}: uneven times under {self.scheduler.config.timestep_spacing!r} spacing; "
                             f"take a divisor of {most}")
        # 1 - alpha^2 in float32, as the scheduler has it: near the clean end it differs from the exact one
        return Levels(self.name, np.sqrt(alpha2, dtype=np.float64), np.sqrt(1 - alpha2, dtype=np.float64), time)

    @torch.no_grad()
    def encode_prompt(self, prompt: str = "", negative_prompt: str = "", guidance: float = 1.0) -> Prompt:
        """What the network hears; the negative prompt counts for guidance > 1 only.

        ValueError for a prompt longer than the tokenizer's limit, which diffusers would cut, or guidance < 0.
        """
        if not np.isfinite(guidance) or guidance < 0:
            raise ValueError(f"guidance = {guidance!r}: takes a finite number >= 0 (1 or less: no guidance)")
        check_length(self.pipe.tokenizer, prompt=prompt, negative_prompt=negative_prompt)
        guided = guidance > 1
        found, negative = self.pipe.encode_prompt(prompt, self.device, 1, guided, negative_prompt if guided else None)
        return Prompt(torch.cat([negative, found]) if guided else found, float(guidance))

    def predict(self, x: Float[Tensor, "p c y x"], time: int, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """`(xhat_0, eps)` of one batch at a training time."""
        heard = prompt.embeddings.repeat_interleave(len(x), 0)
        return self.split(x, self.output(x, time, heard, prompt.guidance), self.scheduler.alphas_cumprod[time])

    def output(self, x: Float[Tensor, "p c y x"], time: int, heard: Float[Tensor, "kp tokens width"],
               guidance: float) -> Tensor:
        """What the network says. `heard`: one embedding a point; for guidance > 1 all negative ones come before."""
        copies = len(heard) // len(x)
        seen = torch.cat([x] * copies).contiguous(memory_format=torch.channels_last)
        raw = self.pipe.unet(seen, time, encoder_hidden_states=heard, return_dict=False)[0]
        if copies == 2:
            negative, positive = raw.chunk(2)
            raw = negative + guidance * (positive - negative)
        return raw

    def split(self, x: Float[Tensor, "p c y x"], raw: Tensor, alpha2: Float[Tensor, ""]) -> tuple[Tensor, Tensor]:
        """`(xhat_0, eps)` by what the network said of `x`, taken to lie at the level `alpha2` = alpha^2."""
        alpha, sigma = alpha2.sqrt().to(x), (1 - alpha2).sqrt().to(x)
        kind = self.scheduler.config.prediction_type
        if kind == "epsilon":
            x0, eps = (x - sigma * raw) / alpha, raw
        elif kind == "sample":
            x0, eps = raw, (x - alpha * raw) / sigma
        else:
            x0, eps = alpha * x - sigma * raw, alpha * raw + sigma * x
        if self.scheduler.config.clip_sample:
            most = self.scheduler.config.clip_sample_range
            x0 = x0.clamp(-most, most)
        return x0, eps

    @torch.no_grad()
    def denoise(self, x: Float[Tensor, "p c y x"], alpha: float, sigma: float, prompt: Prompt) -> Tensor:
        """`xhat_0` at the training time whose level is nearest to (alpha, sigma); any number of points."""
        table = self.scheduler.alphas_cumprod
        time = int((torch.logit(table.double()) - 2 * np.log(alpha / sigma)).abs().argmin())
        return self._batched(lambda y: self.predict(y, time, prompt)[:1], x.to(self.device, self.dtype))[0]

    @torch.no_grad()
    def decode(self, x0: Float[Tensor, "*p c y x"]) -> Float[ndarray, "*p y x rgb"]:
        """Pixels in [0, 1] of clean latents."""
        x0 = torch.as_tensor(x0).to(self.device, self.dtype)
        flat = x0.reshape(-1, *x0.shape[-3:])
        found, = self._batched(lambda z: (self.pixels(z),), flat)
        return found.movedim(-3, -1).float().cpu().numpy().reshape(*x0.shape[:-3], *found.shape[2:], 3)

    @torch.no_grad()
    def encode(self, pixels: Float[Tensor, "p 3 y x"]) -> Float[Tensor, "p c y x"]:
        """Clean latents of pictures in [0, 1], by the pipeline's own VAE: the mean where it gives a distribution."""
        size = self.shape[-1] * self.pipe.vae_scale_factor
        pixels = torch.as_tensor(pixels)
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            raise ValueError(f"pictures: shape {tuple(pixels.shape)}; takes (n, 3, {size}, {size}) in [0, 1]")
        config = self.pipe.vae.config

        def latents(x: Tensor) -> tuple[Tensor]:
            found = self.pipe.vae.encode(2 * x - 1)
            z = found.latents if hasattr(found, "latents") else found.latent_dist.mean
            return ((z - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor,)

        return self._batched(latents, pixels.to(self.device, self.dtype))[0]

    def pixels(self, x0: Float[Tensor, "p c y x"]) -> Float[Tensor, "p 3 y x"]:
        """Decoded pixels in [0, 1] of one batch, differentiable: what `features` of pictures are composed with."""
        config = self.decoder.config
        shift = getattr(config, "shift_factor", None) or 0.0
        found = self.decoder.decode(x0 / config.scaling_factor + shift, return_dict=False)[0]
        return (found / 2 + 0.5).clamp(0, 1)

    # --- sampling ----------------------------------------------------------------------------------------------

    @property
    def _most(self) -> int:
        return min([self.batch, *self.largest_batch])

    def _batched(self, function: Callable[..., tuple[Tensor, ...]], *inputs: Float[Tensor, "p *s"]) -> list[Tensor]:
        """`function(*inputs)` in batches. Where a device's memory runs out, half the size is used from then on."""
        try:
            return in_batches(function, self._most, *inputs)
        except torch.OutOfMemoryError:
            n, _ = split(len(inputs[0]), self._most, self.device)
            if n == 1:
                raise
        self.largest_batch[:] = [n // 2]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self._batched(function, *inputs)

    def sweep(self, latents: Float[Tensor, "n c y x"], levels: Levels, prompt: Prompt, *, first: int = 0,
              eta: float = 0.0, seed: int = 0, tangents: Float[Tensor, "t n c y x"] | None = None,
              together: int | None = None, progress: bool = False) -> Iterator[Sweep]:
        """DDIM from latents at level `first`, batch after batch, each through all steps.

        `together` points (default: a batch) take each step before the next one is taken; calls of the network keep
        their size. With `eta` > 0, point i draws its noise from a generator of its own, seeded `seed + i`. `tangents`
        are derivatives of the latents, carried along by forward-mode differentiation (eta = 0 only). Arguments are
        not changed. ValueError for latents of another shape, or an eta outside 0..1.
        """
        latents = torch.as_tensor(latents)
        if latents.ndim != 4 or latents.shape[1] != self.shape[0] or len(latents) == 0:
            raise ValueError(f"latents: shape {tuple(latents.shape)}; takes (n, {', '.join(map(str, self.shape))})")
        if not 0 <= eta <= 1 or (eta and tangents is not None):
            raise ValueError(f"eta = {eta!r}: takes 0 to 1, and 0 where tangents are carried")
        with tqdm(total=len(latents) * (levels.steps - first), desc="denoise", disable=not progress) as bar:
            together = together or self.batch
            for top in range(0, len(latents), together):
                points = slice(top, min(top + together, len(latents)))
                noise = [torch.Generator().manual_seed(seed + i) for i in range(top, points.stop)] if eta else []
                x = latents[points].to(self.device, self.dtype)
                dx = None if tangents is None else torch.as_tensor(tangents)[:, points].to(x)
                for step in range(first, levels.steps):
                    with torch.no_grad():
                        part = self._step(points, step, x, dx, levels, prompt, eta, noise)
                    yield part[0]
                    x, dx = part[0].after, part[1]
                    bar.update(points.stop - points.start)

    def _step(self, points: slice, step: int, x: Tensor, dx: Tensor | None, levels: Levels, prompt: Prompt,
              eta: float, noise: list[torch.Generator]) -> tuple[Sweep, Tensor | None]:
        """One step of a batch, and the tangents after it."""
        time = int(levels.timestep[step])
        predict = lambda y: self.predict(y, time, prompt)  # noqa: E731
        a, b, spread = levels.mixing(step, eta)
        if dx is None:
            x0, eps = self._batched(predict, x)
            after = a * x0 + b * eps
            if eta:
                draw = torch.stack([torch.randn(x.shape[1:], generator=g) for g in noise])
                after = after + spread * draw.to(after)
            return Sweep(points, step, x, x0, after), None

        with forward_mode():
            found = self._batched(pushed(predict), x.repeat(len(dx), 1, 1, 1), dx.flatten(0, 1))
        x0, eps, dx0, deps = (y.view_as(dx) for y in found)
        return Sweep(points, step, x, x0[0], a * x0[0] + b * eps[0], dx, dx0), a * dx0 + b * deps
