"""Layers of a generator, many of each at once: maps R^d -> R^d with a row of weights for each of M independent models.

    mlp              two hidden layers, SiLU
    moe_soft         sum_e g_e(x) (A_e x + b_e), g = softmax(gate / temperature)
    moe_hard         A_e x + b_e of the largest gate: it jumps
    potential_soft   gradient of temperature * log sum_k exp((a_k . x + b_k) / temperature) + c |x|^2 / 2
    potential_hard   gradient of max_k (a_k . x + b_k) + c |x|^2 / 2: piecewise affine potential, it jumps
    icnn             gradient of an input-convex network (Amos, Xu, Kolter 2017), by automatic differentiation

Hard layers are taught with a soft choice that hardens as training goes on, each piece by its own error weighted with
the probability of its choice (Jacobs, Jordan, Nowlan, Hinton 1991); what is measured is the hard one. Inputs are
(M, p, d). Layers with pieces begin with pieces at pairs of the data.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import silu, softplus

__all__ = ["LAYERS", "Layer", "matched"]

Points = Float[Tensor, "m p d"]
HARDEST = 0.02          # share of the temperature at which a hard layer's choice ends in training


class Layer(ABC):
    """M models of one kind and size.

    Args:
        x: pairs of the data (M, n, d), at which pieces may begin.
        y: likewise.
        size: width, or number of pieces.
        temperature: of a soft choice.
        generator: of the first weights.
    """

    jumps = False

    def __init__(self, x: Points, y: Points, size: int, temperature: float, generator: torch.Generator):
        self.size, self.temperature = size, temperature
        self.weights = {name: w.requires_grad_() for name, w in self._first(x, y, generator).items()}

    @staticmethod
    @abstractmethod
    def count(dims: int, size: int) -> int:
        """The number of weights of one model."""

    @abstractmethod
    def _first(self, x: Points, y: Points, generator: torch.Generator) -> dict[str, Tensor]:
        """The first weights."""

    @abstractmethod
    def __call__(self, x: Points) -> Points:
        """The map."""

    def loss(self, x: Points, y: Points, progress: float) -> Float[Tensor, " m"]:
        """Mean squared error of each model; `progress` from 0 to 1 says how far training has come."""
        return ((self(x) - y)**2).sum(-1).mean(-1)

    def beside(self, *others: "Layer") -> "Layer":
        """These models and others of the same kind and size, as one layer."""
        both = object.__new__(type(self))
        both.size, both.temperature = self.size, self.temperature
        joined = {name: torch.cat([layer.weights[name].detach() for layer in (self, *others)]) for name in self.weights}
        both.weights = {name: w.requires_grad_() for name, w in joined.items()}
        return both

    def only(self, index: Tensor) -> "Layer":
        """Some of the models, without their gradients."""
        part = object.__new__(type(self))
        part.size, part.temperature = self.size, self.temperature
        part.weights = {name: w.detach()[index] for name, w in self.weights.items()}
        return part


def _normal(shape: tuple[int, ...], scale: float, generator: torch.Generator) -> Tensor:
    return scale * torch.randn(shape, generator=generator)


class Mlp(Layer):
    """`W_3 silu(W_2 silu(W_1 x + b_1) + b_2) + b_3`."""

    @staticmethod
    def count(dims, size):
        """Of two hidden layers."""
        return 2 * dims * size + size**2 + 2 * size + dims

    def _first(self, x, y, generator):
        m, d, w = len(x), x.shape[-1], self.size
        sizes = {"w1": (d, w), "w2": (w, w), "w3": (w, d)}
        first = {name: _normal((m, *shape), (2 / shape[0])**0.5, generator) for name, shape in sizes.items()}
        first["w3"] = first["w3"] / 2
        first |= {"b2": torch.zeros(m, 1, w), "b3": torch.zeros(m, 1, d)}
        return first | {"b1": _normal((m, 1, w), 0.5, generator)}

    def __call__(self, x):
        """The map."""
        v = self.weights
        h = silu(torch.baddbmm(v["b1"], x, v["w1"]))
        return torch.baddbmm(v["b3"], silu(torch.baddbmm(v["b2"], h, v["w2"])), v["w3"])


class _Pieces(Layer):
    """A choice among pieces: `scores` (M, p, k), each piece's answer, and the choice."""

    @abstractmethod
    def scores(self, x: Points) -> Float[Tensor, "m p k"]:
        """By which the pieces are chosen: the largest."""

    @abstractmethod
    def _mixed(self, x: Points, choice: Float[Tensor, "m p k"]) -> Points:
        """The mean answer under probabilities."""

    @abstractmethod
    def _errors(self, x: Points, y: Points) -> Float[Tensor, "m p k"]:
        """Squared error of each piece."""

    def __call__(self, x):
        """The map."""
        scores = self.scores(x)
        if not self.jumps:
            return self._mixed(x, torch.softmax(scores / self.temperature, -1))
        return self._mixed(x, torch.nn.functional.one_hot(scores.argmax(-1), scores.shape[-1]).to(x))

    def loss(self, x, y, progress):
        """Of hard layers the mean over choices of the pieces' errors, the choice hardening."""
        if not self.jumps:
            return super().loss(x, y, progress)
        choice = torch.softmax(self.scores(x) / (self.temperature * HARDEST**progress), -1)
        return (choice * self._errors(x, y)).sum(-1).mean(-1)


