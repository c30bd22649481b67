r"""Expectation parameters of any model's posteriors `p(x_0 | x_t)`, simulation-free (Karczewski et al. 2025).

    mu = (xhat_0, |xhat_0|^2 + (sigma^2 / alpha) div xhat_0),      xhat_0 = E[x_0 | x_t],

the second being `E[|x_0|^2 | x_t]`. The divergence is the trace of the denoiser's Jacobian J. For a probe v of
independent signs `E[v . J v] = tr J` (Hutchinson 1989), one derivative along v each; over all `v = +-sqrt(d) e_i` the
mean is the trace itself, so that the exact one is a choice of probes. With probes that are zero outside a block of m
entries (and m in place of d) both are of that diagonal block, which is as good a test at a share of the cost.

Points of a curve lie at levels of their own: `levels_at` makes one step of each, with the clock that the network knows.
Natural parameters are flat (..., d + 1), as in `mixtures.spacetime`; states have the model's shape. The states of a
model must be Euclidean coordinates, one number an entry: those of the exact model in Gram space are not, and there
distances are known in closed form (`mixtures.spacetime.atoms`).
"""

from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from phasebook.arguments import brief, numbers, whole
from phasebook.mixtures.spacetime.energy import x_of
from phasebook.sampling.levels import Levels
from phasebook.sampling.protocols import Model, Prompt, State

__all__ = ["Expectations", "Tangents", "all_probes", "expectations", "levels_at", "sign_probes"]

Tangents = Literal["forward", "difference"]
FINEST = 999                # steps of a sampler by which a network's clock is read
STEP = 1e-3                 # of a difference along a probe, in units of the noise, at the least: coarser states move by
                            # the root of their rounding
AT_ONCE = 4_000_000         # numbers in the states that are moved along probes at a time


class Expectations(NamedTuple):
    """`mu` of p posteriors, one estimate of its last entry for each of r probes.

    Attributes:
        x0: `E[x_0 | x_t]`.
        square: `E[|x_0|^2 | x_t]` by each probe; their mean is unbiased.
    """

    x0: Float[ndarray, "p d"]
    square: Float[ndarray, "r p"]

    @property
    def mu(self) -> Float[ndarray, "p d+1"]:
        """Both, the second as the mean over probes."""
        return np.concatenate([self.x0, self.square.mean(0)[:, None]], axis=1)


def sign_probes(model: Model, count: int, seed: int,
                entries: Int[ndarray, " m"] | None = None) -> Float[Tensor, "r *s"]:
    """Probes of independent signs.

    Args:
        model: whose states they have the shape of.
        count: r.
        seed: of the signs.
        entries: of a flat state, the block outside of which they are zero; None for all.

    Raises:
        ValueError: for no probe, or entries that a state has not.
    """
    shape, signs = (whole("count", count, 1), *_shape(model)), torch.Generator().manual_seed(seed)
    draw = torch.randint(0, 2, shape, generator=signs)
    return (2.0 * draw - 1.0) * _within(model, entries)


def all_probes(model: Model, entries: Int[ndarray, " m"] | None = None) -> Float[Tensor, "m *s"]:
    """`+-sqrt(m) e_i` for each of m entries: with them the mean over probes is the exact trace. Signs alternate, so
    that what curvature adds to one-sided differences cancels.

    Args:
        model: whose states they have the shape of.
        entries: of a flat state; None for all.

    Raises:
        ValueError: for entries that a state has not.
    """
    shape = _shape(model)
    chosen = _chosen(shape, entries)
    m = len(chosen)
    signs = 1.0 - 2.0 * (torch.arange(m) % 2)
    unit = torch.eye(shape.numel(), dtype=torch.float64)        # a rounded root of m would cost the trace digits
    return m**0.5 * (signs[:, None] * unit[chosen]).view(m, *shape)


def _within(model: Model, entries: Int[ndarray, " m"] | None) -> Float[Tensor, "*s"]:
    """One at some entries of a state, zero at the others."""
    shape = _shape(model)
    mask = torch.zeros(shape.numel())
    mask[_chosen(shape, entries)] = 1.0
    return mask.view(shape)


def _chosen(shape: torch.Size, entries: Int[ndarray, " m"] | None) -> Int[Tensor, " m"]:
    """The entries as indices of a flat state. ValueError unless they are some of its own, each once."""
    if entries is None:
        return torch.arange(shape.numel())
    takes = f"different whole numbers from 0 to {shape.numel() - 1}, one at least"
    i = numbers("entries", entries, takes)
    if i.ndim != 1 or i.dtype.kind not in "iu" or len(np.unique(i)) < max(i.size, 1) or i.min() < 0 \
            or i.max() >= shape.numel():
        raise ValueError(f"entries = {brief(i.tolist())}: takes {takes}")
    return torch.as_tensor(i.astype(np.int64))


