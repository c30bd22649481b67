"""What the cards of the models of icons report: recognition, memorisation, melted samples, and the sheet.

    python -m phasebook_training.measures MODEL CLIP [--whole WHOLE] [--half a] [--prompts 200] [--seeds 20]

MODEL is a directory that diffusers loads, CLIP one of the clip that was trained on the other half. It judges, among all
things that the models learn, and is itself no perfect judge: *named prompts* are the things whose every real picture of
the model's half it calls by name (`sure`), and beside the share of their samples that it recognises stand that of all
things, and what it makes of real pictures. In its half a thing has some styles and never the others, so that it cannot
tell the style of a thing that it saw in other styles alone: pairs that were held out of the *model's* training are also
judged by WHOLE, a clip that has learnt from all pictures. All pictures are (n, rgb, y, x) in [0, 1].
"""

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor

from phasebook.arguments import whole as whole_number
from phasebook.models.pictures.icons import GENERIC, Icons, alike, prompt
from phasebook.models.pipelines.checkpoints import check_device
from phasebook.models.towers.clip import ClipFeatures
from phasebook_training.autoencoder import reconstruction_error

__all__ = ["Memory", "Recognised", "called", "judges", "load", "main", "melted", "memorisation", "named",
           "recognised", "report", "sample", "sheet", "spread", "sure"]

SHOWN = ("red apple", "green apple", "cat face", "eye", "mountain", "dog face", "blue heart", "tiger face", "bus",
         "grinning face", "crying face", "new moon", "waving hand", "thumbs up", "rocket", "zodiac sign Cancer")


class Recognised(NamedTuple):
    """Shares of pictures whose nearest words among all are their own: of things, of styles, of both at once."""

    what: float
    style: float
    both: float


class Memory(NamedTuple):
    """Root mean square distances of pixels from each sample to the nearest picture it was trained on, and of the
    other half; `copied`, the share nearer to the former. A model that has learnt by heart has all there, one that
    has learnt the data about half."""

    trained: Float[Tensor, " n"]
    other: Float[Tensor, " n"]
    copied: float


def load(folder: Path):
    """A pipeline of diffusers in float32. Raises ValueError, one line, for what it does not load."""
    from diffusers import DiffusionPipeline

    index = folder / "model_index.json"
    if not index.is_file():
        raise ValueError(f"MODEL = {str(folder)!r}: holds no model_index.json; takes what `phasebook train` leaves")
    absent = [key for key, kind in json.loads(index.read_text()).items() if kind == [None, None]]
    pipe = DiffusionPipeline.from_pretrained(folder, use_safetensors=True, dtype=torch.float32,
                                             **dict.fromkeys(absent))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sample(pipe, prompts: list[str], seeds: list[int], steps: int = 25, guidance: float = 3.0,
           batch: int = 100) -> Float[Tensor, "n 3 y x"]:
    """A picture for each prompt, from a latent of its seed, by the pipeline's own scheduler."""
    denoiser = pipe.transformer if hasattr(pipe, "transformer") else pipe.unet
    shape = denoiser.config.in_channels, *2 * (denoiser.config.sample_size,)
    # the T5 that is not there stands for as many zero tokens as in training
    options = {"max_sequence_length": pipe.tokenizer.model_max_length} if hasattr(pipe, "transformer") else {}
    pictures = []
    for top in range(0, len(prompts), batch):
        z = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds[top:top + batch]]
        pictures.append(pipe(prompts[top:top + batch], num_inference_steps=steps, guidance_scale=guidance, **options,
                             latents=torch.stack(z).to(pipe.device), output_type="pt").images.float().cpu())
    return torch.cat(pictures)


def called(clip: ClipFeatures, pictures: Float[Tensor, "n 3 y x"], data: Icons) -> Int[Tensor, " n"]:
    """The thing whose words are nearest to each picture, as a place in `data.whats`."""
    seen = F.normalize(clip(pictures), dim=-1).cpu()
    return (seen @ clip.text(list(data.whats)).cpu().T).argmax(-1)


def sure(own: Icons, right: Bool[Tensor, " n"], most: int) -> list[int]:
    """The things whose every picture the clip calls by name: no more than `most` of them, evenly over the table.

    The pictures are those of the model's half, from which the clip has not learnt.

    Args:
        own: the pictures.
        right: which of them it calls by name, among all things that the models learn.
        most: things.
    """
    missed = set(own.what[~right].tolist())
    known = [what for what in own.what.unique().tolist() if what not in missed]
    chosen = np.linspace(0, len(known) - 1, min(most, len(known))).round().astype(int)
    return [known[i] for i in chosen]


