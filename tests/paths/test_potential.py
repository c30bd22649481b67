"""Energies against formulas, finite differences and SciPy."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from phasebook.paths.potential import FORMULAS, double_well, mueller_brown, of_formula, of_grid
from tests.builders import refuses


@pytest.mark.parametrize("formula", [mueller_brown, double_well])
def test_gradients_are_those_of_the_energy(formula):
    for x in np.random.default_rng(0).uniform(-1, 1, (5, 2)):
        assert check_grad(lambda z: formula(z)[0], lambda z: formula(z)[1], x) < 1e-4


def test_mueller_brown_has_its_published_minimum():
    assert mueller_brown(np.array([-0.558, 1.442]))[0] == pytest.approx(-146.70, abs=0.01)


def test_a_table_is_its_formula():
    surface = of_formula(*FORMULAS["double_well"])
    x = np.random.default_rng(1).uniform(-1.5, 1.5, (50, 2))
    U, slope = double_well(x)
    assert np.allclose(surface.read(x)[:, 0], U, atol=5e-3)
    assert np.allclose(surface.read(x)[:, 1:], slope, atol=2e-2)


@pytest.mark.parametrize("shape", [(31, 31), (24, 40)])
def test_a_grid_is_continued_by_its_fourier_series_and_cut_where_it_is_empty(shape):
    a, b = (-np.pi + 2 * np.pi * np.arange(n) / n for n in shape)
    surface = of_grid(3 - 2 * np.cos(a[:, None] - 0.5) - np.sin(2 * b), 0.3)
    x = np.random.default_rng(2).uniform(-9, 9, (60, 2))
    U = 3 - 2 * np.cos(x[:, 0] - 0.5) - np.sin(2 * x[:, 1])
    assert np.allclose(surface.read(x)[:, 0], U, atol=1e-3)
    assert np.allclose(surface.read(x)[:, 1], 2 * np.sin(x[:, 0] - 0.5), atol=1e-3)
    assert np.allclose(surface.read(x)[:, 2], -2 * np.cos(2 * x[:, 1]), atol=2e-3)
    assert (surface.within(x) >= surface.low).all() and (surface.within(x) < surface.low + surface.size).all()
    assert surface.low[0] == pytest.approx(0.5 - np.pi, abs=2 * np.pi / shape[0])


@pytest.mark.parametrize("shape", [(6, 6), (6, 7), (8, 5), (1, 2)])
def test_the_slope_of_a_grid_is_that_of_its_energy_between_the_nodes(shape):
    surface = of_grid(np.random.default_rng(3).normal(size=shape), 1.0)
    U, h = surface.table[..., 0], 2 * np.pi / len(surface.table)
    for axis in (0, 1):
        rise = (np.roll(U, -1, axis) - np.roll(U, 1, axis)) / (2 * h)
        np.testing.assert_allclose(surface.table[..., 1 + axis], rise, atol=0.01)


@pytest.mark.parametrize("name", FORMULAS)
def test_nodes_find_their_own_places(name):
    surface = of_formula(*FORMULAS[name])
    x, y = surface.axes(40)
    assert surface.nearest(np.array([x[7], y[31]]), 40).tolist() == [7, 31]


def test_the_stiffest_place_is_that_of_the_formula():
    """`U'' = 40 (3 x^2 - 1)` along x, 20 along y: largest where the energy allows to go farthest out."""
    surface = of_formula(*FORMULAS["double_well"])
    out = np.sqrt(1 + np.sqrt(10 / 10))                      # where 10 (x^2 - 1)^2 = 10
    assert surface.stiffest(10.0) == pytest.approx(40 * (3 * out**2 - 1), rel=0.02)
    a = -np.pi + 2 * np.pi * np.arange(33) / 33
    assert of_grid(2 + np.cos(a)[:, None] + 0 * a, 1.0).stiffest(9.0) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("formula, low, high, words", [
    (double_well, (0, 0), (0, 1), "low, high = (0, 0), (0, 1): takes two corners"),
    (double_well, (1, 1), (0, 0), "low, high = (1, 1), (0, 0)"),
    (lambda x: (np.full(x.shape[:-1], np.nan), x), (0, 0), (1, 1), "formula: NaN or Inf"),
    (lambda x: (x, x), (0, 0), (1, 1), "formula: gives shapes (512, 512, 2), (512, 512, 2)"),
])
def test_what_is_no_energy_on_a_window(formula, low, high, words):
    refuses(lambda: of_formula(formula, low, high), words)
