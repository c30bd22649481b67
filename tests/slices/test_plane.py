"""Planes: Eq. (3), normalisation and anchors, against latents formed in full."""

import os

import numpy as np
import pytest
import torch

from phasebook.sampling.levels import scaled_linear_levels
from phasebook.slices.plane import Plane, check_extent, load_anchors, seeded_anchors
from phasebook.slices.sweep import slice_of
from tests.builders import refuses


def by_hand(plane, alpha, beta):
    z0, z1, z2 = plane.anchors.astype(np.float64)
    z = z0 + alpha * (z1 - z0) + beta * (z2 - z0)
    return z / z.std(ddof=1) if plane.normalise else z


@pytest.mark.parametrize("normalise", [True, False])
def test_latents_are_equation_3(normalise):
    plane = Plane(seeded_anchors((3, 8, 8), 5), (-0.5, 1.5, 0.25, 2), 7, normalise)
    alpha, beta = np.array([0.0, 1.0, 0.0, -0.4]), np.array([0.0, 0.0, 1.0, 1.9])
    for z, a, b in zip(plane.latents(alpha, beta), alpha, beta, strict=True):
        np.testing.assert_allclose(z, by_hand(plane, a, b), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("normalise", [True, False])
def test_derivatives_of_the_coefficients(normalise):
    plane, h = Plane(seeded_anchors((3, 8, 8), 5), normalise=normalise), 1e-6
    at = lambda a, b: plane.coefficients(np.array([a]), np.array([b]))  # noqa: E731
    da, db = at(0.3, 0.8)[1][:, 0]
    np.testing.assert_allclose((at(0.3 + h, 0.8)[0] - at(0.3 - h, 0.8)[0])[0] / (2 * h), da, atol=1e-8)
    np.testing.assert_allclose((at(0.3, 0.8 + h)[0] - at(0.3, 0.8 - h)[0])[0] / (2 * h), db, atol=1e-8)


def test_seeded_anchors_depend_on_the_seed_alone():
    a, b, c = (seeded_anchors((3, 8, 8), s) for s in (4, 4, 5))
    assert a.shape == (3, 3, 8, 8) and np.array_equal(a, b) and not np.allclose(a, c)


def test_anchors_in_half_precision_span_a_plane_that_half_precision_cannot_hold():
    corners = np.array([[4e4, 0], [-4e4, 0], [0, 4e4]], dtype=np.float16)
    with np.errstate(all="raise"):
        plane = Plane(corners, normalise=False)
    np.testing.assert_array_equal(plane.latents([1.0], [0.0]), corners[1:2].astype(float))
    refuses(lambda: Plane(corners * [1, 0]), "anchors: the three latents lie on one line")


def test_anchors_from_a_file(tmp_path):
    z = seeded_anchors((3, 8, 8), 4)
    for dtype in (np.float16, np.float32, np.float64):
        np.save(tmp_path / "z.npy", z.astype(dtype))
        np.testing.assert_allclose(load_anchors(tmp_path / "z.npy", (3, 8, 8)), z, atol=2e-3)


@pytest.mark.parametrize("header", [
    "{'descr': '<f4', 'shape': (3, 4", "{1: 2, 'shape': (3, 4)}", "-" * 3000 + "1", "  a\n b", "(" * 500,
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, " + "9" * 40 + ")}",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3, 4)}",
], ids=range(7))
def test_a_file_with_a_hostile_header_is_one_line(tmp_path, header):
    data = header.encode()
    (tmp_path / "z.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data + bytes(48))
    with pytest.raises(ValueError, match="^anchors = .*takes a .npy file") as said:
        load_anchors(tmp_path / "z.npy", (4,))
    assert "\n" not in str(said.value)


def test_a_grid_that_no_memory_holds_is_refused_at_once():
    with pytest.raises(ValueError, match="grid = 1000000000: takes a whole number from 2 to 100000"):
        Plane.random((4,), 1, grid=10**9)


def test_anchors_of_other_machines(tmp_path):
    z = seeded_anchors((4,), 4)
    np.save(tmp_path / "z.npy", np.asfortranarray(z.astype(">f4")))
    plane = Plane(load_anchors(tmp_path / "z.npy", (4,)), grid=3)
    np.testing.assert_array_equal(torch.as_tensor(plane.anchors).numpy(), z)
    np.save(tmp_path / "z.npy", z.astype(np.longdouble))
    with pytest.raises(ValueError, match="takes a .npy file"):
        load_anchors(tmp_path / "z.npy", (4,))
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(ValueError, match="is no file"):
        load_anchors(tmp_path / "pipe.npy", (4,))


def test_a_plane_through_the_origin_cannot_be_normalised(small):
    z = seeded_anchors((3, 8, 8), 4)
    plane = Plane(np.stack([z[0], -z[0], z[1]]), grid=3)
    with pytest.raises(ValueError, match=r"standard deviation zero at alpha = 0.5, beta = 0"):
        slice_of(small, plane, scaled_linear_levels(2))
    assert np.isfinite(Plane(plane.anchors, grid=3, normalise=False).latents(np.array([0.5]), np.array([0.0]))).all()


@pytest.mark.parametrize("extent, words", [([0, 1, 1, 0], "beta0 < beta1"), ([0, 1, 0], "four finite numbers"),
                                           ([0, np.nan, 0, 1], "four finite"), ([0, 1e9, 0, 1], "1e\\+06"),
                                           ([0, 10**400, 0, 1], "four finite")])
def test_bad_extents_are_one_line(extent, words):
    with pytest.raises(ValueError, match=words):
        check_extent(extent)


def test_small_latents_are_not_normalised_unless_asked_for():
    assert not Plane.random((2,), 0).normalise and Plane.random((3, 8, 8), 0).normalise
    assert Plane.random((2,), 0, normalise=True).normalise


SHAPES = (0, -1, (), (0,), (-1,), (2.5,), (True,), None, "ab", 1.5)
EXTENTS = (None, 5, "abcd", (0, 1, 0), (0, 1, 0, None), (0, 1, 0, "1"), (0, np.inf, 0, 1), [[0, 1], [0, 1]])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_that_is_none_is_refused(shape):
    refuses(lambda: Plane.random(shape, 0), "shape = ", "takes positive integers")


@pytest.mark.parametrize("seed", [None, "a", 1.5, -1, True, 2**70])
def test_a_seed_that_is_none_is_refused(seed):
    refuses(lambda: Plane.random((2,), seed), "seed = ", "takes a whole number from 0")


@pytest.mark.parametrize("shape", [(10**12,), (2,) * 70])
def test_latents_that_no_memory_holds_are_refused(shape):
    refuses(lambda: Plane.random(shape, 0), "shape = (", "of 1e+09 entries at most")


@pytest.mark.parametrize("extent", EXTENTS)
def test_an_extent_that_is_none_is_refused(extent):
    refuses(lambda: Plane.random((2,), 0, extent=extent), "extent = ", "takes four finite numbers")


@pytest.mark.parametrize("fields, words", [
    ({"grid": 1}, "grid = 1: takes a whole number from 2"), ({"grid": None}, "grid = None"),
    ({"grid": True}, "grid = True"), ({"normalise": "no"}, "normalise = 'no': takes True or False"),
    ({"anchors": "z.npy"}, "anchors = 'z.npy': takes three latents"),
    ({"anchors": [[1, 2], [3]]}, "takes three latents"),
    ({"anchors": np.full((3, 2), np.nan)}, "anchors: NaN or Inf at [0, 0]"),
    ({"anchors": np.arange(3.0)[:, None]}, "anchors: the three latents lie on one line"),
    ({"anchors": np.zeros((3, 0))}, "anchors: shape (3, 0); takes three latents of two entries or more"),
    ({"anchors": np.ones((2, 2))}, "anchors: shape (2, 2)"), ({"anchors": np.eye(3) * 1j}, "takes three latents"),
])
def test_bad_fields_are_one_line(fields, words):
    refuses(lambda: Plane(**{"anchors": np.eye(3)} | fields), words)


@pytest.mark.parametrize("alpha, beta, words", [
    ([0.1, 0.2], [0.1], "shapes (2,) and (1,)"), (["a"], [0], "takes n numbers of each"),
    (None, [0], "alpha, beta = None, [0]: takes n numbers"), ("0.5", [0], "alpha, beta = '0.5'"),
    ([np.nan], [0], "alpha, beta: NaN or Inf at [0]"), ([[0.1]], [[0.1]], "shapes (1, 1)"),
])
def test_points_that_are_none_are_refused(alpha, beta, words):
    refuses(lambda: Plane.random((2,), 0).latents(alpha, beta), words)


def test_points_of_tensors_with_gradients_are_points():
    alpha, beta = (torch.tensor([x], requires_grad=True) for x in (0.25, 0.5))
    np.testing.assert_array_equal(*(Plane.random((2,), 0).latents(*p) for p in ((alpha, beta), ([0.25], [0.5]))))


def test_one_number_is_the_shape_of_vectors_and_an_array_an_extent():
    plane = Plane.random(2, 0, extent=np.array([0.0, 1.0, -1.0, 1.0]), grid=np.int64(4))
    assert plane.anchors.shape == (3, 2) and plane.extent == (0.0, 1.0, -1.0, 1.0) and type(plane.grid) is int


def test_fields_of_any_number_type_become_one():
    """An extent of whole numbers is the same as one of floats: stores are told apart by their text."""
    plane = Plane(np.eye(3, dtype=np.uint8), (0, 1, np.int8(-1), np.float32(2)), 3, np.bool_(False))
    assert [type(end) for end in plane.extent] == [float] * 4 and type(plane.normalise) is bool
    for dtype in (np.uint8, np.int64, np.longdouble, np.float64):
        assert Plane(np.eye(3, dtype=dtype)).anchors.dtype == np.float64
    assert Plane(np.eye(3, dtype=np.float16)).anchors.dtype == np.float16
