"""Errors of length and energy: coverage on made noise, the bias that the jackknife takes out, that of clamping."""

import numpy as np
import pytest

from phasebook.spacetime.expectations import Expectations
from phasebook.spacetime.measure import clamped_energy, jackknifed, length_ratio, measured, negative_terms
from tests.builders import refuses


def made(rng, probes=6, points=30, noise=0.5):
    """A straight curve of length 1 whose second moment is noisy at every point alike or apart."""
    s = np.linspace(0, 1, points)
    eta = np.column_stack([s, -1 - s])
    square = 0 * s + noise * rng.normal(size=(probes, points))
    return eta, Expectations(s[:, None], square)


def test_intervals_cover_and_clamping_biases():
    rng, inside, clamped = np.random.default_rng(0), [], []
    truth = 1 / 29
    for _ in range(200):
        eta, e = made(rng)
        energy = measured(eta, e).energy
        inside.append(energy.low <= truth <= energy.high)
        clamped.append(clamped_energy(eta, e).value)
    assert 0.9 < np.mean(inside) <= 1
    assert np.mean(clamped) > 5 * truth


def test_a_single_probe_has_no_interval():
    eta, e = made(np.random.default_rng(1), probes=1, noise=0)
    found = measured(eta, e)
    assert abs(found.length.value - 1) < 1e-12 and np.isinf(found.energy.high)


def test_the_jackknife_removes_the_bias_of_a_square():
    """The square of a mean of r numbers of variance 1 is too large by 1/r."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(4000, 4, 1)) + 1
    plain = np.mean([row.mean() ** 2 for row in rows])
    freed = np.mean([jackknifed(row, lambda mean: float(mean[0] ** 2)).value for row in rows])
    assert plain - 1 > 0.2 and abs(freed - 1) < 0.06


def test_what_two_curves_have_in_common_leaves_their_ratio():
    """A curve and one three times as long, whose terms the probes scale alike: the ratio is exact, no length is."""
    rng = np.random.default_rng(3)
    scale = 1 + 0.3 * rng.normal(size=(6, 1))
    s = np.linspace(0, 1, 5)
    short = np.column_stack([0 * s, -1 + s]), Expectations(np.zeros((5, 1)), scale * s)
    long = np.column_stack([0 * s, -4 + 3 * s]), Expectations(np.zeros((5, 1)), 3 * scale * s)
    ratio, length = length_ratio(short, long), measured(*short).length
    assert ratio.value == pytest.approx(1 / 3) and ratio.high - ratio.low < 1e-9 < 0.05 < length.high - length.low
    noisy = short[0], Expectations(short[1].x0, short[1].square + 0.3 * rng.normal(size=(6, 1)) * s)
    plain, wide = length_ratio(noisy, long), length_ratio(noisy, long, 0.999)
    assert plain.low < plain.value < plain.high and wide.low < plain.low
    with pytest.raises(ValueError, match="probes: 6 and 2; takes the same on both curves"):
        length_ratio(short, (long[0], Expectations(long[1].x0, long[1].square[:2])))


def test_a_term_that_no_posterior_has_is_named_and_shortens_nothing():
    rng = np.random.default_rng(4)
    eta = np.column_stack([np.zeros(5), np.arange(5) - 5.0])
    square = np.array([0.0, 1, 2, 1, 2]) + 0.02 * rng.normal(size=(8, 5))      # it falls once, on the third step
    curve = eta, Expectations(np.zeros((5, 1)), square)
    assert negative_terms(curve).tolist() == [False, False, True, False]
    assert measured(*curve).length.value == pytest.approx(4, abs=0.05)
    assert measured(*curve).energy.value == pytest.approx(2, abs=0.1)


def test_clamping_is_by_coordinate():
    """Two coordinates of which one falls: the sum is positive, so that clamping *it* would change nothing."""
    s = np.linspace(0, 1, 5)
    eta = np.column_stack([s, s, -1 - s])
    e = Expectations(np.column_stack([2 * s, -s]), np.tile(-0.5 * s, (3, 1)))
    assert measured(eta, e).energy.value == pytest.approx((2 - 1 + 0.5) / 4)
    assert clamped_energy(eta, e).value == pytest.approx((2 + 0.5) / 4)


def test_noise_of_new_probes_grows_with_the_points():
    """Of a fixed curve the clamped noise stays while the energy falls: the ratio grows with the number of points."""
    rng, ratios = np.random.default_rng(5), []
    for points in (8, 32, 128):
        curves = [made(rng, probes=8, points=points) for _ in range(40)]
        ratios.append(np.median([clamped_energy(*c).value for c in curves]) * (points - 1))
    assert 1 < ratios[0] < ratios[1] / 2 < ratios[2] / 4


def test_what_is_not_measured():
    eta, e = made(np.random.default_rng(0))
    still = np.repeat(eta[:1], 30, 0), Expectations(np.zeros((30, 1)), np.ones((6, 30)))
    for call, words in ((lambda: measured(eta[:5], e), "eta, expectations: shapes (5, 2), (30, 1), (6, 30)"),
                        (lambda: clamped_energy(eta, Expectations(e.x0[:2], e.square)), "shapes (30, 2), (2, 1)"),
                        (lambda: clamped_energy(eta, Expectations(e.x0, e.square[:1])), "probes = 1: takes a whole"),
                        (lambda: length_ratio((eta, e), still), "other: a curve of length 0"),
                        (lambda: length_ratio((eta, e), (eta, e), 1.5), "level = 1.5: takes a share in (0, 1)"),
                        (lambda: negative_terms((eta, Expectations(e.x0, e.square[:1]))), "probes = 1: takes a whole"),
                        (lambda: jackknifed(np.ones((0, 2)), np.sum), "rows = 0: takes a whole number >= 1")):
        refuses(call, words)
