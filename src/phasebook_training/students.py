"""Students of a diffusion model in 4, 2 and 1 steps, from paths of the teacher alone: no data are needed.

A path is the deterministic sampler's in 20 of the teacher's own steps, from pure noise. A student of k steps is given
the state on a path at one of k levels and is to answer so that its one step lands on the state at the next (Salimans
and Ho 2022; the paths are fixed, as with Luhman and Luhman 2021). It is the teacher's network and begins with the
teacher's weights, that of 2 steps with those of the student of 4, that of 1 with those of the student of 2.

A step is affine in what the network says, `x' = A x + c raw`: the squared error of x' over c^2 is that of the network's
own output, whatever it predicts.
"""

import json
import shutil
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from phasebook.models.pictures.icons import GENERIC
from phasebook.models.pipelines.checkpoints import known_directory
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Prompt
from phasebook.sampling.samplers import normal_start, sample
from phasebook_training.diffusion import attention
from phasebook_training.loop import Settings, Trained, autocast, train_loop, written

__all__ = ["SETTINGS", "STEPS", "landing", "paths_of", "train"]

SETTINGS = Settings(steps=240, batch=32, rate=3e-4, ema=0.99, warmup=20, decay=0.8, weight_decay=0.0)
STEPS = (4, 2, 1)           # of students, each made from the one before
TEACHER_STEPS = 20
PATHS = 1536
ASKED = GENERIC             # what teacher and students are told


def landing(model: PipelineModel, levels: Levels, step: int, x: Float[Tensor, "b c y x"],
            raw: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:
    """The state after a step in which the network said `raw`."""
    x0, eps = model.noise.split(x, raw, float(levels.alpha[step]), float(levels.sigma[step]))
    a, b, _ = levels.mixing(step)
    return a * x0 + b * eps


def paths_of(file: Path, model: PipelineModel, asked: Prompt, count: int, seed: int) -> Float[Tensor, "k p c y x"]:
    """States of `count` paths of the teacher at the levels of the student of most steps and at the end.

    They are kept in `file`, and read from it where they are there.

    Raises:
        ValueError: one line, where it holds something else.
    """
    levels, stride = model.levels(TEACHER_STEPS), TEACHER_STEPS // max(STEPS)
    if file.exists():
        try:
            known = load_file(file)["paths"]
        except (SafetensorError, OSError, KeyError):
            known = torch.empty(0)
        if known.shape != (max(STEPS) + 1, count, *model.shape):
            raise ValueError(f"{file}: no {count} paths of this model; remove it to start anew")
        return known.to(model.device)
    print(f"{count} paths of the teacher in {TEACHER_STEPS} steps")
    states = [normal_start(model, seed, count)]
    for frame in sample(model, states[0], levels, asked):
        if (frame.step + 1) % stride == 0:
            states.append(frame.after)
    paths = torch.stack(states)
    with written(file) as out:
        save_file({"paths": paths.cpu().contiguous()}, out)
    return paths


def train(folder: Path, teacher: Path, settings: Settings = SETTINGS) -> Trained:
    """Distil a teacher in `folder`; leave `folder/in-4`, `in-2` and `in-1`, each with a directory `model`.

    Args:
        folder: of the run, which resumes where it was killed; the teacher's paths are made in one go.
        teacher: a directory that diffusers loads.
        settings: for each student; `steps` is the number of optimiser steps of one.

    Returns:
        What all three came to.

    Raises:
        ValueError: one line, for a teacher that does not load or a checkpoint that is none.
    """
    model = PipelineModel.load(teacher, device=settings.device)
    asked, levels = model.prompt(ASKED), model.levels(TEACHER_STEPS)
    paths = paths_of(folder / "paths.safetensors", model, asked, PATHS, settings.seed)
    record = {"teacher": model.fingerprint, "teacher_steps": TEACHER_STEPS, "prompt": ASKED}
    model.network.requires_grad_(True)
    done = Trained(0, 0.0, 0.0)
    for count in STEPS:
        one = _student(folder / f"in-{count}", model, levels.thinned(TEACHER_STEPS // count),
                       paths[::max(STEPS) // count], asked, settings)
        done = Trained(done.step + one.step, done.seconds + one.seconds, done.cpu_seconds + one.cpu_seconds)
        with written(folder / f"in-{count}" / "model") as out:
            _export(model, teacher, out, record | {"steps": count})
    return done


def _student(folder: Path, model: PipelineModel, levels: Levels, paths: Float[Tensor, "k+1 p c y x"], asked: Prompt,
             settings: Settings) -> Trained:
    """Train the model's network, as it is, to go from each state of the paths to the next in one step."""
    zero = torch.zeros(1, *model.shape, device=model.device)
    reach = [float(landing(model, levels, k, zero, zero + 1).mean()) for k in range(levels.steps)]

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        k = step % levels.steps                 # levels in turn: a transformer takes one time for a whole batch
        index = torch.randint(paths.shape[1], (settings.batch,), generator=generator)
        x, wanted = paths[k, index], paths[k + 1, index]
        with attention(x.device), autocast(x.device):
            raw = model.output(x, levels, k, asked)
        return {"loss": ((landing(model, levels, k, x, raw.float()) - wanted) / reach[k]).square().mean()}

    print(f"student in {levels.steps} steps")
    return train_loop(model.network, loss, settings, folder)


def _export(model: PipelineModel, teacher: Path, out: Path, record: dict[str, object]) -> None:
    """The teacher's directory with the student's network in half precision, and `student.json`."""
    source = known_directory(teacher)
    shutil.copytree(source, out, dirs_exist_ok=True, ignore=lambda place, names: (
        [n for n in names if n not in model.pipe.config and n != "model_index.json"] if Path(place) == source else []))
    name, network = model.family.network, model.network
    for weights in (out / name).glob("*.safetensors*"):
        weights.unlink()
    own = {key: value.detach().clone() for key, value in network.state_dict().items()}
    network.half().save_pretrained(out / name, safe_serialization=True)
    network.float().load_state_dict(own)
    (out / "student.json").write_text(json.dumps(record, indent=2) + "\n")
