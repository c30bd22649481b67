"""Moments of posteriors by probes: closed forms of Gaussian data and atoms, levels with a network's clock."""

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from phasebook import Denoiser, PipelineModel
from phasebook.mixtures.mixtures import Mixture
from phasebook.mixtures.spacetime.chart import Chart
from phasebook.mixtures.spacetime.energy import mu_of
from phasebook.spacetime import expectations as module
from phasebook.spacetime.expectations import all_probes, expectations, levels_at, sign_probes
from phasebook.spacetime.geodesic import CurveSearch
from tests.builders import build, pipeline, refuses

ATOMS = np.array([[-1.0, 0.0, 0.3], [1.0, 0.5, -0.2], [0.2, -0.8, 0.6], [0.1, 0.9, 0.9]])


def denoise_atoms(x, alpha, sigma):
    atoms = torch.as_tensor(ATOMS)
    return torch.softmax(-((x[:, None] - alpha * atoms) ** 2).sum(-1) / (2 * sigma**2), -1) @ atoms


def denoise_normal(x, alpha, sigma):
    return alpha * x / (alpha**2 + sigma**2)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return PipelineModel.load(build(tmp_path_factory.mktemp("network"), "v_prediction"), batch=3)


def etas(count, d, seed=0):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(size=(count, d)), -np.exp(rng.uniform(-2, 2, count)) / 2])


@pytest.mark.parametrize(("tangents", "close"), [("forward", 1e-12), ("difference", 1e-3)])
@pytest.mark.parametrize(("denoise", "mixture"), [
    (denoise_normal, Mixture(np.zeros((1, 3)), np.ones(1), np.ones(1))), (denoise_atoms, Mixture.atoms(ATOMS))])
def test_all_probes_give_the_moments_of_the_mixture(denoise, mixture, tangents, close):
    model, eta = Denoiser((3,), denoise), etas(9, 3)
    got = expectations(model, eta, all_probes(model), tangents=tangents)
    np.testing.assert_allclose(got.mu, mu_of(mixture, eta), atol=close, rtol=close)


def test_sign_probes_are_unbiased_and_shared():
    model, eta = Denoiser((3,), denoise_atoms), etas(4, 3, 1)
    exact = expectations(model, eta, all_probes(model)).mu[:, -1]
    found = expectations(model, eta, sign_probes(model, 400, 2), tangents="difference").square
    error = found.std(0, ddof=1) / 400**0.5
    assert (np.abs(found.mean(0) - exact) < 4 * error + 1e-4).all() and (error > 1e-4).all()
    assert (np.abs(found[:8] - expectations(model, eta, sign_probes(model, 400, 2)[:8]).square) < 5e-3).all()


@pytest.mark.parametrize("tangents", ["forward", "difference"])
def test_many_probes_are_taken_some_at_a_time(monkeypatch, tangents):
    model, eta = Denoiser((3,), denoise_atoms), etas(4, 3, 1)
    probes = sign_probes(model, 20, 2)
    whole = expectations(model, eta, probes, tangents=tangents)
    monkeypatch.setattr(module, "AT_ONCE", 40)      # three of them, of twelve numbers
    parts = expectations(model, eta, probes, tangents=tangents)
    np.testing.assert_allclose(parts.square, whole.square, rtol=1e-12)
    np.testing.assert_array_equal(parts.x0, whole.x0)


def test_a_block_of_probes_has_the_trace_of_its_block():
    """For a linear denoiser J is known: its diagonal is summed over the block, by exact probes and by signs."""
    J = torch.tensor([[1.0, 0.5, -0.3], [0.5, 2.0, 0.2], [-0.3, 0.2, 4.0]], dtype=torch.float64)
    model, eta, block = Denoiser((3,), lambda x, alpha, sigma: x.double() @ J), etas(1, 3, 2), np.array([0, 2])
    base = expectations(model, eta, all_probes(model), tangents="forward")
    within = expectations(model, eta, all_probes(model, block), tangents="difference")
    whole, part = (e.square.mean() - (e.x0**2).sum() for e in (base, within))
    assert part / whole == pytest.approx(5 / 7, abs=1e-3)
    signs = expectations(model, eta, sign_probes(model, 400, 1, block), tangents="difference").square
    assert abs(signs.mean() - (base.x0**2).sum() - part) < 4 * signs.std() / 20
    assert (sign_probes(model, 5, 1, block)[:, 1] == 0).all()