class SoftPotential(_Pieces):
    """Gradient of the soft maximum of affine functions."""

    @staticmethod
    def count(dims, size):
        """`a, b` and `c`."""
        return size * (dims + 1) + 1

    def _first(self, x, y, generator):
        a = y[:, :self.size] + _normal((len(y), self.size, y.shape[-1]), 0.01, generator)
        return {"a": a, "b": -(a**2).sum(-1)[:, None] / 2, "c": torch.full((len(y), 1, 1), -3.0)}

    def scores(self, x):
        """`a_k . x + b_k`."""
        return torch.baddbmm(self.weights["b"], x, self.weights["a"].mT)

    def _mixed(self, x, choice):
        return torch.baddbmm(softplus(self.weights["c"]) * x, choice, self.weights["a"])

    def _errors(self, x, y):
        rest, a = y - softplus(self.weights["c"]) * x, self.weights["a"]
        return (rest**2).sum(-1, keepdim=True) - 2 * rest @ a.mT + (a**2).sum(-1)[:, None]


class HardPotential(SoftPotential):
    """Gradient of the maximum of affine functions: it jumps across the walls of power cells."""

    jumps = True


class SoftExperts(_Pieces):
    """Affine experts behind an affine gate."""

    @staticmethod
    def count(dims, size):
        """Experts and gates."""
        return size * (dims**2 + 2 * dims + 1)

    def _first(self, x, y, generator):
        m, k, d = len(x), self.size, x.shape[-1]
        at = x[:, :k]
        return {"gate": at.mT.clone(), "offset": -(at**2).sum(-1)[:, None] / 2,
                "slope": _normal((m, d, k * d), 0.05, generator), "value": y[:, :k].reshape(m, 1, k * d).clone()}

    def scores(self, x):
        """Of the gate."""
        return torch.baddbmm(self.weights["offset"], x, self.weights["gate"])

    def _answers(self, x):
        flat = torch.baddbmm(self.weights["value"], x, self.weights["slope"])
        return flat.view(*x.shape[:2], self.size, x.shape[-1])

    def _mixed(self, x, choice):
        return (choice[..., None] * self._answers(x)).sum(-2)

    def _errors(self, x, y):
        return ((self._answers(x) - y[..., None, :])**2).sum(-1)


class HardExperts(SoftExperts):
    """The expert of the largest gate: it jumps, and also where nothing in the data does."""

    jumps = True


class InputConvex(Layer):
    """Gradient of `v . s(U s(W x + b) + R x + e) + c |x|^2 / 2` with U, v >= 0 and s = softplus: a convex function."""

    @staticmethod
    def count(dims, size):
        """Of two hidden layers."""
        return 2 * dims * size + size**2 + 3 * size + 1

    def _first(self, x, y, generator):
        m, d, w = len(x), x.shape[-1], self.size
        return {"w": _normal((m, d, w), 1.0, generator), "b": _normal((m, 1, w), 0.5, generator),
                "u": _normal((m, w, w), 0.5, generator) - 3.0, "r": _normal((m, d, w), 1.0, generator),
                "e": torch.zeros(m, 1, w), "v": torch.full((m, w, 1), -1.0), "c": torch.full((m, 1, 1), -3.0)}

    def potential(self, x):
        """The convex function (m, p)."""
        v = self.weights
        inner = softplus(torch.baddbmm(v["b"], x, v["w"]))
        outer = softplus(torch.baddbmm(v["e"], x, v["r"]) + inner @ softplus(v["u"]))
        return (outer @ softplus(v["v"]))[..., 0] + softplus(v["c"])[..., 0] * (x**2).sum(-1) / 2

    def __call__(self, x):
        """The gradient of the potential, which training differentiates once more."""
        training = torch.is_grad_enabled()
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            return torch.autograd.grad(self.potential(at).sum(), at, create_graph=training)[0]


LAYERS: dict[str, type[Layer]] = {"mlp": Mlp, "moe_soft": SoftExperts, "moe_hard": HardExperts,
                                  "potential_soft": SoftPotential, "potential_hard": HardPotential,
                                  "icnn": InputConvex}


def matched(layer: str, dims: int, weights: int) -> int:
    """The size at which a layer has about as many weights as asked.

    Args:
        layer: one of `LAYERS`.
        dims: d.
        weights: how many.

    Returns:
        The size whose number of weights is nearest; 1 at least.
    """
    count, size = LAYERS[layer].count, 1
    while count(dims, size + 1) <= weights:
        size += 1
    return min((size, size + 1), key=lambda one: abs(count(dims, one) - weights))
