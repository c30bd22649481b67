"""What diffusers itself makes of a start: the peer to which every pipeline's sampler is held."""

import copy
from unittest.mock import patch

import torch
from jaxtyping import Float
from torch import Tensor

from phasebook.models.pipelines.noise import Betas
from phasebook.models.pipelines.pipeline import PipelineModel

__all__ = ["diffusers_steps"]

OF_IMAGENET = 1000      # the class that stands for all, in diffusers' call of a DiTPipeline


def diffusers_steps(model: PipelineModel, start: Float[Tensor, "c y x"], steps: int, prompt: str, negative: str,
                    guidance: float) -> Float[Tensor, "step c y x"]:
    """What diffusers' own call of the pipeline has after every step from one start.

    Args:
        model: whose pipeline is called, with the sampler of the model: DDIM (eta 0), Euler, Heun, or flow matching's
            Euler.
        start: a latent at the first level.
        steps: of the sampler.
        prompt: text.
        negative: text, or ''.
        guidance: as in `PipelineModel.prompt`.
    """
    pipe, noise, kind = copy.copy(model.pipe), model.noise, model.family.pipeline
    own = (noise.own or noise.scheduler) if isinstance(noise, Betas) else noise.scheduler
    pipe.register_modules(scheduler=copy.deepcopy(own))
    pipe.set_progress_bar_config(disable=True)
    if kind == "DiTPipeline":
        return _of_classes(pipe, model, start, steps, prompt, guidance)
    after: list[Tensor] = []

    def keep(pipe, step, time, tensors):
        after.append(tensors["latents"].clone())
        return tensors

    latents = start[None].to(model.device, model.dtype)
    options: dict = {"negative_prompt": negative or None, "callback_on_step_end": keep}
    if kind == "FluxPipeline":
        latents = pipe._pack_latents(latents, 1, *latents.shape[1:])
    if kind == "PixArtAlphaPipeline":
        options = {"negative_prompt": negative, "use_resolution_binning": False, "clean_caption": False,
                   "callback": lambda step, time, z: after.append(z.clone())}
    if kind == "StableDiffusion3Pipeline" and pipe.text_encoder_3 is None:
        options["max_sequence_length"] = pipe.tokenizer.model_max_length
    y, x = (n * pipe.vae_scale_factor for n in start.shape[-2:])
    pipe(prompt, height=y, width=x, guidance_scale=guidance, num_inference_steps=steps, latents=latents,
         output_type="latent", **options)
    if len(after) == 2 * steps - 1 > 1:     # of Heun's method: between two levels the state is not final
        after = after[1::2] + after[-1:]
    states = torch.cat(after)
    if kind == "FluxPipeline":
        states = pipe._unpack_latents(states, y, x, pipe.vae_scale_factor)
    return states


def _of_classes(pipe, model: PipelineModel, start: Float[Tensor, "c y x"], steps: int, prompt: str,
                guidance: float) -> Float[Tensor, "step c y x"]:
    """The same of a DiTPipeline, whose call draws its start itself and tells nobody of its steps."""
    after: list[Tensor] = []
    step = pipe.scheduler.step

    def keep(*args, **options):
        done = step(*args, **options)
        after.append(done.prev_sample[:1].clone())
        return done

    if guidance > 1 and (classes := pipe.transformer.config.num_embeds_ada_norm) != OF_IMAGENET:
        raise ValueError(f"guidance = {guidance}: diffusers' own call of a DiTPipeline has {OF_IMAGENET} classes, this "
                         f"model {classes}; takes 1")
    number, = model.prompt(prompt).conditions["label"].flatten().tolist()
    begins = start[None].to(model.device, model.dtype)
    with patch.object(pipe.scheduler, "step", keep), \
            patch("diffusers.pipelines.dit.pipeline_dit.randn_tensor", lambda *args, **options: begins):
        pipe([number], guidance_scale=guidance, num_inference_steps=steps, output_type="pt")
    return torch.cat(after[1::2] + after[-1:] if len(after) == 2 * steps - 1 > 1 else after)
