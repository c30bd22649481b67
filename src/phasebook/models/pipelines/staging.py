"""What of a model's directory is read: an allowlist of files, classes and configuration keys, for every loader.

A directory comes from a stranger. The libraries that load models read more of it than weights: a tokenizer's or a
model's configuration may name Python code to import, a text tower to fetch, a file to unpickle. So none of them is
pointed at the directory itself. `staged` lays out a new one that holds the weights in the list, copies of the
tokenizers' tables and configurations with the keys in the list, and nothing else; whatever names code, or a class that
is not in the list, is refused in one line before any library sees it. Weights are links: where such a file is another
one at the end of loading than at its beginning, the load is refused.
"""

import inspect
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phasebook.models.pipelines.layout import Layout, laid_out

__all__ = ["check_names_no_code", "no_weights", "read_config", "staged", "staged_clip", "staged_part", "staged_vision",
           "vision_class", "weight_files"]

# Keys by which the libraries import, fetch or unpickle what the directory names.
CODE = {"auto_map", "custom_code", "custom_pipeline", "custom_pipelines", "custom_generate", "hf_model_name",
        "hf_model_pretrained", "_module", "__module__", "module", "python", "timm_model_name", "timm_model_pretrained",
        "tokenizer_file", "tokenizer_kwargs", "trust_remote_code", "vocab_file", "merges_file", "processor_class"}
TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer.json", "special_tokens_map.json", "spiece.model",
                   "added_tokens.json")
TABLES = {"vocab.json", "added_tokens.json"}        # words by number: any word may stand there
TOKENIZER_KEYS = {"add_prefix_space", "added_tokens_decoder", "additional_special_tokens", "backend", "bos_token",
                  "clean_up_tokenization_spaces", "cls_token", "do_lower_case", "eos_token", "errors", "extra_ids",
                  "extra_special_tokens", "legacy", "mask_token", "max_length", "model_max_length", "pad_token",
                  "padding_side", "sep_token", "sp_model_kwargs", "tokenizer_class", "truncation_side", "unk_token"}
TOKENIZERS = {"CLIPTokenizer", "CLIPTokenizerFast", "T5Tokenizer", "T5TokenizerFast"}
LARGEST = 64 << 20          # bytes of a configuration or a tokenizer's table


def read_config(label: str, path: Path, what: str) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ValueError: one line that begins with `label`, for a file that is missing, too large, or no JSON object.
    """
    try:
        if path.exists() and not path.is_file():        # a pipe or a device has no end
            raise OSError("no file")
        if path.stat().st_size > LARGEST:
            raise OSError(f"{path.stat().st_size} bytes")
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{label}: no {what} ({path.parent.name}/{path.name} is missing)") from None
    except (OSError, ValueError, RecursionError) as error:      # ValueError: no text, no JSON, an endless number
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ValueError(f"{label}: {path.parent.name}/{path.name} is not readable ({reason})") from None
    if not isinstance(values, dict):
        raise ValueError(f"{label}: {path.parent.name}/{path.name} is not readable (no JSON object)")
    return values


def check_names_no_code(label: str, where: str, values: Any) -> None:
    """ValueError where a configuration, at whatever depth, has a key by which a library would run or fetch things."""
    if isinstance(values, Mapping):
        bad = sorted(CODE & set(values))
        named = [key for key in bad if values[key] not in (None, False, "", [], {})]
        if named:
            raise ValueError(f"{label}: {where} names {named[0]} = {str(values[named[0]])[:60]!r}; nothing in a "
                             "model's directory may name code or another model")
        for value in values.values():
            check_names_no_code(label, where, value)
    elif isinstance(values, list):
        for value in values:
            check_names_no_code(label, where, value)


def _kept(values: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in keys}


def weight_files(folder: Path, stem: str, variant: str | None) -> list[Path]:
    """The weights of a part by their exact names: one safetensors file, or the shards of an index beside it."""
    ending = f".{variant}.safetensors" if variant else ".safetensors"
    if (folder / (stem + ending)).is_file():
        return [folder / (stem + ending)]
    index = folder / (f"{stem}.safetensors.index.{variant}.json" if variant else f"{stem}.safetensors.index.json")
    if not index.is_file():
        return []
    try:
        listed = read_config(stem, index, "list of weights")
        shards = sorted(set(listed["weight_map"].values()))
        dict(listed["metadata"])            # libraries ask for it
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    plain = [name for name in shards if isinstance(name, str) and Path(name).name == name]
    files = [folder / name for name in plain]
    whole = len(plain) == len(shards) and all(f.is_file() and f.suffix == ".safetensors" for f in files)
    return [index, *files] if whole else []


def _known(config: type) -> set[str]:
    """Keys of a configuration of transformers that describe the model, of what the library would do besides none: it
    takes kernels of attention from a hub, weights of another name, and quantisers, and answers in other forms.
    `use_attention_mask` is diffusers' own: whether its pipelines tell a text encoder where a prompt ends."""
    own = set(config().to_dict()) - {"quantization_config", "_name_or_path", "architectures", "dtype"}
    return own - {"return_dict", "output_hidden_states", "output_attentions"} | {"use_attention_mask"}


