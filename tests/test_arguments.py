"""What is refused, and what passes: numbers of numpy and torch are numbers."""

import numpy as np
import pytest
import torch

from phasebook.arguments import brief, check_place, first_not_finite, latent_shape, number, numbers, tensor_of, whole
from tests.builders import refuses


def test_numbers_of_all_libraries_are_numbers():
    assert whole("n", np.int32(3), 1) == 3 and type(whole("n", np.int64(3), 1)) is int
    for value in (0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5)):
        assert number("x", value, "a number") == 0.5
    assert numbers("x", torch.ones(2), "numbers").tolist() == [1, 1]
    assert latent_shape(np.int64(3)) == latent_shape([3]) == latent_shape(torch.Size([3])) == (3,)
    check_place(torch.float16, torch.device("cpu"))


@pytest.mark.parametrize("value", [None, "1", 1j, [[1], [1, 2]], True, object(), np.nan])
def test_what_is_no_number(value):
    refuses(lambda: number("x", value, "a number"), "x = ", "takes a number")
    refuses(lambda: whole("n", value, 0, 3), "n = ", "takes a whole number from 0 to 3")


def test_a_value_is_told_in_one_short_line():
    assert brief(np.float64(0.5)) == "0.5" and len(brief(list(range(100)))) == 60 and "\n" not in brief(np.eye(9))
    refuses(lambda: tensor_of("f", {}, "a tensor"), "f: gives a dict; takes a tensor")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_the_first_point_that_is_not_finite(value):
    x = torch.ones(5, 2, 2)
    x[3, 1, 0] = x[4, 0, 0] = value
    assert first_not_finite(x) == 3 and first_not_finite(x[:3]) is None
    assert first_not_finite(torch.full((2, 3), 3e38)) is None       # whose sum is infinite
