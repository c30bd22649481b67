"""What the tests of stores share: a small slice, its files, and writers in processes of their own."""

import multiprocessing
import os
from pathlib import Path

import torch

from phasebook.sampling.levels import scaled_linear_levels
from phasebook.slices.plane import Plane
from phasebook.slices.stores.engine import store_slice

WORDS = {"features": ["pixels", "posterior"], "fields": ["atom"], "pictures": 3, "tile": 4}


def made(model, path, **changes):
    """A slice of 11 x 11 points in nine tiles."""
    options = {"grid": 11, "steps": 4} | WORDS | changes
    plane = Plane.random(model.shape, 3, grid=options.pop("grid"))
    return store_slice(model, plane, scaled_linear_levels(options.pop("steps")), path, **options)


def files(path) -> dict[str, bytes]:
    """All files of a store by key."""
    return {f.relative_to(path).as_posix(): f.read_bytes() for f in Path(path).rglob("*") if f.is_file()}


def forked(function, *arguments) -> multiprocessing.Process:
    """A process that has everything loaded already, and one thread."""
    torch.set_num_threads(1)
    process = multiprocessing.get_context("fork").Process(target=_alone, args=(function, *arguments))
    process.start()
    return process


def killed(after: float, function, *arguments) -> bool:
    """Whether a process of its own was killed, so many seconds after its begin; False where it had ended."""
    process = forked(function, *arguments)
    process.join(after)
    process.kill()
    process.join()
    return process.exitcode == -9


def _alone(function, *arguments) -> None:
    try:
        function(*arguments)
    except Exception as error:
        os.write(1, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    os._exit(0)
