"""Solving one step backwards."""

import torch

from phasebook.sampling.solve import solve_step


def test_a_step_too_steep_for_the_plain_iteration_is_still_solved():
    """F(x) = 5 x: the plain iteration with rate 1 multiplies the error by -4; halving the rate saves it."""
    target = torch.tensor([[1.0], [-2.0]], dtype=torch.float64)
    found = solve_step(lambda y: 5 * y, target, target, 1.0, 60, 1e-9)
    torch.testing.assert_close(found.x, target / 5, rtol=1e-8, atol=1e-9)
    with_one = solve_step(lambda y: 5 * y, target, target, 1.0, 1, 1e-9)
    assert (with_one.residual == (4 * target[:, 0]).abs()).all()        # the guess was better than the first update