def levels_at(model: Model, log_snr: Float[ndarray, " p"]) -> Levels:
    """Levels whose step i has the i-th log-SNR, with the clock and the scale that the model has there.

    Args:
        model: whose own finest levels are interpolated; beyond their ends its clock stands still.
        log_snr: `2 log(alpha / sigma)`.
    """
    fine, wanted = model.levels(FINEST), np.asarray(log_snr, dtype=float)
    known = np.isfinite(fine.log_snr)           # a flow begins with pure noise
    at, time = fine.log_snr[known], np.asarray(fine.timestep, dtype=float)[known]
    clock = np.interp(wanted, at, time)
    size = np.interp(wanted, at, (fine.alpha[:-1] ** 2 + fine.sigma[:-1] ** 2)[known])
    sigma = np.sqrt(size / (1 + np.exp(wanted)))
    alpha = sigma * np.exp(wanted / 2)
    return Levels(fine.name, np.append(alpha, alpha[-1:]), np.append(sigma, sigma[-1:]), clock)


def expectations(model: Model, eta: Float[ndarray, "p d+1"], probes: Float[Tensor, "r *s"],
                 prompt: Prompt | None = None, tangents: Tangents = "forward") -> Expectations:
    """`mu` of points of spacetime, all points and probes together.

    Args:
        model: any whose states are coordinates.
        eta: natural parameters `(q, -k/2)`, k > 0.
        probes: shared by all points, so that their errors cancel between neighbours.
        prompt: for all points.
        tangents: "forward" differentiates exactly; "difference" takes one-sided differences, a plain prediction for
            each probe and one for the point, which on a CPU costs a quarter: kernels that know tangents are slower.

    Returns:
        The expectations, float64.

    Raises:
        ValueError: for parameters of another length than the states have, a k that is not positive, probes that are
            none, or other tangents.
    """
    if tangents not in ("forward", "difference"):
        raise ValueError(f"tangents = {brief(tangents)}: takes 'forward' or 'difference'")
    eta, shape = numbers("eta", eta, "natural parameters (p, d + 1)").astype(float), _shape(model)
    if not isinstance(probes, Tensor) or probes.shape[1:] != shape or not len(probes):
        raise ValueError(f"probes: a {type(probes).__name__} of shape {tuple(np.shape(probes))}; takes a tensor "
                         f"(r, {', '.join(map(str, shape))}), r >= 1, such as sign_probes gives")
    if eta.ndim != 2 or eta.shape[1] != shape.numel() + 1:
        raise ValueError(f"eta: shape {eta.shape}; takes (p, {shape.numel() + 1}): the states' entries and one more")
    if not (eta[:, -1] < 0).all():
        raise ValueError(f"eta: k = {-2 * eta[:, -1].max():g}; takes k > 0, noise with some signal")
    levels = levels_at(model, x_of(eta)[1])
    alpha, sigma = levels.alpha[:-1], levels.sigma[:-1]
    x = _state(model, eta[:, :-1] * (sigma**2 / alpha)[:, None], shape)
    pushed = _forward if tangents == "forward" else _difference
    size = max(1, AT_ONCE // x.numel())
    trace = np.empty((len(probes), len(x)))         # at once: rows left between large blocks break the heap up
    for top in range(0, len(probes), size):
        some = probes[top:top + size].to(x)
        x0, slope = pushed(model, x, some, levels, prompt)
        trace[top:top + size] = (slope * some.to(slope)[:, None]).flatten(2).double().sum(-1).cpu().numpy()
    flat = x0.flatten(1).double().cpu().numpy()
    return Expectations(flat, (flat**2).sum(1) + sigma**2 / alpha * trace)


def _shape(model: Model) -> torch.Size:
    """Of a state, which may differ from that of a latent."""
    return model.start(np.zeros((1, *model.shape))).shape[1:]


def _state(model: Model, flat: Float[ndarray, "p d"], shape: torch.Size) -> State:
    like = model.start(np.zeros((1, *model.shape)))
    return torch.as_tensor(flat).view(-1, *shape).to(like)


def _forward(model: Model, x: State, probes: Tensor, levels: Levels,
             prompt: Prompt | None) -> tuple[Tensor, Float[Tensor, "r p *s"]]:
    """Predictions and derivatives along each probe by forward-mode differentiation, level by level."""
    parts = []
    for step in range(len(x)):
        wide = probes[:, None]
        value, slope = model.push(x[step:step + 1], wide, levels, step, prompt)
        parts.append((value.x0, slope.x0))
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts], dim=1)


def _difference(model: Model, x: State, probes: Tensor, levels: Levels,
                prompt: Prompt | None) -> tuple[Tensor, Float[Tensor, "r p *s"]]:
    """The same by one-sided differences, all points together. What they miss of a derivative `v . J v` is odd in v, so
    that signs at random leave the trace unbiased."""
    step = max(STEP, torch.finfo(x.dtype).eps ** 0.5)
    size = torch.as_tensor(step * levels.sigma[:-1]).to(x).view(-1, *(1,) * (x.ndim - 1))
    near = torch.cat([x[None], x + size * probes[:, None]]).flatten(0, 1)
    steps = np.tile(np.arange(len(x)), len(probes) + 1)
    here, *there = model.predict_each(near, levels, steps, prompt).x0.reshape(len(probes) + 1, *x.shape)
    wide = torch.promote_types(x.dtype, torch.float32)
    return here, (torch.stack(there).to(wide) - here.to(wide)) / size
