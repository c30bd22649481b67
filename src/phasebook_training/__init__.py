"""Training of the small models: `phasebook train autoencoder | clip-a | unet-a | transformer-a | clip-b | ...`.

The halves `a` and `b` of the icons are disjoint pictures of the same things; the autoencoder learns from both.
Each part trains in its own folder below `checkpoints/`, resumes where it was killed, and leaves a directory that
diffusers or open_clip loads. `publish` copies the finished ones to where the book looks for them.
"""

import shutil
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from phasebook.models.icons import icons
from phasebook.models.pipelines.checkpoints import check_device
from phasebook_training.loop import Settings, Trained

__all__ = ["PARTS", "Part", "publish", "train"]


@dataclass(frozen=True)
class Part:
    """A model to train: the trainer's `module`, the `parts` of the icons it learns from, what it `leaves` in its
    folder, and the asset that becomes of it (the autoencoder ends up inside the pipelines)."""

    module: str
    parts: tuple[str, ...]
    leaves: str
    asset: str | None = None


PARTS = {"autoencoder": Part("autoencoder", ("a", "b"), "vae")}
for _half in "ab":
    PARTS[f"clip-{_half}"] = Part("clip", (_half,), "clip", f"icons-clip-{_half}")
    PARTS[f"unet-{_half}"] = Part("unet", (_half,), "model", f"icons-unet-{_half}")
    PARTS[f"transformer-{_half}"] = Part("transformer", (_half,), "model", f"icons-transformer-{_half}")


def train(part: str, folder: Path, *, steps: int | None = None, seed: int = 0, device: str = "cpu",
          threads: int | None = None, start: Path | None = None) -> Trained:
    """Train a part in `folder / part` with its own settings, or resume it.

    `start`: a directory such as this leaves, whose weights to begin from; what it lacks begins at random.
    Raises ValueError for an unknown part, steps < 1 or a device that is not there or a `start` without weights of
    this part, FileNotFoundError where a diffusion model lacks its autoencoder.
    """
    if part not in PARTS:
        raise ValueError(f"PART = {part!r}: takes one of {', '.join(PARTS)}")
    if steps is not None and steps < 1:
        raise ValueError(f"steps = {steps}: takes a whole number >= 1")
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    made = PARTS[part]
    module = import_module(f"phasebook_training.{made.module}")
    settings: Settings = replace(module.SETTINGS, seed=seed, device=check_device(device))
    data = icons().only(*made.parts)
    return module.train(folder / part, data, replace(settings, steps=steps) if steps else settings, start)


def publish(part: str, folder: Path, assets: Path) -> Path | None:
    """Copy what a finished part left to `assets`, beside the model card that may lie there; its place, or None."""
    made = PARTS[part]
    if made.asset is None:
        return None
    shutil.copytree(folder / part / made.leaves, assets / made.asset, dirs_exist_ok=True)
    return assets / made.asset
