"""Noise levels against diffusers."""

import numpy as np
import pytest
import torch

from phasebook.sampling.levels import Levels, log_snr_levels, named_levels, scaled_linear_levels
from tests.builders import refuses


def scheduler(steps: int):
    from diffusers import DDIMScheduler

    made = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                         set_alpha_to_one=False, steps_offset=1, prediction_type="sample", timestep_spacing="leading")
    made.set_timesteps(steps)
    return made


@pytest.mark.parametrize("steps", [1, 2, 7, 25, 50, 334, 500])
def test_levels_equal_diffusers(steps):
    made, mine = scheduler(steps), scaled_linear_levels(steps)
    np.testing.assert_array_equal(mine.timestep, made.timesteps.numpy())
    np.testing.assert_allclose(mine.alpha[:-1] ** 2, made.alphas_cumprod[made.timesteps].numpy(), rtol=2e-5)
    np.testing.assert_allclose(mine.alpha[-1] ** 2, float(made.final_alpha_cumprod), rtol=1e-6)
    np.testing.assert_allclose(mine.alpha**2 + mine.sigma**2, 1)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [2, 50])
def test_every_step_equals_diffusers(steps, eta):
    made, mine = scheduler(steps), scaled_linear_levels(steps)
    generator = torch.Generator().manual_seed(3)
    for k, t in enumerate(made.timesteps):
        x, x0, n = (torch.randn(2, 3, 4, 4, generator=generator) for _ in range(3))
        a, b, spread = mine.mixing(k, eta)
        ours = a * x0 + b * (x - mine.alpha[k] * x0) / mine.sigma[k] + spread * n
        theirs = made.step(x0, t, x, eta=eta, variance_noise=n).prev_sample
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)      # diffusers accumulates in float32


def test_the_step_is_that_of_euler_in_sigma_and_of_flow_matching():
    """In x/alpha against sigma/alpha, and for alpha = 1 - sigma on the velocity eps - x0."""
    rng = np.random.default_rng(0)
    x, x0 = rng.normal(size=(2, 7))
    mine = scaled_linear_levels(10)
    a, b, _ = mine.mixing(4)
    eps = (x - mine.alpha[4] * x0) / mine.sigma[4]
    r, r_next = (mine.sigma / mine.alpha)[4:6]
    np.testing.assert_allclose(mine.alpha[5] * (x / mine.alpha[4] + (r_next - r) * eps), a * x0 + b * eps)
    t = np.linspace(1, 0, 11)
    flow = Levels("flow", 1 - t, t, 1000 * t[:-1])
    a, b, _ = flow.mixing(4)
    eps = (x - flow.alpha[4] * x0) / flow.sigma[4]
    np.testing.assert_allclose(x + (t[5] - t[4]) * (eps - x0), a * x0 + b * eps)


def test_noise_of_a_step_is_that_of_the_next_level():
    """Of any levels: given x_0 and the state before, a step with eta = 1 draws from the Gaussian bridge."""
    t = np.linspace(1, 0, 9)
    flow = Levels("flow", 1 - t, t, 1000 * t[:-1])
    for k in range(8):
        (alpha, after), (sigma, left) = flow.alpha[k:k + 2], flow.sigma[k:k + 2]
        for eta in (0.0, 0.4, 1.0):
            a, b, spread = flow.mixing(k, eta)
            assert a == after and b**2 + spread**2 == pytest.approx(left**2)
        grows = np.sqrt(max(sigma**2 - (alpha * left / after) ** 2, 0))     # x_k = (alpha / alpha') x_{k+1} + grows n
        assert spread == pytest.approx(grows * left / sigma)


def test_sd_starts_where_it_should():
    mine = scaled_linear_levels(50)
    assert mine.timestep[0] == 981 and mine.timestep[-1] == 1
    assert mine.sigma_over_alpha[0] == pytest.approx(13.12, abs=0.01)
    assert (np.diff(mine.log_snr) > 0).all()


