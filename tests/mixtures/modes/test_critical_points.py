"""Modes in the plane: the triangle's fourth mode against its own equations, a brute grid, one mode of a Gaussian."""

import numpy as np
import pytest
from scipy.ndimage import maximum_filter
from scipy.optimize import fsolve

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.critical_points import equilateral_triangle, mode_count_changes, modes


def triangle_fold():
    """Where outer mode and saddle meet on the axis through an atom: the score and its derivative vanish."""
    def along(r, s):
        near, far = np.exp(-(r - 1) ** 2 / (2 * s**2)), 2 * np.exp(-((r + 0.5) ** 2 + 0.75) / (2 * s**2))
        return ((1 - r) * near - (r + 0.5) * far) / (near + far)

    def both(v):
        r, s = v
        return [along(r, s), (along(r + 1e-4, s) - along(r - 1e-4, s)) / 2e-4]
    return fsolve(both, [0.4, 0.74], xtol=1e-9)[1]


def test_window_of_the_triangle():
    changes = mode_count_changes(equilateral_triangle(), 0.4, 1.2)
    assert [(below, above) for _, below, above in changes] == [(3, 4), (4, 1)]
    assert changes[0][0] == pytest.approx(1 / np.sqrt(2), abs=1e-6)
    assert changes[1][0] == pytest.approx(triangle_fold(), abs=1e-5)
    assert triangle_fold() == pytest.approx(0.7391, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_against_a_grid(seed):
    rng = np.random.default_rng(seed)
    mixture = Mixture(rng.normal(size=(5, 2)), np.zeros(5), rng.dirichlet(np.ones(5) * 4))
    axis = np.linspace(-4, 4, 400)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    for s in (0.3, 0.6, 1.0):
        log_p = mixture.log_density(grid, 1.0, s)
        assert len(modes(mixture, s)) == (log_p == maximum_filter(log_p, 3)).sum()


def test_limits_and_refusal():
    mixture = Mixture.atoms([[0.0, 0.0], [2.0, 0.0]], np.array([0.5, 0.5]))
    assert modes(mixture, 0.9).shape == (2, 2)
    assert modes(mixture, 1.1) == pytest.approx(np.array([[1.0, 0.0]]), abs=1e-8)
    assert modes(mixture, 0.01)[:, 0] == pytest.approx([0.0, 2.0], abs=1e-6)
    assert mode_count_changes(mixture, 0.5, 2.0)[0][0] == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ValueError, match="s = 0: takes a number > 0"):
        modes(mixture, 0)


def test_at_and_beside_a_critical_level_no_mode_is_invented():
    """Two atoms at +-1 part at s = 1; three by the weights below where a quartic vanishes, from one mode to three."""
    two = Mixture.atoms([[-1.0], [1.0]])
    assert [len(modes(two, s)) for s in (1.0, 1 + 1e-12, 1 + 1e-6, 1 - 1e-7)] == [1, 1, 1, 2]
    assert abs(modes(two, 1 - 1e-7)).ravel() == pytest.approx(np.sqrt(6e-7), rel=1e-3)
    assert mode_count_changes(two, 0.5, 2.0, grid=41)[0] == pytest.approx((1, 2, 1), abs=1e-7)
    w = 1 / (4 * np.exp(-1.5) + 2)
    flat = Mixture.atoms([[-1.0], [0.0], [1.0]], np.array([w, 1 - 2 * w, w]))
    assert [len(modes(flat, 3**-0.5 * (1 + x))) for x in (1e-6, 1e-7, 1e-12)] == [1, 1, 1]


def test_a_change_is_found_in_any_unit():
    (s, below, above), = mode_count_changes(Mixture.atoms([[-1e9], [1e9]]), 5e8, 2e9)
    assert (s, below, above) == (pytest.approx(1e9, rel=1e-6), 2, 1)


def test_modes_know_no_origin():
    """At a critical level a slope far from the origin is rounding: a sixth mode came and went."""
    y = np.random.default_rng(4).standard_normal((5, 2))
    for s in np.linspace(0.124597, 0.124601, 9):
        assert len(modes(Mixture.atoms(y + 1e4), s)) == len(modes(Mixture.atoms(y), s))
