"""The exact model: Gram space against pixel space, tangents against autograd."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch

from phasebook.mixtures.mixtures import Mixture
from phasebook.models.exact import NORM, ExactModel
from phasebook.sampling.features import OfPixels, root_mean_square
from phasebook.sampling.levels import scaled_linear_levels
from tests.builders import images, refuses


@pytest.fixture(scope="module")
def wide():
    return ExactModel.of(images(), dtype=torch.float64)


def latents(p, shape, seed=1):
    return torch.randn(p, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pure(model):
    """The states of the atoms themselves, as predictions."""
    return torch.cat([model.gram, torch.eye(len(model.atoms), dtype=model.dtype)], 1)


def test_scale_and_centre(wide):
    assert float((wide.atoms**2).sum(1).mean()) == pytest.approx(NORM**2)
    assert float(wide.atoms.mean(0).abs().max()) < 1e-12
    pixels = wide.decode(pure(wide)).movedim(1, -1).numpy()
    np.testing.assert_allclose(pixels, images().pixels, atol=1e-6)
    rms = np.sqrt(((pixels[0] - pixels[1]) ** 2).mean())
    assert rms == pytest.approx(float((wide.atoms[0] - wide.atoms[1]).norm()) * wide.unit)
    assert float(wide.norm(pure(wide)[:1] - pure(wide)[1:2])) * 2 == pytest.approx(
        2 * float((wide.atoms[0] - wide.atoms[1]).square().mean().sqrt()))
    other = ExactModel.of(images(), norm=36.0)
    assert float((other.atoms**2).sum(1).mean()) == pytest.approx(36.0**2, rel=1e-5)


def test_denoiser_is_the_mixture_of_equation_6(wide):
    z = latents(5, wide.shape)
    for alpha, sigma in [(0.08, 0.997), (0.6, 0.8), (0.99, 0.14)]:
        expected = Mixture.atoms(wide.atoms.numpy()).denoise(z.flatten(1).numpy(), alpha, sigma)
        np.testing.assert_allclose(wide.denoise(z, alpha, sigma).flatten(1), expected, atol=1e-10)


def test_denoiser_by_tweedie(wide):
    """xhat_0 = (x + sigma^2 grad log p) / alpha, with the gradient taken by autograd."""
    x, alpha, sigma = latents(4, wide.shape).flatten(1).requires_grad_(), 0.5, 0.8
    log_p = torch.logsumexp(-((x[:, None] - alpha * wide.atoms) ** 2).sum(-1) / (2 * sigma**2), -1).sum()
    score = torch.autograd.grad(log_p, x)[0]
    expected = ((x + sigma**2 * score) / alpha).view(-1, *wide.shape)
    torch.testing.assert_close(wide.denoise(x.view(-1, *wide.shape), alpha, sigma), expected)


def test_pixel_feature_has_the_distances_of_pictures(wide):
    *_, frame = wide.sweep(wide.start(latents(6, wide.shape)), scaled_linear_levels(9))
    f = frame.embedded(wide.features["pixels"])
    pixels = wide.mean + (wide.weights(frame.x0) @ wide.atoms) / wide.scale
    off, dual = f.points[0] - f.points[1], f.duals[0] - f.duals[1]
    expected = (pixels[0] - pixels[1]).square().mean().sqrt()
    assert float((off @ dual).sqrt() * wide.features["pixels"].unit) == pytest.approx(float(expected))
    pairs = torch.pdist(wide.atoms).median() * wide.unit
    assert wide.features["pixels"].yardstick(wide) == pytest.approx(float(pairs), rel=1e-6)


def test_posterior_feature_is_two_root_weights(wide):
    x, dx = wide.start(latents(3, wide.shape)), torch.stack([wide.start(latents(3, wide.shape, 9))] * 2)
    levels, posterior = scaled_linear_levels(10), wide.features["posterior"]
    for frame in wide.sweep(x, levels, tangents=dx):
        f = frame.embedded(posterior)
        torch.testing.assert_close(f.points, 2 * wide.weights(frame.x0).sqrt())
        assert torch.isfinite(f.d_points).all()
    h, found = 1e-6, []                         # by a central difference at the second step
    for sign in (1, -1, 0):
        frames = wide.sweep(x + sign * h * dx[0], levels, tangents=dx)
        next(frames)
        f = posterior(next(frames))
        found.append((f.points.clone(), f.d_points.clone()))
    torch.testing.assert_close((found[0][0] - found[1][0]) / (2 * h), found[2][1][0], atol=1e-6, rtol=1e-5)


def test_fields_are_those_of_the_posterior(wide):
    *_, frame = wide.sweep(wide.start(latents(6, wide.shape)), scaled_linear_levels(4))
    w = wide.weights(frame.x0).numpy()
    fields = {name: of(frame) for name, of in wide.fields.items()}
    np.testing.assert_array_equal(fields["atom"], w.argmax(1))
    grouped = np.stack([w[:, wide.family == f].sum(1) for f in range(3)], 1)
    for name, p in (("entropy_atom", w), ("entropy_family", grouped)):
        np.testing.assert_allclose(fields[name], scipy.stats.entropy(p, axis=1), atol=1e-10)


def test_a_prompt_is_a_log_prior(wide):
    prompt = wide.prompt(["family 1", ""])
    np.testing.assert_array_equal(prompt.conditions["log_prior"][0].numpy() > 0, wide.family == 1)
    assert float(prompt.conditions["log_prior"][1].abs().max()) == 0
    twice = wide.prompt("family 1", 2.0).conditions["log_prior"]
    torch.testing.assert_close(twice[0], 2 * prompt.conditions["log_prior"][0])
    against = wide.prompt("", negative="family 2").conditions["log_prior"][0]
    np.testing.assert_array_equal(against.numpy() < 0, wide.family == 2)
    levels, z = scaled_linear_levels(30), latents(40, wide.shape)
    *_, plain = wide.sweep(wide.start(z), levels)
    unguided = wide.family[wide.weights(plain.x0).argmax(1).numpy()]
    *_, frame = wide.sweep(wide.start(z), levels, wide.prompt("family 1", 0.75))
    chosen = wide.family[wide.weights(frame.x0).argmax(1).numpy()]
    assert (chosen == 1).mean() > 0.9 > 0.7 > (unguided == 1).mean()
    with pytest.raises(ValueError, match="names no image and no family"):
        wide.prompt("submarine")


def test_a_subset_keeps_centre_and_scale(wide):
    part = wide.subset(np.arange(0, 12, 3))
    torch.testing.assert_close(part.gram, wide.gram[::3, ::3])
    np.testing.assert_allclose(part.decode(pure(part)).movedim(1, -1), images().pixels[::3], atol=1e-6)


def test_one_image_is_always_predicted():
    one = ExactModel.of(images(n=1, families=1))
    for frame in one.sweep(one.start(latents(3, one.shape)), scaled_linear_levels(5)):
        assert (one.weights(frame.x0) == 1).all() and float(frame.x0[:, :1].abs().max()) == 0
    assert one.features["pixels"].yardstick(one) == 0 == one.features["posterior"].yardstick(one)


def test_copies_of_one_picture_leave_a_yardstick():
    few = images(n=8, families=1)
    few.pixels[1:] = few.pixels[1]              # of most pairs the distance is 0
    model = ExactModel.of(few)
    apart = float((model.atoms[0] - model.atoms[1]).norm()) * model.unit
    assert model.features["pixels"].yardstick(model) == pytest.approx(apart, rel=1e-4)


def test_encoded_pictures_are_read_back(wide):
    levels = scaled_linear_levels(50)
    state = wide.encode(torch.as_tensor(images().pixels).movedim(-1, 1), levels, seed=3)
    read = wide.predict(state, levels, 49).x0
    assert (wide.weights(read).argmax(1) == torch.arange(12)).all()


def test_exact_model_of_latents_is_the_mixture_in_latent_space():
    """Against the posterior mean written out, with noise levels and scale of the latents as they are."""
    views = torch.randn(2, 12, 4, 3, 3, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.1
    exact, flat = ExactModel.of_latents(views, images()), views.flatten(0, 1)
    x = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(2))
    alpha, sigma = 0.6, 0.8
    square = ((x[:, None] - alpha * flat) ** 2).sum((2, 3, 4)).double()
    mean = torch.einsum("pi,icyx->pcyx", torch.softmax(-square / (2 * sigma**2), -1), flat.double())
    assert torch.allclose(exact.denoise(x, alpha, sigma).double(), mean, atol=1e-5)
    assert exact.unit == pytest.approx(36**-0.5)
    assert exact.names[15] == exact.names[3] and exact.family[15] == exact.family[3]


def test_bad_images():
    with pytest.raises(ValueError, match="images"):
        ExactModel.of(SimpleNamespace(pixels=np.full((2, 4, 4, 3), np.nan), family=[0, 0], families="a", names="ab"))


@pytest.mark.parametrize("call, words", [
    (lambda: ExactModel.of("dir"), "images = 'dir': takes an image set"),
    (lambda: ExactModel.of(images(), norm=0), "norm = 0: takes a positive number"),
    (lambda: ExactModel.of(images(), norm=np.nan), "norm = nan"),
    (lambda: ExactModel.of(images(), bonus="a"), "bonus = 'a'"),
    (lambda: ExactModel.of(images(), dtype="x"), "dtype = 'x'"),
    (lambda: ExactModel.of(images(), "gpu"), "device = 'gpu'"),
    (lambda: ExactModel.of(SimpleNamespace(pixels=np.ones((2, 4, 4)), family=[0, 0], families="a", names="ab")),
     "images: pixels of shape (2, 4, 4)"),
    (lambda: ExactModel.of_points([[0.0, np.nan]]), "points: NaN or Inf at [0, 1]"),
    (lambda: ExactModel.of_points([0.0, 1.0]), "points: shape (2,); takes (n, d)"),
    (lambda: ExactModel.of_points(np.zeros((0, 2))), "points: shape (0, 2)"),
    (lambda: ExactModel.of_points("a"), "points = 'a': takes an array (n, d)"),
    (lambda: ExactModel.of_points(np.eye(2), norm=-1), "norm = -1"),
    (lambda: ExactModel.of(images(), dtype=torch.float16), "dtype = torch.float16: the exact model takes"),
    (lambda: ExactModel.of(images(), bonus=-1), "bonus = -1: takes a finite number >= 0"),
    (lambda: ExactModel.of_latents(None, images()), "latents = None: takes an array (views, n, ...)"),
    (lambda: ExactModel.of_latents("x", images()), "latents = 'x'"),
    (lambda: ExactModel.of_latents(torch.zeros(12, 2), images()), "latents: shape (12, 2) for 12 images; takes (views"),
    (lambda: ExactModel.of_latents(torch.zeros(1, 3, 2), images()), "latents: shape (1, 3, 2) for 12 images"),
    (lambda: ExactModel.of_latents(torch.full((1, 12, 2), torch.nan), images()), "latents: NaN or Inf at [0, 0, 0]"),
    (lambda: ExactModel.of_latents(torch.zeros(1, 12, 2), "dir"), "images = 'dir': takes an image set"),
    (lambda: ExactModel.of_latents(torch.zeros(1, 12, 2), images(), "gpu"), "device = 'gpu'"),
])
def test_what_an_exact_model_cannot_be_made_of(call, words):
    refuses(call, words)


@pytest.mark.parametrize("call, words", [
    (lambda m: m.start(np.zeros((1, 3))), "latents: shape (1, 3); this model takes (m, 3, 6, 6)"),
    (lambda m: m.prompt("family 1", "strong"), "guidance = 'strong': takes a finite number"),
    (lambda m: m.prompt("family 1", 1e308), "guidance = 1e+308: its bonus is beyond float64; takes a smaller one"),
    (lambda m: m.prompt("family 1", np.inf), "guidance = inf"), (lambda m: m.prompt("", negative=3), "negative = 3"),
    (lambda m: list(m.sweep(m.start(latents(5, m.shape)), m.levels(2), m.prompt(["family 1"] * 3))),
     "prompt: of 3 points; takes one for all 5, or one a point"),
    (lambda m: m.predict(m.start(latents(5, m.shape)), m.levels(2), 0, m.prompt(["family 1"] * 3)),
     "prompt: of 3 points"),
    (lambda m: m.prompt("family 1", -1), "guidance = -1: takes a finite number >= 0"),
    (lambda m: m.prompt("family 1", negative="zz"), "negative = 'zz': names no image and no family"),
    *((lambda m, call=call, x=x: getattr(m, call)(x), f"{name}: {said}; takes states (p, 24), float64") for
      call, name in (("norm", "x"), ("weights", "x0"), ("decode", "x0")) for x, said in
      ((None, "a NoneType"), ("x", "a str"), (torch.zeros(2, 12), "float32 of shape (2, 12)"))),
    (lambda m: m.decode(torch.zeros(2, 24)), "x0: float32 of shape (2, 24)"),
    (lambda m: m.decode(torch.full((2, 24), torch.nan).double()), "x0: not finite at point 0; takes states of finite"),
    *((lambda m, x=x: m.predict(x, m.levels(2), 0), f"x: {said}; takes states (p, 24), float64") for x, said in
      ((None, "a NoneType"), (torch.zeros(2, 12), "float32 of shape (2, 12)"),
       (torch.zeros(2, 24), "float32 of shape (2, 24)"))),
    *((lambda m, step=step: m.predict(pure(m), m.levels(2), step), f"step = {step!r}: takes a whole number from 0 to 1")
      for step in (None, "x", -1, 99, 1.5)),
    (lambda m: m.predict(pure(m), 2, 0), "levels = 2: takes a Levels"),
    (lambda m: m.predict(pure(m), m.levels(2), 0, read=3), "read = 3: takes a whole number from 0 to 2"),
    (lambda m: m.predict(pure(m), m.levels(2), 0, "cat"), "prompt = 'cat': takes a Prompt"),
    (lambda m: m.predict_each(pure(m), m.levels(2), [0, 2]), "steps = [0, 2]: takes a step from 0 to 1 for each of"),
    *((lambda m, x=x: m.denoise(x, 0.5, 0.5), f"x: {said}; takes states (p, 3, 6, 6), float64") for x, said in
      ((None, "a NoneType"), (torch.zeros(1, 3, 4, 4), "float32 of shape (1, 3, 4, 4)"))),
    *((lambda m, a=a: m.denoise(torch.zeros(1, 3, 6, 6).double(), a, 0.5), f"alpha = {a!r}: takes a number >= 0")
      for a in (None, "x", np.nan, -1)),
    *((lambda m, s=s: m.denoise(torch.zeros(1, 3, 6, 6).double(), 0.5, s), f"sigma = {s!r}: takes a number > 0")
      for s in (None, "x", np.nan, -1, 0)),
    *((lambda m, seed=seed: m.encode(torch.zeros(1, 3, 6, 6), m.levels(2), seed), f"seed = {seed!r}: takes a whole")
      for seed in (None, "x", 1.5, -1)),
    (lambda m: m.encode(9 * torch.ones(1, 3, 6, 6), m.levels(2), 0), "pixels: float32 from 9 to 9; takes pictures"),
    (lambda m: m.encode(torch.full((1, 3, 6, 6), torch.nan), m.levels(2), 0), "pixels: float32 from nan to nan"),
    (lambda m: m.encode(np.full((1, 3, 6, 6), np.nan), m.levels(2), 0), "pixels: NaN or Inf at [0, 0, 0, 0]"),
    (lambda m: m.encode("x", m.levels(2), 0), "pixels = 'x': takes pictures (p, 3, 6, 6) in [0, 1]"),
    (lambda m: m.encode(torch.zeros(1, 3, 6, 6), 2, 0), "levels = 2: takes a Levels"),
    (lambda m: list(m.sweep(None, m.levels(2))), "x: a NoneType; takes states (p, 24)"),
    (lambda m: list(m.sweep(pure(m) * torch.nan, m.levels(2))), "x: not finite at point 0"),
    (lambda m: list(m.sweep(pure(m), m.levels(2), first=2)), "first = 2: takes a step from 0 to 1"),
    (lambda m: list(m.sweep(pure(m), m.levels(2), tangents=pure(m)[None] * torch.nan)), "tangents: not finite at"),
])
def test_bad_calls_of_an_exact_model_are_one_line(wide, call, words):
    refuses(lambda: call(wide), words)


@pytest.mark.parametrize("scale", [1e-12, 1e-100, 1e12])
def test_points_of_any_scale_have_the_norm_that_is_asked_for(scale):
    points = np.random.default_rng(0).normal(size=(5, 3))
    atoms = ExactModel.of_points(points * scale).atoms
    torch.testing.assert_close(atoms, ExactModel.of_points(points).atoms)
    assert float((atoms**2).sum(1).mean().sqrt()) == pytest.approx(NORM)
    assert float(ExactModel.of_points(np.full((3, 2), 0.1 * scale)).atoms.abs().max()) < 1e-12 * max(scale, 1)


def test_points_have_no_pictures():
    """Their coordinates would be clipped to [0, 1] and shown as pixels."""
    model = ExactModel.of_points(np.random.default_rng(0).normal(size=(5, 3)))
    *_, last = model.sweep(model.start(np.ones((2, 3))), model.levels(3))
    assert not model.pictures and float(model.atoms.min()) < 0
    for call in (lambda: model.decode(last.x0), lambda: model.encode(torch.zeros(1, 3), model.levels(3), 0),
                 lambda: OfPixels(root_mean_square)(last)):
        with pytest.raises(ValueError, match="the atoms are points, not pictures"):
            call()


def test_atoms_and_pictures_that_are_not_there_are_refused(wide):
    for index in ([], [len(wide.atoms)], [-1], [0.5], [[0]], "a"):
        refuses(lambda index=index: wide.subset(index), "index = ", "takes a list of atoms, from 0 to ")
    for shape in ((1, 3, 4, 5), (3, 8, 8), (1, 1)):
        refuses(lambda shape=shape: wide.encode(torch.zeros(shape), wide.levels(3), 0), f"pixels: shape {shape}; takes")


def test_products_with_the_anchors_of_a_plane_are_taken_once(monkeypatch):
    """The key is what the latents are, not who holds them: an array that was changed in place is another one."""
    from phasebook.models import exact as module

    taken, real = [], module.products_with
    monkeypatch.setattr(module, "products_with", lambda atoms, z: taken.append(len(z)) or real(atoms, z))
    rng = np.random.default_rng(0)
    model = ExactModel.of_points(rng.normal(size=(5, 4)))
    anchors, c = rng.normal(size=(3, 4)), rng.normal(size=(7, 3))
    first = model.start(anchors, c)
    assert torch.equal(model.start(anchors.copy(), c), first) and taken == [3]
    torch.testing.assert_close(first[:, :5], (torch.as_tensor(c @ anchors) @ model.atoms.double().T).float())
    anchors[0] += 1
    assert not torch.equal(model.start(anchors, c), first) and taken == [3, 3]
    model.start(rng.normal(size=(9, 4)))                                # many latents are not kept
    for _ in range(2 * module.PLANES):
        model.start(rng.normal(size=(3, 4)), c)
    assert len(model._known) == module.PLANES
    torch.testing.assert_close(model.start(anchors - [[1], [0], [0]], c), first)
