"""What a run will keep in memory is estimated from above, and refused where it is not free."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from phasebook.models import atoms
from phasebook.site.build import runner
from phasebook.site.chapters import memory
from phasebook.site.chapters.memory import PROCESS, bytes_of_exact, check_memory, free_memory
from phasebook.site.chapters.parameters import ParameterError


def refusal(chapter: str, changes: dict) -> str:
    with pytest.raises(ParameterError) as error:
        source = next(source for source in runner.chapters() if source.stem[3:] == chapter)
        runner.check(source, runner.profile("smoke", source) | changes)
    message = str(error.value)
    assert "\n" not in message and len(message) < 400
    return message


def test_something_is_free():
    assert 1e8 < free_memory() < 1e14


@pytest.mark.parametrize("chapter, changes, free", [
    ("phase_boundaries", {"image_set": "emoji", "resolution": 256}, 3e9),
    ("ridges_and_resolution", {"image_set": "emoji", "resolution": 256}, 3e9),
    ("hierarchy", {"models": ["exact"], "grid": 9, "steps": 9, "starts": 40, "image_set": "emoji", "resolution": 256},
     3e9),
    ("phase_boundaries", {"sets": 200, "sets_grid": 201, "steps": 500}, 64e9),
    ("network_and_data", {"sets": 200, "sets_grid": 201, "steps": 500}, 64e9),
    ("hierarchy", {"grid": [501, 9], "slices": 200, "steps": [500, 9]}, 64e9),
    ("hierarchy", {"starts": [5000, 24], "steps": [500, 9]}, 64e9),
    ("edits", {"pairs": [2000, 4], "steps": [500, 4], "k_values": []}, 8e9),
    ("one_dimension", {"images": "icons"}, 1e9),
    ("spacetime", {"images": "icons"}, 1e9),
], ids=str)
def test_more_than_is_free_is_refused(monkeypatch, chapter, changes, free):
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    said = refusal(chapter, changes)
    assert re.search(r"about [\d.e+]+ GB of memory; takes what fits into the [\d.]+ GB that are free", said)
    assert next(iter(changes)) in said or "sets" in said or "image_set" in said or "resolution" in said


def test_the_line_names_parameters_and_sizes(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 2e9)
    with pytest.raises(ValueError, match=r"grid, steps = 9, 5: about 3.9 GB of memory; takes what fits into the 2 GB"):
        check_memory({"grid": 9, "steps": 5}, 3e9)
    check_memory({"grid": 9}, 1e9)


PEAK = """
import resource, sys
from phasebook.models.exact import ExactModel
from phasebook.models.image_sets import load_images
model = ExactModel.of(load_images("digits", 64))
model.gram
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def test_the_peak_of_an_exact_model_is_below_the_estimate():
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert float(done.stdout) < PROCESS + bytes_of_exact(1797, 64)


@pytest.mark.parametrize("at_once", [7, 100, 10**6])
def test_blocks_give_what_whole_arrays_give(monkeypatch, at_once):
    monkeypatch.setattr(atoms, "AT_ONCE", at_once)
    pixels = np.random.default_rng(0).random((11, 4, 4, 3)).astype(np.float32)
    found, mean, scale = atoms.centred_atoms(pixels, 5.0, "cpu", torch.float32)
    flat = pixels.astype(float).transpose(0, 3, 1, 2).reshape(11, -1)
    centred = flat - flat.mean(0)
    expected = 5 * centred / np.sqrt((centred**2).sum(1).mean())
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(mean + found[0] / scale, flat[0], atol=1e-6)
    np.testing.assert_allclose(atoms.gram_of(found), expected @ expected.T, atol=1e-5)
    z = torch.randn(3, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    np.testing.assert_allclose(atoms.products_with(found, z), z.numpy() @ found.double().numpy().T, atol=1e-12)


# --- other things that are known before anything runs ---

@pytest.fixture
def equal(tmp_path):
    """A folder of three equal pictures."""
    for name in "abc":
        Image.new("RGB", (16, 16), "red").save(tmp_path / f"{name}.png")
    return str(tmp_path)


@pytest.mark.parametrize("chapter, name", [
    ("one_dimension", "images"), ("spacetime", "images"), ("phase_boundaries", "image_set"),
    ("ridges_and_resolution", "image_set"), ("hierarchy", "image_set"), ("hierarchy", "compared"),
    ("edits", "image_set")])
def test_sets_without_two_pictures_are_refused(equal, tmp_path, chapter, name):
    wrap = (lambda value: [value]) if name == "compared" else (lambda value: value)
    assert f"{name} = {equal!r}: all 3 pictures are equal" in refusal(chapter, {name: wrap(equal)})
    assert f"{name} = 'elephants'" in refusal(chapter, {name: wrap("elephants")})
    (tmp_path / "b.png").unlink()
    (tmp_path / "c.png").unlink()
    assert f"{name} = {equal!r}: holds 1 picture files" in refusal(chapter, {name: wrap(equal)})


@pytest.mark.parametrize("chapter, changes, words", [
    ("heat_and_transport", {"mixture_means": [-1e300, 1e300]}, "mixture_means[0] = -1e+300"),
    ("heat_and_transport", {"mixture_stds": [1e-300, 0.5]}, "mixture_stds[0] = 1e-300"),
    ("chain_of_transports", {"mixture_stds": [1e300, 0.5]}, "mixture_stds[0] = 1e+300"),
    ("heat_and_transport", {"torus_modes": [[1, 0, 0.3, 1e300]]}, "takes a phase from -1e+06 to 1e+06"),
    ("chain_of_transports", {"circle_modes": [[1, 0.3, -1e300]]}, "takes a phase from -1e+06 to 1e+06"),
    ("one_dimension", {"interval": [0.0, 1e-9]}, "interval = [0.0, 1e-09]"),
    ("spacetime", {"interval": [-1e6, 1e6]}, "interval = [-1000000.0, 1000000.0]"),
    ("hierarchy", {"starts": [8, 8]}, "starts = 8: takes at least 16 for an exact model"),
    ("hierarchy", {"sets": 200}, "sets = 200: takes at most 105, so that each has four of 420 pictures"),
    ("edits", {"image_set": "families", "families": ["hearts"], "edits": [["heart", "blue heart"]]},
     "takes two families or more"),
    ("edits", {"edits": [["cat " * 40, "eye"]], "models": ["emoji-diffusion"], "k_values": [0], "steps": 4}, "takes "),
])
def test_what_would_fail_later_is_refused_now(chapter, changes, words):
    assert words in refusal(chapter, changes)
