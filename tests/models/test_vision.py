"""Vision models of transformers as features: their own processors and towers, and directories that must be refused."""

import json
import shutil

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load, save_file

from phasebook.models.clip import ClipFeatures
from phasebook.models.vision import VisionFeatures, check_features, has_no_words, load_features
from phasebook.sampling.tangents import forward_mode, pushed
from tests.builders import edit
from tests.models.test_clip import pictures

SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32}
SCALED = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4], "do_rescale": True, "do_normalize": True}
SQUASHED = {"size": {"height": 32, "width": 32}, "do_resize": True, "resample": 2}
CUT = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True, "resample": 3,
       "do_resize": True}
KINDS = {
    "clip": ("CLIPVisionModelWithProjection", SMALL | {"patch_size": 16, "projection_dim": 8}, CUT),
    "vit": ("ViTModel", SMALL | {"patch_size": 16}, SQUASHED),
    "dinov2": ("Dinov2Model", {k: v for k, v in SMALL.items() if k != "intermediate_size"} | {"patch_size": 16}, CUT),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tiny random models as transformers saves them, each with its preprocessing."""
    made = {}
    for kind, (name, config, fit) in KINDS.items():
        made[kind] = tmp_path_factory.mktemp(kind)
        torch.manual_seed(0)
        model = getattr(transformers, name)
        model(model.config_class(**config)).save_pretrained(made[kind])
        (made[kind] / "preprocessor_config.json").write_text(json.dumps(SCALED | fit))
    return made


@pytest.fixture
def copy(folders, tmp_path):
    return shutil.copytree(folders["vit"], tmp_path / "copy")


@pytest.mark.parametrize("kind", list(KINDS))
def test_features_are_what_the_model_says_of_a_picture(folders, kind):
    _, pixels = pictures(3, 32, 32)
    features = load_features(folders[kind], batch=2)
    assert isinstance(features, VisionFeatures) and has_no_words(folders[kind])
    own = getattr(transformers, KINDS[kind][0]).from_pretrained(folders[kind]).eval()
    with torch.no_grad():
        said = own(pixel_values=features.prepare(pixels))
    theirs = said.image_embeds if kind == "clip" else said.pooler_output
    torch.testing.assert_close(features(pixels), theirs, atol=1e-5, rtol=1e-5)
    unit = VisionFeatures.load(folders[kind], normalise=True)(pixels)
    torch.testing.assert_close(unit.norm(dim=-1), torch.ones(3))


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (36, 36)])
@pytest.mark.parametrize("kind", ["clip", "vit"])
def test_pictures_are_fitted_as_by_the_processor(folders, kind, size):
    as_bytes, pixels = pictures(2, *size)
    name = {"clip": "CLIPImageProcessor", "vit": "ViTImageProcessor"}[kind]
    processor = getattr(transformers, name)(**SCALED | KINDS[kind][2])
    theirs = processor([Image.fromarray(b) for b in as_bytes], return_tensors="pt")["pixel_values"]
    ours = load_features(folders[kind]).prepare(pixels)
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 1.6 / 255 / 0.2           # it rounds to bytes after resizing


def test_tangents_go_through(folders):
    features = load_features(folders["dinov2"])
    features.model.double()
    _, pixels = pictures(1, 48, 48)
    pixels = pixels.double() * 0.8 + 0.1
    d = torch.randn(*pixels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with forward_mode():
        _, exact = pushed(lambda x: (features.embed(x),))(pixels, d)
    near = (features.embed(pixels + 1e-5 * d) - features.embed(pixels - 1e-5 * d)) / 2e-5
    assert (exact - near).abs().max() < 1e-6 * near.abs().max()


def test_an_open_clip_directory_is_still_one():
    assert not has_no_words("emoji-clip") and isinstance(load_features("emoji-clip"), ClipFeatures)


# --- one clear line each ----------------------------------------------------------------------------------------

def refused(folder, match):
    for call in (load_features, check_features):
        with pytest.raises(ValueError, match=match) as caught:
            call(folder)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("key, value", [("auto_map", {"AutoModel": "evil.Evil"}), ("trust_remote_code", True),
                                        ("custom_code", "evil.py")])
def test_a_configuration_cannot_name_code(copy, key, value):
    trace = copy / "it-ran"
    (copy / "evil.py").write_text(f"open({str(trace)!r}, 'w').close()")
    edit(copy / "config.json", **{key: value})
    refused(copy, f"names {key} .* may name code")
    assert not trace.exists()


@pytest.mark.parametrize("change, match", [
    ({"model_type": "llama"}, "model_type = 'llama'; takes one of clip"), ({"model_type": ["vit"]}, "model_type = "),
])
def test_another_model_is_refused(copy, change, match):
    edit(copy / "config.json", **change)
    refused(copy, match)


@pytest.mark.parametrize("change, match", [
    ({"image_mean": None}, "image_mean"), ({"image_std": [0.2, 0.3, 0.0]}, "image_std"),
    ({"resample": 1}, "resample = 1"),
    ({"size": {"longest_edge": 9}}, "size = "), ({"size": {"shortest_edge": 32}}, "with a crop_size"),
    ({"size": {"height": 10**9, "width": 32}}, "size = "),
])
def test_unknown_preprocessing_is_refused(copy, change, match):
    edit(copy / "preprocessor_config.json", **change)
    refused(copy, match)


@pytest.mark.parametrize("file, change, match", [
    ("config.json", {"num_hidden_layers": 10**6}, "more layers than its weights"),
    ("config.json", {"num_hidden_layers": 10**9}, "the number 1000000000 in config.json"),
    ("config.json", {"hidden_size": 64}, "has the shape"),
    ("config.json", {"patch_size": 0}, "cannot load it"),
    ("preprocessor_config.json", {"image_std": [float("nan")] * 3}, "no image_mean and image_std"),
])
def test_what_its_weights_do_not_fit_is_refused_at_once(copy, file, change, match):
    edit(copy / file, **change)
    with pytest.raises(ValueError, match=match) as said:
        check_features(copy)
    assert "\n" not in str(said.value)


def test_damaged_directories_are_refused(copy):
    weights = copy / "model.safetensors"
    whole = load(weights.read_bytes())
    first = next(iter(whole))
    save_file({k: v for k, v in whole.items() if k != first}, weights, {"format": "pt"})
    with pytest.raises(ValueError, match="lacks 1 of its weights"):
        load_features(copy)
    weights.write_bytes(weights.read_bytes()[:200])
    refused(copy, "corrupted or truncated")
    weights.rename(copy / "pytorch_model.bin")
    refused(copy, "no weights model.safetensors; pickled weights are never read")
    (copy / "preprocessor_config.json").unlink()
    refused(copy, "preprocessor_config.json is missing")
    with pytest.raises(ValueError, match="no such directory"):
        VisionFeatures.load("nowhere")
