"""A larger decoder for the autoencoder's latents, trained after it and beside the diffusion model.

The diffusion model only needs the latents, so the encoder stays as it is; what is drawn from them gets sharper. The
loss is the autoencoder's, with the same noise on the latents and more of the captioned set.
"""

from pathlib import Path

import torch
from torch import Tensor

from phasebook.models.training.augment import affine
from phasebook.models.training.autoencoder import CHANNELS, ENCODER, NOISE, SCALING, WIDTH, pixel_loss
from phasebook.models.training.captions import captioned, everything
from phasebook.models.training.loop import Settings, Trained, train_loop

__all__ = ["SETTINGS", "build", "train"]

SETTINGS = Settings(steps=4500, batch=16, rate=1e-3, ema=0.998, decay=0.9)
DECODER_WIDTH, DECODER = 48, (2, 3, 3, 1)
OTHERS = 4              # images of a batch that are not of the captioned set


def build(autoencoder: Path, seed: int = 0) -> torch.nn.Module:
    """diffusers' AutoencoderTiny with the encoder of `autoencoder` and an untrained larger decoder."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(seed)
    n = len(ENCODER)
    model = AutoencoderTiny(encoder_block_out_channels=(WIDTH,) * n, decoder_block_out_channels=(DECODER_WIDTH,) * n,
                            num_encoder_blocks=ENCODER, num_decoder_blocks=DECODER, latent_channels=CHANNELS,
                            scaling_factor=SCALING)
    model.encoder = AutoencoderTiny.from_pretrained(autoencoder, use_safetensors=True).encoder
    return model


def train(folder: Path, settings: Settings = SETTINGS, autoencoder: Path | None = None) -> Trained:
    """Train in `folder` and leave `folder/vae`, a diffusers directory.

    `autoencoder` is a diffusers directory (default: what `train autoencoder` left beside `folder`); FileNotFoundError
    says so where it is missing.
    """
    autoencoder = autoencoder or folder.parent / "autoencoder" / "vae"
    if not autoencoder.is_dir():
        raise FileNotFoundError(f"{autoencoder}: no autoencoder; run `phasebook train autoencoder` first")
    own, every = captioned().pixels, everything()
    model = build(autoencoder, settings.seed).to(settings.device, memory_format=torch.channels_last)
    model.encoder.requires_grad_(False)

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        parts = [every[torch.randint(len(every), (OTHERS,), generator=generator)],
                 own[torch.randint(len(own), (settings.batch - OTHERS,), generator=generator)]]
        x = affine(torch.cat(parts), generator).to(settings.device, memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16):
            with torch.no_grad():
                z = model.encoder(x)
            y = model.decoder(z + NOISE * torch.randn(z.shape, generator=generator).to(z))
        terms = pixel_loss(x, y.float())
        return {"loss": sum(terms.values()), **terms}

    done = train_loop(model.decoder, loss, settings, folder)
    model.to("cpu", memory_format=torch.contiguous_format).save_pretrained(folder / "vae")
    return done
