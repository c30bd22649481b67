"""What holds of every image tower: pictures fitted as its own library does, its own features, tangents through both."""

import open_clip
import pytest
import torch
import transformers
from PIL import Image

from phasebook.models.towers.vision import load_features
from phasebook.sampling.tangents import forward_mode, pushed
from tests.models.conftest import KINDS, SCALED

TOWERS = ["open_clip", *KINDS]
NORMS = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


@pytest.fixture
def folder_of(clip_folder, vision_folders):
    return {"open_clip": clip_folder, **vision_folders}


def pictures(n, y, x, seed=0):
    """Smooth pictures in [0, 1] of 8-bit values, as arrays of bytes and as tensors."""
    field = torch.randn(n, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(field, (y, x), mode="bilinear", align_corners=False).sigmoid()
    as_bytes = (smooth * 255).round().byte()
    return as_bytes.movedim(1, -1).numpy(), as_bytes.float() / 255


def fitted(kind, as_bytes):
    """By the library's own processor."""
    if kind == "open_clip":
        own = open_clip.image_transform(32, is_train=False, interpolation="bicubic", resize_mode="shortest", **NORMS)
        return torch.stack([own(Image.fromarray(b)) for b in as_bytes])
    name = {"clip": "CLIPImageProcessor", "vit": "ViTImageProcessor"}[kind]
    own = getattr(transformers, name)(**SCALED | KINDS[kind][2])
    return own([Image.fromarray(b) for b in as_bytes], return_tensors="pt")["pixel_values"]


def said(kind, folder, prepared):
    """By the library's own model."""
    with torch.no_grad():
        if kind == "open_clip":
            return open_clip.create_model_from_pretrained(f"local-dir:{folder}")[0].eval().encode_image(prepared)
        found = getattr(transformers, KINDS[kind][0]).from_pretrained(folder).eval()(pixel_values=prepared)
    return found.image_embeds if kind == "clip" else found.pooler_output


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (100, 36), (36, 36), (32, 32), (20, 24)])
@pytest.mark.parametrize("kind", ["open_clip", "clip", "vit"])
def test_pictures_are_fitted_as_by_the_librarys_own_processor(folder_of, kind, size):
    """It resizes bytes with Pillow, which rounds; tensors do not: a byte apart at most, times 1/std."""
    as_bytes, pixels = pictures(2, *size)
    theirs, ours = fitted(kind, as_bytes), load_features(folder_of[kind]).prepare(pixels)
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 1.6 / 255 / 0.2


@pytest.mark.parametrize("kind", TOWERS)
def test_features_are_the_towers_own(folder_of, kind):
    _, pixels = pictures(5, 32, 32)
    prepared = load_features(folder_of[kind]).prepare(pixels)
    theirs = said(kind, folder_of[kind], prepared)
    for batch in (2, 64):
        found = load_features(folder_of[kind], batch=batch)(pixels)
        torch.testing.assert_close(found, theirs, atol=1e-5, rtol=1e-5)
    unit = load_features(folder_of[kind], normalise=True)(pixels)
    torch.testing.assert_close(unit, theirs / theirs.norm(dim=-1, keepdim=True), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["open_clip", "dinov2"])
def test_tangents_go_through_resizing_and_tower(folder_of, kind):
    features = load_features(folder_of[kind])
    features.model.double()
    _, pixels = pictures(2, 48, 48)
    pixels = pixels.double() * 0.8 + 0.1
    d = torch.randn(*pixels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with forward_mode():
        value, exact = pushed(lambda x: (features.embed(x),))(pixels, d)
    near = (features.embed(pixels + 1e-5 * d) - features.embed(pixels - 1e-5 * d)) / 2e-5
    torch.testing.assert_close(value, features.embed(pixels))
    assert (exact - near).abs().max() < 1e-6 * near.abs().max()
