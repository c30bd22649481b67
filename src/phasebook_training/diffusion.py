"""The small text-to-image latent diffusion model: a diffusers UNet and a CLIP text encoder, trained together.

Latents of the shipped autoencoder, `z = 0.4 * encode(x)`, noised by Stable Diffusion's schedule; the network
predicts `v = alpha eps - sigma z` (Salimans, Ho 2022) and the loss is its mean squared error at uniform times.
"""

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from phasebook.models.captions import captioned
from phasebook.models.views import VIEWS, latent_views
from phasebook_training.loop import Settings, Trained, autocast, begin_from, train_loop
from phasebook_training.tokenizer import LENGTH, all_prompts, tokenizer_of_run

__all__ = ["SETTINGS", "build", "export", "scheduler", "train"]

SETTINGS = Settings(steps=9700, batch=48, rate=1.2e-3, ema=0.998, decay=0.7)
CHANNELS, TIME_WIDTH, TEXT_WIDTH = (48, 96, 144), 384, 128


def scheduler():
    """Stable Diffusion's noise levels, with v-prediction."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                         set_alpha_to_one=False, steps_offset=1, prediction_type="v_prediction")


def build(words: int, channels: int = 4, size: int = 16, seed: int = 0) -> nn.ModuleDict:
    """The untrained `unet` and `text_encoder`, for a vocabulary of `words` tokens of which the last is the end.

    The full resolution has no attention: it would double the cost of a step.
    """
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=size, in_channels=channels, out_channels=channels, layers_per_block=1, block_out_channels=CHANNELS,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * 2),
        up_block_types=(*("CrossAttnUpBlock2D",) * 2, "UpBlock2D"), time_embedding_dim=TIME_WIDTH,
        cross_attention_dim=TEXT_WIDTH, attention_head_dim=4, norm_num_groups=16)
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=words, hidden_size=TEXT_WIDTH, intermediate_size=4 * TEXT_WIDTH, projection_dim=TEXT_WIDTH,
        num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=LENGTH, bos_token_id=words - 2,
        eos_token_id=words - 1, pad_token_id=words - 1))
    return nn.ModuleDict({"unet": unet, "text_encoder": text})


def train(folder: Path, settings: Settings = SETTINGS, start: Path | None = None,
          autoencoder: Path | None = None) -> Trained:
    """Train in `folder` and leave `folder/model`, a StableDiffusionPipeline directory.

    `start`: a directory like it, of weights to begin from. `autoencoder`: a diffusers directory (default: what `train
    autoencoder` left beside `folder`); FileNotFoundError says so where it is missing.
    """
    from diffusers import AutoencoderTiny

    autoencoder = autoencoder or folder.parent / "autoencoder" / "vae"
    if not autoencoder.is_dir():
        raise FileNotFoundError(f"{autoencoder}: no autoencoder; run `phasebook train autoencoder` first")
    data = captioned()
    tokenizer = tokenizer_of_run(folder / "tokenizer", all_prompts(data), start and start / "tokenizer")
    vae = AutoencoderTiny.from_pretrained(autoencoder, use_safetensors=True)
    latents = latent_views(vae.to(settings.device), data.pixels, VIEWS, settings.seed)
    model = build(len(tokenizer), latents.shape[2], latents.shape[3], settings.seed)
    if start:
        begin_from(model["unet"], start / "unet" / "diffusion_pytorch_model.safetensors")
        begin_from(model["text_encoder"], start / "text_encoder" / "model.safetensors")
    model = model.to(settings.device, memory_format=torch.channels_last)
    alpha2 = scheduler().alphas_cumprod

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        index = torch.randint(len(data), (settings.batch,), generator=generator)
        view = torch.randint(-VIEWS // 3, len(latents), (settings.batch,), generator=generator).clamp(min=0)
        # one time in each of `batch` equal intervals: less noise in the gradient than independent times
        u = (torch.arange(settings.batch) + torch.rand(1, generator=generator)) / settings.batch
        t = (u * len(alpha2)).long()
        z, prompts = latents[view, index], data.calls(index, generator)
        eps = torch.randn(z.shape, generator=generator).to(z)
        tokens = tokenizer(prompts, padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids
        return _terms(model, z, eps, t.to(z.device), alpha2.to(z.device), tokens.to(z.device))

    done = train_loop(model, loss, settings, folder)
    export(model.to("cpu", memory_format=torch.contiguous_format), vae.to("cpu"), tokenizer, folder / "model")
    return done


def _terms(model: nn.ModuleDict, z: Tensor, eps: Tensor, t: Tensor, alpha2: Tensor,
           tokens: Tensor) -> dict[str, Tensor]:
    alpha = alpha2[t].sqrt().view(-1, 1, 1, 1)
    sigma = (1 - alpha**2).sqrt()
    noisy = (alpha * z + sigma * eps).contiguous(memory_format=torch.channels_last)
    # the flash kernel's backward pass on a CPU costs as much as all convolutions at these small sizes
    with sdpa_kernel(SDPBackend.MATH), autocast(z.device):
        v = model["unet"](noisy, t, model["text_encoder"](tokens)[0]).sample
    error = ((v.float() - (alpha * eps - sigma * z)) ** 2).mean((1, 2, 3))
    noisy_half = t >= len(alpha2) // 2
    mean = lambda mask: (error * mask).sum() / mask.sum().clamp(min=1)  # noqa: E731
    return {"loss": error.mean(), "noisy_half": mean(noisy_half), "clean_half": mean(~noisy_half)}


def export(model: nn.ModuleDict, vae, tokenizer, out: Path) -> None:
    """Write `out` as a StableDiffusionPipeline directory in half precision, safetensors only."""
    from diffusers import StableDiffusionPipeline

    tokenizer.backend_tokenizer.no_padding()        # as training asked of it, call by call
    tokenizer.backend_tokenizer.no_truncation()
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=model["text_encoder"], tokenizer=tokenizer, unet=model["unet"], scheduler=scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe.to(torch.float16).save_pretrained(out, safe_serialization=True)
    _edit(out / "vae" / "config.json", _name_or_path=None, block_out_channels=None)     # a path of ours, and a leftover
    _edit(out / "text_encoder" / "config.json", dtype="float32")        # else it loads in half precision, the rest not
    _edit(out / "tokenizer" / "tokenizer_config.json", is_local=None, local_files_only=None)    # how it was loaded here


def _edit(path: Path, **changes: str | None) -> None:
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}, indent=2) + "\n")
