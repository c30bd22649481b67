"""What the files of a pipeline's directory say without loading it: its words, the size of its pictures."""

import json
from pathlib import Path

from phasebook.models.pipelines.loading import tokenizer_of

__all__ = ["picture_size", "unknown_word"]


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
    tokenizer = tokenizer_of(folder)        # not the file's own, whose patterns may take for ever
    unknown = tokenizer.unk_token_id if tokenizer else None
    for word in text.split():
        if unknown is not None and unknown in tokenizer.encode(word, add_special_tokens=False):
            return word
    return None


def picture_size(folder: Path) -> int | None:
    """Pixels on a side of the pictures of the pipeline in `folder`: latents times the VAE's factor.

    Returns:
        None where the files do not say, as for a transformer whose latents have any size.
    """
    network = _config(folder, "unet") or _config(folder, "transformer")
    vae, size = _config(folder, "vae"), network.get("sample_size")
    blocks = vae.get("encoder_block_out_channels") or vae.get("block_out_channels")
    if not size or not blocks:
        return None
    return (size if isinstance(size, int) else size[0]) * 2 ** (len(blocks) - 1)


def _config(folder: Path, part: str) -> dict:
    """What a part's config.json says; nothing where there is none."""
    file = folder / part / "config.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
