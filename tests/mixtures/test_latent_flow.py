"""The flow from the latent: Liouville's formula, exact quantiles on the line, symmetric basins, midpoint slopes."""

import numpy as np
import pytest
from scipy.stats import norm

from phasebook.mixtures.latent_flow import (
    basins,
    count_regions,
    even_slope,
    latent_flow,
    line_quantile,
    line_slope,
    steep_regions,
)
from phasebook.mixtures.mixtures import Mixture
from tests.builders import refuses

LEVELS = np.array([3.0, 1.0, 0.4, 0.2])
LINE = Mixture(np.array([[-1.0], [0.3], [1.2]]), np.array([0.0, 0.01, 0.0]), np.array([0.3, 0.3, 0.4]))


def plane():
    rng = np.random.default_rng(0)
    return Mixture(rng.normal(size=(4, 2)), np.array([0, 0.1, 0.02, 0]), np.array([0.1, 0.2, 0.3, 0.4]))


def test_jacobian_determinant_is_the_density_ratio():
    """`p_s(y) |det J| = phi(z)`: the flow carries the latent Gaussian into p_s."""
    z = np.random.default_rng(1).normal(size=(300, 2))
    flow = latent_flow(plane(), z, LEVELS, jacobian=True, rate=60)
    for s, y, J in zip(LEVELS, flow.y, flow.jacobian, strict=True):
        ratio = np.linalg.det(J) * np.exp(plane().log_density(y, 1.0, s) + (z**2).sum(1) / 2) * 2 * np.pi
        assert ratio == pytest.approx(1, abs=1e-4)


def test_jacobian_is_the_derivative_of_the_flow():
    z, step = np.array([[0.3, -0.7]]), 1e-5
    J = latent_flow(plane(), z, LEVELS, jacobian=True).jacobian[:, 0]
    for k in range(2):
        e = step * np.eye(2)[k]
        numeric = (latent_flow(plane(), z + e, LEVELS).y - latent_flow(plane(), z - e, LEVELS).y)[:, 0] / (2 * step)
        assert np.abs(numeric - J[:, :, k]).max() < 1e-5 * np.abs(J).max()


def test_line_keeps_quantiles_and_slopes():
    z = np.linspace(-3, 3, 25)
    flow = latent_flow(LINE, z[:, None], LEVELS, jacobian=True, rate=60)
    for s, y, steep in zip(LEVELS, flow.y, flow.lipschitz(), strict=True):
        latent, slope = line_slope(LINE, s, y[:, 0])
        assert latent == pytest.approx(z, abs=1e-5)
        assert slope == pytest.approx(steep, rel=1e-4)


def test_line_slope_against_differences_of_the_cdf():
    y, h = np.linspace(-2, 2, 9), 1e-5
    def latent(x):
        return norm.ppf(norm.cdf((x[:, None] - LINE.means[:, 0]) / np.sqrt(LINE.variances + 0.25)) @ LINE.weights)
    numeric = 2 * h / (latent(y + h) - latent(y - h)) / np.sqrt(1.25)
    assert line_slope(LINE, 0.5, y)[1] == pytest.approx(numeric, rel=1e-6)


@pytest.mark.parametrize("a", [0.5, 1.0, 3.0])
def test_midpoint_slope_of_two_atoms(a):
    """`s exp(a^2 / (2 s^2))` in the heat frame: exponential, never infinite."""
    mixture, levels = Mixture.atoms([[-a, 0.0], [a, 0.0]]), a * np.array([2.0, 0.7, 0.35])
    flow = latent_flow(mixture, np.zeros((1, 2)), levels, jacobian=True, rate=200)
    assert flow.jacobian[:, 0, 0, 0] == pytest.approx(levels * np.exp(a**2 / (2 * levels**2)), rel=1e-5)
    assert flow.lipschitz()[:, 0] == pytest.approx(flow.jacobian[:, 0, 0, 0] / np.sqrt(1 + levels**2))


def test_basins_of_symmetric_atoms_are_nearest_directions():
    angle = np.pi / 4 + np.pi / 2 * np.arange(4)
    atoms = np.c_[np.cos(angle), np.sin(angle)]
    z = np.random.default_rng(2).normal(size=(2000, 2))
    assert (basins(Mixture.atoms(atoms), z) == np.argmax(z @ atoms.T, axis=1)).all()


def test_basins_carry_the_weights():
    p = np.array([0.5, 0.2, 0.3])
    mixture = Mixture.atoms(np.random.default_rng(3).normal(size=(3, 2)), p)
    z = np.random.default_rng(4).normal(size=(20_000, 2))
    share = np.bincount(basins(mixture, z), minlength=3) / len(z)
    assert np.abs(share - p).max() < 5 * np.sqrt(0.25 / len(z))
    assert (basins(Mixture.atoms([[2.0, 1.0]]), z[:5]) == 0).all()


def test_levels_are_checked():
    for levels in ([1.0, 2.0], [0.0], [-1.0], [1.0, 1.0]):
        with pytest.raises(ValueError, match="levels = .*strictly descending"):
            latent_flow(plane(), np.zeros((1, 2)), np.array(levels))


