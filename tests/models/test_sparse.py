"""The sweep by blocks and live pictures against the dense one, step by step."""

import numpy as np
import pytest
import torch

from phasebook.models.exact import ExactModel
from phasebook.models.pictures.image_sets import load_images
from phasebook.models.sparse import BLOCK, blocks, live
from phasebook.sampling.levels import log_snr_levels, scaled_linear_levels
from phasebook.slices.plane import Plane, seeded_anchors

SETS = {"families": (), "moons and hearts": ("moons", "hearts"), "digits": ()}
SCHEDULES = {"the usual": scaled_linear_levels(25), "one step": scaled_linear_levels(1),
             "far too noisy": log_snr_levels(6, 1e4, 1e2), "far too clean": log_snr_levels(6, 0.5, 1e-3)}


def dense(model, x, levels, dx, log_prior):
    """DDIM in Gram space with every picture: (x0, dx0) at each step."""
    n, gram = len(model.atoms), model.gram
    q, dq = x[:, :n], dx[..., :n]
    for k in range(levels.steps):
        (alpha, after), (sigma, sigma_after) = levels.alpha[k:k + 2], levels.sigma[k:k + 2]
        w = torch.softmax(log_prior + alpha / sigma**2 * q - (alpha / sigma) ** 2 * gram.diagonal() / 2, -1)
        dl = alpha / sigma**2 * dq
        dw = w * (dl - (w * dl).sum(-1, keepdim=True))
        m, dm = w @ gram, dw @ gram
        yield torch.cat([m, w], 1), torch.cat([dm, dw], -1)
        q, dq = (after * mean + sigma_after / sigma * (y - alpha * mean) for y, mean in ((q, m), (dq, dm)))


def images_of(name):
    images = load_images("digits" if name == "digits" else "families", 8)
    if not SETS[name]:
        return images
    chosen = [f for f in images.families if any(word in f.lower() for word in ("moon", "heart"))]
    return load_images("families", 8, chosen)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_equal_to_the_dense_sweep(name, schedule):
    """In float64 to 1e-7, values and tangents, on more points than a block holds, with a prior or none."""
    model = ExactModel.of(images_of(name), dtype=torch.float64)
    if len(model.atoms) > 120:
        model = model.subset(np.arange(0, len(model.atoms), len(model.atoms) // 100))
    plane, levels = Plane(seeded_anchors(model.shape, 6), grid=23), SCHEDULES[schedule]
    a, b = (x.ravel() for x in np.meshgrid(plane.alpha, plane.beta, indexing="ij"))
    c, dc = plane.coefficients(a, b)
    x = model.start(plane.anchors, c)
    dx = torch.stack([model.start(plane.anchors, d) for d in dc])
    text = model.names[3] if name != "families" else ""
    prompt = model.prompt(text, 0.3)
    assert len(x) > 2 * BLOCK
    swept = model.sweep(x, levels, prompt, tangents=dx)
    rows = dense(model, x, levels, dx, prompt.conditions["log_prior"])
    for frame, (x0, dx0) in zip(swept, rows, strict=True):
        size = float(x0.abs().max())
        torch.testing.assert_close(frame.x0, x0, atol=1e-7 * max(1, size), rtol=0)
        torch.testing.assert_close(frame.dx0, dx0, atol=1e-7 * max(1.0, float(dx0.abs().max())), rtol=0)


def test_float32_loses_nothing_that_rounding_had_left():
    """Against the dense sweep in float64: no larger error than the dense one in float32 has, point for point in the
    median, and twice in the worst per cent."""
    images, levels = images_of("families"), scaled_linear_levels(20)
    wide, narrow = ExactModel.of(images, dtype=torch.float64), ExactModel.of(images)
    plane = Plane(seeded_anchors(wide.shape, 6), grid=23)
    a, b = (x.ravel() for x in np.meshgrid(plane.alpha, plane.beta, indexing="ij"))
    c = plane.coefficients(a, b)[0]
    still = lambda model: torch.zeros(1, len(c), len(model.atoms), dtype=model.dtype)  # noqa: E731
    every = zip(dense(wide, wide.start(plane.anchors, c), levels, still(wide), 0.0),
                dense(narrow, narrow.start(plane.anchors, c), levels, still(narrow), 0.0),
                narrow.sweep(narrow.start(plane.anchors, c), levels), strict=True)
    for (exact, _), (plain, _), frame in every:
        ours, theirs = ((wide.weights(x.double() - exact)).abs().amax(1) for x in (frame.x0, plain))
        assert ours.quantile(0.5) <= 2 * theirs.quantile(0.5) + 1e-7
        assert ours.quantile(0.99) <= 4 * theirs.quantile(0.99) + 1e-7


def test_blocks_hold_every_point_once_and_neighbours_together():
    rng = np.random.default_rng(0)
    places = rng.random((3000, 2))
    q = torch.as_tensor(places @ rng.normal(size=(2, 40)) + rng.normal(size=40))
    parts = list(blocks(q))
    assert list(blocks(q[:0])) == []
    assert sorted(torch.cat(parts).tolist()) == list(range(3000))
    assert max(len(part) for part in parts) <= 1.2 * BLOCK
    spread = np.mean([np.ptp(places[part.numpy()], axis=0).prod() for part in parts])
    assert spread < 6 * BLOCK / 3000                                # of random blocks nearly 1


def test_a_picture_is_alive_above_rounding():
    w = torch.tensor([[1.0, 1e-7, 1e-9, 0.0, 0, 0], [1.0, 0, 2e-9, 0, 0, 1e-12]])
    assert live(w).tolist() == [0, 1]
    assert live(w.double()).tolist() == [0, 1, 2, 5]
    assert live(w[:, :2]) is None                                   # nearly all: not worth the gathering
