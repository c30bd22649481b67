"""Two optimisers of a spline reach one energy."""

import numpy as np

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule
from phasebook.mixtures.spacetime.geodesic import geodesic

TOY = Mixture(np.array([[-2.5], [0.5], [2.5]]), np.full(3, 0.75**2), np.array([0.275, 0.45, 0.275]))
LINEAR = schedule("log_snr_linear")


def test_adam_agrees_with_lbfgs():
    ends = np.array([[0.35, -2.3], [0.4, 2.0]])
    a = geodesic(TOY, LINEAR, ends, nodes=4, points=64, optimiser="adam", iterations=400)
    b = geodesic(TOY, LINEAR, ends, nodes=4, points=64)
    assert abs(a.energy / b.energy - 1) < 1e-4
