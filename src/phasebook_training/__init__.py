"""Training of the shipped models: `phasebook train autoencoder | clip | diffusion`.

Each part trains in its own folder below `checkpoints/`, resumes where it was killed, and leaves a directory that
diffusers or open_clip loads. `publish` copies the finished ones to where the book looks for them.
"""

import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from phasebook.models.pipelines.checkpoints import check_device
from phasebook_training.loop import Settings, Trained

__all__ = ["PARTS", "publish", "train"]

# part: what it leaves in its folder, and the asset that becomes of it (the autoencoder ends up inside the pipeline)
PARTS = {"autoencoder": ("vae", None), "clip": ("clip", "emoji-clip"), "diffusion": ("model", "emoji-diffusion")}


def train(part: str, folder: Path, *, steps: int | None = None, seed: int = 0, device: str = "cpu",
          threads: int | None = None, start: Path | None = None) -> Trained:
    """Train a part in `folder / part` with its own settings, or resume it.

    `start`: a directory such as this leaves, whose weights to begin from; what it lacks begins at random.
    Raises ValueError for an unknown part, steps < 1 or a device that is not there or a `start` without weights of
    this part, FileNotFoundError where the diffusion model lacks its autoencoder.
    """
    if part not in PARTS:
        raise ValueError(f"PART = {part!r}: takes one of {', '.join(PARTS)}")
    if steps is not None and steps < 1:
        raise ValueError(f"steps = {steps}: takes a whole number >= 1")
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    module = import_module(f"phasebook_training.{part}")
    settings: Settings = replace(module.SETTINGS, seed=seed, device=check_device(device))
    return module.train(folder / part, replace(settings, steps=steps) if steps else settings, start)


def publish(part: str, folder: Path, assets: Path) -> Path | None:
    """Copy what a finished part left to `assets`, beside the model card that may lie there; its place, or None."""
    left, name = PARTS[part]
    if name is None:
        return None
    shutil.copytree(folder / part / left, assets / name, dirs_exist_ok=True)
    return assets / name
