"""The sampler forwards, resumed and backwards: against diffusers, closed forms, SciPy's root finder and itself."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import OdeSolver

from phasebook import Denoiser
from phasebook.models.exact import ExactModel
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling import samplers
from phasebook.sampling.levels import Levels, log_snr_levels, scaled_linear_levels
from phasebook.sampling.protocols import Prediction, Prompt
from phasebook.sampling.samplers import invert, normal_start, resume, sample
from tests.builders import build, images, noise, refuses

STEPS = 5


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


def theirs(model, z, prompt, guidance, steps=STEPS):
    """The latents after each inverse step of diffusers' own scheduler, from the clean end."""
    from diffusers import DDIMInverseScheduler

    inverse = DDIMInverseScheduler.from_config(model.noise.scheduler.config)
    inverse.set_timesteps(steps)
    embeddings = prompt.conditions["embeddings"][0]
    wide = embeddings.repeat_interleave(len(z), 0)
    trace = [z]
    with torch.no_grad():
        for t in inverse.timesteps:
            copies = len(embeddings)
            raw = model.pipe.unet(torch.cat([trace[-1]] * copies), t, encoder_hidden_states=wide).sample
            if copies == 2:
                negative, positive = raw.chunk(2)
                raw = negative + guidance * (positive - negative)
            trace.append(inverse.step(raw, int(t), trace[-1]).prev_sample)
    return torch.stack(trace[::-1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_without_iterations_inversion_is_that_of_diffusers(models, kind, guidance):
    model, z = models[kind], 0.4 * noise(3)
    prompt = model.prompt("red apple", guidance, "blurry, ugly")
    ours = invert(model, z, model.levels(STEPS), prompt)
    expected = theirs(model, z, prompt, guidance)
    assert float((ours.x - expected).abs().max() / expected.abs().max().clamp(min=1)) <= 1e-5
    assert not ours.converged.any() and torch.isinf(ours.residual).all()


@pytest.mark.parametrize("kind", ["epsilon trailing", "v trailing"])
def test_inversion_over_gaps_between_times_is_that_of_diffusers_too(models, kind):
    """60 does not divide 1000: a step ends 16 times below its own, and the next one begins 16 or 17 below."""
    model, z, steps = models[kind], 0.4 * noise(1), 60
    levels_, prompt = model.levels(steps), model.prompt("red apple")
    assert levels_.landing is not None
    expected = theirs(model, z, prompt, 1.0, steps)
    assert float((invert(model, z, levels_, prompt).x - expected).abs().max() / expected.abs().max()) <= 1e-4


@pytest.mark.parametrize("kind", ["epsilon", "v", "sample", "v trailing"])
def test_with_iterations_sampling_returns_from_every_step(models, kind):
    model = replace(models[kind], batch=3 * STEPS)      # those that are resumed in one
    levels_, prompt = model.levels(STEPS), model.prompt("cat face")
    *_, last = sample(model, noise(3), levels_, prompt)
    done = invert(model, last.after, levels_, prompt, iterations=12, tolerance=1e-5)
    first = torch.arange(STEPS).repeat_interleave(3)
    back = resume(model, done.x[:STEPS].flatten(0, 1), first, levels_, prompt).x
    off = ((back - last.after.repeat(STEPS, 1, 1, 1)) ** 2).mean((1, 2, 3)).view(STEPS, 3)
    settled = done.converged.flip(0).cummin(0).values.flip(0)       # every step on the way has converged
    assert settled.float().mean() > (0.05 if kind == "sample" else 0.6)     # random noise read as a picture is steep
    assert off[settled].max() <= 1e-4
    for step in range(STEPS):
        torch.testing.assert_close(done.x0[step], model.predict(done.x[step], levels_, step, prompt).x0)
    once = invert(model, last.after, levels_, prompt)
    assert once.x0 is None
    rough = resume(model, once.x[:STEPS].flatten(0, 1), first, levels_, prompt).x
    assert ((rough - last.after.repeat(STEPS, 1, 1, 1)) ** 2).mean() > 10 * off[settled].mean()


def test_iterations_ask_no_more_than_they_say(models, monkeypatch):
    """One look before the first step back, then one for each update and one for the guess, which itself asks nobody."""
    model, asked = models["v"], []
    predict = type(model).predict
    monkeypatch.setattr(type(model), "predict", lambda *args, **more: asked.append(args) or predict(*args, **more))
    invert(model, noise(1), model.levels(STEPS), model.prompt("cat face"), iterations=2, tolerance=1e-30)
    assert len(asked) == 1 + 3 * STEPS


def test_the_solution_is_the_one_that_scipy_finds(models):
    """Newton-Krylov on the sampler's own step, taken from `sample`, knows nothing of the iteration."""
    from scipy.optimize import newton_krylov

    model = models["v"]
    levels_, prompt = model.levels(STEPS), model.prompt("cat face")
    *_, last = sample(model, noise(1), levels_, prompt)
    done = invert(model, last.after, levels_, prompt, stop=STEPS - 2, iterations=30, tolerance=1e-7)
    target = last.after
    for step in (STEPS - 1, STEPS - 2):
        def missed(y, step=step, target=target):
            y = torch.as_tensor(y, dtype=torch.float32).view(1, *model.shape)
            part = next(sample(model, y, levels_, prompt, first=step))
            return (part.after - target).double().numpy().ravel()

        found = newton_krylov(missed, target.double().numpy().ravel(), f_tol=2e-6, rdiff=1e-3)
        found = torch.as_tensor(found, dtype=torch.float32).view(1, *model.shape)
        assert float((found - done.x[step]).abs().max()) < 5e-5
        target = found


def test_noise_of_a_step_is_the_same_from_wherever_a_point_starts(models):
    model, levels_ = models["v"], models["v"].levels(STEPS)
    prompt, z = model.prompt("cat face"), noise(1)
    whole = resume(model, z, torch.tensor([0]), levels_, prompt, eta=0.5, seed=3).x
    calm = resume(model, z, torch.tensor([0]), levels_, prompt).x
    assert float((whole - calm).abs().max()) > 0.01
    both = resume(model, z.expand(2, -1, -1, -1), torch.tensor([0, 0]), levels_, prompt, eta=0.5, seed=3).x
    torch.testing.assert_close(both[0], both[1])
    torch.testing.assert_close(both[0], whole[0])


def test_what_is_given_is_left_alone_and_bad_steps_are_named(models):
    model, levels_ = models["v"], models["v"].levels(STEPS)
    prompt, z = model.prompt(""), noise(2)
    kept = z.clone()
    invert(model, z, levels_, prompt, stop=3, iterations=1)
    resume(model, z, torch.tensor([3, 4]), levels_, prompt)
    assert torch.equal(z, kept)
    for call, message in [
        (lambda: invert(model, z, levels_, prompt, stop=5), "takes a step from 0 to 4"),
        (lambda: resume(model, z, torch.tensor([0, 6]), levels_, prompt), "from 0 to 5"),
        (lambda: resume(model, z, torch.tensor([0]), levels_, prompt), "each of 2 points"),
        (lambda: resume(model, z, torch.tensor([0, 1]), levels_, prompt, eta=2.0), "eta = 2.0"),
    ]:
        with pytest.raises(ValueError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
    assert np.isfinite(invert(model, z, levels_, prompt, iterations=1).residual).all()


# --- a Gaussian, in closed form ---------------------------------------------------------------------------------

def gaussian(variance, levels=log_snr_levels):
    """The model of N(0, variance) in four dimensions."""
    return Denoiser((4,), lambda x, a, s: a * variance / (a**2 * variance + s**2) * x, levels=levels)


def heun(*given):
    return replace(log_snr_levels(*given), order=2)


@pytest.mark.parametrize("made, order", [(log_snr_levels, 1), (heun, 2)])
@pytest.mark.parametrize("variance", [0.3, 2.5])
def test_the_order_of_a_method_is_the_fall_of_its_error_on_the_gaussian_flow(made, order, variance):
    """For data N(0, s) the flow is x_t = x_T sd_t / sd_T; tangents are multiplied by the same factor."""
    errors, counts = [], [40, 80, 160, 320]
    for n in counts:
        mine = made(n, 20.0, 0.05)
        sd = np.sqrt(mine.alpha**2 * variance + mine.sigma**2)
        x = torch.ones(1, 4, dtype=torch.float64)
        *_, last = sample(gaussian(variance), x, mine)
        if n == counts[0]:
            *_, pushed = sample(gaussian(variance), x, mine, tangents=torch.stack([3 * x, -x]))
            torch.testing.assert_close(pushed.after, last.after)
            torch.testing.assert_close(pushed.dx0[0], 3 * last.x0)      # of a linear flow
        errors.append(abs(float(last.after[0, 0]) - sd[-1] / sd[0]))
    # the last step has no second end: Euler's one, which errs by its square
    assert np.polyfit(np.log(counts), np.log(errors), 1)[0] == pytest.approx(-order, abs=0.06)


def test_heuns_method_is_that_of_scipy():
    """A Runge-Kutta step of stages 0 and 1 with weights 1/2, in sigma/alpha, on a mixture; the last step is Euler's."""
    centres = torch.tensor([[1.0, 0.3], [-0.4, 1.0], [0.2, -1.1]], dtype=torch.float64)

    def denoise(x, alpha, sigma):
        return torch.softmax((alpha * x @ centres.T - alpha**2 * (centres**2).sum(1) / 2) / sigma**2, 1) @ centres

    class Two(OdeSolver):
        def __init__(self, slope, start, x, levels):
            super().__init__(slope, start, x, levels[-1], False)
            self.levels = list(levels)

        def _step_impl(self):
            h = self.levels[1] - self.levels[0]
            first = self.fun(self.levels[0], self.y)
            there = self.y + h * first
            self.y = self.y + h * (first + self.fun(self.levels[1], there)) / 2 if len(self.levels) > 2 else there
            self.levels.pop(0)
            self.t = self.levels[0]
            return True, None

    levels = heun(6, 10.0, 0.1)
    ratio = levels.sigma / levels.alpha

    def slope(s, y):
        a = 1 / np.sqrt(1 + s**2)
        return (y - denoise(torch.as_tensor(a * y)[None], a, s * a).numpy()[0]) / s

    x = np.array([0.7, -0.2])
    solver = Two(slope, ratio[0], x / levels.alpha[0], ratio)
    for frame in sample(Denoiser((2,), denoise), torch.as_tensor(x)[None], levels):
        solver.step()
        np.testing.assert_allclose(frame.after[0] / levels.alpha[frame.step + 1], solver.y, rtol=1e-10)


def test_heuns_method_resumed_and_inverted():
    model, levels = gaussian(2.0), heun(12)
    x = normal_start(model, 5, 3)
    frames = list(sample(model, x, levels))
    done = resume(model, torch.stack([x[0], frames[3].x[1], frames[11].x[2]]), torch.tensor([0, 3, 11]), levels)
    torch.testing.assert_close(done.x, frames[-1].after)
    torch.testing.assert_close(done.x0, frames[-1].x0)
    back = invert(model, done.x, levels, iterations=60, tolerance=1e-12)
    assert back.converged.all()
    torch.testing.assert_close(back.x[0], x, rtol=1e-8, atol=1e-8)
    assert levels.evaluations == 23 and levels.thinned(3).evaluations == 7 and log_snr_levels(12).evaluations == 12
    refuses(lambda: resume(model, x, 0, levels, eta=0.5), "eta = 0.5: Heun's method adds no noise; takes 0")


def test_the_exact_model_has_heuns_method_too():
    """Its own sweep is one of first order: the frames are those of the sampler."""
    model, levels = ExactModel.of(images()), heun(5)
    x = model.start(noise(4, model.shape).numpy())
    swept = [frame.x0.clone() for frame in model.sweep(x, levels)]
    plain = [frame.x0.clone() for frame in model.sweep(x, log_snr_levels(5))]
    for one, other in zip(swept, sample(model, x, levels), strict=True):
        torch.testing.assert_close(one, other.x0)
    assert max(float((one - other).abs().max()) for one, other in zip(swept, plain, strict=True)) > 1e-3


def flow(steps):
    """From pure noise to none, shifted by 3."""
    t = np.linspace(1, 0, steps + 1)
    sigma = 3 * t / (1 + 2 * t)
    return Levels("flow", 1 - sigma, sigma, 1000 * sigma[:-1])


USUAL = log_snr_levels(30, 20.0, 0.05)


@pytest.mark.parametrize("made, variance", [
    (USUAL, 0.01), (USUAL, 1.0), (USUAL, 30.0), (flow(30), 1.0), (flow(30), 30.0),
], ids=["small", "one", "large", "flow one", "flow large"])
def test_a_gaussian_is_inverted_by_its_closed_form(made, variance):
    """For N(0, s) a step multiplies by a known factor, so x_k is x_S over the product of factors."""
    a2, s2 = made.alpha**2, made.sigma**2
    ratio = made.sigma[1:] / made.sigma[:-1]
    shrink = made.alpha[:-1] * variance / (a2[:-1] * variance + s2[:-1])
    factor = ratio + (made.alpha[1:] - ratio * made.alpha[:-1]) * shrink
    x = noise(2, (4,)).double()
    done = invert(gaussian(variance), x, made, iterations=60, tolerance=1e-13)
    for k in range(30):
        torch.testing.assert_close(done.x[k], x / factor[k:].prod(), rtol=1e-9, atol=1e-9)
    assert done.converged.all()
    rough = invert(gaussian(variance), x, made)
    assert float((rough.x[0] - done.x[0]).abs().max()) > 1e-3 and not rough.converged.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("signal", [0.0, 1e-12, 6e-8, 1e-5, 2.4e-4])
def test_a_first_level_with_hardly_a_signal_is_inverted_like_pure_noise(signal, dtype):
    """6e-8 is 1 - sigma in float32: updates of its size, beside alpha = 0.1, moved nothing."""
    sigma = np.linspace(1 - signal, 0, 11)
    turn = torch.randn(12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 4
    model = Denoiser((12,), lambda x, a, s: 0.9 * torch.tanh(x @ turn.to(x)) + 0.1 * a * x, dtype=dtype)
    done = invert(model, noise(3, (12,)).to(dtype), Levels("flow", 1 - sigma, sigma, np.arange(10)), iterations=20)
    assert done.converged[0].all()


def test_resuming_from_levels_of_their_own_is_sampling():
    model, levels = gaussian(2.0), scaled_linear_levels(12)
    x = normal_start(model, 5, 4)
    frames = list(sample(model, x, levels))
    first = torch.tensor([0, 3, 11, 12])
    start = torch.stack([x[0], frames[3].x[1], frames[11].x[2], frames[11].after[3]])
    done = resume(model, start, first, levels)
    torch.testing.assert_close(done.x, frames[-1].after)
    torch.testing.assert_close(done.x0[:3], frames[-1].x0[:3])


@pytest.mark.parametrize("together", [1, 2, 5])
def test_points_that_are_resumed_a_few_at_a_time_end_as_all_at_once(monkeypatch, together):
    model = ExactModel.of(images())
    names, levels = model.names, scaled_linear_levels(6)
    x = normal_start(model, 5, 5)
    first, prompt = torch.tensor([2, 0, 6, 0, 5]), model.prompt([names[i % len(names)] for i in range(5)], 3.0)
    whole = resume(model, x, first, levels, prompt, eta=0.5, seed=1)
    monkeypatch.setattr(samplers, "TOGETHER", together)
    parts = resume(model, x, first, levels, prompt, eta=0.5, seed=1)
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=1e-6)
    assert torch.equal(parts.x[2], x[2])


def test_starts_depend_on_their_seed_alone():
    model = gaussian(1.0)
    torch.testing.assert_close(normal_start(model, 3, 4)[2:], normal_start(model, 5, 2))
    for count in (0, -1, 2.5):
        refuses(lambda count=count: normal_start(model, 3, count), f"count = {count}: takes a whole number >= 1")


def undefined(x, alpha, sigma):
    return x + torch.where(torch.arange(len(x))[:, None] == 1, torch.nan, 0)


START = torch.ones(3, 4, dtype=torch.float64)
RUNS = {"sample": lambda *given, **options: list(sample(*given, **options)),
        "resume": lambda m, x, *given, first=0, **options: resume(m, x, first, *given, **options), "invert": invert}


@pytest.mark.parametrize("given, words", [
    ((None,), "prompt: its conditions are None; takes tensors by name"), (("x",), "prompt: its conditions are 'x'"),
    (({"c": 3},), "prompt: its conditions are {'c': 3}"), (({"c": torch.tensor(1.0)},), "prompt: its conditions are "),
    (({}, np.nan), "guidance = nan: takes a finite number >= 0"), (({}, -1), "guidance = -1"), (({}, "a"), "guidance"),
])
def test_what_is_no_prompt(given, words):
    refuses(lambda: Prompt(*given), words)


def test_a_prompt_is_sent_to_workers_as_it_is():
    told = Prompt({"c": torch.zeros(2, 1)}, 3)
    conditions, guidance = sent = pickle.loads(pickle.dumps(told))
    assert type(sent) is Prompt and torch.equal(conditions["c"], told.conditions["c"]) and guidance == 3
    assert Prompt({}).guidance == 1


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("change, words", [
    ({"model": 3}, "model: a int; takes a model"), ({"levels": 5}, "levels = 5: takes a Levels"),
    ({"prompt": "cat"}, "prompt = 'cat': takes a Prompt"), ({"x": START.float()}, "x: float32 of shape (3, 4)"),
    ({"x": START[:, :2]}, "x: float64 of shape (3, 2)"), ({"x": START[:0]}, "x: float64 of shape (0, 4)"),
    ({"x": START.numpy()}, "x: a ndarray; takes states"), ({"x": None}, "x: a NoneType"),
    ({"x": START * torch.nan}, "x: not finite at point 0"),
    ({"prompt": Prompt({"c": torch.zeros(2, 1)})}, "prompt: of 2 points; takes one for all 3"),
    ({"model": Denoiser((4,), undefined)}, "denoise: the prediction is not finite at step "),
    ({"model": Denoiser((4,), undefined)}, " of 3 (sigma/alpha = "),
    ({"model": Denoiser}, "model: the class Denoiser; takes a model, such as Denoiser(shape, function)"),
    ({"model": Denoiser((4,), undefined)}, "point 1"),
])
def test_bad_runs_are_one_line(name, change, words):
    given = {"model": gaussian(1.0), "x": START, "levels": log_snr_levels(3), "prompt": None} | change
    refuses(lambda: RUNS[name](*given.values()), words)


@pytest.mark.parametrize("name, options, words", [
    ("sample", {"first": 1.5}, "first = 1.5: takes a step from 0 to 2"), ("sample", {"first": 3}, "first = 3"),
    ("sample", {"tangents": torch.zeros(2, 2, 4)}, "tangents: float32 of shape (2, 2, 4); takes derivatives of x"),
    ("sample", {"tangents": torch.zeros(2, 3, 4)}, "tangents: float32 of shape (2, 3, 4); takes derivatives of x"),
    ("sample", {"tangents": START.new_zeros(0, 3, 4)}, "tangents: float64 of shape (0, 3, 4)"),
    ("sample", {"tangents": np.zeros((2, 3, 4))}, "tangents: a ndarray; takes derivatives of x, a tensor (t, 3, 4)"),
    ("sample", {"tangents": START[None] * torch.nan}, "tangents: not finite at point 0; takes derivatives of x"),
    ("resume", {"progress": "x"}, "progress = 'x': takes True or False"), ("invert", {"progress": 1}, "progress = 1"),
    ("resume", {"first": "a"}, "first = 'a': takes a level from 0 to 3"), ("resume", {"first": 1.5}, "first = 1.5"),
    ("resume", {"first": None}, "first = None"), ("resume", {"first": torch.zeros(3, 1).long()}, "first = "),
    ("resume", {"first": torch.tensor([True, True, False])}, "first = "), ("resume", {"seed": "a"}, "seed = 'a'"),
    ("resume", {"eta": "a"}, "eta = 'a': takes 0 to 1"), ("resume", {"eta": float("nan")}, "eta = nan"),
    ("invert", {"iterations": 1.5}, "iterations = 1.5: takes a whole number >= 0"),
    ("invert", {"iterations": -1}, "iterations = -1"), ("invert", {"stop": None}, "stop = None: takes a step"),
    ("invert", {"tolerance": float("nan")}, "tolerance = nan: takes a positive number"),
    ("invert", {"tolerance": 0}, "tolerance = 0"),
])
def test_bad_options_are_one_line(name, options, words):
    refuses(lambda: RUNS[name](gaussian(1.0), START, log_snr_levels(3), **options), words)


@pytest.mark.parametrize("answer, words", [
    (lambda x: (x, x), "gives tuple"), (lambda x: Prediction(x[:1], x), "gives [(1, 4), (3, 4)]"),
])
def test_a_model_of_ones_own_that_does_not_predict_is_named(answer, words):
    model = gaussian(1.0)
    model.predict = lambda x, levels, step, prompt=None, read=None: answer(x)
    takes = "; takes a Prediction of x0 and eps, each of shape (3, 4)"
    refuses(lambda: list(sample(model, START, log_snr_levels(2))), "model: its predict " + words, takes)
