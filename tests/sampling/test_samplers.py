"""Noise levels and the DDIM step against diffusers, closed forms and the exact Gaussian flow."""

import numpy as np
import pytest
import torch

from phasebook.sampling.samplers import ddim, ddim_step, levels, log_snr_levels, scaled_linear_levels


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


@pytest.mark.parametrize("steps", [2, 50])
def test_every_ddim_step_equals_diffusers(steps):
    made, mine = scheduler(steps), scaled_linear_levels(steps)
    generator = torch.Generator().manual_seed(3)
    for k, t in enumerate(made.timesteps):
        x, x0 = (torch.randn(2, 3, 4, 4, generator=generator) for _ in range(2))
        theirs = made.step(x0, t, x, eta=0.0).prev_sample
        # diffusers accumulates its schedule in float32
        torch.testing.assert_close(ddim_step(x, x0, k, mine), theirs, atol=1e-4, rtol=1e-5)


def test_sd_starts_where_it_should():
    mine = scaled_linear_levels(50)
    assert mine.timestep[0] == 981 and mine.timestep[-1] == 1
    assert mine.sigma_over_alpha[0] == pytest.approx(13.12, abs=0.01)
    assert (np.diff(mine.log_snr) > 0).all()


def test_log_snr_is_uniform():
    mine = log_snr_levels(40, 25.0, 0.02)
    np.testing.assert_allclose(np.diff(mine.log_snr), np.diff(mine.log_snr)[0])
    assert mine.sigma_over_alpha[0] == pytest.approx(25) and mine.sigma[-1] / mine.alpha[-1] == pytest.approx(0.02)


def test_first_order_on_the_gaussian_flow():
    """For data N(0, s) the flow is x_t = x_T sd_t / sd_T; DDIM's error falls like 1/steps."""
    s, errors, counts = 2.5, [], [40, 80, 160, 320]
    for n in counts:
        mine = log_snr_levels(n, 20.0, 0.05)
        sd = np.sqrt(mine.alpha**2 * s + mine.sigma**2)
        *_, last = ddim(lambda x, a, r: a * s / (a**2 * s + r**2) * x, 1.0, mine)
        errors.append(abs(ddim_step(last.x, last.x0, n - 1, mine) - sd[-1] / sd[0]))
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(-1, abs=0.05)


def test_a_sampler_can_start_late_and_leaves_its_input_alone():
    mine, x = scaled_linear_levels(10), torch.ones(3)
    seen = [s.step for s in ddim(lambda x, a, r: 0.5 * x, x, mine, start=6)]
    assert seen == [6, 7, 8, 9] and torch.equal(x, torch.ones(3))


@pytest.mark.parametrize("call, message", [
    (lambda: levels("cosine", 50), "schedule = 'cosine': unknown; takes one of scaled_linear, log_snr"),
    (lambda: levels("scaled_linear", 0), "steps = 0: takes an integer from 1 to 999"),
    (lambda: levels("scaled_linear", 1000), "steps = 1000"),
    (lambda: levels("log_snr", 2.5), "steps = 2.5"),
    (lambda: log_snr_levels(5, 0.1, 1.0), "take noisiest > cleanest > 0"),
])
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)
