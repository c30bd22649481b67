"""Trips to a noise level and back, against closed forms: two classes, a Gaussian, Bayes' identity."""

import numpy as np
import pytest
import torch

from phasebook.hierarchy import transitions
from phasebook.hierarchy.transitions import (
    collapse_of,
    exact_trips,
    first_ridge,
    pair_clones,
    peak,
    peak_over_class,
    sampled_trips,
    settled,
    susceptibility,
    there_and_back,
)
from phasebook.mixtures.regimes import clone_probability, collapse_ratio
from phasebook.models.denoiser import Denoiser
from phasebook.models.exact import ExactModel
from phasebook.sampling.levels import log_snr_levels
from phasebook.sampling.samplers import normal_start
from phasebook.slices.plane import Plane
from phasebook.slices.sweep import slice_of
from phasebook.stats import share_interval
from tests.builders import images, refuses


def clusters(n=40, d=200, distance=6.0, seed=0):
    """Two clouds of unit variance a coordinate, with their labels."""
    rng, labels = np.random.default_rng(seed), np.repeat([0, 1], n)
    points = 0.2 * rng.standard_normal((2 * n, d))
    points[:, 0] += np.where(labels, distance, -distance)
    return points, labels


def test_two_classes_share_their_clones_as_the_theory_says():
    points, labels = clusters()
    table = pair_clones(points @ points.T, labels, 4000, 0)
    assert table.shape == (2, 2) and np.isnan(table[0, 0])
    assert table[0, 1] == pytest.approx(clone_probability(), abs=0.01)


def test_every_two_classes_have_noise_of_their_own():
    """The third class is a copy of the second: with one noise for all, the first would meet both alike to the bit."""
    points, labels = clusters()
    points, labels = np.concatenate([points, points[labels == 1]]), np.append(labels, np.full(40, 2))
    table = pair_clones(points @ points.T, labels, 400, 0)
    assert table[1, 0] != table[2, 0] and table[1, 0] == pytest.approx(table[2, 0], abs=0.05)


def test_a_trip_keeps_a_label_as_often_as_clones_share_one():
    """Bayes: the sample itself is a draw from its posterior, as each clone is."""
    points, labels = clusters(distance=2.0)
    trips = exact_trips(points @ points.T, labels, np.geomspace(12, 0.05, 9), 4000, 1)
    assert np.allclose(trips.label.mean(1), trips.clones.mean(1), atol=0.02)
    assert trips.label[0].mean() == pytest.approx(0.5, abs=0.05) and trips.picture[-1].mean() > 0.99
    assert (np.diff(trips.picture.mean(1)) > -1e-3).all() and (np.diff(trips.noise) < 0).all()


def test_the_variance_of_the_change_peaks_where_the_class_is_decided():
    """Of many classes a trip keeps one or changes it; the variance is largest where either is as likely."""
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(12), 12)
    points = 6 * np.eye(12)[labels] @ rng.standard_normal((12, 200)) / 4 + 0.2 * rng.standard_normal((144, 200))
    trips = exact_trips(points @ points.T, labels, np.geomspace(60, 0.3, 25), 1500, 0)
    whole = np.arange(1500)
    at = peak(trips.noise, susceptibility(trips, whole))
    assert at / settled(trips.noise, trips.label.mean(1)) == pytest.approx(peak_over_class(trips, whole))
    assert 0.75 < peak_over_class(trips, whole) < 1.33


def test_settled_and_peak_of_known_curves():
    noise = np.geomspace(10, 0.1, 21)
    kept = 0.2 + 0.8 / (1 + noise**2 / 4)
    half = (kept[0] + 1) / 2
    assert settled(noise, kept) == pytest.approx(2 * np.sqrt((1 - half) / (half - 0.2)), rel=0.02)
    assert peak(noise, np.exp(-np.log(noise / 0.7)**2)) == pytest.approx(0.7, rel=0.01)
    few = np.geomspace(6, 0.06, 4)
    assert np.isnan(peak(few, np.exp(-np.log(few / 0.7)**2)))
    assert np.isnan(peak(noise, noise)) and np.isnan(settled(noise, np.ones(21)))


