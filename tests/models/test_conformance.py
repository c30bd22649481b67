"""What every model owes the protocol: one test file for all of them, a ten-line one of its own included."""

import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import torch

from phasebook import Denoiser, Plane, slice_of
from phasebook.models.exact import ExactModel
from phasebook.models.gaussian import GaussianModel
from phasebook.models.pipelines.pipeline import PipelineModel
from phasebook.sampling import features
from phasebook.sampling.features import Latent
from phasebook.sampling.levels import Levels, scaled_linear_levels
from phasebook.sampling.protocols import Feature, Model, Prediction, Prompt
from phasebook.sampling.samplers import invert, normal_start, resume, sample
from tests.builders import build, images


class Own(Model):
    """The model of N(0, 1) in two dimensions."""

    shape, fingerprint, features = (2,), "own", {"latent": Latent((2,))}

    def levels(self, steps):
        return scaled_linear_levels(steps)

    def start(self, latents, coefficients=None):
        return torch.as_tensor(latents if coefficients is None else coefficients @ latents, dtype=torch.float64)

    def prompt(self, texts, guidance=1.0, negative=""):
        return Prompt({})

    def predict(self, x, levels, step, prompt=None, read=None):
        at = step if read is None else read
        x0 = float(levels.alpha[step]) * x
        return Prediction(x0, (x - float(levels.alpha[at]) * x0) / float(levels.sigma[at]))

    def decode(self, x0):
        return x0.sigmoid()[:, :1, None, None].expand(-1, 3, 2, 2)


def mixture(x, alpha, sigma):
    atoms = torch.tensor([[-1.0, 0.0], [1.0, 0.5]], dtype=x.dtype)
    return torch.softmax(-((x[:, None] - alpha * atoms) ** 2).sum(-1) / (2 * sigma**2), -1) @ atoms


KINDS = ["exact", "exact float64", "latents", "gaussian", "denoiser", "own", "epsilon", "v_prediction", "shipped"]
WORDS = {"exact": ("family 1", "image 3"), "exact float64": ("family 1", "image 3"), "latents": ("family 1", "image 3"),
         "epsilon": ("red apple", "cat face"), "v_prediction": ("red apple", "cat face"),
         "shipped": ("red apple", "cat face")}


