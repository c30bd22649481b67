"""What is checked before a trained model is loaded: where it lies, that its weights are whole, that it is understood.

Every refusal is a ValueError of one line that names the parameter, its value and what would be accepted. Weights are
safetensors only: a file that would have to be unpickled is never opened.
"""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from inspect import signature
from pathlib import Path
from typing import Any

from phasebook.arguments import brief, number, numbers, whole
from phasebook.models.assets import ROOT
from phasebook.models.pipelines.families import family_of
from phasebook.models.pipelines.family import Family
from phasebook.models.pipelines.staging import check_names_no_code, no_weights, read_config, weight_files

__all__ = ["DTYPES", "FLOWS", "SCHEDULERS", "SOON_READ", "cause", "check_complete", "check_device", "check_dtype",
           "check_pipeline", "check_scheduler", "check_settings", "check_weights", "digest_of", "known_directory",
           "own_memory", "pipeline_parts", "quiet"]

DTYPES = ("float32", "bfloat16", "float16")
SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")
SPACINGS = ("leading", "linspace", "trailing")
SCHEDULERS = ("DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler",
              "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "DPMSolverMultistepScheduler",
              "DPMSolverSinglestepScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
              "DEISMultistepScheduler", "UniPCMultistepScheduler")
SOON_READ = 10**8       # bytes of a file
TIMES = 100_000         # of a table of noise levels; it is usually of 1000
FLOWS = ("FlowMatchEulerDiscreteScheduler",)
NOT_COMPUTED = ("architectures", "dtype", "torch_dtype", "transformers_version")


def cause(error: BaseException) -> str:
    """The first line of an error, shortened, for the end of a one-line refusal."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:160]


@contextmanager
def quiet():
    """No progress bars and no hints of diffusers and transformers: what matters in them is checked here."""
    from diffusers.utils import logging as diffusers_log
    from transformers.utils import logging as transformers_log

    logs = (diffusers_log, transformers_log)
    before = [log.get_verbosity() for log in logs]
    bars = [log.is_progress_bar_enabled() for log in logs]
    for log in logs:
        log.set_verbosity_error()
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, verbosity, bar in zip(logs, before, bars, strict=True):
            log.set_verbosity(verbosity)
            if bar:
                log.enable_progress_bar()


def check_device(device: str) -> str:
    """`device` if torch can use it here; else ValueError in one line."""
    import torch

    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError):
        raise ValueError(f"device = {device!r}: unknown; takes 'cpu' or 'cuda'") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device = {device!r}: no CUDA device here; takes 'cpu'")
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device = {device!r}: not supported; takes 'cpu' or 'cuda'")
    return device


def check_dtype(dtype: str) -> str:
    """`dtype` if known; ValueError otherwise."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype = {dtype!r}: takes one of {', '.join(DTYPES)}")
    return dtype


def known_directory(name: str | Path) -> Path | None:
    """The directory that `name` means, itself or one below `assets/` (whatever the working directory), or None."""
    text = os.path.expanduser(str(name))
    for folder in (Path(text), ROOT.parent / text, ROOT / text):
        if text and os.path.isdir(folder):          # False also for a name that is too long
            return folder
    return None


def check_weights(label: str, files: Iterable[Path]) -> None:
    """ValueError names the first of `files` that is no whole safetensors file: its header is read, its size checked,
    and of a file that is soon read every number."""
    from safetensors import SafetensorError, safe_open

    for file in files:
        try:
            with safe_open(file, "pt") as opened:
                opened.keys()
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{label}: {file.name} in {file.parent} is corrupted or truncated ({cause(error)}); "
                             "fetch or train it again") from None
        said = file.stat()
        if said.st_size <= SOON_READ and (name := _not_finite(file, said.st_mtime_ns, said.st_size)):
            raise ValueError(f"{label}: {file.name} in {file.parent} has weights that are not finite ({name})")


@lru_cache(maxsize=64)
def _not_finite(file: Path, _changed: int, _size: int) -> str | None:
    """The first tensor of a file that has a number that is not finite, or None; once for a file that stays as it is."""
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return next((name for name in opened.keys() if not bool(opened.get_tensor(name).isfinite().all())), None)


