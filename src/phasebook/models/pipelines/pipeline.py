"""Any diffusers text-to-image pipeline as a model: from the shipped emoji to DreamShaper-8, through one code path.

What differs between pipelines stands in `families` (which part denoises, how it is told a prompt) and in `noise` (its
levels, and how its answer splits a state into picture and noise). Guidance w > 1 (Ho, Salimans 2022) replaces the
prediction by `e_neg + w (e_prompt - e_neg)`, at twice the cost. Points are run in batches of one shape, the last one
padded; a point's result does not depend on its company beyond rounding. Latents have shape (channel, y, x).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, number
from phasebook.models.denoiser import checked_latents, combined, listed
from phasebook.models.pipelines.checkpoints import (
    cause,
    check_dtype,
    check_length,
    check_pipeline,
    check_settings,
    known_directory,
)
from phasebook.models.pipelines.families import Family, family_of
from phasebook.models.pipelines.loading import fetch_pipeline, load_parts, load_small_vae
from phasebook.models.pipelines.noise import Noise, noise_of
from phasebook.models.pipelines.vae import decoded, encoded
from phasebook.sampling.batches import in_batches, split
from phasebook.sampling.features import Latent, OfPixels
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Feature, Model, Pixels, Prediction, Prompt
from phasebook.sampling.tangents import forward_mode, pushed

__all__ = ["PipelineModel"]

RUN_ONCE = 50_000_000       # weights of a network that is run once when it is loaded; of a larger one the shapes are


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
            sampler: 'ddim', the paper's choice, or 'own': levels as the pipeline's own scheduler places them. A flow
                model has its own.

        Returns:
            The model.

        Raises:
            ValueError: one line, for whatever is not there, not whole, or no pipeline that this code can run.
        """
        check_dtype(dtype)
        check_settings(device, batch, compiled)
        folder, label = fetch_pipeline(name, revision, variant), f"model = {str(name)!r}"
        pipe = load_parts(label, folder, variant, dtype)
        decoder = load_small_vae(small_vae, dtype) if small_vae else None
        return cls.of(pipe, str(name), device=device, batch=batch, decoder=decoder, compiled=compiled, sampler=sampler)

    @classmethod
    def check(cls, name: str | Path, variant: str | None = None, parameter: str = "model") -> None:
        """Refuse a directory whose parts do not fit their weights or one another, before a weight is read.

        Args:
            name: a directory (also one below assets/); a hub id that is not there yet is passed over.
            variant: of the weights' file names.
            parameter: that named it.

        Raises:
            ValueError: one line.
        """
        if (folder := known_directory(name)) is not None:
            stamps = [(str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in folder.rglob("*") if f.is_file()]
            check_pipeline(f"{parameter} = {str(name)!r}", folder, variant)
            _fits(f"{parameter} = {str(name)!r}", folder, variant, tuple(sorted(stamps)))

    @classmethod
    def of(cls, pipe, name: str, *, device: str = "cpu", batch: int = 64, decoder=None, compiled: bool = False,
           sampler: str = "ddim") -> "PipelineModel":
        """The model of a diffusers pipeline in memory, which is moved to `device` and loses its gradients.

        Args:
            pipe: a StableDiffusionPipeline or one of its kind (XL, 3, Flux, PixArt, DDPM), with all its parts; random
                weights will do, and the safety checker may be None.
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
        label = f"model = {name!r}"
        family, noise = _understood(label, pipe, sampler)
        decoder = decoder or getattr(pipe, "vae", None)
        for part in [*family.modules(pipe), *([decoder] if decoder is not None else [])]:
            part.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
        model = cls(pipe, family, noise, batch, name, decoder)
        model._check_geometry(label)
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
        """Hash of the weights and of the noise schedule."""
        digest = sha256(self.noise.digest())
        for part in self.family.modules(self.pipe):
            for tensor in part.state_dict().values():
                digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

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
        return self.noise.levels(steps, self.name)

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
        guidance = number("guidance", guidance, "a finite number >= 0 (1 or less: no guidance)", least=0)
        single = listed(texts, negative)
        known = {}
        for text in dict.fromkeys(single):
            self.family.check_words(prompt=text, negative_prompt=negative)
            for tokenizer in self.family.tokenizers(self.pipe):
                check_length(tokenizer, prompt=text, negative_prompt=negative)
            known[text] = self.family.encode(self.pipe, text, negative, guidance)
        names = known[single[0]]
        return Prompt({name: torch.stack([known[text][name] for text in single]) for name in names}, guidance)

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "p c y x"], levels: Levels, step: int, prompt: Prompt | None = None,
                read: int | None = None) -> Prediction:
        """The network's prediction, in batches. `levels` are the model's own: the network is told their times."""
        if x.ndim != 4 or x.shape[1] != self.shape[0] or len(x) == 0:
            raise ValueError(f"latents: shape {tuple(x.shape)}; takes (n, {', '.join(map(str, self.shape))})")
        function, conditions = self._asked(levels, step, prompt, len(x), read)
        return Prediction(*self._batched(function, x.to(self.device, self.dtype), *conditions))

    @torch.no_grad()
    def predict_each(self, x: Float[Tensor, "p c y x"], levels: Levels, steps: Int[ndarray, " p"],
                     prompt: Prompt | None = None) -> Prediction:
        """Points of many levels in the same batches, where the network takes a time for each of them."""
        if self.family.network != "unet":
            return super().predict_each(x, levels, steps, prompt)
        prompt = self.prompt("") if prompt is None else prompt
        clock = [torch.as_tensor(v[steps]).to(x) for v in (levels.timestep, levels.alpha, levels.sigma)]
        rows = [c.expand(len(x), *c.shape[1:]) for c in prompt.conditions.values()]

        def function(y: Tensor, time: Tensor, alpha: Tensor, sigma: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
            named = dict(zip(prompt.conditions, given, strict=True))
            raw = self._output(y, time, named, prompt.guidance)
            return self.noise.split(y, raw, alpha[:, None, None, None], sigma[:, None, None, None])

        return Prediction(*self._batched(function, x.to(self.device, self.dtype), *clock, *rows))

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

    def output(self, x: Float[Tensor, "p c y x"], levels: Levels, step: int,
               prompt: Prompt) -> Float[Tensor, "p c y x"]:
        """What the network itself says of one batch at a step, differentiable in its weights: for trainers."""
        rows = {name: c.expand(len(x), *c.shape[1:]) for name, c in prompt.conditions.items()}
        return self._output(x, float(levels.timestep[step]), rows, prompt.guidance)

    # --- the network -------------------------------------------------------------------------------------------

    def _asked(self, levels: Levels, step: int, prompt: Prompt | None, points: int,
               read: int | None) -> tuple[Callable[..., tuple[Tensor, Tensor]], list[Tensor]]:
        """A function of one batch and of its conditions, and the conditions of all points."""
        prompt = self.prompt("") if prompt is None else prompt
        time, at = float(levels.timestep[step]), step if read is None else read
        if time < 0:
            raise ValueError(f"levels = {levels.name!r}: have no training times; takes this model's own levels")
        alpha, sigma = float(levels.alpha[at]), float(levels.sigma[at])

        def function(y: Tensor, *conditions: Tensor) -> tuple[Tensor, Tensor]:
            named = dict(zip(prompt.conditions, conditions, strict=True))
            return self.noise.split(y, self._output(y, time, named, prompt.guidance), alpha, sigma)

        prompt.check(points)
        return function, [c.expand(points, *c.shape[1:]) for c in prompt.conditions.values()]

    def _output(self, x: Float[Tensor, "p c y x"], time: float | Tensor,
                conditions: Mapping[str, Float[Tensor, "p k ..."]], guidance: float) -> Tensor:
        """What the network says at a time (or one a point); with guidance each point has its negative prompt first."""
        copies = max((c.shape[1] for c in conditions.values()), default=1)
        wide = torch.cat([x] * copies).contiguous(memory_format=torch.channels_last)
        rows = {name: c.transpose(0, 1).flatten(0, 1) for name, c in conditions.items()}
        if isinstance(time, Tensor):
            clock = time.repeat(copies)
        else:
            clock = int(time) if time == int(time) else time
        raw = self.family.call(self.pipe, wide, clock, rows)
        if copies == 1:
            return raw
        negative, positive = raw.chunk(2)
        return negative + guidance * (positive - negative)

    @torch.no_grad()
    def _check_geometry(self, label: str) -> None:
        """ValueError unless one latent passes through network, decoder and encoder; of a large network shapes alone."""
        from torch._subclasses.fake_tensor import FakeTensorMode

        weights = sum(w.numel() for w in self.network.parameters())
        outline = self.device.type == "meta"
        large = weights > RUN_ONCE and not outline
        shapes = FakeTensorMode(allow_non_fake_inputs=True) if large else nullcontext()
        try:
            prompt = self.prompt("")
            with shapes:
                x = torch.zeros(1, *self.shape, device=self.device, dtype=self.dtype)
                conditions = {name: torch.zeros_like(c) for name, c in prompt.conditions.items()}
                y = self._output(x, 1, conditions, 1.0)
                picture = self.pixels(y)
                back = encoded(self.encoder, picture)
            if y.shape != x.shape or picture.shape[1] != 3 or back.shape != x.shape:
                raise RuntimeError(f"a latent {tuple(x.shape)[1:]} becomes {tuple(y.shape)[1:]} in the network, a "
                                   f"picture {tuple(picture.shape)[1:]}, and a latent {tuple(back.shape)[1:]} again")
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, ArithmeticError) as error:
            if outline and ("meta tensor" in str(error) or isinstance(error, NotImplementedError)):
                return          # a number decides there, which an outline has not
            raise ValueError(f"{label}: its parts do not fit together ({cause(error)})") from None

    # --- pictures ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, pixels: Float[Tensor, "p 3 y x"]) -> Float[Tensor, "p c y x"]:
        """Clean latents of pictures in [0, 1], by the pipeline's own VAE: the mean where it gives a distribution."""
        pixels = torch.as_tensor(pixels)
        if pixels.ndim != 4 or pixels.shape[1] != 3:
            size = self.shape[-1] * (self.pipe.vae_scale_factor if self.decoder is not None else 1)
            raise ValueError(f"pictures: shape {tuple(pixels.shape)}; takes (n, 3, {size}, {size}) in [0, 1]")
        return self._batched(lambda x: (encoded(self.encoder, x),), pixels.to(self.device, self.dtype))[0]

    def pixels(self, x0: Float[Tensor, "p c y x"]) -> Float[Tensor, "p 3 y x"]:
        """Decoded pixels in [0, 1] of one batch, differentiable."""
        return decoded(self.decoder, x0)

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


def _understood(label: str, pipe, sampler: str) -> tuple[Family, Noise]:
    """The family and the noise of a pipeline in memory; ValueError, one line, for one that this code cannot run."""
    family = family_of(label, type(pipe).__name__)
    for part in ("scheduler", *(part for part in family.parts if part not in family.optional)):
        weights = part != "scheduler" and "tokenizer" not in part
        value = getattr(pipe, part, None)
        if value is None or weights and not isinstance(value, torch.nn.Module):
            raise ValueError(f"{label}: its {part} is {brief(value)}; takes a {family.pipeline} with one")
    network = getattr(pipe, family.network)
    _, y, x = family.shape(pipe)
    patch = network.config.get("patch_size", 1) or 1
    tokens = (y // patch) * (x // patch) if patch > 1 else (y // 2) * (x // 2)
    noise = noise_of(label, pipe.scheduler, tokens, type(family).__name__ == "Flux", family.flow, sampler)
    if network.config.get("time_cond_proj_dim"):
        raise ValueError(f"{label}: its network has guidance distilled into its clock; takes a plain one")
    return family, noise


@lru_cache(maxsize=32)
def _fits(label: str, folder: Path, variant: str | None, stamps: tuple[tuple[str, int, int], ...]) -> None:
    """`PipelineModel.check` of one directory, once for files that stay as they are."""
    pipe = load_parts(label, folder, variant, "float32", weights=False)
    family, noise = _understood(label, pipe, "ddim")
    model = PipelineModel(pipe, family, noise, 1, label, getattr(pipe, "vae", None))
    model._check_geometry(label)


def root_mean_square(pixels: Pixels) -> Float[Tensor, "p k"]:
    """Coordinates of pictures in which distances are root mean squares over pixels."""
    return pixels.flatten(1) / pixels[0].numel() ** 0.5
