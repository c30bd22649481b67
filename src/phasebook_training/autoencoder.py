"""The autoencoder of the small latent diffusion models: diffusers' AutoencoderTiny, 64 x 64 x 3 to 16 x 16 x 4.

Loss: absolute + squared error of the pixels, and absolute error of their differences between neighbours, which keeps
edges sharp. Latents are pushed to zero mean and unit variance in every channel, and decoded with noise of 0.1, so
that the decoder bears the small errors of a diffusion model.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from phasebook.models.pictures.views import affine
from phasebook_training.data import Data
from phasebook_training.loop import Settings, Trained, autocast, begin_from, train_loop, written

__all__ = ["SETTINGS", "build", "pixel_loss", "reconstruction_error", "train"]

SETTINGS = Settings(steps=6000, batch=16, rate=1e-3, ema=0.995, decay=0.8)
NOISE = 0.1
CHANNELS = 4
ENCODER, DECODER = (0, 2, 3), (3, 3, 1)        # blocks at each resolution
ENCODER_WIDTH, DECODER_WIDTH = 32, 48
SCALING = 0.4           # unit-variance latents times this suit Stable Diffusion's noise levels


def build(seed: int = 0) -> torch.nn.Module:
    """The untrained autoencoder."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(seed)
    n = len(ENCODER)
    return AutoencoderTiny(encoder_block_out_channels=(ENCODER_WIDTH,) * n, num_encoder_blocks=ENCODER,
                           decoder_block_out_channels=(DECODER_WIDTH,) * n, num_decoder_blocks=DECODER,
                           latent_channels=CHANNELS, scaling_factor=SCALING)


@torch.no_grad()
def _whiten(encoder: torch.nn.Module, x: Float[Tensor, "b 3 y x"]) -> None:
    """Set the last convolution so that latents of `x` start with mean 0 and variance 1 in every channel.

    Untouched, they start far below the decoding noise and training waits for a thousand steps.
    """
    last = [m for m in encoder.modules() if isinstance(m, torch.nn.Conv2d)][-1]
    z = encoder(x)
    size = z.std((0, 2, 3))
    last.weight /= size[:, None, None, None]
    last.bias.copy_((last.bias - z.mean((0, 2, 3))) / size)


def _edges(x: Tensor, y: Tensor) -> Tensor:
    return ((x.diff(dim=-1) - y.diff(dim=-1)).abs().mean() + (x.diff(dim=-2) - y.diff(dim=-2)).abs().mean()) / 2


def pixel_loss(x: Float[Tensor, "b 3 y x"], y: Float[Tensor, "b 3 y x"]) -> dict[str, Tensor]:
    """The terms of the reconstruction loss, to be added."""
    return {"absolute": (x - y).abs().mean(), "squared": ((x - y) ** 2).mean(), "edges": 2 * _edges(x, y)}


def _terms(model, x: Float[Tensor, "b 3 y x"], generator: torch.Generator) -> dict[str, Tensor]:
    with autocast(x.device):
        z = model.encoder(x)
        y = model.decoder(z + NOISE * torch.randn(z.shape, generator=generator).to(z))
    z, terms = z.float(), pixel_loss(x, y.float())
    mean, variance = z.mean((0, 2, 3)), z.var((0, 2, 3))
    spread = (mean**2).mean() + (variance - 1).square().mean()
    return {"loss": sum(terms.values()) + 0.1 * spread, "squared": terms["squared"], "latent_spread": spread}


def train(folder: Path, data: Data, settings: Settings = SETTINGS, start: Path | None = None) -> Trained:
    """Train on the pictures of `data` in `folder` and leave `folder/vae`, a diffusers directory.

    `start`: a diffusers directory of weights to begin from.
    """
    model = build(settings.seed)
    if start:
        begin_from(model, start / "diffusion_pytorch_model.safetensors")
    model = model.to(settings.device, memory_format=torch.channels_last)
    _whiten(model.encoder, data.floats(slice(None, None, max(len(data) // 64, 1))).to(settings.device))

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        x = data.floats(torch.randint(len(data), (settings.batch,), generator=generator))
        return _terms(model, affine(x, generator).to(settings.device, memory_format=torch.channels_last), generator)

    done = train_loop(model, loss, settings, folder)
    with written(folder / "vae") as out:
        model.to("cpu", memory_format=torch.contiguous_format).save_pretrained(out)
    return done


@torch.no_grad()
def reconstruction_error(model, pixels: Float[Tensor, "n 3 y x"]) -> float:
    """Mean squared error of decode(encode(x)), pixels in [-1, 1]."""
    errors = [((model.decoder(model.encoder(x)).clamp(-1, 1) - x) ** 2).mean((1, 2, 3))
              for x in (part.to(model.device) for part in pixels.split(64))]
    return float(torch.cat(errors).mean())
