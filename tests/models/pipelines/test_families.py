"""Every kind of pipeline against diffusers' own call, after every step, on tiny random weights."""

from copy import copy
from unittest.mock import patch

import numpy as np
import pytest
import torch

from phasebook import Plane, slice_of
from phasebook.models.pipelines.parity import diffusers_steps
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.levels import Levels
from phasebook.sampling.samplers import invert, resume, sample
from tests.builders import apart, betas, edit, noise, pipeline, refuses, run

STEPS = 7
TEXT = ["sd", "sdxl", "sd3", "flux", "pixart", "dit"]


@pytest.fixture(scope="module")
def pipes(tmp_path_factory):
    return {kind: pipeline(kind, tmp_path_factory.mktemp(kind)) for kind in [*TEXT, "ddpm", "ddim"]}


def refitted(pipes, kind, **changes):
    """A pipeline of the same networks with some parts of its own: to make networks takes as long as a few steps."""
    return type(pipes[kind])(**pipes[kind].components | changes)


def held(model, guidance, negative, steps=STEPS):
    """The largest difference after any step."""
    z = noise(2, model.shape)
    theirs = torch.stack([diffusers_steps(model, one, steps, "red apple", negative, guidance) for one in z], 1)
    return apart(run(model, z, steps, model.prompt("red apple", guidance, negative)), theirs)


@pytest.mark.parametrize("kind", TEXT)
@pytest.mark.parametrize("guidance, negative", [(1.0, ""), (5.0, ""), (5.0, "blurry, ugly")])
def test_latents_after_every_step_are_diffusers_own(pipes, kind, guidance, negative):
    if kind == "flux" and negative:
        with pytest.raises(ValueError, match="guidance distilled into one call"):
            PipelineModel.of(pipes[kind], kind).prompt("red apple", guidance, negative)
        return
    if kind == "dit" and negative:
        with pytest.raises(ValueError, match="negative_prompt = 'blurry, ugly': no class of a DiTPipeline"):
            PipelineModel.of(pipes[kind], kind).prompt("red apple", guidance, negative)
        return
    model = PipelineModel.of(pipes[kind], kind, batch=3)
    assert held(model, guidance, negative) <= 1e-5
    z = noise(2, model.shape)
    said = [run(model, z, 1, model.prompt(text, guidance, negative)) for text in ("red apple", "cat face")]
    assert apart(*said) > 1e-5      # so the equality says something about the prompt


@pytest.mark.parametrize("kind", TEXT)
def test_a_single_step_is_diffusers_own(pipes, kind):
    """PixArt's call gives the predicted picture then, whatever the scheduler ends on."""
    negative = "" if kind in ("flux", "dit") else "blurry, ugly"
    model = PipelineModel.of(pipes[kind], kind)
    assert held(model, 5.0, negative, 1) <= 1e-5
    assert kind != "pixart" or model.levels(1).sigma[-1] == 0 < model.levels(2).sigma[-1]


@pytest.mark.parametrize("change", [
    {"prediction_type": "v_prediction"}, {"prediction_type": "sample"}, {"timestep_spacing": "trailing"},
    {"steps_offset": 0, "set_alpha_to_one": True}, {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    {"clip_sample": True, "clip_sample_range": 2.0},
], ids=str)
@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_every_reading_of_the_network(pipes, kind, change):
    pipe = refitted(pipes, kind, scheduler=betas(**change))
    assert held(PipelineModel.of(pipe, kind), 3.0, "ugly") <= 1e-5


ZERO_SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}


@pytest.mark.parametrize("change, steps", [
    ({"timestep_spacing": "linspace"}, 4), ({"timestep_spacing": "linspace"}, 1), ({"timestep_spacing": "linspace"}, 7),
    ({"timestep_spacing": "linspace", "set_alpha_to_one": True, "prediction_type": "v_prediction"}, 3),
    ({"timestep_spacing": "trailing"}, 7), ({"timestep_spacing": "trailing", "clip_sample": True}, 3),
    (ZERO_SNR | {"prediction_type": "v_prediction"}, 4), (ZERO_SNR | {"prediction_type": "sample"}, 7),
], ids=str)
@pytest.mark.parametrize("kind", ["sd", "pixart"])
def test_gaps_between_times_and_pure_noise_are_those_of_diffusers(pipes, kind, change, steps):
    """A step ends a stride below its time, which by these spacings is not where the next one is asked."""
    model = PipelineModel.of(refitted(pipes, kind, scheduler=betas(**change)), kind)
    z, asked = noise(1, model.shape), model.prompt("red apple", 3.0)
    theirs = diffusers_steps(model, z[0], steps, "red apple", "", 3.0)
    assert apart(run(model, z, steps, asked)[:, 0], theirs) <= 1e-5
    levels = model.levels(steps)
    assert (levels.alpha[0] == 0) == ("rescale_betas_zero_snr" in change)
    again = resume(model, z, torch.zeros(1, dtype=int), levels, asked)
    assert apart(again.x, theirs[-1:]) <= 1e-5


