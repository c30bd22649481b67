"""Cells of a mixture source against samples, limits and quantiles; mismatches against angles and strips."""

import numpy as np
import pytest
from scipy.special import ndtr

from phasebook.theory.cells.mixture_cells import cell_of, lines, mismatch, mixture_cells
from phasebook.theory.cells.power_cells import solve

Y = np.array([[-1.2, 0.3], [0.2, 1.1], [1.3, 0.1], [-0.3, -1.0], [0.3, 0.2]])
W = np.array([0.25, 0.15, 0.3, 0.2, 0.1])


@pytest.mark.parametrize("s", [0.2, 0.6, 2.0])
def test_samples_of_the_source_fill_the_cells_by_weight(s):
    rng = np.random.default_rng(0)
    x = Y[rng.choice(5, 400_000, p=W)] + s * rng.standard_normal((400_000, 2))
    share = np.bincount(cell_of(Y, mixture_cells(Y, W, s), x), minlength=5) / len(x)
    assert np.abs(share - W).max() < 4e-3


def test_far_noise_gives_the_cells_of_a_gaussian_and_little_noise_keeps_atoms_apart():
    s = 1e4
    far = (mixture_cells(Y, W, s) - Y @ (W @ Y)) / s
    assert np.abs(far - far.min() - solve(Y, W).values).max() < 1e-3
    x = Y[np.arange(5).repeat(200)] + 0.3 * np.random.default_rng(1).uniform(-1, 1, (1000, 2))
    assert (cell_of(Y, mixture_cells(Y, W, 0.02), x) == np.arange(5).repeat(200)).all()


def test_atoms_on_a_line_are_the_limit_of_atoms_beside_it():
    y, w = np.array([[-1.0, -2.0], [0.0, 0.0], [0.5, 1.0]]), np.array([0.2, 0.5, 0.3])
    bent = y + [[0, 0], [1e-6, 0], [0, 0]]
    x = np.random.default_rng(2).standard_normal((5000, 2)) * 2
    assert (cell_of(y, mixture_cells(y, w, 0.5), x) != cell_of(bent, mixture_cells(bent, w, 0.5), x)).mean() < 1e-3


@pytest.mark.parametrize("angle", [0.01, 0.3, 1.2])
def test_half_planes_differ_by_their_angle(angle):
    def half(turn):
        return lambda z: (z @ [np.cos(turn), np.sin(turn)] > 0).astype(int)

    off = mismatch(lines(half(0.2), 4000, 3), lines(half(0.2 + angle), 4000, 3))
    assert off == pytest.approx(angle / np.pi, rel=0.03)


def test_strips_differ_by_their_mass():
    def strip(at):
        return lambda z: (z[:, 0] > at).astype(int)

    off = mismatch(lines(strip(0.3), 300, 0), lines(strip(0.3005), 300, 0))
    assert off == pytest.approx(ndtr(0.3005) - ndtr(0.3), rel=0.1)
    assert mismatch(lines(strip(0.3), 20, 0), lines(strip(0.3), 20, 0)) == 0
