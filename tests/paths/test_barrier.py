"""The lowest pass: a landscape whose barrier is known, and a flooding by shortest paths."""

import heapq

import numpy as np
import pytest

from phasebook.paths.barrier import minimax_energy
from phasebook.paths.potential import FORMULAS, of_formula, of_grid
from tests.builders import refuses


def test_the_double_well_has_its_barrier():
    assert minimax_energy(of_formula(*FORMULAS["double_well"]), np.array([[-1.0, 0], [1.0, 0]])) == \
        pytest.approx(10, abs=0.05)


def test_angles_join_across_the_cut():
    """Between two places beside the cut the way over it is the low one."""
    a = -np.pi + 2 * np.pi * np.arange(33) / 33
    surface = of_grid(2 + np.cos(a)[:, None] + 0 * a, 1.0)
    ends = np.array([[np.pi - 0.3, 0], [-np.pi + 0.3, 0]])
    assert minimax_energy(surface, ends, 66) < 0.1


def test_flooding_is_the_shortest_path_under_the_largest_energy():
    """Dijkstra with max in place of +, on a random landscape."""
    n, rng = 31, np.random.default_rng(0)
    spectrum = rng.normal(size=(5, 5)) + 1j * rng.normal(size=(5, 5))
    x = -np.pi + 2 * np.pi * np.arange(n) / n
    wave = np.exp(1j * np.outer(x, np.arange(-2, 3)))
    surface = of_grid((wave @ spectrum @ wave.T).real, 2.0)
    U = surface.nodes(n)
    ends = np.array([[0.5, 0.4], [-2.2, 2.5]])
    first, last = (tuple(p) for p in surface.nearest(ends, n).tolist())
    best, queue = {first: U[first]}, [(U[first], first)]
    while queue:
        height, (i, j) = heapq.heappop(queue)
        if (i, j) == last:
            break
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                at = ((i + di) % n, (j + dj) % n)
                if (top := max(height, U[at])) < best.get(at, np.inf):
                    best[at] = top
                    heapq.heappush(queue, (top, at))
    assert minimax_energy(surface, ends, n) == pytest.approx(best[last])


def test_what_has_no_pass():
    surface, ends = of_formula(*FORMULAS["double_well"]), [[-1.0, 0], [1.0, 0]]
    for n in (0, 1, 2.5):
        refuses(lambda n=n: minimax_energy(surface, ends, n), f"n = {n}: takes a whole number >= 2")
    refuses(lambda: minimax_energy(surface, ends[:1]), "ends: shape (1, 2); takes two places")
    refuses(lambda: minimax_energy(surface, [[-1.0, 0], [np.nan, 0]]), "ends: NaN or Inf at [1, 0]")
