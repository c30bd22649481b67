"""Sweeps: the measured slice against latents sampled in pixel space, point by point."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from phasebook.models.denoiser import Denoiser
from phasebook.models.exact import ExactModel
from phasebook.models.gaussian import GaussianModel
from phasebook.sampling.features import OfPixels
from phasebook.sampling.levels import Levels, log_snr_levels, scaled_linear_levels
from phasebook.sampling.samplers import sample
from phasebook.slices import sweep
from phasebook.slices.plane import Plane, seeded_anchors
from phasebook.slices.sweep import slice_of
from tests.builders import refuses


def test_pictures_that_a_feature_has_looked_at_are_not_decoded_again(small, monkeypatch):
    plane, levels = Plane(seeded_anchors(small.shape, 1), grid=5), scaled_linear_levels(4)
    decode, decoded = small.decode, []
    monkeypatch.setattr(type(small), "decode", lambda self, x0: decoded.append(len(x0)) or decode(x0))
    alone = slice_of(small, plane, levels, pictures=3, keep=[0, 3])
    assert decoded == [9, 9]
    decoded.clear()
    seen = {"pixels": OfPixels(lambda pixels: pixels.flatten(1), at=[3])}
    beside = slice_of(small, plane, levels, features=seen, pictures=3, keep=[0, 3])
    assert decoded == [9, 25]
    np.testing.assert_array_equal(beside.pictures([0, 3]), alone.pictures([0, 3]))


def test_a_slice_equals_pixel_space_point_by_point(wide):
    plane = Plane(seeded_anchors(wide.shape, 1), (-0.2, 1.1, 0.0, 1.3), 5)
    levels = scaled_linear_levels(9)
    one = slice_of(wide, plane, levels, pictures=5)
    a, b = np.meshgrid(plane.alpha, plane.beta, indexing="ij")
    pixel = Denoiser(wide.shape, wide.denoise, levels=scaled_linear_levels)
    for frame in sample(pixel, torch.as_tensor(plane.latents(a.ravel(), b.ravel())), levels):
        f = wide.mean + frame.x0.flatten(1) / wide.scale
        drawn = (f.view(25, *wide.shape).movedim(1, -1).clamp(0, 1) * 255).round().byte().view(5, 5, 8, 8, 3)
        assert np.abs(one.pictures([frame.step])[0].astype(int) - drawn.numpy().astype(int)).max() <= 1
        grid = f.view(5, 5, -1) / f.shape[1] ** 0.5
        ga, gb = (torch.gradient(grid, spacing=h, dim=axis)[0] for axis, h in enumerate(plane.spacing))
        jacobian = torch.stack([ga, gb], -1)
        metric = jacobian.mT @ jacobian
        np.testing.assert_allclose(one.values("trace")[frame.step], metric.diagonal(dim1=-2, dim2=-1).sum(-1),
                                   rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(one.values("det")[frame.step], torch.linalg.det(metric), rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(one.values("jump_beta")[frame.step], (grid[:, 1:] - grid[:, :-1]).norm(dim=-1),
                                   rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("feature", ["pixels", "posterior"])
def test_exact_metric_is_the_limit_of_finite_differences(wide, feature):
    centre, size = 0.45, 1e-3
    plane = Plane(seeded_anchors(wide.shape, 1), (centre - size, centre + size) * 2, 3)
    one = slice_of(wide, plane, scaled_linear_levels(20), features=[feature], jacobian="exact")
    for name in ("det", "trace", "largest"):
        np.testing.assert_allclose(one.values(name)[:12, 1, 1], one.values(name, exact=True)[:12, 1, 1], rtol=1e-3,
                                   atol=1e-20)


def test_the_closed_form_is_what_forward_mode_gives(small):
    plane, levels = Plane(seeded_anchors(small.shape, 3), grid=5), scaled_linear_levels(6)
    ways = {way: slice_of(small, plane, levels, jacobian=way) for way in ("differences", "jvp", "exact")}
    for name in ("det", "trace"):
        jvp, exact = (ways[way].values(name, exact=True) for way in ("jvp", "exact"))
        np.testing.assert_allclose(jvp, exact, rtol=1e-3, atol=1e-6 * exact.max())
        np.testing.assert_allclose(ways["jvp"].values(name), ways["differences"].values(name), rtol=1e-3, atol=1e-6)
    with pytest.raises(ValueError, match="no tangents were carried"):
        ways["differences"].values("det", exact=True)


@pytest.mark.parametrize("jacobian, said", [("autograd", "takes differences, jvp, exact"), (True, "takes differences"),
                                            ("exact", "a GaussianModel has no closed form")])
def test_a_jacobian_that_there_is_not(wide, jacobian, said):
    model = GaussianModel.of(wide) if jacobian == "exact" else wide
    with pytest.raises(ValueError, match=f"^jacobian = .*{said}"):
        slice_of(model, Plane(seeded_anchors(wide.shape, 3), grid=3), scaled_linear_levels(2), jacobian=jacobian)


def test_tiles_change_nothing_that_matters(small, monkeypatch):
    plane, levels = Plane(seeded_anchors(small.shape, 3), grid=23), scaled_linear_levels(12)
    whole = slice_of(small, plane, levels, fields=small.fields)
    monkeypatch.setattr(sweep, "POINTS_IN_A_TILE", 100)
    tiled = slice_of(small, plane, levels, fields=small.fields)
    for name in ("entropy_atom", "jump_alpha", "jump_beta"):
        np.testing.assert_allclose(whole.data[name], tiled.data[name], atol=2e-3)
        assert np.median(np.abs(whole.data[name].values - tiled.data[name].values)) < 1e-5
    np.testing.assert_allclose(whole.values("trace")[:6], tiled.values("trace")[:6], rtol=1e-3)


def test_the_dataset_says_what_it_is(small):
    plane = Plane(seeded_anchors(small.shape, 3), (0, 2, -1, 1), grid=6)
    one = slice_of(small, plane, log_snr_levels(4), pictures=3)
    assert one.data.det.dims == ("feature", "step", "alpha", "beta") and one.data.sizes["step"] == 4
    assert float(one.data.alpha[-1]) == 2 and float(one.data.beta[0]) == -1
    spec = json.loads(one.data.attrs["spec"])
    assert spec["grid"] == 6 and spec["extent"] == [0, 2, -1, 1] and spec["schedule"] == "log_snr"
    again = slice_of(small, plane, log_snr_levels(4), pictures=3)
    other = slice_of(small, Plane(plane.anchors + 0, (0, 2, -1, 1), 6, False), log_snr_levels(4))
    assert one.data.attrs["hash"] == again.data.attrs["hash"] != other.data.attrs["hash"]
    assert np.array_equal(one.values("det"), again.values("det"))


@pytest.mark.parametrize("grid, steps, pictures", [(2, 1, 13), (2, 3, 0), (3, 2, 2), (17, 50, 40)])
def test_small_and_large_requests_are_finite(small, grid, steps, pictures):
    one = slice_of(small, Plane(seeded_anchors(small.shape, 3), grid=grid), scaled_linear_levels(steps),
                   pictures=pictures)
    assert all(np.isfinite(one.data[v]).all() for v in one.data.data_vars)


def test_a_gaussian_has_no_ridge(wide):
    plane = Plane(seeded_anchors(wide.shape, 3), grid=9, normalise=False)
    one = slice_of(GaussianModel.of(wide), plane, scaled_linear_levels(10), jacobian="jvp")
    for name, exact in (("det", False), ("trace", False), ("det", True)):
        values = one.values(name, exact=exact).reshape(10, -1)
        np.testing.assert_allclose(values, np.broadcast_to(values[:, :1], values.shape), rtol=1e-6)


def test_the_scale_of_the_data_drops_out(wide):
    """Data and noise levels times c: c times the predictions, here to the half per cent by which the start differs."""
    c = 4.0
    larger = ExactModel(wide.atoms * c, wide.mean, wide.scale * c, wide.shape, wide.family, wide.families, wide.names)
    plane = Plane(seeded_anchors(wide.shape, 1), grid=7)
    near, far = (log_snr_levels(20, noisiest=s * 100.0, cleanest=s * 0.1) for s in (1, c))
    a, b = (slice_of(model, plane, levels).values("trace") for model, levels in ((wide, near), (larger, far)))
    np.testing.assert_allclose(a[:12], b[:12], rtol=5e-3)


def test_not_finite_is_an_error_that_names_step_and_point(small):
    class Broken(ExactModel):
        def sweep(self, *args, **kwargs):
            for frame in super().sweep(*args, **kwargs):
                if frame.step == 3:
                    frame.x0[7] = float("nan")
                yield frame

    broken = Broken(**{k: getattr(small, k) for k in small.__dataclass_fields__})
    with pytest.raises(ValueError, match=r"not finite at step 3, alpha = 0.*, beta = 0\.\d+"):
        slice_of(broken, Plane(seeded_anchors(small.shape, 3), grid=5), scaled_linear_levels(5))


def test_a_plane_of_other_latents_is_refused(small):
    with pytest.raises(ValueError, match="this model takes"):
        slice_of(small, Plane.random((3, 4, 4), 0, normalise=True), scaled_linear_levels(2))


PLANE = Plane.random((2,), 0, grid=5)


def stretched(x, alpha, sigma):
    return alpha * x / (alpha**2 + sigma**2)


def drawn(x0):
    return torch.sigmoid(x0)[:, :1, None, None].expand(-1, 3, 2, 2)


def measured(denoise=stretched, decode=drawn, **options):
    model = Denoiser((2,), denoise, decode=decode)
    return slice_of(model, PLANE, model.levels(4), **options)


def one(frame):
    return np.zeros(len(frame.x0))


@pytest.mark.parametrize("options, words", [
    ({"features": 3}, ["features = 3: takes latent, pixels"]), ({"features": {3: one}}, ["features: the name 3"]),
    ({"features": {"mine": 3}}, ["features: mine = 3"]), ({"features": [None]}, ["features: None = None"]),
    ({"fields": {"det": one}}, ["fields: the name 'det'"]), ({"fields": {"alpha": one}}, ["the name 'alpha'"]),
    ({"fields": {1: one}}, ["fields: the name 1"]), ({"fields": {"q": 3}}, ["fields: 'q' = 3: takes a function"]),
    ({"fields": [one]}, ["fields = [", "takes a mapping"]),
    ({"fields": {"q": lambda frame: one(frame) * 1j}}, ["fields: 'q' gives complex128"]),
    ({"fields": {"q": lambda frame: one(frame) + np.nan}}, ["field 'q' is not finite at step 0, alpha = 0, beta = 0"]),
    ({"pictures": 2.5}, ["pictures = 2.5: takes a whole number >= 0"]), ({"pictures": "3"}, ["pictures = '3'"]),
    ({"pictures": None}, ["pictures = None"]), ({"pictures": -1}, ["pictures = -1"]),
    ({"pictures": 2, "keep": 5}, ["keep = 5: takes steps from 0 to 3"]), ({"pictures": 2, "keep": "a"}, ["keep = 'a'"]),
    ({"pictures": 2, "keep": []}, ["keep, pictures = [], 2: takes steps from 0 to 3 with pictures >= 1"]),
    ({"pictures": 2, "keep": [1.5]}, ["keep = 1.5"]), ({"pictures": 2, "keep": [4]}, ["keep = 4"]),
    ({"keep": [1]}, ["keep, pictures = [1], 0"]), ({"jacobian": None}, ["jacobian = None"]),
    ({"features": {"": drawn}}, ["features: the name ''; takes a text"]), ({"features": {"\ud800": drawn}}, ["name '"]),
    ({"progress": "x"}, ["progress = 'x': takes True or False"]),
    ({"features": {"mine": OfPixels(drawn, at=[1, 4])}}, ["'mine' is measured at steps [1, 4]", "from 0 to 3"]),
])
def test_bad_options_are_one_line(options, words):
    refuses(lambda: measured(**options), *words)


def at_the_middle(value):
    """Something that is not finite at alpha = beta = 0.5 of the plane alone."""
    middle = torch.as_tensor(PLANE.latents([0.5], [0.5]))

    def denoise(x, alpha, sigma):
        here = (x - middle).abs().max(1, keepdim=True).values < 1e-6
        return torch.where(here, value, stretched(x, alpha, sigma))
    return denoise


def test_an_array_is_no_plane(wide):
    refuses(lambda: slice_of(wide, np.eye(3), wide.levels(2)), "plane = array([[1., 0., 0.], [0., 1.", "takes a Plane")


@pytest.mark.parametrize("options", [{}, {"jacobian": "jvp"}, {"fields": {"mine": lambda frame: frame.x0[:, 0]}}])
def test_what_does_not_fit_into_memory_is_refused_before_it_is_swept(monkeypatch, options):
    told = measured(**options)
    need = sum(one.nbytes for name, one in told.data.data_vars.items() if name != "mine")
    monkeypatch.setattr("phasebook.slices.sweep.free_memory", lambda: 1.2 * told.data.nbytes)
    measured(**options)
    monkeypatch.setattr("phasebook.slices.sweep.free_memory", lambda: 0.9 * need)
    asked = []
    refuses(lambda: measured(lambda x, alpha, sigma: asked.append(alpha) or stretched(x, alpha, sigma), **options),
            "plane, levels: ", "GB of memory for this slice, here are ", "store_slice(..., read=False)")
    assert len(set(asked)) == 1


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_denoiser_that_gives_no_number_is_named_with_its_point(value):
    refuses(lambda: measured(at_the_middle(value)), "denoise: the prediction is not finite at step 0",
            "alpha = 0.5, beta = 0.5")


@pytest.mark.parametrize("feature, words", [
    (lambda p: p.mean((1, 2, 3)).log() * torch.inf, "feature 'mine' is not finite at step 0, alpha = 0, beta = 0"),
    (lambda p: None, "feature 'mine': gives a NoneType"), (lambda p: True, "feature 'mine': gives shape ()"),
    (lambda p: p[:, :0], "feature 'mine': gives shape (25, 0, 2, 2) for 25 pictures"),
    (lambda p: "a", "feature 'mine': gives a str"), (lambda p: p + 1j, "feature 'mine': gives complex numbers"),
])
def test_a_feature_that_gives_no_numbers_is_named(feature, words):
    refuses(lambda: measured(features={"mine": feature}), words)


def test_features_of_bytes_and_of_truth_are_numbers():
    """Bytes wrap in a difference."""
    for feature in (lambda p: (p * 255).round().byte(), lambda p: p > 0.5):
        ours, theirs = (measured(features={"f": f}) for f in (feature, lambda p, f=feature: f(p).double()))
        np.testing.assert_array_equal(ours.values("trace"), theirs.values("trace"))


def test_pictures_that_are_not_finite_are_named():
    class Hollow(Denoiser):
        def decode(self, x0):
            return super().decode(x0) * torch.where(x0[:, :1, None, None] > 10, 1, torch.nan)

    model = Hollow((2,), stretched, decode=drawn)
    refuses(lambda: slice_of(model, PLANE, model.levels(3), pictures=2), "decode: the picture is not finite at step 0")


def test_an_error_of_the_users_own_function_is_let_through():
    with pytest.raises(RuntimeError, match="must match"):
        measured(lambda x, alpha, sigma: x + torch.zeros(3))
    with pytest.raises(KeyError):
        measured(features={"mine": lambda p: {}["a"]})


def test_a_slice_takes_one_prompt(small):
    refuses(lambda: slice_of(small, Plane.random(small.shape, 0, grid=5), small.levels(3),
                             prompt=small.prompt(["a", "b", "c"])),
            "prompt: one a point; a slice takes one for all its points")


def test_slices_with_tangents_in_threads_are_those_in_turn():
    """Forward-mode differentiation has one place in a process: it ended in "Nested forward mode AD"."""
    model = Denoiser((2,), lambda x, alpha, sigma: torch.tanh(alpha * x))

    def traces(seed):
        s = slice_of(model, Plane.random((2,), seed, grid=5), model.levels(6), jacobian="jvp")
        return s.values("trace", exact=True)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(traces, range(8)))
    np.testing.assert_array_equal(together, [traces(seed) for seed in range(8)])


def test_levels_whose_noise_grows_are_refused():
    model = Denoiser((2,), lambda x, alpha, sigma: x * alpha / (alpha**2 + sigma**2))
    grows = Levels("mine", [0.99, 0.8, 0.9], [0.1, 0.6, 0.4], [0, 0])
    refuses(lambda: slice_of(model, Plane.random((2,), seed=0, grid=3), grows),
            "levels = 'mine': sigma / alpha grows after level 0; takes levels from the noisy end")
