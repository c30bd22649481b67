"""Free polygons: closed forms by extrapolation, no point beyond the bound."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule
from phasebook.mixtures.spacetime import energy as spacetime
from phasebook.mixtures.spacetime.atoms import great_circle
from phasebook.mixtures.spacetime.chart import CurveEnergy
from phasebook.mixtures.spacetime.geodesic import geodesic
from phasebook.mixtures.spacetime.half_space import gaussian_distance, level_distance
from phasebook.mixtures.spacetime.polygon import least_polygon, polygon_length

LINEAR = schedule("log_snr_linear")


def eta_at(t, x):
    t = np.asarray(t, float)
    return spacetime.eta_of(np.asarray(x, float).reshape(len(t), -1), LINEAR.alpha(t), LINEAR.sigma(t))


def test_time_stays_within_the_schedule():
    """Far atoms: unconstrained, the curve wants k < 0; the penalty keeps it on t = T."""
    mixture = Mixture.atoms(np.array([[-1.0], [0.0], [1.0]]), np.array([0.45, 0.1, 0.45]))
    ends = np.array([[0.35, -0.9], [0.35, 0.9]])
    free = CurveEnergy(mixture, eta_at(ends[:, 0], ends[:, 1]), -np.inf, np.inf)
    z, _ = least_polygon(free, free.chart.circle(*free.ends, np.linspace(0, 1, 128)))
    assert free.chart.eta(z)[:, 1].max() > 0
    q = np.linspace(-40, 40, 20001)                  # from atom to atom along t = T: an upper bound
    eta = np.column_stack([q, np.full_like(q, -np.exp(-10) / 2)])
    along = spacetime.length(eta, spacetime.mu_of(mixture, eta))
    circle = great_circle(*spacetime.posterior_parts(mixture, eta_at(ends[:, 0], ends[:, 1]))[0])
    g = geodesic(mixture, LINEAR, ends, points=256, accuracy=1e-5)
    assert (g.t <= 1).all() and g.on_bound > 100
    assert circle + 0.3 < g.length < along and along - g.length < 0.03


@pytest.mark.parametrize("d, s", [(1, 0.2), (2, 0.5), (64, 0.6)])
def test_gaussian_data_by_extrapolated_polygons(d, s):
    """From a straight chart line to the half circle's length, posterior covariances against the closed form."""
    mixture = Mixture(np.zeros((1, d)), np.ones(1), np.ones(1))
    y = np.random.default_rng(d).normal(size=(2, d)) * s
    ends = np.column_stack([y / s**2, np.full(2, (1 - 1 / s**2) / 2)])
    found, moved = polygon_length(mixture, ends)
    assert abs(found / level_distance(np.linalg.norm(y[1] - y[0]), s, d) - 1) < 1e-7
    assert moved < 1e-6
    assert abs(found / gaussian_distance(y, (s, s)) - 1) < 1e-7


def test_affinely_independent_atoms_by_extrapolated_polygons():
    rng = np.random.default_rng(2)
    atoms = Mixture.atoms(rng.normal(size=(6, 5)), rng.dirichlet(np.ones(6)))
    ends = np.column_stack([rng.normal(size=(2, 5)), np.full(2, -0.5)])
    weights = spacetime.posterior_parts(atoms, ends)[0]
    assert abs(polygon_length(atoms, ends)[0] / great_circle(*weights) - 1) < 1e-7
    for points in (5, 64):
        with pytest.raises(ValueError, match=f"points = {points}: takes 9"):
            polygon_length(atoms, ends, points)


def test_a_length_that_has_not_converged_says_so():
    """Ends that are all but pure: the error is above 1e-5, and so is what the last extrapolation moved."""
    atoms = Mixture.atoms(np.random.default_rng(4).normal(size=(4, 3)))
    ends = np.column_stack([atoms.means[:2] / 0.3**2, np.full(2, -0.5 / 0.3**2)])
    exact = great_circle(*spacetime.posterior_parts(atoms, ends)[0])
    found, moved = polygon_length(atoms, ends, 33)
    assert abs(found / exact - 1) > 1e-5 and moved > 1e-6


@pytest.mark.parametrize("far, d, variance", [(1e6, 1, 1.0), (1e3, 3, 1e-6)])
def test_data_far_from_the_origin_have_the_same_lengths(far, d, variance):
    gaussian = Mixture(np.full((1, d), far), np.array([variance]), np.ones(1))
    y, k = np.full((2, d), far), np.array([1.0, 3.0]) / variance
    y[1] += np.sqrt(variance)
    ends = np.column_stack([k[:, None] * y, -k / 2])
    s = np.sqrt(1 / (1 + variance * k))                 # posteriors: k y + far / V over k + 1 / V, and s in units of V
    middle = (k[:, None] * (y - far) / (k + 1 / variance)[:, None]) / np.sqrt(variance)
    assert abs(polygon_length(gaussian, ends)[0] / gaussian_distance(middle, s) - 1) < 1e-7


def test_equal_ends_have_no_distance():
    atoms = Mixture.atoms(np.random.default_rng(4).normal(size=(4, 3)))
    assert polygon_length(atoms, np.tile([0.1, 0.2, 0.3, -0.5], (2, 1))) == (0.0, 0.0)


@pytest.mark.parametrize("variance", [0.0, 2.0])
def test_one_atom_has_no_distances(variance):
    """All posteriors of one atom are equal; those of one Gaussian are not."""
    one = Mixture(np.array([[0.3]]), np.array([variance]), np.ones(1))
    found, moved = polygon_length(one, np.array([[0.1, -0.5], [2.0, -3.0]]))
    assert (found == moved == 0) if variance == 0 else found > 1


@pytest.mark.parametrize("wide, weight, exact", [(10.0, 0.02, 6.655170678), (40.0, 0.3, 6.697781993)])
def test_a_wide_component_does_not_end_the_search(wide, weight, exact):
    """Some component is wider than the data's mean variance: a step of Newton's would leave the family, and is refused.
    Lengths by SciPy's solve_bvp, the metric and its derivatives by automatic differentiation."""
    mixture = Mixture(np.zeros((2, 1)), np.array([wide, 1e-3]), np.array([weight, 1 - weight]))
    ends = np.array([[0.5, 0.3], [0.2, 3 * LINEAR.alpha(0.2)]])
    found = polygon_length(mixture, eta_at(ends[:, 0], ends[:, 1]), finest=513)[0]
    assert abs(found / exact - 1) < 1e-6
    g = geodesic(mixture, LINEAR, ends, points=1024, accuracy=1e-4)
    assert abs(g.length / exact - 1) < 1e-4 and g.on_bound == 0


def test_ends_outside_of_the_chart_are_refused():
    mixture = Mixture(np.array([[-2.0], [2.0]]), np.full(2, 0.1), np.full(2, 0.5))
    with pytest.raises(ValueError, match=r"ends: k = -5; takes k > -0.243902 \(SNR\)"):
        polygon_length(mixture, np.array([[0.1, 2.5], [0.0, -1.0]]))
    with pytest.raises(ValueError, match=r"ends: shape \(2, 3\); takes \(2, 2\)"):
        polygon_length(mixture, np.zeros((2, 3)))
