"""Features against open_clip's own preprocessing and towers, and every checkpoint that must be refused."""

import json
import os
import re
import shutil
import subprocess
import sys

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save_file

from phasebook.models.clip import ClipFeatures, check_feature
from phasebook.sampling.tangents import forward_mode, pushed

TINY = {"embed_dim": 8, "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "patch_size": 16, "head_width": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random CLIP as an open_clip directory, and as a model that open_clip knows by name."""
    root = tmp_path_factory.mktemp("clip")
    (root / "tiny-clip.json").write_text(json.dumps(TINY))
    (root / "tiny-clip-quickgelu.json").write_text(json.dumps(TINY | {"quick_gelu": True}))
    open_clip.add_model_config(root / "tiny-clip.json")
    open_clip.add_model_config(root / "tiny-clip-quickgelu.json")
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-clip")
    out = root / "local"
    out.mkdir()
    preprocess = {"size": [32, 32], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic",
                  "resize_mode": "shortest"}
    (out / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": preprocess}))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, out / "open_clip_model.safetensors")
    return out


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def pictures(n, y, x, seed=0):
    """Smooth pictures in [0, 1] of 8-bit values, as arrays of bytes and as tensors."""
    field = torch.randn(n, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(field, (y, x), mode="bilinear", align_corners=False).sigmoid()
    as_bytes = (smooth * 255).round().byte()
    return as_bytes.movedim(1, -1).numpy(), as_bytes.float() / 255


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (100, 36), (32, 32), (20, 24)])
def test_preprocessing_is_open_clips_own(folder, size):
    """open_clip resizes bytes with Pillow, which rounds; tensors do not: a byte apart at most, times 1/std."""
    as_bytes, pixels = pictures(3, *size)
    theirs = open_clip.image_transform(32, is_train=False, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4),
                                       interpolation="bicubic", resize_mode="shortest")
    expected = torch.stack([theirs(Image.fromarray(b)) for b in as_bytes])
    ours = ClipFeatures.load(folder).prepare(pixels)
    assert ours.shape == expected.shape
    assert (ours - expected).abs().max() <= 1.6 / 255 / 0.2


def test_features_are_the_towers_embedding(folder):
    _, pixels = pictures(5, 32, 32)
    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    mean, std = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1), torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    with torch.no_grad():
        plain = model.eval().encode_image((pixels - mean) / std)
    for batch in (1, 2, 5, 64):
        torch.testing.assert_close(ClipFeatures.load(folder, batch=batch)(pixels), plain, atol=1e-5, rtol=1e-5)
    unit = ClipFeatures.load(folder, normalise=True)(pixels)
    torch.testing.assert_close(unit, plain / plain.norm(dim=-1, keepdim=True), atol=1e-5, rtol=1e-5)


def test_a_name_with_a_file_and_the_words(folder):
    features = ClipFeatures.load("tiny-clip", str(folder / "open_clip_model.safetensors"))
    prompts = ["a red apple", "a cat face", "nothing"]
    with torch.no_grad():
        expected = features.model.encode_text(open_clip.get_tokenizer("tiny-clip")(prompts))
    torch.testing.assert_close(features.text(prompts), torch.nn.functional.normalize(expected, dim=-1))


def test_tangents_through_resizing_and_tower(folder):
    features = ClipFeatures.load(folder)
    features.model.double()
    _, pixels = pictures(2, 48, 48)
    pixels = pixels.double() * 0.8 + 0.1
    d = torch.randn(*pixels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with forward_mode():
        value, exact = pushed(lambda x: (features.embed(x),))(pixels, d)
    near = (features.embed(pixels + 1e-5 * d) - features.embed(pixels - 1e-5 * d)) / 2e-5
    torch.testing.assert_close(value, features.embed(pixels))
    assert (exact - near).abs().max() < 1e-6 * near.abs().max()


# --- one clear line each ----------------------------------------------------------------------------------------

def refuses(match, *args, **kwargs):
    with pytest.raises(ValueError, match=match) as caught:
        ClipFeatures.load(*args, **kwargs)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_names_and_tags(folder, tmp_path):
    refuses("feature = 'ViT-B-23': no such directory, and no model of open_clip", "ViT-B-23", "openai")
    refuses("feature = 'ViT-B-32-quickgelu': needs a checkpoint; takes one of openai", "ViT-B-32-quickgelu")
    refuses("pretrained = 'opeani': neither a file nor a checkpoint", "ViT-B-32-quickgelu", "opeani")
    refuses("holds no open_clip_config.json", tmp_path)
    refuses("device = 'tpu9'", folder, device="tpu9")
    refuses("dtype = 'int8'", folder, dtype="int8")


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
    ("preprocess_cfg.std", [float("nan")] * 3, "std = [nan, nan, nan]"),
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


def test_no_network_is_one_quick_line(tmp_path):
    """In a process of its own: the switch is read at import. With '0' the hub's address leads nowhere."""
    code = ("import time\nfrom phasebook.models.clip import ClipFeatures\nt = time.time()\n"
            "try: ClipFeatures.load('ViT-B-32-quickgelu', 'openai')\n"
            "except ValueError as e: print(round(time.time() - t), str(e))")
    for offline in ("1", "0"):
        nowhere = {"HF_HUB_OFFLINE": offline, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | nowhere)
        lines = done.stdout.strip().splitlines()
        assert len(lines) == 1 and "not in the local cache, and cannot be fetched from the hub" in lines[0]
        assert float(lines[0].split()[0]) < 60
