"""The pipeline against diffusers itself, finite differences, and every way a model can fail to be one."""

import os
import shutil
import subprocess
import sys
from copy import copy as copied
from dataclasses import replace

import numpy as np
import pytest
import torch

from phasebook.models.pipelines.loading import noise_at
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.levels import Levels, log_snr_levels, scaled_linear_levels
from phasebook.sampling.samplers import resume, sample
from phasebook.sampling.tangents import forward_mode, pushed
from phasebook_training.tokenizer import LENGTH
from tests.builders import apart, betas, build, edit, filled, noise, reference, run, words
from tests.builders import refuses as refuse


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: build(tmp_path_factory.mktemp(kind), kind) for kind in ("epsilon", "v_prediction")}


@pytest.fixture(scope="module")
def models(folders):
    """Loaded once; who changes one loads it anew."""
    return {kind: PipelineModel.load(folder, batch=2) for kind, folder in folders.items()}


@pytest.fixture(scope="module")
def wide(folders):
    """A pipeline whose latents are not square."""
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    pipe = StableDiffusionPipeline.from_pretrained(folders["epsilon"], use_safetensors=True)
    pipe.unet = UNet2DConditionModel.from_config(dict(pipe.unet.config) | {"sample_size": (6, 10)})
    return PipelineModel.of(pipe, "wide")


def of_batch(model, batch):
    return replace(model, batch=batch, largest_batch=[])


@pytest.fixture
def copy(folders, tmp_path):
    """A copy to break."""
    return shutil.copytree(folders["epsilon"], tmp_path / "copy")


# --- the same numbers as diffusers ------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("negative", ["", "blurry, ugly"])
def test_latents_after_every_step_are_those_of_the_pipeline_call(folders, models, kind, guidance, negative):
    """Of three steps: a first, a last, and one between, at times that 1000 / 3 is rounded to."""
    z = noise(3)
    theirs = reference(folders[kind], z, 3, "red apple", negative, guidance)
    model = models[kind]
    ours = run(model, z, 3, model.prompt("red apple", guidance, negative))
    assert apart(ours, theirs) <= 1e-5
    other = run(model, z, 3, model.prompt("cat face", guidance, negative))
    assert apart(other, theirs) > 1e-3          # the prompt matters, so the equality says something


def test_batches_tiles_and_order_change_nothing(models):
    z = noise(7)
    whole = of_batch(models["v_prediction"], 8)
    prompt = whole.prompt("green apple", 5.0, "ugly")
    expected = run(whole, z, 3, prompt)
    for batch in (1, 3, 64):
        assert apart(run(of_batch(whole, batch), z, 3, prompt), expected) <= 1e-5
    assert apart(run(whole, z.flip(0), 3, prompt).flip(1), expected) <= 1e-5
    halves = torch.cat([run(whole, z[:3], 3, prompt), run(whole, z[3:], 3, prompt)], 1)
    assert apart(halves, expected) <= 1e-5


def test_sampling_can_start_in_the_middle_and_leaves_its_arguments_alone(models):
    model = of_batch(models["epsilon"], 4)
    prompt, levels, z = model.prompt("cat face"), model.levels(6), noise(4)
    before = z.clone()
    whole = run(model, z, 6, prompt)
    assert torch.equal(z, before)
    rest = list(sample(model, whole[2], levels, prompt, first=3))
    assert [frame.step for frame in rest] == [3, 4, 5]
    torch.testing.assert_close(rest[-1].after, whole[-1])


