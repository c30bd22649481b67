"""The learned denoiser: samples of the law, and a Gaussian whose denoiser is known."""

import numpy as np
import pytest

from phasebook.paths.denoiser import Boltzmann
from phasebook.paths.geodesic import curve_of
from phasebook.paths.learned import equilibrium, train
from phasebook.paths.potential import FORMULAS, of_formula
from tests.builders import refuses


def test_samples_have_the_laws_mean_and_variance():
    law = Boltzmann.of(of_formula(*FORMULAS["double_well"]), 5.0, 64)
    samples = equilibrium(law, 40_000, np.random.default_rng(0))
    assert np.allclose(samples.mean(0), law.mean, atol=0.02)
    assert np.isclose(((samples - samples.mean(0)) ** 2).mean(), law.variance, rtol=0.02)


def test_training_brings_the_denoiser_to_the_exact_one():
    """After a short training means are right to a seventh of the posterior width, at levels that samples reach."""
    law = Boltzmann.of(of_formula(*FORMULAS["double_well"]), 5.0, 64)
    rng = np.random.default_rng(1)
    samples = equilibrium(law, 20_000, rng)
    k = np.exp(rng.uniform(-3, 3, 200))[:, None]
    place = samples[:200] + rng.normal(size=(200, 2)) / np.sqrt(k)
    eta = curve_of(np.log(k[:, 0]), place)
    exact, G, _ = law.moments(eta)
    width = np.sqrt(G[:, 0, 0] + G[:, 1, 1])
    early, late = (np.linalg.norm(train(samples, steps, 0).moments(eta)[:, :2] - exact[:, :2], axis=1) / width
                   for steps in (1, 250))
    assert np.median(late) < 0.15 < np.median(early)


def test_the_second_moment_is_the_divergences():
    law = Boltzmann.of(of_formula(*FORMULAS["double_well"]), 5.0, 48)
    learned, h = train(equilibrium(law, 2000, np.random.default_rng(2)), 5, 0), 1e-5
    eta = np.array([[0.4, -0.3, -0.7]])
    mu = learned.moments(eta)[0]
    div = 0.0
    for i in (0, 1):
        step = h * np.eye(3)[i]
        div += (learned.moments(eta + step)[0, i] - learned.moments(eta - step)[0, i]) / (2 * h)
    assert np.isclose(mu[2], mu[:2] @ mu[:2] + div, rtol=1e-6)


@pytest.mark.parametrize("samples, steps, words", [
    (np.ones((9, 2)), 1, "samples: shape (9, 2); takes places (s, 2), not all equal"), (np.eye(3), 1, "shape (3, 3)"),
    (np.zeros((0, 2)), 1, "shape (0, 2)"), (np.full((9, 2), np.nan), 1, "samples: NaN or Inf"),
    (np.eye(2), 0, "steps = 0: takes a whole number >= 1"),
])
def test_what_nothing_is_learned_from(samples, steps, words):
    refuses(lambda: train(samples, steps, 0), words)
