"""Features: distances, tangents through the decoder, steps at which they are measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from phasebook import Denoiser, ExactModel, Plane, slice_of
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling.features import Latent, Normalised, OfPixels, distances, final_distances, named_features
from phasebook.sampling.protocols import Embedding, Feature, Frame
from phasebook.sampling.samplers import normal_start, sample
from tests.builders import build, images, noise, refuses

STEPS = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return PipelineModel.load(build(tmp_path_factory.mktemp("features"), "v_prediction"), batch=7)


@pytest.fixture(scope="module")
def prompt(model):
    return model.prompt("red apple", 3.0, "blurry, ugly")


def test_metric_of_a_slice_is_that_of_single_points(model, prompt):
    """Neighbours denoised alone give the same centred differences, whatever the tiles and batches."""
    plane, levels = Plane.random(model.shape, seed=1, grid=5), model.levels(STEPS)
    s = slice_of(model, plane, levels, prompt=prompt)

    def at(a, b):
        *_, last = sample(model, model.start(plane.latents(np.array([a]), np.array([b]))), levels, prompt)
        return last.x0.flatten()

    d_a = (at(0.75, 0.5) - at(0.25, 0.5)) / 0.5
    d_b = (at(0.5, 0.75) - at(0.5, 0.25)) / 0.5
    scale = 1 / d_a.numel()
    trace, det = (d_a @ d_a + d_b @ d_b) * scale, ((d_a @ d_a) * (d_b @ d_b) - (d_a @ d_b) ** 2) * scale**2
    assert s.values("trace")[-1, 2, 2] == pytest.approx(float(trace), rel=1e-3)
    assert s.values("det")[-1, 2, 2] == pytest.approx(float(det), rel=1e-3)
    jump = (at(0.5, 0.5) - at(0.5, 0.25)).square().mean().sqrt()
    assert s.values("jump_beta")[-1, 2, 1] == pytest.approx(float(jump), rel=1e-3)


@pytest.mark.parametrize("name", ["latent", "pixels", "mean"])
def test_exact_metric_is_the_limit_of_finite_differences(model, name):
    fine = Plane(Plane.random(model.shape, seed=2).anchors, (0.4, 0.402, 0.4, 0.402), 3)
    features = model.features | {"mean": OfPixels(lambda pixels: pixels.mean((2, 3)))}
    s = slice_of(model, fine, model.levels(2), features={name: features[name]}, jacobian="jvp")
    assert s.values("trace", exact=True)[:, 1, 1] == pytest.approx(s.values("trace")[:, 1, 1], rel=2e-2)


def test_features_are_measured_at_their_steps_only(model, prompt):
    """A feature that keeps the pixels as they are has the metric of the pixels."""
    plane, levels = Plane.random(model.shape, seed=3, grid=4), model.levels(STEPS)
    n = 3 * 16 * 16
    features = {"pixels": model.features["pixels"], "same": OfPixels(lambda x: x.flatten(1), n**-0.5, at=[1, 3]),
                "nothing": OfPixels(lambda x: x[:, :1, 0] * 0)}
    s = slice_of(model, plane, levels, prompt=prompt, features=features)
    assert s.measured("same").tolist() == [1, 3] and len(s.measured("pixels")) == STEPS
    for name in ("det", "trace", "largest", "jump_alpha", "jump_beta"):
        assert np.isnan(s.values(name, "same")[[0, 2]]).all()
        np.testing.assert_allclose(s.values(name, "same")[[1, 3]], s.values(name, "pixels")[[1, 3]], rtol=1e-4,
                                   atol=1e-9)
        assert not s.values(name, "nothing").any()
    assert s.telling(6, "same") == [1, 3]


def test_normalised_points_have_norm_one_and_ask_the_feature_once(model):
    asked = []
    plain = OfPixels(lambda x: asked.append(len(x)) or x.mean((2, 3)))
    frame = Frame(model, 0, noise(5))
    unit = frame.embedded(Normalised(plain)).points
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(unit, torch.nn.functional.normalize(frame.embedded(plain).points, dim=1))
    assert asked == [5]


def test_points_with_duals_are_normalised_by_their_own_inner_product():
    """The exact model's coordinates are weights, and their duals products with the pictures."""
    exact = ExactModel.of(images(), dtype=torch.float64)
    *_, frame = exact.sweep(normal_start(exact, 0, 5), exact.levels(3))
    unit = Normalised(exact.features["pixels"])
    pictures = torch.nn.functional.normalize(exact.weights(frame.x0) @ exact.atoms, dim=1)
    torch.testing.assert_close(distances(unit(frame), unit.unit), torch.cdist(pictures, pictures), atol=1e-7, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_function_that_answers_in_half_precision_is_measured_in_float32(dtype):
    """Neighbours whose pictures differ by a thousandth; and a constant, whose metric is none."""
    model = Denoiser((4,), lambda x, alpha, sigma: alpha * x / (alpha**2 + sigma**2), name="half",
                     decode=lambda x: (x[:, :1, None, None] / 99 + 0.5).expand(-1, 3, 8, 8))
    plane = Plane.random((4,), seed=0, grid=9)

    def feature(pixels):
        return (pixels.flatten(1) / 64).to(dtype)

    features = {"half": feature, "none": lambda p: torch.ones(len(p), 2, dtype=dtype),
                "full": lambda p: feature(p).double()}
    s = slice_of(model, plane, model.levels(2), features=features)
    for name in ("jump_alpha", "trace", "det"):
        np.testing.assert_allclose(s.values(name, "half"), s.values(name, "full"), rtol=1e-4, atol=1e-12)
        assert not s.values(name, "none").any()


@pytest.mark.parametrize("offset", [1e4, 1e5, 1e8])
def test_distances_do_not_depend_on_the_origin(offset):
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + offset
    apart = (x[:, None] - x).norm(dim=-1)
    torch.testing.assert_close(distances(Embedding(x, x), 2.0), 2 * apart, atol=0, rtol=1e-9)
    same = torch.cat([x[:1].float() + 0.1] * 3)
    assert not distances(Embedding(same, same), 1.0).any()


def test_distances_are_those_of_the_coordinates(model):
    f = Latent(model.shape)(Frame(model, 0, noise(6)))
    expected = torch.cdist(f.points.double(), f.points.double()) * f.points.shape[1] ** -0.5
    torch.testing.assert_close(distances(f, model.features["latent"].unit), expected, atol=1e-7, rtol=1e-5)
    twice = Latent(model.shape)(Frame(model, 0, noise(1).repeat(2, 1, 1, 1)))
    assert float(distances(twice, 1.0).max()) == 0


def test_the_yardstick_is_the_median_of_independent_samples(model, prompt):
    model = replace(model, batch=32)
    *_, last = sample(model, normal_start(model, 0, 32), model.levels(10), prompt)
    expected = torch.pdist(last.x0.flatten(1)).median() / last.x0[0].numel() ** 0.5
    assert model.features["latent"].yardstick(model, prompt) == pytest.approx(float(expected), rel=1e-4)
    assert len(final_distances(model.features["latent"], model, model.levels(2), prompt, starts=5)) == 10



@pytest.mark.parametrize("width", [0.0, 1e-6, 1e-3, 0.01])
@pytest.mark.parametrize("share", [0.5, 0.6, 0.8, 0.95])
def test_two_modes_are_as_far_apart_as_they_are_whatever_their_shares(share, width):
    """Of unequal modes most pairs of samples share one: their distance, of a width, was the yardstick."""
    weights = torch.tensor([share, 1 - share], dtype=torch.float64)
    modes = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)

    def denoise(x, alpha, sigma):
        variance = alpha**2 * width**2 + sigma**2
        off = x[:, None] - alpha * modes
        w = torch.softmax(weights.log() - (off**2).sum(2) / (2 * variance), 1)
        return (w[..., None] * (modes + alpha * width**2 / variance * off)).sum(1)

    model = Denoiser((2,), denoise)
    assert model.features["latent"].yardstick(model) == pytest.approx(2 / 2**0.5, rel=0.02)
    constant = Denoiser((2,), lambda x, alpha, sigma: 0 * x + 1)
    assert constant.features["latent"].yardstick(constant) == 0