def _signature(kind: type) -> set[str]:
    return set(inspect.signature(kind.__init__).parameters) - {"self", "kwargs", "args"}


def _stage_config(label: str, source: Path, target: Path, keys: Callable[[dict], Collection[str]], what: str) -> dict:
    values = read_config(label, source, what)
    check_names_no_code(label, f"{source.parent.name}/{source.name}", values)
    values = _kept(values, keys(values))
    target.write_text(json.dumps(values), encoding="utf-8")
    return values


def _stage_tokenizer(stage: Layout, source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    label = stage.label
    config = source / "tokenizer_config.json"
    values = _stage_config(label, config, target / config.name, lambda _: TOKENIZER_KEYS, "tokenizer")
    kind = values.get("tokenizer_class")
    if kind not in sorted(TOKENIZERS):
        raise ValueError(f"{label}: {source.name}/{config.name} has tokenizer_class = {kind!r}; takes one of "
                         f"{', '.join(sorted(TOKENIZERS))}")
    files = [source / name for name in TOKENIZER_FILES if (source / name).is_file()]
    if not {"vocab.json", "tokenizer.json", "spiece.model"} & {f.name for f in files}:
        raise ValueError(f"{label}: {source.name} has no table of words (vocab.json with merges.txt, or "
                         "tokenizer.json)")
    for file in files:
        stage.add(file, target / file.name)
        if file.suffix == ".json":
            check_names_no_code(label, f"{source.name}/{file.name}", read_config(label, target / file.name, "tokenizer")
                                if file.name not in TABLES else None)


@contextmanager
def staged(label: str, folder: Path, index: Mapping[str, tuple[str, str]], classes: Mapping[str, type],
           variant: str | None = None) -> Iterator[Path]:
    """A directory with what may be read of a diffusers pipeline, for the time of loading.

    Args:
        label: the beginning of every refusal, such as "model = 'emoji'".
        folder: the pipeline's directory.
        index: part to (library, class name), as checked by the caller: only these parts are laid out.
        classes: part to its class, for all parts but the tokenizers.
        variant: of the weights' file names.

    Raises:
        ValueError: one line, for a file that is missing, or a configuration that names code.
    """
    with laid_out(label, "model", folder) as stage:
        out = stage.place
        for part in index:
            if "tokenizer" in part:
                _stage_tokenizer(stage, folder / part, out / part)
                continue
            (out / part).mkdir()
            if "scheduler" in part:     # plain data; others are made from a scheduler's further keys (clip_sample)
                name = f"{part}/scheduler_config.json"
                _stage_config(label, folder / name, out / name, lambda values: set(values) - {"_name_or_path"}, part)
            else:
                _stage_part(stage, folder / part, out / part, classes[part], part, variant)
        own = {"_class_name": read_config(label, folder / "model_index.json", "diffusers pipeline")["_class_name"]}
        (out / "model_index.json").write_text(json.dumps(own | {part: list(pair) for part, pair in index.items()}))
        yield out


def _stage_part(stage: Layout, source: Path, target: Path, kind: type, what: str, variant: str | None) -> None:
    """Configuration and weights of one module of diffusers or transformers."""
    ours = hasattr(kind, "load_config")     # of diffusers
    keys = _signature(kind) | {"_class_name", "_diffusers_version"} if ours else _known(kind.config_class)
    _stage_config(stage.label, source / "config.json", target / "config.json", lambda _: keys, what)
    stem = "diffusion_pytorch_model" if ours else "model"
    files = weight_files(source, stem, variant)
    if not files:
        raise ValueError(no_weights(stage.label, source, stem, variant))
    for file in files:
        stage.add(file, target / file.name)


@contextmanager
def staged_part(label: str, folder: Path, kind: type) -> Iterator[Path]:
    """A directory with what may be read of one module that lies in a directory of its own, for the time of loading.

    Args:
        label: the beginning of every refusal.
        folder: the module's directory.
        kind: its class, of diffusers.

    Raises:
        ValueError: one line, for a file that is missing, a configuration that names code, or one of another class.
    """
    named = read_config(label, folder / "config.json", kind.__name__).get("_class_name", kind.__name__)
    if named != kind.__name__:
        raise ValueError(f"{label}: holds a {str(named)[:60]}; takes an {kind.__name__}")
    with laid_out(label, "model", folder) as stage:
        _stage_part(stage, folder, stage.place, kind, kind.__name__, None)
        yield stage.place


def no_weights(label: str, folder: Path, stem: str, variant: str | None) -> str:
    """The refusal of a part without weights of the exact name."""
    wanted = f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"
    others = sorted(f.name for f in folder.glob("*") if f.is_file() and f.suffix not in (".json", ".md", ".txt"))[:3]
    there = f" (only {', '.join(others)})" if others else ""
    return f"{label}: {folder.name} has no weights {wanted}{there}; pickled weights are never read"


# What an open_clip directory may say: plain numbers and words that shape its own two towers.
CLIP_KEYS = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_scale", "init_logit_bias"}
VISION_KEYS = {"layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "pool_type", "no_ln_pre",
               "pos_embed_type", "final_ln_after_pool", "ls_init_value", "attentional_pool", "attn_pooler_queries",
               "attn_pooler_heads"}
TEXT_KEYS = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "hf_tokenizer_name", "embed_cls",
             "pad_id", "eos_id", "no_causal_mask", "final_ln_after_pool", "pool_type", "proj_bias", "proj_type",
             "ls_init_value"}
