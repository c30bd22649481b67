"""Langevin paths: the stationary law of a quadratic energy, energies that are looked at, and the null of chapter 10."""

import numpy as np
import pytest

from phasebook.models.assets import asset
from phasebook.paths.geodesic import curve_of, tether
from phasebook.paths.langevin import transition_paths
from phasebook.paths.potential import of_formula, of_grid
from tests.builders import refuses


def bowl(x):
    return (x**2).sum(-1) / 2, x


BOWL = of_formula(bowl, (-4, -4), (4, 4))


def test_a_quadratic_energy_is_sampled_with_its_posterior():
    """Data N(0, I), noise of precision 3 around (2, 0): mean (1.5, 0); variance 1/4, over `1 - h/4` by the step."""
    eta, size = curve_of(np.full(40, np.log(3.0)), np.tile([[2.0, 0.0]], (40, 1))), 0.1
    run = transition_paths(BOWL, 1.0, eta, 400, 20, size, np.random.default_rng(0))
    late = run.position[5:]
    assert late.mean((0, 1)) == pytest.approx([1.5, 0], abs=0.02)
    precision = 4.0
    assert late.var((0, 1)) == pytest.approx(np.full(2, 1 / precision / (1 - size * precision / 4)), rel=0.05)


def test_max_energy_is_the_largest_on_the_way():
    eta = tether(np.array([[-2.0, 0], [1.0, 0]]), 6.0, 50)
    run = transition_paths(BOWL, 1.0, eta, 20, 10, 1e-3, np.random.default_rng(1))
    assert (run.max_energy >= BOWL.read(run.position)[..., 0].max(0)).all()
    assert run.max_energy.mean() == pytest.approx(2.0, abs=0.3)


def test_a_tether_with_more_noise_climbs_as_low_as_the_geodesic():
    """Alanine dipeptide with the settings of chapter 10, whose geodesic reaches 37.5 kJ/mol on average."""
    energy = of_grid(np.load(asset("alanine/scan.npy")), 1.0)
    wells, rng = energy.within(np.array([[-2.55, 2.7], [0.95, -0.4]])), np.random.default_rng(5)
    runs = {level: transition_paths(energy, 1.0, tether(wells, level, 512), 100, 32, 0.0016, rng)
            for level in (3.2, 4.0)}
    assert all((np.linalg.norm(run.position[-1] - wells[1], axis=1) < 0.6).mean() >= 0.97 for run in runs.values())
    assert runs[3.2].max_energy.mean() == pytest.approx(37.4, abs=0.4)
    assert runs[4.0].max_energy.mean() == pytest.approx(39.9, abs=0.4)


@pytest.mark.parametrize("change, words", [
    ({"kT": -1.0}, "kT = -1.0: takes a temperature > 0"), ({"kT": 0.0}, "kT = 0.0"), ({"size": -0.1}, "size = -0.1"),
    ({"size": 0.5}, "size = 0.5: Langevin steps are unstable at k = 20.1; takes < 0.2"), ({"paths": 0}, "paths = 0"),
    ({"steps": 0}, "steps = 0: takes a whole number >= 1"), ({"eta": np.ones((4, 3))}, "eta: k = -2; takes k > 0"),
    ({"eta": np.ones((0, 3))}, "eta: shape (0, 3)"), ({"eta": np.full((4, 3), np.nan)}, "eta: NaN or Inf"),
])
def test_what_makes_no_paths(change, words):
    given = {"kT": 1.0, "eta": tether(np.array([[-2.0, 0], [1.0, 0]]), 3.0, 5), "paths": 2, "steps": 2, "size": 0.1}
    refuses(lambda: transition_paths(BOWL, rng=np.random.default_rng(0), **(given | change)), words)
