"""Directories of strangers: hostile ones run nothing, damaged ones are named, both in one line and before loading."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load, save_file

from phasebook.models.assets import asset
from phasebook.models.pipelines.loading import check_available, load_small_vae, tokenizer_of
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.models.pipelines.staging import staged_clip
from phasebook.models.towers.clip import ClipFeatures, check_feature
from tests.builders import build, edit

EVIL = """open({trace!r}, 'w').close()
class {name}:
    @classmethod
    def from_pretrained(cls, *a, **k):
        return cls()
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return build(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture
def model(pipeline, tmp_path):
    return shutil.copytree(pipeline, tmp_path / "model")


@pytest.fixture
def clip(tmp_path):
    return shutil.copytree(asset("icons-clip-b"), tmp_path / "clip")


@pytest.fixture
def trace(tmp_path):
    """A file that the directory's own Python would make, were it run."""
    return tmp_path / "it-ran"


def refused(call, *words):
    with pytest.raises(ValueError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500
    for word in words:
        assert word in text, text


def code(folder, trace, name="Evil"):
    (folder / "evil.py").write_text(EVIL.format(trace=str(trace), name=name))
    return f"evil.{name}"


# --- code ------------------------------------------------------------------------------------------------------

def test_a_clip_directory_cannot_name_its_own_tokenizer(clip, trace):
    target = code(clip, trace)
    config = json.loads((clip / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"trust_remote_code": True}
    (clip / "open_clip_config.json").write_text(json.dumps(config))
    edit(clip / "tokenizer_config.json", auto_map={"AutoTokenizer": [target, None]}, tokenizer_class="Evil")
    refused(lambda: ClipFeatures.load(clip), "tokenizer_kwargs", "may name code")
    refused(lambda: check_feature(clip), "tokenizer_kwargs")
    assert not trace.exists()


@pytest.mark.parametrize("key, value", [
    ("auto_map", {"AutoTokenizer": ["evil.Evil", None]}), ("trust_remote_code", True), ("tokenizer_class", "Evil"),
    ("tokenizer_class", None), ("tokenizer_file", "/etc/passwd"), ("custom_generate", "evil"),
])
@pytest.mark.parametrize("loader", ["clip", "pipeline", "check"])
def test_a_tokenizer_cannot_name_code_or_another_class(model, clip, trace, loader, key, value):
    folder = clip if loader == "clip" else model / "tokenizer"
    code(folder, trace)
    edit(folder / "tokenizer_config.json", **{key: value})
    call = {"clip": lambda: ClipFeatures.load(clip), "pipeline": lambda: PipelineModel.load(model),
            "check": lambda: tokenizer_of(model)}[loader]
    refused(call, key)
    assert not trace.exists()


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "scheduler"])
@pytest.mark.parametrize("key", ["auto_map", "trust_remote_code", "_module", "custom_pipeline"])
def test_a_part_cannot_name_code(model, trace, part, key):
    code(model / part, trace)
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    edit(model / part / name, **{key: {"AutoModel": "evil.Evil"}})
    refused(lambda: PipelineModel.load(model), key, "may name code")
    assert not trace.exists()


def test_a_text_encoder_cannot_choose_kernels_weights_or_quantisers(model):
    """transformers fetches kernels of attention by the name in a configuration, and counts labels to a billion."""
    edit(model / "text_encoder" / "config.json", attn_implementation="somebody/kernel", num_labels=10**7,
         transformers_weights="../x.safetensors", quantization_config={"quant_method": "bitsandbytes"})
    assert PipelineModel.load(model).shape == (4, 8, 8)


def test_a_text_encoder_is_told_where_a_prompt_ends_if_it_says_so(model):
    """A key that diffusers alone knows; without it words and padding are one to the network."""
    from diffusers import StableDiffusionPipeline

    plain = PipelineModel.load(model).prompt("red apple").conditions["embeddings"][0]
    edit(model / "text_encoder" / "config.json", use_attention_mask=True)
    theirs, _ = StableDiffusionPipeline.from_pretrained(model, use_safetensors=True).encode_prompt(
        "red apple", "cpu", 1, False)
    ours = PipelineModel.load(model).prompt("red apple").conditions["embeddings"][0]
    torch.testing.assert_close(ours, theirs)
    assert (ours - plain).abs().max() > 1e-3


@pytest.mark.parametrize("file, key, value, words", [
    ("scheduler/scheduler_config.json", "num_train_timesteps", 10**9, "num_train_timesteps = 1000000000"),
    ("scheduler/scheduler_config.json", "num_train_timesteps", True, "num_train_timesteps = True"),
    ("scheduler/scheduler_config.json", "beta_schedule", ["linear"], "beta_schedule = ['linear']"),
    ("scheduler/scheduler_config.json", "beta_end", 2.0, "beta_end = 2.0"),
    ("scheduler/scheduler_config.json", "trained_betas", [0.01] * 1000, "has trained_betas; takes one with a beta_sch"),
    ("tokenizer/tokenizer_config.json", "tokenizer_class", ["CLIPTokenizer"], "tokenizer_class = ['CLIPTokenizer']"),
    ("tokenizer/tokenizer_config.json", "model_max_length", 10**9, "model_max_length = 1000000000"),
    ("text_encoder/config.json", "num_hidden_layers", 10**9, "the number 1000000000"),
    ("text_encoder/config.json", "num_hidden_layers", 10**6, "more layers than its weights"),
    ("text_encoder/config.json", "num_hidden_layers", 5.0, "num_hidden_layers"),
    ("unet/config.json", "sample_size", [8, 8, 8], "sample_size = [8, 8, 8]"),
    ("unet/config.json", "norm_eps", float("nan"), "the number nan"),
    ("vae/config.json", "scaling_factor", 0, "scaling_factor = 0"),
], ids=range(13))
def test_numbers_that_are_none_are_refused_at_once(model, file, key, value, words):
    edit(model / file, **{key: value})
    refused(lambda: PipelineModel.load(model), words)


def test_weights_are_numbers(model):
    weights, = (model / "unet").glob("*.safetensors")
    save_file({key: value.to(torch.int32) for key, value in load(weights.read_bytes()).items()}, weights)
    refused(lambda: PipelineModel.load(model), "is I32 in its file")


@pytest.mark.parametrize("make", [
    os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.write_text("[" * 100_000),
    lambda path: path.write_text('{"a": ' + "9" * 5000 + "}"), lambda path: path.mkdir()], ids=range(5))
def test_a_configuration_that_has_no_end_is_refused(model, make):
    (model / "unet" / "config.json").unlink()
    make(model / "unet" / "config.json")
    refused(lambda: check_available(model), "trained = ", "unet/config.json is not readable")
    weights, = (model / "unet").glob("*.safetensors")
    weights.unlink()
    make(weights.with_name(weights.name + ".index.json"))
    refused(lambda: PipelineModel.load(model), "unet")


@pytest.mark.parametrize("part, pair", [
    ("unet", ["evil", "Evil"]), ("vae", ["diffusers", "ConsistencyDecoderVAE"]), ("scheduler", ["os", "system"]),
    ("text_encoder", ["transformers", "AutoModel"]), ("tokenizer", ["transformers", "AutoTokenizer"]),
    ("unet", ["diffusers.models.unets.unet_2d_condition", "UNet2DConditionModel"]),
])
def test_an_index_cannot_name_a_class_outside_the_list(model, trace, part, pair):
    code(model, trace)
    edit(model / "model_index.json", **{part: pair})
    refused(lambda: PipelineModel.load(model), f"its {part} is a", "takes one of")
    refused(lambda: check_available(model), f"its {part} is a")
    assert not trace.exists()


def test_a_file_beside_the_list_is_never_opened(model):
    """A pipe that nobody writes to would block a loader that reads it; a second file of weights is not the first."""
    for part in ("", "unet", "tokenizer", "text_encoder"):
        for name in ("pytorch_model.bin", "a.safetensors", "model.fp16.safetensors"):
            os.mkfifo(model / part / name)
        (model / part / "modeling_evil.py").write_text("raise SystemExit('ran')")
    assert PipelineModel.load(model).shape == (4, 8, 8)


@pytest.mark.parametrize("tower, key, value", [
    ("text_cfg", "hf_model_name", "somebody/model"), ("vision_cfg", "timm_model_name", "resnet50"),
    ("vision_cfg", "act_kwargs", {"inplace": True}), ("text_cfg", "block_type", "evil"),
])
def test_a_clip_directory_cannot_fetch_towers(clip, tower, key, value):
    config = json.loads((clip / "open_clip_config.json").read_text())
    config["model_cfg"][tower][key] = value
    (clip / "open_clip_config.json").write_text(json.dumps(config))
    refused(lambda: ClipFeatures.load(clip), key)


# --- damage ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_every_part_is_whole(model, part):
    weights, = (model / part).glob("*.safetensors")
    tensors = load(weights.read_bytes())
    first = next(iter(tensors))
    save_file({k: v for k, v in tensors.items() if k != first}, weights)
    for call in (PipelineModel.load, PipelineModel.check):          # the one reads them, the other their names
        refused(lambda call=call: call(model), f"{part} lacks 1 of its weights")
    broken = tensors[first].clone()
    broken.view(-1)[0] = torch.nan
    save_file(tensors | {first: broken}, weights)
    refused(lambda: check_available(model), f"{part} has weights that are not finite")
    refused(lambda: PipelineModel.load(model), f"{part} has weights that are not finite")
    weights.rename(weights.with_name("weights.safetensors"))
    refused(lambda: PipelineModel.load(model), f"{part} has no weights", "only weights.safetensors")
    refused(lambda: check_available(model), f"{part} has no weights")


def test_another_part_s_weights_are_no_older_names_of_its_own(model):
    unet, vae = (next((model / part).glob("*.safetensors")) for part in ("unet", "vae"))
    shutil.copy(unet, vae)
    refused(lambda: PipelineModel.check(model), "vae lacks")


def test_a_list_of_shards_is_one_that_libraries_read(model):
    weights, = (model / "unet").glob("*.safetensors")
    shard = weights.rename(weights.with_name("diffusion_pytorch_model-00001-of-00001.safetensors"))
    index = {"metadata": {}, "weight_map": dict.fromkeys(load(shard.read_bytes()), shard.name)}
    listed = model / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    listed.write_text(json.dumps(index))
    assert PipelineModel.load(model).shape == (4, 8, 8)
    listed.write_text(json.dumps({"weight_map": index["weight_map"]}))
    refused(lambda: PipelineModel.check(model), "unet has no weights")


def test_without_its_text_encoder_a_pipeline_is_refused(model):
    (model / "text_encoder" / "model.safetensors").unlink()
    refused(lambda: PipelineModel.load(model), "text_encoder has no weights model.safetensors")
    shutil.rmtree(model / "text_encoder")
    refused(lambda: PipelineModel.load(model), "text_encoder")


@pytest.mark.parametrize("name, content", [
    ("tokenizer.json", None), ("tokenizer.json", "{"), ("tokenizer_config.json", None), ("tokenizer_config.json", "[]"),
    ("tokenizer_config.json", "[" * 100_000), ("tokenizer.json", "null"),
])
def test_a_broken_tokenizer_is_one_line(model, name, content):
    for extra in ("vocab.json", "merges.txt"):
        (model / "tokenizer" / extra).unlink(missing_ok=True)
    file = model / "tokenizer" / name
    file.unlink() if content is None else file.write_text(content)
    refused(lambda: PipelineModel.load(model), "tokenizer")
    refused(lambda: tokenizer_of(model), "tokenizer")


@pytest.mark.parametrize("way", ["added_tokens.json", "additional_special_tokens", "extra_special_tokens"])
def test_words_that_were_added_to_a_tokenizer_are_read(model, way):
    """As textual inversion adds one, in a file of its own or by the configuration: diffusers reads both."""
    from diffusers import StableDiffusionPipeline

    folder = model / "tokenizer"
    table = json.loads((folder / "tokenizer.json").read_text())["model"]
    if way == "added_tokens.json":      # as transformers wrote it until it had tables of one file
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.json").write_text(json.dumps(table["vocab"]))
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, table["merges"])]))
        (folder / way).write_text(json.dumps({"<toy>": len(table["vocab"])}))
    else:
        edit(folder / "tokenizer_config.json", **{way: ["<toy>"]})
    theirs = StableDiffusionPipeline.from_pretrained(model, use_safetensors=True).tokenizer
    ours = PipelineModel.load(model).pipe.tokenizer
    assert ours("red <toy>").input_ids == theirs("red <toy>").input_ids
    assert max(ours("red <toy>").input_ids) == len(table["vocab"])
    refused(lambda: PipelineModel.load(model).prompt("red <toy>"), "prompt = 'red <toy>'", "has no weights for")


