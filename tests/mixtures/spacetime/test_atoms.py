"""Atoms: arccos against the chord, the minimised curve on a line against quadrature and the published length."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.spacetime.atoms import (
    free_distance,
    great_circle,
    great_circle_path,
    great_circles,
    level_posteriors,
    line_distance,
    no_signal_length,
)
from phasebook.mixtures.spacetime.energy import posterior_parts


def test_great_circle_and_its_path():
    w = np.random.default_rng(0).dirichlet(np.ones(5), 2)
    assert abs(great_circle(*w) - 2 * np.arccos(np.sqrt(w[0] * w[1]).sum())) < 1e-12
    assert great_circle(w[0], w[0]) == 0
    assert abs(great_circle(*np.eye(4)[:2]) - np.pi) < 1e-12
    path = great_circle_path(*w, np.linspace(0, 1, 7))
    np.testing.assert_allclose(path[[0, -1]], w, atol=1e-15)
    np.testing.assert_allclose(path.sum(1), 1, atol=1e-12)
    pieces = [great_circle(a, b) for a, b in zip(path[:-1], path[1:], strict=True)]
    np.testing.assert_allclose(pieces, great_circle(*w) / 6, rtol=1e-9)


def test_three_atoms_on_a_line():
    """The minimised curve finds k = 0 by itself; its length is the quadrature's, between pi and 2 pi."""
    found, snr = line_distance([-1.0, 0, 1])
    assert abs(found - no_signal_length([-1.0, 0, 1])) < 1e-5 and abs(found - 4.074720) < 1e-5
    assert snr < 1e-6


@pytest.mark.parametrize("x, known", [(np.arange(5.0), 5.153744), ([0.0, 3.0], np.pi)])
def test_other_atoms_on_a_line(x, known):
    """Two atoms are affinely independent: pi. Five: the published length of the path along k = 0."""
    assert abs(no_signal_length(x) - known) < 2e-6
    assert line_distance(x)[0] < known + 1e-4


def test_scale_does_not_matter():
    assert abs(no_signal_length([-5.0, 1, 7]) - no_signal_length([-1.0, 0, 1])) < 1e-9


def test_posteriors_of_atoms_are_those_of_the_mixture_and_their_distance_that_of_a_free_curve():
    x = np.random.default_rng(3).normal(size=(5, 4))
    square = ((x[:, None] - x) ** 2).sum(-1)
    w = level_posteriors(square, 0.8)
    eta = np.column_stack([x / 0.8**2, np.full(5, -0.5 / 0.8**2)])
    np.testing.assert_allclose(w, posterior_parts(Mixture.atoms(x), eta)[0], atol=1e-12)
    d = great_circles(w)
    assert abs(d[0, 1] / great_circle(w[0], w[1]) - 1) < 1e-9 and (np.diag(d) == 0).all()
    assert abs(free_distance(w[0], w[3], 16) / d[0, 3] - 1) < 1e-6


@pytest.mark.parametrize("points", [8, 16, 64])
@pytest.mark.parametrize("skew", [1.0, 0.1, 0.03])
def test_a_free_curve_between_skewed_weights_is_the_arc(skew, points):
    """Weights down to 1e-30, where one that starts at their logarithms ends up to a third too long."""
    rng = np.random.default_rng(0)
    for _ in range(2):
        w = rng.dirichlet(np.full(5, skew), 2) + 1e-30
        w /= w.sum(1, keepdims=True)
        assert free_distance(*w, points) == pytest.approx(2 * np.arccos(np.sqrt(w[0] * w[1]).sum()), rel=2e-8)


@pytest.mark.parametrize("points", [8, 64])
def test_a_free_curve_between_near_weights_has_their_chord(points):
    w = np.array([[3e-16, 1 - 2e-9, 2e-9], [2e-14, 1 - 1e-9, 1e-9]])
    assert free_distance(*w, points) == pytest.approx(2 * np.linalg.norm(np.diff(np.sqrt(w), axis=0)), rel=1e-9)
    assert free_distance(w[0], w[0], points) == 0


def test_equal_ends_and_impossible_weights():
    w = np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(great_circle_path(w, w, np.linspace(0, 1, 5)), np.tile(w, (5, 1)), atol=1e-15)
    with pytest.raises(ValueError, match="w, w_: a weight of 0; takes positive ones"):
        free_distance(w, np.array([0.0, 0.5, 0.5]), 16)
    with pytest.raises(ValueError, match="points = 6: takes 8, 12"):
        free_distance(w, w[::-1], 6)
    with pytest.raises(ValueError, match="w, w_: sums 2 and 1; takes weights of sum 1"):
        free_distance(2 * w, w)


@pytest.mark.parametrize("length", [line_distance, no_signal_length], ids=["minimised", "quadrature"])
@pytest.mark.parametrize("x", [[0.0, 1, -1], [0.0, 0, 1], [1.0]], ids=["unsorted", "equal", "one"])
def test_positions_on_a_line_ascend(length, x):
    with pytest.raises(ValueError, match="takes two or more positions on a line, ascending"):
        length(x)


@pytest.mark.parametrize("gap, known", [(1e-2, 4.659610363), (1e-3, 4.704824580), (1e-6, 4.712374511)])
def test_uneven_atoms_have_a_peak_for_each_gap(gap, known):
    """Two peaks of width 1 in log q; with the gap they tend to pi + pi / 2. No search may end above the curve k = 0."""
    assert no_signal_length([0, gap, 1]) == pytest.approx(known, abs=1e-9)
    if gap == 1e-2:
        assert line_distance([0, gap, 1], 16)[0] <= known + 1e-9
