"""Training: resumed runs give the same bits, losses are their equations, and what is left loads and is measured."""

import csv
import json
import resource
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import phasebook_training as training
from phasebook import cli
from phasebook.machine import cores
from phasebook.models.pictures.icons import SHARES, icons
from phasebook.models.pictures.views import affine
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.models.towers.clip import ClipFeatures
from phasebook_training import autoencoder, clip, diffusion, measures, transformer, unet
from phasebook_training.augment import photometric
from phasebook_training.loop import SEEDS, Settings, _generator, begin_from, train_loop, written
from phasebook_training.tokenizer import LENGTH, save_tokenizer, tokenizer_of_run, tokens


@pytest.fixture(scope="module")
def data():
    return icons()


def words_of_run(*arguments):
    """The tokenizer of a run that nothing refuses."""
    with tokenizer_of_run(*arguments) as kept:
        return kept


@pytest.fixture(scope="module")
def words(tmp_path_factory, data):
    """The tokenizer of all prompts."""
    return words_of_run(tmp_path_factory.mktemp("words") / "run", data.prompts)


# --- words ------------------------------------------------------------------------------------------------------

def test_the_tokenizer_keeps_every_prompt_apart_and_whole(data, words, tmp_path):
    found = [tuple(ids) for ids in words(data.prompts).input_ids]
    assert len(set(found)) == len(data.prompts) and max(map(len, found)) <= LENGTH
    assert all(ids[0] == len(words) - 2 and ids[-1] == len(words) - 1 for ids in found)
    assert words.eos_token_id not in words("Zebrafish, 3 x {y}?").input_ids[1:-1]      # no unknown letter
    with pytest.raises(ValueError, match="more than 16 tokens"):
        save_tokenizer(tmp_path, [*data.prompts[:50], "red apple " * 9])
    padded = tokens(words, ["", "red apple"])
    assert padded.shape == (2, LENGTH) and (padded[0, 1:] == words.eos_token_id).all()


def test_words_keep_their_numbers(data, tmp_path):
    """Learnt anew they are the same, bit for bit; a resumed run and one with a start have theirs."""
    prompts = data.prompts[:400]
    for name in ("one", "two"):
        save_tokenizer(tmp_path / name, prompts)
    assert (tmp_path / "one/tokenizer.json").read_bytes() == (tmp_path / "two/tokenizer.json").read_bytes()
    begun = words_of_run(tmp_path / "run", prompts, tmp_path / "nothing")
    resumed = words_of_run(tmp_path / "run", prompts[::2])
    started = words_of_run(tmp_path / "other", prompts[::2], tmp_path / "run")
    assert begun.get_vocab() == resumed.get_vocab() == started.get_vocab()
    assert started(prompts).input_ids == begun(prompts).input_ids


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_broken_words_of_a_run_are_named(name, data, tmp_path):
    words_of_run(tmp_path / "run" / "tokenizer", data.prompts[:20])
    (tmp_path / "run" / "tokenizer" / name).write_text("{")
    with pytest.raises(ValueError, match=f"tokenizer: holds no whole .*; remove {tmp_path / 'run'} to start anew"):
        words_of_run(tmp_path / "run" / "tokenizer", data.prompts[:20])


def test_both_halves_learn_the_same_words(data):
    assert data.only("a").prompts == data.only("b").prompts == data.prompts


def test_augmentation_moves_pictures_on_white(data):
    x = data.floats(slice(0, 800, 100))
    still = affine(x, torch.Generator().manual_seed(0), degrees=0, scale=(1, 1), shift=0)
    torch.testing.assert_close(still, x, atol=2e-3, rtol=0)
    moved = affine(x, torch.Generator().manual_seed(0))
    assert (moved - x).abs().mean() > 0.02 and moved.min() >= -1 and moved.max() <= 1
    assert torch.equal(moved, affine(x, torch.Generator().manual_seed(0)))
    white = torch.ones(2, 3, 64, 64)
    torch.testing.assert_close(affine(white, torch.Generator().manual_seed(1)), white)
    lit = photometric(white, torch.Generator().manual_seed(1), light=0.08, noise=0, blur=0)
    assert (lit - 1).abs().max() <= 0.16 + 1e-6


# --- the loop ---------------------------------------------------------------------------------------------------

