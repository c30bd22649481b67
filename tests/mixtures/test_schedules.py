"""Continuous schedules: closed forms, inverses, derivatives, one-line refusals."""

import numpy as np
import pytest
from scipy.integrate import quad

from phasebook.mixtures.schedules import SCHEDULES, schedule

T = np.linspace(0.01, 0.99, 23)


@pytest.mark.parametrize("name", SCHEDULES)
def test_variance_preserving_and_monotone(name):
    s = schedule(name)
    np.testing.assert_allclose(s.alpha(T) ** 2 + s.sigma(T) ** 2, 1, rtol=1e-14)
    np.testing.assert_allclose(2 * np.log(s.alpha(T) / s.sigma(T)), s.log_snr(T), atol=1e-12)
    np.testing.assert_allclose(s.ratio(T), s.sigma(T) / s.alpha(T), rtol=1e-13)
    assert (np.diff(s.log_snr(T)) < 0).all()


@pytest.mark.parametrize("name", SCHEDULES)
def test_time_inverts_log_snr_and_slope_is_its_derivative(name):
    s = schedule(name)
    np.testing.assert_allclose(s.time(s.log_snr(T)), T, rtol=1e-10)
    h = 1e-5
    np.testing.assert_allclose((s.log_snr(T + h) - s.log_snr(T - h)) / (2 * h), s.slope(T), rtol=1e-5)


def test_published_toy_and_cosine():
    assert schedule("log_snr_linear").log_snr(np.array([0, 0.5, 1.0])).tolist() == [10, 0, -10]
    np.testing.assert_allclose(schedule("vp_cosine").alpha(T), np.cos(np.pi * T / 2), rtol=1e-12)
    assert schedule("vp_cosine").log_snr(np.array([0.0]))[0] == np.inf


def test_vp_linear_against_the_integral_of_beta():
    for t in (1e-4, 0.3, 1.0):
        B = quad(lambda s: 0.1 + 19.9 * s, 0, t)[0]
        np.testing.assert_allclose(schedule("vp_linear").alpha(t), np.exp(-B / 2), rtol=1e-12)
    # near t = 0 sigma^2 ~ B: no cancellation
    np.testing.assert_allclose(schedule("vp_linear").sigma(1e-12), np.sqrt(1e-13), rtol=1e-9)


def test_refusals():
    with pytest.raises(ValueError, match="schedule = 'edm'.*vp_linear"):
        schedule("edm")
    with pytest.raises(ValueError, match=r"endpoints: t = 1.5 .*0 <= t <= 1"):
        schedule("vp_linear").check(np.array([0.2, 1.5]), "endpoints")
    with pytest.raises(ValueError, match="t = nan"):
        schedule("vp_linear").check(np.nan)
    for name in (["a"], None, 3):
        with pytest.raises(ValueError, match="schedule = .*: unknown; takes one of"):
            schedule(name)
    for name, t, level in (("vp_linear", 0.0, "inf"), ("vp_cosine", 1.0, "-inf")):
        with pytest.raises(ValueError, match=f"t = {t:g} has log-SNR {level} in {name}"):
            schedule(name).check_finite([0.5, t])
