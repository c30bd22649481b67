"""What the two diffusion models share: latents of the same autoencoder, words, draws of a batch, and their directories.

Latents are `z = 0.4 * encode(x)` of every picture and of a few moved versions of it, encoded once.
"""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from phasebook.models.pictures.views import latent_views
from phasebook_training.data import Data
from phasebook_training.loop import Settings
from phasebook_training.tokenizer import LENGTH, tokenizer_of_run, tokens

__all__ = ["Corpus", "Draw", "attention", "corpus", "save", "text_config"]

VIEWS = 4               # moved versions of a picture


def attention(device: torch.device) -> AbstractContextManager:
    """Attention spelled out on a CPU, where the fused kernel's backward pass takes as long as all else here."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


@dataclass(frozen=True, eq=False)
class Draw:
    """A batch: latents `z`, noise `eps`, times `u` in [0, 1) and the `words` of a prompt for each."""

    z: Float[Tensor, "b c y x"]
    eps: Float[Tensor, "b c y x"]
    u: Float[Tensor, " b"]
    words: Int[Tensor, "b length"]


@dataclass(frozen=True, eq=False)
class Corpus:
    """What a diffusion model learns from: `latents` of all views of `data`, its `vae` and `tokenizer`."""

    data: Data
    latents: Float[Tensor, "v n c y x"]
    vae: nn.Module
    tokenizer: object

    def draw(self, batch: int, generator: torch.Generator) -> Draw:
        """Pictures at random, a third of them unmoved; one time in each of `batch` equal intervals, which makes the
        gradient less noisy than independent times do."""
        index = torch.randint(len(self.data), (batch,), generator=generator)
        view = torch.randint(-(len(self.latents) // 2), len(self.latents), (batch,), generator=generator).clamp(min=0)
        z = self.latents[view, index]
        eps = torch.randn(z.shape, generator=generator).to(z)
        u = (torch.arange(batch) + torch.rand(1, generator=generator)) / batch
        words = tokens(self.tokenizer, self.data.calls(index, generator))
        return Draw(z, eps, u.to(z), words.to(z.device))


@contextmanager
def corpus(folder: Path, data: Data, settings: Settings, start: Path | None, autoencoder: Path | None
           ) -> Iterator[Corpus]:
    """The corpus of a run in `folder`: its own tokenizer (or that of `start`, kept when the context ends well), and
    the autoencoder.

    `autoencoder`: a diffusers directory (default: what `train autoencoder` left beside `folder`).
    Raises FileNotFoundError, one line, where it is missing.
    """
    from diffusers import AutoencoderTiny

    autoencoder = autoencoder or folder.parent / "autoencoder" / "vae"
    if not autoencoder.is_dir():
        raise FileNotFoundError(f"{autoencoder}: no autoencoder; run `phasebook train autoencoder` first")
    with tokenizer_of_run(folder / "tokenizer", data.prompts, start and start / "tokenizer") as tokenizer:
        vae = AutoencoderTiny.from_pretrained(autoencoder, use_safetensors=True)
        latents = latent_views(vae.to(settings.device), data.floats(), VIEWS, settings.seed)
        yield Corpus(data, latents, vae, tokenizer)


def text_config(words: int, width: int, layers: int, projection: int | None = None):
    """A small CLIP text model for a vocabulary of `words` tokens, of which the last two are begin and end."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=words, hidden_size=width, intermediate_size=4 * width, projection_dim=projection or width,
        num_hidden_layers=layers, num_attention_heads=width // 32, max_position_embeddings=LENGTH,
        bos_token_id=words - 2, eos_token_id=words - 1, pad_token_id=words - 1)


def save(pipe, out: Path) -> None:
    """Write a pipeline as a directory in half precision, safetensors only, without paths of this machine."""
    names = [name for name in ("tokenizer", "tokenizer_2") if getattr(pipe, name, None) is not None]
    for name in names:
        words = getattr(pipe, name).backend_tokenizer       # as training asked of it, call by call
        words.no_padding()
        words.no_truncation()
    pipe.to(torch.float16).save_pretrained(out, safe_serialization=True)
    _edit(out / "vae" / "config.json", _name_or_path=None, block_out_channels=None)     # a path, and a leftover
    for name in names:
        _edit(out / name / "tokenizer_config.json", is_local=None, local_files_only=None)   # how it was loaded here
        # else transformers loads it in half precision, and diffusers the rest not
        _edit(out / name.replace("tokenizer", "text_encoder") / "config.json", dtype="float32")


def _edit(path: Path, **changes: str | None) -> None:
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}, indent=2) + "\n")
