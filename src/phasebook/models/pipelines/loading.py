"""From a directory or a hub id to a diffusers pipeline in memory."""

import inspect
from collections import Counter
from pathlib import Path

from phasebook.models.pipelines.checkpoints import (
    cause,
    check_complete,
    check_pipeline,
    known_directory,
    own_memory,
    pipeline_parts,
    quiet,
)
from phasebook.models.pipelines.family import Family
from phasebook.models.pipelines.noise import Noise, noise_of
from phasebook.models.pipelines.outlines import outline
from phasebook.models.pipelines.staging import read_config, staged, staged_part

__all__ = ["check_available", "fetch_pipeline", "load_parts", "load_small_vae", "noise_at", "tokenizer_of",
           "unreachable"]

TOKENS = 1024       # of a picture, where only the number of levels is asked for


def _local_or_hub(label: str, name: str | Path) -> Path | None:
    """The directory that `name` means, or None if it can be a hub id; ValueError if it can be neither."""
    text = str(name)
    folder = known_directory(name)
    if folder is None and (text.count("/") != 1 or text.startswith((".", "/", "~")) or text.endswith("/")):
        raise ValueError(f"{label}: no such directory, and no hub id (OWNER/NAME)")
    return folder


def fetch_pipeline(name: str | Path, revision: str | None = None, variant: str | None = None) -> Path:
    """The checked local directory of a pipeline: `name` itself, or the hub's `name` at `revision`, fetched if need be.

    Without a network, or with HF_HUB_OFFLINE=1, a hub model must be in the local cache already. Raises ValueError.
    """
    label = f"model = {str(name)!r}"
    folder = _local_or_hub(label, name) or _download(label, str(name), revision, variant)
    check_pipeline(label, folder, variant)
    return folder


def check_available(name: str | Path, revision: str | None = None, variant: str | None = None,
                    parameter: str = "trained") -> None:
    """ValueError unless `fetch_pipeline` has something to fetch: cheap, and nothing is loaded or downloaded."""
    label = f"{parameter} = {str(name)!r}"
    folder = _local_or_hub(label, name)
    if folder:
        return check_pipeline(label, folder, variant)
    from huggingface_hub import snapshot_download

    if reason := unreachable(str(name), revision):
        try:
            snapshot_download(str(name), revision=revision, local_files_only=True)
        except Exception:  # the hub's client raises several kinds
            raise ValueError(f"{label}: not in the local cache, and the hub is out of reach ({reason})") from None


def unreachable(name: str, revision: str | None = None) -> str:
    """Why the hub cannot be asked for `name`, or '' if it can; answers within seconds."""
    from huggingface_hub import constants, model_info

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        model_info(name, revision=revision, timeout=10)
    except Exception as error:  # the hub's client raises its own kinds, the socket's and httpx's
        return cause(error)
    return ""


def _download(label: str, name: str, revision: str | None, variant: str | None) -> Path:
    from huggingface_hub import try_to_load_from_cache

    reason = unreachable(name, revision)
    try:
        if reason and not isinstance(try_to_load_from_cache(name, "model_index.json", revision=revision), str):
            raise FileNotFoundError(name)
        from diffusers import DiffusionPipeline  # takes seconds, which a refusal need not

        return Path(DiffusionPipeline.download(
            name, revision=revision, variant=variant, use_safetensors=True, local_files_only=bool(reason),
            safety_checker=None, feature_extractor=None, requires_safety_checker=False, trust_remote_code=False))
    except Exception as error:  # the hub's client raises several kinds
        raise ValueError(f"{label}: not in the local cache, and cannot be fetched from the hub "
                         f"({reason or cause(error)})") from None


def load_parts(label: str, folder: Path, variant: str | None, dtype: str, *, weights: bool = True):
    """The diffusers pipeline in a checked directory, complete and finite; nothing but the allowlist is read.

    Args:
        label: the beginning of every refusal.
        folder: the pipeline's directory.
        variant: of the weights' file names.
        dtype: of the weights.
        weights: whether they are read; else all parts are shapes alone, on torch's device `meta`.

    Raises:
        ValueError: one line, for whatever is not there, not whole, or names code.
    """
    import diffusers
    import torch
    import transformers

    family, index = pipeline_parts(label, folder)
    libraries = {"diffusers": diffusers, "transformers": transformers}
    classes = {part: getattr(libraries[library], name) for part, (library, name) in index.items()}
    options = {"dtype": getattr(torch, dtype), "local_files_only": True, "use_safetensors": True, "variant": variant}
    loaded = {}
    with quiet(), staged(label, folder, index, classes, variant) as clean:
        for part in index:
            try:
                if part == "scheduler" or "tokenizer" in part:
                    loaded[part] = classes[part].from_pretrained(clean / part, local_files_only=True)
                    continue
                loaded[part] = outline(classes[part], clean / part, variant, part == family.network)
                if not weights:
                    continue
                loaded[part], said = classes[part].from_pretrained(clean / part, output_loading_info=True, **options)
            except Exception as error:  # configurations that are none make the libraries raise some ten kinds
                raise ValueError(f"{label}: diffusers cannot load its {part} ({cause(error)})") from None
            own_memory(loaded[part])
            if index[part][0] == "diffusers":       # where the first weight is a table it leaves all as they lie
                for weight in loaded[part].parameters():
                    weight.data = weight.data.to(options["dtype"])
            check_complete(label, part, loaded[part], said["missing_keys"])
        return getattr(diffusers, family.pipeline)(**loaded, **_absent(label, folder, family, set(loaded)))


