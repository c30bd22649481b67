"""The small diffusion transformer: a diffusers StableDiffusion3Pipeline, trained by flow matching with its encoders.

`z_s = (1 - s) z + s eps`; the network predicts the velocity `eps - z` (Lipman et al. 2023; Esser et al. 2024) and the
loss is its mean squared error. Noise levels `s` are those of the pipeline's scheduler, uniform but for its shift: as
latents are scaled by 0.4, a shift of 0.4 makes them what unshifted levels are to latents of variance 1.
"""

from copy import deepcopy
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from phasebook_training.autoencoder import SCALING
from phasebook_training.data import Data
from phasebook_training.diffusion import Draw, attention, corpus, save, text_config
from phasebook_training.loop import Settings, Trained, autocast, begin_from, train_loop, written

__all__ = ["SETTINGS", "build", "encode", "export", "scheduler", "terms", "train"]

SETTINGS = Settings(steps=24000, batch=64, rate=1e-3, ema=0.999, warmup=400, decay=0.8)
LAYERS, HEADS, HEAD = 7, 5, 32
WIDTHS, DEPTHS = (128, 64), (2, 1)          # of the two text encoders


def scheduler():
    """Flow matching's noise levels, in steps of Euler's method."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(shift=SCALING)


def build(words: int, channels: int = 4, size: int = 16, seed: int = 0) -> nn.ModuleDict:
    """The untrained `transformer`, `text_encoder` and `text_encoder_2`, for a vocabulary of `words` tokens."""
    from diffusers import SD3Transformer2DModel
    from transformers import CLIPTextModelWithProjection

    torch.manual_seed(seed)
    transformer = SD3Transformer2DModel(
        sample_size=size, patch_size=2, in_channels=channels, out_channels=channels, num_layers=LAYERS,
        attention_head_dim=HEAD, num_attention_heads=HEADS, joint_attention_dim=sum(WIDTHS),
        caption_projection_dim=HEADS * HEAD, pooled_projection_dim=sum(WIDTHS), pos_embed_max_size=size)
    encoders = [CLIPTextModelWithProjection(text_config(words, width, depth))
                for width, depth in zip(WIDTHS, DEPTHS, strict=True)]
    return nn.ModuleDict({"transformer": transformer, "text_encoder": encoders[0], "text_encoder_2": encoders[1]})


def encode(model: nn.ModuleDict, words: Int[Tensor, "b length"]
           ) -> tuple[Float[Tensor, "b tokens width"], Float[Tensor, "b width"]]:
    """What the pipeline makes of a prompt: the encoders' layers before the last, and as many zeros for the T5 that is
    not there (`max_sequence_length=16`); and their projections."""
    told = [model[name](words, output_hidden_states=True) for name in ("text_encoder", "text_encoder_2")]
    clip = torch.cat([each.hidden_states[-2] for each in told], dim=-1)
    return torch.cat([clip, torch.zeros_like(clip)], dim=1), torch.cat([each.text_embeds for each in told], dim=-1)


def train(folder: Path, data: Data, settings: Settings = SETTINGS, start: Path | None = None,
          autoencoder: Path | None = None) -> Trained:
    """Train in `folder` and leave `folder/model`, a StableDiffusion3Pipeline directory.

    `start`: a directory like it, of weights to begin from. `autoencoder`: a diffusers directory (default: what `train
    autoencoder` left beside `folder`); FileNotFoundError says so where it is missing.
    """
    with corpus(folder, data, settings, start, autoencoder) as source:
        model = build(len(source.tokenizer), *source.latents.shape[2:4], settings.seed)
        if start:
            begin_from(model["transformer"], start / "transformer" / "diffusion_pytorch_model.safetensors")
            for name in ("text_encoder", "text_encoder_2"):
                begin_from(model[name], start / name / "model.safetensors")
    model = model.to(settings.device)
    levels = scheduler().sigmas.to(settings.device)

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        return terms(model, source.draw(settings.batch, generator), levels)

    done = train_loop(model, loss, settings, folder)
    with written(folder / "model") as out:
        export(model.to("cpu"), source.vae.to("cpu"), source.tokenizer, out)
    return done


def terms(model: nn.ModuleDict, batch: Draw, levels: Float[Tensor, " t"]) -> dict[str, Tensor]:
    """The mean squared error of the velocity, and its means over the two halves of the times.

    `levels` fall from 1, as a scheduler has them; the network is told a thousandfold level.
    """
    s = levels.flip(0)[(batch.u * len(levels)).long()]
    mix = s.view(-1, 1, 1, 1)
    noisy = (1 - mix) * batch.z + mix * batch.eps
    with attention(batch.z.device), autocast(batch.z.device):
        words, pooled = encode(model, batch.words)
        v = model["transformer"](noisy, timestep=1000 * s, encoder_hidden_states=words,
                                 pooled_projections=pooled).sample
    error = ((v.float() - (batch.eps - batch.z)) ** 2).mean((1, 2, 3))
    half = len(error) // 2                      # times rise within a batch
    return {"loss": error.mean(), "clean_half": error[:half].mean(), "noisy_half": error[half:].mean()}


def export(model: nn.ModuleDict, vae, tokenizer, out: Path) -> None:
    """Write `out` as a StableDiffusion3Pipeline directory in half precision, safetensors only; T5 is absent."""
    from diffusers import StableDiffusion3Pipeline

    save(StableDiffusion3Pipeline(
        transformer=model["transformer"], scheduler=scheduler(), vae=vae, text_encoder=model["text_encoder"],
        tokenizer=tokenizer, text_encoder_2=model["text_encoder_2"], tokenizer_2=deepcopy(tokenizer),
        text_encoder_3=None, tokenizer_3=None), out)