def test_a_way_back_over_gaps_leads_to_where_it_came_from(pipes):
    model = PipelineModel.of(refitted(pipes, "sd", scheduler=betas(timestep_spacing="linspace")), "gaps")
    levels, z = model.levels(7), noise(2, model.shape)
    assert levels.landing is not None
    end = resume(model, z, torch.zeros(2, dtype=int), levels).x
    back = invert(model, end, levels, iterations=40, tolerance=1e-6)
    assert back.converged.all() and apart(back.x[0], z) <= 1e-4


def test_what_a_pipeline_changes_in_its_scheduler_is_kept(tmp_path):
    """diffusers sets steps_offset and clip_sample of a scheduler in memory behind its marks of defaults."""
    from diffusers import DDIMScheduler

    plain = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    pipe = pipeline("sd", tmp_path, scheduler=plain)
    model = PipelineModel.of(pipe, "defaults")
    assert model.levels(4).timestep.tolist() == [751, 501, 251, 1]
    after, z = [], noise(1, model.shape)
    pipe.set_progress_bar_config(disable=True)
    pipe("red apple", guidance_scale=3.0, num_inference_steps=4, latents=z, output_type="latent",
         callback_on_step_end=lambda pipe, step, time, tensors: after.append(tensors["latents"].clone()) or tensors)
    assert apart(run(model, z, 4, model.prompt("red apple", 3.0)), torch.stack(after)) <= 1e-5


def held_by_own(pipe, guidance=3.0):
    """diffusers begins at sigma_max z, or sqrt(1 + sigma_max^2) z, in units of the data; ours at the level itself."""
    model = PipelineModel.of(pipe, "own", sampler="own")
    levels, z = model.levels(STEPS), noise(1, model.shape)
    first = float((levels.sigma / levels.alpha)[0])
    begins = (1 + first**2) ** 0.5 if pipe.scheduler.config.timestep_spacing == "leading" else first
    theirs = diffusers_steps(model, z[0] * (1 + first**2) ** 0.5 / begins, STEPS, "red apple", "", guidance)
    ours = run(model, z, STEPS, model.prompt("red apple", guidance))[:, 0]
    scale = torch.as_tensor(1 / levels.alpha[1:], dtype=ours.dtype).view(-1, 1, 1, 1)
    return apart(ours * scale, theirs)


@pytest.mark.parametrize("change", [{"timestep_spacing": "leading"}, {"timestep_spacing": "linspace"},
                                    {"timestep_spacing": "trailing"}, {"use_karras_sigmas": True},
                                    {"prediction_type": "v_prediction"}], ids=str)
@pytest.mark.parametrize("kind", ["sd", "sdxl", "pixart"])
@pytest.mark.parametrize("method", ["Euler", "Heun"])
def test_own_levels_and_methods(pipes, method, kind, change):
    """Between the times of training as well: linspace and Karras' levels lie there."""
    assert held_by_own(refitted(pipes, kind, scheduler=betas(f"{method}DiscreteScheduler", **change))) <= 1e-5


@pytest.mark.parametrize("change", [{"use_karras_sigmas": True, "sigma_max": 20.0}, {"use_exponential_sigmas": True}],
                         ids=str)
def test_own_levels_may_lie_beyond_those_of_training(pipes, change):
    """A scheduler's own sigma_min and sigma_max: the network is told the nearest time of its training."""
    scheduler = betas("EulerDiscreteScheduler", sigma_min=0.002, **change)
    assert held_by_own(refitted(pipes, "sd", scheduler=scheduler)) <= 1e-5
    model = PipelineModel.of(refitted(pipes, "sd", scheduler=scheduler), "own", sampler="own")
    assert model.levels(STEPS).sigma[-2] < 0.0021 and model.levels(STEPS).timestep[-1] == 0
    off = model.levels(STEPS).sigma
    other = Levels("off", 1 - off, off, model.levels(STEPS).timestep)
    refuses(lambda: model.predict(noise(1), other, 1), "levels = 'off'", "takes this model's own levels")


@pytest.mark.parametrize("change", [{}, {"use_karras_sigmas": True}], ids=str)
def test_a_network_of_pixels_is_told_times_between_those_of_its_training(pipes, change):
    """diffusers' own loop over Euler's scheduler, in units of the data."""
    pipe = refitted(pipes, "ddpm", scheduler=betas("EulerDiscreteScheduler", timestep_spacing="linspace", **change))
    model = PipelineModel.of(pipe, "own", sampler="own")
    levels, z = model.levels(STEPS), noise(2, model.shape)
    assert (levels.timestep != levels.timestep.round()).any()
    ours = run(model, z, STEPS, None)
    pipe.scheduler.set_timesteps(STEPS)
    x, theirs = z / float(levels.alpha[0]), []
    with torch.no_grad():
        for time in pipe.scheduler.timesteps:
            raw = pipe.unet(pipe.scheduler.scale_model_input(x, time), time).sample
            x = pipe.scheduler.step(raw, time, x).prev_sample
            theirs.append(x)
    scale = torch.as_tensor(1 / levels.alpha[1:], dtype=ours.dtype).view(-1, 1, 1, 1, 1)
    assert apart(ours * scale, torch.stack(theirs)) <= 1e-5