def test_log_snr_is_uniform():
    mine = log_snr_levels(40, 25.0, 0.02)
    np.testing.assert_allclose(np.diff(mine.log_snr), np.diff(mine.log_snr)[0])
    assert mine.sigma_over_alpha[0] == pytest.approx(25) and mine.sigma[-1] / mine.alpha[-1] == pytest.approx(0.02)


@pytest.mark.parametrize("call, message", [
    (lambda: named_levels("cosine", 50), "schedule = 'cosine': unknown; takes one of scaled_linear, log_snr"),
    (lambda: named_levels("scaled_linear", 0), "steps = 0: takes a whole number from 1 to 999"),
    (lambda: named_levels("scaled_linear", 1000), "steps = 1000"),
    (lambda: named_levels("log_snr", 2.5), "steps = 2.5"),
    (lambda: log_snr_levels(5, 0.1, 1.0), "takes numbers noisiest > cleanest > 0"),
    (lambda: log_snr_levels(5, float("inf"), 1.0), "takes numbers noisiest > cleanest > 0"),
])
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)


GOOD = {"name": "mine", "alpha": [0.1, 0.9], "sigma": [0.9, 0.0], "timestep": [5]}


@pytest.mark.parametrize("change, words", [
    ({"name": 3}, "name = 3: takes a text"), ({"alpha": [0.1, np.nan]}, "alpha: NaN or Inf at [1]"),
    ({"alpha": "a"}, "alpha = 'a': takes an array"), ({"alpha": [0.1]}, "shapes (1,), (2,), (1,)"),
    ({"timestep": [5, 1]}, "shapes (2,), (2,), (2,); takes (S + 1,), (S + 1,), (S,)"),
    ({"sigma": [0.0, 0.0]}, "sigma = 0 before the end"), ({"alpha": [-0.1, 0.9]}, "a number below 0"),
    ({"alpha": [[0.1, 0.9]]}, "shapes (1, 2)"), ({"sigma": None}, "sigma = None"),
    ({"order": 3}, "order = 3: takes a whole number from 1 to 2"), ({"order": 1.5}, "order = 1.5"),
    ({"order": 2, "alpha": [0.0, 0.9]}, "order = 2: Heun's method divides by alpha"),
    ({"alpha": [0.0, 0.0]}, "alpha = 0 at level 1: takes pure noise at the first level alone"),
    ({"landing": [[0.9]]}, "landing = "), ({"landing": [[0.9], [-0.1]]}, "takes alpha > 0 and sigma >= 0 of each step"),
    ({"landing": [[0.0], [0.1]]}, "takes alpha > 0 and sigma >= 0"), ({"landing": [[np.nan], [0.1]]}, "landing: NaN"),
    ({"landing": [[0.8], [0.1]], "order": 2}, "landing: Heun's method asks where a step ends"),
])
def test_levels_that_are_none_are_refused(change, words):
    assert Levels(**GOOD).steps == Levels(**GOOD | {"alpha": [-4e-7, 0.9]}).steps == 1       # 1 - sigma, rounded
    refuses(lambda: Levels(**GOOD | change), words)


@pytest.mark.parametrize("call, words", [
    (lambda: log_snr_levels(5, "a"), "noisiest = 'a'"), (lambda: log_snr_levels(5, cleanest=None), "cleanest = None"),
    (lambda: scaled_linear_levels(5, beta_end=2), "beta_end = 2"),
    (lambda: scaled_linear_levels(5, offset=500), "offset"),
    (lambda: scaled_linear_levels(5, train_steps="a"), "train_steps = 'a'"),
    (lambda: scaled_linear_levels(5, train_steps=10**9), "train_steps = 1000000000: takes a whole"),
    (lambda: log_snr_levels(4, cleanest=1e9), "noisiest, cleanest = 20.0, 1000000000.0: takes numbers noisiest >"),
    (lambda: scaled_linear_levels(6).thinned(1.5), "stride = 1.5"),
    (lambda: scaled_linear_levels(6).thinned(4), "stride"),
])
def test_bad_schedules_are_one_line(call, words):
    refuses(call, words)