def test_a_gaussian_comes_back_with_its_own_variance():
    """Noised and denoised by the reverse process, N(0, 4) stays N(0, 4), and clones correlate by 1 / (1 + r^2 / 4)."""
    model = Denoiser((1,), lambda x, alpha, sigma: 4 * alpha * x / (4 * alpha**2 + sigma**2), name="four")
    levels = log_snr_levels(60, 20.0, 0.02)
    x0 = 2 * torch.randn(900, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    step = int(np.argmin(abs(levels.sigma_over_alpha - 2)))
    one, two = (end[:, 0].numpy() for end in there_and_back(model, x0, levels, step, seed=5))
    assert one.std() == pytest.approx(2, rel=0.1)
    truth = 1 / (1 + levels.sigma_over_alpha[step]**2 / 4)
    assert np.corrcoef(one, two)[0, 1] == pytest.approx(truth, abs=0.1)
    assert np.corrcoef(one, x0[:, 0].numpy())[0, 1] == pytest.approx(truth, abs=0.1)


def test_trips_through_the_sampler_are_those_of_the_posterior():
    model = ExactModel.of(images(24, 6, 3))
    levels, n = log_snr_levels(40, 60.0, 0.2), 240
    atoms = torch.eye(24)[torch.arange(n) % 24]
    x0 = torch.cat([atoms @ model.gram, atoms], 1)
    label = lambda frame: model.family[model.weights(frame.x0).argmax(1).numpy()]  # noqa: E731
    at = [int(np.argmin(abs(levels.sigma_over_alpha - r))) for r in (12.0, 4.0)]
    walked = sampled_trips(model, x0, levels, at, label, seed=3)
    drawn = exact_trips(model.gram.numpy(), model.family, walked.noise, 4000, 0)
    for walk, draw in zip(walked.label, drawn.label.mean(1), strict=True):
        kept = share_interval(int(walk.sum()), n)
        assert kept.low - 0.04 <= draw <= kept.high + 0.04
    assert np.isnan(walked.picture).all() and (walked.square >= walked.change**2 - 1e-9).all()


def test_what_has_no_trips_and_no_collapse():
    points, labels = np.eye(4), np.array([0, 0, 1, 1])
    for ratios in ([], [0.0], [1.0, -1.0], [np.nan], ["a"]):
        refuses(lambda ratios=ratios: exact_trips(points, labels, ratios, 8, 0), "ratios")
    refuses(lambda: exact_trips(points, labels, [1.0], 0, 0), "samples = 0: takes a whole number >= 1")
    refuses(lambda: exact_trips(points, labels[:3], [1.0], 8, 0), "gram, labels: shapes (4, 4), (3,)")
    same = np.full((5, 3), 0.1)
    for gram in (np.zeros((5, 5)), same @ same.T, np.ones((1, 1))):
        refuses(lambda gram=gram: collapse_of(gram), "points are equal; takes two different ones")
    refuses(lambda: collapse_of(np.ones((2, 3))), "gram: shape (2, 3)")


def test_a_level_that_is_named_twice_is_visited_once():
    """Of equal levels a parabola in the logarithm of the noise is none."""
    points, labels = clusters()
    gram, levels = points @ points.T, [4.0, 2.0, 1.0, 0.5]
    once, twice = (exact_trips(gram, labels, ratios, 20, 0) for ratios in (levels, levels[1:3] + levels))
    assert twice.noise.tolist() == once.noise.tolist() == levels
    model = Denoiser((2,), lambda x, alpha, sigma: alpha * x / (alpha**2 + sigma**2), name="one")
    one = sampled_trips(model, torch.ones(3, 2, dtype=torch.float64), model.levels(4), [2, 1, 2], lambda f: np.zeros(3))
    assert one.noise.tolist() == model.levels(4).heights[[1, 2]].tolist()


def test_what_no_sampler_visits():
    """A step before the first would be counted from the end."""
    model = Denoiser((2,), lambda x, alpha, sigma: alpha * x / (alpha**2 + sigma**2), name="one")
    levels, x0 = model.levels(4), torch.zeros(3, 2, dtype=torch.float64)
    for step in (-1, 4, 1.5):
        refuses(lambda step=step: there_and_back(model, x0, levels, step), f"step = {step}: takes a step from 0 to 3")
        refuses(lambda step=step: sampled_trips(model, x0, levels, [step], len), f"at = {step}: takes steps")
    refuses(lambda: sampled_trips(model, x0, levels, [], len), "at: no step; takes one at least")
    refuses(lambda: there_and_back(model, x0, levels, 1, clones=0), "clones = 0")


def test_no_two_of_many_states_share_their_noise(monkeypatch):
    """A slice of 41 x 41 points has more than a thousand."""
    drawn = []

    def start(model, seed, count):
        drawn.append(range(seed, seed + count))
        return normal_start(model, seed, count)

    monkeypatch.setattr(transitions, "normal_start", start)
    model = Denoiser((2,), lambda x, alpha, sigma: alpha * x / (alpha**2 + sigma**2), name="one")
    there_and_back(model, torch.zeros(1681, 2, dtype=torch.float64), model.levels(4), 1)
    seeds = [seed for some in drawn for seed in some]
    assert len(drawn) == 7 and len(seeds) == len(set(seeds)) == 7 * 1681


def test_the_collapse_of_an_even_cloud_is_the_known_formula():
    n, d = 400, 12
    points = np.random.default_rng(0).standard_normal((n, d))
    assert collapse_of(points @ points.T) == pytest.approx(collapse_ratio(n, d, 1.0), rel=0.05)


def test_the_first_ridge_is_the_first_jump():
    model = ExactModel.of(images(8, 6, 2))
    one = slice_of(model, Plane.random(model.shape, 0, grid=5), model.levels(12))
    jumps = np.maximum(one.values("jump_alpha").max((1, 2)), one.values("jump_beta").max((1, 2)))
    ridge = float(np.sort(jumps)[-3]) * 0.999
    assert first_ridge(one, ridge) == one.levels.sigma_over_alpha[np.argmax(jumps > ridge)]
    assert first_ridge(one, 10 * jumps.max()) is None


@pytest.mark.parametrize("names", [np.arange(-1, 2), np.array(["a", "b", "c"]), np.array([5, 90, 7])])
def test_labels_of_trips_are_names(names):
    x, which = np.random.default_rng(1).normal(size=(30, 4)), np.arange(30) % 3
    one, other = (exact_trips(x @ x.T, labels, [1.0], 60, 0) for labels in (which, names[which]))
    assert (one.label == other.label).all() and (other.origin == names[one.origin]).all()


def test_trips_start_from_pictures_of_all_labels():
    """Sets of pictures are in order: the first pictures alone would be those of the first labels."""
    x, labels = np.random.default_rng(2).normal(size=(60, 4)), np.arange(60) // 10
    assert set(exact_trips(x @ x.T, labels, [1.0], 40, 0).origin.tolist()) == set(range(6))
    drawn = [exact_trips(x @ x.T, np.arange(60), [1.0], 90, k).origin for k in range(40)]
    spare = np.stack([np.bincount(origin, minlength=60) for origin in drawn])
    assert spare.min() == 1 and spare.max() == 2 and spare[:, 30:].mean() == pytest.approx(1.5, abs=0.05)