@pytest.mark.parametrize("kind", ["DDIM", "DDPM", "PNDM", "LMSDiscrete", "EulerDiscrete", "EulerAncestralDiscrete",
                                  "HeunDiscrete", "DPMSolverMultistep", "DPMSolverSinglestep", "KDPM2Discrete",
                                  "KDPM2AncestralDiscrete", "DEISMultistep", "UniPCMultistep"])
def test_a_schedulers_defaults_are_its_own(pipes, kind):
    """Heun's betas are not DDIM's, and it does not clip: whatever a scheduler leaves unsaid is what its class says."""
    import diffusers

    scheduler = getattr(diffusers, f"{kind}Scheduler")()
    pipe = refitted(pipes, "pixart", scheduler=scheduler)         # others set `clip_sample` of their scheduler
    model = PipelineModel.of(pipe, kind)
    levels = model.levels(10)
    table = scheduler.alphas_cumprod.numpy()
    np.testing.assert_allclose(levels.alpha[:-1] ** 2, table[levels.timestep.astype(int)], rtol=1e-6)
    x0 = model.predict(noise(1, model.shape), levels, 0).x0
    assert (float(x0.abs().max()) <= 1) == bool(scheduler.config.get("clip_sample"))


def test_heuns_slope_is_that_towards_the_clipped_picture(pipes):
    scheduler = betas("HeunDiscreteScheduler", clip_sample=True, clip_sample_range=0.7)
    assert held_by_own(refitted(pipes, "sd", scheduler=scheduler)) <= 1e-5


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("kind", ["EulerDiscreteScheduler", "HeunDiscreteScheduler", "DDIMScheduler"])
def test_classes_by_name_and_number_with_every_sampler(tmp_path, kind, guidance):
    """diffusers' own call steps a state that was scaled for the network, so Euler and Heun are written out here."""
    pipe, own = pipeline("dit", tmp_path, scheduler=betas(kind)), betas(kind)
    model = PipelineModel.of(pipe, "classes", sampler="own" if kind != "DDIMScheduler" else "ddim")
    own.set_timesteps(3)
    z, after = noise(2, model.shape), []
    x, labels = z, torch.tensor([7, 7])
    levels = model.levels(3)
    if kind != "DDIMScheduler":
        x = z * float(levels.sigma[0] ** 2 / levels.alpha[0] ** 2 + 1) ** 0.5
    with torch.no_grad():
        for t in own.timesteps:
            says = [pipe.transformer(own.scale_model_input(x, t), t.expand(2), c).sample[:, :4]
                    for c in (torch.full_like(labels, 1000), labels)]
            x = own.step(says[0] + guidance * (says[1] - says[0]), t, x).prev_sample
            after.append(x)
    after = after[1::2] + after[-1:] if len(after) == 5 else after
    scale = torch.as_tensor(1 / levels.alpha[1:]).float().view(-1, 1, 1, 1, 1) if kind != "DDIMScheduler" else 1
    assert apart(run(model, z, 3, model.prompt("7", guidance)) * scale, torch.stack(after)) <= 1e-5
    by_name, by_number = (run(model, z, 3, model.prompt(text, guidance)) for text in ("cat", "3"))
    assert torch.equal(by_name, by_number)
    other = run(model, z, 3, model.prompt("4", guidance))
    assert apart(other, by_name) > 1e-4
    for text in ("dog", "1000", "-1", "3.0", "\u0663"):
        refuses(lambda text=text: model.prompt(text), f"prompt = {text!r}: no class", "from 0 to 999, or a name")


def test_odd_names_of_classes(tmp_path):
    """A number is a number, whatever the names; what no class has is not offered."""
    names = {"0": "7", "1": "", "2": "cat", "5000": "far"}
    model = PipelineModel.of(pipeline("dit", tmp_path, id2label=names), "classes")
    assert model.prompt("7").conditions["label"].item() == 7 and model.prompt(" cat ").conditions["label"].item() == 2
    for text in ("far", "9" * 5000):
        refuses(lambda text=text: model.prompt(text), "no class of a DiTPipeline", "a name of one alone, such as 'cat'")


