"""One training loop for all three models: resumable after a kill, the same bits whether it was killed or not.

A step's randomness comes from a generator seeded by (seed, step), so a checkpoint needs no generator's state: it
holds weights, their moving average and Adam's moments as safetensors, and the step in the file's metadata.
"""

import csv
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from phasebook.arguments import brief, number, whole
from phasebook.models.pipelines.checkpoints import cause

__all__ = ["SEEDS", "Settings", "Trained", "autocast", "begin_from", "train_loop", "written"]

SEEDS = 10**13          # the largest: seed * 1_000_003 + step is to stay below 2**64
Loss = Callable[[int, torch.Generator], dict[str, Tensor]]


@dataclass(frozen=True)
class Settings:
    """How a model is trained. The learning rate rises over `warmup` steps, stays, and falls as a half cosine over
    the last `decay` share of `steps`; the moving average forgets with rate `1 - ema` a step."""

    steps: int
    batch: int
    rate: float
    ema: float = 0.998
    warmup: int = 100
    decay: float = 0.6
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    device: str = "cpu"
    save_seconds: float = 60.0

    def learning_rate(self, step: int) -> float:
        """The rate at a step."""
        start = self.steps * (1 - self.decay)
        fall = min(max((step - start) / max(self.steps - start, 1), 0.0), 1.0)
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        return self.rate * rise * (0.02 + 0.98 * (1 + math.cos(math.pi * fall)) / 2)


@dataclass(frozen=True)
class Trained:
    """What a run came to: `seconds` of wall clock and `cpu_seconds`, summed over all restarts."""

    step: int
    seconds: float
    cpu_seconds: float


def autocast(device: torch.device) -> AbstractContextManager:
    """bfloat16 for the network's products, where the device computes with it: on CPUs that only emulate it, a step
    takes ten times as long."""
    native = device.type != "cpu" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.autocast(device.type, torch.bfloat16) if native else nullcontext()


def begin_from(model: nn.Module, file: Path, say: Callable[[str], None] = print) -> None:
    """Copy from a safetensors file the weights that have a name and shape of the model's, and say how many.

    Raises ValueError, one line, where the file is none or has no weight of the model's.
    """
    own = model.state_dict()
    try:
        kept = {name: value for name, value in load_file(file).items()
                if name in own and value.shape == own[name].shape}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"start: {file} is no whole safetensors file ({str(error).splitlines()[0]})") from None
    if not kept:
        raise ValueError(f"start: {file} has no weight of this model's names and shapes")
    model.load_state_dict(kept, strict=False)
    say(f"{len(kept)} of {len(own)} weights begin as in {file}")


@contextmanager
def written(place: Path) -> Iterator[Path]:
    """Where to write a file or a folder, which takes its `place` when all of it is there.

    Raises:
        OSError: one line, where it cannot be written, on a full disk say; what lay at `place` lies there still.
    """
    partial = place.with_name(f"{place.name}.partial")
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove(partial)            # of a killed run
    try:
        yield partial
        if partial.is_dir() and place.is_dir():     # no system puts a folder in the place of a full one
            shutil.rmtree(place)
        os.replace(partial, place)
    except (SafetensorError, OSError) as error:
        raise OSError(f"{place}: cannot be written ({cause(error)})") from None
    finally:
        _remove(partial)


def _remove(place: Path) -> None:
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


