"""The shipped weights: what the model cards claim, and that nothing but local safetensors is read."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phasebook.models.assets import ROOT, asset
from phasebook.models.pictures.icons import GENERIC, alike
from phasebook.models.pipelines.parity import diffusers_steps
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.models.towers.clip import ClipFeatures
from phasebook.site.chapters.few_steps import student_record
from phasebook_training.autoencoder import reconstruction_error
from phasebook_training.measures import called, melted, memorisation, recognised, sample, spread, sure
from tests.builders import apart, noise, run

MOST = {"icons-unet-a": 16.5e6, "icons-transformer-a": 16.5e6, "icons-unet-b": 16.5e6, "icons-clip-a": 8e6,
        "icons-clip-b": 8e6, "icons-clip": 8e6} | {f"icons-unet-a-in-{k}": 16.5e6 for k in (4, 2, 1)}        # bytes
SHIPPED = [name for name in MOST if (ROOT / name).is_dir()]
STUDENTS = [name for name in SHIPPED if "-in-" in name]
NETWORKS = [name for name in SHIPPED if "clip" not in name and name not in STUDENTS]
LEAST, REAL, MOST_MELTED = 0.75, 0.6, 0.3       # for small samples, on the safe side of the cards'
AWAY = 0.07             # root mean square: twice what coding and decoding leaves of a picture


@pytest.fixture(scope="module", params=NETWORKS)
def model(request):
    return PipelineModel.load(request.param, batch=32)


@pytest.fixture(scope="module")
def own(model):
    """What the network has learnt."""
    return alike().only(model.name[-1])


@pytest.fixture(scope="module")
def clip(model):
    """The judge of the other half."""
    return ClipFeatures.load({"a": "icons-clip-b", "b": "icons-clip-a"}[model.name[-1]])


@pytest.fixture(scope="module")
def some(own):
    """All pictures of a tenth of the things."""
    return own.at(torch.isin(own.what, own.what.unique()[::10]))


@pytest.mark.parametrize("name", SHIPPED)
def test_small_and_nothing_to_unpickle(name):
    files = [f for f in Path(asset(name)).rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= MOST[name]
    assert {f.suffix for f in files} <= {".safetensors", ".json", ".md", ".png"}
    assert (Path(asset(name)) / "README.md").is_file()


def test_students_are_those_of_the_teacher_that_ships():
    teachers = {name: PipelineModel.load(name).fingerprint for name in {name[:-len("-in-1")] for name in STUDENTS}}
    for name in STUDENTS:
        record = student_record(asset(name))
        assert record["teacher"] == teachers[name[:-len("-in-1")]] and record["steps"] == int(name[-1])


def test_they_load_without_a_network(monkeypatch, model):
    def refused(*_):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert PipelineModel.load(model.name).fingerprint == model.fingerprint
    assert ClipFeatures.load("icons-clip").text(["cat face"]).shape == (1, 128)


@pytest.mark.parametrize("guidance, negative", [(1.0, ""), (5.0, "eye")])
def test_latents_after_every_step_are_those_of_the_pipeline_call(model, guidance, negative):
    z = noise(2, model.shape)
    theirs = torch.stack([diffusers_steps(model, one, 3, "cat face", negative, guidance) for one in z], 1)
    prompt = model.prompt("cat face", guidance, negative)
    assert apart(run(model, z, 3, prompt), theirs) <= 1e-5
    batched = run(replace(model, batch=1), z.flip(0), 3, prompt).flip(1)
    assert apart(batched, theirs) <= 1e-5


def test_the_judge_knows_pictures_that_it_has_not_learnt(clip, some):
    """A spot check of the cards' numbers, which are over all pictures of the half."""
    assert recognised(clip, some.floats() / 2 + 0.5, some.what, None, alike()).what >= REAL
    held, whole = alike().only("held out"), ClipFeatures.load("icons-clip")         # it has learnt from these
    assert recognised(whole, held.floats() / 2 + 0.5, held.what, held.style, alike()).both >= 0.95


def test_named_prompts_are_recognised_and_not_copied(model, clip, own, some):
    right = called(clip, some.floats() / 2 + 0.5, some) == some.what
    whats = sure(some, right, 16)
    pictures = sample(model.pipe, [own.whats[i] for i in whats], list(range(500, 500 + len(whats))), steps=5)
    assert recognised(clip, pictures, torch.tensor(whats), None, own).what >= LEAST
    other = alike().only("b" if model.name[-1] == "a" else "a")
    assert float(memorisation(pictures, own, other).trained.median()) >= AWAY


def test_the_generic_prompt_gives_many_things_and_few_melted(model, clip, own, some):
    pictures = sample(model.pipe, [GENERIC] * 24, list(range(24)), steps=5, guidance=1.0)
    assert melted(clip, pictures, some.floats() / 2 + 0.5, own) <= MOST_MELTED
    assert spread(clip, pictures, own) >= 12


def test_the_autoencoder_keeps_pictures_that_it_has_not_learnt(model):
    held = alike().only("held out")
    assert reconstruction_error(model.pipe.vae, held.floats(slice(None, None, 4))) <= 0.009      # on [-1, 1]
