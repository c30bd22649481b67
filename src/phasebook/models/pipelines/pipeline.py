"""Any diffusers text-to-image pipeline as a model: from the shipped emoji to DreamShaper-8, through one code path.

What differs between pipelines stands in `families` (which part denoises, how it is told a prompt) and in `noise` (its
levels, and how its answer splits a state into picture and noise); `fitting` tries out whether parts fit. Guidance w > 1
(Ho, Salimans 2022) replaces the prediction by `e_neg + w (e_prompt - e_neg)`, at twice the cost. Points are run in
batches of one shape, the last one padded; a point's result does not depend on its company beyond rounding. Latents have
shape (channel, y, x).
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, first_not_finite, numbers, pictures
from phasebook.models.denoiser import checked_latents, combined, guided, listed
from phasebook.models.pipelines.checkpoints import check_dtype, check_settings, digest_of, known_directory
from phasebook.models.pipelines.families import family_of
from phasebook.models.pipelines.family import Family
from phasebook.models.pipelines.fitting import check_directory, check_geometry, understood
from phasebook.models.pipelines.loading import fetch_pipeline, load_parts, load_small_vae
from phasebook.models.pipelines.noise import Noise, check_sampler
from phasebook.models.pipelines.vae import decoded, encoded
from phasebook.sampling.batches import within_memory
from phasebook.sampling.features import Latent, OfPixels, root_mean_square
from phasebook.sampling.levels import Levels, asked_at
from phasebook.sampling.protocols import Feature, Model, Pixels, Prediction, Prompt, check_prompt, check_steps
from phasebook.sampling.tangents import forward_mode, pushed

__all__ = ["PipelineModel"]


@dataclass(frozen=True, eq=False)
class PipelineModel(Model):
    """A loaded pipeline; build it with `PipelineModel.load` or `PipelineModel.of`.

    Attributes:
        pipe: the diffusers pipeline.
        family: its kind.
        noise: its levels, and what its network predicts.
        batch: latents at a time (guidance doubles what the network is given).
        name: enters levels and messages.
        decoder: a small VAE, or the pipeline's own; None where states are pixels.
        largest_batch: what out-of-memory has taught, one entry.
    """

    pipe: object
    family: Family
    noise: Noise
    batch: int
    name: str
    decoder: object = None
    largest_batch: list[int] = field(default_factory=list)

    @classmethod
    def load(cls, name: str | Path, *, revision: str | None = None, variant: str | None = None,
             dtype: str = "float32", device: str = "cpu", batch: int = 64, small_vae: str | Path | None = None,
             compiled: bool = False, sampler: str = "ddim") -> "PipelineModel":
        """The model in a directory, or of a hub id.

        Args:
            name: a directory (also one below assets/) or a hub id.
            revision: of a hub id.
            variant: of the weights' file names, e.g. 'fp16'.
            dtype: 'float32', 'bfloat16' or 'float16'.
            device: 'cpu' or 'cuda'.
            batch: latents at a time.
            small_vae: directory or hub id of an AutoencoderTiny that decodes in place of the pipeline's VAE.
            compiled: torch.compile the network (CUDA only).
            sampler: 'ddim', the paper's choice, or 'own': levels as the pipeline's own scheduler places them. DDIM
                places them as the scheduler does, and by 'leading' where one that is not DDIM's takes linspace. A flow
                model has its own.

        Returns:
            The model.

        Raises:
            ValueError: one line, for whatever is not there, not whole, or no pipeline that this code can run.
        """
        check_dtype(dtype)
        check_settings(device, batch, compiled)
        check_sampler(sampler)          # before what may be gigabytes
        folder, label = fetch_pipeline(name, revision, variant), f"model = {str(name)!r}"
        pipe = load_parts(label, folder, variant, dtype)
        decoder = load_small_vae(small_vae, dtype) if small_vae else None
        return cls.of(pipe, str(name), device=device, batch=batch, decoder=decoder, compiled=compiled, sampler=sampler)

    @classmethod
    def check(cls, name: str | Path, variant: str | None = None, parameter: str = "model") -> "PipelineModel | None":
        """Refuse a directory whose parts do not fit their weights or one another, before a weight is read.

        Args:
            name: a directory (also one below assets/); a hub id that is not there yet is passed over.
            variant: of the weights' file names.
            parameter: that named it.

        Returns:
            The model in outlines: shapes without numbers. None for a hub id. ValueError, one line, is the refusal.
        """
        folder = known_directory(name)
        return None if folder is None else check_directory(cls, f"{parameter} = {str(name)!r}", folder, variant)

    @classmethod
    def of(cls, pipe, name: str, *, device: str = "cpu", batch: int = 64, decoder=None, compiled: bool = False,
           sampler: str = "ddim") -> "PipelineModel":
        """The model of a diffusers pipeline in memory, which is moved to `device` and loses its gradients.

        Args:
            pipe: a StableDiffusionPipeline or one of its kind (XL, 3, Flux, PixArt, DiT, DDPM), with all its parts;
                random weights will do, and the safety checker may be None.
            name: for levels and messages.
            device: 'cpu' or 'cuda'.
            batch: latents at a time.
            decoder: a VAE that decodes in place of the pipeline's.
            compiled: torch.compile the network (CUDA only).
            sampler: 'ddim', the paper's choice, whatever scheduler the pipeline has, or 'own'; see `load`.

        Returns:
            The model.

        Raises:
            ValueError: one line, for a pipeline that this code cannot run.
        """
        check_settings(device, batch, compiled)
        if not isinstance(name, str):
            raise ValueError(f"name = {brief(name)}: takes a text, by which messages call the model")
        if decoder is not None and not (isinstance(decoder, torch.nn.Module) and hasattr(decoder, "decode")):
            raise ValueError(f"decoder = {brief(decoder)}: takes a VAE of diffusers, such as an AutoencoderTiny")
        family_of("pipe", type(pipe).__name__)
        label = f"model = {name!r}"
        family, noise = understood(label, pipe, sampler)
        if family.upcasts and pipe.vae.dtype == torch.float16 and pipe.vae.config.get("force_upcast"):
            own, pipe = pipe, copy(pipe)        # as diffusers does, for the time of a call; the caller's stays as it is
            pipe.register_modules(vae=deepcopy(own.vae).float())
        decoder = decoder or getattr(pipe, "vae", None)
        for part in [*family.modules(pipe), *([decoder] if decoder is not None else [])]:
            part.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
        model = cls(pipe, family, noise, batch, name, decoder)
        check_geometry(label, model)
        if compiled:
            model.network.compile(dynamic=False)
        return model

    # --- the protocol ------------------------------------------------------------------------------------------

    @property
    def network(self) -> torch.nn.Module:
        """The part that denoises."""
        return getattr(self.pipe, self.family.network)

    @property
    def encoder(self) -> torch.nn.Module | None:
        """The pipeline's own VAE; None where states are pixels."""
        return self.pipe.vae if self.decoder is not None else None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, y, x) of a latent."""
        return self.family.shape(self.pipe)

    @property
    def dtype(self) -> torch.dtype:
        """Of the network."""
        return self.network.dtype

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.device

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights, of those of another decoder too, and of the noise schedule."""
        own = self.family.modules(self.pipe)
        other = [] if self.decoder is None or any(self.decoder is part for part in own) else [self.decoder]
        return digest_of([*own, *other], self.noise.digest())

    @cached_property
    def features(self) -> Mapping[str, Feature]:
        """The `latent`, and the `pixels` of the decoded picture."""
        return {"latent": Latent(self.shape), "pixels": OfPixels(root_mean_square)}

    def levels(self, steps: int) -> Levels:
        """The model's own noise levels for `steps` steps.

        Returns:
            Steps + 1 levels.

        Raises:
            ValueError: for a number of steps that it has no levels for.
        """
        return self.family.placed(self.noise.levels(steps, self.name))

    def start(self, latents: Float[ndarray, "m c y x"],
              coefficients: Float[ndarray, "p m"] | None = None) -> Float[Tensor, "p c y x"]:
        """Latents, or combinations of a few; summed in float64."""
        return combined(checked_latents(latents, self.shape), coefficients).to(self.device, self.dtype)

    @torch.no_grad()
    def prompt(self, texts: str | Sequence[str], guidance: float = 1.0, negative: str = "") -> Prompt:
        """What the network is told; equal texts are encoded once. The negative prompt counts for guidance > 1 only.

        Returns:
            The conditions, one row for all points or a row a point.

        Raises:
            ValueError: for a prompt longer than the tokenizer's limit, which diffusers would cut, or guidance < 0.
        """
        guidance = guided(guidance)
        single = listed(texts, negative)
        known = {text: self.family.conditions(self.pipe, text, negative, guidance) for text in dict.fromkeys(single)}
        names = known[single[0]]
        return Prompt({name: torch.stack([known[text][name] for text in single]) for name in names}, guidance)

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "p c y x"], levels: Levels, step: int, prompt: Prompt | None = None,
                read: int | None = None) -> Prediction:
        """The network's prediction, in batches. `levels` are the model's own: the network is told their times."""
        self._check_latents("x", x)
        function, conditions = self._asked(levels, step, prompt, len(x), read)
        return Prediction(*self._batched(function, x.to(self.device, self.dtype), *conditions))

    @torch.no_grad()
    def predict_each(self, x: Float[Tensor, "p c y x"], levels: Levels, steps: Int[ndarray, " p"],
                     prompt: Prompt | None = None) -> Prediction:
        """Points of many levels in the same batches, where the network takes a time for each of them."""
        if self.family.network != "unet":
            return super().predict_each(x, levels, steps, prompt)
        self._check_latents("x", x)
        steps = check_steps(steps, levels, len(x))
        self.noise.check(levels)
        prompt = self.prompt("") if prompt is None else prompt
        check_prompt(prompt, len(x))
        exact = torch.promote_types(self.dtype, torch.float32)      # bfloat16 has no 981
        said = (levels.timestep[steps], levels.alpha[steps], levels.sigma[steps])
        clock = [torch.as_tensor(v).to(self.device, exact) for v in said]
        if (clock[0] == clock[0].long()).all():     # some networks have a table of times
            clock[0] = clock[0].long()
        rows = [c.expand(len(x), *c.shape[1:]) for c in prompt.conditions.values()]

        def function(y: Tensor, time: Tensor, alpha: Tensor, sigma: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
            named = dict(zip(prompt.conditions, given, strict=True))
            raw = self.family.guided(self.pipe, y, time, named, prompt.guidance)
            both = self.noise.split(y, raw, alpha[:, None, None, None], sigma[:, None, None, None])
            return tuple(part.to(y.dtype) for part in both)

        return Prediction(*self._batched(function, x.to(self.device, self.dtype), *clock, *rows))

    @torch.no_grad()
    def push(self, x: Float[Tensor, "p c y x"], dx: Float[Tensor, "t p c y x"], levels: Levels, step: int,
             prompt: Prompt | None = None) -> tuple[Prediction, Prediction]:
        """The prediction and its derivatives along tangents, in batches of both."""
        self._check_latents("x", x)
        if not isinstance(dx, Tensor) or dx.shape[1:] != x.shape or len(dx) == 0:
            said = f"shape {tuple(dx.shape)}" if isinstance(dx, Tensor) else f"a {type(dx).__name__}"
            raise ValueError(f"tangents: {said}; takes (t, {', '.join(map(str, x.shape))})")
        x, dx = x.to(self.device, self.dtype), dx.to(self.device, self.dtype)
        function, conditions = self._asked(levels, step, prompt, len(x), None)
        wide = [c.repeat(len(dx), *(1,) * (c.ndim - 1)) for c in conditions]
        with forward_mode():
            parts = self._batched(pushed(function), x.repeat(len(dx), 1, 1, 1), dx.flatten(0, 1), *wide)
        x0, eps, dx0, deps = (y.view_as(dx) for y in parts)
        return Prediction(x0[0], eps[0]), Prediction(dx0, deps)

    @torch.no_grad()
    def decode(self, x0: Float[Tensor, "p c y x"]) -> Pixels:
        """Pictures of clean latents, float32."""
        if not isinstance(x0, Tensor):
            x0 = torch.as_tensor(numbers("x0", x0, f"a tensor (n, {', '.join(map(str, self.shape))})"))
        x0 = x0.to(self.device, self.dtype)
        self._check_latents("x0", x0)
        if (point := first_not_finite(x0)) is not None:
            raise ValueError(f"x0: not finite at point {point}; takes clean latents of finite numbers")
        return self._batched(lambda z: (self.pixels(z),), x0)[0].float()

    def output(self, x: Float[Tensor, "p c y x"], levels: Levels, step: int,
               prompt: Prompt) -> Float[Tensor, "p c y x"]:
        """What the network itself says of one batch at a step, differentiable in its weights: for trainers."""
        rows = {name: c.expand(len(x), *c.shape[1:]) for name, c in prompt.conditions.items()}
        return self.family.guided(self.pipe, x, float(levels.timestep[step]), rows, prompt.guidance)

    def _check_latents(self, name: str, x: Float[Tensor, "p c y x"]) -> None:
        """ValueError unless `x` are latents of this network, of whatever size."""
        if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[1] != self.shape[0] or len(x) == 0:
            found = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
            raise ValueError(f"{name}: {found}; takes a tensor (n, {', '.join(map(str, self.shape))})")

    # --- the network, in batches -------------------------------------------------------------------------------

    def _asked(self, levels: Levels, step: int, prompt: Prompt | None, points: int,
               read: int | None) -> tuple[Callable[..., tuple[Tensor, Tensor]], list[Tensor]]:
        """A function of one batch and of its conditions, and the conditions of all points."""
        prompt = self.prompt("") if prompt is None else prompt
        check_prompt(prompt, points)
        step, at = asked_at(levels, step, read)
        self.noise.check(levels)
        time = float(levels.timestep[step])
        alpha, sigma = float(levels.alpha[at]), float(levels.sigma[at])

        def function(y: Tensor, *conditions: Tensor) -> tuple[Tensor, Tensor]:
            named = dict(zip(prompt.conditions, conditions, strict=True))
            return self.noise.split(y, self.family.guided(self.pipe, y, time, named, prompt.guidance), alpha, sigma)

        return function, [c.expand(points, *c.shape[1:]) for c in prompt.conditions.values()]

    def _batched(self, function: Callable[..., tuple[Tensor, ...]], *inputs: Float[Tensor, "p *s"]) -> list[Tensor]:
        sizes = [self.batch, *self.largest_batch]
        done = within_memory(function, sizes, *inputs)
        self.largest_batch[:] = sizes[1:]
        return done

    # --- pictures ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, pixels: Float[Tensor, "p 3 y x"]) -> Float[Tensor, "p c y x"]:
        """Clean latents of pictures in [0, 1], by the pipeline's own VAE: the mean where it gives a distribution.

        Args:
            pixels: of the sides that the VAE takes.

        Returns:
            Latents at the network's scale.

        Raises:
            ValueError: for another shape, or numbers that are no pictures.
        """
        scale = getattr(self.pipe, "vae_scale_factor", 8) if self.decoder is not None else 1
        pixels = pictures("pixels", pixels, tuple(n * scale for n in self.shape[1:]))
        place = self.family.place(self.encoder)
        return self._batched(lambda x: (encoded(self.encoder, x, place),), pixels.to(self.device, self.dtype))[0]

    def pixels(self, x0: Float[Tensor, "p c y x"]) -> Float[Tensor, "p 3 y x"]:
        """Decoded pixels in [0, 1] of one batch, differentiable."""
        return decoded(self.decoder, x0, self.family.place(self.decoder))
