"""Tiny random image towers, as each library saves its own."""

import json

import pytest
import torch

TINY = {"embed_dim": 8, "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "patch_size": 16, "head_width": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}}
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


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """A tiny random CLIP as an open_clip directory, and as a model that open_clip knows by name."""
    import open_clip
    from safetensors.torch import save_file

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


@pytest.fixture(scope="session")
def vision_folders(tmp_path_factory):
    """Tiny random models as transformers saves them, each with its preprocessing."""
    import transformers

    made = {}
    for kind, (name, config, fit) in KINDS.items():
        made[kind] = tmp_path_factory.mktemp(kind)
        torch.manual_seed(0)
        model = getattr(transformers, name)
        model(model.config_class(**config)).save_pretrained(made[kind])
        (made[kind] / "preprocessor_config.json").write_text(json.dumps(SCALED | fit))
    return made
