"""Slices: Eq. (3), normalisation, anchors and the Dataset, against latents formed in full."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from phasebook.slices.slices import Plane, load_anchors, seeded_anchors, slice_of, telling_steps

from phasebook.models.exact import ExactModel
from phasebook.models.gaussian import GaussianModel
from phasebook.sampling.samplers import ddim, levels
from phasebook.slices import slices
from phasebook.slices.refine import cell_areas, profile


def images(n=20, size=8, families=4, seed=2):
    rng = np.random.default_rng(seed)
    family = np.arange(n) % families
    pixels = 0.6 * rng.random((families, size, size, 3))[family] + 0.4 * rng.random((n, size, size, 3))
    return SimpleNamespace(pixels=pixels, family=family, names=tuple(map(str, range(n))), families=tuple("abcd"))


@pytest.fixture(scope="module")
def model():
    return ExactModel.of(images())


@pytest.fixture(scope="module")
def wide():
    return ExactModel.of(images(), dtype=torch.float64)


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


def test_a_slice_equals_pixel_space_point_by_point(wide):
    plane = Plane(seeded_anchors(wide.shape, 1), (-0.2, 1.1, 0.0, 1.3), 5)
    found = slice_of(wide, plane, levels("scaled_linear", 9), thumbnails=5)
    a, b = np.meshgrid(plane.alpha, plane.beta, indexing="ij")
    z = torch.as_tensor(np.stack([by_hand(plane, x, y) for x, y in zip(a.ravel(), b.ravel(), strict=True)]))
    for pixel in ddim(wide.denoise, z, levels("scaled_linear", 9)):
        f = wide.mean + pixel.x0.flatten(1) / wide.scale
        np.testing.assert_allclose(wide.decode(found.weights.values[pixel.step]).reshape(25, -1),
                                   f.view(25, *wide.shape).movedim(1, -1).clamp(0, 1).reshape(25, -1), atol=1e-9)
        grid = f.view(5, 5, -1) / f.shape[1] ** 0.5
        ga, gb = (torch.gradient(grid, spacing=h, dim=axis)[0] for axis, h in enumerate(plane.spacing))
        jacobian = torch.stack([ga, gb], -1)
        metric = jacobian.mT @ jacobian
        np.testing.assert_allclose(found.tr_g[pixel.step], metric.diagonal(dim1=-2, dim2=-1).sum(-1),
                                   rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(found.det_g[pixel.step], torch.linalg.det(metric), rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(found.jump_beta[pixel.step], (grid[:, 1:] - grid[:, :-1]).norm(dim=-1),
                                   rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("feature", ["pixels", "posterior"])
def test_exact_metric_is_the_limit_of_finite_differences(wide, feature):
    centre, size = 0.45, 1e-3
    plane = Plane(seeded_anchors(wide.shape, 1), (centre - size, centre + size) * 2, 3)
    found = slice_of(wide, plane, levels("scaled_linear", 20), feature=feature)
    for name in ("det_g", "tr_g", "largest"):
        np.testing.assert_allclose(found[name][:12, 1, 1], found[name + "_exact"][:12, 1, 1], rtol=1e-3, atol=1e-20)


def test_tiles_change_nothing_that_matters(model, monkeypatch):
    plane = Plane(seeded_anchors(model.shape, 3), grid=23)
    whole = slice_of(model, plane, levels("scaled_linear", 12), thumbnails=6)
    monkeypatch.setattr(slices, "POINTS_IN_A_TILE", 100)
    tiled = slice_of(model, plane, levels("scaled_linear", 12), thumbnails=6)
    for name in ("weights", "entropy_atom", "jump_alpha", "jump_beta"):
        np.testing.assert_allclose(whole[name], tiled[name], atol=2e-3)
        assert np.median(np.abs(whole[name].values - tiled[name].values)) < 1e-5
    np.testing.assert_allclose(whole.tr_g.values[:6], tiled.tr_g.values[:6], rtol=1e-3)


def test_the_dataset_says_what_it_is(model):
    plane = Plane(seeded_anchors(model.shape, 3), (0, 2, -1, 1), grid=6)
    found = slice_of(model, plane, levels("log_snr", 4), thumbnails=3)
    assert found.det_g.dims == ("step", "alpha", "beta") and found.sizes["step"] == 4
    assert float(found.alpha[-1]) == 2 and float(found.beta[0]) == -1
    spec = json.loads(found.attrs["spec"])
    assert spec["grid"] == 6 and spec["extent"] == [0, 2, -1, 1] and spec["schedule"] == "log_snr"
    again = slice_of(model, plane, levels("log_snr", 4), thumbnails=3)
    other = slice_of(model, Plane(plane.anchors + 0, (0, 2, -1, 1), 6, False), levels("log_snr", 4))
    assert found.attrs["hash"] == again.attrs["hash"] != other.attrs["hash"]
    assert np.array_equal(found.det_g, again.det_g)


@pytest.mark.parametrize("grid, steps, thumbnails", [(2, 1, 13), (2, 3, 0), (3, 2, 2), (17, 50, 40)])
def test_small_and_large_requests_are_finite(model, grid, steps, thumbnails):
    plane = Plane(seeded_anchors(model.shape, 3), grid=grid)
    found = slice_of(model, plane, levels("scaled_linear", steps), thumbnails=thumbnails)
    assert all(np.isfinite(found[v]).all() for v in found.data_vars)
    steps_shown = telling_steps(found, 6)
    assert steps_shown == sorted(set(steps_shown)) and steps_shown[-1] == steps - 1


def test_a_gaussian_has_no_ridge(wide):
    plane = Plane(seeded_anchors(wide.shape, 3), grid=9, normalise=False)
    found = slice_of(GaussianModel.of(wide), plane, levels("scaled_linear", 10))
    for name in ("det_g", "tr_g", "det_g_exact"):
        values = found[name].values.reshape(10, -1)
        np.testing.assert_allclose(values, np.broadcast_to(values[:, :1], values.shape), rtol=1e-6)


def test_area_of_cells_is_the_root_of_the_determinant(wide):
    plane = Plane(seeded_anchors(wide.shape, 3), grid=9)
    area, det = cell_areas(wide, plane, levels("scaled_linear", 20), 8, 30, 1e-4, seed=0)
    np.testing.assert_allclose(area, np.sqrt(det), rtol=1e-3)


def test_profile_of_a_smooth_place_has_one_curve(wide):
    plane = Plane(seeded_anchors(wide.shape, 3), grid=1001)
    cut = profile(wide, plane, levels("scaled_linear", 20), 4, 0.5, 0.5)
    for estimate in cut.estimates.values():
        np.testing.assert_allclose(estimate, cut.exact, rtol=1e-4)


def test_not_finite_is_an_error_that_names_step_and_point(model):
    class Broken(ExactModel):
        def sweep(self, *args, **kwargs):
            for frame in super().sweep(*args, **kwargs):
                if frame.step == 3:
                    frame.duals[7] = float("nan")
                yield frame

    broken = Broken(**{k: getattr(model, k) for k in model.__dataclass_fields__})
    plane = Plane(seeded_anchors(model.shape, 3), grid=5)
    with pytest.raises(ValueError, match=r"not finite at step 3, alpha = 0.*, beta = 0\.\d+"):
        slice_of(broken, plane, levels("scaled_linear", 5))


def test_seeded_anchors_depend_on_the_seed_alone():
    a, b, c = (seeded_anchors((3, 8, 8), s) for s in (4, 4, 5))
    assert a.shape == (3, 3, 8, 8) and np.array_equal(a, b) and not np.allclose(a, c)


def test_anchors_from_a_file(tmp_path):
    z = seeded_anchors((3, 8, 8), 4)
    for dtype in (np.float16, np.float32, np.float64):
        np.save(tmp_path / "z.npy", z.astype(dtype))
        np.testing.assert_allclose(load_anchors(tmp_path / "z.npy", (3, 8, 8)), z, atol=2e-3)


def test_a_plane_through_the_origin_cannot_be_normalised():
    z = seeded_anchors((3, 8, 8), 4)
    plane = Plane(np.stack([z[0], -z[0], z[1]]), grid=3)
    with pytest.raises(ValueError, match=r"standard deviation zero at alpha = 0.5, beta = 0"):
        slice_of(ExactModel.of(images()), plane, levels("scaled_linear", 2))
    assert np.isfinite(Plane(plane.anchors, grid=3, normalise=False).latents(np.array([0.5]), np.array([0.0]))).all()
