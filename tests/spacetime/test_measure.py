"""Errors of length and energy: coverage on made noise, the bias that the jackknife takes out, that of clamping."""

import numpy as np

from phasebook.spacetime.expectations import Expectations
from phasebook.spacetime.measure import clamped_energy, jackknifed, measured


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
