"""Pairs, ends and places of the chapter on the spacetime of images; its refusals."""

import numpy as np
import pytest
import torch

from phasebook import Denoiser
from phasebook.hierarchy.calibration import place, usable
from phasebook.hierarchy.trees import distances_of, known_tree, twin_points
from phasebook.mixtures.spacetime.chart import Chart
from phasebook.mixtures.spacetime.energy import x_of
from phasebook.site.build import runner
from phasebook.site.chapters.spacetime_images import (
    affine_rank,
    between_trees,
    curves_along,
    likeness_at,
    listed,
    noised_ends,
    parted_pairs,
    ranked,
    sphere_errors,
    trace_deviations,
    worst_ratio,
)
from phasebook.site.checks.parameters import ParameterError
from phasebook.spacetime.expectations import Expectations, sign_probes
from phasebook.spacetime.geodesic import CurveSearch, expectations_along
from phasebook.stats import Estimate


def test_pairs_share_no_picture_and_half_are_of_one_kind():
    kind = np.repeat(np.arange(6), 10)
    pairs = parted_pairs(kind, 20, 0)
    assert len(np.unique(pairs)) == 40
    assert (kind[pairs[::2, 0]] == kind[pairs[::2, 1]]).all()


def test_ends_of_a_pair_share_their_noise():
    model = Denoiser((3,), lambda x, alpha, sigma: alpha * x)
    latents = np.random.default_rng(0).normal(size=(2, 2, 3))
    x, log_snr = x_of(noised_ends(model, latents, np.array([1.0, -1.0]), 4))
    np.testing.assert_allclose(log_snr, [[1, 1], [-1, -1]])
    alpha = np.sqrt(1 / (1 + np.exp(-log_snr)))[..., None]
    noise = x - alpha * latents
    np.testing.assert_allclose(noise[:, 0], noise[:, 1], atol=1e-12)


def test_curves_between_the_same_ends_have_them_once():
    asked = []

    def denoise(x, alpha, sigma):
        asked.append(len(x))
        return x.tanh()

    model, rng = Denoiser((3,), denoise), np.random.default_rng(0)
    ends = np.concatenate([rng.normal(size=(2, 2, 3)), np.full((2, 2, 1), -1.0)], axis=-1)
    inner = [np.concatenate([rng.normal(size=(2, n, 3)), rng.uniform(-2, -0.5, (2, n, 1))], axis=-1) for n in (3, 2, 4)]
    etas = [np.concatenate([ends[:, :1], one, ends[:, 1:]], axis=1) for one in inner]
    search = CurveSearch(model, Chart(np.zeros(3), 1.0), ends, sign_probes(model, 1, 0), tangents="difference")
    probes = sign_probes(model, 3, 1)
    asked.clear()
    together = curves_along(search, probes, *etas)
    assert sum(asked) == 2 * (3 + 2 + 4 + 2) * 4
    for eta, some in zip(etas, together, strict=True):
        for (curve, here), wanted, alone in zip(some, eta, expectations_along(search, eta, probes), strict=True):
            np.testing.assert_array_equal(curve, wanted)
            np.testing.assert_allclose(here.x0, alone.x0, rtol=1e-12)
            np.testing.assert_allclose(here.square, alone.square, rtol=1e-9)


@pytest.mark.parametrize("r", [0.35, 0.5])
def test_a_tree_is_placed_at_one_and_its_twin_at_zero_at_any_scale(r):
    trees = [distances_of(known_tree("binary, steep", 16, k)) for k in range(16)]
    twins = [distances_of(twin_points(tree, 50 + k)) for k, tree in enumerate(trees)]
    for parts, wanted in ((trees, 1), (twins, 0)):
        areas, sets = between_trees(parts, r, 8, 0)
        assert {"triples", "cophenetic"} <= set(usable(areas))
        for name in ("triples", "cophenetic"):
            at = place(sets, [name], 0)
            assert at.low <= wanted <= at.high and (at.low > 0.9) == (wanted == 1)
        scaled = between_trees([100 * one for one in parts], r, 8, 0)[1]
        for one, other in zip(sets, scaled, strict=True):
            assert one.data == pytest.approx(other.data) and one.twin == pytest.approx(other.twin)