def toy(folder, steps, stop=None, seed=0):
    """A regression with a batch drawn at each step; `stop` kills it there, as if by a signal."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))

    def loss(step, generator):
        if step == stop:
            raise KeyboardInterrupt
        x = torch.randn(16, 3, generator=generator)
        return {"loss": ((model(x)[:, 0] - x.prod(-1)) ** 2).mean()}

    settings = Settings(steps=steps, batch=16, rate=1e-2, warmup=5, save_seconds=0.0, seed=seed)
    return model, train_loop(model, loss, settings, folder, report=4, say=lambda line: None)


def test_a_killed_run_ends_on_the_same_bits(tmp_path):
    whole, done = toy(tmp_path / "whole", 30)
    for stop in (7, 22):
        with pytest.raises(KeyboardInterrupt):
            toy(tmp_path / "killed", 30, stop)
    resumed, again = toy(tmp_path / "killed", 30)
    assert done.step == again.step == 30
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    curve = list(csv.reader(open(tmp_path / "whole" / "curve.csv")))
    assert curve[0] == ["step", "seconds", "loss"]
    assert [int(row[0]) for row in curve[1:]] == [4, 8, 12, 16, 20, 24, 28, 30]


def test_the_average_and_the_rate_are_what_they_say(tmp_path):
    settings = Settings(steps=100, batch=1, rate=1.0, warmup=10, decay=0.5)
    rates = [settings.learning_rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[50] == 1 and rates[100] == pytest.approx(0.02)
    assert rates[75] == pytest.approx(0.51)
    assert replace(settings, warmup=0).learning_rate(0) == 1                # none: the whole rate at once
    frozen = nn.Linear(2, 2)
    before = frozen.weight.detach().clone()
    train_loop(frozen, lambda step, g: {"loss": (frozen.weight * 0).sum()},
               Settings(steps=5, batch=1, rate=0.1, weight_decay=0.0), tmp_path, say=lambda line: None)
    torch.testing.assert_close(frozen.weight.detach(), before)      # no gradient: weights and average stay


def test_what_stops_a_run(tmp_path):
    model = nn.Linear(2, 1)
    bad = lambda step, g: {"loss": model.weight.sum() * float("nan")}  # noqa: E731
    with pytest.raises(ValueError, match="step 0: the loss is nan"):
        train_loop(model, bad, Settings(steps=2, batch=1, rate=0.1), tmp_path / "a", say=lambda line: None)
    toy(tmp_path / "b", 3)
    state = tmp_path / "b" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(ValueError, match="no checkpoint of this model .*; remove it to start anew"):
        toy(tmp_path / "b", 5)


def damaged(folder, change):
    """Write the checkpoint anew after `change(tensors, metadata)`."""
    file = folder / "state.safetensors"
    with safe_open(file, "pt") as opened:
        tensors, said = {key: opened.get_tensor(key) for key in opened.keys()}, opened.metadata()
    change(tensors, said)
    save_file(tensors, file, said)


def without(head):
    return lambda tensors, said: [tensors.pop(key) for key in list(tensors) if key.startswith(head)]


def done(text):
    return lambda tensors, said: said.update(done=text)


@pytest.mark.parametrize("change, line", [
    (done("{x"), "Expecting property name"), (done('{"a": 1}'), "unexpected keyword"), (done("[1]"), "mapping"),
    (done('{"step": "a", "seconds": 1, "cpu_seconds": 1}'), "step = 'a': takes a whole number >= 0"),
    (done('{"step": -3, "seconds": 1, "cpu_seconds": 1}'), "step = -3: takes"),
    (done('{"step": 3, "seconds": NaN, "cpu_seconds": 1}'), "seconds = nan: takes a number >= 0"),
    (lambda tensors, said: said.pop("done"), "'done'"), (lambda tensors, said: said.update(settings="[]"), "get"),
    (without("adam."), "adam.0.exp_avg is missing"), (without("adam.1.exp_avg_sq"), "adam.1.exp_avg_sq is missing"),
    (without("adam.1."), "adam.1.exp_avg is missing"), (without("average."), "average.0.bias is missing"),
    (without("average.1.running_mean"), "average.1.running_mean is missing"),
    (lambda tensors, said: tensors.update({"adam.9.step": torch.ones(())}), "adam.9.step is none of its tensors"),
    (lambda tensors, said: tensors.update({"adam.0.exp_avg": torch.zeros(3)}), r"\(3,\), not torch.float32 \(8, 3\)"),
    (lambda tensors, said: tensors.update({"adam.0.exp_avg": torch.zeros(8, 3).double()}), "is torch.float64"),
    (lambda tensors, said: tensors["average.0.weight"].fill_(torch.nan), "average.0.weight is not finite"),
    (lambda tensors, said: tensors["model.1.running_var"].fill_(torch.inf), "model.1.running_var is not finite")])
def test_a_damaged_checkpoint_is_named_and_left_as_it_is(change, line, tmp_path):
    toy(tmp_path, 3)
    damaged(tmp_path, change)
    before = (tmp_path / "state.safetensors").read_bytes()
    with pytest.raises(ValueError, match=f"state.safetensors: no checkpoint .*{line}.*; remove it to start") as said:
        toy(tmp_path, 5)
    assert "\n" not in str(said.value) and (tmp_path / "state.safetensors").read_bytes() == before


@contextmanager
def full_disk(size):
    """No file may grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_line_and_the_checkpoint_stays(tmp_path):
    toy(tmp_path, 3)
    before = {place.name: place.read_bytes() for place in tmp_path.iterdir()}
    with full_disk(1000), pytest.raises(OSError, match="state.safetensors: cannot be written .*too large") as said:
        toy(tmp_path, 5)
    assert "\n" not in str(said.value)
    assert {place.name: place.read_bytes() for place in tmp_path.iterdir()} == before