def test_points_have_prompts_of_their_own(models):
    """A batch of mixed prompts and starts equals one run for each."""
    model = of_batch(models["v_prediction"], 3)
    words, first = ["red apple", "cat face", "red apple", "green apple"], torch.tensor([0, 3, 2, 4])
    levels, prompts = model.levels(5), model.prompt(words, 3.0, "blurry, ugly")
    together = resume(model, noise(4), first, levels, prompts)
    for i, (text, k) in enumerate(zip(words, first.tolist(), strict=True)):
        *_, last = sample(model, noise(4)[i:i + 1], levels, model.prompt(text, 3.0, "blurry, ugly"), first=k)
        torch.testing.assert_close(together.x[i], last.after[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.x0[i], last.x0[0], atol=1e-4, rtol=1e-4)


def test_levels_are_the_schedulers_own(models):
    model = models["epsilon"]
    ours, closed = model.levels(50), scaled_linear_levels(50)
    assert (ours.timestep == closed.timestep).all()
    np.testing.assert_allclose(ours.alpha, closed.alpha, rtol=1e-5)
    np.testing.assert_allclose(ours.sigma, closed.sigma, rtol=3e-5)


def test_decoded_pixels_are_those_of_the_vae(folders, models):
    from diffusers import AutoencoderKL
    from diffusers.image_processor import VaeImageProcessor

    model, z = of_batch(models["epsilon"], 3), noise(4, seed=2)
    vae = AutoencoderKL.from_pretrained(folders["epsilon"] / "vae")
    with torch.no_grad():
        theirs = VaeImageProcessor().postprocess(vae.decode(z / vae.config.scaling_factor).sample, "np")
    assert model.decode(z).shape == (4, 3, 16, 16)
    np.testing.assert_allclose(model.decode(z).movedim(1, -1), theirs, atol=1e-5)


def test_a_small_vae_decodes_in_place_of_the_pipelines(folders, models, tmp_path):
    from diffusers import AutoencoderTiny

    torch.manual_seed(1)
    small = AutoencoderTiny(encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
                            num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1))
    small.save_pretrained(tmp_path / "small")
    model, z = PipelineModel.load(folders["epsilon"], small_vae=tmp_path / "small"), noise(2)
    with torch.no_grad():
        theirs = (small.decode(z).sample / 2 + 0.5).clamp(0, 1)
    np.testing.assert_allclose(model.decode(z), theirs, atol=1e-5)
    with pytest.raises(ValueError, match="small_vae = 'nobody/nothing': no AutoencoderTiny"):
        PipelineModel.load(folders["epsilon"], small_vae="nobody/nothing")
    other = models["epsilon"]
    assert other.fingerprint != model.fingerprint           # or stores of one would go on with the other's pictures
    twin = PipelineModel.load(folders["epsilon"], small_vae=tmp_path / "small")
    assert twin.fingerprint == model.fingerprint
    next(twin.decoder.decoder.parameters()).data.mul_(1.01)
    assert replace(twin).fingerprint != model.fingerprint
    vae = PipelineModel.load(folders["epsilon"])
    vae.pipe.vae.register_to_config(scaling_factor=0.5)
    assert vae.fingerprint != other.fingerprint


def test_what_is_made_of_an_answer_tells_models_apart(models, copy):
    edit(copy / "scheduler" / "scheduler_config.json", prediction_type="v_prediction")
    assert PipelineModel.load(copy).fingerprint != models["epsilon"].fingerprint


@pytest.mark.parametrize("part, setting", [("unet", {"act_fn": "gelu"}), ("unet", {"norm_eps": 0.1}),
                                           ("text_encoder", {"hidden_act": "gelu"})])
def test_equal_weights_that_compute_something_else_are_another_model(part, setting, models, copy):
    edit(copy / part / "config.json", **setting)
    assert PipelineModel.load(copy).fingerprint != models["epsilon"].fingerprint


def test_names_of_versions_tell_no_models_apart(models, copy):
    edit(copy / "unet" / "config.json", _diffusers_version="0.99", dropout=0.0)
    edit(copy / "text_encoder" / "config.json", transformers_version="9.9", attention_dropout=0.0)
    assert PipelineModel.load(copy).fingerprint == models["epsilon"].fingerprint


# --- what does not fit ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler",
                                  "HeunDiscreteScheduler"])