def test_open_clip_does_not_prefer_another_file(clip):
    """A pickle beside the checked weights, and a second safetensors file, are passed over."""
    plain = ClipFeatures.load(clip).text(["cat face"])
    (clip / "open_clip_pytorch_model.bin").write_bytes(b"not a pickle")
    shutil.copy(clip / "open_clip_model.safetensors", clip / "a.safetensors")
    torch.testing.assert_close(ClipFeatures.load(clip).text(["cat face"]), plain)
    (clip / "open_clip_model.safetensors").unlink()
    refused(lambda: ClipFeatures.load(clip), "pickled weights are never read")


def test_weights_of_clip_are_finite(clip):
    weights = clip / "open_clip_model.safetensors"
    tensors = load(weights.read_bytes())
    tensors["visual.conv1.weight"][0] = torch.inf
    save_file(tensors, weights)
    refused(lambda: ClipFeatures.load(clip), "not finite")


def test_nothing_is_left_behind(model, clip, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    PipelineModel.load(model)
    ClipFeatures.load(clip)
    edit(model / "tokenizer" / "tokenizer_config.json", auto_map={"a": "b"})
    refused(lambda: PipelineModel.load(model), "auto_map")
    assert list(folder.iterdir()) == []


# --- a small decoder -------------------------------------------------------------------------------------------

@pytest.fixture
def small(tmp_path):
    from diffusers import AutoencoderTiny

    torch.manual_seed(1)
    vae = AutoencoderTiny(encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
                          num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1))
    vae.save_pretrained(tmp_path / "small")
    return tmp_path / "small"


