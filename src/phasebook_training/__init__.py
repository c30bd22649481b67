"""Training of the small models: `phasebook train autoencoder | clip-a | unet-a | transformer-a | clip-b | ...`.

`student-unet-a` and its like distil a diffusion model into 4, 2 and 1 steps.

The halves `a` and `b` of the icons are disjoint pictures of the same things; the autoencoder learns from both, and
from all things, the others from those that are alike in all styles.
Each part trains in its own folder below `checkpoints/`, resumes where it was killed, and leaves a directory that
diffusers or open_clip loads. `publish` copies the finished ones to where the book looks for them.
"""

import shutil
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from phasebook.arguments import whole
from phasebook.machine import cores
from phasebook.models.pictures.icons import alike, icons
from phasebook.models.pipelines.checkpoints import check_device, known_directory
from phasebook_training.loop import SEEDS, Settings, Trained

__all__ = ["PARTS", "Part", "publish", "train"]


@dataclass(frozen=True)
class Part:
    """A model to train: the trainer's `module`, the `parts` of the icons it learns from, what it `leaves` in its
    folder, and the asset that becomes of it (the autoencoder ends up inside the pipelines). A student has a `teacher`,
    the part that it imitates, and leaves a directory for each number of steps."""

    module: str
    parts: tuple[str, ...]
    leaves: str
    asset: str | None = None
    teacher: str | None = None


PARTS = {"autoencoder": Part("autoencoder", ("a", "b"), "vae"),
         "clip": Part("clip", ("a", "b", "held out", "apart"), "clip", "icons-clip")}
for _half in "ab":
    PARTS[f"clip-{_half}"] = Part("clip", (_half,), "clip", f"icons-clip-{_half}")
    PARTS[f"unet-{_half}"] = Part("unet", (_half,), "model", f"icons-unet-{_half}")
    PARTS[f"transformer-{_half}"] = Part("transformer", (_half,), "model", f"icons-transformer-{_half}")
for _name in ("unet-a", "transformer-a", "unet-b", "transformer-b"):
    PARTS[f"student-{_name}"] = Part("students", (), "in", f"icons-{_name}", _name)


def train(part: str, folder: Path, *, steps: int | None = None, seed: int = 0, device: str = "cpu",
          threads: int | None = None, start: Path | None = None) -> Trained:
    """Train a part in `folder / part` with its own settings, or resume it.

    `start`: a directory such as this leaves, whose weights to begin from; what it lacks begins at random. Of a student
    it is the teacher, any directory that diffusers loads (default: what the teacher's own part left, or its asset).
    Raises ValueError for an unknown part, steps < 1, a seed outside 0 ... SEEDS, more threads than cores, a device that
    is not there, a `start` without weights of this part or a checkpoint that is none of this run, FileNotFoundError
    where a diffusion model lacks its autoencoder or a student its teacher.
    """
    if part not in PARTS:
        raise ValueError(f"PART = {part!r}: takes one of {', '.join(PARTS)}")
    if steps is not None:
        whole("steps", steps, 1)
    whole("seed", seed, 0, SEEDS)
    if threads is not None:
        import torch

        torch.set_num_threads(whole("threads", threads, 1, cores(), "a number of cores"))
    made = PARTS[part]
    module = import_module(f"phasebook_training.{made.module}")
    settings: Settings = replace(module.SETTINGS, seed=seed, device=check_device(device))
    settings = replace(settings, steps=steps) if steps else settings
    if made.teacher:
        return module.train(folder / part, start or _teacher(folder, made), settings)
    data = icons() if part == "autoencoder" else alike()
    return module.train(folder / part, data.only(*made.parts), settings, start)


def _teacher(folder: Path, made: Part) -> Path:
    """Where the teacher of a student is; FileNotFoundError, one line, where it is not."""
    own = folder / made.teacher / PARTS[made.teacher].leaves
    teacher = own if own.is_dir() else known_directory(made.asset)
    if teacher is None:
        raise FileNotFoundError(f"{own}: no teacher; run `phasebook train {made.teacher}` first, or --start DIR")
    return teacher


def publish(part: str, folder: Path, assets: Path) -> Path | None:
    """Copy what a finished part left to `assets`, beside the model card that may lie there; its place, or None.

    Of students this is the place of the one in one step, `NAME-in-1`; the others lie beside it.
    """
    made = PARTS[part]
    if made.asset is None:
        return None
    if made.teacher:
        for left in sorted((folder / part).glob(f"{made.leaves}-*"), reverse=True):
            place = assets / f"{made.asset}-{left.name}"
            shutil.copytree(left / "model", place, dirs_exist_ok=True)
        return place
    shutil.copytree(folder / part / made.leaves, assets / made.asset, dirs_exist_ok=True)
    return assets / made.asset