def test_any_schedulers_noise_levels_are_ddims(models, copy, kind):
    """Their own spacing is linspace; ours takes DDIM's, for any number of steps, on the same noise levels."""
    import diffusers

    scheduler = getattr(diffusers, kind)(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                         timestep_spacing="linspace", steps_offset=1)
    scheduler.save_pretrained(copy / "scheduler")
    edit(copy / "model_index.json", scheduler=["diffusers", kind])
    edit(copy / "scheduler" / "scheduler_config.json", clip_sample=False, set_alpha_to_one=False)
    model, plain = PipelineModel.load(copy), models["epsilon"]
    for steps in (1, 7, 12, 50):
        np.testing.assert_array_equal(model.levels(steps).alpha, plain.levels(steps).alpha)


@pytest.mark.parametrize("change", [{"shift": 1.0}, {"beta_start": 0.001, "unheard_of": [1]}])
def test_nothing_but_a_refusal_is_said_of_a_scheduler(copy, foreign, change):
    """diffusers warns of keys that a scheduler does not know."""
    edit(copy / "scheduler" / "scheduler_config.json", **change)
    assert noise_at(copy).levels(4, "x").steps == 4
    assert foreign == []


@pytest.mark.parametrize("part", ["beta_start", "beta_end"])
def test_levels_that_are_no_numbers_are_refused(copy, part):
    edit(copy / "scheduler" / "scheduler_config.json", **{part: float("nan")})
    with pytest.raises(ValueError, match=f"{part} = nan: takes a number from 0 to 1"):
        noise_at(copy).levels(4, "x")


def test_a_network_need_not_be_square(wide):
    *_, last = sample(wide, noise(2, wide.shape), wide.levels(3), wide.prompt("red apple", 3.0))
    assert wide.shape == (4, 6, 10) and wide.decode(last.x0).shape == (2, 3, 12, 20)


# --- tangents ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_tangents_are_the_limits_of_finite_differences(folders, guidance):
    """Centred differences err by O(h^2): the error falls fourfold when h is halved, in float64."""
    model = PipelineModel.load(folders["v_prediction"], batch=2)
    model.pipe.to(torch.float64)
    z, d = noise(3).double(), noise(6, seed=1).double().view(2, 3, 4, 8, 8)
    prompt = model.prompt("red apple", guidance, "ugly")
    levels = model.levels(3)
    *_, last = sample(model, z, levels, prompt, tangents=d)
    *_, plain = sample(model, z, levels, prompt)
    torch.testing.assert_close(last.x0, plain.x0)
    exact = last.dx0
    steps = torch.tensor([0.02, 0.01, -0.02, -0.01], dtype=torch.float64).view(4, 1, 1, 1, 1, 1)
    *_, off = sample(of_batch(model, 24), (z + steps * d).flatten(0, 2), levels, prompt)     # all in one batch
    up, down = off.x0.view(2, 2, *d.shape)
    near = (up - down) / (2 * steps[:2])

    for k in (0, 1):
        errors = [float((of_h[k] - exact[k]).abs().max()) for of_h in near]
        assert errors[1] < 1e-3 * float(exact[k].abs().max())
        assert 3.5 < errors[0] / errors[1] < 4.5


@pytest.mark.parametrize("points", [1, 20])
def test_tangents_survive_inference_mode(models, points):
    model = of_batch(models["v_prediction"], 64)
    z, d, levels = noise(points), noise(points, seed=1)[None], model.levels(2)
    plain = [p.dx0 for p in sample(model, z, levels, model.prompt("red apple"), tangents=d)]
    with torch.inference_mode():
        inside = [p.dx0 for p in sample(model, z, levels, model.prompt("red apple"), tangents=d)]
    for one, other in zip(plain, inside, strict=True):
        assert one.abs().max() > 1e-3
        torch.testing.assert_close(one, other)


