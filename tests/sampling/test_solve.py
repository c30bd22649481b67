"""Solving one step backwards."""

import pytest
import torch

from phasebook.sampling.solve import rms, solve_step


def test_a_step_too_steep_for_the_plain_iteration_is_still_solved():
    """F(x) = 5 x: the plain iteration with rate 1 multiplies the error by -4; halving the rate saves it."""
    target = torch.tensor([[1.0], [-2.0]], dtype=torch.float64)
    found = solve_step(lambda y: (5 * y, -y), target, target, 1.0, 60, 1e-9)
    torch.testing.assert_close(found.x, target / 5, rtol=1e-8, atol=1e-9)
    assert torch.equal(found.x0, -found.x)
    with_one = solve_step(lambda y: (5 * y, -y), target, target, 1.0, 1, 1e-9)
    assert (with_one.residual == (4 * target[:, 0]).abs()).all()        # the guess was better than the first update


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [1e-5, 1.0, 3e4])
def test_the_size_of_differences_in_half_precision_is_that_of_their_numbers(dtype, size):
    """Squares below 6e-8 are 0 in float16, and none is above 65504: no residual, or one without end."""
    x = (size * torch.linspace(-1, 1, 8).repeat(3, 1)).to(dtype)
    torch.testing.assert_close(rms(x).double(), rms(x.double()), rtol=1e-5, atol=0)


def test_a_step_in_half_precision_is_solved_from_afar():
    target, first = torch.full((1, 3), 301.0).half(), torch.zeros(1, 3).half()
    found = solve_step(lambda y: (0.5 * y + 1, y), target, first, 1.0, 30, 0.5)
    assert float(found.residual) <= 0.5 and float((found.x - 600).abs().max()) <= 1