def test_a_class_may_be_what_is_not_wanted(pipes):
    model = PipelineModel.of(pipes["dit"], "classes")
    levels, z = model.levels(4), noise(1, model.shape)
    wanted, unwanted, both = (model.predict(z, levels, 1, prompt).eps for prompt in (
        model.prompt("7"), model.prompt("3"), model.prompt("7", 3.0, "3")))
    torch.testing.assert_close(both, unwanted + 3 * (wanted - unwanted), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["dit", "pixart"])
def test_a_transformer_by_its_former_name_is_read(pipes, tmp_path, kind):
    """Directories from before diffusers 0.30 call it Transformer2DModel: those of DiT-XL-2-256 and PixArt-XL-2 do."""
    model = PipelineModel.of(pipes[kind], kind)
    pipes[kind].save_pretrained(tmp_path / kind)
    edit(tmp_path / kind / "model_index.json", transformer=["diffusers", "Transformer2DModel"], id2label={"7": "a, b"})
    edit(tmp_path / kind / "transformer" / "config.json", _class_name="Transformer2DModel", num_vector_embeds=None,
         use_linear_projection=False, double_self_attention=False)
    PipelineModel.check(tmp_path / kind)
    again = PipelineModel.load(tmp_path / kind)
    assert again.fingerprint == model.fingerprint
    if kind == "dit":
        assert again.prompt("b").conditions["label"].item() == 7


def test_names_of_classes_that_are_none(pipes, tmp_path):
    pipes["dit"].save_pretrained(tmp_path / "dit")
    for names in ({"one": "a"}, {"1": 3}, {"9" * 5000: "a"}, {"-1": "a"}, ["a", "b"], "a", 3):
        edit(tmp_path / "dit" / "model_index.json", id2label=names)
        refuses(lambda: PipelineModel.load(tmp_path / "dit"), "id2label in model_index.json; takes names by number")


def test_a_name_of_two_classes_names_none(pipes, tmp_path):
    """ImageNet has two classes called crane: a bird, and a machine."""
    pipes["dit"].save_pretrained(tmp_path / "dit")
    edit(tmp_path / "dit" / "model_index.json", id2label={"134": "crane, bird", "517": "crane", "5": "ray, ray"})
    model = PipelineModel.load(tmp_path / "dit")
    assert [model.prompt(text).conditions["label"].item() for text in ("bird", "517", "ray")] == [134, 517, 5]
    refuses(lambda: model.prompt("crane"), "prompt = 'crane': no class", "a name of one alone, such as 'bird'")


@pytest.mark.parametrize("change", [{"shift": 1.0}, {"shift": 0.4}, {"use_karras_sigmas": True},
                                    {"use_dynamic_shifting": True}, {"shift_terminal": 0.1}], ids=str)
def test_flow_levels_are_the_schedulers(pipes, change):
    from diffusers import FlowMatchEulerDiscreteScheduler

    pipe = refitted(pipes, "sd3", scheduler=FlowMatchEulerDiscreteScheduler(**{"shift": 3.0} | change))
    model = PipelineModel.of(pipe, "flow")
    assert held(model, 3.0, "ugly") <= 1e-5
    levels = model.levels(9)
    assert abs(levels.alpha + levels.sigma - 1).max() < 1e-6 and levels.sigma[-1] == 0
    assert levels.alpha[0] >= 0 and (np.diff(levels.sigma_over_alpha) < 0).all()      # shifted in float32