@pytest.mark.parametrize("key, value, words", [
    ("auto_map", {"AutoModel": "evil.Evil"}, "may name code"), ("_class_name", "UNet2DModel", "holds a UNet2DModel"),
    ("scaling_factor", 0, "scaling_factor = 0"), ("latent_channels", 3, "no AutoencoderTiny"),
    ("num_decoder_blocks", [10**6, 1], "no AutoencoderTiny"),
])
def test_a_small_decoder_is_read_by_the_list(small, trace, key, value, words):
    code(small, trace)
    edit(small / "config.json", **{key: value})
    refused(lambda: load_small_vae(small, "float32"), f"small_vae = {str(small)!r}", words)
    assert not trace.exists()


def test_a_small_decoder_is_whole(small):
    weights = small / "diffusion_pytorch_model.safetensors"
    tensors = load(weights.read_bytes())
    decoder = [key for key in tensors if key.startswith("decoder")]
    save_file({k: v for k, v in tensors.items() if k not in decoder}, weights)
    refused(lambda: load_small_vae(small, "float32"), f"lacks {len(decoder)} of its weights")
    save_file(tensors | {decoder[0]: torch.full_like(tensors[decoder[0]], torch.nan)}, weights)
    refused(lambda: load_small_vae(small, "float32"), "not finite")
    weights.rename(small / "diffusion_pytorch_model.bin")
    refused(lambda: load_small_vae(small, "float32"), "pickled weights are never read")
    refused(lambda: load_small_vae(small.parent / "none", "float32"), "no such directory")


