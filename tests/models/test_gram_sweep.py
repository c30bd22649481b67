"""The sampler in Gram space against pixel space, against the plain sampler, and its tangents against autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import Levels, scaled_linear_levels
from phasebook.sampling.samplers import sample
from tests.builders import images, plain_ddim


@pytest.fixture(scope="module")
def wide():
    return ExactModel.of(images(), dtype=torch.float64)


def latents(p, shape, seed=1):
    return torch.randn(p, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 5, 50])
def test_gram_sweep_equals_pixel_space(wide, steps):
    z, levels = latents(30, wide.shape), scaled_linear_levels(steps)
    narrow = ExactModel.of(images())
    swept = wide.sweep(wide.start(z), levels)
    swept32 = narrow.sweep(narrow.start(z), levels)
    for (_, x0, _), frame, frame32 in zip(plain_ddim(wide.denoise, z, levels), swept, swept32, strict=True):
        w = wide.weights(frame.x0)
        torch.testing.assert_close((w @ wide.atoms).view_as(z), x0, atol=1e-8, rtol=0)
        torch.testing.assert_close(frame.x0[:, :12], x0.flatten(1) @ wide.atoms.T, atol=1e-6, rtol=0)
        apart = (narrow.weights(frame32.x0).double() - w).abs().max(1).values
        assert apart.median() < 1e-5 and apart.max() < 1e-2       # float32; largest close to a boundary


def test_gram_sweep_of_a_flow_from_pure_noise_to_none(wide):
    z, t = latents(5, wide.shape), np.linspace(1, 0, 7)
    levels = Levels("flow", 1 - t, t, 1000 * t[:-1])
    with np.errstate(all="raise"):
        swept = wide.sweep(wide.start(z), levels)
        for (_, x0, _), frame in zip(plain_ddim(wide.denoise, z, levels), swept, strict=True):
            torch.testing.assert_close((wide.weights(frame.x0) @ wide.atoms).view_as(z), x0, atol=1e-8, rtol=0)


@pytest.mark.parametrize("first, gap", [(0, 1), (4, 1), (0, 0.9)])
def test_gram_sweep_is_the_sampler(wide, first, gap):
    """The override gives the frames of the plain sampler on the same states, tangents included."""
    levels, x = scaled_linear_levels(12), wide.start(latents(5, wide.shape))
    levels = replace(levels, landing=np.stack([levels.alpha[1:], gap * levels.sigma[1:]]))
    dx = torch.stack([wide.start(latents(5, wide.shape, s)) for s in (7, 8)])
    prompt = wide.prompt("family 1")
    plain = sample(wide, x, levels, prompt, first=first, tangents=dx)
    for slow, fast in zip(plain, wide.sweep(x, levels, prompt, first=first, tangents=dx), strict=True):
        assert slow.step == fast.step
        torch.testing.assert_close(slow.x0, fast.x0, atol=1e-8, rtol=1e-9)
        torch.testing.assert_close(slow.dx0, fast.dx0, atol=1e-8, rtol=1e-6)


def test_tangents_equal_autograd(wide):
    levels, z = scaled_linear_levels(12), latents(3, wide.shape)
    directions = latents(2 * 3, wide.shape, seed=5).view(2, 3, *wide.shape)
    *_, frame = wide.sweep(wide.start(z), levels, tangents=torch.stack([wide.start(d) for d in directions]))
    slope = frame.embedded(wide.features["pixels"]).d_points

    def last(x):
        *_, step = plain_ddim(wide.denoise, x, levels)
        return step[1]

    for k in range(2):
        _, expected = torch.autograd.functional.jvp(last, z, directions[k])
        torch.testing.assert_close((slope[k] @ wide.atoms).view_as(z), expected, atol=1e-8, rtol=1e-6)
