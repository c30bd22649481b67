"""Columns of the chapter on basins: what is put side by side, and which points are of one basin."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.models.denoiser import Denoiser
from phasebook.models.exact import ExactModel
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.levels import Levels, scaled_linear_levels
from phasebook.site.build import runner
from phasebook.site.chapters.basins import Column, _through, basins_of, chance_in_words, columns, finals, levels_like
from phasebook.site.checks.parameters import ParameterError
from phasebook.slices.measures.partitions import shared_basins
from phasebook.slices.plane import Plane
from tests.builders import betas, pipeline


def exact(n=8, spread=3):
    latents = torch.randn(1, n, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * spread
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


def flow_levels(steps):
    sigma = np.linspace(1, 0, steps + 1)
    return Levels("flow", 1 - sigma, sigma, 1000 * sigma[:-1])


def dressed(kind, steps, n=40, spread=3):
    """One exact denoiser as a network with levels of its own."""
    data = exact(n, spread)
    model = Denoiser(data.shape, lambda x, a, s: data.denoise(x.float(), a, s), decode=lambda x: x.sigmoid().float(),
                     name=kind.__name__, levels=kind)
    name = kind.__name__
    return SimpleNamespace(title=name, name=name, model=model, levels=model.levels(steps), prompt=None)


PLAIN = SimpleNamespace(guidances=[], step_counts=[], data=[], prompt="", negative_prompt="")


def shared(made, several):
    pictures = {name: finals(one, several, lambda pixels: pixels.flatten(1)) for name, one in made.items()}
    first, second = basins_of(pictures, 0.5).values()
    return float(np.nanmedian(shared_basins(first, second).beyond)), pictures


@pytest.mark.parametrize("kinds, spread", [((scaled_linear_levels, flow_levels), 3),
                                           ((flow_levels, scaled_linear_levels), 0.25)])
def test_a_model_agrees_with_itself_whichever_samplers_it_has(kinds, spread):
    """Few steps of two samplers part one exact denoiser from itself; as columns both have the first one's levels.

    Pure noise, with which a flow begins, is like DDIM's first level for data that are small there."""
    networks = [dressed(kind, 4, spread=spread) for kind in kinds]
    several = [Plane.random((3, 4, 4), seed, grid=8) for seed in range(6)]
    own = {n.title: Column(n.model, n.levels, None, n.model.decode) for n in networks}
    assert shared(own, several)[0] < 0.8
    made = columns(PLAIN, networks)
    assert shared(made, several)[0] > 0.95
    assert made[networks[0].title].levels is networks[0].levels


def test_a_flow_at_many_levels_of_ddim_ends_where_it_does_by_its_own():
    flow = dressed(flow_levels, 400, spread=0.25)
    levels, scale = levels_like(flow.model, scaled_linear_levels(400))
    several = [Plane.random((3, 4, 4), seed, grid=8) for seed in range(6)]
    made = {"own": Column(flow.model, flow.levels, None, flow.model.decode),
            "other's": Column(flow.model, levels, None, flow.model.decode, scale)}
    agreed, pictures = shared(made, several)
    same = np.linalg.norm(pictures["own"] - pictures["other's"], axis=-1) < 0.1
    assert agreed > 0.95 and same.mean() > 0.97
    made["other's"] = made["other's"]._replace(scale=1.0)
    assert shared(made, several)[0] < 0.85              # from the latents as they are
    r = levels.sigma_over_alpha[0]
    assert scale == pytest.approx(np.sqrt(1 + r**2) / (1 + r), rel=1e-4)      # x / alpha is that of DDIM's start


def test_networks_know_each_others_levels(tmp_path):
    """Each way, with gaps and with more steps than the other has levels to tell apart."""
    two = {kind: PipelineModel.of(pipeline(kind, tmp_path / kind), kind) for kind in ("sd", "sd3")}
    gaps = PipelineModel.of(pipeline("sd", tmp_path / "gaps", scheduler=betas(timestep_spacing="linspace")), "gaps")
    for model, other in ((two["sd"], two["sd3"]), (two["sd3"], two["sd"]), (two["sd3"], gaps), (two["sd"], two["sd"])):
        for steps in (1, 8, 300):
            theirs = other.levels(steps)
            levels, scale = levels_like(model, theirs)
            model.noise.check(levels)
            noise = theirs.sigma_over_alpha
            inside = (noise < 14) & (noise > 0.05)
            np.testing.assert_allclose(levels.sigma_over_alpha[inside], noise[inside], rtol=1e-6)
            assert 0.5 < scale < 1.5 and (levels.landing is None) == (theirs.landing is None)
            if model is other:
                np.testing.assert_allclose(levels.alpha, theirs.alpha, atol=1e-6)
                np.testing.assert_allclose(levels.timestep, theirs.timestep, atol=1e-6)


def test_where_strangers_share_all_nothing_is_said_of_chance():
    corners = np.tile(np.arange(4), (2, 1))             # four points, each of its own cell
    assert chance_in_words(shared_basins(corners, corners)) == "strangers share as much, on so few points"
    halves = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    assert chance_in_words(shared_basins(halves, halves)) == "beyond chance 1"


def test_columns_are_named_by_what_differs_in_them():
    asked = []
    model = SimpleNamespace(shape=(3, 4, 4), decode=None, levels=lambda n: f"levels {n}",
                            prompt=lambda text, w, negative: asked.append((text, w, negative)) or f"w {w:g}")
    other = Denoiser((3, 4, 4), lambda x, a, s: x, decode=lambda x: x)
    networks = [SimpleNamespace(title=t, name=t, model=m, levels=scaled_linear_levels(8), prompt="w 1")
                for t, m in (("one", model), ("two", other))]
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
