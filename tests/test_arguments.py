"""What is refused, and what passes: numbers of numpy and torch are numbers."""

import numpy as np
import pytest
import torch

from phasebook.arguments import (
    brief,
    check_place,
    first_not_finite,
    latent_shape,
    number,
    numbers,
    of_its_kind,
    tensor_of,
    whole,
)
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


@pytest.mark.parametrize("value", [
    np.arange(3.0).astype(">f8"), np.arange(3, dtype=">i2"), np.arange(3, dtype=np.longdouble),
    np.arange(2.0, -1, -1)[::-1], [0.0, 1.0, 2.0], [torch.tensor([k]) for k in range(3)],
    np.broadcast_to(np.arange(3.0), (1, 3))[0],
], ids=str)
def test_arrays_and_lists_of_any_kind_of_number_are_tensors(value):
    assert tensor_of("f", value, "numbers").flatten().tolist() == [0, 1, 2]
    assert tensor_of("f", [1 + 1e-12], "numbers").item() == 1 + 1e-12          # not in single precision


def test_tensors_with_gradients_or_in_short_formats_are_numbers():
    for dtype in (torch.float32, torch.bfloat16):
        assert numbers("x", torch.ones(2, dtype=dtype, requires_grad=True), "numbers").tolist() == [1, 1]


@pytest.mark.parametrize("layer", [torch.nn.Linear(2, 2), torch.nn.Conv1d(2, 2, 1), torch.nn.LayerNorm(2),
                                   torch.nn.ConvTranspose1d(2, 2, 1)], ids=lambda layer: type(layer).__name__)
def test_layers_of_another_type_are_told_in_one_line(layer):
    x = torch.ones(2, 2, dtype=torch.float64)

    def asked():
        with of_its_kind("denoise", x, "a network in double precision"):
            layer(x)
    refuses(asked, "denoise: ", "; is given torch.float64 on cpu, takes a network in double precision")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_the_first_point_that_is_not_finite(value):
    x = torch.ones(5, 2, 2)
    x[3, 1, 0] = x[4, 0, 0] = value
    assert first_not_finite(x) == 3 and first_not_finite(x[:3]) is None
    assert first_not_finite(torch.full((2, 3), 3e38)) is None       # whose sum is infinite
