"""A model of one's own: a function of (x, alpha, sigma)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from phasebook import Denoiser, Plane, evaluator, invert, sample, slice_of
from phasebook.mixtures.mixtures import Mixture
from phasebook.sampling.levels import Levels, log_snr_levels, scaled_linear_levels
from tests.builders import refuses

MIXTURE = Mixture.atoms(np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.5]]))


def two_dimensional(x, alpha, sigma):
    atoms = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.5]], dtype=x.dtype)
    w = torch.softmax(-((x[:, None] - alpha * atoms) ** 2).sum(-1) / (2 * sigma**2), -1)
    return w @ atoms


def test_a_slice_of_a_function_is_that_of_its_mixture():
    """Each point sampled by itself with the closed-form mixture gives the same predictions, metric and phases."""
    model, plane = Denoiser((2,), two_dimensional), Plane.random((2,), seed=0, grid=15)
    levels = model.levels(30)
    s = slice_of(model, plane, levels, jacobian="jvp")
    alpha, beta = np.meshgrid(plane.alpha, plane.beta, indexing="ij")
    x = plane.latents(alpha.ravel(), beta.ravel())
    for k in range(30):
        x0 = MIXTURE.denoise(x, levels.alpha[k], levels.sigma[k])
        x = levels.alpha[k + 1] * x0 + levels.sigma[k + 1] * (x - levels.alpha[k] * x0) / levels.sigma[k]
    grid = x0.reshape(15, 15, 2)
    d_a, d_b = np.gradient(grid, *plane.spacing, axis=(0, 1))
    np.testing.assert_allclose(s.values("trace")[-1], ((d_a**2 + d_b**2).sum(-1) / 2), rtol=1e-8)
    assert s.phases(0.3 * s.yardstick())[-1].max() >= 1
    mild = slice(0, 8)                          # while the map is smooth on this grid
    np.testing.assert_allclose(s.values("trace")[mild, 1:-1, 1:-1], s.values("trace", exact=True)[mild, 1:-1, 1:-1],
                               rtol=0.1)


def test_arrays_pictures_and_levels():
    model = Denoiser((2,), lambda x, alpha, sigma: MIXTURE.denoise(x.numpy(), alpha, sigma),
                     decode=lambda x0: x0[:, :1, None, None].expand(-1, 3, 4, 4), levels=scaled_linear_levels)
    features = {"latent": model.features["latent"], "brightness": lambda pixels: pixels.mean((1, 2, 3))[:, None]}
    s = slice_of(model, Plane.random((2,), seed=0, grid=5), model.levels(8), pictures=3, features=features)
    assert s.pictures([0, 7]).shape == (2, 3, 3, 4, 4, 3)
    assert np.isfinite(s.values("det", "brightness")).all()
    with pytest.raises(ValueError, match="tangents: denoise gives an array"):
        slice_of(model, Plane.random((2,), seed=0, grid=5), model.levels(8), jacobian="jvp")


def small(denoise, **options):
    model = Denoiser((2,), denoise)
    return slice_of(model, Plane.random((2,), seed=0, grid=5), model.levels(8), **options)


@pytest.mark.parametrize("denoise", [
    lambda x, a, s: torch.as_tensor(MIXTURE.denoise(x.detach().numpy(), a, s)),
    lambda x, a, s: two_dimensional(x.detach(), a, s),
    lambda x, a, s: (two_dimensional(x, a, s) + torch.as_tensor(MIXTURE.denoise(x.detach().numpy(), a, s))) / 2,
], ids=["numpy", "detached", "half"])
def test_lost_tangents_are_an_error_and_not_zero(denoise):
    assert small(denoise).values("trace").max() > 0.1
    with pytest.raises(ValueError, match="^tangents: denoise "):
        small(denoise, jacobian="jvp")


class Network(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

    def forward(self, x, alpha, sigma):
        return super().forward(x)


def pictures(decode):
    return Denoiser((2,), two_dimensional, decode=decode).decode(torch.zeros(1, 2))


def test_a_function_may_change_its_argument():
    def rude(x, alpha, sigma):
        x0 = two_dimensional(x, alpha, sigma)
        x.mul_(0)
        return x0

    np.testing.assert_array_equal(small(rude).values("trace"), small(two_dimensional).values("trace"))


def reusing(function, width):
    """The function, whose answers all come in the same memory."""
    memory = torch.zeros(9999, width, dtype=torch.float64)

    def answer(*given):
        values = function(*given)
        memory[:len(values)] = values
        return memory[:len(values)]

    return answer


def test_a_function_may_give_the_same_memory_each_time():
    plain, reused = Denoiser((2,), two_dimensional), Denoiser((2,), reusing(two_dimensional, 2))
    plane, heun = Plane.random((2,), seed=0, grid=5), replace(plain.levels(8), order=2)
    x = plain.start(plane.latents([0.2, 1.5, 0.1], [0.1, 0.4, 0.7]))
    for levels in (plain.levels(8), heun):
        one, other = (slice_of(m, plane, levels, jacobian="jvp") for m in (plain, reused))
        for exact in (False, True):
            np.testing.assert_array_equal(one.values("trace", exact=exact), other.values("trace", exact=exact))
        one, other = ([frame.x0 for frame in sample(m, x, levels)] for m in (plain, reused))
        assert torch.equal(torch.stack(one), torch.stack(other))
    each = np.array([3, 1, 2])
    assert torch.equal(plain.predict_each(x, heun, each).x0, reused.predict_each(x, heun, each).x0)
    lost = reusing(lambda x, alpha, sigma: two_dimensional(x.detach(), alpha, sigma), 2)
    refuses(lambda: small(lost, jacobian="jvp"), "tangents: denoise gives an array, or leaves torch")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_tangents_of_half_precision_are_not_held_against_its_rounding(dtype):
    plane = Plane.random((2,), seed=0, grid=3)
    models = [Denoiser((2,), lambda x, alpha, sigma: torch.tanh(x), dtype=d) for d in (dtype, torch.float64)]
    half, double = (slice_of(m, plane, m.levels(4), jacobian="jvp").values("trace", exact=True) for m in models)
    np.testing.assert_allclose(half, double, rtol=0.2, atol=1e-2)


def test_levels_whose_noise_exceeds_the_latents_are_refused_and_put_right():
    """At variance-exploding levels standard normal latents all lie in the middle of the noise, and in one basin."""
    def exploding(steps):
        return Levels("exploding", np.ones(steps + 1), np.geomspace(80, 0.01, steps + 1), np.arange(steps))

    plane, model = Plane.random((2,), seed=0, grid=5), Denoiser((2,), two_dimensional, levels=exploding)
    words = "levels = 'exploding': noise of standard deviation 80 at the first level, for latents of size "
    for call in (lambda: slice_of(model, plane, exploding(9)), lambda: model.features["latent"].yardstick(model),
                 lambda: evaluator(model, plane, exploding(9), 8, model.features["latent"])):
        refuses(call, words, "lambda x, alpha, sigma: f(x / alpha, sigma / alpha)")
    told = Denoiser((2,), lambda x, alpha, sigma: two_dimensional(x / alpha, 1.0, sigma / alpha))
    s = slice_of(told, plane, log_snr_levels(9, noisiest=80, cleanest=0.01))
    wide = slice_of(model, Plane(80 * plane.anchors, grid=5, normalise=False), exploding(9))
    np.testing.assert_allclose(s.values("trace"), wide.values("trace"), rtol=1e-2, atol=1e-4)


def test_fingerprints_tell_closures_and_networks_apart():
    def scaled(c):
        return lambda x, alpha, sigma: c * two_dimensional(x, alpha, sigma)

    torch.manual_seed(0)
    one, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    functions = [scaled(1.0), scaled(100.0), lambda x, a, s, n=one: n(x), lambda x, a, s, n=other: n(x), one, other]
    prints = [Denoiser((2,), f).fingerprint for f in functions]
    assert len(set(prints)) == len(prints)
    assert Denoiser((2,), scaled(1.0)).fingerprint == prints[0]
    drawn = [Denoiser((2,), one, decode=lambda x, c=c: c * x[:, :, None, None]).fingerprint for c in (1.0, 2.0)]
    assert len({*drawn, prints[4]}) == 3
    assert Denoiser((2,), one, name="n").fingerprint == Denoiser((2,), other, name="n").fingerprint


@pytest.mark.parametrize("call, message", [
    (lambda m, p: slice_of(m, p, m.levels(3), prompt="a red cat"), "prompt = 'a red cat': takes a Prompt"),
    (lambda m, p: slice_of(m, p, 5), "levels = 5: takes a Levels"),
    (lambda m, p: slice_of(p, m, m.levels(3)), "model: a Plane; takes a model"),
    (lambda m, p: m.prompt(3), "prompt = 3: takes a text"),
    (lambda m, p: m.predict(torch.zeros(3, 5), m.levels(3), 0), r"x: shape \(3, 5\); takes states \(p, 2\)"),
    (lambda m, p: slice_of(m, p, m.levels(3)).values("foo"), "name = 'foo': takes one of E, F, G, det"),
    (lambda m, p: slice_of(m, p, m.levels(3)).figure(99), "step = 99: takes a step from 0 to 2"),
    (lambda m, p: slice_of(m, p, m.levels(3)).phases(0), "ridge = 0: takes a positive height"),
    (lambda m, p: Denoiser((2,), lambda x, a, s: None, name="n").predict(torch.zeros(1, 2), m.levels(3), 0),
     "gives a NoneType"),
    (lambda m, p: Denoiser((2,), Network().forward), None),
    (lambda m, p: Denoiser((2,), two_dimensional, dtype=torch.int64), "dtype = torch.int64"),
    (lambda m, p: Plane.random((2,), 0, grid=3.5), "grid = 3.5"),
])
def test_arguments_in_the_wrong_place(call, message):
    model, plane = Denoiser((2,), two_dimensional), Plane.random((2,), seed=0, grid=3)
    if message is None:
        assert call(model, plane).fingerprint
        return
    with pytest.raises(ValueError, match=message) as error:
        call(model, plane)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("call, message", [
    (lambda: Denoiser((), two_dimensional), r"shape = \(\): takes positive integers"),
    (lambda: Denoiser((2, 0), two_dimensional), "takes positive integers"),
    (lambda: Denoiser((2,), 7), "denoise = 7: takes a function"),
    (lambda: Denoiser((2,), two_dimensional).prompt("cat"), "prompt = 'cat': this model takes none"),
    (lambda: Denoiser((2,), two_dimensional).decode(torch.zeros(1, 2)), "has no pictures"),
    (lambda: slice_of(Denoiser((2,), lambda x, a, s: x[:, :1]), Plane.random((2,), 0, grid=3),
                      scaled_linear_levels(2)), "denoise: gives shape"),
    (lambda: slice_of(Denoiser((3,), two_dimensional), Plane.random((2,), 0, grid=3), scaled_linear_levels(2)),
     "plane: latents of shape"),
    (lambda: slice_of(Denoiser((2,), two_dimensional), Plane.random((2,), 0, grid=3), scaled_linear_levels(2),
                      features=["pixels"]), "features = 'pixels': takes latent"),
    (lambda: pictures(lambda x0: x0), r"decode: gives shape \(1, 2\) for 1 states; takes .* \(1, 3, y, x\)"),
    (lambda: pictures(lambda x0: torch.zeros(2, 3, 4, 4)), r"decode: gives shape \(2, 3, 4, 4\) for 1 states"),
    (lambda: pictures(lambda x0: torch.full((1, 3, 4, 4), torch.nan)), "decode: gives numbers that are not finite"),
    (lambda: next(sample(Denoiser((2,), two_dimensional), torch.zeros(3, 2), scaled_linear_levels(4))),
     r"x: float32 of shape \(3, 2\); this model takes states that are float64 of shape \(p, 2\)"),
    (lambda: next(sample(Denoiser((2,), two_dimensional), torch.zeros(3, 4).double(), scaled_linear_levels(4))),
     r"x: float64 of shape \(3, 4\); this model takes"),
    (lambda: invert(Denoiser((2,), two_dimensional), torch.tensor([[0.0, 0.0], [0.0, torch.nan]]).double(),
                    scaled_linear_levels(4)), "x: not finite at point 1"),
    (lambda: small(two_dimensional, fields={"one": lambda frame: np.zeros(7)}),
     r"fields: 'one' gives ndarray of shape \(7,\) for 25 points"),
    (lambda: small(two_dimensional, fields={"two": lambda frame: frame.x0}),
     r"fields: 'two' gives Tensor of shape \(25, 2\) for 25 points"),
    (lambda: slice_of(Denoiser((2,), lambda x, a, s: x * torch.nan), Plane.random((2,), 0, grid=3),
                      scaled_linear_levels(2)), "not finite at step 0, alpha = 0, beta = 0"),
])
def test_bad_arguments_are_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options, words", [
    ({"shape": -1}, "shape = -1: takes positive integers"), ({"shape": None}, "shape = None"),
    ({"shape": (2.0,)}, "shape = (2.0,)"),
    ({"denoise": lambda x, alpha: x}, "denoise: a function of (x, alpha); takes"),
    ({"denoise": None}, "denoise = None: takes a function of (x, alpha, sigma)"),
    ({"dtype": "float32"}, "dtype = 'float32': takes a floating-point type"), ({"dtype": torch.complex64}, "dtype = "),
    ({"dtype": torch.float8_e4m3fn}, "dtype = torch.float8_e4m3fn"), ({"device": "meta"}, "device = 'meta': not here"),
    ({"device": "gpu"}, "device = 'gpu': not here; takes 'cpu'"), ({"device": 1.5}, "device = 1.5"),
    ({"levels": 3}, "levels = 3: takes a function of (steps)"), ({"name": 3}, "name = 3: takes a text"),
    ({"decode": 3}, "decode = 3: takes a function of (x0)"),
])
def test_what_a_model_cannot_be_made_of(options, words):
    refuses(lambda: Denoiser(**{"shape": (2,), "denoise": two_dimensional} | options), words)


@pytest.mark.parametrize("denoise, words", [
    (lambda x, a, s: x + 1j * x**2, "denoise: gives complex numbers"), (lambda x, a, s: 3.0, "denoise: gives a float"),
    (lambda x, a, s: np.full(x.shape, "a"), "denoise: gives a ndarray; takes"),
    (lambda x, a, s: (x.numpy() + 1j), "denoise: gives complex numbers"),
    (lambda x, a, s: x.long(), "denoise: gives int64; takes a function that gives a tensor or an array of floating"),
    (lambda x, a, s: x.to_sparse(), "denoise: gives a sparse tensor; takes"),
    (lambda x, a, s: x.to("meta"), "denoise: gives a tensor without numbers; takes"),
])
def test_answers_that_are_no_real_numbers(denoise, words):
    refuses(lambda: small(denoise), words)


@pytest.mark.parametrize("decode, words", [
    (lambda x0: None, "decode: gives a NoneType; takes a function that gives pictures (1, 3, y, x)"),
    (lambda x0: 3, "decode: gives shape ()"),
    (lambda x0: torch.full((1, 3, 2, 2), 200, dtype=torch.uint8), "decode: gives uint8 from 200 to 200"),
    (lambda x0: np.linspace(0, 255, 12).reshape(1, 3, 2, 2), "decode: gives float64 from 0 to 255; takes"),
    (lambda x0: torch.ones(1, 3, 2, 2) * 1j, "decode: gives complex numbers"),
])
def test_answers_that_are_no_pictures(decode, words):
    refuses(lambda: pictures(decode), words)


def test_pictures_a_little_outside_are_clipped_and_reversed_arrays_are_read():
    assert pictures(lambda x0: torch.linspace(-3, 4, 12).view(1, 3, 2, 2)).max() == 1
    one, other = (small(lambda x, a, s, k=k: np.ascontiguousarray(x.numpy()[::k])[::k]) for k in (1, -1))
    np.testing.assert_array_equal(one.values("trace"), other.values("trace"))


@pytest.mark.parametrize("call, words", [
    (lambda m: m.start(np.zeros((1, 3))), "latents: shape (1, 3); this model takes (m, 2)"),
    (lambda m: m.start(3), "latents: shape ()"), (lambda m: m.start("a"), "latents = 'a': takes an array (m, 2)"),
    (lambda m: m.start(np.full((1, 2), np.nan)), "latents: NaN or Inf at [0, 0]"),
    (lambda m: m.start(np.zeros((3, 2)), np.zeros((4, 2))), "coefficients: shape (4, 2); takes (p, 3)"),
    (lambda m: m.start(np.zeros((3, 2)), "a"), "coefficients = 'a'"),
    (lambda m: m.predict([[1, 2]], m.levels(3), 0), "x: a list; takes states (p, 2)"),
    (lambda m: m.predict(torch.zeros(1, 2), m.levels(3), 3), "step = 3: takes a whole number from 0 to 2"),
    (lambda m: m.predict(torch.zeros(1, 2), m.levels(3), -1), "step = -1"),
    (lambda m: m.predict(torch.zeros(1, 2), m.levels(3), 0, read=4), "read = 4: takes a whole number from 0 to 3"),
    (lambda m: m.prompt("", negative="cat"), "negative = 'cat': this model takes none"),
    *((lambda m, w=w: m.prompt("", guidance=w), f"guidance = {w!r}: takes a finite number >= 0")
      for w in ("abc", np.nan, [], -1)),
    (lambda m: m.predict(torch.zeros(1, 2), None, 0), "levels = None: takes a Levels"),
    (lambda m: m.predict(torch.zeros(1, 2), m.levels(3), 0, "cat"), "prompt = 'cat': takes a Prompt"),
    (lambda m: m.norm(None), "x: None; takes differences of states"),
    (lambda m: Denoiser((2,), two_dimensional, decode=lambda x: x).decode(None), "x0: a NoneType; takes states (p, 2)"),
    (lambda m: Denoiser((2,), two_dimensional, decode=lambda x: x).decode(torch.full((1, 2), torch.nan)),
     "x0: not finite at point 0"),
    (lambda m: m.prompt("", negative=None), "negative = None: takes a text"),
    (lambda m: Denoiser((2,), two_dimensional, levels=lambda steps: [1]).levels(3), "levels: gives a list; takes"),
])
def test_bad_calls_of_a_model_are_one_line(call, words):
    refuses(lambda: call(Denoiser((2,), two_dimensional)), words)


def test_tangents_lost_half_way_are_an_error_in_a_flow_too():
    """At its first level, pure noise, all tangents are zero, lost or not."""
    t = np.linspace(1, 0, 13)
    levels = Levels("flow", 1 - t, t, 1000 * t[:-1])
    half = Denoiser((2,), lambda x, a, s: (two_dimensional(x, a, s) + two_dimensional(x.detach(), a, s)) / 2)
    with pytest.raises(ValueError, match="^tangents: denoise differs"):
        slice_of(half, Plane.random((2,), 0, grid=3), levels, jacobian="jvp")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_tangents_in_short_formats_are_not_held_against_rounding(dtype, mean):
    """A difference of neighbouring numbers of these formats is all rounding: in half precision, or far from zero."""
    def normal(x, alpha, sigma):
        return mean + alpha * (x - alpha * mean) / (alpha**2 + sigma**2)

    model = Denoiser((8,), normal, dtype=dtype, name=f"{mean}")
    plane, levels = Plane.random((8,), seed=0, grid=3), model.levels(4)
    found = slice_of(model, plane, levels, jacobian="jvp").values("trace", exact=True)
    wide = Denoiser((8,), normal, name=f"{mean}")
    true = slice_of(wide, plane, levels, jacobian="jvp").values("trace", exact=True)
    np.testing.assert_allclose(found, true, rtol=0.1)


@pytest.mark.parametrize("tensors", [True, False])
def test_a_constant_function_loses_no_tangents(tensors):
    def constant(x, alpha, sigma):
        return torch.full_like(x, 0.5) if tensors else np.full(x.shape, 0.5)

    if tensors:
        assert not small(constant, jacobian="jvp").values("det", exact=True).any()
    else:
        refuses(lambda: small(constant, jacobian="jvp"), "tangents: denoise gives an array")
