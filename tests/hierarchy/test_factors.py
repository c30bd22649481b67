"""Two factors with known shares: analysis of variance, and the larger one is settled first."""

import numpy as np
import pytest
import torch

from phasebook.hierarchy import factors
from phasebook.hierarchy.factors import exact_levels, factor_split, sampled_levels, variance_share
from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import log_snr_levels
from tests.builders import refuses


def two_factors(styles=5, things=24, style=1.0, thing=1.0, noise=0.3, d=400, seed=0):
    """Points style + thing + noise, with both labels."""
    rng = np.random.default_rng(seed)
    a, b = np.meshgrid(np.arange(styles), np.arange(things), indexing="ij")
    a, b = a.ravel(), b.ravel()
    points = style * rng.standard_normal((styles, d))[a] + thing * rng.standard_normal((things, d))[b]
    return points + noise * rng.standard_normal((len(a), d)), a, b


def test_shares_are_those_of_the_analysis_of_variance():
    points, a, b = two_factors(style=2.0)
    centred = points - points.mean(0)
    means = np.stack([centred[a == k].mean(0) for k in range(5)])
    for labels in (a, b):
        share = variance_share(points @ points.T, labels)
        assert 0 < share.omega < share.eta < 1
    share = variance_share(points @ points.T, a)
    assert share.eta == pytest.approx((means[a]**2).sum() / (centred**2).sum())
    assert share.deviation == pytest.approx(np.linalg.norm(means[a], 2) / np.sqrt(len(a)))
    chance = variance_share(points @ points.T, np.random.default_rng(1).permutation(b))
    assert chance.eta > 0.15 and abs(chance.omega) < 0.05         # 23 / 119 by chance


def test_classes_of_one_picture_each_tell_nothing_beyond_chance():
    points, a, _ = two_factors()
    gram = points @ points.T
    alone = variance_share(gram, np.arange(len(points)))
    assert alone.eta == pytest.approx(1) and np.isnan(alone.omega)
    refuses(lambda: variance_share(gram, a[:5]), "labels: 5; takes one for each of 120 pictures")
    refuses(lambda: variance_share(np.ones((4, 4)), [0, 0, 1, 1]), "gram: all 4 points are equal")
    refuses(lambda: variance_share(gram * np.nan, a), "gram: NaN or Inf")
    refuses(lambda: variance_share(gram[:7], a), "gram: shape (7, 120)")


@pytest.mark.parametrize("style, thing, first", [(2.5, 0.8, "style"), (0.6, 2.0, "thing")])
def test_the_larger_factor_is_settled_first(style, thing, first):
    points, a, b = two_factors(style=style, thing=thing)
    gram = points @ points.T
    shares = {"style": variance_share(gram, a).omega, "thing": variance_share(gram, b).omega}
    levels = exact_levels(gram, {"style": a, "thing": b}, np.geomspace(200, 0.5, 33), 600, 0)
    assert max(shares, key=shares.get) == max(levels, key=levels.get) == first
    assert (factor_split(levels, "style", "thing") > 1) == (first == "style")
    assert factor_split({"style": np.nan, "thing": 1.0}, "style", "thing") is None


@pytest.mark.parametrize("together", [2500, 50])
def test_a_sampler_settles_the_factors_where_the_posterior_does(monkeypatch, together):
    monkeypatch.setattr(factors, "AT_ONCE", together)
    points, a, b = two_factors(4, 6, 2.0, 0.7, d=60)
    model = ExactModel.of_points(points)
    levels = log_snr_levels(24, 60.0, 0.3)
    index = torch.arange(144) % 24
    atoms = torch.eye(24)[index]
    x0 = torch.cat([atoms @ model.gram, atoms], 1)
    place = lambda frame: model.weights(frame.x0).argmax(1).numpy()  # noqa: E731
    labels = {"style": lambda frame: a[place(frame)], "thing": lambda frame: b[place(frame)]}
    walked = sampled_levels(model, x0, levels, range(0, 24, 3), labels, seed=1)
    drawn = exact_levels(model.gram.numpy(), {"style": a, "thing": b}, levels.sigma_over_alpha, 2000, 0)
    for name in labels:
        assert walked[name] == pytest.approx(drawn[name], rel=0.25)


def test_a_factor_without_a_level_above_zero_has_no_split():
    for one, other in ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (np.nan, 1.0), (1.0, np.inf), (-1.0, 1.0)):
        assert factor_split({"style": one, "thing": other}, "style", "thing") is None
    refuses(lambda: exact_levels(np.eye(3), {"style": np.arange(3)}, [], 4, 0), "ratios = []: takes noise levels > 0")