def test_heights_end_where_noise_does_not():
    """Pure noise stands one step above the noisiest level with some signal; other levels stand where they are."""
    sigma = np.array([1.0, 0.8, 0.5, 0.0])
    flow = Levels("flow", 1 - sigma, sigma, np.arange(3))
    assert np.isinf(flow.sigma_over_alpha[0]) and np.isneginf(flow.log_snr[0])
    np.testing.assert_allclose(flow.heights, [16, 4, 1])
    rounded = Levels("flow", np.array([-5e-8, 0.2, 0.5, 1.0]), sigma, np.arange(3))
    assert rounded.alpha[0] == 0 and np.isinf(rounded.sigma_over_alpha[0])
    levels = scaled_linear_levels(9)
    assert np.array_equal(levels.heights, levels.sigma_over_alpha)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_levels_in_short_formats_are_mixed_in_float64(dtype):
    """The noise of a fine step is a small difference of large numbers."""
    alpha, sigma = np.array([0.3, 0.301], dtype), np.array([0.954, 0.9535], dtype)
    short = Levels("short", alpha, sigma, np.array([1]))
    assert short.alpha.dtype == short.sigma.dtype == np.float64
    wide = Levels("wide", alpha.astype(float), sigma.astype(float), np.array([1]))
    assert short.mixing(0, 1.0) == wide.mixing(0, 1.0)
    (a, b), (s, t) = alpha.astype(float), sigma.astype(float)
    assert short.mixing(0, 1.0)[2] == pytest.approx(t * np.sqrt(1 - (a * t / (b * s)) ** 2), rel=1e-9)


def test_a_step_is_one_of_the_sampler():
    mine = scaled_linear_levels(5)
    for step in (-1, 5, 1.5):
        refuses(lambda step=step: mine.mixing(step), f"step = {step}: takes a whole number from 0 to 4")
    for eta in (-0.1, 1.1, np.nan):
        refuses(lambda eta=eta: mine.mixing(0, eta), f"eta = {eta}: takes 0 to 1")
    refuses(lambda: named_levels(["log_snr"], 5), "schedule = ['log_snr']: unknown; takes one of")


def test_a_step_over_a_gap_lands_where_it_says():
    """And is read as of the next level; a landing on the next level is no gap."""
    alpha, sigma = np.array([0.1, 0.5, 0.9]), np.array([0.99, 0.8, 0.1])
    gaps = Levels("gaps", alpha, sigma, np.arange(2), landing=[[0.4, 0.9], [0.9, 0.1]])
    assert gaps.mixing(0)[:2] == pytest.approx((0.4, 0.9)) and gaps.mixing(1)[:2] == pytest.approx((0.9, 0.1))
    share = 0.1 * 0.9 / (0.4 * 0.99)         # alpha sigma' / (alpha' sigma)
    assert gaps.mixing(0, 1.0) == pytest.approx((0.4, 0.9 * share, 0.9 * np.sqrt(1 - share**2)))
    assert Levels("none", alpha, sigma, np.arange(2), landing=[alpha[1:], sigma[1:]]).landing is None
    assert gaps.thinned(2).landing is None
    alone = gaps.alone(0)
    assert alone.steps == 1 and alone.mixing(0) == gaps.mixing(0) and alone.timestep.tolist() == [0]
    assert alone.alpha.tolist() == [0.1, 0.4] and alone.sigma.tolist() == [0.99, 0.9]
    assert gaps.thinned(2).alone(0).alpha.tolist() == [0.1, 0.9]
    refuses(lambda: gaps.alone(2), "step = 2: takes a whole number from 0 to 1")
