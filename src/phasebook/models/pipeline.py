"""Any diffusers StableDiffusionPipeline as a model: from the shipped emoji to DreamShaper-8, through one code path.

A network predicts noise, sample or velocity at a training time; whatever it is, `xhat_0` and `eps` follow from it.
Guidance w > 1 (Ho, Salimans 2022) replaces the prediction by `e_neg + w (e_prompt - e_neg)`, at twice the cost. Points
are run in batches of one shape, the last one padded; a point's result does not depend on its company beyond rounding.
Latents have shape (channel, y, x).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from phasebook.models.checkpoints import (
    cause,
    check_dtype,
    check_length,
    check_parts,
    check_settings,
    fetch_pipeline,
    load_parts,
    load_small_vae,
    quiet,
)
from phasebook.models.denoiser import combined
from phasebook.sampling.batches import in_batches, split
from phasebook.sampling.features import Latent, OfPixels
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Feature, Model, Pixels, Prediction, Prompt
from phasebook.sampling.tangents import forward_mode, pushed

__all__ = ["PipelineModel", "diffusers_steps"]

RUN_ONCE = 50_000_000       # weights of a network that is run once when it is loaded; of a larger one the shapes are


@dataclass(frozen=True, eq=False)
class PipelineModel(Model):
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
        check_dtype(dtype)
        check_settings(device, batch, compiled)
        folder, label = fetch_pipeline(name, revision, variant), f"model = {str(name)!r}"
        pipe = load_parts(label, folder, variant, dtype)
        decoder = load_small_vae(small_vae, dtype) if small_vae else None
        return cls.of(pipe, str(name), device=device, batch=batch, decoder=decoder, compiled=compiled)

    @classmethod
    def of(cls, pipe, name: str, *, device: str = "cpu", batch: int = 64, decoder=None,
           compiled: bool = False) -> "PipelineModel":
        """The model of a diffusers pipeline in memory, which is moved to `device` and loses its gradients."""
        from diffusers import DDIMScheduler

        check_settings(device, batch, compiled)
        label = f"model = {name!r}"
        # samplers that place their times by linspace have none for DDIM's stride: it takes its own spacing
        spacing = {"timestep_spacing": "leading"} if pipe.scheduler.config.get("timestep_spacing") == "linspace" else {}
        try:
            scheduler = DDIMScheduler.from_config(pipe.scheduler.config, **spacing)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise ValueError(f"{label}: its schedule is none of DDIM's ({cause(error)})") from None
        check_parts(label, pipe, scheduler)
        decoder = decoder or pipe.vae
        for part in (pipe.unet, pipe.vae, pipe.text_encoder, decoder):
            part.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
        model = cls(pipe, scheduler, batch, name, decoder)
        model._check_geometry(label)
        if compiled:
            pipe.unet.compile(dynamic=False)
        return model

    # --- the protocol ------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, y, x) of a latent."""
        size = self.pipe.unet.config.sample_size
        y, x = (size, size) if isinstance(size, int) else size
        return self.pipe.unet.config.in_channels, y, x

    @property
    def dtype(self) -> torch.dtype:
        """Of the network."""
        return self.pipe.unet.dtype

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.pipe.unet.device

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights and of the noise schedule."""
        digest = sha256(self.scheduler.alphas_cumprod.numpy().tobytes())
        for part in (self.pipe.unet, self.pipe.text_encoder, self.decoder):
            for tensor in part.state_dict().values():
                digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def features(self) -> Mapping[str, Feature]:
        """The `latent`, and the `pixels` of the decoded picture."""
        return {"latent": Latent(self.shape), "pixels": OfPixels(root_mean_square)}

    def levels(self, steps: int) -> Levels:
        """The model's own noise levels for `steps` DDIM steps.

        Raises:
            ValueError: for a number of steps that it has no levels for.
        """
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
        alpha2 = np.append(table[time], last[-1])
        if not np.array_equal(table[time[1:]], last[:-1]):      # a spacing whose times are not `most // steps` apart
            raise ValueError(f"steps = {steps}: uneven times under {self.scheduler.config.timestep_spacing!r} spacing; "
                             f"take a divisor of {most}")
        # 1 - alpha^2 in float32, as the scheduler has it: near the clean end it differs from the exact one
        return Levels(self.name, np.sqrt(alpha2, dtype=np.float64), np.sqrt(1 - alpha2, dtype=np.float64), time)

    def start(self, latents: Float[ndarray, "m c y x"],
              coefficients: Float[ndarray, "p m"] | None = None) -> Float[Tensor, "p c y x"]:
        """Latents, or combinations of a few; summed in float64."""
        return combined(latents, coefficients).to(self.device, self.dtype)

    @torch.no_grad()
    def prompt(self, texts: str | Sequence[str], guidance: float = 1.0, negative: str = "") -> Prompt:
        """What the network is told; equal texts are encoded once. The negative prompt counts for guidance > 1 only.

        Raises:
            ValueError: for a prompt longer than the tokenizer's limit, which diffusers would cut, or guidance < 0.
        """
        if not np.isfinite(guidance) or guidance < 0:
            raise ValueError(f"guidance = {guidance!r}: takes a finite number >= 0 (1 or less: no guidance)")
        single = [texts] if isinstance(texts, str) else list(texts)
        guided = guidance > 1
        known = {}
        for text in dict.fromkeys(single):
            check_length(self.pipe.tokenizer, prompt=text, negative_prompt=negative)
            wanted, unwanted = self.pipe.encode_prompt(text, self.device, 1, guided, negative if guided else None)
            known[text] = torch.cat([unwanted, wanted]) if guided else wanted
        return Prompt({"embeddings": torch.stack([known[text] for text in single])}, float(guidance))

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "p c y x"], levels: Levels, step: int, prompt: Prompt | None = None,
                read: int | None = None) -> Prediction:
        """The network's prediction, in batches. `levels` are the model's own: the network is told their times."""
        if x.ndim != 4 or x.shape[1] != self.shape[0] or len(x) == 0:
            raise ValueError(f"latents: shape {tuple(x.shape)}; takes (n, {', '.join(map(str, self.shape))})")
        function, conditions = self._asked(levels, step, prompt, len(x), read)
        return Prediction(*self._batched(function, x.to(self.device, self.dtype), *conditions))

    @torch.no_grad()
    def push(self, x: Float[Tensor, "p c y x"], dx: Float[Tensor, "t p c y x"], levels: Levels, step: int,
             prompt: Prompt | None = None) -> tuple[Prediction, Prediction]:
        """The prediction and its derivatives along tangents, in batches of both."""
        function, conditions = self._asked(levels, step, prompt, len(x), None)
        wide = [c.repeat(len(dx), *(1,) * (c.ndim - 1)) for c in conditions]
        with forward_mode():
            parts = self._batched(pushed(function), x.repeat(len(dx), 1, 1, 1), dx.flatten(0, 1), *wide)
        x0, eps, dx0, deps = (y.view_as(dx) for y in parts)
        return Prediction(x0[0], eps[0]), Prediction(dx0, deps)

    @torch.no_grad()
    def decode(self, x0: Float[Tensor, "p c y x"]) -> Pixels:
        """Pictures of clean latents, float32."""
        x0 = torch.as_tensor(x0).to(self.device, self.dtype)
        return self._batched(lambda z: (self.pixels(z),), x0)[0].float()

    # --- the network -------------------------------------------------------------------------------------------

    def _asked(self, levels: Levels, step: int, prompt: Prompt | None, points: int,
               read: int | None) -> tuple[Callable[..., tuple[Tensor, Tensor]], list[Tensor]]:
        """A function of one batch and of its conditions, and the conditions of all points."""
        prompt = self.prompt("") if prompt is None else prompt
        time, at = int(levels.timestep[step]), step if read is None else read
        if time < 0:
            raise ValueError(f"levels = {levels.name!r}: have no training times; takes this model's own levels")
        alpha, sigma = float(levels.alpha[at]), float(levels.sigma[at])

        def function(y: Tensor, embeddings: Tensor) -> tuple[Tensor, Tensor]:
            return self._split(y, self._output(y, time, embeddings, prompt.guidance), alpha, sigma)

        embeddings = prompt.conditions["embeddings"]
        return function, [embeddings.expand(points, *embeddings.shape[1:])]

    def _output(self, x: Float[Tensor, "p c y x"], time: int, embeddings: Float[Tensor, "p k tokens width"],
                guidance: float) -> Tensor:
        """What the network says at a training time; with guidance every point has its negative prompt first."""
        copies = embeddings.shape[1]
        wide = torch.cat([x] * copies).contiguous(memory_format=torch.channels_last)
        raw = self.pipe.unet(wide, time, encoder_hidden_states=embeddings.transpose(0, 1).flatten(0, 1),
                             return_dict=False)[0]
        if copies == 1:
            return raw
        negative, positive = raw.chunk(2)
        return negative + guidance * (positive - negative)

    def _split(self, x: Float[Tensor, "p c y x"], raw: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor]:
        """`(xhat_0, eps)` by what the network said of `x`, taken to lie at the level (alpha, sigma)."""
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
    def _check_geometry(self, label: str) -> None:
        """ValueError unless one latent passes through network, decoder and encoder; of a large network shapes alone."""
        from torch._subclasses.fake_tensor import FakeTensorMode

        weights = sum(w.numel() for w in self.pipe.unet.parameters())
        shapes = FakeTensorMode(allow_non_fake_inputs=True) if weights > RUN_ONCE else nullcontext()
        try:
            embeddings = self.prompt("").conditions["embeddings"]
            with shapes:
                x = torch.zeros(1, *self.shape, device=self.device, dtype=self.dtype)
                y = self._output(x, 1, torch.zeros(embeddings.shape, device=self.device, dtype=self.dtype), 1.0)
                picture = self.pixels(y)
                code = self.pipe.vae.encode(picture)
                back = code.latents if hasattr(code, "latents") else code.latent_dist.mean
            if y.shape != x.shape or picture.shape[1] != 3 or back.shape != x.shape:
                raise RuntimeError(f"a latent {tuple(x.shape)[1:]} becomes {tuple(y.shape)[1:]} in the network, a "
                                   f"picture {tuple(picture.shape)[1:]}, and a latent {tuple(back.shape)[1:]} again")
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, NotImplementedError) as error:
            raise ValueError(f"{label}: its parts do not fit together ({cause(error)})") from None

    # --- pictures ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, pixels: Float[Tensor, "p 3 y x"]) -> Float[Tensor, "p c y x"]:
        """Clean latents of pictures in [0, 1], by the pipeline's own VAE: the mean where it gives a distribution."""
        pixels = torch.as_tensor(pixels)
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            size = self.shape[-1] * self.pipe.vae_scale_factor
            raise ValueError(f"pictures: shape {tuple(pixels.shape)}; takes (n, 3, {size}, {size}) in [0, 1]")
        config = self.pipe.vae.config

        def latents(x: Tensor) -> tuple[Tensor]:
            code = self.pipe.vae.encode(2 * x - 1)
            z = code.latents if hasattr(code, "latents") else code.latent_dist.mean
            return ((z - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor,)

        return self._batched(latents, pixels.to(self.device, self.dtype))[0]

    def pixels(self, x0: Float[Tensor, "p c y x"]) -> Float[Tensor, "p 3 y x"]:
        """Decoded pixels in [0, 1] of one batch, differentiable."""
        config = self.decoder.config
        shift = getattr(config, "shift_factor", None) or 0.0
        picture = self.decoder.decode(x0 / config.scaling_factor + shift, return_dict=False)[0]
        return (picture / 2 + 0.5).clamp(0, 1)

    # --- batches -----------------------------------------------------------------------------------------------

    def _batched(self, function: Callable[..., tuple[Tensor, ...]], *inputs: Float[Tensor, "p *s"]) -> list[Tensor]:
        """`function(*inputs)` in batches. Where a device's memory runs out, half the size is used from then on."""
        most = min([self.batch, *self.largest_batch])
        try:
            return in_batches(function, most, *inputs)
        except torch.OutOfMemoryError:
            n, _ = split(len(inputs[0]), most, self.device)
            if n == 1:
                raise
        self.largest_batch[:] = [n // 2]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self._batched(function, *inputs)


def root_mean_square(pixels: Pixels) -> Float[Tensor, "p k"]:
    """Coordinates of pictures in which distances are root mean squares over pixels."""
    return pixels.flatten(1) / pixels[0].numel() ** 0.5


def diffusers_steps(model: PipelineModel, start: Float[Tensor, "c y x"], steps: int, prompt: str, negative: str,
                    guidance: float) -> Float[Tensor, "step c y x"]:
    """What diffusers' own call of the pipeline has after every step from one start, with its DDIM."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    own = DDIMScheduler.from_config(model.pipe.scheduler.config)
    with quiet():
        pipe = StableDiffusionPipeline(**model.pipe.components | {"scheduler": own}, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    after = []

    def keep(pipe, step, time, tensors):
        after.append(tensors["latents"][0].clone())
        return tensors

    pipe(prompt, negative_prompt=negative, guidance_scale=guidance, num_inference_steps=steps, eta=0.0,
         latents=start[None].to(model.device, model.dtype), output_type="latent", callback_on_step_end=keep)
    return torch.stack(after)