def test_a_shift_that_was_set_is_the_models_own(pipes):
    """Diffusers keeps it beside the configuration; a pipeline serves a sweep over shifts, a model each."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    pipe = refitted(pipes, "sd3", scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0))
    models = []
    for shift in (3, 6.0, 1.0):
        pipe.scheduler.set_shift(shift)
        models.append(PipelineModel.of(pipe, "flow"))
        assert held(models[-1], 1.0, "") <= 1e-5
    assert len({model.fingerprint for model in models}) == len({model.levels(4).sigma[1] for model in models}) == 3
    assert models[0].fingerprint == PipelineModel.of(pipes["sd3"], "flow").fingerprint
    for shift in (0, "3", None, float("nan")):
        pipe.scheduler.set_shift(shift)
        refuses(lambda: PipelineModel.of(pipe, "mine"), f"model = 'mine': shift = {shift!r}: takes a number > 0")


def test_an_unconditional_pipeline_is_sampled_by_ddim(pipes):
    scheduler = betas()
    model = PipelineModel.of(refitted(pipes, "ddim", scheduler=scheduler), "pixels")
    scheduler.set_timesteps(STEPS)
    z = noise(3, model.shape)
    x, trace = z, []
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(model.pipe.unet(x, t).sample, t, x, eta=0.0).prev_sample
            trace.append(x)
    assert apart(run(model, z, STEPS, None), torch.stack(trace)) <= 1e-5
    torch.testing.assert_close(model.decode(z), (z / 2 + 0.5).clamp(0, 1))
    torch.testing.assert_close(model.encode(model.decode(0.3 * z)), (0.3 * z).clamp(-1, 1), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="takes none"):
        model.prompt("cat face")


@pytest.mark.parametrize("kind", ["sdxl", "sd3", "flux", "pixart", "dit", "ddpm"])
def test_slices_edits_and_tangents_of_every_kind(pipes, kind):
    """The conformance of a model, in short: mixed prompts, resumption, a slice with tangents."""
    model = PipelineModel.of(pipes[kind], kind, batch=4)
    levels, z = model.levels(4), noise(3, model.shape)
    words = ["red apple", "cat face", "red apple"] if kind != "ddpm" else ["", "", ""]
    mixed = model.prompt(words, 2.0)
    frames = list(sample(model, z, levels, mixed))
    for i, text in enumerate(words):
        *_, last = sample(model, z[i:i + 1], levels, model.prompt(text, 2.0))
        torch.testing.assert_close(frames[-1].after[i], last.after[0], atol=1e-4, rtol=1e-4)
    done = resume(model, frames[2].x, torch.tensor([2, 2, 2]), levels, mixed)
    torch.testing.assert_close(done.x, frames[-1].after, atol=1e-4, rtol=1e-4)
    assert invert(model, done.x, levels, mixed, stop=3).x[3].isfinite().all()
    fine = Plane(Plane.random(model.shape, seed=2).anchors, (0.4, 0.402, 0.4, 0.402), 3)
    s = slice_of(model, fine, model.levels(2), jacobian="jvp")
    assert s.values("trace", exact=True)[:, 1, 1] == pytest.approx(s.values("trace")[:, 1, 1], rel=5e-2)


@pytest.mark.parametrize("kind", ["sd", "sdxl", "sd3", "dit", "ddpm"])
def test_a_saved_pipeline_is_loaded_whole(pipes, tmp_path, kind):
    model = PipelineModel.of(pipes[kind], kind)
    pipes[kind].save_pretrained(tmp_path / kind)
    again = PipelineModel.load(tmp_path / kind)
    assert again.fingerprint == model.fingerprint
    z = noise(1, model.shape)
    words = {"ddpm": "", "dit": "7"}.get(kind, "red apple")         # names of classes are not saved by diffusers
    assert apart(run(again, z, 3, again.prompt(words, 3.0)), run(model, z, 3, model.prompt(words, 3.0))) <= 1e-5


@pytest.mark.parametrize("kind", ["sdxl", "sd3", "flux", "pixart", "dit", "ddpm"])
def test_every_kind_passes_the_trial_of_its_shapes(pipes, tmp_path, kind):
    pipes[kind].save_pretrained(tmp_path / kind)
    PipelineModel.check(tmp_path / kind)
    network = "transformer" if hasattr(pipes[kind], "transformer") else "unet"
    edit(tmp_path / kind / network / "config.json", in_channels=6)
    with pytest.raises(ValueError, match=f"cannot load its {network}"):
        PipelineModel.check(tmp_path / kind)


@pytest.mark.parametrize("kind", ["sd", "sdxl", "sd3", "flux"])
def test_lengths_to_which_prompts_are_filled_up_are_bounded(pipes, tmp_path, kind):
    """Flux cuts no prompt of its CLIP's, but fills them up as well: of ten million words that takes minutes."""
    pipes[kind].save_pretrained(tmp_path / kind)
    edit(tmp_path / kind / "tokenizer" / "tokenizer_config.json", model_max_length=10**7)
    refuses(lambda: PipelineModel.check(tmp_path / kind), "model_max_length = 10000000: takes a whole number from 2 to")


@pytest.mark.parametrize("kind", ["KDPM2DiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"])
def test_other_samplers_of_second_order_are_refused(pipes, kind):
    pipe = refitted(pipes, "sd", scheduler=betas(kind))
    with pytest.raises(ValueError, match="sampler = 'own', but its scheduler is a .*; takes a DDIMScheduler"):
        PipelineModel.of(pipe, kind, sampler="own")
    assert PipelineModel.of(pipe, kind).levels(7).steps == 7


def test_what_is_no_pipeline_of_these(tmp_path):
    class Other:
        pass

    with pytest.raises(ValueError, match="is a Other; takes one of StableDiffusionPipeline, StableDiffusionXLPipeline"):
        PipelineModel.of(Other(), "other")
    with pytest.raises(ValueError, match="sampler = 'plms'"):
        PipelineModel.of(pipeline("sd", tmp_path), "sd", sampler="plms")


@pytest.mark.parametrize("kind", ["sdxl", "pixart"])
def test_euler_does_not_clip_what_its_configuration_was_made_from(pipes, kind):
    """`from_config` keeps the words of a scheduler that clips; Euler's method does not know them."""
    from diffusers import EulerDiscreteScheduler

    other = betas(clip_sample=True, thresholding=True)
    scheduler = EulerDiscreteScheduler.from_config(other.config)
    assert scheduler.config.clip_sample and scheduler.config.thresholding
    assert held_by_own(refitted(pipes, kind, scheduler=scheduler)) <= 1e-5


