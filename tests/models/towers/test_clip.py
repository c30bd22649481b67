"""Features by open_clip: names and tags, words, and every checkpoint that must be refused."""

import json
import re
import shutil

import open_clip
import pytest
import torch
from safetensors.torch import load, save_file

from phasebook.models.towers.clip import ClipFeatures, check_feature


@pytest.fixture
def copy(clip_folder, tmp_path):
    return shutil.copytree(clip_folder, tmp_path / "copy")


def test_a_name_with_a_file_and_the_words(clip_folder):
    features = ClipFeatures.load("tiny-clip", str(clip_folder / "open_clip_model.safetensors"))
    prompts = ["a red apple", "a cat face", "nothing"]
    with torch.no_grad():
        expected = features.model.encode_text(open_clip.get_tokenizer("tiny-clip")(prompts))
    torch.testing.assert_close(features.text(prompts), torch.nn.functional.normalize(expected, dim=-1))


# --- one clear line each ----------------------------------------------------------------------------------------

def refuses(match, *args, **kwargs):
    with pytest.raises(ValueError, match=match) as caught:
        ClipFeatures.load(*args, **kwargs)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_names_and_tags(clip_folder, tmp_path):
    refuses("name = 'ViT-B-23': no such directory, and no model of open_clip", "ViT-B-23", "openai")
    refuses("name = 'ViT-B-32-quickgelu': needs a checkpoint; takes one of openai", "ViT-B-32-quickgelu")
    refuses("pretrained = 'opeani': neither a file nor a checkpoint", "ViT-B-32-quickgelu", "opeani")
    refuses("holds no open_clip_config.json", tmp_path)
    refuses("device = 'tpu9'", clip_folder, device="tpu9")
    refuses("dtype = 'int8'", clip_folder, dtype="int8")


def test_an_activation_that_is_not_the_weights_own():
    refuses("trained with the quick GELU, this model has the other; take 'ViT-B-32-quickgelu'", "ViT-B-32", "openai")


def test_weights_that_are_not_whole_or_not_safetensors(copy, tmp_path):
    weights = copy / "open_clip_model.safetensors"
    whole, tensors = weights.read_bytes(), load(weights.read_bytes())
    weights.write_bytes(whole[:1000])
    refuses("corrupted or truncated", copy)
    refuses("corrupted or truncated", "tiny-clip", str(weights))
    save_file({k: v for k, v in tensors.items() if k != "visual.proj"}, weights)
    refuses("open_clip cannot load it", copy)
    weights.rename(copy / "open_clip_pytorch_model.bin")
    refuses("pickled weights are never read", copy)
    refuses("takes a .safetensors file", "tiny-clip", str(copy / "open_clip_pytorch_model.bin"))


def test_a_configuration_that_is_not_readable(copy):
    (copy / "open_clip_config.json").write_text("{}")
    refuses("open_clip_config.json is not readable", copy)
    (copy / "open_clip_config.json").write_text("{")
    refuses("open_clip_config.json is not readable", copy)


@pytest.mark.parametrize("place, value, words", [
    ("preprocess_cfg.mean", [0], "mean = [0]; takes three numbers"),
    ("preprocess_cfg.mean", ["a", "b", "c"], "takes three numbers"),
    ("preprocess_cfg.std", [0, 0, 0], "std = [0, 0, 0]; takes three numbers > 0"),
    ("preprocess_cfg.std", [float("nan")] * 3, "the number nan in open_clip_config.json"),
    ("preprocess_cfg.size", 0, "size = 0; takes 1 to 4096"),
    ("preprocess_cfg.size", [1, 2, 3], "size = [1, 2, 3]"),
    ("preprocess_cfg.interpolation", "evil", "interpolation = 'evil'; takes bicubic or bilinear"),
    ("preprocess_cfg.resize_mode", "longest", "resize_mode = 'longest'; takes shortest or squash"),
    ("model_cfg.vision_cfg.image_size", 0, "image_size = 0"),
    ("model_cfg.vision_cfg.image_size", 10**5, "image_size = 100000"),
    ("model_cfg.text_cfg.context_length", 0, "context_length = 0"),
    ("model_cfg.text_cfg.layers", 10**9, "the number 1000000000 in open_clip_config.json"),
    ("model_cfg.text_cfg.layers", 10**6, "more layers than its weights"),
    ("model_cfg.vision_cfg.layers", 10**6, "more layers than its weights"),
])
def test_numbers_out_of_proportion_are_refused_at_once(copy, place, value, words):
    """A billion layers are not made, and pictures are not divided by zero."""
    file = copy / "open_clip_config.json"
    config = json.loads(file.read_text())
    *path, key = place.split(".")
    part = config
    for name in path:
        part = part[name]
    part[key] = value
    file.write_text(json.dumps(config))
    for call in (check_feature, ClipFeatures.load):
        with pytest.raises(ValueError, match=re.escape(words)) as refused:
            call(copy)
        assert "\n" not in str(refused.value)
