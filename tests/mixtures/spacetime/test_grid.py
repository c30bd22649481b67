"""Shortest paths on a grid against geodesics, which share nothing with them."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule
from phasebook.mixtures.spacetime.geodesic import geodesic
from phasebook.mixtures.spacetime.grid import shortest_path
from tests.builders import refuses

TOY = Mixture(np.array([[-2.5], [0.5], [2.5]]), np.full(3, 0.75**2), np.array([0.275, 0.45, 0.275]))
LINEAR = schedule("log_snr_linear")


@pytest.mark.parametrize("mixture, ends, slack", [
    (TOY, [[0.35, -2.3], [0.4, 2.0]], 0.02),
    (Mixture.atoms(np.array([[-1.8], [-0.9], [0.1], [0.7], [1.6]])), [[0.36, 1.3], [0.43, -0.6]], 0.03),
])
def test_shortest_path_on_a_grid(mixture, ends, slack):
    """Never shorter, and only as much longer as the grid's directions cost: the geodesic is the global one."""
    g = geodesic(mixture, LINEAR, np.array(ends), accuracy=1e-6)
    by_grid, eta = shortest_path(mixture, LINEAR, np.array(ends))
    assert g.length * (1 - 1e-4) < by_grid < g.length * (1 + slack)
    np.testing.assert_allclose(eta[[0, -1]], g.eta[[0, -1]], rtol=1e-9)


def test_a_plane_has_no_grid():
    with pytest.raises(ValueError, match="its data have 2 dimensions; takes one"):
        shortest_path(Mixture.atoms(np.eye(3)[:, :2]), LINEAR, np.array([[0.3, 0.0], [0.4, 1.0]]))


@pytest.mark.parametrize("ends, more, words", [
    ([[0.3, 0.0], [1.5, 1.0]], {}, "endpoints: t = 1.5 is outside the schedule"),
    ([[0.3, 0.0], [np.nan, 1.0]], {}, "endpoints: NaN or Inf at"), ([[0.3, 0.0]], {}, "endpoints: shape (1, 2)"),
    ([[0.3, 0.0, 0.0], [0.4, 1.0, 0.0]], {}, "endpoints: 2 coordinates; the mixture has 1"),
    ([[0.3, 0.0], [0.4, 1.0]], {"shape": (1, 5)}, "shape = 1: takes a whole number >= 2"),
    ([[0.3, 0.0], [0.4, 1.0]], {"reach": 0}, "reach = 0: takes a whole number >= 1"),
])
def test_what_has_no_path(ends, more, words):
    refuses(lambda: shortest_path(Mixture.atoms([[-1.0], [1.0]]), LINEAR, ends, **more), words)
