"""What the chapter on networks puts beside them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.models.assets import asset
from phasebook.models.denoiser import Denoiser
from phasebook.models.exact import ExactModel
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.levels import log_snr_levels
from phasebook.sampling.protocols import Frame
from phasebook.site.build import runner, sources
from phasebook.site.chapters import basins, network
from phasebook.site.chapters.network import (
    DATA,
    Maps,
    above_both,
    agreement_within,
    as_well,
    datasets,
    deviation_of,
    from_diffusers,
    maps_at,
    maps_of,
    nearest_kind,
    nearest_steps,
    over_slices,
    own_data,
    same_kinds,
    training_pictures,
)
from phasebook.site.chapters.slices import by_scale, planes
from phasebook.site.checks.parameters import ParameterError
from phasebook.site.results.ledger import Ledger
from phasebook.slices.sweep import slice_of
from phasebook.stats import Estimate
from tests.builders import build


def atoms(n=12, views=2):
    images = SimpleNamespace(family=np.arange(n) % 3, families=("a", "b", "c"), names=tuple(map(str, range(n))))
    latents = torch.randn(views, n, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    return ExactModel.of_latents(latents, images), latents


def test_kinds_are_shared_beyond_what_other_slices_share():
    rng = np.random.default_rng(0)
    one, other = rng.integers(4, size=(2, 30, 20, 20))
    assert np.allclose(same_kinds(one, one), 1) and abs(np.mean(same_kinds(one, other))) < 0.02
    half = np.where(rng.random(one.shape) < 0.5, one, other)
    assert np.mean(same_kinds(half, one)) == pytest.approx(0.5, abs=0.02)
    assert np.isnan(same_kinds(one[:1], one[:1])).all()         # no other slice: nothing to compare with


def test_the_nearest_kind_is_that_of_the_nearest_latent():
    data, latents = atoms()
    kind = nearest_kind(data)
    near = latents[1] + 0.05
    assert kind(Frame(data, 0, near)).tolist() == (np.arange(12) % 3).tolist()


def test_the_deviation_is_that_of_the_data_or_of_samples():
    data, latents = atoms()
    flat = latents.flatten(0, 1).flatten(1).numpy().astype(float)
    largest = np.linalg.eigvalsh(np.cov(flat.T, ddof=0))[-1]
    assert deviation_of(None, data, 0) == pytest.approx(np.sqrt(largest), rel=1e-4)
    gaussian = Denoiser((3,), lambda x, alpha, sigma: 9 * alpha * x / (9 * alpha**2 + sigma**2), name="three")
    subject = SimpleNamespace(model=gaussian, levels=gaussian.levels(30), prompt=None)
    assert 2.3 < deviation_of(subject, None, 0) < 4.5           # 3, from 48 samples


def test_no_data_no_comparison():
    assert own_data(None, "", 3) is None


def test_planes_differ_and_none_is_the_first():
    one, two = planes((3, 8, 8), 6, 2, [0.0, 1.0, 0.0, 1.0], 5, True)
    assert not np.allclose(one.anchors, two.anchors) and one.grid == 5


def test_a_table_of_verdicts_follows_the_bounds_of_the_ledger():
    ledger = Ledger("11_phase_boundaries", SimpleNamespace())
    row = {"norm 1": Estimate(0.001, 0.0, 0.002, 12), "norm 9": Estimate(0.001, 0.0, 0.5, 12), "norm 99": None}
    html = by_scale(ledger, {"slice.flat_above_one": row})
    assert "0.001: holds" in html and "0.001: undecided" in html and "no such step" in html


def test_networks_of_one_autoencoder_share_their_data(monkeypatch):
    made = []
    monkeypatch.setattr("phasebook.site.chapters.network.own_data", lambda one, *_: made.append(one) or len(made))
    vaes = [torch.nn.Linear(2, 2) for _ in range(2)]
    chosen = {name: SimpleNamespace(model=SimpleNamespace(pipe=SimpleNamespace(vae=vaes[k])))
              for name, k in (("unet", 0), ("transformer", 0), ("stranger", 1), ("of b", 0))}
    asked = dict.fromkeys(chosen, "icons a") | {"of b": "icons b"}
    assert datasets(chosen, asked, 0) == {"unet": 1, "transformer": 1, "stranger": 2, "of b": 3}


def test_maps_of_two_samplers_are_compared_at_equal_noise():
    """One smooth course of maps, read at the steps of two samplers: they agree at every noise, also where one has few
    steps; maps of other slices do not."""
    rng = np.random.default_rng(0)
    ends = rng.normal(size=(3, 4, 50))

    def course(noise):
        at = np.log(noise)[None, :, None]
        return Maps(noise, np.exp(ends[0][:, None] + at * ends[1][:, None] + np.sin(at) * ends[2][:, None]))

    many, few = course(np.geomspace(8, 0.05, 40)), course(np.geomspace(7, 0.06, 12))
    for window in ((0.1, 0.5), (0.5, 1.0)):
        assert np.min(agreement_within(many, many, *window)) == pytest.approx(1)
        assert np.min(agreement_within(many, few, *window)) > 0.98
        steps = nearest_steps(few.noise, many.noise)
        rough = Maps(many.noise, few.trace[:, steps])               # at the nearest step instead: less
        assert np.mean(agreement_within(many, few, *window)) > np.mean(agreement_within(many, rough, *window))
        other = Maps(few.noise, few.trace[::-1])
        assert np.median(agreement_within(many, other, *window)) < 0.3
    np.testing.assert_allclose(np.exp(maps_at(few, few.noise)), few.trace, rtol=1e-9)


def test_an_exact_denoiser_by_another_sampler_is_not_quite_itself():
    """A model that is the exact denoiser of its data agrees with it in full by its own sampler, and by one that begins
    elsewhere does not: each network is held against its data by its own."""
    rng = np.random.default_rng(0)
    exact = ExactModel.of_points(rng.normal(size=(200, 64)), norm=8.0)
    late, pure = exact.levels(20), log_snr_levels(20, 1000.0, 0.05)
    slices = {lev: [slice_of(exact, plane, lev) for plane in planes(exact.shape, 3, 4, [0, 1, 0, 1], 7, True)]
              for lev in (late, pure)}
    by_late, by_pure = (maps_of(lev.sigma_over_alpha, of) for lev, of in slices.items())
    assert agreement_within(by_late, by_late, 0.2, 0.5) == pytest.approx(1)
    assert np.median(agreement_within(by_late, by_pure, 0.2, 0.5)) < 0.9


def test_noise_that_a_sampler_does_not_reach_is_left_out():
    noise, rng = np.geomspace(8, 0.05, 10), np.random.default_rng(1)
    one = Maps(noise, rng.lognormal(size=(4, 10, 30)))
    flow = Maps(np.append(np.inf, noise), np.concatenate([np.full((4, 1, 30), np.nan), one.trace], 1))
    assert agreement_within(flow, one, 0.5, 1.0) == pytest.approx([1] * 4)              # pure noise has no map
    with np.errstate(all="raise"):
        assert np.array_equal(nearest_steps(flow.noise, flow.noise), np.arange(len(flow.noise)))
        assert nearest_steps(noise, flow.noise)[0] == 0
    short = Maps(noise[:5], one.trace[:, :5])
    assert len(agreement_within(one, short, 0.1, 4.0)) == 4 and len(agreement_within(one, short, 0.05, 0.1)) == 0
    assert len(agreement_within(one, one, 50.0, 60.0)) == 0
    single = Maps(noise, one.trace[:1])
    assert len(agreement_within(single, single, 0.1, 0.5)) == 0
    with np.errstate(all="raise"):      # maps of other slices of the same order leave nothing to agree on
        same = agreement_within(Maps(noise, one.trace[[0, 0]]), Maps(noise, one.trace[[1, 1]]), 0.1, 0.5)
        assert abs(same).max() < 1e-6
        assert np.isnan(agreement_within(*2 * [Maps(noise, one.trace[[0, 0]])], 0.1, 0.5)).all()
    last = Maps(noise[:1], one.trace[:, :1])
    assert len(agreement_within(last, last, 8.0, 8.0)) == 4                             # a sampler of one step


def test_equal_agreement_is_not_below_the_larger_of_two():
    """Three agreements that scatter alike: the difference to both is nought, and that to their maximum is not. One that
    exceeds both is seen, one that exceeds the first alone is not decided."""
    each, first, second = np.random.default_rng(0).normal(0.5, 0.2, (3, 4000))
    found = above_both(each, first, second)
    assert found.low < 0 < found.high and abs(found.value) < 0.02
    assert over_slices(each - np.maximum(first, second)).high < -0.08
    assert above_both(each + 0.1, first, second).low > 0 > above_both(each - 0.1, first, second).high
    mixed = above_both(each, first - 0.2, second + 0.2)
    assert mixed.value == pytest.approx(-0.2, abs=0.02) and mixed.low < -0.15 and mixed.high > 0.15
    assert above_both(each, first, np.full(4000, np.nan)) is None


def test_a_network_that_agrees_with_nobody_is_not_asked_whether_it_agrees_as_well():
    seen, unseen = 0.5 + 0.02 * np.arange(12), 0.48 + 0.02 * np.arange(12)
    less, why = as_well(seen, unseen)
    assert less.high <= 0.1 and not why                             # it knows its data, and the unseen as well
    less, why = as_well(seen, unseen - 0.4)
    assert less.low > 0.1 and not why                               # it knows its own alone
    nobody, why = as_well(seen - 0.5, unseen - 0.5)
    assert nobody.value == pytest.approx(0.02) and nobody.low == -np.inf and nobody.high == np.inf and "nobody" in why
    assert as_well(seen, np.full(12, np.nan)) == (None, "")


@pytest.mark.parametrize("dtype, most", [("float32", 1e-5), ("bfloat16", 0.1)])
def test_a_sampled_point_is_diffusers_own_in_any_precision(tmp_path, dtype, most):
    model = PipelineModel.load(build(tmp_path), dtype=dtype)
    one = SimpleNamespace(model=model, levels=model.levels(3))
    assert from_diffusers(one, SimpleNamespace(seed=1, prompt="red apple", negative_prompt=""), 3.0) <= most


def test_the_other_half_is_another():
    with pytest.raises(ParameterError, match="other_half = 'icons a': the first network was trained on it"):
        runner.check(runner.find_chapter("13"), {"trained_on": "icons a", "other_half": "icons a"})


@pytest.mark.parametrize("stem, chapter", [("13", network.Chapter), ("14", basins.Chapter)])
def test_another_network_of_one_backbone_is_known_by_its_parameters(tmp_path, stem, chapter):
    """Passed over are the chapter's own networks, other backbones, and all where nobody knows what was learnt."""
    given = sources.defaults(runner.find_chapter(stem))
    kin = lambda **own: chapter.read(given | own).kin  # noqa: E731
    again, narrow = tmp_path / "again", build(tmp_path)
    again.symlink_to(asset("icons-unet-a"))
    assert kin(same_backbone=str(again)) == str(again)
    assert kin(same_backbone=str(again), models=["icons-transformer-a"]) == ""
    assert kin(same_backbone="icons-unet-a", models=["./icons-unet-a"]) == ""
    assert kin(same_backbone=str(narrow)) == kin(same_backbone="") == ""
    assert kin(same_backbone=str(again), trained_on="") == ""
    with pytest.raises(ParameterError, match="same_backbone = 'nowhere/x': "):
        kin(same_backbone="nowhere/x")


def test_training_pictures_are_those_of_a_half():
    halves = {name: training_pictures(name) for name in ("icons a", "icons b")}
    assert DATA == {name: len(one) for name, one in halves.items()} | {"": 0}
    one, other = halves.values()
    assert one.families == other.families and "Food & Drink" in one.families
    assert not set(one.names) & set(other.names)


def test_pictures_that_are_no_latents_of_the_network_are_refused_before_a_run(tmp_path):
    """Its autoencoder halves each side: 32 x 32 of 64 pixels; the network's own are 8 x 8."""
    folder = build(tmp_path)
    changes = {"models": [str(folder)], "steps": 4, "grid": 3, "prompt": "", "guidance": 1.0}
    with pytest.raises(ParameterError, match="trained_on = 'icons a': .* latents of shape .4, 32, 32. in") as said:
        runner.check(runner.find_chapter("13"), changes | {"trained_on": "icons a"})
    assert "\n" not in str(said.value) and "whose own are (4, 8, 8)" in str(said.value)
    runner.check(runner.find_chapter("13"), changes | {"trained_on": ""})
