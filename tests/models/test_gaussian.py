"""The Gaussian control against its denoiser in pixel space."""

import numpy as np
import pytest
import torch

from phasebook.models.exact import NORM, ExactModel
from phasebook.models.gaussian import GaussianModel
from phasebook.sampling.levels import Levels, scaled_linear_levels
from tests.builders import images, plain_ddim, refuses


def test_gaussian_control_equals_its_flow():
    """N(mean, cov) with the covariance matrix written out."""
    exact = ExactModel.of(images(), dtype=torch.float64)
    control, levels = GaussianModel.of(exact), scaled_linear_levels(8)
    z = torch.randn(4, *exact.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    covariance = exact.atoms.T @ exact.atoms / 12
    eye = torch.eye(len(covariance), dtype=torch.float64)

    def denoise(x, alpha, sigma):
        gain = alpha * covariance @ torch.linalg.inv(alpha**2 * covariance + sigma**2 * eye)
        return (x.flatten(1) @ gain.T).view_as(x)

    x = control.start(z)
    frames = control.sweep(x, levels, tangents=torch.stack([x, x]))
    for (_, x0, _), frame in zip(plain_ddim(denoise, z, levels), frames, strict=True):
        w = frame.x0 @ control.axes.T
        torch.testing.assert_close((w @ exact.atoms).view_as(z), x0, atol=1e-8, rtol=0)
        torch.testing.assert_close(frame.dx0[0], frame.x0)                                     # linear
        torch.testing.assert_close(frame.x0.square().sum(1), x0.flatten(1).square().sum(1), atol=1e-8, rtol=1e-8)
        pixels = exact.mean + x0.flatten(1) / exact.scale
        torch.testing.assert_close(control.decode(frame.x0).flatten(1), pixels.clamp(0, 1), atol=1e-8, rtol=0)


@pytest.mark.parametrize("norm", [1e-10, 1e10])
def test_the_gaussian_control_knows_no_unit(norm):
    """Rescaled data under rescaled noise have the same pictures."""
    z = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).numpy()
    shown = []
    for scale in (NORM, norm):
        model = GaussianModel.of(ExactModel.of(images(), dtype=torch.float64, norm=scale))
        levels = Levels("one", np.array([0.3, 0.9]), scale * np.array([0.2, 0.1]), np.array([-1]))
        shown.append(model.decode(model.predict(model.start(z * scale), levels, 0).x0))
    torch.testing.assert_close(shown[1], shown[0], atol=1e-9, rtol=0)


@pytest.mark.parametrize("kind", ["subset", "latents", "duplicates"])
def test_the_gaussian_has_the_mean_of_atoms_that_are_not_centred(kind):
    """Against the covariance matrix written out."""
    whole = ExactModel.of(images(), dtype=torch.float64)
    views = 3 + torch.randn(2, 12, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    model = {"subset": whole.subset(np.arange(5)), "duplicates": whole.subset([0, 1, 1, 2]),
             "latents": ExactModel.of_latents(views, images())}[kind]
    atoms = model.atoms.double().numpy()
    mean, covariance = atoms.mean(0), np.cov(atoms.T, bias=True)
    control = GaussianModel.of(model)
    z = 9 * torch.randn(4, *model.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).numpy()
    for alpha, sigma in ((0.1, 9.0), (0.5, 3.0), (0.9, 0.3)):
        levels = Levels("one", np.array([alpha, 1.0]), np.array([sigma, 0.1]), np.array([-1]))
        gain = alpha * covariance @ np.linalg.inv(alpha**2 * covariance + sigma**2 * np.eye(len(mean)))
        expected = mean + (z.reshape(4, -1) - alpha * mean) @ gain.T
        said = control.predict(control.start(z), levels, 0).x0.double() @ control.axes.T @ model.atoms.double()
        np.testing.assert_allclose(said, expected, atol=1e-9 if kind != "latents" else 2e-4)


def test_a_gaussian_takes_no_words():
    model = GaussianModel.of(ExactModel.of(images()))
    assert model.prompt("").conditions == {}
    refuses(lambda: model.prompt("family 1"), "prompt = 'family 1': this model takes none")
    refuses(lambda: model.prompt(["", ""], negative="x"), "negative = 'x': this model takes none")
    refuses(lambda: model.prompt("", -1), "guidance = -1: takes a finite number >= 0")


@pytest.mark.parametrize("call, words", [
    (lambda m: m.predict(None, m.levels(2), 0), "x: a NoneType; takes states (p, "),
    (lambda m: m.predict(m.start(np.zeros((1, *m.shape))), m.levels(2), 2), "step = 2: takes a whole number from"),
    (lambda m: m.predict(m.start(np.zeros((1, *m.shape))), None, 0), "levels = None"),
    (lambda m: m.predict(m.start(np.zeros((1, *m.shape))), m.levels(2), 0, "cat"), "prompt = 'cat'"),
    (lambda m: m.decode(torch.zeros(1, 3)), "x0: float32 of shape (1, 3); takes states (p, "),
    (lambda m: m.decode(m.start(np.zeros((1, *m.shape))) * torch.nan), "x0: not finite at point 0"),
    (lambda m: m.norm("x"), "x: 'x'; takes differences of states"),
])
def test_bad_calls_of_a_gaussian_are_one_line(call, words):
    refuses(lambda: call(GaussianModel.of(ExactModel.of(images()))), words)


def test_a_gaussian_of_something_else_is_refused():
    refuses(lambda: GaussianModel.of(3), "exact = 3: takes an ExactModel")