def recognised(clip: ClipFeatures, pictures: Float[Tensor, "n 3 y x"], whats: Tensor, styles: Tensor | None,
               data: Icons) -> Recognised:
    """How many pictures the clip calls by their own names, among all things and all styles.

    `whats` and `styles` are places in those of `data`; without styles those shares are nan.
    """
    what = called(clip, pictures, data) == whats
    if styles is None:
        return Recognised(float(what.float().mean()), float("nan"), float("nan"))
    seen = F.normalize(clip(pictures), dim=-1).cpu()
    style = (seen @ clip.text([prompt(style=name) for name in data.styles]).cpu().T).argmax(-1) == styles
    return Recognised(*(float(hits.float().mean()) for hits in (what, style, what & style)))


def _nearest(pictures: Float[Tensor, "n 3 y x"], known: Icons) -> Float[Tensor, " n"]:
    """Root mean square distance of each picture to the nearest known one."""
    flat = pictures.flatten(1)
    parts = [torch.cdist(flat, (known.floats(index) / 2 + 0.5).flatten(1)).min(1).values
             for index in torch.arange(len(known)).split(512)]
    return torch.stack(parts).min(0).values / flat.shape[1] ** 0.5


def memorisation(pictures: Float[Tensor, "n 3 y x"], trained: Icons, other: Icons) -> Memory:
    """Distances of samples to what was learnt and to as much that was not."""
    near, far = _nearest(pictures, trained), _nearest(pictures, other)
    return Memory(near, far, float((near < far).float().mean()))


def melted(clip: ClipFeatures, pictures: Float[Tensor, "n 3 y x"], real: Float[Tensor, "m 3 y x"],
           data: Icons) -> float:
    """The share of pictures that resemble no thing: their best cosine with any name is below that of 95 % of real
    pictures, which the clip has not learnt from either. Real pictures have 5 % by this measure."""
    words = clip.text(list(data.whats)).cpu()
    best = lambda x: (F.normalize(clip(x), dim=-1).cpu() @ words.T).max(-1).values  # noqa: E731
    return float((best(pictures) < torch.quantile(best(real), 0.05)).float().mean())


def spread(clip: ClipFeatures, pictures: Float[Tensor, "n 3 y x"], data: Icons) -> int:
    """How many different things the clip sees in the pictures."""
    return len(set(called(clip, pictures, data).tolist()))


def _real(data: Icons) -> Float[Tensor, "n 3 y x"]:
    return data.floats() / 2 + 0.5


