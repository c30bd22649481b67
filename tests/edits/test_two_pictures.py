"""The law of two pictures against what two pictures do, and against what many do."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from phasebook.edits.editing import edit, make, monotone
from phasebook.edits.pairs import pick_pairs
from phasebook.edits.two_pictures import forecast, foretold, gap, thresholds, two_picture_constant, way
from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import Levels, log_snr_levels
from phasebook.sampling.samplers import normal_start, resume


def edited(case, pairs, k_values):
    made = make(case.model, pairs, levels=case.levels, guidance=1000.0, seed=4)
    return edit(case.model, case.judge, pairs, k_values, made, levels=case.levels, iterations=20, tolerance=1e-8)


@pytest.fixture(scope="module", params=[8.0, 12.0, 100.0])
def two(request):
    """Two atoms, states without noise along their difference at every level, and what the sampler makes of them."""
    pixels = np.zeros((2, 8, 8, 3), np.float32)
    pixels[1, :, :4] = 1
    pair = SimpleNamespace(pixels=pixels, family=np.zeros(2, int), families=("f",), names=("a", "b"))
    model, levels = ExactModel.of(pair, dtype=torch.float64, bonus=request.param), log_snr_levels(400, 30.0, 0.05)
    x = torch.as_tensor(levels.alpha[:-1])[:, None] * torch.cat([model.gram[0], torch.tensor([1.0, 0]).double()])
    final = resume(model, x, torch.arange(400), levels, model.prompt(["b"] * 400)).x0
    return model, levels, x, (final[:, 3] > 0.5).numpy(), request.param


def test_the_constant_is_what_two_pictures_do(two):
    model, levels, _, works, bonus = two
    dx = float((model.atoms[1] - model.atoms[0]).norm())
    edge = levels.sigma_over_alpha[works.argmin() - 1:works.argmin() + 1].mean()
    assert monotone(works[None]).all() and works[0] and not works[-1]
    assert edge * np.sqrt(2 * bonus) / dx == pytest.approx(two_picture_constant(bonus), rel=0.01)
    assert two_picture_constant(12.0) == pytest.approx(1.0835, abs=1e-3)        # not 1


def test_the_forecast_is_what_two_pictures_do(two):
    model, levels, x, works, bonus = two
    a, b = (torch.cat([model.gram[i], torch.eye(2)[i].double()])[None] for i in (0, 1))
    dx = gap(a, b)
    assert dx[0] == pytest.approx(float((model.atoms[1] - model.atoms[0]).norm()))
    carried = way(x[:, None], a, b, levels.alpha[:-1])
    np.testing.assert_allclose(carried, 0, atol=1e-9)
    assert (foretold(levels, carried, dx, bonus, np.arange(400))[0] == works).all()


def test_the_forecast_holds_from_pure_noise():
    """A flow begins where a state is all noise, and still tells which of two pictures it goes to."""
    pixels = np.random.default_rng(0).random((2, 4, 4, 3)).astype(np.float32)
    model = ExactModel.of(SimpleNamespace(pixels=pixels, family=np.zeros(2, int), families=("f",), names=("a", "b")),
                          dtype=torch.float64, bonus=0.3)
    t = np.linspace(1, 0, 41)
    levels, x = Levels("flow", 1 - t, t, 1000 * t[:-1]), normal_start(model, 0, 24)
    final = resume(model, x, 0, levels, model.prompt("b")).x0
    a, b = (torch.cat([model.gram[i], torch.eye(2)[i].double()]).expand(24, -1) for i in (0, 1))
    with np.errstate(all="raise"):
        told = foretold(levels, way(x[None], a, b, levels.alpha[:1]), gap(a, b), 0.3, np.array([0]))[:, 0]
    assert 4 < told.sum() < 24 and np.array_equal(told, (final[:, 3] > 0.5).numpy())


def test_between_equal_pictures_there_is_no_way_and_every_edit_succeeds():
    x, levels = torch.tensor([[[1.0, 2.0, 0.5, 0.5]]] * 3).double(), log_snr_levels(4, 30.0, 0.05)
    same = x[0] / 2
    carried = way(x, same, same, levels.alpha[1:4])
    assert (carried == 0).all() and carried.shape == (1, 3)
    assert foretold(levels, carried, gap(same, same), 3.0, np.array([1, 2, 3])).all()


def test_a_way_in_whole_numbers_is_followed_in_fractions():
    levels, dx, none = log_snr_levels(40, 30.0, 0.05), np.array([0.5, 2.0, 8.0]), np.zeros((3, 40), dtype=int)
    told = foretold(levels, none.astype(float), dx, 3.0, np.arange(40))
    assert told.any() and np.array_equal(foretold(levels, none, dx, 3.0, np.arange(40)), told)


def test_the_way_is_that_of_the_state_in_pixels(exact, images):
    """Rebuilt in pixels: the inverted state less its picture, projected on the difference of the two pictures."""
    pairs = pick_pairs(images.pixels, images.names, images.family, 1, 0)
    e, model, k = edited(exact, pairs, range(30)), exact.model, 12
    i, j = (images.names.index(v[0]) for v in (pairs.source, pairs.target))
    state, n = e.inverted[k, 0], len(images)
    z = torch.randn(model.shape, generator=torch.Generator().manual_seed(4)).double().flatten()
    # what the start still weighs follows from the products
    share = (state[:n] - model.gram @ state[n:]) @ (model.atoms @ z) / (model.atoms @ z).square().sum()
    x, dx = share * z + state[n:] @ model.atoms, model.atoms[j] - model.atoms[i]
    expected = (x / e.levels.alpha[k] - model.atoms[i]) @ dx / dx.square().sum()
    found = way(e.inverted[e.k_values], e.source, e.target, e.levels.alpha[e.k_values])
    assert found[0, k] / e.levels.alpha[k] == pytest.approx(float(expected), abs=2e-3)


@pytest.mark.parametrize("flows", [False, True])
def test_two_pictures_foretell_edits_under_a_strong_prompt(images, flows):
    """With a large bonus the others have no say: the forecast is right within a step for all pairs, of a flow from pure
    noise to none too."""
    from phasebook.edits.judges import Judge

    model = ExactModel.of(images, dtype=torch.float64, bonus=100.0)
    t = np.linspace(1, 0, 31)
    levels = Levels("flow", 1 - t, t, 1000 * t[:-1]) if flows else model.levels(30)
    case = SimpleNamespace(model=model, levels=levels, judge=Judge(model.features["pixels"]))
    e = edited(case, pick_pairs(images.pixels, images.names, images.family, 12, 5), range(30))
    assert e.done.all() and np.abs(forecast(e, 100.0) - e.k_star).max() <= 1


def test_thresholds_lie_between_steps():
    noise = np.array([8.0, 4.0, 1.0])
    levels = SimpleNamespace(heights=noise)
    np.testing.assert_allclose(thresholds(np.array([0, 1, 2]), levels), [32**0.5, 2, 1])
    np.testing.assert_allclose(thresholds([-1, 1], levels), [np.nan, 2])         # no step succeeds, nothing is lost
    assert thresholds([3], levels) == thresholds([2], levels)                    # nor at the end


@pytest.mark.parametrize("bonus, known", [(0.001, 35.70), (0.1, 3.741)])
def test_the_constant_of_a_small_bonus(bonus, known):
    """By SciPy's `solve_ivp` over twelve units of s."""
    assert two_picture_constant(bonus) == pytest.approx(known, rel=1e-3)


@pytest.mark.parametrize("bonus", [1e-13, 1e-20, 1e-100])
def test_the_constant_of_a_tiny_bonus_keeps_its_power(bonus):
    """A small lambda has one scale, eta - 1/2 = lambda e: R goes like its square, and c like one over its root."""
    kept = two_picture_constant(1e-6) * 1e-3
    assert two_picture_constant(bonus) * np.sqrt(bonus) == pytest.approx(kept, rel=0.02)


@pytest.mark.parametrize("bonus", [0, -1.0, float("nan"), "1", 1e-200])
def test_a_bonus_that_is_none_is_refused(bonus):
    with pytest.raises(ValueError, match="log_prior = .*takes a number above 0"):
        two_picture_constant(bonus)


def test_the_constant_tends_to_one_and_takes_steps():
    assert two_picture_constant(1e100) == pytest.approx(1, abs=1e-6)
    with pytest.raises(ValueError, match="log_prior = 1e[+]200: takes a number above 0, up to 1e100"):
        two_picture_constant(1e200)
    with pytest.raises(ValueError, match="steps = 0: takes a whole number >= 1"):
        two_picture_constant(1.0, 0)