def _absent(label: str, folder: Path, family: Family, loaded: set[str]) -> dict[str, object]:
    """What a pipeline's class asks for besides the parts: nothing for other parts, its own word on switches and the
    names of classes."""
    import diffusers

    own = read_config(label, folder / "model_index.json", "diffusers pipeline")
    values: dict[str, object] = {}
    for name in set(inspect.signature(getattr(diffusers, family.pipeline).__init__).parameters) - loaded - {"self"}:
        switch = name in ("requires_safety_checker", "add_watermarker", "force_zeros_for_empty_prompt")
        values[name] = bool(own.get(name, True)) if name.startswith("force") else False if switch else None
    if (names := own.get("id2label")) is not None and "id2label" in values:
        if not isinstance(names, dict) or not all(
                key.isdecimal() and len(key) < 10 and isinstance(name, str) for key, name in names.items()):
            raise ValueError(f"{label}: id2label in model_index.json; takes names by number")
        each = {key: {part.strip() for part in name.split(",")} for key, name in names.items()}
        several = Counter(part for parts in each.values() for part in parts)     # ImageNet has two cranes: no name
        values["id2label"] = {key: ",".join(sorted(part for part in parts if several[part] == 1))
                              for key, parts in each.items()}
    return values


def tokenizer_of(name: str | Path):
    """The CLIP tokenizer of a pipeline in a local directory; None for a hub's, or a pipeline without one. ValueError
    where it is not whole."""
    from transformers import CLIPTokenizer

    folder = known_directory(name)
    if folder is None:
        return None
    label = f"model = {str(name)!r}"
    parts = pipeline_parts(label, folder)[1]
    if "tokenizer" not in parts or parts["tokenizer"][1].startswith("T5"):
        return None
    with quiet(), staged(label, folder, {"tokenizer": parts["tokenizer"]}, {}) as clean:
        try:
            return CLIPTokenizer.from_pretrained(clean / "tokenizer", local_files_only=True)
        except Exception as error:  # a broken table makes the library raise some five different kinds
            raise ValueError(f"{label}: its tokenizer cannot be loaded ({cause(error)})") from None


def noise_at(name: str | Path) -> Noise | None:
    """The noise levels of a pipeline in a local directory, from its scheduler's configuration alone; None for a hub's.

    Raises:
        ValueError: one line, for a scheduler that this code does not know.
    """
    import diffusers

    folder = known_directory(name)
    if folder is None:
        return None
    label = f"model = {str(name)!r}"
    family, parts = pipeline_parts(label, folder)
    kind = getattr(diffusers, parts["scheduler"][1])
    with quiet(), staged(label, folder, {"scheduler": parts["scheduler"]}, {"scheduler": kind}) as clean:
        try:
            scheduler = kind.from_pretrained(clean / "scheduler", local_files_only=True)
        except Exception as error:  # configurations of the wrong type make it raise some five kinds
            raise ValueError(f"{label}: diffusers cannot load its scheduler ({cause(error)})") from None
    return noise_of(label, scheduler, TOKENS, type(family).__name__ == "Flux", family.flow, "ddim")


def load_small_vae(name: str | Path, dtype: str):
    """The AutoencoderTiny in a directory or of a hub id, complete and finite; nothing but the allowlist is read.

    Args:
        name: a directory (also one below assets/) or a hub id.
        dtype: of the weights.

    Raises:
        ValueError: one line, for whatever is not there, not whole, or names code.
    """
    import torch
    from diffusers import AutoencoderTiny

    label = f"small_vae = {str(name)!r}"
    folder = _local_or_hub(label, name) or _download_vae(label, str(name))
    with quiet(), staged_part(label, folder, AutoencoderTiny) as clean:
        try:
            outline(AutoencoderTiny, clean)
            vae, said = AutoencoderTiny.from_pretrained(clean, output_loading_info=True, dtype=getattr(torch, dtype),
                                                        use_safetensors=True, local_files_only=True)
        except Exception as error:  # configurations that are none make diffusers raise some ten kinds
            raise ValueError(f"{label}: no AutoencoderTiny ({cause(error)})") from None
        own_memory(vae)
        check_complete(label, "it", vae, said["missing_keys"])
    return vae


def _download_vae(label: str, name: str) -> Path:
    from huggingface_hub import snapshot_download

    reason = unreachable(name)
    try:
        return Path(snapshot_download(name, allow_patterns=["config.json", "diffusion_pytorch_model.safetensors"],
                                      local_files_only=bool(reason)))
    except Exception as error:  # the hub's client raises several kinds
        raise ValueError(f"{label}: no AutoencoderTiny in the local cache, and none can be fetched from the hub "
                         f"({reason or cause(error)})") from None
