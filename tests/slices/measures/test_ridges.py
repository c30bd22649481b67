"""Ridges of a map with a known slope, and of the exact model, against dense sampling."""

import numpy as np
import pytest
import torch

from phasebook.models.denoiser import Denoiser
from phasebook.sampling.levels import scaled_linear_levels
from phasebook.slices.measures import ridges
from phasebook.slices.measures.ridges import (
    Edges,
    frame_at,
    isotropy,
    medians,
    profile,
    ridge_edges,
    ridges_at,
    without_swells,
)
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import slice_of

ANCHORS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])       # alpha and beta are the coordinates of the latent
WIDTH = 1e-3


def tanh_model(level_step=0):
    """xhat_0 = (tanh((x - 0.43)/width), y/2): a ridge of height 2 and slope 1/width along alpha = 0.43."""
    def denoise(x, alpha, sigma):
        return torch.stack([torch.tanh((x[:, 0] - 0.43) / WIDTH), x[:, 1] / 2], 1)

    return Denoiser((2,), denoise, name="tanh")


def test_the_ascent_finds_a_known_ridge():
    model, plane = tanh_model(), Plane(ANCHORS, grid=11, normalise=False)
    one = slice_of(model, plane, model.levels(1))
    edges = ridge_edges(one, [0], 0.5, 5)
    assert len(edges.low) == 5 and np.allclose(edges.low[:, 0], 0.4) and np.allclose(edges.high[:, 0], 0.5)
    found = ridges_at(model, [edges], model.levels(1), 0, model.features["latent"])
    unit = model.features["latent"].unit
    np.testing.assert_allclose(found.jump, 2 * unit, rtol=1e-6)
    np.testing.assert_allclose(found.slope, unit / WIDTH, rtol=0.01)
    np.testing.assert_allclose(found.det, (unit**2 / (2 * WIDTH))**2, rtol=0.02)
    assert found.resolved.all()
    np.testing.assert_allclose(isotropy(found.trace, found.det), 4 * (WIDTH / 2)**2, rtol=0.02)


def test_many_edges_are_ascended_some_at_a_time(monkeypatch):
    model, plane = tanh_model(), Plane(ANCHORS, grid=11, normalise=False)
    edges = [ridge_edges(slice_of(model, plane, model.levels(1)), [0], 0.5, most) for most in (5, 3, 4)]
    edges.insert(1, Edges(plane, np.empty((0, 2)), np.empty((0, 2))))
    whole = ridges_at(model, edges, model.levels(1), 0, model.features["latent"])
    monkeypatch.setattr(ridges, "AT_ONCE", 4)
    parts = ridges_at(model, edges, model.levels(1), 0, model.features["latent"])
    assert len(parts.slope) == 12
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_swells_are_no_ridges_and_boundaries_are():
    """Of a linear map nothing is left, however steep; of one with a ridge the edges that cross it, and no other."""
    def linear(slope):
        return Denoiser((2,), lambda x, alpha, sigma: slope * x, name=f"slope {slope}")

    plane = Plane(ANCHORS, grid=11, normalise=False)
    plain, steep, torn = (slice_of(m, plane, m.levels(1)) for m in (linear(1.0), linear(50.0), tanh_model()))
    assert len(ridge_edges(steep, [0], 0.5, 500).low) == 220
    for swell in (plain, steep):
        assert len(ridge_edges(without_swells(swell, plain), [0], 1e-6, 500).low) == 0
    left = ridge_edges(without_swells(torn, plain), [0], 0.5, 500)
    assert len(left.low) == 11 and np.allclose(left.low[:, 0], 0.4) and np.allclose(left.high[:, 0], 0.5)
    assert torn.values("jump_beta").min() > 0               # the slice itself is as it was
    with pytest.raises(ValueError, match="the same slice by another model"):
        without_swells(torn, slice_of(linear(1.0), Plane(ANCHORS + 1, grid=11, normalise=False), linear(1.0).levels(1)))