def test_what_equal_pictures_do_not_have_is_none():
    assert likeness_at(np.zeros((4, 4)), 0.4) is None
    assert ranked(np.arange(5.0), np.ones(5)) is None and ranked(np.arange(5.0), np.arange(5.0)) == 1
    assert listed(None) is None and listed(Estimate(1.0, -np.inf, np.inf, 3)) == [1.0, None, None]
    assert listed(Estimate(1.0, 0.5, 2.0, 30)) == [1.0, 0.5, 2.0]


def straight(length, noise, seed):
    """A curve whose expectations are its natural parameters, up to noise that is the same at every point."""
    s = np.linspace(0, length, 5)[:, None]
    square = np.random.default_rng(seed).normal(size=(6, 1)) * noise * np.linspace(0, 1, 5)
    return np.column_stack([s, -1 - s]), Expectations(s, square)


def test_the_worst_ratio_is_the_largest_and_its_interval_holds_for_all():
    pairs = [(straight(a, noise, k), straight(b, noise, k)) for k, (a, b, noise) in
             enumerate([(1, 4, 0.0), (3, 4, 0.0), (2, 4, 0.3)])]
    whole, alone = worst_ratio(*zip(*pairs, strict=True)), worst_ratio([pairs[2][0]], [pairs[2][1]])
    assert whole.value == pytest.approx(0.75) and whole.low >= 0.75 - 1e-9 and whole.n == 6
    assert whole.high >= alone.high and alone.low < 0.5 < alone.high        # wider, for three pairs at once


def test_traces_of_blocks_and_of_all_are_met_by_probes():
    shear = torch.tensor([[1.0, 0.3, 0.2], [0.3, 2.0, 0.4], [0.2, 0.4, 0.5]])
    model = Denoiser((3,), lambda x, alpha, sigma: alpha * x @ shear.to(x))
    eta = np.array([[0.1, 0.2, 0.3, -0.5], [0.4, 0.1, 0.0, -1.0]])
    for entries in (2, 3):
        assert np.abs(trace_deviations(model, eta, None, entries, 400, 1)).max() < 4


@pytest.mark.parametrize(("change", "line"), [
    ({"endpoints": [1, 1]}, r"endpoints = \[1, 1\]: takes two different pictures"),
    ({"pair": [0, 99999]}, r"pair = \[0, 99999\]: takes two different pictures, from 0 to 1021"),
    ({"levels": [20.0]}, r"levels\[0\] = 20.0: .*<= 6"),
    ({"fine_pairs": 61}, "fine_pairs = 61: takes at most pairs = 60"),
    ({"nodes": 50}, "nodes = 50: takes at most curve_points - 2"),
    ({"model": "no-such-model"}, "model = 'no-such-model'"),
])
def test_bad_parameters_cost_one_line(change, line):
    with pytest.raises(ParameterError, match=line) as error:
        runner.check(runner.find_chapter("09"), change)
    assert "\n" not in str(error.value)


def test_affine_independence_is_measured():
    """Black, grey and white lie on a line; two equal pictures count once."""
    rng = np.random.default_rng(0)
    assert affine_rank(rng.normal(size=(7, 20))) == 6
    assert affine_rank(np.outer([0.0, 0.5, 1.0], np.ones(5))) == 1
    assert affine_rank(rng.normal(size=(6, 20))[[0, 1, 2, 3, 4, 4]]) == 4


def test_two_kinds_of_minimised_curves_are_great_circles():
    apart = distances_of(np.random.default_rng(1).normal(size=(4, 6)))
    apart /= apart[np.triu_indices(4, 1)].mean()
    errors = sphere_errors(apart, [1.0, 0.7])
    assert errors.shape == (12, 3) and errors[:, :2].max() < 1e-6
