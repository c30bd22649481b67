"""The exact model: Gram space against pixel space, tangents against autograd, entropies and the Gaussian control."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.mixtures.mixtures import Mixture
from phasebook.models.entropy import conditional_entropies, entropy, half_level, membership
from phasebook.models.exact import NORM, ExactModel, check_device
from phasebook.models.gaussian import GaussianModel
from phasebook.sampling.samplers import ddim, ddim_step, scaled_linear_levels


def images(n=12, size=6, families=3, seed=0):
    """Noisy copies of a few random pictures: a set with families."""
    rng = np.random.default_rng(seed)
    family = np.arange(n) % families
    pixels = (0.5 * rng.random((families, size, size, 3))[family] + 0.5 * rng.random((n, size, size, 3)))
    return SimpleNamespace(pixels=pixels.astype(np.float32), family=family, names=tuple(f"image {i}" for i in range(n)),
                           families=tuple(f"family {k}" for k in range(families)))


@pytest.fixture(scope="module")
def wide():
    return ExactModel.of(images(), dtype=torch.float64)


def latents(p, shape, seed=1):
    return torch.randn(p, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_scale_and_centre(wide):
    assert float((wide.atoms**2).sum(1).mean()) == pytest.approx(NORM**2)
    assert float(wide.atoms.mean(0).abs().max()) < 1e-12
    pixels = wide.decode(torch.eye(12))
    np.testing.assert_allclose(pixels, images().pixels, atol=1e-6)
    rms = np.sqrt(((pixels[0] - pixels[1]) ** 2).mean())
    assert rms == pytest.approx(float((wide.atoms[0] - wide.atoms[1]).norm()) * wide.unit)


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


@pytest.mark.parametrize("steps", [1, 5, 50])
def test_gram_sweep_equals_pixel_space(wide, steps):
    z, levels = latents(30, wide.shape), scaled_linear_levels(steps)
    narrow = ExactModel.of(images())
    swept = wide.sweep(wide.start(z), levels)
    swept32 = narrow.sweep(narrow.start(z), levels)
    for pixel, frame, frame32 in zip(ddim(wide.denoise, z, levels), swept, swept32, strict=True):
        torch.testing.assert_close((frame.weights @ wide.atoms).view_as(z), pixel.x0, atol=1e-8, rtol=0)
        apart = (frame32.weights.double() - frame.weights).abs().max(1).values
        assert apart.median() < 1e-5 and apart.max() < 1e-2       # float32; largest close to a boundary


def test_a_step_equals_diffusers_on_the_same_predictions(wide):
    from diffusers import DDIMScheduler

    theirs = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                           set_alpha_to_one=False, steps_offset=1, prediction_type="sample")
    theirs.set_timesteps(20)
    levels, x = scaled_linear_levels(20), latents(3, wide.shape)
    for k, t in enumerate(theirs.timesteps):
        x0 = wide.denoise(x, float(levels.alpha[k]), float(levels.sigma[k]))
        after = theirs.step(x0, t, x, eta=0.0).prev_sample
        torch.testing.assert_close(ddim_step(x, x0, k, levels), after, atol=1e-4, rtol=1e-5)
        x = after


def test_tangents_equal_autograd(wide):
    levels, z = scaled_linear_levels(12), latents(3, wide.shape)
    directions = latents(2 * 3, wide.shape, seed=5).view(2, 3, *wide.shape)
    frames = [(f.d_features.clone(), f.weights.clone()) for f in
              wide.sweep(wide.start(z), levels, torch.stack([wide.start(d) for d in directions]))]

    def last(x):
        *_, step = ddim(wide.denoise, x, levels)
        return step.x0

    for k in range(2):
        _, expected = torch.autograd.functional.jvp(last, z, directions[k])
        torch.testing.assert_close((frames[-1][0][k] @ wide.atoms).view_as(z), expected, atol=1e-8, rtol=1e-6)


def test_posterior_feature_is_two_root_weights(wide):
    q, dq = wide.start(latents(3, wide.shape)), torch.stack([wide.start(latents(3, wide.shape, 9))] * 2)
    levels = scaled_linear_levels(10)
    for frame in wide.sweep(q, levels, dq, feature="posterior"):
        torch.testing.assert_close(frame.features, 2 * frame.weights.sqrt())
        assert torch.isfinite(frame.d_features).all()
    # the derivative of features by a central difference at the second step
    h, frames = 1e-6, []
    for sign in (1, -1, 0):
        sweep = wide.sweep(q + sign * h * dq[0], levels, dq, feature="posterior")
        next(sweep)
        f = next(sweep)
        frames.append((f.features.clone(), f.d_features.clone()))
    torch.testing.assert_close((frames[0][0] - frames[1][0]) / (2 * h), frames[2][1][0], atol=1e-6, rtol=1e-5)


def test_a_prompt_is_a_log_prior(wide):
    prior = wide.encode_prompt("family 1", bonus=9.0)
    np.testing.assert_array_equal(prior.numpy() > 0, wide.family == 1)
    *_, plain = ddim(wide.denoise, latents(40, wide.shape), scaled_linear_levels(30))
    *_, frame = wide.sweep(wide.start(latents(40, wide.shape)), scaled_linear_levels(30), log_prior=prior)
    chosen = wide.family[frame.weights.argmax(1).numpy()]
    unguided = wide.family[wide.posterior(plain.x.flatten(1), 1.0, 0.05).argmax(1).numpy()]
    assert (chosen == 1).mean() > 0.9 > 0.7 > (unguided == 1).mean()
    assert float(wide.encode_prompt("").abs().max()) == 0
    with pytest.raises(ValueError, match="names no image and no family"):
        wide.encode_prompt("submarine")


def test_a_subset_keeps_centre_and_scale(wide):
    part = wide.subset(np.arange(0, 12, 3))
    torch.testing.assert_close(part.gram, wide.gram[::3, ::3])
    np.testing.assert_allclose(part.decode(torch.eye(4)), images().pixels[::3], atol=1e-6)


def test_one_image_is_always_predicted():
    one = ExactModel.of(images(n=1, families=1))
    for frame in one.sweep(one.start(latents(3, one.shape)), scaled_linear_levels(5)):
        assert (frame.weights == 1).all() and float(frame.duals.abs().max()) == 0


def test_gaussian_control_equals_its_flow(wide):
    """Against the pixel-space denoiser of N(mean, cov), built from the covariance matrix."""
    control, levels, z = GaussianModel.of(wide), scaled_linear_levels(8), latents(4, wide.shape)
    covariance = wide.atoms.T @ wide.atoms / 12
    eye = torch.eye(len(covariance), dtype=torch.float64)

    def denoise(x, alpha, sigma):
        gain = alpha * covariance @ torch.linalg.inv(alpha**2 * covariance + sigma**2 * eye)
        return (x.flatten(1) @ gain.T).view_as(x)

    tangent = torch.stack([control.start(z), control.start(z)])
    for pixel, frame in zip(ddim(denoise, z, levels), control.sweep(control.start(z), levels, tangent), strict=True):
        torch.testing.assert_close((frame.weights @ wide.atoms).view_as(z), pixel.x0, atol=1e-8, rtol=0)
        torch.testing.assert_close(frame.d_features[0], frame.features)          # linear
        norm = (frame.features * frame.duals).sum(-1)
        torch.testing.assert_close(norm, (pixel.x0**2).flatten(1).sum(1), atol=1e-8, rtol=1e-8)


def test_entropies_have_the_right_ends_and_order(wide):
    labels = {"atom": np.arange(12), "family": wide.family}
    ratios = np.geomspace(200, 0.05, 25)
    found = conditional_entropies(wide.gram, ratios, labels, 400, seed=0)
    assert found["atom"][0] == pytest.approx(np.log(12), abs=0.02) and found["atom"][-1] < 1e-3
    assert found["family"][0] == pytest.approx(np.log(3), abs=0.02)
    assert (found["family"] <= found["atom"] + 1e-9).all()
    family, atom = half_level(ratios, found["family"], np.log(3)), half_level(ratios, found["atom"], np.log(12))
    assert family > atom > 0
    assert half_level(ratios, np.zeros(25), 0.0) is None


def test_two_atoms_entropy_against_quadrature():
    """Two atoms at distance d: H(I | x) is an integral over one Gaussian variable."""
    d, ratio = 3.0, 2.0
    gram = torch.tensor([[d**2 / 4, -(d**2) / 4], [-(d**2) / 4, d**2 / 4]], dtype=torch.float64)
    found = conditional_entropies(gram, np.array([ratio]), {"atom": np.arange(2)}, 200_000, seed=1)["atom"][0]
    x, w = np.polynomial.hermite_e.hermegauss(80)
    p = 1 / (1 + np.exp(-((d / ratio) ** 2 / 2 + d / ratio * x)))
    h = -(p * np.log(p) + (1 - p) * np.log1p(-p))
    assert found == pytest.approx((w * h).sum() / w.sum(), abs=3e-3)


def test_entropy_of_uniform_and_grouped():
    p = torch.full((4,), 0.25)
    assert float(entropy(p)) == pytest.approx(np.log(4))
    assert float(entropy(p @ membership(np.array([0, 0, 1, 1])))) == pytest.approx(np.log(2))
    assert float(entropy(torch.tensor([1.0, 0.0]))) == 0


@pytest.mark.parametrize("device", ["gpu", "mps", "", "cuda"])
def test_bad_device(device):
    if device == "cuda" and torch.cuda.is_available():
        assert check_device(device) == "cuda"
        return
    with pytest.raises(ValueError, match="takes 'cpu'"):
        check_device(device)


def test_bad_images():
    with pytest.raises(ValueError, match="images"):
        ExactModel.of(SimpleNamespace(pixels=np.full((2, 4, 4, 3), np.nan), family=[0, 0], families="a", names="ab"))