@pytest.mark.parametrize("kind", ["FlowMatchEulerDiscreteScheduler", "EDMDPMSolverMultistepScheduler", "LCMScheduler",
                                  "DDIMInverseScheduler", "ScoreSdeVeScheduler"])
def test_schedulers_without_ddims_levels_are_refused_in_memory(pipes, kind):
    import diffusers

    pipe = refitted(pipes, "sdxl", scheduler=betas())
    pipe.scheduler = getattr(diffusers, kind)()
    refuses(lambda: PipelineModel.of(pipe, "mine"), f"model = 'mine': its scheduler is a {kind}; takes one of DDIM")


@pytest.mark.parametrize("kind, change, words", [
    ("EulerDiscreteScheduler", {"timestep_type": "continuous", "prediction_type": "v_prediction"}, "logarithms of"),
    ("EulerDiscreteScheduler", {"interpolation_type": "log_linear"}, "takes interpolation_type = 'linear'"),
    ("EulerDiscreteScheduler", {"final_sigmas_type": "x"}, "final_sigmas_type = 'x': takes zero or sigma_min"),
    ("DDPMScheduler", {"timestep_spacing": "linspace"}, "places its times by linspace"),
    ("DDIMScheduler", {"timestep_spacing": "odd"}, "timestep_spacing = 'odd': takes one of leading"),
    ("DDIMScheduler", {"steps_offset": 2.5}, "steps_offset = 2.5: takes a whole number from 0 to 999"),
    ("DDIMScheduler", {"steps_offset": -5}, "steps_offset = -5: takes a whole number from 0 to 999"),
    ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True}, "is one of flow matching"),
])
def test_schedules_that_own_samplers_do_not_have(pipes, kind, change, words):
    pipe = refitted(pipes, "sdxl", scheduler=betas(kind, **change))
    refuses(lambda: PipelineModel.of(pipe, "mine", sampler="own"), "model = 'mine': ", words)


@pytest.mark.parametrize("change, words", [
    ({"trained_betas": [0.01] * 500}, "trained_betas of shape (500,), from 0.01 to 0.01: takes 1000 numbers"),
    ({"trained_betas": []}, "trained_betas of shape (0,)"), ({"trained_betas": "a"}, "trained_betas = 'a': takes 1000"),
    ({"trained_betas": np.full(1000, 1.0)}, "trained_betas of shape (1000,), from 1 to 1"),
    ({"beta_start": 0.0}, "beta_start = 0.0: takes a number from 0 to 1, ends excluded"),
    ({"beta_end": 1.0}, "beta_end = 1.0: takes a number from 0 to 1, ends excluded"),
])
def test_betas_of_which_there_are_no_levels(pipes, change, words):
    pipe = refitted(pipes, "sd", scheduler=betas())
    pipe.scheduler.register_to_config(**change)
    refuses(lambda: PipelineModel.of(pipe, "mine"), "model = 'mine': ", words)


def test_a_table_of_betas_in_memory_is_taken(pipes):
    scheduler = betas(trained_betas=np.linspace(0.001, 0.03, 1000))
    assert held(PipelineModel.of(refitted(pipes, "sd", scheduler=scheduler), "table"), 3.0, "ugly") <= 1e-5


@pytest.mark.parametrize("change, steps, words", [
    ({"shift": 1e8}, 4, "no levels for them (alpha = 0"), ({"shift": 1e-9}, 4, "levels are not finite"),
    ({"shift_terminal": 0.1}, 1, "levels are not finite"),
])
def test_steps_of_which_a_scheduler_has_no_levels(pipes, change, steps, words):
    from diffusers import FlowMatchEulerDiscreteScheduler

    pipe = refitted(pipes, "sd3", scheduler=FlowMatchEulerDiscreteScheduler(**change))
    refuses(lambda: PipelineModel.of(pipe, "flow").levels(steps), f"steps = {steps}: ", words, "takes another number")


