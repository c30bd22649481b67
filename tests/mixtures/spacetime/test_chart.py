"""Coordinates of spacetime: their inverse, the gradient of a curve's energy against central differences."""

import numpy as np

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule
from phasebook.mixtures.spacetime import energy as spacetime
from phasebook.mixtures.spacetime.chart import Chart, CurveEnergy

LINEAR = schedule("log_snr_linear")
PLANE = Mixture(np.array([[-1.0, 0.5], [1.0, 0.0], [0.2, -1.0]]), np.array([0.1, 0.0, 0.3]), np.array([0.3, 0.3, 0.4]))


def eta_at(t, x):
    t = np.asarray(t, float)
    return spacetime.eta_of(np.asarray(x, float).reshape(len(t), -1), LINEAR.alpha(t), LINEAR.sigma(t))


def test_gradient_of_the_curve_energy():
    """Against central differences, penalty included."""
    rng = np.random.default_rng(0)
    curve = CurveEnergy(PLANE, eta_at([0.3, 0.6], rng.normal(size=(2, 2))), 0.5, 2.0)
    curve.weight = 3.0
    z = curve.chart.circle(*curve.ends, np.linspace(0, 1, 7)) + 0.1 * rng.normal(size=(7, 3))
    gradient, numeric = curve(z)[1], np.zeros_like(z)
    for index in np.ndindex(z.shape):
        h = np.zeros_like(z)
        h[index] = 1e-6
        numeric[index] = (curve(z + h)[0] - curve(z - h)[0]) / 2e-6
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-6)
    chart = Chart.of(PLANE)
    np.testing.assert_allclose(chart.of_eta(chart.eta(z)), z, rtol=1e-10)
