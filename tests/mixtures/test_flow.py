"""The probability flow: quantiles are kept, pullback geodesics decode to segments."""

import numpy as np
import pytest
from scipy.stats import norm

from phasebook.mixtures.flow import decode, euler_path, pullback_geodesic
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.schedules import schedule
from tests.builders import refuses

TOY = Mixture(np.array([[-2.5], [0.5], [2.5]]), np.full(3, 0.75**2), np.array([0.275, 0.45, 0.275]))
LINEAR = schedule("log_snr_linear")


def test_flow_keeps_quantiles():
    x = np.array([[-1.2], [0.1], [0.9]])

    def cdf(x, t):
        a, s = LINEAR.alpha(t), LINEAR.sigma(t)
        spread = np.sqrt(a**2 * TOY.variances + s**2)
        return norm.cdf((x - a * TOY.means[:, 0]) / spread) @ TOY.weights

    np.testing.assert_allclose(cdf(decode(TOY, LINEAR, x, 1.0, 0.1), 0.1), cdf(x, 1.0), atol=1e-6)
    _, path = euler_path(TOY, LINEAR, x, 1.0, 0.1, 4000)
    np.testing.assert_allclose(cdf(path[:, -1], 0.1), cdf(x, 1.0), atol=2e-3)


def test_pullback_geodesics_of_the_flow_decode_to_segments():
    means = np.array([[-1.5, -0.5], [1.5, -0.5], [0, 1.8]])
    mixture = Mixture(means, np.array([0.3, 0.4, 0.3]), np.array([0.4, 0.3, 0.3]))
    z, x = pullback_geodesic(lambda z: decode(mixture, LINEAR, z, 1.0, 0.1, 32), np.array([-1.2, -1.0]),
                             np.array([1.3, 0.9]), 17)
    chord = x[-1] - x[0]
    assert np.abs((x - x[0]) @ np.array([-chord[1], chord[0]])).max() / (chord @ chord) < 1e-9
    latent = z[-1] - z[0]
    assert np.abs((z - z[0]) @ np.array([-latent[1], latent[0]])).max() / (latent @ latent) > 0.01


@pytest.mark.parametrize("name, start, stop", [
    ("vp_linear", 1.5, 0.1), ("vp_linear", 0.5, -0.1), ("vp_linear", np.nan, 0.1), ("vp_linear", 0.5, 0.0),
    ("vp_cosine", 1.0, 0.5),
])
def test_the_flow_runs_on_the_schedule(name, start, stop):
    law = Mixture.atoms([[-1.0], [1.0]])
    refuses(lambda: decode(law, schedule(name), np.zeros((1, 1)), start, stop), "t: t = ")
    refuses(lambda: decode(law, schedule(name), np.zeros((1, 1)), 0.5, 0.2, 0), "steps = 0: takes a whole number >= 1")


def test_explicit_steps_begin_where_there_is_a_velocity():
    wide, x = Mixture([[0.0]], [1.0], [1.0]), np.zeros((1, 1))
    refuses(lambda: euler_path(wide, schedule("vp_linear"), x, 0.0, 0.5, 4), "start: t = 0 has log-SNR inf")
    refuses(lambda: euler_path(wide, schedule("vp_cosine"), x, 1.0, 0.5, 4), "start: t = 1 has log-SNR -inf")
    refuses(lambda: euler_path(wide, schedule("vp_linear"), x, 1.0, -0.5, 4), "stop: t = -0.5 is outside")
    assert np.isfinite(euler_path(wide, schedule("vp_linear"), x, 1.0, 0.0, 4)[1]).all()
