"""The small CLIP of the icons: an open_clip model with a ResNet tower on 64 x 64 pixels and our own tokenizer.

Loss: cross-entropy of an image against the names of *all* things (the text tower is so small that every step can
afford the hardest wrong answers), against the names of the styles, and against the whole names of its batch both ways.
"""

import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from phasebook.models.pictures.icons import Icons, prompt
from phasebook.models.pictures.views import affine
from phasebook_training.augment import photometric
from phasebook_training.loop import Settings, Trained, autocast, begin_from, train_loop, written
from phasebook_training.tokenizer import LENGTH, tokenizer_of_run, tokens

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


def augmented(pixels: Float[Tensor, "n 3 y x"], generator: torch.Generator) -> Float[Tensor, "n 3 y x"]:
    """What the model sees in training: moved, resized, turned, lit, blurred, noisy."""
    return photometric(affine(pixels, generator), generator)


def train(folder: Path, data: Icons, settings: Settings = SETTINGS, start: Path | None = None) -> Trained:
    """Train in `folder` and leave `folder/clip`, an open_clip directory; `start`: one to begin from."""
    with tokenizer_of_run(folder / "tokenizer", data.prompts, start) as tokenizer:
        model = build(len(tokenizer), settings.seed)
        if start:
            begin_from(model, start / "open_clip_model.safetensors")
    model = model.to(settings.device, memory_format=torch.channels_last)
    factors = tokens(tokenizer, [*data.whats, *(prompt(style=style) for style in data.styles)])

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        index = torch.randperm(len(data), generator=generator)[:settings.batch]
        x = augmented(data.floats(index), generator).to(settings.device, memory_format=torch.channels_last)
        names = tokens(tokenizer, [data.name(i) for i in index.tolist()])
        with autocast(x.device):
            images = model.encode_image(x)
            words = model.encode_text(torch.cat([factors, names]).to(x.device))
        images, words = F.normalize(images.float(), dim=-1), F.normalize(words.float(), dim=-1)
        what, style = data.what[index].to(x.device), data.style[index].to(x.device)
        return _terms(images, words, what, style, len(data.whats), model.logit_scale.exp().clamp(max=100))

    done = train_loop(model, loss, settings, folder)
    with written(folder / "clip") as out:
        export(model.to("cpu", memory_format=torch.contiguous_format), folder / "tokenizer", out)
    return done


def _terms(images: Float[Tensor, "b d"], words: Float[Tensor, "k d"], what: Int[Tensor, " b"],
           style: Int[Tensor, " b"], n: int, scale: Tensor) -> dict[str, Tensor]:
    """`words` are `n` things, the styles, and the whole names of the batch."""
    logits = scale * images @ words.T
    whats, styles, names = logits[:, :n], logits[:, n:-len(images)], logits[:, -len(images):]
    own = torch.arange(len(images), device=images.device)
    terms = {"what": F.cross_entropy(whats, what, label_smoothing=0.1),
             "style": F.cross_entropy(styles, style, label_smoothing=0.1),
             "name": (F.cross_entropy(names, own) + F.cross_entropy(names.T, own)) / 2}
    hits = (whats.argmax(-1) == what).float().mean()
    return {"loss": terms["what"] + terms["style"] + 0.5 * terms["name"], **terms, "top1": hits}


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