@pytest.mark.parametrize("change, words", [
    ({"shift": 0.0}, "shift = 0.0: takes a number > 0"), ({"shift": float("nan")}, "shift = nan: takes a number > 0"),
    ({"shift": -2.0}, "shift = -2.0: takes a number > 0"), ({"invert_sigmas": True}, "takes invert_sigmas = False"),
    ({"shift_terminal": 2.0}, "shift_terminal = 2.0: takes a number from 0 to 0.999"),
    ({"use_dynamic_shifting": True, "max_shift": None}, "max_shift = None: takes a finite number"),
    ({"use_dynamic_shifting": True, "base_image_seq_len": "a"}, "base_image_seq_len = 'a': takes a whole number"),
    ({"use_dynamic_shifting": True, "max_image_seq_len": 256}, "takes another number than base_image_seq_len"),
])
def test_flows_without_levels(pipes, change, words):
    from diffusers import FlowMatchEulerDiscreteScheduler

    pipe = refitted(pipes, "sd3", scheduler=FlowMatchEulerDiscreteScheduler(**change))
    refuses(lambda: PipelineModel.of(pipe, "mine"), "model = 'mine': ", words)


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_a_flow_is_shifted_by_the_patches_of_its_network(tmp_path, patch):
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel

    own = dict(pipeline("sd3", tmp_path).transformer.config) | {"patch_size": patch}
    shifted = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_image_seq_len=4, max_image_seq_len=64)
    pipe = pipeline("sd3", tmp_path, transformer=SD3Transformer2DModel.from_config(own), scheduler=shifted)
    assert held(PipelineModel.of(pipe, "patches"), 3.0, "ugly") <= 1e-5


@pytest.mark.parametrize("size", [None, [8], (8, 8, 8), "8", 8.0, 0, -8, True])
@pytest.mark.parametrize("kind", ["sd", "ddpm", "flux"])
def test_sizes_of_latents_that_are_none(pipes, tmp_path, kind, size):
    pipe = copy(pipes[kind])
    network = "transformer" if kind == "flux" else "unet"
    if kind == "flux":
        pipe.default_sample_size = size
    else:
        part = getattr(pipe, network)
        setattr(pipe, network, type(part).from_config(dict(part.config) | {"sample_size": size}))
    refuses(lambda: PipelineModel.of(pipe, "mine"), "model = 'mine': sample_size = ", "takes a whole number from 1 to")
    if kind == "ddpm" and not isinstance(size, tuple | bool):
        pipe.save_pretrained(tmp_path / "saved")
        for way in (PipelineModel.load, PipelineModel.check):
            refuses(lambda way=way: way(tmp_path / "saved"), f"model = {str(tmp_path / 'saved')!r}: ", "sample_size = ")


@pytest.mark.parametrize("part", ["unet", "scheduler", "tokenizer", "text_encoder"])
def test_parts_of_another_library_are_refused(pipes, part):
    pipe, other = copy(pipes["sd"]), torch.nn.Linear(2, 2)
    setattr(pipe, part, other)
    refuses(lambda: PipelineModel.of(pipe, "mine"), f"model = 'mine': its {part} is Linear(", "takes a StableDiffusion")


