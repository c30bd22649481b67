"""Slices of a pipeline: against one latent at a time, autograd, and diffusers' own VAE."""

import numpy as np
import pytest
import torch
from test_pipeline import build

from phasebook.models.exact import ExactModel
from phasebook.models.image_sets import load_images
from phasebook.models.pipeline import PipelineModel
from phasebook.models.prompted import Prompted
from phasebook.slices.slices import Plane, seeded_anchors, slice_of

STEPS = 4


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    model = PipelineModel.load(build(tmp_path_factory.mktemp("prompted"), "v_prediction"), batch=7)
    return Prompted(model, model.encode_prompt("red apple", "blurry, ugly", 3.0))


def test_metric_of_a_slice_is_that_of_single_points(heard):
    """Neighbours denoised alone give the same centred differences, whatever the tiles and batches."""
    plane = Plane(seeded_anchors(heard.shape, 1), grid=5)
    levels = heard.pipeline.levels(STEPS)
    ds = slice_of(heard, plane, levels, feature="latent", tangents=False, thumbnails=5)
    at = lambda a, b: heard.final(heard.start(plane.latents(np.array([a]), np.array([b]))), levels).flatten()  # noqa: E731
    d_a = (at(0.75, 0.5) - at(0.25, 0.5)) / 0.5
    d_b = (at(0.5, 0.75) - at(0.5, 0.25)) / 0.5
    scale = heard.unit**2
    trace, det = (d_a @ d_a + d_b @ d_b) * scale, ((d_a @ d_a) * (d_b @ d_b) - (d_a @ d_b) ** 2) * scale**2
    assert ds.tr_g.values[-1, 2, 2] == pytest.approx(float(trace), rel=1e-3)
    assert ds.det_g.values[-1, 2, 2] == pytest.approx(float(det), rel=1e-3)
    assert np.allclose(ds.weights.values[-1, 2, 2], at(0.5, 0.5).numpy(), atol=1e-5)
    jump = (at(0.5, 0.5) - at(0.5, 0.25)).norm() * heard.unit
    assert ds.jump_beta.values[-1, 2, 1] == pytest.approx(float(jump), rel=1e-3)


def test_exact_metric_is_the_limit_of_finite_differences(heard):
    anchors, levels = seeded_anchors(heard.shape, 2), heard.pipeline.levels(2)
    fine = slice_of(heard, Plane(anchors, (0.4, 0.402, 0.4, 0.402), 3), levels, feature="latent", tangents=True)
    assert fine.tr_g_exact.values[:, 1, 1] == pytest.approx(fine.tr_g.values[:, 1, 1], rel=2e-2)


def test_further_features_are_measured_at_their_steps_only(heard):
    """A linear feature has the metric of the latent's part that it keeps."""
    plane, levels = Plane(seeded_anchors(heard.shape, 3), grid=4), heard.pipeline.levels(STEPS)
    also = lambda frame: {"nothing": frame.weights[:, :1] * 0} | (  # noqa: E731
        {"half": frame.weights * heard.unit} if frame.step in (1, 3) else {})
    ds = slice_of(heard, plane, levels, feature="latent", tangents=False, also=also)
    for name in ("det_g", "tr_g", "largest", "jump_alpha", "jump_beta"):
        assert np.isnan(ds[name + "_half"].values[[0, 2]]).all()
        assert np.allclose(ds[name + "_half"].values[[1, 3]], ds[name].values[[1, 3]], rtol=1e-4, atol=1e-9)
        assert not ds[name + "_nothing"].values.any()


def test_tiles_change_nothing(heard, monkeypatch):
    plane, levels = Plane(seeded_anchors(heard.shape, 4), grid=6), heard.pipeline.levels(STEPS)
    whole = slice_of(heard, plane, levels, feature="latent", tangents=False)
    monkeypatch.setattr("phasebook.slices.slices.POINTS_IN_A_TILE", 12)
    parts = slice_of(heard, plane, levels, feature="latent", tangents=False)
    assert np.allclose(parts.tr_g, whole.tr_g, rtol=1e-4) and np.allclose(parts.jump_alpha, whole.jump_alpha, atol=1e-5)


def test_fingerprint_knows_prompt_and_guidance(heard):
    model = heard.pipeline
    calls = (("cat face", "blurry, ugly", 3.0), ("red apple", "", 3.0), ("red apple", "blurry, ugly", 4.0))
    others = [Prompted(model, model.encode_prompt(*call)) for call in calls]
    assert len({heard.fingerprint, *(o.fingerprint for o in others)}) == 4
    with pytest.raises(ValueError, match="feature = 'pixels'"):
        next(heard.sweep(torch.zeros(1, *heard.shape), model.levels(1), feature="pixels"))


def test_encode_is_diffusers_own(heard):
    pixels = torch.rand(9, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    vae = heard.pipeline.pipe.vae
    expected = vae.encode(2 * pixels - 1).latent_dist.mean * vae.config.scaling_factor
    assert torch.allclose(heard.pipeline.encode(pixels), expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"takes \(n, 3, 16, 16\)"):
        heard.pipeline.encode(pixels[0])


def test_exact_model_of_latents_is_the_mixture_in_latent_space():
    """Against the posterior mean written out, with noise levels and scale of the latents as they are."""
    images = load_images("families", 16)
    views = torch.randn(2, len(images), 4, 3, 3, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.1
    exact, latents = ExactModel.of_latents(views, images), views.flatten(0, 1)
    x = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(2))
    alpha, sigma = 0.6, 0.8
    square = ((x[:, None] - alpha * latents) ** 2).sum((2, 3, 4)).double()
    mean = torch.einsum("pi,icyx->pcyx", torch.softmax(-square / (2 * sigma**2), -1), latents.double())
    assert torch.allclose(exact.denoise(x, alpha, sigma).double(), mean, atol=1e-5)
    assert exact.unit == pytest.approx(36**-0.5)
    assert exact.names[len(images) + 3] == exact.names[3] and exact.family[len(images) + 3] == exact.family[3]