def _averaged(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


class _State:
    """Weights, moving average and optimiser as one flat dictionary of tensors."""

    def __init__(self, model: nn.Module, settings: Settings):
        self.model, self.settings = model, settings
        self.names = [name for name, p in model.named_parameters() if p.requires_grad]
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=settings.rate, betas=(0.9, 0.99),
                                           weight_decay=settings.weight_decay, fused=settings.device != "cpu" or None)
        self.average = _averaged(model)
        self.done = Trained(0, 0.0, 0.0)

    def update_average(self, step: int) -> None:
        keep = min(self.settings.ema, (1 + step) / (10 + step))
        now = self.model.state_dict()
        floats = [name for name, value in now.items() if value.is_floating_point()]
        get_ema_multi_avg_fn(keep)([self.average[name] for name in floats], [now[name] for name in floats], step)
        for name in now.keys() - set(floats):
            self.average[name].copy_(now[name])

    def save(self, path: Path) -> None:
        moments = {f"adam.{i}.{key}": value for i, p in enumerate(self.parameters)
                   for key, value in self.optimiser.state[p].items()}
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()} | moments
        with written(path) as out:
            save_file({k: v.contiguous() for k, v in tensors.items()}, out,
                      {"done": json.dumps(asdict(self.done)), "settings": json.dumps(asdict(self.settings))})

    def load(self, path: Path) -> None:
        """Take over a checkpoint, once all that it holds is checked.

        Raises:
            ValueError: one line, for a file that is no checkpoint of this model, of another seed, or of more steps.
        """
        own = self.settings
        try:
            with safe_open(path, "pt", device=own.device) as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}
                said = file.metadata() or {}
            done = Trained(**json.loads(said["done"]))
            seed = json.loads(said.get("settings", "{}")).get("seed", own.seed)
            self._check(tensors, done)
        except (SafetensorError, OSError, RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path}: no checkpoint of this model ({cause(error)}); remove it to start anew") from None
        if seed != own.seed:
            raise ValueError(f"seed = {own.seed}: {path} was begun with seed {brief(seed)}; takes that one, or remove "
                             "the file to start anew")
        if done.step > own.steps:
            raise ValueError(f"steps = {own.steps}: {path} is at step {brief(done.step)}; takes as many or more, or "
                             "remove the file to start anew")
        part = lambda head: {k[len(head):]: v for k, v in tensors.items() if k.startswith(head)}  # noqa: E731
        self.model.load_state_dict(part("model."))
        self.average = part("average.")
        for i, p in enumerate(self.parameters):
            self.optimiser.state[p] = part(f"adam.{i}.")
        self.done = done

    def _check(self, tensors: dict[str, Tensor], done: Trained) -> None:
        """ValueError or KeyError unless `save` could have written these: names, shapes, types, finite numbers."""
        whole("step", done.step, 0)
        for name in ("seconds", "cpu_seconds"):
            number(name, getattr(done, name), "a number >= 0", least=0)
        model = self.model.state_dict()
        wanted = {f"{part}.{name}": value for part in ("model", "average") for name, value in model.items()}
        held = {key.split(".")[1] for key in tensors if key.startswith("adam.")}
        for i, (name, p) in enumerate(zip(self.names, self.parameters, strict=True)):
            # a parameter that no loss depends on has no moments, and its average never left it
            if str(i) in held or not torch.equal(tensors[f"model.{name}"], tensors[f"average.{name}"]):
                wanted |= {f"adam.{i}.step": torch.zeros(()), f"adam.{i}.exp_avg": p, f"adam.{i}.exp_avg_sq": p}
        if odd := sorted(wanted.keys() ^ tensors.keys()):
            raise ValueError(f"{odd[0]} is {'missing' if odd[0] in wanted else 'none of its tensors'}")
        for name, value in tensors.items():
            like = wanted[name]
            if (value.shape, value.dtype) != (like.shape, like.dtype):
                raise ValueError(f"{name} is {value.dtype} {tuple(value.shape)}, not {like.dtype} {tuple(like.shape)}")
            if not bool(value.isfinite().all()):
                raise ValueError(f"{name} is not finite")


def _generator(settings: Settings, step: int) -> torch.Generator:
    return torch.Generator().manual_seed(settings.seed * 1_000_003 + step)


def _curve(path: Path, step: int) -> list[list[str]]:
    """The rows of the curve up to `step`, as a killed run may have written more than it saved.

    Raises ValueError, one line, for a file that is no curve.
    """
    if not path.exists():
        return []
    try:
        with open(path, newline="") as file:
            rows = [row for row in csv.reader(file) if row]
        if rows and rows[0][0] != "step":
            raise ValueError(f"begins with {brief(rows[0][0])}")
        return rows[:1] + [row for row in rows[1:] if int(row[0]) <= step]
    except (OSError, csv.Error, ValueError) as error:
        raise ValueError(f"{path}: no curve of a run ({cause(error)}); remove it to go on without its rows") from None


def train_loop(model: nn.Module, loss: Loss, settings: Settings, folder: Path, report: int = 20,
               say: Callable[[str], None] = print) -> Trained:
    """Train until `settings.steps`, from `folder/state.safetensors` if there; leaves the averaged weights in `model`.

    `loss(step, generator)` gives named terms of which 'loss' is minimised; every `report` steps their means are
    added to `folder/curve.csv`.

    Raises:
        ValueError: a loss is not finite, or what lies in `folder` is not of this run.
        OSError: it cannot be saved; the checkpoint before is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state, path, curve = _State(model, settings), folder / "state.safetensors", folder / "curve.csv"
    if path.exists():
        state.load(path)
    rows = _curve(curve, state.done.step)
    first, clock, cpu = state.done, time.perf_counter(), time.process_time()
    saved, window = clock, []
    model.train()
    for step in range(first.step, settings.steps):
        terms = loss(step, _generator(settings, step))
        if not torch.isfinite(terms["loss"]):
            raise ValueError(f"step {step}: the loss is {float(terms['loss'])}; resume with a smaller rate")
        for group in state.optimiser.param_groups:
            group["lr"] = settings.learning_rate(step)
        state.optimiser.zero_grad(set_to_none=True)
        terms["loss"].backward()
        nn.utils.clip_grad_norm_(state.parameters, settings.clip)
        state.optimiser.step()
        state.update_average(step)
        now = time.perf_counter()
        state.done = Trained(step + 1, first.seconds + now - clock, first.cpu_seconds + time.process_time() - cpu)
        window.append({k: v.detach() for k, v in terms.items()})
        last = step + 1 == settings.steps
        if len(window) == report or last:
            means = {k: sum(w[k].item() for w in window) / len(window) for k in window[0]}
            rows = rows or [["step", "seconds", *means]]
            rows.append([str(step + 1), f"{state.done.seconds:.0f}", *(f"{v:.5g}" for v in means.values())])
            say(" ".join([f"step {step + 1}/{settings.steps}", f"{state.done.seconds:.0f} s",
                          *(f"{k} {v:.4g}" for k, v in means.items())]))
            window = []
        if last or now - saved > settings.save_seconds:
            state.save(path)
            with written(curve) as out, open(out, "w", newline="") as file:
                csv.writer(file).writerows(rows)
            saved = now
    model.load_state_dict(state.average)
    model.eval()
    return state.done
