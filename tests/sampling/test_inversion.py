"""Inversion against diffusers' inverse scheduler, a root finder of SciPy's, and the sampler itself."""

import numpy as np
import pytest
import torch
from test_pipeline import build, noise

from phasebook.models.pipeline import PipelineModel
from phasebook.sampling import inversion
from phasebook.sampling.samplers import ddim_inverse_step, ddim_step, invert, levels, log_snr_levels, solve_step

STEPS = 10


def scheduler(**changes):
    from diffusers import DDIMScheduler

    own = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1,
           "set_alpha_to_one": False, "clip_sample": False}
    return DDIMScheduler(**own | changes)


KINDS = {
    "epsilon": {}, "v": {"prediction_type": "v_prediction"}, "sample": {"prediction_type": "sample"},
    "epsilon trailing": {"timestep_spacing": "trailing", "steps_offset": 0},
    "v trailing": {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "steps_offset": 0},
    "alpha to one": {"set_alpha_to_one": True, "steps_offset": 0},
    "clipped": {"clip_sample": True, "clip_sample_range": 2.0},
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One network, read in many ways; its weights are shrunk so that it answers as tamely as a trained one."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(build(tmp_path_factory.mktemp("pipe"), "v_prediction"),
                                                   use_safetensors=True)
    pipe.unet.conv_out.weight.data *= 0.3
    found = {}
    for kind, changes in KINDS.items():
        pipe.scheduler = scheduler(**changes)
        found[kind] = PipelineModel.of(pipe, kind, batch=4)
    return found