def tame(pipeline):
    """Random weights shrunk so that the network answers as tamely as a trained one."""
    pipeline.pipe.unet.conv_out.weight.data *= 0.3
    return pipeline


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    views = torch.randn(2, 12, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    return {
        "exact": ExactModel.of(images()), "exact float64": ExactModel.of(images(), dtype=torch.float64),
        "latents": ExactModel.of_latents(views, images()), "gaussian": GaussianModel.of(ExactModel.of(images())),
        "denoiser": Denoiser((2,), mixture, decode=lambda x0: x0[:, :1, None, None].expand(-1, 3, 4, 4)), "own": Own(),
        **{k: tame(PipelineModel.load(build(tmp_path_factory.mktemp(k), k), batch=3))
           for k in ("epsilon", "v_prediction")},
        "shipped": PipelineModel.load("icons-unet-a"),
    }


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def model(models, kind):
    return models[kind]


def close(one, other, share=1e-4):
    """Equal up to a share of the largest entry."""
    assert float((one - other).abs().max()) <= share * max(1.0, float(other.abs().max()))


def first_step(model):
    levels = model.levels(6)
    return levels, normal_start(model, 0, 4)


def test_it_says_what_it_is(model):
    assert isinstance(model.shape, tuple) and all(isinstance(n, int) for n in model.shape)
    assert isinstance(model.fingerprint, str) and model.fingerprint
    assert model.features and all(isinstance(f, Feature) for f in model.features.values())
    levels = model.levels(7)
    assert isinstance(levels, Levels) and levels.steps == 7 and len(levels.alpha) == 8
    assert (np.diff(levels.sigma_over_alpha) < 0).all()


def test_starts_are_linear_and_leave_their_latents_alone(model):
    z = np.random.default_rng(0).normal(size=(3, *model.shape))
    kept, c = z.copy(), np.array([[0.5, -1.0, 2.0], [1.0, 0.0, 0.0]])
    combined, single = model.start(z, c), model.start(z)
    assert len(combined) == 2 and (z == kept).all()
    close(combined[0], torch.as_tensor(c[0]).to(single) @ single.flatten(1) if single.ndim == 2 else
          torch.einsum("m,m...->...", torch.as_tensor(c[0]).to(single), single))
    close(combined[1], single[0])


def test_a_prediction_splits_the_state(model):
    """x = alpha x0 + sigma eps at the level at which it is read; the same call gives the same numbers."""
    levels, x = first_step(model)
    kept = x.clone()
    for step, read in ((0, None), (3, None), (3, 4)):
        x0, eps = model.predict(x, levels, step, None, read)
        at = step if read is None else read
        assert x0.shape == x.shape == eps.shape and x0.dtype == x.dtype
        close(float(levels.alpha[at]) * x0 + float(levels.sigma[at]) * eps, x)
        assert torch.equal(model.predict(x, levels, step, None, read).x0, x0)
    assert torch.equal(x, kept)
    close(model.predict(x.flip(0), levels, 2).x0.flip(0), model.predict(x, levels, 2).x0)
    close(model.predict(x[1:2], levels, 2).x0, model.predict(x, levels, 2).x0[1:2])


def test_the_sweep_is_the_sampler(model):
    levels, x = first_step(model)
    frames = [f.x0.clone() for f in model.sweep(x, levels)]
    for k, slow in enumerate(sample(model, x, levels)):
        close(frames[k], slow.x0, 1e-3)
    last = [f.x0.clone() for f in model.sweep(slow.x, levels, first=5)]
    assert len(last) == 1
    close(last[0], slow.x0, 1e-3)


def test_tangents_are_derivatives(model, kind):
    """Against a centred difference of the prediction at a noisy level, where the map is smooth."""
    levels, x = first_step(model)
    d = torch.stack([normal_start(model, 20, 4), normal_start(model, 30, 4)])
    value, slope = model.push(x, d, levels, 1)
    h = 1e-5 if x.dtype == torch.float64 else 1e-2
    plain = model.predict(x, levels, 1)
    for k in (0, 1):
        up, down = (model.predict(x + s * h * d[k], levels, 1) for s in (1, -1))
        for exact, one, other in zip(slope, up, down, strict=True):
            close((one - other) / (2 * h), exact[k], 1e-6 if x.dtype == torch.float64 else 2e-2)
    close(value.x0, plain.x0)
    both = zip(model.sweep(x, levels, tangents=d), sample(model, x, levels, tangents=d), strict=True)
    for fast, slow in islice(both, 3):
        close(fast.dx0, slow.dx0, 1e-2)


def test_prompts_of_points_are_those_of_all(model, kind):
    levels, x = first_step(model)
    if kind not in WORDS:
        close(model.predict(x, levels, 1, model.prompt("")).x0, model.predict(x, levels, 1).x0)
        return
    a, b = WORDS[kind]
    mixed = model.predict(x, levels, 2, model.prompt([a, b, a, ""], 2.0))
    for text, rows in ((a, [0, 2]), (b, [1]), ("", [3])):
        close(mixed.x0[rows], model.predict(x, levels, 2, model.prompt(text, 2.0)).x0[rows])
    picked = model.prompt([a, b, a, ""], 2.0).pick(torch.tensor([1, 3]))
    close(model.predict(x[[1, 3]], levels, 2, picked).x0, mixed.x0[[1, 3]])
    assert float((model.predict(x, levels, 2, model.prompt(a)).x0 - model.predict(x, levels, 2).x0).abs().max()) > 1e-6


def test_resuming_from_any_level_is_sampling(model):
    levels, x = first_step(model)
    frames = list(sample(model, x, levels))
    start = torch.stack([x[0], frames[2].x[1], frames[5].x[2], frames[5].after[3]])
    done = resume(model, start, torch.tensor([0, 2, 5, 6]), levels)
    close(done.x, frames[5].after, 1e-3)
    close(done.x0[:3], frames[5].x0[:3], 1e-3)


def test_what_is_inverted_is_sampled_again(model):
    """Back over the last two steps with iterations, and forth: the same state, where the iteration settled."""
    levels = model.levels(12)
    *_, last = sample(model, normal_start(model, 0, 2), levels)
    scale = max(1.0, float(model.norm(last.after).max()))
    done = invert(model, last.after, levels, stop=10, iterations=40, tolerance=1e-5 * scale)
    settled = done.converged[10:].all(0)
    assert settled.float().mean() >= 0.5
    back = resume(model, done.x[10], torch.full((2,), 10), levels).x
    assert float(model.norm(back - last.after)[settled].max()) <= 1e-3 * scale


def test_pictures_and_features(model, kind, monkeypatch):
    monkeypatch.setattr(features, "STEPS", 2)       # of a yardstick; how many it takes is a test of its own
    levels, x = first_step(model)
    *_, last = model.sweep(x, levels)
    if kind == "latents":
        with pytest.raises(ValueError, match="not pictures"):
            model.decode(last.x0)
    else:
        pixels = model.decode(last.x0)
        assert pixels.ndim == 4 and pixels.shape[:2] == (4, 3)
        assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 1
    for feature in model.features.values():
        f = last.embedded(feature)
        assert len(f.points) == 4 == len(f.duals) and torch.isfinite(f.points).all()
        assert feature.yardstick(model) >= 0 and feature.unit > 0


def test_a_slice_of_it(model):
    s = slice_of(model, Plane.random(model.shape, seed=1, grid=4), model.levels(3))
    assert np.isfinite(s.values("det")).all() and s.values("trace").max() > 0
    assert s.phases(1e9)[-1].max() == 0


def test_a_fingerprint_is_the_same_in_another_process(models):
    code = ("from phasebook import ExactModel, PipelineModel\n"
            "from tests.builders import images\n"
            "print(ExactModel.of(images()).fingerprint, PipelineModel.load('icons-unet-a').fingerprint)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [models["exact"].fingerprint, models["shipped"].fingerprint]
