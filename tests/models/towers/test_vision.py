"""Vision models of transformers as features: which directories are theirs, and which must be refused."""

import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load, save_file

from phasebook.models.towers import vision
from phasebook.models.towers.clip import ClipFeatures
from phasebook.models.towers.vision import VisionFeatures, check_features, has_no_words, load_features
from tests.builders import edit
from tests.models.conftest import SCALED


@pytest.fixture
def copy(vision_folders, tmp_path):
    return shutil.copytree(vision_folders["vit"], tmp_path / "copy")


def test_a_directory_is_read_as_that_of_its_library(vision_folders):
    assert not has_no_words("icons-clip-b") and isinstance(load_features("icons-clip-b"), ClipFeatures)
    folder = vision_folders["dinov2"]
    assert has_no_words(folder) and isinstance(load_features(folder), VisionFeatures)


@pytest.mark.parametrize("name, fit", [
    ("DeiTImageProcessor", {"size": 36, "crop_size": 32, "do_center_crop": True, "resample": 3}),
    ("DeiTImageProcessor", {"size": {"height": 40, "width": 36}, "crop_size": {"height": 32, "width": 32},
                            "do_center_crop": True, "resample": 2}),
    ("ConvNextImageProcessor", {"size": 32, "crop_pct": 0.875, "resample": 3}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 32}, "crop_pct": 0.5, "resample": 2}),
    ("ViTImageProcessor", {"size": 32, "do_normalize": False, "crop_pct": 0.5,
                           "image_processor_type": "ViTImageProcessor"}),
    ("ViTImageProcessor", {"size": 32, "do_rescale": False}),
    ("ViTImageProcessor", {"size": 32, "rescale_factor": 1 / 127.5, "do_center_crop": None, "crop_pct": None}),
    ("ViTImageProcessor", {"size": 32, "do_normalize": False, "do_rescale": False}),
])
@pytest.mark.parametrize("y, x", [(64, 64), (50, 50), (32, 32)])
def test_stock_preprocessing_is_that_of_its_library(copy, name, fit, y, x):
    """Of pictures that are not of bytes, nor beyond the ends after resizing: the library rounds and cuts none of them,
    so that nothing but the order of sums is apart."""
    values = SCALED | {"do_resize": True} | fit
    (copy / "preprocessor_config.json").write_text(json.dumps(values))
    pixels = 0.3 + 0.4 * torch.rand(2, 3, y, x, generator=torch.Generator().manual_seed(0))
    theirs = getattr(transformers, name)(**values)(list(255 * pixels), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(load_features(copy).prepare(pixels), theirs, rtol=1e-5, atol=1e-5)


def test_pictures_from_384_pixels_on_are_squashed_by_convnexts_preprocessing(copy):
    """The model takes 32: `fit` alone."""
    features = load_features(copy)
    edit(copy / "preprocessor_config.json", size=384, crop_pct=0.875)
    values = json.loads((copy / "preprocessor_config.json").read_text())
    assert vision._fit("", values) == ((384, 384), (384, 384)) and features.fit(48, 80) == ((32, 32), (0, 0))
    assert vision._fit("", values | {"size": 383}) == (437, (383, 383))


def test_what_is_cut_off_tells_features_apart(copy):
    """A slice in a store is continued with the same ones alone."""
    said = [load_features(copy).fingerprint]
    for fit in ({"size": 36}, {"size": 40}, {"size": 32}):
        edit(copy / "preprocessor_config.json", crop_size=32, do_center_crop=True, **fit)
        said.append(load_features(copy).fingerprint)
    assert len(set(said)) == 3 and said[-1] == said[0]


def test_equal_weights_of_another_activation_are_other_features(copy):
    before = load_features(copy).fingerprint
    edit(copy / "config.json", hidden_act="relu")
    assert load_features(copy).fingerprint != before


# --- one clear line each ----------------------------------------------------------------------------------------

def refused(folder, match):
    for call in (load_features, check_features):
        with pytest.raises(ValueError, match=match) as caught:
            call(folder)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
        assert "phasebook-" not in str(caught.value)        # a directory that is gone


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
    ({"image_mean": [0.5] * 4, "image_std": [0.5] * 2}, "image_mean"), ({"image_std": [1e-300] * 3}, "image_std"),
    ({"image_mean": [10**400] * 3}, "image_mean"), ({"resample": [2]}, "resample = "),
    ({"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"shortest_edge": 32}}, "crop_size = "),
    ({"resample": 1}, "resample = 1"),
    ({"size": {"longest_edge": 9}}, "size = "), ({"size": {"shortest_edge": 32}}, "with a crop_size"),
    ({"size": {"height": 10**9, "width": 32}}, "size = "), ({"do_center_crop": True}, "crop_size = None"),
    ({"do_center_crop": True, "crop_size": 33}, "crop_size = 33: larger than the picture"),
    ({"do_center_crop": "yes"}, "do_center_crop = 'yes'; takes true or false"), ({"do_resize": False}, "do_resize = "),
    ({"rescale_factor": 0}, "rescale_factor = 0: takes"), ({"crop_pct": 0, "size": 32}, "crop_pct = 0: takes"),
    ({"crop_pct": 0.9}, "crop_pct = 0.9; takes a size with shortest_edge"),
    ({"size": {"shortest_edge": 32, "longest_edge": 64}, "do_center_crop": True, "crop_size": 32}, "size = "),
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


UNFIT = [
    ("vit", "preprocessor_config.json", {"size": {"height": 40, "width": 40}},
     "a picture of 40 x 40 does not go through"),
    ("dinov2", "preprocessor_config.json", {"size": {"height": 1, "width": 1}, "do_center_crop": False},
     "a picture of 1 x 1 does not go through"),
    ("vit", "preprocessor_config.json", {"size": {"height": True, "width": True}}, "size = "),
    ("vit", "config.json", {"num_hidden_layers": 0}, "num_hidden_layers = 0 in config.json: none"),
    ("clip", "config.json", {"num_hidden_layers": -1}, "num_hidden_layers = -1 in config.json: none"),
]
WEIGHED = [
    ("vit", "config.json", {"layer_norm_eps": -5.0}, "features that are not finite"),
    ("vit", "config.json", {"num_attention_heads": 3}, r"has the shape \[16\], and \[15\] in config.json"),
]


@pytest.mark.parametrize("kind, file, change, match", UNFIT + WEIGHED)
def test_what_gives_no_features_of_a_picture_is_refused_before_one(vision_folders, tmp_path, kind, file, change, match):
    folder = shutil.copytree(vision_folders[kind], tmp_path / "copy")
    edit(folder / file, **change)
    refused(folder, match)


@pytest.mark.parametrize("kind, file, change, match", UNFIT)
def test_shapes_of_a_large_model_are_tried_without_its_weights(vision_folders, tmp_path, monkeypatch, kind, file,
                                                               change, match):
    monkeypatch.setattr(vision, "SOON_READ", 0)
    monkeypatch.setattr(vision, "_loaded", None)
    folder = shutil.copytree(vision_folders[kind], tmp_path / "copy")
    check_features(folder)
    edit(folder / file, **change)
    with pytest.raises(ValueError, match=match):
        check_features(folder)


def test_forms_of_answers_are_none_of_a_models_own(copy, vision_folders):
    edit(copy / "config.json", return_dict=False, output_hidden_states="x", output_attentions=[1])
    pixels = torch.rand(2, 3, 32, 32)
    check_features(copy)
    assert torch.equal(load_features(copy)(pixels), load_features(vision_folders["vit"])(pixels))


def test_layers_may_not_be_left_over(vision_folders, tmp_path):
    folder = shutil.copytree(vision_folders["clip"], tmp_path / "copy")
    whole = load((folder / "model.safetensors").read_bytes())
    second = {k.replace("layers.0", "layers.1"): v.clone() for k, v in whole.items()}
    save_file(second | whole, folder / "model.safetensors", {"format": "pt"})
    refused(folder, "layers.1.* config.json has fewer layers")


@pytest.mark.parametrize("depths", [[1] * 100_000, [10**7] * 9])
def test_layers_beyond_all_weights_are_refused_before_a_library_counts_them(copy, monkeypatch, depths):
    values = {"model_type": "swin", "depths": depths}
    (copy / "config.json").write_text(json.dumps(values))
    monkeypatch.setattr(transformers.SwinModel, "__init__", None)
    monkeypatch.setattr(transformers.SwinConfig, "from_pretrained", None)
    refused(copy, "depths .*more layers than its weights")


def test_heads_tables_and_other_towers_may_be_left_over(copy):
    whole = load((copy / "model.safetensors").read_bytes())
    others = ("classifier.1.weight", "text_model.encoder.layers.0.mlp.fc1.weight", "encoder.layer.0.attention.table")
    save_file(whole | {key: torch.zeros(2) for key in others}, copy / "model.safetensors", {"format": "pt"})
    check_features(copy)


def test_damaged_directories_are_refused(copy):
    weights = copy / "model.safetensors"
    whole = load(weights.read_bytes())
    first = next(iter(whole))
    save_file({k: v for k, v in whole.items() if k != first}, weights, {"format": "pt"})
    refused(copy, "lacks 1 of its weights")
    save_file(whole | {first: whole[first] * float("nan")}, weights, {"format": "pt"})
    refused(copy, "model.safetensors in .*copy has weights that are not finite")
    save_file({f"x{k}": v for k, v in whole.items()} | {"y": torch.zeros(9)}, weights, {"format": "pt"})
    refused(copy, "lacks")
    weights.write_bytes(weights.read_bytes()[:200])
    refused(copy, "model.safetensors in .*copy is corrupted or truncated")
    weights.rename(copy / "pytorch_model.bin")
    refused(copy, "no weights model.safetensors; pickled weights are never read")
    (copy / "preprocessor_config.json").unlink()
    refused(copy, "preprocessor_config.json is missing")
    with pytest.raises(ValueError, match="no such directory"):
        VisionFeatures.load("nowhere")