def test_levels_keep_scale_and_clock(network):
    fine = network.levels(999)
    levels = levels_at(network, fine.log_snr[[5, 400, 900]])
    np.testing.assert_allclose(levels.timestep, fine.timestep[[5, 400, 900]], atol=1e-9)
    np.testing.assert_allclose(levels.alpha[:-1], fine.alpha[[5, 400, 900]], rtol=1e-6)
    np.testing.assert_allclose(levels.log_snr, fine.log_snr[[5, 400, 900]], atol=1e-9)


def test_a_flow_has_levels_from_pure_noise_on(tmp_path):
    """There alpha = 1 - sigma, and the clock is a thousandfold sigma; the first level has no signal at all."""
    model = PipelineModel.of(pipeline("sd3", tmp_path, scheduler=FlowMatchEulerDiscreteScheduler(shift=0.4)), "flow")
    assert np.isneginf(model.levels(999).log_snr[0])
    levels = levels_at(model, np.array([-6.0, -1.0, 0.0, 3.0]))
    np.testing.assert_allclose(levels.log_snr, [-6, -1, 0, 3], atol=1e-9)
    np.testing.assert_allclose(levels.alpha + levels.sigma, 1, atol=1e-3)
    np.testing.assert_allclose(levels.timestep, 1000 * levels.sigma[:-1], rtol=2e-3)
    eta = np.zeros((2, np.prod(model.shape) + 1))
    eta[:, -1] = [-0.5, -2.0]
    assert np.isfinite(expectations(model, eta, sign_probes(model, 3, 0), tangents="difference").mu).all()
    search = CurveSearch(model, Chart(np.zeros(eta.shape[1] - 1), 1.0), np.stack([eta]), sign_probes(model, 1, 0),
                         tangents="difference")
    assert np.isfinite(search.low)


def test_points_of_many_levels_go_through_a_network_together(network):
    model = network
    x = torch.randn(5, *model.shape, generator=torch.Generator().manual_seed(0))
    levels, steps = levels_at(model, np.linspace(-2, 2, 3)), np.array([2, 0, 1, 1, 0])
    together = model.predict_each(x, levels, steps, model.prompt(""))
    for i, step in enumerate(steps):
        alone = model.predict(x[i:i + 1], levels, int(step), model.prompt(""))
        assert (together.x0[i] - alone.x0[0]).abs().max() < 1e-5 * alone.x0.abs().max()
        assert (together.eps[i] - alone.eps[0]).abs().max() < 1e-5 * alone.eps.abs().max()


def test_refusals():
    model = Denoiser((3,), denoise_normal)
    with pytest.raises(ValueError, match=r"eta: shape \(2, 3\); takes \(p, 4\)"):
        expectations(model, np.zeros((2, 3)), all_probes(model))
    with pytest.raises(ValueError, match="k = -0; takes"):
        expectations(model, np.zeros((2, 4)), all_probes(model))
    eta = etas(2, 3)
    for call, words in ((lambda: expectations(model, eta, all_probes(model), tangents="x"), "tangents = 'x': takes"),
                        (lambda: expectations(model, eta * np.nan, all_probes(model)), "eta: NaN or Inf"),
                        (lambda: expectations(model, eta, torch.ones(2, 5)), "probes: a Tensor of shape (2, 5)"),
                        (lambda: expectations(model, eta, torch.ones(0, 3)), "probes: a Tensor of shape (0, 3)"),
                        (lambda: sign_probes(model, 0, 0), "count = 0: takes a whole number >= 1"),
                        (lambda: sign_probes(model, 2.5, 0), "count = 2.5")):
        refuses(call, words)
    for entries in ([], [3], [-1], [0, 0], [0.5]):
        refuses(lambda e=entries: all_probes(model, e), f"entries = {entries}: takes different whole")
        refuses(lambda e=entries: sign_probes(model, 2, 0, e), f"entries = {entries}")


@pytest.mark.parametrize(("dtype", "close"), [(torch.bfloat16, 0.1), (torch.float16, 0.02), (torch.float32, 2e-3)],
                         ids=["bfloat16", "float16", "float32"])
def test_differences_survive_the_rounding_of_the_states(dtype, close):
    """`J = alpha / (alpha^2 + sigma^2)`: its trace by differences of states that round."""
    model = Denoiser((64,), denoise_normal, dtype=dtype)
    eta = np.column_stack([np.random.default_rng(0).normal(size=(4, 64)), -np.array([0.2, 0.5, 1.0, 2.0])])
    square = expectations(model, eta, sign_probes(model, 64, 1), tangents="difference").square.mean(0)
    variance = 1 / (1 - 2 * eta[:, -1])
    mean = eta[:, :-1] * variance[:, None]
    np.testing.assert_allclose(square - (mean**2).sum(1), 64 * variance, rtol=close)
