"""The small CLIP of the emoji: an open_clip model with a ResNet tower on 64 x 64 pixels and our own tokenizer.

Loss: cross-entropy of an image against *all* captions (the text tower is so small that every step can afford the
hardest wrong answers), of a caption against the images of its batch, and, with a small weight, of an image against
the names of the kinds, so that features also know mammals from fruit.
"""

import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from phasebook.models.captions import GENERIC, Captioned, captioned, kind_prompt
from phasebook.models.views import affine
from phasebook_training.augment import photometric
from phasebook_training.loop import Settings, Trained, autocast, begin_from, train_loop
from phasebook_training.tokenizer import LENGTH, all_prompts, tokenizer_of_run

__all__ = ["SETTINGS", "augmented", "build", "export", "train"]

SETTINGS = Settings(steps=1350, batch=96, rate=2e-3, ema=0.99, weight_decay=0.05)
WIDTH, LAYERS, EMBEDDING = 20, (1, 1, 1, 1), 128
PREPROCESS = {"size": [64, 64], "mode": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic",
              "resize_mode": "shortest", "fill_color": 255}


def _config(words: int) -> dict:
    """open_clip's model configuration for a vocabulary of `words` tokens."""
    return {"embed_dim": EMBEDDING,
            "vision_cfg": {"image_size": 64, "layers": list(LAYERS), "width": WIDTH, "head_width": 64},
            "text_cfg": {"context_length": LENGTH, "vocab_size": words, "width": 64, "heads": 4, "layers": 2,
                         "hf_tokenizer_name": "tokenizer"}}     # a name makes open_clip look beside the weights


def build(words: int, seed: int = 0):
    """The untrained model for a vocabulary of `words` tokens."""
    import open_clip

    config = _config(words)
    torch.manual_seed(seed)
    return open_clip.CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])


def _tokens(tokenizer, prompts: list[str]) -> Tensor:
    return tokenizer(prompts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids


def augmented(pixels: Float[Tensor, "n 3 y x"], generator: torch.Generator) -> Float[Tensor, "n 3 y x"]:
    """What the model sees in training: moved, resized, turned, lit, blurred, noisy."""
    return photometric(affine(pixels, generator), generator)


def train(folder: Path, settings: Settings = SETTINGS, start: Path | None = None) -> Trained:
    """Train in `folder` and leave `folder/clip`, an open_clip directory; `start`: one to begin from."""
    data = captioned()
    tokenizer = tokenizer_of_run(folder / "tokenizer", all_prompts(data), start)
    model = build(len(tokenizer), settings.seed)
    if start:
        begin_from(model, start / "open_clip_model.safetensors")
    model = model.to(settings.device, memory_format=torch.channels_last)
    texts = _tokens(tokenizer, [*data.captions, *map(kind_prompt, data.kinds), GENERIC]).to(settings.device)

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        index = torch.randperm(len(data), generator=generator)[:settings.batch]
        x = augmented(data.pixels[index], generator).to(settings.device, memory_format=torch.channels_last)
        with autocast(x.device):
            images, words = model.encode_image(x), model.encode_text(texts)
        images, words = F.normalize(images.float(), dim=-1), F.normalize(words.float(), dim=-1)
        return _terms(images, words, index.to(x.device), data, model.logit_scale.exp().clamp(max=100))

    done = train_loop(model, loss, settings, folder)
    export(model.to("cpu", memory_format=torch.contiguous_format), folder / "tokenizer", folder / "clip")
    return done


def _terms(images: Tensor, words: Tensor, index: Tensor, data: Captioned, scale: Tensor) -> dict[str, Tensor]:
    n = len(data)
    logits = scale * images @ words.T
    caption = F.cross_entropy(logits[:, :n], index, label_smoothing=0.05)
    image = F.cross_entropy(logits[:, index].T, torch.arange(len(index), device=index.device))
    kind = F.cross_entropy(logits[:, n:-1], data.kind.to(index.device)[index])
    hits = (logits[:, :n].argmax(-1) == index).float().mean()
    return {"loss": caption + 0.5 * image + 0.2 * kind, "caption": caption, "image": image, "kind": kind, "top1": hits}


def export(model, tokenizer: Path, out: Path) -> None:
    """Write `out` as open_clip's `local-dir:` layout, the files of `tokenizer` in it, weights in half precision."""
    from safetensors.torch import save_file

    shutil.copytree(tokenizer, out, dirs_exist_ok=True)
    config = _config(model.vocab_size)
    (out / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS},
                                                          indent=2) + "\n")
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    save_file({k: v.contiguous() for k, v in tensors.items()}, out / "open_clip_model.safetensors",
              {"format": "pt"})
