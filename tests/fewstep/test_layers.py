"""Layers against automatic differentiation, closed forms and counts."""

import pytest
import torch

from phasebook.fewstep.layers import LAYERS, matched

DRAW = torch.Generator().manual_seed(0)
X, Y = (torch.randn((3, 40, 2), generator=DRAW) for _ in range(2))


def made(name, size=7, temperature=0.3):
    return LAYERS[name](X, Y, size, temperature, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_as_many_weights_as_it_says_and_keeps_shape(name):
    layer = made(name)
    assert sum(w[0].numel() for w in layer.weights.values()) == layer.count(2, 7)
    assert layer(X).shape == X.shape and layer.loss(X, Y, 0.5).shape == (3,)


@pytest.mark.parametrize("name", LAYERS)
def test_models_do_not_know_of_each_other(name):
    layer = made(name)
    alone = layer.only(torch.tensor([1]))
    assert torch.allclose(alone(X[1:2]), layer(X)[1:2], atol=1e-5)


@pytest.mark.parametrize("dims, width", [(2, 19), (11, 48)])
def test_sizes_match_to_a_twentieth(dims, width):
    wanted = LAYERS["mlp"].count(dims, width)
    for name, layer in LAYERS.items():
        for steps in (1, 4):
            assert steps * layer.count(dims, matched(name, dims, wanted // steps)) == pytest.approx(wanted, rel=0.05)


def test_the_soft_potential_is_the_gradient_of_its_soft_maximum():
    layer = made("potential_soft")
    x = X.clone().requires_grad_()
    v, t = layer.weights, layer.temperature
    scores = x @ v["a"].mT + v["b"]
    curve = torch.nn.functional.softplus(v["c"])
    phi = t * torch.logsumexp(scores / t, -1) + curve[..., 0] * (x**2).sum(-1) / 2
    assert torch.allclose(layer(X), torch.autograd.grad(phi.sum(), x)[0], atol=1e-5)


def test_the_hard_potential_is_the_limit_of_the_soft_one():
    soft, hard = made("potential_soft", temperature=1e-4), made("potential_hard")
    assert torch.allclose(soft(X), hard(X), atol=1e-3)
    assert torch.allclose(hard._errors(X, Y).gather(-1, hard.scores(X).argmax(-1, keepdim=True))[..., 0],
                          ((hard(X) - Y)**2).sum(-1), atol=1e-4)


def test_experts_answer_each_by_itself():
    hard = made("moe_hard")
    v, m, i = hard.weights, 1, 5
    k = int((X[m, i] @ v["gate"][m] + v["offset"][m, 0]).argmax())
    slope = v["slope"][m].view(2, 7, 2)[:, k]
    assert torch.allclose(hard(X)[m, i], X[m, i] @ slope + v["value"][m].view(7, 2)[k], atol=1e-5)


@pytest.mark.parametrize("name", ["icnn", "potential_soft", "potential_hard"])
def test_gradients_of_convex_functions_are_monotone(name):
    layer = made(name)
    with torch.no_grad():
        a, b = layer(X), layer(Y)
    assert ((a - b) * (X - Y)).sum(-1).min() >= -1e-5


def test_the_input_convex_network_is_the_gradient_of_its_potential():
    layer, h = made("icnn"), 1e-2
    shift = torch.tensor([h, 0.0])
    with torch.no_grad():
        rise = (layer.potential(X + shift) - layer.potential(X - shift)) / (2 * h)
        assert torch.allclose(layer(X)[..., 0], rise, atol=5e-3)
