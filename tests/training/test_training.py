"""Training: resumed runs give the same bits, data are what they should be, and shipped weights keep their word."""

import csv
import shutil

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import phasebook_training as training
from phasebook import cli
from phasebook.models.captions import GENERIC, Captioned, captioned, kind_prompt
from phasebook.models.clip import ClipFeatures
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.models.views import affine
from phasebook_training import autoencoder, clip, diffusion, evaluate
from phasebook_training.augment import photometric
from phasebook_training.loop import Settings, begin_from, train_loop
from phasebook_training.tokenizer import LENGTH, all_prompts, save_tokenizer, tokenizer_of_run


@pytest.fixture(scope="module")
def data():
    return captioned()


# --- data -------------------------------------------------------------------------------------------------------

def test_the_set_has_what_edits_need_and_captions_that_differ(data):
    assert len(set(data.captions)) == len(data) > 500
    for caption in ("eye", "cat face", "mountain", "snow-capped mountain", "red apple", "green apple", "red heart"):
        assert caption in data.captions
    assert {"mammals", "fruit", "hearts", "vehicles", "faces", "clocks"} <= set(data.kinds)
    assert set(evaluate.PROMPTS) <= set(data.captions) and len(set(evaluate.PROMPTS)) == 20
    assert not {GENERIC, *map(kind_prompt, data.kinds)} & set(data.captions)
    assert data.pixels.min() >= -1 and data.pixels.max() <= 1


def test_prompts_are_dropped_at_their_rates(data):
    index = torch.zeros(20_000, dtype=torch.long)
    prompts = data.calls(index, torch.Generator().manual_seed(0))
    shares = {p: prompts.count(p) / len(prompts) for p in set(prompts)}
    expected = {"": 0.15, kind_prompt(data.kinds[data.kind[0]]): 0.08, GENERIC: 0.07, data.captions[0]: 0.70}
    assert shares.keys() == expected.keys()
    assert all(abs(shares[p] - expected[p]) < 0.01 for p in expected)


def test_the_tokenizer_keeps_every_prompt_apart_and_whole(data, tmp_path):
    from transformers import CLIPTokenizer

    prompts = all_prompts(data)
    save_tokenizer(tmp_path, prompts)
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path)
    found = [tuple(ids) for ids in tokenizer(prompts).input_ids]
    assert len(set(found)) == len(prompts) and max(map(len, found)) <= LENGTH
    assert all(ids[0] == len(tokenizer) - 2 and ids[-1] == len(tokenizer) - 1 for ids in found)
    assert tokenizer.eos_token_id not in tokenizer("Zebrafish, 3 x {y}?").input_ids[1:-1]      # no unknown letter
    with pytest.raises(ValueError, match="more than 16 tokens"):
        save_tokenizer(tmp_path, [*prompts, "red apple " * 9])


def test_words_keep_their_numbers(data, tmp_path):
    """Learnt anew they are the same, bit for bit; a resumed run and one with a start have theirs."""
    prompts = all_prompts(data)
    for name in ("one", "two"):
        save_tokenizer(tmp_path / name, prompts)
    assert (tmp_path / "one/tokenizer.json").read_bytes() == (tmp_path / "two/tokenizer.json").read_bytes()
    begun = tokenizer_of_run(tmp_path / "run", prompts, tmp_path / "nothing")
    resumed = tokenizer_of_run(tmp_path / "run", prompts[::2])
    started = tokenizer_of_run(tmp_path / "other", prompts[::2], tmp_path / "run")
    assert begun.get_vocab() == resumed.get_vocab() == started.get_vocab()
    assert started(prompts).input_ids == begun(prompts).input_ids


def test_augmentation_moves_pictures_on_white(data):
    x = data.pixels[:8]
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

def toy(folder, steps, stop=None):
    """A regression with a batch drawn at each step; `stop` kills it there, as if by a signal."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))

    def loss(step, generator):
        if step == stop:
            raise KeyboardInterrupt
        x = torch.randn(16, 3, generator=generator)
        return {"loss": ((model(x)[:, 0] - x.prod(-1)) ** 2).mean()}

    settings = Settings(steps=steps, batch=16, rate=1e-2, warmup=5, save_seconds=0.0)
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


def test_the_door_refuses_in_one_line(tmp_path, capsys):
    for arguments, line in [(["autoencoders"], "takes one of autoencoder, clip, diffusion"),
                            (["clip", "--steps", "0"], "steps = 0: takes a whole number >= 1"),
                            (["clip", "--device", "tpu9"], "device = 'tpu9'"),
                            (["autoencoder", "--start", str(tmp_path)], "start: "),
                            (["diffusion"], "run `phasebook train autoencoder` first")]:
        assert cli.main(["train", *arguments, "-o", str(tmp_path)]) == 2
        assert line in capsys.readouterr().err


def test_every_part_trains_resumes_and_loads(tmp_path, monkeypatch):
    """A few steps of each on forty pictures; what they leave loads through the book's own code."""
    whole = captioned()
    few = Captioned(whole.pixels[:40], whole.captions[:40], whole.kind[:40], whole.kinds)
    small = {"batch": 4, "save_seconds": 0.0}
    for module in (autoencoder, clip, diffusion):
        monkeypatch.setattr(module, "SETTINGS", Settings(steps=1, rate=1e-3, **small))
        monkeypatch.setattr(module, "captioned", lambda: few)
    monkeypatch.setattr(evaluate, "captioned", lambda: few)
    monkeypatch.setattr(diffusion, "VIEWS", 1)
    for part in training.PARTS:
        assert training.train(part, tmp_path, steps=1).step == 1
        assert training.train(part, tmp_path, steps=2).step == 2
    assert training.publish("autoencoder", tmp_path, tmp_path / "assets") is None
    model = PipelineModel.load(training.publish("diffusion", tmp_path, tmp_path / "assets"), batch=2)
    features = ClipFeatures.load(training.publish("clip", tmp_path, tmp_path / "assets"), batch=4)
    assert model.shape == (4, 16, 16) and features.text(["grinning face", "emoji"]).shape == (2, 128)
    assert evaluate.sample(model, "grinning face", range(2), steps=2).shape == (2, 64, 64, 3)
    assert set(evaluate.recognition(model, features, ("grinning face",), range(2), steps=2)) == {"grinning face"}
    further = tmp_path / "further"
    shutil.copytree(tmp_path / "autoencoder", further / "autoencoder")
    for part, left in (("clip", "clip"), ("diffusion", "model")):       # one tiny step from where they were
        monkeypatch.setattr(getattr(training, part), "SETTINGS", Settings(steps=1, rate=1e-9, **small))
        training.train(part, further, steps=1, start=tmp_path / part / left)
    again = PipelineModel.load(further / "diffusion" / "model", batch=2)
    for a, b in zip(again.pipe.unet.state_dict().values(), model.pipe.unet.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)
    words = ClipFeatures.load(further / "clip" / "clip", batch=4).text(["grinning face"])
    torch.testing.assert_close(words, features.text(["grinning face"]), atol=1e-2, rtol=1e-2)
