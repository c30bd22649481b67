"""Geodesic distances on a 101 x 101 grid against closed forms, over hundreds of pairs each; and what is refused."""

import numpy as np
import pytest

from phasebook.slices.geodesic import Surface, geodesics

N = 101
ONE = np.ones((N, N))


def bend(curves):
    """How far curves leave their chords, over the chords' lengths."""
    chord = curves[:, -1] - curves[:, 0]
    off = curves - curves[:, :1]
    cross = off[..., 0] * chord[:, None, 1] - off[..., 1] * chord[:, None, 0]
    return np.abs(cross).max(1) / (chord**2).sum(1)


def pairs(seed=0, count=14):
    points = np.unique(np.random.default_rng(seed).integers(0, N, (count, 2)), axis=0)
    return points, np.triu_indices(len(points), 1)


def compared(surface, exact, seed=0):
    """Relative errors of all pairs, and the result."""
    points, (i, j) = pairs(seed)
    found = geodesics(surface, points)
    return found.distances[i, j] / exact(points[i], points[j]) - 1, found


@pytest.mark.parametrize("E, F, G", [(1, 0, 1), (1, 0.9, 1), (1, 0, 400), (5, 3, 2), (1e-12, 0, 2e-12)])
def test_flat_sheared_and_stretched(E, F, G):
    h, k = 0.01, 0.03

    def exact(p, q):
        a, b = ((p - q) * (h, k)).T
        return np.sqrt(E * a**2 + 2 * F * a * b + G * b**2)

    wrong, found = compared(Surface(E * ONE, F * ONE, G * ONE, (h, k)), exact)
    assert np.abs(wrong).max() < 1e-9
    assert bend(found.curves).max() < 1e-9
    assert found.error.max() <= 1e-9 * found.distances.max()


@pytest.mark.parametrize("low, high, width", [(0.5, 1.5, 1.0), (0.1, 1.1, 0.8), (0.05, 1.05, 0.5)])
def test_hyperbolic_half_plane(low, high, width):
    y, x = np.linspace(low, high, N), np.linspace(0, width, N)
    metric = 1 / y[:, None] ** 2 * ONE

    def exact(p, q):
        square = (y[p[:, 0]] - y[q[:, 0]]) ** 2 + (x[p[:, 1]] - x[q[:, 1]]) ** 2
        return np.arccosh(1 + square / (2 * y[p[:, 0]] * y[q[:, 0]]))

    surface = Surface(metric, 0 * ONE, metric, (y[1] - y[0], x[1] - x[0]))
    wrong, found = compared(surface, exact)             # no geodesic between these points leaves the rectangle upwards
    assert np.abs(wrong).max() < 0.01 and np.abs(wrong).mean() < 1e-3
    assert (found.straight[np.triu_indices(len(found.straight), 1)].max() > 1.05 * found.distances.max()) or width < 1
    assert bend(found.curves).max() > 0.05
    assert found.error.max() < 0.02 * found.distances.max()


@pytest.mark.parametrize("seed", [0, 1])
def test_sphere_in_polar_and_in_stereographic_coordinates(seed):
    theta, phi = np.linspace(0.9, np.pi - 0.9, N), np.linspace(0, 0.8, N)
    polar = Surface(ONE, 0 * ONE, np.sin(theta)[:, None] ** 2 * ONE, (theta[1] - theta[0], phi[1] - phi[0]))

    def on_sphere(p):
        t, f = theta[p[:, 0]], phi[p[:, 1]]
        return np.stack([np.sin(t) * np.cos(f), np.sin(t) * np.sin(f), np.cos(t)], -1)

    u = np.linspace(-0.5, 0.5, N)
    factor = 4 / (1 + u[:, None] ** 2 + u**2) ** 2

    def projected(p):
        x, y = u[p[:, 0]], u[p[:, 1]]
        s = 1 + x**2 + y**2
        return np.stack([2 * x / s, 2 * y / s, (s - 2) / s], -1)

    for surface, place in ((polar, on_sphere), (Surface(factor, 0 * ONE, factor, (u[1] - u[0],) * 2), projected)):
        exact = lambda p, q, place=place: 2 * np.arcsin(np.linalg.norm(place(p) - place(q), axis=1) / 2)  # noqa: E731
        wrong, _ = compared(surface, exact, seed)
        assert np.abs(wrong).max() < 0.01 and np.abs(wrong).mean() < 2e-3


def test_a_flat_sheet_in_curved_coordinates():
    """x = a + 0.1 sin(3 b), y = b + 0.15 a^2: the pullback of the plane; straight lines there are curves here."""
    a, b = np.meshgrid(np.linspace(0, 1, N), np.linspace(0, 1, N), indexing="ij")
    ja, jb = np.stack([ONE, 0.3 * a]), np.stack([0.3 * np.cos(3 * b), ONE])
    place = np.stack([a + 0.1 * np.sin(3 * b), b + 0.15 * a**2], -1)
    surface = Surface((ja * ja).sum(0), (ja * jb).sum(0), (jb * jb).sum(0), (0.01, 0.01))
    points, (i, j) = pairs(3)
    points = np.clip(points, 20, 80)                    # away from the border, where a chord may leave the sheet
    points = np.unique(points, axis=0)
    i, j = np.triu_indices(len(points), 1)
    exact = np.linalg.norm(place[tuple(points[i].T)] - place[tuple(points[j].T)], axis=1)
    wrong = geodesics(surface, points).distances[i, j] / exact - 1
    assert np.abs(wrong).max() < 0.01