def test_steep_regions_of_two_atoms_and_their_mass():
    """One ridge; its mass from the closed form: the slope is above L where p_s(y) < phi(z) / (L sqrt(1 + s^2))."""
    mixture = Mixture.atoms([[-1.0], [1.0]])
    count, mass = steep_regions(mixture, np.array([5.0, 0.5]), 2.0)
    assert count.tolist() == [0, 1]
    y = np.linspace(-3, 3, 200_001)
    z, slope = line_slope(mixture, 0.5, y)
    steep = slope > 2.0
    assert mass[1] == pytest.approx(norm.cdf(z[steep].max()) - norm.cdf(z[steep].min()), abs=1e-3)


@pytest.mark.parametrize("unit", [0.1, 1.0, 60.0])
def test_what_is_steep_has_no_unit(unit):
    """A Gaussian is steep nowhere, however wide; two atoms have one ridge, and a wide part between narrow ones two,
    which do not merge."""
    assert even_slope(Mixture(np.zeros((1, 1)), np.array([unit**2]), np.ones(1)), 0.5) == pytest.approx(
        line_slope(Mixture(np.zeros((1, 1)), np.array([unit**2]), np.ones(1)), 0.5, np.zeros(1))[1][0])
    three = [-3.0, 0.0, 3.0], [0.025, 1.0, 0.025]
    for (places, widths), ridges in ((([0.0], [1.0]), 0), (([-1.0, 1.0], [0.0, 0.0]), 1), (three, 2)):
        n = len(places)
        data = Mixture(unit * np.array(places)[:, None], (unit * np.array(widths))**2, np.full(n, 1 / n))
        counts = steep_regions(data, unit * np.geomspace(8, 0.05, 40), 5.0)[0]
        assert counts[-1] == ridges and (np.diff(counts) >= 0).all()


def test_the_widest_axis_gives_the_even_slope():
    data = Mixture.atoms([[-3.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert even_slope(data, 2.0) == pytest.approx(np.sqrt((4.5 + 4) / 5))


def test_count_regions():
    assert count_regions(np.array([[1, 1, 0], [0, 0, 1], [1, 0, 1]], bool)) == 3
    assert count_regions(np.zeros(5, bool)) == 0


def test_quantiles_invert_the_cdf():
    q = np.array([1e-6, 0.3, 0.999])
    y = line_quantile(LINE, 0.4, q)
    assert norm.cdf((y[:, None] - LINE.means[:, 0]) / np.sqrt(LINE.variances + 0.16)) @ LINE.weights == pytest.approx(q)


@pytest.mark.parametrize(("centre", "unit"), [(0.0, 1e-9), (0.0, 1e-14), (1e4, 1.0), (-1e9, 1e9), (3e-6, 1e-9)])
def test_quantiles_know_no_unit_and_no_origin(centre, unit):
    q = np.array([1e-6, 0.2, 0.5, 0.7, 0.999])
    moved = Mixture(centre + unit * LINE.means, unit**2 * LINE.variances, LINE.weights)
    y = (line_quantile(moved, 0.4 * unit, q) - centre) / unit
    assert y == pytest.approx(line_quantile(LINE, 0.4, q), abs=1e-13 + 4e-16 * abs(centre) / unit)


def test_what_has_no_quantile_and_no_flow():
    for q in ([0.0], [0.5, 1.0], [np.nan]):
        refuses(lambda q=q: line_quantile(LINE, 0.4, q), "q", "in (0, 1)" if np.isfinite(q).all() else "NaN")
    refuses(lambda: line_quantile(LINE, 0.0, [0.5]), "s = 0.0: takes a number > 0")
    refuses(lambda: line_quantile(Mixture.atoms(np.eye(2)), 0.4, [0.5]), "mixture: its data have 2 dimensions")
    for levels in ([], [1.0, 2.0], [0.0], [[2.0, 1.0]]):
        refuses(lambda levels=levels: latent_flow(LINE, np.zeros((1, 1)), levels), f"levels = {levels}: takes positive")
    refuses(lambda: latent_flow(LINE, np.zeros((1, 1)), ["a"]), "levels = ['a']: takes positive")


def test_cells_see_a_ridge_thinner_than_the_grid():
    """Two atoms, low noise: across the ridge the images differ by twice a quantile of the line."""
    axis = np.linspace(-1, 1, 20)
    z = np.stack(np.meshgrid(axis, axis), axis=-1)
    flow = latent_flow(Mixture.atoms([[-1.0, 0.0], [1.0, 0.0]]), z, np.array([0.1]), jacobian=True)
    step = axis[1] - axis[0]
    cells = flow.cell_lipschitz(step)[0]
    assert cells.shape == (19, 19)
    image = line_quantile(Mixture.atoms([[-1.0], [1.0]]), 0.1, norm.cdf([step / 2]))[0]
    assert image > 0.8 and cells[:, 9] == pytest.approx(2 * image / np.sqrt(1.01) / step, rel=1e-3)
    assert (cells >= flow.lipschitz()[0][:-1, :-1]).all()
    assert count_regions(cells > 5) == 1


def test_means_that_all_coincide_have_no_basins():
    with pytest.raises(ValueError, match=r"^means: all 2 are \[1.0\]"):
        basins(Mixture.atoms([[1.0], [1.0]]), np.zeros((3, 1)))


def test_latents_of_another_dimension_are_none():
    """Six numbers were read as two latents of three where they are three of two."""
    space = Mixture.atoms(np.eye(3))
    refuses(lambda: latent_flow(space, np.zeros((3, 2)), [1.0]), "z: shape (3, 2); takes latents (..., 3)")
    assert latent_flow(space, np.zeros((0, 3)), [1.0], jacobian=True).jacobian.shape == (1, 0, 3, 3)
