"""Columns of the chapter on basins: what is put side by side, and which points are of one basin."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.models.denoiser import Denoiser
from phasebook.models.exact import ExactModel
from phasebook.site.build import runner
from phasebook.site.chapters.basins import Column, _through, basins_of, chance_in_words, columns, finals
from phasebook.site.checks.parameters import ParameterError
from phasebook.slices.measures.partitions import shared_basins
from phasebook.slices.plane import Plane


def exact(n=8):
    latents = torch.randn(1, n, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 3
    names = tuple(map(str, range(n)))
    return ExactModel.of_latents(latents, SimpleNamespace(family=np.arange(n) % 2, families=("a", "b"), names=names))


def test_two_dresses_of_one_model_have_the_same_basins():
    """The exact denoiser in Gram space, and the same as a function of latents: final pictures and basins agree."""
    data = exact()
    network = Denoiser(data.shape, lambda x, a, s: data.denoise(x.float(), a, s), decode=lambda x: x.sigmoid().float(),
                       name="dressed")
    levels = data.levels(12)
    several = [Plane.random(data.shape, seed, grid=6) for seed in range(4)]
    made = {"network": Column(network, levels, None, network.decode),
            "exact": Column(data, levels, None, _through(data, network))}
    pictures = {name: finals(one, several, lambda pixels: pixels.flatten(1)) for name, one in made.items()}
    assert pictures["exact"].shape == (4, 36, 48)
    assert np.allclose(pictures["network"], pictures["exact"], atol=1e-3)
    basins = basins_of(pictures, 0.5)
    assert np.nanmin(shared_basins(basins["network"], basins["exact"]).beyond) > 0.9


def test_where_strangers_share_all_nothing_is_said_of_chance():
    corners = np.tile(np.arange(4), (2, 1))             # four points, each of its own cell
    assert chance_in_words(shared_basins(corners, corners)) == "strangers share as much, on so few points"
    halves = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    assert chance_in_words(shared_basins(halves, halves)) == "beyond chance 1"


def test_columns_are_named_by_what_differs_in_them():
    asked = []
    model = SimpleNamespace(shape=(3, 4, 4), decode=None, levels=lambda n: f"levels {n}",
                            prompt=lambda text, w, negative: asked.append((text, w, negative)) or f"w {w:g}")
    networks = [SimpleNamespace(title=t, name=t, model=model, levels="levels", prompt="w 1") for t in ("one", "two")]
    p = SimpleNamespace(guidances=[3.0, 7.5], step_counts=[20], data=[], prompt="emoji", negative_prompt="blurry")
    made = columns(p, networks)
    assert list(made) == ["one", "two", "guidance 3", "guidance 7.5", "20 steps"]
    assert made["guidance 7.5"].prompt == "w 7.5" and made["20 steps"].levels == "levels 20"
    assert asked == [("emoji", 3.0, "blurry"), ("emoji", 7.5, "blurry")]
    other = SimpleNamespace(title="x", name="x", model=SimpleNamespace(shape=(1, 2, 2)))
    with pytest.raises(ValueError, match="takes models of one latent space"):
        columns(p, [networks[0], other])


@pytest.mark.parametrize("changes, words", [
    ({"models": ["exact"]}, "takes networks"), ({"judge": ""}, "judge = ''"), ({"sets": 1}, "takes at least 2"),
    ({"guidances": [0.0]}, r"guidances = \[0.0\]: takes each once, and not 1, .* all up to 1 are one"),
    ({"guidance": 3.0, "guidances": [0.5, 1.0]}, "guidances = "), ({"guidances": [5.0, 5.0000001]}, "guidances = "),
    ({"step_counts": [8]}, "and not 8, which the first model has anyway$")])
def test_what_the_chapter_cannot_do_is_refused(changes, words):
    with pytest.raises(ParameterError, match=words):
        runner.check(runner.find_chapter("14"), changes)