def sheet(pipe, data: Icons, path: Path, steps: int = 25) -> None:
    """A picture of samples: two seeds of each thing, one of it in every style, two rows of the generic prompt."""
    shown, n = SHOWN, len(SHOWN)
    rows = [sample(pipe, list(shown), list(range(row * n, row * n + n)), steps) for row in range(2)]
    for i, style in enumerate(data.styles[:-1]):
        rows.append(sample(pipe, [prompt(what, style) for what in shown], list(range(100 * i, 100 * i + n)), steps))
    rows += [sample(pipe, [GENERIC] * n, list(range(900 + row * n, 900 + row * n + n)), steps, 1.0) for row in range(2)]
    picture = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    whole = Image.fromarray((picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    whole.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def judges(vae, clip: ClipFeatures, own: Icons, data: Icons) -> dict[str, object]:
    """How good the autoencoder and the clip are that judge with: squared errors on [-1, 1], and shares of real
    pictures that the clip did not learn from and calls by their own names."""
    apart, held = data.only("apart"), data.only("held out")
    return {
        "reconstruction, held-out pairs": reconstruction_error(vae, held.floats()),
        "reconstruction, style apart": reconstruction_error(vae, apart.floats()),
        "clip, the half it did not learn": recognised(clip, _real(own), own.what, own.style, data)._asdict(),
        "clip, things in the style apart": recognised(clip, _real(apart), apart.what, None, data).what}


def named(pipe, clip: ClipFeatures, own: Icons, prompts: int, seeds: int,
          steps: int) -> tuple[dict[str, object], Float[Tensor, "n 3 y x"]]:
    """How many samples of the named prompts, and of all things, the clip calls by name; and the samples.

    Args:
        pipe: the model.
        clip: of the other half.
        own: pictures of the model's half.
        prompts: named ones, at most.
        seeds: of each; of every other thing a fifth as many.
        steps: of the sampler.
    """
    right = called(clip, _real(own), own) == own.what
    chosen = sure(own, right, prompts)
    others = [what for what in own.what.unique().tolist() if what not in chosen]
    asked = torch.tensor([what for what in chosen for _ in range(seeds)]
                         + [what for what in others for _ in range(max(seeds // 5, 1))])
    pictures = sample(pipe, [own.whats[what] for what in asked], list(range(len(asked))), steps)
    hits = called(clip, pictures, own) == asked
    share = {what: float(hits[asked == what].float().mean()) for what in [*chosen, *others]}
    return {"named prompts": float(np.mean([share[what] for what in chosen])) if chosen else None,
            "named prompts, how many": len(chosen), "named prompts, seeds of each": seeds,
            "things whose every real picture is recognised": len(sure(own, right, len(own.whats))),
            "all things": float(np.mean(list(share.values()))), "all things, how many": len(share),
            "real pictures of all things": float(right.float().mean())}, pictures


def report(pipe, clip: ClipFeatures, whole: ClipFeatures, half: str, prompts: int, seeds: int, steps: int,
           generics: int) -> dict[str, object]:
    """The numbers of a card, for a model of one half, a clip of the other, and one of all pictures."""
    data = alike()
    own, other, held = data.only(half), data.only("b" if half == "a" else "a"), data.only("held out")
    numbers, pictures = named(pipe, clip, own, prompts, seeds, steps)
    few = torch.arange(len(held)).repeat_interleave(max(seeds // 5, 1))
    pairs = held.at(few)
    drawn = sample(pipe, list(pairs.names), list(range(10**5, 10**5 + len(pairs))), steps)
    generic = sample(pipe, [GENERIC] * generics, list(range(10**6, 10**6 + generics)), steps, guidance=1.0)
    memory = memorisation(pictures[::max(len(pictures) // 500, 1)], own, other)
    return judges(pipe.vae, clip, own, data) | numbers | {
        "held-out pairs": recognised(clip, drawn, pairs.what, pairs.style, data)._asdict(),
        "real held-out pairs": recognised(clip, _real(held), held.what, held.style, data)._asdict(),
        "held-out pairs, by a clip that knows them":
            recognised(whole, drawn, pairs.what, pairs.style, data)._asdict(),
        "real held-out pairs, by a clip that knows them":
            recognised(whole, _real(held), held.what, held.style, data)._asdict(),
        "held-out pairs, how many": len(held), "steps of the sampler": steps,
        "melted of the generic prompt": melted(clip, generic, _real(own), data),
        "samples of the generic prompt": generics,
        "things in samples of the generic prompt": spread(clip, generic, data),
        "distance to the nearest trained": float(memory.trained.median()),
        "distance to the nearest other": float(memory.other.median()), "copied": memory.copied}


def main(arguments: list[str] | None = None) -> int:
    """Print the numbers of a card as JSON; exit code 2 and one line where a model or a number is none."""
    parser = argparse.ArgumentParser(prog="python -m phasebook_training.measures")
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("clip", metavar="CLIP", help="trained on the other half")
    parser.add_argument("--whole", default="icons-clip", metavar="CLIP", help="trained on all pictures (icons-clip)")
    parser.add_argument("--half", choices=("a", "b"), default="a", help="that MODEL was trained on")
    parser.add_argument("--prompts", type=int, default=200, help="named ones, at most")
    parser.add_argument("--seeds", type=int, default=20,
                        help="of each named prompt; of other things and held-out pairs a fifth as many")
    parser.add_argument("--steps", type=int, default=25, help="of the sampler")
    parser.add_argument("--generic", type=int, default=200, help="samples of the generic prompt")
    parser.add_argument("--device", default="cpu", help="of the model: cpu, cuda")
    parser.add_argument("--sheet", type=Path, help="where to write a picture of samples")
    options = parser.parse_args(arguments)
    try:
        for name, least in (("prompts", 0), ("seeds", 1), ("steps", 1), ("generic", 1)):
            whole_number(name, getattr(options, name), least)
        if options.sheet and (options.sheet.suffix.lower() != ".png" or not options.sheet.parent.is_dir()):
            raise ValueError(f"sheet = {str(options.sheet)!r}: takes a .png in a folder that is there")
        pipe = load(options.model).to(check_device(options.device))
        clip, whole = ClipFeatures.load(options.clip), ClipFeatures.load(options.whole)
    except (ValueError, OSError) as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return 2
    if options.sheet:
        sheet(pipe, alike(), options.sheet, options.steps)
    print(json.dumps(report(pipe, clip, whole, options.half, options.prompts, options.seeds, options.steps,
                            options.generic), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