@pytest.mark.parametrize("features, message", [
    (["clip"], "features = 'clip': takes latent, pixels, or a mapping"), ({"mine": 3}, "features: mine = 3"),
    ([], "features: none given"),
])
def test_bad_features_are_one_line(model, features, message):
    with pytest.raises(ValueError) as error:
        named_features(model, features)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_function_that_loses_points_is_named(model):
    with pytest.raises(ValueError, match="gives shape"):
        OfPixels(lambda x: x.mean())(Frame(model, 0, noise(3)))


@pytest.mark.parametrize("call, words", [
    (lambda: OfPixels(3), "function = 3: takes a function of (pixels)"),
    (lambda: OfPixels(lambda: 1, name="mine"), "features: 'mine': a function of (); takes a function of (pixels)"),
    (lambda: OfPixels(abs, at=3), "at = 3: takes a list"),
    (lambda: OfPixels(abs, at=[]), "at = []: takes one step or more"),
    (lambda: OfPixels(abs, at=[1.5]), "at = 1.5: takes steps"), (lambda: OfPixels(abs, unit=0), "unit = 0"),
    (lambda: OfPixels(abs, unit=float("nan")), "unit = nan"), (lambda: Latent((0,)), "shape = (0,)"),
    (lambda: Normalised(abs), "takes a feature, such as OfPixels(function)"),
])
def test_what_a_feature_cannot_be_made_of(call, words):
    refuses(call, words)


