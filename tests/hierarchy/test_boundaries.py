"""Boundaries of slices whose answer is known: walls that rise at given steps."""

from types import SimpleNamespace

import numpy as np
import pytest

from phasebook.hierarchy.boundaries import (
    before_over_after,
    check_pairs,
    coarse_first,
    lost_over_gained,
    nearby_pairs,
)
from phasebook.slices.plane import Plane, seeded_anchors

N, STEPS = 12, 20


class Walls:
    """A slice of given jumps: what the measures ask of a slice."""

    def __init__(self, up, right):
        self.jump = {"jump_alpha": up, "jump_beta": right}
        self.steps = len(up)
        self.plane = Plane(seeded_anchors((2, 8), 0), grid=up.shape[2])
        self.levels = SimpleNamespace(heights=np.geomspace(10, 0.1, len(up)))

    def values(self, name):
        return self.jump[name]


def walls(first, second, sizes=(1.0, 0.4), drift=0.0):
    """Two walls across beta: at column 2 of jump sizes[0] from step `first`, at column 7 of sizes[1] from `second`."""
    up, right = np.zeros((STEPS, N - 1, N)), np.zeros((STEPS, N, N - 1))
    right[:, :, [2, 7]] = drift
    right[first:, :, 2], right[second:, :, 7] = sizes
    labels = np.zeros((STEPS, N, N), int)
    labels[first:, :, 3:] += 1
    labels[second:, :, 8:] += 1
    return Walls(up, right), labels


def test_coarse_first_has_the_sign_of_the_order():
    assert coarse_first(walls(4, 12)[0], 0.1) == pytest.approx(1)
    assert coarse_first(walls(12, 4)[0], 0.1) == pytest.approx(-1)
    assert coarse_first(walls(4, 12)[0], 2.0) is None


def test_neighbours_agree_before_a_wall_and_not_after():
    s, labels = walls(8, 12)
    assert before_over_after(s, labels, 0.2) == 0
    s, labels = walls(8, 12, drift=0.1)
    assert before_over_after(s, labels, 0.2) == pytest.approx((0.1 / 1 + 0.1 / 0.4) / 2)
    assert before_over_after(s, np.zeros_like(labels), 0.2) is None


def test_the_step_is_read_further_along_the_boundary():
    """Labels of all rows but the last two change late, those of the last two in time: the row that borrows from these
    agrees before, all others have a jump before their labels change."""
    s, labels = walls(8, 12)
    late = np.zeros_like(labels)
    late[18:] = labels[18:]
    assert before_over_after(s, late, 0.2) > 0.4
    late[:, -2:] = labels[:, -2:]
    only = Walls(s.jump["jump_alpha"], s.jump["jump_beta"].copy())
    only.jump["jump_beta"][:, :-4] = 0                      # only rows that borrow from the last two have a jump
    assert before_over_after(only, late, 0.2) is None       # four edges: too few
    assert before_over_after(s, labels, 0.2) == 0


def test_losses_over_gains_do_not_punish_a_late_start():
    assert lost_over_gained(np.array([[1] * 40 + [2, 3, 7]])).value == 0
    assert lost_over_gained(np.array([[1, 5, 4, 6], [1, 1, 1, 7]])).value == pytest.approx(1 / 12)
    assert lost_over_gained(np.array([[1, 1]])) is None
    unsigned = np.array([[1, 5, 4, 6], [1, 1, 1, 7]], dtype=np.uint16)
    assert lost_over_gained(unsigned).value == pytest.approx(1 / 12) and lost_over_gained(unsigned).n == 12


def test_no_loss_of_few_phases_is_no_proof_that_none_is_lost():
    """None of two phases a slice, or of five: the share is 0, and what it could be is not."""
    few = lost_over_gained(np.tile([1, 2, 3], (16, 1)))
    assert few.value == 0 and np.isinf([few.low, few.high]).all()
    many = lost_over_gained(np.tile([1, 4, 6], (16, 1)))
    assert (many.value, many.low) == (0, 0) and many.high == pytest.approx(1 - 0.025 ** (1 / 80))


def test_nearby_pairs_are_neighbours_across_the_largest_jumps():
    s, _ = walls(8, 12)
    pairs = nearby_pairs(s, 3, 0.2)
    gaps = np.abs(pairs[:, 0] - pairs[:, 1])
    np.testing.assert_allclose(gaps, [[0, s.plane.spacing[1]]] * 3, atol=1e-12)
    assert (pairs[:, 0, 1] == s.plane.beta[2]).all()
    assert np.diff(np.sort(pairs[:, 0, 0])).min() > 0.2
    for count in (0, -1, 2.5):
        with pytest.raises(ValueError, match=f"^count = {count}: takes a whole number >= 1"):
            nearby_pairs(s, count)


@pytest.mark.parametrize("pairs", [[[[0.1, 0.2], [0.1, 0.2]]], [[[0.1, 0.2], [1.5, 0.2]]], [[[0.1, 0.2]]]])
def test_bad_pairs_are_one_line(pairs):
    with pytest.raises(ValueError, match="pair_coordinates") as error:
        check_pairs(pairs, [0, 1, 0, 1])
    assert "\n" not in str(error.value)