def pipeline_parts(label: str, folder: Path) -> tuple[Family, dict[str, tuple[str, str]]]:
    """The family of a pipeline in a directory, and part to (library, class); other parts are not read.

    Raises:
        ValueError: one line, for another pipeline, a part that is missing, or a class that is not in the list.
    """
    index = read_config(label, folder / "model_index.json", "diffusers pipeline")
    check_names_no_code(label, "model_index.json", index)
    family = family_of(label, str(index.get("_class_name")))
    schedulers = [("diffusers", name) for name in (FLOWS if family.flow else SCHEDULERS)]
    parts = {}
    for part, known in {"scheduler": schedulers, **family.parts}.items():
        pair = index.get(part)
        if part in family.optional and pair in (None, [None, None]):
            continue
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(word, str) for word in pair)):
            raise ValueError(f"{label}: has no {part}; takes a {family.pipeline} with one")
        if part == "transformer" and pair == ["diffusers", "Transformer2DModel"]:     # its name before diffusers 0.30
            pair = list(known[0])
        if tuple(pair) not in known:
            raise ValueError(f"{label}: its {part} is a {'.'.join(pair)}; takes one of "
                             f"{', '.join(name for _, name in known)}")
        parts[part] = tuple(pair)
    _check_scheduler(label, folder, family)
    return family, parts


def _check_scheduler(label: str, folder: Path, family: Family) -> None:
    config = read_config(label, folder / "scheduler" / "scheduler_config.json", "scheduler")
    if not family.flow and config.get("trained_betas") is not None:
        raise ValueError(f"{label}: its scheduler has trained_betas; takes one with a beta_schedule")
    if not family.flow and "Flow" in str(config.get("_class_name")):
        config |= {"use_flow_sigmas": True}
    check_scheduler(label, config, family.flow)


def check_scheduler(label: str, config: Mapping[str, Any], flow: bool) -> None:
    """ValueError for a number in a scheduler's configuration by which it would have no noise levels, or others.

    Args:
        label: of the model.
        config: of the scheduler, in memory or from its file.
        flow: whether the network is trained by flow matching.
    """
    total = whole(f"{label}: num_train_timesteps", config.get("num_train_timesteps", 1000), 2, TIMES)
    if flow:
        return _check_shift(label, config)
    if str(config.get("prediction_type", "")).startswith("flow") or config.get("use_flow_sigmas"):
        raise ValueError(f"{label}: its scheduler is one of flow matching; takes one with noise levels from betas")
    _check_betas(label, config, total)
    if config.get("clip_sample"):
        number(f"{label}: clip_sample_range", config.get("clip_sample_range", 1.0), "a number > 0", above=0)
    whole(f"{label}: steps_offset", config.get("steps_offset", 0), 0, total - 1)
    if (spacing := config.get("timestep_spacing", "leading")) not in SPACINGS:
        raise ValueError(f"{label}: timestep_spacing = {brief(spacing)}: takes one of {', '.join(SPACINGS)}")


def _check_betas(label: str, config: Mapping[str, Any], total: int) -> None:
    if (table := config.get("trained_betas")) is not None:
        takes = f"{total} numbers from 0 to 1, ends excluded, as num_train_timesteps says"
        table = numbers(f"{label}: trained_betas", table, takes)
        if table.shape != (total,) or not (0 < table.min() and table.max() < 1):
            raise ValueError(f"{label}: trained_betas of shape {table.shape}, from {table.min(initial=1):g} to "
                             f"{table.max(initial=0):g}: takes {takes}")
        return
    if (schedule := config.get("beta_schedule", "linear")) not in SCHEDULES:
        raise ValueError(f"{label}: beta_schedule = {brief(schedule)}: takes one of {', '.join(SCHEDULES)}")
    for key in ("beta_start", "beta_end"):
        number(f"{label}: {key}", config.get(key, 0.01), "a number from 0 to 1, ends excluded", most=1 - 1e-9, above=0)


