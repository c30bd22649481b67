"""What the model cards report: recognition of named prompts, retrieval of augmented images, and the sheet of samples.

    python -m phasebook_training.evaluate [DIFFUSION CLIP] [--seeds 10] [--steps 25] [--sheet samples.png]
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from phasebook.models.captions import GENERIC, captioned
from phasebook.models.clip import ClipFeatures
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook_training.clip import augmented

__all__ = ["PROMPTS", "main", "recognition", "retrieval", "sample", "sheet"]

PROMPTS = ("red apple", "green apple", "cat face", "eye", "mountain", "snow-capped mountain", "dog face", "blue heart",
           "tiger face", "bus", "grinning face", "crying face", "clock showing three o'clock", "new moon",
           "waving hand", "thumbs up", "up arrow", "health worker", "zodiac sign Cancer", "stop button")


def sample(model: PipelineModel, prompt: str, seeds: range, steps: int = 25,
           guidance: float = 3.0) -> Float[Tensor, "n 3 y x"]:
    """Pictures of a prompt; every seed has a latent of its own."""
    z = torch.stack([torch.randn(model.shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    *_, last = model.sweep(z, model.levels(steps), model.prompt(prompt, guidance))
    return model.decode(last.x0)


def recognition(model: PipelineModel, clip: ClipFeatures, prompts: tuple[str, ...] = PROMPTS,
                seeds: range = range(10), **sampling) -> dict[str, float]:
    """Of each prompt's pictures, the share whose nearest caption among *all* captions of the set is that prompt."""
    captions = list(captioned().captions)
    words = clip.text(captions)
    shares = {}
    for prompt in prompts:
        images = F.normalize(clip(sample(model, prompt, seeds, **sampling)), dim=-1)
        shares[prompt] = float(((images @ words.T).argmax(-1) == captions.index(prompt)).float().mean())
    return shares


def retrieval(clip: ClipFeatures, views: int = 4, seed: int = 10**9) -> float:
    """Share of freshly augmented images whose nearest caption among all is their own; training draws other seeds."""
    data, generator = captioned(), torch.Generator().manual_seed(seed)
    words, own = clip.text(list(data.captions)), torch.arange(len(data))
    hits = []
    for _ in range(views):
        images = F.normalize(clip(augmented(data.pixels, generator) / 2 + 0.5), dim=-1)
        hits.append((images @ words.T).argmax(-1).cpu() == own)
    return float(torch.stack(hits).float().mean())


def sheet(model: PipelineModel, path: Path, prompts: tuple[str, ...] = PROMPTS) -> None:
    """A picture of samples: a column for each prompt with four seeds, below them two rows for the generic prompt."""
    columns = [torch.cat(list(sample(model, prompt, range(4))), 1) for prompt in prompts]
    generic = sample(model, GENERIC, range(2 * len(prompts)), guidance=1.0)
    rows = [torch.cat(columns, 2), *(torch.cat(list(generic[i::2]), 2) for i in range(2))]
    picture = Image.fromarray((torch.cat(rows, 1) * 255).round().byte().movedim(0, -1).cpu().numpy())
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def main(arguments: list[str] | None = None) -> int:
    """Print the numbers of the model cards as JSON."""
    parser = argparse.ArgumentParser(prog="python -m phasebook_training.evaluate")
    parser.add_argument("models", nargs="*", default=["emoji-diffusion", "emoji-clip"], metavar="DIFFUSION CLIP")
    parser.add_argument("--seeds", type=int, default=10, help="of each prompt")
    parser.add_argument("--steps", type=int, default=25, help="of the sampler, for recognition")
    parser.add_argument("--sheet", type=Path, help="where to write a picture of samples")
    options = parser.parse_args(arguments)
    try:
        model, clip = PipelineModel.load(options.models[0]), ClipFeatures.load(options.models[1])
    except (ValueError, IndexError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.sheet:
        sheet(model, options.sheet)
    shares = recognition(model, clip, seeds=range(options.seeds), steps=options.steps)
    print(json.dumps({"retrieval": retrieval(clip), "recognition": float(np.mean(list(shares.values()))),
                      "recognition of each": shares}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
