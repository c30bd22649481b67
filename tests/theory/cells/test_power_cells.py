"""Semi-discrete transport: masses against Monte Carlo, quadrature and POT; walls against closed forms."""

import time

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr, ndtri
from scipy.stats import norm, qmc

from phasebook.theory.cells.power_cells import solve
from phasebook.theory.cells.sources import SOURCES
from phasebook.theory.cells.targets import horseshoe

BOTH = pytest.mark.parametrize("source", ["gaussian", "disk"])


def monte_carlo_z(cells, n, seed):
    """Largest deviation of the cells' sampled masses from the wanted ones, in standard errors."""
    x = cells.source.sample(n, np.random.default_rng(seed))
    share = np.bincount(cells.cell_of(x), minlength=len(cells.atoms)) / n
    p = cells.atom_weights
    return np.max(np.abs(share - p) / np.sqrt(p * (1 - p) / n + 1e-300)) if len(p) > 1 else 0.0


def named_atoms():
    rng = np.random.default_rng(4)
    ring = 2 * np.pi * np.arange(12) / 12
    ring = np.c_[np.cos(ring), np.sin(ring)]
    lattice = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0)), -1).reshape(-1, 2)
    heavy = np.r_[1 - 29e-6, np.full(29, 1e-6)]
    return {
        "one": ([[3.0, -4.0]], None),
        "two, wall off the origin": ([[-1.0, 0.0], [1.0, 0.5]], [0.3, 0.7]),
        "three": (rng.normal(size=(3, 2)), [0.2, 0.5, 0.3]),
        "collinear": (np.arange(7)[:, None] * np.array([0.6, 0.8]) + 3, rng.dirichlet(np.ones(7))),
        "square, walls through the origin": ([[1, 1], [-1, 1], [-1, -1], [1, -1]], None),
        "cocircular": (ring, None),
        "cocircular, weighted": (ring, rng.dirichlet(np.ones(12))),
        "cocircular and the centre": (np.r_[ring, [[0, 0]]], None),
        "lattice": (lattice, None),
        "nearly collinear": (rng.normal(size=(20, 1)) * [0.8, 0.6] + 1e-9 * rng.normal(size=(20, 2)), None),
        "one far outlier": (np.r_[rng.normal(size=(50, 2)), [[1e6, 3e5]]], None),
        "weights down to 1e-6": (rng.normal(size=(30, 2)), heavy),
        "tight clusters": (np.repeat([[0, 0], [1, 0], [0.3, 1]], 20, 0) + 1e-4 * rng.normal(size=(60, 2)), None),
        "far from the origin": (rng.normal(size=(40, 2)) + 1e5, None),
    }


@BOTH
@pytest.mark.parametrize("name", named_atoms())
def test_masses_of_degenerate_sets(name, source):
    cells = solve(*named_atoms()[name], source)
    assert cells.mass_error <= 1e-10
    assert monte_carlo_z(cells, 100_000, 1) < 5


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(-6, 6), st.integers(-6, 6)), min_size=1, max_size=25, unique=True),
       st.integers(0, 2**31), st.sampled_from(["gaussian", "disk"]))
def test_any_integer_atoms(points, seed, source):
    """Small integers bring collinear, cocircular and repeated coordinates; weights over five decades."""
    p = 10 ** np.random.default_rng(seed).uniform(-5, 0, len(points))
    cells = solve(np.array(points, float), p / p.sum(), source)
    assert cells.mass_error <= 1e-10
    assert monte_carlo_z(cells, 20_000, seed) < 7


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(2, 40), st.integers(0, 2**31), st.floats(-3, 3), st.floats(0.01, 100))
def test_rotation_shift_and_scale_change_nothing(n, seed, angle, scale):
    rng = np.random.default_rng(seed)
    y, p = rng.normal(size=(n, 2)), rng.dirichlet(np.ones(n)) + 1e-3
    p /= p.sum()
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    x = rng.normal(size=(300, 2))
    a, b = solve(y, p), solve(scale * y @ turn + [3.0, -1.0], p)
    margin = np.sort(x @ y.T - a.values, axis=1)
    sure = margin[:, -1] - margin[:, -2] > 1e-7 if n > 1 else slice(None)
    assert (a.cell_of(x) == b.cell_of(x @ turn))[sure].all()