def test_a_constant_feature_loses_no_tangents_and_one_that_leaves_torch_does(model):
    plane = Plane.random(model.shape, seed=3, grid=3)
    still, left = lambda p: torch.ones(len(p), 2), lambda p: p.detach().mean((2, 3))
    s = slice_of(model, plane, model.levels(2), features={"still": still}, jacobian="jvp")
    assert not s.values("trace", exact=True).any()
    refuses(lambda: slice_of(model, plane, model.levels(2), features={"left": left}, jacobian="jvp"),
            "tangents: the feature 'left' leaves torch")


def colours(x0):
    return (x0[:, :, None, None] / 9 + 0.5).expand(-1, 3, 2, 2)


def a_slice(**options):
    """300 points and more, so that pictures come in two parts."""
    model = Denoiser((3,), lambda x, alpha, sigma: torch.tanh(alpha * x), decode=colours)
    return slice_of(model, Plane.random((3,), seed=0, grid=18), model.levels(2), **options)


def mean(pixels):
    return pixels.mean((2, 3))


def reusing(function):
    memory = np.zeros((999, 3))

    def answer(pixels):
        memory[:len(pixels)] = function(pixels)
        return memory[:len(pixels)]

    return answer


def test_a_feature_may_give_the_same_memory_each_time():
    s = a_slice(features={"one": mean, "same": reusing(mean)})
    np.testing.assert_array_equal(s.values("trace", "same"), s.values("trace", "one"))
    refuses(lambda: a_slice(features={"same": reusing(mean)}, jacobian="jvp"), "tangents: the feature 'same' leaves")


def test_a_feature_may_change_its_pictures_and_other_features_do_not_see_it():
    def rude(pixels):
        return pixels.mul_(0).mean((2, 3))

    one, other = a_slice(features={"mean": mean}), a_slice(features={"rude": rude, "mean": mean})
    np.testing.assert_array_equal(one.values("trace", "mean"), other.values("trace", "mean"))


