"""The small U-Net: a diffusers StableDiffusionPipeline whose denoiser and text encoder are trained together.

Latents are noised by Stable Diffusion's schedule, `z_t = alpha z + sigma eps`; the network predicts
`v = alpha eps - sigma z` (Salimans, Ho 2022) and the loss is its mean squared error at uniform times.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from phasebook_training.data import Data
from phasebook_training.diffusion import Draw, attention, corpus, save, text_config
from phasebook_training.loop import Settings, Trained, autocast, begin_from, train_loop, written

__all__ = ["SETTINGS", "build", "export", "scheduler", "terms", "train"]

SETTINGS = Settings(steps=16000, batch=64, rate=1.2e-3, ema=0.999, decay=0.8)
CHANNELS, TIME_WIDTH, TEXT_WIDTH = (48, 96, 144), 384, 128


def scheduler():
    """Stable Diffusion's noise levels, with v-prediction."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                         set_alpha_to_one=False, steps_offset=1, prediction_type="v_prediction")


def build(words: int, channels: int = 4, size: int = 16, seed: int = 0) -> nn.ModuleDict:
    """The untrained `unet` and `text_encoder`, for a vocabulary of `words` tokens.

    The full resolution has no attention: it would double the cost of a step.
    """
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=size, in_channels=channels, out_channels=channels, layers_per_block=1, block_out_channels=CHANNELS,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * 2),
        up_block_types=(*("CrossAttnUpBlock2D",) * 2, "UpBlock2D"), time_embedding_dim=TIME_WIDTH,
        cross_attention_dim=TEXT_WIDTH, attention_head_dim=4, norm_num_groups=16)
    return nn.ModuleDict({"unet": unet, "text_encoder": CLIPTextModel(text_config(words, TEXT_WIDTH, 2))})


def train(folder: Path, data: Data, settings: Settings = SETTINGS, start: Path | None = None,
          autoencoder: Path | None = None) -> Trained:
    """Train in `folder` and leave `folder/model`, a StableDiffusionPipeline directory.

    `start`: a directory like it, of weights to begin from. `autoencoder`: a diffusers directory (default: what `train
    autoencoder` left beside `folder`); FileNotFoundError says so where it is missing.
    """
    with corpus(folder, data, settings, start, autoencoder) as source:
        model = build(len(source.tokenizer), *source.latents.shape[2:4], settings.seed)
        if start:
            begin_from(model["unet"], start / "unet" / "diffusion_pytorch_model.safetensors")
            begin_from(model["text_encoder"], start / "text_encoder" / "model.safetensors")
    model = model.to(settings.device, memory_format=torch.channels_last)
    alpha2 = scheduler().alphas_cumprod.to(settings.device)

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        return terms(model, source.draw(settings.batch, generator), alpha2)

    done = train_loop(model, loss, settings, folder)
    with written(folder / "model") as out:
        export(model.to("cpu", memory_format=torch.contiguous_format), source.vae.to("cpu"), source.tokenizer, out)
    return done


def terms(model: nn.ModuleDict, batch: Draw, alpha2: Tensor) -> dict[str, Tensor]:
    """The mean squared error of `v`, and its means over the two halves of the times."""
    t = (batch.u * len(alpha2)).long()
    alpha = alpha2[t].sqrt().view(-1, 1, 1, 1)
    sigma = (1 - alpha**2).sqrt()
    noisy = (alpha * batch.z + sigma * batch.eps).contiguous(memory_format=torch.channels_last)
    with attention(batch.z.device), autocast(batch.z.device):
        v = model["unet"](noisy, t, model["text_encoder"](batch.words)[0]).sample
    error = ((v.float() - (alpha * batch.eps - sigma * batch.z)) ** 2).mean((1, 2, 3))
    half = len(error) // 2                      # times rise within a batch
    return {"loss": error.mean(), "clean_half": error[:half].mean(), "noisy_half": error[half:].mean()}


def export(model: nn.ModuleDict, vae, tokenizer, out: Path) -> None:
    """Write `out` as a StableDiffusionPipeline directory in half precision, safetensors only."""
    from diffusers import StableDiffusionPipeline

    save(StableDiffusionPipeline(
        vae=vae, text_encoder=model["text_encoder"], tokenizer=tokenizer, unet=model["unet"], scheduler=scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False), out)