@BOTH
def test_triangle_function_against_quadrature(source):
    mu = SOURCES[source]

    def disc_mass(r):
        return -np.expm1(-r**2 / 2) if source == "gaussian" else min(r, 1.0) ** 2

    for h, u in [(0.3, 0.4), (0.9, 2.0), (0.05, -1.5), (1.7, 0.8), (0.5, np.inf), (0.0, 1.0)]:
        exact = quad(lambda a, h=h: disc_mass(h / np.cos(a)), 0, np.arctan2(u, h), epsabs=1e-13)[0] / (2 * np.pi)
        assert mu.triangle(h, u) == pytest.approx(exact if h > 0 else 0, abs=1e-11)


@BOTH
def test_hessian_is_the_derivative_of_the_masses(source):
    from phasebook.theory.cells.power_cells import _evaluate
    rng = np.random.default_rng(0)
    y = rng.normal(size=(9, 2))
    g = 0.2 * (y**2).sum(1)
    hessian = _evaluate(y, g, SOURCES[source])[2].toarray()
    step = 1e-6 * np.eye(9)
    numeric = np.stack([(_evaluate(y, g + e, SOURCES[source])[0] - _evaluate(y, g - e, SOURCES[source])[0]) / 2e-6
                        for e in step], axis=1)
    assert np.abs(-numeric - hessian).max() < 1e-8


@BOTH
def test_collinear_walls_are_quantiles(source):
    d = np.array([np.cos(1.0), np.sin(1.0)])
    cells = solve(np.outer([2.0, -1.0, 0.5], d), [0.5, 0.2, 0.3], source)
    cut = np.sort(cells.walls.h * (cells.walls.direction @ [-d[1], d[0]]))
    exact = SOURCES[source].marginal_quantile(np.array([0.2, 0.5]))
    assert np.allclose(cut, exact, atol=1e-14)
    assert np.allclose(SOURCES[source].marginal_cdf(exact), [0.2, 0.5], atol=1e-15)


def test_two_atoms_against_the_closed_form():
    cells = solve([[-1.0, 0.0], [1.0, 0.0]], [0.3, 0.7])
    x = np.array([[-2.0, 0.7], [1.3, 0.1], [ndtri(0.3), 5.0]])
    assert np.allclose(cells.potential(x), np.abs(x[:, 0] - ndtri(0.3)) + ndtri(0.3), atol=1e-14)
    assert cells.lengths == pytest.approx([norm.pdf(ndtri(0.3))], rel=1e-14)
    assert cells.jumps == pytest.approx([2.0])


@BOTH
def test_cost_and_plan_against_pot(source):
    rng = np.random.default_rng(3)
    y, p = rng.normal(size=(6, 2)), np.array([0.1, 0.3, 0.15, 0.2, 0.05, 0.2])
    cells = solve(y, p, source)
    q, angle = qmc.Sobol(2, seed=0).random(8192).T * [[1.0], [2 * np.pi]]
    x = cells.source.radius(q)[:, None] * np.c_[np.cos(angle), np.sin(angle)]
    cost = ot.dist(x, y)
    plan = ot.emd(np.full(8192, 1 / 8192), p, cost)
    assert plan[np.arange(8192), cells.cell_of(x)].sum() > 0.998
    ours = ((x - cells.transport(x)) ** 2).sum(1).mean()
    assert ours == pytest.approx((plan * cost).sum(), rel=2e-3)


@BOTH
def test_walls_tile_the_cells(source):
    """On either side of the middle of a wall lie its two cells; wall ends lie on the circle they are cut at."""
    rng = np.random.default_rng(5)
    cells = solve(rng.normal(size=(60, 2)), rng.dirichlet(np.ones(60)), source)
    ends = cells.walls.ends(1.5)
    seen = np.isfinite(ends).all((1, 2)) & (np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) > 1e-6)
    normal = np.stack([cells.walls.direction[:, 1], -cells.walls.direction[:, 0]], 1)
    middle = ends.mean(1)
    assert (cells.cell_of(middle[seen] - 1e-9 * normal[seen]) == cells.walls.left[seen]).all()
    assert (cells.cell_of(middle[seen] + 1e-9 * normal[seen]) == cells.walls.right[seen]).all()
    assert np.linalg.norm(ends[seen], axis=-1).max() <= 1.5 + 1e-12