def test_a_decoder_may_change_its_states_and_features_do_not_see_it():
    def rude(x0):
        return x0.mul_(0.1).add_(0.5).view(-1, 3, 1, 1)

    models = [Denoiser((3,), lambda x, a, s: a * x, decode=decode) for decode in (rude, lambda x0: rude(x0.clone()))]
    one, other = (slice_of(m, Plane.random((3,), 0, grid=3), m.levels(3), features=["pixels", "latent"], jacobian="jvp")
                  for m in models)
    for feature in ("pixels", "latent"):
        np.testing.assert_array_equal(one.values("trace", feature), other.values("trace", feature))


@pytest.mark.parametrize("features, words", [("pixels", "decode: mat1"),
                                             ({"f": torch.nn.Conv2d(3, 1, 1)}, "feature 'f': ")])
def test_networks_of_another_type_are_one_line(features, words):
    decoder = torch.nn.Linear(3, 3)
    decode = (lambda x0: decoder(x0).view(-1, 3, 1, 1)) if features == "pixels" else colours
    model = Denoiser((3,), lambda x, a, s: a * x, decode=decode)
    plane = Plane.random((3,), 0, grid=3)
    refuses(lambda: slice_of(model, plane, model.levels(3), features=features), words, "is given torch.float64 on cpu")


def test_a_network_in_half_precision_that_has_gradients_is_a_feature():
    """Squares of its numbers are beyond half precision, and it is called as it is, without `no_grad`."""
    weights = torch.nn.Parameter(torch.full((3,), 20000.0))
    s = a_slice(features={"single": lambda p: weights.detach() * mean(p), "half": lambda p: (weights * mean(p)).half()})
    assert s.values("det", "single").max() > 65504
    half, single = s.values("trace", "half"), s.values("trace", "single")
    assert np.abs(half - single).max() < 0.2 * single.max()
    assert np.isfinite(s.between([0.1, 0.9], [0.1, 0.2], "half").distances).all()
    field = a_slice(fields={"first": lambda frame: weights[0] * frame.x0[:, 0]}).data["first"]
    assert np.isfinite(field).all()


class Own(Feature):
    """A feature of somebody's own, which answers what it is given."""

    def __init__(self, answer=None, unit=1.0):
        self.answer, self.unit = answer, unit

    def __call__(self, frame):
        return self.answer(frame.x0)

    def yardstick(self, model, prompt=None):
        return 1.0


@pytest.mark.parametrize("features, words", [
    (Own(lambda x: x), "feature: a Own gives a Tensor; takes one that gives the Embedding of 9 points"),
    (Own(lambda x: Embedding(x[:2], x[:2])), "gives the Embedding of 9 points, tensors (9, k)"),
    (Own(lambda x: Embedding(x.numpy(), x.numpy())), "gives the Embedding of 9 points, tensors (9, k)"),
    (Own(unit="a"), "features: the unit of 'own' = 'a': takes a positive number"),
    (Own, "features: own = the class Own; takes one that is made"),
])
def test_features_of_ones_own_that_are_none(features, words):
    model = Denoiser((3,), lambda x, alpha, sigma: x)
    refuses(lambda: slice_of(model, Plane.random((3,), 0, grid=3), model.levels(2), features={"own": features}), words)
    model.features = {}
    refuses(lambda: slice_of(model, Plane.random((3,), 0, grid=3), model.levels(2)), "features: none given")


@pytest.mark.parametrize("function, words", [
    (lambda p: p[:, :, 0, :len(p) % 2 + 1], "feature 'f': gives 3 numbers for a picture, then 6; takes a function"),
    (lambda p: mean(p).to_sparse(), "feature 'f': gives a sparse tensor; takes"),
])
def test_answers_that_are_no_coordinates(function, words):
    model = Denoiser((3,), lambda x, alpha, sigma: x, decode=colours)
    refuses(lambda: OfPixels(function, name="f")(Frame(model, 0, torch.zeros(256 + 3, 3).double())), words)