def test_a_folder_is_written_whole_or_stays(tmp_path):
    place = tmp_path / "new" / "vae"
    for content in ("one", "two"):
        with written(place) as out:
            out.mkdir()
            (out / content).write_text(content)
    assert [file.name for file in place.iterdir()] == ["two"]
    with full_disk(10), pytest.raises(OSError, match="vae: cannot be written"), written(place) as out:
        autoencoder.build().save_pretrained(out)
    assert [file.name for file in place.parent.rglob("*")] == ["vae", "two"]


def test_a_run_resumes_with_its_seed_and_no_fewer_steps(tmp_path):
    toy(tmp_path, 3)
    with pytest.raises(ValueError, match="seed = 7: .*state.safetensors was begun with seed 0; takes that one"):
        toy(tmp_path, 5, seed=7)
    with pytest.raises(ValueError, match="steps = 2: .*state.safetensors is at step 3; takes as many or more"):
        toy(tmp_path, 2)
    damaged(tmp_path, lambda tensors, said: said.pop("settings"))       # who does not say its seed is believed
    assert toy(tmp_path, 5)[1].step == 5


def test_what_no_loss_depends_on_has_no_moments_and_resumes(tmp_path):
    model = nn.ModuleList([nn.Linear(2, 1), nn.Linear(2, 1)])
    settings = Settings(steps=2, batch=1, rate=0.1, warmup=1)
    loss = lambda step, g: {"loss": model[0].weight.square().sum()}  # noqa: E731
    for steps in (2, 4):
        assert train_loop(model, loss, replace(settings, steps=steps), tmp_path, say=lambda line: None).step == steps


@pytest.mark.parametrize("content", [b"step,loss\nabc,1\n", b"step,loss\n\0\0\n", b"\x80\xff", b"1,2\n", None])
def test_a_curve_that_is_none_is_named(content, tmp_path):
    toy(tmp_path, 3)
    curve = tmp_path / "curve.csv"
    curve.unlink()
    if content is None:
        curve.mkdir()
    else:
        curve.write_bytes(content)
    with pytest.raises(ValueError, match="curve.csv: no curve of a run .*; remove it to go on without its rows"):
        toy(tmp_path, 5)


def test_a_folder_in_the_place_of_a_checkpoint_is_named(tmp_path):
    (tmp_path / "state.safetensors").mkdir()
    with pytest.raises(ValueError, match="state.safetensors: no checkpoint of this model .*; remove it to start anew"):
        toy(tmp_path, 5)


