"""Brenier maps between noisy laws of atoms: closed forms for one and two atoms, symmetry, mass, gradients."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr

from phasebook.theory.cells.mixture_cells import lines, mismatch
from phasebook.theory.chains.plane_atoms import Atoms, flow_atom, levels
from phasebook.theory.chains.plane_chain import chain, link
from tests.builders import refuses

PAIR = Atoms([[-1.0, 0.0], [1.0, 0.0]], [0.3, 0.7])
FIVE = Atoms([[-1.2, 0.3], [0.2, 1.1], [1.3, 0.1], [-0.3, -1.0], [0.3, 0.2]], [0.25, 0.15, 0.3, 0.2, 0.1])


def sample(data, s, n, seed=0):
    rng = np.random.default_rng(seed)
    return data.y[rng.choice(len(data.y), n, p=data.weights)] + s * rng.standard_normal((n, 2))


def quantile_map(data, x, s, t):
    """The increasing map between the first marginals, by root finding."""
    def cdf(u, at):
        return ndtr((u - data.y[:, 0]) / at) @ data.weights

    ranks = [cdf(v, s) for v in x]
    return np.array([brentq(lambda u, q=q: cdf(u, t) - q, -20, 20, xtol=1e-13) for q in ranks])


def test_one_atom_is_scaled():
    one = Atoms([[0.5, -1.0]], [1.0])
    x = sample(one, 2.0, 50)
    assert np.abs(link(one, 2.0, 0.7)(x) - (one.y + 0.35 * (x - one.y))).max() < 1e-8


@pytest.mark.parametrize("s, t", [(2.0, 1.5), (1.0, 0.5), (0.6, 0.4)])
def test_two_atoms_move_by_quantiles_along_and_by_scale_across(s, t):
    x = sample(PAIR, s, 200)
    wanted = np.stack([quantile_map(PAIR, x[:, 0], s, t), t / s * x[:, 1]], axis=1)
    error = np.linalg.norm(link(PAIR, s, t, 6.0)(x) - wanted, axis=1)
    assert np.sqrt((error**2).mean()) < 2e-3 * t


def test_two_atoms_converge_with_the_grid():
    x = sample(PAIR, 0.6, 100)
    wanted = quantile_map(PAIR, x[:, 0], 0.6, 0.4)
    errors = [np.sqrt(((link(PAIR, 0.6, 0.4, nodes)(x)[:, 0] - wanted) ** 2).mean()) for nodes in (3.0, 6.0)]
    assert errors[1] < errors[0] / 4


def test_a_link_carries_the_mass():
    """Smooth means over the images are those of the target, whose characteristic function is known."""
    s, t = 0.9, 0.6
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    square = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    mass = np.outer(weights, weights).ravel() / (2 * np.pi)
    kept = mass > 1e-12
    step = link(FIVE, s, t)
    for k in ([1.0, 0.0], [0.5, -1.0], [1.5, 1.0]):
        parts = [w * mass[kept] @ np.exp(1j * step(y + s * square[kept]) @ k)
                 for y, w in zip(FIVE.y, FIVE.weights, strict=True)]
        wanted = FIVE.weights @ np.exp(1j * FIVE.y @ k) * np.exp(-t**2 * np.dot(k, k) / 2)
        assert abs(sum(parts) - wanted) < 2e-5


def test_a_link_is_the_gradient_of_a_convex_function():
    step, x, h = link(FIVE, 0.5, 0.35), sample(FIVE, 0.5, 500), 1e-5
    columns = [(step(x + h * e) - step(x - h * e)) / (2 * h) for e in np.eye(2)]
    jacobian = np.stack(columns, axis=-1)
    assert np.abs(jacobian[:, 0, 1] - jacobian[:, 1, 0]).max() < 1e-6
    assert np.linalg.eigvalsh((jacobian + jacobian.swapaxes(1, 2)) / 2).min() > 0


def test_a_long_link_is_reached_and_a_link_beyond_the_grid_is_refused():
    assert link(FIVE, 0.95, 0.38).residual < 1e-5
    with pytest.raises(RuntimeError, match="grid points an axis; takes at most"):
        link(FIVE, 0.5, 0.05)


@pytest.mark.parametrize("origin, unit", [(0.0, 1e-9), (0.0, 1e6), (1e5, 1.0)])
def test_a_chain_knows_no_unit_and_no_origin(origin, unit):
    z = np.random.default_rng(1).standard_normal((2000, 2))
    moved = Atoms(origin + unit * FIVE.y, FIVE.weights)
    there = chain(FIVE, 8.0, 0.4, 2, 3.0).atom_of(FIVE.latent(z, 8.0))
    assert (chain(moved, 8 * unit, 0.4 * unit, 2, 3.0).atom_of(moved.latent(z, 8 * unit)) == there).mean() > 0.999


def test_levels_fall():
    for s, t in ((1.0, 1.0), (1.0, 0.0), (np.nan, 0.5)):
        refuses(lambda s=s, t=t: link(PAIR, s, t), "takes a noise level")
    refuses(lambda: levels(1.0, 0.1, 0), "n = 0: takes a number of maps >= 1")
    refuses(lambda: levels(1.0, 1.0, 3), "end = 1: takes a noise level below start = 1")


def test_levels_are_geometric():
    assert np.allclose(levels(8.0, 0.5, 4), [8.0, 4.0, 2.0, 1.0])


@pytest.mark.parametrize("data", [PAIR, Atoms([[1, 1], [-1, 1], [-1, -1], [1, -1]], [0.25] * 4)],
                         ids=["two atoms", "square"])
def test_symmetry_leaves_no_mismatch(data):
    """Two atoms: everything happens on a line. A square: symmetry puts all boundaries on the axes."""
    maps = chain(data, 6.0, 0.4, 4)

    flowed = lines(lambda z: flow_atom(data, data.latent(z, 6.0), 6.0), 40, 1)
    off = mismatch(lines(lambda z: maps.atom_of(data.latent(z, 6.0)), 40, 1), flowed)
    assert off < 2e-4