@BOTH
def test_ten_thousand_atoms_on_one_core(source):
    y = np.random.default_rng(0).uniform(size=(10_000, 2))
    start = time.process_time()
    cells = solve(y, None, source)
    assert cells.mass_error <= 1e-10
    assert time.process_time() - start <= 15      # 2 s on an idle core; CPU time doubles on a busy one


def test_another_start_finds_the_same_cells():
    rng = np.random.default_rng(8)
    y = rng.normal(size=(40, 2))
    a = solve(y)
    b = solve(y, start=0.5 * (y @ np.diag([0.1, 0.6]) * y).sum(1))
    assert np.abs(a.values - b.values).max() < 1e-10


@pytest.mark.parametrize("atoms, weights, words", [
    ([[0, 0], [1, 0], [0, 0]], None, r"atoms\[0\] and atoms\[2\] .* coincide"),
    ([[0, 0], [1, 0]], [0.0, 1.0], r"atom_weights\[0\] = 0.0: takes positive"),
    ([[0, 0], [1, 0]], [1.5, -0.5], r"atom_weights\[1\] = -0.5"),
    ([[0, 0], [1, 0]], [np.nan, 0.5], r"atom_weights\[0\] = nan"),
    ([[0, 0], [1, 0]], [0.5, 0.4], r"sum 0.9"),
    ([[0, 0], [1, 0]], [1.0], r"atom_weights: shape"),
    ([[0, np.inf], [1, 0]], None, r"atoms\[0\] = .*takes finite"),
    ([1.0, 2.0], None, r"atoms: shape"),
    (np.zeros((0, 2)), None, r"atoms: shape"),
])
def test_bad_input_is_one_clear_line(atoms, weights, words):
    with pytest.raises(ValueError, match=words) as caught:
        solve(atoms, weights)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("more, words", [
    ({"start": [1, 2]}, r"start: shape \(2,\); takes one number for each of the 3 atoms"),
    ({"start": "a"}, "start = 'a': takes one number for each atom"), ({"start": [np.nan, 0, 1]}, "start: NaN or Inf"),
    ({"tolerance": -1}, "tolerance = -1"), ({"max_steps": 0}, "max_steps = 0"),
])
def test_bad_settings(more, words):
    for atoms in ([[0, 0], [1, 0], [0, 1]], [[0, 0], [1, 0], [2, 0]]):
        with pytest.raises(ValueError, match=words):
            solve(atoms, **more)


def test_bad_source():
    with pytest.raises(ValueError, match="source = 'cube': takes one of 'gaussian', 'disk'"):
        solve([[0.0, 0.0]], None, "cube")


def test_marginals():
    c = np.linspace(-0.99, 0.99, 7)
    assert np.allclose(SOURCES["gaussian"].marginal_cdf(c), ndtr(c))
    assert np.allclose(SOURCES["disk"].marginal_quantile(SOURCES["disk"].marginal_cdf(c)), c, atol=1e-13)


@BOTH
def test_walls_have_codimension_one(source):
    """The mass within a distance of the walls falls like the distance: a singular set of measure zero, exponent one."""
    cells = solve(np.random.default_rng(6).normal(size=(5, 2)), None, source)
    q, turn = qmc.Sobol(2, seed=0).random(2**17).T * [[1.0], [2 * np.pi]]
    x = cells.source.radius(q)[:, None] * np.c_[np.cos(turn), np.sin(turn)]
    planes = x @ cells.atoms.T - cells.values
    own = planes.argmax(1)
    apart = np.linalg.norm(cells.atoms[own][:, None] - cells.atoms, axis=-1)
    gap = (planes[np.arange(len(x)), own][:, None] - planes) / np.where(apart > 0, apart, np.inf)
    gap[np.arange(len(x)), own] = np.inf
    widths = np.geomspace(0.002, 0.02, 5)
    near = [(gap.min(1) < w).mean() for w in widths]
    assert np.polyfit(np.log(widths), np.log(near), 1)[0] == pytest.approx(1, abs=0.03)


@BOTH
def test_existence_and_uniqueness_on_a_sampled_target(source):
    """Another start and another order of the atoms give the same potential; the masses are the weights."""
    atoms, weights, _ = horseshoe().sample(600)
    one = solve(atoms, weights, source)
    two = solve(atoms[::-1], weights[::-1], source, start=((atoms**2 @ [1.0, 0.5]) * 0.2)[::-1])
    assert max(one.mass_error, two.mass_error) < 1e-10
    assert np.abs(one.values - two.values[::-1]).max() < 1e-9
