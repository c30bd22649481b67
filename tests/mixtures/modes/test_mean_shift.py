"""Mean shift: the exact tree on a line, fixed points in many dimensions, modes it cannot reach."""

import numpy as np
import pytest

from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.modes.critical_points import equilateral_triangle, modes
from phasebook.mixtures.modes.mean_shift import mean_shift, mean_shift_tree, modes_missed
from phasebook.mixtures.modes.modes import modes_1d
from phasebook.mixtures.modes.tree import mode_tree
from phasebook.mixtures.trees import mode_count
from tests.builders import refuses


def atoms(*x, weights=None):
    return Mixture.atoms(np.array(x, float)[:, None], weights)


def test_mean_shift_on_a_line_is_the_exact_tree():
    x = np.random.default_rng(0).uniform(-2, 2, 20)
    exact = mode_tree(atoms(*x), 0.1, 3, 60)
    shifted = mean_shift_tree(x[:, None], ratios=exact.ratios)
    assert np.abs(exact.counts - shifted.counts).max() <= 1 and (np.diff(shifted.counts) <= 0).all()
    late = np.array([m.ratio for m in exact.merges])[-4:]
    np.testing.assert_allclose([m.ratio for m in shifted.merges[-4:]], late, rtol=0.15)


def test_mean_shift_in_the_span_is_mean_shift():
    """Fixed points in a space of many dimensions: the score vanishes there; pure function of the Gram matrix."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(12, 300)) / 10
    weights = mean_shift(points @ points.T, np.eye(12), 1.0, steps=3000, tolerance=1e-12)
    y = weights @ points
    assert np.abs(Mixture.atoms(points).score(y, 1.0, 1.0)).max() < 1e-9
    ratios = np.geomspace(0.1, 2, 20)
    by_gram = mean_shift_tree(gram=points @ points.T, ratios=ratios)
    assert (by_gram.counts == mean_shift_tree(points + 5.0, ratios=ratios).counts).all()
    assert by_gram.counts[0] == 12 and by_gram.counts[-1] == 1 and len(by_gram.merges) == 11


def test_the_tree_knows_no_origin():
    points = np.round(np.random.default_rng(2).normal(size=(20, 3)), 6)
    ratios = np.geomspace(0.1, 3, 12)
    far = mean_shift_tree(points + 1e8, ratios=ratios)
    assert far.counts.tolist() == mean_shift_tree(points, ratios=ratios).counts.tolist()


def test_mean_shift_merges_coincident_points_at_once():
    tree = mean_shift_tree(np.array([[0.0, 0], [0, 0], [3, 0]]), ratios=np.array([0.1, 1.0, 2.0]))
    assert tree.counts.tolist() == [2, 2, 1] and tree.first[0] == tree.first[1] != tree.first[2]


def test_modes_that_no_atom_leads_to():
    """The fourth mode of a triangle lives from 1/sqrt(2) circumradii on, and the search from combinations finds it."""
    triangle = equilateral_triangle().means
    for r in (0.5, 0.715, 0.73, 0.8):
        inside = modes_missed(triangle @ triangle.T, r, 40, np.random.default_rng(0))
        assert inside == (len(modes(equilateral_triangle(), r)) == 4)
    line = np.random.default_rng(4).uniform(-2, 2, (15, 1))                # on a line every mode is reached
    assert modes_missed(line @ line.T, 0.2, 60, np.random.default_rng(1)) == 0


def test_refusals():
    with pytest.raises(ValueError, match="one of the two"):
        mean_shift_tree(ratios=[1.0])
    with pytest.raises(ValueError, match="growing"):
        mean_shift_tree(np.eye(2), ratios=[2.0, 1.0])
    for ratios in ([], 1.0, ["a"]):
        refuses(lambda ratios=ratios: mean_shift_tree(np.eye(2), ratios=ratios), "ratios = ", "takes positive, growing")


@pytest.mark.parametrize("x", [[-3.0, -2.2, 0, 2.2, 3], [-1.0, -1, 0, 1, 1], [-1.1, -1, -0.9, 0, 0.9, 1, 1.1]])
def test_the_middle_of_symmetric_atoms_is_no_mode_once_it_is_a_minimum(x):
    """Mean shift rests on it: there the slope is zero to the last digit."""
    ratios = np.array([0.3, 0.5, 0.6, 0.7, 1.3, 1.7])
    counts = [len(modes_1d(atoms(*x), 1.0, r).modes) for r in ratios]
    tree = mean_shift_tree(np.array(x)[:, None], ratios=ratios)
    assert tree.counts.tolist() == counts == [mode_count(atoms(*x), r) for r in ratios]
    raised = np.pad(np.array(x)[:, None], ((0, 0), (3, 60)))                # the same in 64 dimensions
    assert mean_shift_tree(raised, ratios=ratios).counts.tolist() == counts
