"""The tree of modes in the plane: two atoms in closed form, the triangle's fourth mode, counts by the search."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.critical_points import equilateral_triangle, mode_count_changes
from phasebook.mixtures.modes.plane_tree import plane_tree
from phasebook.mixtures.modes.tree import mode_tree


def test_two_equal_atoms_part_at_half_their_distance():
    tree = plane_tree(Mixture.atoms([[-1.0, 0.0], [1.0, 0.0]]), 0.3, 2.0, levels=12)
    assert tree.births == [0.3, 0.3] and len(tree.first) == 2
    assert tree.joins[0].s == pytest.approx(1.0, rel=2e-4)


def test_on_a_line_it_is_the_line_s_own():
    places, weights = np.array([-1.5, -0.2, 1.0]), np.array([0.5, 0.2, 0.3])
    line = mode_tree(Mixture.atoms(places[:, None], weights), 0.1, 3.0, 40)
    tree = plane_tree(Mixture.atoms(np.stack([0.6 * places, 0.8 * places], 1), weights), 0.1, 3.0, 24)
    assert [j.s for j in tree.joins] == pytest.approx([m.ratio for m in line.merges], rel=2e-4)
    assert [(j.child, j.parent) for j in tree.joins] == [(m.child, m.parent) for m in line.merges]


def test_the_triangle_has_a_stem_in_mid_air():
    tree = plane_tree(equilateral_triangle(), 0.5, 1.0, levels=12)
    assert tree.births[:3] == [0.5] * 3 and tree.births[3:] == pytest.approx([1 / np.sqrt(2)], rel=2e-4)
    assert [(j.child, j.parent) for j in tree.joins] == [(0, 3), (1, 3), (2, 3)]
    assert [j.s for j in tree.joins] == pytest.approx([0.73913] * 3, rel=2e-4)


def test_counts_are_those_of_the_search():
    rng = np.random.default_rng(3)
    mixture = Mixture(rng.uniform(-1.5, 1.5, (4, 2)), np.zeros(4), rng.dirichlet(np.ones(4) * 4))
    tree = plane_tree(mixture, 0.06, 3.0)
    changes = mode_count_changes(mixture, 0.06, 3.0, 24, 1e-4)
    assert [j.s for j in tree.joins] == pytest.approx([s for s, _, _ in changes], rel=1e-3)
    assert sorted(j.child for j in tree.joins) == sorted({0, 1, 2, 3} - {tree.joins[-1].parent})


def test_a_reversed_interval_is_refused():
    with pytest.raises(ValueError, match="low, high = 2, 1: take 0 < low < high"):
        plane_tree(equilateral_triangle(), 2, 1)