def test_too_few_halvings_give_a_lower_bound():
    model, plane = tanh_model(), Plane(ANCHORS, grid=11, normalise=False)
    edges = Edges(plane, np.array([[0.4, 0.5]]), np.array([[0.5, 0.5]]))
    rough = ridges_at(model, [edges], model.levels(1), 0, model.features["latent"], rounds=2)
    assert not rough.resolved.any()
    unit = model.features["latent"].unit
    np.testing.assert_allclose(rough.slope, 2 * unit / 0.025, rtol=0.01)       # the jump over what is left of the edge


def test_several_planes_are_climbed_at_once(wide):
    levels = scaled_linear_levels(20)
    slices = [slice_of(wide, Plane(seeded_anchors(wide.shape, k), grid=9), levels) for k in (1, 3)]
    edges = [ridge_edges(one, [19], one.ridge(), 3) for one in slices]
    both = ridges_at(wide, edges, levels, 10, wide.features["pixels"])
    apart = [ridges_at(wide, [e], levels, 10, wide.features["pixels"]) for e in edges]
    np.testing.assert_allclose(both.slope, np.concatenate([r.slope for r in apart]), rtol=0.02)
    dense = np.linspace(edges[0].low[0], edges[0].high[0], 4001)
    f = frame_at(wide, [edges[0].plane], [dense], levels, 10).x0[:, 20:] @ wide.atoms * wide.features["pixels"].unit
    step = np.linalg.norm(dense[1] - dense[0])
    assert both.slope[0] >= 0.9 * float((f[1:] - f[:-1]).norm(dim=1).max()) / step


def test_no_edge_gives_nothing(small):
    one = slice_of(small, Plane(seeded_anchors(small.shape, 1), grid=5), scaled_linear_levels(4))
    edges = [ridge_edges(one, [0], 1e3, 4)]
    found = ridges_at(small, edges, scaled_linear_levels(4), 3, small.features["pixels"])
    assert len(found.slope) == 0 and medians(edges, found.slope) == [None]


def test_medians_by_plane():
    e = [Edges(None, np.zeros((n, 2)), np.zeros((n, 2))) for n in (3, 0, 1)]
    assert medians(e, np.array([1.0, 5, 2, 7])) == [2.0, None, 7.0]
    assert medians(e, np.array([1.0, 3, np.nan, np.nan])) == [2.0, None, None]          # beyond float16


def test_profile_of_a_smooth_place_has_one_curve(wide):
    plane = Plane(seeded_anchors(wide.shape, 3), grid=1001)
    cut = profile(wide, plane, scaled_linear_levels(20), 4, wide.features["pixels"], 0.5, 0.5)
    for estimate in cut.estimates.values():
        np.testing.assert_allclose(estimate, cut.exact, rtol=1e-4)


def test_a_step_that_is_none_is_refused(small):
    with pytest.raises(ValueError, match="step = 9"):
        frame_at(small, [Plane(seeded_anchors(small.shape, 1))], [np.zeros((1, 2))], scaled_linear_levels(4), 9)


def test_a_frame_that_is_not_finite_is_named():
    """A sweep that stops at its step never comes to look at it."""
    model = Denoiser((2,), lambda x, alpha, sigma: torch.where(x[:, :1] > 0.5, torch.nan, x), name="holes")
    plane = Plane(ANCHORS, grid=3, normalise=False)
    at = [np.array([[0.1, 0.0], [0.2, 0.0]]), np.array([[0.25, 0.5], [0.75, 0.5]])]
    with pytest.raises(ValueError, match="denoise: the prediction is not finite at step 0, alpha = 0.75, beta = 0.5"):
        frame_at(model, [plane, plane], at, model.levels(1), 0)
    assert len(frame_at(model, [plane], at[:1], model.levels(1), 0).x0) == 2
