"""Many problems let down at once, each as if it were alone."""

import numpy as np
import pytest

from phasebook.spacetime.descent import descended


def bowls(stiff):
    """Quadratics with a Hessian of their own, least at (1, 2, ..., k)."""
    least = np.arange(1.0, stiff.shape[1] + 1)
    return lambda x: ((stiff * (x - least)**2).sum(1) / 2, stiff * (x - least))


def valley(x):
    """Rosenbrock's, least at (1, 1)."""
    a, b = x.T
    bend = b - a**2
    return (1 - a)**2 + 100 * bend**2, np.stack([2 * (a - 1) - 400 * a * bend, 200 * bend], axis=1)


def test_quadratics_of_any_stiffness_are_solved():
    stiff = np.array([[1.0, 1, 1], [1, 10, 100], [0.01, 0.1, 3]])
    found = descended(bowls(stiff), np.zeros((3, 3)), 60)
    assert found == pytest.approx(np.tile([1.0, 2, 3], (3, 1)), rel=2e-3)


def test_a_curved_valley_is_followed():
    found = descended(valley, np.array([[-1.2, 1.0], [0.0, 0.0]]), 120)
    assert valley(found)[0] == pytest.approx([0, 0], abs=1e-6)


def test_each_goes_as_if_it_were_alone():
    starts = np.array([[-1.2, 1.0], [3.0, -2.0], [0.5, 0.2]])
    together = descended(valley, starts, 12)
    alone = np.concatenate([descended(valley, one[None], 12) for one in starts])
    assert np.array_equal(together, alone)


def test_no_point_is_worse_than_the_start_and_no_number_is_not_taken():
    """A value that is no number a little down the slope: the step is cut until it stays on this side."""
    def value(x):
        with np.errstate(invalid="ignore"):
            return np.where(x[:, 0] < 0.5, np.nan, x[:, 0]), np.ones_like(x)

    found = descended(value, np.array([[0.6]]), 6)
    assert 0.5 <= found[0, 0] < 0.6
    assert descended(bowls(np.ones((1, 2))), np.array([[1.0, 2.0]]), 5) == pytest.approx(np.array([[1.0, 2.0]]))