def test_a_start_gives_what_fits_and_refuses_what_does_not(tmp_path):
    save_file({"0.weight": torch.ones(8, 3), "2.weight": torch.ones(5, 5), "else": torch.ones(1)}, tmp_path / "a")
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    kept = model[2].weight.clone()
    begin_from(model, tmp_path / "a")
    assert (model[0].weight == 1).all() and torch.equal(model[2].weight, kept)
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes()[:50])
    for file, line in [("b", "no whole safetensors file"), ("c", "no whole safetensors file")]:
        with pytest.raises(ValueError, match=f"start: .*{file} is {line}"):
            begin_from(model, tmp_path / file)
    with pytest.raises(ValueError, match="has no weight of this model's names and shapes"):
        begin_from(nn.Linear(2, 2), tmp_path / "a")


def test_a_refused_start_leaves_nothing(data, words, tmp_path, monkeypatch):
    """Neither a folder nor its words, which a later run would take for its own."""
    few = data.at(torch.arange(2))
    monkeypatch.setattr(training, "alike", lambda: few)
    monkeypatch.setattr(diffusion, "VIEWS", 1)
    autoencoder.build().save_pretrained(tmp_path / "runs" / "autoencoder" / "vae")
    start = tmp_path / "start"
    for place in (start, start / "tokenizer"):
        words.save_pretrained(place)
    save_file({"else": torch.ones(1)}, tmp_path / "other.safetensors")
    for part, given in (("clip-a", tmp_path / "absent"), ("clip-a", start), ("unet-a", start)):
        with pytest.raises(ValueError, match="start: .* is no whole safetensors file"):
            training.train(part, tmp_path / "runs", steps=1, start=given)
    shutil.copy(tmp_path / "other.safetensors", start / "open_clip_model.safetensors")
    with pytest.raises(ValueError, match="has no weight of this model's names and shapes"):
        training.train("clip-a", tmp_path / "runs", steps=1, start=start)
    (start / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match="start: holds no whole tokenizer.json .*; takes a start with both"):
        training.train("clip-a", tmp_path / "runs", steps=1, start=start)
    assert [place.name for place in (tmp_path / "runs").iterdir()] == ["autoencoder"]


def test_the_door_refuses_in_one_line(tmp_path, capsys):
    for arguments, line in [(["autoencoders"], "takes one of autoencoder, clip, clip-a, unet-a, transformer-a, clip-b"),
                            (["clip-a", "--steps", "0"], "steps = 0: takes a whole number >= 1"),
                            (["clip-a", "--threads", "100000"], f"takes a number of cores from 1 to {cores()}"),
                            (["clip-a", "--threads", str(2**31)], "threads = 2147483648: takes a number of cores"),
                            (["clip-a", "--seed", "-1"], f"seed = -1: takes a whole number from 0 to {10**13}"),
                            (["clip-a", "--seed", str(10**13 + 1)], "takes a whole number from 0 to 10000000000000"),
                            (["clip-b", "--device", "tpu9"], "device = 'tpu9'"),
                            (["autoencoder", "--start", str(tmp_path)], "start: "),
                            (["unet-a"], "run `phasebook train autoencoder` first"),
                            (["transformer-b"], "run `phasebook train autoencoder` first")]:
        assert cli.main(["train", *arguments, "-o", str(tmp_path)]) == 2
        assert line in capsys.readouterr().err and not list(tmp_path.iterdir())
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    assert f"from 0 to {SEEDS}" in " ".join(capsys.readouterr().out.split())


def test_the_largest_seed_draws_at_every_step():
    generator = _generator(Settings(steps=1, batch=1, rate=1.0, seed=SEEDS), 10**12)
    assert torch.rand(1, generator=generator) < 1


# --- the diffusion models ---------------------------------------------------------------------------------------

def draw(words, prompts, seed=0):
    """A batch of latents of variance 0.16, times rising."""
    n, generator = len(prompts), torch.Generator().manual_seed(seed)
    z, eps = (torch.randn(n, 4, 16, 16, generator=generator) for _ in range(2))
    return diffusion.Draw(0.4 * z, eps, (torch.arange(n) + 0.5) / n, tokens(words, prompts))