# --- files that change -----------------------------------------------------------------------------------------

def test_a_file_that_changes_while_it_is_read_is_refused(model, monkeypatch):
    """Replaced by a whole other one, as a download does, between the look at its header and the read."""
    from diffusers import UNet2DConditionModel

    weights, read = model / "unet" / "diffusion_pytorch_model.safetensors", UNet2DConditionModel.from_pretrained
    other = {key: value + 1 for key, value in load(weights.read_bytes()).items()}

    def swapped(*args, **options):
        save_file(other, weights.with_name("new"))
        os.replace(weights.with_name("new"), weights)
        return read(*args, **options)

    monkeypatch.setattr(UNet2DConditionModel, "from_pretrained", swapped)
    refused(lambda: PipelineModel.load(model), "diffusion_pytorch_model.safetensors", "changed while it was read")


def test_small_files_are_those_that_were_checked(clip):
    with staged_clip("clip", clip) as clean:
        before = {file.name: file.read_bytes() for file in clean.iterdir()}
        for file in clip.iterdir():
            if file.suffix != ".safetensors":
                file.write_text("{}")
        assert {file.name: file.read_bytes() for file in clean.iterdir()} == before


def test_a_loaded_model_is_not_its_file(model):
    """Libraries map weights into memory: whoever writes the file would change a model that is loaded."""
    loaded = PipelineModel.load(model)
    parts = [getattr(loaded.pipe, part) for part in ("unet", "vae", "text_encoder")]
    before = [{key: value.clone() for key, value in part.state_dict().items()} for part in parts]
    for weights in model.rglob("*.safetensors"):
        with open(weights, "r+b") as stream:
            stream.write(bytes(weights.stat().st_size))
    for part, known in zip(parts, before, strict=True):
        assert all(torch.equal(value, known[key]) for key, value in part.state_dict().items())
