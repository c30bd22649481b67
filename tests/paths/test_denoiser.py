"""Moments by quadrature against SciPy's, a Gaussian mixture's closed form, and differences of the log-partition."""

import numpy as np
import pytest
from scipy.integrate import dblquad

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.spacetime import energy as closed
from phasebook.paths.denoiser import Boltzmann
from phasebook.paths.potential import FORMULAS, double_well, of_formula, of_grid
from tests.builders import refuses

ETA = np.array([[0.3, -0.2, -0.4], [-40.0, 10.0, -25.0], [1.0, 0.5, -1e-4], [0.0, 0.0, -500.0]])


def test_moments_are_those_of_scipys_quadrature():
    law = Boltzmann.of(of_formula(*FORMULAS["double_well"]), 4.0, 160)
    q, k = ETA[0, :2], -2 * ETA[0, 2]

    def weight(y, x):
        at = np.array([x, y])
        return np.exp(-double_well(at)[0] / 4 + q @ at - k * at @ at / 2)

    total = dblquad(weight, -2.2, 2.2, -1.6, 1.6)[0]
    square = dblquad(lambda y, x: (x * x + y * y) * weight(y, x), -2.2, 2.2, -1.6, 1.6)[0] / total
    first = dblquad(lambda y, x: x * weight(y, x), -2.2, 2.2, -1.6, 1.6)[0] / total
    mu = law.moments(ETA[:1])[0][0]
    assert mu[[0, 2]] == pytest.approx([first, square], rel=2e-3)


def test_moments_are_those_of_a_mixture_in_closed_form():
    mixture = Mixture([[-1.0, 0.4], [1.2, -0.3]], np.array([0.2, 0.3]), np.array([0.4, 0.6]))
    line = np.linspace(-6, 6, 241)
    at = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)[..., None, :] - mixture.means
    log = np.log((mixture.weights / mixture.variances * np.exp(-(at**2).sum(-1) / mixture.variances / 2)).sum(-1))
    law = Boltzmann.of_log(line, line, log)
    mu, G, _ = law.moments(ETA[:3])
    assert np.allclose(mu, closed.mu_of(mixture, ETA[:3]), rtol=1e-8)
    assert np.allclose(G, closed.fisher(mixture, ETA[:3]), rtol=1e-6, atol=1e-10)


def test_the_log_partition_has_mu_and_the_tensor_as_derivatives():
    law, h = Boltzmann.of(of_formula(*FORMULAS["mueller_brown"]), 20.0, 96), 1e-5
    mu, G, _ = law.moments(ETA)
    for i in range(3):
        step = h * np.eye(3)[i]
        up, down = law.moments(ETA + step), law.moments(ETA - step)
        assert np.allclose((up[2] - down[2]) / (2 * h), mu[:, i], rtol=1e-5, atol=1e-6)
        assert np.allclose((up[0] - down[0]) / (2 * h), G[:, i], rtol=1e-4, atol=1e-6)


def test_a_core_holds_its_share_with_the_fewest_nodes():
    law = Boltzmann.of(of_formula(*FORMULAS["double_well"]), 4.0, 60)
    inside, mass = law.core(ETA[0], 0.9), law.posterior(ETA[0])
    assert mass[inside].sum() >= 0.9 > mass[inside].sum() - mass[inside].min()
    assert mass[inside].min() >= mass[~inside].max()


def test_the_border_holds_what_a_hot_density_puts_there():
    surface = of_formula(*FORMULAS["double_well"])
    cold, hot = (Boltzmann.of(surface, kT, 64) for kT in (1.0, 1e4))
    assert cold.border < 1e-9 and hot.border == pytest.approx(1 - (62 / 64) ** 2, rel=0.02)


def test_a_density_takes_a_temperature():
    surface = of_formula(*FORMULAS["double_well"])
    for kT in (0.0, -1.0, np.nan, np.inf, "a"):
        refuses(lambda kT=kT: Boltzmann.of(surface, kT), f"kT = {kT!r}: takes a temperature > 0")
    refuses(lambda: Boltzmann.of(surface, 1.0, 1), "n = 1: takes a whole number >= 2")
    cold = Boltzmann.of(surface, 1e-300, 64)                        # nothing overflows: the lowest nodes share the mass
    assert cold.mass.max() == 1 and np.isfinite(cold.variance)
    for energy, words in (([1.0, 2.0], "energy: shape (2,)"), ([[np.nan]], "energy: NaN or Inf at [0, 0]")):
        refuses(lambda energy=energy: of_grid(energy, 1.0), words)
    refuses(lambda: of_grid(np.eye(3), 0.0), "kT = 0.0: takes a temperature > 0")
