"""Splits of pairs: steps, and interpolated noise levels."""

import numpy as np
import pytest

from phasebook.slices.measures.splits import final_half, median_half, split_levels, split_steps

APART = np.array([[0.0, 0.2, 0.6, 1.0], [0.0, 0.0, 0.0, 0.4], [0.0, 0.0, 0.0, 0.0], [0.3, 0.8, 2.0, 2.0]])


def test_one_threshold_for_all_or_one_a_pair():
    assert median_half(APART) == pytest.approx(0.35)
    assert split_steps(APART).tolist() == [2, 3, 4, 1]
    assert split_steps(APART, 0.5).tolist() == [2, 4, 4, 1]
    assert split_steps(APART, final_half(APART)).tolist() == [2, 3, 4, 2]       # nothing parts equal points


def test_levels_are_interpolated_in_the_logarithm_of_the_noise():
    noise = np.exp([3.0, 2.0, 1.0, 0.0])
    level = split_levels(APART, noise, 0.5)
    assert level == pytest.approx([2 - 0.75, 0, 0, 3 - 0.4])
    assert split_levels(np.array([[0.6, 1.0]]), noise[:2], 0.5) == pytest.approx([1.0])     # apart from the start


def test_levels_lie_between_the_steps_around_the_crossing():
    rng = np.random.default_rng(0)
    apart = np.cumsum(rng.random((50, 20)), 1)
    noise = np.geomspace(10, 0.1, 20)
    step, level = split_steps(apart), noise[-1] * np.exp(split_levels(apart, noise))
    assert (level <= noise[step - 1] * (1 + 1e-12)).all() and (level >= noise[step] * (1 - 1e-12)).all()


def test_a_single_step_is_the_last_one():
    """Nothing lies before it: who is apart there parts at the height of the last step, which is 0."""
    assert split_levels(np.array([[0.6], [0.1]]), [3.0], 0.5).tolist() == [0.0, 0.0]
    assert split_steps(np.array([[0.6], [0.1]]), 0.5).tolist() == [0, 1]


def test_lists_are_levels_too():
    assert split_levels(APART.tolist(), [8.0, 4.0, 2.0, 1.0], 0.5) == pytest.approx(
        split_levels(APART, np.array([8.0, 4.0, 2.0, 1.0]), 0.5))


@pytest.mark.parametrize("call, words", [
    (lambda: split_steps(np.zeros((3, 2, 4))), "takes finite distances"),
    (lambda: split_levels(np.full((3, 2), np.nan), np.ones(2)), "apart: NaN or Inf at .* takes finite numbers"),
    (lambda: split_levels("ab", [1.0, 2.0]), "apart = 'ab': takes finite distances"),
    (lambda: split_levels(APART, [2.0, 1.0]), r"noise = \[2.0, 1.0\]: takes 4 numbers > 0, one a step, falling"),
    (lambda: split_levels(APART, [1.0, 2.0, 3.0, 4.0]), "one a step, falling"),
    (lambda: split_levels(APART, [3.0, 2.0, 1.0, 0.0]), "takes 4 numbers > 0"),
    (lambda: split_levels(APART, [np.inf, 2.0, 1.0, 0.5]), "noise: NaN or Inf at"),
    (lambda: split_steps(APART[:1], [0.1, 0.2, 0.3]), "threshold: shape .*; takes one number, or one for each"),
    (lambda: split_steps(APART, np.nan), "threshold: NaN or Inf"),
    (lambda: split_steps(APART, "half"), "threshold = 'half'"), (lambda: split_steps(APART, -1), "threshold: -1 in it"),
    (lambda: split_levels(APART, [4.0, 3.0, 2.0, 1.0], [0.1, 0.2]), r"threshold: shape \(2,\)"),
])
def test_bad_inputs_are_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
