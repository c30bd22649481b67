"""Parts that do not fit together are refused in one line, before a weight is read."""

import os
import shutil

import pytest
import torch

from phasebook.models.pipelines import fitting
from phasebook.models.pipelines.pipeline import PipelineModel
from tests.builders import build, edit, refuses


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(folder, tmp_path):
    """A copy to break."""
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize("change", ["text width", "vae channels", "class labels", "odd size"])
def test_parts_that_do_not_fit_are_one_line(folder, change):
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel

    pipe = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True)
    own = dict(pipe.unet.config)
    changes = {"text width": {"cross_attention_dim": 24}, "class labels": {"class_embed_type": "timestep"},
               "odd size": {"sample_size": 9}, "vae channels": {}}[change]
    pipe.unet = UNet2DConditionModel.from_config(own | changes)
    if change == "vae channels":
        pipe.vae = AutoencoderKL(block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
                                 up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=3, norm_num_groups=4)
    if change == "odd size":            # works, or says so
        assert PipelineModel.of(pipe, "odd").shape == (4, 9, 9)
        return
    with pytest.raises(ValueError, match="its parts do not fit together") as caught:
        PipelineModel.of(pipe, change)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_pictures_of_one_channel_are_refused_with_what_is_taken():
    import diffusers

    network = diffusers.UNet2DModel(sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8,),
                                    norm_num_groups=4, down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",))
    with pytest.raises(ValueError, match=r"a picture \(1, 8, 8\), where three colours are taken"):
        PipelineModel.of(diffusers.DDPMPipeline(network, diffusers.DDPMScheduler()), "grey")


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_weights_that_are_no_numbers_are_refused_in_memory(folder, part):
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True)
    next(getattr(pipe, part).parameters()).data[0] = float("nan")
    with pytest.raises(ValueError, match="^model = 'mine': .*a latent of zeros becomes numbers that are not finite"):
        PipelineModel.of(pipe, "mine")


def test_a_text_encoder_whose_weights_are_no_numbers_is_refused_in_memory(folder):
    """Zeros take the place of its words where a latent is tried out."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True)
    list(pipe.text_encoder.parameters())[-1].data[0] = float("nan")
    refuses(lambda: PipelineModel.of(pipe, "mine"), "model = 'mine': ", "an empty prompt becomes numbers that are not")


@pytest.mark.parametrize("pictures, words", [
    (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), "uint8 from 0 to 0; takes pictures (p, 3, 16, 16) in [0, 1]"),
    (255 * torch.ones(1, 3, 16, 16), "float32 from 255 to 255"), (torch.full((1, 3, 16, 16), torch.nan), "from nan"),
    (torch.zeros(3, 16, 16), "shape (3, 16, 16)"), (-torch.ones(2, 3, 16, 16), "float32 from -1 to -1"),
])
def test_pictures_that_are_none_are_not_encoded(folder, pictures, words):
    model = PipelineModel.load(folder)
    refuses(lambda: model.encode(pictures), "pixels: ", words)
    assert model.encode(torch.rand(2, 3, 16, 16)).shape == (2, 4, 8, 8)


@pytest.mark.parametrize("part, change, words", [
    ("unet", {"cross_attention_dim": 24}, r"\.weight has the shape \[\d+, 16\], and \[\d+, 24\] in config.json"),
    ("unet", {"class_embed_type": "timestep"}, "unet lacks 4 of its weights"),
    ("unet", {"class_embed_type": "identity"}, "its parts do not fit together"),
    ("unet", {"sample_size": 0}, "sample_size = 0; takes 1 to 4096"),
    ("unet", {"sample_size": [8, 10**5]}, "sample_size = .8, 100000.; takes 1 to 4096"),
    ("unet", {"layers_per_block": 10**9}, "the number 1000000000 in config.json; takes up to 10000000"),
    ("unet", {"layers_per_block": 10**6}, "more layers than its weights"),
    ("unet", {"layers_per_block": -1}, "its parts do not fit together"),
    ("unet", {"num_class_embeds": 10**7}, r"its configuration asks for 640\d+ numbers, and its weights have \d+"),
    ("unet", {"attention_head_dim": [2, -10**12]}, "the number -1000000000000 in config.json"),
    ("unet", {"in_channels": "four"}, "cannot load its unet"),
    ("unet", {"norm_num_groups": 0}, "cannot load its unet"),
    ("unet", {"num_attention_heads": 10**6, "attention_head_dim": 10**6, "sample_size": 64}, "a table of 64 x 64"),
    ("vae", {"latent_channels": 3}, "cannot load its vae"),
    ("text_encoder", {"num_hidden_layers": 10**7}, "more layers than its weights"),
    ("text_encoder", {"hidden_size": 32}, "cannot load its text_encoder"),
    ("text_encoder", {"max_position_embeddings": 10**6}, "cannot load its text_encoder"),
])
def test_a_directory_is_tried_out_before_a_weight_is_read(copy, monkeypatch, part, change, words):
    edit(copy / part / "config.json", **change)
    monkeypatch.setattr("diffusers.ModelMixin.from_pretrained", lambda *_: pytest.fail("weights were read"))
    with pytest.raises(ValueError, match=words) as caught:
        PipelineModel.check(copy, parameter="models")
    said = str(caught.value)
    assert said.startswith(f"models = {str(copy)!r}: ") and "\n" not in said and len(said) < 400


def test_a_trial_is_not_repeated_until_a_file_changes(copy, monkeypatch):
    PipelineModel.check(copy)
    made = []
    whole = fitting.load_parts
    monkeypatch.setattr(fitting, "load_parts", lambda *a, **k: made.append(1) or whole(*a, **k))
    PipelineModel.check(copy)
    assert not made
    os.utime(copy / "unet" / "config.json", (1, 1))
    PipelineModel.check(copy)
    assert made
