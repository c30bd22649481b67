"""Vision models of transformers as features: which directories are theirs, and which must be refused."""

import shutil

import pytest
from safetensors.torch import load, save_file

from phasebook.models.clip import ClipFeatures
from phasebook.models.vision import VisionFeatures, check_features, has_no_words, load_features
from tests.builders import edit


@pytest.fixture
def copy(vision_folders, tmp_path):
    return shutil.copytree(vision_folders["vit"], tmp_path / "copy")


def test_a_directory_is_read_as_that_of_its_library(vision_folders):
    assert not has_no_words("icons-clip-b") and isinstance(load_features("icons-clip-b"), ClipFeatures)
    folder = vision_folders["dinov2"]
    assert has_no_words(folder) and isinstance(load_features(folder), VisionFeatures)


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
    ({"image_mean": [0.5] * 4, "image_std": [0.5] * 2}, "image_mean"), ({"image_std": [1e-300] * 3}, "image_std"),
    ({"image_mean": [10**400] * 3}, "image_mean"), ({"resample": [2]}, "resample = "),
    ({"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"shortest_edge": 32}}, "crop_size = "),
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