def test_a_batch_has_its_own_pictures_words_and_times(data, words):
    few = data.at(torch.arange(5))
    latents = torch.arange(5.0).view(1, 5, 1, 1, 1) + 10 * torch.arange(3.0).view(3, 1, 1, 1, 1)
    source = diffusion.Corpus(few, latents, None, words)
    batch = source.draw(3000, torch.Generator().manual_seed(0))
    assert (batch.u.diff() > 0).all() and batch.u[0] >= 0 and batch.u[-1] < 1
    view, index = batch.z.flatten().div(10, rounding_mode="floor"), batch.z.flatten() % 10
    assert abs(float((view == 0).float().mean()) - 1 / 2) < 0.04        # its own third, and a half of the others' draws
    told = words.batch_decode(batch.words, skip_special_tokens=True)
    for i, text in enumerate(told[:300]):
        text = text.replace(" ,", ",").strip()
        assert text in ("", "emoji", "emoji, noto style", few.name(int(index[i])), few.whats[few.what[int(index[i])]])
    assert abs(told.count("") / 3000 - SHARES["empty"]) < 0.03


def test_the_losses_are_those_of_their_equations(words):
    """A network that answers with what it is asked for has none; one that answers nothing has the target's power:
    E v^2 = alpha^2 + 0.16 sigma^2 for the U-Net and 1 + 0.16 for the transformer."""
    batch = draw(words, ["red apple"] * 512)
    u = unet.build(len(words))
    alpha2 = unet.scheduler().alphas_cumprod
    t = transformer.build(len(words))
    levels = transformer.scheduler().sigmas
    said = {}

    class Answer(nn.Module):
        def forward(self, noisy, t=None, *_, timestep=None, **__):
            said.update(noisy=noisy, t=t, timestep=timestep)
            return type("Output", (), {"sample": self.answer})

    u["unet"], t["transformer"] = Answer(), Answer()
    u["unet"].answer = torch.zeros_like(batch.z)
    alpha = alpha2[(batch.u * 1000).long()]
    expected = (alpha + 0.16 * (1 - alpha)).mean()
    assert float(unet.terms(u, batch, alpha2)["loss"]) == pytest.approx(float(expected), rel=0.02)
    a, s = (x.view(-1, 1, 1, 1) for x in (alpha.sqrt(), (1 - alpha).sqrt()))
    torch.testing.assert_close(said["noisy"], a * batch.z + s * batch.eps)
    u["unet"].answer = a * batch.eps - s * batch.z
    assert float(unet.terms(u, batch, alpha2)["loss"]) < 1e-10
    t["transformer"].answer = torch.zeros_like(batch.z)
    assert float(transformer.terms(t, batch, levels)["loss"]) == pytest.approx(1.16, rel=0.02)
    level = said["timestep"] / 1000
    assert (level.diff() > 0).all() and level[0] < 0.001 and level[-1] > 0.99
    mix = level.view(-1, 1, 1, 1)
    torch.testing.assert_close(said["noisy"], (1 - mix) * batch.z + mix * batch.eps)
    t["transformer"].answer = batch.eps - batch.z
    assert float(transformer.terms(t, batch, levels)["loss"]) < 1e-10


def test_levels_of_flow_are_unshifted_to_latents_of_variance_one():
    """(1 - s) 0.4 / s at level s is (1 - r) / r at the unshifted r."""
    shifted = transformer.scheduler().sigmas.double()
    plain = torch.linspace(1, 1 / 1000, 1000, dtype=torch.float64)
    torch.testing.assert_close(0.4 * (1 - shifted) / shifted, (1 - plain) / plain, rtol=1e-3, atol=1e-6)


def test_words_reach_the_transformer_as_in_the_pipeline(words, tmp_path):
    """What training tells the network is what the pipeline's own encoding gives, for several lengths of prompt."""
    model = transformer.build(len(words)).eval()
    vae = autoencoder.build()
    prompts = ["", "emoji", "face with open eyes and hand over mouth, flat fluent style"]
    with torch.no_grad():
        told, pooled = transformer.encode(model, tokens(words, prompts))
    transformer.export(model, vae, words, tmp_path / "model")
    pipe = measures.load(tmp_path / "model")
    theirs, _, theirs_pooled, _ = pipe.encode_prompt(prompts, None, None, do_classifier_free_guidance=False,
                                                     max_sequence_length=LENGTH)
    torch.testing.assert_close(told, theirs, atol=5e-3, rtol=1e-2)         # the directory is in half precision
    torch.testing.assert_close(pooled, theirs_pooled, atol=5e-3, rtol=1e-2)