def test_tangents_through_the_decoder(folders):
    model = PipelineModel.load(folders["epsilon"])
    model.pipe.to(torch.float64)
    z, d = 0.3 * noise(2).double(), noise(2, seed=3).double()
    with forward_mode():
        value, exact = pushed(lambda x: (model.pixels(x),))(z, d)
    near = (model.pixels(z + 1e-5 * d) - model.pixels(z - 1e-5 * d)) / 2e-5
    torch.testing.assert_close(value, model.pixels(z))
    smooth = (value > 1e-3) & (value < 1 - 1e-3)                # elsewhere the clamp to [0, 1] may have its corner
    assert smooth.float().mean() > 0.5
    assert ((exact - near).abs() * smooth).max() < 1e-6 * near.abs().max()


# --- size -----------------------------------------------------------------------------------------------------

def of_full_size(kind, folder):
    """Stable Diffusion 1.5 or XL in its own sizes, random weights; latents of any size go through."""
    from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = words(folder)
    end = {"eos_token_id": len(tokenizer) - 1, "bos_token_id": len(tokenizer) - 2}
    large = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    huge = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
            "projection_dim": 1280}
    xl = {"block_out_channels": (320, 640, 1280), "transformer_layers_per_block": [1, 2, 10],
          "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
          "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
          "attention_head_dim": [5, 10, 20], "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
          "use_linear_projection": True,
          "projection_class_embeddings_input_dim": 2816}
    with torch.device("meta"):
        decoder = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
                                down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
        network = UNet2DConditionModel(sample_size=128, cross_attention_dim=2048, **xl) if kind == "xl" else \
            UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        texts = [CLIPTextModel(CLIPTextConfig(**large, **end))]
        texts += [CLIPTextModelWithProjection(CLIPTextConfig(**huge, **end))] if kind == "xl" else []
    parts = {"vae": filled(decoder), "unet": filled(network), "text_encoder": filled(texts[0]), "tokenizer": tokenizer,
             "scheduler": betas()}
    if kind == "xl":
        return StableDiffusionXLPipeline(**parts, text_encoder_2=filled(texts[1]), tokenizer_2=tokenizer,
                                         add_watermarker=False)
    return StableDiffusionPipeline(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind, weights, shape", [("1.5", 860e6, (4, 64, 64)), ("xl", 2567e6, (4, 128, 128))])
def test_a_step_at_the_size_of_stable_diffusion(tmp_path, kind, weights, shape):
    """All weights in their own sizes, though of one buffer; latents of 8 x 8, for the time of a test."""
    pipe = of_full_size(kind, tmp_path)
    assert sum(w.numel() for w in pipe.unet.parameters()) == pytest.approx(weights, rel=0.005)
    model = PipelineModel.of(pipe, f"as large as SD {kind}", batch=2)
    assert model.shape == shape
    levels, z = model.levels(2), noise(1, (4, 8, 8)).repeat(2, 1, 1, 1)
    found, _ = model.predict(z, levels, 0, model.prompt(["red apple", "cat face"], 5.0))    # reads all weights once
    assert found.shape == z.shape and torch.isfinite(found).all() and (found.std((1, 2, 3)) > 0.01).all()
    assert apart(*found) > 1e-4                     # the prompt goes all the way through


# --- memory -----------------------------------------------------------------------------------------------------

def test_out_of_memory_is_answered_by_a_smaller_batch(models, monkeypatch):
    model = of_batch(models["epsilon"], 8)
    prompt, z = model.prompt("cat face", 5.0, ""), noise(8)
    expected, forward, seen = run(model, z, 3, prompt), model.pipe.unet.forward, []

    def small(sample, *args, **kwargs):
        seen.append(len(sample))
        if len(sample) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(model.pipe.unet, "forward", small)
    assert apart(run(model, z, 3, prompt), expected) <= 1e-5
    assert seen[:3] == [16, 8, 4] and set(seen[3:]) == {4}          # found once, then kept; guidance doubles
    monkeypatch.setattr(model.pipe.unet, "forward", lambda sample, *a, **k: small(torch.cat([sample] * 8)))
    with pytest.raises(torch.OutOfMemoryError):
        run(model, z, 3, prompt)


# --- one clear line each ----------------------------------------------------------------------------------------

def refuses(match, *args, **kwargs):
    with pytest.raises(ValueError, match=match) as caught:
        PipelineModel.load(*args, **kwargs)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_what_is_no_pipeline(tmp_path, copy):
    refuses("no diffusers pipeline", tmp_path)
    refuses("no such directory, and no hub id", tmp_path / "missing")
    refuses("no such directory, and no hub id", "")
    (copy / "model_index.json").write_text("{")
    refuses("not readable", copy)
    (copy / "model_index.json").write_text("[]")
    refuses("not readable", copy)


@pytest.mark.parametrize("name", ["WanPipeline", "KandinskyPipeline", "StableDiffusionInpaintPipeline"])
def test_other_pipelines(copy, name):
    edit(copy / "model_index.json", _class_name=name)
    refuses(f"is a {name}; takes one of StableDiffusionPipeline", copy)


def test_flow_matching_schedulers(copy):
    config = copy / "scheduler" / "scheduler_config.json"
    edit(config, prediction_type="flow_prediction")
    refuses("flow matching", copy)
    edit(config, prediction_type="epsilon", _class_name="FlowMatchEulerDiscreteScheduler")
    refuses("flow matching", copy)


def test_schedules_that_mean_something_else(copy):
    config = copy / "scheduler" / "scheduler_config.json"
    edit(config, thresholding=True)
    refuses("thresholding = True: its scheduler thresholds; takes thresholding = False", copy)
    edit(config, thresholding=False, rescale_betas_zero_snr=True)
    refuses("rescale_betas_zero_snr = True: .* pure noise, .*; takes False, or prediction_type", copy)
    edit(config, rescale_betas_zero_snr=False, beta_schedule="mystery")
    refuses("beta_schedule = 'mystery': takes one of linear, scaled_linear, squaredcos_cap_v2", copy)
    edit(config, beta_schedule="linear", prediction_type="original_sample")
    refuses("prediction_type = 'original_sample': takes one of epsilon, sample, v_prediction", copy)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_truncated_and_corrupted_weights(copy, part):
    weights, = (copy / part).glob("*.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:len(whole) // 2])
    refuses("corrupted or truncated", copy)
    weights.write_bytes(b"\xff" * 64 + whole[64:])
    refuses("corrupted or truncated", copy)
    weights.write_bytes(b"")
    refuses("corrupted or truncated", copy)


def test_weights_of_another_network(copy):
    from safetensors.torch import load, save_file

    weights, = (copy / "unet").glob("*.safetensors")
    tensors = load(weights.read_bytes())
    save_file({k: v for k, v in tensors.items() if "conv_in" not in k}, weights)
    refuses("unet lacks", copy)
    save_file(tensors | {"conv_in.weight": torch.zeros(16, 9, 3, 3)}, weights)
    refuses("diffusers cannot load it", copy)


def test_pickles_are_never_read(copy):
    weights, = (copy / "unet").glob("*.safetensors")
    weights.rename(weights.with_name("diffusion_pytorch_model.bin"))
    refuses(r"unet has no weights diffusion_pytorch_model.safetensors \(only diffusion_pytorch_model.bin\); pickled",
            copy)


def test_a_variant_that_is_not_there(folders):
    refuses("has no weights .*fp16.safetensors", folders["epsilon"], variant="fp16")


def test_settings(folders, models):
    model = models["epsilon"]
    refuses("dtype = 'int8'", folders["epsilon"], dtype="int8")
    refuses("batch = 0", folders["epsilon"], batch=0)
    refuses("device = 'tpu9'", folders["epsilon"], device="tpu9")
    refuses("compiled = True", folders["epsilon"], compiled=True)
    for steps in (0, 1000, True, 2.5):
        with pytest.raises(ValueError, match="steps ="):
            model.levels(steps)
    with pytest.raises(ValueError, match=f"takes at most {LENGTH}"):
        model.prompt("red apple " * 20)
    with pytest.raises(ValueError, match="negative_prompt = 'cat"):
        model.prompt("red", negative="cat face " * 20)
    with pytest.raises(ValueError, match="guidance = nan"):
        model.prompt("red", guidance=float("nan"))
    with pytest.raises(ValueError, match=r"x: float32 of shape \(2, 3, 8, 8\); this model takes .* \(p, 4, 8, 8\)"):
        next(sample(model, noise(2, (3, 8, 8)), model.levels(2), model.prompt("red")))
    with pytest.raises(ValueError, match="have no training times"):
        next(sample(model, noise(2), log_snr_levels(2), model.prompt("red")))


def foreign_levels():
    own, sigma = scaled_linear_levels(4), np.linspace(1, 0, 5)
    return {"of a flow": (Levels("flow", 1 - sigma, sigma, 1000 * sigma[:-1]), "is of another kind of noise"),
            "without times": (log_snr_levels(4), "have no training times"),
            "other times": (Levels("off", own.alpha, own.sigma, own.timestep[::-1]), "the network was trained on")}


@pytest.mark.parametrize("kind", ["of a flow", "without times", "other times"])
@pytest.mark.parametrize("call", ["predict", "predict_each", "push"])
def test_levels_of_another_noise_are_refused(models, kind, call):
    model, (levels, words) = models["epsilon"], foreign_levels()[kind]
    x = noise(2)
    given = {"predict": (x, levels, 1), "predict_each": (x, levels, np.array([0, 1])), "push": (x, x[None], levels, 1)}
    with pytest.raises(ValueError, match=words) as caught:
        getattr(model, call)(*given[call])
    assert "\n" not in str(caught.value) and "takes this model's own levels" in str(caught.value)
    own = {"predict": (x, model.levels(4), 1), "predict_each": (x, model.levels(4), np.array([0, 1])),
           "push": (x, x[None], scaled_linear_levels(4).thinned(2), 1)}
    getattr(model, call)(*own[call])


@pytest.mark.parametrize("offline", ["1", "0"])
def test_models_of_the_hub_without_a_network_are_one_quick_line(offline, tmp_path):
    """In a process of its own: the switch is read at import. With '0' the hub's address leads nowhere."""
    code = ("import time\nfrom phasebook.models.towers.clip import ClipFeatures\n"
            "from phasebook.models.pipelines.pipeline import PipelineModel\n"
            "for load in (lambda: PipelineModel.load('nobody/nothing', revision='0' * 40),\n"
            "             lambda: ClipFeatures.load('ViT-B-32-quickgelu', 'openai')):\n"
            "    t = time.time()\n"
            "    try: load()\n"
            "    except ValueError as e: print(round(time.time() - t), str(e))")
    nowhere = {"HF_HUB_OFFLINE": offline, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | nowhere)
    pipeline, clip = done.stdout.strip().splitlines()
    assert "model = 'nobody/nothing': not in the local cache, and cannot be fetched" in pipeline
    assert "not in the local cache, and cannot be fetched from the hub" in clip
    assert all(float(line.split()[0]) < 60 for line in (pipeline, clip))        # seconds, on a busy machine


@pytest.mark.parametrize("name", ["-a/b", "a--b/c..d"])
def test_a_name_that_the_hub_would_not_give_is_one_line_too(name):
    with pytest.raises(ValueError, match=f"^model = '{name}': not in the local cache, and cannot be fetched") as caught:
        PipelineModel.load(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes, words", [
    ({"decoder": 3}, "decoder = 3: takes a VAE of diffusers"), ({"name": None}, "name = None: takes a text"),
    ({"unet": None}, "its unet is None; takes a StableDiffusionPipeline with one"),
    ({"vae": None}, "its vae is None"), ({"tokenizer": None}, "its tokenizer is None"),
    ({"scheduler": None}, "its scheduler is None"), ({"batch": 1.5}, "batch = 1.5"),
    ({"device": "gpu"}, "device = 'gpu'"), ({"sampler": "mine"}, "sampler = 'mine'"),
    ({"pipe": 3}, "pipe: is a int; takes one of"),
])
def test_what_a_pipeline_model_cannot_be_made_of(models, changes, words):
    pipe, parts = copied(models["epsilon"].pipe), {"unet", "vae", "tokenizer", "scheduler"}
    for part in parts & set(changes):
        setattr(pipe, part, changes[part])
    options = {name: value for name, value in changes.items() if name not in parts}
    refuse(lambda: PipelineModel.of(**{"pipe": pipe, "name": "mine"} | options), words)


def test_latents_of_another_shape_are_refused(models):
    refuse(lambda: models["epsilon"].start(np.zeros((1, 3))),
           "latents: shape (1, 3); this model takes (m, 4, 8, 8)")


@pytest.mark.parametrize("call, words", [
    (lambda m: m.decode(noise(1, (3, 6, 10))), "x0: shape (1, 3, 6, 10); takes a tensor (n, 4, 6, 10)"),
    (lambda m: m.decode(noise(1)[0]), "x0: shape (4, 8, 8)"), (lambda m: m.decode(None), "x0 = None: takes a tensor"),
    (lambda m: m.decode(noise(1, m.shape) * torch.nan), "x0: not finite at point 0"),
    (lambda m: m.predict(np.zeros((1, 4, 6, 10)), m.levels(2), 0), "x: a ndarray; takes a tensor"),
    (lambda m: m.predict(noise(1, m.shape), None, 0), "levels = None: takes a Levels"),
    (lambda m: m.push(noise(1, (3, 6, 10)), noise(1, (3, 6, 10))[None], m.levels(2), 0), "x: shape (1, 3,"),
    (lambda m: m.push(noise(1, m.shape), None, m.levels(2), 0), "tangents: a NoneType; takes (t"),
    (lambda m: m.predict_each(noise(2, m.shape), m.levels(2), np.array([0, 2])), "steps = array([0, 2]): takes a step"),
    (lambda m: m.norm(None), "x: None; takes differences of states"), (lambda m: m.encode(None), "pixels = None"),
    (lambda m: m.push(noise(2, m.shape), noise(2, m.shape), m.levels(2), 0), "tangents: shape (2, 4, 6, 10); takes (t"),
    (lambda m: m.predict_each(noise(2), m.levels(2), np.array([0, 1]), m.prompt(["red apple"] * 3)), "prompt: of 3"),
    (lambda m: m.predict(noise(1, m.shape), m.levels(2), 2), "step = 2: takes a whole number from 0 to 1"),
    (lambda m: m.predict(noise(1, m.shape), m.levels(2), 0.5), "step = 0.5: takes"),
    (lambda m: m.predict(noise(1, m.shape), m.levels(2), 0, read=3), "read = 3: takes a whole number from 0 to 2"),
    (lambda m: m.predict(noise(1, m.shape), m.levels(2), 0, "red apple"), "prompt = 'red apple': takes a Prompt"),
    (lambda m: m.encode(torch.zeros(1, 1, 12, 20)), "pixels: shape (1, 1, 12, 20); takes pictures (p, 3, 12, 20) in"),
])
def test_states_of_another_shape_are_one_line(wide, call, words):
    refuse(lambda: call(wide), words)


def test_a_sampler_is_refused_before_a_model_is_fetched(monkeypatch):
    monkeypatch.setattr("phasebook.models.pipelines.pipeline.fetch_pipeline", lambda *_: pytest.fail("fetched"))
    refuse(lambda: PipelineModel.load("owner/name", sampler="mine"), "sampler = 'mine': takes 'ddim' or 'own'")
    refuse(lambda: PipelineModel.load("owner/name", compiled=True, device=torch.device("cpu")), "takes a CUDA device")
