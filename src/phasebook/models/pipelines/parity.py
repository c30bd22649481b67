"""What diffusers itself makes of a start: the peer to which every pipeline's sampler is held."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor

from phasebook.models.pipelines.noise import Betas
from phasebook.models.pipelines.pipeline import PipelineModel

__all__ = ["diffusers_steps"]


def diffusers_steps(model: PipelineModel, start: Float[Tensor, "c y x"], steps: int, prompt: str, negative: str,
                    guidance: float) -> Float[Tensor, "step c y x"]:
    """What diffusers' own call of the pipeline has after every step from one start.

    Args:
        model: whose pipeline is called, with the sampler of the model: DDIM (eta 0), Euler, or flow matching's Euler.
        start: a latent at the first level.
        steps: of the sampler.
        prompt: text.
        negative: text, or ''.
        guidance: as in `PipelineModel.prompt`.
    """
    pipe, noise, kind = copy.copy(model.pipe), model.noise, model.family.pipeline
    own = (noise.euler or noise.scheduler) if isinstance(noise, Betas) else noise.scheduler
    pipe.register_modules(scheduler=type(own).from_config(own.config))
    pipe.set_progress_bar_config(disable=True)
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
    states = torch.cat(after)
    if kind == "FluxPipeline":
        states = pipe._unpack_latents(states, y, x, pipe.vae_scale_factor)
    return states