@pytest.mark.parametrize("kind", ["sd", "sdxl", "sd3", "pixart", "dit", "ddpm"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_directory_of_single_precision_is_read_in_half(pipes, tmp_path, kind, dtype):
    pipes[kind].to(torch.float32).save_pretrained(tmp_path / kind)
    model, whole = PipelineModel.load(tmp_path / kind, dtype=dtype), PipelineModel.of(pipes[kind], kind)
    assert {w.dtype for w in model.network.parameters()} == {getattr(torch, dtype)}
    z, words = noise(2, model.shape), {"ddpm": "", "dit": "7"}.get(kind, "red apple")
    ours = run(model, z.to(model.dtype), 3, model.prompt(words, 3.0))
    assert apart(ours.float(), run(whole, z, 3, whole.prompt(words, 3.0))) <= 0.05


def test_points_of_many_levels_are_told_their_own_times_in_half_precision(pipes, tmp_path):
    """bfloat16 has 568 and 572, and no 569."""
    pipes["sd"].to(torch.float32).save_pretrained(tmp_path / "sd")
    model = PipelineModel.load(tmp_path / "sd", dtype="bfloat16")
    levels, told = model.levels(7), []
    model.network.time_proj.register_forward_pre_hook(lambda _, given: told.append(given[0]))
    x = noise(3).to(model.dtype)
    each = model.predict_each(x, levels, np.array([2, 0, 6]))
    assert each.x0.dtype == each.eps.dtype == model.dtype
    assert told[-1].tolist() == levels.timestep[[2, 0, 6]].tolist() == [569, 853, 1]
    with pytest.raises(ValueError, match="prompt: of 2 points; takes one for all 3"):
        model.predict_each(x, levels, np.array([2, 0, 6]), model.prompt(["red apple", "cat face"]))


def test_a_network_may_have_a_table_of_times(tmp_path):
    from diffusers import UNet2DModel

    own = dict(pipeline("ddpm", tmp_path).unet.config) | {"time_embedding_type": "learned", "num_train_timesteps": 1000}
    model = PipelineModel.of(pipeline("ddpm", tmp_path, unet=UNet2DModel.from_config(own)), "table")
    levels, z = model.levels(5), noise(2, model.shape)
    each = model.predict_each(z, levels, np.array([1, 4]))
    for i, step in enumerate((1, 4)):
        torch.testing.assert_close(each.x0[i], model.predict(z[i:i + 1], levels, step).x0[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["DDIMScheduler", "EulerDiscreteScheduler"])
def test_a_prediction_of_the_picture_is_inverted_from_a_clean_end(pipes, kind):
    """At sigma = 0 there is no noise, and nothing to divide by."""
    changes = {"set_alpha_to_one": True} if kind == "DDIMScheduler" else {}
    pipe = refitted(pipes, "sd", scheduler=betas(kind, prediction_type="sample", **changes))
    model = PipelineModel.of(pipe, "clean", sampler="own")
    levels, prompt = model.levels(5), model.prompt("red apple")
    *_, last = sample(model, noise(2), levels, prompt)
    assert levels.sigma[-1] == 0
    back = invert(model, last.after, levels, prompt, stop=2)
    assert back.x[2].isfinite().all()
    torch.testing.assert_close(back.x[4], float(levels.alpha[4]) * model.predict(last.after, levels, 4, prompt).x0)


def decoder(**changes):
    from diffusers import AutoencoderKL

    return AutoencoderKL(block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, norm_num_groups=4,
                         up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, scaling_factor=0.5, **changes)


def decoded_by_diffusers(pipe, kind, start):
    """A latent after one step of diffusers' own call, and the picture that it makes of it."""
    last, (y, x) = [], (n * pipe.vae_scale_factor for n in start.shape[2:])
    keep = {"callback_on_step_end": lambda pipe, step, time, kept: last.append(kept["latents"].clone()) or kept}
    keep = {"callback": lambda step, time, z: last.append(z.clone()), "use_resolution_binning": False,
            "clean_caption": False} if kind == "pixart" else keep
    pipe.set_progress_bar_config(disable=True)
    latents = pipe._pack_latents(start, 1, *start.shape[1:]) if kind == "flux" else start
    picture, = pipe("red apple", height=y, width=x, num_inference_steps=1, guidance_scale=1.0, latents=latents,
                    output_type="pt", **keep).images
    return pipe._unpack_latents(last[0], y, x, pipe.vae_scale_factor) if kind == "flux" else last[0], picture


@pytest.mark.parametrize("change", [{"shift_factor": 0.3}, {"shift_factor": 0.0, "latents_mean": [0.1, 0.2, 0.3, 0.4],
                                                            "latents_std": [1.0, 2.0, 3.0, 4.0]}], ids=str)
@pytest.mark.parametrize("kind", TEXT)
def test_a_vaes_numbers_are_read_as_the_pipeline_reads_them(tmp_path, kind, change):
    """Shift counts for flows alone, mean and deviation for XL alone."""
    pipe = pipeline(kind, tmp_path, vae=decoder(**change))
    model = PipelineModel.of(pipe, "vae")
    start = noise(1, model.shape)
    if kind == "dit":
        with patch("diffusers.pipelines.dit.pipeline_dit.randn_tensor", lambda *args, **options: start):
            picture, = pipe([7], guidance_scale=1.0, num_inference_steps=1, output_type="pt").images
        z = diffusers_steps(model, start[0], 1, "7", "", 1.0)
    else:
        z, picture = decoded_by_diffusers(pipe, kind, start)
    assert float((model.decode(z)[0] - picture).abs().max()) <= 1e-5
    spread, middle = model.family.place(pipe.vae)
    code = pipe.vae.encode(2 * picture[None] - 1).latent_dist.mean
    torch.testing.assert_close(model.encode(picture[None]) * spread / 0.5 + middle, code, atol=1e-4, rtol=1e-4)


def test_a_vae_that_half_precision_overflows_runs_in_single(tmp_path):
    """As diffusers' XL does; the caller's pipeline stays in half precision."""
    large = decoder()
    with torch.no_grad():
        large.decoder.conv_in.weight.mul_(3e4)
        large.post_quant_conv.weight.mul_(10)
    pipe = pipeline("sdxl", tmp_path, vae=large).to(torch.float16)
    model = PipelineModel.of(pipe, "half")
    assert pipe.vae.dtype == model.dtype == torch.float16 and model.encoder is model.decoder
    z, picture = decoded_by_diffusers(pipe, "sdxl", noise(1, model.shape).half())
    found = model.decode(z)[0]
    assert picture.isfinite().all() and float((found - picture.float()).abs().max()) <= 2e-3
    assert model.encode(found[None]).isfinite().all()


@pytest.mark.parametrize("kind, most", [("pixart", 120), ("flux", 512)])
def test_sentences_that_diffusers_would_cut_are_refused(pipes, kind, most):
    model = PipelineModel.of(pipes[kind], kind)
    model.prompt("a" * (most // 2))
    refuses(lambda: model.prompt("a" * (most + 9)), "prompt = 'aaaa", f"takes at most {most}")
    if kind == "pixart":
        refuses(lambda: model.prompt("a", 3.0, "b" * 300), "negative_prompt = 'bbbb", f"takes at most {most}")