PREPROCESS_KEYS = {"size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color"}
CLIP_WEIGHTS = "open_clip_model.safetensors"


@contextmanager
def staged_clip(label: str, folder: Path) -> Iterator[Path]:
    """A directory with what may be read of an open_clip model, for the time of loading.

    Raises:
        ValueError: one line, for a file that is missing, or a configuration with a key that is not in the list.
    """
    file = folder / "open_clip_config.json"
    if not file.is_file() or not (folder / CLIP_WEIGHTS).is_file():
        raise ValueError(f"{label}: {folder} holds no open_clip_config.json with {CLIP_WEIGHTS} beside it; pickled "
                         "weights are never read")
    values = read_config(label, file, "open_clip configuration")
    check_names_no_code(label, file.name, values)
    model = values.get("model_cfg")
    parts = [(values, {"model_cfg", "preprocess_cfg"}), (model, CLIP_KEYS)]
    if isinstance(model, dict):
        parts += [(model.get("vision_cfg"), VISION_KEYS), (model.get("text_cfg"), TEXT_KEYS)]
    parts.append((values.get("preprocess_cfg", {}), PREPROCESS_KEYS))
    for part, keys in parts:
        if not isinstance(part, dict):
            raise ValueError(f"{label}: {file.name} is not readable (takes model_cfg with vision_cfg and text_cfg)")
        unknown = sorted(set(part) - keys)
        if unknown:
            raise ValueError(f"{label}: {file.name} has the key {unknown[0]!r}; takes {', '.join(sorted(keys))}")
    with laid_out(label, "clip", folder) as stage:
        (stage.place / file.name).write_text(json.dumps(values), encoding="utf-8")
        stage.add(folder / CLIP_WEIGHTS, stage.place / CLIP_WEIGHTS)
        if model["text_cfg"].get("hf_tokenizer_name"):
            _stage_tokenizer(stage, folder, stage.place)
        yield stage.place


# Vision models of transformers by `model_type`; those of two towers are read for their pictures' alone.
VISION = {"clip": "CLIPVisionModelWithProjection", "clip_vision_model": "CLIPVisionModel", "vit": "ViTModel",
          "deit": "DeiTModel", "beit": "BeitModel", "dinov2": "Dinov2Model", "siglip": "SiglipVisionModel",
          "siglip_vision_model": "SiglipVisionModel", "swin": "SwinModel", "convnext": "ConvNextModel",
          "resnet": "ResNetModel"}


def vision_class(label: str, folder: Path) -> tuple[type, dict[str, Any]]:
    """The class of a vision model in a directory, and what of its configuration may be read.

    Raises:
        ValueError: one line, for a configuration that is missing, names code, or is of another model.
    """
    import transformers

    values = read_config(label, folder / "config.json", "vision model of transformers")
    check_names_no_code(label, "config.json", values)
    named = values.get("model_type")
    if not isinstance(named, str) or named not in VISION:
        raise ValueError(f"{label}: model_type = {named!r}; takes one of {', '.join(VISION)}")
    kind = VISION[named]
    if values.get("architectures") == ["CLIPVisionModelWithProjection"]:
        kind = "CLIPVisionModelWithProjection"
    if isinstance(values.get("vision_config"), dict):
        values = values["vision_config"] | {k: values[k] for k in ("projection_dim",) if k in values}
    tower = getattr(transformers, kind)
    return tower, _kept(values, _known(tower.config_class)) | {"model_type": tower.config_class.model_type}


@contextmanager
def staged_vision(label: str, folder: Path) -> Iterator[tuple[Path, type]]:
    """A directory with what may be read of a vision model of transformers, for the time of loading, and its class.

    Raises:
        ValueError: one line, as `vision_class` does.
    """
    kind, values = vision_class(label, folder)
    with laid_out(label, "vision", folder) as stage:
        (stage.place / "config.json").write_text(json.dumps(values), encoding="utf-8")
        for file in weight_files(folder, "model", None):
            stage.add(file, stage.place / file.name)
        yield stage.place, kind
