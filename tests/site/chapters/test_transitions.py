"""Where the trips of the chapter on temporal transitions start, and what travels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.hierarchy.factors import variance_share
from phasebook.hierarchy.transitions import first_ridge
from phasebook.models.denoiser import Denoiser
from phasebook.models.exact import ExactModel
from phasebook.site.build import runner
from phasebook.site.chapters.transitions import (
    Traveller,
    factor_levels,
    factors_on_slices,
    first_ridges,
    icon_parts,
    kept_more,
    lead,
    recorded,
    ridges_table,
    states_of,
    trips_of,
    weighted,
)
from phasebook.site.checks.models import Subject
from phasebook.site.checks.parameters import ParameterError
from phasebook.slices.plane import Plane
from phasebook.slices.sweep import slice_of
from tests.builders import images


def traveller():
    model = ExactModel.of(images(24, 6, 3))
    return Traveller(Subject("exact", model, model.levels(8), None, model.features, None), model, 0)


@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_what_walked_trips_keep_more_than_drawn_ones_has_both_their_errors(shift):
    """Families that keep their label with chances of their own, the walked trips by `shift` more often."""
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.3, 0.7, 16)

    def trips(count, more):
        origin = rng.integers(16, size=count)
        return SimpleNamespace(label=(rng.random(count) < chance[origin] + more)[None].astype(float), origin=origin)

    one, few, many = trips(800, shift), trips(100, 0.0), trips(20000, 0.0)
    rough, fine = (kept_more(one, other, 0) for other in (few, many))
    assert fine.low < shift < fine.high and fine.high - fine.low < 0.15
    assert (fine.low > 0) == (shift > 0) and rough.high - rough.low > 1.5 * (fine.high - fine.low)


def test_trips_of_few_labels_have_no_interval_and_no_warning(recwarn):
    few = SimpleNamespace(label=np.ones((1, 2)), origin=np.array([0, 1]))
    many = SimpleNamespace(label=np.ones((1, 60)), origin=np.arange(60) % 12)
    told = kept_more(few, many, 0)              # hardly a draw of labels has one of the first two in every case
    assert told.value == 0 and told.low == -np.inf and not recwarn.list


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


@pytest.mark.parametrize("models", [["icons-unet-a"], ["icons-unet-a", "exact"]])
def test_the_exact_model_comes_first(models):
    """The theory is tested on the first of them."""
    source = runner.find_chapter("16")
    with pytest.raises(ParameterError, match="takes 'exact' first"):
        runner.check(source, {"models": models, "steps": 5, "starts": 9, "slices": 2, "grid": 4})


def test_first_ridges_are_those_of_the_whole_sampler_and_a_slice_without_one_counts():
    one = traveller()
    several = [Plane.random(one.subject.model.shape, seed, grid=5) for seed in range(3)]
    begun = first_ridges(one, several, one.noise[4])
    whole = [slice_of(one.subject.model, plane, one.subject.levels) for plane in several]
    for share, levels in begun.items():
        full = [first_ridge(w, share * w.yardstick()) for w in whole]
        wanted = [x / one.deviation if x and x / one.deviation >= one.noise[4] else None for x in full]
        assert levels == wanted
    assert list(begun) == [0.1, 0.2, 0.4] and any(x is not None for x in begun[0.1])
    html = ridges_table("exact", {5: {0.2: [None, None, 1.5]}})
    assert "1 of 3; below what was swept" in html


def test_a_weighted_factor_takes_its_share():
    """Eight times the class means: their sum of squares times 64, and what lies within as it was."""
    rng, style = np.random.default_rng(0), np.repeat(np.arange(4), 6)
    points = rng.standard_normal((4, 30))[style] * 0.2 + rng.standard_normal((24, 30))
    means = np.stack([points[style == k].mean(0) for k in range(4)])[style]
    strong = points + 7 * (means - points.mean(0))
    assert np.allclose(weighted(points @ points.T, style, 8), strong @ strong.T)
    assert variance_share(weighted(points @ points.T, style, 8), style).omega > 0.5


@pytest.mark.parametrize("weight", [0.4, 2.5])
def test_the_larger_factor_leads_and_two_of_no_meaning_do_not(weight):
    rng = np.random.default_rng(0)
    style, thing = (x.ravel() for x in np.meshgrid(np.arange(5), np.arange(16), indexing="ij"))
    points = weight * rng.standard_normal((5, 200))[style] + rng.standard_normal((16, 200))[thing]
    points += 0.4 * rng.standard_normal(points.shape)
    ahead = lead(factor_levels(points @ points.T, style, thing, 400, 3))
    assert (ahead > 1.1) if weight > 1 else (ahead < 0.9)
    noise = rng.standard_normal(points.shape)
    assert lead(factor_levels(noise @ noise.T, style, thing, 400, 3)) == pytest.approx(1, abs=0.03)


def test_every_set_of_icons_has_noise_of_its_own():
    """Sets of equal size would share it, seed for seed, and an interval over them would be too short."""
    gram, style, thing = np.eye(12), np.arange(12) % 3, np.arange(12) // 3
    one, other = (factor_levels(gram, style, thing, 100, seed) for seed in (0, 1))
    assert one["style"] != other["style"]
    assert "p.seed + number)" in runner.find_chapter("16").read_text(encoding="utf-8")


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


def test_a_ridge_at_pure_noise_has_no_number():
    """A flow begins there; its first prediction may have a ridge."""
    assert recorded([None, 1.5, np.inf]) == [None, 1.5, "pure noise"]
    html = ridges_table("flow", {5: {0.2: [1.5, np.inf, np.inf]}})
    assert "3 of 3; pure noise" in html and "inf" not in html
