"""The shipped weights: what the model cards claim, and that nothing but local safetensors is read."""

import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from phasebook.models.assets import asset
from phasebook.models.captions import GENERIC, captioned
from phasebook.models.clip import ClipFeatures
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook_training.evaluate import PROMPTS, recognition, retrieval, sample
from tests.builders import apart, noise, reference, run

MOST = {"emoji-diffusion": 16e6, "emoji-clip": 8e6}       # bytes


@pytest.fixture(scope="module")
def model():
    return PipelineModel.load("emoji-diffusion")


@pytest.fixture(scope="module")
def clip():
    return ClipFeatures.load("emoji-clip")


@pytest.mark.parametrize("name", MOST)
def test_small_and_nothing_to_unpickle(name):
    files = [f for f in Path(asset(name)).rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= MOST[name]
    assert {f.suffix for f in files} <= {".safetensors", ".json", ".md", ".png"}
    assert (Path(asset(name)) / "README.md").is_file()


def test_they_load_without_a_network(monkeypatch, model):
    def refused(*_):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert PipelineModel.load("emoji-diffusion").fingerprint == model.fingerprint
    assert ClipFeatures.load("emoji-clip").text(["cat face"]).shape == (1, 128)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("negative", ["", "eye"])
def test_latents_after_every_step_are_those_of_the_pipeline_call(model, guidance, negative):
    z = noise(2, model.shape)
    theirs = reference(asset("emoji-diffusion"), z, 8, "cat face", negative, guidance)
    ours = run(model, z, 8, model.prompt("cat face", guidance, negative))
    assert apart(ours, theirs) <= 1e-5
    batched = run(PipelineModel.load("emoji-diffusion", batch=1), z.flip(0), 8,
                  model.prompt("cat face", guidance, negative)).flip(1)
    assert apart(batched, ours) <= 1e-5


def test_named_prompts_are_recognised(model, clip):
    """A spot check of the card's numbers, which are over 200 seeds of each."""
    shares = recognition(model, clip, PROMPTS, range(500, 512), steps=10)
    assert np.mean(list(shares.values())) >= 0.95 and min(shares.values()) >= 0.75, shares


def test_clip_retrieves_augmented_images(clip):
    assert retrieval(clip, views=2, seed=77) >= 0.99


def test_the_generic_prompt_gives_many_different_pictures(model, clip):
    """48 starts, no guidance: pictures near at least 36 different emoji, six of ten within half the typical distance
    of two emoji; the others are melted mixtures, as the card says."""
    data = captioned()
    pictures = sample(model, GENERIC, range(48), steps=15, guidance=1.0)
    known = data.pixels / 2 + 0.5
    seen, own = clip(pictures), clip(known)
    nearest = torch.cdist(seen, own).argmin(1)
    assert len(set(nearest.tolist())) >= 36
    typical = torch.pdist(known.flatten(1)).median()
    closest = torch.cdist(pictures.flatten(1), known.flatten(1)).min(1).values
    assert float((closest < typical / 2).float().mean()) >= 0.6


def test_encode_and_decode_are_inverse_to_the_cards_error(model):
    pixels = captioned().pixels[::8] / 2 + 0.5
    back = model.decode(model.encode(pixels))
    assert float(((back - pixels) ** 2).mean()) * 4 <= 0.009       # on [-1, 1]
