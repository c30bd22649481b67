"""Where the trips of the chapter on temporal transitions start, and what travels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.models.denoiser import Denoiser
from phasebook.models.exact import ExactModel
from phasebook.site.build import runner
from phasebook.site.chapters.transitions import Traveller, factors_on_slices, icon_parts, states_of, trips_of
from phasebook.site.checks.models import Subject
from phasebook.site.checks.parameters import ParameterError
from phasebook.slices.plane import Plane
from tests.builders import images


def traveller():
    model = ExactModel.of(images(24, 6, 3))
    return Traveller(Subject("exact", model, model.levels(8), None, model.features, None), model, 0)


def test_a_picture_as_a_state_decodes_to_itself():
    model = ExactModel.of(images(6, 6, 2))
    states = states_of(model, np.array([4, 1]))
    pixels = torch.as_tensor(images(6, 6, 2).pixels).permute(0, 3, 1, 2)
    assert torch.allclose(model.decode(states), pixels[[4, 1]], atol=1e-4)
    assert torch.allclose(states[:, :6], model.gram[[4, 1]])


def test_an_exact_model_travels_by_its_posterior_and_another_through_its_sampler():
    one = traveller()
    drawn = trips_of(one, 200, 10, 6, 0)
    assert drawn.label.shape == (6, 200) and drawn.noise[0] == pytest.approx(6 * one.deviation)
    model = one.subject.model
    network = SimpleNamespace(model=SimpleNamespace(**{k: getattr(model, k) for k in (
        "predict", "sweep", "norm", "start", "shape")}), levels=model.levels(4), prompt=None)
    other = SimpleNamespace(subject=network, deviation=1.0, label=one.label)
    other.label = lambda frame: model.family[model.weights(frame.x0).argmax(1).numpy()]
    walked = trips_of(other, 200, 10, 6, 0)
    assert walked.label.shape == (4, 10) and set(np.unique(walked.label)) <= {0.0, 0.5, 1.0}
    other.label = None
    assert trips_of(other, 200, 10, 6, 0) is None


def test_the_exact_model_must_be_there():
    source = runner.find_chapter("16")
    with pytest.raises(ParameterError, match="takes 'exact' among them"):
        runner.check(source, {"models": ["icons-unet-a"], "steps": 5, "starts": 9, "slices": 2, "grid": 4})


def test_parts_of_the_icons_are_whole_things():
    parts = icon_parts(13, 0, most=40)
    things = [set(parts.thing[index]) for index in parts.index]
    assert all(len(some) == 40 for some in things) and sum(map(len, things)) == len(set.union(*things))
    assert all(np.isin(parts.thing, list(some)).sum() == len(i) for some, i in zip(things, parts.index, strict=True))
    assert len(set(parts.style)) == 6 and len(parts.style) == len(parts.model.atoms)


def test_factors_of_a_network_are_read_off_the_nearest_icons():
    """Here the network is the exact denoiser of its data, in another dress: whatever splits, each slice has a ratio."""
    latents = torch.randn(1, 12, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2
    names = tuple(f"thing {i // 3}, artist {i % 3} style" for i in range(12))
    data = ExactModel.of_latents(latents, SimpleNamespace(family=np.zeros(12, int), families=("all",), names=names))
    model = Denoiser(data.shape, lambda x, alpha, sigma: data.denoise(x.float(), alpha, sigma), name="dressed")
    one = SimpleNamespace(data=data, subject=SimpleNamespace(model=model, levels=model.levels(8), prompt=None))
    several = [Plane.random(data.shape, seed, grid=6) for seed in range(3)]
    ratios = factors_on_slices(one, several, 6, 0)
    assert len(ratios) == 3 and any(r is not None and 0.3 < r < 3 for r in ratios)
    one.data = None
    assert factors_on_slices(one, several, 6, 0) == []