def _check_shift(label: str, config: Mapping[str, Any]) -> None:
    if config.get("invert_sigmas"):
        raise ValueError(f"{label}: its scheduler's levels rise; takes invert_sigmas = False")
    if config.get("shift_terminal"):
        number(f"{label}: shift_terminal", config["shift_terminal"], "a number from 0 to 0.999", 0, 0.999)
    if not config.get("use_dynamic_shifting"):
        number(f"{label}: shift", config.get("shift", 1.0), "a number > 0", above=0)
        return
    for key, usual in (("base_shift", 0.5), ("max_shift", 1.15)):
        number(f"{label}: {key}", config.get(key, usual), "a finite number")
    low = whole(f"{label}: base_image_seq_len", config.get("base_image_seq_len", 256), 1)
    if whole(f"{label}: max_image_seq_len", config.get("max_image_seq_len", 4096), 1) == low:
        raise ValueError(f"{label}: max_image_seq_len = {low}: takes another number than base_image_seq_len")


def own_memory(module) -> None:
    """Take the weights of a module that was just loaded out of their file, in place.

    Libraries map a file into memory: who wrote it later would change a model that is loaded, and who cut it short would
    end the process.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.clone()


def digest_of(modules: Iterable, begun: bytes) -> str:
    """A hash of modules' weights, and of the settings by which equal weights would compute something else.

    Args:
        modules: of torch.
        begun: goes before them.
    """
    digest = sha256(begun)
    for module in modules:
        digest.update(json.dumps(_own_settings(module), sort_keys=True, default=str).encode())
        for tensor in module.state_dict().values():
            digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _own_settings(module) -> dict[str, Any]:
    """What a module's configuration sets otherwise than its class does by itself, so that a later version of the
    library, with more settings, says the same; without names of versions, places and precisions."""
    config = getattr(module, "config", None)
    if hasattr(config, "to_dict"):                                              # of transformers
        said, usual = config.to_dict(), type(config)().to_dict()
    else:
        said = dict(config or {})
        usual = {name: one.default for name, one in signature(type(module).__init__).parameters.items()}
    return {name: value for name, value in said.items()
            if not name.startswith("_") and name not in NOT_COMPUTED and _plain(value) != _plain(usual.get(name))}


def _plain(value: Any) -> Any:
    """Lists for tuples, as a file holds them."""
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def check_complete(label: str, part: str, module, missing: Iterable[str] | None = None,
                   files: Iterable[Path] = ()) -> None:
    """ValueError where weights of `module` were not loaded (the library would start them at random) or are not finite.

    Args:
        label: the beginning of the refusal.
        part: the module's name in the pipeline.
        module: as loaded.
        missing: the weights that the library says it did not load; else those are missing that are in none of `files`.
        files: safetensors.
    """
    import torch
    from safetensors import safe_open

    if missing is None:
        held: set[str] = set()
        for file in files:
            with safe_open(file, "pt") as opened:
                held |= set(opened.keys())
        missing = [key for key in module.state_dict() if key not in held]
    lacking = [key for key in missing if not key.endswith("position_ids")]
    if lacking:
        raise ValueError(f"{label}: {part} lacks {len(lacking)} of its weights ({lacking[0]}, ...)")
    for name, weight in module.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise ValueError(f"{label}: {part} has weights that are not finite ({name})")


def check_pipeline(label: str, folder: Path, variant: str | None) -> None:
    """ValueError unless `folder` holds a pipeline that this code can run, with whole weights of `variant`."""
    for part, (library, _) in pipeline_parts(label, folder)[1].items():
        if "tokenizer" in part or part == "scheduler":
            continue
        if (config := folder / part / "config.json").exists():
            check_names_no_code(label, f"{part}/config.json", read_config(label, config, part))
        stem = "model" if library == "transformers" else "diffusion_pytorch_model"
        files = weight_files(folder / part, stem, variant)
        if not files:
            raise ValueError(no_weights(label, folder / part, stem, variant))
        check_weights(label, [f for f in files if f.suffix == ".safetensors"])


def check_settings(device: str, batch: int, compiled: bool) -> None:
    """ValueError for a device that is not there, a batch below 1, or compilation without CUDA."""
    check_device(device)
    whole("batch", batch, 1)
    if compiled and not str(device).startswith("cuda"):
        raise ValueError(f"compiled = True with device = {device!r}: takes a CUDA device")