def test_a_wall_with_a_gate_is_walked_round():
    """A wall of cost across the middle with a gap at one end: shorter round than through, and the curve bends."""
    wall = np.where((np.abs(np.arange(N) - 50)[:, None] < 3) & (np.arange(N) < 70), 1e4, 1.0) * ONE
    found = geodesics(Surface(wall, 0 * ONE, wall, (0.01, 0.01)), np.array([[20, 30], [80, 30]]))
    round_the_end = 2 * np.hypot(27, 40) * 0.01 + 0.06
    assert found.distances[0, 1] == pytest.approx(round_the_end, rel=0.02)
    assert found.straight[0, 1] > 4 * found.distances[0, 1] and bend(found.curves)[0] > 0.5


def test_ridges_add_up_where_the_metric_is_a_product():
    """E = f(a)^2, G = g(b)^2 is flat: d^2 = (int f)^2 + (int g)^2, with f a steep ridge."""
    a = np.linspace(0, 1, N)
    f, g = 1 + 8 / np.cosh((a - 0.4) / 0.05) ** 2, 1 + 5 * a
    x = a + 8 * 0.05 * np.tanh((a - 0.4) / 0.05)
    y = a + 2.5 * a**2
    exact = lambda p, q: np.hypot(x[p[:, 0]] - x[q[:, 0]], y[p[:, 1]] - y[q[:, 1]])  # noqa: E731
    surface = Surface(f[:, None] ** 2 * ONE, 0 * ONE, g**2 * ONE, (0.01, 0.01))
    wrong, found = compared(surface, exact)
    assert np.abs(wrong).max() < 0.01
    assert found.error.max() / found.distances.max() < 0.05


def test_distances_are_a_metric_and_never_exceed_the_straight_line():
    rng = np.random.default_rng(5)
    smooth = np.exp(np.add.outer(np.sin(np.linspace(0, 9, 41)), np.cos(np.linspace(0, 7, 41))))
    shear = 0.5 * smooth * np.sin(np.add.outer(np.arange(41), np.arange(41)) / 5)
    points = np.unique(rng.integers(0, 41, (15, 2)), axis=0)
    found = geodesics(Surface(smooth, shear, smooth, (0.02, 0.02)), points)
    d = found.distances
    assert np.array_equal(d, d.T) and (np.diag(d) == 0).all() and (d[~np.eye(len(d), dtype=bool)] > 0).all()
    assert (d <= found.straight + 1e-12).all()
    assert (d[:, :, None] <= d[:, None] + d.T[None] + 1e-12).all()


def test_a_vanishing_metric_has_distance_zero():
    found = geodesics(Surface(0 * ONE, 0 * ONE, 0 * ONE, (0.01, 0.01)), np.array([[0, 0], [100, 40], [3, 99]]))
    assert found.distances.max() == 0 and np.isfinite(found.error).all()


def test_arguments_are_not_changed():
    E, points = ONE.copy(), np.array([[0, 0], [50, 60]])
    geodesics(Surface(E, 0 * E, E, (0.01, 0.01)), points)
    assert (E == 1).all() and points.tolist() == [[0, 0], [50, 60]]


@pytest.mark.parametrize("change, words", [
    ({"E": ONE[:5]}, "take three arrays of one shape"), ({"E": np.full((N, N), np.nan)}, "E: NaN or Inf at"),
    ({"E": 1e200 * ONE}, "E, G: a number of size 1e+200 in it; takes numbers up to 1e+150"),
    ({"E": -ONE}, "takes E, G >= 0"), ({"F": 2 * ONE}, "F² <= E G"), ({"spacing": (0.1, 0.0)}, "spacing = (0.1, 0.0)"),
    ({"points": [[0, 0], [101, 5]]}, "outside the grid"), ({"points": [[0, 0]]}, "n >= 2"),
    ({"points": [[0.5, 0], [1, 5]]}, "integers"), ({"reach": 0}, "reach = 0"), ({"reach": 2.5}, "reach = 2.5"),
    ({"points": [[0, 0], [1, 5], [0, 0]]}, "points = [[0, 0], [1, 5], [0, 0]]: one of them twice; takes distinct"),
    ({"points": [[0, 0], [101, 5]]}, "points: (101, 5) lies outside"), ({"spacing": 1.0}, "spacing = 1.0: takes two"),
    ({"spacing": ("a", 1)}, "spacing = ('a', 1): takes two"), ({"E": [["a", 1], [1, 1]]}, "E = [['a', 1], [1, 1]]"),
])
def test_bad_inputs_are_one_line(change, words):
    given = {"E": ONE, "F": 0 * ONE, "G": ONE, "spacing": (0.1, 0.1), "points": [[0, 0], [1, 5]], "reach": 6} | change
    with pytest.raises(ValueError) as error:
        geodesics(Surface(given["E"], given["F"], given["G"], given["spacing"]), np.array(given["points"]),
                  reach=given["reach"])
    assert words in str(error.value) and "\n" not in str(error.value)
