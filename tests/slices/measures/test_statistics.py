"""Statistics of slices against hand-made sequences, SciPy and closed forms."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from phasebook.models.denoiser import Denoiser
from phasebook.models.gaussian import GaussianModel
from phasebook.sampling.levels import scaled_linear_levels
from phasebook.slices.measures import statistics as st
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import slice_of
from phasebook.stats import Estimate
from tests.builders import refuses


def test_the_largest_deviation_is_numpys():
    points = np.random.default_rng(0).normal(size=(50, 3)) * [1, 5, 2] + 7
    covariance = np.cov(points.T, ddof=0)
    assert st.largest_deviation(points @ points.T) == pytest.approx(np.sqrt(np.linalg.eigvalsh(covariance)[-1]))


def test_windows_of_noise():
    noise = np.array([2.0, 1.0, 0.5, 0.1, 0.05])
    assert st.early(noise).tolist() == [True, True, False, False, False]
    assert st.late(noise).tolist() == [False, False, False, True, True]
    assert not st.late(np.array([3.0, 2.0, 1.0])).any()          # no small noise, and nothing stands in for it


def test_branching_does_not_punish_a_late_onset():
    late = np.r_[np.ones(15), np.arange(2, 12)]
    assert st.branching(late) == 1 and spearmanr(np.arange(25), late).statistic < 0.9
    assert st.branching(np.ones(9)) == 0 and st.branching(np.arange(5)[::-1]) == -1
    assert st.branching(np.arange(5, dtype=np.uint8)[::-1]) == -1
    rng = np.random.default_rng(1)
    distinct = rng.permutation(20)                       # without ties gamma is Kendall's tau
    assert st.branching(distinct) == pytest.approx(kendalltau(np.arange(20), distinct).statistic)


def test_a_slice_that_stays_whole_is_never_half_parted():
    assert st.half_parted(np.array([1, 1, 2, 3, 5])) == 3 and st.half_parted(np.array([1, 2, 4])) == 1
    assert st.half_parted(np.ones(4, int)) is None and st.half_parted(np.array([1, 3, 1])) is None


def test_rest_begins_after_the_last_movement():
    noise = np.array([2.0, 1.0, 0.5, 0.25])
    assert st.rests_from(noise, np.array([True, False, True, True])) == 0.5
    assert st.rests_from(noise, np.ones(4, bool)) == 2.0 and st.rests_from(noise, np.arange(4) < 3) is None


def made(jump_alpha, jump_beta, trace):
    values = {"jump_alpha": jump_alpha, "jump_beta": jump_beta, "trace": trace}
    return SimpleNamespace(values=lambda name, feature=None, exact=False: values[name],
                           plane=SimpleNamespace(spacing=(0.1, 0.1)))


def test_overlap_of_ridges():
    up = np.zeros((2, 4, 5))
    up[0, 1, :3], up[1, 1, 1:4] = 1.0, 1.0               # three edges each, two of four in common
    one = made(up, np.zeros((2, 5, 4)), None)
    assert st.ridge_overlap(one, 0.5, 0, 1) == 0.5 and st.ridge_overlap(one, 0.5, 0, 0) == 1
    assert st.ridge_overlap(one, 2.0, 0, 1) is None
    assert st.ridge_share(one, 2.0, 0) == 0 and st.ridge_share(one, -1.0, 0) == 1


def test_interior_sensitivity_is_one_for_an_even_map_and_small_for_a_ridge():
    even = made(np.full((1, 4, 5), 0.3), np.full((1, 5, 4), 0.4), np.full((1, 5, 5), 25.0))
    assert st.interior_sensitivity(even)[0] == pytest.approx(1)
    jump = np.zeros((1, 4, 5))
    jump[0, 2] = 1.0
    ridge = made(jump, np.zeros((1, 5, 4)), np.full((1, 5, 5), 1e-6))
    assert st.interior_sensitivity(ridge)[0] == pytest.approx(1e-3 / 2.5)
    assert np.isnan(st.interior_sensitivity(made(0 * jump, np.zeros((1, 5, 4)), np.zeros((1, 5, 5))))[0])


@pytest.mark.parametrize("normalise", [True, False])
def test_contrast_of_a_plane_is_that_of_its_latents(normalise):
    plane = Plane(seeded_anchors((3, 8, 8), 3), grid=41, normalise=normalise)
    identity = Denoiser((3, 8, 8), lambda x, alpha, sigma: x, name="identity")
    whole = st.contrast(slice_of(identity, plane, identity.levels(1)), 0)
    assert st.plane_contrast(plane) == pytest.approx(whole, rel=0.02)
    assert normalise or whole == pytest.approx(1)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_contrast_has_no_unit(unit):
    """One point of nine is three times as steep; or it alone has a slope; or none."""
    square = np.ones((1, 3, 3))
    square[0, 1, 1] = 9
    for values, expected in ((square, 3.0), (square - 1, np.inf), (0 * square, 1.0)):
        one = SimpleNamespace(values=lambda name, feature=None, values=values: unit**2 * values)
        assert st.contrast(one, 0) == pytest.approx(expected)


def test_observations_of_a_gaussian(small):
    """No ridge, hence no overlap; nothing branches."""
    one = slice_of(GaussianModel.of(small), Plane(seeded_anchors(small.shape, 3), grid=7), scaled_linear_levels(20))
    noise = one.levels.sigma_over_alpha / st.largest_deviation(small.gram.numpy())
    found = st.observations(one, noise)
    assert found.overlap is None and found.branching == 0 and 0 < found.flat < 1
    assert st.observations(one, noise * 1e-3).flat is None           # a schedule that begins too late
    assert st.observations(one, noise / noise[-1]).flat is None      # and one that ends too early
    assert found.pattern is None
    s = st.mean_s(one)
    assert found.plateau == noise[np.argmax(np.abs(s / s[-1] - 1) <= 0.05)]


def test_a_hull_lies_on_both_sides_where_conditions_disagree():
    a, b = Estimate(1.0, 0.5, 1.5, 12), Estimate(9.0, 8.0, 10.0, 20)
    assert st.hull([a, None, b]) == Estimate(1.0, 0.5, 10.0, 12)
    assert st.hull([None]) is None


def test_agreement_is_spearmans_and_its_null_that_of_other_slices():
    rng = np.random.default_rng(0)
    first = rng.random((3, 2, 40))
    second = first + 0.3 * rng.random((3, 2, 40))
    own, null = st.agreement(first, second)
    assert own[1, 0] == pytest.approx(spearmanr(first[1, 0], second[1, 0]).statistic)
    others = [spearmanr(first[1, 0], second[k, 0]).statistic for k in (0, 2)]
    assert null[1, 0] == pytest.approx(np.mean(others))
    assert np.isnan(st.agreement(first[:1], second[:1])[1]).all()


@pytest.mark.parametrize("n", [5, 700])
def test_points_that_are_all_equal_have_no_deviation(n):
    point = np.random.default_rng(0).normal(size=(1, 3)).repeat(n, 0)
    for gram in (np.zeros((n, n)), point @ point.T):
        refuses(lambda gram=gram: st.largest_deviation(gram), f"gram: all {n} points are equal")
    refuses(lambda: st.largest_deviation(np.ones(n)), f"gram: shape ({n},); takes inner products (n, n)")
    refuses(lambda: st.largest_deviation([[np.nan]]), "gram: NaN or Inf")


def test_the_largest_deviation_of_many_points_is_that_of_all_eigenvalues():
    points = np.random.default_rng(3).normal(size=(700, 5)) * [3, 2, 1, 1, 0.5] + 7
    largest = np.linalg.eigvalsh(np.cov(points.T, ddof=0))[-1]
    assert st.largest_deviation(points @ points.T) == pytest.approx(np.sqrt(largest))
