"""Solving one step backwards."""

import pytest
import torch

from phasebook.sampling.solve import rms, solve_step


def test_a_step_too_steep_for_the_plain_iteration_is_still_solved():
    """F(x) = 5 x: the plain iteration with rate 1 multiplies the error by -4; halving the rate saves it."""
    target = torch.tensor([[1.0], [-2.0]], dtype=torch.float64)
    found = solve_step(lambda y, _: (5 * y, -y), target, target, 1.0, 60, 1e-9)
    torch.testing.assert_close(found.x, target / 5, rtol=1e-8, atol=1e-9)
    assert torch.equal(found.x0, -found.x)
    with_one = solve_step(lambda y, _: (5 * y, -y), target, target, 1.0, 1, 1e-9)
    assert (with_one.residual == (4 * target[:, 0]).abs()).all()        # the guess was better than the first update


def test_points_that_have_settled_are_not_looked_at_again_and_come_out_as_alone():
    """F(x) = tanh(a x) for gentle and for steep a: the gentle ones settle first."""
    slope = torch.tensor([[0.1], [1.0], [5.0], [1.0]], dtype=torch.float64)
    target = torch.tanh(slope * torch.tensor([[0.7], [0.5], [0.3], [0.0]], dtype=torch.float64))
    looked = []

    def advance(y, points):
        looked.append(points.tolist())
        return torch.tanh(slope[points] * y), slope[points] * y

    found = solve_step(advance, target, target, 1.0, 40, 1e-10)
    assert float(found.residual.max()) <= 1e-10
    assert looked[0] == [0, 1, 2, 3] and 3 not in looked[1]             # its guess was the answer
    assert all(set(after) <= set(before) for before, after in zip(looked, looked[1:], strict=False))
    assert sum(map(len, looked)) < 0.8 * 4 * len(looked)
    for k in range(4):
        one = solve_step(lambda y, _, k=k: (torch.tanh(slope[k] * y), slope[k] * y), target[k:k + 1],
                         target[k:k + 1], 1.0, 40, 1e-10)
        torch.testing.assert_close(found.x[k], one.x[0], rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(found.x0[k], one.x0[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [1e-5, 1.0, 3e4])
def test_the_size_of_differences_in_half_precision_is_that_of_their_numbers(dtype, size):
    """Squares below 6e-8 are 0 in float16, and none is above 65504: no residual, or one without end."""
    x = (size * torch.linspace(-1, 1, 8).repeat(3, 1)).to(dtype)
    torch.testing.assert_close(rms(x).double(), rms(x.double()), rtol=1e-5, atol=0)


def test_a_step_in_half_precision_is_solved_from_afar():
    target, first = torch.full((1, 3), 301.0).half(), torch.zeros(1, 3).half()
    found = solve_step(lambda y, _: (0.5 * y + 1, y), target, first, 1.0, 30, 0.5)
    assert float(found.residual) <= 0.5 and float((found.x - 600).abs().max()) <= 1