@pytest.mark.parametrize("module", [unet, transformer])
def test_a_directory_is_small_and_has_no_paths_of_ours(module, words, tmp_path):
    module.export(module.build(len(words)), autoencoder.build(), words, tmp_path / "model")
    files = [file for file in (tmp_path / "model").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 16e6
    assert {file.suffix for file in files} <= {".safetensors", ".json"}
    for file in files:
        assert file.suffix != ".json" or str(tmp_path) not in file.read_text(encoding="utf-8")


# --- a few steps of everything ----------------------------------------------------------------------------------

def test_every_part_trains_resumes_and_loads(tmp_path, monkeypatch, capsys, data):
    """A few steps of each on some forty pictures; what they leave loads through the book's own code."""
    few = data.at(torch.arange(0, len(data), 190))
    for name in ("icons", "alike"):
        monkeypatch.setattr(training, name, lambda: few)
    small = {"batch": 4, "save_seconds": 0.0}
    for module in (autoencoder, clip, unet, transformer):
        monkeypatch.setattr(module, "SETTINGS", Settings(steps=1, rate=1e-3, **small))
    monkeypatch.setattr(diffusion, "VIEWS", 1)
    for part in ("autoencoder", "clip-a", "clip-b", "unet-a", "transformer-b"):
        assert training.train(part, tmp_path, steps=1).step == 1
        if part != "clip-b":            # resumed by the code of clip-a
            assert training.train(part, tmp_path, steps=2).step == 2
    assert training.publish("autoencoder", tmp_path, tmp_path / "assets") is None
    place = training.publish("unet-a", tmp_path, tmp_path / "assets")
    assert place == tmp_path / "assets" / "icons-unet-a"
    model = PipelineModel.load(place, batch=2)
    features = ClipFeatures.load(training.publish("clip-a", tmp_path, tmp_path / "assets"), batch=4)
    assert model.shape == (4, 16, 16) and features.text(["grinning face", "emoji"]).shape == (2, 128)
    flow = PipelineModel.load(tmp_path / "transformer-b" / "model", batch=2)
    *_, last = flow.sweep(torch.randn(2, 4, 16, 16), flow.levels(2), flow.prompt("red apple", 3.0))
    assert flow.decode(last.x0).shape == (2, 3, 64, 64)
    for folder in (place, tmp_path / "transformer-b" / "model"):
        pipe = measures.load(folder)
        pictures = measures.sample(pipe, ["red apple", ""], [0, 1], steps=2)
        assert pictures.shape == (2, 3, 64, 64) and 0 <= pictures.min() and pictures.max() <= 1
        torch.testing.assert_close(measures.sample(pipe, [""], [1], steps=2)[0], pictures[1], atol=1e-4, rtol=0)
    further = tmp_path / "further"
    shutil.copytree(tmp_path / "autoencoder", further / "autoencoder")
    for part, left in (("clip-a", "clip"), ("unet-a", "model"), ("transformer-b", "model")):   # from where they were
        monkeypatch.setattr(getattr(training, part.split("-")[0]), "SETTINGS", Settings(steps=1, rate=1e-9, **small))
        training.train(part, further, steps=1, start=tmp_path / part / left)
    for part, left in (("unet-a", "unet"), ("transformer-b", "transformer")):
        file = f"{part}/model/{left}/diffusion_pytorch_model.safetensors"
        one, two = load_file(tmp_path / file), load_file(further / file)
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, atol=1e-3, rtol=1e-3)
    card = tmp_path / "sheet.png"
    monkeypatch.setattr(measures, "alike", lambda: few)
    monkeypatch.setattr(measures, "SHOWN", few.whats[:2])
    judge = str(tmp_path / "clip-b" / "clip")
    assert measures.main([str(place), judge, "--whole", judge, "--prompts", "2", "--seeds", "2", "--steps", "1",
                          "--generic", "3", "--sheet", str(card)]) == 0
    said = capsys.readouterr().out
    numbers = json.loads(said[said.index("\n{"):])
    assert numbers["reconstruction, held-out pairs"] > 0.1 and 0 <= numbers["copied"] <= 1
    assert numbers["all things, how many"] == len(few.only("a").what.unique())
    assert Image.open(card).size == (2 * 64, 10 * 64)
    assert measures.main([str(tmp_path), "icons-clip-b"]) == 2
    assert "holds no model_index.json" in capsys.readouterr().err
    words = ClipFeatures.load(further / "clip-a" / "clip", batch=4).text(["grinning face"])
    torch.testing.assert_close(words, features.text(["grinning face"]), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("wrong, words", [
    (["--steps", "0"], "steps = 0: takes a whole number >= 1"), (["--generic", "0"], "generic = 0: takes a whole"),
    (["--seeds", "0"], "seeds = 0: takes a whole number >= 1"), (["--prompts", "-1"], "prompts = -1: takes a whole"),
    (["--sheet", "nowhere/sheet.png"], "sheet = 'nowhere/sheet.png': takes a .png in a folder that is there"),
    (["--sheet", "sheet"], "sheet = 'sheet': takes a .png"),
])
def test_numbers_that_are_none_are_refused_before_a_picture_is_drawn(wrong, words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measures, "load", lambda folder: pytest.fail("loads a model"))
    assert measures.main([str(tmp_path), "icons-clip-b", *wrong]) == 2
    assert words in (said := capsys.readouterr().err) and said.count("\n") == 1


# --- measures ---------------------------------------------------------------------------------------------------

class Names:
    """A clip that knows every picture of `data` by its bytes: features are those of its names."""

    def __init__(self, data):
        self.data = data
        self.place = {pixels.numpy().tobytes(): i for i, pixels in enumerate(data.pixels)}
        whats, styles = torch.eye(len(data.whats) + len(data.styles)).split([len(data.whats), len(data.styles)])
        self.words = dict(zip(data.whats, whats, strict=True))
        self.words |= {f"emoji, {name} style": row for name, row in zip(data.styles, styles, strict=True)}

    def text(self, prompts):
        return torch.stack([self.words[prompt] for prompt in prompts])

    def __call__(self, pictures):
        found = [self.place.get(picture.numpy().tobytes()) for picture in (pictures * 255).round().byte()]
        blank = torch.full((len(self.text(["red apple"])[0]),), 1e-3)
        both = lambda i: self.text([self.data.whats[self.data.what[i]],  # noqa: E731
                                    f"emoji, {self.data.styles[self.data.style[i]]} style"]).sum(0)
        return torch.stack([blank if i is None else both(i) for i in found])


def test_measures_of_pictures_whose_truth_is_known(data):
    few = data.at(torch.arange(0, len(data), 100))
    names, real = Names(few), few.floats() / 2 + 0.5
    whole = measures.recognised(names, real, few.what, few.style, few)
    assert whole == (1, 1, 1)
    wrong = few.what.clone()
    wrong[::2] = few.what.roll(1)[::2]
    part = measures.recognised(names, real, wrong, few.style, few)
    assert part.what == pytest.approx(len(few) // 2 / len(few), abs=0.02) and part.style == 1 and part.both == part.what
    noise = torch.rand(40, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert measures.melted(names, torch.cat([real, noise]), real, few) == pytest.approx(40 / (len(few) + 40))
    assert measures.spread(names, real, few) == len(set(few.what.tolist()))


def test_named_prompts_are_things_whose_every_picture_is_recognised(data):
    some = data.at(torch.isin(data.what, torch.arange(9)))
    right = torch.ones(len(some), dtype=bool)
    right[(some.what == 2).nonzero()[0]] = False             # one picture of one thing
    right[some.what == 7] = False
    assert measures.sure(some, right, 100) == [0, 1, 3, 4, 5, 6, 8]
    assert measures.sure(some, right, 3) == [0, 4, 8] and measures.sure(some, ~right, 3) == [7]
    assert measures.sure(some, torch.zeros_like(right), 3) == []


def test_memorisation_tells_copies_from_neighbours(data):
    a, b = data.at(torch.arange(0, 60)), data.at(torch.arange(60, 120))
    copies = a.floats(slice(0, 20)) / 2 + 0.5
    found = measures.memorisation(copies, a, b)
    assert found.trained.max() < 1e-3 and found.copied == 1
    x = (copies.flatten(1)[:, None] - (b.floats() / 2 + 0.5).flatten(1)).square().mean(-1).sqrt().min(1).values
    torch.testing.assert_close(found.other, x, atol=1e-3, rtol=1e-3)
    between = torch.cat([copies, b.floats(slice(0, 20)) / 2 + 0.5])
    assert measures.memorisation(between, a, b).copied == 0.5
