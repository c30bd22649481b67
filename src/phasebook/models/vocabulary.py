"""What the files of a pipeline's directory say without loading it: its words, the shapes of latents and pictures."""

import json
from pathlib import Path

__all__ = ["latent_shape", "picture_size", "unknown_word"]


def unknown_word(folder: Path, text: str) -> str | None:
    """The first word of `text` that the tokenizer in `folder` can only call unknown, or None.

    Stable Diffusion's own tokenizer spells any word from bytes; a small one lacks letters that its captions lack.

    Args:
        folder: of the pipeline.
        text: a prompt.
    """
    file = folder / "tokenizer" / "tokenizer.json"
    if not file.is_file():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()          # a file may ask for it, and pads are often the token of unknown words
    unknown = tokenizer.token_to_id(json.loads(file.read_text(encoding="utf-8"))["model"].get("unk_token") or "")
    for word in text.split():
        if unknown is not None and unknown in tokenizer.encode(word, add_special_tokens=False).ids:
            return word
    return None


def latent_shape(folder: Path) -> tuple[int, int, int]:
    """(channels, y, x) of a latent of the pipeline in `folder`."""
    unet = _config(folder, "unet")
    size = unet["sample_size"]
    y, x = (size, size) if isinstance(size, int) else size
    return unet["in_channels"], y, x


def picture_size(folder: Path) -> int:
    """Pixels on a side of the pictures of the pipeline in `folder`: latents times the VAE's factor."""
    vae = _config(folder, "vae")
    blocks = vae.get("encoder_block_out_channels") or vae["block_out_channels"]
    return latent_shape(folder)[1] * 2 ** (len(blocks) - 1)


def _config(folder: Path, part: str) -> dict:
    return json.loads((folder / part / "config.json").read_text(encoding="utf-8"))