def theirs(model, z, prompt, guidance):
    """The latents after each inverse step of diffusers' own scheduler, from the clean end."""
    from diffusers import DDIMInverseScheduler

    inverse = DDIMInverseScheduler.from_config(model.scheduler.config)
    inverse.set_timesteps(STEPS)
    heard = prompt.embeddings.repeat_interleave(len(z), 0)
    trace = [z]
    with torch.no_grad():
        for t in inverse.timesteps:
            copies = len(prompt.embeddings)
            raw = model.pipe.unet(torch.cat([trace[-1]] * copies), t, encoder_hidden_states=heard).sample
            if copies == 2:
                negative, positive = raw.chunk(2)
                raw = negative + guidance * (positive - negative)
            trace.append(inverse.step(raw, int(t), trace[-1]).prev_sample)
    return torch.stack(trace[::-1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_without_iterations_inversion_is_that_of_diffusers(models, kind, guidance):
    model, z = models[kind], 0.4 * noise(3)
    prompt = model.encode_prompt("red apple", "blurry, ugly", guidance)
    ours = inversion.invert(model, z, model.levels(STEPS), prompt)
    expected = theirs(model, z, prompt, guidance)
    assert float((ours.x - expected).abs().max() / expected.abs().max().clamp(min=1)) <= 1e-5
    assert not ours.converged.any() and torch.isinf(ours.residual).all()


@pytest.mark.parametrize("kind", ["epsilon", "v", "sample", "v trailing"])
def test_with_iterations_sampling_returns_from_every_step(models, kind):
    model = models[kind]
    levels_, prompt = model.levels(STEPS), model.encode_prompt("cat face")
    *_, last = model.sweep(noise(3), levels_, prompt)
    done = inversion.invert(model, last.after, levels_, prompt, iterations=12, tolerance=1e-5)
    first = torch.arange(STEPS).repeat_interleave(3)
    back = inversion.resume(model, done.x[:STEPS].flatten(0, 1), first, levels_, prompt).x
    off = ((back - last.after.repeat(STEPS, 1, 1, 1)) ** 2).mean((1, 2, 3)).view(STEPS, 3)
    settled = done.converged.flip(0).cummin(0).values.flip(0)       # every step on the way has converged
    assert settled.float().mean() > (0.05 if kind == "sample" else 0.6)     # random noise read as a picture is steep
    assert off[settled].max() <= 1e-4
    once = inversion.invert(model, last.after, levels_, prompt)
    rough = inversion.resume(model, once.x[:STEPS].flatten(0, 1), first, levels_, prompt).x
    assert ((rough - last.after.repeat(STEPS, 1, 1, 1)) ** 2).mean() > 10 * off[settled].mean()


def test_the_solution_is_the_one_that_scipy_finds(models):
    """Newton-Krylov on the sampler's own step, taken from `sweep`, knows nothing of the iteration."""
    from scipy.optimize import newton_krylov

    model = models["v"]
    levels_, prompt = model.levels(STEPS), model.encode_prompt("cat face")
    *_, last = model.sweep(noise(1), levels_, prompt)
    done = inversion.invert(model, last.after, levels_, prompt, stop=STEPS - 2, iterations=30, tolerance=1e-7)
    target = last.after
    for step in (STEPS - 1, STEPS - 2):
        def missed(y, step=step, target=target):
            part = next(model.sweep(torch.as_tensor(y, dtype=torch.float32).view(1, *model.shape), levels_, prompt,
                                    first=step))
            return (part.after - target).double().numpy().ravel()

        found = newton_krylov(missed, target.double().numpy().ravel(), f_tol=2e-6, rdiff=1e-3)
        found = torch.as_tensor(found, dtype=torch.float32).view(1, *model.shape)
        assert float((found - done.x[step]).abs().max()) < 5e-5
        target = found


def test_points_resume_at_steps_and_under_prompts_of_their_own(models):
    """The batch of mixed starts equals one sweep for each."""
    model, levels_ = models["v"], models["v"].levels(STEPS)
    words, first = ["red apple", "cat face", "red apple", "green apple", ""], torch.tensor([0, 7, 3, 9, 10])
    prompts = inversion.prompts_of(model, words, "blurry, ugly", 3.0)
    ours, clean = inversion.resume(model, noise(5), first, levels_, prompts)
    for i, (text, k) in enumerate(zip(words[:-1], first[:-1].tolist(), strict=True)):
        heard = model.encode_prompt(text, "blurry, ugly", 3.0)
        *_, last = model.sweep(noise(5)[i:i + 1], levels_, heard, first=k)
        torch.testing.assert_close(ours[i], last.after[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(clean[i], last.x0[0], atol=1e-4, rtol=1e-4)
    assert torch.equal(ours[-1], noise(5)[-1])


def test_noise_of_a_step_is_the_same_from_wherever_a_point_starts(models):
    model, levels_ = models["v"], models["v"].levels(STEPS)
    prompt, z = model.encode_prompt("cat face"), noise(1)
    whole = inversion.resume(model, z, torch.tensor([0]), levels_, prompt, eta=0.5, seed=3).x
    calm = inversion.resume(model, z, torch.tensor([0]), levels_, prompt).x
    assert float((whole - calm).abs().max()) > 0.01
    both = inversion.resume(model, z.expand(2, -1, -1, -1), torch.tensor([0, 0]), levels_, prompt, eta=0.5, seed=3).x
    torch.testing.assert_close(both[0], both[1])
    torch.testing.assert_close(both[0], whole[0])


# --- the plain functions ----------------------------------------------------------------------------------------

def test_the_inverse_step_undoes_the_step():
    made, x, x0 = levels("scaled_linear", 20), noise(2), noise(2, seed=1)
    for k in (0, 9, 19):
        torch.testing.assert_close(ddim_inverse_step(ddim_step(x, x0, k, made), x0, k, made), x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variance", [0.01, 1.0, 30.0])
def test_a_gaussian_is_inverted_by_its_closed_form(variance):
    """For N(0, s) a step multiplies by a known factor, so x_k is x_S over the product of factors."""
    made = log_snr_levels(30, 20.0, 0.05)
    a2, s2 = made.alpha**2, made.sigma**2
    denoise = lambda x, a, r: a * variance / (a**2 * variance + r**2) * x  # noqa: E731
    ratio = made.sigma[1:] / made.sigma[:-1]
    shrink = made.alpha[:-1] * variance / (a2[:-1] * variance + s2[:-1])
    factor = ratio + (made.alpha[1:] - ratio * made.alpha[:-1]) * shrink
    x = noise(2).double()
    for part in invert(denoise, x, made, iterations=60, tolerance=1e-13):
        torch.testing.assert_close(part.x, x / factor[part.step:].prod(), rtol=1e-9, atol=1e-9)
        assert part.converged.all()
    *_, rough = invert(denoise, x, made)
    assert float((rough.x - part.x).abs().max()) > 1e-3 and not rough.converged.any()


def test_a_step_too_steep_for_the_plain_iteration_is_still_solved():
    """F(x) = 5 x: the plain iteration with rate 1 multiplies the error by -4; halving the rate saves it."""
    target = torch.tensor([[1.0], [-2.0]], dtype=torch.float64)
    found = solve_step(lambda y: 5 * y, target, target, 1.0, 60, 1e-9)
    torch.testing.assert_close(found.x, target / 5, rtol=1e-8, atol=1e-9)
    with_one = solve_step(lambda y: 5 * y, target, target, 1.0, 1, 1e-9)
    assert (with_one.residual == (4 * target[:, 0]).abs()).all()        # the guess was better than the first update


def test_what_is_given_is_left_alone_and_bad_steps_are_named(models):
    model, levels_ = models["v"], models["v"].levels(STEPS)
    prompt, z = model.encode_prompt(""), noise(2)
    kept = z.clone()
    inversion.invert(model, z, levels_, prompt, stop=8, iterations=1)
    inversion.resume(model, z, torch.tensor([8, 9]), levels_, prompt)
    assert torch.equal(z, kept)
    for call, message in [
        (lambda: inversion.invert(model, z, levels_, prompt, stop=10), "takes a step from 0 to 9"),
        (lambda: inversion.resume(model, z, torch.tensor([0, 11]), levels_, prompt), "from 0 to 10"),
        (lambda: inversion.resume(model, z, torch.tensor([0]), levels_, prompt), "each of 2 points"),
        (lambda: inversion.resume(model, z, torch.tensor([0, 1]), levels_, prompt, eta=2.0), "eta = 2.0"),
    ]:
        with pytest.raises(ValueError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
    assert np.isfinite(inversion.invert(model, z, levels_, prompt, iterations=1).residual).all()
