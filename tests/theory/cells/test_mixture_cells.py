"""Cells of a mixture source against samples, limits and quantiles; mismatches against angles and strips."""

import numpy as np
import pytest
from scipy.special import ndtr

from phasebook.theory.cells.mixture_cells import cell_of, lines, mismatch, mixture_cells
from phasebook.theory.cells.power_cells import solve
from tests.builders import refuses

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


@pytest.mark.parametrize("y, w", [(Y, W), ([[-1.0, -2.0], [0.0, 0.0], [0.5, 1.0]], [0.2, 0.5, 0.3])],
                         ids=["plane", "line"])
@pytest.mark.parametrize("origin, unit", [(0.0, 1e-9), (0.0, 1e-14), (0.0, 1e9), (1e4, 1.0), (1e7, 1.0), (3e-6, 1e-9)])
def test_cells_know_no_unit_and_no_origin(y, w, origin, unit):
    """Walls of the moved data lie where those of the data do, to the rounding of the moved coordinates."""
    y, w, shift = np.array(y), np.array(w), origin * np.array([1.0, -1 / 3])
    x = np.random.default_rng(3).standard_normal((20_000, 2)) * 2
    near = cell_of(y, mixture_cells(y, w, 0.5), x)
    moved = unit * y + shift
    off = cell_of(moved, mixture_cells(moved, w, 0.5 * unit), unit * x + shift) != near
    assert off.mean() <= (1e-4 if origin == 1e7 else 0)


def test_cells_on_a_line_are_those_of_its_quantiles():
    """The cut of a strip splits the mixture's mass on the line, by SciPy's distribution function."""
    y, w, s = np.array([[-3e-9, 0.0], [1e-9, 0.0], [2e-9, 0.0]]), np.array([0.3, 0.3, 0.4]), 2e-9
    g = mixture_cells(y, w, s)
    cuts = np.diff(g) / np.diff(y[:, 0])
    assert ndtr((cuts[:, None] - y[:, 0]) / s) @ w == pytest.approx([0.3, 0.6], abs=1e-13)


def test_what_has_no_cells():
    for n in (2, 3, 5):
        twice = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0], [1.0, 0.0]])[:n]
        refuses(lambda y=twice: mixture_cells(y, np.full(len(y), 1 / len(y)), 0.5), "atoms[0] and atoms[1]", "coincide")
    refuses(lambda: mixture_cells(Y, 2 * W, 0.5), "atom_weights: sum 2")
    for s in (0.0, -1.0, np.nan):
        refuses(lambda s=s: mixture_cells(Y, W, s), f"s = {s}: takes a noise level > 0")


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


@pytest.mark.parametrize("n, s, spread", [(6, 0.04, 1), (5, 0.016, 1), (5, 0.08, 6), (7, 0.3, 6), (8, 0.03, 0)])
def test_atoms_far_apart_in_units_of_the_noise_have_cells_too(n, s, spread):
    """Parts that exchange no mass leave Newton's matrix singular to rounding; masses by samples of the source."""
    rng = np.random.default_rng(n)
    for _ in range(5):
        y, w = rng.standard_normal((n, 2)), 10.0 ** rng.uniform(-spread, 0, n)
        w /= w.sum()
        g = mixture_cells(y, w, s)
        x = y[:, None] + s * rng.standard_normal((n, 20_000, 2))
        inside = cell_of(y, g, x)[:, :, None] == np.arange(n)
        assert np.abs(w @ inside.mean(1) - w).max() < 4e-3
